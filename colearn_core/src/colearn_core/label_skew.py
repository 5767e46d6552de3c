"""Splitters that deal out classes: evenly, few for each learner, partly sorted, or as a table says."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any

import numpy as np
from annotated_types import Ge, Le
from numpy.typing import NDArray

from .dealing import Indices, apportion, cut, members_of, sorted_at_random
from .errors import ParameterError, SplitError
from .splitting import ByColumn, Splitter, check_count, check_parts, check_share


@dataclass(frozen=True)
class Stratified(Splitter):
    """Equal parts with the same classes: both sizes and the counts of each class differ by one at most.

    Samples sorted by class, in random order within it, are dealt like cards. For the easiest case there is, and for
    small data, where random parts already differ by chance.
    """

    column: ByColumn = None

    def split(self, labels: NDArray[Any], parts: int, rng: np.random.Generator) -> list[Indices]:
        check_parts(labels, parts)
        order = sorted_at_random(labels, rng)
        return [order[start::parts] for start in rng.permutation(parts)]


@dataclass(frozen=True)
class Pathological(Splitter):
    """Each learner has exactly ``classes`` different classes (Li et al. 2022, arXiv 2102.02079: #C = k).

    Larger classes go to more learners, so that parts stay as equal in size as whole classes allow; the samples of a
    class are divided equally among its learners. For the hardest label skew that papers use; ``dirichlet`` is
    milder and closer to real data. Unlike ``shards``, nobody has a class more or less.
    """

    classes: Annotated[int, Ge(1), "Classes for each learner"] = 2
    column: ByColumn = None

    def __post_init__(self) -> None:
        check_count("classes", self.classes)

    def split(self, labels: NDArray[Any], parts: int, rng: np.random.Generator) -> list[Indices]:
        check_parts(labels, parts)
        members = members_of(labels)
        most = np.array([min(len(m), parts) for m in members])
        self._check(members, most, parts)
        owners = _owners(np.array([len(m) for m in members]), most, parts * self.classes, rng)
        found: list[list[Indices]] = [[] for _ in range(parts)]
        for learners, group in zip(_dealt(owners, parts, self.classes, rng), members, strict=True):
            for learner, piece in zip(learners, np.array_split(rng.permutation(group), len(learners)), strict=True):
                found[learner].append(piece)
        return [rng.permutation(np.concatenate(pieces)) for pieces in found]

    def _check(self, members: list[Indices], most: NDArray[np.int64], parts: int) -> None:
        k, different = self.classes, len(members)
        if k > different:
            raise SplitError(f"learners can't have {k} classes each: the data have {different}")
        if parts * k < different:
            raise SplitError(
                f"{parts} learners with {k} classes each hold {parts * k} of {different} classes",
                hint=f"Take classes = {-(-different // parts)} or more, or more learners, so that none is left over.",
            )
        if parts * k > most.sum():
            small = int(np.argmin(most))
            raise SplitError(
                f"{parts} learners with {k} classes each need {parts * k} shares in classes; the data have "
                f"{most.sum()}, since some classes are small (one has {len(members[small])} samples)"
            )


@dataclass(frozen=True)
class GammaSimilarity(Splitter):
    """A share ``gamma`` of all samples is dealt at random, the rest is sorted by class and cut into equal pieces.

    Parts are equal in size. 1 is iid; 0 gives each learner as few classes as there can be. (Karimireddy et al. 2020,
    arXiv 1910.06378, section 7, as "s % similarity".) For a skew of chosen strength without chance: two seeds give
    the same class counts but for the random share.
    """

    gamma: Annotated[float, Ge(0), Le(1), "Share of samples that is dealt at random"] = 0.5
    column: ByColumn = None

    def __post_init__(self) -> None:
        check_share("gamma", self.gamma)

    def split(self, labels: NDArray[Any], parts: int, rng: np.random.Generator) -> list[Indices]:
        check_parts(labels, parts)
        order = rng.permutation(len(labels))
        alike, rest = np.split(order, [round(self.gamma * len(order))])
        rest = rest[np.argsort(labels[rest], kind="stable")]
        random = np.array_split(alike, parts)
        sizes = np.array([len(part) for part in np.array_split(order, parts)]) - [len(part) for part in random]
        return [np.concatenate(pair) for pair in zip(random, cut(rest, sizes), strict=True)]


@dataclass(frozen=True)
class Distribution(Splitter):
    """The samples of each class go to the learners in the shares of a table.

    For a distribution that is known: of a paper, or of real parties. A row for each learner, a column for each class
    (for regression, each decile of the target); a column's numbers are relative. Random within a class.
    """

    table: Annotated[
        tuple[tuple[float, ...], ...], "Relative shares of the classes: a row for each learner, a column for each class"
    ]

    def __post_init__(self) -> None:
        rows = self.table
        if not rows or not rows[0] or len({len(row) for row in rows}) != 1:
            raise ParameterError(f"table must have rows of one length, not {[len(row) for row in rows]}")
        values = np.array(rows)
        if not (np.isfinite(values).all() and (values >= 0).all() and values.any(axis=0).all()):
            raise ParameterError("table must have numbers of 0 or more, and in each column one above 0")

    def split(self, labels: NDArray[Any], parts: int, rng: np.random.Generator) -> list[Indices]:
        check_parts(labels, parts)
        members, shares = members_of(labels), np.array(self.table, dtype=np.float64)
        if shares.shape != (parts, len(members)):
            raise SplitError(
                f"{parts} learners and {len(members)} classes need a table of as many rows and columns, "
                f"not {len(shares)} × {shares.shape[1]}"
            )
        pieces = [cut(rng.permutation(m), apportion(shares[:, c], len(m))) for c, m in enumerate(members)]
        found = [rng.permutation(np.concatenate(part)) for part in zip(*pieces, strict=True)]
        empty = [i for i, part in enumerate(found) if not len(part)]
        if empty:
            raise SplitError(f"by row {empty[0]} of the table (from 0) a learner has none of {len(labels)} samples")
        return found


def _owners(
    sizes: NDArray[np.int64], most: NDArray[np.int64], total: int, rng: np.random.Generator
) -> NDArray[np.int64]:
    """How many learners share each class: from 1 to ``most``, ``total`` together, in proportion to the sizes.

    Seats are given one by one to the class with most samples for each owner (D'Hondt's method), ties by lot.
    """
    order = rng.permutation(len(sizes))
    size, limit = sizes[order], most[order]
    owners = np.ones_like(size)
    load = np.where(owners < limit, size / owners, -1.0)
    for _ in range(total - len(size)):
        c = int(load.argmax())
        owners[c] += 1
        load[c] = size[c] / owners[c] if owners[c] < limit[c] else -1.0
    found = np.empty_like(owners)
    found[order] = owners
    return found


def _dealt(owners: NDArray[np.int64], parts: int, k: int, rng: np.random.Generator) -> list[list[int]]:
    """The learners of each class, ``owners`` many and all different, such that each learner is in ``k`` classes.

    One learner after the other draws k classes that still lack owners, the more they lack the likelier (by the keys
    of Efraimidis and Spirakis 2006). A class that lacks as many owners as there are learners left must be taken; so
    there's no dead end, since what's lacking always adds up to k for each learner that's left.
    """
    lacking = owners.copy()
    found: list[list[int]] = [[] for _ in owners]
    for turn, learner in enumerate(rng.permutation(parts)):
        draws = rng.exponential(size=len(owners))
        keys = np.where(lacking > 0, draws / np.maximum(lacking, 1), np.inf)
        keys[lacking == parts - turn] = -1.0
        for c in np.argsort(keys, kind="stable")[:k]:
            found[c].append(int(learner))
            lacking[c] -= 1
    return found
