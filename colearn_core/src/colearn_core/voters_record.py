"""Votes that weigh by the voters' record."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Annotated, Self

from annotated_types import Ge, Gt, Le

from .errors import ParameterError
from .past import PastRound
from .values import changed
from .voting import ABSTAIN, APPROVE
from .weighing import WeighingPolicy, Weight


@dataclass(frozen=True)
class Reputation(WeighingPolicy):
    """More than half of the weight of the votes cast must approve; votes weigh by how often the voter was right so far,
    that is, agreed with the outcome.

    Formula: of a learner that voted ``n`` times on a leading candidate, and ``a`` times as it was decided, the vote
    weighs ``2 (a + 1) / (n + 2)``, twice Laplace's estimate of how often it agrees, but not less than ``lowest`` and
    not more than ``highest``: 1 to begin with. Rounds without a quorum count for nobody. Once a record has ``memory``
    votes its numbers are halved, so that old votes fade. That weights should follow past errors is the idea of
    weighted majority (Littlestone and Warmuth 1994, Information and Computation 108).

    When to use it: against voters that lie all the time while most don't; once they're known, an honest vote weighs
    three times as much as theirs. It costs fairness: a learner with unusual data disagrees
    honestly, and is heard less; and it can't help against liars who vote honestly until it matters, nor when
    they're the majority, whose weight then grows. ``highest / lowest`` bounds both. All of it is worked out from what
    the ledger holds, so every reader of it comes to the same weights.

    Attributes:
        record: of each learner how often it agreed, and how often it voted; empty before the first round.
    """

    lowest: Annotated[float, Gt(0), Le(1), "What a vote weighs at least; new learners' weigh 1"] = 0.5
    highest: Annotated[float, Ge(1), Le(2), "What a vote weighs at most"] = 1.5
    memory: Annotated[int, Ge(1), "After so many votes a record's numbers are halved"] = 50
    record: tuple[tuple[int, int], ...] = field(default=(), init=False)

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 0 < self.lowest <= 1 <= self.highest <= 2:
            raise ParameterError(
                f"weights must have 1 between them: 0 < lowest = {self.lowest} <= 1 <= highest = {self.highest} <= 2"
            )
        if self.memory < 1:
            raise ParameterError(f"memory must be at least 1 vote, not {self.memory}")

    def weights_of(self, learners: int) -> Sequence[Weight]:
        if not self.record:
            return [1] * learners
        low, high = Fraction(str(self.lowest)), Fraction(str(self.highest))
        return [min(max(Fraction(2 * agreed + 2, voted + 2), low), high) for agreed, voted in self.record]

    def after(self, past: PastRound) -> Self:
        if past.leader is None:
            return self
        votes = past.votes[:, past.leader].tolist()
        if sum(vote != ABSTAIN for vote in votes) < self.least_voters(len(votes)):
            return self
        record = self.record or ((0, 0),) * len(votes)
        updated = [
            self._updated(agreed, voted, (vote == APPROVE) == past.accepted) if vote != ABSTAIN else (agreed, voted)
            for (agreed, voted), vote in zip(record, votes, strict=True)
        ]
        return changed(self, record=tuple(updated))

    def _updated(self, agreed: int, voted: int, agrees: bool) -> tuple[int, int]:
        if voted >= self.memory:
            agreed, voted = agreed // 2, voted // 2
        return agreed + agrees, voted + 1
