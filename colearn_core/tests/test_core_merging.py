"""Robust means: against the definitions written naively, and what liars can do to them."""

from __future__ import annotations

from collections.abc import Callable
from itertools import combinations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from colearn_core import merging
from colearn_core.errors import WeightsError
from colearn_core.merging import Floats
from colearn_core.weights import Weights, trimmed_mean


def weights_of(row: Floats) -> Weights:
    """Two arrays, of which the second one is a matrix."""
    return Weights({"a": row[:2], "b": row[2:].reshape(-1, 1)})


def row_of(weights: Weights) -> Floats:
    return np.concatenate([array.reshape(-1) for array in weights.values()])


def case(seed: int, n: int, size: int = 9) -> tuple[Floats, Floats, Weights, list[Weights]]:
    """A base and proposals, as rows and as weights."""
    rng = np.random.default_rng(seed)
    base = rng.normal(size=size)
    rows = base + rng.normal(size=(n, size)) * rng.uniform(0.1, 3, size=(n, 1))
    return base, rows, weights_of(base), [weights_of(row) for row in rows]


CASES = given(st.integers(0, 2**32 - 1), st.integers(3, 9))


@CASES
def test_distances_follow_from_inner_products_of_changes(seed: int, n: int) -> None:
    base, rows, start, weights = case(seed, n)
    products = merging.inner_products(start, weights)
    np.testing.assert_allclose(products, (rows - base) @ (rows - base).T, atol=1e-9)
    np.testing.assert_allclose(merging.lengths(products), np.linalg.norm(rows - base, axis=1))
    expected = [[np.sum((x - y) ** 2) for y in rows] for x in rows]
    np.testing.assert_allclose(merging.squared_distances(products), expected, atol=1e-9)


def test_arrays_larger_than_a_chunk_are_summed_to_the_end() -> None:
    size = 2 * merging.COLUMNS + 5
    change = np.arange(size) % 7 / 7
    base, moved = Weights({"w": np.ones(size)}), Weights({"w": 1 + change})
    assert merging.inner_products(base, [moved])[0, 0] == pytest.approx(np.sum(change**2))


def test_single_numbers_do_not_count_unless_there_is_nothing_else() -> None:
    base = Weights({"w": np.zeros(2), "updates": np.array(0.0)})
    moved = Weights({"w": np.array([3.0, 4.0]), "updates": np.array(1e6)})
    assert merging.change_length(base, moved) == 5
    alone = Weights({"scale": np.array(1.0)})
    assert merging.change_length(alone, Weights({"scale": np.array(4.0)})) == 3


@pytest.mark.parametrize(
    "other",
    [
        Weights({"w": np.ones(3), "feature": np.array([1, 2])}),
        Weights({"w": np.ones(2), "feature": np.array([1, 3])}),
    ],
    ids=["shapes", "integers"],
)
def test_models_without_coordinates_have_no_distances(other: Weights) -> None:
    base = Weights({"w": np.zeros(2), "feature": np.array([1, 2])})
    with pytest.raises(WeightsError):
        merging.inner_products(base, [base, other])
    assert merging.change_length(base, other) is None


# Krum


@CASES
def test_krum_orders_by_the_sum_of_squared_distances_to_the_nearest(seed: int, n: int) -> None:
    _, rows, start, weights = case(seed, n)
    for liars in range((n - 1) // 2 + 1):
        scores = []
        for x in range(n):
            others = sorted(float(np.sum((rows[x] - rows[y]) ** 2)) for y in range(n) if y != x)
            scores.append(sum(others[: max(n - liars - 2, 1)]))
        order = merging.krum_order(merging.inner_products(start, weights), liars)
        np.testing.assert_allclose([scores[i] for i in order], sorted(scores))


def test_krum_of_numbers_on_a_line() -> None:
    base = Weights({"w": np.array([0.0])})
    weights = [Weights({"w": np.array([x])}) for x in (0.0, 1.0, 2.5, 100.0, 102.0)]
    # Two nearest of each: 0: 1 + 6.25; 1: 1 + 2.25; 2.5: 2.25 + 6.25; 100: 4 + 97.5²; 102: 4 + 99.5².
    assert merging.krum_order(merging.inner_products(base, weights), 1) == [1, 0, 2, 3, 4]


def test_of_equal_scores_the_first_comes_first() -> None:
    base = Weights({"w": np.array([0.0])})
    weights = [Weights({"w": np.array([x])}) for x in (2.0, 1.0, 1.0, 2.0)]
    assert merging.krum_order(merging.inner_products(base, weights), 1) == [0, 1, 2, 3]


# Geometric median


@CASES
def test_no_point_nearby_has_smaller_distances_than_the_geometric_median(seed: int, n: int) -> None:
    _, rows, start, weights = case(seed, n)
    shares = merging.geometric_median(merging.inner_products(start, weights))
    assert shares.sum() == pytest.approx(1)
    point = row_of(merging.combined(start, weights, shares))

    def total(x: Floats) -> float:
        return float(np.linalg.norm(rows - x, axis=1).sum())

    rng = np.random.default_rng(seed)
    for step in (1.0, 0.1, 1e-3):
        for _ in range(10):
            assert total(point) <= total(point + step * rng.normal(size=point.shape)) * (1 + 1e-8)


def test_the_geometric_median_on_a_line_is_the_middle_one() -> None:
    base = Weights({"w": np.array([0.0])})
    weights = [Weights({"w": np.array([x])}) for x in (1.0, 2.0, 4.0, 8.0, 1000.0)]
    shares = merging.geometric_median(merging.inner_products(base, weights))
    assert merging.combined(base, weights, shares)["w"][0] == pytest.approx(4, abs=1e-3)


# Centred clipping


@CASES
def test_centred_clipping_is_its_definition(seed: int, n: int) -> None:
    base, rows, start, weights = case(seed, n)
    for radius in (0.1, 2.0, 100.0):
        for steps in (1, 3):
            centre = base
            for _ in range(steps):
                away = rows - centre
                centre = centre + np.mean(
                    [x * min(1, radius / max(float(np.linalg.norm(x)), 1e-300)) for x in away], axis=0
                )
            shares = merging.centred_clipping(merging.inner_products(start, weights), radius, steps)
            np.testing.assert_allclose(row_of(merging.combined(start, weights, shares)), centre, atol=1e-9)


# Trimmed mean


@CASES
def test_the_trimmed_mean_is_its_definition(seed: int, n: int) -> None:
    _, rows, _, weights = case(seed, n)
    for trim in range((n - 1) // 2 + 1):
        expected = [np.mean(sorted(column)[trim : n - trim]) for column in rows.T]
        np.testing.assert_allclose(row_of(trimmed_mean(weights, trim)), expected)


def test_a_trimmed_mean_of_nothing_is_refused() -> None:
    with pytest.raises(WeightsError, match="of 2 values 1 can't be trimmed at each end"):
        trimmed_mean([Weights({"w": np.ones(1)})] * 2, 1)


# All of them

Merge = Callable[[Weights, list[Weights]], Weights]


def _krum(base: Weights, weights: list[Weights]) -> Weights:
    return weights[merging.krum_order(merging.inner_products(base, weights), 2)[0]]


def _median_point(base: Weights, weights: list[Weights]) -> Weights:
    return merging.combined(base, weights, merging.geometric_median(merging.inner_products(base, weights)))


def _clipped(base: Weights, weights: list[Weights]) -> Weights:
    products = merging.inner_products(base, weights)
    radius = merging.median_length(products)
    return merging.combined(base, weights, merging.centred_clipping(products, radius))


def _trimmed(base: Weights, weights: list[Weights]) -> Weights:
    return trimmed_mean(weights, 2)


MERGES = pytest.mark.parametrize("merge", [_krum, _median_point, _clipped, _trimmed])


@MERGES
@pytest.mark.parametrize("far", [1e2, 1e8, 1e100, 1e200])
def test_two_of_seven_cannot_lead_the_others_away_however_far_they_go(merge: Merge, far: float) -> None:
    base, rows, start, weights = case(1, 7)
    honest = rows[2:]
    reach = max(float(np.linalg.norm(x - y)) for x, y in combinations(honest, 2))
    weights[:2] = [weights_of(base + far), weights_of(base + far * np.arange(9))]
    with np.errstate(all="raise", under="ignore"):
        point = row_of(merge(start, weights))
    assert np.linalg.norm(point - honest.mean(axis=0)) <= 2 * reach


@MERGES
def test_types_are_kept_and_equal_integers_and_what_nobody_changes(merge: Merge) -> None:
    rng = np.random.default_rng(0)
    base = Weights({"w": rng.normal(size=5).astype("f4"), "fixed": np.full(3, 0.1), "seen": np.array([3, 4])})
    weights = [Weights({**base, "w": (base["w"] + rng.normal(size=5)).astype("f4")}) for _ in range(7)]
    merged = merge(base, weights)
    merged.check_like(base)
    assert merged["fixed"].tobytes() == base["fixed"].tobytes()
    assert merged["seen"].tolist() == [3, 4]


@pytest.mark.parametrize("merge", [_median_point, _trimmed])
def test_what_is_equal_in_all_proposals_stays_so_to_the_bit(merge: Merge) -> None:
    rng = np.random.default_rng(0)
    base = Weights({"w": rng.normal(size=5), "new": np.full(3, 0.7)})
    weights = [Weights({"w": rng.normal(size=5), "new": np.full(3, 0.1)}) for _ in range(7)]
    assert merge(base, weights)["new"].tobytes() == weights[0]["new"].tobytes()


@MERGES
def test_equal_proposals_merge_to_one_of_them(merge: Merge) -> None:
    _, _, start, weights = case(5, 3)
    np.testing.assert_allclose(row_of(merge(start, [weights[0]] * 6)), row_of(weights[0]))
