"""The learner: trees of XGBoost, and the accepted model as XGBoost keeps it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from colearn_core.growing import Growth, TreeLearner
from colearn_core.weights import Weights

from .grower import XGBoostGrower
from .library import xgboost
from .native import booster_of


class XGBoostLearner(TreeLearner):
    """A party that adds trees grown by XGBoost; arguments are those of :class:`~colearn_core.growing.TreeLearner`."""

    grower: XGBoostGrower
    export_formats = ("ubj", "json", *TreeLearner.export_formats)

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
    @property
    def kind(self) -> type[Any]:
        return XGBoostLearner
