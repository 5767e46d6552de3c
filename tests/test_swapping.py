"""Any learner goes with any voting policy and any splitter, by changing a name; where it can't, the error says why."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest
from colearn_centroid_plugin.learner import NearestCentroid

from colearn_core import Plugins
from colearn_core.config import ExperimentConfig, prepare
from colearn_core.data import PrivateData, Samples, Task
from colearn_core.errors import ColearnError, ConfigError, DataError, ParameterError

PLUGINS = Plugins()
LEARNERS = 4
REQUIRED: dict[str, dict[str, Any]] = {
    "fractions": {"shares": [4, 3, 2, 1]},
    "continuous": {"column": "principal component"},
    "feature_noise": {"strength": 1e-6},
    "pathological": {"classes": 3},
    "sklearn.gradient_boosting_classifier": {"iterations": 2},
    "sklearn.gradient_boosting_regressor": {"iterations": 2},
    "sklearn.hist_gradient_boosting_classifier": {"iterations": 2},
    "sklearn.hist_gradient_boosting_regressor": {"iterations": 2},
    "keras.model": {"model": f"{__name__}:keras_model"},
    "torch.module": {"module": f"{__name__}:torch_module"},
}
"""Parameters that a component can't do without, and those that make it quick."""

OF_SOME_DATA = {"distribution", "grouped_natural", "natural"}
"""Splitters that need a column with as many values as learners, or to know the number of classes."""


DATA: tuple[dict[str, Any], ...] = (
    {"name": "blobs", "samples": 120},
    {"name": "iris", "standardize": False},
    {"name": "diabetes"},
    {"name": "blobs", "samples": 120, "features": 64},
)
"""Small data, one of which each learner takes: classes, counts, values, pictures of 8 × 8 pixels."""


def keras_model() -> Any:
    import keras

    model = keras.Sequential([keras.Input((6,)), keras.layers.Dense(3, "softmax")])
    model.compile("sgd", "sparse_categorical_crossentropy")
    return model


def torch_module() -> Any:
    from torch import nn

    return nn.Linear(6, 3)


def data_for(learner: str) -> dict[str, Any]:
    for data in DATA:
        try:
            prepare(config(learner, data), PLUGINS).experiment()
        except Exception as error:
            reason = str(error)
        else:
            return data
    pytest.fail(f"{learner} takes none of these data: {reason}")


def config(learner: str, data: dict[str, Any], **sections: Any) -> ExperimentConfig:
    values = {"data": data, "learner": section(learner), "learners": LEARNERS, "seed": 1, "holdout": {"vote": 0.3}}
    return ExperimentConfig.from_mapping(values | sections, "test")


def section(name: str) -> dict[str, Any]:
    return {"name": name} | REQUIRED.get(name, {})


@pytest.mark.parametrize("learner", PLUGINS.components("learners"))
def test_a_learner_goes_with_every_policy_and_every_splitter(learner: str) -> None:
    data = data_for(learner)
    pairs = [(voting, "iid") for voting in PLUGINS.components("voting_policies")]
    pairs += [("majority", split) for split in sorted({*PLUGINS.components("splitters")} - OF_SOME_DATA)]
    for voting, split in pairs:
        prepared = prepare(config(learner, data, voting=section(voting), split=section(split)), PLUGINS)
        if prepared.policy.looks_closer and type(prepared.make_learner(prepared.parts[0])) is NearestCentroid:
            with pytest.raises(ConfigError, match="no learner gives them"):
                prepared.experiment().run(2)
            continue
        history = prepared.experiment().run(2).history
        assert len(history.round) == 2, (voting, split)
        assert all(len(votes) == LEARNERS for votes in history.votes), (voting, split)


@pytest.mark.parametrize("strategy", PLUGINS.components("proposal_strategies"))
@pytest.mark.parametrize("runtime", PLUGINS.components("runtimes"))
def test_every_strategy_goes_with_every_runtime(strategy: str, runtime: str) -> None:
    data = {"name": "blobs", "samples": 120}
    prepared = prepare(config("softmax", data, proposals=section(strategy), runtime=section(runtime)), PLUGINS)
    assert any(prepared.experiment().run(8).history.accepted)


MODELS = (
    "softmax",
    "sklearn.mlp_classifier",
    "sklearn.multinomial_nb",
    "sklearn.random_forest_regressor",
    "sklearn.hist_gradient_boosting_classifier",
    "torch.mlp",
)
"""Numbers, counts, a forest, boosted trees, and single precision."""


@pytest.mark.parametrize("learner", MODELS)
def test_every_adversary_goes_with_every_kind_of_model_or_says_why_not(learner: str) -> None:
    data = data_for(learner)
    for name in PLUGINS.components("adversaries"):
        playing = {"name": name, "learners": [0, 1], "votes": "loyal"}
        prepared = prepare(config(learner, data, proposals="everyone", adversaries=[playing]), PLUGINS)
        if name == "backdoor" and not prepared.dataset.task.classes:
            with pytest.raises(ParameterError, match=r"adversary 'backdoor': .*a regression has none"):
                prepared.experiment()
            continue
        refusals = {i: reason for record in prepared.experiment().rounds(2) for i, reason in record.refusals.items()}
        assert set(refusals) <= {0, 1}, name
        assert all(re.match("crashed|WeightsError: non-finite|what a model that grows", r) for r in refusals.values())


OTHERS: tuple[dict[str, Any], ...] = ({"name": "diabetes"}, {"name": "iris"}, {"name": "blobs", "features": 5})


@pytest.mark.parametrize("learner", PLUGINS.components("learners"))
@pytest.mark.parametrize("data", OTHERS, ids=lambda data: data["name"])
def test_a_learner_takes_other_data_or_says_why_not(learner: str, data: dict[str, Any]) -> None:
    refusal = ""
    try:
        prepare(config(learner, data), PLUGINS).experiment().run(1)
    except ColearnError as error:
        refusal = str(error)
    assert not refusal or re.search(
        "can't learn a|can't be negative|no square image|too small to be halved|can't take samples", refusal
    )


@pytest.mark.parametrize("learner", ["softmax", "sklearn.sgd_classifier", "torch.mlp", "keras.mlp"])
def test_learners_that_would_take_codes_of_categories_for_quantities_refuse_them(learner: str) -> None:
    x, y = np.tile([[0.5, 0.0], [0.1, 2.0]], (15, 1)), np.tile([0, 1], 15)
    part = Samples(x, y)
    data = PrivateData(part, part, part, Task(("a", "b"), ("size", "colour"), (1,)))
    with pytest.raises(DataError, match="'colour' hold codes of categories"):
        PLUGINS.component("learners", learner).load()(data)
