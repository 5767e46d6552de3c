"""Proposal strategies: who is asked in a round, and what is made of the answers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import combinations
from math import inf, nan
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from colearn_core.approval import Approval
from colearn_core.errors import ParameterError
from colearn_core.learner import Proposal
from colearn_core.past import PastRound
from colearn_core.proposing import (
    Candidate,
    Committee,
    Everyone,
    LineSearch,
    ProposalStrategy,
    Random,
    RoundRobin,
)
from colearn_core.rivals import FAMILIES
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
    if len(everyone) > 2:  # put to the vote once, whichever of its names it has
        assert sum(float(c.weights["w"][0]) == np.median([i * i for i in everyone]) for c in found) == 1


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


# Committees


@pytest.mark.parametrize("strategy", [Committee(3, choose="round_robin"), Approval(3, choose="round_robin")], ids=repr)
def test_committees_in_turn_ask_everyone_equally_often(strategy: ProposalStrategy) -> None:
    assert over_rounds(strategy, 7, rounds=3) == [(0, 1, 2), (3, 4, 5), (0, 1, 6)]
    drawn = over_rounds(strategy, 7, rounds=70)
    assert {sum(i in found for found in drawn) for i in range(7)} == {30}


def round_of(strategy: ProposalStrategy, round: int, learners: int, liar: int) -> PastRound:
    """Everyone rejects what the liar is in, and approves the rest."""
    members = strategy.proposers(round, learners, Streams(0))
    found = candidates(strategy, *members)
    votes = np.array([[-1 if liar in c.authors else 1 for c in found]] * learners, dtype=np.int8)
    return PastRound(
        round, tuple(members), tuple(c.authors for c in found), tuple(c.label for c in found), votes, 0, True
    )


@pytest.mark.parametrize("strategy", [Approval(3, choose="reputation"), Committee(3, choose="reputation")], ids=repr)
def test_whoever_costs_approval_is_drawn_less_but_still_drawn(strategy: Committee) -> None:
    learned = strategy
    for round in range(1, 41):
        learned = learned.after(round_of(learned, round, 8, liar=2))
    drawn = over_rounds(learned, 8, rounds=200)
    often = [sum(i in found for found in drawn) for i in range(8)]
    assert 0 < often[2] < 0.5 * min(often[:2] + often[3:])
    assert over_rounds(strategy, 8, rounds=200) == over_rounds(type(strategy)(3, choose="reputation"), 8, rounds=200)


def test_strategies_that_go_by_no_reputation_stay_as_they_are() -> None:
    for strategy in STRATEGIES:
        assert strategy.after(round_of(strategy, 1, 5, liar=0)) is strategy


def test_an_unknown_way_to_choose_is_refused() -> None:
    with pytest.raises(ParameterError, match="choose must be one of random, round_robin, reputation, not 'luck'"):
        Committee(choose="luck")  # type: ignore[arg-type]


# Families of rivals


def vectors(*rows: Sequence[float], samples: int = 1) -> dict[int, Proposal]:
    return {i: Proposal(Weights({"w": np.array(row, dtype=float)}), samples) for i, row in enumerate(rows)}


ORIGIN = Weights({"w": np.zeros(2)})
FOUR_AND_A_LIAR = vectors([1, 0], [0, 1], [1, 1], [2, 1], [-90, 40])


def family(name: str, proposals: dict[int, Proposal] = FOUR_AND_A_LIAR, **parameters: Any) -> list[Candidate]:
    return Approval(5, families=(name,), **parameters).candidates(ORIGIN, proposals, merged)


def only(found: list[Candidate]) -> tuple[str, tuple[int, ...], list[float]]:
    (candidate,) = found
    return candidate.label, candidate.authors, candidate.weights["w"].tolist()


def test_the_trimmed_mean_leaves_out_the_extremes_of_each_coordinate() -> None:
    everyone = (0, 1, 2, 3, 4)
    assert only(family("trimmed_mean")) == ("trimmed mean", everyone, [pytest.approx(2 / 3), 1])
    assert only(family("trimmed_mean", liars=2)) == ("trimmed mean", everyone, [1, 1])


def test_krum_is_one_proposal_and_multi_krum_the_mean_of_the_best() -> None:
    assert only(family("krum")) == ("krum", (2,), [1, 1])
    assert only(family("multi_krum")) == ("multi-krum", (0, 1, 2, 3), [1, 0.75])


def test_the_geometric_median_and_centred_clipping_are_not_led_away() -> None:
    label, authors, point = only(family("geometric_median"))
    assert (label, authors) == ("geometric median", (0, 1, 2, 3, 4))
    assert np.linalg.norm(np.subtract(point, [1, 1])) < 0.2
    label, authors, point = only(family("centred_clipping", radius=0.5))
    assert (label, authors) == ("centred clipping", (0, 1, 2, 3, 4))
    assert np.linalg.norm(point) < 1.5


def test_more_samples_claimed_are_no_more_weight_in_robust_means() -> None:
    greedy = {i: p._replace(samples=10**9 if i == 4 else 1) for i, p in FOUR_AND_A_LIAR.items()}
    for name in ("median", "trimmed_mean", "geometric_median", "krum", "multi_krum", "centred_clipping"):
        assert family(name, greedy) == family(name)
    assert family("mean", greedy) != family("mean")


def test_steps_go_towards_the_mean() -> None:
    found = family("steps", vectors([2, 0], [0, 4]), steps=(0.5, 3.0))
    assert [(c.label, c.authors, c.weights["w"].tolist()) for c in found] == [
        ("step 0.5 of the mean", (0, 1), [0.5, 1]),
        ("step 3 of the mean", (0, 1), [3, 6]),
    ]


def test_single_puts_each_proposal_to_the_vote() -> None:
    found = family("single")
    assert [(c.label, c.authors) for c in found] == [("proposal", (i,)) for i in range(5)]


def test_the_trusted_are_those_of_good_reputation_and_their_claims_are_capped() -> None:
    strategy = Approval(5, families=("trusted", "leave_one_out"))
    assert "mean of the trusted" not in [c.label for c in candidates(strategy, 0, 1, 2, 3, 4)]
    for round in range(1, 11):
        strategy = strategy.after(round_of(strategy, round, 5, liar=4))
    proposals = {i: p._replace(samples=100 if i == 3 else 10) for i, p in vectors([0], [0], [0], [1], [9]).items()}
    base = Weights({"w": np.zeros(1)})
    found = {c.label: c for c in strategy.candidates(base, proposals, merged)}["mean of the trusted"]
    assert found.authors == (0, 1, 2, 3)
    assert found.weights["w"][0] == pytest.approx(30 / 60)


def test_candidates_with_the_same_weights_are_put_to_the_vote_once() -> None:
    proposals = vectors([1, 2], [1, 2], [1, 2])
    found = Approval(3, families=tuple(FAMILIES), steps=(1.0,)).candidates(ORIGIN, proposals, merged)
    assert [c.label for c in found if c.weights == proposals[0].weights] == ["mean"]
    large = Weights({"w": np.arange(1000.0)})
    almost = Weights({"w": np.where(np.arange(1000) == 501, 0, np.arange(1000.0))})
    single = Approval(2, families=("single",))
    found = single.candidates(large, {0: Proposal(large, 1), 1: Proposal(almost, 1)}, merged)
    assert len(found) == 2


@pytest.mark.parametrize("name", FAMILIES)
@given(st.sets(st.integers(0, 30), min_size=1, max_size=9))
def test_every_family_puts_something_of_its_authors_to_the_vote(name: str, learners: set[int]) -> None:
    found = candidates(Approval(5, families=(name,), liars=2), *sorted(learners))
    assert found
    for c in found:
        assert c.authors
        assert set(c.authors) <= learners
        values = [i * i for i in learners]
        if name != "steps":
            assert min(0, *values, 0) - 1e-9 <= c.weights["w"][0] <= max(values) + 1e-9


@pytest.mark.parametrize("name", FAMILIES)
def test_models_that_grow_are_merged_by_their_learners_where_a_family_has_nothing_for_them(name: str) -> None:
    proposals = Growing().proposed(0, 1, 2)
    found = Approval(3, families=(name,)).candidates(Growing.base, proposals, Growing.combine)
    assert found
    robust = {"median", "trimmed_mean", "geometric_median", "krum", "multi_krum", "centred_clipping", "trusted"}
    assert [c.label for c in found] == ["mean"] if name in robust else found


def test_a_liar_that_alters_integers_spoils_only_what_it_is_in() -> None:
    proposals = {i: Proposal(Weights({"w": np.array([float(i)]), "n": np.array([7 + (i == 2)])}), 1) for i in range(4)}
    base = Weights({"w": np.zeros(1), "n": np.array([7])})
    found = Approval(4).candidates(base, proposals, merged)
    assert [c.authors for c in found] == [(0, 1, 3), (0, 1), (0, 3)]


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"families": ()}, "families must be some of mean, median"),
        ({"families": ("mean", "magic")}, "not magic"),
        ({"liars": -1}, "liars can't be negative: -1"),
        ({"radius": 0.0}, "radius must be a positive number, not 0.0"),
        ({"steps": (0.0,)}, "steps must be positive numbers"),
        ({"max_norm": 0.0}, "max_norm must be positive, not 0.0"),
        ({"max_change": nan}, "max_change must be positive, not nan"),
    ],
)
def test_parameters_out_of_range_are_refused(parameters: dict[str, Any], message: str) -> None:
    with pytest.raises(ParameterError, match=message):
        Approval(**parameters)


# Clipping


def clipped(strategy: ProposalStrategy, proposals: dict[int, Proposal]) -> list[list[float]]:
    return [p.weights["w"].tolist() for p in strategy.clipped(ORIGIN, proposals).values()]


def test_changes_are_shortened_to_so_many_times_the_median_norm() -> None:
    proposals = vectors([3, 4], [0, 1], [60, 80], [0, 0])
    assert clipped(RoundRobin(max_norm=1.0), proposals) == [[3, 4], [0, 1], [3, 4], [0, 0]]
    assert clipped(Everyone(max_norm=2.0), proposals) == [[3, 4], [0, 1], [6, 8], [0, 0]]
    assert clipped(Approval(max_norm=100.0), proposals)[2] == [60, 80]


def test_a_lone_change_is_shortened_to_a_given_norm_only() -> None:
    proposals = vectors([30, 40])
    assert clipped(LineSearch(max_norm=0.5), proposals) == [[30, 40]]
    assert clipped(LineSearch(max_change=5.0), proposals) == [[3, 4]]


def test_what_is_within_the_limits_is_the_same_object() -> None:
    proposals = vectors([3, 4], [0, 1], [60, 80])
    found = Everyone(max_norm=1.0).clipped(ORIGIN, proposals)
    assert found[0] is proposals[0]
    assert Everyone().clipped(ORIGIN, proposals) is proposals


def test_a_change_too_large_to_be_squared_is_not_made_at_all() -> None:
    assert clipped(Everyone(max_norm=1.0), vectors([3, 4], [0, 1], [1e200, -1e200]))[2] == [0, 0]


def test_clipping_keeps_types_and_leaves_models_that_grow_alone() -> None:
    base = Weights({"w": np.zeros(2, dtype="f4"), "n": np.array([3]), "count": np.array(1)})
    proposal = Proposal(Weights({"w": np.full(2, 9, dtype="f4"), "n": np.array([3]), "count": np.array(2)}), 1)
    short = Random(max_change=1.0).clipped(base, {0: proposal})[0].weights
    short.check_like(base)
    assert np.linalg.norm(short["w"]) == pytest.approx(1)
    assert short["count"] == 2
    grown = Growing().proposed(0, 1)
    assert dict(Everyone(max_change=0.1, max_norm=0.1).clipped(Growing.base, grown)) == grown
