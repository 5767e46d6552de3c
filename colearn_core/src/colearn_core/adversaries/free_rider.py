"""Free rider: takes the model and gives nothing."""

from __future__ import annotations

from dataclasses import dataclass
from math import inf
from typing import Annotated

import numpy as np
from annotated_types import Ge, Gt

from ..errors import ParameterError
from ..learner import Proposal
from ..weights import Weights
from .adversary import Adversary, Scene
from .updates import moved, normal_noise, root_mean_square, update_of


@dataclass(frozen=True)
class FreeRider(Adversary):
    """Doesn't train and returns the base, with some noise if it wants to hide that (Fraboni et al. 2021, "Free-rider
    attacks on model aggregation", arXiv 2006.11901).
    """

    noise: Annotated[
        float, Ge(0), "Standard deviation of the noise, in multiples of the root mean square of the last change"
    ] = 0.0
    samples: Annotated[
        float | None, Gt(0), "On how many samples it claims to have trained; by default as many as the others' mean"
    ] = None

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 0 <= self.noise < inf:
            raise ParameterError(f"noise can't be negative or infinite: {self.noise}")
        if self.samples is not None and not 0 < self.samples < inf:
            raise ParameterError(f"samples must be a positive number, not {self.samples}")

    def trains_from(self, scene: Scene) -> Weights | None:
        return None

    def propose(self, scene: Scene, rng: np.random.Generator) -> Proposal:
        claimed = [p.samples for p in scene.others.values()]
        samples = self.samples if self.samples is not None else float(np.mean(claimed)) if claimed else 1.0
        if not self.noise or scene.before is None:  # nothing has changed yet that the noise could look like
            return Proposal(scene.base, samples)
        last = update_of(Proposal(scene.base, samples), scene.before)
        noise = normal_noise(scene.base, self.noise * root_mean_square(last), rng)
        return Proposal(moved(scene.base, noise, scene.base), samples)
