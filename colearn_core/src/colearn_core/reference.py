"""The reference learner and data set: all of a learner's contract in plain numpy.

They need no ML library, so plugins can be tried on them, and they show what a correct component looks
like. For real work take the learners of a plugin.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

import numpy as np
from annotated_types import Ge, Gt
from numpy.typing import NDArray

from .data import Dataset, PrivateData, Samples, Task
from .errors import ParameterError
from .learner import Learner, Proposal
from .metrics import metric
from .scores import Part, Score, scored
from .weights import Weights

Array = NDArray[Any]


def blobs(
    samples: Annotated[int, Ge(2), "Number of samples"] = 600,
    features: Annotated[int, Ge(1), "Number of features"] = 6,
    classes: Annotated[int, Ge(2), "Number of classes, at most as many as samples"] = 3,
    spread: Annotated[float, Gt(0), "Standard deviation within a class; class centres have one of 1"] = 0.5,
    seed: Annotated[int, Ge(0), "From which the samples are drawn, apart from the experiment's seed"] = 0,
) -> Dataset:
    """Synthetic clusters: each class is a normal distribution around a centre of its own."""
    if classes > samples:
        raise ParameterError(f"{samples} samples can't have {classes} classes")
    rng = np.random.default_rng(seed)
    centres = rng.normal(size=(classes, features))
    y = rng.permutation(np.arange(samples) % classes)
    x = centres[y] + spread * rng.normal(size=(samples, features))
    return Dataset("blobs", Samples(x, y), Task(tuple(f"class {c}" for c in range(classes))))


class SoftmaxRegression(Learner):
    """Multinomial logistic regression by stochastic gradient descent: the reference learner."""

    def __init__(
        self,
        data: PrivateData,
        learning_rate: Annotated[float, Gt(0), "Step size"] = 0.1,
        steps: Annotated[int, Ge(1), "Steps for a proposal"] = 20,
        batch_size: Annotated[int, Ge(1), "Samples per step, drawn with replacement"] = 8,
    ) -> None:
        if not data.task.classes:
            raise ParameterError("softmax regression can't learn a regression task")
        data.task.check_quantities()
        self.data = data
        self.learning_rate = learning_rate
        self.steps = steps
        self.batch_size = batch_size
        self.vote_metric = metric("log_loss")
        self.test_metric = metric("accuracy")
        shape = (data.train.x.shape[1], len(data.task.classes))
        self._initial = Weights({"coef": np.zeros(shape), "intercept": np.zeros(shape[1])})

    def initial_weights(self, rng: np.random.Generator) -> Weights:
        return self._initial

    def propose_weights(self, base: Weights, rng: np.random.Generator) -> Proposal:
        base.check_like(self._initial)
        train = self.data.train
        trained = {name: array.copy() for name, array in base.items()}
        for _ in range(self.steps):
            batch = train.take(rng.integers(len(train), size=self.batch_size))
            error = _probabilities(trained, batch.x)
            error[np.arange(len(batch)), batch.y] -= 1
            trained["coef"] -= self.learning_rate * batch.x.T @ error / len(batch)
            trained["intercept"] -= self.learning_rate * error.mean(axis=0)
        return Proposal(Weights(trained, copy=False), len(train))

    def test_weights(self, weights: Weights, part: Part) -> Score:
        return self._scored(weights, part, each=False)

    def test_samples(self, weights: Weights, part: Part = "vote") -> Score:
        return self._scored(weights, part, each=True)

    def _scored(self, weights: Weights, part: Part, each: bool) -> Score:
        weights.check_like(self._initial)
        weights.check_finite()
        samples = self.data.vote if part == "vote" else self.data.test
        measure = self.vote_metric if part == "vote" else self.test_metric
        if not len(samples):
            return Score(float("nan"), 0)
        predictions = _probabilities(weights, samples.x)
        if measure.needs == "labels":
            predictions = predictions.argmax(axis=1)
        return scored(measure, samples.y, predictions, each)


def _probabilities(weights: Mapping[str, Array], x: Array) -> Array:
    logits = x @ weights["coef"] + weights["intercept"]
    logits -= logits.max(axis=1, keepdims=True)
    exponentials = np.exp(logits)
    probabilities: Array = exponentials / exponentials.sum(axis=1, keepdims=True)
    return probabilities
