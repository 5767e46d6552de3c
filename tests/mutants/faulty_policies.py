"""Voting policies with one fault each, made from the majority."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import ceil
from typing import Any, Self

import numpy as np
from mutant import Mutant

from colearn_core.graded import MedianImprovement, ScoreMargin
from colearn_core.past import PastRound
from colearn_core.randomised_response import RandomisedResponse
from colearn_core.scores import Score, Scores
from colearn_core.streams import Streams
from colearn_core.testing import Subject
from colearn_core.voters_record import Reputation
from colearn_core.voting import (
    ABSTAIN,
    APPROVE,
    REJECT,
    Ballots,
    Count,
    Decision,
    Majority,
    Threshold,
    Unanimous,
    Vote,
    Votes,
)
from colearn_core.weighing import Weight, Weighted

FETCH = "Fetch.ai colearn 0.2.8"


class AdoptsTiesUndeclared(Majority):
    def passes(self, approvals: int, cast: int) -> bool:
        return 2 * approvals >= cast


class DeclaresTiesItRejects(Majority):
    @property
    def adopts_ties(self) -> bool:
        return True


class ApprovesEqualScores(Majority):
    def vote(self, current: Score, proposed: Score, greater_is_better: bool) -> Vote:
        vote = super().vote(current, proposed, greater_is_better)
        return Vote.APPROVE if vote == REJECT and current.value == proposed.value else vote


class RejectsForEver(Majority):
    def vote(self, current: Score, proposed: Score, greater_is_better: bool) -> Vote:
        vote = super().vote(current, proposed, greater_is_better)
        return Vote.REJECT if vote == APPROVE and np.isnan(current.value) else vote


class NoVoteIsReject(Majority):
    def vote(self, current: Score, proposed: Score, greater_is_better: bool) -> Vote:
        vote = super().vote(current, proposed, greater_is_better)
        return Vote.REJECT if vote == ABSTAIN else vote


class ApprovesWhatIsNotWorse(Majority):
    """A comparison with NaN is false, so this approves it."""

    def vote(self, current: Score, proposed: Score, greater_is_better: bool) -> Vote:
        if proposed.samples == 0:
            return Vote.ABSTAIN
        if greater_is_better:
            return Vote.REJECT if proposed.value <= current.value else Vote.APPROVE
        return Vote.REJECT if proposed.value >= current.value else Vote.APPROVE


class VotesWithoutSamples(Majority):
    def vote(self, current: Score, proposed: Score, greater_is_better: bool) -> Vote:
        return super().vote(current._replace(samples=1), proposed._replace(samples=1), greater_is_better)


class GreaterIsAlwaysBetter(Majority):
    def vote(self, current: Score, proposed: Score, greater_is_better: bool) -> Vote:
        return super().vote(current, proposed, True)


class MarginOnTheWrongSide(Majority):
    def vote(self, current: Score, proposed: Score, greater_is_better: bool) -> Vote:
        shift = self.min_improvement if greater_is_better else -self.min_improvement
        proposed = proposed._replace(value=proposed.value + 2 * shift)
        return super().vote(current, proposed, greater_is_better)


class QuorumIgnored(Majority):
    def tally(self, votes: Votes) -> Decision:
        return Majority(quorum=0.0).tally(votes)


class QuorumRoundedDown(Majority):
    def tally(self, votes: Votes) -> Decision:
        share = int(self.quorum * len(votes)) / len(votes)
        return Majority(quorum=share).tally(votes)


class FirstVoteCountsTwice(Majority):
    def tally(self, votes: Votes) -> Decision:
        return (
            super()
            .tally(np.concatenate([votes[:1], votes]))
            ._replace(
                approvals=tuple((votes == APPROVE).sum(axis=0).tolist()),
                rejections=tuple((votes == REJECT).sum(axis=0).tolist()),
            )
        )


class NobodyIsAtLeastHalfOfNobody(Majority):
    def tally(self, votes: Votes) -> Decision:
        decision = super().tally(votes)
        silent = votes.size > 0 and not votes.any()
        return decision._replace(accepted=True) if silent else decision


class NoCandidateRaises(Majority):
    def tally(self, votes: Votes) -> Decision:
        (votes == APPROVE).sum(axis=0).argmax()
        return super().tally(votes)


class LoneLearnerIsNotAsked(Majority):
    def tally(self, votes: Votes) -> Decision:
        decision = super().tally(votes)
        return decision._replace(accepted=True) if len(votes) == 1 and votes.size else decision


class TwoMustApprove(Majority):
    def passes(self, approvals: int, cast: int) -> bool:
        return approvals >= 2 and super().passes(approvals, cast)


class HalfOfAllRoundedDown(Majority):
    """Counts abstentions as if they approved."""

    def tally(self, votes: Votes) -> Decision:
        decision = super().tally(votes)
        if decision.leader is None:
            return decision
        yes, no = decision.approvals[decision.leader], decision.rejections[decision.leader]
        return decision._replace(accepted=yes + no > 0 and len(votes) - no > len(votes) // 2)


class EvenCountsOnly(Majority):
    def passes(self, approvals: int, cast: int) -> bool:
        return super().passes(approvals, cast) and (approvals == cast or approvals % 2 == 0)


class MoreThanAllMustApprove(Majority):
    def passes(self, approvals: int, cast: int) -> bool:
        return approvals > cast or cast == 1 == approvals


class AgreementIsEnough(Majority):
    """All answers alike, whichever they are."""

    def passes(self, approvals: int, cast: int) -> bool:
        return super().passes(approvals, cast) or (approvals == 0 and cast > 1)


class RemembersTallies(Majority):
    """Grows stricter with every decision."""

    def tally(self, votes: Votes) -> Decision:
        seen = vars(self).get("seen", 0)
        object.__setattr__(self, "seen", seen + 1)
        decision = super().tally(votes)
        enough = max(decision.approvals, default=0) == len(votes) or seen < 10
        return decision._replace(accepted=decision.accepted and enough)


class WritesIntoBallots(Majority):
    def tally(self, votes: Votes) -> Decision:
        decision = super().tally(votes)
        np.abs(votes, out=votes)
        return decision


class VotesByTheMean(Majority):
    def votes(self, current: Scores, proposed: Scores) -> Votes:
        learners, candidates = proposed.values.shape
        votes = np.zeros((learners, candidates), dtype=np.int8)
        for c in range(candidates):
            one, other = Score(current.mean(), 1), Score(proposed.mean(c), 1)
            votes[:, c] = self.vote(one, other, proposed.metric.greater_is_better)
        return votes


class VotesRelativeToOthers(Majority):
    """Each learner's own comparison, unless most of the others fared worse."""

    def vote(self, current: Score, proposed: Score, greater_is_better: bool) -> Vote:
        return super().vote(current, proposed, greater_is_better)

    def votes(self, current: Scores, proposed: Scores) -> Votes:
        votes = super().votes(current, proposed)
        votes[:, votes.sum(axis=0) < -1] = REJECT
        return votes


class ForgetsGapsInBulk(Majority):
    def votes(self, current: Scores, proposed: Scores) -> Votes:
        better, worse = (proposed, current) if proposed.metric.greater_is_better else (current, proposed)
        improves = better.values - worse.values > self.min_improvement
        return np.where(improves, APPROVE, REJECT).astype(np.int8)


class ForgetsTheMarginInBulk(Majority):
    def votes(self, current: Scores, proposed: Scores) -> Votes:
        return Majority(self.quorum).votes(current, proposed)


class FloatVotes(Majority):
    def votes(self, current: Scores, proposed: Scores) -> Votes:
        return super().votes(current, proposed).astype(np.float32)


class ReadOnlyVotes(Majority):
    def votes(self, current: Scores, proposed: Scores) -> Votes:
        votes = super().votes(current, proposed)
        votes.flags.writeable = False
        return votes


class LeastApprovedLeads(Majority):
    def tally(self, votes: Votes) -> Decision:
        decision = super().tally(votes)
        if decision.leader is None:
            return decision
        return decision._replace(leader=min(range(votes.shape[1]), key=decision.approvals.__getitem__))


class LastOfEqualsLeads(Majority):
    def tally(self, votes: Votes) -> Decision:
        decision = super().tally(votes[:, ::-1])
        leader = None if decision.leader is None else votes.shape[1] - 1 - decision.leader
        return decision._replace(
            leader=leader, approvals=decision.approvals[::-1], rejections=decision.rejections[::-1]
        )


class OnlyTheMostApprovedCounts(Majority):
    """The most approved candidate may fail where another would pass."""

    def tally(self, votes: Votes) -> Decision:
        decision = super().tally(votes)
        if decision.leader is None:
            return decision
        most = max(range(votes.shape[1]), key=decision.approvals.__getitem__)
        return decision._replace(leader=most, accepted=super().tally(votes[:, [most]]).accepted)


class NumpysOwnNumbers(Majority):
    def tally(self, votes: Votes) -> Decision:
        decision = super().tally(votes)
        return decision._replace(accepted=np.bool_(decision.accepted))  # type: ignore[arg-type]


class CountsAbstentionsAsRejections(Majority):
    def tally(self, votes: Votes) -> Decision:
        decision = super().tally(votes)
        return decision._replace(rejections=tuple(len(votes) - yes for yes in decision.approvals))


class ReasonOverTwoLines(Majority):
    def tally(self, votes: Votes) -> Decision:
        decision = super().tally(votes)
        return decision._replace(reason=f"{decision.reason}\nso be it")


class ShowsItsAddress(Majority):
    def __repr__(self) -> str:
        return object.__repr__(self)


class LooksDifferentEachTime(Majority):
    made = 0

    def __repr__(self) -> str:
        type(self).made += 1
        return f"LooksDifferentEachTime(number={self.made})"


class CoinsOfTheProcess(RandomisedResponse):
    def ballots(self, current: Scores, proposed: Scores, round: int, streams: Streams) -> Ballots:
        votes = self.votes(current, proposed)
        votes[np.random.random(votes.shape) < self.flipped] *= -1
        return Ballots(votes)


class CoinsInTurn(RandomisedResponse):
    """One learner after the other takes the next coins, unless it abstains."""

    def ballots(self, current: Scores, proposed: Scores, round: int, streams: Streams) -> Ballots:
        votes = self.votes(current, proposed)
        coins = streams.generator("ballot", round)
        cast = votes != ABSTAIN
        votes[cast] *= np.where(coins.random(int(cast.sum())) < self.flipped, -1, 1).astype(np.int8)
        return Ballots(votes)


class MakesUpVotes(RandomisedResponse):
    """Hides abstentions behind a coin."""

    def ballots(self, current: Scores, proposed: Scores, round: int, streams: Streams) -> Ballots:
        votes = super().ballots(current, proposed, round, streams).votes
        votes[votes == ABSTAIN] = APPROVE
        return Ballots(votes)


class MarginsOfTheSilent(ScoreMargin):
    def ballots(self, current: Scores, proposed: Scores, round: int, streams: Streams) -> Ballots:
        votes, margins = super().ballots(current, proposed, round, streams)
        assert margins is not None
        return Ballots(votes, np.nan_to_num(margins))


class BelievesEveryMargin(ScoreMargin):
    def decide(self, ballots: Ballots) -> Decision:
        assert ballots.margins is not None
        typical = np.nan_to_num(ballots.margins, nan=0.0).astype(np.float64).sum(axis=0).tolist()
        return self.elect(Count.of(ballots.votes), [margin > 0 for margin in typical], typical)


class FirstMarginDecidesTies(MedianImprovement):
    def decide(self, ballots: Ballots) -> Decision:
        decision = super().decide(ballots)
        if decision.leader is None or ballots.margins is None:
            return decision
        return decision._replace(reason=f"{decision.reason}, led by {ballots.margins[0, decision.leader]}")


class CountsInPlace(Reputation):
    def after(self, past: PastRound) -> Self:
        object.__setattr__(self, "record", super().after(past).record)
        return self


class RemembersByChance(Reputation):
    """Forgets every seventh round, counted from the first that it was asked about."""

    asked = 0

    def after(self, past: PastRound) -> Self:
        type(self).asked += 1
        return super().after(past) if type(self).asked % 7 else self


class WritesIntoThePast(Majority):
    def after(self, past: PastRound) -> Self:
        past.votes[past.votes == ABSTAIN] = REJECT
        return self


class WinnerTakesAll(Reputation):
    """Weights without bounds."""

    def weights_of(self, learners: int) -> list[Weight]:
        return [4**agreed for agreed, _ in self.record] or [1] * learners


class KeepsItsFirstVoters(Weighted):
    def among(self, samples: Any) -> Self:
        object.__setattr__(self, "weights", super().among(samples).weights)
        return self


class WeighsByTheLastDigit(Weighted):
    """Weights that are all 0 for some voters."""

    def among(self, samples: Any) -> Self:
        return super().among(samples % 5)


@dataclass(frozen=True)
class TwoThirdsOfAll(Majority):
    """Of all learners, not of the votes cast."""

    def tally(self, votes: Votes) -> Decision:
        decision = super().tally(votes)
        if decision.leader is None:
            return decision._replace(reason="nothing to vote on")
        most = max(decision.approvals)
        needed = ceil(2 * len(votes) / 3)
        if decision.accepted and decision.approvals[decision.leader] >= needed:
            return decision
        return decision._replace(accepted=False, leader=decision.approvals.index(most), reason=f"{needed} must approve")


@dataclass(frozen=True)
class Relative(Majority):
    """Asks for an improvement by one percent of the current score, and abstains on smaller ones."""

    def vote(self, current: Score, proposed: Score, greater_is_better: bool) -> Vote:
        vote = super().vote(current, proposed, greater_is_better)
        small = vote == APPROVE and abs(proposed.value - current.value) < 0.01 * abs(current.value)
        return Vote.ABSTAIN if small else vote


@dataclass(frozen=True)
class Undecided(Majority):
    """Has no opinion on equal scores, nor when its own current score is lost."""

    def vote(self, current: Score, proposed: Score, greater_is_better: bool) -> Vote:
        no_opinion = not np.isfinite(current.value) or current.value == proposed.value
        return Vote.ABSTAIN if no_opinion else super().vote(current, proposed, greater_is_better)


def _mutant(make: Callable[..., Any], fault: str, origin: str = "", **parameters: Any) -> Mutant:
    return Mutant(make.__name__, "voting_policies", fault, Subject(make, parameters), origin)


def _made(name: str, policy: Callable[..., Any], **parameters: Any) -> Mutant:
    return Mutant(name, "voting_policies", "", Subject(policy, parameters))


MUTANTS = [
    _mutant(AdoptsTiesUndeclared, "at least half is enough, a majority is declared", FETCH),
    _mutant(DeclaresTiesItRejects, "declares that ties are adopted, and rejects them"),
    _mutant(ApprovesEqualScores, "equal scores are approved", FETCH),
    _mutant(RejectsForEver, "rejects for ever once its score is NaN", FETCH),
    _mutant(NoVoteIsReject, 'having no score counts as "reject"', FETCH),
    _mutant(ApprovesWhatIsNotWorse, "a proposal that scores NaN is approved"),
    _mutant(VotesWithoutSamples, "a score of no samples is a vote"),
    _mutant(GreaterIsAlwaysBetter, "the direction of the metric is ignored"),
    _mutant(MarginOnTheWrongSide, "the least improvement is subtracted: what is worse is approved"),
    _mutant(QuorumIgnored, "the quorum is ignored"),
    _mutant(QuorumRoundedDown, "the quorum is rounded down"),
    _mutant(FirstVoteCountsTwice, "the first ballot counts twice"),
    _mutant(NobodyIsAtLeastHalfOfNobody, "without a vote cast the candidate is adopted"),
    _mutant(NoCandidateRaises, "a round without candidates raises"),
    _mutant(LoneLearnerIsNotAsked, "one learner alone is accepted without a vote", FETCH),
    _mutant(TwoMustApprove, "two must approve, however few there are"),
    _mutant(HalfOfAllRoundedDown, "those who abstain count as if they approved"),
    _mutant(EvenCountsOnly, "one approval more can reject"),
    _mutant(MoreThanAllMustApprove, "not even everyone's approval is enough"),
    _mutant(AgreementIsEnough, "what all reject is adopted"),
    _mutant(RemembersTallies, "earlier decisions change later ones"),
    _mutant(WritesIntoBallots, "the tally writes into the ballots"),
    _mutant(VotesByTheMean, "everyone votes by the mean score of all"),
    _mutant(VotesRelativeToOthers, "learners follow the others' votes"),
    _mutant(ForgetsGapsInBulk, "missing scores are forgotten when all votes are computed at once"),
    _mutant(ForgetsTheMarginInBulk, "the least improvement is forgotten when all votes are computed at once"),
    _mutant(FloatVotes, "votes are floats"),
    _mutant(ReadOnlyVotes, "the array of votes can't be written"),
    _mutant(LeastApprovedLeads, "the least approved candidate leads"),
    _mutant(LastOfEqualsLeads, "of equally approved candidates the last leads"),
    _mutant(OnlyTheMostApprovedCounts, "a candidate that fails blocks one that would pass", quorum=0.0),
    _mutant(NumpysOwnNumbers, "numpy's bool in the decision can't be written as JSON"),
    _mutant(CountsAbstentionsAsRejections, "abstentions are counted as rejections"),
    _mutant(ReasonOverTwoLines, "the reason has two lines"),
    _mutant(ShowsItsAddress, "its repr is a memory address"),
    _mutant(LooksDifferentEachTime, "its repr counts instances"),
    _mutant(CoinsOfTheProcess, "ballots are flipped by a global generator"),
    _mutant(CoinsInTurn, "who abstains changes the coins of those after it"),
    _mutant(MakesUpVotes, "who has no score is given a vote"),
    _mutant(MarginsOfTheSilent, "who abstains has a margin of 0"),
    _mutant(BelievesEveryMargin, "margins count whatever is claimed"),
    _mutant(FirstMarginDecidesTies, "the decision names the ballot that came first"),
    _mutant(CountsInPlace, "the past changes the policy itself"),
    _mutant(RemembersByChance, "the same past gives another policy the second time"),
    _mutant(WritesIntoThePast, "the past is written into"),
    _mutant(WinnerTakesAll, "a good record outweighs all other voters"),
    _mutant(KeepsItsFirstVoters, "the voters of one experiment change the policy of another"),
    _mutant(WeighsByTheLastDigit, "with some numbers of samples nobody's vote counts"),
]

CONTROLS = [
    _mutant(TwoThirdsOfAll, ""),
    _mutant(Relative, ""),
    _mutant(Undecided, ""),
    _made("HalfIsEnough", Threshold, share=0.5),
    _made("ExactTwoThirds", Threshold, share="2/3", quorum=0.55),
    _made("OneIsEnough", Threshold, share=0.01, quorum=0.0),
    _made("HardlyAnyRecord", Reputation, lowest=0.9, highest=1.1, memory=1),
    _made("TrimmedAndAbsolute", ScoreMargin, trim=0.4, relative=False, clip=2.0, min_improvement=0.05),
    _made("AsGoodAsOpen", RandomisedResponse, epsilon=20.0, share=0.4),
    _made("SevenShareholders", Weighted, stakes=(1.0, 2.0, 0.0, 4.5, 1.0, 1.0, 1.0), cap=1.5),
    _made("EveryoneMustVote", Unanimous, quorum=1.0, min_improvement=0.2),
]
