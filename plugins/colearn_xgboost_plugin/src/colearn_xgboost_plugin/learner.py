"""The learner: trees of XGBoost, and the accepted model as XGBoost keeps it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

from colearn_core.data import PrivateData
from colearn_core.growing import Grower, Growth, TreeLearner
from colearn_core.in_hand import Pair, Triple, in_hand
from colearn_core.parameters import checked
from colearn_core.weights import Weights

from . import settings as kinds
from .grower import XGBoostGrower
from .library import xgboost
from .native import booster_of


class XGBoostLearner(TreeLearner):
    """A party that continues boosting from the accepted trees with XGBoost.

    Args:
        train: features, shape ``(n, features)``, in which NaN is a missing value; targets, shape ``(n,)``; and, if
            they aren't all alike, the samples' weights, shape ``(n,)``.
        vote: what it votes by; without it the learner abstains.
        test: what the current model is reported by.
        regression: whether targets are values; else they're labels.
        classes: all labels in the group, in any order; by default those in this learner's own data.
            The learners of an experiment must agree on them.
        features: names of the features; by default the columns' if ``train`` holds a data frame.
        categorical: numbers of the features that hold codes of categories, whole numbers from 0.
        settings: those of the components ``xgboost.classifier`` and ``xgboost.regressor``.

    Raises:
        DataError: the data can't be learned from.
        ParameterError: an unknown setting, or a value out of range.
    """

    grower: XGBoostGrower
    export_formats = ("ubj", "json", *TreeLearner.export_formats)

    def __init__(
        self,
        train: Pair | Triple,
        vote: Pair | None = None,
        test: Pair | None = None,
        *,
        regression: bool = False,
        classes: Sequence[Any] | None = None,
        features: Sequence[str] | None = None,
        categorical: Sequence[int] = (),
        **settings: Any,
    ) -> None:
        x, y, *weight = train
        names = tuple(getattr(x, "columns", ())) if features is None else features
        held = in_hand(
            (x, y), vote, test, classes, classifier=not regression, missing=True, categorical=categorical, names=names
        )
        growth = {f.name: settings.pop(f.name) for f in fields(Growth) if f.name in settings}
        make = kinds.regressor if regression else kinds.classifier
        own = checked(make, settings, "XGBoostLearner", ("data",))
        self._begin(
            make(held.data, **own),
            held.data,
            Growth(**checked(Growth, growth, "XGBoostLearner")),
            np.asarray(weight[0]) if weight else None,
            held.labels,
        )

    def booster(self, weights: Weights) -> xgboost.Booster:
        """An XGBoost booster that predicts as the model with these weights: for SHAP values, plots, or more training.

        Raises:
            WeightsError: they aren't trees of this model.
        """
        return booster_of(self.grower, self.forest(weights), self.data.task.features)

    def export_model(self, weights: Weights, format: str) -> bytes:
        if format not in ("ubj", "json"):
            return super().export_model(weights, format)
        return bytes(self.booster(weights).save_raw(format))


@dataclass(frozen=True)
class XGBoostGrowth(Growth):
    """What the components share."""

    def learner(self, data: PrivateData, grower: Grower, sample_weight: NDArray[Any] | None = None) -> XGBoostLearner:
        return XGBoostLearner.of(grower, data, self, sample_weight)
