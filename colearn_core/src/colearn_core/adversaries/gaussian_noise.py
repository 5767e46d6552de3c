"""Gaussian noise: a proposal that says nothing."""

from __future__ import annotations

from dataclasses import dataclass
from math import inf
from typing import Annotated

import numpy as np
from annotated_types import Gt

from ..errors import ParameterError
from ..learner import Proposal
from .adversary import Adversary, Scene
from .updates import combined, moved, normal_noise, root_mean_square, update_of


@dataclass(frozen=True)
class GaussianNoise(Adversary):
    """Adds independent normal noise to each weight of its proposal. The Gaussian attackers of Blanchard et al. 2017
    ("Machine learning with adversaries", arXiv 1703.02757) have a deviation of 200."""

    deviation: Annotated[float, Gt(0), "Standard deviation of the noise"] = 1.0
    relative: Annotated[bool, "Whether it's in multiples of the root mean square of its honest update"] = False

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 0 < self.deviation < inf:
            raise ParameterError(f"deviation must be a positive number, not {self.deviation}")

    def propose(self, scene: Scene, rng: np.random.Generator) -> Proposal:
        update = update_of(scene.own, scene.base)
        deviation = self.deviation * (root_mean_square(update) if self.relative else 1)
        noisy = combined(lambda both: both.sum(axis=0), [update, normal_noise(scene.base, deviation, rng)])
        return Proposal(moved(scene.base, noisy, scene.own.weights), scene.own.samples)
