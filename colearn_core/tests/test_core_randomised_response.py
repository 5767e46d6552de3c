"""Votes that are flipped by a coin: how often, what they come to, and what they cost."""

from __future__ import annotations

from math import comb, exp, lgamma, nan

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from colearn_core.errors import ParameterError
from colearn_core.metrics import metric
from colearn_core.randomised_response import RandomisedResponse, total_epsilon
from colearn_core.scores import Scores
from colearn_core.streams import Streams
from colearn_core.voting import Majority


def votes_of(policy: RandomisedResponse, proposed: float, learners: int, round: int = 1, seed: int = 0) -> list[int]:
    def same(value: float) -> Scores:
        return Scores(metric("accuracy"), np.full((learners, 1), value), np.full(learners, 9))

    ballots = policy.ballots(same(0.5), same(proposed), round, Streams(seed))
    found: list[int] = ballots.votes[:, 0].tolist()
    return found


@pytest.mark.parametrize("epsilon", [0.1, 1.0, 3.0])
@pytest.mark.parametrize("proposed", [0.4, 0.6])
def test_a_vote_is_flipped_as_often_as_its_epsilon_says(epsilon: float, proposed: float) -> None:
    votes = votes_of(RandomisedResponse(epsilon=epsilon), proposed, learners=20_000)
    meant = 1 if proposed > 0.5 else -1
    share = votes.count(-meant) / len(votes)
    assert share == pytest.approx(1 / (1 + exp(epsilon)), abs=0.011)  # three standard errors
    assert votes.count(0) == 0


@given(st.floats(0.01, 20))
def test_either_answer_is_at_most_exp_epsilon_times_as_likely_for_one_opinion_as_for_the_other(epsilon: float) -> None:
    p = RandomisedResponse(epsilon=epsilon).flipped
    assert (1 - p) / p == pytest.approx(exp(epsilon))


@pytest.mark.parametrize("share", [0.5, 0.66])
@given(st.integers(1, 30), st.floats(0.05, 3), st.data())
def test_the_estimate_is_right_on_average(share: float, cast: int, epsilon: float, data: st.DataObject) -> None:
    meant = data.draw(st.integers(0, cast))
    policy = RandomisedResponse(epsilon=epsilon, share=share)
    p = policy.flipped
    distribution = np.convolve(
        [comb(meant, k) * (1 - p) ** k * p ** (meant - k) for k in range(meant + 1)],
        [comb(cast - meant, k) * p**k * (1 - p) ** (cast - meant - k) for k in range(cast - meant + 1)],
    )
    mean = sum(chance * policy.estimate(seen, cast) for seen, chance in enumerate(distribution))
    assert mean == pytest.approx(meant, abs=1e-6)


def test_two_thirds_of_the_meant_votes_are_fewer_of_the_published_ones() -> None:
    policy = RandomisedResponse(epsilon=1.0, share=0.66)
    flipped_back = policy.flipped * 100 + (1 - 2 * policy.flipped) * 66
    enough = int(flipped_back) + 1
    votes = np.array([[1]] * enough + [[-1]] * (100 - enough), dtype=np.int8)
    assert enough == 58
    assert policy.tally(votes).accepted
    votes[0] = -1
    assert not policy.tally(votes).accepted


@given(st.integers(0, 40), st.integers(0, 40), st.floats(0.05, 5))
def test_of_a_half_flips_change_nothing_on_average(approvals: int, rejections: int, epsilon: float) -> None:
    votes = np.array([[1]] * approvals + [[-1]] * rejections, dtype=np.int8).reshape(-1, 1)
    if len(votes):
        assert RandomisedResponse(epsilon=epsilon).tally(votes).accepted == Majority().tally(votes).accepted


def test_the_reason_tells_the_estimate_and_how_far_it_is_off() -> None:
    votes = np.array([[1]] * 7 + [[-1]] * 3, dtype=np.int8)
    assert RandomisedResponse(epsilon=1.0).tally(votes).reason == "7 of 10 approve, 9.3 ± 3.0 by estimate"


def test_coins_are_each_learners_own_and_other_ones_each_round() -> None:
    policy = RandomisedResponse(epsilon=0.1)
    few, many = votes_of(policy, 0.6, 20), votes_of(policy, 0.6, 40)
    assert many[:20] == few
    assert votes_of(policy, 0.6, 40, round=2) != many
    assert votes_of(policy, 0.6, 40, seed=1) != many


def test_abstentions_stay_abstentions() -> None:
    assert votes_of(RandomisedResponse(epsilon=0.01), nan, 50) == [0] * 50


def test_epsilons_add_up() -> None:
    assert total_epsilon(0.5, 40) == 20
    assert total_epsilon(0.5, 0, delta=1e-5) == 0


def test_with_delta_many_small_epsilons_are_less_than_their_sum() -> None:
    assert total_epsilon(0.1, 1000, delta=1e-5) == pytest.approx(5 + 2 * (5 * np.log(1e5)) ** 0.5)
    assert total_epsilon(2.0, 3, delta=1e-5) == 6.0


@given(st.floats(0.01, 0.5), st.integers(1, 400), st.sampled_from([1e-3, 1e-5]))
def test_the_bound_with_delta_holds_for_randomised_votes(epsilon: float, votes: int, delta: float) -> None:
    """The exact delta of so many flipped votes at the bound, of all that randomised response can give away."""
    total = total_epsilon(epsilon, votes, delta)
    p = 1 / (1 + exp(epsilon))
    k = np.arange(votes + 1)
    log_choose = np.array([lgamma(votes + 1) - lgamma(i + 1) - lgamma(votes - i + 1) for i in k.tolist()])
    one = np.exp(log_choose + k * np.log(1 - p) + (votes - k) * np.log(p))
    other = one[::-1]
    with np.errstate(over="ignore"):
        exact = np.maximum(one - np.exp(total) * other, 0).sum()
    assert exact <= delta


@pytest.mark.parametrize("epsilon", [0.0, -1.0, nan, float("inf")])
def test_an_epsilon_that_protects_nothing_or_all_is_refused(epsilon: float) -> None:
    with pytest.raises(ParameterError, match="epsilon must be a number above 0"):
        RandomisedResponse(epsilon=epsilon)


@pytest.mark.parametrize("share", [-0.1, 1.0, nan])
def test_a_share_that_all_cannot_exceed_is_refused(share: float) -> None:
    with pytest.raises(ParameterError, match="share must be at least 0 and below 1"):
        RandomisedResponse(share=share)
