"""The Keras learner: what it takes, what it refuses, and that results repeat."""

from __future__ import annotations

import os
import subprocess
import sys
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from keras import layers

from colearn_core import Experiment, FileLedger, Streams, Weights
from colearn_core.data import Dataset, Holdout, PrivateData, Samples, Task, partition
from colearn_core.errors import Abstention, DataError, ParameterError, WeightsError
from colearn_core.ledger import LedgerFile
from colearn_core.privacy import Privacy
from colearn_core.reference import blobs
from colearn_core.splitting import Dirichlet
from colearn_keras_plugin import KerasCohort, KerasLearner
from colearn_keras_plugin.models import cnn, mlp, model, resnet

RNG = partial(np.random.default_rng, 1)


def perceptron() -> keras.Model:
    net = keras.Sequential([keras.Input((6,)), layers.Dense(8, "relu"), layers.Dense(3)])
    net.compile(keras.optimizers.SGD(0.1), keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    return net


def uncompiled() -> keras.Model:
    return keras.Sequential([keras.Input((6,)), layers.Dense(3)])


def data(n: int = 60) -> tuple[Any, Any]:
    samples = blobs(samples=n, seed=0).samples
    return samples.x, samples.y


def learner(make: Any = perceptron, **more: Any) -> KerasLearner:
    return KerasLearner(make, data(), data(), data(), classes=3, **more)


def proposed(party: KerasLearner, draw: int = 1) -> Weights:
    return party.propose_weights(party.initial_weights(RNG()), np.random.default_rng(draw)).weights


@pytest.fixture
def skewed(colearn_dataset: Dataset) -> list[Any]:
    return partition(colearn_dataset, Dirichlet(0.5), 5, Holdout(0.3, 0.2), Streams(0))


# What it takes


def test_a_model_is_never_changed_and_gives_the_initial_weights() -> None:
    net = perceptron()
    before = [w.copy() for w in net.get_weights()]
    party = learner(net)
    initial = party.initial_weights(RNG())
    proposed(party)
    assert all(np.array_equal(a, b) for a, b in zip(before, net.get_weights(), strict=True))
    assert np.array_equal(initial["dense/kernel"], before[0])
    assert net.optimizer.iterations.numpy() == 0


def test_weights_have_the_same_names_whatever_else_was_built() -> None:
    names = list(learner(perceptron()).initial_weights(RNG()))
    perceptron()
    assert list(learner(perceptron()).initial_weights(RNG())) == names
    assert names == ["dense/bias", "dense/kernel", "dense_1/bias", "dense_1/kernel"]


def test_learners_of_one_model_or_factory_share_one_workbench() -> None:
    net = perceptron()
    assert learner(net).workbench is learner(net).workbench
    assert learner().workbench is learner().workbench
    assert learner(net).workbench is not learner(perceptron()).workbench


def test_the_trained_model_predicts_as_the_learner_scores() -> None:
    party = learner()
    weights = proposed(party)
    x, y = data()
    with party.workbench.holding(weights) as trained:
        accuracy = float((np.asarray(trained.predict_on_batch(x)).argmax(axis=1) == y).mean())
    assert party.test_weights(weights, "test").value == pytest.approx(accuracy)


def test_one_output_serves_two_classes() -> None:
    def binary() -> keras.Model:
        net = keras.Sequential([keras.Input((6,)), layers.Dense(1, "sigmoid")])
        net.compile(keras.optimizers.SGD(0.5), "binary_crossentropy")
        return net

    x, y = data()
    pair = x[y < 2], y[y < 2]
    party = KerasLearner(binary, pair, pair, pair, classes=2, steps_per_round=100)
    before = party.test_weights(party.initial_weights(RNG()), "vote").value
    trained = proposed(party)
    assert party.test_weights(trained, "vote").value < 0.7 * before
    assert party.test_weights(trained, "test").value > 0.9


def test_values_are_learned_too() -> None:
    def regression() -> keras.Model:
        net = keras.Sequential([keras.Input((6,)), layers.Dense(1)])
        net.compile(keras.optimizers.SGD(0.1), "mse")
        return net

    rng = np.random.default_rng(0)
    x = rng.normal(size=(200, 6))
    pair = x, x @ rng.normal(size=6)
    party = KerasLearner(regression, pair, pair, steps_per_round=100)
    assert party.test_weights(proposed(party), "vote").value < 0.01


@pytest.mark.parametrize("shape", [(3, 8, 8), (8, 8, 3), (8, 24)])
def test_images_are_taken_with_channels_first_last_or_not_at_all(shape: tuple[int, ...]) -> None:
    rng = np.random.default_rng(0)
    samples = Samples(rng.normal(size=(40, *shape)), rng.integers(0, 2, 40))
    part = PrivateData(samples, samples, samples, Task(("a", "b")), b"key")
    party = cnn(part, channels=(4, 4), hidden=4)
    first = party.initial_weights(RNG())["conv2d/kernel"]
    assert first.shape == (5, 5, 1 if len(shape) == 2 else 3, 4)
    assert np.isfinite(party.test_weights(proposed(party), "vote").value)


def test_class_weights_change_what_is_learned() -> None:
    assert proposed(learner()) != proposed(learner(class_weight={0: 5.0, 1: 1.0, 2: 1.0}))


# The optimiser


def test_a_kept_optimiser_goes_on_and_a_fresh_one_does_not() -> None:
    def adam() -> keras.Model:
        net = perceptron()
        net.compile(keras.optimizers.Adam(0.01), net.loss)
        return net

    found = {}
    for keep in (True, False):
        party = learner(adam, keep_optimizer=keep)
        base = party.initial_weights(RNG())
        found[keep] = [party.propose_weights(base, RNG()).weights for _ in range(2)]
        assert bool(party.state()) == keep
    assert found[False][0] == found[False][1] == found[True][0] != found[True][1]


def test_the_state_of_another_optimiser_is_refused() -> None:
    with pytest.raises(WeightsError, match="'optimizer 99' is no state of the optimiser"):
        learner(keep_optimizer=True).restore(Weights({"optimizer 99": np.zeros(())}))
    with pytest.raises(WeightsError, match="keeps no state such as 'optimizer 0'"):
        learner().restore(Weights({"optimizer 0": np.zeros(())}))


# Randomness, and what is traced


class Counting(layers.Layer):  # type: ignore[misc]
    """Counts how often Python goes through it: when the model is built, and for each trace."""

    calls = 0

    def call(self, x: Any) -> Any:
        Counting.calls += 1
        return x


def counted() -> keras.Model:
    net = keras.Sequential([keras.Input((6,)), Counting(), layers.Dense(3)])
    net.compile(keras.optimizers.SGD(0.1), keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    return net


@pytest.mark.parametrize(
    "make",
    [
        partial(mlp, dropout=0.3, optimizer="adam", keep_optimizer=True),
        partial(mlp, batch_size=4, steps=5, privacy=Privacy(60.0, noise_multiplier=1.0, score_noise_multiplier=3.0)),
    ],
)
def test_same_seed_same_ledger_fused_or_loop(make: Any, skewed: list[Any], tmp_path: Path) -> None:
    heads: list[str] = []
    for name, runtime in (("one", "fused"), ("two", "fused"), ("three", "loop")):
        experiment = Experiment([make(part) for part in skewed], proposals="approval", runtime=runtime, seed=5)
        assert isinstance(experiment.cohort, KerasCohort) == (runtime == "fused")
        with FileLedger(tmp_path / name) as experiment.ledger:
            run = experiment.run(6)
        heads.append(LedgerFile.read(tmp_path / name / "ledger.jsonl").rounds[-1]["hash"])
    assert any(run.history.accepted)
    assert heads == [heads[0]] * 3


@pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="only TensorFlow traces")
def test_nothing_is_traced_again_in_later_rounds(skewed: list[Any]) -> None:
    Counting.calls = 0
    learners = [KerasLearner.of(part, counted) for part in skewed]
    experiment = Experiment(learners, proposals="approval", seed=1)
    experiment.run(2)
    traced = Counting.calls
    assert traced
    experiment.run(5)
    assert Counting.calls == traced


@pytest.mark.slow
@pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="it's the torch backend that is tried")
def test_on_torch_the_kit_passes_and_learners_refuse_what_they_should() -> None:
    here = Path(__file__).parent
    tests = [here / "test_keras_contracts.py", here / "test_keras_learner.py"]
    chosen = "TestMlp or TestDropout or TestModel or (test_keras_learner and not make1 and not more6 and not budget)"
    command = [sys.executable, "-m", "pytest", "-q", "-k", chosen, "-p", "no:cacheprovider", *map(str, tests)]
    done = subprocess.run(command, env={**os.environ, "KERAS_BACKEND": "torch"}, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout


# What it refuses


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ({"make": uncompiled}, "isn't compiled\nCall model.compile"),
        ({"make": lambda: 3}, "gives int, not a keras.Model"),
        ({"steps_per_round": 0}, "steps_per_round must be at least 1, not 0"),
        ({"batch_size": 0}, "batch_size"),
        ({"vote_metric": "mse"}, "mse can't score classes"),
        ({"vote_metric": "nosuch"}, "unknown metric 'nosuch'"),
        ({"privacy": Privacy(1.0, noise_multiplier=1.0, accountant="prv")}, "unknown accountant 'prv'"),
    ],
)
def test_a_wrong_argument_is_named(more: dict[str, Any], message: str) -> None:
    with pytest.raises(ParameterError, match=message):
        learner(**more)


def test_a_model_that_does_not_fit_the_data_is_named() -> None:
    def wider() -> keras.Model:
        net = keras.Sequential([keras.Input((7,)), layers.Dense(3)])
        net.compile("sgd", "mse")
        return net

    def narrower() -> keras.Model:
        net = keras.Sequential([keras.Input((6,)), layers.Dense(2)])
        net.compile("sgd", "mse")
        return net

    with pytest.raises(DataError, match=r"can't take samples of shape \(6,\); it takes \(7,\)"):
        learner(wider)
    with pytest.raises(DataError, match=r"gives outputs of shape \(2,\) for a sample; \(3,\) is needed"):
        learner(narrower)


def test_a_loss_that_is_no_number_names_its_step() -> None:
    def diverging() -> keras.Model:
        net = perceptron()
        net.compile(keras.optimizers.SGD(1e30), net.loss)
        return net

    with pytest.raises(FloatingPointError, match=r"the loss of step \d+ of 20 is (nan|inf)"):
        proposed(learner(diverging))


def test_a_spent_budget_abstains_and_votes() -> None:
    party = learner(privacy=Privacy(target_epsilon=2.0, proposals=2), steps_per_round=4, batch_size=6)
    base = party.initial_weights(RNG())
    for draw in range(2):
        party.propose_weights(base, np.random.default_rng(draw))
    with pytest.raises(Abstention, match="its privacy budget is spent"):
        party.propose_weights(base, np.random.default_rng(2))
    assert party.test_weights(base, "vote").samples == 60


@pytest.mark.skipif(find_spec("jax") is not None, reason="jax is installed here")
def test_a_backend_that_is_not_installed_is_named() -> None:
    command = [sys.executable, "-c", "import colearn_keras_plugin; colearn_keras_plugin.KerasLearner"]
    done = subprocess.run(command, env={**os.environ, "KERAS_BACKEND": "jax"}, capture_output=True, text=True)
    assert "Keras is set to the backend jax, which isn't installed. Install it, or set KERAS_BACKEND" in done.stderr


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (cnn, r"6 features are no square image\nSay its form"),
        (partial(cnn, image=(1, 2, 2)), r"image = \[1, 2, 2\] has another number of values than the 6"),
        (partial(cnn, image=(2, 3, 1)), "too small to be halved 3 times"),
        (partial(resnet, image=(2, 3, 1), channels=(6,)), "groups = 4 doesn't divide 6 channels"),
        (partial(mlp, hidden=(0,)), "at least one neuron each"),
        (partial(model, model="math"), "names no function"),
        (partial(model, model="math:nosuch"), "can't be imported"),
    ],
)
def test_a_component_that_does_not_fit_says_why(make: Any, message: str, skewed: list[Any]) -> None:
    with pytest.raises((DataError, ParameterError), match=message):
        make(skewed[0])
