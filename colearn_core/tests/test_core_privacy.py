"""Privacy budgets: what they allow, what they remember, and what a crash can't make them forget."""

from __future__ import annotations

import json
from math import sqrt
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from colearn_core.data import Holdout, partition
from colearn_core.errors import Abstention, LedgerError, ParameterError, WeightsError
from colearn_core.experiment import Experiment
from colearn_core.learner import Proposal
from colearn_core.ledger import FileLedger, LedgerFile
from colearn_core.metrics import metric
from colearn_core.noise import noise_for, noise_of, noisy_score
from colearn_core.plugins import Plugins
from colearn_core.privacy import Budget, Journal, Privacy, SampledGaussian, Spent, together
from colearn_core.reference import SoftmaxRegression, blobs
from colearn_core.report.tables import learners_table
from colearn_core.splitting import Iid
from colearn_core.streams import Streams
from colearn_core.weights import Weights

PRIVACY = Privacy(target_epsilon=3.0, noise_multiplier=1.0)
STEP = SampledGaussian(1.0, 1.0, 1)
asked: list[tuple[SampledGaussian, ...]] = []


def simple(done: tuple[SampledGaussian, ...], delta: float) -> float:
    """Adds up, as no real accountant does, so that expectations are plain."""
    asked.append(done)
    return float(sum(item.steps * item.sample_rate / item.noise_multiplier for item in done))


def key(n: int) -> bytes:
    return n.to_bytes(16, "little")


def pay(budget: Budget, *ids: int, item: SampledGaussian = STEP) -> None:
    budget.spend("a proposal", {key(n): item for n in ids})


# What may be spent


def test_spending_ends_before_the_target_is_exceeded_and_says_why() -> None:
    budget = Budget(PRIVACY, simple)
    for n in range(3):
        pay(budget, n)
    with pytest.raises(Abstention, match=r"epsilon is 3 of 3 \(delta 1e-05\), and a proposal would make it 4"):
        pay(budget, 3)
    assert budget.spent == Spent(3.0, 3.0, 1e-5, (SampledGaussian(1.0, 1.0, 3),))


def test_an_answer_is_paid_for_once() -> None:
    budget = Budget(PRIVACY, simple)
    for _ in range(5):
        pay(budget, 1)
    assert budget.spent.epsilon == 1


def test_of_several_answers_all_or_none_are_paid_for() -> None:
    budget = Budget(PRIVACY, simple)
    with pytest.raises(Abstention):
        pay(budget, 1, 2, 3, 4)
    assert budget.spent.epsilon == 0
    pay(budget, 1, 2, 3)


def test_the_accountant_is_asked_only_about_something_new() -> None:
    budget = Budget(PRIVACY, simple)
    pay(budget, 1)
    asked.clear()
    for _ in range(3):
        assert budget.spent.epsilon == 1
        pay(budget, 1)
    assert not asked


def test_mechanisms_are_added_up_by_kind() -> None:
    other = SampledGaussian(2.0, 0.5, 10)
    assert together([STEP, other, STEP, STEP]) == (SampledGaussian(1.0, 1.0, 3), other)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"target_epsilon": 0.0}, "target_epsilon = 0.0 must be greater than 0"),
        ({"target_epsilon": float("inf")}, "target_epsilon = inf"),
        ({"target_delta": 1.0}, "is a probability, far below 1"),
        ({"target_delta": 0.0}, "target_delta = 0.0 must be greater than 0"),
        ({"max_grad_norm": -1.0}, "max_grad_norm = -1.0"),
        ({"noise_multiplier": 0.0}, "noise_multiplier = 0.0 must be positive"),
        ({"noise_multiplier": float("nan")}, "noise_multiplier = nan"),
        ({"score_noise_multiplier": -0.1}, "score_noise_multiplier = -0.1 must be 0 or greater"),
        ({"noise_multiplier": "auto"}, "for how many proposals must the budget last"),
        ({"noise_multiplier": "auto", "proposals": 3, "score_noise_multiplier": 1.0}, "for how many noisy scores"),
    ],
)
def test_a_setting_that_protects_nothing_is_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ParameterError, match=f"privacy: .*{message}"):
        Privacy(**{"target_epsilon": 1.0, "noise_multiplier": 1.0, **changes})


# How much noise


@given(st.floats(0.1, 50), st.integers(1, 1000))
def test_the_noise_found_keeps_the_budget_and_uses_it(target: float, steps: int) -> None:
    privacy = Privacy(target, noise_multiplier=1.0)
    noise = noise_for(privacy, simple, lambda sigma: [SampledGaussian(sigma, 0.1, steps)])
    spent = simple((SampledGaussian(noise, 0.1, steps),), 1e-5)
    assert spent <= target
    assert spent >= 0.98 * target or noise < 0.06  # the least that's looked for


def test_where_no_noise_is_enough_that_is_said() -> None:
    fixed = SampledGaussian(1.0, 1.0, 10)
    with pytest.raises(ParameterError, match=r"no noise keeps epsilon at 3; what is planned makes it 10"):
        noise_for(PRIVACY, simple, lambda sigma: [SampledGaussian(sigma, 1.0, 1), fixed])


# Noise


def test_noise_depends_on_the_secret_and_on_all_that_the_answer_depends_on() -> None:
    budget = Budget(PRIVACY, simple)
    other = Budget(Privacy(target_epsilon=3.0, noise_multiplier=2.0), simple)
    answers = [
        budget.answer(b"secret", b"proposal", b"1"),
        budget.answer(b"secret", b"proposal", b"2"),
        budget.answer(b"secret", b"proposal1", b""),
        budget.answer(b"another", b"proposal", b"1"),
        other.answer(b"secret", b"proposal", b"1"),
    ]
    draws = [noise_of(b"secret", answer).normal() for answer in answers]
    assert len(set(answers)) == len(set(draws)) == len(answers)
    assert noise_of(b"another", answers[0]).normal() != draws[0]
    assert noise_of(b"secret", answers[0]).normal() == draws[0]


def test_noise_on_scores_has_the_size_that_is_accounted_for() -> None:
    privacy = Privacy(3.0, noise_multiplier=1.0, score_noise_multiplier=4.0, score_bound=2.0)
    rng = np.random.default_rng(0)
    targets = np.zeros(50, dtype=np.int64)
    labels = np.repeat([0, 1], 25)
    accuracies = [noisy_score(privacy, metric("accuracy"), targets, labels, rng) for _ in range(4000)]
    assert np.mean(accuracies) == pytest.approx(0.5, abs=0.01)
    assert np.std(accuracies) == pytest.approx(4 * 1 / 50, rel=0.05)  # no sample can change more than 1
    errors = [noisy_score(privacy, metric("mse"), np.zeros(50), np.full(50, 9.0), rng) for _ in range(4000)]
    assert np.mean(errors) == pytest.approx(2.0, abs=0.02)  # clipped
    assert np.std(errors) == pytest.approx(4 * 2 / 50, rel=0.05)


def test_a_score_that_is_no_mean_gets_no_noise_that_would_hide_nothing() -> None:
    with pytest.raises(ParameterError, match="f1 is no mean over samples"):
        noisy_score(PRIVACY, metric("f1"), np.zeros(2), np.zeros(2), np.random.default_rng(0))


# What is remembered


def test_state_continues_a_budget() -> None:
    budget, fresh = Budget(PRIVACY, simple), Budget(PRIVACY, simple)
    assert budget.state() == {}
    pay(budget, 1)
    pay(budget, 2, item=SampledGaussian(2.0, 0.25, 4))
    fresh.restore(Weights.from_bytes(Weights(budget.state()).to_bytes()))
    assert fresh.spent == budget.spent
    pay(fresh, 1)
    assert fresh.spent == budget.spent


@pytest.mark.parametrize(
    "state",
    [
        {"privacy ids": np.zeros((2, 16), np.uint8)},
        {"privacy ids": np.zeros((2, 16), np.uint8), "privacy mechanisms": np.zeros((1, 3))},
        {"privacy ids": np.zeros((1, 3), np.uint8), "privacy mechanisms": np.zeros((1, 3))},
        {"privacy ids": np.zeros((1, 16)), "privacy mechanisms": np.zeros((1, 3))},
    ],
)
def test_a_state_of_something_else_is_refused(state: dict[str, Any]) -> None:
    with pytest.raises(WeightsError, match="no state of a privacy budget"):
        Budget(PRIVACY, simple).restore(state)


def test_what_a_journal_holds_is_spent_for_a_learner_made_anew(tmp_path: Path) -> None:
    path = tmp_path / "folder" / "hospital.jsonl"
    budget = Budget(PRIVACY, simple)
    pay(budget, 1)
    budget.keep(path)
    pay(budget, 2)
    again = Budget(PRIVACY, simple)
    again.keep(path)
    assert again.spent == budget.spent
    again.restore({})
    assert again.spent == budget.spent
    pay(again, 1, 2, 3)
    with pytest.raises(Abstention):
        pay(again, 4)
    assert len(path.read_text().splitlines()) == 3


@settings(deadline=None, max_examples=30)
@given(st.lists(st.tuples(st.integers(0, 20), st.floats(0.1, 9), st.floats(0, 1), st.integers(1, 99)), max_size=9))
def test_a_journal_cut_anywhere_holds_all_that_was_confirmed(
    tmp_path_factory: pytest.TempPathFactory, entries: list[Any]
) -> None:
    path = tmp_path_factory.mktemp("journal") / "j"
    journal = Journal(path)
    ends = [0]
    for n, *item in entries:
        if key(n) not in journal.entries:
            journal.add({key(n): SampledGaussian(*item)})
            ends.append(path.stat().st_size)
    data = path.read_bytes() if path.exists() else b""
    for cut in range(0, len(data) + 1, 7):
        path.write_bytes(data[:cut])
        found = Journal(path)
        confirmed = sum(end <= cut for end in ends) - 1
        assert list(found.entries.items()) == list(journal.entries.items())[:confirmed]
        found.add({key(99): STEP})
        assert list(Journal(path).entries) == [*list(journal.entries)[:confirmed], key(99)]


@pytest.mark.parametrize("line", ["[]", "{}", "no json", '{"id": "zz", "noise_multiplier": 1}'])
def test_a_file_that_is_no_journal_is_never_taken_for_an_empty_one(tmp_path: Path, line: str) -> None:
    path = tmp_path / "j"
    path.write_text(line + "\n")
    with pytest.raises(LedgerError, match=r"j, line 1 is no line of a privacy journal"):
        Budget(PRIVACY, simple).keep(path)


def test_without_room_for_the_journal_nothing_is_spent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    budget = Budget(PRIVACY, simple)
    budget.keep(tmp_path / "j")
    pay(budget, 1)

    def full(fd: int) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr("os.fsync", full)
        with pytest.raises(LedgerError, match="No space left on device\nWithout it nothing private is computed"):
            pay(budget, 2)
    assert budget.spent.epsilon == 1
    pay(budget, 3)
    assert list(Journal(tmp_path / "j").entries) == [key(1), key(3)]


# In an experiment


class Private(SoftmaxRegression):
    """Pays for its proposals, though it adds no noise."""

    def __init__(self, *args: Any, target: float = 2.0) -> None:
        super().__init__(*args)
        self.budget = Budget(Privacy(target, noise_multiplier=1.0), simple)

    def propose_weights(self, base: Weights, rng: np.random.Generator) -> Proposal:
        assert self.budget is not None
        self.budget.spend("a proposal", {self.budget.answer(b"", base.digest.encode(), rng.bytes(8)): STEP})
        return super().propose_weights(base, rng)


@pytest.fixture
def experiment() -> Experiment:
    parts = partition(blobs(samples=90), Iid(), 3, Holdout(0.3, 0.2), Streams(0))
    learners = [Private(parts[0]), SoftmaxRegression(parts[1]), Private(parts[2], target=1.0)]
    return Experiment(learners, proposals="round_robin", plugins=Plugins(()), names=["Zoë", "Bo", "Cy"])


def test_a_learner_whose_budget_is_spent_goes_on_voting(experiment: Experiment) -> None:
    records = list(experiment.rounds(9))
    refused = {r.round: r.refusals for r in records if r.refusals}
    assert list(refused) == [6, 7, 9]
    assert "its privacy budget is spent: epsilon is 2 of 2" in refused[7][0]
    assert all(r.votes[i, 0] for r in records[7:8] for i in (0, 2))


def test_what_is_spent_is_in_history_ledger_summary_and_table(experiment: Experiment, tmp_path: Path) -> None:
    with FileLedger(tmp_path) as experiment.ledger:
        run = experiment.run(5)
    assert [{i: s.epsilon for i, s in row.items()} for row in run.history.privacy] == [
        *({0: 0, 2: 0}, {0: 1, 2: 0}, {0: 1, 2: 0}, {0: 1, 2: 1}, {0: 2, 2: 1}, {0: 2, 2: 1})
    ]
    assert LedgerFile.read(tmp_path / "ledger.jsonl").history().privacy == run.history.privacy
    lines = [json.loads(line) for line in (tmp_path / "ledger.jsonl").read_text().splitlines()]
    assert [list(line.get("privacy", {})) for line in lines] == [["0", "2"], ["0"], [], ["2"], ["0"], []]
    assert lines[4]["privacy"]["0"] == {
        "epsilon": 2.0,
        "target_epsilon": 2.0,
        "delta": 1e-5,
        "mechanisms": [[1.0, 1.0, 2]],
    }
    assert run.summary()["privacy"] == {"epsilon": 2.0, "delta": 1e-5}
    assert run.history.columns()["epsilon"] == [1, 1, 1, 2, 2]
    column = learners_table(run.history).columns[-1]
    assert column.header == "epsilon (delta 1e-05)"
    assert list(column.cells) == ["2 of 2", "–", "1 of 1", ""]


def test_journals_bear_the_learners_names(experiment: Experiment, tmp_path: Path) -> None:
    experiment.cohort.keep_budgets(tmp_path)
    experiment.run(1)
    assert {path.name: len(Journal(path).entries) for path in tmp_path.iterdir()} == {"Zoë.jsonl": 1}
    other = Budget(PRIVACY, simple)
    other.keep(tmp_path / "Zoë.jsonl")
    assert other.spent.epsilon == 1


def test_the_gaussian_noise_is_gaussian() -> None:
    draws = noise_of(b"k", b"a").standard_normal(20_000)
    assert abs(draws.mean()) < 4 / sqrt(20_000)
    assert draws.std() == pytest.approx(1, abs=0.02)
