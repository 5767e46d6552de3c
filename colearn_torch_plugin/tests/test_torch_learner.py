"""The torch learner: what it takes, what it refuses, and that results repeat."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, IterableDataset, TensorDataset

from colearn_core import Experiment, FileLedger, Streams, Weights
from colearn_core.data import Dataset, Holdout, partition
from colearn_core.errors import DataError, ParameterError, WeightsError
from colearn_core.learner import Proposal
from colearn_core.reference import blobs
from colearn_core.splitting import Dirichlet
from colearn_torch_plugin import TorchCohort, TorchLearner, tensors
from colearn_torch_plugin.models import cnn, mlp, module, resnet

SGD = partial(torch.optim.SGD, lr=0.1)
RNG = partial(np.random.default_rng, 1)


def perceptron() -> nn.Module:
    return nn.Sequential(nn.Linear(6, 8), nn.ReLU(), nn.Linear(8, 3))


def data(n: int = 60, seed: int = 0) -> tuple[Any, Any]:
    samples = blobs(samples=n, seed=seed).samples
    return samples.x, samples.y


def learner(model: Any = perceptron, train: Any = None, **more: Any) -> TorchLearner:
    return TorchLearner(
        model, SGD, "cross_entropy", data() if train is None else train, data(), data(), classes=3, **more
    )


# What it takes


def test_all_forms_of_data_train_alike() -> None:
    x, y = data()
    pair = torch.tensor(x, dtype=torch.float32), torch.tensor(y)
    forms: list[Any] = [(x, y), pair, TensorDataset(*pair), DataLoader(TensorDataset(*pair), batch_size=7)]
    proposals = []
    for form in forms:
        party = learner(train=form)
        proposals.append(party.propose_weights(party.initial_weights(RNG()), RNG()).weights)
    assert all(proposal == proposals[0] for proposal in proposals)


def test_a_module_is_never_changed_and_gives_the_initial_weights() -> None:
    model = perceptron()
    before = copy.deepcopy(model.state_dict())
    party = learner(model)
    initial = party.initial_weights(RNG())
    party.propose_weights(initial, RNG())
    assert all(torch.equal(before[name], tensor) for name, tensor in model.state_dict().items())
    assert np.array_equal(initial["0.weight"], before["0.weight"].numpy())


def test_learners_of_one_module_or_factory_share_one_workbench() -> None:
    model = perceptron()
    assert learner(model).workbench is learner(model).workbench
    assert learner().workbench is learner().workbench
    assert learner(model).workbench is not learner(perceptron()).workbench


def test_values_are_learned_too() -> None:
    rng = np.random.default_rng(0)
    x = rng.normal(size=(200, 6))
    pair = x, x @ rng.normal(size=6)
    party = TorchLearner(lambda: nn.Linear(6, 1), SGD, "mse", pair, pair, pair, steps_per_round=100)
    weights = party.initial_weights(RNG())
    assert party.test_weights(party.propose_weights(weights, RNG()).weights, "vote").value < 0.01


def test_the_trained_module_predicts_as_the_learner_scores() -> None:
    party = learner()
    weights = party.propose_weights(party.initial_weights(RNG()), RNG()).weights
    x, y = data()
    trained = party.module_with(weights)
    with torch.no_grad():
        accuracy = float((trained(torch.tensor(x, dtype=torch.float32)).argmax(1).numpy() == y).mean())
    assert party.test_weights(weights, "test").value == pytest.approx(accuracy)
    with torch.no_grad():
        next(trained.parameters()).zero_()
    assert party.test_weights(weights, "test").value == pytest.approx(accuracy)


# Buffers


def normalised() -> nn.Module:
    return nn.Sequential(nn.Linear(6, 4), nn.BatchNorm1d(4), nn.BatchNorm1d(4, momentum=None), nn.Linear(4, 3))


def test_running_statistics_travel_and_are_averaged_and_counters_take_the_largest() -> None:
    party = learner(normalised)
    base = party.initial_weights(RNG())
    assert "1.running_mean" in base
    assert "1.num_batches_tracked" not in base  # never looked at, with a fixed momentum
    assert base["2.num_batches_tracked"] == 0
    one = party.propose_weights(base, RNG())
    two = Proposal(Weights({**one.weights, "2.num_batches_tracked": np.array(50)}), 3 * one.samples)
    other = two._replace(weights=Weights({**two.weights, "1.running_mean": two.weights["1.running_mean"] + 4}))
    merged = party.combine(base, [one, other])
    assert merged["2.num_batches_tracked"] == 50
    assert np.allclose(merged["1.running_mean"], one.weights["1.running_mean"] + 3)


def test_scoring_leaves_running_statistics_alone() -> None:
    party = learner(normalised)
    weights = party.propose_weights(party.initial_weights(RNG()), RNG()).weights
    first = party.test_weights(weights, "vote")
    assert party.test_weights(weights, "vote") == first


# The optimiser


def test_a_kept_optimiser_goes_on_and_a_fresh_one_does_not() -> None:
    adam = partial(torch.optim.Adam, lr=0.01)
    x, y = data()
    found = {}
    for keep in (True, False):
        party = TorchLearner(perceptron, adam, "cross_entropy", (x, y), classes=3, keep_optimizer=keep)
        base = party.initial_weights(RNG())
        found[keep] = [party.propose_weights(base, RNG()).weights for _ in range(2)]
        assert bool(party.state()) == keep
    assert found[False][0] == found[False][1]
    assert found[True][0] == found[False][0]
    assert found[True][0] != found[True][1]
    assert all(key.rpartition("/")[0] in found[True][0] for key in party.state())


def test_the_state_of_another_optimiser_is_refused() -> None:
    party = learner(keep_optimizer=True)
    with pytest.raises(WeightsError, match=r"'0\.weight/exp_avg' is no state"):
        party.restore(Weights({"0.weight/exp_avg": np.zeros(3)}))
    with pytest.raises(WeightsError, match="keeps no state"):
        learner().restore(Weights({"0.weight/step": np.zeros(())}))


# Randomness


@pytest.fixture
def skewed(colearn_dataset: Dataset) -> list[Any]:
    return partition(colearn_dataset, Dirichlet(0.5), 6, Holdout(0.3, 0.2), Streams(0))


@pytest.mark.parametrize("make", [mlp, partial(mlp, dropout=0.3, optimizer="adam", keep_optimizer=True)])
def test_same_seed_same_ledger_fused_or_loop(make: Any, skewed: list[Any], tmp_path: Path) -> None:
    heads: list[str] = []
    for name, runtime in (("one", "fused"), ("two", "fused"), ("three", "loop")):
        torch.manual_seed(len(heads))
        experiment = Experiment([make(part) for part in skewed], proposals="approval", runtime=runtime, seed=5)
        assert isinstance(experiment.cohort, TorchCohort) == (runtime == "fused")
        with FileLedger(tmp_path / name) as experiment.ledger:
            run = experiment.run(12)
        heads.append((tmp_path / name / "ledger.jsonl").read_text().splitlines()[-1].partition('"hash":')[2][:66])
    assert any(run.history.accepted)
    assert heads == [heads[0]] * 3


def test_torchs_own_generator_and_threads_are_left_alone() -> None:
    party = learner(lambda: nn.Sequential(nn.Dropout(0.5), nn.Linear(6, 3)))
    torch.manual_seed(3)
    state, threads = torch.get_rng_state(), torch.get_num_threads()
    party.test_weights(party.propose_weights(party.initial_weights(RNG()), RNG()).weights, "vote")
    assert torch.equal(torch.get_rng_state(), state)
    assert torch.get_num_threads() == threads


# What it refuses


class Endless(IterableDataset[Any]):
    def __iter__(self) -> Iterator[Any]:
        while True:
            yield torch.zeros(6), torch.tensor(0)


@pytest.mark.parametrize(
    ("train", "message"),
    [
        ([], "the train data are list"),
        ((np.zeros((0, 6)), np.zeros(0, dtype=int)), "at least one sample"),
        ((np.zeros((4, 6)), np.zeros(3, dtype=int)), "4 samples and 3 targets"),
        ((np.zeros(4), np.zeros(4, dtype=int)), "a row for each sample"),
        ((np.full((4, 6), np.nan), np.zeros(4, dtype=int)), "24 values that aren't finite"),
        ((np.zeros((4, 6)), np.array([0, 1, 2, 3])), "hold 3; class numbers go from 0 to 2"),
        ((np.zeros((4, 6)), np.array([0, 1, 2, -1])), "hold -1; class"),
        ((np.zeros((4, 6)), np.array([0, 1, 2, 0.5])), "hold 0.5; class"),
        ((np.zeros((4, 6)), np.zeros((4, 3))), r"the shape \(4, 3\)"),
        ((np.array([["a"] * 6]), np.zeros(1)), "are no numbers"),
        (TensorDataset(torch.zeros(0, 6), torch.zeros(0)), "the train data set is empty"),
        (DataLoader(TensorDataset(torch.zeros(0, 6), torch.zeros(0))), "the train data set is empty"),
        ([1, 2], "Pass a pair"),
    ],
)
def test_data_that_cannot_be_learned_from_are_named(train: Any, message: str) -> None:
    with pytest.raises(DataError, match=message):
        learner(train=train)


def test_an_endless_loader_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tensors, "LARGEST_UNSIZED", 1000)
    for train in (Endless(), DataLoader(Endless(), batch_size=2)):
        with pytest.raises(DataError, match=r"more than 1,000 items; is it endless\?"):
            learner(train=train)


def test_the_layer_that_does_not_fit_is_named() -> None:
    with pytest.raises(DataError, match=r"layer '0' of Sequential can't take samples of shape \(6,\)"):
        learner(lambda: nn.Sequential(nn.Linear(7, 8), nn.Linear(8, 3)))
    with pytest.raises(DataError, match=r"layer '1' of Sequential"):
        learner(lambda: nn.Sequential(nn.Linear(6, 8), nn.Linear(9, 3)))
    with pytest.raises(DataError, match=r"gives outputs of shape \(2,\) for a sample; \(3,\) is needed"):
        learner(lambda: nn.Linear(6, 2))


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ({"model": nn.ReLU}, "ReLU has no parameters to train"),
        ({"model": lambda: 3}, "gives int, not a torch.nn.Module"),
        ({"steps_per_round": 0}, "steps_per_round must be at least 1, not 0"),
        ({"batch_size": 0}, "batch_size"),
        ({"vote_metric": "mse"}, "mse can't score classes"),
        ({"device": "nosuch"}, "'nosuch' is no device"),
    ],
)
def test_a_wrong_argument_is_named(more: dict[str, Any], message: str) -> None:
    with pytest.raises(ParameterError, match=message):
        learner(**more)


@pytest.mark.skipif(torch.cuda.is_available(), reason="there's a CUDA device here")
def test_an_absent_cuda_device_is_named() -> None:
    with pytest.raises(ParameterError, match="finds no CUDA device here"):
        learner(device="cuda")


def test_an_unknown_loss_is_named() -> None:
    with pytest.raises(ParameterError, match="unknown loss 'hinge'\nKnown losses: cross_entropy"):
        TorchLearner(perceptron, SGD, "hinge", data(), classes=3)


def test_a_loss_that_is_no_number_names_its_step() -> None:
    seen: list[int] = []

    def loss(found: Tensor, y: Tensor) -> Tensor:
        seen.append(len(y))
        return found.sum() * (float("nan") if len(seen) == 3 else 1.0)

    party = TorchLearner(perceptron, SGD, loss, data(), classes=3)
    with pytest.raises(FloatingPointError, match="the loss of step 3 of 20 is nan"):
        party.propose_weights(party.initial_weights(RNG()), RNG())


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (cnn, r"6 features are no square image\nSay its form"),
        (partial(cnn, image=(1, 2, 2)), r"image = \[1, 2, 2\] has another number of values than the 6"),
        (partial(cnn, image=(1, 2, 3), channels=(4, 4, 4)), "too small to be halved 2 times"),
        (partial(cnn, image=(1, 2, 3), channels=()), "channels must be positive"),
        (partial(resnet, image=(1, 2, 3), channels=(6,)), "groups = 4 doesn't divide 6 channels"),
        (partial(mlp, hidden=(0,)), "at least one neuron each"),
        (partial(mlp, dropout=1), "dropout"),
        (partial(module, module="math"), "names no function"),
        (partial(module, module="math:nosuch"), "can't be imported"),
        (partial(module, module="nosuch_module:make"), "can't be imported"),
    ],
)
def test_a_component_that_does_not_fit_says_why(make: Any, message: str, skewed: list[Any]) -> None:
    with pytest.raises((DataError, ParameterError), match=message):
        make(skewed[0])
