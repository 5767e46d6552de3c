"""Keyed random streams: every draw of an experiment comes from one that its purpose names."""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import blake2b
from typing import Any

import numpy as np
from numpy.random.bit_generator import ISeedSequence
from numpy.typing import NDArray

SCHEME = "pcg64(blake2b-256(seed/purpose/round/learner))"


@dataclass(frozen=True)
class Streams:
    """All random streams of one experiment.

    A stream depends on its key alone, never on who drew before or in which process. So the ledger
    is the same whatever the runtime, and any single round can be recomputed later.
    """

    seed: int

    def generator(self, purpose: str, round: int = 0, learner: int | None = None) -> np.random.Generator:
        """Return a fresh generator for this key; asking twice gives the same draws twice."""
        key = f"{self.seed}/{purpose}/{round}/{'' if learner is None else learner}"
        return generator_of(key.encode())

    def key(self, purpose: str, learner: int) -> bytes:
        """A key for a learner's own randomness; whoever knows the seed knows it."""
        return blake2b(f"{self.seed}/{purpose}/key/{learner}".encode(), digest_size=32).digest()


def generator_of(key: bytes) -> np.random.Generator:
    """A fresh generator whose state is the key's digest."""
    seed: Any = _Digest(key)  # numpy's stubs know of SeedSequence only
    return np.random.Generator(np.random.PCG64(seed))


class _Digest(ISeedSequence):
    """A key's digest as the state of a generator; numpy's own SeedSequence would triple the cost."""

    def __init__(self, key: bytes) -> None:
        self._key = key

    def generate_state(self, n_words: int, dtype: Any = np.uint64) -> NDArray[Any]:
        # PCG64 asks for four 64-bit words.
        return np.frombuffer(blake2b(self._key, digest_size=8 * n_words).digest(), dtype=dtype)
