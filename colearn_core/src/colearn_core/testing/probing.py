"""Steps that checks share."""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace

import numpy as np

from ..data import PrivateData, Samples
from ..learner import Learner, Proposal
from ..scores import Score
from ..streams import Streams
from ..weights import Weights
from .kit import Subject, require
from .samples import private

TOLERANCE = 1e-4
"""Relative difference that single precision and another order of summation may make to a score."""


@contextmanager
def global_generators(seed: int) -> Iterator[Callable[[], bool]]:
    """Seed Python's and numpy's global generators, and put them back after; tells whether nobody drew."""
    before = random.getstate(), np.random.get_state()

    try:
        random.seed(seed)
        np.random.seed(seed)
        seeded = random.getstate(), repr(np.random.get_state(legacy=False))
        yield lambda: (random.getstate(), repr(np.random.get_state(legacy=False))) == seeded
    finally:
        random.setstate(before[0])
        np.random.set_state(before[1])


def require_equal_looks(subject: Subject) -> None:
    """Raise CheckFailed unless two instances have one ``repr``, without a memory address."""
    one, other = repr(subject.make()), repr(subject.make())
    require(one == other, f"two equal ones look different: {one} and {other}")
    require(not re.search(r"\b0x[0-9a-f]{6,}", one), f"there is a memory address in {one}; define __repr__")


def learner_of(subject: Subject) -> Learner:
    learner: Learner = subject.make(private(subject.data))
    return learner


def several(subject: Subject, usual: PrivateData) -> Iterator[Learner]:
    """Learners with vote sets of several sizes, one of them empty."""
    start = 0
    for size in (40, 1, 0, 33, 90, 2):
        rows = np.arange(start, start + size)
        train = usual.train.take(np.arange(start % 30, len(usual.train)))
        yield subject.make(replace(usual, train=train, vote=usual.vote.take(rows), test=usual.test.take(rows % 90)))
        start += size


def rng_of(round: int) -> np.random.Generator:
    return Streams(0).generator("propose", round, 0)


def initial_of(learner: Learner) -> Weights:
    return learner.initial_weights(rng_of(0))


def propose(learner: Learner, base: Weights, round: int = 1) -> Weights:
    return learner.propose_weights(base, rng_of(round)).weights


def trained(learner: Learner) -> Weights:
    return propose(learner, initial_of(learner))


def three_proposals(subject: Subject) -> list[Proposal]:
    usual = private(subject.data)
    thirds = [usual.vote.take(np.arange(i, len(usual.vote), 3)) for i in range(3)]
    base = initial_of(learner_of(subject))
    learners = [subject.make(replace(usual, train=train)) for train in thirds]
    return [learner.propose_weights(base, rng_of(i)) for i, learner in enumerate(learners)]


def score_of(subject: Subject, vote: Samples, weights: Weights) -> float:
    usual = private(subject.data)
    learner: Learner = subject.make(replace(usual, vote=vote))
    return learner.test_weights(weights, "vote").value


def foreign(weights: Weights) -> Iterator[tuple[str, Weights]]:
    first = next(iter(weights))
    rest = {name: array for name, array in weights.items() if name != first}
    yield f"without {first!r}", Weights(rest)
    yield "with an array too many", Weights({**weights, "nobody has this": np.zeros(2)})
    yield f"with {first!r} in another shape", Weights({**rest, first: np.stack([weights[first]] * 2)})


def parts_of(data: PrivateData) -> dict[str, Samples]:
    return {"train": data.train, "vote": data.vote, "test": data.test}


def half(samples: Samples) -> Samples:
    return samples.take(np.arange(0, len(samples), 2))


def copied(data: PrivateData) -> PrivateData:
    return with_parts(data, {p: Samples(s.x.copy(), s.y.copy()) for p, s in parts_of(data).items()})


def with_parts(data: PrivateData, parts: Mapping[str, Samples]) -> PrivateData:
    """The same data but for these parts."""
    return replace(data, **parts)  # type: ignore[arg-type]


def own(weights: Weights) -> Weights:
    """A copy that shares no array."""
    return Weights(dict(weights))


def bits(weights: Weights) -> dict[str, bytes]:
    """What the arrays hold now; a digest is computed once, and wouldn't notice a change."""
    return {name: array.tobytes() for name, array in weights.items()}


def same_score(one: Score, other: Score) -> bool:
    return one.samples == other.samples and (one.value == other.value or (one.value != one.value != other.value))


def close(one: float, other: float) -> bool:
    return bool(np.isclose(one, other, rtol=TOLERANCE, atol=1e-6))


def require_close(found: Weights, expected: Weights, otherwise: str) -> None:
    found.check_like(expected)
    for name, array in expected.items():
        same = array.dtype.kind != "f" and np.array_equal(found[name], array)
        require(same or np.allclose(found[name], array, rtol=TOLERANCE, atol=1e-6), f"{otherwise} (in {name!r})")
