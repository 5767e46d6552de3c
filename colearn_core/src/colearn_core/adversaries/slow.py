"""Slow: a learner that keeps the others waiting."""

from __future__ import annotations

from dataclasses import dataclass
from math import inf
from time import sleep
from typing import Annotated, ClassVar

import numpy as np
from annotated_types import Ge

from ..errors import ParameterError
from ..learner import Proposal
from .adversary import Adversary, Scene


@dataclass(frozen=True)
class Slow(Adversary):
    """Takes longer to propose, and is honest otherwise. The model is as without it; the run takes that much longer."""

    malicious: ClassVar[bool] = False
    seconds: Annotated[float, Ge(0), "How much longer a proposal takes"] = 0.1

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 0 <= self.seconds < inf:
            raise ParameterError(f"seconds can't be negative or infinite: {self.seconds}")

    def propose(self, scene: Scene, rng: np.random.Generator) -> Proposal:
        sleep(self.seconds)
        return scene.own
