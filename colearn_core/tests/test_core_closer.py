"""Votes that go by single samples: by class, and by significance."""

from __future__ import annotations

from collections.abc import Callable
from math import nan
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from colearn_core.errors import ConfigError, ParameterError
from colearn_core.metrics import metric
from colearn_core.per_class import PerClass, class_losses
from colearn_core.scores import Score
from colearn_core.significance import TESTS, Significant, mcnemar_test, sign_test, t_test
from colearn_core.voting import Majority, Vote

A, R, N = Vote.APPROVE, Vote.REJECT, Vote.ABSTAIN


def score(each: Any, classes: Any = None) -> Score:
    each = np.array(each, dtype=np.float32)
    return Score(float(each.mean()), len(each), each, None if classes is None else np.array(classes))


# By class

CLASSES = [0] * 20 + [1] * 20 + [2] * 5


def losses(a: float, b: float, c: float) -> Score:
    return score([a] * 20 + [b] * 20 + [c] * 5, CLASSES)


def test_a_model_that_forgets_a_rare_class_is_rejected_where_a_majority_lets_it_through() -> None:
    now, then = losses(1.0, 1.0, 1.0), losses(0.7, 0.7, 2.5)
    assert then.value < now.value
    assert Majority().vote(now, then, greater_is_better=False) == A
    assert PerClass().vote(now, then, greater_is_better=False) == R


def test_a_class_may_get_a_little_worse() -> None:
    now = losses(1.0, 1.0, 1.0)
    assert PerClass(worse=0.25).vote(now, losses(0.5, 0.5, 1.25), False) == A
    assert PerClass(worse=0.25).vote(now, losses(0.5, 0.5, 1.3), False) == R
    assert PerClass(worse=0.25).vote(now, losses(0.5, 1.3, 0.5), False) == R


def test_classes_of_too_few_samples_are_not_looked_at() -> None:
    now, then = losses(1.0, 1.0, 1.0), losses(0.5, 0.5, 2.0)
    assert PerClass(fewest=5).vote(now, then, False) == R
    assert PerClass(fewest=6).vote(now, then, False) == A


def test_worse_is_lower_where_greater_is_better() -> None:
    now, then = losses(0.5, 0.5, 0.9), losses(0.9, 0.9, 0.5)
    assert PerClass(worse=0.1).vote(now, then, greater_is_better=True) == R
    assert PerClass().vote(losses(0.5, 0.5, 0.5), losses(0.9, 0.9, 0.9), greater_is_better=True) == A


def test_what_is_worse_on_the_whole_is_rejected_whatever_classes_say() -> None:
    assert PerClass(worse=9).vote(losses(1, 1, 1), losses(1.1, 1.1, 0.9), False) == R


def test_without_classes_or_samples_the_mean_decides() -> None:
    assert PerClass().vote(score([1.0, 1.0]), score([0.1, 1.5]), False) == A
    assert PerClass().vote(Score(1.0, 9), Score(0.5, 9), False) == A


def test_a_lost_score_does_not_reject_for_ever() -> None:
    assert PerClass().vote(losses(nan, nan, nan), losses(1, 1, 9), False) == A


def test_losses_are_those_of_the_classes_that_are_there() -> None:
    now, then = score([1, 1, 1, 1], [4, 4, 0, 0]), score([1, 2, 3, 1], [4, 4, 0, 0])
    assert class_losses(now, then, greater_is_better=False).tolist() == [1.0, 0.5]
    assert class_losses(now, then, greater_is_better=True).tolist() == [-1.0, -0.5]
    assert class_losses(now, then, greater_is_better=False, fewest=3).tolist() == []


def test_a_share_of_one_lets_any_voter_veto() -> None:
    votes = np.array([[1], [1], [1], [-1]], dtype=np.int8)
    assert PerClass().tally(votes).accepted
    assert not PerClass(share=1.0, inclusive=True).tally(votes).accepted


@pytest.mark.parametrize(("name", "value"), [("worse", -0.1), ("worse", nan), ("fewest", 0)])
def test_bounds_that_make_no_sense_are_refused(name: str, value: Any) -> None:
    with pytest.raises(ParameterError, match=name):
        PerClass(**{name: value})


# Tests

GAINS = st.lists(st.integers(-3, 3) | st.floats(-5, 5), min_size=1, max_size=60).map(np.array)


@given(GAINS)
def test_the_t_test_is_scipys(gains: Any) -> None:
    if len(gains) < 2 or np.std(gains) < 1e-6:
        return
    expected = stats.ttest_1samp(gains, 0, alternative="greater").pvalue
    assert t_test(gains) == pytest.approx(expected, rel=1e-6, abs=1e-12)


@pytest.mark.parametrize("degrees", [1, 2, 3, 4, 5, 30, 999, 20_000])
@pytest.mark.parametrize("t", [-3.0, 0.0, 0.5, 1.3, 4.0])
def test_students_t_is_right_for_all_degrees_of_freedom(degrees: int, t: float) -> None:
    from colearn_core.significance import _beyond

    assert _beyond(t, degrees) == pytest.approx(stats.t.sf(t, degrees), rel=1e-8, abs=1e-12)


@given(GAINS)
def test_the_sign_test_is_scipys(gains: Any) -> None:
    improved, changed = int((gains > 0).sum()), int((gains != 0).sum())
    expected = stats.binomtest(improved, changed, alternative="greater").pvalue if changed else 1.0
    assert sign_test(gains) == pytest.approx(expected, rel=1e-9)


def test_the_sign_test_takes_many_samples() -> None:
    gains = np.array([1.0] * 10_200 + [-1.0] * 9_800)
    assert sign_test(gains) == pytest.approx(stats.binom.sf(10_199, 20_000, 0.5), rel=1e-8)


def test_mcnemars_test_is_that_of_the_normal_distribution() -> None:
    gains = np.array([1.0] * 40 + [-1.0] * 25 + [0.0] * 200)
    assert mcnemar_test(gains) == pytest.approx(stats.norm.sf(15 / np.sqrt(65)))
    assert mcnemar_test(np.zeros(9)) == 1.0


@pytest.mark.parametrize("test", TESTS.values())
def test_what_is_sure_one_way_is_unlikely_the_other_way(test: Callable[[Any], float]) -> None:
    gains = np.array([1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 0.5])
    assert test(gains) < 0.05
    assert test(-gains) > 0.9
    assert test(np.zeros(8)) == 1.0


# By significance


def noisy(mean: float, n: int, seed: int = 0) -> tuple[Score, Score]:
    rng = np.random.default_rng(seed)
    now = rng.exponential(size=n)
    return score(now), score(now - mean + rng.normal(size=n))


@pytest.mark.parametrize("test", ["sign", "t"])
def test_a_voter_is_sure_of_what_its_samples_show_and_else_abstains(test: Any) -> None:
    policy = Significant(test=test, level=0.01)
    for n, mean, vote in ((400, 0.5, A), (400, -0.5, R), (4, 0.1, N), (400, 0.0, N)):
        assert policy.vote(*noisy(mean, n, seed=5), greater_is_better=False) == vote


@pytest.mark.parametrize("test", ["sign", "mcnemar", "t"])
def test_equal_models_are_voted_on_by_chance_no_more_often_than_the_level(test: Any) -> None:
    policy, rng = Significant(test=test, level=0.05), np.random.default_rng(1)
    votes = []
    for _ in range(2000):
        now, then = (rng.random(60) < 0.7 for _ in range(2))
        votes.append(policy.vote(score(now), score(then), greater_is_better=True))
    approved, rejected = votes.count(A) / 2000, votes.count(R) / 2000
    # Three standard errors of 2,000 votes are 0.015; McNemar's is an approximation, and a little off.
    limit = 0.075 if test == "mcnemar" else 0.065
    assert 0.005 < approved < limit
    assert 0.005 < rejected < limit


def test_small_steps_by_chance_are_adopted_by_a_majority_and_not_by_the_sure() -> None:
    """Ten voters of 30 samples each; the candidate is no better."""
    adopted = {Majority: 0, Significant: 0}
    for trial in range(100):
        pairs = [noisy(0.0, 30, seed=100 * trial + voter) for voter in range(10)]
        for policy in (Majority(), Significant(level=0.05)):
            votes = np.array([[policy.vote(*pair, greater_is_better=False)] for pair in pairs], dtype=np.int8)
            adopted[type(policy)] += policy.tally(votes).accepted
    assert adopted[Majority] > 25
    assert adopted[Significant] < adopted[Majority] / 3


def test_an_improvement_must_surely_exceed_the_least_one() -> None:
    pair = noisy(0.5, 400)
    assert Significant().vote(*pair, greater_is_better=False) == A
    assert Significant(min_improvement=0.5).vote(*pair, greater_is_better=False) == N
    assert Significant(min_improvement=0.8).vote(*pair, greater_is_better=False) == R


def test_scores_without_samples_are_compared_as_they_are() -> None:
    assert Significant().vote(Score(1.0, 9), Score(0.9, 9), False) == A
    assert Significant().vote(Score(1.0, 9), Score(1.1, 9), False) == R


def test_one_sample_is_too_few_for_a_mean() -> None:
    assert Significant(test="t").vote(score([1.0]), score([0.0]), False) == N
    assert Significant(test="t").vote(score([1.0, 1.0]), score([0.0, 0.0]), False) == A


def test_mcnemar_needs_right_and_wrong_answers() -> None:
    Significant(test="mcnemar").check(metric("accuracy"))
    with pytest.raises(ConfigError, match="right answers with wrong ones, and learners vote by log_loss"):
        Significant(test="mcnemar").check(metric("log_loss"))


@pytest.mark.parametrize("policy", [PerClass(), Significant()])
@pytest.mark.parametrize("name", ["roc_auc", "f1", "r2"])
def test_metrics_that_are_no_means_are_refused(policy: Any, name: str) -> None:
    with pytest.raises(ConfigError, match=f"goes by the scores of single samples, and {name} has none"):
        policy.check(metric(name))
    Majority().check(metric(name))


@pytest.mark.parametrize("level", [0.0, 0.5, nan])
def test_a_level_beyond_its_range_is_refused(level: float) -> None:
    with pytest.raises(ParameterError, match="level must lie between 0 and 1/2"):
        Significant(level=level)


def test_an_unknown_test_is_refused() -> None:
    with pytest.raises(ParameterError, match="test = 'z' is unknown"):
        Significant(test="z")  # type: ignore[arg-type]
