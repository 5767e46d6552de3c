"""Votes by degree: margins, what they come to, and what a liar can do with one."""

from __future__ import annotations

from math import inf, nan
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from colearn_core.errors import ParameterError
from colearn_core.graded import GradedPolicy, MedianImprovement, ScoreMargin
from colearn_core.metrics import metric
from colearn_core.scores import Scores
from colearn_core.streams import Streams
from colearn_core.voting import Ballots, Decision, Majority, Votes

POLICIES: tuple[GradedPolicy, ...] = (ScoreMargin(), ScoreMargin(trim=0.25, relative=False), MedianImprovement())


def scores(values: Any, name: str = "log_loss") -> Scores:
    values = np.array(values, dtype=np.float64)
    return Scores(metric(name), values, np.full(len(values), 100))


def made(policy: GradedPolicy, current: list[float], *candidates: list[float], name: str = "log_loss") -> Ballots:
    now, then = scores(np.array(current)[:, None], name), scores(np.array(candidates).T, name)
    return policy.ballots(now, then, 1, Streams(0))


def decided(policy: GradedPolicy, *margins: float) -> Decision:
    column = np.array(margins, dtype=np.float32)[:, None]
    votes = np.where(np.isnan(column), 0, np.where(column > 0, 1, -1)).astype(np.int8)
    return policy.decide(Ballots(votes, column))


def test_a_margin_is_the_share_of_the_loss_that_is_saved() -> None:
    votes, margins = made(ScoreMargin(clip=1.0), [2.0, 1.0, 0.5], [1.5, 1.1, 0.5])
    assert margins is not None
    np.testing.assert_allclose(margins[:, 0], [0.25, -0.1, 0.0], atol=1e-7)
    assert votes[:, 0].tolist() == [1, -1, -1]


def test_a_margin_may_be_absolute_and_counts_in_the_direction_of_the_metric() -> None:
    _, margins = made(ScoreMargin(relative=False, clip=1.0), [0.5, 0.5], [0.75, 0.25], name="accuracy")
    assert margins is not None
    assert margins[:, 0].tolist() == [0.25, -0.25]


def test_the_least_improvement_is_taken_off_in_units_of_the_score() -> None:
    policy = ScoreMargin(min_improvement=0.5, clip=1.0)
    votes, margins = made(policy, [2.0, 2.0], [1.0, 1.75])
    assert margins is not None
    assert margins[:, 0].tolist() == [0.25, -0.125]
    assert votes[:, 0].tolist() == [1, -1]


def test_a_loss_of_zero_and_a_lost_score_have_margins_too() -> None:
    _, margins = made(ScoreMargin(clip=0.5), [0.0, 0.0, nan, 1.0], [0.0, 0.1, 7.0, nan])
    assert margins is not None
    np.testing.assert_array_equal(margins[:, 0], np.array([0.0, -0.5, 0.5, nan], np.float32))


def test_a_few_who_gain_much_move_the_mean_and_not_the_majority() -> None:
    policy = ScoreMargin(clip=0.5)
    ballots = made(policy, [1.0] * 5, [0.6, 0.6, 1.02, 1.02, 1.02])
    assert policy.decide(ballots).accepted
    assert not Majority().tally(ballots.votes).accepted
    ballots = made(policy, [1.0] * 5, [1.4, 1.4, 0.98, 0.98, 0.98])
    assert not policy.decide(ballots).accepted
    assert Majority().tally(ballots.votes).accepted


def test_what_a_liar_claims_beyond_the_clip_counts_for_nothing() -> None:
    policy = ScoreMargin(clip=0.1)
    assert decided(policy, 1e30, -0.06, -0.06).accepted is False
    assert decided(policy, 0.1, -0.06, -0.06) == decided(policy, 1e30, -0.06, -0.06)
    assert decided(policy, 0.1, -0.04, -0.04).accepted


@given(st.integers(1, 8), st.integers(1, 8), st.floats(0.001, 0.1))
def test_a_share_of_liars_stops_what_improves_others_by_less_than_their_share_of_the_clip(
    liars: int, honest: int, gain: float
) -> None:
    # What the docstring says: f liars stop what improves the others by less than clip * f / (1 - f).
    policy = ScoreMargin(clip=0.1)
    gain = float(np.float32(gain))
    if abs(gain * honest - 0.1 * liars) > 1e-6:
        assert decided(policy, *[-9.0] * liars, *[gain] * honest).accepted == (gain * honest > 0.1 * liars)


def test_a_trimmed_mean_leaves_liars_out() -> None:
    honest = [0.01] * 8
    assert not decided(ScoreMargin(), -1.0, -1.0, *honest).accepted
    assert decided(ScoreMargin(trim=0.2), -1.0, -1.0, *honest).accepted
    assert not decided(ScoreMargin(trim=0.1), -1.0, -1.0, *honest).accepted


def test_trimming_never_leaves_nothing() -> None:
    for n in range(1, 9):
        assert decided(ScoreMargin(trim=0.49), *[0.05] * n).accepted
        assert not decided(ScoreMargin(trim=0.49), *[-0.05] * n).accepted


def test_rivals_are_chosen_by_how_much_they_help() -> None:
    policy = MedianImprovement()
    current = [1.0] * 5
    ballots = made(policy, current, [0.95, 0.95, 0.95, 0.95, 1.01], [0.5, 0.5, 0.5, 1.01, 1.01])
    assert Majority().tally(ballots.votes).leader == 0
    decision = policy.decide(ballots)
    assert (decision.leader, decision.accepted, decision.reason) == (1, True, "the typical margin is +0.5")


def test_the_median_of_an_even_number_is_between_the_middle_two() -> None:
    assert decided(MedianImprovement(), 0.5, 0.3, -0.2, -0.4).accepted
    assert not decided(MedianImprovement(), 0.5, 0.2, -0.3, -0.4).accepted
    assert not decided(MedianImprovement(), 0.2, -0.2).accepted


@given(st.lists(st.floats(-1, 1), min_size=3, max_size=9), st.data())
def test_liars_below_half_move_the_median_only_within_the_honest(honest: list[float], data: st.DataObject) -> None:
    claims = st.floats(allow_nan=False, width=32)
    liars = data.draw(st.lists(claims, min_size=0, max_size=(len(honest) - 1)))
    typical = MedianImprovement().typical(sorted([*honest, *liars]))
    assert min(honest) <= typical <= max(honest)


@pytest.mark.parametrize("policy", POLICIES, ids=repr)
def test_a_margin_that_is_no_number_is_an_abstention(policy: GradedPolicy) -> None:
    for nothing in (nan, inf, -inf):
        decision = decided(policy, 0.05, nothing, nothing, nothing)
        assert not decision.accepted
        assert decision.reason == "no quorum: 1 of 4 learners voted"
        assert decided(policy, 0.05, nothing).accepted


@pytest.mark.parametrize("policy", POLICIES, ids=repr)
def test_votes_alone_are_tallied_as_a_majority(policy: GradedPolicy) -> None:
    votes = np.array([[1, 1], [1, -1], [-1, -1]], dtype=np.int8)
    assert policy.decide(Ballots(votes)) == Majority().tally(votes)


@given(
    st.sampled_from(POLICIES),
    st.integers(1, 8).flatmap(lambda n: hnp.arrays(np.int8, (n, 3), elements=st.sampled_from([-1, 0, 1]))),
)
def test_equal_margins_decide_as_votes_do(policy: GradedPolicy, votes: Votes) -> None:
    size = np.float32(policy.clip)
    margins = np.where(votes == 0, np.float32(nan), votes * size).astype(np.float32)
    for c in range(3):
        graded = policy.decide(Ballots(votes[:, [c]], margins[:, [c]]))
        assert graded.accepted == policy.tally(votes[:, [c]]).accepted


SCORES = hnp.arrays(np.float32, (4, 3), elements=st.sampled_from([nan, 0.0, 1.0, 0.5, 0.25, 2.0]), fill=st.nothing())


@given(st.sampled_from(POLICIES), SCORES, st.sampled_from(["accuracy", "log_loss"]))
def test_a_vote_is_the_sign_of_its_margin(policy: GradedPolicy, values: Any, name: str) -> None:
    votes, margins = policy.ballots(scores(values[:, :1], name), scores(values[:, 1:], name), 1, Streams(0))
    assert margins is not None
    assert margins.dtype == np.float32
    np.testing.assert_array_equal(votes, np.where(np.isnan(margins), 0, np.where(margins > 0, 1, -1)))
    assert (np.abs(margins[np.isfinite(margins)]) <= np.float32(policy.clip)).all()


@pytest.mark.parametrize("clip", [0.0, -1.0, nan, inf])
def test_margins_without_a_bound_are_refused(clip: float) -> None:
    with pytest.raises(ParameterError, match="clip must be a number above 0"):
        ScoreMargin(clip=clip)


@pytest.mark.parametrize("trim", [-0.1, 0.5, nan])
def test_trimming_all_is_refused(trim: float) -> None:
    with pytest.raises(ParameterError, match="trim is a share"):
        ScoreMargin(trim=trim)
