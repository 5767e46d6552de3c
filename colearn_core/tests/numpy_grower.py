"""A grower in plain numpy: small trees by exhaustive search, boosted or averaged, for classes and values."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any

import numpy as np
from numpy.typing import NDArray

from colearn_core.data import PrivateData
from colearn_core.growing import Grower, Growth
from colearn_core.metrics import Needs
from colearn_core.parameters import sharing
from colearn_core.trees import Forest, grown

Array = NDArray[Any]


@dataclass(frozen=True)
class Exhaustive(Grower):
    """Least squares over every split there is; boosting fits gradients, averaging draws samples with replacement."""

    features: int
    classes: int
    boosts: bool
    trees: int = 1
    depth: int = 2
    rate: float = 0.5

    def grow(self, x: Array, y: Array, sample_weight: Array | None, margins: Array, rng: np.random.Generator) -> Forest:
        weight = np.ones(len(y)) if sample_weight is None else sample_weight
        found = [Forest.empty(self.width)]
        for _ in range(self.trees):
            rows = rng.integers(len(y), size=len(y))
            found += self._boosted(x, y, weight, margins, rows) if self.boosts else self._averaged(x, y, weight, rows)
        return Forest.joined(found)

    def respond(self, margins: Array, trees: int, needs: Needs) -> Array:
        if not self.boosts:
            means = margins / trees if trees else np.full_like(margins, 1 / max(self.classes, 1))
        elif self.classes == 2:
            ones = 1 / (1 + np.exp(-np.clip(margins[:, 0], -700, 700)))
            means = np.column_stack([1 - ones, ones])
        elif self.classes:
            exponentials = np.exp(margins - margins.max(axis=1, keepdims=True))
            means = exponentials / exponentials.sum(axis=1, keepdims=True)
        else:
            means = margins
        if needs == "labels":
            labels: Array = means.argmax(axis=1)
            return labels
        return means if needs == "probabilities" else means[:, 0]

    def _boosted(self, x: Array, y: Array, weight: Array, margins: Array, rows: Array) -> list[Forest]:
        if not self.classes:
            target, hessian = y[:, None] - margins, np.ones((len(y), 1))
        else:
            p = self.respond(margins, 0, "probabilities")[:, -self.outputs :]
            target = (y[:, None] == np.arange(self.classes)[-self.outputs :]) - p
            hessian = p * (1 - p)
        found = []
        for output in range(self.outputs):
            own = np.column_stack([target[:, output], hessian[:, output]])

            def value(sums: Array) -> Array:
                step: Array = self.rate * sums[:1] / (sums[1] + 1.0)
                return step

            found.append(_tree(x[rows], own[rows], weight[rows], self.depth, value, output))
        return found

    def _averaged(self, x: Array, y: Array, weight: Array, rows: Array) -> list[Forest]:
        target = (y[:, None] == np.arange(self.classes)).astype(np.float64) if self.classes else y[:, None]
        own = np.column_stack([target, np.ones(len(y))])

        def value(sums: Array) -> Array:
            means: Array = sums[:-1] / max(sums[-1], 1e-12)
            return means

        return [_tree(x[rows], own[rows], weight[rows], self.depth, value, 0)]


def _tree(x: Array, target: Array, weight: Array, depth: int, value: Any, output: int) -> Forest:
    """A tree whose splits part the first column of ``target`` best; leaves' values come of its columns' sums."""
    nodes: list[list[Any]] = []

    def grow(rows: Array, levels: int) -> int:
        node = len(nodes)
        nodes.append([-1, -1, 0, 0.0, 0.0, value((weight[rows, None] * target[rows]).sum(axis=0))])
        split = _best_split(x[rows], target[rows, 0], weight[rows]) if levels else None
        if split is not None:
            feature, threshold, gain = split
            right = x[rows, feature] > threshold
            nodes[node][2:5] = feature, threshold, gain
            nodes[node][:2] = grow(rows[~right], levels - 1), grow(rows[right], levels - 1)
        return node

    grow(np.arange(len(x)), depth)
    left, right, feature, threshold, gain, values = map(np.array, zip(*nodes, strict=True))
    return grown(left, right, feature, threshold, values, gain=gain, output=output)


def _best_split(x: Array, target: Array, weight: Array) -> tuple[int, float, float] | None:
    best, found = 1e-9, None
    for feature in range(x.shape[1]):
        order = np.argsort(x[:, feature], kind="stable")  # what is missing comes last, so it goes right
        column, sums, counts = x[order, feature], *(np.cumsum(a[order]) for a in (weight * target, weight))
        with np.errstate(divide="ignore", invalid="ignore"):
            parts = sums[:-1] ** 2 / counts[:-1] + (sums[-1] - sums[:-1]) ** 2 / (counts[-1] - counts[:-1])
            gains = np.where(column[:-1] < column[1:], parts - sums[-1] ** 2 / counts[-1], -np.inf)
        if len(gains) and np.nanmax(gains) > best:
            at = int(np.nanargmax(gains))
            best = float(gains[at])
            found = feature, (float(column[at]) + float(column[at + 1])) / 2, best
    return found


def _grower(data: PrivateData, boosts: bool, trees: int, depth: int) -> Exhaustive:
    return Exhaustive(data.train.x.shape[1], len(data.task.classes), boosts, trees, depth)


@sharing(Growth, "learner")
def boosted(data: PrivateData, trees: Annotated[int, "New ones"] = 1, depth: int = 2) -> Grower:
    """Boosted trees."""
    return _grower(data, True, trees, depth)


@sharing(Growth, "learner")
def averaged(data: PrivateData, trees: Annotated[int, "New ones"] = 3, depth: int = 3) -> Grower:
    """Averaged trees."""
    return _grower(data, False, trees, depth)
