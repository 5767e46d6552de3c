"""Whole samples from real shares: the arithmetic of splitters."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Indices = NDArray[np.int64]
Floats = NDArray[np.float64]
MOST_CONCENTRATED = 1e300
"""Beyond it a Dirichlet distribution's shares are those of its mean, and gammas come near to infinity."""


def apportion(shares: Floats, total: int) -> NDArray[np.int64]:
    """Whole numbers in proportion to ``shares`` that add up to ``total`` (largest remainders)."""
    shares = shares / shares.max()  # else the sum of large ones overflows
    exact = shares / shares.sum() * total
    whole: NDArray[np.int64] = np.floor(exact).astype(np.int64)
    rest = total - int(whole.sum())
    whole[np.argsort(whole - exact, kind="stable")[:rest]] += 1
    return whole


def cut(indices: Indices, sizes: NDArray[np.int64]) -> list[Indices]:
    """Consecutive pieces of the given sizes."""
    return list(np.split(indices, np.cumsum(sizes)[:-1]))


def members_of(labels: NDArray[Any]) -> list[Indices]:
    """The indices of each different label, in ascending order; labels are sorted."""
    order = np.argsort(labels, kind="stable")
    return list(np.split(order, np.flatnonzero(labels[order][1:] != labels[order][:-1]) + 1)) if len(order) else []


def sorted_at_random(values: NDArray[Any], rng: np.random.Generator) -> Indices:
    """The indices by ascending value; equal values are in random order."""
    order = rng.permutation(len(values))
    return order[np.argsort(values[order], kind="stable")]


def log_dirichlet(alpha: float, prior: Floats, rng: np.random.Generator) -> Floats:
    """Logarithms of a Dirichlet draw of concentrations ``alpha * prior``, but for a common summand; the largest is 0.

    For concentrations below about 0.01 all gammas can underflow to zero, and numpy's draw is then NaN; here
    log Gamma(a) is log Gamma(a + 1) + log(uniform) / a (Marsaglia and Tsang 2000).

    Args:
        prior: positive, the largest at least 1, or ``alpha`` could underflow.
    """
    alpha = min(alpha, MOST_CONCENTRATED / float(prior.max()))
    with np.errstate(over="ignore", under="ignore"):  # a share of exp(-inf) is the zero that it should be
        gammas = np.log(rng.standard_gamma(alpha * prior + 1))
        uniforms = np.log1p(-rng.random(len(prior))) / prior
        logs = gammas + (uniforms - uniforms.max()) / alpha
    return np.asarray(logs - logs.max())


def dirichlet(alpha: float, prior: Floats, rng: np.random.Generator) -> Floats:
    """A Dirichlet draw but for a common factor: the largest share is 1. See :func:`log_dirichlet`."""
    shares: Floats = np.exp(log_dirichlet(alpha, prior, rng))
    return shares


def relative(shares: tuple[float, ...]) -> Floats:
    """Positive shares in multiples of their mean."""
    scaled = np.array(shares, dtype=np.float64) / max(shares)
    return np.asarray(scaled / scaled.mean())


def deal_by_preference(
    sizes: NDArray[np.int64], members: list[Indices], log_preferences: Floats, rng: np.random.Generator
) -> list[Indices]:
    """Parts of exact sizes whose classes are drawn by each part's own preferences.

    All parts ask for as many samples as they still lack, of classes drawn by their preferences among those that
    are left. A class that is asked for too much goes to the askers by lot and is used up. So there are at most as
    many turns as classes.

    Args:
        sizes: of the parts; they add up to the number of all members.
        members: the indices of each class.
        log_preferences: shape ``(parts, classes)``, the logarithms of relative shares.
    """
    left = np.array([len(m) for m in members])
    counts = np.zeros((len(sizes), len(members)), dtype=np.int64)
    while left.any():
        open_ = np.flatnonzero(left)
        logs = log_preferences[:, open_]
        top = logs.max(axis=1, keepdims=True)
        # Who only wants what is used up takes anything.
        shares = np.where(np.isneginf(top), 1.0, np.exp(logs - np.where(np.isneginf(top), 0.0, top)))
        shares /= shares.sum(axis=1, keepdims=True)
        asked = rng.multinomial(sizes - counts.sum(axis=1), shares)
        for column, c in enumerate(open_):
            wanted = asked[:, column]
            if wanted.sum() > left[c]:
                wanted = rng.multivariate_hypergeometric(wanted, left[c], method="marginals")
            counts[:, c] += wanted
            left[c] -= wanted.sum()
    pieces = [cut(rng.permutation(m), counts[:, c]) for c, m in enumerate(members)]
    return [rng.permutation(np.concatenate(part)) for part in zip(*pieces, strict=True)]


def top_up(parts: list[Indices], least: int) -> list[Indices]:
    """Move samples from the largest parts to those with fewer than ``least``."""
    for i in range(len(parts)):
        while len(parts[i]) < least:
            giver = max(range(len(parts)), key=lambda p: len(parts[p]))
            take = min(least - len(parts[i]), len(parts[giver]) - least)
            parts[i] = np.concatenate([parts[i], parts[giver][:take]])
            parts[giver] = parts[giver][take:]
    return parts
