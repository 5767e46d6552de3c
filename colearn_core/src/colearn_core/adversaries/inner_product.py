"""Inner product manipulation: a mean that points the wrong way."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import numpy as np
from annotated_types import Gt

from ..learner import Proposal
from .adversary import Adversary, Scene
from .scaled_update import check_scale
from .updates import combined, moved, scaled, update_of


@dataclass(frozen=True)
class InnerProduct(Adversary):
    """Proposes ``base - scale * m``, where ``m`` is the mean of the honest updates of the round, so that the mean of
    all has a negative inner product with it (Xie et al. 2020, "Fall of empires", arXiv 1903.03936).

    A small scale passes for one of the crowd; one larger than the ratio of honest to dishonest turns the mean.
    Where an adversary proposes alone, its own honest update stands for the mean.
    """

    scale: Annotated[float, Gt(0), "How far to go against the honest mean (epsilon in the paper)"] = 1.0

    def __post_init__(self) -> None:
        super().__post_init__()
        check_scale(self.scale)

    def propose(self, scene: Scene, rng: np.random.Generator) -> Proposal:
        honest = [update_of(p, scene.base) for p in scene.known]
        against = scaled(combined(lambda updates: updates.mean(axis=0), honest), -self.scale)
        return Proposal(moved(scene.base, against, scene.own.weights), scene.own.samples)
