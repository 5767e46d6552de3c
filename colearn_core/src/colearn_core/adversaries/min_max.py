"""Min-max: as far from the honest mean as the honest are from each other."""

from __future__ import annotations

from dataclasses import dataclass
from math import sqrt
from typing import Annotated, ClassVar, Literal

import numpy as np

from ..errors import ParameterError
from ..learner import Proposal
from .adversary import Adversary, Scene
from .updates import Update, combined, inner, moved, update_of


@dataclass(frozen=True)
class MinMax(Adversary):
    """Proposes ``base + m - g * s``, where ``m`` and ``s`` are mean and standard deviation, weight by weight, of the
    honest updates of the round, and ``g`` is the largest that keeps it as near to them as they are to each other:
    tuned to each round, where ``little_is_enough`` goes by a fixed quantile (Shejwalkar and Houmansadr 2021,
    "Manipulating the Byzantine", section IV, NDSS).

    It needs several honest proposals in a round: where an adversary proposes alone, what it proposes is honest.
    """

    needs_company: ClassVar[bool] = True
    near: Annotated[
        Literal["max", "sum"],
        "max: no farther from any honest update than the two farthest are from each other; "
        "sum: its squared distances sum up to no more than those of the farthest one (stealthier)",
    ] = "max"

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.near not in ("max", "sum"):
            raise ParameterError(f"near must be max or sum, not {self.near!r}")

    def propose(self, scene: Scene, rng: np.random.Generator) -> Proposal:
        honest = [update_of(p, scene.base) for p in scene.known]
        mean = combined(lambda updates: updates.mean(axis=0), honest)
        against = combined(lambda updates: -updates.std(axis=0), honest)
        far = self._farthest(mean, against, honest)
        shifted = {name: change + far * against[name] for name, change in mean.items()}
        return Proposal(moved(scene.base, shifted, scene.own.weights), scene.own.samples)

    def _farthest(self, mean: Update, against: Update, honest: list[Update]) -> float:
        """The largest ``g`` with ``mean + g * against`` near enough to the honest updates."""
        apart = [_minus(mean, one) for one in honest]
        squares = np.array([[inner(d, d) for d in (_minus(one, other) for other in honest)] for one in honest])
        steep = inner(against, against)
        if not steep:  # all honest updates are the same
            return 0.0
        if self.near == "max":
            return min(_root(steep, inner(d, against), inner(d, d) - squares.max()) for d in apart)
        n, limit = len(honest), squares.sum(axis=1).max()
        return _root(n * steep, sum(inner(d, against) for d in apart), sum(inner(d, d) for d in apart) - limit)


def _root(square: float, half: float, rest: float) -> float:
    """The larger solution of ``square * g**2 + 2 * half * g + rest = 0``, at least 0."""
    return max(0.0, (-half + sqrt(max(0.0, half**2 - square * rest))) / square)


def _minus(one: Update, other: Update) -> Update:
    return {name: change - other[name] for name, change in one.items()}
