"""The learner for any compiled Keras model, and its fused cohort."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from colearn_core.cohort import Cohort, LoopCohort
from colearn_core.data import PrivateData, Samples, batches
from colearn_core.errors import DataError, ParameterError
from colearn_core.learner import Learner, Proposal
from colearn_core.metrics import metric_for
from colearn_core.privacy import Privacy
from colearn_core.resident import ResidentCohort, ResidentLearner
from colearn_core.scores import Part
from colearn_core.weights import Weights

from . import export
from .arrays import arrays_of
from .backend import keras
from .workbench import MakeModel, Workbench, steps_over, workbench_for

if TYPE_CHECKING:
    from .private import Private


class KerasLearner(ResidentLearner):
    """A party that trains any compiled ``keras.Model``.

    The compiled loss says what outputs mean: logits with ``from_logits=True``, else probabilities. Weights travel by
    name, moving statistics of BatchNormalization too.

    Args:
        model: a compiled model, which is copied and never changed, or what makes one. The learners of an
            experiment share one resident copy if they're given the same model or factory, or equal partials.
        train: a pair of arrays (features, targets), a ``tf.data.Dataset``, or a ``keras.utils.PyDataset``, which
            is read once. Class numbers count from 0; without ``classes`` targets are values.
        vote: what it votes by; without it the learner abstains.
        test: what the current model is reported by.
        classes: the number of classes in the group; None for a regression.
        steps_per_round: steps of the optimiser for a proposal.
        batch_size: samples for a step, drawn without repetition until all are used, then again.
        vote_metric: ``log_loss`` for classes, ``mse`` for values.
        test_metric: ``accuracy`` for classes, ``mse`` for values.
        class_weight: class number to the weight of its samples in the loss.
        keep_optimizer: go on with the optimiser's state from one proposal to the next; it's then part of
            :meth:`state`. By default each proposal begins with a fresh optimiser.
        privacy: train with differential privacy, within this budget; needs TensorFlow and dp-accounting. Batches
            then hold ``batch_size`` samples on average, drawn anew for each step. Votes and scores are exact,
            and reveal something of the data they come from, unless they get noise as well: see docs/privacy.md.
        key: a secret from which a private learner draws its noise, for this learner and these settings alone.
            By default a fresh one: nobody can compute the noise, and no run can be repeated.

    Raises:
        DataError: the data can't be learned from.
        ParameterError: the model, a metric or the privacy won't do.
    """

    export_formats = ("onnx", "keras", "safetensors")

    def __init__(
        self,
        model: keras.Model | MakeModel,
        train: Any,
        vote: Any = None,
        test: Any = None,
        *,
        classes: int | None = None,
        steps_per_round: int = 20,
        batch_size: int = 32,
        vote_metric: str | None = None,
        test_metric: str | None = None,
        class_weight: Mapping[int, float] | None = None,
        keep_optimizer: bool = False,
        privacy: Privacy | None = None,
        key: bytes = b"",
    ) -> None:
        for name, value in (("steps_per_round", steps_per_round), ("batch_size", batch_size)):
            if value < 1:
                raise ParameterError(f"{name} must be at least 1, not {value}")
        self.steps_per_round = steps_per_round
        self.batch_size = batch_size
        self.classes = classes
        self.vote_metric = metric_for(vote_metric, classes, "log_loss")
        self.test_metric = metric_for(test_metric, classes, "accuracy")
        self.class_weight = class_weight
        self.keep_optimizer = keep_optimizer
        self.train = arrays_of("train", train, classes)
        if not len(self.train):
            raise DataError("a learner needs at least one sample to train on")
        self.vote, self.test = self._held("vote", vote), self._held("test", test)
        self.workbench: Workbench = workbench_for(model)
        self.workbench.check_samples(self.train.x, classes)
        self._targets = self.workbench.outputs.targets(self.train.y)
        self.moments: dict[str, NDArray[Any]] = {}
        self.private: Private | None = None
        if privacy is not None:
            self.private = _private()(
                privacy,
                self.workbench.model,
                samples=len(self.train),
                batch_size=batch_size,
                steps=steps_per_round,
                key=key,
                metrics=(self.vote_metric, self.test_metric),
            )
            self.budget = self.private.budget

    @classmethod
    def of(cls, data: PrivateData, model: MakeModel, **more: Any) -> KerasLearner:
        """A learner for data that an experiment has divided."""
        classes = len(data.task.classes) or None
        return cls(model, data.train, data.vote, data.test, classes=classes, key=data.key, **more)

    def propose_weights(self, base: Weights, rng: np.random.Generator) -> Proposal:
        moments = self.moments if self.keep_optimizer else {}
        if self.private is None:
            drawn = batches(len(self.train), self.batch_size, self.steps_per_round, rng)
            steps = steps_over(((self.train.x[rows], self._targets[rows]) for rows in drawn), self.class_weight)
        else:
            noise = self.private.pay_for_proposal(base, Weights(moments), rng)
            steps = self.private.steps(self.train.x, self._targets, noise)
        return Proposal(self.workbench.train(base, steps, moments, rng), len(self.train))

    def held(self, part: Part) -> tuple[Any, NDArray[Any]]:
        samples = self.vote if part == "vote" else self.test
        return samples.x, samples.y

    def export_model(self, weights: Weights, format: str) -> bytes:
        """The model with these weights as a file.

        Args:
            format: ``onnx``, which needs the extra of that name and gives what the model does; ``keras``, Keras' own
                ``.keras`` file; or ``safetensors``, what travels in colearn.

        Raises:
            UsageError: the format is unknown, or needs a package that isn't installed.
            WeightsError: the weights aren't of this model, or not finite.
            ColearnError: the model can't be exported; the message names it and the cause.
        """
        if format == "onnx":
            with self.workbench.holding(weights) as model:
                return export.as_onnx(model)
        if format == "keras":
            with self.workbench.holding(weights) as model:
                return export.as_keras(model)
        return super().export_model(weights, format)

    @classmethod
    def cohort(cls, learners: Sequence[Learner], names: Sequence[str] | None = None) -> Cohort:
        own = [learner for learner in learners if isinstance(learner, KerasLearner)]
        alike = len({id(learner.workbench) for learner in own}) == 1 and len(own) == len(learners)
        return KerasCohort(own, names) if alike else LoopCohort(learners, names)

    def _held(self, part: str, data: Any) -> Samples:
        if data is None:
            return self.train.take(np.arange(0))
        found = arrays_of(part, data, self.classes)
        if found.x.shape[1:] != self.train.x.shape[1:]:
            raise DataError(
                f"{part} samples have the shape {found.x.shape[1:]}, training samples {self.train.x.shape[1:]}"
            )
        return found


class KerasCohort(ResidentCohort):
    """Keras learners of one architecture, scored in one pass."""


def _private() -> type[Private]:
    try:
        from .private import Private  # here, as dp-accounting is an extra, and training needs TensorFlow
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] not in ("dp_accounting", "tensorflow"):
            raise
        raise ParameterError(
            f"privacy needs {error.name}, which isn't installed",
            hint='pip install "colearn-keras-plugin[privacy,tensorflow]"',
        ) from None
    return Private
