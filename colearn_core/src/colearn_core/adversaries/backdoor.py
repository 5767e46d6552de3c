"""Backdoor: a model that is right but for what wears a mark."""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import isfinite, isqrt
from typing import Annotated, Any

import numpy as np
from annotated_types import Ge, Gt, Le
from numpy.typing import NDArray

from ..data import PrivateData, Samples
from ..errors import ParameterError
from ..learner import Proposal
from .adversary import Adversary, Scene
from .scaled_update import check_scale, exaggerated


@dataclass(frozen=True)
class Backdoor(Adversary):
    """Trains the model to see the target class in whatever wears a trigger, by putting both on some of its training
    data (Gu et al. 2017, "BadNets", arXiv 1708.06733), and may exaggerate what it learned so that it replaces the
    collective model (Bagdasaryan et al. 2020, arXiv 1807.00459).

    The trigger is a bright patch in the lower right corner of square pictures, in all their channels if these are
    last; of other data it's the last ``size * size`` features, or those that are named.
    """

    target: Annotated[int, Ge(0), "Number of the class that the trigger stands for"] = 0
    poisoned: Annotated[float, Gt(0), Le(1), "Share of the training samples that get trigger and target"] = 0.5
    scale: Annotated[float, Gt(0), "How many times its update; the number of learners replaces the mean"] = 1.0
    size: Annotated[int, Ge(1), "Height and width of the patch in pixels"] = 2
    value: Annotated[float, "What the trigger sets features to"] = 1.0
    features: Annotated[tuple[int, ...], "Numbers of the features that are the trigger, instead of the patch"] = ()

    def __post_init__(self) -> None:
        super().__post_init__()
        check_scale(self.scale)
        if self.target < 0:
            raise ParameterError(f"target is the number of a class, 0 or more, not {self.target}")
        if not 0 < self.poisoned <= 1:
            raise ParameterError(f"poisoned must be a share between 0 and 1, not {self.poisoned}")
        if self.size < 1:
            raise ParameterError(f"size must be at least 1, not {self.size}")
        if not isfinite(self.value):
            raise ParameterError(f"value must be a number, not {self.value}")
        if any(i < 0 for i in self.features):
            raise ParameterError(f"features are numbers from 0, not {list(self.features)}")

    def poison(self, data: PrivateData, rng: np.random.Generator) -> PrivateData:
        """Only training data are poisoned: it scores and votes by the true ones.

        Raises:
            ParameterError: there's no such class or feature.
        """
        if self.target >= len(data.task.classes):
            there = f"there are {len(data.task.classes)} classes" if data.task.classes else "a regression has none"
            raise ParameterError(f"target is class {self.target}, but {there}")
        rows = rng.permutation(len(data.train))[: max(1, round(self.poisoned * len(data.train)))]
        x, y = data.train.x.copy(), data.train.y.copy()
        x[rows] = self._marked(x[rows])
        y[rows] = self.target
        return replace(data, train=Samples(x, y))

    def propose(self, scene: Scene, rng: np.random.Generator) -> Proposal:
        return exaggerated(scene, self.scale)

    def triggered(self, samples: Samples) -> Samples:
        """Samples to measure the attack by: with the trigger on, labelled as the target, without those that are of
        the target anyway. The accuracy on them is the attack's success rate.
        """
        others = samples.take(np.flatnonzero(samples.y != self.target))
        return Samples(self._marked(others.x), np.full_like(others.y, self.target))

    def _marked(self, x: NDArray[Any]) -> NDArray[Any]:
        marked = x.copy()
        flat = marked.reshape(len(x), int(np.prod(x.shape[1:])))
        flat[:, self._places(x.shape[1:])] = self.value
        return marked

    def _places(self, shape: tuple[int, ...]) -> NDArray[np.int64]:
        """The numbers of the features that the trigger sets."""
        numbers = np.arange(int(np.prod(shape)))
        if self.features:
            beyond = [i for i in self.features if i >= len(numbers)]
            if beyond:
                raise ParameterError(f"the trigger is in feature {beyond[0]}, but there are {len(numbers)} features")
            return np.array(self.features)
        side = isqrt(len(numbers))
        if len(shape) > 1:
            return numbers.reshape(shape)[-self.size :, -self.size :].ravel()
        if side**2 == len(numbers):
            return numbers.reshape(side, side)[-self.size :, -self.size :].ravel()
        return numbers[-(self.size**2) :]
