"""The workbench: one resident estimator that all learners of a kind take turns at."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from threading import RLock
from typing import Any
from weakref import WeakValueDictionary

import numpy as np
from numpy.random import RandomState
from numpy.typing import NDArray
from sklearn import config_context
from sklearn.base import clone

from colearn_core.errors import ParameterError
from colearn_core.learner import Proposal
from colearn_core.metrics import Needs
from colearn_core.weights import Weights

from .families import Family, family_of, prime, seed

Array = NDArray[Any]
CHUNK_ROWS = 8192
"""Rows predicted at once: enough to be quick, few enough to keep hidden layers in the cache."""


class Workbench:
    """An estimator that weights are put into for training and scoring, and taken out again.

    A thousand learners of one kind share it, so memory doesn't grow with their number; a lock keeps
    threads apart.
    """

    def __init__(self, estimator: Any, features: int, classes: int, state: Sequence[str] | None) -> None:
        self.template = clone(estimator)
        self.features = features
        self.classes = classes
        self._lock = RLock()
        self._loaded: Weights | None = None
        self._estimator = self._primed(RandomState(0))
        self.family: Family = family_of(self._estimator, state)
        missing = [name for name in self.family.attributes if not hasattr(self._estimator, name)]
        if missing:
            raise ParameterError(f"{type(estimator).__name__} has no fitted attributes {missing} to travel as state")
        self._check_that_state_travels()
        self._model = self.initial(np.random.default_rng(0))

    def initial(self, rng: np.random.Generator) -> Weights:
        """Weights of an estimator that has seen no sample."""
        return Weights(self.family.initial(self._primed(_random_state(rng))), copy=False)

    def train(self, base: Weights, x: Array, y: Array, epochs: int, rng: np.random.Generator) -> Weights:
        """Weights after training from ``base``.

        Raises:
            WeightsError: ``base`` isn't of this model.
        """
        base.check_like(self._model)
        with self._lock, warnings.catch_warnings():
            warnings.simplefilter("ignore")
            self._loaded = None
            seed(self._estimator, _random_state(rng))
            return Weights(self.family.train(self._estimator, base, x, y, epochs), copy=False)

    def predict(self, weights: Weights, x: Array, needs: Needs) -> Array:
        """What a metric needs of the predictions for ``x``.

        Raises:
            WeightsError: the weights aren't of this model, or not finite.
        """
        with self._lock, config_context(assume_finite=True), np.errstate(all="ignore"):
            if self._loaded is not weights:
                self._loaded = None
                weights.check_like(self._model)
                weights.check_finite()  # else a diverged linear model would predict the first class, and score
                self.family.write(self._estimator, weights)
                self._loaded = weights
            method = self._estimator.predict_proba if needs == "probabilities" else self._estimator.predict
            chunks = [method(x[i : i + CHUNK_ROWS]) for i in range(0, len(x), CHUNK_ROWS)]
            return chunks[0] if len(chunks) == 1 else np.concatenate(chunks)

    def combine(self, base: Weights, proposals: Sequence[Proposal]) -> Weights:
        return self.family.combine(base, proposals)

    def fitted(self, weights: Weights) -> Any:
        """A new estimator with these weights, for use outside of colearn."""
        estimator = self._primed(RandomState(0))
        self.family.write(estimator, weights)
        return estimator.set_params(**self.template.get_params())

    def _primed(self, random_state: RandomState) -> Any:
        estimator = clone(self.template)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            try:
                prime(estimator, self.features, self.classes, random_state)
            except ValueError as error:  # scikit-learn checks an estimator's parameters when it's first fitted
                raise ParameterError(str(error)) from error
        return estimator

    def _check_that_state_travels(self) -> None:
        """An estimator of no known family may keep what it needs where we don't look."""
        if type(self.family) is not Family:
            return
        rng = np.random.default_rng(0)
        x = rng.integers(2, size=(32, self.features)).astype(np.float64)  # counts, categories, or plain numbers
        y = rng.integers(self.classes, size=32) if self.classes else rng.normal(size=32)
        original, copy = self._primed(RandomState(0)), self._primed(RandomState(1))
        try:
            original.partial_fit(x, y)
            self.family.write(copy, self.family.read(original))
            same = bool(self.family.attributes) and np.array_equal(original.predict(x), copy.predict(x))
            for estimator in (original, copy):  # what it trains by must have come along too
                seed(estimator, RandomState(2))
                estimator.partial_fit(x, y)
            same = same and np.array_equal(original.predict(x), copy.predict(x))
        except ValueError as error:
            raise ParameterError(f"{type(self.template).__name__} can't be carried: {error}") from error
        if not same:
            raise ParameterError(
                f"{type(self.template).__name__} keeps state in more than {list(self.family.attributes)}",
                hint="Name the attributes that must travel: SklearnLearner(..., state=[...]).",
            )


@dataclass(frozen=True)
class _Kind:
    """What makes two workbenches interchangeable."""

    estimator: type
    parameters: str
    features: int
    classes: int
    state: tuple[str, ...] | None


_WORKBENCHES: WeakValueDictionary[_Kind, Workbench] = WeakValueDictionary()


def workbench_for(estimator: Any, features: int, classes: int, state: Sequence[str] | None = None) -> Workbench:
    """The one workbench of this process for such estimators, made when it's first asked for."""
    parameters = {k: v for k, v in estimator.get_params().items() if k != "random_state"}
    with np.printoptions(threshold=sys.maxsize):  # else large arrays are shortened, and different ones look alike
        settings = repr(sorted(parameters.items()))
    kind = _Kind(type(estimator), settings, features, classes, None if state is None else tuple(state))
    workbench = _WORKBENCHES.get(kind)
    if workbench is None:
        workbench = _WORKBENCHES[kind] = Workbench(estimator, features, classes, state)
    return workbench


def _random_state(rng: np.random.Generator) -> RandomState:
    return RandomState(int(rng.integers(2**32)))
