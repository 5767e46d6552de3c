"""Robust means: what the inner products give is what loops over coordinates give."""

from __future__ import annotations

from collections.abc import Sequence
from math import hypot, inf, sqrt

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from colearn_core import merging
from colearn_core.errors import WeightsError
from colearn_core.weights import Weights, median, trimmed_mean

UNHURRIED = settings(deadline=None)
Point = list[float]

# Whole numbers, so that sums are exact and what is equal is equal.
POINTS = st.integers(1, 4).flatmap(
    lambda size: st.lists(
        st.lists(st.integers(-20, 20).map(float), min_size=size, max_size=size), min_size=1, max_size=8
    )
)


def model(point: Sequence[float], seen: int = 3) -> Weights:
    """A point in two arrays of different types, beside a counter and an array of integers."""
    return Weights(
        {
            "a": np.array(point[:1], dtype=np.float32),
            "b": np.array(point[1:], dtype=np.float64).reshape(-1, 1),
            "counter": np.array(1e6 * sum(point)),
            "seen": np.array([seen, 4]),
        }
    )


def models(points: Sequence[Point]) -> list[Weights]:
    return [model(p) for p in points]


def origin(points: Sequence[Point]) -> Weights:
    return model([0.0] * len(points[0]))


def products_of(points: Sequence[Point]) -> merging.Floats:
    return merging.inner_products(origin(points), models(points))


def point_of(weights: Weights) -> Point:
    return [*map(float, weights["a"]), *map(float, weights["b"][:, 0])]


def drawn(proposals: int, size: int = 5, seed: int = 0) -> list[Point]:
    return [[float(v) for v in row] for row in np.random.default_rng(seed).normal(size=(proposals, size))]


def distance(a: Sequence[float], b: Sequence[float]) -> float:
    return sqrt(sum((x - y) ** 2 for x, y in zip(a, b, strict=True)))


def at(points: Sequence[Point], shares: NDArray[np.float64]) -> Point:
    return [sum(float(s) * p[k] for s, p in zip(shares, points, strict=True)) for k in range(len(points[0]))]


def total_distance(points: Sequence[Point], to: Point) -> float:
    return sum(distance(p, to) for p in points)


# Inner products and distances


@UNHURRIED
@given(POINTS, st.integers(-5, 5))
def test_inner_products_are_those_of_the_changes_from_the_base(points: list[Point], start: int) -> None:
    base = [float(start + k) for k in range(len(points[0]))]
    found = merging.inner_products(model(base), models(points))
    expected = [[sum((p[k] - base[k]) * (q[k] - base[k]) for k in range(len(base))) for q in points] for p in points]
    np.testing.assert_array_equal(found, expected)


def test_inner_products_of_large_arrays_are_summed_over_all_of_their_parts() -> None:
    size = 2 * merging.COLUMNS + 3
    weights = [Weights({"w": np.arange(size, dtype=np.float32) % k}) for k in (2, 3)]
    found = merging.inner_products(Weights({"w": np.zeros(size, dtype=np.float32)}), weights)
    ones, both = size // 2, sum((i % 2) * (i % 3) for i in range(size))
    assert found.tolist() == [[ones, both], [both, sum((i % 3) ** 2 for i in range(size))]]


def test_single_numbers_count_only_where_there_is_nothing_else() -> None:
    one = Weights({"counter": np.array(5.0), "w": np.array([3.0, 4.0])})
    base = Weights({"counter": np.array(0.0), "w": np.zeros(2)})
    assert merging.inner_products(base, [one]).tolist() == [[25]]
    alone, start = (Weights({"counter": w["counter"]}) for w in (one, base))
    assert merging.inner_products(start, [alone]).tolist() == [[25]]


def test_a_counter_of_integers_may_differ_and_an_array_of_them_may_not() -> None:
    base, counted = (Weights({"n": np.array(n), "w": np.zeros(2)}) for n in (1, 2))
    assert merging.inner_products(base, [counted]).tolist() == [[0]]
    with pytest.raises(WeightsError, match=r"'seen' holds int\d+ values that differ"):
        merging.inner_products(model([1.0]), [model([1.0]), model([1.0], seen=8)])
    with pytest.raises(WeightsError, match="another model"):
        merging.inner_products(model([1.0]), [Weights({"w": np.zeros(1)})])


@UNHURRIED
@given(POINTS)
def test_lengths_and_distances_are_euclidean(points: list[Point]) -> None:
    products = products_of(points)
    zero = [0.0] * len(points[0])
    lengths = [distance(p, zero) for p in points]
    np.testing.assert_allclose(merging.lengths(products), lengths, rtol=1e-12)
    moved = sorted(n for n in lengths if n)
    expected = (moved[(len(moved) - 1) // 2] + moved[len(moved) // 2]) / 2 if moved else 0
    assert merging.median_length(products) == pytest.approx(expected)
    squares = [[distance(p, q) ** 2 for q in points] for p in points]
    np.testing.assert_allclose(merging.squared_distances(products), squares, rtol=1e-12)


def test_a_change_too_large_to_be_squared_is_infinitely_far_away() -> None:
    products = products_of([[0.0, 1.0], [0.0, 1e200], [0.0, -2.0]])
    assert merging.lengths(products).tolist() == [1, inf, 2]
    assert merging.squared_distances(products).tolist() == [[0, inf, 9], [inf, 0, inf], [9, inf, 0]]


# Krum


def krum_by_hand(points: Sequence[Point], liars: int) -> list[int]:
    scores = []
    for i, p in enumerate(points):
        others = sorted(round(distance(p, q) ** 2) for j, q in enumerate(points) if j != i)
        scores.append(sum(others[: max(len(points) - liars - 2, 1)]))
    return sorted(range(len(points)), key=lambda i: (scores[i], i))


@UNHURRIED
@given(POINTS, st.integers(0, 4))
def test_krum_orders_by_the_distances_to_the_nearest(points: list[Point], liars: int) -> None:
    assert merging.krum_order(products_of(points), liars) == krum_by_hand(points, liars)


def test_krum_puts_what_is_far_off_last() -> None:
    points = [[0.0, 0.0], [1e200, 0.0], [1.0, 0.0], [0.0, 1.0], [9.0, 9.0]]
    weights = [Weights({"w": np.array(p)}) for p in points]
    order = merging.krum_order(merging.inner_products(Weights({"w": np.zeros(2)}), weights), 2)
    assert order == [0, 2, 3, 4, 1]


# The geometric median


def weiszfeld_by_hand(points: Sequence[Point], steps: int = 3000) -> Point:
    at = [sum(p[k] for p in points) / len(points) for k in range(len(points[0]))]
    for _ in range(steps):
        pulls = [1 / max(distance(p, at), 1e-9) for p in points]
        at = [sum(w * p[k] for w, p in zip(pulls, points, strict=True)) / sum(pulls) for k in range(len(at))]
    return at


@pytest.mark.parametrize("proposals", [3, 4, 5, 8])
def test_the_geometric_median_is_that_of_many_steps_in_coordinates(proposals: int) -> None:
    points = drawn(proposals, seed=proposals)
    shares = merging.geometric_median(merging.inner_products(origin(points), models(points)))
    exact = [point_of(m) for m in models(points)]
    np.testing.assert_allclose(at(exact, shares), weiszfeld_by_hand(exact), atol=1e-5)


@UNHURRIED
@given(POINTS, st.integers(0, 1000))
def test_no_point_has_a_smaller_sum_of_distances_than_the_geometric_median(points: list[Point], seed: int) -> None:
    shares = merging.geometric_median(products_of(points))
    assert shares.sum() == pytest.approx(1)
    assert (shares >= 0).all()
    middle = at(points, shares)
    least, scale = total_distance(points, middle), max(map(max, [[abs(v) for v in p] for p in points])) + 1
    rng = np.random.default_rng(seed)
    near = [[v + float(d) for v, d in zip(middle, rng.normal(size=len(middle)), strict=True)] for _ in range(5)]
    mean = [sum(p[k] for p in points) / len(points) for k in range(len(middle))]
    for other in (*points, *near, mean, weiszfeld_by_hand(points, 100)):
        assert least <= total_distance(points, other) + 1e-2 * scale


def test_the_geometric_median_of_four_corners_is_where_the_diagonals_meet() -> None:
    points = [[0.0, 0.0], [4.0, 4.0], [0.0, 2.0], [2.0, 0.0]]
    np.testing.assert_allclose(at(points, merging.geometric_median(products_of(points))), [1, 1], atol=1e-5)


@pytest.mark.parametrize("far", [1e3, 1e9, 1e30, 1e200])
def test_a_minority_draws_the_geometric_median_only_so_far(far: float) -> None:
    honest = drawn(4, seed=2)
    lies = [[far] * 5, [far] * 4 + [2 * far], [far] * 5]
    points = [Weights({"w": np.array(p)}) for p in (*honest, *lies)]
    products = merging.inner_products(Weights({"w": np.zeros(5)}), points)
    shares = merging.geometric_median(products)
    widest = max(distance(p, q) for p in honest for q in honest)
    centre = [sum(p[k] for p in honest) / 4 for k in range(5)]
    assert distance(at([*honest, *lies], shares), centre) < 6 * widest


@pytest.mark.parametrize("unit", [1e-6, 1.0, 1e6])
def test_where_more_than_half_are_in_one_place_is_the_geometric_median(unit: float) -> None:
    points = [[unit, 2 * unit]] * 3 + [[5 * unit, unit], [1e30, 1e30]]
    weights = [Weights({"w": np.array(p)}) for p in points]
    shares = merging.geometric_median(merging.inner_products(Weights({"w": np.zeros(2)}), weights))
    assert at(points, shares) == pytest.approx(points[0], rel=1e-6)


def test_when_all_changes_are_too_large_they_share_equally() -> None:
    assert merging.geometric_median(np.full((3, 3), inf)).tolist() == [1 / 3] * 3


# Centred clipping


def clipped_by_hand(points: Sequence[Point], radius: float, steps: int) -> Point:
    v = [0.0] * len(points[0])
    for _ in range(steps):
        sums = [0.0] * len(v)
        for p in points:
            away = distance(p, v)
            factor = 1.0 if away <= radius else radius / away
            sums = [s + (x - y) * factor for s, x, y in zip(sums, p, v, strict=True)]
        v = [y + s / len(points) for y, s in zip(v, sums, strict=True)]
    return v


@UNHURRIED
@given(POINTS, st.floats(0.01, 100), st.integers(1, 6))
def test_centred_clipping_is_what_its_steps_in_coordinates_give(points: list[Point], radius: float, steps: int) -> None:
    shares = merging.centred_clipping(products_of(points), radius, steps)
    np.testing.assert_allclose(at(points, shares), clipped_by_hand(points, radius, steps), atol=1e-6)
    assert shares.min() >= 0
    assert shares.sum() <= 1 + 1e-12


def test_nobody_pulls_further_than_the_radius_in_a_step() -> None:
    points = [[0.0, 0.0], [0.0, 0.0], [0.0, 1e12], [0.0, 0.0]]
    shares = merging.centred_clipping(products_of(points), radius=2.0, steps=1)
    assert at(points, shares) == pytest.approx([0, 0.5])
    assert at(points, merging.centred_clipping(products_of(points), 2.0))[1] < 3 * 0.5


def test_clipping_with_a_wide_radius_is_the_mean() -> None:
    shares = merging.centred_clipping(products_of(drawn(4)), radius=1e6)
    np.testing.assert_allclose(shares, [0.25] * 4)


# From shares to weights


def test_shares_are_added_up_from_the_base_and_types_are_kept() -> None:
    points, base = drawn(3), [1.0, 2.0, 3.0, 4.0, 5.0]
    found = merging.combined(model(base), models(points), np.array([0.5, 0.0, 0.25]))
    expected = [b + 0.5 * (p - b) + 0.25 * (q - b) for b, p, q in zip(base, points[0], points[2], strict=True)]
    np.testing.assert_allclose(point_of(found), expected, rtol=1e-6)
    found.check_like(model(base))
    assert found["seen"].tolist() == [3, 4]


def test_what_all_hold_alike_stays_so_to_the_bit_where_shares_are_whole() -> None:
    same = 0.1 + 0.2
    weights = [Weights({"w": np.array([same, v])}) for v in (1.0, 2.0, 4.0)]
    found = merging.combined(Weights({"w": np.array([1e17, 0.0])}), weights, np.full(3, 1 / 3))
    assert found["w"][0] == same
    assert found["w"][1] == pytest.approx(7 / 3)


def test_no_shares_at_all_are_the_base() -> None:
    base = model([1.0, 2.0])
    assert merging.combined(base, models([[5.0, 6.0]]), np.zeros(1)) is base


@UNHURRIED
@given(st.lists(st.integers(-9, 9).map(float), min_size=2, max_size=5), st.floats(0, 1))
def test_a_shortened_change_has_that_share_of_its_length(point: Point, share: float) -> None:
    base = model([0.0] * len(point))
    found = merging.shortened(base, model(point), share)
    np.testing.assert_allclose(point_of(found), [share * v for v in point], rtol=1e-6, atol=1e-30)
    length = merging.change_length(base, model(point))
    assert length == pytest.approx(sqrt(sum(v * v for v in point)))


def test_what_has_no_coordinates_has_no_length() -> None:
    assert merging.change_length(model([1.0]), model([1.0], seen=8)) is None
    assert merging.change_length(model([1.0]), Weights({"w": np.zeros(4)})) is None
    assert merging.change_length(model([0.0, 0.0]), model([3.0, 4.0])) == hypot(3, 4)


# Of each coordinate


@UNHURRIED
@given(POINTS, st.integers(0, 3))
def test_a_trimmed_mean_leaves_out_the_extremes_of_each_coordinate(points: list[Point], trim: int) -> None:
    if 2 * trim >= len(points):
        with pytest.raises(WeightsError, match=f"of {len(points)} values {trim} can't be trimmed"):
            trimmed_mean(models(points), trim)
        return
    expected = []
    for k in range(len(points[0])):
        kept = sorted(p[k] for p in points)[trim : len(points) - trim]
        expected.append(sum(kept) / len(kept))
    np.testing.assert_allclose(point_of(trimmed_mean(models(points), trim)), expected, rtol=1e-6)


@UNHURRIED
@given(POINTS)
def test_a_median_is_that_of_each_coordinate(points: list[Point]) -> None:
    expected = []
    for k in range(len(points[0])):
        ordered = sorted(p[k] for p in points)
        expected.append((ordered[(len(points) - 1) // 2] + ordered[len(points) // 2]) / 2)
    assert point_of(median(models(points))) == expected


def test_what_is_trimmed_alike_stays_so_to_the_bit() -> None:
    weights = [Weights({"w": np.array([v], dtype=np.float64)}) for v in (0.1, 0.1, 0.1, 0.1, 7.0)]
    assert trimmed_mean(weights, 1)["w"].tolist() == [0.1]
    with pytest.raises(WeightsError, match="-1 can't be trimmed"):
        trimmed_mean(weights, -1)


def test_each_coordinate_is_trimmed_by_itself() -> None:
    weights = [Weights({"w": np.array(w)}) for w in ([9.0, 1.0], [1.0, 9.0], [2.0, 2.0])]
    assert trimmed_mean(weights, 1)["w"].tolist() == [2, 2]


@pytest.mark.parametrize("seed", range(3))
def test_the_order_of_proposals_changes_no_robust_mean(seed: int) -> None:
    points = drawn(7, seed=seed)
    order = np.random.default_rng(seed).permutation(7)
    there, back = products_of(points), products_of([points[i] for i in order])
    np.testing.assert_allclose(merging.geometric_median(back), merging.geometric_median(there)[order], atol=1e-8)
    np.testing.assert_allclose(
        merging.centred_clipping(back, 1.0), merging.centred_clipping(there, 1.0)[order], atol=1e-12
    )
    assert [int(order[i]) for i in merging.krum_order(back, 2)] == merging.krum_order(there, 2)
