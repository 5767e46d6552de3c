"""The learner keeps the contract of its kind, and does what it's for."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from colearn_centroid_plugin.learner import NearestCentroid

from colearn_core import Abstention, Dataset, Experiment, Task
from colearn_core.data import Holdout, partition
from colearn_core.errors import ParameterError
from colearn_core.splitting import Iid
from colearn_core.streams import Streams
from colearn_core.testing import LearnerContract, PluginContract


class TestPlugin(PluginContract):
    plugin = "centroid"


class TestNearestCentroid(LearnerContract):
    component = "centroid.nearest"


class TestSmallBatches(LearnerContract):
    component = "centroid.nearest"
    parameters = {"batch_size": 5}


def learners(dataset: Dataset, limit: int = 1000) -> list[NearestCentroid]:
    parts = partition(dataset, Iid(), 4, Holdout(0.3, 0.2), Streams(0))
    return [NearestCentroid(part, limit=limit) for part in parts]


def test_what_all_have_counted_is_added_up(colearn_dataset: Dataset) -> None:
    parties = learners(colearn_dataset)
    base = parties[0].initial_weights(np.random.default_rng(0))
    proposals = [party.propose_weights(base, np.random.default_rng(1)) for party in parties]
    assert parties[0].combine(base, proposals)["counts"].sum() == 4 * 32


def test_after_the_last_proposal_it_abstains(colearn_dataset: Dataset) -> None:
    learner = learners(colearn_dataset, limit=1)[0]
    rng = np.random.default_rng(0)
    base = learner.initial_weights(rng)
    learner.propose_weights(base, rng)
    with pytest.raises(Abstention, match="all 1 proposals are made"):
        learner.propose_weights(base, rng)


def test_values_are_refused(colearn_dataset: Dataset) -> None:
    data = learners(colearn_dataset)[0].data
    with pytest.raises(ParameterError, match="regression"):
        NearestCentroid(replace(data, task=Task()))


def test_a_group_learns(colearn_dataset: Dataset) -> None:
    experiment = Experiment(learners(colearn_dataset), proposals="everyone")
    run = experiment.run(5)
    assert any(run.history.accepted)
    assert experiment.cohort.test([run.weights], "test").mean() > 0.8
