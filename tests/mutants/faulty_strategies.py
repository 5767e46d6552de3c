"""Proposal strategies with one fault each, made from the core's own."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from mutant import Mutant

from colearn_core.approval import Approval
from colearn_core.learner import Proposal
from colearn_core.proposing import (
    Candidate,
    Combine,
    Committee,
    Everyone,
    LineSearch,
    ProposalStrategy,
    Random,
    RoundRobin,
)
from colearn_core.streams import Streams
from colearn_core.testing import Subject
from colearn_core.weights import Weights, interpolate, mean, median

FETCH = "Fetch.ai colearn 0.2.8"

Proposals = Mapping[int, Proposal]


class LastIsNeverAsked(Random):
    def proposers(self, round: int, learners: int, streams: Streams) -> Sequence[int]:
        return [int(streams.generator("proposers", round).integers(max(learners - 1, 1)))]


class CountsFromOne(RoundRobin):
    def proposers(self, round: int, learners: int, streams: Streams) -> Sequence[int]:
        return [1 + (round - 1) % learners]


class CommitteeLargerThanAll(Everyone):
    def proposers(self, round: int, learners: int, streams: Streams) -> Sequence[int]:
        return range(5)


class DrawsTwice(Committee):
    def proposers(self, round: int, learners: int, streams: Streams) -> Sequence[int]:
        rng = streams.generator("proposers", round)
        return sorted(int(i) for i in rng.integers(learners, size=min(self.size, learners)))


class NobodyInSomeRounds(Everyone):
    def proposers(self, round: int, learners: int, streams: Streams) -> Sequence[int]:
        return range(learners) if round % 10 else ()


class NumpysOwnNumbers(Committee):
    def proposers(self, round: int, learners: int, streams: Streams) -> Sequence[int]:
        return list(np.array(super().proposers(round, learners, streams)))


class SeedDoesNothing(Random):
    def proposers(self, round: int, learners: int, streams: Streams) -> Sequence[int]:
        return [random.randrange(learners)]


class OneStreamForAllRounds(Random):
    """Draws depend on how often it was asked before."""

    def proposers(self, round: int, learners: int, streams: Streams) -> Sequence[int]:
        state = vars(self).setdefault("state", {})
        rng = state.setdefault("rng", streams.generator("proposers"))
        return [int(rng.integers(learners))]


class SeedsTheGlobalGenerator(Random):
    def proposers(self, round: int, learners: int, streams: Streams) -> Sequence[int]:
        np.random.seed(streams.seed + round)
        return [int(np.random.randint(learners))]


class AlwaysTheSame(Random):
    """Draws from the same stream in every round."""

    def proposers(self, round: int, learners: int, streams: Streams) -> Sequence[int]:
        return super().proposers(1, learners, streams)


class LeavesOutNobody(Approval):
    def candidates(self, base: Weights, proposals: Proposals, combine: Combine) -> list[Candidate]:
        everyone = combine(list(proposals.values()))
        found = super().candidates(base, proposals, combine)
        return [c._replace(weights=everyone) if c.label.startswith("mean without") else c for c in found]


class NamesTheOneLeftOut(Approval):
    def candidates(self, base: Weights, proposals: Proposals, combine: Combine) -> list[Candidate]:
        found = super().candidates(base, proposals, combine)
        return [
            c._replace(authors=(int(c.label.split()[-1]),)) if c.label.startswith("mean without") else c for c in found
        ]


class NamesPositions(Everyone):
    """Authors are positions among the proposals, not learners."""

    def proposers(self, round: int, learners: int, streams: Streams) -> Sequence[int]:
        return [(round - 1) % learners]

    def candidates(self, base: Weights, proposals: Proposals, combine: Combine) -> list[Candidate]:
        found = super().candidates(base, proposals, combine)
        return [c._replace(authors=tuple(range(len(proposals)))) for c in found]


class NamesTheFirstOnly(Committee):
    def candidates(self, base: Weights, proposals: Proposals, combine: Combine) -> list[Candidate]:
        return [c._replace(authors=c.authors[:1]) for c in super().candidates(base, proposals, combine)]


class CreditsIdlers(Committee):
    """Names all as authors of the first's proposal."""

    def candidates(self, base: Weights, proposals: Proposals, combine: Combine) -> list[Candidate]:
        first = next(iter(proposals.values()))
        return [Candidate(first.weights, tuple(proposals), "the first")]


class ListsOfAuthors(Committee):
    def candidates(self, base: Weights, proposals: Proposals, combine: Combine) -> list[Candidate]:
        found = super().candidates(base, proposals, combine)
        return [c._replace(authors=list(c.authors)) for c in found]  # type: ignore[arg-type]


class Remembers(Committee):
    """Adds what it saw last, as server-side momentum does."""

    def candidates(self, base: Weights, proposals: Proposals, combine: Combine) -> list[Candidate]:
        found = super().candidates(base, proposals, combine)
        last = vars(self).get("last", found[0].weights)
        object.__setattr__(self, "last", found[0].weights)
        return [c._replace(weights=interpolate(c.weights, last, 0.1)) for c in found]


class DrawsCandidates(LineSearch):
    def candidates(self, base: Weights, proposals: Proposals, combine: Combine) -> list[Candidate]:
        step = 0.5 + np.random.default_rng().random()
        return [Candidate(interpolate(base, p.weights, step), (i,), "a step") for i, p in proposals.items()]


class TakesProposalsAway(RoundRobin):
    def candidates(self, base: Weights, proposals: Proposals, combine: Combine) -> list[Candidate]:
        found = super().candidates(base, proposals, combine)
        proposals.popitem()  # type: ignore[attr-defined]
        return found


class WritesIntoTheBase(RoundRobin):
    def candidates(self, base: Weights, proposals: Proposals, combine: Combine) -> list[Candidate]:
        found = super().candidates(base, proposals, combine)
        for array in base.values():
            array.flags.writeable = True
            array += array.dtype.type(1)
            array.flags.writeable = False
        return found


class NoLabel(RoundRobin):
    def candidates(self, base: Weights, proposals: Proposals, combine: Combine) -> list[Candidate]:
        return [c._replace(label="") for c in super().candidates(base, proposals, combine)]


class NeedsTwo(Committee):
    def candidates(self, base: Weights, proposals: Proposals, combine: Combine) -> list[Candidate]:
        return super().candidates(base, proposals, combine) if len(proposals) > 1 else []


class NeedsThree(Approval):
    """Leave-one-out alone, which a lone proposal gives none of."""

    def candidates(self, base: Weights, proposals: Proposals, combine: Combine) -> list[Candidate]:
        found = super().candidates(base, proposals, combine)
        return [c for c in found if c.label.startswith("mean without")]


class KeepsTheBase(RoundRobin):
    def candidates(self, base: Weights, proposals: Proposals, combine: Combine) -> list[Candidate]:
        return [c._replace(weights=base) for c in super().candidates(base, proposals, combine)]


class GoesTheOtherWay(RoundRobin):
    def candidates(self, base: Weights, proposals: Proposals, combine: Combine) -> list[Candidate]:
        return [Candidate(interpolate(base, p.weights, -1), (i,), "proposal") for i, p in proposals.items()]


class ChangesTypes(Everyone):
    """Averages for itself, in double precision."""

    def candidates(self, base: Weights, proposals: Proposals, combine: Combine) -> list[Candidate]:
        arrays = {name: np.mean([p.weights[name] for p in proposals.values()], axis=0) for name in base}
        return [Candidate(Weights(arrays), tuple(proposals), "mean")]


class CombinesWeights(Everyone):
    """Hands over bare weights."""

    def candidates(self, base: Weights, proposals: Proposals, combine: Combine) -> list[Candidate]:
        merged = combine([p.weights for p in proposals.values()])  # type: ignore[misc]
        return [Candidate(merged, tuple(proposals), "mean")]


class CombinesFewerThanItNames(Everyone):
    def candidates(self, base: Weights, proposals: Proposals, combine: Combine) -> list[Candidate]:
        return [Candidate(combine(list(proposals.values())[:2]), tuple(proposals), "mean")]


class CombinesNothing(Committee):
    """Asks for a mean of those from number 5 on, even when there are none."""

    def candidates(self, base: Weights, proposals: Proposals, combine: Combine) -> list[Candidate]:
        combine([p for i, p in proposals.items() if i >= 5])
        return super().candidates(base, proposals, combine)


class ShowsItsAddress(RoundRobin):
    def __repr__(self) -> str:
        return object.__repr__(self)


@dataclass(frozen=True)
class Pairs(RoundRobin):
    """Two neighbours propose; each alone and both together are put to the vote."""

    def proposers(self, round: int, learners: int, streams: Streams) -> Sequence[int]:
        return sorted({(round - 1) % learners, round % learners})

    def candidates(self, base: Weights, proposals: Proposals, combine: Combine) -> list[Candidate]:
        found = super().candidates(base, proposals, combine)
        if len(proposals) > 1:
            found.append(Candidate(combine(list(proposals.values())), tuple(proposals), "both"))
        return found


@dataclass(frozen=True)
class MedianOfAll(Everyone):
    """A rule of its own, which asks no learner how to merge."""

    def candidates(self, base: Weights, proposals: Proposals, combine: Combine) -> list[Candidate]:
        return [Candidate(median([p.weights for p in proposals.values()]), tuple(proposals), "median")]


@dataclass(frozen=True)
class Clipped(Everyone):
    """Shortens what goes too far before it's merged."""

    def candidates(self, base: Weights, proposals: Proposals, combine: Combine) -> list[Candidate]:
        clipped = [p._replace(weights=interpolate(base, p.weights, 0.5)) for p in proposals.values()]
        return [Candidate(combine(clipped), tuple(proposals), "clipped mean")]


@dataclass(frozen=True)
class Krum(Everyone):
    """Puts to the vote the proposal that is nearest to the others (Blanchard et al. 2017)."""

    def candidates(self, base: Weights, proposals: Proposals, combine: Combine) -> list[Candidate]:
        centre = mean([p.weights for p in proposals.values()])

        def distance(i: int) -> float:
            return sum(float(np.abs(array - centre[name]).sum()) for name, array in proposals[i].weights.items())

        chosen = min(proposals, key=distance)
        return [Candidate(proposals[chosen].weights, (chosen,), "nearest to all")]


class HalvesInTurn(ProposalStrategy):
    """Learners of even and of odd number take turns; no dataclass."""

    def __repr__(self) -> str:
        return "HalvesInTurn()"

    def proposers(self, round: int, learners: int, streams: Streams) -> Sequence[int]:
        return range(round % 2, learners, 2) if learners > 1 else (0,)

    def candidates(self, base: Weights, proposals: Proposals, combine: Combine) -> list[Candidate]:
        return [Candidate(combine(list(proposals.values())), tuple(reversed(list(proposals))), "half")]


def _mutant(make: Callable[..., Any], fault: str, origin: str = "", **parameters: Any) -> Mutant:
    return Mutant(make.__name__, "proposal_strategies", fault, Subject(make, parameters), origin)


MUTANTS = [
    _mutant(LastIsNeverAsked, "the last learner is never asked"),
    _mutant(CountsFromOne, "learners count from one"),
    _mutant(CommitteeLargerThanAll, "asks five, however few there are"),
    _mutant(DrawsTwice, "draws a committee with replacement"),
    _mutant(NobodyInSomeRounds, "asks nobody in every tenth round"),
    _mutant(NumpysOwnNumbers, "numpy's integers can't be written as JSON"),
    _mutant(SeedDoesNothing, "the seed does nothing: draws are global", FETCH),
    _mutant(OneStreamForAllRounds, "who is asked depends on the rounds asked before"),
    _mutant(SeedsTheGlobalGenerator, "seeds numpy's global generator"),
    _mutant(AlwaysTheSame, "draws the same in every round"),
    _mutant(LeavesOutNobody, "the mean without a learner has it in it"),
    _mutant(NamesTheOneLeftOut, "names the one that is left out as the author"),
    _mutant(NamesPositions, "authors are positions, not learners"),
    _mutant(NamesTheFirstOnly, "names the first of several authors"),
    _mutant(CreditsIdlers, "names authors that had no part in it"),
    _mutant(ListsOfAuthors, "authors are a list"),
    _mutant(Remembers, "earlier rounds leak into candidates"),
    _mutant(DrawsCandidates, "draws step sizes without a seed"),
    _mutant(TakesProposalsAway, "takes from the proposals it is given"),
    _mutant(WritesIntoTheBase, "writes into the weights in force", FETCH),
    _mutant(NoLabel, "labels are empty"),
    _mutant(NeedsTwo, "a lone proposal gives no candidate"),
    _mutant(NeedsThree, "fewer than three proposals lose some"),
    _mutant(KeepsTheBase, "puts the weights in force to the vote"),
    _mutant(GoesTheOtherWay, "a sign is wrong"),
    _mutant(ChangesTypes, "candidates change their types"),
    _mutant(CombinesWeights, "combine gets weights, not proposals"),
    _mutant(CombinesFewerThanItNames, "combine gets two of the proposals it names"),
    _mutant(CombinesNothing, "combine gets no proposal"),
    _mutant(ShowsItsAddress, "its repr is a memory address"),
]

CONTROLS = [
    _mutant(Pairs, ""),
    _mutant(MedianOfAll, ""),
    _mutant(Clipped, ""),
    _mutant(Krum, ""),
    _mutant(HalvesInTurn, ""),
    Mutant("LargeCommittee", "proposal_strategies", "", Subject(Approval, {"size": 12})),
    Mutant("LongSteps", "proposal_strategies", "", Subject(LineSearch, {"steps": (3.0, 1e-3)})),
]
