"""Metrics: against values worked out by hand, and many learners' samples in one call as in calls of their own."""

from __future__ import annotations

from math import log, nan
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from sklearn import metrics as reference

from colearn_core.errors import ParameterError
from colearn_core.metrics import METRICS, metric
from colearn_core.scores import Score, Scores, weighted_mean

Array = NDArray[Any]


def score(name: str, targets: Any, predictions: Any) -> float:
    """The score of a single learner."""
    targets = np.array(targets)
    return float(metric(name).score(targets, np.array(predictions), np.array([len(targets)]))[0])


def positives(*chances: float) -> list[list[float]]:
    """Probabilities of two classes from those of the second."""
    return [[1 - p, p] for p in chances]


def drawn(name: str, n: int, rng: np.random.Generator) -> tuple[Array, Array]:
    """Random targets and predictions of the kind that this metric needs."""
    if metric(name).needs == "values":
        return rng.normal(size=n), rng.normal(size=n)
    targets = rng.integers(3, size=n)
    if metric(name).needs == "labels":
        return targets, rng.integers(3, size=n)
    return targets, rng.dirichlet(np.ones(3), size=n).round(1)  # rounded, so that there are ties and zeros


# By hand


def test_accuracy_is_the_share_of_correct_labels() -> None:
    assert score("accuracy", [0, 1, 2, 2], [0, 1, 1, 2]) == 0.75


def test_log_loss_is_the_mean_of_the_logarithms_of_the_true_class() -> None:
    assert score("log_loss", [0, 1], [[0.5, 0.5], [0.75, 0.25]]) == pytest.approx((log(2) + log(4)) / 2)
    assert score("log_loss", [1], [[0.0, 1.0]]) == 0


def test_log_loss_is_finite_and_large_where_the_true_class_was_ruled_out() -> None:
    worst = score("log_loss", [0], [[0.0, 1.0]])
    assert 30 < worst < 40


def test_mse_is_the_mean_of_squared_errors() -> None:
    assert score("mse", [1.0, 2.0, 3.0], [1.0, 4.0, 2.0]) == pytest.approx(5 / 3)


def test_r2_is_one_when_perfect_and_nothing_for_the_mean() -> None:
    assert score("r2", [1.0, 2.0, 3.0], [1.0, 2.0, 3.0]) == 1
    assert score("r2", [1.0, 2.0, 3.0], [2.0, 2.0, 2.0]) == 0
    assert score("r2", [1.0, 2.0, 3.0], [1.0, 2.0, 5.0]) == -1


@pytest.mark.parametrize("targets", [[1.0], [2.0, 2.0], [0.1, 0.1, 0.1], [1e-3] * 7])
def test_r2_of_one_sample_or_of_equal_targets_is_undefined(targets: list[float]) -> None:
    # The mean of three times 0.1 is not 0.1 in doubles, so the spread around it is not zero either.
    assert np.isnan(score("r2", targets, [t + 0.5 for t in targets]))


def test_roc_auc_is_the_share_of_pairs_in_the_right_order() -> None:
    assert score("roc_auc", [0, 0, 1, 1], positives(0.1, 0.4, 0.35, 0.8)) == 0.75
    assert score("roc_auc", [0, 1], positives(0.9, 0.2)) == 0


def test_roc_auc_counts_ties_half() -> None:
    assert score("roc_auc", [0, 1], positives(0.5, 0.5)) == 0.5
    assert score("roc_auc", [0, 0, 1], positives(0.2, 0.7, 0.7)) == 0.75


def test_roc_auc_of_one_class_is_undefined() -> None:
    assert np.isnan(score("roc_auc", [1, 1], positives(0.5, 0.6)))
    assert np.isnan(score("roc_auc", [2], [[0.2, 0.3, 0.5]]))


def test_roc_auc_of_many_classes_is_the_mean_over_those_that_occur() -> None:
    # Class 0 against the rest is perfect, class 1 the wrong way round, class 2 does not occur.
    assert score("roc_auc", [0, 1], [[0.9, 0.1, 0.0], [0.2, 0.0, 0.8]]) == 0.5


def test_f1_is_the_mean_over_the_classes_that_occur() -> None:
    # Class 0: 2 * 1 / (2 + 1); class 1: 2 * 1 / (1 + 2).
    assert score("f1", [0, 0, 1], [0, 1, 1]) == pytest.approx(2 / 3)
    assert score("f1", [0, 0], [0, 5]) == pytest.approx((2 / 3 + 0) / 2)


@given(st.integers(2, 60), st.integers(0, 2**32 - 1))
def test_scores_are_those_of_scikit_learn(n: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    targets, labels = drawn("f1", n, rng)
    assert score("accuracy", targets, labels) == pytest.approx(reference.accuracy_score(targets, labels))
    assert score("f1", targets, labels) == pytest.approx(
        reference.f1_score(targets, labels, average="macro", zero_division=0)
    )
    values, predicted = drawn("r2", n, rng)
    assert score("r2", values, predicted) == pytest.approx(reference.r2_score(values, predicted))
    assert score("mse", values, predicted) == pytest.approx(reference.mean_squared_error(values, predicted))
    binary = rng.integers(2, size=n)
    binary[:2] = 0, 1
    chances = rng.random(n).round(1)
    ours = score("roc_auc", binary, np.column_stack([1 - chances, chances]))
    assert ours == pytest.approx(reference.roc_auc_score(binary, chances))


# Many learners at once


@pytest.mark.parametrize("name", METRICS)
@given(sizes=st.lists(st.integers(0, 9), max_size=6), seed=st.integers(0, 2**32 - 1))
def test_learners_scored_together_get_the_scores_they_get_alone(name: str, sizes: list[int], seed: int) -> None:
    targets, predictions = drawn(name, sum(sizes), np.random.default_rng(seed))
    together = metric(name).score(targets, predictions, np.array(sizes, dtype=np.int64))
    starts = np.cumsum([0, *sizes])[:-1]
    alone = [score(name, targets[s : s + n], predictions[s : s + n]) for s, n in zip(starts, sizes, strict=True)]
    assert together.shape == (len(sizes),)
    # Votes are decided in single precision, so it's there that the scores have to agree.
    np.testing.assert_array_equal(together.astype(np.float32), np.array(alone, dtype=np.float32))


@pytest.mark.parametrize("name", METRICS)
def test_a_learner_without_samples_has_no_score_and_the_others_keep_theirs(name: str) -> None:
    targets, predictions = drawn(name, 12, np.random.default_rng(3))
    whole, padded = (metric(name).score(targets, predictions, np.array(sizes)) for sizes in ([6, 6], [0, 6, 0, 6, 0]))
    np.testing.assert_array_equal(padded, [nan, whole[0], nan, whole[1], nan])
    assert np.isfinite(whole).all()


@pytest.mark.parametrize("name", METRICS)
def test_learners_without_any_samples_have_no_scores(name: str) -> None:
    targets, predictions = drawn(name, 0, np.random.default_rng(3))
    np.testing.assert_array_equal(metric(name).score(targets, predictions, np.array([0, 0])), [nan, nan])


@pytest.mark.parametrize("name", [name for name, m in METRICS.items() if m.per_sample is not None])
@given(n=st.integers(1, 30), copies=st.integers(2, 4), seed=st.integers(0, 2**32 - 1))
def test_scores_are_averaged_over_samples_not_summed(name: str, n: int, copies: int, seed: int) -> None:
    targets, predictions = drawn(name, n, np.random.default_rng(seed))
    repeated = score(name, np.concatenate([targets] * copies), np.concatenate([predictions] * copies))
    assert repeated == pytest.approx(score(name, targets, predictions))


@pytest.mark.parametrize("name", ["log_loss", "mse", "r2", "roc_auc"])
def test_predictions_that_are_no_numbers_give_no_score(name: str) -> None:
    targets, predictions = drawn(name, 9, np.random.default_rng(3))
    assert np.isnan(score(name, targets, np.full_like(predictions, nan)))


@pytest.mark.parametrize("name", METRICS)
def test_a_perfect_prediction_scores_better_than_a_wrong_one(name: str) -> None:
    targets = np.array([0, 1, 2, 0, 1, 2])
    wrong = np.roll(targets, 1)
    needs = metric(name).needs
    best, worst = (np.eye(3)[p] if needs == "probabilities" else p for p in (targets, wrong))
    good, bad = score(name, targets, best), score(name, targets, worst)
    assert good > bad if metric(name).greater_is_better else good < bad


# Names


def test_every_metric_is_found_by_its_name() -> None:
    assert {name: metric(name).name for name in METRICS} == {name: name for name in METRICS}
    assert {name for name, m in METRICS.items() if not m.greater_is_better} == {"log_loss", "mse"}


def test_an_unknown_metric_is_an_error_that_lists_the_known_ones() -> None:
    with pytest.raises(ParameterError, match="unknown metric 'acuracy'") as caught:
        metric("acuracy")
    assert all(name in str(caught.value) for name in METRICS)


# Scores of all learners


def test_the_mean_over_learners_is_weighted_by_samples_and_leaves_out_who_gave_no_answer() -> None:
    assert weighted_mean(np.array([1.0, 0.0]), np.array([3, 1])) == 0.75
    assert weighted_mean(np.array([1.0, nan, np.inf, 9.0]), np.array([3, 5, 5, 0])) == 1
    assert np.isnan(weighted_mean(np.array([nan, 2.0]), np.array([5, 0])))


def test_scores_hand_out_one_learner_one_candidate_or_the_mean() -> None:
    values = np.array([[0.5, 1.0], [0.25, nan]], dtype=np.float32)
    scores = Scores(metric("accuracy"), values, np.array([1, 3]), {1: "asleep"})
    assert scores.score(1, 0) == Score(0.25, 3)
    second = scores.candidate(1)
    assert second.values.shape == (2, 1)
    assert (second.mean(), scores.mean(), second.reasons) == (1.0, 0.3125, {1: "asleep"})


@pytest.mark.parametrize(
    ("values", "samples", "complete"),
    [
        ([[1.0], [2.0]], [1, 1], True),
        ([[1.0], [nan]], [1, 1], False),
        ([[1.0], [np.inf]], [1, 1], False),
        ([[1.0], [2.0]], [1, 0], False),
    ],
)
def test_scores_are_complete_when_all_are_finite_and_come_from_samples(
    values: Any, samples: list[int], complete: bool
) -> None:
    assert Scores(metric("mse"), np.array(values, dtype=np.float32), np.array(samples)).complete is complete
