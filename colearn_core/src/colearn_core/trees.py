"""Decision trees as flat arrays: a form that can't express a cycle or a missing child, for all backends.

The nodes of a tree are numbered level by level, so that the ``k``-th node that splits (from 0) has the children
``2k + 1`` and ``2k + 2``. Links needn't be stored, nor believed: what other parties send is checked by a few
comparisons of whole arrays, and no library ever reads their bytes as a model.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from functools import cached_property
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from .errors import WeightsError
from .weights import Weights

Array = NDArray[Any]
DEEPEST = 128
"""The most splits from root to leaf: what predicting costs a sample is bounded, whoever grew the tree."""

MISSING_LEFT, CATEGORICAL = 1, 2
"""Bits of ``flags``."""

CHUNK_ROWS = 4096
"""Samples that go through a tree at once: few enough that their place in it stays in the cache."""


@dataclass(frozen=True)
class Forest:
    """Trees, one after the other. Their values are added up, in this order, in double precision.

    Samples are in single precision, and go left at a split if their feature isn't greater than the threshold.

    Attributes:
        sizes: number of nodes of each tree, int32, shape ``(trees,)``.
        output: to which output each tree adds, int32, shape ``(trees,)``; 0 if leaves have a value for each output.
        feature: what each node splits by, int32, shape ``(nodes,)``; -1 for a leaf.
        threshold: float32, shape ``(splits,)``. Of a categorical split, the row of ``categories``.
        flags: uint8, shape ``(splits,)``: :data:`MISSING_LEFT` if NaN goes left, :data:`CATEGORICAL` if the
            feature holds codes of categories, from 0.
        gain: how much each split lowered the loss of who grew it, float32, shape ``(splits,)``.
        value: float32, shape ``(leaves, width)``; the width is 1 or the number of outputs.
        categories: sets as bits, uint8, shape ``(sets, bytes)``: the codes that go right, lowest bit first.
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
        return cls(
            **{name: np.zeros((0, *tail), kind) for name, kind, tail in _FORM if name != "value"},
            value=np.zeros((0, width), np.float32),
        )

    @classmethod
    def joined(cls, forests: Sequence[Self]) -> Self:
        """The trees of all, in this order."""
        sets = np.cumsum([0] + [len(f.categories) for f in forests])
        width = max(f.categories.shape[1] for f in forests)
        arrays = {
            name: np.concatenate([getattr(f, name) for f in forests])
            for name, _, _ in _FORM
            if name not in ("threshold", "categories")
        }
        arrays["threshold"] = np.concatenate(
            [
                np.where(f.flags & CATEGORICAL, f.threshold + np.float32(s), f.threshold)
                for f, s in zip(forests, sets[:-1], strict=True)
            ]
        ).astype(np.float32)
        arrays["categories"] = np.concatenate(
            [np.pad(f.categories, ((0, 0), (0, width - f.categories.shape[1]))) for f in forests]
        )
        return cls(**arrays)

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
        names = {name for name, _, _ in _FORM}
        if set(weights) != names:
            raise WeightsError(
                f"these weights are no trees: missing {sorted(names - set(weights))}, "
                f"unexpected {sorted(set(weights) - names)}"
            )
        for name, kind, tail in _FORM:
            array = weights[name]
            if array.dtype != kind or array.ndim != 1 + len(tail):
                raise WeightsError(f"{name!r} is {array.dtype}{list(array.shape)}, trees have {np.dtype(kind)} there")
        forest = cls(**{name: weights[name] for name in names})
        forest._check(features, outputs, width)
        return forest

    def to_weights(self) -> Weights:
        return Weights({name: getattr(self, name) for name, _, _ in _FORM}, copy=False)

    def __len__(self) -> int:
        return len(self.sizes)

    @property
    def width(self) -> int:
        return int(self.value.shape[1])

    @cached_property
    def starts(self) -> Array:
        """The first node of each tree and the end of the last, int64, shape ``(trees + 1,)``."""
        return np.concatenate([[0], np.cumsum(self.sizes, dtype=np.int64)])

    @cached_property
    def splits(self) -> Array:
        """How many splits come before each node, and in all, int64, shape ``(nodes + 1,)``."""
        return np.concatenate([[0], np.cumsum(self.feature >= 0, dtype=np.int64)])

    @cached_property
    def left(self) -> Array:
        """The left child of each node, and of a leaf itself, int64, shape ``(nodes,)``; the right one is the next."""
        start = np.repeat(self.starts[:-1], self.sizes)
        before = self.splits[:-1]
        children = start + 2 * (before - before[start]) + 1 if len(start) else start
        return np.where(self.feature >= 0, children, np.arange(len(start)))

    @cached_property
    def depths(self) -> Array:
        """The depth of each tree, int64, shape ``(trees,)``; -1 beyond :data:`DEEPEST`."""
        depths = np.full(len(self), -1, np.int64)
        first, end = self.starts[:-1], self.starts[:-1] + 1
        for depth in range(DEEPEST + 1):
            split = self.splits[end] - self.splits[first]
            depths[(depths < 0) & (split == 0)] = depth
            if not split.any():
                break
            first, end = end, end + 2 * split
        return depths

    def take(self, trees: slice | Array) -> Self:
        """Some of the trees, by number."""
        chosen = np.arange(len(self))[trees]
        nodes = np.isin(np.repeat(np.arange(len(self)), self.sizes), chosen)
        if (np.diff(chosen) <= 0).any():
            raise ValueError("trees are taken in their order, each once")
        inner = self.feature >= 0
        taken = nodes[inner]
        return type(self)(
            sizes=self.sizes[chosen],
            output=self.output[chosen],
            feature=self.feature[nodes],
            threshold=self.threshold[taken],
            flags=self.flags[taken],
            gain=self.gain[taken],
            value=self.value[nodes[~inner]],
            categories=self.categories,
        )._without_unused_sets()

    def scaled(self, factors: Array | float) -> Self:
        """The same trees with values times a factor, one for all or for each tree."""
        each = np.broadcast_to(np.asarray(factors, np.float64), len(self))
        values = self.value * np.repeat(each, (self.sizes + 1) // 2)[:, None]
        return type(self)(**{**self._arrays(), "value": values.astype(np.float32)})

    def common(self, other: Forest) -> int:
        """How many trees both begin with, to the bit."""
        trees = min(len(self), len(other))
        for name in ("sizes", "output"):
            trees = _equal(getattr(self, name)[:trees], getattr(other, name)[:trees])
        nodes = _equal(self.feature[: self.starts[trees]], other.feature[: self.starts[trees]])
        trees = int(np.searchsorted(self.starts, nodes, side="right")) - 1
        for name, ends in (
            ("threshold", self._split_ends),
            ("flags", self._split_ends),
            ("gain", self._split_ends),
            ("value", self._leaf_ends),
        ):
            ends = ends[: trees + 1]
            same = _equal(getattr(self, name)[: ends[-1]], getattr(other, name)[: ends[-1]])
            trees = int(np.searchsorted(ends, same, side="right")) - 1
        if self.categories.size or other.categories.size:
            used = (self.flags[: self._split_ends[trees]] & CATEGORICAL) > 0
            sets = int(self.threshold[: self._split_ends[trees]][used].max(initial=-1)) + 1
            width = max(self.categories.shape[1], other.categories.shape[1])
            one, two = (
                np.pad(c[:sets], ((0, 0), (0, width - c.shape[1]))) for c in (self.categories, other.categories)
            )
            if not np.array_equal(one, two):
                return 0  # rare, and only costs time
        return trees

    def leaves(self, x: Array) -> Array:
        """The leaf, as a row of ``value``, that each sample reaches in each tree.

        Args:
            x: float32, shape ``(n, features)``; NaN is missing.

        Returns:
            int64, shape ``(trees, n)``.
        """
        reached = np.empty((len(self), len(x)), np.int64)
        inner = self.feature >= 0
        threshold, flags = np.zeros(len(inner), np.float32), np.zeros(len(inner), np.uint8)
        threshold[inner], flags[inner] = self.threshold, self.flags
        feature = np.maximum(self.feature, 0).astype(np.intp)
        categorical = bool((self.flags & CATEGORICAL).any())
        sets = np.unpackbits(self.categories, axis=1, bitorder="little") if categorical else None
        for begin in range(0, len(x), CHUNK_ROWS):
            columns = np.ascontiguousarray(x[begin : begin + CHUNK_ROWS].T)
            missing = np.isnan(columns) if np.isnan(columns).any() else None
            flat, rows = columns.ravel(), np.arange(columns.shape[1])
            for tree in range(len(self)):
                at = np.full(columns.shape[1], self.starts[tree])
                for _ in range(self.depths[tree]):
                    place = feature[at] * len(rows) + rows
                    value = flat[place]
                    right = value > threshold[at]
                    if sets is not None:
                        by_set = np.flatnonzero(flags[at] & CATEGORICAL)
                        right[by_set] = _among(sets, threshold[at[by_set]].astype(np.intp), value[by_set])
                    if missing is not None:
                        unknown = missing.ravel()[place]
                        right = np.where(unknown, (flags[at] & MISSING_LEFT) == 0, right)
                    at = self.left[at] + (right & inner[at])
                reached[tree, begin : begin + CHUNK_ROWS] = at - self.splits[at]
        return reached

    def add_to(self, margins: Array, x: Array) -> None:
        """Add what the trees say of samples to ``margins``, float64, shape ``(n, outputs)``, tree by tree."""
        for tree, rows in enumerate(self.leaves(x)):
            if self.width == 1:
                margins[:, self.output[tree]] += self.value[rows, 0]
            else:
                margins += self.value[rows]

    def importance(self, features: int) -> Array:
        """The share of each feature in the gain of all splits, float64, shape ``(features,)``; 0 without any gain."""
        gains = np.maximum(self.gain.astype(np.float64), 0)
        total = np.bincount(self.feature[self.feature >= 0], weights=gains, minlength=features)
        return total / total.sum() if total.sum() > 0 else total

    @cached_property
    def _split_ends(self) -> Array:
        return self.splits[self.starts]

    @cached_property
    def _leaf_ends(self) -> Array:
        return self.starts - self._split_ends

    def _arrays(self) -> dict[str, Array]:
        return {f.name: getattr(self, f.name) for f in fields(self)}

    def _without_unused_sets(self) -> Self:
        by_set = (self.flags & CATEGORICAL) > 0
        used, rows = np.unique(self.threshold[by_set].astype(np.intp), return_inverse=True)
        threshold = self.threshold.copy()
        threshold[by_set] = rows
        return type(self)(**{**self._arrays(), "threshold": threshold, "categories": self.categories[used]})

    def _check(self, features: int, outputs: int, width: int) -> None:
        nodes, splits = len(self.feature), len(self.threshold)
        if (self.sizes < 1).any() or int(self.sizes.sum(dtype=np.int64)) != nodes:
            raise WeightsError(f"'sizes' of {len(self)} trees don't add up to the {nodes} nodes there are")
        if len(self.output) != len(self) or ((self.output < 0) | (self.output >= (outputs if width == 1 else 1))).any():
            raise WeightsError(f"'output' must give one of {outputs} outputs for each of {len(self)} trees")
        if ((self.feature < -1) | (self.feature >= features)).any():
            raise WeightsError(f"'feature' names features that aren't among the {features} of the model")
        if not len(self.flags) == len(self.gain) == splits == int((self.feature >= 0).sum()):
            raise WeightsError(
                f"'threshold', 'flags' and 'gain' must have a value for each of {int(self.splits[-1])} splits"
            )
        if self.value.shape != (nodes - splits, width):
            raise WeightsError(f"'value' has the shape {list(self.value.shape)}, the leaves {[nodes - splits, width]}")
        for name in ("threshold", "gain", "value"):
            if not np.isfinite(getattr(self, name)).all():
                raise WeightsError(f"non-finite values in {name!r}")
        if (2 * np.diff(self._split_ends) + 1 != self.sizes).any():
            raise WeightsError("'feature' gives a tree with as many leaves as don't fit its splits")
        # Each split's children must come after it: as many splits or more would be needed for a node out of reach.
        tree = np.repeat(np.arange(len(self)), self.sizes)
        if nodes and (self.left <= np.arange(nodes))[self.feature >= 0].any():
            worst = int(tree[np.flatnonzero((self.left <= np.arange(nodes)) & (self.feature >= 0))[0]])
            raise WeightsError(f"tree {worst} isn't numbered level by level")
        if (self.depths < 0).any():
            raise WeightsError(f"tree {int(np.argmax(self.depths < 0))} is deeper than {DEEPEST} splits")
        by_set = self.threshold[(self.flags & CATEGORICAL) > 0]
        if (self.flags > (MISSING_LEFT | CATEGORICAL)).any() or (
            (by_set < 0) | (by_set != np.floor(by_set)) | (by_set >= len(self.categories))
        ).any():
            raise WeightsError("'flags' ask for sets of 'categories' that aren't there")


_FORM: tuple[tuple[str, Any, tuple[int, ...]], ...] = (
    ("sizes", np.int32, ()),
    ("output", np.int32, ()),
    ("feature", np.int32, ()),
    ("threshold", np.float32, ()),
    ("flags", np.uint8, ()),
    ("gain", np.float32, ()),
    ("value", np.float32, (1,)),
    ("categories", np.uint8, (0,)),
)
"""Name, type and further axes of each array."""


_LARGEST = np.finfo(np.float32).max


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
        threshold: samples that aren't greater go left, in double precision or single. Of categorical
            splits, a row of ``sets`` where ``categorical`` there is true.
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
    chosen = np.zeros((0, 0), np.uint8)
    if sets is not None:
        by_set = np.asarray(sets)[split].any(axis=1)
        flags[by_set] |= CATEGORICAL
        limits[by_set] = np.arange(by_set.sum())
        chosen = np.packbits(np.asarray(sets)[split][by_set], axis=1, bitorder="little")
    values = np.asarray(value, np.float32)
    return Forest(
        sizes=np.array([len(order)], np.int32),
        output=np.array([output], np.int32),
        feature=np.where(inner, np.asarray(feature)[order], -1).astype(np.int32),
        threshold=limits,
        flags=flags,
        gain=np.zeros(len(split), np.float32) if gain is None else np.asarray(gain)[split].astype(np.float32),
        value=values[order[~inner]].reshape(int((~inner).sum()), -1),
        categories=chosen,
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
    return np.clip(below, -_LARGEST, _LARGEST).astype(np.float32)  # an infinite one parts what is missing from the rest


def _among(sets: Array, rows: Array, values: Array) -> Array:
    known: Array = (values >= 0) & (values < sets.shape[1])
    codes = np.where(known, values, 0).astype(np.intp)
    if sets.shape[1]:
        known &= sets[rows, codes] > 0
    return known


def _equal(one: Array, other: Array) -> int:
    """How many rows both begin with, to the bit."""
    same = one == other
    if same.ndim > 1:
        same = same.all(axis=1)
    return len(same) if same.all() else int(np.argmin(same))
