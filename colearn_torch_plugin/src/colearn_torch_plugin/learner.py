"""The learner for any torch module, and its fused cohort."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from colearn_core.cohort import Cohort, LoopCohort
from colearn_core.data import PrivateData
from colearn_core.errors import DataError, ParameterError
from colearn_core.learner import Learner, Proposal
from colearn_core.metrics import Metric, metric
from colearn_core.scores import Part, Score, Scores
from colearn_core.weights import Weights, mean

from .tensors import Tensors, tensors_of
from .workbench import Loss, MakeOptimizer, Workbench, workbench_for

log = logging.getLogger(__name__)
PARTS: tuple[Part, Part] = ("vote", "test")
LOSSES: dict[str, Loss] = {
    "cross_entropy": functional.cross_entropy,
    "mse": lambda found, y: functional.mse_loss(found.reshape(y.shape), y),
    "huber": lambda found, y: functional.huber_loss(found.reshape(y.shape), y),
}
"""Losses by name; the first is for class numbers, the others for values."""


class TorchLearner(Learner):
    """A party that trains any ``torch.nn.Module``.

    Args:
        model: a module, which is copied and never changed, or what makes one. The learners of an
            experiment share one resident copy if they're given the same module or factory, or equal partials.
        optimizer: makes an optimiser for a list of parameters: ``partial(torch.optim.Adam, lr=1e-3)``.
        loss: a name of :data:`LOSSES`, or a callable from outputs and targets to a scalar tensor.
        train: a pair of arrays or tensors (features, targets), a torch ``Dataset``, or a ``DataLoader``,
            which is read once. Class numbers count from 0; without ``classes`` targets are values.
        vote: what it votes by; without it the learner abstains.
        test: what the current model is reported by.
        classes: the number of classes in the group; None for a regression.
        steps_per_round: steps of the optimiser for a proposal.
        batch_size: samples for a step, drawn without repetition until all are used, then again.
        vote_metric: ``log_loss`` for classes, ``mse`` for values; the module's outputs are logits.
        test_metric: ``accuracy`` for classes, ``mse`` for values.
        keep_optimizer: go on with the optimiser's state from one proposal to the next; it's then part of
            :meth:`state`. By default each proposal begins with a fresh optimiser.
        device: ``cpu``, ``cuda``, ``cuda:1``, ...

    Raises:
        DataError: the data can't be learned from.
        ParameterError: the module, a metric or the device won't do.
    """

    def __init__(
        self,
        model: nn.Module | Callable[[], nn.Module],
        optimizer: MakeOptimizer,
        loss: str | Loss,
        train: Any,
        vote: Any = None,
        test: Any = None,
        *,
        classes: int | None = None,
        steps_per_round: int = 20,
        batch_size: int = 32,
        vote_metric: str | None = None,
        test_metric: str | None = None,
        keep_optimizer: bool = False,
        device: str = "cpu",
    ) -> None:
        for name, value in (("steps_per_round", steps_per_round), ("batch_size", batch_size)):
            if value < 1:
                raise ParameterError(f"{name} must be at least 1, not {value}")
        self.optimizer = optimizer
        self.loss = _loss(loss)
        self.steps_per_round = steps_per_round
        self.batch_size = batch_size
        self.classes = classes
        self.vote_metric = _metric(vote_metric or ("mse" if classes is None else "log_loss"), classes)
        self.test_metric = _metric(test_metric or ("mse" if classes is None else "accuracy"), classes)
        self.keep_optimizer = keep_optimizer
        target = _device(device)
        self.train = tensors_of("train", train, classes).to(target)
        if not len(self.train):
            raise DataError("a learner needs at least one sample to train on")
        self.vote, self.test = (self._held("vote", vote, target), self._held("test", test, target))
        self.workbench: Workbench = workbench_for(model, target)
        self.workbench.check_samples(self.train.x, classes or 1)
        self._moments: dict[str, NDArray[Any]] = {}

    @classmethod
    def of(
        cls, data: PrivateData, model: Callable[[], nn.Module], optimizer: MakeOptimizer, **more: Any
    ) -> TorchLearner:
        """A learner for data that an experiment has divided."""
        classes = len(data.task.classes) or None
        loss = more.pop("loss", None) or ("mse" if classes is None else "cross_entropy")
        return cls(model, optimizer, loss, data.train, data.vote, data.test, classes=classes, **more)

    def initial_weights(self, rng: np.random.Generator) -> Weights:
        return self.workbench.initial(rng)

    def propose_weights(self, base: Weights, rng: np.random.Generator) -> Proposal:
        moments = self._moments if self.keep_optimizer else {}
        trained = self.workbench.train(base, self._batches(rng), self.loss, self.optimizer, moments, rng)
        return Proposal(trained, len(self.train))

    def test_weights(self, weights: Weights, part: Part) -> Score:
        samples = self.vote if part == "vote" else self.test
        if not len(samples):
            return Score(float("nan"), 0)
        measure = self.vote_metric if part == "vote" else self.test_metric
        predictions = self.workbench.predict(weights, samples.x, measure.needs)
        score = measure.score(samples.targets, predictions, np.array([len(samples)]))
        return Score(float(score[0]), len(samples))

    def combine(self, base: Weights, proposals: Sequence[Proposal]) -> Weights:
        """The mean, weighted by samples; of counters, which have no mean, the largest."""
        counters = {name: array for name, array in base.items() if array.dtype.kind not in "f"}
        if not counters:
            return super().combine(base, proposals)
        floats = [Weights({n: a for n, a in p.weights.items() if n not in counters}) for p in proposals]
        largest = {name: np.max([p.weights[name] for p in proposals], axis=0) for name in counters}
        return Weights({**mean(floats, [p.samples for p in proposals]), **largest})

    def state(self) -> Weights:
        return Weights(self._moments)

    def restore(self, state: Weights) -> None:
        if not self.keep_optimizer:
            super().restore(state)
        self.workbench.check_moments(state)
        self._moments = dict(state)

    def module_with(self, weights: Weights) -> nn.Module:
        """A copy of the module with these weights, ready to predict; its ``state_dict()`` is torch's own."""
        return self.workbench.module_with(weights)

    @classmethod
    def cohort(cls, learners: Sequence[Learner], names: Sequence[str] | None = None) -> Cohort:
        own = [learner for learner in learners if isinstance(learner, TorchLearner)]
        alike = len({id(learner.workbench) for learner in own}) == 1
        return TorchCohort(own, names) if alike and len(own) == len(learners) else LoopCohort(learners, names)

    def _held(self, part: str, data: Any, device: torch.device) -> Tensors:
        if data is None:
            return Tensors(self.train.x[:0], self.train.y[:0])
        found = tensors_of(part, data, self.classes).to(device)
        if found.x.shape[1:] != self.train.x.shape[1:]:
            raise DataError(
                f"{part} samples have the shape {tuple(found.x.shape[1:])}, "
                f"training samples {tuple(self.train.x.shape[1:])}"
            )
        return found

    def _batches(self, rng: np.random.Generator) -> Iterator[tuple[Tensor, Tensor]]:
        count = self.steps_per_round * self.batch_size
        passes = -(-count // len(self.train))
        orders = rng.permuted(np.tile(np.arange(len(self.train)), (passes, 1)), axis=1)
        rows = torch.from_numpy(orders.ravel()[:count]).to(self.train.x.device)
        for i in range(0, count, self.batch_size):
            batch = rows[i : i + self.batch_size]
            yield self.train.x[batch], self.train.y[batch]


class TorchCohort(LoopCohort):
    """Learners of one architecture: candidates are put into the resident module once, and all learners'
    samples go through it in chunks."""

    def __init__(self, learners: Sequence[TorchLearner], names: Sequence[str] | None = None) -> None:
        super().__init__(learners, names)
        self._workbench = learners[0].workbench
        held = {"vote": [x.vote for x in learners], "test": [x.test for x in learners]}
        self._x: dict[Part, Tensor] = {}
        self._rows: dict[Part, NDArray[np.int64]] = {}
        self._targets: dict[Part, NDArray[Any]] = {}
        self._sizes: dict[Part, NDArray[np.int64]] = {}
        for part in PARTS:
            samples = held[part]
            self._x[part], self._rows[part] = self._workbench.lay_out([s.x for s in samples])
            targets = [s.targets for s in samples]
            self._targets[part] = np.concatenate(targets)
            self._sizes[part] = np.array([len(t) for t in targets])

    def test(self, candidates: Sequence[Weights], part: Part) -> Scores:
        measure = self.metric_of(part)
        sizes = self._sizes[part]
        if not candidates or not sizes.any():
            return Scores(measure, np.full((len(self), len(candidates)), np.nan, np.float32), sizes)
        try:
            columns = [self._column(weights, part, measure) for weights in candidates]
        except Exception:  # one candidate that doesn't fit must not spoil the others: each is asked alone
            log.debug("the fused pass failed", exc_info=True)
            return super().test(candidates, part)
        return Scores(measure, np.column_stack(columns), sizes)

    def _column(self, weights: Weights, part: Part, measure: Metric) -> NDArray[np.float64]:
        predictions = self._workbench.predict(weights, self._x[part], measure.needs, self._rows[part])
        return measure.score(self._targets[part], predictions, self._sizes[part])


def optimizer_of(
    name: Literal["sgd", "adam", "adamw"], learning_rate: float, momentum: float, weight_decay: float
) -> MakeOptimizer:
    """A factory of optimisers by name; momentum is SGD's."""
    if name == "sgd":
        return partial(torch.optim.SGD, lr=learning_rate, momentum=momentum, weight_decay=weight_decay)
    kind = torch.optim.Adam if name == "adam" else torch.optim.AdamW
    return partial(kind, lr=learning_rate, weight_decay=weight_decay)


def _loss(loss: str | Loss) -> Loss:
    if not isinstance(loss, str):
        return loss
    if loss not in LOSSES:
        raise ParameterError(f"unknown loss {loss!r}", hint=f"Known losses: {', '.join(LOSSES)}.")
    return LOSSES[loss]


def _metric(name: str, classes: int | None) -> Metric:
    found = metric(name)
    if (found.needs == "values") != (classes is None):
        raise ParameterError(f"{name} can't score {'values' if classes is None else 'classes'}")
    return found


def _device(name: str) -> torch.device:
    try:
        device = torch.device(name)
    except RuntimeError as error:
        raise ParameterError(f"device = {name!r} is no device of torch: {error}") from None
    if device.type == "cuda" and not torch.cuda.is_available():
        raise ParameterError(f"device = {name!r}: torch finds no CUDA device here", hint='Take device = "cpu".')
    return device
