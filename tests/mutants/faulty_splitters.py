"""Splitters with one fault each, most of them made from equal random parts."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass
from time import sleep
from typing import Annotated, Any
from unittest.mock import patch

import numpy as np
from annotated_types import Gt
from mutant import Mutant
from numpy.typing import NDArray

from colearn_core.by_column import GroupedNatural
from colearn_core.data import Samples
from colearn_core.errors import DataError, SplitError
from colearn_core.feature_skew import FeatureNoise
from colearn_core.splitting import Dirichlet, Iid, Indices, Shards, Splitter, check_parts
from colearn_core.testing import Subject
from colearn_core.testing.checks import splitters

FETCH = "Fetch.ai colearn 0.2.8"

Labels = NDArray[Any]
Rng = np.random.Generator


@dataclass(frozen=True)
class RoundsSharesDown(Iid):
    def split(self, labels: Labels, parts: int, rng: Rng) -> list[Indices]:
        check_parts(labels, parts)
        size = int(len(labels) * (1 / parts))
        order = rng.permutation(len(labels))
        return [order[i * size : (i + 1) * size] for i in range(parts)]


@dataclass(frozen=True)
class Overlaps(Iid):
    def split(self, labels: Labels, parts: int, rng: Rng) -> list[Indices]:
        found = super().split(labels, parts, rng)
        return [np.append(part, following[0]) for part, following in zip(found, found[1:] + found[:1], strict=True)]


@dataclass(frozen=True)
class DrawsWithReplacement(Iid):
    def split(self, labels: Labels, parts: int, rng: Rng) -> list[Indices]:
        check_parts(labels, parts)
        return list(np.array_split(rng.integers(len(labels), size=len(labels)), parts))


@dataclass(frozen=True)
class CountsFromOne(Iid):
    def split(self, labels: Labels, parts: int, rng: Rng) -> list[Indices]:
        return [part + 1 for part in super().split(labels, parts, rng)]


@dataclass(frozen=True)
class LeavesSomeEmpty(Splitter):
    """A Dirichlet split without a minimum."""

    alpha: float = 0.05

    def split(self, labels: Labels, parts: int, rng: Rng) -> list[Indices]:
        check_parts(labels, parts)
        found: list[list[Indices]] = [[] for _ in range(parts)]
        for label in np.unique(labels):
            members = rng.permutation(np.flatnonzero(labels == label))
            cuts = np.cumsum(rng.dirichlet([max(self.alpha, 0.01)] * parts))[:-1] * len(members)
            for part, piece in zip(found, np.split(members, cuts.astype(np.int64)), strict=True):
                part.append(piece)
        return [np.concatenate(pieces) for pieces in found]


@dataclass(frozen=True)
class OnePartTooMany(Iid):
    """The remainder becomes a part of its own."""

    def split(self, labels: Labels, parts: int, rng: Rng) -> list[Indices]:
        check_parts(labels, parts)
        size = len(labels) // parts
        order = rng.permutation(len(labels))
        found = [order[start : start + size] for start in range(0, len(labels), size)]
        return [part for part in found if len(part)]


@dataclass(frozen=True)
class DropsRareClasses(Dirichlet):
    def split(self, labels: Labels, parts: int, rng: Rng) -> list[Indices]:
        found = super().split(labels, parts, rng)
        kept = np.isin(labels, [c for c in np.unique(labels) if np.sum(labels == c) > 1])
        return [part[kept[part]] if kept[part].any() else part for part in found]


@dataclass(frozen=True)
class TrustsLabelNumbers(Shards):
    """Takes it that classes are numbered without a gap."""

    def split(self, labels: Labels, parts: int, rng: Rng) -> list[Indices]:
        check_parts(labels, parts)
        classes = len(np.unique(labels))
        order = np.concatenate([np.flatnonzero(labels == c) for c in range(classes)])
        return list(np.array_split(rng.permutation(order), parts))


@dataclass(frozen=True)
class SeedDoesNothing(Iid):
    def split(self, labels: Labels, parts: int, rng: Rng) -> list[Indices]:
        return super().split(labels, parts, np.random.default_rng())


@dataclass(frozen=True)
class DrawsFromTheGlobalGenerator(Iid):
    def split(self, labels: Labels, parts: int, rng: Rng) -> list[Indices]:
        check_parts(labels, parts)
        return list(np.array_split(np.random.permutation(len(labels)), parts))


@dataclass(frozen=True)
class SeedsTheGlobalGenerator(Iid):
    def split(self, labels: Labels, parts: int, rng: Rng) -> list[Indices]:
        check_parts(labels, parts)
        random.seed(int(rng.integers(1000)))
        order = list(range(len(labels)))
        random.shuffle(order)
        return list(np.array_split(np.array(order, dtype=np.int64), parts))


class RemembersItsGenerator(Splitter):
    def __init__(self) -> None:
        self.rng: Rng | None = None

    def split(self, labels: Labels, parts: int, rng: Rng) -> list[Indices]:
        self.rng = self.rng or rng
        return Iid().split(labels, parts, self.rng)


@dataclass(frozen=True)
class DrawsUntilAllHaveEnough(Iid):
    """The usual loop of label-skew splits; each turn is slow here, so that waiting for it costs nothing."""

    alpha: Annotated[float, Gt(0)] = 100.0

    def split(self, labels: Labels, parts: int, rng: Rng) -> list[Indices]:
        while parts > 1:
            with np.errstate(all="ignore"):
                shares = np.nan_to_num(rng.dirichlet([min(self.alpha, 1e6)] * parts))
            if shares.min() * len(labels) >= 0.05:
                break
            sleep(0.005)
        return super().split(labels, parts, rng)


@dataclass(frozen=True)
class DrawsUntilNobodyIsEmpty(Splitter):
    """Deals each sample to anyone, and begins again when somebody has none."""

    def split(self, labels: Labels, parts: int, rng: Rng) -> list[Indices]:
        check_parts(labels, parts)
        if parts == len(labels):
            return list(rng.permutation(len(labels))[:, None])
        while True:
            owners = rng.integers(parts, size=len(labels))
            if len(np.unique(owners)) == parts:
                return [np.flatnonzero(owners == i) for i in range(parts)]
            sleep(0.005)


@dataclass(frozen=True)
class MadeForFive(Iid):
    def split(self, labels: Labels, parts: int, rng: Rng) -> list[Indices]:
        check_parts(labels, parts)
        return super().split(labels, 5, rng)


@dataclass(frozen=True)
class SharesBecomeNaN(Iid):
    alpha: Annotated[float, Gt(0)] = 1.0

    def split(self, labels: Labels, parts: int, rng: Rng) -> list[Indices]:
        check_parts(labels, parts)
        with np.errstate(all="ignore"):
            gammas = rng.standard_gamma(self.alpha, parts)
            shares = gammas / gammas.sum()
        extra = len(labels) - parts
        ends = np.cumsum([int(share * extra) for share in shares[:-1]]) + np.arange(1, parts)
        return list(np.split(rng.permutation(len(labels)), ends))


@dataclass(frozen=True)
class SortsLabelsInPlace(Iid):
    def split(self, labels: Labels, parts: int, rng: Rng) -> list[Indices]:
        labels.flags.writeable = True
        labels.sort()
        return super().split(labels, parts, rng)


@dataclass(frozen=True)
class CannotReadReadOnlyLabels(Iid):
    def split(self, labels: Labels, parts: int, rng: Rng) -> list[Indices]:
        labels += 0
        return super().split(labels, parts, rng)


@dataclass(frozen=True)
class MoreLearnersThanSamples(Iid):
    def split(self, labels: Labels, parts: int, rng: Rng) -> list[Indices]:
        if parts < 1:
            raise SplitError(f"data can't be divided among {parts} learners")
        return list(np.array_split(rng.permutation(len(labels)), parts))


@dataclass(frozen=True)
class RefusesWithoutANumber(Iid):
    def split(self, labels: Labels, parts: int, rng: Rng) -> list[Indices]:
        if not 0 < parts <= len(labels):
            raise SplitError("that's impossible")
        return super().split(labels, parts, rng)


@dataclass(frozen=True)
class DividesByZero(Iid):
    def split(self, labels: Labels, parts: int, rng: Rng) -> list[Indices]:
        if len(labels) % parts == len(labels):
            raise SplitError(f"{len(labels)} samples are too few for {parts} learners")
        return super().split(labels, parts, rng)


@dataclass(frozen=True)
class BlamesTheData(Iid):
    def split(self, labels: Labels, parts: int, rng: Rng) -> list[Indices]:
        if not 0 < parts <= len(labels):
            raise DataError(f"{len(labels)} samples are no data for {parts} learners")
        return super().split(labels, parts, rng)


@dataclass(frozen=True)
class FloatIndices(Iid):
    def split(self, labels: Labels, parts: int, rng: Rng) -> list[Indices]:
        return [part.astype(np.float64) for part in super().split(labels, parts, rng)]


@dataclass(frozen=True)
class MasksForIndices(Iid):
    def split(self, labels: Labels, parts: int, rng: Rng) -> list[Indices]:
        found = super().split(labels, parts, rng)
        return [np.isin(np.arange(len(labels)), part) for part in found]  # type: ignore[misc]


@dataclass(frozen=True)
class NumbersItsColumn(Iid):
    column: Any = 3


@dataclass(frozen=True)
class TakesEveryColumnForNumbers(Iid):
    column: str | None = "site"

    def split(self, labels: Labels, parts: int, rng: Rng) -> list[Indices]:
        check_parts(labels, parts)
        return list(np.array_split(np.argsort(labels.astype(np.float64) + 0.01 * rng.random(len(labels))), parts))


@dataclass(frozen=True)
class LosesMissingValues(Iid):
    """Groups by comparing, and NaN equals nothing."""

    column: str | None = "site"

    def split(self, labels: Labels, parts: int, rng: Rng) -> list[Indices]:
        check_parts(labels, parts)
        rows = np.concatenate([np.flatnonzero(labels == value) for value in np.unique(labels)])
        return list(np.array_split(rng.permutation(rows), parts))


@dataclass(frozen=True)
class AddsNoiseInPlace(Iid):
    def alter(self, samples: Samples, learner: int, learners: int, rng: Rng) -> Samples:
        if samples.x.dtype.kind == "f":
            samples.x[:] += rng.normal(size=samples.x.shape)
        return samples


@dataclass(frozen=True)
class FlipsTargets(Iid):
    def alter(self, samples: Samples, learner: int, learners: int, rng: Rng) -> Samples:
        return Samples(samples.x, rng.permutation(samples.y))


@dataclass(frozen=True)
class DropsASample(Iid):
    def alter(self, samples: Samples, learner: int, learners: int, rng: Rng) -> Samples:
        return Samples(samples.x[: max(1, len(samples) - 1)], samples.y[: max(1, len(samples) - 1)])


@dataclass(frozen=True)
class FlattensPictures(Iid):
    def alter(self, samples: Samples, learner: int, learners: int, rng: Rng) -> Samples:
        return Samples(samples.x.reshape(len(samples), -1), samples.y)


@dataclass(frozen=True)
class NoiseWithoutASeed(Iid):
    def alter(self, samples: Samples, learner: int, learners: int, rng: Rng) -> Samples:
        return Samples(samples.x + np.random.default_rng().normal(size=samples.x.shape), samples.y)


@dataclass(frozen=True)
class NoiseFromTheGlobalGenerator(Iid):
    def alter(self, samples: Samples, learner: int, learners: int, rng: Rng) -> Samples:
        return Samples(samples.x + np.random.normal(size=samples.x.shape), samples.y)


@dataclass(frozen=True)
class DividesByTheDeviation(Iid):
    """A learner's own scale; constant features have none."""

    def alter(self, samples: Samples, learner: int, learners: int, rng: Rng) -> Samples:
        with np.errstate(all="ignore"):
            return Samples(samples.x / samples.x.std(axis=0), samples.y)


@dataclass(frozen=True)
class NoiseWithoutBounds(Iid):
    strength: Annotated[float, Gt(0)] = 1.0

    def alter(self, samples: Samples, learner: int, learners: int, rng: Rng) -> Samples:
        with np.errstate(all="ignore"):
            return Samples(samples.x * np.float64(self.strength) * (learner + 1), samples.y)


@dataclass(frozen=True)
class CannotAlterCounts(Iid):
    def alter(self, samples: Samples, learner: int, learners: int, rng: Rng) -> Samples:
        noise = rng.normal(size=samples.x.shape)
        return Samples(np.add(samples.x, noise, out=samples.x.copy()), samples.y)


@dataclass(frozen=True)
class Turned(Iid):
    """A control: every other learner sees its features in reverse order."""

    def alter(self, samples: Samples, learner: int, learners: int, rng: Rng) -> Samples:
        return Samples(samples.x[..., ::-1], samples.y) if learner % 2 else samples


@dataclass(frozen=True)
class InOrder(Splitter):
    """Cuts the data where they stand, and draws nothing."""

    def split(self, labels: Labels, parts: int, rng: Rng) -> list[Indices]:
        check_parts(labels, parts)
        return list(np.array_split(np.arange(len(labels), dtype=np.int32), parts))


@dataclass(frozen=True)
class ByClass(Splitter):
    """Each class goes to one learner as a whole; refuses when there are too few."""

    def split(self, labels: Labels, parts: int, rng: Rng) -> list[Indices]:
        check_parts(labels, parts)
        classes = np.unique(labels)
        if len(classes) < parts:
            raise SplitError(f"{parts} learners need as many classes, there are {len(classes)}")
        hands = np.array_split(rng.permutation(classes), parts)
        return [np.flatnonzero(np.isin(labels, hand)) for hand in hands]


@dataclass(frozen=True)
class OneHasMost(Splitter):
    """Gives every learner but the first one sample; a share too large is refused by its annotation."""

    largest: Annotated[int, Gt(0)] = 1
    pairs: bool = False
    seed: int | None = None

    def split(self, labels: Labels, parts: int, rng: Rng) -> list[Indices]:
        check_parts(labels, parts, self.largest)
        order = rng.permutation(len(labels))
        rest = len(labels) - (parts - 1) * self.largest
        return list(np.split(order, np.arange(rest, len(labels), self.largest)))


class Hanging(Mutant):
    """Not waited for as long as the kit does."""

    def examine(self) -> list[str]:
        with patch.object(splitters, "SECONDS", 1.0):
            return super().examine()


def _mutant(make: Callable[..., Any], fault: str, origin: str = "", **parameters: Any) -> Mutant:
    return Mutant(make.__name__, "splitters", fault, Subject(make, parameters), origin)


def _hanging(make: Callable[..., Any], fault: str) -> Mutant:
    return Hanging(make.__name__, "splitters", fault, Subject(make))


MUTANTS = [
    _mutant(RoundsSharesDown, "loses the remainder: tenths of 1,797 samples have 1,790", FETCH),
    _mutant(Overlaps, "neighbours share a sample"),
    _mutant(DrawsWithReplacement, "draws with replacement"),
    _mutant(CountsFromOne, "indices count from one"),
    _mutant(LeavesSomeEmpty, "strong skew leaves learners without a sample"),
    _mutant(OnePartTooMany, "the remainder becomes one more part"),
    _mutant(DropsRareClasses, "classes of one sample are lost"),
    _mutant(TrustsLabelNumbers, "loses classes when label numbers have gaps"),
    _mutant(SeedDoesNothing, "the seed does nothing", FETCH),
    _mutant(DrawsFromTheGlobalGenerator, "draws from numpy's global generator"),
    _mutant(SeedsTheGlobalGenerator, "seeds Python's global generator"),
    _mutant(RemembersItsGenerator, "goes on drawing from the first generator it was given"),
    _hanging(DrawsUntilAllHaveEnough, "draws until all have enough, for ever at strong skew"),
    _hanging(DrawsUntilNobodyIsEmpty, "draws until all have enough, for ever with many learners"),
    _mutant(MadeForFive, "always gives five parts"),
    _mutant(SharesBecomeNaN, "shares become NaN at strong skew"),
    _mutant(SortsLabelsInPlace, "the labels are sorted in place"),
    _mutant(CannotReadReadOnlyLabels, "fails on read-only labels"),
    _mutant(MoreLearnersThanSamples, "takes more learners than samples"),
    _mutant(RefusesWithoutANumber, "a refusal that tells nothing"),
    _mutant(DividesByZero, "divides by zero learners"),
    _mutant(BlamesTheData, "a refusal of the wrong kind"),
    _mutant(FloatIndices, "indices are floats"),
    _mutant(MasksForIndices, "masks instead of indices"),
    _mutant(NumbersItsColumn, "its column is a number, not a name"),
    _mutant(TakesEveryColumnForNumbers, "crashes on a column of text"),
    _mutant(LosesMissingValues, "loses samples without a value in its column"),
    _mutant(AddsNoiseInPlace, "changes the samples that it alters in place"),
    _mutant(FlipsTargets, "alters targets with the features"),
    _mutant(DropsASample, "loses a sample when it alters features"),
    _mutant(FlattensPictures, "alters the shape of features"),
    _mutant(NoiseWithoutASeed, "features are altered otherwise each time"),
    _mutant(NoiseFromTheGlobalGenerator, "alters features by numpy's global generator"),
    _mutant(DividesByTheDeviation, "constant features become NaN"),
    _mutant(NoiseWithoutBounds, "features become infinite for large parameters"),
    _mutant(CannotAlterCounts, "fails on features that are integers"),
]

CONTROLS = [
    _mutant(InOrder, ""),
    _mutant(ByClass, ""),
    _mutant(OneHasMost, ""),
    _mutant(Turned, ""),
    Mutant("Noise", "splitters", "", Subject(FeatureNoise, {"strength": 2.0, "relative": False})),
    Mutant("BySite", "splitters", "", Subject(GroupedNatural, {"column": "site"})),
    Mutant("BalancedDirichlet", "splitters", "", Subject(Dirichlet, {"alpha": 1e-6, "balanced": True})),
    Mutant("VerySkewed", "splitters", "", Subject(Dirichlet, {"alpha": 1e-6, "min_samples": 3})),
    Mutant("OneShard", "splitters", "", Subject(Shards, {"per_learner": 1})),
    Mutant("ManyLearners", "splitters", "", Subject(Iid, learners=200)),
]
