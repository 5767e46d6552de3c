"""Differential privacy of the torch learner: the gradient, the noise, the budget, and what can't be private."""

from __future__ import annotations

import subprocess
import sys
import time
from collections import Counter
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from opacus.accountants import PRVAccountant, RDPAccountant
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from colearn_core import Experiment, FileLedger, Streams, Weights
from colearn_core.config import ExperimentConfig, prepare
from colearn_core.data import Dataset, Holdout, Samples, Task, partition
from colearn_core.errors import Abstention, ParameterError
from colearn_core.ledger import LedgerFile
from colearn_core.metrics import metric
from colearn_core.plugins import Plugins
from colearn_core.privacy import Journal, Privacy, SampledGaussian
from colearn_core.reference import blobs
from colearn_core.splitting import Dirichlet
from colearn_torch_plugin import TorchCohort, TorchLearner, private
from colearn_torch_plugin.models import cnn, mlp
from colearn_torch_plugin.private import accountant_of

SGD = partial(torch.optim.SGD, lr=0.1)
RNG = partial(np.random.default_rng, 1)
LOOSE = Privacy(target_epsilon=1e30, noise_multiplier=1e-9, max_grad_norm=1e3)
"""Hardly any noise, and nothing is clipped."""


def perceptron() -> nn.Module:
    return nn.Sequential(nn.Linear(6, 8), nn.ReLU(), nn.Linear(8, 3))


def data(n: int = 60) -> tuple[Any, Any]:
    samples = blobs(samples=n, seed=0).samples
    return samples.x, samples.y


def learner(model: Any = perceptron, privacy: Privacy | None = LOOSE, train: Any = None, **more: Any) -> TorchLearner:
    parts = data() if train is None else train, data(), data()
    return TorchLearner(model, SGD, "cross_entropy", *parts, classes=3, privacy=privacy, **{"key": b"k", **more})


def proposed(party: TorchLearner, draw: int = 1) -> Weights:
    return party.propose_weights(party.initial_weights(RNG()), np.random.default_rng(draw)).weights


# The gradient


class Twice(nn.Module):
    """Sends its input through one layer twice, and shares a parameter between two others."""

    def __init__(self) -> None:
        super().__init__()
        self.layer, self.out = nn.Linear(6, 6), nn.Linear(6, 3)

    def forward(self, x: Tensor) -> Tensor:
        found: Tensor = self.out(torch.tanh(self.layer(torch.tanh(self.layer(x)))))
        return found


def images() -> nn.Module:
    convolved = nn.Sequential(nn.Unflatten(1, (1, 2, 3)), nn.Conv2d(1, 4, 3, padding=1), nn.GroupNorm(2, 4), nn.ReLU())
    return nn.Sequential(convolved, nn.Flatten(), nn.LayerNorm(24), nn.Linear(24, 3))


@pytest.mark.parametrize("make", [perceptron, Twice, images])
@pytest.mark.parametrize("bound", [0.05, 0.7, 100.0])
def test_the_gradient_is_the_sum_of_each_samples_clipped_one(make: Any, bound: float) -> None:
    torch.manual_seed(0)
    module = make()
    x, y = (torch.as_tensor(part[:20]) for part in data())
    x = x.float()
    expected = [torch.zeros_like(p) for p in module.parameters()]
    clipped = 0
    for i in range(len(x)):
        grads = torch.autograd.grad(cross_entropy(module(x[i : i + 1]), y[i : i + 1]), list(module.parameters()))
        norm = torch.stack([g.square().sum() for g in grads]).sum().sqrt()
        clipped += int(norm > bound)
        for total, grad in zip(expected, grads, strict=True):
            total += grad * min(1.0, bound / float(norm))
    assert clipped == {0.05: 20, 100.0: 0}.get(bound, clipped)
    with private._norms_of_samples(module, bound, x[:1]) as hooks:
        for rows in (slice(0, 13), slice(13, 20)):
            private._add_clipped(module, hooks, x[rows], y[rows], cross_entropy)
    for p, total in zip(module.parameters(), expected, strict=True):
        assert p.grad is not None
        torch.testing.assert_close(p.grad, total, rtol=1e-4, atol=1e-6)


def test_without_clipping_and_noise_it_is_the_plain_gradient() -> None:
    plain = learner(privacy=None, steps_per_round=1, batch_size=60)
    quiet = learner(privacy=LOOSE, steps_per_round=1, batch_size=60)  # every sample takes part in every batch
    for name, array in proposed(plain).items():
        np.testing.assert_allclose(proposed(quiet)[name], array, rtol=1e-4, atol=1e-6)


def test_pieces_of_a_batch_give_the_gradient_of_the_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = proposed(learner(images, steps_per_round=2))
    monkeypatch.setattr(private, "GRADIENT_BYTES", 4 * 72 * 5)
    for name, array in proposed(learner(images, steps_per_round=2)).items():
        np.testing.assert_allclose(whole[name], array, rtol=1e-4, atol=1e-6)


def test_noise_has_the_size_that_is_accounted_for() -> None:
    x = np.zeros((200, 6))
    privacy = Privacy(target_epsilon=1e6, noise_multiplier=3.0, max_grad_norm=0.5)
    party = TorchLearner(
        lambda: nn.Linear(6, 500, bias=False),
        partial(torch.optim.SGD, lr=1.0),
        lambda found, y: found.mean(),
        (x, np.zeros(200, dtype=int)),
        classes=500,
        steps_per_round=1,
        batch_size=20,
        privacy=privacy,
        key=b"k",
    )
    base = party.initial_weights(RNG())
    moved = party.propose_weights(base, RNG()).weights["weight"] - base["weight"]
    assert moved.mean() == pytest.approx(0, abs=4 * 0.075 / np.sqrt(moved.size))
    assert moved.std() == pytest.approx(3.0 * 0.5 / 20, rel=0.05)


def test_a_batch_holds_each_sample_with_equal_probability_and_may_be_empty() -> None:
    sizes: list[int] = []

    def loss(found: Tensor, y: Tensor) -> Tensor:
        sizes.append(len(y))
        return cross_entropy(found, y)

    party = TorchLearner(perceptron, SGD, loss, data(), classes=3, steps_per_round=500, batch_size=2, privacy=LOOSE)
    proposed(party)
    empty = 500 - len(sizes)
    assert sum(sizes) / 500 == pytest.approx(2, abs=0.3)
    assert np.var([*sizes, *[0] * empty]) == pytest.approx(2 * 58 / 60, rel=0.25)  # Poisson sampling, not shuffling
    assert empty == pytest.approx(500 * (58 / 60) ** 60, rel=0.4)


@pytest.mark.parametrize("n", [1, 2])
def test_very_few_samples_work(n: int) -> None:
    x, y = data()
    party = learner(train=(x[:n], y[:n]), batch_size=8)
    proposed(party)
    assert party.private is not None
    assert party.private.training.sample_rate == 1


def test_values_are_learned_privately_too() -> None:
    rng = np.random.default_rng(0)
    x = rng.normal(size=(400, 6))
    pair = x, x @ rng.normal(size=6)
    privacy = Privacy(target_epsilon=1e6, noise_multiplier=0.5)
    party = TorchLearner(
        lambda: nn.Linear(6, 1), SGD, "mse", pair, pair, steps_per_round=200, privacy=privacy, key=b"k"
    )
    start = party.test_weights(party.initial_weights(RNG()), "vote").value
    assert party.test_weights(proposed(party), "vote").value < 0.1 * start


def test_the_module_is_left_as_it_was() -> None:
    plain, quiet = learner(privacy=None), learner(privacy=LOOSE)
    assert plain.workbench is quiet.workbench
    before = proposed(plain)
    proposed(quiet)
    module = plain.workbench.module
    assert proposed(plain) == before
    assert not [h for part in module.modules() for h in (*part._forward_hooks, *part._backward_hooks)]
    assert not [name for p in module.parameters() for name in p.__dict__ if "sample" in name]
    failing = TorchLearner(perceptron, SGD, lambda found, y: found @ found, data(), classes=3, privacy=LOOSE)
    with pytest.raises(RuntimeError):
        failing.propose_weights(failing.initial_weights(RNG()), RNG())
    assert proposed(plain) == before


# The noise


def test_noise_can_be_repeated_only_with_the_key() -> None:
    one, same, other = learner(), learner(), learner(key=b"another")
    assert proposed(one) == proposed(same) != proposed(other)
    assert proposed(learner(key=b"")) != proposed(learner(key=b""))


def test_another_base_or_other_moments_get_other_noise() -> None:
    adam = partial(torch.optim.Adam, lr=0.01)
    party = TorchLearner(
        perceptron, adam, "cross_entropy", data(), classes=3, keep_optimizer=True, privacy=LOOSE, key=b"k"
    )
    base = party.initial_weights(RNG())
    for weights in (base, base, Weights({n: a + 1 for n, a in base.items()})):
        party.propose_weights(weights, RNG())
    assert party.budget is not None
    assert party.budget.spent.mechanisms[0].steps == 3 * 20


# The budget


@pytest.mark.parametrize("steps", [50, 2000])
def test_epsilon_is_that_of_opacus(steps: int) -> None:
    done = (SampledGaussian(1.1, 0.02, steps),)
    for name, kind in (("prv", PRVAccountant), ("rdp", RDPAccountant)):
        reference = kind()
        reference.history = [tuple(done[0])]
        found = accountant_of(Privacy(1.0, noise_multiplier=1.0, accountant=name))(done, 1e-5)
        assert found == pytest.approx(reference.get_epsilon(delta=1e-5), rel=1e-6)


def test_epsilon_of_known_mechanisms() -> None:
    tight = accountant_of(Privacy(1.0, noise_multiplier=1.0))
    # The Gaussian mechanism itself, by the formula of Balle and Wang 2018 (arXiv 1805.06530): 4.3775 at 1e-5.
    assert tight((SampledGaussian(20.0, 1.0, 400),), 1e-5) == pytest.approx(4.3775, abs=0.02)
    assert tight((SampledGaussian(1.1, 64 / 4096, 128),), 1e-5) == pytest.approx(0.975, abs=0.01)
    assert tight((SampledGaussian(1e-3, 1.0, 100),), 1e-5) > 1e3


def test_the_computed_noise_lasts_for_as_many_proposals_as_planned() -> None:
    privacy = Privacy(target_epsilon=2.0, proposals=3)
    party = learner(privacy=privacy, steps_per_round=4, batch_size=6)
    base = party.initial_weights(RNG())
    for draw in range(3):
        party.propose_weights(base, np.random.default_rng(draw))
    assert party.budget is not None
    assert 1.9 < party.budget.spent.epsilon <= 2
    with pytest.raises(Abstention, match=r"its privacy budget is spent: epsilon is .* of 2 \(delta 1e-05\)"):
        party.propose_weights(base, np.random.default_rng(3))
    party.propose_weights(base, np.random.default_rng(2))  # given before
    assert party.test_weights(base, "vote").samples == 60


def test_noisy_scores_are_paid_for_from_the_same_budget() -> None:
    privacy = Privacy(target_epsilon=1.0, proposals=1, scores=4, score_noise_multiplier=12.0, accountant="prv")
    party = learner(privacy=privacy, steps_per_round=4, batch_size=6)
    weights = [proposed(party), *(Weights({n: a + i for n, a in proposed(party).items()}) for i in range(1, 4))]
    scores = [party.test_weights(w, "vote").value for w in weights]
    assert [party.test_weights(w, "vote").value for w in weights] == scores
    assert party.budget is not None
    assert party.budget.spent.mechanisms[1:] == ((12.0, 1.0, 4),)
    assert 0.95 < party.budget.spent.epsilon <= 1
    with pytest.raises(Abstention, match="and a score would make it"):
        party.test_weights(weights[0], "test")
    exact = learner(privacy=None).test_weights(weights[0], "vote").value
    assert scores[0] != exact
    assert abs(scores[0] - exact) < 5 * 12 * 5 / 60


def test_a_budget_survives_in_the_state_and_keeps_its_noise() -> None:
    privacy = Privacy(target_epsilon=2.0, proposals=3)
    first, second = (learner(privacy=privacy, steps_per_round=4, batch_size=6) for _ in range(2))
    base = first.initial_weights(RNG())
    first.propose_weights(base, RNG())
    second.restore(Weights.from_bytes(first.state().to_bytes()))
    assert first.budget is not None
    assert second.budget is not None
    assert second.budget.spent == first.budget.spent
    assert second.propose_weights(base, RNG()) == first.propose_weights(base, RNG())


# In an experiment


@pytest.fixture
def skewed(colearn_dataset: Dataset) -> list[Any]:
    return partition(colearn_dataset, Dirichlet(0.5), 5, Holdout(0.3, 0.2), Streams(0))


@pytest.mark.parametrize(
    "privacy",
    [
        Privacy(target_epsilon=12.0, noise_multiplier=1.0),
        Privacy(target_epsilon=60.0, noise_multiplier=1.0, score_noise_multiplier=3.0),
    ],
)
def test_same_seed_same_ledger_fused_or_loop(privacy: Privacy, skewed: list[Any], tmp_path: Path) -> None:
    heads: list[str] = []
    for name, runtime in (("one", "fused"), ("two", "fused"), ("three", "loop")):
        learners = [mlp(part, dropout=0.2, batch_size=4, steps=5, privacy=privacy) for part in skewed]
        experiment = Experiment(learners, proposals="approval", runtime=runtime, seed=5)
        assert isinstance(experiment.cohort, TorchCohort) == (runtime == "fused")
        with FileLedger(tmp_path / name) as experiment.ledger:
            run = experiment.run(6)
        heads.append(LedgerFile.read(tmp_path / name / "ledger.jsonl").rounds[-1]["hash"])
    assert heads == [heads[0]] * 3
    assert any(run.history.accepted)
    spent = run.history.privacy
    assert all(0 < s.epsilon <= s.target_epsilon for s in spent[-1].values())
    assert LedgerFile.read(tmp_path / name / "ledger.jsonl").history().privacy == spent


def test_who_has_spent_its_budget_abstains_and_votes(skewed: list[Any]) -> None:
    learners = [
        mlp(part, batch_size=2, steps=5, privacy=Privacy(target_epsilon=3.0, noise_multiplier=1.2)) for part in skewed
    ]
    records = list(Experiment(learners, proposals="everyone", seed=1).rounds(12))
    last = records[-1]
    assert set(last.refusals) == set(range(5))
    assert all("its privacy budget is spent" in reason for reason in last.refusals.values())
    partly = next(r for r in records if r.refusals)
    assert len(partly.refusals) < 5  # larger parties have smaller sample rates, and last longer
    assert all(partly.votes[i, 0] for i in partly.refusals)


def test_an_experiment_file_can_ask_for_privacy(tmp_path: Path) -> None:
    path = tmp_path / "private.toml"
    path.write_text(
        "rounds = 2\nlearners = 3\ndata = 'blobs'\n[learner]\nname = 'torch.mlp'\n"
        "privacy = {target_epsilon = 3, noise_multiplier = 2.5, max_grad_norm = 0.5}\n"
    )
    prepared = prepare(ExperimentConfig.read(path), Plugins())
    experiment = prepared.experiment()
    budgets = [spent.target_epsilon for spent in experiment.cohort.spent().values()]
    assert budgets == [3.0] * 3
    (tmp_path / "again.toml").write_text(prepared.config.to_toml())
    again = prepare(ExperimentConfig.read(tmp_path / "again.toml"), Plugins())
    assert again.config == prepared.config
    path.write_text(path.read_text().replace("max_grad_norm", "max_gradient"))
    with pytest.raises(ParameterError, match="max_gradient"):
        prepare(ExperimentConfig.read(path), Plugins())


# What it refuses


def batch_normalised() -> nn.Module:
    return nn.Sequential(nn.Linear(6, 4), nn.BatchNorm1d(4), nn.Linear(4, 3))


class Attentive(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.attention = nn.MultiheadAttention(3, 1)

    def forward(self, x: Tensor) -> Tensor:
        found: Tensor = self.attention(x, x, x)[0]
        return found


class Remembers(nn.Module):
    """Keeps the last samples that it saw in a buffer."""

    seen: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("seen", torch.zeros(6))

    def forward(self, x: Tensor) -> Tensor:
        if self.training:
            self.seen.copy_(x.mean(dim=0))
        return x


def test_a_module_that_mixes_samples_is_refused_with_the_fix() -> None:
    with pytest.raises(
        ParameterError, match=r"layer '1' of Sequential is a BatchNorm1d, which mixes the samples.*\nTake GroupNorm"
    ):
        learner(batch_normalised)
    with pytest.raises(ParameterError, match=r"layer '1\.attention' of Sequential can't be trained privately"):
        learner(lambda: nn.Sequential(nn.Linear(6, 3), Attentive()))


def test_a_buffer_that_training_changes_is_noticed() -> None:
    party = learner(lambda: nn.Sequential(Remembers(), nn.Linear(6, 3)))
    with pytest.raises(ParameterError, match=r"training changes the buffer '0\.seen', which gets no noise"):
        proposed(party)


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ({"privacy": Privacy(1.0, noise_multiplier=1.0, accountant="gdp")}, "unknown accountant 'gdp'\nAcc.*prv, rdp"),
        (
            {"privacy": Privacy(1.0, noise_multiplier=1.0, score_noise_multiplier=1.0), "vote_metric": "f1"},
            "f1 is no mean over samples.*\nScore by accuracy",
        ),
        (
            {"privacy": Privacy(1.0, proposals=1, scores=1000, score_noise_multiplier=0.5)},
            "no noise keeps epsilon at 1",
        ),
    ],
)
def test_a_wrong_setting_is_named(more: dict[str, Any], message: str) -> None:
    with pytest.raises(ParameterError, match=message):
        learner(**more)


def test_a_missing_opacus_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "colearn_torch_plugin.private")
    monkeypatch.delattr("colearn_torch_plugin.private")
    for name in [n for n in sys.modules if n.partition(".")[0] == "opacus"]:
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(ParameterError, match=r"Opacus, which isn't installed\npip install .*\[privacy\]"):
        learner()


def test_a_private_convolutional_network_learns() -> None:
    rng = np.random.default_rng(0)
    y = rng.integers(0, 2, 300)
    x = rng.normal(size=(300, 8, 8)) + 2 * y[:, None, None] * np.eye(8)
    diagonals = Dataset("diagonals", Samples(x, y), Task(("no", "yes")))
    part = partition(diagonals, Dirichlet(100.0), 1, Holdout(0.3, 0.0), Streams(0))[0]
    party = cnn(
        part, channels=(4, 4), hidden=8, activation="tanh", steps=60, privacy=Privacy(30.0, noise_multiplier=0.8)
    )
    before = party.test_weights(party.initial_weights(RNG()), "vote").value
    assert party.test_weights(proposed(party), "vote").value < 0.7 * before
    assert party.vote_metric is metric("log_loss")


# A process that's killed

PARTY = """
import os, sys
from functools import partial
from pathlib import Path

import torch
from torch.nn.functional import cross_entropy

from colearn_core import Experiment, FileLedger, Plugins
from colearn_core.privacy import Privacy
from colearn_core.reference import blobs
from colearn_torch_plugin import TorchLearner

folder, ledger = Path(sys.argv[1]), Path(sys.argv[2])
log = os.open(folder / "steps", os.O_CREAT | os.O_APPEND | os.O_WRONLY)


def learner(number):
    samples = blobs(samples=80, seed=number).samples
    data = samples.x, samples.y

    def loss(found, y):  # private data are being used
        os.write(log, f"{number}\\n".encode())
        return cross_entropy(found, y)

    privacy = Privacy(target_epsilon=50.0, noise_multiplier=1.0, accountant="rdp")
    sgd = partial(torch.optim.SGD, lr=0.1)
    return TorchLearner(make, sgd, loss, data, data, classes=3, batch_size=20, steps_per_round=STEPS,
                        privacy=privacy, key=bytes([number]))


def make():
    return torch.nn.Linear(6, 3)


STEPS = 5
experiment = Experiment([learner(i) for i in (1, 2, 3)], proposals="everyone", plugins=Plugins(()))
experiment.cohort.keep_budgets(folder)
with FileLedger(ledger) as experiment.ledger:
    experiment.run(int(sys.argv[3]))
"""


@pytest.mark.slow
def test_a_killed_process_never_spends_unrecorded_and_pays_once_for_what_it_repeats(tmp_path: Path) -> None:
    rounds = 400
    script = tmp_path / "party.py"
    script.write_text(PARTY)
    shared = tmp_path / "kept"
    shared.mkdir()
    steps, reached = shared / "steps", []
    for attempt, more in enumerate((40, 777, 1500)):
        seen = steps.stat().st_size if steps.exists() else 0
        process = subprocess.Popen([sys.executable, script, shared, tmp_path / f"ledger-{attempt}", str(rounds)])
        while not steps.exists() or steps.stat().st_size < seen + more:
            assert process.poll() is None
            time.sleep(0.001)
        process.kill()
        process.wait()
        used = Counter(steps.read_text()[seen:].split())
        ledger = LedgerFile.read(tmp_path / f"ledger-{attempt}" / "ledger.jsonl")
        recorded = ledger.history().privacy[-1]
        for number in (1, 2, 3):
            kept = Journal(shared / f"learner-{number - 1}.jsonl").entries
            assert len(kept) >= used[str(number)] / 5  # whatever was begun is in the journal
            told = sum(m.steps for m in recorded[number - 1].mechanisms)
            assert told <= 5 * len(kept)
        reached.append(len(Journal(shared / "learner-0.jsonl").entries))  # killed within a round, it may lead the rest
    assert reached == sorted(reached)

    whole = tmp_path / "whole"
    for folder, path in ((shared, tmp_path / "last"), (whole, tmp_path / "whole-ledger")):
        folder.mkdir(exist_ok=True)
        subprocess.run([sys.executable, script, folder, path, "40"], check=True)
    after, never_killed = (LedgerFile.read(tmp_path / n / "ledger.jsonl").rounds[-1] for n in ("last", "whole-ledger"))
    assert after["weights"] == never_killed["weights"]
    assert len(Journal(whole / "learner-0.jsonl").entries) == 40
    assert len(Journal(shared / "learner-0.jsonl").entries) == max(40, *reached)
