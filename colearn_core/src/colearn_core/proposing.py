"""Proposal strategies: who proposes in a round, and how proposals become candidates."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from math import inf
from typing import Annotated, Literal, NamedTuple, Self, get_args

import numpy as np
from annotated_types import Ge

from .errors import ParameterError, WeightsError
from .learner import Proposal
from .merging import change_length, shortened
from .past import PastRound
from .reputation import Reputations
from .streams import Streams
from .values import changed
from .weights import Weights, interpolate

Combine = Callable[[Sequence[Proposal]], Weights]
"""Merges proposals of this round as the learners' kind of model requires."""

Choice = Literal["random", "round_robin", "reputation"]
"""How a committee is chosen."""


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


@dataclass(frozen=True)
class ProposalStrategy(ABC):
    """Who proposes, and what is put to the vote. It's a value and holds no state; what a strategy learns of past
    rounds makes another strategy, see :meth:`after`.

    Before candidates are made, every strategy may shorten changes that go too far, see :meth:`clipped`.
    """

    max_norm: Annotated[
        float | None, "Shorten changes to so many times the median norm of this round's; of a lone one there's none"
    ] = field(default=None, kw_only=True)
    max_change: Annotated[float | None, "Shorten changes to this L2 norm"] = field(default=None, kw_only=True)

    def __post_init__(self) -> None:
        for name, limit in (("max_norm", self.max_norm), ("max_change", self.max_change)):
            if limit is not None and not limit > 0:
                raise ParameterError(f"{name} must be positive, not {limit}")

    @abstractmethod
    def proposers(self, round: int, learners: int, streams: Streams) -> Sequence[int]:
        """The learners, of ``learners`` many, that propose in this round (rounds count from 1).

        Randomness comes from ``streams.generator("proposers", round)`` and nowhere else.
        """

    def after(self, past: PastRound) -> Self:
        """The strategy for the rounds after this one, such as with other reputations; by default no other."""
        return self

    def clipped(self, base: Weights, proposals: Mapping[int, Proposal]) -> Mapping[int, Proposal]:
        """The proposals, their changes shortened to the limits; what is within them stays as it is.

        ``base + change * min(1, limit / |change|)``, where the limit is the lower one of ``max_change`` (Sun et
        al. 2019, "Can you really backdoor federated learning?") and ``max_norm`` times the median norm of the
        changes of this round that aren't nothing (Nguyen et al. 2022, "FLAME"). The norm is that of
        :func:`~colearn_core.merging.inner_products`. Models without coordinates, such as trees, stay as they are.

        Use it against updates that were scaled up, such as to plant a backdoor: a liar then pulls no further than
        the others. It costs no scoring. A ``max_norm`` of 1 shortens half of the honest changes a little; of two
        proposals, it can hold back only half of what the longer one goes too far.
        """
        if self.max_norm is None and self.max_change is None:
            return proposals
        lengths = {i: length for i, p in proposals.items() if (length := change_length(base, p.weights)) is not None}
        limit = inf if self.max_change is None else self.max_change
        moved = [length for length in lengths.values() if length]
        if self.max_norm is not None and len(moved) > 1:
            limit = min(limit, self.max_norm * float(np.median(moved)))
        return {
            i: p._replace(weights=shortened(base, p.weights, limit / lengths[i])) if lengths.get(i, 0) > limit else p
            for i, p in proposals.items()
        }

    def observe(self, base: Weights, proposals: Mapping[int, Proposal]) -> Mapping[int, float]:
        """A number about each proposal, by its author, that goes into the public record, for :meth:`after` to learn
        from; by default nothing is recorded. Finite numbers only; draws no randomness.
        """
        return {}

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
        super().__post_init__()
        check_steps(self.steps)

    def candidates(self, base: Weights, proposals: Mapping[int, Proposal], combine: Combine) -> list[Candidate]:
        return [
            Candidate(weights, (i,), f"step {step:g}")
            for i, p in proposals.items()
            for step in self.steps
            if (weights := stepped(base, p, step, combine)) is not None
        ]


@dataclass(frozen=True)
class Everyone(ProposalStrategy):
    """All learners propose; their mean is put to the vote: federated averaging with a veto."""

    def proposers(self, round: int, learners: int, streams: Streams) -> Sequence[int]:
        return range(learners)

    def candidates(self, base: Weights, proposals: Mapping[int, Proposal], combine: Combine) -> list[Candidate]:
        return [merged(proposals, tuple(proposals), combine, "mean")]


@dataclass(frozen=True)
class Committee(Everyone):
    """A few learners propose; their mean is put to the vote.

    They are drawn at random, or come round in turn, or are drawn by reputation: learners whose proposals cost a
    candidate approval are drawn less, but never less than a twentieth as often as the best, see
    :class:`~colearn_core.reputation.Reputations`. That needs many rounds, as a committee has one candidate:
    ``approval`` learns of each member in every round.
    """

    size: Annotated[int, Ge(1), "Proposers per round; more than there are learners means all"] = 5
    choose: Annotated[
        Choice, "How proposers are chosen: random, round_robin, or reputation (less those that cost approval)"
    ] = "random"
    reputations: Reputations = field(default=Reputations(), init=False, repr=False)

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.size < 1:
            raise ParameterError(f"size must be at least 1, not {self.size}")
        if self.choose not in get_args(Choice):
            raise ParameterError(f"choose must be one of {', '.join(get_args(Choice))}, not {self.choose!r}")

    @property
    def needs_reputations(self) -> bool:
        """Whether it goes by reputations at all."""
        return self.choose == "reputation"

    def after(self, past: PastRound) -> Self:
        if not self.needs_reputations:
            return self
        return changed(self, reputations=self.reputations.after(past))

    def proposers(self, round: int, learners: int, streams: Streams) -> Sequence[int]:
        size = min(self.size, learners)
        if self.choose == "round_robin":
            return sorted(((round - 1) * size + i) % learners for i in range(size))
        chances = self.reputations.chances(learners) if self.choose == "reputation" else None
        rng = streams.generator("proposers", round)
        return sorted(int(i) for i in rng.choice(learners, size=size, replace=False, p=chances))


def check_steps(steps: tuple[float, ...]) -> None:
    """Raise ParameterError unless there are steps, and all of them go forwards."""
    if not steps or any(not 0 < step < inf for step in steps):
        raise ParameterError(f"steps must be positive numbers, not {list(steps)}")


def stepped(base: Weights, proposal: Proposal, step: float, combine: Combine) -> Weights | None:
    """The weights so far from the base towards a proposal; None if such a model can't go further than that."""
    try:
        return interpolate(base, proposal.weights, step)
    except WeightsError:  # such as trees: part of the way is then a mean of the base and the proposal
        if step > 1:
            return None
        return combine([Proposal(base, 1 - step), Proposal(proposal.weights, step)])


def merged(proposals: Mapping[int, Proposal], authors: tuple[int, ...], combine: Combine, label: str) -> Candidate:
    """The proposals of these authors, as the learners merge them; of one, its proposal."""
    if len(authors) == 1:
        return Candidate(proposals[authors[0]].weights, authors, "proposal")
    return Candidate(combine([proposals[i] for i in authors]), authors, label)
