"""Votes by degree: learners publish how much better they find a candidate, within bounds."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass
from fractions import Fraction
from math import fsum, inf, isfinite
from typing import Annotated

import numpy as np
from annotated_types import Ge, Gt, Lt
from numpy.typing import NDArray

from .errors import ParameterError
from .scores import Scores
from .streams import Streams
from .voting import ABSTAIN, Ballots, Count, Decision, Margins, VotingPolicy


@dataclass(frozen=True)
class GradedPolicy(VotingPolicy):
    """A candidate whose typical margin is above 0 is adopted; a subclass says which margin is typical.

    A learner's margin is how much better the candidate scores, less ``min_improvement``, and where it's relative, by
    the size of its current score; never beyond ``clip``, whatever a learner publishes. It says as much of its data as
    a score does, where a vote says one bit. Votes are published too, and are the sign of the margin; tallied alone
    they're taken as margins of 1 and -1, which makes a majority of them.
    """

    relative: Annotated[bool, "Whether an improvement is measured by the learner's current score"] = True
    clip: Annotated[float, Gt(0), "The most that a learner's improvement counts, up and down"] = 0.1

    def __post_init__(self) -> None:
        super().__post_init__()
        if not (self.clip > 0 and isfinite(self.clip)):
            raise ParameterError(f"clip must be a number above 0, not {self.clip}")

    @abstractmethod
    def typical(self, margins: list[float]) -> float:
        """The typical one of margins, at least one, which are sorted."""

    def passes(self, approvals: int, cast: int) -> bool:
        return 2 * approvals > cast

    def ballots(self, current: Scores, proposed: Scores, round: int, streams: Streams) -> Ballots:
        votes = self.votes(current, proposed)
        margins = self._margins(current, proposed)
        margins[votes == ABSTAIN] = np.nan
        return Ballots(votes, margins)

    def decide(self, ballots: Ballots) -> Decision:
        if ballots.margins is None:
            return self.tally(ballots.votes)
        columns = [self._counting(column) for column in ballots.margins.T]
        typical = [self.typical(column) if column else -inf for column in columns]
        return self.elect(
            Count.of(ballots.votes),
            passing=[margin > 0 for margin in typical],
            merits=typical,
            cast=[len(column) for column in columns],
            reasons=[f"the typical margin is {margin:+.3g}" for margin in typical],
        )

    def _margins(self, current: Scores, proposed: Scores) -> Margins:
        now, then = current.values.astype(np.float64), proposed.values.astype(np.float64)
        gains = (then - now if proposed.metric.greater_is_better else now - then) - self.min_improvement
        if self.relative:
            size = np.broadcast_to(np.abs(now), gains.shape)
            gains = np.divide(gains, size, out=np.sign(gains) * self.clip, where=size > 0)
        margins = np.clip(gains, -self.clip, self.clip)
        margins[np.broadcast_to(np.isnan(now), margins.shape)] = self.clip  # it lost its score: any other is better
        return margins.astype(np.float32)

    def _counting(self, column: NDArray[np.float32]) -> list[float]:
        """The margins that count, sorted; one that's no finite number is an abstention."""
        finite = column[np.isfinite(column)].astype(np.float64)
        return sorted(np.clip(finite, -self.clip, self.clip).tolist())


@dataclass(frozen=True)
class ScoreMargin(GradedPolicy):
    """The mean of clipped improvements must be above 0.

    Formula: ``mean(clip(gain_i, -clip, clip)) > 0``, where ``gain_i`` is how much better learner ``i`` scores the
    candidate, less ``min_improvement``, and divided by the size of its current score if ``relative``. With ``trim``
    that share of the margins is left out at either end before the mean is taken (the trimmed mean of Yin et al.
    2018, arXiv 1803.01498).

    When to use it: where learners differ, and a model may make many a little worse that makes some much better, or
    the other way round; a majority sees the numbers alone. It costs robustness: a liar that claims the full ``clip``
    outweighs ``clip / gain`` honest learners, so that a share ``f`` of liars stops whatever improves the others by
    less than ``clip * f / (1 - f)`` on average, and forces what worsens them by less. A small ``clip`` makes it a
    majority, and ``trim`` of the share of liars takes most of their claims away. It also costs privacy: margins are
    published.
    """

    trim: Annotated[float, Ge(0), Lt(0.5), "Share of the margins that is left out at either end"] = 0.0

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 0 <= self.trim < 0.5:
            raise ParameterError(f"trim is a share of at least 0 and below 1/2, not {self.trim}")

    def typical(self, margins: list[float]) -> float:
        out = int(Fraction(str(self.trim)) * len(margins))
        kept = margins[out : len(margins) - out]
        return fsum(kept) / len(kept)


@dataclass(frozen=True)
class MedianImprovement(GradedPolicy):
    """The median of improvements must be above 0, and of rival candidates the one with the greatest median wins.

    Formula: ``median(gain_i) > 0``, with the mean of the middle two of an even number. Alone on the ballot a candidate
    is adopted as by a majority, but for ties.

    When to use it: to choose among rivals by how much they help instead of by how many they help, without trusting
    anyone: as long as fewer than half lie, the median lies within what honest learners published (Yin et al. 2018,
    arXiv 1803.01498). It costs privacy: margins are published.
    """

    clip: Annotated[float, Gt(0), "The most that a learner's improvement counts, up and down"] = 1.0

    def typical(self, margins: list[float]) -> float:
        middle = len(margins) // 2
        return margins[middle] if len(margins) % 2 else (margins[middle - 1] + margins[middle]) / 2
