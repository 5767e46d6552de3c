"""Label flip: honest training on dishonest data."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Annotated

import numpy as np
from annotated_types import Ge, Gt, Le

from ..data import PrivateData, Samples
from ..errors import ParameterError
from .adversary import Adversary


@dataclass(frozen=True)
class LabelFlip(Adversary):
    """Trains on wrong labels: class ``c`` of ``C`` becomes ``C - 1 - c`` (Fang et al. 2020, "Local model poisoning
    attacks", section 5.1, arXiv 1911.11815), or ``source`` becomes ``target`` (Tolpegin et al. 2020, arXiv 2007.08432).
    Values of a regression are mirrored at their mean.
    """

    source: Annotated[int | None, Ge(0), "Number of the class to flip; by default all"] = None
    target: Annotated[int | None, Ge(0), "Number of the class that it becomes; by default the mirrored one"] = None
    poisoned: Annotated[float, Gt(0), Le(1), "Share of those training samples whose labels are flipped"] = 1.0

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 0 < self.poisoned <= 1:
            raise ParameterError(f"poisoned must be a share between 0 and 1, not {self.poisoned}")
        if self.source is not None and self.source == self.target:
            raise ParameterError(f"source and target are the same class: {self.source}")

    def poison(self, data: PrivateData, rng: np.random.Generator) -> PrivateData:
        """Only training labels are flipped: it scores and votes by the true ones.

        Raises:
            ParameterError: a class that isn't there, or classes for a regression.
        """
        y = data.train.y.copy()
        classes = len(data.task.classes)
        for key in ("source", "target"):
            value = getattr(self, key)
            if value is not None and not 0 <= value < classes:
                there = f"there are {classes} classes" if classes else "a regression has no classes"
                raise ParameterError(f"{key} is class {value}, but {there}")
        rows = np.arange(len(y)) if self.source is None else np.flatnonzero(y == self.source)
        rows = rng.permutation(rows)[: round(self.poisoned * len(rows))]
        if not classes:
            y[rows] = 2 * data.train.y.mean() - y[rows] if len(y) else y[rows]
        elif self.target is not None:
            y[rows] = self.target
        else:
            y[rows] = classes - 1 - y[rows]
        return replace(data, train=Samples(data.train.x, y))
