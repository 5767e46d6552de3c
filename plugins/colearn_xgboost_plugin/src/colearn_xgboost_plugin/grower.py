"""Trees grown by XGBoost, on margins of anybody's trees."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from colearn_core.data import PrivateData
from colearn_core.errors import Abstention, DataError, ParameterError
from colearn_core.growing import BoostingGrower
from colearn_core.trees import Forest, grown

from .library import xgboost

Array = NDArray[Any]
LARGEST = float(np.finfo(np.float32).max)


@dataclass(frozen=True)
class XGBoostGrower(BoostingGrower):
    """Continues boosting from the accepted model's margins.

    XGBoost gets the margins, never the accepted trees: what other parties send is not its to read.

    Attributes:
        rounds: rounds of boosting for a proposal; each adds a tree, or one for each of three or more classes.
        categorical: the numbers of the features that hold codes of categories.
        parameters: further ones of XGBoost's, sorted by name.
        threads: that XGBoost trains on.
    """

    features: int
    classes: int
    rounds: int
    categorical: tuple[int, ...]
    parameters: tuple[tuple[str, Any], ...]
    threads: int = field(default=1, compare=False)

    def check(self, data: PrivateData) -> None:
        largest = 0.0 if data.task.classes else float(np.abs(data.train.y).max(initial=0))
        if largest > LARGEST:
            raise DataError(f"train targets are too large for single precision, up to {largest:g}")

    def grow(self, x: Array, y: Array, sample_weight: Array | None, margins: Array, rng: np.random.Generator) -> Forest:
        begin = [] if margins.any() else [self.constant(y, sample_weight)]
        start = np.array(margins)
        for forest in begin:
            forest.add_to(start, x)
        booster = self.train(x, y, sample_weight, start, seed=int(rng.integers(2**31)))
        new = [tree for tree in forests(json.loads(bytes(booster.save_raw("json")))) if tree.value.any()]
        if not begin and not new:
            raise Abstention(
                f"XGBoost finds no split of these {len(x)} samples that lowers their loss (min_child_weight, gamma)"
            )
        return Forest.joined([*begin, *new])

    def train(self, x: Array, y: Array, sample_weight: Array | None, start: Array, seed: int) -> xgboost.Booster:
        """A booster of new trees only, which correct the margins ``start``.

        Raises:
            ParameterError: XGBoost refuses; the message says what it says.
        """
        try:
            samples = xgboost.DMatrix(
                x,
                label=y,
                weight=sample_weight,
                base_margin=start if self.outputs > 1 else start[:, 0],
                feature_types=feature_types(self),
                nthread=self.threads,
            )
            own = {**library_settings(self), "seed": seed, "nthread": self.threads}
            return xgboost.train(own, samples, self.rounds)
        except xgboost.core.XGBoostError as error:
            told = str(error).splitlines()[0]
            raise ParameterError(f"XGBoost can't train on these data with {dict(self.parameters)}: {told}") from error


def library_settings(grower: XGBoostGrower) -> dict[str, Any]:
    """XGBoost's parameters. The base score is fixed: XGBoost would estimate it from the first learner's labels."""
    if not grower.classes:
        objective: dict[str, Any] = {"objective": "reg:squarederror"}
    elif grower.outputs == 1:
        objective = {"objective": "binary:logistic"}
    else:
        objective = {"objective": "multi:softprob", "num_class": grower.classes}
    return {**objective, **dict(grower.parameters), "base_score": 0.5 if grower.classes else 0.0, "verbosity": 0}


def feature_types(grower: XGBoostGrower) -> list[str]:
    return ["c" if i in grower.categorical else "q" for i in range(grower.features)]


def forests(model: Mapping[str, Any]) -> list[Forest]:
    """The trees of a model of one's own, as XGBoost writes it in JSON, each as a forest of one."""
    found = model["learner"]["gradient_booster"]["model"]
    return [_tree(tree, output) for tree, output in zip(found["trees"], found["tree_info"], strict=True)]


def _tree(tree: Mapping[str, Any], output: int) -> Forest:
    conditions = np.array(tree["split_conditions"], np.float32)
    return grown(
        np.array(tree["left_children"]),
        np.array(tree["right_children"]),
        np.array(tree["split_indices"]),
        np.nextafter(conditions, np.float32(-np.inf)),  # there, samples go left that are less
        conditions,
        missing_left=np.array(tree["default_left"]),
        gain=np.minimum(np.array(tree["loss_changes"], np.float64), LARGEST),
        sets=_sets(tree) if tree["categories_nodes"] else None,
        output=output,
    )


def _sets(tree: Mapping[str, Any]) -> Array:
    """Of each node the codes that go right, shape ``(nodes, codes)``."""
    codes = np.array(tree["categories"], np.intp)
    sets = np.zeros((len(tree["left_children"]), int(codes.max()) + 1), dtype=bool)
    segments = zip(tree["categories_nodes"], tree["categories_segments"], tree["categories_sizes"], strict=True)
    for node, start, size in segments:
        sets[node, codes[start : start + size]] = True
    return sets
