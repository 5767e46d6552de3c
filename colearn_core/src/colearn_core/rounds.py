"""One round: the only place where the protocol is written down."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from time import perf_counter
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from .cohort import Cohort, Proposals
from .past import PastRound
from .privacy import Spent
from .proposing import Candidate, ProposalStrategy
from .scores import Scores
from .streams import Streams
from .voting import ABSTAIN, Ballots, Decision, Votes, VotingPolicy
from .weights import Weights


class Standing(NamedTuple):
    """The weights in force, with every learner's scores of them (one column each).

    Attributes:
        privacy: what each learner that keeps a privacy budget has spent so far.
    """

    weights: Weights
    vote: Scores
    test: Scores
    privacy: Mapping[int, Spent] = {}


class CandidateRecord(NamedTuple):
    """What is kept of a candidate; ``digest`` is None when no ledger asks for it."""

    label: str
    authors: tuple[int, ...]
    digest: str | None


class RoundRecord(NamedTuple):
    """What happened in one round. Learners are known by their number, from 0; rounds count from 1.

    Attributes:
        round: the number of the round.
        proposers: who was asked for a proposal.
        refusals: who of them proposed nothing usable, and why.
        candidates: what was put to the vote.
        votes: values of :class:`~colearn_core.voting.Vote`, shape ``(learners, candidates)``.
        margins: how much better they find the candidates, of the same shape; None unless the policy asks for it.
        observed: a number about each proposal, by its author; empty unless the strategy goes by such.
        scores: the learners' vote scores of the candidates, of the same shape.
        abstentions: who couldn't score, and why, where it gave a reason.
        decision: the outcome.
        standing: the weights in force after the round, with their scores, and the privacy spent.
        seconds: wall-clock time of proposing, of voting, and of the whole round.
    """

    round: int
    proposers: tuple[int, ...]
    refusals: dict[int, str]
    candidates: tuple[CandidateRecord, ...]
    votes: Votes
    scores: NDArray[np.float32]
    abstentions: dict[int, str]
    decision: Decision
    standing: Standing
    seconds: dict[str, float]
    margins: NDArray[np.float32] | None = None
    observed: Mapping[int, float] = {}

    @property
    def accepted(self) -> bool:
        return self.decision.accepted

    @property
    def public(self) -> PastRound:
        """What everyone knows of the round."""
        return PastRound(
            self.round,
            self.proposers,
            tuple(c.authors for c in self.candidates),
            tuple(c.label for c in self.candidates),
            self.votes,
            self.decision.leader,
            self.accepted,
            self.observed,
        )

    def __str__(self) -> str:
        outcome = "accepted" if self.accepted else "rejected"
        label = "" if self.decision.leader is None else f" {self.candidates[self.decision.leader].label}"
        vote, test = self.standing.vote, self.standing.test
        return (
            f"round {self.round}:{label} {outcome} ({self.decision.reason}); "
            f"vote {vote.metric.name} {vote.mean():.4f}, test {test.metric.name} {test.mean():.4f}"
        )


def begin(cohort: Cohort, streams: Streams, weights: Weights | None = None, each: bool = False) -> Standing:
    """The standing before the first round: initial weights, scored by everyone.

    Args:
        each: whether the policy looks at the score of each sample.
    """
    return assess(cohort, cohort.initial_weights(streams.generator("initial")) if weights is None else weights, each)


def assess(cohort: Cohort, weights: Weights, each: bool = False) -> Standing:
    """Put weights in force: everyone scores them on vote and test data."""
    return Standing(weights, _voted(cohort, [weights], each), cohort.test([weights], "test"), cohort.spent())


def play(
    round: int,
    standing: Standing,
    cohort: Cohort,
    strategy: ProposalStrategy,
    policy: VotingPolicy,
    streams: Streams,
    digests: bool = False,
) -> RoundRecord:
    """Propose, vote, decide; the new standing is in the record.

    Scores of the current weights are never computed again, and test data are touched only when
    weights are adopted.

    Args:
        digests: whether to compute the candidates' digests, which can cost more than a small round.
    """
    start = perf_counter()
    base = standing.weights
    proposers = strategy.proposers(round, len(cohort), streams)
    proposed = cohort.propose(proposers, base, round, streams)
    candidates = _candidates(base, proposed, cohort, strategy)
    observed = strategy.observe(base, proposed.proposals)
    proposed_at = perf_counter()

    scores = _voted(cohort, [c.weights for c in candidates], policy.looks_closer)
    ballots = policy.ballots(standing.vote, scores, round, streams)
    ballots = without_own_vote(cohort.cast(ballots, candidates, round, streams), [c.authors for c in candidates])
    decision = policy.decide(ballots)
    voted_at = perf_counter()

    if decision.accepted and decision.leader is not None:
        adopted = candidates[decision.leader].weights
        untested = not standing.test.samples.any() and not standing.test.reasons  # nobody has test data
        test = standing.test if untested else cohort.test([adopted], "test")
        standing = Standing(adopted, scores.candidate(decision.leader), test)
    if spent := cohort.spent():
        standing = standing._replace(privacy=spent)
    return RoundRecord(
        round=round,
        proposers=tuple(proposers),
        refusals=proposed.refusals,
        candidates=tuple(
            CandidateRecord(c.label, c.authors, c.weights.digest if digests else None) for c in candidates
        ),
        votes=ballots.votes,
        margins=ballots.margins,
        observed=observed,
        scores=scores.values,
        abstentions=dict(scores.reasons),
        decision=decision,
        standing=standing,
        seconds={
            "propose": proposed_at - start,
            "vote": voted_at - proposed_at,
            "round": perf_counter() - start,
        },
    )


def _candidates(base: Weights, proposed: Proposals, cohort: Cohort, strategy: ProposalStrategy) -> list[Candidate]:
    if not proposed.proposals:
        return []
    proposals = strategy.clipped(base, proposed.proposals)
    found = strategy.candidates(base, proposals, lambda some: cohort.combine(base, some))
    checked = {id(p.weights) for p in proposed.proposals.values()}
    return [c for c in found if id(c.weights) in checked or c.weights.finite]


def _voted(cohort: Cohort, weights: Sequence[Weights], each: bool) -> Scores:
    return cohort.test_samples(weights) if each else cohort.test(weights, "vote")


def without_own_vote(ballots: Ballots, authors: Sequence[Sequence[int]]) -> Ballots:
    """The author of a lone candidate doesn't vote on it, unless there's nobody else.

    Args:
        authors: of each candidate.
    """
    if len(authors) == 1 and len(authors[0]) == 1 and len(ballots.votes) > 1:
        author = authors[0][0]
        ballots.votes[author, 0] = ABSTAIN
        if ballots.margins is not None:
            ballots.margins[author, 0] = np.nan
    return ballots
