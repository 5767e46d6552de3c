"""Reputations of proposers: whose inclusion costs approval, told from the public record alone."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from math import exp, sqrt
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from colearn_core.approval import Approval
from colearn_core.config import ExperimentConfig, prepare
from colearn_core.ledger import VOTES, FileLedger
from colearn_core.past import PastRound
from colearn_core.plugins import Plugins
from colearn_core.proposing import Committee, Random
from colearn_core.reputation import DOUBT, GOOD, LEAST, MEMORY, Reputations, is_plain
from colearn_core.streams import Streams

UNHURRIED = settings(deadline=None)
Authors = tuple[int, ...]

SIX: tuple[Authors, ...] = tuple(tuple(j for j in range(6) if j != i) for i in range(6))
"""Each of six left out once."""


def past(
    votes: Sequence[Sequence[int]], authors: Sequence[Authors], labels: Sequence[str] = (), round: int = 1
) -> PastRound:
    """A round with such votes, one row per learner."""
    table = np.array(votes, dtype=np.int8).reshape(len(votes), len(authors))
    everyone = tuple(sorted({i for some in authors for i in some}))
    names = tuple(labels) or ("mean",) * len(authors)
    return PastRound(round, everyone, tuple(authors), names, table, 0 if authors else None, bool(authors))


def agreed(approved: Sequence[bool], voters: int = 6) -> list[list[int]]:
    """All vote alike."""
    return [[1 if yes else -1 for yes in approved]] * voters


def folded(rounds: Sequence[PastRound], begun: Reputations | None = None) -> Reputations:
    found = Reputations() if begun is None else begun
    for one in rounds:
        found = found.after(one)
    return found


def noisy(rounds: int, liar: int, liars_vote: Callable[[Sequence[bool]], list[int]] | None = None) -> list[PastRound]:
    """Rounds of ten learners; most approve candidates without the liar and reject those with it, now and then not.

    Args:
        liars_vote: how learners 7, 8 and 9 vote, told which candidates hold something of the liar; by default they
            vote as all others do.
    """
    rng = np.random.default_rng(4)
    found = []
    for round in range(1, rounds + 1):
        some = sorted(int(i) for i in rng.choice(10, 5, replace=False))
        authors = [tuple(some), *(tuple(j for j in some if j != i) for i in some)]
        spoilt = [liar in a for a in authors]
        chance = np.where(spoilt, 0.1, 0.85)
        votes = np.where(rng.random((10, len(authors))) < chance, 1, -1).tolist()
        if liars_vote is not None:
            votes[7:] = [liars_vote(spoilt)] * 3
        found.append(past(votes, authors, round=round))
    return found


# What a round says


def test_without_a_record_nobody_has_a_reputation() -> None:
    assert [Reputations().of(i) for i in (0, 5)] == [0, 0]
    assert Reputations().good(3)
    np.testing.assert_allclose(Reputations().chances(4), [0.25] * 4)


def test_evidence_is_the_approval_with_a_learner_less_that_without_it() -> None:
    # Only the mean without learner 2 is approved.
    found = Reputations().after(past(agreed([i == 2 for i in range(6)]), SIX))
    others = 1 / 5  # with it: one of five; without it: none
    expected = [others / sqrt(DOUBT + others**2)] * 6
    expected[2] = -1 / sqrt(DOUBT + 1)
    assert [found.of(i) for i in range(6)] == pytest.approx(expected)


@UNHURRIED
@given(st.lists(st.lists(st.booleans(), min_size=6, max_size=6), min_size=1, max_size=8))
def test_old_evidence_fades(approved: list[list[bool]]) -> None:
    found = folded([past(agreed(row), SIX) for row in approved])
    told = [row for row in approved if len(set(row)) == 2]  # where all are approved alike, nothing is told
    for i in range(6):
        evidence = [sum(row[c] for c in range(6) if c != i) / 5 - row[i] for row in told]
        weights = [MEMORY ** (len(told) - 1 - t) for t in range(len(told))]
        sums = sum(w * e for w, e in zip(weights, evidence, strict=True))
        squares = sum(w * e * e for w, e in zip(weights, evidence, strict=True))
        assert found.of(i) == pytest.approx(sums / sqrt(DOUBT + squares), abs=1e-12)


@UNHURRIED
@given(st.lists(st.lists(st.sampled_from([-1, 0, 1]), min_size=6, max_size=6), min_size=6, max_size=8))
def test_one_round_convicts_nobody_whatever_is_voted(votes: list[list[int]]) -> None:
    found = Reputations().after(past(votes, SIX))
    assert all(found.good(i) for i in range(6))
    assert all(np.isfinite(found.of(i)) for i in range(6))


@UNHURRIED
@given(st.lists(st.lists(st.sampled_from([-1, 0, 1]), min_size=6, max_size=6), min_size=6, max_size=8))
def test_a_voter_counts_by_its_correlation_with_the_others_votes(votes: list[list[int]]) -> None:
    shares = [[(v + 1) / 2 for v in row] for row in votes]
    weights = []
    for v, row in enumerate(shares):
        others = [sum(other[c] for w, other in enumerate(shares) if w != v) for c in range(6)]
        constant = len(set(row)) == 1 or len(set(others)) == 1
        weights.append(0.0 if constant else max(0.0, float(np.corrcoef(row, others)[0, 1])))
    weights = [w if w > 1e-9 else 0.0 for w in weights]
    found = Reputations().after(past(votes, SIX))
    if not any(weights):
        assert [found.of(i) for i in range(6)] == [0] * 6
        return
    approval = [sum(w * row[c] for w, row in zip(weights, shares, strict=True)) / sum(weights) for c in range(6)]
    for i in range(6):
        evidence = sum(approval[c] for c in range(6) if c != i) / 5 - approval[i]
        assert found.of(i) == pytest.approx(evidence / sqrt(DOUBT + evidence**2), abs=1e-6)


@pytest.mark.parametrize(
    "round",
    [
        past(agreed([True] * 6), SIX),
        past(agreed([False] * 6), SIX),
        past([[0] * 6] * 6, SIX),
        past([[]] * 6, []),
        past(agreed([True, False, True]), [(0, 1, 2)] * 3, ("median", "trimmed mean", "geometric median")),
        past(agreed([True, False]), [(0, 1, 2)] * 2, ("mean", "mean of the trusted")),
        past([[1, 1, 1, -1, -1, -1]] + [[0] * 6] * 5, SIX),
    ],
    ids=["all approved", "all rejected", "nobody voted", "no candidates", "robust means", "all in all", "one voter"],
)
def test_such_a_round_says_nothing(round: PastRound) -> None:
    before = folded(noisy(10, liar=2))
    after = before.after(round)
    assert [after.of(i) for i in range(6)] == [before.of(i) for i in range(6)]


def test_only_plain_means_tell_how_much_of_whom_is_in_them() -> None:
    plain = ["mean", "proposal", "mean without 3", "mean of 1+2", "mean of the trusted", "krum", "multi-krum"]
    robust = ["median", "trimmed mean", "geometric median", "centred clipping", "step 0.5 of the mean", "meandering"]
    assert [is_plain(label) for label in plain] == [True] * len(plain)
    assert [is_plain(label) for label in robust] == [False] * len(robust)


def test_what_multi_krum_leaves_out_is_told_also_when_its_mean_stands_for_the_one_without_a_learner() -> None:
    """They have the same weights, so only the first is put to the vote."""
    authors = [(0, 1, 2, 3), (0, 1, 2), (1, 2, 3), (0, 2, 3), (0, 1, 3)]
    labels = ["mean", "multi-krum", "mean without 0", "mean without 1", "mean without 2"]
    found = Reputations().after(past(agreed([False, True, False, False, False]), authors, labels))
    assert found.of(3) == pytest.approx(-1 / sqrt(DOUBT + 1))


# A lone candidate


def test_a_lone_candidate_is_compared_with_what_such_ones_usually_get() -> None:
    def lone(approvals: int, *authors: int) -> PastRound:
        return past([[1]] * approvals + [[-1]] * (8 - approvals) + [[0]] * 2, [authors], ("mean",))

    first = Reputations().after(lone(6, 0, 1))
    assert first.usual == 6 / 8
    assert [first.of(i) for i in range(3)] == [0, 0, 0]
    second = first.after(lone(2, 1, 2))
    assert [second.of(i) for i in range(3)] == pytest.approx([0, *[-0.5 / sqrt(DOUBT + 0.25)] * 2])
    assert second.usual == pytest.approx(MEMORY * 0.75 + (1 - MEMORY) * 0.25)
    assert second.after(past([[0]] * 10, [(0,)])).usual == second.usual


# Over many rounds


def test_who_costs_approval_falls_and_the_honest_do_not() -> None:
    found = folded(noisy(60, liar=2))
    assert found.of(2) < -3
    honest = [found.of(i) for i in range(10) if i != 2]
    assert min(honest) > -2
    assert sum(honest) / len(honest) > 0
    assert not found.good(2)
    chances = found.chances(10)
    assert chances.sum() == pytest.approx(1)
    assert chances[2] == min(chances) < 0.1 * max(chances)


@pytest.mark.parametrize("attack", ["opposite", "loyal", "yes", "no"])
def test_lies_in_the_vote_count_little(attack: str) -> None:
    """Three of ten speak for the liar; it falls nearly as if they had told the truth."""
    lies: dict[str, Callable[[Sequence[bool]], list[int]]] = {
        "opposite": lambda spoilt: [1 if s else -1 for s in spoilt],
        "loyal": lambda spoilt: [1 if s else -1 for s in spoilt],
        "yes": lambda spoilt: [1] * len(spoilt),
        "no": lambda spoilt: [-1] * len(spoilt),
    }
    told, lied = folded(noisy(60, 2)), folded(noisy(60, 2, lies[attack]))
    assert lied.of(2) < 0.75 * told.of(2) < 0
    assert min(lied.of(i) for i in range(10) if i != 2) > 0.5 * lied.of(2)


def test_who_votes_against_all_others_counts_nothing() -> None:
    votes = [[1, 1, 1, -1, -1, -1]] * 7
    against = [[-1, -1, -1, 1, 1, 1]] * 3
    with_, without = (Reputations().after(past(v, SIX)) for v in (votes + against, votes))
    assert [with_.of(i) for i in range(6)] == pytest.approx([without.of(i) for i in range(6)])


def test_who_mends_is_trusted_again() -> None:
    fallen = folded(noisy(40, liar=2))
    mended = folded(noisy(120, liar=11), fallen)
    assert not fallen.good(2)
    assert mended.good(2)
    assert mended.of(2) > fallen.of(2) + 2


def test_learners_may_join_later() -> None:
    begun = folded([past(agreed([i == 2 for i in range(6)]), SIX)])
    more = begun.after(past(agreed([True, False], voters=8), [(6, 7), (0, 7)]))
    assert more.of(6) > 0 > more.of(0)
    assert more.of(2) == begun.of(2)
    assert more.of(99) == 0


# A value that all readers of the record come to


def test_after_gives_another_value_and_leaves_the_first_as_it_was() -> None:
    rounds = noisy(12, liar=2)
    begun = folded(rounds[:6])
    kept = replace(begun)
    once, again = begun.after(rounds[6]), begun.after(rounds[6])
    assert once == again != begun == kept
    assert hash(once) == hash(again)
    assert folded(rounds) == folded(rounds)


@pytest.mark.parametrize("strategy", [Committee(5, choose="reputation"), Approval(5, families=("trusted", "mean"))])
def test_a_strategy_learns_by_becoming_another_one(strategy: Committee) -> None:
    rounds = noisy(40, liar=2)
    looks, learned = repr(strategy), strategy
    for one in rounds:
        learned = learned.after(one)
    assert type(learned) is type(strategy)
    assert learned.reputations == folded(rounds)
    assert strategy.reputations == Reputations()
    assert repr(strategy) == repr(learned) == looks  # reputations are the record's, not the configuration's
    assert learned != strategy


@pytest.mark.parametrize("strategy", [Committee(5), Approval(5), Committee(3, choose="round_robin"), Random()])
def test_who_does_not_go_by_reputations_learns_nothing(strategy: Any) -> None:
    assert strategy.after(noisy(1, liar=2)[0]) is strategy


# Who is drawn


def learned(size: int = 1) -> Committee:
    strategy = Committee(size, choose="reputation")
    for one in noisy(80, liar=2):
        strategy = strategy.after(one)
    return strategy


def drawn(strategy: Committee, rounds: int = 4000) -> list[int]:
    asked = [i for r in range(1, rounds + 1) for i in strategy.proposers(r, 10, Streams(0))]
    return [asked.count(i) for i in range(10)]


def test_a_committee_by_reputation_draws_the_liar_less_and_draws_it_still() -> None:
    strategy = learned()
    chances = strategy.reputations.chances(10)
    found = drawn(strategy)
    assert 0 < found[2] < min(n for i, n in enumerate(found) if i != 2) / 3
    for n, p in zip(found, chances, strict=True):
        assert abs(n - 4000 * p) < 5 * sqrt(4000 * p * (1 - p))


def test_before_anything_is_known_all_are_drawn_alike() -> None:
    assert all(400 * 0.75 < n < 400 * 1.25 for n in drawn(Committee(1, choose="reputation")))


def test_chances_follow_the_reputation_down_to_a_twentieth() -> None:
    some = Reputations(sums=(-100.0, -1.0, 0.0, 3.0), squares=(1.0, 1 - DOUBT, 1.0, 1.0))
    odds = np.array([LEAST, exp(-1.0), 1, 1])
    np.testing.assert_allclose(some.chances(4), odds / odds.sum())
    assert [some.good(i) for i in range(4)] == [False, True, True, True]
    assert GOOD == -1.0


def test_all_of_a_committee_of_all_are_asked_whatever_their_reputation() -> None:
    assert list(learned(size=10).proposers(1, 10, Streams(0))) == list(range(10))


# In whole experiments


def experiment(folder: Path | None = None, votes: str = "opposite", rounds: int = 40, **proposals: Any) -> Any:
    values = {
        "data": {"name": "blobs", "samples": 400},
        "learner": "softmax",
        "learners": 8,
        "proposals": {"name": "approval", "choose": "reputation", **proposals},
        "adversaries": [{"name": "sign_flip", "learners": [1, 5], "scale": 4.0, "votes": votes}],
    }
    prepared = prepare(ExperimentConfig.from_mapping(values, "test"), Plugins([]))
    ledger = None if folder is None else FileLedger(folder)
    found = prepared.experiment(ledger=ledger)
    found.run(rounds)
    if ledger is not None:
        ledger.close()
    return found


@pytest.mark.parametrize("votes", ["honest", "opposite", "loyal"])
def test_liars_in_an_experiment_have_the_lowest_reputations_and_are_asked_less(votes: str) -> None:
    strategy = experiment(votes=votes).strategy
    found = [strategy.reputations.of(i) for i in range(8)]
    assert sorted(range(8), key=found.__getitem__)[:2] in ([1, 5], [5, 1])
    assert not strategy.reputations.good(1)
    assert not strategy.reputations.good(5)
    counts = [0] * 8
    for r in range(1, 401):
        for i in strategy.proposers(r, 8, Streams(1)):
            counts[i] += 1
    assert 0 < max(counts[1], counts[5]) < min(n for i, n in enumerate(counts) if i not in (1, 5))


def test_whoever_reads_the_ledger_comes_to_the_same_reputations(tmp_path: Path) -> None:
    strategy = experiment(tmp_path, rounds=25, families=["trusted", "mean", "leave_one_out"]).strategy
    found, seen = Reputations(), set[str]()
    for line in map(json.loads, (tmp_path / "ledger.jsonl").read_text(encoding="utf-8").splitlines()[1:]):
        authors = tuple(tuple(c["authors"]) for c in line["candidates"])
        labels = tuple(c["label"] for c in line["candidates"])
        seen.update(labels)
        table = np.array([[VOTES[v] for v in c["votes"]] for c in line["candidates"]], dtype=np.int8).T
        proposers = tuple(line["proposers"])
        found = found.after(
            PastRound(line["round"], proposers, authors, labels, table, line["leader"], line["accepted"])
        )
    assert found == strategy.reputations
    assert "mean of the trusted" in seen
