"""The learner for any compiled Keras model, and its fused cohort."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from colearn_core.cohort import Cohort, LoopCohort
from colearn_core.data import PrivateData, Samples, batches
from colearn_core.errors import DataError, ParameterError, WeightsError
from colearn_core.fused import FusedCohort
from colearn_core.learner import Learner, Proposal
from colearn_core.metrics import Metric, Needs, metric
from colearn_core.privacy import STATE_NAMES, Privacy
from colearn_core.scores import Part, Score
from colearn_core.weights import Weights

from . import export
from .arrays import arrays_of
from .backend import keras
from .workbench import MakeModel, Workbench, steps_over, workbench_for

if TYPE_CHECKING:
    from .private import Private


class KerasLearner(Learner):
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
        self.vote_metric = _metric(vote_metric or ("mse" if classes is None else "log_loss"), classes)
        self.test_metric = _metric(test_metric or ("mse" if classes is None else "accuracy"), classes)
        self.class_weight = class_weight
        self.keep_optimizer = keep_optimizer
        self.train = arrays_of("train", train, classes)
        if not len(self.train):
            raise DataError("a learner needs at least one sample to train on")
        self.vote, self.test = self._held("vote", vote), self._held("test", test)
        self.workbench: Workbench = workbench_for(model)
        self.workbench.check_samples(self.train.x, classes)
        self._targets = self.workbench.outputs.targets(self.train.y)
        self._moments: dict[str, NDArray[Any]] = {}
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

    def initial_weights(self, rng: np.random.Generator) -> Weights:
        return self.workbench.initial(rng)

    def propose_weights(self, base: Weights, rng: np.random.Generator) -> Proposal:
        moments = self._moments if self.keep_optimizer else {}
        if self.private is None:
            drawn = batches(len(self.train), self.batch_size, self.steps_per_round, rng)
            steps = steps_over(((self.train.x[rows], self._targets[rows]) for rows in drawn), self.class_weight)
        else:
            noise = self.private.pay_for_proposal(base, Weights(moments), rng)
            steps = self.private.steps(self.train.x, self._targets, noise)
        return Proposal(self.workbench.train(base, steps, moments, rng), len(self.train))

    def test_weights(self, weights: Weights, part: Part) -> Score:
        samples = self.vote if part == "vote" else self.test
        if not len(samples):
            return Score(float("nan"), 0)
        measure = self.vote_metric if part == "vote" else self.test_metric
        predictions = self.workbench.predict(weights, samples.x, measure.needs)
        if self.private is not None and self.private.scores_are_noisy:
            return Score(self.private.score(measure, samples.y, predictions, weights, part), len(samples))
        score = measure.score(samples.y, predictions, np.array([len(samples)]))
        return Score(float(score[0]), len(samples))

    def state(self) -> Weights:
        return Weights({**self._moments, **(self.budget.state() if self.budget is not None else {})})

    def restore(self, state: Weights) -> None:
        spent = {name: array for name, array in state.items() if name in STATE_NAMES}
        moments = {name: array for name, array in state.items() if name not in spent}
        if (moments and not self.keep_optimizer) or (spent and self.budget is None):
            raise WeightsError(f"this {type(self).__name__} keeps no state such as {next(iter(state))!r}")
        self.workbench.check_moments(moments)
        if self.budget is not None:
            self.budget.restore(spent)
        self._moments = moments

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


class KerasCohort(FusedCohort):
    """Learners of one architecture: candidates are put into the resident model once, and all learners' samples go
    through it in chunks of one shape."""

    def __init__(self, learners: Sequence[KerasLearner], names: Sequence[str] | None = None) -> None:
        held: dict[Part, list[Samples]] = {"vote": [x.vote for x in learners], "test": [x.test for x in learners]}
        private = {i: x.private for i, x in enumerate(learners) if x.private is not None}
        super().__init__(learners, names, {part: [s.y for s in held[part]] for part in held}, private)
        self._workbench = learners[0].workbench
        self._laid_out = {part: self._workbench.lay_out([s.x for s in held[part]]) for part in held}

    def predictions(self, weights: Weights, part: Part, needs: Needs) -> NDArray[Any]:
        x, rows = self._laid_out[part]
        return self._workbench.predict(weights, x, needs, rows)


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


def _metric(name: str, classes: int | None) -> Metric:
    found = metric(name)
    if (found.needs == "values") != (classes is None):
        raise ParameterError(f"{name} can't score {'values' if classes is None else 'classes'}")
    return found
