"""Votes that weigh: by samples, by stakes, and by the voters' record."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from colearn_core.errors import ConfigError, ParameterError
from colearn_core.past import PastRound
from colearn_core.voters_record import Reputation
from colearn_core.voting import Majority, Votes
from colearn_core.weighing import Weighted

A, R, N = 1, -1, 0


def ballots(*votes: int) -> Votes:
    return np.array(votes, dtype=np.int8)[:, None]


def past(votes: list[int], accepted: bool, round: int = 1) -> PastRound:
    return PastRound(round, (0,), ((0,),), ("proposal",), ballots(*votes), 0, accepted)


# Weighted


def test_one_with_many_samples_outvotes_several_with_few() -> None:
    policy = Weighted().among(np.array([100, 20, 30, 40]))
    assert policy.tally(ballots(A, R, R, R)).accepted
    assert not Majority().tally(ballots(A, R, R, R)).accepted
    assert not policy.tally(ballots(R, A, A, A)).accepted


def test_half_of_the_weight_is_not_enough_however_odd_the_numbers() -> None:
    # In doubles 0.1 + 0.2 is more than 0.3.
    policy = Weighted(stakes=(0.1, 0.2, 0.3), quorum=0).among(np.array([5, 5, 5]))
    assert not policy.tally(ballots(A, A, R)).accepted
    assert policy.tally(ballots(A, N, N)).accepted
    big = Weighted().among(np.array([2**53 + 1, 2**53]))
    assert big.tally(ballots(A, R)).accepted
    assert not big.tally(ballots(R, A)).accepted


def test_a_quorum_counts_learners_whatever_they_weigh() -> None:
    policy = Weighted().among(np.array([1000, 1, 1, 1]))
    decision = policy.tally(ballots(A, N, N, N))
    assert (decision.accepted, decision.reason) == (False, "no quorum: 1 of 4 learners voted")


def test_rivals_are_compared_by_weight() -> None:
    policy = Weighted().among(np.array([50, 20, 20, 20]))
    votes = np.array([[R, A], [A, R], [A, R], [A, A]], dtype=np.int8)
    decision = policy.tally(votes)
    assert (decision.leader, decision.accepted) == (1, True)
    assert decision.approvals == (3, 2)
    assert decision.reason == "2 of 4 approve, 64% of the weight"


def test_whose_weight_is_0_decides_nothing() -> None:
    policy = Weighted(stakes=(0, 1, 1), quorum=0).among(np.array([9, 9, 9]))
    assert not policy.tally(ballots(A, N, N)).accepted
    assert not policy.tally(ballots(A, A, R)).accepted


def test_a_cap_bounds_what_a_claim_of_samples_is_worth() -> None:
    claimed = np.array([10**9, 30, 40, 50, 60])
    assert Weighted().among(claimed).tally(ballots(A, R, R, R, R)).accepted
    capped = Weighted(cap=3.0).among(claimed)
    assert capped.weights == (150, 30, 40, 50, 60)
    assert not capped.tally(ballots(A, R, R, R, R)).accepted


def test_learners_without_samples_are_no_part_of_the_median() -> None:
    assert Weighted(cap=1.0).among(np.array([0, 0, 0, 8, 4])).weights == (0, 0, 0, 6, 4)


def test_stakes_must_be_as_many_as_learners() -> None:
    with pytest.raises(ConfigError, match="4 learners need as many stakes, not 3"):
        Weighted(stakes=(1, 2, 3)).among(np.array([5, 5, 5, 5]))


@pytest.mark.parametrize("stakes", [(), (0.0, 0.0), (1.0, -1.0), (1.0, float("nan")), (float("inf"),)])
def test_stakes_that_weigh_nothing_are_refused(stakes: tuple[float, ...]) -> None:
    with pytest.raises(ParameterError, match="stakes must be numbers of at least 0"):
        Weighted(stakes=stakes)


@pytest.mark.parametrize("cap", [0.0, -1.0, float("nan"), float("inf")])
def test_a_cap_that_bounds_nothing_is_refused(cap: float) -> None:
    with pytest.raises(ParameterError, match="cap must be a number above 0"):
        Weighted(cap=cap)


def test_a_policy_knows_one_number_of_voters() -> None:
    with pytest.raises(ParameterError, match="3 weights can't weigh the votes of 2 learners"):
        Weighted().among(np.array([1, 2, 3])).tally(ballots(A, R))


VOTES = st.integers(1, 7).flatmap(lambda n: hnp.arrays(np.int8, (n, 2), elements=st.sampled_from([-1, 0, 1])))


@given(VOTES, st.data())
def test_a_learner_of_k_samples_votes_like_k_learners(votes: Votes, data: st.DataObject) -> None:
    counts = data.draw(st.lists(st.integers(1, 5), min_size=len(votes), max_size=len(votes)))
    weighed = Weighted(quorum=0).among(np.array(counts)).tally(votes)
    repeated = Majority(quorum=0).tally(np.repeat(votes, counts, axis=0))
    assert (weighed.accepted, weighed.leader) == (repeated.accepted, repeated.leader)


@given(VOTES, st.integers(1, 10**6))
def test_equal_samples_make_a_majority(votes: Votes, samples: int) -> None:
    weighed, plain = Weighted().among(np.full(len(votes), samples)).tally(votes), Majority().tally(votes)
    assert weighed._replace(reason="") == plain._replace(reason="")


# Reputation


def test_who_agrees_with_outcomes_weighs_more() -> None:
    policy = Reputation(lowest=0.1, highest=2.0)
    for round in range(1, 9):
        policy = policy.after(past([A, A, A, R], accepted=True, round=round))
    assert policy.record == ((8, 8), (8, 8), (8, 8), (0, 8))
    assert policy.weights_of(4) == [Fraction(18, 10)] * 3 + [Fraction(2, 10)]


def test_three_liars_of_seven_are_outweighed_once_they_are_known() -> None:
    """A liar that always rejects; two honest voters err this time."""
    policy = Reputation()
    for round in range(1, 11):
        policy = policy.after(past([A, A, A, A, R, R, R], accepted=True, round=round))
    votes = ballots(A, A, A, R, R, R, R)
    assert not Majority().tally(votes).accepted
    assert policy.tally(votes).accepted


def test_weights_stay_within_their_bounds() -> None:
    policy = Reputation(lowest=0.5, highest=1.5)
    for round in range(1, 200):
        policy = policy.after(past([A, R], accepted=True, round=round))
    assert policy.weights_of(2) == [Fraction(3, 2), Fraction(1, 2)]


def test_a_rejected_candidate_proves_right_who_rejected_it() -> None:
    assert Reputation().after(past([A, R, R, N], accepted=False)).record == ((0, 1), (1, 1), (1, 1), (0, 0))


def test_only_votes_on_the_leading_candidate_count() -> None:
    votes = np.array([[A, R], [R, A], [R, A]], dtype=np.int8)
    rivals = PastRound(1, (0, 1), ((0,), (1,)), ("a", "b"), votes, 1, True)
    assert Reputation().after(rivals).record == ((0, 1), (1, 1), (1, 1))


@pytest.mark.parametrize(
    "round", [past([A, N, N, N], False), PastRound(1, (0,), (), (), np.zeros((4, 0), np.int8), None, False)]
)
def test_a_round_without_a_quorum_or_candidate_says_nothing_of_anyone(round: PastRound) -> None:
    policy = Reputation()
    assert policy.after(round) == policy


def test_old_votes_fade() -> None:
    policy = Reputation(memory=8, lowest=0.1, highest=2.0)
    for round in range(1, 41):
        policy = policy.after(past([A, R], accepted=True, round=round))
    assert policy.weights_of(2)[1] < Fraction(1, 2)
    for round in range(41, 61):
        policy = policy.after(past([A, A], accepted=True, round=round))
    assert policy.weights_of(2)[1] > Fraction(3, 2)


@given(st.lists(st.tuples(st.lists(st.sampled_from([A, R, N]), min_size=5, max_size=5), st.booleans()), max_size=60))
def test_records_are_counts_within_their_memory(rounds: list[tuple[list[int], bool]]) -> None:
    policy = Reputation(memory=10)
    for number, (votes, accepted) in enumerate(rounds, start=1):
        policy = policy.after(past(votes, accepted, number))
    assert all(0 <= agreed <= voted <= 10 for agreed, voted in policy.record)
    assert all(Fraction(1, 2) <= weight <= Fraction(3, 2) for weight in policy.weights_of(5))


@pytest.mark.parametrize(("lowest", "highest"), [(0.0, 1.5), (1.2, 1.5), (0.5, 0.9), (0.5, 2.5), (float("nan"), 1.5)])
def test_bounds_without_1_between_them_are_refused(lowest: float, highest: float) -> None:
    with pytest.raises(ParameterError, match="weights must have 1 between them"):
        Reputation(lowest=lowest, highest=highest)
