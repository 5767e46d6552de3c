"""Decision trees as flat arrays: a form that can't express a cycle or a missing child, for all backends.

The nodes of a tree are numbered level by level, so that the ``k``-th node that splits (from 0) has the children
``2k + 1`` and ``2k + 2``. Links needn't be stored, nor believed: what other parties send is checked by a few
comparisons of whole arrays, and no library ever reads their bytes as a model.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields
from functools import cached_property
from typing import Any, NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

from .errors import WeightsError
from .tree_checks import CATEGORICAL as CATEGORICAL
from .tree_checks import DEEPEST as DEEPEST
from .tree_checks import MISSING_LEFT as MISSING_LEFT
from .tree_checks import check_trees
from .weights import Weights

Array = NDArray[Any]
CHUNK_ROWS = 4096
"""Samples that go through a tree at once: few enough that their place in it stays in the cache."""


@dataclass(frozen=True, eq=False)
class Forest:
    """Trees, one after the other. Their values are added up, in this order, in double precision.

    Samples are in single precision, and go left at a split if their feature isn't greater than the threshold.

    Attributes:
        sizes: number of nodes of each tree, int32, shape ``(trees,)``.
        output: to which output each tree adds, int32, shape ``(trees,)``; 0 if leaves have a value for each output.
        feature: what each node splits by, int32, shape ``(nodes,)``; -1 for a leaf.
        threshold: float32, shape ``(splits,)``. Of a categorical split, how many bytes of ``categories`` it has.
        flags: uint8, shape ``(splits,)``: :data:`MISSING_LEFT` if NaN goes left, :data:`CATEGORICAL` if the
            feature holds codes of categories, from 0.
        gain: how much each split lowered the loss of who grew it, float32, shape ``(splits,)``.
        value: float32, shape ``(leaves, width)``; the width is 1 or the number of outputs.
        categories: of each categorical split the set of codes that go right, as bits, lowest first, uint8,
            shape ``(bytes,)``. Codes beyond its last byte go left.
    """

    sizes: Array
    output: Array
    feature: Array
    threshold: Array
    flags: Array
    gain: Array
    value: Array
    categories: Array

    @classmethod
    def empty(cls, width: int) -> Self:
        """No trees, for leaves of so many values."""
        return cls(**{a.name: np.zeros((0, width) if a.ndim == 2 else 0, a.dtype) for a in _FORM})

    @classmethod
    def joined(cls, forests: Sequence[Self]) -> Self:
        """The trees of all, in this order."""
        return cls(**{a.name: np.concatenate([getattr(f, a.name) for f in forests]) for a in _FORM})

    @classmethod
    def from_weights(cls, weights: Weights, features: int, outputs: int, width: int) -> Self:
        """The trees in weights, which may come from anybody.

        Args:
            features: how many the model has.
            outputs: how many the model has.
            width: number of values of each leaf.

        Raises:
            WeightsError: these aren't trees of such a model; the message names the array.
        """
        names = {a.name for a in _FORM}
        if set(weights) != names:
            raise WeightsError(
                f"these weights are no trees: missing {sorted(names - set(weights))}, "
                f"unexpected {sorted(set(weights) - names)}"
            )
        for form in _FORM:
            array = weights[form.name]
            if array.dtype != form.dtype or array.ndim != form.ndim:
                raise WeightsError(
                    f"{form.name!r} is {array.dtype}{list(array.shape)}, trees have {np.dtype(form.dtype)} there"
                    + (f" in {form.ndim} dimensions" if array.dtype == form.dtype else "")
                )
        forest = cls(**weights)
        check_trees(forest, features, outputs, width)
        return forest

    def to_weights(self) -> Weights:
        return Weights(self._arrays(), copy=False)

    def __len__(self) -> int:
        return len(self.sizes)

    @property
    def width(self) -> int:
        """How many values a leaf has."""
        return int(self.value.shape[1])

    @cached_property
    def starts(self) -> Array:
        """The first node of each tree and the end of the last, int64, shape ``(trees + 1,)``."""
        return _running(self.sizes)

    @cached_property
    def splits(self) -> Array:
        """How many splits come before each node, and in all, int64, shape ``(nodes + 1,)``."""
        return _running(self.feature >= 0)

    @cached_property
    def inner(self) -> Array:
        """The nodes that split, int64, shape ``(splits,)``."""
        return np.flatnonzero(self.feature >= 0)

    @cached_property
    def ends(self) -> dict[str, Array]:
        """Of each tree the first row, and the end of the last, in arrays per tree, node, split, leaf or byte."""
        splits = np.searchsorted(self.inner, self.starts)
        return {
            "tree": np.arange(len(self) + 1),
            "node": self.starts,
            "split": splits,
            "leaf": self.starts - splits,
            "byte": self._sets[splits],
        }

    @cached_property
    def left_of_splits(self) -> Array:
        """The left child of each node that splits, int64, shape ``(splits,)``."""
        before = self.ends["split"]
        own = self.starts[:-1] + 1 - 2 * before[:-1]
        return np.repeat(own, np.diff(before)) + 2 * np.arange(len(self.inner))

    @cached_property
    def left(self) -> Array:
        """The left child of each node, and of a leaf itself, int64, shape ``(nodes,)``; the right one is the next."""
        left = np.arange(len(self.feature))
        left[self.inner] = self.left_of_splits
        return left

    @cached_property
    def depths(self) -> Array:
        """The depth of each tree, int64, shape ``(trees,)``; -1 beyond :data:`DEEPEST`."""
        depths = np.full(len(self), -1, np.int64)
        trees, first, end = np.arange(len(self)), self.starts[:-1], self.starts[:-1] + 1
        for depth in range(DEEPEST + 1):
            split = self.splits[end] - self.splits[first]
            depths[trees[split == 0]] = depth
            trees, first, end, split = (a[split > 0] for a in (trees, first, end, split))
            if not len(trees):
                break
            first, end = end, end + 2 * split
        return depths

    def codes(self, split: int) -> Array:
        """The codes of categories that go right at a categorical split, int64."""
        begin = self._sets[split]
        chosen = self.categories[begin : begin + int(self.threshold[split])]
        return np.flatnonzero(np.unpackbits(chosen, bitorder="little"))

    def take(self, trees: slice | Array) -> Self:
        """Some of the trees, by number, in their order, each once."""
        chosen = np.arange(len(self))[trees]
        steps = np.diff(chosen)
        if (steps <= 0).any():
            raise ValueError("trees are taken in their order, each once")
        if not len(chosen) or len(steps) == chosen[-1] - chosen[0]:
            first, end = (int(chosen[0]), int(chosen[-1]) + 1) if len(chosen) else (0, 0)
            rows: Any = {per: slice(ends[first], ends[end]) for per, ends in self.ends.items()}
        else:
            wanted = np.zeros(len(self), dtype=bool)
            wanted[chosen] = True
            rows = {per: np.repeat(wanted, np.diff(ends)) for per, ends in self.ends.items()}
        return type(self)(**{a.name: getattr(self, a.name)[rows[a.per]] for a in _FORM})

    def scaled(self, factors: Array | float) -> Self:
        """The same trees with values times a factor, one for all or for each tree."""
        each = np.broadcast_to(np.asarray(factors, np.float64), len(self))
        values = self.value * np.repeat(each, np.diff(self.ends["leaf"]))[:, None]
        return type(self)(**{**self._arrays(), "value": values.astype(np.float32)})

    def common(self, other: Forest) -> int:
        """How many trees both begin with, to the bit."""
        trees = min(len(self), len(other)) if self.width == other.width else 0
        for form in _FORM:  # of trees that agree in the arrays before, the rows in this one are as many
            ends = self.ends[form.per][: trees + 1]
            same = _equal(getattr(self, form.name)[: ends[-1]], getattr(other, form.name)[: ends[-1]])
            trees = int(np.searchsorted(ends, same, side="right")) - 1
        return trees

    def leaves(self, x: Array) -> Array:
        """The leaf, as a row of ``value``, that each sample reaches in each tree.

        Args:
            x: float32, shape ``(n, features)``; NaN is missing.

        Returns:
            int64, shape ``(trees, n)``.
        """
        reached = np.empty((len(self), len(x)), np.int64)
        for tree, rows, leaves in self._reached(x):
            reached[tree, rows] = leaves
        return reached

    def add_to(self, margins: Array, x: Array) -> None:
        """Add what the trees say of samples to ``margins``, float64, shape ``(n, outputs)``, tree by tree.

        Args:
            x: float32, shape ``(n, features)``; NaN is missing.
        """
        for tree, rows, leaves in self._reached(x):
            if self.width == 1:
                margins[rows, self.output[tree]] += self.value[leaves, 0]
            else:
                margins[rows] += self.value[leaves]

    def importance(self, features: int) -> Array:
        """The share of each feature in the gain of all splits, float64, shape ``(features,)``; 0 without any gain."""
        gains = np.maximum(self.gain.astype(np.float64), 0)
        total = np.bincount(self.feature[self.inner], weights=gains, minlength=features)
        return total / total.sum() if total.sum() > 0 else total

    def _reached(self, x: Array) -> Iterator[tuple[int, slice, Array]]:
        """Trees, samples, and which leaves these reach: chunk by chunk of samples, in each tree by tree."""
        feature = np.maximum(self.feature, 0).astype(np.intp)
        threshold = self._by_node(self.threshold, np.inf)  # a leaf is its own left child
        missing_left = self._by_node(self.flags & MISSING_LEFT, MISSING_LEFT) > 0
        by_set = self._by_node(self.flags & CATEGORICAL, 0) > 0
        leaf = np.arange(len(self.feature)) - self.splits[:-1]
        any_set = by_set.any()
        for begin in range(0, len(x), CHUNK_ROWS):
            columns = np.ascontiguousarray(x[begin : begin + CHUNK_ROWS].T)
            values, samples = columns.ravel(), columns.shape[1]
            rows, column = np.arange(samples), feature * samples
            missing = np.isnan(values)
            any_missing = missing.any()
            for tree in range(len(self)):
                at = np.full(samples, self.starts[tree])
                for _ in range(self.depths[tree]):
                    place = column.take(at) + rows
                    value = values.take(place)
                    right = value > threshold.take(at)
                    if any_set:
                        asked = np.flatnonzero(by_set.take(at))
                        right[asked] = self._in_set(self.splits[at[asked]], value[asked])
                    if any_missing:
                        right = np.where(missing.take(place), ~missing_left.take(at), right)
                    at = self.left.take(at) + right
                yield tree, slice(begin, begin + samples), leaf.take(at)

    def _in_set(self, splits: Array, values: Array) -> Array:
        """Whether values, rounded down, are in the sets of categorical splits."""
        found: Array = (values >= 0) & (values < 8 * self.threshold[splits])
        codes = values[found].astype(np.intp)
        found[found] = self.categories[self._sets[splits[found]] + codes // 8] >> (codes % 8) & 1
        return found

    def _by_node(self, of_splits: Array, of_leaves: float) -> Array:
        table = np.full(len(self.feature), of_leaves, of_splits.dtype)
        table[self.inner] = of_splits
        return table

    @cached_property
    def _sets(self) -> Array:
        """Where in ``categories`` the set of each split begins, and the end, shape ``(splits + 1,)``."""
        if not len(self.categories):
            return np.zeros(len(self.threshold) + 1, np.int64)
        return _running(np.where(self.flags & CATEGORICAL, self.threshold, 0).astype(np.int64))

    def _arrays(self) -> dict[str, Array]:
        return {f.name: getattr(self, f.name) for f in fields(self)}


class _Form(NamedTuple):
    """What an array of a forest must be, and what it has a row for."""

    name: str
    dtype: type[np.generic]
    per: str
    ndim: int = 1


_FORM = (
    _Form("sizes", np.int32, "tree"),
    _Form("output", np.int32, "tree"),
    _Form("feature", np.int32, "node"),
    _Form("threshold", np.float32, "split"),
    _Form("flags", np.uint8, "split"),
    _Form("gain", np.float32, "split"),
    _Form("value", np.float32, "leaf", 2),
    _Form("categories", np.uint8, "byte"),
)


def grown(
    left: Array,
    right: Array,
    feature: Array,
    threshold: Array,
    value: Array,
    *,
    missing_left: Array | None = None,
    gain: Array | None = None,
    sets: Array | None = None,
    output: int = 0,
) -> Forest:
    """One tree from the arrays in which libraries keep it: a row per node, the root first.

    Args:
        left: number of the left child; negative for a leaf.
        right: number of the right child.
        feature: what a node splits by.
        threshold: samples that aren't greater go left, in double precision or single. One beyond the largest single
            parts what is missing from the rest.
        value: of the leaves, shape ``(nodes,)`` or ``(nodes, width)``.
        missing_left: whether NaN goes left; by default right.
        gain: by how much a split lowered the loss; by default 0.
        sets: boolean, shape ``(nodes, codes)``: of categorical splits, which codes go right; a node whose row is all
            False splits by its threshold.
        output: to which output the tree adds.
    """
    order = _level_by_level(np.asarray(left), np.asarray(right))
    inner = np.asarray(left)[order] >= 0
    split = order[inner]
    flags = np.zeros(len(split), np.uint8) if missing_left is None else np.asarray(missing_left)[split].astype(np.uint8)
    limits = _not_above(np.asarray(threshold)[split])
    categories = np.zeros(0, np.uint8)
    if sets is not None:
        by_set = np.asarray(sets)[split].any(axis=1)
        chosen = [
            np.packbits(codes[: np.flatnonzero(codes)[-1] + 1], bitorder="little") for codes in sets[split[by_set]]
        ]
        flags[by_set] |= CATEGORICAL
        limits[by_set] = [len(codes) for codes in chosen]
        categories = np.concatenate([categories, *chosen])
    values = np.asarray(value, np.float32)
    return Forest(
        sizes=np.array([len(order)], np.int32),
        output=np.array([output], np.int32),
        feature=np.where(inner, np.asarray(feature)[order], -1).astype(np.int32),
        threshold=limits,
        flags=flags,
        gain=np.zeros(len(split), np.float32) if gain is None else np.asarray(gain)[split].astype(np.float32),
        value=values[order[~inner]].reshape(int((~inner).sum()), -1),
        categories=categories,
    )


def _level_by_level(left: Array, right: Array) -> Array:
    levels, level = [], np.zeros(1, np.int64)
    while len(level):
        levels.append(level)
        split = level[left[level] >= 0]
        level = np.column_stack([left[split], right[split]]).ravel()
    return np.concatenate(levels)


def _not_above(threshold: Array) -> Array:
    """The greatest single that isn't above: samples in single precision go the same way."""
    with np.errstate(over="ignore"):
        limits = threshold.astype(np.float32)
        below: Array = np.where(limits > threshold, np.nextafter(limits, np.float32(-np.inf)), limits)
    return np.clip(below, -_LARGEST, _LARGEST).astype(np.float32)


def _running(counts: Array) -> Array:
    """The sums before each count, and of all, int64, shape ``(n + 1,)``."""
    sums = np.zeros(len(counts) + 1, np.int64)
    np.cumsum(counts, out=sums[1:])
    return sums


def _equal(one: Array, other: Array) -> int:
    """How many rows both begin with, to the bit."""
    same = one.view(f"u{one.itemsize}") == other.view(f"u{one.itemsize}")
    if same.all():
        return len(same)
    return int(np.argmin(same.all(axis=1) if same.ndim > 1 else same))


_LARGEST = np.finfo(np.float32).max
