"""Votes that anyone may deny: each is flipped with known probability."""

from __future__ import annotations

from dataclasses import dataclass
from math import exp, isfinite, log, sqrt
from typing import Annotated

from annotated_types import Ge, Gt, Lt

from .errors import ParameterError
from .scores import Scores
from .streams import Streams
from .voting import Ballots, VotingPolicy


@dataclass(frozen=True)
class RandomisedResponse(VotingPolicy):
    """Each vote is flipped with a known probability before it's published, and the count corrected for it; by the
    estimate more than half of the votes cast must approve, or more than another ``share``.

    Formula: a vote is flipped with ``p = 1 / (1 + exp(epsilon))`` (Warner 1965, JASA 60), which makes it
    ``epsilon``-differentially private, whatever the learner's data (Dwork and Roth 2014, section 3.2). Of ``y``
    approvals among ``n`` votes, ``(y - p n) / (1 - 2 p)`` is an unbiased estimate of those that were meant, with a
    standard deviation of ``sqrt(n p (1 - p)) / (1 - 2 p)``.

    When to use it: where not even a vote may tell of a learner's data, and voters are many. What many votes of one
    learner tell adds up: see :func:`total_epsilon`. It costs decisions: an estimate is off by about ``sqrt(n) /
    epsilon`` votes when epsilon is small. Among 10 voters at 0.1 it's useless: what 8 of them want is adopted in 41
    of 100 rounds, what 8 reject in 34 (``benchmarks/randomised_votes.py``).

    Abstentions are neither flipped nor hidden. The coin is private: here it's drawn from the experiment's seed, so
    that a run can be repeated, and whoever has the seed can flip the votes back; in a deployment each learner
    draws its own and keeps it. A simulation's ledger also holds everyone's scores; a deployed learner publishes none.
    """

    epsilon: Annotated[float, Gt(0), "Of local differential privacy, per vote"] = 1.0
    share: Annotated[float, Ge(0), Lt(1), "Share of the votes cast that must be exceeded, by estimate"] = 0.5

    def __post_init__(self) -> None:
        super().__post_init__()
        if not (self.epsilon > 0 and isfinite(self.epsilon)):
            raise ParameterError(f"epsilon must be a number above 0, not {self.epsilon}")
        if not 0 <= self.share < 1:
            raise ParameterError(f"share must be at least 0 and below 1, not {self.share}")

    @property
    def flipped(self) -> float:
        """The probability that a vote is flipped."""
        return 1 / (1 + exp(self.epsilon)) if self.epsilon < 700 else 0.0

    @property
    def adopts_ties(self) -> bool:
        return self.share < 0.5

    def ballots(self, current: Scores, proposed: Scores, round: int, streams: Streams) -> Ballots:
        votes = self.votes(current, proposed)
        for learner, own in enumerate(votes):
            coins = streams.generator("ballot", round, learner).random(len(own))
            own[coins < self.flipped] *= -1
        return Ballots(votes)

    def estimate(self, approvals: int, cast: int) -> float:
        """How many meant to approve; unbiased, so it may lie outside of 0 and ``cast``."""
        return (approvals - self.flipped * cast) / (1 - 2 * self.flipped)

    def passes(self, approvals: int, cast: int) -> bool:
        if self.share == 0.5:  # exactly so, whatever the probability: flips are as likely either way
            return 2 * approvals > cast
        return self.estimate(approvals, cast) > self.share * cast

    def told(self, approvals: int, cast: int) -> str:
        p = self.flipped
        off = sqrt(cast * p * (1 - p)) / (1 - 2 * p)
        return f"{super().told(approvals, cast)}, {self.estimate(approvals, cast):.1f} ± {off:.1f} by estimate"


def total_epsilon(epsilon: float, votes: int, delta: float = 0.0) -> float:
    """What so many votes of one learner tell together, each with this epsilon.

    Args:
        delta: with 0 epsilons add up; else it's the least of their sum and of the bound by zero-concentrated privacy,
            to which a vote contributes ``epsilon ** 2 / 2`` (Bun and Steinke 2016, arXiv 1605.02065, propositions 1.3
            and 1.4).
    """
    total = votes * epsilon
    if not delta or not votes:
        return total
    rho = votes * epsilon**2 / 2
    return min(total, rho + 2 * sqrt(rho * log(1 / delta)))
