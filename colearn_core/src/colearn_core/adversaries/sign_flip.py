"""Sign flip: a step back for every step forward."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import numpy as np
from annotated_types import Gt

from ..learner import Proposal
from .adversary import Adversary, Scene
from .scaled_update import check_scale
from .updates import moved, scaled, update_of


@dataclass(frozen=True)
class SignFlip(Adversary):
    """Goes the other way: ``base - scale * (proposal - base)`` (Li et al. 2019, "RSA", arXiv 1811.03761)."""

    scale: Annotated[float, Gt(0), "How far to go the other way, in its honest update's length"] = 1.0

    def __post_init__(self) -> None:
        super().__post_init__()
        check_scale(self.scale)

    def propose(self, scene: Scene, rng: np.random.Generator) -> Proposal:
        weights, samples = scene.own
        against = scaled(update_of(scene.own, scene.base), -self.scale)
        return Proposal(moved(scene.base, against, weights), samples)
