"""The learner for any scikit-learn estimator that trains incrementally, and its fused cohort."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.base import is_classifier

from colearn_core.cohort import Cohort, LoopCohort
from colearn_core.data import PrivateData, Samples
from colearn_core.errors import ConfigError, DataError, ParameterError
from colearn_core.fused import FusedCohort
from colearn_core.in_hand import Pair, in_hand
from colearn_core.learner import Learner, Proposal
from colearn_core.metrics import Metric, Needs, metric
from colearn_core.scores import Part, Score, scored
from colearn_core.weights import Weights

from .workbench import workbench_for


class SklearnLearner(Learner):
    """A party that trains any estimator with ``partial_fit``.

    Args:
        estimator: an unfitted classifier or regressor; it's cloned, never changed.
        train: features, shape ``(n, features)``, and targets, shape ``(n,)``.
        vote: what it votes by; without it the learner abstains.
        test: what the current model is reported by.
        classes: all labels in the group, in any order; by default those in this learner's own data.
            The learners of an experiment must agree on them.
        epochs: passes over the training data for a proposal (naive Bayes: always one).
        samples_per_proposal: instead, train on this many samples for a proposal, drawn in random
            order without repetition until all are used, then again. All learners then go as far,
            and weigh as much, whatever they own: under label skew that's what lets a mean improve.
        vote_metric: ``log_loss`` for classifiers that give probabilities, else ``accuracy``; ``mse``.
        test_metric: ``accuracy`` for classifiers, ``mse`` for regressors.
        state: the fitted attributes that must travel, for estimators that this plugin doesn't know.

    Raises:
        DataError: the data can't be learned from.
        ParameterError: the estimator can't train incrementally, or can't be scored by that metric.
    """

    def __init__(
        self,
        estimator: Any,
        train: Pair,
        vote: Pair | None = None,
        test: Pair | None = None,
        *,
        classes: Sequence[Any] | None = None,
        epochs: int = 1,
        samples_per_proposal: int | None = None,
        vote_metric: str | None = None,
        test_metric: str | None = None,
        state: Sequence[str] | None = None,
    ) -> None:
        held = in_hand(train, vote, test, classes, classifier=is_classifier(estimator))
        self._set_up(estimator, held.data, epochs, samples_per_proposal, vote_metric, test_metric, state)
        self.labels = held.labels

    @classmethod
    def of(
        cls,
        estimator: Any,
        data: PrivateData,
        *,
        epochs: int = 1,
        samples_per_proposal: int | None = None,
        vote_metric: str | None = None,
        test_metric: str | None = None,
    ) -> SklearnLearner:
        """A learner for data that an experiment has divided: targets are class numbers already.

        Raises:
            DataError: features are missing, or hold codes of categories.
            ParameterError: the estimator can't learn such a task, or a setting is out of range.
        """
        if is_classifier(estimator) != bool(data.task.classes):
            raise ParameterError(f"{type(estimator).__name__} can't learn a {data.task.kind} task")
        _check_quantities(data)
        learner = cls.__new__(cls)
        learner._set_up(estimator, data, epochs, samples_per_proposal, vote_metric, test_metric, None)
        learner.labels = np.array(data.task.classes) if data.task.classes else None
        return learner

    def _set_up(
        self,
        estimator: Any,
        data: PrivateData,
        epochs: int,
        samples_per_proposal: int | None,
        vote_metric: str | None,
        test_metric: str | None,
        state: Sequence[str] | None,
    ) -> None:
        if not hasattr(estimator, "partial_fit"):
            raise ParameterError(f"{type(estimator).__name__} can't train incrementally: it has no partial_fit")
        if epochs < 1:
            raise ParameterError(f"epochs must be at least 1, not {epochs}")
        if samples_per_proposal is not None and samples_per_proposal < 1:
            raise ParameterError(f"samples_per_proposal must be at least 1, not {samples_per_proposal}")
        classes = len(data.task.classes)
        if classes == 1:
            raise DataError(
                f"there's only one class, {data.task.classes[0]!r}",
                hint="Pass all labels in the group: SklearnLearner(..., classes=[...]).",
            )
        self.data = data
        self.epochs = epochs
        self.samples_per_proposal = samples_per_proposal
        self.vote_metric = _metric_for(estimator, vote_metric, for_vote=True)
        self.test_metric = _metric_for(estimator, test_metric, for_vote=False)
        self.workbench = workbench_for(estimator, data.train.x.shape[1], classes, state)
        self.additive = self.workbench.family.additive

    labels: NDArray[Any] | None
    """The labels behind the class numbers; None for regression."""

    def initial_weights(self, rng: np.random.Generator) -> Weights:
        return self.workbench.initial(rng)

    def propose_weights(self, base: Weights, rng: np.random.Generator) -> Proposal:
        train, epochs = self.data.train, self.epochs
        if self.samples_per_proposal is not None:
            train, epochs = train.take(_drawn(len(train), self.samples_per_proposal, rng)), 1
        return Proposal(self.workbench.train(base, train.x, train.y, epochs, rng), len(train))

    def test_weights(self, weights: Weights, part: Part) -> Score:
        return self._scored(weights, part, each=False)

    def test_samples(self, weights: Weights, part: Part = "vote") -> Score:
        return self._scored(weights, part, each=True)

    def _scored(self, weights: Weights, part: Part, each: bool) -> Score:
        samples = self.data.vote if part == "vote" else self.data.test
        if not len(samples):
            return Score(float("nan"), 0)
        measure = self.vote_metric if part == "vote" else self.test_metric
        predictions = self.workbench.predict(weights, samples.x, measure.needs)
        return scored(measure, samples.y, predictions, each)

    def combine(self, base: Weights, proposals: Sequence[Proposal]) -> Weights:
        return self.workbench.combine(base, proposals)

    def fitted_estimator(self, weights: Weights) -> Any:
        """A fitted scikit-learn estimator with these weights, with the original labels."""
        estimator = self.workbench.fitted(weights)
        if self.labels is not None:
            estimator.classes_ = self.labels
            if hasattr(estimator, "_label_binarizer"):
                estimator._label_binarizer.fit(self.labels)
        return estimator

    @classmethod
    def cohort(cls, learners: Sequence[Learner], names: Sequence[str] | None = None) -> Cohort:
        own = [learner for learner in learners if isinstance(learner, SklearnLearner)]
        for i, learner in enumerate(own):
            if learner.data.task.classes != own[0].data.task.classes:
                raise ConfigError(
                    f"learner {i} has the classes {learner.data.task.classes}, learner 0 {own[0].data.task.classes}",
                    hint="Pass all labels in the group to each: SklearnLearner(..., classes=[...]).",
                )
        if len({id(learner.workbench) for learner in own}) != 1 or len(own) != len(learners):
            return LoopCohort(learners, names)
        return SklearnCohort(own, names)


class SklearnCohort(FusedCohort):
    """Learners of one kind of estimator: candidates are put into it once, and all learners' samples
    go through in one pass."""

    def __init__(self, learners: Sequence[SklearnLearner], names: Sequence[str] | None = None) -> None:
        held: dict[Part, list[Samples]] = {
            "vote": [learner.data.vote for learner in learners],
            "test": [learner.data.test for learner in learners],
        }
        super().__init__(learners, names, {part: [s.y for s in held[part]] for part in held})
        self._workbench = learners[0].workbench
        self._features = {part: np.concatenate([s.x for s in held[part]]) for part in held}

    def predictions(self, weights: Weights, part: Part, needs: Needs) -> NDArray[Any]:
        return self._workbench.predict(weights, self._features[part], needs)


def _check_quantities(data: PrivateData) -> None:
    """Refuse features that only trees can take."""
    data.task.check_quantities()
    missing = sum(int(np.isnan(part.x).sum()) for part in (data.train, data.vote, data.test))
    if missing:
        raise DataError(
            f"features are missing ({missing} values are NaN), which this learner can't take",
            hint="Leave the data's `missing` at fill, or take a learner that grows trees.",
        )


def _drawn(samples: int, count: int, rng: np.random.Generator) -> NDArray[np.int64]:
    """``count`` indices below ``samples``: random orders of all of them, one after the other."""
    orders = [rng.permutation(samples) for _ in range(-(-count // samples))]
    return np.concatenate(orders)[:count]


def _metric_for(estimator: Any, name: str | None, *, for_vote: bool) -> Metric:
    title = type(estimator).__name__
    probabilities = hasattr(estimator, "predict_proba")
    if name is None:
        of_classifier = "log_loss" if for_vote and probabilities else "accuracy"
        name = of_classifier if is_classifier(estimator) else "mse"
    found = metric(name)
    if (found.needs == "values") == is_classifier(estimator):
        raise ParameterError(f"{title} can't be scored by {name}")
    if found.needs == "probabilities" and not probabilities:
        raise ParameterError(f"{title} gives no probabilities to score by {name}", hint="Take accuracy or f1.")
    return found
