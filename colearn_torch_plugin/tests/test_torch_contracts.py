"""Every learner of this plugin keeps its contract; for the data sets see test_torch_datasets.py."""

from __future__ import annotations

from torch import nn

from colearn_core.privacy import Privacy
from colearn_core.testing import LearnerContract, PluginContract
from colearn_torch_plugin import plugin


def normalised() -> nn.Module:
    """A module with buffers: running statistics, and a counter where there's no momentum."""
    return nn.Sequential(
        nn.Linear(6, 16), nn.BatchNorm1d(16), nn.ReLU(), nn.BatchNorm1d(16, momentum=None), nn.Linear(16, 3)
    )


def test_no_component_is_forgotten() -> None:
    contracts = [value for name, value in globals().items() if name.startswith("Test") and value is not TestPlugin]
    assert {c.component for c in contracts} == {c.name for c in plugin.colearn_learners()}


class TestPlugin(PluginContract):
    plugin = "torch"


class TestLinear(LearnerContract):
    component = "torch.linear"


class TestMlp(LearnerContract):
    component = "torch.mlp"


class TestDropoutAndAdam(LearnerContract):
    component = "torch.mlp"
    parameters = {"dropout": 0.2, "optimizer": "adam", "learning_rate": 0.01, "keep_optimizer": True}


class TestMomentum(LearnerContract):
    component = "torch.mlp"
    parameters = {"momentum": 0.9, "learning_rate": 0.02, "keep_optimizer": True}


class TestPrivateTraining(LearnerContract):
    component = "torch.mlp"
    parameters = {"privacy": Privacy(target_epsilon=1000.0, noise_multiplier=0.7)}


class TestPrivateScores(LearnerContract):
    component = "torch.mlp"
    parameters = {"privacy": Privacy(target_epsilon=1000.0, noise_multiplier=0.7, score_noise_multiplier=1.0)}
    expected_failures = {"scores_are_means_over_samples": "of one sample, the noise is as large as the score"}


class TestPrivateCnn(LearnerContract):
    component = "torch.cnn"
    parameters = {"privacy": Privacy(target_epsilon=1000.0, noise_multiplier=0.7)}


class TestCnn(LearnerContract):
    component = "torch.cnn"


class TestResnet(LearnerContract):
    component = "torch.resnet"
    parameters = {"channels": (8, 8)}


class TestModuleWithBuffers(LearnerContract):
    component = "torch.module"
    parameters = {"module": f"{__name__}:normalised"}
