"""Fixtures for the tests of plugins; pytest finds them by itself, and they cost nothing until they're used."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from ..data import Dataset
    from ..experiment import Experiment
    from ..plugins import Plugins


@pytest.fixture
def colearn_plugins(monkeypatch: pytest.MonkeyPatch) -> Callable[..., Plugins]:
    """Make a plugin manager that sees the core and what it's given, whatever is installed or blocked.

    ``colearn_plugins(mine=module)``: each keyword is a plugin's name; the value is its module, the name
    of its module, or any object with hook implementations.
    """
    from ..plugins import API, BLOCK_VARIABLE, PluginInfo, Plugins

    def plugins(**modules: Any) -> Plugins:
        monkeypatch.delenv(BLOCK_VARIABLE, raising=False)
        return Plugins(
            PluginInfo(name, f"colearn-{name}-plugin", "0", API, "given by a test", _Given(module))
            for name, module in modules.items()
        )

    return plugins


@pytest.fixture
def colearn_dataset() -> Dataset:
    """A tiny data set: 90 samples of 6 features in 3 classes."""
    from ..reference import blobs

    return blobs(samples=90)


@pytest.fixture
def colearn_experiment(colearn_dataset: Dataset) -> Callable[..., Experiment]:
    """Make a tiny experiment: 4 learners in plain numpy; keywords go to :class:`~colearn_core.Experiment`.

    ``colearn_experiment(voting=Cautious()).run(5)``
    """
    from ..data import Holdout, partition
    from ..experiment import Experiment
    from ..plugins import Plugins
    from ..reference import SoftmaxRegression
    from ..splitting import Iid
    from ..streams import Streams

    def experiment(**arguments: Any) -> Experiment:
        parts = partition(colearn_dataset, Iid(), 4, Holdout(0.3, 0.2), Streams(0))
        return Experiment([SoftmaxRegression(part) for part in parts], **{"plugins": Plugins([]), **arguments})

    return experiment


class _Given:
    """Stands for an entry point."""

    def __init__(self, module: Any) -> None:
        self._module = module

    def load(self) -> Any:
        return import_module(self._module) if isinstance(self._module, str) else self._module
