"""Baselines: was it worth it? The collective model beside what the same training gives otherwise."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .cohort import Cohort
from .config import Prepared
from .data import PrivateData
from .learner import Proposal
from .rounds import assess
from .scores import weighted_mean
from .streams import Streams
from .weights import Weights


@dataclass(frozen=True)
class Baseline:
    """A way to train without a vote, and how its model scores on the learners' test data.

    Attributes:
        name: what was done.
        trainings: local trainings that went into the model (into each one, of learners alone).
        test: mean test score, weighted by samples, of the learners that play no adversary; NaN without test data.
        lowest, highest: the scores of single learners among them, of those with test data.
    """

    name: str
    trainings: int
    test: float
    lowest: float
    highest: float

    @staticmethod
    def of(name: str, trainings: int, scores: NDArray[Any], samples: NDArray[Any]) -> Baseline:
        """From each learner's test score and number of test samples."""
        known = scores[np.isfinite(scores)]
        low, high = (float(known.min()), float(known.max())) if len(known) else (float("nan"), float("nan"))
        return Baseline(name, trainings, weighted_mean(scores, samples), low, high)


def baselines(
    prepared: Prepared, trainings: int, on_training: Callable[[], object] = lambda: None
) -> Iterator[Baseline]:
    """Train without a vote, at equal numbers of local trainings.

    If the collective took 300 trainings by 10 learners, then cyclic training, federated averaging and
    one learner with all data get 300 too, and each learner alone the 30 that are its share.

    Adversaries take part in cyclic training and federated averaging as in the collective, which shows what the vote
    keeps out. Alone and with pooled data everyone is honest: that's what is to be had without an attack.

    Args:
        trainings: how many local trainings the collective model took.
        on_training: called after each training, for a progress bar.
    """
    setting = _Setting(prepared, trainings, on_training)
    for method in (_alone, _cyclic, _federated_averaging, _pooled):
        yield method(setting)


def total_trainings(learners: int, trainings: int) -> int:
    """How many trainings :func:`baselines` will do."""
    each = _share(learners, trainings)
    return 2 * each * learners + 2 * trainings


class _Setting:
    """What the baselines share: the learners, their initial weights, and streams of their own."""

    def __init__(self, prepared: Prepared, trainings: int, on_training: Callable[[], object]) -> None:
        experiment = prepared.experiment()
        self.cohort: Cohort = experiment.cohort
        everyone_honest = replace(prepared, adversaries={})
        self.honest_cohort: Cohort = everyone_honest.experiment().cohort if prepared.adversaries else self.cohort
        self.counted = np.array([i not in prepared.adversaries for i in range(len(self.cohort))])
        self.initial: Weights = experiment.weights
        self.prepared = prepared
        self.trainings = trainings
        self.each = _share(len(self.cohort), trainings)
        self.streams = Streams(prepared.config.seed)
        self.on_training = on_training

    def train(self, learners: list[int], base: Weights, step: int, cohort: Cohort | None = None) -> list[Proposal]:
        """Proposals of these learners from ``base``; those that can't train are left out."""
        found = (cohort or self.cohort).propose(learners, base, step, self.streams)
        for _ in learners:
            self.on_training()
        return list(found.proposals.values())

    def scored(self, name: str, trainings: int, weights: Weights) -> Baseline:
        test = assess(self.cohort, weights).test
        return Baseline.of(name, trainings, test.values[self.counted, 0], test.samples[self.counted])


def _alone(setting: _Setting) -> Baseline:
    cohort, scores = setting.honest_cohort, []
    for i in range(len(cohort)):
        weights = setting.initial
        for step in range(1, setting.each + 1):
            for proposal in setting.train([i], weights, step, cohort):
                weights = proposal.weights
        test = assess(cohort, weights).test
        scores.append(test.values[i, 0])
    counted = setting.counted
    return Baseline.of("each learner alone", setting.each, np.array(scores)[counted], test.samples[counted])


def _cyclic(setting: _Setting) -> Baseline:
    weights = setting.initial
    for step in range(setting.trainings):
        for proposal in setting.train([step % len(setting.cohort)], weights, step + 1):
            weights = proposal.weights
    return setting.scored("cyclic training, no vote", setting.trainings, weights)


def _federated_averaging(setting: _Setting) -> Baseline:
    weights = setting.initial
    for step in range(1, setting.each + 1):
        proposals = setting.train(list(range(len(setting.cohort))), weights, step)
        if proposals:
            weights = setting.cohort.combine(weights, proposals)
    return setting.scored("federated averaging, no vote", setting.each * len(setting.cohort), weights)


def _pooled(setting: _Setting) -> Baseline:
    """One learner that holds all data: the ceiling, if the data could be shared."""
    learner = setting.prepared.make_learner(PrivateData.pooled(setting.prepared.parts))
    weights = setting.initial
    for step in range(1, setting.trainings + 1):
        weights = learner.propose_weights(weights, setting.streams.generator("pooled", step)).weights
        setting.on_training()
    return setting.scored("pooled data", setting.trainings, weights)


def _share(learners: int, trainings: int) -> int:
    return max(1, round(trainings / learners))
