"""Proposal strategies: who proposes in a round, and how proposals become candidates."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from math import inf
from typing import Annotated, NamedTuple, Self

from annotated_types import Ge

from .errors import ParameterError, WeightsError
from .learner import Proposal
from .past import PastRound
from .streams import Streams
from .weights import Weights, interpolate, median

Combine = Callable[[Sequence[Proposal]], Weights]
"""Merges proposals of this round as the learners' kind of model requires."""


class Candidate(NamedTuple):
    """Weights put to the vote.

    Attributes:
        weights: the weights.
        authors: the learners whose proposals are in it.
        label: how it came about, for the ledger and the reader.
    """

    weights: Weights
    authors: tuple[int, ...]
    label: str


class ProposalStrategy(ABC):
    """Who proposes, and what is put to the vote. It's a value and holds no state; what a strategy learns of past
    rounds makes another strategy, see :meth:`after`."""

    @abstractmethod
    def proposers(self, round: int, learners: int, streams: Streams) -> Sequence[int]:
        """The learners, of ``learners`` many, that propose in this round (rounds count from 1).

        Randomness comes from ``streams.generator("proposers", round)`` and nowhere else.
        """

    def after(self, past: PastRound) -> Self:
        """The strategy for the rounds after this one, such as with other reputations; by default no other."""
        return self

    @abstractmethod
    def candidates(self, base: Weights, proposals: Mapping[int, Proposal], combine: Combine) -> list[Candidate]:
        """What the proposals, at least one, give to vote on; of equally approved ones the first wins."""


@dataclass(frozen=True)
class RoundRobin(ProposalStrategy):
    """One learner after the other proposes, alone: the classic protocol."""

    def proposers(self, round: int, learners: int, streams: Streams) -> Sequence[int]:
        return [(round - 1) % learners]

    def candidates(self, base: Weights, proposals: Mapping[int, Proposal], combine: Combine) -> list[Candidate]:
        return [Candidate(p.weights, (i,), "proposal") for i, p in proposals.items()]


@dataclass(frozen=True)
class Random(RoundRobin):
    """One learner, drawn at random, proposes alone."""

    def proposers(self, round: int, learners: int, streams: Streams) -> Sequence[int]:
        return [int(streams.generator("proposers", round).integers(learners))]


@dataclass(frozen=True)
class LineSearch(RoundRobin):
    """One proposal at several step sizes: how far to go from the current weights towards it.

    Models that grow, such as trees, go at most the whole way: what was added gets smaller values.
    """

    steps: Annotated[tuple[float, ...], "Step sizes; 1 is the proposal itself"] = (1.0, 0.5, 0.25, 2.0)

    def __post_init__(self) -> None:
        if not self.steps or any(not 0 < step < inf for step in self.steps):
            raise ParameterError(f"steps must be positive numbers, not {list(self.steps)}")

    def candidates(self, base: Weights, proposals: Mapping[int, Proposal], combine: Combine) -> list[Candidate]:
        return [
            Candidate(weights, (i,), f"step {step:g}")
            for i, p in proposals.items()
            for step in self.steps
            if (weights := _stepped(base, p, step, combine)) is not None
        ]


@dataclass(frozen=True)
class Everyone(ProposalStrategy):
    """All learners propose; their mean is put to the vote: federated averaging with a veto."""

    def proposers(self, round: int, learners: int, streams: Streams) -> Sequence[int]:
        return range(learners)

    def candidates(self, base: Weights, proposals: Mapping[int, Proposal], combine: Combine) -> list[Candidate]:
        return [_merged(proposals, tuple(proposals), combine, "mean")]


@dataclass(frozen=True)
class Committee(Everyone):
    """A few learners, drawn at random, propose; their mean is put to the vote."""

    size: Annotated[int, Ge(1), "Proposers per round; more than there are learners means all"] = 5

    def __post_init__(self) -> None:
        if self.size < 1:
            raise ParameterError(f"size must be at least 1, not {self.size}")

    def proposers(self, round: int, learners: int, streams: Streams) -> Sequence[int]:
        rng = streams.generator("proposers", round)
        return sorted(int(i) for i in rng.choice(learners, size=min(self.size, learners), replace=False))


@dataclass(frozen=True)
class Approval(Committee):
    """A committee's proposals give rival candidates, and the most approved one wins.

    The candidates are the mean of all, the coordinate-wise median, the mean without each one of
    them, and the means of sub-committees of half the size. A liar spoils only those that it is in.
    """

    def candidates(self, base: Weights, proposals: Mapping[int, Proposal], combine: Combine) -> list[Candidate]:
        everyone = tuple(proposals)
        found = [_merged(proposals, everyone, combine, "mean")]
        if len(everyone) > 2:
            with suppress(WeightsError):  # models of other than numbers, such as trees, have no median
                found.append(Candidate(median([p.weights for p in proposals.values()]), everyone, "median"))
        seen = {everyone}
        for authors, label in _rivals(everyone):
            if authors not in seen:
                seen.add(authors)
                found.append(_merged(proposals, authors, combine, label))
        return found


def _stepped(base: Weights, proposal: Proposal, step: float, combine: Combine) -> Weights | None:
    """The weights so far from the base towards a proposal; None if such a model can't go further than that."""
    try:
        return interpolate(base, proposal.weights, step)
    except WeightsError:  # such as trees: part of the way is then a mean of the base and the proposal
        if step > 1:
            return None
        return combine([Proposal(base, 1 - step), Proposal(proposal.weights, step)])


def _rivals(everyone: tuple[int, ...]) -> Iterable[tuple[tuple[int, ...], str]]:
    """Smaller committees: all but one, then half of the size around the circle."""
    n = len(everyone)
    if n > 1:
        for i, left_out in enumerate(everyone):
            yield everyone[:i] + everyone[i + 1 :], f"mean without {left_out}"
        half = (n + 1) // 2
        for i in range(n):
            authors = tuple(sorted((everyone + everyone)[i : i + half]))
            yield authors, "mean of " + "+".join(map(str, authors))


def _merged(proposals: Mapping[int, Proposal], authors: tuple[int, ...], combine: Combine, label: str) -> Candidate:
    if len(authors) == 1:
        return Candidate(proposals[authors[0]].weights, authors, "proposal")
    return Candidate(combine([proposals[i] for i in authors]), authors, label)
