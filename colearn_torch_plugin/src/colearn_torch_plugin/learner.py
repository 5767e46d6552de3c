"""The learner for any torch module, and its fused cohort."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, get_args

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from colearn_core.cohort import Cohort, LoopCohort
from colearn_core.data import PrivateData, batches
from colearn_core.errors import DataError, ParameterError
from colearn_core.learner import Learner, Proposal
from colearn_core.metrics import metric_for
from colearn_core.privacy import Privacy
from colearn_core.resident import ResidentCohort, ResidentLearner
from colearn_core.scores import Part
from colearn_core.weights import Weights, mean

from . import export
from .tensors import MEMORY_LIMIT, Tensors, tensors_of
from .workbench import Loss, MakeOptimizer, Precision, Workbench, steps_over, workbench_for

if TYPE_CHECKING:
    from .private import Private

LOSSES: dict[str, Loss] = {
    "cross_entropy": functional.cross_entropy,
    "mse": lambda found, y: functional.mse_loss(found.reshape(y.shape), y),
    "huber": lambda found, y: functional.huber_loss(found.reshape(y.shape), y),
}
"""Losses by name; the first is for class numbers, the others for values."""


class TorchLearner(ResidentLearner):
    """A party that trains any ``torch.nn.Module``.

    Args:
        model: a module, which is copied and never changed, or what makes one. The learners of an
            experiment share one resident copy if they're given the same module or factory, or equal partials.
        optimizer: makes an optimiser for a list of parameters: ``partial(torch.optim.Adam, lr=1e-3)``.
        loss: a name of :data:`LOSSES`, or a callable from outputs and targets to a scalar tensor.
        train: a pair of arrays or tensors (features, targets), a torch ``Dataset``, or a ``DataLoader``;
            it's read once, or streamed where it takes more than ``memory_limit``. Class numbers count from 0;
            without ``classes`` targets are values.
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
        precision: ``bfloat16`` to train with forward passes and losses in mixed precision (``torch.autocast``).
            Weights, the optimiser and all scoring stay in float32, so that votes are comparable.
        memory_limit: bytes of features, as float32, up to which each part of the data is held in memory. Larger
            parts are streamed: read anew for each step and each scoring, with the same results.
        privacy: train with differential privacy, within this budget; needs Opacus. Batches then hold
            ``batch_size`` samples on average, drawn anew for each step; the loss must be a mean over samples.
            Votes and scores are exact, and reveal something of the data they come from, unless they get noise
            as well: see docs/privacy.md.
        key: a secret from which a private learner draws its noise, for this learner and these settings alone.
            By default a fresh one: nobody can compute the noise, and no run can be repeated.

    Raises:
        DataError: the data can't be learned from.
        ParameterError: the module, a metric, the device or the privacy won't do.
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
        precision: Precision = "float32",
        memory_limit: int = MEMORY_LIMIT,
        privacy: Privacy | None = None,
        key: bytes = b"",
    ) -> None:
        for name, value in (("steps_per_round", steps_per_round), ("batch_size", batch_size)):
            if value < 1:
                raise ParameterError(f"{name} must be at least 1, not {value}")
        if memory_limit < 0:
            raise ParameterError(f"memory_limit must be a number of bytes, not {memory_limit}")
        self.optimizer = optimizer
        self.loss = _loss(loss)
        self.steps_per_round = steps_per_round
        self.batch_size = batch_size
        self.classes = classes
        self.vote_metric = metric_for(vote_metric, classes, "log_loss")
        self.test_metric = metric_for(test_metric, classes, "accuracy")
        self.keep_optimizer = keep_optimizer
        self.precision = _precision(precision)
        self.memory_limit = memory_limit
        target = _device(device)
        self.train = tensors_of("train", train, classes, memory_limit).to(target)
        if not len(self.train):
            raise DataError("a learner needs at least one sample to train on")
        self.vote, self.test = (self._held("vote", vote, target), self._held("test", test, target))
        self.workbench: Workbench = workbench_for(model, target)
        self.workbench.check_samples(self.train.x, classes or 1)
        self.moments: dict[str, NDArray[Any]] = {}
        self.private: Private | None = None
        if privacy is not None:
            if precision != "float32":
                raise ParameterError(
                    f"precision = {precision!r} can't be private: rounded norms of gradients are no bound",
                    hint='Take precision = "float32".',
                )
            self.private = _private()(
                privacy,
                self.workbench.module,
                samples=len(self.train),
                batch_size=batch_size,
                steps=steps_per_round,
                key=key,
                metrics=(self.vote_metric, self.test_metric),
            )
            self.budget = self.private.budget

    @classmethod
    def of(
        cls, data: PrivateData, model: Callable[[], nn.Module], optimizer: MakeOptimizer, **more: Any
    ) -> TorchLearner:
        """A learner for data that an experiment has divided."""
        classes = len(data.task.classes) or None
        loss = more.pop("loss", None) or ("mse" if classes is None else "cross_entropy")
        return cls(model, optimizer, loss, data.train, data.vote, data.test, classes=classes, key=data.key, **more)

    def propose_weights(self, base: Weights, rng: np.random.Generator) -> Proposal:
        moments = self.moments if self.keep_optimizer else {}
        if self.private is None:
            steps = steps_over(self._batches(rng), self.loss, self.precision)
        else:
            noise = self.private.pay_for_proposal(base, Weights(moments), rng)
            steps = self.private.steps(self.train, self.loss, noise)
        return Proposal(self.workbench.train(base, steps, self.optimizer, moments, rng), len(self.train))

    def held(self, part: Part) -> tuple[Any, NDArray[Any]]:
        samples = self.vote if part == "vote" else self.test
        return samples.x, samples.targets

    def combine(self, base: Weights, proposals: Sequence[Proposal]) -> Weights:
        """The mean, weighted by samples; of counters, which have no mean, the largest."""
        counters = {name: array for name, array in base.items() if array.dtype.kind not in "f"}
        if not counters:
            return super().combine(base, proposals)
        floats = [Weights({n: a for n, a in p.weights.items() if n not in counters}) for p in proposals]
        largest = {name: np.max([p.weights[name] for p in proposals], axis=0) for name in counters}
        return Weights({**mean(floats, [p.samples for p in proposals]), **largest})

    def module_with(self, weights: Weights) -> nn.Module:
        """A copy of the module with these weights, ready to predict; its ``state_dict()`` is torch's own."""
        return self.workbench.module_with(weights)

    export_formats = ("onnx", "state_dict", "safetensors")

    def export_model(self, weights: Weights, format: str) -> bytes:
        """The module with these weights as a file.

        Args:
            format: ``onnx``, which needs the extra of that name and gives what the module does (for classes
                logits); ``state_dict``, torch's own, as safetensors; or ``safetensors``, what travels in colearn.

        Raises:
            UsageError: the format is unknown, or needs a package that isn't installed.
            WeightsError: the weights aren't of this module, or not finite.
            ColearnError: the module can't be exported; the message names it and the cause.
        """
        if format == "onnx":
            return export.as_onnx(self.module_with(weights), self.train.x[: export.TRACED + 1])
        if format == "state_dict":
            return export.as_state_dict(self.module_with(weights), weights)
        return super().export_model(weights, format)

    @classmethod
    def cohort(cls, learners: Sequence[Learner], names: Sequence[str] | None = None) -> Cohort:
        own = [learner for learner in learners if isinstance(learner, TorchLearner)]
        alike = len({id(learner.workbench) for learner in own}) == 1 and len(own) == len(learners)
        held = not any(samples.streamed for learner in own for samples in (learner.vote, learner.test))
        return TorchCohort(own, names) if alike and held else LoopCohort(learners, names)

    def _held(self, part: str, data: Any, device: torch.device) -> Tensors:
        if data is None:
            return Tensors(self.train.x[:0], self.train.y[:0])
        found = tensors_of(part, data, self.classes, self.memory_limit).to(device)
        if found.x.shape[1:] != self.train.x.shape[1:]:
            raise DataError(
                f"{part} samples have the shape {tuple(found.x.shape[1:])}, "
                f"training samples {tuple(self.train.x.shape[1:])}"
            )
        return found

    def _batches(self, rng: np.random.Generator) -> Iterator[tuple[Tensor, Tensor]]:
        for indices in batches(len(self.train), self.batch_size, self.steps_per_round, rng):
            rows = torch.from_numpy(indices).to(self.train.x.device)
            yield self.train.x[rows], self.train.y[rows]


class TorchCohort(ResidentCohort):
    """Torch learners of one architecture, scored in one pass."""


def _loss(loss: str | Loss) -> Loss:
    if not isinstance(loss, str):
        return loss
    if loss not in LOSSES:
        raise ParameterError(f"unknown loss {loss!r}", hint=f"Known losses: {', '.join(LOSSES)}.")
    return LOSSES[loss]


def _private() -> type[Private]:
    try:
        from .private import Private  # here, as Opacus takes seconds to import and is an extra
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] != "opacus":
            raise
        raise ParameterError(
            "privacy needs Opacus, which isn't installed", hint='pip install "colearn-torch-plugin[privacy]"'
        ) from None
    return Private


def _precision(name: Precision) -> Precision:
    if name not in get_args(Precision):
        raise ParameterError(f"unknown precision {name!r}", hint=f"Known: {', '.join(get_args(Precision))}.")
    return name


def _device(name: str) -> torch.device:
    try:
        device = torch.device(name)
    except RuntimeError as error:
        raise ParameterError(f"device = {name!r} is no device of torch: {error}") from None
    if device.type == "cuda" and not torch.cuda.is_available():
        raise ParameterError(f"device = {name!r}: torch finds no CUDA device here", hint='Take device = "cpu".')
    return device
