"""Splitters that go by a column: who or what a sample came from, when, or how much of something it has."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Annotated, Any

import numpy as np
from annotated_types import Ge, Le
from numpy.typing import NDArray

from .dealing import Indices, members_of, sorted_at_random
from .errors import SplitError
from .splitting import Splitter, check_parts, check_share


@dataclass(frozen=True)
class Natural(Splitter):
    """One learner for each value of a column, in the order of the values: hospitals, sites, users.

    For data whose parties are known: nothing is simulated, so prefer it where you can. There must be as many
    learners as values; ``grouped_natural`` takes fewer.
    """

    column: Annotated[str, "The column that tells the party of a sample"] = field()

    def split(self, labels: NDArray[Any], parts: int, rng: np.random.Generator) -> list[Indices]:
        check_parts(labels, parts)
        check_present(labels, self.column)
        groups = members_of(labels)
        if len(groups) != parts:
            raise SplitError(
                f"the column {self.column!r} has {_counted(len(groups), 'value')}, not one for each of "
                f"{_counted(parts, 'learner')}",
                hint=f"Take --learners {len(groups)}"
                + (", or the splitter `grouped_natural`." if len(groups) > parts else "."),
            )
        return [rng.permutation(group) for group in groups]


@dataclass(frozen=True)
class GroupedNatural(Splitter):
    """Whole groups, one for each value of a column, are dealt to fewer learners, balanced by size.

    From the largest group to the smallest, each goes to the learner that has fewest samples so far (Graham 1969,
    doi 10.1137/0117039: the largest part exceeds the best possible one by a third at most). For many small natural
    groups, such as patients or users, none of which may be spread over two learners: then a test sample of a
    learner's has no sibling elsewhere.
    """

    column: Annotated[str, "The column that tells the group of a sample"] = field()

    def split(self, labels: NDArray[Any], parts: int, rng: np.random.Generator) -> list[Indices]:
        check_parts(labels, parts)
        check_present(labels, self.column)
        groups = members_of(labels)
        if len(groups) < parts:
            raise SplitError(
                f"the column {self.column!r} has {_counted(len(groups), 'value')}, too few for {parts} learners",
                hint=f"Take --learners {len(groups)} or fewer.",
            )
        found: list[list[Indices]] = [[] for _ in range(parts)]
        held = np.zeros(parts, dtype=np.int64)
        for g in sorted_at_random(np.array([-len(group) for group in groups]), rng):
            poorest = int(held.argmin())
            found[poorest].append(groups[g])
            held[poorest] += len(groups[g])
        return [rng.permutation(np.concatenate(found[i])) for i in rng.permutation(parts)]


@dataclass(frozen=True)
class Time(Splitter):
    """Consecutive samples by a time column, equally many for each learner: the first has the earliest.

    Any sortable values will do: dates, numbers, ISO text. Samples of the same time keep the order of their rows. For
    drift: whether a model voted for by the past serves the present.
    """

    column: Annotated[str, 'The column to sort by; "row" is the order in which the data stand'] = "row"

    def split(self, labels: NDArray[Any], parts: int, rng: np.random.Generator) -> list[Indices]:
        check_parts(labels, parts)
        check_present(labels, self.column)
        return list(np.array_split(np.argsort(labels, kind="stable"), parts))


@dataclass(frozen=True)
class Continuous(Splitter):
    """Equal parts along a quantity: samples are sorted by a blend of the quantity and chance, and cut.

    The blend is r z + √(1 - r²) e, where z are the standardised ranks of the column's values, e is drawn from a
    standard normal distribution, and r is the correlation between blend and ranks: 0 is iid, 1 sorts strictly. By
    ranks, outliers weigh no more than others (flwr-datasets blends the values themselves, as r z + (1 - r) e).

    For covariate shift of chosen strength: by age, by price, or by the ``"principal component"`` of the features.
    """

    column: Annotated[str, 'A column of numbers or dates, "target", "principal component" or "row"'] = field()
    correlation: Annotated[float, Ge(0), Le(1), "Between the column and the order in which samples are dealt"] = 0.9

    def __post_init__(self) -> None:
        check_share("correlation", self.correlation)

    def split(self, labels: NDArray[Any], parts: int, rng: np.random.Generator) -> list[Indices]:
        check_parts(labels, parts)
        check_present(labels, self.column)
        if labels.dtype.kind not in "biufmM":
            raise SplitError(
                f"the column {self.column!r} holds text, such as {str(labels[0])!r}, which is no quantity",
                hint="Take `natural` or `grouped_natural` for it, or another column.",
            )
        noise = rng.normal(size=len(labels))
        r = self.correlation
        return list(
            np.array_split(sorted_at_random(r * _standardised_ranks(labels) + np.sqrt(1 - r**2) * noise, rng), parts)
        )


def check_present(values: NDArray[Any], column: str) -> None:
    """Raise SplitError if a value is missing: NaN, no date, or empty text."""
    if values.dtype.kind in "fmM":
        missing = np.isnan(values) if values.dtype.kind == "f" else np.isnat(values)
    elif values.dtype.kind == "U":
        missing = values == ""
    else:
        return
    if missing.any():
        raise SplitError(
            f"the column {column!r} has no value in {int(missing.sum())} of {len(values)} rows, "
            f"the first is row {int(missing.argmax()) + 1}",
            hint="Fill them in, or leave these rows out.",
        )


def _standardised_ranks(values: NDArray[Any]) -> NDArray[np.float64]:
    """Ranks, of equal values their mean, with mean 0 and deviation 1; zeros if all values are equal."""
    groups = members_of(values)
    ends = np.cumsum([len(group) for group in groups])
    ranks = np.empty(len(values))
    for group, end in zip(groups, ends, strict=True):
        ranks[group] = end - (len(group) + 1) / 2
    centred = ranks - ranks.mean()
    deviation = centred.std()
    return np.asarray(centred / deviation if deviation else centred)


def _counted(number: int, noun: str) -> str:
    return f"{number} {noun}{'s' * (number != 1)}"
