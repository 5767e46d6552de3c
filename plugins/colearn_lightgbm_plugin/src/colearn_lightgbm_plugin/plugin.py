"""What this plugin offers; importing it doesn't import lightgbm."""

from __future__ import annotations

from colearn_core import Component, hookimpl

MODELS = "colearn_lightgbm_plugin.models"


@hookimpl
def colearn_learners() -> list[Component]:
    return [
        Component("lightgbm.classifier", f"{MODELS}:classifier", "Boosted trees of LightGBM, for classes"),
        Component("lightgbm.regressor", f"{MODELS}:regressor", "Boosted trees of LightGBM, for values"),
    ]
