"""Runtimes with one fault each, made from the plain loop."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
from mutant import Mutant

from colearn_core.cohort import Cohort, LoopCohort, Proposals, reason
from colearn_core.errors import WeightsError
from colearn_core.learner import Learner, Proposal
from colearn_core.privacy import Spent
from colearn_core.scores import Part, Scores
from colearn_core.streams import Streams
from colearn_core.testing import Subject
from colearn_core.weights import Weights, mean

FETCH = "Fetch.ai colearn 0.2.8"


class InThreads(LoopCohort):
    """Every learner in a thread of its own, the last one first: correct."""

    def propose(self, learners: Sequence[int], base: Weights, round: int, streams: Streams) -> Proposals:
        with ThreadPoolExecutor(4) as pool:
            ask = super().propose
            answers = list(pool.map(lambda i: ask([i], base, round, streams), sorted(learners, reverse=True)))
        proposals = {i: p for a in reversed(answers) for i, p in a.proposals.items()}
        return Proposals(proposals, {i: r for a in reversed(answers) for i, r in a.refusals.items()})

    def test(self, candidates: Sequence[Weights], part: Part) -> Scores:
        alone = [LoopCohort([learner]) for learner in self.learners]
        with ThreadPoolExecutor(4) as pool:
            answers = list(pool.map(lambda cohort: cohort.test(candidates, part), alone))
        return Scores(
            self.metric_of(part),
            np.concatenate([a.values for a in answers]),
            np.concatenate([a.samples for a in answers]),
            {i: a.reasons[0] for i, a in enumerate(answers) if a.reasons},
        )


class OneCandidateAtATime(LoopCohort):
    """Scores every candidate by itself, and keeps the scores of weights that it knows: correct."""

    def __init__(self, learners: Sequence[Learner], names: Sequence[str] | None = None) -> None:
        super().__init__(learners, names)
        self.known: dict[tuple[str, Part], Scores] = {}

    def test(self, candidates: Sequence[Weights], part: Part) -> Scores:
        if not candidates:
            return super().test(candidates, part)
        found = []
        for weights in candidates:
            key = weights.digest, part
            self.known[key] = self.known.get(key) or super().test([weights], part)
            found.append(self.known[key])
        return replace(found[-1], values=np.hstack([f.values for f in found]))


class LetsProposersFail(LoopCohort):
    def propose(self, learners: Sequence[int], base: Weights, round: int, streams: Streams) -> Proposals:
        for i in learners:
            self.learners[i].propose_weights(base, streams.generator("propose", round, i))
        return super().propose(learners, base, round, streams)


class LetsVotersFail(LoopCohort):
    def test(self, candidates: Sequence[Weights], part: Part) -> Scores:
        for learner in self.learners:
            for weights in candidates:
                learner.test_weights(weights, part)
        return super().test(candidates, part)


class ScoresInAnotherOrder(LoopCohort):
    def test(self, candidates: Sequence[Weights], part: Part) -> Scores:
        scores = super().test(candidates, part)
        return replace(scores, values=scores.values[::-1], samples=scores.samples[::-1])


class RanksCandidates(LoopCohort):
    def test(self, candidates: Sequence[Weights], part: Part) -> Scores:
        return super().test(sorted(candidates, key=lambda w: w.digest), part)


class ScoresInHalfPrecision(LoopCohort):
    def test(self, candidates: Sequence[Weights], part: Part) -> Scores:
        scores = super().test(candidates, part)
        return replace(scores, values=scores.values.astype(np.float16).astype(np.float64))


class TestsOnVoteData(LoopCohort):
    def test(self, candidates: Sequence[Weights], part: Part) -> Scores:
        return replace(super().test(candidates, "vote"), metric=self.metric_of(part))


class FlattensWithoutCandidates(LoopCohort):
    def test(self, candidates: Sequence[Weights], part: Part) -> Scores:
        scores = super().test(candidates, part)
        return scores if candidates else replace(scores, values=np.zeros((0, 0)))


class SkipsTheLastLearner(LoopCohort):
    def test(self, candidates: Sequence[Weights], part: Part) -> Scores:
        scores = super().test(candidates, part)
        values = scores.values.copy()
        values[-1:] = np.nan
        return replace(scores, values=values)


class GivesNoReasons(LoopCohort):
    def test(self, candidates: Sequence[Weights], part: Part) -> Scores:
        return replace(super().test(candidates, part), reasons={})


class WordsReasonsItself(LoopCohort):
    def propose(self, learners: Sequence[int], base: Weights, round: int, streams: Streams) -> Proposals:
        found = super().propose(learners, base, round, streams)
        return replace(found, refusals={i: f"declined: {text}" for i, text in found.refusals.items()})


class OneFailureForAll(LoopCohort):
    def test(self, candidates: Sequence[Weights], part: Part) -> Scores:
        scores = super().test(candidates, part)
        return replace(scores, values=np.full_like(scores.values, np.nan)) if scores.reasons else scores


class MistakesNoScoreForZero(LoopCohort):
    def test(self, candidates: Sequence[Weights], part: Part) -> Scores:
        scores = super().test(candidates, part)
        given = scores.samples[:, None] > 0
        return replace(scores, values=np.where(given, np.nan_to_num(scores.values), np.nan))


class TrustsScores(LoopCohort):
    def test(self, candidates: Sequence[Weights], part: Part) -> Scores:
        answers = [[learner.test_weights(w, part) for w in candidates] for learner in self._willing(part, candidates)]
        [float(a.value) for row in answers for a in row]
        return super().test(candidates, part)

    def _willing(self, part: Part, candidates: Sequence[Weights]) -> list[Learner]:
        reasons = LoopCohort.test(self, candidates, part).reasons
        raised = {i for i, text in reasons.items() if not text.startswith(("TypeError", "ValueError: not enough"))}
        return [learner for i, learner in enumerate(self.learners) if i not in raised]


class SharesOneStream(LoopCohort):
    def propose(self, learners: Sequence[int], base: Weights, round: int, streams: Streams) -> Proposals:
        rng = streams.generator("propose", round)
        return proposed(self, sorted(learners), base, lambda position, i: rng)


class StreamsByPosition(LoopCohort):
    def propose(self, learners: Sequence[int], base: Weights, round: int, streams: Streams) -> Proposals:
        return proposed(self, sorted(learners), base, lambda position, i: streams.generator("propose", round, position))


class SameStreamInEveryRound(LoopCohort):
    def propose(self, learners: Sequence[int], base: Weights, round: int, streams: Streams) -> Proposals:
        return super().propose(learners, base, 1, streams)


class ProposesInTheOrderAsked(LoopCohort):
    def propose(self, learners: Sequence[int], base: Weights, round: int, streams: Streams) -> Proposals:
        return proposed(self, learners, base, lambda position, i: streams.generator("propose", round, i))


class TrainsOneAfterTheOther(LoopCohort):
    def propose(self, learners: Sequence[int], base: Weights, round: int, streams: Streams) -> Proposals:
        found = Proposals({}, {})
        for i in sorted(learners):
            answer = super().propose([i], base, round, streams)
            found.proposals.update(answer.proposals)
            found.refusals.update(answer.refusals)
            base = answer.proposals[i].weights if i in answer.proposals else base
        return found


class TakesWhatIsNotFinite(LoopCohort):
    def propose(self, learners: Sequence[int], base: Weights, round: int, streams: Streams) -> Proposals:
        return proposed(
            self, sorted(learners), base, lambda position, i: streams.generator("propose", round, i), finite=False
        )


class TakesForeignWeights(LoopCohort):
    def propose(self, learners: Sequence[int], base: Weights, round: int, streams: Streams) -> Proposals:
        return proposed(
            self, sorted(learners), base, lambda position, i: streams.generator("propose", round, i), alike=False
        )


class TakesProposalsWithoutSamples(LoopCohort):
    def propose(self, learners: Sequence[int], base: Weights, round: int, streams: Streams) -> Proposals:
        return proposed(
            self, sorted(learners), base, lambda position, i: streams.generator("propose", round, i), samples=False
        )


def proposed(
    cohort: LoopCohort,
    learners: Sequence[int],
    base: Weights,
    rng: Callable[[int, int], np.random.Generator],
    finite: bool = True,
    alike: bool = True,
    samples: bool = True,
) -> Proposals:
    """The loop's way to ask for proposals, with other streams or without some of its checks."""
    found = Proposals({}, {})
    for position, i in enumerate(learners):
        try:
            proposal = cohort.learners[i].propose_weights(base, rng(position, i))
            if alike:
                proposal.weights.check_like(base)
            if finite:
                proposal.weights.check_finite()
            if samples and not proposal.samples > 0:
                raise WeightsError("no samples")
            found.proposals[i] = proposal
        except Exception as error:
            found.refusals[i] = reason(error)
    return found


class DropsNames(LoopCohort):
    def __init__(self, learners: Sequence[Learner], names: Sequence[str] | None = None) -> None:
        super().__init__(learners)


class SortsNames(LoopCohort):
    def __init__(self, learners: Sequence[Learner], names: Sequence[str] | None = None) -> None:
        super().__init__(learners, names)
        self.names = tuple(sorted(self.names))


class TakesAnyNames(LoopCohort):
    def __init__(self, learners: Sequence[Learner], names: Sequence[str] | None = None) -> None:
        super().__init__(learners)
        self.names = self.names if names is None else tuple(names)


class TakesAnyMetrics(LoopCohort):
    def __init__(self, learners: Sequence[Learner], names: Sequence[str] | None = None) -> None:
        super().__init__(learners[:1], names[:1] if names is not None else None)
        super().__init__([learner for learner in learners if self._comparable(learner)])
        if names is not None and len(names) == len(learners) == len(set(names)):
            self.names = tuple(names)
        elif names is not None:
            LoopCohort.__init__(self, learners, names)

    def _comparable(self, learner: Learner) -> bool:
        return (learner.vote_metric, learner.test_metric) == (self.vote_metric, self.test_metric)


class AsksTheLastForInitialWeights(LoopCohort):
    def initial_weights(self, rng: np.random.Generator) -> Weights:
        return self.learners[-1].initial_weights(rng)


class SeedsInitialWeightsItself(LoopCohort):
    def initial_weights(self, rng: np.random.Generator) -> Weights:
        return super().initial_weights(np.random.default_rng(0))


class SwapsItsMetrics(LoopCohort):
    def __init__(self, learners: Sequence[Learner], names: Sequence[str] | None = None) -> None:
        super().__init__(learners, names)
        self.vote_metric, self.test_metric = self.test_metric, self.vote_metric


class CombinesByPlainMean(LoopCohort):
    def combine(self, base: Weights, proposals: Sequence[Proposal]) -> Weights:
        return mean([p.weights for p in proposals])


class CombinesByItself(LoopCohort):
    def combine(self, base: Weights, proposals: Sequence[Proposal]) -> Weights:
        return mean([p.weights for p in proposals], [p.samples for p in proposals])


class ScoresTwice(LoopCohort):
    def test(self, candidates: Sequence[Weights], part: Part) -> Scores:
        super().test(candidates, part)
        return super().test(candidates, part)


class TrainsTwice(LoopCohort):
    def propose(self, learners: Sequence[int], base: Weights, round: int, streams: Streams) -> Proposals:
        super().propose(learners, base, round, streams)
        return super().propose(learners, base, round, streams)


class ForgetsBudgets(LoopCohort):
    def spent(self) -> dict[int, Spent]:
        return {}


class KeepsNoJournals(LoopCohort):
    def keep_budgets(self, folder: Path) -> None:
        pass


def _mutant(runtime: type[Cohort], fault: str, origin: str = "") -> Mutant:
    return Mutant(runtime.__name__, "runtimes", fault, Subject(runtime), origin)


MUTANTS = [
    _mutant(LetsProposersFail, "a proposer that raises ends the run", FETCH),
    _mutant(LetsVotersFail, "a voter that raises ends the run", FETCH),
    _mutant(ScoresTwice, "all weights are scored twice", FETCH),
    _mutant(TrainsTwice, "proposers are asked twice"),
    _mutant(ForgetsBudgets, "privacy spent isn't told"),
    _mutant(KeepsNoJournals, "privacy spent isn't kept on disk"),
    _mutant(ScoresInAnotherOrder, "scores are put down to other learners"),
    _mutant(RanksCandidates, "scores are put down to other candidates"),
    _mutant(ScoresInHalfPrecision, "scores are rounded"),
    _mutant(TestsOnVoteData, "reports on vote data"),
    _mutant(FlattensWithoutCandidates, "no candidates give scores of another shape"),
    _mutant(SkipsTheLastLearner, "the last learner isn't asked"),
    _mutant(GivesNoReasons, "reasons of abstentions are lost"),
    _mutant(WordsReasonsItself, "reasons are reworded"),
    _mutant(OneFailureForAll, "one learner's failure costs all their scores"),
    _mutant(MistakesNoScoreForZero, "no score counts as zero"),
    _mutant(TrustsScores, "an answer that is no score ends the run"),
    _mutant(SharesOneStream, "learners draw from one stream"),
    _mutant(StreamsByPosition, "streams go by the place among the proposers"),
    _mutant(SameStreamInEveryRound, "every round draws the same"),
    _mutant(ProposesInTheOrderAsked, "proposals come in the order asked"),
    _mutant(TrainsOneAfterTheOther, "learners train on from each other's proposals", FETCH),
    _mutant(TakesWhatIsNotFinite, "proposals with NaN are taken"),
    _mutant(TakesForeignWeights, "proposals of another model are taken"),
    _mutant(TakesProposalsWithoutSamples, "proposals without samples are taken"),
    _mutant(DropsNames, "given names are lost"),
    _mutant(SortsNames, "names are sorted"),
    _mutant(TakesAnyNames, "names needn't be unique, or enough"),
    _mutant(TakesAnyMetrics, "learners with other metrics are left out silently"),
    _mutant(AsksTheLastForInitialWeights, "the last learner gives the initial weights"),
    _mutant(SeedsInitialWeightsItself, "initial weights ignore the seed"),
    _mutant(SwapsItsMetrics, "vote and test metric are swapped"),
    _mutant(CombinesByPlainMean, "combining ignores samples"),
    _mutant(CombinesByItself, "combining ignores the learners' way"),
]
CONTROLS = [_mutant(runtime, "") for runtime in (LoopCohort, InThreads, OneCandidateAtATime)]
