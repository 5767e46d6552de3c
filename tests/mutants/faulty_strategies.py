"""Proposal strategies with one fault each, made from the core's own."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Self

import numpy as np
from mutant import Mutant

from colearn_core.approval import Approval
from colearn_core.learner import Proposal
from colearn_core.past import PastRound
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
from colearn_core.rivals import FAMILIES
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
class Banning(Committee):
    """Draws from all but those that are banned."""

    banned: tuple[int, ...] = ()

    def proposers(self, round: int, learners: int, streams: Streams) -> Sequence[int]:
        free = [i for i in range(learners) if i not in self.banned]
        rng = streams.generator("proposers", round)
        return sorted(int(i) for i in rng.choice(free, size=min(self.size, len(free)), replace=False))


class NeverAsksAgain(Banning):
    """Whoever is in nothing but what most reject has had its chance."""

    def after(self, past: PastRound) -> Self:
        approved = (past.votes > 0).sum(axis=0) > (past.votes < 0).sum(axis=0)
        good = {i for authors, yes in zip(past.authors, approved, strict=True) if yes for i in authors}
        bad = {i for authors in past.authors for i in authors} - good
        return replace(self, banned=(*self.banned, *sorted(bad - set(self.banned)))[:3])


class BansForTheNextRoundOnly(Banning):
    def after(self, past: PastRound) -> Self:
        return replace(self, banned=() if past.leader is None or past.accepted else past.authors[past.leader][:1])


class LearnsInPlace(Banning):
    def after(self, past: PastRound) -> Self:
        object.__setattr__(self, "banned", past.proposers[:1])
        return self


class LearnsFromWhatItSaw(Banning):
    """Bans whoever proposed the longest change; a reader of the record has no proposals."""

    def candidates(self, base: Weights, proposals: Proposals, combine: Combine) -> list[Candidate]:
        lengths = {i: float(np.abs(p.weights["coef"] - base["coef"]).sum()) for i, p in proposals.items()}
        object.__setattr__(self, "longest", max(lengths, key=lengths.__getitem__))
        return super().candidates(base, proposals, combine)

    def after(self, past: PastRound) -> Self:
        longest = vars(self).get("longest")
        return self if longest is None else replace(self, banned=(longest,))


class DrawsWhatItLearns(Banning):
    def after(self, past: PastRound) -> Self:
        return replace(self, banned=(int(np.random.randint(len(past.votes))),))


class ObservesWithNoise(Committee):
    """Blurs what it tells of proposals, for privacy."""

    def observe(self, base: Weights, proposals: Proposals) -> Mapping[int, float]:
        return {i: random.random() for i in proposals}


class ObservesWhoIsMissing(Everyone):
    def observe(self, base: Weights, proposals: Proposals) -> Mapping[int, float]:
        return {i: float(i in proposals) for i in range(max(proposals) + 2)}


class ObservesNothingAsNaN(Committee):
    """The distance to the other proposals, of which there may be none."""

    def observe(self, base: Weights, proposals: Proposals) -> Mapping[int, float]:
        ends = {i: p.weights["coef"] for i, p in proposals.items()}
        return {
            i: float(np.divide(sum(np.abs(end - other).sum() for other in ends.values()), len(ends) - 1))
            for i, end in ends.items()
        }


class ObservesInNumpy(Committee):
    def observe(self, base: Weights, proposals: Proposals) -> Mapping[int, float]:
        return {i: np.abs(p.weights["coef"]).mean(dtype=np.float32) for i, p in proposals.items()}


class WipesWhatItObserves(Committee):
    """Takes the changes where the proposals were."""

    def observe(self, base: Weights, proposals: Proposals) -> Mapping[int, float]:
        for p in proposals.values():
            coef = p.weights["coef"]
            coef.flags.writeable = True
            coef -= base["coef"]
        return {}


class MarksTheRecord(Committee):
    """Doesn't count those who voted for themselves, and strikes them from the record."""

    def after(self, past: PastRound) -> Self:
        for candidate, authors in enumerate(past.authors):
            past.votes[list(authors), candidate] = 0
        return self


class TripsOverAnEmptyRound(Banning):
    def after(self, past: PastRound) -> Self:
        return replace(self, banned=past.authors[past.leader][:1])  # type: ignore[index]


class ForgetsToReturn(Committee):
    def after(self, past: PastRound) -> Self:
        if past.accepted:
            return self
        return None  # type: ignore[return-value]


class DropsTheBlamed(Approval):
    """Merges nothing of those of bad reputation, even if there's nothing else."""

    def candidates(self, base: Weights, proposals: Proposals, combine: Combine) -> list[Candidate]:
        kept = {i: p for i, p in proposals.items() if self.reputations.good(i)}
        return super().candidates(base, kept, combine) if kept else []


class TrustsInName(Approval):
    """What the trusted merged is put down to all of them."""

    def candidates(self, base: Weights, proposals: Proposals, combine: Combine) -> list[Candidate]:
        found = super().candidates(base, proposals, combine)
        return [c._replace(authors=tuple(proposals)) if "trusted" in c.label else c for c in found]


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
    _mutant(NeverAsksAgain, "whoever was voted down is never asked again"),
    _mutant(LearnsInPlace, "learns in place: an earlier strategy changes"),
    _mutant(LearnsFromWhatItSaw, "learns from proposals, which the record doesn't hold"),
    _mutant(DrawsWhatItLearns, "draws what it learns of a round"),
    _mutant(ObservesWithNoise, "what it records of proposals is drawn anew by everyone"),
    _mutant(ObservesWhoIsMissing, "records something of learners that proposed nothing"),
    _mutant(ObservesNothingAsNaN, "records NaN of a lone proposal"),
    _mutant(ObservesInNumpy, "records numbers that JSON can't hold"),
    _mutant(WipesWhatItObserves, "writes into the proposals that it observes"),
    _mutant(MarksTheRecord, "strikes votes from the record"),
    _mutant(TripsOverAnEmptyRound, "a round without candidates ends the run"),
    _mutant(ForgetsToReturn, "learning from a rejection gives no strategy"),
    _mutant(DropsTheBlamed, "a blamed learner's lone proposal is lost", choose="reputation"),
    _mutant(TrustsInName, "names all as authors of what the trusted merged", families=("trusted", "halves")),
    _mutant(ShowsItsAddress, "its repr is a memory address"),
]

CONTROLS = [
    _mutant(Pairs, ""),
    _mutant(MedianOfAll, ""),
    _mutant(Clipped, ""),
    _mutant(Krum, ""),
    _mutant(HalvesInTurn, ""),
    Mutant("LargeCommittee", "proposal_strategies", "", Subject(Approval, {"size": 12})),
    _mutant(BansForTheNextRoundOnly, ""),
    Mutant("AllFamilies", "proposal_strategies", "", Subject(Approval, {"families": tuple(FAMILIES), "size": 6})),
    Mutant("ByReputation", "proposal_strategies", "", Subject(Committee, {"choose": "reputation", "size": 2})),
    Mutant("LongSteps", "proposal_strategies", "", Subject(LineSearch, {"steps": (3.0, 1e-3)})),
]
