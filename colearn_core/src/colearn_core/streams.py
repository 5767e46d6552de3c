"""Keyed random streams: every draw of an experiment comes from one that its purpose names."""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import blake2b

import numpy as np

SCHEME = "pcg64(blake2b-128(seed/purpose/round/learner))"


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
        digest = blake2b(key.encode(), digest_size=16).digest()
        return np.random.Generator(np.random.PCG64(int.from_bytes(digest, "big")))
