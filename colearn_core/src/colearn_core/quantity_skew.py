"""A splitter for learners that differ in how much they have."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any, Literal

import numpy as np
from annotated_types import Ge
from numpy.typing import NDArray

from .dealing import Floats, Indices, apportion, cut, log_dirichlet, members_of, top_up
from .errors import ParameterError
from .splitting import Splitter, check_count, check_parts

Law = Literal["linear", "square", "polynomial", "exponential", "power", "log_normal", "dirichlet"]


@dataclass(frozen=True)
class Quantity(Splitter):
    """Random parts whose sizes follow a law; their data are alike.

    With i = 1 ... N and the strength s, the size of learner i is in proportion to

    - linear: i; square: i²; exponential: exp(s i) (the laws of flwr-datasets, for s = 1);
    - polynomial: i to the power s;
    - power: (N + 1 - i) to the power -s, Zipf's law: one learner has much, many have little (s = 1);
    - log_normal: exp(s z) with z drawn from a normal distribution (Li et al. 2020, arXiv 1812.06127, and OpenFL);
    - dirichlet: shares drawn from Dir(1 / s) (Li et al. 2022, arXiv 2102.02079: quantity skew, with s = 2).

    For seeing what it does to a vote that counts heads when sizes differ, and for weighted votes. With ``per_class``
    the samples of each class are dealt by the same law, each time to the learners in another random order, so that
    learners differ in classes too.
    """

    law: Annotated[Law, "How sizes grow from the first learner to the last, or how they are drawn"] = "power"
    strength: Annotated[
        float,
        Ge(0),
        "Of all laws but linear and square; 0 gives equal sizes",
    ] = 1.0
    min_samples: Annotated[int, Ge(1), "Give no learner fewer; the largest parts make up for it"] = 1
    per_class: Annotated[bool, "Deal each class by itself, to the learners in another order"] = False

    def __post_init__(self) -> None:
        if self.law not in LAWS:
            raise ParameterError(f"law must be one of {', '.join(LAWS)}, not {self.law!r}")
        if not (self.strength >= 0 and np.isfinite(self.strength)):
            raise ParameterError(f"strength must be a number of 0 or more, not {self.strength}")
        check_count("min_samples", self.min_samples)

    def split(self, labels: NDArray[Any], parts: int, rng: np.random.Generator) -> list[Indices]:
        check_parts(labels, parts, self.min_samples)
        groups = members_of(labels) if self.per_class else [np.arange(len(labels))]
        found: list[list[Indices]] = [[] for _ in range(parts)]
        for group in groups:
            shares = self._shares(parts, rng)
            if self.per_class:
                shares = rng.permutation(shares)
            for part, piece in zip(found, cut(rng.permutation(group), apportion(shares, len(group))), strict=True):
                part.append(piece)
        return top_up([rng.permutation(np.concatenate(pieces)) for pieces in found], self.min_samples)

    def _shares(self, parts: int, rng: np.random.Generator) -> Floats:
        """Relative sizes, the largest is 1."""
        with np.errstate(over="ignore", under="ignore"):  # a share of exp(-inf) is the zero that it should be
            logs = LAWS[self.law](np.arange(1.0, parts + 1), self.strength, rng)
            return np.asarray(np.exp(logs - logs.max()))


def _log_normal(i: Floats, s: float, rng: np.random.Generator) -> Floats:
    z = rng.normal(size=len(i))
    return np.asarray(s * (z - z.max()))


def _dirichlet(i: Floats, s: float, rng: np.random.Generator) -> Floats:
    return log_dirichlet(1 / s if s else np.inf, np.ones_like(i), rng)


LAWS: dict[str, Callable[[Floats, float, np.random.Generator], Floats]] = {
    "linear": lambda i, s, rng: np.log(i),
    "square": lambda i, s, rng: 2 * np.log(i),
    "polynomial": lambda i, s, rng: s * (np.log(i) - np.log(len(i))),
    "exponential": lambda i, s, rng: s * (i - len(i)),
    "power": lambda i, s, rng: -s * np.log(i[::-1]),
    "log_normal": _log_normal,
    "dirichlet": _dirichlet,
}
"""The logarithm of each learner's share, finite for at least one; from i = 1 ... N and the strength."""
