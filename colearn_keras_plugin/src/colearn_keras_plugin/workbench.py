"""The workbench: one resident compiled model that all learners of a kind take turns at."""

from __future__ import annotations

import random
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from threading import RLock
from typing import Any
from weakref import WeakKeyDictionary, WeakValueDictionary

import numpy as np
from numpy.typing import NDArray

from colearn_core.errors import DataError, ParameterError, WeightsError
from colearn_core.fused import first_row, identity_of, laid_end_to_end
from colearn_core.metrics import Needs
from colearn_core.weights import Weights

from .backend import keras
from .outputs import Outputs

Array = NDArray[Any]
MakeModel = Callable[[], keras.Model]
Steps = Callable[[keras.Model], list[float]]
"""Trains the model in place, and gives the loss of each step."""

CHUNK_ROWS = 256
"""Rows of every forward pass that scores, zeros where there is no sample: one shape is traced once, and products of
other shapes might end in other last bits."""


ANYWHERE = keras.backend.backend() == "tensorflow"
"""Whether a sample's outputs have the same bits in any row: TensorFlow's do (440 of 440 random models and places)."""


class Workbench:
    """A model that weights are put into for training and scoring, and taken out again.

    A thousand learners of one architecture share it, so memory doesn't grow with their number, and nothing is traced
    twice; a lock keeps threads apart.

    Args:
        model: compiled and built; it belongs to the workbench from now on.
        make: makes another one with initial weights of its own; None to begin with those it has.

    Raises:
        ParameterError: the model can't be trained.
    """

    def __init__(self, model: keras.Model, make: MakeModel | None) -> None:
        self.outputs = Outputs.of(model)
        self.model = _resident(model)
        self._make = make
        self._lock = RLock()
        self._places = dict(zip(_names(self.model.weights), self.model.weights, strict=True))
        self._seeds = _seed_states(self.model)
        self._fresh = {name: _array(v) for name, v in self._optimizer().items()}
        self._loaded: Weights | None = None
        self._model = self._taken()

    def check(self, weights: Weights) -> None:
        """Raise WeightsError unless the weights are of this model, and finite."""
        weights.check_like(self._model)
        weights.check_finite()

    def check_samples(self, x: Array, classes: int | None) -> None:
        """Raise DataError unless the model takes such samples, and gives what is needed for each.

        Args:
            x: at least one sample.
        """
        expected = self.model.input_shape[1:]
        if len(expected) != x.ndim - 1 or any(e not in (None, n) for e, n in zip(expected, x.shape[1:], strict=True)):
            raise DataError(f"{self.model.name} can't take samples of shape {x.shape[1:]}; it takes {expected}")
        self.outputs.check(self.model, classes)

    def initial(self, rng: np.random.Generator) -> Weights:
        """Weights of an untrained model."""
        if self._make is None:
            return self._model
        with self._lock, _python_seeded(int(rng.integers(2**63))):
            fresh = self._make()
        return Weights({n: _array(v) for n, v in zip(self._places, fresh.weights, strict=True)}, copy=False)

    def train(self, base: Weights, steps: Steps, moments: dict[str, Array], rng: np.random.Generator) -> Weights:
        """Weights after training from ``base``.

        Args:
            steps: does the training.
            moments: the optimiser's state, by name, empty for a fresh one; it's replaced by that after training.

        Raises:
            FloatingPointError: the loss of a step isn't finite; the message names the step.
        """
        with self._lock:
            self._load(base)
            self._loaded = None
            optimizer = self._optimizer()
            for name, variable in optimizer.items():
                variable.assign(moments.get(name, self._fresh[name]))
            for state in self._seeds:  # Dropout and its like draw from these
                state.assign(rng.integers(2**31, size=state.shape).astype(np.uint32))
            self.model.reset_metrics()
            with _torch_seeded(int(rng.integers(2**63))):
                _check_losses(steps(self.model))
            moments.clear()
            moments.update({name: _array(v) for name, v in optimizer.items()})
            trained = self._taken()
            self._loaded = trained if trained.finite else None  # the next thing is mostly to score them
            return trained

    def lay_out(self, parts: Sequence[Array]) -> tuple[Array, Array]:
        """All learners' samples in one array, as :meth:`predict` takes them, and which rows are theirs."""
        sizes = np.array([len(part) for part in parts])
        filled = np.flatnonzero(sizes).tolist()
        if ANYWHERE:
            ends = np.cumsum(sizes[filled])
            starts, end = ends - sizes[filled], int(sizes.sum())
        else:
            firsts = [first_row(parts[i][:1].tobytes()) for i in filled]
            starts, end = laid_end_to_end(firsts, sizes[filled].tolist())
        together = np.zeros((-(-end // CHUNK_ROWS) * CHUNK_ROWS, *parts[0].shape[1:]), parts[0].dtype)
        for i, start in zip(filled, starts, strict=True):
            together[start : start + sizes[i]] = parts[i]
        before = np.cumsum(sizes[filled]) - sizes[filled]
        return together, np.repeat(starts - before, sizes[filled]) + np.arange(sizes.sum())

    def predict(self, weights: Weights, x: Array, needs: Needs, rows: Array | None = None) -> Array:
        """What a metric needs of the predictions for ``x``, one row per sample.

        Args:
            rows: which rows of ``x`` are samples, if it's laid out already.
        """
        if rows is None:
            x, rows = self.lay_out([x])
        with self._lock:
            self._load(weights)
            found = [self.model.predict_on_batch(x[i : i + CHUNK_ROWS]) for i in range(0, len(x), CHUNK_ROWS)]
        return self.outputs.as_needed(np.concatenate(found)[rows], needs)

    @contextmanager
    def holding(self, weights: Weights) -> Iterator[keras.Model]:
        """The resident model with these weights, for nobody else in the meantime."""
        with self._lock:
            self._load(weights)
            yield self.model

    def check_moments(self, moments: Mapping[str, Array]) -> None:
        """Raise WeightsError unless this could be the state of the model's optimiser."""
        for name, array in moments.items():
            if name not in self._fresh or array.shape != self._fresh[name].shape:
                raise WeightsError(f"{name!r} is no state of the optimiser of {self.model.name}")

    def _load(self, weights: Weights) -> None:
        if self._loaded is not weights:
            self._loaded = None
            self.check(weights)
            for name, place in self._places.items():
                place.assign(weights[name])
            self._loaded = weights

    def _taken(self) -> Weights:
        return Weights({name: _array(place) for name, place in self._places.items()}, copy=False)

    def _optimizer(self) -> dict[str, Any]:
        variables = self.model.optimizer.variables
        return {f"optimizer {i}": v for i, v in enumerate(variables)}


def steps_over(batches: Iterable[tuple[Array, Array]], class_weight: Mapping[int, float] | None = None) -> Steps:
    """One step of the compiled optimiser for each batch."""
    weight = None if class_weight is None else dict(class_weight)

    def run(model: keras.Model) -> list[float]:
        found = (model.train_on_batch(x, y, class_weight=weight, return_dict=True) for x, y in batches)
        return [float(logs["loss"]) for logs in found]

    return run


def workbench_for(model: keras.Model | MakeModel) -> Workbench:
    """The one workbench of this process for a model, or for the models that a factory makes.

    Args:
        model: a compiled model, which is copied and never changed, or what makes one. Partial calls of one
            function with equal arguments make equal models.
    """
    if isinstance(model, keras.Model):
        if model not in _OF_MODELS:
            _OF_MODELS[model] = Workbench(_copied(model), None)
        return _OF_MODELS[model]
    kind = identity_of(model)
    workbench = _OF_FACTORIES.get(kind)
    if workbench is None:
        made = model()
        if not isinstance(made, keras.Model):
            raise ParameterError(f"the factory of the model gives {type(made).__name__}, not a keras.Model")
        workbench = _OF_FACTORIES[kind] = Workbench(made, model)
    return workbench


_OF_MODELS: WeakKeyDictionary[keras.Model, Workbench] = WeakKeyDictionary()
_OF_FACTORIES: WeakValueDictionary[Any, Workbench] = WeakValueDictionary()


def _copied(model: keras.Model) -> keras.Model:
    _check_usable(model)
    try:
        copy = keras.models.clone_model(model)
        copy.set_weights(model.get_weights())
    except (ValueError, NotImplementedError, TypeError) as error:
        raise ParameterError(
            f"{model.name} can't be copied: {str(error).splitlines()[0]}", hint="Pass a function that makes it."
        ) from error
    copy.compile(optimizer=model.optimizer, loss=model.loss, jit_compile=model.jit_compile)
    return copy


def _resident(model: keras.Model) -> keras.Model:
    """The model with an optimiser of its own, and without metrics of its own: colearn measures by itself."""
    _check_usable(model)
    optimizer = type(model.optimizer).from_config(model.optimizer.get_config())
    model.compile(optimizer=optimizer, loss=model.loss, jit_compile=model.jit_compile)
    optimizer.build(model.trainable_variables)
    return model


def _check_usable(model: keras.Model) -> None:
    if not model.compiled or model.optimizer is None or model.loss is None:
        raise ParameterError(f"{model.name} isn't compiled", hint="Call model.compile(optimizer, loss) first.")
    if not model.built:
        raise ParameterError(f"{model.name} isn't built", hint="Begin it with keras.Input(shape).")
    if not model.trainable_variables:
        raise ParameterError(f"{model.name} has no weights to train")


def _names(variables: Iterable[Any]) -> list[str]:
    """Names for weights: layers are counted anew, as Keras' own numbers tell what else the process has built."""
    owners: dict[str, str] = {}
    kinds: Counter[str] = Counter()
    found: Counter[str] = Counter()
    names = []
    for variable in variables:
        owner, _, own = variable.path.rpartition("/")
        if owner not in owners:
            kind = re.sub(r"_\d+$", "", owner.rpartition("/")[2]) or "model"
            owners[owner] = f"{kind}_{kinds[kind]}" if kinds[kind] else kind
            kinds[kind] += 1
        name = f"{owners[owner]}/{own}"
        found[name] += 1
        names.append(name if found[name] == 1 else f"{name} {found[name]}")
    return names


def _seed_states(model: keras.Model) -> list[Any]:
    known = {id(v) for v in (*model.weights, *model.metrics_variables)}
    return [v for v in model.variables if id(v) not in known and "seed" in v.path]


def _array(variable: Any) -> Array:
    value = variable.value  # Keras' own ways to numpy warn, with numpy 2
    if hasattr(value, "detach"):
        value = value.detach().cpu()
    return np.array(value.numpy() if hasattr(value, "numpy") else value)


@contextmanager
def _python_seeded(seed: int) -> Iterator[None]:
    """Seed Python's generator, from which Keras takes the seeds of initialisers, and put it back after."""
    state = random.getstate()
    random.seed(seed)
    try:
        yield
    finally:
        random.setstate(state)


@contextmanager
def _torch_seeded(seed: int) -> Iterator[None]:
    """With Keras on torch, seed torch's own generator, which Dropout draws from there, and put it back after."""
    if keras.backend.backend() != "torch":
        yield
        return
    import torch

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        yield


def _check_losses(losses: Sequence[float]) -> None:
    for step, loss in enumerate(losses, start=1):
        if not np.isfinite(loss):
            raise FloatingPointError(f"the loss of step {step} of {len(losses)} is {loss}")
