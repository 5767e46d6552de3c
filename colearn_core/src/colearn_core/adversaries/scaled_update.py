"""Scaled update: one learner shouts louder than all others together."""

from __future__ import annotations

from dataclasses import dataclass
from math import inf
from typing import Annotated

import numpy as np
from annotated_types import Gt

from ..errors import ParameterError
from ..learner import Proposal
from .adversary import Adversary, Scene
from .updates import moved, scaled, update_of


@dataclass(frozen=True)
class ScaledUpdate(Adversary):
    """Exaggerates: ``base + scale * (proposal - base)``, so that in a mean its own data outweigh the others'
    (Bagdasaryan et al. 2020, "How to backdoor federated learning", section 3.2, arXiv 1807.00459)."""

    scale: Annotated[float, Gt(0), "How many times its honest update"] = 10.0

    def __post_init__(self) -> None:
        super().__post_init__()
        check_scale(self.scale)

    def propose(self, scene: Scene, rng: np.random.Generator) -> Proposal:
        return exaggerated(scene, self.scale)


def exaggerated(scene: Scene, scale: float) -> Proposal:
    """The honest proposal, ``scale`` times as far from the base."""
    if scale == 1:
        return scene.own
    weights, samples = scene.own
    return Proposal(moved(scene.base, scaled(update_of(scene.own, scene.base), scale), weights), samples)


def check_scale(scale: float) -> None:
    """Raise ParameterError unless it's a positive number."""
    if not 0 < scale < inf:
        raise ParameterError(f"scale must be a positive number, not {scale}")
