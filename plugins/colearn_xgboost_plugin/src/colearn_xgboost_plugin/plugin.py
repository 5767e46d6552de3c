"""What this plugin offers; importing it doesn't import xgboost."""

from __future__ import annotations

from colearn_core import Component, hookimpl

MODELS = "colearn_xgboost_plugin.models"


@hookimpl
def colearn_learners() -> list[Component]:
    return [
        Component("xgboost.classifier", f"{MODELS}:classifier", "Boosted trees of XGBoost, for classes"),
        Component("xgboost.regressor", f"{MODELS}:regressor", "Boosted trees of XGBoost, for values"),
    ]
