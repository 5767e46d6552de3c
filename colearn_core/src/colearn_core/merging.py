"""Robust means of proposals, worked out from the inner products of their changes alone.

Krum, the geometric median and centred clipping all come out as shares: the result is the base plus so much of each
proposal's change. Distances between any such points follow from the inner products, so a large model is passed over
twice, however many steps a method takes. Sums are made in a fixed order and by one thread: same bits everywhere.

Every proposal counts alike here, whatever number of samples its author claims.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .errors import WeightsError
from .weights import Array, Weights, elementwise

Floats = NDArray[np.float64]

COLUMNS = 1 << 14
"""Parameters whose products are summed at once, so that they stay in the cache."""

STEPS, CONVERGED = 200, 1e-10
"""Steps towards a geometric median at most, and the largest difference of a share at which they end."""

CLIPPINGS = 3
"""Steps of centred clipping: each begins where the last one ended."""


def inner_products(base: Weights, weights: Sequence[Weights]) -> Floats:
    """Of the changes from the base, each with each: shape ``(proposals, proposals)``.

    Arrays of floats count. Single numbers don't, if there's anything else: counters, such as that of a learning-rate
    schedule, are larger than all parameters together. A change too large to be squared has products that are
    infinite or NaN.

    Raises:
        WeightsError: the weights have no coordinates in common: they don't fit the base, or arrays of integers
            differ from its, as those of trees do.
    """
    for other in weights:
        other.check_like(base)
        for name, array in other.items():
            if array.dtype.kind != "f" and array.ndim and not np.array_equal(array, base[name]):
                raise WeightsError(f"{name!r} holds {array.dtype} values that differ: no distance tells how far")
    floats = [name for name, array in base.items() if array.dtype.kind == "f"]
    counted = [name for name in floats if base[name].ndim] or floats
    total = np.zeros((len(weights), len(weights)))
    with np.errstate(over="ignore", invalid="ignore"):
        for name in counted:
            start = base[name].reshape(-1)
            rows = [w[name].reshape(-1) for w in weights]
            for first in range(0, start.size, COLUMNS):
                part = slice(first, first + COLUMNS)
                total += _products(np.stack([r[part] for r in rows]).astype(np.float64) - start[part])
    return total


def lengths(products: Floats) -> Floats:
    """The L2 norm of each change; infinite for one too large to be squared."""
    squares: Floats = np.diag(products)
    return np.sqrt(np.where(np.isfinite(squares), squares, np.inf))


def median_length(products: Floats) -> float:
    """The median norm of those changes that go anywhere; 0 if none does."""
    moved = lengths(products)
    moved = moved[moved > 0]
    return float(np.median(moved)) if len(moved) else 0.0


def squared_distances(products: Floats) -> Floats:
    """Between each two proposals; infinite where one of them is too far away to tell."""
    squares = np.diag(products)
    with np.errstate(invalid="ignore"):
        found = squares[:, None] + squares[None, :] - 2 * products
    distances = np.where(np.isfinite(found), np.maximum(found, 0), np.inf)
    np.fill_diagonal(distances, 0)
    return distances


def krum_order(products: Floats, liars: int) -> list[int]:
    """The proposals from the least to the most suspicious, by Krum's score; of equals the first comes first.

    The score is the sum of the squared distances to the ``n - liars - 2`` nearest others (Blanchard et al. 2017,
    "Machine learning with adversaries", section 4).
    """
    n = len(products)
    nearest = np.sort(squared_distances(products), axis=1)[:, 1 : 1 + max(n - liars - 2, 1)]
    return [int(i) for i in np.argsort(nearest.sum(axis=1), kind="stable")]


def geometric_median(products: Floats, smoothing: float = 1e-6) -> Floats:
    """Shares of the point whose distances to all proposals have the smallest sum, by smoothed Weiszfeld steps:
    ``share_i ~ 1 / max(smoothing * scale, distance_i)`` (Pillutla et al. 2022, "Robust aggregation for federated
    learning", algorithm 2).

    They begin with the mean of the half that's closest together, not with that of all: from where a liar has drawn
    the latter, the way back is long. The scale is the median distance from there; where that is nothing, more than
    half are in one place, which then is the median.

    Shape ``(proposals,)``; they add up to 1.
    """
    usable = np.isfinite(np.diag(products))
    if not usable.any():
        return np.full(len(products), 1 / len(products))
    shares = _central_half(products, usable)
    products = np.where(usable[:, None] & usable[None, :], products, 0)
    nearest = smoothing * float(np.median(_distances_from(shares, products)[usable]))
    if not nearest:
        return shares
    for _ in range(STEPS):
        pulls = usable / np.maximum(_distances_from(shares, products), nearest)
        before, shares = shares, pulls / pulls.sum()
        if np.abs(shares - before).max() <= CONVERGED:
            break
    return shares


def centred_clipping(products: Floats, radius: float, steps: int = CLIPPINGS) -> Floats:
    """Shares of the changes, of proposals clipped around the base and then around where that leads:
    ``v + mean((x_i - v) * min(1, radius / |x_i - v|))`` (Karimireddy et al. 2021, "Learning from history for
    Byzantine robust optimization", section 4).

    Shape ``(proposals,)``; they add up to at most 1, and what is missing is the base's.

    Args:
        radius: how far one proposal may pull, in units of the weights; more than 0.
    """
    usable = np.isfinite(np.diag(products))
    products = np.where(usable[:, None] & usable[None, :], products, 0)
    shares = np.zeros(len(products))
    for _ in range(steps):
        distances = _distances_from(shares, products)
        pulls = usable * radius / np.maximum(distances, radius) / len(products)
        shares = shares * (1 - pulls.sum()) + pulls
    return shares


def combined(base: Weights, weights: Sequence[Weights], shares: Floats) -> Weights:
    """The base plus these shares of the changes; arrays keep their types.

    Where shares add up to 1, what is equal in all of them stays so to the bit.

    Raises:
        WeightsError: the weights don't fit each other, or integers differ.
    """
    taken = [i for i, share in enumerate(shares) if share]
    if not taken:
        return base
    whole = bool(np.isclose(shares.sum(), 1, rtol=0, atol=1e-9))

    def of(arrays: list[Array], start: Array) -> Array:
        origin = start.astype(np.float64)
        total = origin.copy()
        for i, array in zip(taken, arrays, strict=True):
            total += shares[i] * (array.astype(np.float64) - origin)
        if not whole:
            return total
        return np.where(_all_equal(arrays), arrays[0], total)

    return elementwise(of, [weights[i] for i in taken], base)


def change_length(base: Weights, weights: Weights) -> float | None:
    """The L2 norm of the change from the base; None for models without coordinates, such as trees."""
    try:
        return float(lengths(inner_products(base, [weights]))[0])
    except WeightsError:
        return None


def shortened(base: Weights, weights: Weights, share: float) -> Weights:
    """The base and only this share of the change; integers are those of the changed."""
    return combined(base, [weights], np.array([share]))


def _products(changes: Floats) -> Floats:
    """Each row's inner products with itself and those after it; einsum, unlike BLAS, adds up in one thread."""
    n = len(changes)
    found = np.empty((n, n))
    for i in range(n):
        found[i, i:] = found[i:, i] = np.einsum("k,jk->j", changes[i], changes[i:])
    return found


def _central_half(products: Floats, usable: NDArray[np.bool_]) -> Floats:
    """Equal shares of the proposal with the least distances to the others, and of more than half of all, with it,
    that are nearest to it."""
    distances = np.sqrt(np.where(usable[None, :], squared_distances(products), 0))
    centre = int(np.argmin(np.where(usable, distances.sum(axis=1), np.inf)))
    order = np.argsort(np.where(usable, distances[centre], np.inf), kind="stable")
    shares = np.zeros(len(products))
    shares[order[: usable.sum() // 2 + 1]] = 1
    return np.asarray(shares / shares.sum())


def _distances_from(shares: Floats, products: Floats) -> Floats:
    """How far each proposal is from the base plus these shares of the changes."""
    towards = np.einsum("ij,j->i", products, shares)
    squares = np.einsum("i,i->", shares, towards) - 2 * towards + np.diag(products)
    distances: Floats = np.sqrt(np.maximum(squares, 0))
    return distances


def _all_equal(arrays: Sequence[Array]) -> NDArray[Any]:
    same = np.ones(arrays[0].shape, dtype=bool)
    for array in arrays[1:]:
        same &= array == arrays[0]
    return same
