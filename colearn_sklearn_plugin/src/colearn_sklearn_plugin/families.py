"""Families of estimators: what of their fitted state must travel, how they train on, how they combine.

``coef_`` alone isn't enough: an SGD estimator's learning-rate schedule hangs on ``t_``, an averaging
one keeps two sets of coefficients, and naive Bayes can't go on without its counts.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
from numpy.random import RandomState
from numpy.typing import NDArray
from sklearn.base import is_classifier
from sklearn.naive_bayes import BernoulliNB, ComplementNB, GaussianNB, MultinomialNB
from sklearn.neural_network import MLPClassifier, MLPRegressor

from colearn_core.learner import Proposal
from colearn_core.weights import Weights, mean

Array = NDArray[Any]
State = dict[str, Array]


def family_of(estimator: Any, state: Sequence[str] | None = None) -> Family:
    """The family of a primed estimator; ``state`` names its attributes when no family knows them."""
    if state is not None:
        return Family(state)
    if isinstance(estimator, MLPClassifier | MLPRegressor):
        return NeuralNetwork()
    if isinstance(estimator, GaussianNB):
        return GaussianNaiveBayes()
    if isinstance(estimator, MultinomialNB | BernoulliNB | ComplementNB):
        return CountingNaiveBayes()
    if hasattr(estimator, "coef_") and hasattr(estimator, "t_"):
        return Linear(estimator)
    return Family(_fitted_attributes(estimator))


def prime(estimator: Any, features: int, classes: int, random_state: RandomState) -> None:
    """Fit an estimator once, on blank samples, so that all its fitted attributes are there."""
    seed(estimator, random_state)
    with _standing_still(estimator):
        if is_classifier(estimator):
            everything = np.arange(classes)
            estimator.partial_fit(np.zeros((classes, features)), everything, classes=everything)
        else:
            estimator.partial_fit(np.zeros((1, features)), np.zeros(1))


def seed(estimator: Any, random_state: RandomState) -> None:
    """Have an estimator draw from this source, if it draws at all."""
    if "random_state" in estimator.get_params():
        estimator.random_state = random_state


class Family:
    """State that is a set of attributes: arrays, lists of arrays, or numbers.

    All estimators passed in are primed. Arrays passed in are read-only; the estimator gets its own.
    """

    additive = False
    """Whether proposals add to the base what they counted."""

    def __init__(self, attributes: Sequence[str]) -> None:
        self.attributes = tuple(attributes)

    def read(self, estimator: Any) -> State:
        """The state that must travel."""
        state: State = {}
        for name in self.attributes:
            value = getattr(estimator, name)
            if isinstance(value, list):
                state |= {f"{name}.{i}": np.array(item) for i, item in enumerate(value)}
            else:
                state[name] = np.array(value, dtype=np.float64 if isinstance(value, int | float) else None)
        return state

    def write(self, estimator: Any, state: Mapping[str, Array]) -> None:
        """Put a state in place: the estimator then predicts as its owner would."""
        for name in self.attributes:
            old = getattr(estimator, name)
            if isinstance(old, list):
                setattr(estimator, name, [np.array(state[f"{name}.{i}"]) for i in range(len(old))])
            elif isinstance(old, np.ndarray):
                setattr(estimator, name, np.array(state[name]))
            else:
                setattr(estimator, name, type(old)(state[name].item()))

    def initial(self, estimator: Any) -> State:
        """The state of an estimator that has seen no sample, from one just primed."""
        return self.read(estimator)

    def train(self, estimator: Any, state: Mapping[str, Array], x: Array, y: Array, epochs: int) -> State:
        """The state after passing ``epochs`` times over the samples, beginning with ``state``."""
        self.write(estimator, state)
        for _ in range(epochs):
            self.resume(estimator)
            estimator.partial_fit(x, y)
        return self.read(estimator)

    def resume(self, estimator: Any) -> None:
        """Make ready for one more pass; most estimators are."""

    def combine(self, base: Weights, proposals: Sequence[Proposal]) -> Weights:
        """By default the mean, weighted by samples."""
        return mean([p.weights for p in proposals], [p.samples for p in proposals])


class Linear(Family):
    """Linear models by stochastic gradient: coefficients, and the counter of the learning-rate schedule."""

    def __init__(self, estimator: Any) -> None:
        averaged = ("_standard_coef", "_standard_intercept", "_average_coef", "_average_intercept")
        super().__init__(("coef_", "intercept_", "t_", *(averaged if estimator.average else ())))

    def initial(self, estimator: Any) -> State:
        return _zeros(self.read(estimator)) | {"t_": np.array(1.0)}

    def resume(self, estimator: Any) -> None:
        if estimator.average:
            # With many classes scikit-learn writes the plain intercepts through intercept_, which after an
            # averaged pass is the averaged array: those would be lost, and these overwritten.
            estimator.intercept_ = estimator._standard_intercept


class NeuralNetwork(Family):
    """Multi-layer perceptrons: the layers travel, the optimiser begins anew with every proposal."""

    def __init__(self) -> None:
        super().__init__(("coefs_", "intercepts_"))

    def train(self, estimator: Any, state: Mapping[str, Array], x: Array, y: Array, epochs: int) -> State:
        vars(estimator).pop("_optimizer", None)  # it holds references to the layers of the last training
        estimator.t_ = 0
        estimator.loss_curve_ = []
        estimator.best_loss_ = np.inf
        estimator._no_improvement_count = 0
        return super().train(estimator, state, x, y, epochs)


class CountingNaiveBayes(Family):
    """Multinomial, Bernoulli and complement naive Bayes: counts add up, the rest follows from them."""

    additive = True

    def __init__(self) -> None:
        super().__init__(("class_count_", "feature_count_"))

    def write(self, estimator: Any, state: Mapping[str, Array]) -> None:
        super().write(estimator, state)
        if isinstance(estimator, ComplementNB):
            estimator.feature_all_ = estimator.feature_count_.sum(axis=0)
        with np.errstate(divide="ignore", invalid="ignore"):  # a class that nobody has seen yet
            estimator._update_feature_log_prob(estimator._check_alpha())
            estimator._update_class_log_prior(class_prior=estimator.class_prior)
        if not estimator.class_count_.any() and estimator.fit_prior and estimator.class_prior is None:
            estimator.class_log_prior_ = np.log(_uniform(estimator))

    def initial(self, estimator: Any) -> State:
        return _zeros(self.read(estimator))

    def train(self, estimator: Any, state: Mapping[str, Array], x: Array, y: Array, epochs: int) -> State:
        return super().train(estimator, state, x, y, epochs=1)  # a second pass would count all samples again

    def combine(self, base: Weights, proposals: Sequence[Proposal]) -> Weights:
        """The base's counts, and what each proposal counted besides."""
        return Weights({n: base[n] + sum(p.weights[n] - base[n] for p in proposals) for n in base}, copy=False)


class GaussianNaiveBayes(CountingNaiveBayes):
    """Gaussian naive Bayes: counts, means and variances of each class.

    Variances travel without the smoothing that scikit-learn adds to them: it's ``var_smoothing`` times
    the largest variance of the *last batch*, so one outlier batch would change the model for all.
    Here it's ``var_smoothing`` itself, in squared units of the features.
    """

    def __init__(self) -> None:
        Family.__init__(self, ("class_count_", "theta_", "var_"))

    def write(self, estimator: Any, state: Mapping[str, Array]) -> None:
        Family.write(self, estimator, state)
        estimator.epsilon_ = float(estimator.var_smoothing)
        estimator.var_ += estimator.epsilon_
        counted = estimator.class_count_.sum()
        if estimator.priors is None:
            estimator.class_prior_ = estimator.class_count_ / counted if counted else _uniform(estimator)

    def train(self, estimator: Any, state: Mapping[str, Array], x: Array, y: Array, epochs: int) -> State:
        smoothing = estimator.var_smoothing
        estimator.var_smoothing = 0.0
        try:
            return super().train(estimator, state, x, y, epochs)
        finally:
            estimator.var_smoothing = smoothing

    def combine(self, base: Weights, proposals: Sequence[Proposal]) -> Weights:
        """Counts, sums and sums of squares of the base, and what each proposal saw besides.

        Sums are taken about a common centre: far from zero, squares would swallow the variances.
        """
        models = [base, *(p.weights for p in proposals)]
        weight = np.stack([m["class_count_"] for m in models])[:, :, None]
        theta = np.stack([m["theta_"] for m in models])
        centre = (weight * theta).sum(axis=0) / np.maximum(weight.sum(axis=0), 1)

        def sums(weights: Weights) -> tuple[Array, Array, Array]:
            count = weights["class_count_"]
            gap = weights["theta_"] - centre
            return count, count[:, None] * gap, count[:, None] * (weights["var_"] + np.square(gap))

        before, *after = (sums(m) for m in models)
        count, total, squares = (b + sum(a[i] - b for a in after) for i, b in enumerate(before))
        seen = np.where(count > 0, count, 1)[:, None]
        shift = total / seen
        var = np.maximum(squares / seen - np.square(shift), 0)
        return Weights({"class_count_": count, "theta_": centre + shift, "var_": var}, copy=False)


def _zeros(state: State) -> State:
    return {name: np.zeros_like(array) for name, array in state.items()}


def _uniform(estimator: Any) -> Array:
    """Nothing counted yet: every class is as likely."""
    classes = len(estimator.classes_)
    return np.full(classes, 1 / classes)


@contextmanager
def _standing_still(estimator: Any) -> Iterator[None]:
    """Let a neural network keep the layers it drew: steps this small change no bit of them."""
    rate = getattr(estimator, "learning_rate_init", None)
    if rate is not None:
        estimator.learning_rate_init = 1e-300
    try:
        yield
    finally:
        if rate is not None:
            estimator.learning_rate_init = rate
            vars(estimator).pop("_optimizer", None)


def _fitted_attributes(estimator: Any) -> list[str]:
    """All public fitted attributes that hold numbers, for estimators of no known family."""
    metadata = {"classes_", "n_features_in_", "n_iter_"}

    def numeric(value: Any) -> bool:
        if isinstance(value, list):
            return bool(value) and all(isinstance(item, np.ndarray) and numeric(item) for item in value)
        return isinstance(value, int | float) or (isinstance(value, np.ndarray) and value.dtype.kind in "biuf")

    return [
        name
        for name, value in vars(estimator).items()
        if name.endswith("_") and not name.startswith("_") and name not in metadata and numeric(value)
    ]
