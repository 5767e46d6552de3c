"""A little is enough: to hide where honest learners differ anyway."""

from __future__ import annotations

from dataclasses import dataclass
from math import inf
from statistics import NormalDist
from typing import Annotated, ClassVar

import numpy as np
from annotated_types import Ge

from ..errors import ParameterError
from ..learner import Proposal
from .adversary import Adversary, Scene
from .updates import combined, moved, update_of

MOST = 0.999
"""Where dishonest learners are the majority, any deviation would do; the quantile of this share is taken."""


@dataclass(frozen=True)
class LittleIsEnough(Adversary):
    """Proposes ``base + m - z * s``, where ``m`` and ``s`` are mean and standard deviation, weight by weight, of the
    honest updates of the round (Baruch et al. 2019, "A little is enough", algorithm 3, arXiv 1902.06156).

    It needs several honest proposals in a round to differ from them: where an adversary proposes alone, the
    deviation is 0, and what it proposes is honest.
    """

    needs_company: ClassVar[bool] = True
    z: Annotated[
        float | None, Ge(0), "Deviations from the mean; by default what the paper finds for the proposals of the round"
    ] = None

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.z is not None and not 0 <= self.z < inf:
            raise ParameterError(f"z must be a number of deviations, 0 or more, not {self.z}")

    def propose(self, scene: Scene, rng: np.random.Generator) -> Proposal:
        z = largest_hidden(len(scene.others), len(scene.trained)) if self.z is None else self.z
        honest = [update_of(p, scene.base) for p in scene.known]
        shifted = combined(lambda updates: updates.mean(axis=0) - z * updates.std(axis=0), honest)
        return Proposal(moved(scene.base, shifted, scene.own.weights), scene.own.samples)


def largest_hidden(honest: int, dishonest: int) -> float:
    """The largest deviation at which enough honest learners lie farther out to make a majority with the dishonest.

    With ``n`` proposals, ``m`` of them dishonest, ``floor(n / 2 + 1) - m`` supporters are needed among the honest;
    the paper takes the normal quantile of ``(n - m - supporters) / (n - m)``, here at least 0.
    """
    supporters = (honest + dishonest) // 2 + 1 - dishonest
    share = min((honest - supporters) / honest, MOST) if honest else 0.5
    return NormalDist().inv_cdf(share) if share > 0.5 else 0.0
