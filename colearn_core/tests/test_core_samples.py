"""Scores of single samples, from the learner to the vote."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from math import inf, nan
from typing import Any

import numpy as np
import pytest

from colearn_core.cohort import LoopCohort
from colearn_core.data import Holdout, partition
from colearn_core.errors import Abstention, ConfigError, UsageError
from colearn_core.experiment import Experiment
from colearn_core.fused import FusedCohort
from colearn_core.learner import Learner, Proposal
from colearn_core.metrics import METRICS, Metric, means, metric
from colearn_core.noise import PrivateAnswers
from colearn_core.per_class import PerClass
from colearn_core.plugins import Plugins
from colearn_core.privacy import Privacy
from colearn_core.reference import SoftmaxRegression, blobs
from colearn_core.scores import LARGEST, Part, Score, Scores, scored
from colearn_core.significance import Significant
from colearn_core.splitting import Dirichlet
from colearn_core.streams import Streams
from colearn_core.weights import Weights

WEIGHTS = Weights({"w": np.zeros(1)})


class Telling(Learner):
    """Answers as a function says, which may also raise."""

    vote_metric = metric("log_loss")
    test_metric = metric("accuracy")

    def __init__(self, answer: Callable[[], Any]) -> None:
        self.answer = answer

    def initial_weights(self, rng: np.random.Generator) -> Weights:
        return WEIGHTS

    def propose_weights(self, base: Weights, rng: np.random.Generator) -> Proposal:
        return Proposal(Weights({"w": base["w"] + 1}), 1)

    def test_weights(self, weights: Weights, part: Part) -> Score:
        return Score(1.0, 3)

    def test_samples(self, weights: Weights, part: Part = "vote") -> Score:
        found: Score = self.answer()
        return found


class Silent(Telling):
    def __init__(self) -> None:
        super().__init__(lambda: None)

    def test_samples(self, weights: Weights, part: Part = "vote") -> Score:
        return Learner.test_samples(self, weights, part)


def told(values: list[float], classes: Any = None) -> Score:
    return Score(float(np.mean(values)), len(values), np.array(values, np.float32), classes)


def of(*answers: Callable[[], Any] | Score) -> Scores:
    learners = [Telling(partial(_same, a) if isinstance(a, Score) else a) for a in answers]
    return LoopCohort(learners).test_samples([WEIGHTS, WEIGHTS])


def _same(score: Score) -> Score:
    return score


def raising(error: Exception) -> Callable[[], Any]:
    def answer() -> Any:
        raise error

    return answer


# Metrics


@pytest.mark.parametrize("name", [name for name, m in METRICS.items() if m.of_samples])
def test_a_score_is_the_mean_of_those_of_its_samples(name: str) -> None:
    measure = metric(name)
    targets, predictions = _answers(measure, 7)
    score = scored(measure, targets, predictions, each=True)
    assert score.each is not None
    assert (
        score.value == measure.score(targets, predictions, np.array([7]))[0] == scored(measure, targets, predictions)[0]
    )
    assert np.mean(score.each, dtype=np.float64) == pytest.approx(score.value)
    for i in range(7):
        assert score.each[i] == np.float32(scored(measure, targets[i : i + 1], predictions[i : i + 1]).value)
    assert (score.classes is None) == (measure.needs == "values")


@pytest.mark.parametrize("name", [name for name, m in METRICS.items() if not m.of_samples])
def test_a_metric_that_is_no_mean_abstains_and_says_which_are(name: str) -> None:
    measure = metric(name)
    with pytest.raises(Abstention, match=f"{name} has no score of a single sample; these have: accuracy, log"):
        scored(measure, *_answers(measure, 7), each=True)


def _answers(measure: Metric, n: int) -> tuple[Any, Any]:
    rng = np.random.default_rng(0)
    if measure.needs == "values":
        return rng.normal(size=n), rng.normal(size=n)
    targets, probabilities = np.arange(n) % 3, rng.dirichlet(np.ones(3), size=n)
    return targets, probabilities if measure.needs == "probabilities" else probabilities.argmax(axis=1)


def test_means_are_each_learners_own() -> None:
    np.testing.assert_array_equal(means(np.array([1.0, 3.0, 5.0]), np.array([2, 0, 1])), [2.0, nan, 5.0])
    assert np.isnan(means(np.zeros(0), np.array([0, 0]))).all()


def test_what_is_too_large_for_single_precision_is_the_largest() -> None:
    score = scored(metric("mse"), np.array([0.0, 1e30]), np.array([1.0, -1e30]), each=True)
    assert score.each is not None
    assert score.each.tolist() == [1.0, LARGEST]


# The loop


def test_scores_of_samples_are_kept_for_each_learner_and_candidate() -> None:
    found = of(told([1.0, 2.0], np.array([0, 1])), told([3.0]))
    assert found.values.tolist() == [[1.5, 1.5], [3.0, 3.0]]
    assert found.samples.tolist() == [2, 1]
    one = found.score(0, 1)
    assert (one.value, one.samples) == (1.5, 2)
    assert one.each is not None
    assert one.each.tolist() == [1.0, 2.0]
    assert one.classes is not None
    assert one.classes.tolist() == [0, 1]
    assert found.score(1, 0).classes is None


def test_one_candidate_keeps_its_samples() -> None:
    answers = iter([told([1.0, 2.0]), told([5.0, 6.0])])
    found = of(lambda: next(answers)).candidate(1)
    assert found.values.tolist() == [[5.5]]
    each = found.score(0, 0).each
    assert each is not None
    assert each.tolist() == [5.0, 6.0]


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        (raising(Abstention("asleep")), "asleep"),
        (raising(RuntimeError("broken")), "RuntimeError: broken"),
        (Score(1.0, 3), "ValueError: a score of 3 samples comes with those of None"),
        (Score(1.0, 3, np.ones(2, np.float32)), r"ValueError: a score of 3 samples comes with those of (2,)"),
    ],
)
def test_who_tells_nothing_of_its_samples_abstains_with_its_reason(answer: Any, why: str) -> None:
    found = of(told([1.0]), answer, told([2.0]))
    assert found.reasons == {1: why}
    assert np.isnan(found.values[1]).all()
    assert np.isfinite(found.values[[0, 2]]).all()
    assert found.score(1, 0).each is None


def test_a_learner_that_was_not_made_for_it_says_so() -> None:
    assert LoopCohort([Silent()]).test_samples([WEIGHTS]).reasons == {0: "Silent gives no scores of single samples"}


def test_without_vote_samples_there_is_no_reason_to_give() -> None:
    found = of(Score(nan, 0), told([1.0]))
    assert found.reasons == {}
    assert found.samples.tolist() == [0, 1]
    assert np.isnan(found.values[0]).all()


def test_a_candidate_that_one_cannot_score_leaves_it_the_other() -> None:
    left = [told([1.0, 2.0])]

    def answer() -> Score:
        if not left:
            raise ValueError("odd shape")
        return left.pop()

    found = of(answer)
    assert found.values[0, 0] == 1.5
    assert np.isnan(found.values[0, 1])
    assert found.reasons == {0: "ValueError: odd shape"}


# The fused cohort


class Linear(FusedCohort):
    """Softmax regression for all learners in one product."""

    def __init__(self, learners: list[SoftmaxRegression], private: dict[int, PrivateAnswers] | None = None) -> None:
        data = [learner.data for learner in learners]
        super().__init__(learners, None, {"vote": [d.vote.y for d in data], "test": [d.test.y for d in data]}, private)
        self._x = {"vote": np.concatenate([d.vote.x for d in data]), "test": np.concatenate([d.test.x for d in data])}

    def predictions(self, weights: Weights, part: Part, needs: Any) -> Any:
        from colearn_core.reference import _probabilities

        weights.check_finite()
        return _probabilities(weights, self._x[part])


def softmaxes(n: int = 6) -> list[SoftmaxRegression]:
    parts = partition(blobs(samples=400), Dirichlet(alpha=0.5), n, Holdout(0.3, 0.1), Streams(0))
    nobody = parts[2].vote.take(np.zeros(0, np.int64))
    return [SoftmaxRegression(replace(part, vote=nobody) if i == 2 else part) for i, part in enumerate(parts)]


def candidates(learners: list[SoftmaxRegression]) -> list[Weights]:
    base = learners[0].initial_weights(np.random.default_rng(0))
    return [base, *(x.propose_weights(base, np.random.default_rng(1)).weights for x in learners[:3])]


def test_one_pass_over_all_samples_gives_what_the_loop_gives() -> None:
    learners = softmaxes()
    weights = candidates(learners)
    fused, loop = (cohort.test_samples(weights) for cohort in (Linear(learners), LoopCohort(learners)))
    np.testing.assert_array_equal(fused.values, loop.values)
    np.testing.assert_array_equal(fused.samples, loop.samples)
    assert fused.reasons == loop.reasons == {}
    assert fused.samples[2] == 0
    for ours, theirs in ((fused.each, loop.each), (fused.classes, loop.classes)):
        for one, other in zip(ours, theirs, strict=True):
            assert (one is None) == (other is None)
            np.testing.assert_array_equal(one, other)


def test_a_candidate_of_another_model_spoils_the_pass_for_itself_alone() -> None:
    learners = softmaxes()
    weights = [*candidates(learners)[:2], Weights({"other": np.zeros(2)})]
    found = Linear(learners).test_samples(weights)
    assert np.isfinite(found.values[[0, 1, 3, 4, 5], :2]).all()
    assert np.isnan(found.values[:, 2]).all()
    assert set(found.reasons) == {0, 1, 2, 3, 4, 5}


def test_a_learner_whose_scores_are_noisy_tells_nothing_of_its_samples() -> None:
    answers = PrivateAnswers(
        Privacy(9.0, noise_multiplier=1.0, score_noise_multiplier=2.0),
        lambda mechanisms, delta: float(len(mechanisms)),
        samples=20,
        batch_size=5,
        steps=3,
        key=b"secret",
        metrics=[metric("log_loss")],
    )
    learners = softmaxes()
    found = Linear(learners, {1: answers}).test_samples(candidates(learners))
    assert found.reasons == {1: "its scores must have noise, which scores of single samples have none of"}
    assert np.isnan(found.values[1]).all()
    assert found.each[1] is None
    assert found.classes[1] is None
    assert answers.budget.spent.epsilon == 0


# The experiment


@pytest.mark.parametrize("policy", [PerClass(), Significant()])
def test_a_vote_by_samples_is_the_same_fused_and_in_the_loop(policy: Any) -> None:
    records = [
        [
            (r.votes.tolist(), r.decision, r.standing.weights.digest)
            for r in Experiment(softmaxes(), voting=policy, runtime=runtime, plugins=Plugins([]), seed=2).rounds(8)
        ]
        for runtime in (lambda learners, names: Linear(list(learners)), "loop")
    ]
    assert records[0] == records[1]
    assert any(decision.accepted for _, decision, _ in records[0])


def test_a_collective_of_which_nobody_tells_is_refused_before_its_first_round() -> None:
    experiment = Experiment([Silent(), Silent()], voting=PerClass(), plugins=Plugins([]))
    with pytest.raises(ConfigError, match="no learner gives them: Silent gives no scores of single samples"):
        experiment.run(1)


def test_those_who_tell_vote_for_those_who_do_not() -> None:
    learners = [Telling(lambda: told([1.0, 2.0])), Silent(), Telling(lambda: told([1.0, 2.0]))]
    experiment = Experiment(learners, proposals="round_robin", voting=PerClass(), plugins=Plugins([]))
    record = next(experiment.rounds(1))
    assert record.votes[:, 0].tolist() == [0, 0, -1]
    assert record.abstentions == {1: "Silent gives no scores of single samples"}


def test_a_cohort_that_cannot_is_named() -> None:
    from colearn_core.cohort import Cohort

    with pytest.raises(UsageError, match="LoopCohort gives no scores of single samples"):
        Cohort.test_samples(LoopCohort([Silent()]), [WEIGHTS])


def test_a_metric_that_is_no_mean_is_refused_when_the_experiment_is_made() -> None:
    class ByRank(Silent):
        vote_metric = metric("roc_auc")

    with pytest.raises(ConfigError, match="PerClass goes by the scores of single samples, and roc_auc has none"):
        Experiment([ByRank()], voting=PerClass(), plugins=Plugins([]))


@pytest.mark.parametrize("value", [inf, nan])
def test_samples_without_a_finite_score_are_an_abstention(value: float) -> None:
    found = of(told([1.0, value]))
    assert np.isnan(found.values).all()
    assert PerClass().votes(found.candidate(0), found.candidate(1)).tolist() == [[0]]
