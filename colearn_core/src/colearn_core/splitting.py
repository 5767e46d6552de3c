"""Splitters: how a data set is divided among simulated learners."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Annotated, Any

import numpy as np
from annotated_types import Ge, Gt
from numpy.typing import NDArray

from .errors import ParameterError, SplitError

Indices = NDArray[np.int64]


class Splitter(ABC):
    """Divides samples into one part per learner."""

    @abstractmethod
    def split(self, labels: NDArray[Any], parts: int, rng: np.random.Generator) -> list[Indices]:
        """Return ``parts`` arrays of indices in which every sample occurs exactly once.

        Args:
            labels: one value per sample, shape ``(n,)``: the class, or a bin of the target.
            parts: number of learners, at most ``n``; no part stays empty.
            rng: the only source of randomness.

        Raises:
            SplitError: the request can't be met by these data.
        """


@dataclass(frozen=True)
class Iid(Splitter):
    """Equal random parts (their sizes differ by one at most)."""

    def split(self, labels: NDArray[Any], parts: int, rng: np.random.Generator) -> list[Indices]:
        check_parts(labels, parts)
        return list(np.array_split(rng.permutation(len(labels)), parts))


@dataclass(frozen=True)
class Fractions(Splitter):
    """Random parts of given relative sizes."""

    shares: Annotated[tuple[float, ...], "Relative size of each learner's part, in order"]

    def __post_init__(self) -> None:
        if not self.shares or any(not share > 0 or not np.isfinite(share) for share in self.shares):
            raise ParameterError(f"shares must be positive numbers, not {list(self.shares)}")

    def split(self, labels: NDArray[Any], parts: int, rng: np.random.Generator) -> list[Indices]:
        check_parts(labels, parts)
        if len(self.shares) != parts:
            raise SplitError(f"{parts} learners need as many shares, not {len(self.shares)}")
        sizes = apportion(np.array(self.shares), len(labels))
        if not sizes.all():
            empty = int(np.argmin(sizes))
            raise SplitError(
                f"share {self.shares[empty]:g} of {len(labels)} samples leaves learner {empty} without any"
            )
        return _cut(rng.permutation(len(labels)), sizes)


@dataclass(frozen=True)
class Dirichlet(Splitter):
    """Label skew: the samples of each class go to the learners in shares drawn from a Dirichlet
    distribution (Hsu et al. 2019, arXiv 1909.06335; Li et al. 2022, arXiv 2102.02079)."""

    alpha: Annotated[float, Gt(0), "Concentration: 100 is nearly iid, 0.1 gives most learners few classes"] = 0.5
    min_samples: Annotated[int, Ge(1), "Give no learner fewer; the largest parts make up for it"] = 1

    def __post_init__(self) -> None:
        if not (self.alpha > 0 and np.isfinite(self.alpha)):
            raise ParameterError(f"alpha must be a positive number, not {self.alpha}")
        if self.min_samples < 1:
            raise ParameterError(f"min_samples must be at least 1, not {self.min_samples}")

    def split(self, labels: NDArray[Any], parts: int, rng: np.random.Generator) -> list[Indices]:
        check_parts(labels, parts, self.min_samples)
        found: list[list[Indices]] = [[] for _ in range(parts)]
        for label in np.unique(labels):
            members = rng.permutation(np.flatnonzero(labels == label))
            sizes = apportion(_dirichlet(self.alpha, parts, rng), len(members))
            for part, piece in zip(found, _cut(members, sizes), strict=True):
                part.append(piece)
        return _top_up([rng.permutation(np.concatenate(pieces)) for pieces in found], self.min_samples)


@dataclass(frozen=True)
class Shards(Splitter):
    """Label skew: samples sorted by class are cut into equal shards, and each learner is dealt a few
    (McMahan et al. 2017, arXiv 1602.05629)."""

    per_learner: Annotated[int, Ge(1), "Shards for each learner: about as many classes"] = 2

    def __post_init__(self) -> None:
        if self.per_learner < 1:
            raise ParameterError(f"per_learner must be at least 1, not {self.per_learner}")

    def split(self, labels: NDArray[Any], parts: int, rng: np.random.Generator) -> list[Indices]:
        check_parts(labels, parts, self.per_learner)
        order = rng.permutation(len(labels))
        order = order[np.argsort(labels[order], kind="stable")]
        shards = np.array_split(order, parts * self.per_learner)
        dealt = rng.permutation(len(shards)).reshape(parts, self.per_learner)
        return [np.concatenate([shards[s] for s in hand]) for hand in dealt]


def check_parts(labels: NDArray[Any], parts: int, min_samples: int = 1) -> None:
    """Raise SplitError unless ``parts`` learners can have ``min_samples`` samples each."""
    if parts < 1:
        raise SplitError(f"data can't be divided among {parts} learners")
    if parts * min_samples > len(labels):
        raise SplitError(
            f"{parts} learners need at least {parts * min_samples} samples, the data set has {len(labels)}",
            hint="Take fewer learners or more data.",
        )


def apportion(shares: NDArray[np.float64], total: int) -> NDArray[np.int64]:
    """Whole numbers in proportion to ``shares`` that add up to ``total`` (largest remainders)."""
    shares = shares / shares.max()  # else the sum of large ones overflows
    exact = shares / shares.sum() * total
    whole: NDArray[np.int64] = np.floor(exact).astype(np.int64)
    rest = total - int(whole.sum())
    whole[np.argsort(whole - exact, kind="stable")[:rest]] += 1
    return whole


def _cut(indices: Indices, sizes: NDArray[np.int64]) -> list[Indices]:
    return list(np.split(indices, np.cumsum(sizes)[:-1]))


def _dirichlet(alpha: float, parts: int, rng: np.random.Generator) -> NDArray[np.float64]:
    """A Dirichlet draw by logarithms of gammas.

    For alpha below about 0.01 all gammas can underflow to zero, and numpy's draw is then NaN; here
    log Gamma(alpha) is log Gamma(alpha + 1) + log(uniform) / alpha (Marsaglia and Tsang 2000).
    """
    gammas = np.log(rng.standard_gamma(alpha + 1, parts))
    uniforms = np.log1p(-rng.random(parts))
    with np.errstate(over="ignore"):  # a share of exp(-inf) is the zero that it should be
        logs = gammas + (uniforms - uniforms.max()) / alpha
    shares: NDArray[np.float64] = np.exp(logs - logs.max())
    return shares


def _top_up(parts: list[Indices], least: int) -> list[Indices]:
    """Move samples from the largest parts to those with fewer than ``least``."""
    for i in range(len(parts)):
        while len(parts[i]) < least:
            giver = max(range(len(parts)), key=lambda p: len(parts[p]))
            take = min(least - len(parts[i]), len(parts[giver]) - least)
            parts[i] = np.concatenate([parts[i], parts[giver][:take]])
            parts[giver] = parts[giver][take:]
    return parts
