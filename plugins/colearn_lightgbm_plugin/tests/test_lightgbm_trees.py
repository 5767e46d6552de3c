"""Trees say what LightGBM's own boosters say, and are grown on what was accepted."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from colearn_core import Experiment
from colearn_core.data import PrivateData, Samples, Task
from colearn_core.errors import Abstention, ParameterError, WeightsError
from colearn_core.growing import Growth, TreeLearner
from colearn_core.trees import CATEGORICAL, Forest
from colearn_core.weights import Weights
from colearn_lightgbm_plugin.grower import LightGBMGrower, forests
from colearn_lightgbm_plugin.models import classifier, regressor

Array = NDArray[Any]
FEATURES, CODES = 5, (3, 4)


def table(samples: int, seed: int, missing: float) -> Array:
    """Three quantities, the second never missing, and codes of 3 and of 12 categories."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(samples, FEATURES)).astype(np.float32)
    x[:, 3], x[:, 4] = rng.integers(3, size=samples), rng.integers(12, size=samples)
    gaps = rng.random(x.shape) < missing
    gaps[:, 1] = False
    x[gaps] = np.nan
    return x


def targets(x: Array, classes: int) -> Array:
    signal = np.nan_to_num(x[:, 0]) - x[:, 1] + 2 * np.isin(x[:, 4], (2, 3, 7)) + np.isin(x[:, 3], 1)
    if not classes:
        return np.asarray(signal)
    return np.asarray(np.digitize(signal, np.quantile(signal, np.linspace(0, 1, classes + 1)[1:-1])))


def learner(classes: int, samples: int = 120, seed: int = 0, **parameters: Any) -> TreeLearner:
    parts = [table(n, seed + i, 0.1) for i, n in enumerate((samples, 40, 40))]
    train, vote, test = (Samples(x, targets(x, classes)) for x in parts)
    data = PrivateData(train, vote, test, Task(tuple(map(str, range(classes))), tuple("abcde"), CODES))
    made: TreeLearner = (classifier if classes else regressor)(data, **parameters)
    return made


def with_training(own: TreeLearner, x: Array, y: Array, **parameters: Any) -> TreeLearner:
    data = PrivateData(Samples(x, y), own.data.vote, own.data.test, own.data.task)
    made: TreeLearner = (classifier if data.task.classes else regressor)(data, **parameters)
    return made


def trained(own: TreeLearner, proposals: int) -> Weights:
    weights = own.initial_weights(np.random.default_rng(0))
    for i in range(proposals):
        weights = own.propose_weights(weights, np.random.default_rng(i)).weights
    return weights


@pytest.mark.parametrize("classes", [0, 2, 4])
@given(seed=st.integers(0, 10_000), missing=st.sampled_from([0, 0.2]), one_hot=st.sampled_from([1, 20]))
@settings(max_examples=10, deadline=None)
def test_trees_say_what_the_booster_says(classes: int, seed: int, missing: float, one_hot: int) -> None:
    grower = LightGBMGrower(
        FEATURES, classes, CODES, 4, (("cat_l2", 1.0), ("max_cat_to_onehot", one_hot), ("min_data_in_leaf", 3))
    )
    x = table(150, seed, missing)
    booster = grower.train(x, targets(x, classes), None, np.zeros((150, grower.outputs)), seed)
    forest = Forest.joined(forests(booster, grower.outputs))
    assert (forest.flags & CATEGORICAL).any()
    fresh = np.concatenate([table(300, seed + 1, 0.3), x])
    fresh[::5, 1] = np.nan  # nothing was missing there in training
    fresh[::7, 4] = 40  # a category that nobody has seen
    margins = np.zeros((len(fresh), grower.outputs))
    forest.add_to(margins, fresh)
    expected = booster.predict(fresh, raw_score=True)
    np.testing.assert_allclose(margins, np.reshape(expected, margins.shape), atol=1e-6)


def test_thresholds_part_neighbouring_singles_as_the_booster_does() -> None:
    tenth = np.float32(0.1)
    x = np.repeat(np.array([tenth, np.nextafter(tenth, np.float32(1))]), 20)[:, None]
    y = np.repeat([0, 1], 20)
    grower = LightGBMGrower(1, 2, (), 1, ())
    booster = grower.train(x, y, None, np.zeros((40, 1)), 0)
    margins = np.zeros((40, 1))
    Forest.joined(forests(booster, 1)).add_to(margins, x)
    np.testing.assert_allclose(margins[:, 0], booster.predict(x, raw_score=True), atol=1e-6)
    assert margins[0] < 0 < margins[-1]


@pytest.mark.parametrize("classes", [0, 2, 4])
def test_new_trees_correct_the_accepted_ones(classes: int) -> None:
    own = learner(classes, 400, rounds=2)
    losses = [own.test_weights(trained(own, n), "vote").value for n in (1, 3, 5)]
    assert losses == sorted(losses, reverse=True)
    once, more = (own.forest(trained(own, n)) for n in (3, 4))
    assert more.common(once) == len(once) < len(more)


@pytest.mark.parametrize("classes", [0, 2, 4])
def test_the_first_trees_correct_the_constant_that_the_model_begins_with(classes: int) -> None:
    own = learner(classes, bagging_fraction=1.0)
    first = own.forest(trained(own, 1))
    begin, new = first.take(slice(own.grower.outputs)), first.take(slice(own.grower.outputs, None))
    margins = np.zeros((120, own.grower.outputs))
    begin.add_to(margins, own.data.train.x)
    assert isinstance(own.grower, LightGBMGrower)
    booster = own.grower.train(own.data.train.x, own.data.train.y, None, margins, seed=0)
    assert new.common(Forest.joined(forests(booster, own.grower.outputs))) == len(new) > 0


def test_the_same_seed_gives_the_same_ledger() -> None:
    def ledger() -> list[str]:
        group = [learner(2, 60, seed, bagging_fraction=0.8, feature_fraction=0.6) for seed in range(3)]
        run = Experiment(group, proposals="approval", voting="majority", seed=5).run(4)
        return [run.weights.digest, *(str(scores) for scores in run.history.vote_scores)]

    assert ledger() == ledger()


def test_another_seed_gives_other_trees() -> None:
    own = learner(2, bagging_fraction=0.8)
    base = own.initial_weights(np.random.default_rng(0))
    digests = [own.propose_weights(base, np.random.default_rng(seed)).weights.digest for seed in (1, 1, 2)]
    assert digests[0] == digests[1] != digests[2]


@pytest.mark.parametrize("classes", [2, 4])
def test_a_learner_that_lacks_a_class_proposes_for_all(classes: int) -> None:
    own = learner(classes)
    x, y = own.data.train.x, own.data.train.y
    lacking = with_training(own, x[y > 0], y[y > 0])
    weights = trained(lacking, 1 if classes == 2 else 3)
    probabilities = own.predict(weights, own.data.test.x)
    assert probabilities.shape == (40, classes)
    assert (probabilities[:, 0] > 0).all()
    assert (probabilities[:, 0] < 1 / classes).all()


@pytest.mark.parametrize("classes", [0, 2, 4])
def test_a_single_sample_gives_a_constant_and_then_nothing(classes: int) -> None:
    own = learner(classes)
    single = with_training(own, own.data.train.x[:1], own.data.train.y[:1])
    weights = trained(single, 1)
    forest = own.forest(weights)
    assert len(forest) == len(forest.feature) == own.grower.outputs
    with pytest.raises(Abstention, match="no split of these 1 samples"):
        single.propose_weights(weights, np.random.default_rng(0))


def test_a_handful_of_samples_are_split() -> None:
    own = learner(2)
    few = with_training(own, own.data.train.x[:6], np.arange(6) % 2)
    assert (own.forest(trained(few, 1)).feature >= 0).any()


def test_sample_weights_count_for_every_tree() -> None:
    own = learner(2)
    heavy = np.where(own.data.train.y == 1, 20.0, 1.0)
    weighted = TreeLearner(own.grower, own.data, Growth(), heavy)
    base = trained(own, 1)
    proposals = [one.propose_weights(base, np.random.default_rng(0)).weights for one in (own, weighted)]
    usual, raised = (own.predict(weights, own.data.test.x)[:, 1].mean() for weights in proposals)
    assert raised > usual + 0.05


def test_wrong_tasks_and_settings_are_named() -> None:
    with pytest.raises(ParameterError, match="can't learn a regression task"):
        classifier(learner(0).data)
    with pytest.raises(ParameterError, match="can't learn a classification task"):
        regressor(learner(2).data)
    for wrong, named in (({"num_leaves": 1}, "num_leaves"), ({"rounds": 0}, "num_boost_round|greater than")):
        with pytest.raises(ParameterError, match=named):
            trained(learner(2, **wrong), 1)


def test_tables_are_wanted() -> None:
    images = Samples(np.zeros((4, 2, 2)), np.zeros(4))
    with pytest.raises(ParameterError, match=r"trees take tables, not samples of the shape \[2, 2\]"):
        regressor(PrivateData(images, images, images, Task()))


def test_foreign_trees_are_refused_before_the_library_sees_them(monkeypatch: pytest.MonkeyPatch) -> None:
    own = learner(2)
    weights = trained(own, 2)
    monkeypatch.setattr("colearn_lightgbm_plugin.grower.lightgbm", None)
    wrong = Weights({**weights, "feature": np.where(weights["feature"] == 0, 99, weights["feature"]).astype(np.int32)})
    with pytest.raises(WeightsError, match="'feature' names features"):
        own.propose_weights(wrong, np.random.default_rng(0))


def test_listing_does_not_import_lightgbm() -> None:
    code = (
        "import sys; from colearn_core.plugins import Plugins\n"
        "assert 'lightgbm.classifier' in Plugins().components('learners'); assert 'lightgbm' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
