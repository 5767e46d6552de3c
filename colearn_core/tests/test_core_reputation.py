"""Reputations: folded from the public record, against those whose inclusion costs approval."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from colearn_core.past import PastRound
from colearn_core.reputation import DOUBT, LEAST, MEMORY, Reputations, is_plain

LEARNERS = 10
VOTERS = [[1, -1, 1]] * 7


def past(
    authors: list[tuple[int, ...]], votes: list[list[int]], labels: list[str] | None = None, round: int = 1
) -> PastRound:
    """One row of votes for each learner."""
    named = tuple(labels or ["mean of some"] * len(authors))
    proposers = tuple(sorted({i for some in authors for i in some}))
    return PastRound(round, proposers, tuple(authors), named, np.array(votes, dtype=np.int8), 0, True)


def test_the_evidence_is_the_approval_with_a_learner_less_that_without() -> None:
    # All vote alike, so that each counts the same: 0 and 2 are in what was approved, 1 is in what wasn't.
    found = Reputations().after(past([(0, 2), (0, 1), (2,)], VOTERS))
    evidence = {0: 0.5 - 1.0, 1: 0.0 - 1.0, 2: 1.0 - 0.0}
    assert found.sums[:3] == pytest.approx([evidence[i] for i in range(3)])
    assert found.of(1) == pytest.approx(-1 / np.sqrt(DOUBT + 1))
    assert found.of(3) == found.of(99) == 0


def test_newer_evidence_weighs_more() -> None:
    bad, good = past([(0,), (1,)], [[-1, 1]] * 5), past([(0,), (1,)], [[1, -1]] * 5)
    both = Reputations().after(bad).after(good)
    assert both.sums[0] == pytest.approx(1 - MEMORY)
    assert both.of(0) > 0 > both.of(1)


@pytest.mark.parametrize(
    "nothing",
    [
        past([], [[]] * 4),
        past([(0, 1), (0, 1)], [[1, -1]] * 4),
        past([(0,), (1,)], [[1, 1]] * 4),
        past([(0,), (1,)], [[0, 0]] * 4),
        past([(0,), (1,)], [[-1, 1]] * 4, labels=["krum", "krum"]),
    ],
    ids=["no candidate", "the same authors", "approved alike", "nobody votes", "robust means"],
)
def test_a_round_that_tells_nothing_changes_nothing(nothing: PastRound) -> None:
    known = Reputations().after(past([(0,), (1,)], [[-1, 1]] * 4))
    assert known.after(nothing) == known


def test_who_votes_against_all_others_does_not_count() -> None:
    honest = past([(0, 2), (0, 1), (2,)], VOTERS)
    contrary = past([(0, 2), (0, 1), (2,)], VOTERS + [[-1, 1, -1]] * 3)
    assert Reputations().after(contrary).sums[:3] == pytest.approx(Reputations().after(honest).sums[:3])


def test_a_mean_among_robust_ones_is_compared_with_what_it_usually_gets() -> None:
    def voted(mean: int, krum: int) -> PastRound:
        return past([(0, 1), (0,)], [[mean, krum]] * 10, labels=["mean", "krum"])

    found = Reputations().after(voted(1, -1)).after(voted(-1, 1))
    assert found.sums[:3] == pytest.approx([-1, -1, 0])


def test_a_candidate_without_rivals_is_compared_with_what_such_ones_usually_get() -> None:
    found = Reputations().after(past([(0, 1)], [[1]] * 6 + [[-1]] * 4, labels=["mean"]))
    assert found.usual == pytest.approx(0.6)
    assert found.of(0) == 0
    found = found.after(past([(1, 2)], [[1]] * 2 + [[-1]] * 8, labels=["mean"]))
    assert found.sums[:3] == pytest.approx([0, -0.4, -0.4])
    assert found.usual == pytest.approx(MEMORY * 0.6 + (1 - MEMORY) * 0.2)


def test_robust_means_are_no_evidence_and_plain_ones_are() -> None:
    assert all(map(is_plain, ["mean", "mean without 3", "mean of 1+2", "mean of the trusted", "proposal"]))
    others = ["median", "krum", "multi-krum", "geometric median", "trimmed mean", "step 2 of the mean"]
    assert not any(map(is_plain, others))


def played(rounds: int, liars: tuple[int, ...], seed: int = 0) -> Reputations:
    """A committee of five each round; honest voters mostly reject what liars are in, and liars vote the contrary."""
    rng, found = np.random.default_rng(seed), Reputations()
    for round in range(1, rounds + 1):
        members = sorted(int(i) for i in rng.choice(LEARNERS, 5, replace=False))
        authors = [tuple(j for j in members if j != i) for i in members]
        spoilt = np.array([sum(i in liars for i in some) for some in authors])
        chance = np.clip(0.8 - 0.2 * spoilt, 0.1, 1)
        votes = np.where(rng.random((LEARNERS, 5)) < chance, 1, -1)
        votes[list(liars)] *= -1
        found = found.after(past(authors, votes.tolist(), round=round))
    return found


@pytest.mark.parametrize("seed", range(3))
def test_liars_come_to_be_drawn_less_but_are_still_drawn(seed: int) -> None:
    liars = (2, 5, 8)
    chances = played(60, liars, seed).chances(LEARNERS)
    honest = [chances[i] for i in range(LEARNERS) if i not in liars]
    assert np.mean(chances[list(liars)]) < np.mean(honest) / 2
    assert min(chances) >= LEAST / LEARNERS
    assert chances.sum() == pytest.approx(1)


def test_among_the_honest_nobody_is_shunned() -> None:
    chances = played(60, ()).chances(LEARNERS)
    assert min(chances) > 0.1 / LEARNERS


def test_who_mends_is_forgiven() -> None:
    found = Reputations()
    for _ in range(20):
        found = found.after(past([(0,), (1,)], [[-1, 1]] * 5))
    assert not found.good(0)
    for _ in range(40):
        found = found.after(past([(0,), (1,)], [[1, -1]] * 5))
    assert found.good(0)


@given(st.lists(st.lists(st.integers(-1, 1), min_size=3, max_size=3), min_size=4, max_size=4))
def test_any_votes_give_finite_reputations_and_the_order_of_voters_does_not_matter(votes: list[list[int]]) -> None:
    authors: list[tuple[int, ...]] = [(0, 1), (1, 2), (0, 2)]
    found = Reputations().after(past(authors, votes))
    again = Reputations().after(past(authors, votes[::-1]))
    assert np.isfinite(found.sums).all()
    assert all(abs(x) <= 1 + 1e-12 for x in found.sums)
    np.testing.assert_allclose(found.sums, again.sums, atol=1e-12)
