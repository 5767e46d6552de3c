"""A division of data in figures: how much each learner has, of which classes, and how far from the whole that is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .data import Array, Dataset, PrivateData
from .history import number_or_none

Counts = NDArray[np.int64]


@dataclass(frozen=True)
class Division:
    """What the learners have of a data set.

    Attributes:
        classes: the names of the classes; for regression ranges of the target, its deciles over all samples.
        counts: samples of each learner and class, shape ``(learners, classes)``.
        sizes: samples to train on, to vote by and to test on, shape ``(learners, 3)``.
        targets: for regression, the mean and standard deviation of each learner's target, shape ``(learners, 2)``.
    """

    classes: tuple[str, ...]
    counts: Counts
    sizes: Counts
    targets: NDArray[np.float64] | None = None

    @staticmethod
    def of(dataset: Dataset, parts: Sequence[PrivateData]) -> Division:
        """The division of a data set into these parts, as :func:`~colearn_core.data.partition` gives them."""
        sizes = np.array([[len(p.train), len(p.vote), len(p.test)] for p in parts])
        held = [np.concatenate([p.train.y, p.vote.y, p.test.y]) for p in parts]
        if dataset.task.classes:
            return Division(dataset.task.classes, _counted(held, len(dataset.task.classes)), sizes)
        edges = np.unique(dataset.target_edges())
        counts = _counted([np.searchsorted(edges, y, side="right") for y in held], len(edges) + 1)
        return Division(_ranges(edges), counts, sizes, np.array([[y.mean(), y.std()] for y in held]))

    @cached_property
    def distances(self) -> NDArray[np.float64]:
        """The total variation distance of each learner's classes from those of all samples, between 0 and 1.

        Half the sum of |p - q| over the classes: the share of its samples that a learner would have to exchange to
        be like the whole.
        """
        shares = self.counts / self.counts.sum(axis=1, keepdims=True)
        whole = self.counts.sum(axis=0) / self.counts.sum()
        return np.asarray(np.abs(shares - whole).sum(axis=1) / 2)

    @property
    def mean_distance(self) -> float:
        """Of all learners, weighted by their samples."""
        return float(np.average(self.distances, weights=self.counts.sum(axis=1)))

    @property
    def classes_held(self) -> Counts:
        """How many different classes each learner has."""
        return np.asarray((self.counts > 0).sum(axis=1))

    def summary(self) -> dict[str, Any]:
        """Everything as JSON takes it."""
        rows: list[dict[str, Any]] = []
        for i, (sizes, counts) in enumerate(zip(self.sizes.tolist(), self.counts.tolist(), strict=True)):
            row: dict[str, Any] = {
                "learner": f"learner-{i}",
                "samples": sum(sizes),
                **dict(zip(("train", "vote", "test"), sizes, strict=True)),
                "classes": int(self.classes_held[i]),
                "distance": float(self.distances[i]),
                "counts": counts,
            }
            if self.targets is not None:
                row |= {k: number_or_none(v) for k, v in zip(("mean", "deviation"), self.targets[i], strict=True)}
            rows.append(row)
        return {"classes": list(self.classes), "mean_distance": self.mean_distance, "learners": rows}


def _counted(held: Sequence[Array], classes: int) -> Counts:
    return np.array([np.bincount(y, minlength=classes) for y in held])


def _ranges(edges: Array) -> tuple[str, ...]:
    """``< 3``, ``3 – 5``, ``≥ 5``; the digits are those that tell the edges apart."""
    digits = next(d for d in range(3, 18) if d == 17 or len({f"{edge:.{d}g}" for edge in edges}) == len(edges))
    texts = [f"{edge:.{digits}g}" for edge in edges]
    between = [f"{low} – {high}" for low, high in pairwise(texts)]
    return (f"< {texts[0]}", *between, f"≥ {texts[-1]}")
