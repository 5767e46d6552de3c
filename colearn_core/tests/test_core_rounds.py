"""One round, the cohort that carries it out, and the experiment that plays many of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import EntryPoint
from math import inf, nan
from typing import Any

import numpy as np
import pytest

from colearn_core.approval import Approval
from colearn_core.cohort import LoopCohort
from colearn_core.components import Component
from colearn_core.errors import Abstention, ConfigError, ParameterError, UnknownComponentError, WeightsError
from colearn_core.experiment import Experiment
from colearn_core.history import History, Run
from colearn_core.hookspecs import hookimpl
from colearn_core.learner import Learner, Proposal
from colearn_core.metrics import metric
from colearn_core.plugins import PluginInfo, Plugins
from colearn_core.proposing import (
    Candidate,
    Combine,
    Committee,
    Everyone,
    LineSearch,
    ProposalStrategy,
    Random,
    RoundRobin,
)
from colearn_core.rounds import RoundRecord, Standing, assess, begin, play
from colearn_core.scores import Part, Score, Scores
from colearn_core.streams import Streams
from colearn_core.voting import Decision, Majority, Unanimous, Vote, VotingPolicy
from colearn_core.weights import Weights

A, R, N = Vote.APPROVE, Vote.REJECT, Vote.ABSTAIN
STREAMS = Streams(7)


def vector(*values: float) -> Weights:
    return Weights({"w": np.array(values, dtype=np.float64)})


def at(weights: Weights) -> float:
    return float(weights["w"][0])


class Seeker(Learner):
    """Its data are one point: it proposes to go half-way there, give or take, and scores by the distance squared."""

    vote_metric = metric("mse")
    test_metric = metric("mse")

    def __init__(self, target: float, *, samples: int = 10, noise: float = 0.0) -> None:
        self.target = target
        self.samples = samples
        self.noise = noise

    def initial_weights(self, rng: np.random.Generator) -> Weights:
        return vector(self.noise * rng.normal())

    def propose_weights(self, base: Weights, rng: np.random.Generator) -> Proposal:
        way = (self.target - base["w"]) / 2
        return Proposal(Weights({"w": base["w"] + way + self.noise * rng.normal()}), self.samples)

    def test_weights(self, weights: Weights, part: Part) -> Score:
        return Score(float(np.square(weights["w"] - self.target).mean()), self.samples)


class Proposing(Seeker):
    """Answers the call for proposals with what a function gives, which may also raise."""

    def __init__(self, answer: Callable[[Weights], Any], target: float = 0.0) -> None:
        super().__init__(target)
        self.answer = answer

    def propose_weights(self, base: Weights, rng: np.random.Generator) -> Proposal:
        found: Proposal = self.answer(base)
        return found


class Scoring(Seeker):
    """Scores as a function says, which may also raise."""

    def __init__(self, answer: Callable[[Weights], Any], target: float = 0.0) -> None:
        super().__init__(target)
        self.answer = answer

    def test_weights(self, weights: Weights, part: Part) -> Score:
        found: Score = self.answer(weights)
        return found


class Counting(Seeker):
    """Writes down what it's asked to score."""

    def __init__(self, target: float) -> None:
        super().__init__(target)
        self.asked: list[tuple[float, Part]] = []

    def test_weights(self, weights: Weights, part: Part) -> Score:
        self.asked.append((at(weights), part))
        return super().test_weights(weights, part)


def raising(error: BaseException) -> Callable[[Weights], Any]:
    def answer(weights: Weights) -> Any:
        raise error

    return answer


def one_round(
    learners: Sequence[Learner],
    strategy: ProposalStrategy | None = None,
    policy: VotingPolicy | None = None,
    start: float = 0.0,
    round: int = 1,
    digests: bool = False,
) -> RoundRecord:
    """The record of one round from weights at ``start``; the first learner's turn unless told otherwise."""
    cohort = LoopCohort(learners)
    standing = assess(cohort, vector(start))
    return play(round, standing, cohort, strategy or RoundRobin(), policy or Majority(), STREAMS, digests)


def votes_of(record: RoundRecord) -> list[Any]:
    """The votes on each candidate."""
    return [list(column) for column in record.votes.T]


# A round


def test_a_proposal_that_most_find_better_is_adopted_with_its_scores() -> None:
    record = one_round([Seeker(4), Seeker(6), Seeker(-8), Seeker(5)])
    assert record.accepted
    assert (record.round, record.proposers, record.refusals, record.abstentions) == (1, (0,), {}, {})
    assert [(c.label, c.authors) for c in record.candidates] == [("proposal", (0,))]
    assert votes_of(record) == [[N, A, R, A]]
    assert record.decision == Decision(True, 0, (2,), (1,), "2 of 3 approve")
    assert at(record.standing.weights) == 2
    np.testing.assert_array_equal(record.scores, [[4], [16], [100], [9]])
    np.testing.assert_array_equal(record.standing.vote.values, record.scores)
    np.testing.assert_array_equal(record.standing.test.values, record.scores)


def test_a_proposal_that_most_find_worse_changes_nothing() -> None:
    learners = [Seeker(4), Seeker(-6), Seeker(-8)]
    cohort = LoopCohort(learners)
    standing = assess(cohort, vector(0))
    record = play(1, standing, cohort, RoundRobin(), Majority(), STREAMS)
    assert not record.accepted
    assert votes_of(record) == [[N, R, R]]
    assert record.standing is standing
    np.testing.assert_array_equal(record.scores, [[4], [64], [100]])


def test_a_record_reads_as_a_line() -> None:
    text = "round 1: proposal accepted (1 of 1 approve); vote mse 6.5000, test mse 6.5000"
    assert str(one_round([Seeker(4), Seeker(5)])) == text
    nothing = one_round([Proposing(raising(Abstention("no"))), Seeker(2)])
    assert str(nothing) == "round 1: rejected (no candidate); vote mse 2.0000, test mse 2.0000"


def test_a_record_tells_how_long_the_round_took() -> None:
    seconds = one_round([Seeker(4), Seeker(5)]).seconds
    assert min(seconds.values()) >= 0
    assert seconds["propose"] + seconds["vote"] <= seconds["round"]


def test_the_policy_and_the_strategy_decide() -> None:
    learners = [Seeker(4), Seeker(6), Seeker(-8), Seeker(5)]
    assert not one_round(learners, policy=Unanimous()).accepted
    everyone = one_round(learners, Everyone())
    assert (everyone.proposers, everyone.candidates[0].authors) == ((0, 1, 2, 3), (0, 1, 2, 3))
    assert at(everyone.standing.weights) == pytest.approx((2 + 3 - 4 + 2.5) / 4)


def test_the_mean_of_proposals_is_weighted_by_samples() -> None:
    assert at(one_round([Seeker(2, samples=30), Seeker(10, samples=10)], Everyone()).standing.weights) == 2


class MeanOfItsOwn(Everyone):
    """Written elsewhere, and merges for itself."""

    def candidates(self, base: Weights, proposals: Mapping[int, Proposal], combine: Combine) -> list[Candidate]:
        return [Candidate(vector(float(np.mean([at(p.weights) for p in proposals.values()]))), tuple(proposals), "own")]


def test_proposals_are_clipped_before_any_strategy_gets_them() -> None:
    learners = [Seeker(2), Seeker(2), Seeker(2), Proposing(lambda base: Proposal(vector(-1000), 5), 2)]
    assert at(one_round(learners, MeanOfItsOwn(max_norm=1.0)).standing.weights) == (1 + 1 + 1 - 1) / 4
    assert not one_round(learners, MeanOfItsOwn()).accepted


def test_of_rival_candidates_the_most_approved_is_adopted() -> None:
    record = one_round([Seeker(2), Seeker(2), Seeker(-100), Seeker(2)], Approval(4))
    leader = record.decision.leader
    assert leader is not None
    assert record.candidates[leader].label == "median"
    assert record.decision.approvals[leader] == 3
    assert record.decision.approvals[0] == 1  # the mean is where the outlier pulled it
    assert at(record.standing.weights) == 1
    np.testing.assert_array_equal(record.standing.vote.values[:, 0], record.scores[:, leader])


# Who votes


def test_the_author_of_a_lone_candidate_does_not_vote_on_it() -> None:
    # Its own approval would make a tie of two a majority.
    record = one_round([Seeker(4), Seeker(4), Seeker(-4)])
    assert votes_of(record) == [[N, A, R]]
    assert not record.accepted
    assert votes_of(one_round([Seeker(4), Seeker(4), Seeker(-4)], round=3)) == [[R, R, N]]


def test_a_lone_learner_votes_on_its_own_proposal() -> None:
    record = one_round([Seeker(4)])
    assert votes_of(record) == [[A]]
    assert at(record.standing.weights) == 2


def test_members_of_a_committee_vote_on_their_mean() -> None:
    assert votes_of(one_round([Seeker(4), Seeker(6), Seeker(-1)], Committee(3))) == [[A, A, R]]


def test_when_only_one_of_a_committee_has_proposed_it_does_not_vote() -> None:
    record = one_round([Seeker(4), Proposing(raising(ValueError("no")), 4)], Committee(2))
    assert record.candidates[0].authors == (0,)
    assert votes_of(record) == [[N, A]]


def test_the_author_of_rival_candidates_votes_on_all_of_them() -> None:
    assert votes_of(one_round([Seeker(4), Seeker(1)], LineSearch((1.0, 0.25)))) == [[A, R], [A, A]]


# Learners that fail or decline


def test_a_learner_that_cannot_propose_is_a_refusal_with_its_reason_and_the_round_goes_on() -> None:
    record = one_round([Seeker(4), Proposing(raising(ZeroDivisionError("by\n  nothing"))), Seeker(4)], Everyone())
    assert record.refusals == {1: "ZeroDivisionError: by nothing"}
    assert record.candidates[0].authors == (0, 2)
    assert record.accepted


def test_the_reason_of_an_abstention_is_recorded_word_for_word() -> None:
    spent = Abstention("privacy budget spent: epsilon 3.0 of 3.0")
    record = one_round([Proposing(raising(spent)), Seeker(4), Scoring(raising(spent))], Everyone())
    assert record.refusals == {0: "privacy budget spent: epsilon 3.0 of 3.0"}
    assert record.abstentions == {2: "privacy budget spent: epsilon 3.0 of 3.0"}


def test_a_learner_that_cannot_score_abstains_with_its_reason_and_the_others_decide() -> None:
    record = one_round([Seeker(4), Scoring(raising(MemoryError("full"))), Seeker(4)])
    assert votes_of(record) == [[N, N, A]]
    assert record.abstentions == {1: "MemoryError: full"}
    assert (record.accepted, record.decision.reason) == (False, "no quorum: 1 of 3 learners voted")
    more = one_round([Seeker(4), Scoring(raising(MemoryError("full"))), Seeker(4), Seeker(5)])
    assert more.accepted
    assert np.isnan(more.standing.vote.values[1, 0])


def test_a_learner_that_cannot_score_one_candidate_votes_on_the_others() -> None:
    def picky(weights: Weights) -> Score:
        if at(weights) > 3:
            raise ValueError("too far")
        return Score(abs(4 - at(weights)), 5)

    record = one_round([Seeker(4), Scoring(picky)], LineSearch((2.0, 1.0)))
    assert votes_of(record) == [[A, N], [A, A]]
    assert record.abstentions == {1: "ValueError: too far"}
    assert (record.decision.leader, at(record.standing.weights)) == (1, 2)


@pytest.mark.parametrize("score", [Score(nan, 10), Score(inf, 10), Score(0.0, 0), Score(nan, 0)])
def test_a_score_that_is_no_number_or_of_no_samples_is_an_abstention(score: Score) -> None:
    assert votes_of(one_round([Seeker(4), Scoring(lambda weights: score), Seeker(4)])) == [[N, N, A]]


def test_a_score_beyond_single_precision_is_an_abstention_without_a_warning() -> None:
    # Warnings are errors in the tests. The squared error of a model that diverges passes 1e38 soon enough.
    assert votes_of(one_round([Seeker(4), Scoring(lambda weights: Score(1e300, 5)), Seeker(4)])) == [[N, N, A]]


@pytest.mark.parametrize(
    "score",
    [None, 0.5, (0.5,), Score("good", 10), Score([0.5, 0.5], 10), Score(0.5, nan)],  # type: ignore[arg-type]
    ids=repr,
)
def test_an_answer_that_is_no_score_costs_its_learner_the_vote_and_not_the_others_the_round(score: Any) -> None:
    record = one_round([Seeker(4), Scoring(lambda weights: score), Seeker(4)])
    assert votes_of(record) == [[N, N, A]]
    assert list(record.abstentions) == [1]


def test_a_learner_that_once_diverged_does_not_hold_on_to_it() -> None:
    record = one_round([Seeker(4), Scoring(lambda w: Score(nan if at(w) == 0 else 1e9, 5)), Seeker(5)])
    assert votes_of(record) == [[N, A, A]]


@pytest.mark.parametrize(
    ("proposal", "reason"),
    [
        (vector(nan), r"WeightsError: non-finite values in 'w' (1 of 1)"),
        (vector(-inf), r"WeightsError: non-finite values in 'w' (1 of 1)"),
        (vector(1, 2), "WeightsError: 'w' is float64[2], the model has float64[1]"),
        (Weights({"w": np.zeros(1, dtype="f4")}), "WeightsError: 'w' is float32[1], the model has float64[1]"),
        (Weights({"v": np.zeros(1)}), "WeightsError: weights of another model: missing ['w'], unexpected ['v']"),
    ],
)
def test_a_proposal_that_is_malformed_is_not_put_to_the_vote_and_the_array_is_named(
    proposal: Weights, reason: str
) -> None:
    record = one_round([Seeker(4), Proposing(lambda base: Proposal(proposal, 5)), Seeker(4)], Everyone())
    assert record.refusals == {1: reason}
    assert record.candidates[0].authors == (0, 2)


@pytest.mark.parametrize("answer", [None, vector(1), Proposal({"w": np.zeros(1)}, 1)], ids=repr)  # type: ignore[arg-type]
def test_an_answer_that_is_no_proposal_is_a_refusal(answer: Any) -> None:
    record = one_round([Seeker(4), Proposing(lambda base: answer), Seeker(4)], Everyone())
    assert list(record.refusals) == [1]


@pytest.mark.parametrize("samples", [0, -10])
def test_a_proposal_from_no_samples_is_a_refusal(samples: int) -> None:
    # Together with the other's ten samples, minus ten would make a mean of infinities.
    record = one_round([Seeker(4), Proposing(lambda base: Proposal(vector(1), samples), 4)], Everyone())
    assert list(record.refusals) == [1]
    assert at(record.standing.weights) == 2


def test_a_candidate_that_overflows_is_never_adopted() -> None:
    # A score such as accuracy can be finite for infinite weights, from which nobody could go on training.
    learners: list[Learner] = [Proposing(lambda base: Proposal(vector(1.7e308), 5))]
    learners += [Scoring(lambda weights: Score(0.0 if at(weights) > 1e308 else 1.0, 5)) for _ in range(3)]
    with np.errstate(over="ignore"):
        record = one_round(learners, LineSearch((2.0,)))
    record.standing.weights.check_finite()


def test_without_proposals_there_is_no_candidate() -> None:
    record = one_round([Proposing(raising(Abstention("no"))), Proposing(raising(Abstention("not me")))], Everyone())
    assert record.refusals == {0: "no", 1: "not me"}
    assert record.decision == Decision(False, None, (), (), "no candidate")
    assert (record.candidates, record.votes.shape, record.scores.shape) == ((), (2, 0), (2, 0))
    assert at(record.standing.weights) == 0


def test_an_attempt_to_change_the_current_weights_is_a_refusal_and_changes_nothing() -> None:
    def in_place(base: Weights) -> Proposal:
        base["w"][0] = 99
        return Proposal(base, 5)

    record = one_round([Seeker(4), Proposing(in_place), Seeker(4)], Everyone())
    assert record.refusals == {1: "ValueError: assignment destination is read-only"}
    assert at(record.standing.weights) == 2


def test_training_and_voting_leave_the_current_weights_as_they_were() -> None:
    base = vector(1, 2)
    cohort = LoopCohort([Seeker(4), Seeker(5)])
    play(1, assess(cohort, base), cohort, LineSearch(), Majority(), STREAMS)
    assert Weights(base).digest == vector(1, 2).digest


# What is scored, and what is not


def test_current_weights_are_not_scored_again_and_test_data_not_touched_by_a_rejection() -> None:
    learners = [Counting(4), Counting(-5), Counting(-6)]
    cohort = LoopCohort(learners)
    standing = assess(cohort, vector(0))
    assert [learner.asked for learner in learners] == [[(0, "vote"), (0, "test")]] * 3
    for learner in learners:
        learner.asked.clear()
    assert not play(1, standing, cohort, RoundRobin(), Majority(), STREAMS).accepted
    assert [learner.asked for learner in learners] == [[(2, "vote")]] * 3


def test_adopted_weights_are_scored_on_test_data_once() -> None:
    learners = [Counting(4), Counting(5), Counting(6)]
    cohort = LoopCohort(learners)
    standing = assess(cohort, vector(0))
    for learner in learners:
        learner.asked.clear()
    record = play(1, standing, cohort, LineSearch((1.0, 0.5)), Majority(), STREAMS)
    assert record.accepted
    assert [learner.asked for learner in learners] == [[(2, "vote"), (1, "vote"), (2, "test")]] * 3


def test_digests_are_recorded_on_request_only() -> None:
    learners = [Seeker(4), Seeker(5)]
    assert [c.digest for c in one_round(learners, Committee()).candidates] == [None]
    record = one_round(learners, LineSearch((1.0, 0.5)), digests=True)
    assert [c.digest for c in record.candidates] == [vector(2).digest, vector(1).digest]


def test_the_standing_before_the_first_round_is_what_the_first_learner_begins_with_or_what_is_given() -> None:
    cohort = LoopCohort([Seeker(4, noise=1), Seeker(6, noise=1)])
    assert at(begin(cohort, STREAMS).weights) == at(Seeker(0, noise=1).initial_weights(STREAMS.generator("initial")))
    standing = begin(cohort, STREAMS, vector(3))
    assert isinstance(standing, Standing)
    assert (at(standing.weights), standing.vote.mean(), standing.test.mean()) == (3, 5, 5)


def test_initial_weights_that_are_no_numbers_are_an_error() -> None:
    class Diverged(Seeker):
        def initial_weights(self, rng: np.random.Generator) -> Weights:
            return vector(nan)

    with pytest.raises(WeightsError, match="non-finite values in 'w'"):
        begin(LoopCohort([Diverged(1)]), STREAMS)


# The cohort


def test_every_learner_draws_from_its_own_stream_of_the_round() -> None:
    cohort = LoopCohort([Seeker(0, noise=1) for _ in range(3)])
    both = cohort.propose([2, 0], vector(0), 5, STREAMS).proposals
    alone = cohort.propose([2], vector(0), 5, STREAMS).proposals
    later = cohort.propose([2], vector(0), 6, STREAMS).proposals
    assert list(both) == [0, 2]
    assert alone[2].weights == both[2].weights
    assert both[0].weights != both[2].weights
    assert later[2].weights != both[2].weights
    expected = STREAMS.generator("propose", 5, 2).normal()
    assert at(both[2].weights) == pytest.approx(expected)


def test_scores_come_one_row_per_learner_and_one_column_per_candidate() -> None:
    scores = LoopCohort([Seeker(0, samples=3), Seeker(1, samples=4)]).test([vector(0), vector(1), vector(3)], "vote")
    assert isinstance(scores, Scores)
    assert (scores.values.tolist(), scores.samples.tolist()) == ([[0, 1, 9], [1, 0, 4]], [3, 4])
    assert scores.values.dtype == np.float32


def test_scores_tell_by_which_metric_they_were_made() -> None:
    class Two(Seeker):
        vote_metric = metric("log_loss")
        test_metric = metric("accuracy")

    cohort = LoopCohort([Two(1)])
    assert [cohort.test([vector(0)], part).metric.name for part in ("vote", "test")] == ["log_loss", "accuracy"]


def test_names_are_numbers_unless_given() -> None:
    assert LoopCohort([Seeker(0)] * 3).names == ("learner-0", "learner-1", "learner-2")
    cohort = LoopCohort([Seeker(0)] * 2, ["north", "south"])
    assert (cohort.names, len(cohort)) == (("north", "south"), 2)


@pytest.mark.parametrize("names", [["a", "a"], ["a"], ["a", "b", "c"], []])
def test_names_must_be_as_many_as_learners_and_unique(names: list[str]) -> None:
    with pytest.raises(ConfigError, match="2 learners need as many different names"):
        LoopCohort([Seeker(0), Seeker(1)], names)


def test_a_cohort_of_nobody_is_refused() -> None:
    with pytest.raises(ConfigError, match="at least one learner"):
        LoopCohort([])


@pytest.mark.parametrize("which", ["vote_metric", "test_metric"])
def test_learners_that_differ_in_their_metrics_are_refused_by_name(which: str) -> None:
    other = Seeker(1)
    setattr(other, which, metric("r2"))
    with pytest.raises(ConfigError, match=r"south scores by .*r2.*, north by mse and mse: scores must be comparable"):
        LoopCohort([Seeker(0), other], ["north", "south"])


# The experiment


class Observer:
    """Writes down what it's told."""

    def __init__(self) -> None:
        self.told: list[str] = []

    @hookimpl
    def colearn_experiment_started(self, experiment: Experiment) -> None:
        self.told.append(f"started with {len(experiment.cohort)}")

    @hookimpl
    def colearn_round_finished(self, experiment: Experiment, record: RoundRecord) -> None:
        assert experiment.standing is record.standing
        self.told.append(f"round {record.round}")

    @hookimpl
    def colearn_experiment_finished(self, experiment: Experiment, run: Run) -> None:
        self.told.append(f"finished after {len(run.history.round)}")

    @hookimpl
    def colearn_voting_policies(self) -> list[Component]:
        return [Component("watch.all", "colearn_core.voting:Unanimous")]


OBSERVER = Observer()


@pytest.fixture
def told() -> list[str]:
    """What the observing plugin is told in this test."""
    OBSERVER.told = []
    return OBSERVER.told


def observing() -> Plugins:
    entry_point = EntryPoint("watch", f"{__name__}:OBSERVER", "colearn.v1")
    return Plugins([PluginInfo("watch", "colearn-watch-plugin", "1.0", 1, "", entry_point)])


def experiment(learners: Sequence[Learner] | None = None, **options: Any) -> Experiment:
    if learners is None:
        learners = [Seeker(target, noise=0.5) for target in (4, 5, 6, 20)]
    return Experiment(learners, **({"plugins": Plugins([])} | options))


@dataclass(frozen=True)
class Outcome:
    """All of a record but the time it took, comparable."""

    round: int
    proposers: tuple[int, ...]
    candidates: tuple[Any, ...]
    votes: bytes
    scores: bytes
    decision: Decision
    standing: str


def outcomes(records: Sequence[RoundRecord]) -> list[Outcome]:
    return [
        Outcome(
            r.round,
            r.proposers,
            r.candidates,
            r.votes.tobytes(),
            r.scores.tobytes(),
            r.decision,
            r.standing.weights.digest,
        )
        for r in records
    ]


def test_an_experiment_from_learners_comes_closer_to_what_they_seek() -> None:
    tried = experiment(proposals="everyone", voting=Majority())
    before = tried.standing.vote.mean()
    records = list(tried.rounds(10))
    assert records[-1].standing.vote.mean() < before / 2
    assert tried.weights is records[-1].standing.weights


def test_rounds_begin_where_those_before_have_ended() -> None:
    whole, parts = experiment(), experiment()
    records = [*parts.rounds(2), *parts.rounds(1), *parts.rounds(3)]
    assert [r.round for r in records] == [1, 2, 3, 4, 5, 6]
    assert outcomes(records) == outcomes(list(whole.rounds(6)))


def test_rounds_are_played_when_they_are_taken() -> None:
    tried = experiment()
    rounds = tried.rounds(5)
    next(rounds)
    assert next(rounds).round == 2
    assert [r.round for r in tried.rounds(1)] == [3]


@pytest.mark.parametrize("n", [0, -1])
def test_a_number_of_rounds_below_one_is_refused_at_once(n: int) -> None:
    tried = experiment()
    with pytest.raises(ParameterError, match=f"at least 1, not {n}"):
        tried.rounds(n)
    with pytest.raises(ParameterError, match=f"at least 1, not {n}"):
        tried.run(n)


@pytest.mark.parametrize("proposals", [RoundRobin(), Random(), LineSearch(), Everyone(), Committee(2), Approval(3)])
def test_the_same_seed_gives_the_same_records_and_another_seed_others(proposals: ProposalStrategy) -> None:
    one, again, other = (outcomes(list(experiment(proposals=proposals, seed=s).rounds(6))) for s in (1, 1, 2))
    assert one == again
    assert all(a.standing != b.standing for a, b in zip(one, other, strict=True))


def test_the_result_does_not_depend_on_the_runtime() -> None:
    loop, fused = (outcomes(list(experiment(runtime=runtime).rounds(5))) for runtime in ("loop", "fused"))
    assert loop == fused


def test_initial_weights_and_names_can_be_given() -> None:
    tried = experiment([Seeker(1), Seeker(2)], initial=vector(3), names=["north", "south"])
    assert at(tried.weights) == 3
    assert tried.cohort.names == ("north", "south")
    assert tried.run(1).history.names == ("north", "south")


def test_a_negative_seed_an_empty_group_and_an_unknown_name_are_refused() -> None:
    with pytest.raises(ParameterError, match="seed must be 0 or more, not -1"):
        experiment(seed=-1)
    with pytest.raises(ConfigError, match="at least one learner"):
        experiment([])
    with pytest.raises(UnknownComponentError, match=r"unknown voting policy 'majorty'(.|\n)*'majority'"):
        experiment(voting="majorty")
    with pytest.raises(ConfigError, match="different names"):
        experiment(names=["a"] * 4)


def test_a_run_returns_the_history_and_the_weights_in_force() -> None:
    tried, taken = experiment(), experiment()
    before = taken.standing
    run = tried.run(6)
    records = list(taken.rounds(6))
    assert run.history.round == [1, 2, 3, 4, 5, 6]
    assert run.history.accepted == [r.accepted for r in records]
    assert run.weights == records[-1].standing.weights
    expected = [before.vote.values[:, 0], *(r.standing.vote.values[:, 0] for r in records)]
    np.testing.assert_array_equal(run.history.vote_scores, expected)


def test_a_run_ends_when_it_is_told_to() -> None:
    tried = experiment()
    seen = []

    def until_the_third(record: RoundRecord, history: History) -> bool:
        seen.append(len(history.round))
        return record.round == 3

    run = tried.run(9, until_the_third)
    assert (run.history.round, seen) == ([1, 2, 3], [1, 2, 3])
    assert tried.run(1).history.round == [4]


@pytest.mark.parametrize("interrupted", ["propose_weights", "test_weights"])
def test_an_interrupt_within_a_round_loses_that_round_and_keeps_those_before(
    interrupted: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    learners = [Seeker(target, noise=0.5) for target in (4, 5, 6)]
    tried, whole = experiment(learners), experiment(learners)
    expected = outcomes(list(whole.rounds(3)))

    def interrupt(*args: Any) -> Any:
        raise KeyboardInterrupt

    def before_the_third(record: RoundRecord, history: History) -> None:
        if record.round == 2:
            monkeypatch.setattr(learners[2], interrupted, interrupt)

    run = tried.run(5, before_the_third)
    monkeypatch.undo()
    assert run.history.round == [1, 2]
    assert run.weights.digest == expected[1].standing
    assert outcomes(list(tried.rounds(1))) == expected[2:]


def test_observers_are_told_of_the_start_once_of_each_round_and_of_the_end_of_a_run(told: list[str]) -> None:
    tried = experiment(plugins=observing())
    assert told == []
    list(tried.rounds(1))
    assert told == ["started with 4", "round 1"]
    tried.run(2)
    assert told == ["started with 4", "round 1", "round 2", "round 3", "finished after 2"]


def test_observers_are_told_of_the_end_of_an_interrupted_run(told: list[str]) -> None:
    learners: list[Learner] = [Seeker(4), Proposing(raising(KeyboardInterrupt()), 4)]
    experiment(learners, proposals="round_robin", plugins=observing()).run(5)
    assert told == ["started with 2", "round 1", "finished after 1"]


def test_components_of_a_plugin_are_found_by_name() -> None:
    assert experiment(voting="watch.all", plugins=observing()).policy == Unanimous()
