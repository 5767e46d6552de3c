"""Rival candidates: the families of ways to merge the same proposals."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from . import merging
from .errors import WeightsError
from .learner import Proposal
from .merging import Floats
from .proposing import Candidate, Combine, stepped
from .weights import Weights, median, trimmed_mean

MOST_CLAIMED = 3.0
"""Among the trusted, and the aligned, a claim of samples counts for at most so many times the median claim."""

FEWEST = 3
"""Of two proposals nobody can tell which one is far off."""

Authors = tuple[int, ...]


@dataclass(frozen=True)
class Rivals:
    """The proposals of a round, and what rivals are made with.

    Args:
        liars: how many proposals to expect from liars.
        radius: how far one proposal may pull, in median norms of the changes.
        steps: how far to go towards the mean.
        trusted: the authors of good reputation.
        aligned: the authors that went along with the others.
    """

    base: Weights
    proposals: Mapping[int, Proposal]
    combine: Combine
    liars: int
    radius: float
    steps: tuple[float, ...]
    trusted: Authors
    aligned: Authors
    _means: dict[Authors, Weights] = field(default_factory=dict)

    def candidates(self, families: Iterable[str]) -> list[Candidate]:
        """Those of each family in turn, each weights once; the mean, if these families give none.

        Raises:
            WeightsError: not even the mean can be made.
        """
        found: list[Candidate] = []
        for family in families:
            for make in FAMILIES[family](self):
                try:
                    found.append(make())
                except WeightsError:  # no coordinates, or integers that one of its authors has altered
                    continue
        return _distinct(found) or [self.merged(self.everyone, "mean")]

    @cached_property
    def everyone(self) -> Authors:
        return tuple(self.proposals)

    @cached_property
    def weights(self) -> list[Weights]:
        return [p.weights for p in self.proposals.values()]

    @cached_property
    def products(self) -> Floats:
        """Inner products of the changes, each with each."""
        return merging.inner_products(self.base, self.weights)

    @property
    def few_liars(self) -> int:
        """The liars to expect, fewer than half."""
        return min(self.liars, (len(self.proposals) - 1) // 2)

    def merged(self, authors: Authors, label: str) -> Candidate:
        """The proposals of these authors, as the learners merge them; of one, its proposal."""
        if len(authors) == 1:
            return Candidate(self.proposals[authors[0]].weights, authors, "proposal")
        if authors not in self._means:
            self._means[authors] = self.combine([self.proposals[i] for i in authors])
        return Candidate(self._means[authors], authors, label)

    def capped(self, authors: Authors, label: str) -> Candidate:
        """Like :meth:`merged`, but no claim of samples counts for much more than the others."""
        some = [self.proposals[i] for i in authors]
        most = MOST_CLAIMED * float(np.median([p.samples for p in some]))
        if len(some) == 1 or all(p.samples <= most for p in some):
            return self.merged(authors, label)
        return Candidate(self.combine([p._replace(samples=min(p.samples, most)) for p in some]), authors, label)

    def by_shares(self, shares: Callable[[Floats], Floats], label: str) -> Candidate:
        """The base and shares of all changes, as they follow from the inner products."""
        return Candidate(merging.combined(self.base, self.weights, shares(self.products)), self.everyone, label)


Makers = Iterator[Callable[[], Candidate]]


def _mean(rivals: Rivals) -> Makers:
    yield lambda: rivals.merged(rivals.everyone, "mean")


def _median(rivals: Rivals) -> Makers:
    if len(rivals.proposals) >= FEWEST:
        yield lambda: Candidate(median(rivals.weights), rivals.everyone, "median")


def _trimmed_mean(rivals: Rivals) -> Makers:
    if len(rivals.proposals) >= FEWEST:
        yield lambda: Candidate(trimmed_mean(rivals.weights, rivals.few_liars), rivals.everyone, "trimmed mean")


def _geometric_median(rivals: Rivals) -> Makers:
    if len(rivals.proposals) >= FEWEST:
        yield lambda: rivals.by_shares(merging.geometric_median, "geometric median")


def _krum(rivals: Rivals) -> Makers:
    def make() -> Candidate:
        chosen = rivals.everyone[merging.krum_order(rivals.products, rivals.few_liars)[0]]
        return Candidate(rivals.proposals[chosen].weights, (chosen,), "krum")

    if len(rivals.proposals) >= FEWEST:
        yield make


def _multi_krum(rivals: Rivals) -> Makers:
    def make() -> Candidate:
        order = merging.krum_order(rivals.products, rivals.few_liars)
        chosen = sorted(order[: len(order) - rivals.few_liars])
        alike = [Proposal(rivals.weights[k], 1) for k in chosen]
        return Candidate(rivals.combine(alike), tuple(rivals.everyone[k] for k in chosen), "multi-krum")

    if len(rivals.proposals) >= FEWEST:
        yield make


def _centred_clipping(rivals: Rivals) -> Makers:
    def shares(products: Floats) -> Floats:
        radius = rivals.radius * merging.median_length(products)
        if not 0 < radius < np.inf:
            raise WeightsError("no change is of a length that the others could be clipped to")
        return merging.centred_clipping(products, radius)

    if len(rivals.proposals) >= FEWEST:
        yield lambda: rivals.by_shares(shares, "centred clipping")


def _leave_one_out(rivals: Rivals) -> Makers:
    everyone = rivals.everyone
    if len(everyone) > 1:
        for i, left_out in enumerate(everyone):
            yield _maker(rivals, everyone[:i] + everyone[i + 1 :], f"mean without {left_out}")


def _halves(rivals: Rivals) -> Makers:
    """Around the circle."""
    everyone = rivals.everyone
    half = (len(everyone) + 1) // 2
    if len(everyone) > 1:
        for i in range(len(everyone)):
            authors = tuple(sorted((everyone + everyone)[i : i + half]))
            yield _maker(rivals, authors, "mean of " + "+".join(map(str, authors)))


def _steps(rivals: Rivals) -> Makers:
    def make(step: float) -> Candidate:
        mean = rivals.merged(rivals.everyone, "mean").weights
        weights = stepped(rivals.base, Proposal(mean, 1), step, rivals.combine)
        if weights is None:
            raise WeightsError(f"such a model can't go {step:g} times as far as its mean")
        return Candidate(weights, rivals.everyone, f"step {step:g} of the mean")

    for step in rivals.steps:
        yield lambda step=step: make(step)  # type: ignore[misc]


def _single(rivals: Rivals) -> Makers:
    for i in rivals.everyone:
        yield _maker(rivals, (i,), "proposal")


def _trusted(rivals: Rivals) -> Makers:
    if 0 < len(rivals.trusted) < len(rivals.everyone):
        yield lambda: rivals.capped(rivals.trusted, "mean of the trusted")


def _aligned(rivals: Rivals) -> Makers:
    if rivals.aligned:
        yield lambda: rivals.capped(rivals.aligned, "mean of the aligned")


def _maker(rivals: Rivals, authors: Authors, label: str) -> Callable[[], Candidate]:
    return lambda: rivals.merged(authors, label)


FAMILIES: Mapping[str, Callable[[Rivals], Makers]] = {
    "mean": _mean,
    "median": _median,
    "trimmed_mean": _trimmed_mean,
    "geometric_median": _geometric_median,
    "krum": _krum,
    "multi_krum": _multi_krum,
    "centred_clipping": _centred_clipping,
    "leave_one_out": _leave_one_out,
    "halves": _halves,
    "steps": _steps,
    "single": _single,
    "aligned": _aligned,
    "trusted": _trusted,
}
"""What each family makes, one function for each candidate; each raises WeightsError where such a model has none."""


def _distinct(candidates: Sequence[Candidate]) -> list[Candidate]:
    """The first of those with the same weights. Only where samples of their values agree, digests are computed."""
    kept: dict[bytes, list[Candidate]] = {}
    found = []
    for candidate in candidates:
        alike = kept.setdefault(_sample(candidate.weights), [])
        if not any(other.weights == candidate.weights for other in alike):
            alike.append(candidate)
            found.append(candidate)
    return found


def _sample(weights: Weights) -> bytes:
    return b"".join(array.reshape(-1)[:: max(1, array.size // 8)].tobytes() for array in weights.values())
