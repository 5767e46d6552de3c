"""NaN: a training that diverged, and nobody looked."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, ClassVar

import numpy as np
from annotated_types import Gt, Le

from ..errors import Abstention, ParameterError
from ..learner import Proposal
from ..weights import Weights
from .adversary import Adversary, Scene


@dataclass(frozen=True)
class Nan(Adversary):
    """Proposes weights that are no numbers, in some or all places. Such a proposal is refused, whoever makes it."""

    malicious: ClassVar[bool] = False
    places: Annotated[float, Gt(0), Le(1), "Share of each array's values that are NaN, at least one of them"] = 1.0

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 0 < self.places <= 1:
            raise ParameterError(f"places must be a share between 0 and 1, not {self.places}")

    def propose(self, scene: Scene, rng: np.random.Generator) -> Proposal:
        arrays = {name: array.copy() for name, array in scene.own.weights.items()}
        floats = [array for array in arrays.values() if array.dtype.kind == "f" and array.size]
        if not floats:
            raise Abstention("the weights hold no floats, so none can be NaN")
        for array in floats:
            array.flat[rng.permutation(array.size)[: max(1, round(self.places * array.size))]] = np.nan
        return Proposal(Weights(arrays, copy=False), scene.own.samples)
