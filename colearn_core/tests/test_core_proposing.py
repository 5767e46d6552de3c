"""Proposal strategies: who is asked in a round, and what is made of the answers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import combinations
from math import inf, nan

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from colearn_core.approval import Approval
from colearn_core.errors import ParameterError
from colearn_core.learner import Proposal
from colearn_core.proposing import (
    Candidate,
    Committee,
    Everyone,
    LineSearch,
    ProposalStrategy,
    Random,
    RoundRobin,
)
from colearn_core.streams import Streams
from colearn_core.weights import Weights, mean

UNHURRIED = settings(deadline=None)
STRATEGIES: tuple[ProposalStrategy, ...] = (
    RoundRobin(),
    Random(),
    LineSearch(),
    Everyone(),
    Committee(3),
    Approval(3),
)
BASE = Weights({"w": np.array([0.0, 10.0])})


def proposed(*learners: int, samples: int = 1) -> dict[int, Proposal]:
    """Learner i proposes the square of i, so that mean and median are different things."""
    return {i: Proposal(Weights({"w": np.array([i * i, 10.0])}), samples) for i in learners}


def merged(proposals: Sequence[Proposal]) -> Weights:
    return mean([p.weights for p in proposals], [p.samples for p in proposals])


def candidates(strategy: ProposalStrategy, *learners: int) -> list[Candidate]:
    return strategy.candidates(BASE, proposed(*learners), merged)


def summary(found: list[Candidate]) -> list[tuple[str, tuple[int, ...], float]]:
    return [(c.label, c.authors, float(c.weights["w"][0])) for c in found]


def over_rounds(strategy: ProposalStrategy, learners: int, rounds: int = 30, seed: int = 0) -> list[tuple[int, ...]]:
    return [tuple(strategy.proposers(r, learners, Streams(seed))) for r in range(1, rounds + 1)]


# Who proposes


@pytest.mark.parametrize("strategy", STRATEGIES, ids=repr)
@UNHURRIED
@given(round=st.integers(1, 10**6), learners=st.integers(1, 20), seed=st.integers(0, 10**9))
def test_proposers_are_different_learners_and_the_same_ones_when_asked_again(
    strategy: ProposalStrategy, round: int, learners: int, seed: int
) -> None:
    found = list(strategy.proposers(round, learners, Streams(seed)))
    assert found
    assert len(set(found)) == len(found)
    assert set(found) <= set(range(learners))
    assert all(type(i) is int for i in found)  # numpy's integers are no JSON
    assert list(strategy.proposers(round, learners, Streams(seed))) == found


@pytest.mark.parametrize("strategy", [RoundRobin(), LineSearch()], ids=repr)
def test_one_after_the_other_proposes_beginning_with_the_first(strategy: ProposalStrategy) -> None:
    assert over_rounds(strategy, 3, rounds=7) == [(0,), (1,), (2,), (0,), (1,), (2,), (0,)]


def test_everyone_proposes_in_every_round() -> None:
    assert over_rounds(Everyone(), 3, rounds=2) == [(0, 1, 2)] * 2


@pytest.mark.parametrize("strategy", [Committee(3), Approval(3)], ids=repr)
def test_a_committee_has_its_size_in_order_of_number(strategy: ProposalStrategy) -> None:
    for found in over_rounds(strategy, 8):
        assert len(found) == 3
        assert list(found) == sorted(found)


@pytest.mark.parametrize("strategy", [Committee(5), Approval(5)], ids=repr)
def test_a_committee_larger_than_the_group_is_the_group(strategy: ProposalStrategy) -> None:
    assert set(over_rounds(strategy, 3)) == {(0, 1, 2)}


@pytest.mark.parametrize("strategy", [Random(), Committee(3), Approval(3)], ids=repr)
def test_drawn_proposers_differ_over_rounds_and_seeds_and_everyone_has_a_turn(strategy: ProposalStrategy) -> None:
    drawn = over_rounds(strategy, 5, rounds=60)
    assert len(set(drawn)) > 3
    assert {i for found in drawn for i in found} == set(range(5))
    assert over_rounds(strategy, 5, rounds=60, seed=1) != drawn


def test_all_are_drawn_about_equally_often() -> None:
    drawn = over_rounds(Random(), 4, rounds=1000)
    assert all(200 < drawn.count((i,)) < 300 for i in range(4))
    committees = over_rounds(Committee(2), 4, rounds=1000)
    assert all(100 < committees.count(pair) < 240 for pair in combinations(range(4), 2))


# What is put to the vote


@pytest.mark.parametrize("strategy", [RoundRobin(), Random()], ids=repr)
def test_a_lone_proposal_is_the_candidate(strategy: ProposalStrategy) -> None:
    proposals = proposed(3)
    (candidate,) = strategy.candidates(BASE, proposals, merged)
    assert candidate == Candidate(proposals[3].weights, (3,), "proposal")


@pytest.mark.parametrize("strategy", [Everyone(), Committee(), Approval()], ids=repr)
def test_when_only_one_has_proposed_its_proposal_is_the_candidate(strategy: ProposalStrategy) -> None:
    proposals = proposed(3)
    (candidate,) = strategy.candidates(BASE, proposals, merged)
    assert candidate == Candidate(proposals[3].weights, (3,), "proposal")


@pytest.mark.parametrize("strategy", [Everyone(), Committee()], ids=repr)
def test_the_mean_of_all_proposals_is_the_candidate(strategy: ProposalStrategy) -> None:
    assert summary(candidates(strategy, 1, 2, 5)) == [("mean", (1, 2, 5), 10)]


@pytest.mark.parametrize("strategy", [Everyone(), Committee(), Approval()], ids=repr)
def test_proposals_are_merged_as_the_learners_say(strategy: ProposalStrategy) -> None:
    def heaviest(proposals: Sequence[Proposal]) -> Weights:
        return max(proposals, key=lambda p: p.samples).weights

    proposals = proposed(1) | proposed(2, samples=9) | proposed(3)
    assert strategy.candidates(BASE, proposals, heaviest)[0].weights == proposals[2].weights


def test_a_line_search_goes_by_each_step_in_the_given_order() -> None:
    found = candidates(LineSearch((1.0, 0.25, 2.0)), 2)
    assert summary(found) == [("step 1", (2,), 4), ("step 0.25", (2,), 1), ("step 2", (2,), 8)]
    assert [c.weights["w"][1] for c in found] == [10, 10, 10]


def test_a_full_step_of_a_line_search_is_the_proposal_to_the_bit() -> None:
    base = Weights({"w": np.array([1e8, 0.3], dtype="f4")})
    proposal = Proposal(Weights({"w": np.array([1.1, 0.1], dtype="f4")}), 1)
    (candidate,) = LineSearch((1.0,)).candidates(base, {0: proposal}, merged)
    assert candidate.weights.digest == proposal.weights.digest


def test_approval_of_two_offers_the_mean_and_each_alone() -> None:
    assert summary(candidates(Approval(), 1, 3)) == [("mean", (1, 3), 5), ("proposal", (3,), 9), ("proposal", (1,), 1)]


def test_approval_of_three_offers_mean_median_and_pairs() -> None:
    assert summary(candidates(Approval(), 1, 2, 5)) == [
        ("mean", (1, 2, 5), 10),
        ("median", (1, 2, 5), 4),
        ("mean without 1", (2, 5), 14.5),
        ("mean without 2", (1, 5), 13),
        ("mean without 5", (1, 2), 2.5),
    ]


def test_approval_of_five_offers_mean_median_leave_one_outs_and_halves() -> None:
    found = candidates(Approval(), 0, 2, 4, 6, 8)
    assert [(c.label, c.authors) for c in found] == [
        ("mean", (0, 2, 4, 6, 8)),
        ("median", (0, 2, 4, 6, 8)),
        ("mean without 0", (2, 4, 6, 8)),
        ("mean without 2", (0, 4, 6, 8)),
        ("mean without 4", (0, 2, 6, 8)),
        ("mean without 6", (0, 2, 4, 8)),
        ("mean without 8", (0, 2, 4, 6)),
        ("mean of 0+2+4", (0, 2, 4)),
        ("mean of 2+4+6", (2, 4, 6)),
        ("mean of 4+6+8", (4, 6, 8)),
        ("mean of 0+6+8", (0, 6, 8)),
        ("mean of 0+2+8", (0, 2, 8)),
    ]


@UNHURRIED
@given(st.sets(st.integers(0, 30), min_size=1, max_size=9))
def test_approval_offers_no_committee_twice_and_a_mean_of_just_its_authors(learners: set[int]) -> None:
    everyone = tuple(sorted(learners))
    found = candidates(Approval(), *everyone)
    means = [c for c in found if c.label != "median"]
    assert len({c.authors for c in means}) == len(means)
    assert len({c.label for c in found if c.label != "proposal"}) == sum(c.label != "proposal" for c in found)
    assert found[0].authors == everyone
    for c in means:
        assert set(c.authors) <= learners
        assert c.authors == tuple(sorted(c.authors))
        assert c.weights["w"][0] == pytest.approx(np.mean([i * i for i in c.authors]))
    assert [float(c.weights["w"][0]) for c in found if c.label == "median"] == (
        [np.median([i * i for i in everyone])] if len(everyone) > 2 else []
    )


@UNHURRIED
@given(st.sets(st.integers(0, 30), min_size=2, max_size=9), st.data())
def test_any_single_liar_is_left_out_of_some_candidate(learners: set[int], data: st.DataObject) -> None:
    liar = data.draw(st.sampled_from(sorted(learners)))
    assert any(liar not in c.authors for c in candidates(Approval(), *sorted(learners)))


@pytest.mark.parametrize("strategy", STRATEGIES, ids=repr)
def test_proposals_and_current_weights_are_left_alone(strategy: ProposalStrategy) -> None:
    proposals = proposed(1, 2, 3)
    before = [BASE.digest, *(p.weights.digest for p in proposals.values())]
    strategy.candidates(BASE, proposals, merged)
    again = [Weights(w).digest for w in (BASE, *(p.weights for p in proposals.values()))]
    assert again == before


# Parameters


@pytest.mark.parametrize("strategy", [Committee, Approval])
@pytest.mark.parametrize("size", [0, -1])
def test_a_committee_of_nobody_is_refused(strategy: Callable[[int], ProposalStrategy], size: int) -> None:
    with pytest.raises(ParameterError, match=f"size must be at least 1, not {size}"):
        strategy(size)


@pytest.mark.parametrize("steps", [(), (0.0,), (1.0, -0.5), (nan,), (inf,)])
def test_steps_that_are_no_positive_numbers_are_refused(steps: tuple[float, ...]) -> None:
    with pytest.raises(ParameterError, match="steps must be positive numbers"):
        LineSearch(steps)


class Growing:
    """Models that get more values with every proposal, as trees do; combining them adds these."""

    base = Weights({"w": np.array([1.0])})

    def proposed(self, *learners: int) -> dict[int, Proposal]:
        return {i: Proposal(Weights({"w": np.array([1.0] + [2.0] * (i + 1))}), 1) for i in learners}

    @staticmethod
    def combine(proposals: Sequence[Proposal]) -> Weights:
        total = sum(p.samples for p in proposals)
        return Weights({"w": np.concatenate([p.weights["w"] * p.samples / total for p in proposals])})


def test_models_that_grow_are_searched_along_the_line_as_far_as_the_proposal() -> None:
    found = LineSearch((1.0, 0.25, 2.0)).candidates(Growing.base, Growing().proposed(1), Growing.combine)
    assert [c.label for c in found] == ["step 1", "step 0.25"]
    np.testing.assert_array_equal(found[0].weights["w"], [1, 2, 2])
    np.testing.assert_array_equal(found[1].weights["w"], [0.75, 0.25, 0.5, 0.5])


def test_models_that_grow_have_no_median_among_the_rivals() -> None:
    found = Approval(3).candidates(Growing.base, Growing().proposed(0, 1, 2), Growing.combine)
    assert "median" not in [c.label for c in found]
    assert len(found) == len(Approval(3).candidates(BASE, proposed(0, 1, 2), merged)) - 1
