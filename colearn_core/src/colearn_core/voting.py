"""Voting policies: how a learner decides its votes, and how the ballots become one decision."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from enum import IntEnum
from fractions import Fraction
from functools import lru_cache
from math import ceil
from typing import Annotated, NamedTuple, Self

import numpy as np
from annotated_types import Ge, Le
from numpy.typing import NDArray

from .errors import ParameterError
from .past import PastRound
from .scores import Score, Scores
from .streams import Streams

Votes = NDArray[np.int8]
"""One ballot per row: a learner's votes (values of :class:`Vote`) on the candidates, one per column."""


class Vote(IntEnum):
    """One learner's answer to one candidate."""

    REJECT = -1
    ABSTAIN = 0
    APPROVE = 1


APPROVE, REJECT, ABSTAIN = map(int, (Vote.APPROVE, Vote.REJECT, Vote.ABSTAIN))
"""The values in arrays of votes; looking up an enum's member costs more than a vote."""

_TWICE, _ONE = np.int8(2), np.int8(1)


Margins = NDArray[np.float32]
"""How much better each learner finds each candidate, of the shape of the votes; NaN where it abstains."""


class Ballots(NamedTuple):
    """What the learners publish about the candidates; ``margins`` only where the policy goes by them."""

    votes: Votes
    margins: Margins | None = None


class Decision(NamedTuple):
    """The outcome of a vote.

    Attributes:
        accepted: whether the leading candidate is adopted.
        leader: the most approved candidate, of those that pass if any does; None without candidates.
        approvals, rejections: votes cast on each candidate.
        reason: the outcome in words.
    """

    accepted: bool
    leader: int | None
    approvals: tuple[int, ...]
    rejections: tuple[int, ...]
    reason: str


@dataclass(frozen=True)
class VotingPolicy(ABC):
    """The rule of a vote: :meth:`vote` is private to each learner, :meth:`tally` is the same for all.

    A subclass says in :meth:`passes` how many approvals are enough, or overrides either half. It's a value
    and holds no state; what a policy learns of past rounds makes another policy, see :meth:`after`.
    """

    quorum: Annotated[float, Ge(0), Le(1), "Share of all learners that must vote on a candidate"] = 0.5
    min_improvement: Annotated[float, Ge(0), "Approve only what improves the vote score by more than this"] = 0.0

    def __post_init__(self) -> None:
        if not 0 <= self.quorum <= 1:
            raise ParameterError(f"quorum is a share between 0 and 1, not {self.quorum}")
        if not self.min_improvement >= 0:
            raise ParameterError(f"min_improvement can't be negative: {self.min_improvement}")

    @property
    def adopts_ties(self) -> bool:
        """Whether a candidate that exactly half of the votes cast approve is adopted; by default not."""
        return False

    @property
    def looks_closer(self) -> bool:
        """Whether a vote goes by the score of each sample (``Score.each``), not only by their mean; by default not."""
        return False

    def among(self, samples: NDArray[np.int64]) -> Self:
        """The policy for voters that score on so many samples each, shape ``(learners,)``; by default no other.

        Raises:
            ConfigError: it doesn't fit these voters.
        """
        return self

    def after(self, past: PastRound) -> Self:
        """The policy for the rounds after this one, such as with other reputations; by default no other."""
        return self

    @abstractmethod
    def passes(self, approvals: int, cast: int) -> bool:
        """Whether ``approvals`` of ``cast`` votes (at least one) adopt a candidate."""

    def vote(self, current: Score, proposed: Score, greater_is_better: bool) -> Vote:
        """One learner's vote: approve strict improvement of its own score.

        A proposed score that's no number is an abstention. A current score that's no number loses
        against any finite one, or a model that once diverged would be kept for ever.
        """
        if proposed.samples == 0 or not np.isfinite(proposed.value):
            return Vote.ABSTAIN
        if not np.isfinite(current.value):
            return Vote.APPROVE
        gain = proposed.value - current.value if greater_is_better else current.value - proposed.value
        return Vote.APPROVE if gain > self.min_improvement else Vote.REJECT

    def votes(self, current: Scores, proposed: Scores) -> Votes:
        """All learners' votes on all candidates, each learner's from its own scores alone.

        It's :meth:`vote` for each of them; the rule above is computed for all at once.
        """
        if type(self).vote is not VotingPolicy.vote:
            return self._vote_one_by_one(current, proposed)
        better, worse = (proposed, current) if proposed.metric.greater_is_better else (current, proposed)
        if self.min_improvement:
            improves = np.subtract(better.values, worse.values, dtype=np.float64) > self.min_improvement
        else:
            improves = better.values > worse.values
        votes: Votes = improves.view(np.int8) * _TWICE - _ONE  # approve is 1, reject is -1
        if not (proposed.complete and current.complete):
            votes[np.broadcast_to(np.isnan(current.values), votes.shape)] = APPROVE
            votes[np.isnan(proposed.values)] = ABSTAIN
        return votes

    def ballots(self, current: Scores, proposed: Scores, round: int, streams: Streams) -> Ballots:
        """What honest learners publish: by default their votes.

        Randomness comes from ``streams.generator("ballot", round, learner)``, a stream of each learner's own.
        """
        return Ballots(self.votes(current, proposed))

    def _vote_one_by_one(self, current: Scores, proposed: Scores) -> Votes:
        learners, candidates = proposed.values.shape
        better = proposed.metric.greater_is_better
        votes = np.zeros((learners, candidates), dtype=np.int8)
        for i in range(learners):
            for c in range(candidates):
                votes[i, c] = self.vote(current.score(i, 0), proposed.score(i, c), better)
        return votes

    def decide(self, ballots: Ballots) -> Decision:
        """Turn what was published into a decision: by default a tally of the votes."""
        return self.tally(ballots.votes)

    def tally(self, votes: Votes) -> Decision:
        """Turn votes into a decision; pure, and independent of the order of the ballots.

        Of the candidates that have a quorum and enough approvals the most approved one wins, of
        equals the first.
        """
        learners, candidates = votes.shape
        columns = votes.T.tolist()
        approvals = [column.count(APPROVE) for column in columns]
        rejections = [column.count(REJECT) for column in columns]
        if not candidates:
            return Decision(False, None, (), (), "no candidate")
        needed = _least(self.quorum, learners) or 1
        passing = []
        for c, yes in enumerate(approvals):
            cast = yes + rejections[c]
            if cast >= needed and self.passes(yes, cast):
                passing.append(c)
        leader = max(passing or range(candidates), key=approvals.__getitem__)
        yes, cast = approvals[leader], approvals[leader] + rejections[leader]
        reason = f"{yes} of {cast} approve"
        if cast < needed:
            reason = f"no quorum: {cast} of {learners} learners voted"
        return Decision(bool(passing), leader, tuple(approvals), tuple(rejections), reason)


@lru_cache
def _least(share: float, total: int) -> int:
    """The smallest whole number that is this share of the total, exactly: 0.55 of 100 is 55, not 56."""
    return ceil(Fraction(str(share)) * total)


@dataclass(frozen=True)
class Majority(VotingPolicy):
    """Strictly more than half of the votes cast must approve; a tie rejects."""

    def passes(self, approvals: int, cast: int) -> bool:
        return 2 * approvals > cast


@dataclass(frozen=True)
class Unanimous(VotingPolicy):
    """Every vote cast must approve."""

    def passes(self, approvals: int, cast: int) -> bool:
        return approvals == cast


@dataclass(frozen=True)
class Threshold(VotingPolicy):
    """A given share of the votes cast must approve."""

    share: Annotated[float | str, 'Share of the votes cast, a number or a fraction such as "2/3"'] = 0.5
    inclusive: Annotated[bool, "Whether exactly this share is enough"] = True

    def __post_init__(self) -> None:
        super().__post_init__()
        try:
            share = self._exact_share()
        except (ValueError, ZeroDivisionError):
            raise ParameterError(f"share must be a number or a fraction such as '2/3', not {self.share!r}") from None
        if not 0 <= share <= 1:
            raise ParameterError(f"share must lie between 0 and 1, not {self.share}")

    @property
    def adopts_ties(self) -> bool:
        half = Fraction(1, 2)
        return self._exact_share() < half or (self.inclusive and self._exact_share() == half)

    def _exact_share(self) -> Fraction:
        # In doubles 0.55 * 100 is a little more than 55, and 55 of 100 votes would fail a threshold of 0.55.
        return Fraction(str(self.share))

    def passes(self, approvals: int, cast: int) -> bool:
        needed = self._exact_share() * cast
        return approvals >= needed if self.inclusive else approvals > needed
