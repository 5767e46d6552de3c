"""Votes that weigh: by the voters' samples or stakes, and what all policies with weights have in common."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from math import isfinite
from statistics import median
from typing import Annotated, Self

import numpy as np
from annotated_types import Gt
from numpy.typing import NDArray

from .errors import ConfigError, ParameterError
from .values import changed
from .voting import APPROVE, REJECT, Count, Decision, Votes, VotingPolicy

Weight = int | Fraction
"""Weights are exact: whether a half is exceeded must not hang on how sums are rounded."""


@dataclass(frozen=True)
class WeighingPolicy(VotingPolicy):
    """More than half of the weight of the votes cast must approve; a subclass says who weighs what.

    A quorum counts learners, not weight, so that no one who weighs much decides for those that couldn't be reached.
    """

    @abstractmethod
    def weights_of(self, learners: int) -> Sequence[Weight]:
        """What each learner's vote weighs, in the order of their numbers."""

    def passes(self, approvals: int, cast: int) -> bool:
        return 2 * approvals > cast

    def tally(self, votes: Votes) -> Decision:
        weights = self.weights_of(len(votes))
        if len(weights) != len(votes):
            raise ParameterError(f"{len(weights)} weights can't weigh the votes of {len(votes)} learners")
        columns = votes.T.tolist()
        approving = [_weight(weights, column, APPROVE) for column in columns]
        cast = [yes + _weight(weights, column, REJECT) for yes, column in zip(approving, columns, strict=True)]
        passing = [2 * yes > all_ for yes, all_ in zip(approving, cast, strict=True)]
        reasons = [self._told(column, yes, all_) for column, yes, all_ in zip(columns, approving, cast, strict=True)]
        return self.elect(Count.of(votes), passing, merits=approving, reasons=reasons)

    def _told(self, column: list[int], approving: Weight, cast: Weight) -> str:
        heads = self.told(column.count(APPROVE), column.count(APPROVE) + column.count(REJECT))
        return f"{heads}, {float(approving / cast):.0%} of the weight" if cast else heads


def _weight(weights: Sequence[Weight], column: list[int], vote: int) -> Weight:
    return sum(weight for weight, cast in zip(weights, column, strict=True) if cast == vote)


@dataclass(frozen=True)
class Weighted(WeighingPolicy):
    """More than half of the weight of the votes cast must approve, by the voters' samples or by given stakes.

    Formula: ``2 * sum(w of those that approve) > sum(w of those that vote)``, in whole numbers.

    When to use it: by samples, where a model should serve most patients rather than most hospitals, as McMahan et al.
    (2017, arXiv 1602.05629) weigh proposals by them; by stakes, where those who bear more should decide more. It
    costs robustness: a learner that holds half of the weight decides alone, and how many samples it votes by is what
    it says itself. ``cap`` bounds what such a claim is worth: three times the median is a good one among strangers.

    Before it's known who votes (see :meth:`among`), votes weigh alike.

    Attributes:
        weights: what each learner's vote weighs; empty as long as that isn't known.
    """

    stakes: Annotated[tuple[float, ...] | None, "One weight for each learner; without them their vote samples"] = None
    cap: Annotated[float | None, Gt(0), "No one weighs more than so many times the median (without: no bound)"] = None
    weights: tuple[Weight, ...] = field(default=(), init=False)

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.stakes is not None and not (all(isfinite(s) and s >= 0 for s in self.stakes) and any(self.stakes)):
            raise ParameterError(f"stakes must be numbers of at least 0, and not all 0: {list(self.stakes)}")
        if self.cap is not None and not (self.cap > 0 and isfinite(self.cap)):
            raise ParameterError(f"cap must be a number above 0, not {self.cap}")

    def among(self, samples: NDArray[np.int64]) -> Self:
        given: Sequence[Weight] = samples.tolist()
        if self.stakes is not None:
            given = [Fraction(str(stake)) for stake in self.stakes]
        if len(given) != len(samples):
            raise ConfigError(f"{len(samples)} learners need as many stakes, not {len(given)}")
        return changed(self, weights=tuple(self._capped(given)))

    def weights_of(self, learners: int) -> Sequence[Weight]:
        return self.weights or [1] * learners

    def _capped(self, weights: Sequence[Weight]) -> Sequence[Weight]:
        some = [weight for weight in weights if weight]
        if self.cap is None or not some:
            return weights
        most = Fraction(str(self.cap)) * median(map(Fraction, some))
        return [min(weight, most) for weight in weights]
