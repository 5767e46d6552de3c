"""Experiments on digits, for the benchmarks that need real learners."""

from __future__ import annotations

from typing import Any

from colearn_core import Experiment, Plugins
from colearn_core.config import ExperimentConfig, prepare

PLUGINS = Plugins()


def experiment(learner: str, learners: int, *, runtime: str = "fused", seed: int = 0, **sections: Any) -> Experiment:
    """An experiment on digits; ``sections`` are those of an experiment file."""
    values = {"data": "digits", "learner": learner, "learners": learners, "runtime": runtime, "seed": seed, **sections}
    return prepare(ExperimentConfig.from_mapping(values, "benchmark"), PLUGINS).experiment()
