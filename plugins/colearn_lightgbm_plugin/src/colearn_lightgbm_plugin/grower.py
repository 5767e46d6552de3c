"""Trees grown by LightGBM, on margins of anybody's trees."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import lightgbm
import numpy as np
from numpy.typing import NDArray

from colearn_core.errors import Abstention, ParameterError
from colearn_core.growing import BoostingGrower
from colearn_core.trees import Forest, grown

Array = NDArray[Any]


@dataclass(frozen=True)
class LightGBMGrower(BoostingGrower):
    """Continues boosting from the accepted model's margins.

    Attributes:
        categorical: the numbers of the features that hold codes of categories.
        rounds: rounds of boosting for a proposal.
        parameters: further ones of LightGBM's.
    """

    features: int
    classes: int
    categorical: tuple[int, ...]
    rounds: int
    parameters: tuple[tuple[str, Any], ...]

    def grow(self, x: Array, y: Array, sample_weight: Array | None, margins: Array, rng: np.random.Generator) -> Forest:
        begin = [] if margins.any() else [self.constant(y, sample_weight)]
        start = np.array(margins)
        for forest in begin:
            forest.add_to(start, x)
        booster = self.train(x, y, sample_weight, start, seed=int(rng.integers(2**31)))
        new = [tree for tree in forests(booster, self.outputs) if tree.value.any()]
        if not begin and not new:
            raise Abstention(f"LightGBM finds no split of these {len(x)} samples that lowers their loss")
        return Forest.joined([*begin, *new])

    def train(self, x: Array, y: Array, sample_weight: Array | None, start: Array, seed: int) -> lightgbm.Booster:
        """A booster of new trees only, which correct the margins ``start``.

        Raises:
            ParameterError: LightGBM refuses; the message says what it says.
        """
        settings = self.settings(len(x), seed)
        samples = lightgbm.Dataset(
            x,
            label=y,
            weight=sample_weight,
            init_score=start if self.outputs > 1 else start[:, 0],
            categorical_feature=list(self.categorical),
            params=settings,
        )
        try:
            return lightgbm.train(settings, samples, self.rounds)
        except (lightgbm.basic.LightGBMError, ValueError) as error:
            raise ParameterError(f"LightGBM can't train with {dict(self.parameters)}: {error}") from error

    def settings(self, samples: int, seed: int) -> dict[str, Any]:
        """LightGBM's parameters: those given, fitted to so many samples; equal seeds give equal trees."""
        own = dict(self.parameters)
        fewest = max(1, min(own.get("min_data_in_leaf", 20), samples // 4))
        objective = "regression" if not self.classes else "binary" if self.outputs == 1 else "multiclass"
        return {
            "objective": objective,
            "num_class": self.outputs,
            "bagging_freq": int(1 <= own.get("bagging_fraction", 1) * samples < samples),  # a bag must hold a sample
            "min_data_per_group": fewest,  # LightGBM's 100 would leave small data without categorical splits
            "cat_smooth": fewest,  # also the fewest samples of a category
            **own,
            "min_data_in_leaf": fewest,
            "boost_from_average": False,
            "seed": seed,
            "deterministic": True,
            "force_row_wise": True,
            "num_threads": 1,
            "verbosity": -1,
        }


def forests(booster: lightgbm.Booster, outputs: int) -> list[Forest]:
    """The trees of a booster of one's own, each as a forest of one."""
    trees = booster.dump_model()["tree_info"]
    return [_tree(tree["tree_structure"], number % outputs) for number, tree in enumerate(trees)]


def _tree(root: dict[str, Any], output: int) -> Forest:
    nodes, children = [root], []
    for node in nodes:  # children are appended meanwhile
        children.append(len(nodes) if "split_feature" in node else -1)
        if "split_feature" in node:
            nodes += [node["left_child"], node["right_child"]]
    first = np.array(children)
    by_set = np.array([node.get("decision_type") == "==" for node in nodes])
    thresholds = [node.get("threshold", 0.0) for node in nodes]
    return grown(
        first + by_set,  # LightGBM's sets go left, a Forest's go right
        first + ~by_set,
        np.array([node.get("split_feature", -1) for node in nodes]),
        np.where(by_set, 0.0, np.array(thresholds, object)).astype(np.float64),
        np.array([node.get("leaf_value", 0.0) for node in nodes]),
        missing_left=np.array([_missing_left(node) for node in nodes]),
        gain=np.array([node.get("split_gain", 0.0) for node in nodes]),
        sets=_sets(np.where(by_set, np.array(thresholds, object), "")) if by_set.any() else None,
        output=output,
    )


def _missing_left(node: dict[str, Any]) -> bool:
    if node.get("decision_type") == "==":
        return True  # there, missing goes with unknown codes
    if node.get("missing_type") == "None":
        return bool(node["threshold"] >= 0)  # nothing was missing in training: NaN counts as 0
    return bool(node.get("default_left", False))


def _sets(written: Iterable[str]) -> Array:
    """Sets of codes, which LightGBM writes as ``1||4``, as rows of booleans, shape ``(nodes, codes)``."""
    codes = [np.array(text.split("||") if text else [], np.intp) for text in written]
    sets = np.zeros((len(codes), max(int(c.max(initial=0)) for c in codes) + 1), dtype=bool)
    for node, chosen in enumerate(codes):
        sets[node, chosen] = True
    return sets
