"""What each splitter promises beyond an exact partition, for whatever it's asked."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from colearn_core.by_column import Continuous, GroupedNatural, Natural, Time
from colearn_core.data import Dataset, Holdout, Samples, Task, partition, principal_component
from colearn_core.dealing import Indices, log_dirichlet, members_of
from colearn_core.errors import ParameterError, SplitError
from colearn_core.feature_skew import FeatureNoise
from colearn_core.label_skew import Distribution, GammaSimilarity, Pathological, Stratified
from colearn_core.quantity_skew import LAWS, Quantity
from colearn_core.splitting import Dirichlet, Iid, Splitter
from colearn_core.streams import Streams

Array = NDArray[Any]
SEEDS = st.integers(0, 2**32 - 1)
UNHURRIED = settings(deadline=None)
TINY_TO_HUGE = st.floats(5e-324, 1.7e308)


@st.composite
def requests(draw: st.DrawFn, most_classes: int = 12) -> tuple[Array, int]:
    """Labels, of classes that may be very unequal, and a number of learners."""
    n = draw(st.integers(1, 120))
    rng = np.random.default_rng(draw(SEEDS))
    classes = draw(st.integers(1, most_classes))
    shares = rng.dirichlet(np.full(classes, draw(st.sampled_from([0.2, 100.0]))))
    return rng.choice(classes, size=n, p=shares) * draw(st.sampled_from([1, 7])), draw(st.integers(1, n))


def split(splitter: Splitter, labels: Array, parts: int, seed: int = 0) -> list[Indices]:
    """The parts, after a look at what holds for every splitter."""
    found = splitter.split(labels, parts, np.random.default_rng(seed))
    assert len(found) == parts
    assert min(map(len, found)) >= 1
    np.testing.assert_array_equal(np.sort(np.concatenate(found)), np.arange(len(labels)))
    again = splitter.split(labels, parts, np.random.default_rng(seed))
    assert [part.tolist() for part in found] == [part.tolist() for part in again]
    return found


def sizes_of(found: list[Indices]) -> list[int]:
    return [len(part) for part in found]


def counts_of(found: list[Indices], labels: Array) -> Array:
    """Samples by part and class."""
    classes = np.unique(labels)
    return np.array([[(labels[part] == c).sum() for c in classes] for part in found])


def spread(numbers: Any) -> int:
    return int(max(numbers) - min(numbers))


# Dirichlet


@UNHURRIED
@given(requests(), SEEDS, TINY_TO_HUGE)
@example((np.arange(40) % 8, 7), 0, 5e-324)
@example((np.arange(40) % 8, 7), 0, 1.7e308)
@example((np.zeros(40), 40), 0, 1e-300)
def test_a_balanced_dirichlet_split_gives_equal_parts_at_any_concentration(
    request: tuple[Array, int], seed: int, alpha: float
) -> None:
    assert spread(sizes_of(split(Dirichlet(alpha, balanced=True), *request, seed))) <= 1


@UNHURRIED
@given(requests(), SEEDS, TINY_TO_HUGE, st.booleans(), st.data())
def test_shares_of_a_dirichlet_split_may_be_anything(
    request: tuple[Array, int], seed: int, alpha: float, balanced: bool, data: st.DataObject
) -> None:
    labels, parts = request
    shares = tuple(data.draw(st.lists(st.floats(1e-3, 1e3), min_size=parts, max_size=parts)))
    exact = np.array(shares) / sum(shares) * len(labels)
    if balanced:
        assume(exact.min() >= 1.01)
    found = split(Dirichlet(alpha, balanced=balanced, shares=shares), labels, parts, seed)
    if balanced:
        assert np.abs(sizes_of(found) - exact).max() < 1.01


def test_shares_are_the_expected_sizes_of_a_dirichlet_split() -> None:
    labels = np.arange(6000) % 100
    sizes = np.array([sizes_of(split(Dirichlet(0.5, shares=(1, 2, 3)), labels, 3, seed)) for seed in range(10)])
    np.testing.assert_allclose(sizes.mean(axis=0) / 1000, [1, 2, 3], atol=0.25)


def test_a_balanced_dirichlet_split_is_as_skewed_as_alpha_says() -> None:
    labels = np.arange(5000) % 10

    def skew(alpha: float) -> float:
        found = split(Dirichlet(alpha, balanced=True), labels, 10)
        return float((counts_of(found, labels).max(axis=1) / 500).mean())

    assert skew(1e12) < 0.13
    assert 0.11 < skew(100) < 0.2 < skew(0.5) < skew(0.05)
    assert skew(0.05) > 0.6


def test_a_dirichlet_split_with_shares_too_small_for_a_sample_says_whose() -> None:
    with pytest.raises(SplitError, match="learner 1 has 0 samples"):
        Dirichlet(balanced=True, shares=(1, 1e-9)).split(np.zeros(10), 2, np.random.default_rng(0))
    with pytest.raises(SplitError, match="3 learners need as many shares, not 2"):
        Dirichlet(shares=(1, 2)).split(np.zeros(10), 3, np.random.default_rng(0))
    with pytest.raises(ParameterError, match="shares must be positive"):
        Dirichlet(shares=(1, 0))


@UNHURRIED
@given(TINY_TO_HUGE, st.lists(st.floats(1e-300, 1e6), min_size=1, max_size=9), SEEDS)
def test_a_dirichlet_draw_is_never_nan_and_its_largest_share_is_one(
    alpha: float, prior: list[float], seed: int
) -> None:
    logs = log_dirichlet(alpha, np.array([1.0, *prior]), np.random.default_rng(seed))
    assert not np.isnan(logs).any()
    assert logs.max() == 0


def test_dirichlet_draws_have_the_moments_of_the_distribution() -> None:
    rng = np.random.default_rng(0)
    alpha = 0.3 * np.array([1.0, 2.0, 3.0])
    draws = np.exp([log_dirichlet(0.3, np.array([1.0, 2.0, 3.0]), rng) for _ in range(20_000)])
    draws /= draws.sum(axis=1, keepdims=True)
    mean = alpha / alpha.sum()
    np.testing.assert_allclose(draws.mean(axis=0), mean, atol=0.01)
    np.testing.assert_allclose(draws.var(axis=0), mean * (1 - mean) / (alpha.sum() + 1), atol=0.01)


# Stratified


@given(requests(), SEEDS)
def test_stratified_parts_differ_by_one_in_size_and_in_each_class(request: tuple[Array, int], seed: int) -> None:
    found = split(Stratified(), *request, seed)
    assert spread(sizes_of(found)) <= 1
    assert np.ptp(counts_of(found, request[0]), axis=0).max() <= 1


# Pathological


@UNHURRIED
@given(requests(), st.integers(1, 6), SEEDS)
def test_each_learner_has_exactly_the_number_of_classes_or_it_is_impossible(
    request: tuple[Array, int], k: int, seed: int
) -> None:
    labels, parts = request
    sizes = [len(m) for m in members_of(labels)]
    possible = k <= len(sizes) <= parts * k <= sum(min(size, parts) for size in sizes)
    if not possible:
        with pytest.raises(SplitError, match=r"\d"):
            split(Pathological(k), labels, parts, seed)
        return
    found = split(Pathological(k), labels, parts, seed)
    assert {int(n) for n in (counts_of(found, labels) > 0).sum(axis=1)} == {k}


def test_a_class_is_divided_equally_among_its_learners() -> None:
    labels = np.arange(1000) % 10
    counts = counts_of(split(Pathological(3), labels, 10), labels)
    assert all(spread(column[column > 0]) <= 1 for column in counts.T)
    assert (counts > 0).sum(axis=0).tolist() == [3] * 10


def test_larger_classes_go_to_more_learners() -> None:
    labels = np.repeat([0, 1, 2], [600, 300, 100])
    owners = (counts_of(split(Pathological(1), labels, 10), labels) > 0).sum(axis=0)
    assert owners.tolist() == [6, 3, 1]


def test_pairs_of_classes_are_drawn_at_random() -> None:
    labels = np.arange(1000) % 10
    pairs = set()
    for seed in range(60):
        counts = counts_of(split(Pathological(2), labels, 10, seed), labels)
        pairs |= {tuple(np.flatnonzero(row)) for row in counts}
    assert len(pairs) == 45


@pytest.mark.parametrize(
    ("k", "parts", "said"),
    [
        (11, 20, "can't have 11 classes each: the data have 10"),
        (2, 4, "4 learners with 2 classes each hold 8 of 10 classes\nTake classes = 3 or more"),
        (3, 10, r"need 30 shares in classes; the data have 21, .* \(one has 1 samples\)"),
    ],
)
def test_impossible_numbers_of_classes_are_refused_with_what_is_possible(k: int, parts: int, said: str) -> None:
    labels = np.repeat([0, 1, 2], [90, 50, 1]) if k == 3 else np.arange(90) % 10
    with pytest.raises(SplitError, match=said):
        split(Pathological(k), labels, parts)


# Gamma similarity


@given(requests(), st.floats(0, 1), SEEDS)
def test_gamma_similarity_gives_equal_parts(request: tuple[Array, int], gamma: float, seed: int) -> None:
    assert spread(sizes_of(split(GammaSimilarity(gamma), *request, seed))) <= 1


def test_gamma_is_the_share_that_is_alike() -> None:
    labels = np.random.default_rng(0).permutation(np.arange(10_000) % 10)
    for gamma in (0.0, 0.25, 0.5, 0.9, 1.0):
        counts = counts_of(split(GammaSimilarity(gamma), labels, 10), labels)
        own = np.diag(counts) / 1000  # learner i has the i-th block of sorted samples
        np.testing.assert_allclose(own, gamma / 10 + 1 - gamma, atol=0.06)


# Distribution


def test_a_table_says_who_has_which_share_of_a_class() -> None:
    labels = np.arange(300) % 3
    table = ((1.0, 0.0, 5.0), (3.0, 1.0, 5.0))
    assert counts_of(split(Distribution(table), labels, 2), labels).tolist() == [[25, 0, 50], [75, 100, 50]]


@pytest.mark.parametrize("table", [(), ((),), ((1, 2), (1,)), ((1, -1), (1, 2)), ((0, 1), (0, 1)), ((1, np.nan),)])
def test_a_table_that_makes_no_shares_is_refused(table: Any) -> None:
    with pytest.raises(ParameterError, match="table must have"):
        Distribution(table)


def test_a_table_of_another_size_or_with_an_idle_learner_is_refused() -> None:
    with pytest.raises(SplitError, match=r"3 learners and 2 classes need a table .* not 2 × 2"):
        split(Distribution(((1, 1), (1, 1))), np.arange(10) % 2, 3)
    with pytest.raises(SplitError, match="by row 1 of the table"):
        split(Distribution(((1, 1), (0, 1e-9))), np.arange(10) % 2, 2)


# Quantity


@UNHURRIED
@given(requests(), st.sampled_from(sorted(LAWS)), st.just(0.0) | TINY_TO_HUGE, st.booleans(), SEEDS)
def test_sizes_follow_any_law_at_any_strength(
    request: tuple[Array, int], law: Any, strength: float, per_class: bool, seed: int
) -> None:
    split(Quantity(law, strength, per_class=per_class), *request, seed)


@pytest.mark.parametrize(
    ("law", "strength", "sizes"),
    [
        ("linear", 1.0, [100, 200, 300, 400]),
        ("square", 1.0, [33, 133, 300, 534]),
        ("polynomial", 2.0, [33, 133, 300, 534]),
        ("exponential", 1.0, [32, 87, 237, 644]),
        ("exponential", 2.0, [2, 16, 117, 865]),
        ("power", 1.0, [120, 160, 240, 480]),
        ("power", 0.0, [250] * 4),
        ("log_normal", 0.0, [250] * 4),
        ("dirichlet", 0.0, [250] * 4),
    ],
)
def test_the_laws_give_the_sizes_of_their_formulas(law: Any, strength: float, sizes: list[int]) -> None:
    # exp(i) / sum(exp(1), ..., exp(4)) is .0321, .0871, .2369, .6439; exp(2 i): .0021, .0158, .1170, .8650
    assert np.abs(np.array(sizes_of(split(Quantity(law, strength), np.zeros(1000), 4))) - sizes).max() <= 1


def test_drawn_sizes_have_the_spread_that_the_strength_says() -> None:
    labels = np.zeros(10_000_00)
    logs = np.log(sizes_of(split(Quantity("log_normal", 0.7), labels, 400)))
    assert 0.6 < logs.std() < 0.8
    shares = np.array(sizes_of(split(Quantity("dirichlet", 2.0), labels, 400))) / len(labels)
    # A share of Dir(1/2, ..., 1/2) has about the mean 1/N and the deviation sqrt(2)/N.
    assert 1.2 < shares.std() * 400 < 1.7


def test_each_class_can_be_dealt_by_the_law_in_an_order_of_its_own() -> None:
    labels = np.arange(2000) % 4
    counts = counts_of(split(Quantity("linear", per_class=True), labels, 4, seed=1), labels)
    assert np.sort(counts, axis=0).tolist() == [[50] * 4, [100] * 4, [150] * 4, [200] * 4]
    assert len({tuple(column) for column in counts.T}) > 1


def test_the_minimum_is_kept_where_the_law_gives_nothing() -> None:
    sizes = sizes_of(split(Quantity("exponential", 50.0, min_samples=3), np.zeros(100), 10))
    assert sizes[:9] == [3] * 9


@pytest.mark.parametrize("bad", [{"law": "cubic"}, {"strength": -1.0}, {"strength": np.inf}, {"min_samples": 0}])
def test_quantities_out_of_bounds_are_refused(bad: Any) -> None:
    with pytest.raises(ParameterError, match=next(iter(bad))):
        Quantity(**bad)


# By a column


@given(st.integers(1, 12), SEEDS)
def test_natural_parts_are_the_values_of_a_column_in_order(values: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    sites = rng.permutation(np.concatenate([np.arange(values), rng.integers(values, size=50)]))
    names = np.array([f"site {site:02}" for site in sites])
    found = split(Natural("site"), names, values, seed)
    assert [set(names[part]) for part in found] == [{f"site {i:02}"} for i in range(values)]


def test_natural_tells_how_many_learners_it_needs() -> None:
    sites = np.array(["a", "b", "c", "d"] * 5)
    with pytest.raises(
        SplitError, match=r"the column 'site' has 4 values.*3 learners\nTake --learners 4, or .*grouped"
    ):
        Natural("site").split(sites, 3, np.random.default_rng(0))
    with pytest.raises(SplitError, match=r"'site' has 4 values, too few for 5 learners\nTake --learners 4 or fewer"):
        GroupedNatural("site").split(sites, 5, np.random.default_rng(0))


@UNHURRIED
@given(requests(), SEEDS)
def test_groups_stay_whole_and_parts_are_balanced(request: tuple[Array, int], seed: int) -> None:
    labels, parts = request
    groups = members_of(labels)
    assume(len(groups) >= parts)
    found = split(GroupedNatural("patient"), labels, parts, seed)
    owners = (counts_of(found, labels) > 0).sum(axis=0)
    assert set(owners.tolist()) == {1}
    # What makes LPT good: the last group that a learner got went to it because nobody had less.
    smallest = min(sizes_of(found))
    for part, row in zip(found, counts_of(found, labels), strict=True):
        assert len(part) - smallest <= row[row > 0].min() or (row > 0).sum() == 1


def test_groups_are_balanced_as_well_as_they_can_be() -> None:
    groups = np.repeat(np.arange(6), [7, 6, 5, 4, 3, 2])
    assert sizes_of(split(GroupedNatural("patient"), groups, 3)) == [9, 9, 9]


@given(requests(), SEEDS)
def test_time_gives_consecutive_parts(request: tuple[Array, int], seed: int) -> None:
    times, parts = request
    found = split(Time("when"), times, parts, seed)
    assert spread(sizes_of(found)) <= 1
    assert all(times[a].max() <= times[b].min() for a, b in pairwise(found))


def test_time_sorts_dates_and_keeps_the_order_of_equal_ones() -> None:
    dates = np.array(["2026-03-01", "2026-01-01", "2026-03-01", "2026-02-01"], dtype="datetime64[D]")
    assert [part.tolist() for part in split(Time("when"), dates, 2)] == [[1, 3], [0, 2]]


@given(requests(), st.floats(0, 1), SEEDS)
def test_continuous_gives_equal_parts(request: tuple[Array, int], correlation: float, seed: int) -> None:
    assert spread(sizes_of(split(Continuous("age", correlation), *request, seed))) <= 1


def test_the_order_of_samples_correlates_with_the_column_as_strongly_as_asked() -> None:
    values = np.random.default_rng(77).lognormal(sigma=3, size=20_000)
    ranks = np.argsort(np.argsort(values))
    for r in (0.0, 0.3, 0.7, 0.95, 1.0):
        found = split(Continuous("price", r), values, 1000)
        place = np.empty(len(values))
        for i, part in enumerate(found):
            place[part] = i
        assert abs(np.corrcoef(place, ranks)[0, 1] - r) < 0.03


def test_a_column_without_differences_makes_an_even_split() -> None:
    assert spread(sizes_of(split(Continuous("age", 1.0), np.zeros(100), 7))) <= 1


@pytest.mark.parametrize("splitter", [Natural("c"), GroupedNatural("c"), Time("c"), Continuous("c")], ids=repr)
@pytest.mark.parametrize(
    "values", [np.array([1, np.nan, 3, np.nan]), np.array(["2026-01-01", "NaT", "2026-01-03", "NaT"], "M8[D]")]
)
def test_missing_values_are_counted_and_located(splitter: Splitter, values: Array) -> None:
    with pytest.raises(SplitError, match="the column 'c' has no value in 2 of 4 rows, the first is row 2"):
        splitter.split(values, 2, np.random.default_rng(0))


def test_text_is_no_quantity_and_empty_text_no_value() -> None:
    with pytest.raises(SplitError, match="'c' holds text, such as 'a'"):
        Continuous("c").split(np.array(["a", "b"]), 2, np.random.default_rng(0))
    with pytest.raises(SplitError, match="no value in 1 of 2 rows"):
        Natural("c").split(np.array(["a", ""]), 2, np.random.default_rng(0))


@pytest.mark.parametrize("bad", [-0.1, 1.1, np.nan])
def test_shares_beyond_0_and_1_are_refused(bad: float) -> None:
    with pytest.raises(ParameterError, match="correlation must be between 0 and 1"):
        Continuous("c", bad)
    with pytest.raises(ParameterError, match="gamma must be between 0 and 1"):
        GammaSimilarity(bad)


# Columns of a data set


def visits(**columns: Array) -> Dataset:
    x = np.column_stack([np.arange(60.0), np.random.default_rng(0).normal(size=60)])
    return Dataset("visits", Samples(x, np.arange(60) % 3), Task(("a", "b", "c"), ("age", "dose")), columns=columns)


def test_a_splitter_gets_the_column_that_it_names() -> None:
    data = visits(site=np.repeat(["north", "south"], 30))
    one, two = partition(data, Natural("site"), 2, Holdout(0, 0), Streams(0))
    assert one.train.x[:, 0].max() == 29
    assert two.train.x[:, 0].min() == 30
    old, young = partition(data, Time("age"), 2, Holdout(0, 0), Streams(0))
    assert old.train.x[:, 0].max() < young.train.x[:, 0].min()


@pytest.mark.parametrize(
    "splitter",
    [Dirichlet(0.1, column="site"), Stratified("site"), Pathological(1, "site"), GammaSimilarity(0.0, "site")],
    ids=repr,
)
def test_label_skew_can_go_by_a_column_instead_of_the_class(splitter: Splitter) -> None:
    data = visits(site=np.repeat(["north", "south"], 30))
    by_class = [p.train.y.tolist() for p in partition(data, type(splitter)(), 2, Holdout(0, 0), Streams(0))]
    parts = partition(data, splitter, 2, Holdout(0, 0), Streams(0))
    assert [p.train.y.tolist() for p in parts] != by_class


def test_an_unknown_column_is_refused_with_the_known_ones() -> None:
    with pytest.raises(ParameterError) as refusal:
        partition(visits(site=np.zeros(60)), Natural("sight"), 2, Holdout(), Streams(0))
    assert str(refusal.value) == (
        "data set 'visits' has no column 'sight'\nDid you mean 'site'? "
        "Columns: 'site', 'age', 'dose'; all data have 'target', 'row', 'principal component'."
    )


def test_a_column_of_another_length_is_refused() -> None:
    with pytest.raises(Exception, match=r"has 60 samples, its column 'site' the shape \(59,\)"):
        visits(site=np.zeros(59))


def test_every_data_set_has_target_row_and_principal_component() -> None:
    rng = np.random.default_rng(1)
    hidden = rng.normal(size=200)
    x = ((hidden[:, None] + 0.05 * rng.normal(size=(200, 3))) * [1.0, 500.0, 0.01]).reshape(200, 3, 1)
    data = Dataset("d", Samples(x, np.arange(200.0)), Task())
    assert data.column("target").tolist() == data.column("row").tolist() == list(range(200))
    assert np.corrcoef(data.column("principal component"), hidden)[0, 1] > 0.99
    with_gaps = np.where(rng.random(x.shape) < 0.1, np.nan, x)
    assert np.corrcoef(principal_component(with_gaps), hidden)[0, 1] > 0.9
    assert principal_component(np.ones((5, 2))).tolist() == [0] * 5


# Features through noise


def test_noise_grows_from_learner_to_learner_in_units_of_each_features_deviation() -> None:
    rng = np.random.default_rng(0)
    x = rng.normal(size=(8000, 3)) * [1.0, 1000.0, 0.0] + [0, 0, 5.0]
    data = Dataset("d", Samples(x, np.arange(8000.0)), Task())
    plain, noisy = (partition(data, s, 4, Holdout(), Streams(3)) for s in (Iid(), FeatureNoise(2.0)))
    for i, (before, after) in enumerate(zip(plain, noisy, strict=True)):
        np.testing.assert_array_equal(before.train.y, after.train.y)
        for one, other in ((before.train, after.train), (before.vote, after.vote), (before.test, after.test)):
            deviations = (other.x - one.x).std(axis=0)
            np.testing.assert_allclose(deviations, 2.0 * (i + 1) / 4 * np.array([1, 1000, 0]), rtol=0.12)


def test_noise_can_be_absolute_as_in_its_source() -> None:
    x = np.zeros((4000, 2), dtype=np.float32)
    altered = FeatureNoise(0.4, relative=False).alter(Samples(x, np.zeros(4000)), 0, 4, np.random.default_rng(0))
    assert altered.x.dtype == np.float32
    assert abs(altered.x.std() - 0.1) < 0.005
    assert not x.any()


def test_noise_leaves_gaps_and_makes_numbers_of_counts() -> None:
    x = np.array([[1.0, np.nan], [2.0, np.nan], [4.0, np.nan]])
    found = FeatureNoise(1.0).alter(Samples(x, np.zeros(3)), 1, 2, np.random.default_rng(0)).x
    assert np.isnan(found[:, 1]).all()
    assert np.isfinite(found[:, 0]).all()
    counts = Samples(np.array([[1, 9], [200, 7]], dtype=np.uint8), np.zeros(2))
    assert FeatureNoise(1.0).alter(counts, 1, 2, np.random.default_rng(0)).x.dtype == np.float32


def test_noise_on_codes_of_categories_is_refused() -> None:
    samples = Samples(np.tile([[0.5, 2.0], [0.1, 0.0]], (10, 1)), np.arange(20) % 2)
    data = Dataset("d", samples, Task(("a", "b"), ("size", "colour"), (1,)))
    with pytest.raises(SplitError, match=r"alters codes of categories.*\n.*one_hot"):
        partition(data, FeatureNoise(), 2, Holdout(), Streams(0))


class Flipping(Iid):
    def alter(self, samples: Samples, learner: int, learners: int, rng: np.random.Generator) -> Samples:
        return Samples(samples.x, 1 - samples.y)


def test_a_splitter_that_alters_targets_is_refused() -> None:
    with pytest.raises(SplitError, match="alters more than the features of learner 0"):
        partition(visits(), Flipping(), 2, Holdout(), Streams(0))


@pytest.mark.parametrize("strength", [-1.0, np.nan, np.inf])
def test_a_strength_that_is_no_number_is_refused(strength: float) -> None:
    with pytest.raises(ParameterError, match="strength"):
        FeatureNoise(strength)


def test_noise_too_strong_for_the_features_is_refused() -> None:
    samples = Samples(np.ones((3, 2), dtype=np.float32), np.zeros(3))
    with pytest.raises(SplitError, match=r"strength 1e\+300 is too much"):
        FeatureNoise(1e300, relative=False).alter(samples, 1, 2, np.random.default_rng(0))
