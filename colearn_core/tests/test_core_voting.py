"""Voting policies: a learner's vote, all votes at once, and the tally that is the same for everyone."""

from __future__ import annotations

from dataclasses import dataclass
from math import inf, nan
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from colearn_core.errors import ParameterError
from colearn_core.metrics import metric
from colearn_core.scores import Score, Scores
from colearn_core.voting import Decision, Majority, Supermajority, Threshold, Unanimous, Vote, Votes, VotingPolicy

A, R, N = Vote.APPROVE, Vote.REJECT, Vote.ABSTAIN
POLICIES: tuple[VotingPolicy, ...] = (
    Majority(),
    Majority(quorum=0),
    Majority(quorum=1),
    Unanimous(quorum=0.3),
    Threshold(share="2/3"),
    Threshold(share=0.55, inclusive=False, quorum=0.7),
    Threshold(share=0.0, inclusive=False, quorum=0.0),
    Supermajority(),
    Supermajority(share=0.9, quorum=0.2),
)


def ballots(*columns: str) -> Votes:
    """Votes on each candidate, in letters: A approves, R rejects, a dot abstains."""
    values = {"A": A, "R": R, ".": N}
    return np.array([[values[letter] for letter in column] for column in columns], dtype=np.int8).T


def outcome(policy: VotingPolicy, *columns: str) -> tuple[bool, int | None]:
    decision = policy.tally(ballots(*columns))
    return decision.accepted, decision.leader


def passed(policy: VotingPolicy, approvals: int, rejections: int, abstentions: int = 0) -> bool:
    return policy.tally(ballots("A" * approvals + "R" * rejections + "." * abstentions)).accepted


def scores(values: Any, samples: Any, name: str = "accuracy") -> Scores:
    return Scores(metric(name), np.array(values, dtype=np.float32), np.array(samples, dtype=np.int64))


def one_vote(policy: VotingPolicy, current: Score, proposed: Score, name: str = "accuracy") -> Vote:
    """The vote of a single learner, after a look that the vectorised way gives the same."""
    vote = policy.vote(current, proposed, metric(name).greater_is_better)
    together = policy.votes(
        scores([[current.value]], [current.samples], name), scores([[proposed.value]], [proposed.samples], name)
    )
    assert together.tolist() == [[vote]]
    return vote


# One learner's vote


@pytest.mark.parametrize(
    ("name", "worse", "better"), [("accuracy", 0.5, 0.625), ("r2", -1, 0), ("log_loss", 2, 1), ("mse", 0.5, 0)]
)
def test_only_strict_improvement_is_approved_in_the_direction_of_the_metric(
    name: str, worse: float, better: float
) -> None:
    low, high = Score(worse, 9), Score(better, 9)
    assert one_vote(Majority(), low, high, name) == A
    assert one_vote(Majority(), high, low, name) == R
    assert one_vote(Majority(), low, low, name) == R


@pytest.mark.parametrize("name", ["accuracy", "mse"])
def test_an_improvement_has_to_exceed_the_minimum(name: str) -> None:
    policy = Majority(min_improvement=0.25)
    sign = 1 if metric(name).greater_is_better else -1
    for gain, vote in ((0.5, A), (0.25, R), (0.125, R), (-0.5, R)):
        assert one_vote(policy, Score(1, 9), Score(1 + sign * gain, 9), name) == vote


@pytest.mark.parametrize("value", [nan, inf, -inf])
@pytest.mark.parametrize("current", [0.5, nan, inf])
def test_a_proposed_score_that_is_no_number_abstains(value: float, current: float) -> None:
    assert one_vote(Majority(), Score(current, 9), Score(value, 9)) == N


@pytest.mark.parametrize("value", [nan, inf, -inf])
@pytest.mark.parametrize("name", ["accuracy", "mse"])
def test_a_current_score_that_is_no_number_loses_to_any_that_is_one(value: float, name: str) -> None:
    assert one_vote(Majority(), Score(value, 9), Score(-1e9, 9), name) == A
    assert one_vote(Majority(min_improvement=0.5), Score(value, 9), Score(1e9, 9), name) == A


@pytest.mark.parametrize("value", [0.9, nan])
def test_a_score_of_no_samples_abstains(value: float) -> None:
    assert one_vote(Majority(), Score(0.5, 0), Score(value, 0)) == N
    assert one_vote(Majority(), Score(nan, 0), Score(value, 0)) == N


@pytest.mark.parametrize("name", ["accuracy", "mse"])
def test_scores_that_both_diverged_abstain_without_a_warning(name: str) -> None:
    # Warnings are errors in the tests: the difference of two infinities must not be complained about.
    assert one_vote(Majority(min_improvement=0.1), Score(inf, 9), Score(inf, 9), name) == N


# All votes at once


ANY_SCORE = st.sampled_from([nan, inf, -inf, 0.0, -0.0, 0.5, 0.625, 1.0, 3.4e38, -3.4e38]) | st.floats(width=32)
GAINS = st.sampled_from([0.0, 0.1, 0.125, 1e-9, 1e38]) | st.floats(0, 10)


@given(st.data(), st.integers(1, 5), st.integers(0, 4), GAINS, st.sampled_from(["accuracy", "mse"]))
def test_votes_are_what_each_learner_votes_on_each_candidate(
    data: st.DataObject, learners: int, candidates: int, min_improvement: float, name: str
) -> None:
    def drawn(columns: int) -> Scores:
        values = data.draw(hnp.arrays(np.float32, (learners, columns), elements=ANY_SCORE, fill=st.nothing()))
        samples = data.draw(st.lists(st.integers(0, 2), min_size=learners, max_size=learners))
        return scores(values, samples, name)

    policy = Majority(min_improvement=min_improvement)
    current, proposed = drawn(1), drawn(candidates)
    with np.errstate(invalid="ignore"):  # that there's no warning is a test of its own
        votes = policy.votes(current, proposed)
    better = metric(name).greater_is_better
    expected = [
        [policy.vote(current.score(i, 0), proposed.score(i, c), better) for c in range(candidates)]
        for i in range(learners)
    ]
    assert votes.dtype == np.int8
    assert votes.shape == (learners, candidates)
    assert votes.tolist() == expected


def test_a_learner_votes_by_its_own_scores_alone() -> None:
    current = scores([[0.5], [0.9], [nan], [0.5]], [9, 9, 9, 0])
    proposed = scores([[0.6, 0.4], [0.6, 0.95], [0.1, nan], [0.6, 0.7]], [9, 9, 9, 0])
    np.testing.assert_array_equal(Majority().votes(current, proposed), [[A, R], [R, A], [A, N], [N, N]])


def test_a_vote_of_ones_own_is_honoured() -> None:
    @dataclass(frozen=True)
    class Grumpy(Majority):
        """Rejects whatever it can score, even what's better."""

        def vote(self, current: Score, proposed: Score, greater_is_better: bool) -> Vote:
            return N if np.isnan(proposed.value) else R

    votes = Grumpy().votes(scores([[0.1], [0.1]], [1, 1]), scores([[0.9, nan], [0.8, 0.7]], [1, 1]))
    assert votes.tolist() == [[R, N], [R, R]]


def test_a_vote_of_ones_own_sees_scores_and_direction() -> None:
    seen = []

    @dataclass(frozen=True)
    class Curious(Majority):
        def vote(self, current: Score, proposed: Score, greater_is_better: bool) -> Vote:
            seen.append((current, proposed, greater_is_better))
            return super().vote(current, proposed, greater_is_better)

    votes = Curious().votes(scores([[0.5]], [3], "mse"), scores([[0.25, 0.75]], [4], "mse"))
    assert votes.tolist() == [[A, R]]
    assert seen == [(Score(0.5, 3), Score(0.25, 4), False), (Score(0.5, 3), Score(0.75, 4), False)]


# The tally of one candidate


def test_a_majority_is_strictly_more_than_half_of_the_votes_cast() -> None:
    assert passed(Majority(), 3, 2)
    assert not passed(Majority(), 2, 2)
    assert not passed(Majority(), 2, 3)
    assert passed(Majority(), 2, 1, abstentions=2)
    assert not passed(Majority(), 0, 5)


def test_unanimity_takes_every_vote_cast() -> None:
    assert passed(Unanimous(), 5, 0)
    assert passed(Unanimous(), 4, 0, abstentions=1)
    assert not passed(Unanimous(), 99, 1)


@pytest.mark.parametrize(
    ("share", "needed", "cast"),
    [
        (0.55, 55, 100),
        ("0.55", 55, 100),
        (0.28, 28, 100),
        (0.07, 7, 100),
        ("1/3", 1, 3),
        ("2/3", 2, 3),
        ("2/3", 66, 99),
        ("2/3", 67, 100),
        (0.5, 5, 10),
        (1.0, 4, 4),
    ],
)
def test_a_threshold_is_met_by_exactly_its_share(share: float | str, needed: int, cast: int) -> None:
    # 0.55 * 100 is 55.000000000000007 in doubles.
    assert passed(Threshold(share=share), needed, cast - needed)
    assert not passed(Threshold(share=share), needed - 1, cast - needed + 1)


@pytest.mark.parametrize(("share", "exactly", "cast"), [(0.55, 55, 100), ("2/3", 2, 3), (0.5, 5, 10), (0.28, 28, 100)])
def test_an_exclusive_threshold_wants_more_than_its_share(share: float | str, exactly: int, cast: int) -> None:
    policy = Threshold(share=share, inclusive=False)
    assert not passed(policy, exactly, cast - exactly)
    assert passed(policy, exactly + 1, cast - exactly - 1)


@given(st.integers(0, 40), st.integers(1, 40))
def test_an_exclusive_threshold_of_a_half_is_a_majority(approvals: int, rejections: int) -> None:
    half = Threshold(share=0.5, inclusive=False)
    assert passed(half, approvals, rejections) == passed(Majority(), approvals, rejections)


def test_without_a_quorum_nothing_is_adopted_and_the_reason_says_so() -> None:
    assert passed(Majority(quorum=0.5), 2, 0, abstentions=2)
    decision = Majority(quorum=0.5).tally(ballots("A...."))
    assert (decision.accepted, decision.reason) == (False, "no quorum: 1 of 5 learners voted")
    assert passed(Majority(quorum=0.0), 1, 0, abstentions=99)
    assert passed(Majority(quorum=1.0), 2, 1)
    assert not passed(Majority(quorum=1.0), 3, 0, abstentions=1)


@pytest.mark.parametrize(("quorum", "needed", "learners"), [(0.55, 55, 100), (0.07, 7, 100), (0.14, 7, 50)])
def test_a_quorum_is_met_by_exactly_its_share(quorum: float, needed: int, learners: int) -> None:
    assert passed(Majority(quorum=quorum), needed, 0, learners - needed)
    assert not passed(Majority(quorum=quorum), needed - 1, 0, learners - needed + 1)


@pytest.mark.parametrize("policy", POLICIES, ids=repr)
def test_nothing_is_adopted_when_nobody_votes(policy: VotingPolicy) -> None:
    decision = policy.tally(ballots("..."))
    assert not decision.accepted
    assert decision.reason == "no quorum: 0 of 3 learners voted"


@pytest.mark.parametrize("policy", POLICIES, ids=repr)
def test_a_single_learner_decides_alone(policy: VotingPolicy) -> None:
    assert passed(policy, 1, 0)
    assert not passed(policy, 0, 1)
    assert not passed(policy, 0, 0, abstentions=1)


# The tally of rival candidates


def test_the_most_approved_candidate_wins() -> None:
    assert outcome(Majority(), "AAARR", "AAAAR", "AAARR") == (True, 1)


def test_of_equally_approved_candidates_the_first_wins() -> None:
    assert outcome(Majority(), "AARRR", "AAARR", "RRAAA") == (True, 1)


def test_a_candidate_that_passes_wins_against_a_more_approved_one_that_does_not() -> None:
    assert outcome(Majority(quorum=0.3), "AAARRR", "AA....") == (True, 1)
    assert outcome(Unanimous(quorum=0.3), "AAAAAR", "AAA...", "AA....") == (True, 1)


def test_a_candidate_without_a_quorum_cannot_win() -> None:
    assert outcome(Majority(quorum=0.5), "AA...", "AARR.", "AAAR.") == (True, 2)
    assert outcome(Majority(quorum=0.5), "AA...", "AARR.") == (False, 0)


def test_when_none_passes_the_most_approved_one_leads() -> None:
    assert outcome(Majority(), "ARRRR", "AARRR") == (False, 1)


def test_a_decision_tells_the_votes_on_every_candidate() -> None:
    decision = Majority().tally(ballots("AAR", "A..", "RRR"))
    assert decision == Decision(True, 0, (2, 1, 0), (1, 0, 3), "2 of 3 approve")


@pytest.mark.parametrize("policy", POLICIES, ids=repr)
def test_without_candidates_there_is_nothing_to_adopt(policy: VotingPolicy) -> None:
    assert policy.tally(np.zeros((3, 0), dtype=np.int8)) == Decision(False, None, (), (), "no candidate")


VOTES = st.tuples(st.integers(1, 8), st.integers(1, 4)).flatmap(
    lambda shape: hnp.arrays(np.int8, shape, elements=st.sampled_from([-1, 0, 1]), fill=st.nothing())
)
ANY_POLICY = st.sampled_from(POLICIES)


@given(ANY_POLICY, VOTES, st.randoms())
def test_the_decision_does_not_depend_on_the_order_of_ballots(policy: VotingPolicy, votes: Votes, random: Any) -> None:
    order = list(range(len(votes)))
    random.shuffle(order)
    before = votes.copy()
    decision = policy.tally(votes)
    assert policy.tally(votes[order]) == decision
    assert policy.tally(np.asfortranarray(votes)) == decision
    np.testing.assert_array_equal(votes, before)


@given(ANY_POLICY, VOTES, st.data())
@example(Unanimous(), ballots("A.R"), None)
def test_one_more_approval_never_turns_acceptance_into_rejection(
    policy: VotingPolicy, votes: Votes, data: st.DataObject | None
) -> None:
    cells = [(i, c) for i, c in np.ndindex(*votes.shape) if votes[i, c] != A]
    if data is not None and cells:
        cells = [data.draw(st.sampled_from(cells))]
    before = policy.tally(votes)
    for cell in cells:
        more = votes.copy()
        more[cell] = A
        assert policy.tally(more).accepted >= before.accepted


@given(ANY_POLICY, VOTES)
def test_the_winner_passes_and_none_that_passes_is_more_approved(policy: VotingPolicy, votes: Votes) -> None:
    decision = policy.tally(votes)
    alone = [policy.tally(votes[:, [c]]).accepted for c in range(votes.shape[1])]
    assert decision.accepted == any(alone)
    assert decision.leader is not None
    if decision.accepted:
        rivals = [c for c, passes in enumerate(alone) if passes]
        most = max(decision.approvals[c] for c in rivals)
        assert decision.leader == next(c for c in rivals if decision.approvals[c] == most)


def test_a_policy_of_ones_own_says_only_what_is_enough() -> None:
    @dataclass(frozen=True)
    class AtLeast(VotingPolicy):
        number: int = 2

        def passes(self, approvals: int, cast: int) -> bool:
            return approvals >= self.number

    assert outcome(AtLeast(), "ARRRR", "AARRR") == (True, 1)
    assert not passed(AtLeast(number=3), 2, 0)


# Parameters


@pytest.mark.parametrize("policy", [Majority, Unanimous, Threshold])
@pytest.mark.parametrize("quorum", [-0.1, 1.1, nan])
def test_a_quorum_that_is_no_share_is_refused(policy: type[Majority], quorum: float) -> None:
    with pytest.raises(ParameterError, match="quorum is a share between 0 and 1"):
        policy(quorum=quorum)


@pytest.mark.parametrize("policy", [Majority, Unanimous, Threshold])
@pytest.mark.parametrize("least", [-0.1, nan])
def test_a_negative_minimum_is_refused(policy: type[Majority], least: float) -> None:
    with pytest.raises(ParameterError, match="min_improvement can't be negative"):
        policy(min_improvement=least)


@pytest.mark.parametrize("share", ["most", "", "2/0", "1/2/3", nan, inf])
def test_a_threshold_that_is_no_number_is_refused(share: float | str) -> None:
    with pytest.raises(ParameterError, match="share must be a number or a fraction such as '2/3', not"):
        Threshold(share=share)


@pytest.mark.parametrize("share", [-0.1, 1.01, "3/2", "-1/2"])
def test_a_threshold_beyond_all_votes_is_refused(share: float | str) -> None:
    with pytest.raises(ParameterError, match="share must lie between 0 and 1"):
        Threshold(share=share)


@pytest.mark.parametrize(
    ("share", "inclusive", "why"), [(0, True, "adopts what everyone rejects"), ("1", False, "can never approve")]
)
def test_a_threshold_that_can_only_adopt_or_only_reject_is_refused(
    share: float | str, inclusive: bool, why: str
) -> None:
    with pytest.raises(ParameterError, match=why):
        Threshold(share=share, inclusive=inclusive)


def test_without_a_share_one_approval_is_enough() -> None:
    one = Threshold(share=0, inclusive=False)
    assert passed(one, 1, 9)
    assert not passed(one, 0, 9)


def test_a_supermajority_is_two_thirds_exactly() -> None:
    assert passed(Supermajority(), 6, 3)
    assert not passed(Supermajority(), 5, 4)
    assert not passed(Supermajority(inclusive=False), 6, 3)
    assert passed(Majority(), 5, 4)


@pytest.mark.parametrize("share", [0.5, "1/2", 0.3])
def test_a_supermajority_of_half_or_less_is_refused(share: float | str) -> None:
    with pytest.raises(ParameterError, match="more than half of the votes, not share = "):
        Supermajority(share=share)


@given(st.integers(1, 30), st.integers(0, 30))
def test_liars_below_two_thirds_adopt_nothing_by_a_supermajority(liars: int, honest: int) -> None:
    # What its docstring says: alone they adopt nothing as long as they're fewer than share * n.
    assert passed(Supermajority(), liars, honest) == (3 * liars >= 2 * (liars + honest))
