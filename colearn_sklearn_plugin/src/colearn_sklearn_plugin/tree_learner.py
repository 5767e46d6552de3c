"""The learner for scikit-learn's estimators that are made of trees."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.base import is_classifier
from sklearn.ensemble import (
    GradientBoostingClassifier,
    GradientBoostingRegressor,
    HistGradientBoostingClassifier,
    HistGradientBoostingRegressor,
)

from colearn_core.data import PrivateData
from colearn_core.errors import ParameterError, UsageError
from colearn_core.growing import Grower, Growth, TreeLearner
from colearn_core.in_hand import Pair, Triple, in_hand
from colearn_core.weights import Weights

from .boosting import GradientBoosting
from .forests import Bagging, depth, settings
from .histograms import HistGradientBoosting
from .rebuilding import rebuilt


class ForestLearner(TreeLearner):
    """A party that grows trees as an estimator of scikit-learn would, on top of those that the group accepted.

    For a proposal it grows as many trees as the estimator says: a few, since proposals add up.

    Args:
        estimator: an unfitted random forest, extra trees, decision tree or gradient boosting, with or without
            histograms; it's never changed. Features of a ``HistGradientBoosting`` named by number in
            ``categorical_features`` hold codes of categories.
        train: features, shape ``(n, features)``, in which NaN is a missing value; targets, shape ``(n,)``; and, if
            they aren't all alike, the samples' weights, shape ``(n,)``.
        vote: what it votes by; without it the learner abstains.
        test: what the current model is reported by.
        classes: all labels in the group, in any order; by default those in this learner's own data.
            The learners of an experiment must agree on them.
        smoothing: samples, of all classes alike, that each leaf of an averaged tree counts besides its own.
        max_trees, prune, vote_metric, test_metric: see :class:`~colearn_core.growing.Growth`.

    Raises:
        DataError: the data can't be learned from.
        ParameterError: these trees can't be grown, or can't be scored by that metric.
    """

    def __init__(
        self,
        estimator: Any,
        train: Pair | Triple,
        vote: Pair | None = None,
        test: Pair | None = None,
        *,
        classes: Sequence[Any] | None = None,
        smoothing: float = 1.0,
        max_trees: int = Growth.max_trees,
        prune: float = Growth.prune,
        vote_metric: str | None = None,
        test_metric: str | None = None,
    ) -> None:
        x, y, *weight = train
        categorical = _categorical(estimator)
        held = in_hand(
            (x, y), vote, test, classes, classifier=is_classifier(estimator), missing=True, categorical=categorical
        )
        self._begin(
            grower_for(estimator, held.data, smoothing),
            held.data,
            Growth(max_trees, prune, vote_metric, test_metric),
            np.asarray(weight[0]) if weight else None,
            held.labels,
        )

    def fitted_estimator(self, weights: Weights) -> Any:
        """A fitted forest of scikit-learn with these trees, with the original labels, for averaged trees only.

        A single decision tree stays one; several are a random forest. Numbers of samples and impurities don't
        travel, so they're 0 in its trees.

        Raises:
            UsageError: the trees are boosted, which scikit-learn has no fitted estimator for; or there are none.
        """
        if not isinstance(self.grower, Bagging):
            raise UsageError(
                "scikit-learn can't take boosted trees that others grew",
                hint=f"Export the model instead: {', '.join(self.export_formats)}.",
            )
        return rebuilt(self.grower, self.forest(weights), self.labels)


@dataclass(frozen=True)
class ForestGrowth(Growth):
    """What the components of trees share."""

    def learner(self, data: PrivateData, grower: Grower, sample_weight: NDArray[Any] | None = None) -> ForestLearner:
        return ForestLearner.of(grower, data, self, sample_weight)


def grower_for(estimator: Any, data: PrivateData, smoothing: float) -> Grower:
    """What grows trees as this estimator would.

    Raises:
        ParameterError: it has no trees, can't learn such a task, or a parameter that can't be kept.
    """
    features, classes = data.train.x.shape[1], len(data.task.classes)
    kind = type(estimator)
    if kind not in (*_GRADIENT, *_HISTOGRAM):
        return Bagging.of(estimator, features, classes, smoothing)
    if is_classifier(estimator) != bool(classes):
        raise ParameterError(f"{kind.__name__} can't learn a {data.task.kind} task")
    try:
        estimator._validate_params()
    except ValueError as error:
        raise ParameterError(str(error)) from error
    given = estimator.get_params()
    tree = {name: given[name] for name in (_GRADIENT_TREE if kind in _GRADIENT else _HISTOGRAM_TREE)}
    tree["max_depth"] = depth(tree["max_depth"])
    if kind in _GRADIENT:
        _check_usual(estimator, {*_GRADIENT_TREE, "n_estimators", "learning_rate", "subsample", "criterion"})
        return GradientBoosting(
            features, classes, given["n_estimators"], given["learning_rate"], None, given["subsample"], settings(tree)
        )
    ours = {"max_iter", "learning_rate", "l2_regularization", "max_bins", "class_weight", "categorical_features"}
    _check_usual(estimator, {*_HISTOGRAM_TREE, *ours}, {"early_stopping": False})
    weight = given.get("class_weight")
    if weight not in (None, "balanced"):
        raise ParameterError(f"{kind.__name__}: class_weight must be None or 'balanced'", hint="Weigh samples instead.")
    return HistGradientBoosting(
        features,
        classes,
        given["max_iter"],
        given["learning_rate"],
        weight,
        given["l2_regularization"],
        given["max_bins"],
        data.task.categorical,
        settings(tree),
    )


def _check_usual(estimator: Any, kept: set[str], more: Mapping[str, Any] = {}) -> None:
    """Refuse what would be ignored."""
    usual = type(estimator)().get_params()
    for name, value in estimator.get_params().items():
        allowed = (usual[name], more[name]) if name in more else (usual[name],)
        if name not in kept | _NO_MATTER and value not in allowed:
            raise ParameterError(
                f"{type(estimator).__name__}: {name} = {value!r} isn't possible here",
                hint=f"Leave it at {usual[name]!r}.",
            )


def _categorical(estimator: Any) -> tuple[int, ...]:
    """The numbers of the features that an estimator takes for categories."""
    named = getattr(estimator, "categorical_features", None)
    if named is None or isinstance(named, str):  # by default by the types of a data frame; these are arrays
        return ()
    chosen = np.asarray(named)
    if chosen.dtype == bool:
        chosen = np.flatnonzero(chosen)
    if chosen.size and (chosen.dtype.kind not in "iu" or chosen.ndim != 1 or chosen.min() < 0):
        raise ParameterError(f"categorical_features must be numbers of features, from 0, not {named!r}")
    return tuple(sorted({int(i) for i in chosen}))


_GRADIENT = (GradientBoostingClassifier, GradientBoostingRegressor)
_HISTOGRAM = (HistGradientBoostingClassifier, HistGradientBoostingRegressor)
_GRADIENT_TREE = (
    "ccp_alpha",
    "max_depth",
    "max_features",
    "max_leaf_nodes",
    "min_impurity_decrease",
    "min_samples_leaf",
    "min_samples_split",
    "min_weight_fraction_leaf",
)
_HISTOGRAM_TREE = ("max_depth", "max_features", "max_leaf_nodes", "min_samples_leaf")
_NO_MATTER = {"random_state", "verbose", "warm_start", "validation_fraction", "tol"}
"""Parameters that say nothing of the model here."""
