"""Every learner of this plugin keeps its contract."""

from __future__ import annotations

from colearn_core.testing import LearnerContract, PluginContract
from colearn_xgboost_plugin import plugin


def test_no_component_is_forgotten() -> None:
    contracts = [value for name, value in globals().items() if name.startswith("Test") and value is not TestPlugin]
    assert {c.component for c in contracts} == {c.name for c in plugin.colearn_learners()}


class TestPlugin(PluginContract):
    plugin = "xgboost"


class TestClassifier(LearnerContract):
    component = "xgboost.classifier"


class TestRegressor(LearnerContract):
    component = "xgboost.regressor"


class TestSampledClassifier(LearnerContract):
    component = "xgboost.classifier"
    parameters = {"subsample": 0.7, "colsample_bytree": 0.7, "prune": 0.3}
