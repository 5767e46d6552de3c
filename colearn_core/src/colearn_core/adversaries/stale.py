"""Stale: a learner that missed what the others decided."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, ClassVar

from annotated_types import Ge

from ..errors import ParameterError
from ..weights import Weights
from .adversary import Adversary, Scene


@dataclass(frozen=True)
class Stale(Adversary):
    """Trains honestly, but from old weights: those of some rounds ago, or the initial ones."""

    malicious: ClassVar[bool] = False
    rounds: Annotated[int | None, Ge(1), "How many rounds old its weights are; by default the initial ones"] = None

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.rounds is not None and self.rounds < 1:
            raise ParameterError(f"rounds must be at least 1, not {self.rounds}")

    @property
    def looks_back(self) -> int:
        return self.rounds or 0

    def trains_from(self, scene: Scene) -> Weights | None:
        known = self.rounds is not None and len(scene.past) >= self.rounds
        return scene.past[self.looks_back - 1] if known else scene.initial
