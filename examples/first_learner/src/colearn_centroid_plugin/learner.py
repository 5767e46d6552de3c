"""The learner itself; imported when an experiment needs it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any

import numpy as np
from annotated_types import Ge
from numpy.typing import NDArray

from colearn_core import Abstention, Learner, PrivateData, Proposal, Score, Weights
from colearn_core.errors import ParameterError
from colearn_core.metrics import metric
from colearn_core.scores import Part


class NearestCentroid(Learner):
    """Classify by the nearest class centre. What travels are the sums of samples of each class, and their number."""

    vote_metric = metric("log_loss")
    test_metric = metric("accuracy")
    additive = True

    def __init__(
        self,
        data: PrivateData,
        batch_size: Annotated[int, Ge(1), "Samples counted for a proposal, drawn with replacement"] = 32,
        limit: Annotated[int, Ge(1), "Proposals to make at most: each tells something of the data"] = 1000,
    ) -> None:
        if not data.task.classes:
            raise ParameterError("class centres can't learn a regression task")
        self.data = data
        self.batch_size = batch_size
        self.limit = limit
        classes, features = len(data.task.classes), data.train.x.shape[1]
        self._empty = Weights({"counts": np.zeros(classes), "sums": np.zeros((classes, features))})
        self._made = 0

    def initial_weights(self, rng: np.random.Generator) -> Weights:
        return self._empty

    def propose_weights(self, base: Weights, rng: np.random.Generator) -> Proposal:
        base.check_like(self._empty)
        if self._made >= self.limit:
            raise Abstention(f"all {self.limit} proposals are made")
        self._made += 1
        batch = self.data.train.take(rng.integers(len(self.data.train), size=self.batch_size))
        counts, sums = base["counts"].copy(), base["sums"].copy()
        np.add.at(counts, batch.y, 1)
        np.add.at(sums, batch.y, batch.x)
        return Proposal(Weights({"counts": counts, "sums": sums}), len(batch))

    def test_weights(self, weights: Weights, part: Part) -> Score:
        weights.check_like(self._empty)
        weights.check_finite()
        samples = self.data.vote if part == "vote" else self.data.test
        measure = self.vote_metric if part == "vote" else self.test_metric
        predictions = _probabilities(weights, samples.x)
        if measure.needs == "labels":
            predictions = predictions.argmax(axis=1)
        value = measure.score(samples.y, predictions, np.array([len(samples)]))[0]
        return Score(float(value), len(samples))

    def combine(self, base: Weights, proposals: Sequence[Proposal]) -> Weights:
        return Weights({name: base[name] + sum(p.weights[name] - base[name] for p in proposals) for name in base})

    def state(self) -> Weights:
        return Weights({"made": np.array(self._made)})

    def restore(self, state: Weights) -> None:
        state.check_like(Weights({"made": np.array(0)}))
        self._made = int(state["made"])


def _probabilities(weights: Weights, x: NDArray[Any]) -> NDArray[Any]:
    """Of each class for each sample, if classes are equally frequent normal distributions of variance 1."""
    # A class that nobody has counted yet has its centre in the origin.
    centres = weights["sums"] / np.maximum(weights["counts"], 1)[:, None]
    distances = np.square(x[:, None, :] - centres).sum(axis=2)
    likelihoods = np.exp((distances.min(axis=1, keepdims=True) - distances) / 2)
    probabilities: NDArray[Any] = likelihoods / likelihoods.sum(axis=1, keepdims=True)
    return probabilities
