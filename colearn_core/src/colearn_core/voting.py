"""Voting policies: how a learner decides its votes, and how the ballots become one decision."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum
from fractions import Fraction
from functools import lru_cache
from math import ceil, inf
from typing import Annotated, Any, NamedTuple, Self

import numpy as np
from annotated_types import Ge, Le
from numpy.typing import NDArray

from .errors import ConfigError, ParameterError
from .metrics import Metric
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


class Count(NamedTuple):
    """The votes of so many learners, counted: approvals, and rejections, of each candidate."""

    learners: int
    approvals: tuple[int, ...]
    rejections: tuple[int, ...]

    @property
    def cast(self) -> list[int]:
        """How many voted on each candidate."""
        return [yes + no for yes, no in zip(self.approvals, self.rejections, strict=True)]

    @staticmethod
    def of(votes: Votes) -> Count:
        columns = votes.T.tolist()
        approvals, rejections = (
            [column.count(APPROVE) for column in columns],
            [column.count(REJECT) for column in columns],
        )
        return Count(len(votes), tuple(approvals), tuple(rejections))


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

    @property
    def epsilon(self) -> float:
        """What a vote tells of a voter's data at most, as the epsilon of local differential privacy; infinite, unless
        a voter publishes something else than what it thinks.
        """
        return inf

    def check(self, metric: Metric) -> None:
        """Whether learners that vote by this metric can vote so.

        Raises:
            ConfigError: they can't: by default where votes go by samples, and the metric is no mean over these.
        """
        if self.looks_closer and not metric.of_samples:
            raise ConfigError(
                f"{type(self).__name__} goes by the scores of single samples, and {metric.name} has none",
                hint="Let learners vote by accuracy, log_loss or mse, or take another voting policy.",
            )

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
        count = Count.of(votes)
        cast = count.cast
        passing = [n > 0 and self.passes(yes, n) for yes, n in zip(count.approvals, cast, strict=True)]
        return self.elect(count, passing, merits=count.approvals, cast=cast)

    def elect(
        self,
        count: Count,
        passing: Sequence[bool],
        merits: Sequence[Any],
        cast: Sequence[int] | None = None,
        reasons: Sequence[str] = (),
    ) -> Decision:
        """The decision when it's known what would pass if it had a quorum, and what is better.

        Args:
            passing: whether each candidate has enough approval.
            merits: by which the leader is chosen, the greatest one.
            cast: how many had a say on each candidate; by default those that voted.
            reasons: the outcome of each candidate in words, by default :meth:`told`.
        """
        if not passing:
            return Decision(False, None, (), (), "no candidate")
        cast = count.cast if cast is None else cast
        needed = self.least_voters(count.learners)
        elected = [c for c, passes in enumerate(passing) if passes and cast[c] >= needed]
        leader = max(elected or range(len(passing)), key=merits.__getitem__)
        if cast[leader] < needed:
            reason = f"no quorum: {cast[leader]} of {count.learners} learners voted"
        else:
            reason = reasons[leader] if reasons else self.told(count.approvals[leader], count.cast[leader])
        return Decision(bool(elected), leader, count.approvals, count.rejections, reason)

    def told(self, approvals: int, cast: int) -> str:
        """The outcome in words."""
        return f"{approvals} of {cast} approve"

    def least_voters(self, learners: int) -> int:
        """How many must vote: the quorum's share of all learners, at least one."""
        return _least(self.quorum, learners) or 1


@lru_cache
def _least(share: float, total: int) -> int:
    """The smallest whole number that is this share of the total, exactly: 0.55 of 100 is 55, not 56."""
    return ceil(Fraction(str(share)) * total)


@dataclass(frozen=True)
class Majority(VotingPolicy):
    """Strictly more than half of the votes cast must approve; a tie rejects.

    When to use it: always, to begin with. Of all rules of two answers that treat learners and answers alike it's the
    only one where one more approval can only help (May 1952, Econometrica 20). Liars need as many honest learners
    that err as they lack to half of the votes. It costs one vote per learner and candidate.
    """

    def passes(self, approvals: int, cast: int) -> bool:
        return 2 * approvals > cast


@dataclass(frozen=True)
class Unanimous(VotingPolicy):
    """Every vote cast must approve.

    When to use it: among few learners that know each other, where no one may be made worse off. One learner that
    always rejects, be it by malice or for having unusual data, ends all learning.
    """

    def passes(self, approvals: int, cast: int) -> bool:
        return approvals == cast


@dataclass(frozen=True)
class Threshold(VotingPolicy):
    """A given share of the votes cast must approve.

    When to use it: to ask for more, or for less, than half. A share below a half lets two groups of learners undo
    each other's models; a share near 1 lets a single one stop everything.
    """

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
        if share == 0 and self.inclusive:
            raise ParameterError(
                "share = 0 adopts what everyone rejects", hint="With inclusive = false one approval is enough."
            )
        if share == 1 and not self.inclusive:
            raise ParameterError("more than share = 1 can never approve", hint="Leave inclusive at true.")

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


@dataclass(frozen=True)
class Supermajority(Threshold):
    """At least a given share of the votes cast, more than half of them, must approve: two thirds unless said otherwise.

    When to use it: where adopting a bad model is worse than missing a good one. With ``f`` liars among ``n`` voters a
    candidate needs the approval of ``share * n - f`` honest learners, and the liars alone adopt nothing as long as
    they're fewer than ``share * n``; but from ``(1 - share) * n`` of them on they stop everything, which a majority
    withstands up to a half. Two thirds is the usual compromise: it asks for as many honest votes as Byzantine
    agreement does (Lamport, Shostak and Pease 1982, ACM TOPLAS 4).
    """

    share: Annotated[float | str, 'Share of the votes cast, more than 1/2, a number or a fraction such as "2/3"'] = (
        "2/3"
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self._exact_share() > Fraction(1, 2):
            raise ParameterError(
                f"a supermajority is more than half of the votes, not share = {self.share}",
                hint="The policies majority and threshold ask for less.",
            )
