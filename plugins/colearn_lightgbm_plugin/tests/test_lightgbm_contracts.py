"""Every learner of this plugin keeps its contract."""

from __future__ import annotations

from colearn_core.testing import LearnerContract, PluginContract
from colearn_lightgbm_plugin import plugin


def test_no_component_is_forgotten() -> None:
    contracts = [value for name, value in globals().items() if name.startswith("Test") and value is not TestPlugin]
    assert {c.component for c in contracts} == {c.name for c in plugin.colearn_learners()}


class TestPlugin(PluginContract):
    plugin = "lightgbm"


class TestClassifier(LearnerContract):
    component = "lightgbm.classifier"


class TestRegressor(LearnerContract):
    component = "lightgbm.regressor"


class TestSampledClassifier(LearnerContract):
    component = "lightgbm.classifier"
    parameters = {"bagging_fraction": 0.7, "feature_fraction": 0.7, "prune": 0.3}
