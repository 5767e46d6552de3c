"""Any learner goes with any voting policy and any splitter, by changing a name; where it can't, the error says why."""

from __future__ import annotations

from typing import Any

import pytest

from colearn_core import Plugins
from colearn_core.config import ExperimentConfig, prepare

PLUGINS = Plugins()
LEARNERS = 4
REQUIRED: dict[str, dict[str, Any]] = {"fractions": {"shares": [4, 3, 2, 1]}}
"""Parameters that a component can't do without."""


def data_for(learner: str) -> dict[str, Any]:
    """Small data that a learner takes: classes, counts, or values."""
    for data in ({"name": "blobs", "samples": 120}, {"name": "iris", "standardize": False}, {"name": "diabetes"}):
        try:
            prepare(config(learner, data), PLUGINS).experiment()
        except Exception as error:
            reason = str(error)
        else:
            return data
    pytest.fail(f"{learner} takes none of these data: {reason}")


def config(learner: str, data: dict[str, Any], **sections: Any) -> ExperimentConfig:
    values = {"data": data, "learner": learner, "learners": LEARNERS, "seed": 1, "holdout": {"vote": 0.3}}
    return ExperimentConfig.from_mapping(values | sections, "test")


def section(name: str) -> dict[str, Any]:
    return {"name": name} | REQUIRED.get(name, {})


@pytest.mark.parametrize("learner", PLUGINS.components("learners"))
def test_a_learner_goes_with_every_policy_and_every_splitter(learner: str) -> None:
    data = data_for(learner)
    for voting in PLUGINS.components("voting_policies"):
        for split in PLUGINS.components("splitters"):
            prepared = prepare(config(learner, data, voting=section(voting), split=section(split)), PLUGINS)
            history = prepared.experiment().run(LEARNERS).history
            assert len(history.round) == LEARNERS, (voting, split)
            assert all(len(votes) == LEARNERS for votes in history.votes), (voting, split)


@pytest.mark.parametrize("strategy", PLUGINS.components("proposal_strategies"))
@pytest.mark.parametrize("runtime", PLUGINS.components("runtimes"))
def test_every_strategy_goes_with_every_runtime(strategy: str, runtime: str) -> None:
    data = {"name": "blobs", "samples": 120}
    prepared = prepare(config("softmax", data, proposals=section(strategy), runtime=section(runtime)), PLUGINS)
    assert any(prepared.experiment().run(8).history.accepted)


@pytest.mark.parametrize("learner", PLUGINS.components("learners"))
def test_a_learner_that_cannot_take_the_data_says_why(learner: str) -> None:
    wrong = {"name": "diabetes"} if data_for(learner)["name"] != "diabetes" else {"name": "iris"}
    with pytest.raises(Exception, match=r"can't learn a (regression|classification) task"):
        prepare(config(learner, wrong), PLUGINS).experiment()
