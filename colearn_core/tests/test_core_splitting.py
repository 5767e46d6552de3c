"""Splitters and what becomes of their parts: exact, deterministic, and honest about what is impossible."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from colearn_core.data import Dataset, Holdout, PrivateData, Samples, Task, Transform, partition
from colearn_core.dealing import apportion
from colearn_core.errors import DataError, ParameterError, SplitError
from colearn_core.splitting import Dirichlet, Fractions, Iid, Indices, Shards, Splitter
from colearn_core.streams import Streams

Array = NDArray[Any]
SEEDS = st.integers(0, 2**32 - 1)
UNHURRIED = settings(deadline=None)


@st.composite
def requests(draw: st.DrawFn, least: int = 1) -> tuple[Array, int]:
    """Labels, and a number of learners that can have ``least`` samples each."""
    n = draw(st.integers(least, 120))
    classes = draw(st.integers(1, 12))
    labels = np.random.default_rng(draw(SEEDS)).integers(classes, size=n)
    return labels, draw(st.integers(1, n // least))


def split(splitter: Splitter, labels: Array, parts: int, seed: int = 0) -> list[Indices]:
    return splitter.split(labels, parts, np.random.default_rng(seed))


def assert_exact(found: list[Indices], samples: int, parts: int, least: int = 1) -> None:
    assert len(found) == parts
    assert min(map(len, found)) >= least
    np.testing.assert_array_equal(np.sort(np.concatenate(found)), np.arange(samples))


def check(splitter: Splitter, labels: Array, parts: int, seed: int, least: int = 1) -> list[Indices]:
    """The parts, after a look at what holds for every splitter."""
    before = labels.copy()
    found = split(splitter, labels, parts, seed)
    assert_exact(found, len(labels), parts, least)
    np.testing.assert_array_equal(labels, before)
    again = split(splitter, labels, parts, seed)
    for one, other in zip(found, again, strict=True):
        np.testing.assert_array_equal(one, other)
    return found


def classes_in(found: list[Indices], labels: Array) -> list[int]:
    return [len(np.unique(labels[part])) for part in found]


# Every splitter


@given(requests(), SEEDS)
def test_iid_gives_exact_parts_whose_sizes_differ_by_one_at_most(request: tuple[Array, int], seed: int) -> None:
    sizes = [len(part) for part in check(Iid(), *request, seed)]
    assert max(sizes) - min(sizes) <= 1


@UNHURRIED
@given(requests(), SEEDS, st.floats(1e-300, 1e300))
@example((np.zeros(40, dtype=np.int64), 40), 0, 1e-300)
@example((np.arange(40), 40), 0, 1e300)
@example((np.arange(40), 7), 0, 5e-324)
@example((np.arange(40), 7), 0, 1.7e308)
def test_dirichlet_gives_exact_parts_at_any_concentration(request: tuple[Array, int], seed: int, alpha: float) -> None:
    check(Dirichlet(alpha), *request, seed)


@UNHURRIED
@given(st.data(), st.integers(1, 6), st.floats(1e-3, 10), SEEDS)
def test_dirichlet_gives_no_learner_fewer_than_the_minimum(
    data: st.DataObject, least: int, alpha: float, seed: int
) -> None:
    labels, parts = data.draw(requests(least))
    check(Dirichlet(alpha, min_samples=least), labels, parts, seed, least)


@given(st.data(), st.integers(1, 4), SEEDS)
def test_shards_give_exact_parts(data: st.DataObject, per_learner: int, seed: int) -> None:
    labels, parts = data.draw(requests(per_learner))
    check(Shards(per_learner), labels, parts, seed, per_learner)


@given(st.lists(st.floats(0.01, 100), min_size=1, max_size=12), st.integers(1, 2000), SEEDS)
def test_fractions_give_exact_parts_of_the_right_sizes(shares: list[float], samples: int, seed: int) -> None:
    exact = np.array(shares) / sum(shares) * samples
    assume(exact.min() >= 1.001)
    found = check(Fractions(tuple(shares)), np.zeros(samples), len(shares), seed)
    assert np.abs([len(part) for part in found] - exact).max() < 1.001


@pytest.mark.parametrize("splitter", [Iid(), Dirichlet(), Shards(), Fractions((1, 1, 1))], ids=repr)
def test_another_seed_gives_other_parts(splitter: Splitter) -> None:
    labels = np.arange(90) % 3
    one, two = (np.concatenate(split(splitter, labels, 3, seed)) for seed in (1, 2))
    assert not np.array_equal(one, two)


@pytest.mark.parametrize("splitter", [Iid(), Dirichlet(), Shards(1), Fractions((1,) * 5)], ids=repr)
@pytest.mark.parametrize(("samples", "parts"), [(3, 5), (0, 1), (3, 0), (3, -1)])
def test_parts_that_cannot_be_are_refused(splitter: Splitter, samples: int, parts: int) -> None:
    with pytest.raises(SplitError, match=str(parts)):
        split(splitter, np.zeros(samples), parts)


@pytest.mark.parametrize(
    ("splitter", "needed"), [(Dirichlet(min_samples=4), 12), (Shards(5), 15)], ids=["dirichlet", "shards"]
)
def test_the_refusal_says_how_many_samples_it_takes(splitter: Splitter, needed: int) -> None:
    message = f"3 learners need at least {needed} samples, the data set has 11"
    with pytest.raises(SplitError, match=f"{message}\nTake fewer learners or more data"):
        split(splitter, np.zeros(11), 3)
    assert_exact(split(splitter, np.zeros(needed), 3), needed, 3, needed // 3)


# Fractions


def test_tenths_of_1797_samples_lose_none() -> None:
    found = split(Fractions((0.1,) * 10), np.zeros(1797), 10)
    assert_exact(found, 1797, 10)
    assert sorted(len(part) for part in found) == [179] * 3 + [180] * 7


def test_shares_are_relative() -> None:
    sizes = [[len(p) for p in split(Fractions(s), np.zeros(100), 3)] for s in ((1, 2, 1), (0.25, 0.5, 0.25))]
    assert sizes == [[25, 50, 25]] * 2


def test_shares_keep_their_proportions_however_large() -> None:
    assert [len(p) for p in split(Fractions((1e308, 1e308)), np.zeros(100), 2)] == [50, 50]


def test_a_share_too_small_for_a_single_sample_is_refused_by_name() -> None:
    with pytest.raises(SplitError, match=r"share 0\.001 of 100 samples leaves learner 1 without any"):
        split(Fractions((0.5, 0.001, 0.5)), np.zeros(100), 3)


def test_shares_for_another_number_of_learners_are_refused() -> None:
    with pytest.raises(SplitError, match="3 learners need as many shares, not 2"):
        split(Fractions((1, 1)), np.zeros(100), 3)


@given(st.lists(st.floats(1e-6, 1e6), min_size=1, max_size=50), st.integers(0, 10**6))
def test_apportioned_numbers_add_up_and_are_off_by_less_than_one(shares: list[float], total: int) -> None:
    whole = apportion(np.array(shares), total)
    assert whole.sum() == total
    assert whole.min() >= 0
    assert np.abs(whole - np.array(shares) / sum(shares) * total).max() < 1 + 1e-6


def test_the_largest_remainders_are_rounded_up_and_the_first_of_equals() -> None:
    assert apportion(np.array([0.45, 0.35, 0.2]), 11).tolist() == [5, 4, 2]
    assert apportion(np.ones(3), 2).tolist() == [1, 1, 0]


# Dirichlet


@pytest.mark.parametrize("alpha", [1e-300, 1e-3, 1.0, 1e300])
def test_dirichlet_serves_a_thousand_learners(alpha: float) -> None:
    labels = np.arange(3000) % 10
    assert_exact(split(Dirichlet(alpha), labels, 1000), 3000, 1000)
    assert_exact(split(Dirichlet(alpha, min_samples=3), labels, 1000), 3000, 1000, 3)


def test_a_vanishing_concentration_gives_each_class_to_one_learner() -> None:
    labels = np.arange(1000) % 4
    found = split(Dirichlet(1e-300), labels, 4, seed=5)
    owners = [sum((labels[part] == c).sum() > 10 for part in found) for c in range(4)]
    assert owners == [1, 1, 1, 1]


def test_a_huge_concentration_gives_each_learner_the_same_of_each_class() -> None:
    labels = np.arange(1000) % 4
    found = split(Dirichlet(1e12), labels, 5)
    assert all((labels[part] == c).sum() == 50 for part in found for c in range(4))


def test_the_smaller_the_concentration_the_stronger_the_skew() -> None:
    labels = np.arange(5000) % 10

    def skew(alpha: float) -> float:
        """How much of its commonest class the average learner has."""
        return float(np.mean([np.bincount(labels[p]).max() / len(p) for p in split(Dirichlet(alpha), labels, 10)]))

    assert skew(100) < 0.2 < skew(0.5) < skew(0.05)


# Shards


@pytest.mark.parametrize("per_learner", [1, 2, 5])
def test_shards_give_each_learner_few_classes(per_learner: int) -> None:
    labels = np.random.default_rng(0).permutation(np.arange(1000) % 10)
    found = split(Shards(per_learner), labels, 10)
    assert {len(part) for part in found} == {100}
    assert max(classes_in(found, labels)) <= per_learner
    assert max(classes_in(split(Iid(), labels, 10), labels)) == 10


# Parameters


@pytest.mark.parametrize("alpha", [0.0, -1.0, float("nan"), float("inf")])
def test_a_concentration_that_is_no_positive_number_is_refused(alpha: float) -> None:
    with pytest.raises(ParameterError, match="alpha"):
        Dirichlet(alpha)


def test_counts_below_one_are_refused() -> None:
    with pytest.raises(ParameterError, match="min_samples"):
        Dirichlet(min_samples=0)
    with pytest.raises(ParameterError, match="per_learner"):
        Shards(0)


@pytest.mark.parametrize("shares", [(), (1.0, 0.0), (1.0, -1.0), (float("nan"),), (float("inf"), 1.0)])
def test_shares_that_are_no_positive_numbers_are_refused(shares: tuple[float, ...]) -> None:
    with pytest.raises(ParameterError, match="shares must be positive"):
        Fractions(shares)


# From a data set to what each learner holds


def numbered(n: int, classes: int = 2, **options: Any) -> Dataset:
    """A data set whose only feature is the number of the sample."""
    task = Task(tuple(f"class {c}" for c in range(classes)))
    return Dataset("numbered", Samples(np.arange(n, dtype=float)[:, None], np.arange(n) % classes), task, **options)


def sizes_of(data: PrivateData) -> tuple[int, int, int]:
    return len(data.train), len(data.vote), len(data.test)


@given(st.data(), SEEDS)
def test_every_sample_goes_to_one_learner_for_one_purpose(data: st.DataObject, seed: int) -> None:
    n = data.draw(st.integers(1, 60))
    learners = data.draw(st.integers(1, n))
    vote = data.draw(st.floats(0, 0.5))
    holdout = Holdout(vote, data.draw(st.floats(0, 0.49)))
    parts = partition(numbered(n), Iid(), learners, holdout, Streams(seed))
    pooled = PrivateData.pooled(parts)
    together = Samples.joined([pooled.train, pooled.vote, pooled.test])
    np.testing.assert_array_equal(np.sort(together.x[:, 0]), np.arange(n))
    np.testing.assert_array_equal(together.x[:, 0] % 2, together.y)
    assert all(len(part.train) for part in parts)


def test_a_partition_depends_on_the_seed_alone() -> None:
    def held(seed: int) -> list[list[float]]:
        parts = partition(numbered(60), Dirichlet(0.5), 4, Holdout(), Streams(seed))
        return [s.x[:, 0].tolist() for part in parts for s in (part.train, part.vote, part.test)]

    assert held(3) == held(3)
    assert held(3) != held(4)


def test_a_learner_divides_its_samples_by_its_own_stream() -> None:
    class Alternately(Splitter):
        def split(self, labels: Array, parts: int, rng: np.random.Generator) -> list[Indices]:
            return [np.arange(len(labels))[i::parts] for i in range(parts)]

    positions = [p.vote.x[:, 0] // 2 for p in partition(numbered(200), Alternately(), 2, Holdout(), Streams(0))]
    assert not np.array_equal(positions[0], positions[1])


@pytest.mark.parametrize(
    ("samples", "held"),
    [(1, (1, 0, 0)), (2, (1, 1, 0)), (3, (1, 1, 1)), (4, (2, 1, 1)), (20, (14, 3, 3)), (100, (70, 15, 15))],
)
def test_with_few_samples_training_comes_first_and_then_the_vote(samples: int, held: tuple[int, int, int]) -> None:
    (data,) = partition(numbered(samples), Iid(), 1, Holdout(), Streams(0))
    assert sizes_of(data) == held


def test_a_share_of_nothing_holds_nothing_out() -> None:
    (data,) = partition(numbered(10), Iid(), 1, Holdout(vote=0, test=0.2), Streams(0))
    assert sizes_of(data) == (8, 0, 2)


@pytest.mark.parametrize(("vote", "test"), [(0.5, 0.5), (-0.1, 0.1), (0.1, -0.1), (float("nan"), 0.1), (1.5, 0)])
def test_shares_that_leave_nothing_to_train_on_are_refused(vote: float, test: float) -> None:
    with pytest.raises(ParameterError, match="something to train on"):
        Holdout(vote, test)


@dataclass(frozen=True)
class Given(Splitter):
    """Returns these parts, whatever is asked."""

    parts: tuple[tuple[int, ...], ...]

    def split(self, labels: Array, parts: int, rng: np.random.Generator) -> list[Indices]:
        return [np.array(part, dtype=np.int64) for part in self.parts]


def test_a_splitter_of_ones_own_is_taken() -> None:
    one, two = partition(numbered(5), Given(((4, 0), (1, 2, 3))), 2, Holdout(0, 0), Streams(0))
    assert sorted(one.train.x[:, 0]) == [0, 4]
    assert sorted(two.train.x[:, 0]) == [1, 2, 3]


@pytest.mark.parametrize(
    "parts",
    [
        pytest.param(((0, 1), (2, 3)), id="loses"),
        pytest.param(((0, 1, 2), (2, 3, 4)), id="duplicates"),
        pytest.param(((0, 1, 2), (2, 3)), id="loses one and duplicates one"),
        pytest.param(((0, 1, 2, 3, 4), ()), id="leaves one empty"),
        pytest.param(((0, 1, 2, 3, 4),), id="too few"),
        pytest.param(((0,), (1, 2), (3, 4)), id="too many"),
        pytest.param((), id="none"),
        pytest.param(((0, 1), (2, 3, 5)), id="beyond the end"),
        pytest.param(((-1, 0), (1, 2, 3)), id="negative"),
    ],
)
def test_a_splitter_that_gives_no_exact_partition_is_refused_by_name(parts: tuple[tuple[int, ...], ...]) -> None:
    with pytest.raises(SplitError, match=r"Given\(.*no exact partition of 5 samples among 2 learners"):
        partition(numbered(5), Given(parts), 2, Holdout(), Streams(0))


@dataclass
class Centre:
    """Fits the mean of the training features; remembers what it was given."""

    seen: list[list[float]] = field(default_factory=list)

    def __call__(self, x: Array) -> Transform:
        self.seen.append(x[:, 0].tolist())
        centre = x.mean(axis=0)
        return lambda features: features - centre


def test_a_transform_is_fitted_on_the_learners_own_training_part_and_applied_to_all_three() -> None:
    fit = Centre()
    streams = Streams(2)
    raw = partition(numbered(40), Iid(), 3, Holdout(), streams)
    parts = partition(numbered(40, fit_transform=fit), Iid(), 3, Holdout(), streams)
    assert fit.seen == [part.train.x[:, 0].tolist() for part in raw]
    for before, after in zip(raw, parts, strict=True):
        centre = before.train.x.mean()
        for one, other in ((before.train, after.train), (before.vote, after.vote), (before.test, after.test)):
            np.testing.assert_allclose(other.x, one.x - centre)
            np.testing.assert_array_equal(other.y, one.y)


def test_a_learner_with_nothing_to_vote_on_is_transformed_all_the_same() -> None:
    (data,) = partition(numbered(1, fit_transform=Centre()), Iid(), 1, Holdout(), Streams(0))
    assert data.vote.x.shape == data.test.x.shape == (0, 1)


def test_labels_are_classes_or_deciles_of_the_target() -> None:
    assert numbered(5).labels().tolist() == [0, 1, 0, 1, 0]
    targets = np.random.default_rng(0).permutation(np.exp(np.arange(100.0) / 10))
    deciles = Dataset("prices", Samples(np.zeros((100, 1)), targets), Task()).labels()
    assert np.bincount(deciles).tolist() == [10] * 10
    assert all(targets[deciles == d].max() < targets[deciles == d + 1].min() for d in range(9))


def test_equal_targets_are_one_label() -> None:
    labels = Dataset("flat", Samples(np.zeros((8, 1)), np.full(8, 3.5)), Task()).labels()
    assert len(np.unique(labels)) == 1


def test_a_regression_data_set_is_split_by_its_target() -> None:
    dataset = Dataset("prices", Samples(np.zeros((200, 1)), np.arange(200.0)), Task())
    parts = partition(dataset, Shards(1), 10, Holdout(0, 0), Streams(0))
    assert sorted(float(np.ptp(part.train.y)) for part in parts) == [19.0] * 10


@pytest.mark.parametrize("y", [np.zeros(3), np.array([0.0, np.nan]), np.array([np.inf, 1.0])])
def test_a_data_set_with_targets_missing_is_refused_by_name(y: Array) -> None:
    with pytest.raises(DataError, match="data set 'broken' has"):
        Dataset("broken", Samples(np.zeros((2, 1)), y), Task())
    with pytest.raises(DataError, match="data set 'empty' has 0 rows"):
        Dataset("empty", Samples(np.zeros((0, 1)), np.zeros(0)), Task())
