"""Boosting with scikit-learn's histogram trees, which take missing values and categories as they are."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
from numpy.random import RandomState
from numpy.typing import NDArray
from sklearn.ensemble import HistGradientBoostingRegressor
from threadpoolctl import ThreadpoolController  # type: ignore[import-untyped]

from colearn_core.data import PrivateData
from colearn_core.errors import DataError
from colearn_core.trees import Forest, grown

from .boosting import Boosting, Fitter

Array = NDArray[Any]
MOST_CODES = 2**16
"""A split carries a bit for each code up to the greatest that goes right."""


@dataclass(frozen=True)
class HistGradientBoosting(Boosting):
    """Trees as ``HistGradientBoostingClassifier`` and ``-Regressor`` grow them: splits and leaves by Newton steps.

    Each is fitted to the step that every sample would need, weighted by the curvature there: least squares then
    gives the Newton step of a leaf.

    Attributes:
        l2_regularization: added to the curvature of each leaf.
        max_bins: how many values of a feature are told apart.
        categorical: numbers of the features that hold codes of categories.
        tree: further parameters of ``HistGradientBoostingRegressor``.
    """

    l2_regularization: float
    max_bins: int
    categorical: tuple[int, ...]
    tree: tuple[tuple[str, Any], ...]

    @property
    def l2(self) -> float:
        return self.l2_regularization

    def check(self, data: PrivateData) -> None:
        _check_codes(data, self.categorical, self.max_bins)

    def fitter(self, x: Array, rng: np.random.Generator) -> Fitter:
        bins = Bins(x, self.categorical, self.max_bins)
        estimator = HistGradientBoostingRegressor(
            **dict(self.tree),
            loss="squared_error",
            learning_rate=1.0,
            max_iter=1,
            early_stopping=False,
            l2_regularization=self.l2_regularization,
            max_bins=self.max_bins,
            categorical_features=list(range(len(self.categorical))) or None,
            random_state=RandomState(int(rng.integers(2**32))),
        )

        def fit(gradient: Array, hessian: Array, weight: Array) -> list[Forest]:
            found = []
            with _threads().limit(limits=1, user_api="openmp"):  # what several threads add up depends on their order
                for output in range(self.outputs):
                    response, curvature = -gradient[:, output] / hessian[:, output], hessian[:, output] * weight
                    predictor = estimator.fit(bins.codes, response, curvature)._predictors[0][0]
                    found.append(bins.packed(predictor.nodes, predictor.raw_left_cat_bitsets))
            return found

        return fit


class Bins:
    """A learner's features as numbers of bins or categories, so that they are binned once and not for each tree.

    The library would bin by the weights of the samples, which change with every tree.

    Args:
        x: float32, shape ``(n, features)``.
        categorical: numbers of the features that hold codes; no more than ``most`` different ones.
        most: bins of a feature.
    """

    def __init__(self, x: Array, categorical: Sequence[int], most: int) -> None:
        numeric = [f for f in range(x.shape[1]) if f not in categorical]
        self.order = np.array([*categorical, *numeric], dtype=np.intp)
        """The feature in each column of ``codes``; those that hold categories come first."""
        self.categories = [np.unique(x[~np.isnan(x[:, f]), f]).astype(np.intp) for f in categorical]
        self.edges = [*self.categories, *(_edges(x[:, f], most) for f in numeric)]
        codes = np.column_stack([np.searchsorted(e, x[:, f]) for e, f in zip(self.edges, self.order, strict=True)])
        missing = np.isnan(x[:, self.order])
        self.codes: Array = np.where(missing & ~missing.all(axis=0), np.nan, codes)
        """Float64, shape ``(n, features)``; NaN where a value is missing, but in columns of nothing else."""

    def packed(self, nodes: Array, left_bits: Array) -> Forest:
        """A tree on the codes as one on the features; its leaves hold what the library says.

        Args:
            nodes: the library's, a row each.
            left_bits: for each categorical split, 256 bits: the categories that go left.
        """
        inner = nodes["is_leaf"] == 0
        left, right = (np.where(inner, nodes[side].astype(np.int64), -1) for side in ("left", "right"))
        missing_left = nodes["missing_go_to_left"] > 0
        threshold = nodes["num_threshold"].copy()
        sets = np.zeros((len(nodes), max((int(c[-1]) + 1 for c in self.categories if len(c)), default=0)), bool)
        for node in np.flatnonzero(inner):
            column = nodes["feature_idx"][node]
            if nodes["is_categorical"][node]:
                goes_left = self._goes_left(nodes[node], left_bits)
                if not missing_left[node]:  # categories unknown here go where missing ones go: that must be left
                    left[node], right[node], goes_left = right[node], left[node], ~goes_left
                sets[node, self.categories[column][~goes_left]] = True
                missing_left[node] = True
            elif np.isfinite(threshold[node]):
                threshold[node] = self.edges[column][int(threshold[node])]
        feature = self.order[nodes["feature_idx"]]
        gain = nodes["gain"]
        return grown(left, right, feature, threshold, nodes["value"], missing_left=missing_left, gain=gain, sets=sets)

    def _goes_left(self, node: Any, left_bits: Array) -> Array:
        known = len(self.categories[node["feature_idx"]])
        if known == 1:  # parted from what is missing; the library then gives no bits
            return np.array([not node["missing_go_to_left"]])
        bits = (left_bits[node["bitset_idx"]][:, None] >> np.arange(32, dtype=np.uint32)) & 1
        goes_left: Array = bits.ravel()[:known] > 0
        return goes_left


def _check_codes(data: PrivateData, categorical: Sequence[int], most: int) -> None:
    """Refuse features that can't be codes of categories.

    Raises:
        DataError: they aren't whole numbers from 0, or are too many or too great.
    """
    for feature in categorical:
        named = repr(data.task.features[feature]) if data.task.features else f"{feature}"
        for part in (data.train, data.vote, data.test):
            codes = part.x[:, feature]
            known = codes[~np.isnan(codes)]
            if len(known) and not (known.min() >= 0 and known.max() < MOST_CODES and (known == np.floor(known)).all()):
                raise DataError(
                    f"feature {named} doesn't hold codes of categories: whole numbers from 0 to {MOST_CODES - 1}"
                )
        different = len(np.unique(data.train.x[~np.isnan(data.train.x[:, feature]), feature]))
        if different > most:
            raise DataError(
                f"feature {named} has {different} categories, and histograms tell {most} apart (max_bins)",
                hint="Leave the data's `categories` at one_hot, or leave that column out.",
            )


def _edges(values: Array, most: int) -> Array:
    """The largest value of each bin but the last, as the library finds them for samples of equal weight."""
    known = values[~np.isnan(values)].astype(np.float64)
    distinct = np.unique(known)
    if len(distinct) <= most:
        return (distinct[:-1] + distinct[1:]) / 2
    return np.unique(np.percentile(known, np.linspace(0, 100, most + 1)[1:-1], method="averaged_inverted_cdf"))


@cache
def _threads() -> ThreadpoolController:
    return ThreadpoolController()
