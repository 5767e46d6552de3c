"""Every component of this plugin keeps its contract."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from torch import nn

from colearn_core.testing import DatasetContract, LearnerContract, PluginContract
from colearn_torch_plugin import plugin


def normalised() -> nn.Module:
    """A module with buffers: running statistics, and a counter where there's no momentum."""
    return nn.Sequential(
        nn.Linear(6, 16), nn.BatchNorm1d(16), nn.ReLU(), nn.BatchNorm1d(16, momentum=None), nn.Linear(16, 3)
    )


def test_no_component_is_forgotten() -> None:
    contracts = [value for name, value in globals().items() if name.startswith("Test") and value is not TestPlugin]
    offered = [*plugin.colearn_learners(), *plugin.colearn_datasets()]
    assert {c.component for c in contracts} == {c.name for c in offered}


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


class TestCnn(LearnerContract):
    component = "torch.cnn"


class TestResnet(LearnerContract):
    component = "torch.resnet"
    parameters = {"channels": (8, 8)}


class TestModuleWithBuffers(LearnerContract):
    component = "torch.module"
    parameters = {"module": f"{__name__}:normalised"}


class TestIdx(DatasetContract):
    component = "torch.idx"
    parameters = {"images": "images", "labels": "labels"}

    @pytest.fixture(autouse=True)
    def _files(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.chdir(tmp_path)
        labels = np.arange(30, dtype=np.uint8) % 3
        Path("labels").write_bytes(bytes([0, 0, 8, 1, 0, 0, 0, 30]) + labels.tobytes())
        pixels = np.arange(30 * 16, dtype=np.uint8)
        Path("images").write_bytes(bytes([0, 0, 8, 3, 0, 0, 0, 30, 0, 0, 0, 4, 0, 0, 0, 4]) + pixels.tobytes())
