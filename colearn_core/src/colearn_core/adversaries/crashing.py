"""Crashing: a learner that is often not there."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, ClassVar

import numpy as np
from annotated_types import Ge, Le

from ..errors import Abstention, ParameterError
from ..learner import Proposal
from .adversary import Adversary, Ballot, Scene

if TYPE_CHECKING:
    from ..proposing import Candidate


@dataclass(frozen=True)
class Crashing(Adversary):
    """Crashes with a probability each time that it is asked to propose or to vote: then it does neither."""

    malicious: ClassVar[bool] = False
    probability: Annotated[float, Ge(0), Le(1), "How likely it crashes at each call"] = 0.5

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 0 <= self.probability <= 1:
            raise ParameterError(f"probability lies between 0 and 1, not at {self.probability}")

    def propose(self, scene: Scene, rng: np.random.Generator) -> Proposal:
        self._crash(rng)
        return scene.own

    def cast(
        self, honest: Ballot, candidates: Sequence[Candidate], accomplices: frozenset[int], rng: np.random.Generator
    ) -> Ballot:
        self._crash(rng)
        return super().cast(honest, candidates, accomplices, rng)

    def _crash(self, rng: np.random.Generator) -> None:
        if rng.random() < self.probability:
            raise Abstention("crashed")
