"""Adversaries with one fault each, most of them made from the one that goes the other way."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from mutant import Mutant

from colearn_core.adversaries import Adversary, Crashing, FreeRider, LabelFlip, Scene, SignFlip
from colearn_core.data import PrivateData, Samples
from colearn_core.errors import Abstention
from colearn_core.learner import Proposal
from colearn_core.proposing import Candidate
from colearn_core.testing import Subject
from colearn_core.weights import Weights

Rng = np.random.Generator


@dataclass(frozen=True)
class SeedDoesNothing(SignFlip):
    def propose(self, scene: Scene, rng: Rng) -> Proposal:
        noise = np.random.default_rng().normal(size=1)
        return Proposal(Weights({n: a + noise[0] for n, a in scene.base.items()}), 5)


class Remembers(SignFlip):
    """The second proposal isn't as the first."""

    calls = 0

    def propose(self, scene: Scene, rng: Rng) -> Proposal:
        object.__setattr__(self, "calls", self.calls + 1)
        found = super().propose(scene, rng)
        return Proposal(found.weights, found.samples + self.calls)


@dataclass(frozen=True)
class DrawsFromTheGlobalGenerator(SignFlip):
    def propose(self, scene: Scene, rng: Rng) -> Proposal:
        return Proposal(Weights({n: a + np.random.normal(size=a.shape) for n, a in scene.base.items()}), 5)


@dataclass(frozen=True)
class SeedsTheGlobalGenerator(SignFlip):
    def poison(self, data: PrivateData, rng: Rng) -> PrivateData:
        random.seed(1)
        return data


@dataclass(frozen=True)
class DrawsItsPoisonAnew(LabelFlip):
    def poison(self, data: PrivateData, rng: Rng) -> PrivateData:
        return replace(data, train=data.train.take(np.random.default_rng().permutation(len(data.train))))


@dataclass(frozen=True)
class ProposesWeights(SignFlip):
    def propose(self, scene: Scene, rng: Rng) -> Any:
        return super().propose(scene, rng).weights


@dataclass(frozen=True)
class ProposesADictionary(SignFlip):
    def propose(self, scene: Scene, rng: Rng) -> Proposal:
        weights: Any = dict(scene.base)
        return Proposal(weights, 5)


@dataclass(frozen=True)
class ProposesInDoubles(SignFlip):
    def propose(self, scene: Scene, rng: Rng) -> Proposal:
        found = super().propose(scene, rng)
        return Proposal(Weights({n: a.astype(np.float32) for n, a in found.weights.items()}), found.samples)


@dataclass(frozen=True)
class LosesAnArray(SignFlip):
    def propose(self, scene: Scene, rng: Rng) -> Proposal:
        found = super().propose(scene, rng)
        return Proposal(Weights(dict(list(found.weights.items())[1:])), found.samples)


@dataclass(frozen=True)
class FlattensItsUpdate(SignFlip):
    def propose(self, scene: Scene, rng: Rng) -> Proposal:
        found = super().propose(scene, rng)
        return Proposal(Weights({n: a.ravel() for n, a in found.weights.items()}), found.samples)


@dataclass(frozen=True)
class ClaimsNoSamples(FreeRider):
    def propose(self, scene: Scene, rng: Rng) -> Proposal:
        return Proposal(scene.base, 0)


@dataclass(frozen=True)
class NeedsCompany(Adversary):
    """Fails when it proposes alone."""

    def propose(self, scene: Scene, rng: Rng) -> Proposal:
        return Proposal(scene.base, max(p.samples for p in scene.others.values()))


@dataclass(frozen=True)
class NeedsAPast(Adversary):
    def trains_from(self, scene: Scene) -> Weights:
        return scene.past[0]


@dataclass(frozen=True)
class NeedsItsTraining(Adversary):
    def propose(self, scene: Scene, rng: Rng) -> Proposal:
        return scene.trained[scene.learner]


@dataclass(frozen=True)
class TrainsFromNothingKnown(Adversary):
    def trains_from(self, scene: Scene) -> Any:
        return dict(scene.base)


@dataclass(frozen=True)
class DeclinesWithoutAWord(Adversary):
    def propose(self, scene: Scene, rng: Rng) -> Proposal:
        raise Abstention("")


@dataclass(frozen=True)
class WritesIntoTheBase(SignFlip):
    def propose(self, scene: Scene, rng: Rng) -> Proposal:
        found = super().propose(scene, rng)
        for array in scene.base.values():
            array.flags.writeable = True
            array *= 1.5
        return found


@dataclass(frozen=True)
class WritesIntoTheOthersProposals(SignFlip):
    def propose(self, scene: Scene, rng: Rng) -> Proposal:
        found = super().propose(scene, rng)
        for proposal in scene.others.values():
            for array in proposal.weights.values():
                array.flags.writeable = True
                array[...] = 0
        return found


@dataclass(frozen=True)
class TakesProposalsAway(SignFlip):
    def propose(self, scene: Scene, rng: Rng) -> Proposal:
        found = super().propose(scene, rng)
        others: Any = scene.others
        others.clear()
        return found


@dataclass(frozen=True)
class FlipsLabelsInPlace(LabelFlip):
    def poison(self, data: PrivateData, rng: Rng) -> PrivateData:
        y = data.train.y
        y[:] = y.max() - y
        return data


@dataclass(frozen=True)
class TurnsLabelsIntoFloats(LabelFlip):
    def poison(self, data: PrivateData, rng: Rng) -> PrivateData:
        return replace(data, train=Samples(data.train.x, data.train.y / 1))


@dataclass(frozen=True)
class InventsAClass(LabelFlip):
    def poison(self, data: PrivateData, rng: Rng) -> PrivateData:
        return replace(data, train=Samples(data.train.x, data.train.y + 1))


@dataclass(frozen=True)
class PoisonsARowTooFew(LabelFlip):
    def poison(self, data: PrivateData, rng: Rng) -> PrivateData:
        return replace(data, train=Samples(data.train.x[1:], data.train.y))


@dataclass(frozen=True)
class LosesTheKey(LabelFlip):
    def poison(self, data: PrivateData, rng: Rng) -> PrivateData:
        return PrivateData(data.train, data.vote, data.test, data.task)


@dataclass(frozen=True)
class PoisonsNothingButSamples(LabelFlip):
    def poison(self, data: PrivateData, rng: Rng) -> Any:
        return super().poison(data, rng).train


@dataclass(frozen=True)
class AlwaysApproves(SignFlip):
    def cast(self, honest: Any, candidates: Sequence[Candidate], accomplices: frozenset[int], rng: Rng) -> Any:
        return np.ones_like(honest)


@dataclass(frozen=True)
class LoyalToItselfOnly(SignFlip):
    def cast(self, honest: Any, candidates: Sequence[Candidate], accomplices: frozenset[int], rng: Rng) -> Any:
        return super().cast(honest, candidates, frozenset({1}), rng)


@dataclass(frozen=True)
class LiesInPlace(SignFlip):
    def cast(self, honest: Any, candidates: Sequence[Candidate], accomplices: frozenset[int], rng: Rng) -> Any:
        found = super().cast(honest, candidates, accomplices, rng)
        honest[:] = found
        return honest


@dataclass(frozen=True)
class VotesInFloats(SignFlip):
    def cast(self, honest: Any, candidates: Sequence[Candidate], accomplices: frozenset[int], rng: Rng) -> Any:
        return super().cast(honest, candidates, accomplices, rng) * 1.0


@dataclass(frozen=True)
class VotesOnceForAll(SignFlip):
    def cast(self, honest: Any, candidates: Sequence[Candidate], accomplices: frozenset[int], rng: Rng) -> Any:
        return super().cast(honest, candidates, accomplices, rng)[:1]


@dataclass(frozen=True)
class CrashesForReal(Crashing):
    def propose(self, scene: Scene, rng: Rng) -> Proposal:
        raise RuntimeError("segmentation fault")


class LooksLikeAnAddress(SignFlip):
    __repr__ = object.__repr__


class IsNoAdversary:
    """Has the methods, but not the type."""

    def __init__(self, votes: str = "honest") -> None:
        self.votes = votes


@dataclass(frozen=True)
class Occasionally(Adversary):
    """Cheats in some rounds, draws which, and claims a fraction of a sample."""

    def propose(self, scene: Scene, rng: Rng) -> Proposal:
        if rng.random() < 0.5:
            return scene.own
        return Proposal(scene.before or scene.initial, 0.5)


@dataclass(frozen=True)
class NeverThere(Adversary):
    """Declines everything."""

    malicious = False

    def trains_from(self, scene: Scene) -> Weights | None:
        return None

    def propose(self, scene: Scene, rng: Rng) -> Proposal:
        raise Abstention("on holiday")

    def cast(self, honest: Any, candidates: Sequence[Candidate], accomplices: frozenset[int], rng: Rng) -> Any:
        raise Abstention("on holiday")


@dataclass(frozen=True)
class PoisonsAllItsData(LabelFlip):
    """Lies to itself in vote and test data too."""

    def poison(self, data: PrivateData, rng: Rng) -> PrivateData:
        found = super().poison(data, rng)
        return replace(found, vote=Samples(data.vote.x, data.vote.y[::-1]), test=data.test.take(np.arange(5)))


def _mutant(make: Callable[..., Any], fault: str, **parameters: Any) -> Mutant:
    return Mutant(make.__name__, "adversaries", fault, Subject(make, parameters))


MUTANTS = [
    _mutant(SeedDoesNothing, "the seed does nothing"),
    _mutant(Remembers, "counts its proposals"),
    _mutant(DrawsFromTheGlobalGenerator, "draws from numpy's global generator"),
    _mutant(SeedsTheGlobalGenerator, "seeds Python's global generator"),
    _mutant(DrawsItsPoisonAnew, "data are poisoned in another way each time"),
    _mutant(ProposesWeights, "proposes weights without samples"),
    _mutant(ProposesADictionary, "proposes a dictionary"),
    _mutant(ProposesInDoubles, "proposes values of another type"),
    _mutant(LosesAnArray, "an array is missing in its proposal"),
    _mutant(FlattensItsUpdate, "arrays come back flat"),
    _mutant(ClaimsNoSamples, "claims no samples"),
    _mutant(NeedsCompany, "fails where no honest learner proposes"),
    _mutant(NeedsAPast, "fails in the first round"),
    _mutant(NeedsItsTraining, "fails when its own training did"),
    _mutant(TrainsFromNothingKnown, "trains from something else than weights"),
    _mutant(DeclinesWithoutAWord, "declines without a word"),
    _mutant(WritesIntoTheBase, "writes into the weights in force"),
    _mutant(WritesIntoTheOthersProposals, "writes into the others' proposals"),
    _mutant(TakesProposalsAway, "removes the others' proposals"),
    _mutant(FlipsLabelsInPlace, "poisons the honest data too"),
    _mutant(TurnsLabelsIntoFloats, "poisoned class numbers are floats"),
    _mutant(InventsAClass, "poisoned labels are of a class that isn't there"),
    _mutant(PoisonsARowTooFew, "poisoned features and targets differ in number"),
    _mutant(LosesTheKey, "a poisoned private learner loses its key"),
    _mutant(PoisonsNothingButSamples, "poisons into something else than a learner's data"),
    _mutant(AlwaysApproves, "approves whatever it's told"),
    _mutant(LoyalToItselfOnly, "isn't loyal to its accomplices"),
    _mutant(LiesInPlace, "writes its lies into the honest votes"),
    _mutant(VotesInFloats, "votes are floats"),
    _mutant(VotesOnceForAll, "one vote for all candidates"),
    _mutant(CrashesForReal, "raises an error instead of an abstention"),
    _mutant(LooksLikeAnAddress, "its text holds a memory address"),
    _mutant(IsNoAdversary, "is no Adversary"),
]

CONTROLS = [_mutant(Occasionally, ""), _mutant(NeverThere, ""), _mutant(PoisonsAllItsData, "")]
