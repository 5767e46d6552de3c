"""Forests whose trees are averaged: scikit-learn grows them on one learner's data, all parties' trees vote.

The trees of a forest don't depend on each other, so new ones are grown alone: that's what ``warm_start`` does too,
but nothing accepted has to be put into an estimator first.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.random import RandomState
from numpy.typing import NDArray
from sklearn.base import is_classifier
from sklearn.ensemble import ExtraTreesClassifier, ExtraTreesRegressor, RandomForestClassifier, RandomForestRegressor
from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor, ExtraTreeClassifier, ExtraTreeRegressor

from colearn_core.errors import ParameterError
from colearn_core.growing import Grower
from colearn_core.metrics import Needs
from colearn_core.trees import DEEPEST, Forest, grown

Array = NDArray[Any]
FORESTS = (RandomForestClassifier, RandomForestRegressor, ExtraTreesClassifier, ExtraTreesRegressor)
SINGLE = (DecisionTreeClassifier, DecisionTreeRegressor, ExtraTreeClassifier, ExtraTreeRegressor)


@dataclass(frozen=True)
class Bagging(Grower):
    """Grows a new forest of scikit-learn for a proposal; leaves hold the shares of the classes, or mean values.

    Attributes:
        estimator: the class of the forests.
        parameters: its parameters, by name.
        smoothing: samples, of all classes alike, that each leaf counts besides its own (the m-estimate of Cestnik
            1990): a leaf of one sample then isn't sure, and one that's wrong doesn't cost without bounds.
    """

    features: int
    classes: int
    estimator: type[Any]
    parameters: tuple[tuple[str, Any], ...]
    smoothing: float
    boosts = False

    @classmethod
    def of(cls, estimator: Any, features: int, classes: int, smoothing: float) -> Bagging:
        """For an estimator's class and parameters.

        Raises:
            ParameterError: it's no forest, it can't learn such a task, or a parameter can't be kept.
        """
        kind = type(estimator)
        if kind not in FORESTS + SINGLE:
            known = ", ".join(k.__name__ for k in FORESTS + SINGLE)
            raise ParameterError(f"{kind.__name__} is no forest whose trees are averaged", hint=f"Known: {known}.")
        if is_classifier(estimator) != bool(classes):
            raise ParameterError(f"{kind.__name__} can't learn a {'classification' if classes else 'regression'} task")
        given = estimator.get_params()
        for name, allowed in _FIXED.items():
            if given.get(name, allowed) != allowed:
                raise ParameterError(f"{kind.__name__}: {name} = {given[name]!r} isn't possible here, only {allowed!r}")
        if isinstance(given.get("class_weight"), dict | list):
            raise ParameterError(f"{kind.__name__}: class_weight must be None or a name", hint="Weigh samples instead.")
        given["max_depth"] = depth(given["max_depth"])
        kept = {name: value for name, value in given.items() if name not in _OURS}
        checked = cls(features, classes, kind, settings(kept), smoothing)
        try:
            checked.unfitted(0)._validate_params()
        except ValueError as error:
            raise ParameterError(str(error)) from error
        return checked

    def unfitted(self, seed: int) -> Any:
        """An estimator with these parameters."""
        threads = {"n_jobs": 1} if self.estimator in FORESTS else {}
        return self.estimator(**dict(self.parameters), random_state=RandomState(seed), **threads)

    def grow(self, x: Array, y: Array, sample_weight: Array | None, margins: Array, rng: np.random.Generator) -> Forest:
        estimator = self.unfitted(int(rng.integers(2**32))).fit(x, y, sample_weight)
        own = estimator.classes_.astype(np.intp) if self.classes else np.zeros(1, np.intp)
        trees = [e.tree_ for e in estimator.estimators_] if self.estimator in FORESTS else [estimator.tree_]
        return Forest.joined([self._packed(tree, own) for tree in trees])

    def respond(self, margins: Array, trees: int, needs: Needs) -> Array:
        if not self.classes:
            return margins[:, 0] / max(trees, 1)
        if needs == "labels":
            labels: Array = margins.argmax(axis=1)
            return labels
        # Anybody's leaves could hold more than shares, and buy a better loss than certainty's.
        shares = np.maximum(margins, 0)
        total = shares.sum(axis=1, keepdims=True)
        probabilities: Array = np.divide(shares, total, out=np.full_like(shares, 1 / self.classes), where=total > 0)
        return probabilities

    def _packed(self, tree: Any, own: Array) -> Forest:
        value = np.zeros((tree.node_count, self.outputs))
        value[:, own] = tree.value[:, 0]
        if self.classes and self.smoothing:
            samples = tree.weighted_n_node_samples[:, None]
            value = (value * samples + self.smoothing / self.classes) / (samples + self.smoothing)
        return packed(tree, value)


def depth(most: int | None) -> int:
    """The most splits from root to leaf: no more than travel."""
    return DEEPEST if most is None else min(most, DEEPEST)


def settings(parameters: dict[str, Any]) -> tuple[tuple[str, Any], ...]:
    """Parameters in a form that can be compared and is never changed."""
    return tuple(sorted(parameters.items()))


def packed(tree: Any, value: Array) -> Forest:
    """A ``tree_`` of scikit-learn with values of shape ``(nodes, width)``; gains are per sample of its training."""
    left, right = tree.children_left, tree.children_right
    weighted = tree.weighted_n_node_samples * tree.impurity
    gain = np.where(left < 0, 0, weighted - weighted[left] - weighted[right]) / tree.weighted_n_node_samples[0]
    missing_left = tree.__getstate__()["nodes"]["missing_go_to_left"]
    return grown(left, right, tree.feature, tree.threshold, value, missing_left=missing_left, gain=gain)


_OURS = ("random_state", "n_jobs", "verbose", "warm_start")
"""Parameters that say nothing of the model, or that are set here."""

_FIXED: dict[str, Any] = {"oob_score": False, "monotonic_cst": None}
"""Parameters that must have these values."""
