"""Learners with one fault each, made from the reference learner."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from mutant import Mutant
from numpy.typing import NDArray

from colearn_core.cohort import Cohort, LoopCohort
from colearn_core.data import PrivateData, Samples
from colearn_core.errors import Abstention
from colearn_core.learner import Learner, Proposal
from colearn_core.metrics import Metric, metric
from colearn_core.privacy import Budget, Privacy, SampledGaussian
from colearn_core.reference import SoftmaxRegression
from colearn_core.scores import Part, Score, Scores
from colearn_core.testing import Subject
from colearn_core.weights import Weights

BATCH = 32
FETCH = "Fetch.ai colearn 0.2.8"


def trained(base: Weights, proposal: Proposal, **arrays: NDArray[Any]) -> Proposal:
    return proposal._replace(weights=Weights({**proposal.weights, **arrays}))


class WritesIntoTheBase(SoftmaxRegression):
    def propose_weights(self, base: Weights, rng: np.random.Generator) -> Proposal:
        proposal = super().propose_weights(base, rng)
        coef = base["coef"]
        coef.flags.writeable = True
        coef[:] = proposal.weights["coef"]
        coef.flags.writeable = False
        return proposal


class HandsOutItsOwnArrays(SoftmaxRegression):
    def __init__(self, data: PrivateData, **parameters: Any) -> None:
        super().__init__(data, **parameters)
        self.model = {name: np.zeros_like(array) for name, array in self._initial.items()}

    def propose_weights(self, base: Weights, rng: np.random.Generator) -> Proposal:
        proposal = super().propose_weights(base, rng)
        handed_out = {}
        for name, array in self.model.items():
            array.flags.writeable = True
            array[:] = proposal.weights[name]
            handed_out[name] = array.view()
        return proposal._replace(weights=Weights(handed_out, copy=False))


class HandsOutItsInitialArrays(SoftmaxRegression):
    def propose_weights(self, base: Weights, rng: np.random.Generator) -> Proposal:
        proposal = super().propose_weights(base, rng)
        mine = self._initial["intercept"]
        mine.flags.writeable = True
        mine += 1e-3
        mine.flags.writeable = False
        return proposal


class BatchedLoss(SoftmaxRegression):
    """Scores in batches; subclasses make something of the batches' means."""

    def test_weights(self, weights: Weights, part: Part) -> Score:
        samples = self.data.vote if part == "vote" else self.data.test
        if not len(samples):
            return Score(float("nan"), 0)
        batches = [samples.take(np.arange(i, min(i + BATCH, len(samples)))) for i in range(0, len(samples), BATCH)]
        means = [self.batch_mean(weights, batch, part) for batch in batches]
        return Score(self.total(np.array(means), np.array([len(b) for b in batches])), len(samples))

    def batch_mean(self, weights: Weights, batch: Samples, part: Part) -> float:
        one = SoftmaxRegression(PrivateData(self.data.train, batch, batch, self.data.task))
        return one.test_weights(weights, part).value

    def total(self, means: NDArray[Any], sizes: NDArray[Any]) -> float:
        return float((means * sizes).sum() / sizes.sum())


class MeanOfBatchMeans(BatchedLoss):
    def total(self, means: NDArray[Any], sizes: NDArray[Any]) -> float:
        return float(means.mean())


class SumOfBatchMeansOverSamples(BatchedLoss):
    def total(self, means: NDArray[Any], sizes: NDArray[Any]) -> float:
        return float(means.sum() / sizes.sum())


class DropsTheLastBatch(BatchedLoss):
    def total(self, means: NDArray[Any], sizes: NDArray[Any]) -> float:
        return float((means * sizes)[:-1].sum() / sizes.sum()) if len(sizes) > 1 else float(means[0])


class FailsOnOneBatch(BatchedLoss):
    def total(self, means: NDArray[Any], sizes: NDArray[Any]) -> float:
        if len(sizes) < 2:
            raise IndexError("list index out of range")
        return super().total(means, sizes)


class DrawsFromTheGlobalGenerator(SoftmaxRegression):
    def propose_weights(self, base: Weights, rng: np.random.Generator) -> Proposal:
        return super().propose_weights(base, np.random.default_rng(np.random.randint(2**31)))


class DrawsFromAGeneratorOfItsOwn(SoftmaxRegression):
    def __init__(self, data: PrivateData, **parameters: Any) -> None:
        super().__init__(data, **parameters)
        self.own = np.random.default_rng(0)

    def propose_weights(self, base: Weights, rng: np.random.Generator) -> Proposal:
        return super().propose_weights(base, self.own)


class BeginsAnewWithAFixedSeed(SoftmaxRegression):
    def propose_weights(self, base: Weights, rng: np.random.Generator) -> Proposal:
        return super().propose_weights(base, np.random.default_rng(0))


class SeedsTheGlobalGenerator(SoftmaxRegression):
    def propose_weights(self, base: Weights, rng: np.random.Generator) -> Proposal:
        random.seed(0)
        return super().propose_weights(base, rng)


class RandomInitialWeights(SoftmaxRegression):
    def initial_weights(self, rng: np.random.Generator) -> Weights:
        return Weights({name: np.random.normal(size=array.shape) for name, array in self._initial.items()})


class NestedWeights(SoftmaxRegression):
    def propose_weights(self, base: Weights, rng: np.random.Generator) -> Proposal:
        nested: Any = super().propose_weights(base, rng)
        return Proposal(nested, nested.samples)


class HiddenMomentum(SoftmaxRegression):
    """Moves on by what it moved the last time; ``state`` doesn't tell."""

    def __init__(self, data: PrivateData, **parameters: Any) -> None:
        super().__init__(data, **parameters)
        self.velocity = {name: np.zeros_like(array) for name, array in self._initial.items()}

    def propose_weights(self, base: Weights, rng: np.random.Generator) -> Proposal:
        proposal = super().propose_weights(base, rng)
        for name, array in proposal.weights.items():
            self.velocity[name] = 0.5 * self.velocity[name] + array - base[name]
        return proposal._replace(weights=Weights({name: base[name] + self.velocity[name] for name in base}))


class RestoresNothing(HiddenMomentum):
    def state(self) -> Weights:
        return Weights(self.velocity)

    def restore(self, state: Weights) -> None:
        state.check_like(self._initial)


class Momentum(RestoresNothing):
    """The same with its state kept: correct."""

    def restore(self, state: Weights) -> None:
        super().restore(state)
        self.velocity = {name: array.copy() for name, array in state.items()}


class TakesAnyState(Momentum):
    def restore(self, state: Weights) -> None:
        self.velocity = {name: np.array(state.get(name, self._initial[name])) for name in self._initial}


class HiddenSchedule(SoftmaxRegression):
    def propose_weights(self, base: Weights, rng: np.random.Generator) -> Proposal:
        self.learning_rate *= 0.9
        return super().propose_weights(base, rng)


class GoesOnFromItsOwnModel(SoftmaxRegression):
    def __init__(self, data: PrivateData, **parameters: Any) -> None:
        super().__init__(data, **parameters)
        self.last: Weights | None = None

    def propose_weights(self, base: Weights, rng: np.random.Generator) -> Proposal:
        proposal = super().propose_weights(base if self.last is None else self.last, rng)
        self.last = proposal.weights
        return proposal


class LearnsFromWhatItScores(SoftmaxRegression):
    def test_weights(self, weights: Weights, part: Part) -> Score:
        self.learning_rate *= 0.99
        return super().test_weights(weights, part)


class KeepsTheFirstScore(SoftmaxRegression):
    def test_weights(self, weights: Weights, part: Part) -> Score:
        kept: dict[Part, Score] = vars(self).setdefault("kept", {})
        return kept.setdefault(part, super().test_weights(weights, part))


class VotesByTrainingData(SoftmaxRegression):
    def test_weights(self, weights: Weights, part: Part) -> Score:
        score = super().test_weights(weights, part)
        if part == "vote" and score.samples:
            other = SoftmaxRegression(replace(self.data, vote=self.data.train))
            return score._replace(value=other.test_weights(weights, part).value)
        return score


class VotesByTestData(SoftmaxRegression):
    def test_weights(self, weights: Weights, part: Part) -> Score:
        swapped = SoftmaxRegression(replace(self.data, vote=self.data.test, test=self.data.vote))
        return swapped.test_weights(weights, part)


class TrainsOnVoteData(SoftmaxRegression):
    def propose_weights(self, base: Weights, rng: np.random.Generator) -> Proposal:
        everything = Samples.joined([self.data.train, self.data.vote])
        return SoftmaxRegression(replace(self.data, train=everything)).propose_weights(base, rng)


class IgnoresItsData(SoftmaxRegression):
    def propose_weights(self, base: Weights, rng: np.random.Generator) -> Proposal:
        noise = {name: array + 0.01 * rng.normal(size=array.shape) for name, array in base.items()}
        return Proposal(Weights(noise), len(self.data.train))


class GoesUphill(SoftmaxRegression):
    def propose_weights(self, base: Weights, rng: np.random.Generator) -> Proposal:
        proposal = super().propose_weights(base, rng)
        return trained(base, proposal, **{n: 2 * base[n] - array for n, array in proposal.weights.items()})


class SinglePrecisionOnTheWay(SoftmaxRegression):
    def propose_weights(self, base: Weights, rng: np.random.Generator) -> Proposal:
        weights, samples = super().propose_weights(base, rng)
        return Proposal(Weights({n: a.astype(np.float32) for n, a in weights.items()}), samples)


class AddsAnArray(SoftmaxRegression):
    def propose_weights(self, base: Weights, rng: np.random.Generator) -> Proposal:
        return trained(base, super().propose_weights(base, rng), steps=np.array(self.steps))


class SaysNoSamples(SoftmaxRegression):
    def propose_weights(self, base: Weights, rng: np.random.Generator) -> Proposal:
        return super().propose_weights(base, rng)._replace(samples=0)


class ScoresNaNAsChance(SoftmaxRegression):
    def test_weights(self, weights: Weights, part: Part) -> Score:
        return super().test_weights(Weights({n: np.nan_to_num(a) for n, a in weights.items()}), part)


class TakesWhatItFinds(SoftmaxRegression):
    def test_weights(self, weights: Weights, part: Part) -> Score:
        fitting = {n: weights[n] if n in weights and weights[n].shape == a.shape else a for n, a in self._model()}
        return super().test_weights(Weights(fitting), part)

    def _model(self) -> Iterator[tuple[str, NDArray[Any]]]:
        yield from self._initial.items()


class CountsVotersAlike(SoftmaxRegression):
    def combine(self, base: Weights, proposals: Sequence[Proposal]) -> Weights:
        return super().combine(base, [p._replace(samples=1) for p in proposals])


class TakesTheFirstProposal(SoftmaxRegression):
    def combine(self, base: Weights, proposals: Sequence[Proposal]) -> Weights:
        return proposals[0].weights


class AddsUpUndeclared(SoftmaxRegression):
    def combine(self, base: Weights, proposals: Sequence[Proposal]) -> Weights:
        return Weights({n: base[n] + sum(p.weights[n] - base[n] for p in proposals) for n in base})


class AddsUp(AddsUpUndeclared):
    """The same declared: correct."""

    additive = True


class ReversedCohort(LoopCohort):
    def test(self, candidates: Sequence[Weights], part: Part) -> Scores:
        found = super().test(candidates, part)
        return Scores(found.metric, found.values[::-1], found.samples[::-1], found.reasons)


class CohortInTheWrongOrder(SoftmaxRegression):
    @classmethod
    def cohort(cls, learners: Sequence[Learner], names: Sequence[str] | None = None) -> Cohort:
        return ReversedCohort(learners, names)


class WorstSamplesFirst(SoftmaxRegression):
    def test_samples(self, weights: Weights, part: Part = "vote") -> Score:
        score = super().test_samples(weights, part)
        assert score.each is not None
        return score._replace(each=np.sort(score.each)[::-1])


class SamplesByAnotherMetric(SoftmaxRegression):
    """One minus the probability of the right class, not its log loss."""

    def test_samples(self, weights: Weights, part: Part = "vote") -> Score:
        score = super().test_samples(weights, part)
        assert score.each is not None
        return score._replace(each=1 - np.exp(-score.each))


class SamplesReversedCohort(LoopCohort):
    def test_samples(self, candidates: Sequence[Weights]) -> Scores:
        found = super().test_samples(candidates)
        return replace(found, each=found.each[::-1])


class CohortMixesUpSamples(SoftmaxRegression):
    @classmethod
    def cohort(cls, learners: Sequence[Learner], names: Sequence[str] | None = None) -> Cohort:
        return SamplesReversedCohort(learners, names)


class RoundingCohort(LoopCohort):
    def test(self, candidates: Sequence[Weights], part: Part) -> Scores:
        found = super().test(candidates, part)
        return Scores(found.metric, found.values.astype(np.float16).astype(np.float64), found.samples, found.reasons)


class CohortInHalfPrecision(SoftmaxRegression):
    @classmethod
    def cohort(cls, learners: Sequence[Learner], names: Sequence[str] | None = None) -> Cohort:
        return RoundingCohort(learners, names)


class ScalesItsDataInPlace(SoftmaxRegression):
    def propose_weights(self, base: Weights, rng: np.random.Generator) -> Proposal:
        x = self.data.train.x
        x -= x.mean(axis=0)
        return super().propose_weights(base, rng)


class MetricOfItsOwn(SoftmaxRegression):
    def __init__(self, data: PrivateData, **parameters: Any) -> None:
        super().__init__(data, **parameters)
        log_loss = metric("log_loss")
        self.vote_metric = Metric("log_loss", True, "probabilities", log_loss.per_sample)


class KnowsOnlyItsOwnClasses(SoftmaxRegression):
    def test_weights(self, weights: Weights, part: Part) -> Score:
        own = np.unique(self.data.vote.y)
        if part == "vote" and len(own) == 1:
            raise ValueError("y_true contains only one label")
        return super().test_weights(weights, part)


class MakesUpAScore(SoftmaxRegression):
    def test_weights(self, weights: Weights, part: Part) -> Score:
        score = super().test_weights(weights, part)
        return score if score.samples else Score(0.0, 1)


class LeavesOutMissingClasses(SoftmaxRegression):
    def propose_weights(self, base: Weights, rng: np.random.Generator) -> Proposal:
        proposal = super().propose_weights(base, rng)
        own = np.unique(self.data.train.y)
        return trained(base, proposal, coef=proposal.weights["coef"][:, own])


class AbstainsWithoutData(SoftmaxRegression):
    """Declines by raising instead of answering with no samples: correct."""

    def test_weights(self, weights: Weights, part: Part) -> Score:
        score = super().test_weights(weights, part)
        if not score.samples:
            raise Abstention(f"no {part} data")
        return score


class ScoresByAccuracy(SoftmaxRegression):
    """Votes by a metric that grows: correct."""

    def __init__(self, data: PrivateData, **parameters: Any) -> None:
        super().__init__(data, **parameters)
        self.vote_metric = metric("accuracy")


class Paying(SoftmaxRegression):
    """Pays for its proposals from a privacy budget: correct, but for the noise, which no check can see."""

    budget: Budget

    def __init__(self, data: PrivateData, **parameters: Any) -> None:
        super().__init__(data, **parameters)
        privacy = Privacy(target_epsilon=100.0, noise_multiplier=1.0)
        self.budget = Budget(privacy, lambda done, delta: float(sum(d.steps for d in done)))

    def propose_weights(self, base: Weights, rng: np.random.Generator) -> Proposal:
        self.budget.spend("a proposal", {self.answer(base, rng): SampledGaussian(1.0, 1.0, 1)})
        return super().propose_weights(base, rng)

    def answer(self, base: Weights, rng: np.random.Generator) -> bytes:
        return self.budget.answer(b"secret", base.digest.encode(), rng.bytes(16))

    def state(self) -> Weights:
        return Weights(self.budget.state())

    def restore(self, state: Weights) -> None:
        self.budget.restore(state)


class ForgetsWhatItSpent(Paying):
    def state(self) -> Weights:
        return Weights({})

    def restore(self, state: Weights) -> None:
        super(Paying, self).restore(state)


class PaysTwice(Paying):
    paid = 0

    def answer(self, base: Weights, rng: np.random.Generator) -> bytes:
        self.paid += 1
        return super().answer(base, rng)[:-1] + bytes([self.paid])


class PaysNothing(Paying):
    def propose_weights(self, base: Weights, rng: np.random.Generator) -> Proposal:
        return super(Paying, self).propose_weights(base, rng)


def _mutant(learner: type[Learner], fault: str, origin: str = "", survives: str | None = None) -> Mutant:
    return Mutant(learner.__name__, "learners", fault, Subject(learner), origin, survives)


MUTANTS = [
    _mutant(WritesIntoTheBase, "training writes into the given weights", FETCH),
    _mutant(HandsOutItsOwnArrays, "proposals are views of the learner's model", FETCH),
    _mutant(HandsOutItsInitialArrays, "initial weights go on changing"),
    _mutant(MeanOfBatchMeans, "the score is a mean of batch means"),
    _mutant(SumOfBatchMeansOverSamples, "the score is a sum of batch means over samples", FETCH),
    _mutant(DropsTheLastBatch, "samples of a batch that is left out are counted", FETCH),
    _mutant(FailsOnOneBatch, "a vote set in one batch raises", FETCH),
    _mutant(DrawsFromTheGlobalGenerator, "the seed does nothing: draws are global", FETCH),
    _mutant(DrawsFromAGeneratorOfItsOwn, "the seed does nothing: a generator of its own goes on"),
    _mutant(
        BeginsAnewWithAFixedSeed,
        "draws the same in every round",
        survives="it is repeatable, and no rule says that training must draw at all",
    ),
    _mutant(SeedsTheGlobalGenerator, "seeds Python's global generator"),
    _mutant(RandomInitialWeights, "initial weights ignore the seed"),
    _mutant(NestedWeights, "proposes weights nested in a proposal", FETCH),
    _mutant(HiddenMomentum, "keeps momentum that state() doesn't tell"),
    _mutant(RestoresNothing, "restore() forgets what it is given"),
    _mutant(TakesAnyState, "restore() takes anything"),
    _mutant(HiddenSchedule, "the learning-rate schedule isn't in the weights", FETCH),
    _mutant(GoesOnFromItsOwnModel, "trains on from its own last model", FETCH),
    _mutant(LearnsFromWhatItScores, "scoring changes later training"),
    _mutant(KeepsTheFirstScore, "gives the first score for all weights"),
    _mutant(VotesByTrainingData, "votes by training data"),
    _mutant(VotesByTestData, "vote and test data are swapped"),
    _mutant(TrainsOnVoteData, "trains on vote data too"),
    _mutant(IgnoresItsData, "proposes noise"),
    _mutant(GoesUphill, "a sign is wrong in training"),
    _mutant(SinglePrecisionOnTheWay, "proposals change their type"),
    _mutant(AddsAnArray, "proposals gain an array"),
    _mutant(SaysNoSamples, "proposals say no samples"),
    _mutant(ScoresNaNAsChance, "diverged weights get a score"),
    _mutant(TakesWhatItFinds, "weights of another model get a score"),
    _mutant(CountsVotersAlike, "combining doesn't weigh by samples"),
    _mutant(TakesTheFirstProposal, "combining takes the first proposal"),
    _mutant(AddsUpUndeclared, "combining adds up"),
    _mutant(CohortInTheWrongOrder, "the fused cohort mixes up its learners"),
    _mutant(CohortInHalfPrecision, "the fused cohort rounds"),
    _mutant(WorstSamplesFirst, "scores of samples are sorted"),
    _mutant(SamplesByAnotherMetric, "scores of samples are by another metric"),
    _mutant(CohortMixesUpSamples, "the fused cohort mixes up whose samples are whose"),
    _mutant(ScalesItsDataInPlace, "private data are scaled in place"),
    _mutant(MetricOfItsOwn, "the metric has the wrong direction"),
    _mutant(KnowsOnlyItsOwnClasses, "one class to vote by raises"),
    _mutant(MakesUpAScore, "without vote data the score is zero, not none"),
    _mutant(LeavesOutMissingClasses, "classes that it lacks are missing in its proposal"),
    _mutant(ForgetsWhatItSpent, "privacy spent isn't in its state"),
    _mutant(PaysTwice, "one proposal, given twice, costs privacy twice"),
    _mutant(PaysNothing, "a private proposal costs no privacy"),
]
CONTROLS = [
    _mutant(SoftmaxRegression, ""),
    _mutant(Paying, ""),
    _mutant(BatchedLoss, ""),
    _mutant(Momentum, ""),
    _mutant(AddsUp, ""),
    _mutant(AbstainsWithoutData, ""),
    _mutant(ScoresByAccuracy, ""),
]
