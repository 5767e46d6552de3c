"""Random trees as libraries keep them, and what they say of samples by plain recursion, apart from the code tested."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from hypothesis import strategies as st
from numpy.typing import NDArray

from colearn_core.trees import Forest, grown

Array = NDArray[Any]
FEATURES = 5
EDGES = (0.0, -0.0, 1.0, 2.0, 0.1, -1.5, 3.4e38, 1e-45)
"""Features are drawn from these too, so that many lie on a threshold."""


@dataclass(frozen=True)
class LibraryTree:
    """One tree: a row for each node, the root first, in an order of the library's own.

    Attributes:
        sets: of each node which codes go right; all False where it splits by its threshold.
    """

    left: Array
    right: Array
    feature: Array
    threshold: Array
    missing_left: Array
    gain: Array
    sets: Array
    value: Array
    output: int = 0

    def forest(self) -> Forest:
        return grown(
            self.left,
            self.right,
            self.feature,
            self.threshold,
            self.value,
            missing_left=self.missing_left,
            gain=self.gain,
            sets=self.sets,
            output=self.output,
        )

    def leaf(self, sample: Array, node: int = 0) -> int:
        """The node that a sample in single precision ends at; thresholds are taken as they are."""
        if self.left[node] < 0:
            return node
        value = float(sample[self.feature[node]])
        if np.isnan(value):
            right = not self.missing_left[node]
        elif self.sets[node].any():
            right = 0 <= value < len(self.sets[node]) and bool(self.sets[node][int(value)])
        else:
            right = not value <= float(self.threshold[node])
        return self.leaf(sample, int(self.right[node] if right else self.left[node]))


def random_tree(
    rng: np.random.Generator, splits: int, width: int = 1, codes: int = 0, chain: bool = False, output: int = 0
) -> LibraryTree:
    """A tree of any shape.

    Args:
        splits: how many; 0 gives a single leaf.
        codes: how many categories there are; 0 leaves categorical splits out.
        chain: whether each split has a leaf beside it.
    """
    nodes = 2 * splits + 1
    left, right = np.full(nodes, -1), np.full(nodes, -1)
    numbers = iter(1 + rng.permutation(nodes - 1))  # children lie anywhere, also before their parents
    leaves = [0]
    for _ in range(splits):
        node = leaves.pop(-1 if chain else int(rng.integers(len(leaves))))
        left[node], right[node] = next(numbers), next(numbers)
        leaves += [int(left[node]), int(right[node])]
    doubles = rng.choice([*EDGES, -np.inf, np.inf, 1e300, 0.5 + 1e-12, *rng.normal(size=8)], size=nodes)
    sets = rng.random((nodes, codes)) < 0.5
    sets[rng.random(nodes) < 0.5] = False
    return LibraryTree(
        left=left,
        right=right,
        feature=rng.integers(FEATURES, size=nodes),
        threshold=doubles,
        missing_left=rng.random(nodes) < 0.5,
        gain=rng.normal(size=nodes),
        sets=sets,
        value=rng.normal(size=(nodes, width)).astype(np.float32),
        output=output,
    )


def random_samples(rng: np.random.Generator, samples: int) -> Array:
    """Features in single precision: numbers, codes of categories (some unknown or none), and missing ones."""
    x = rng.choice([*EDGES, np.nan, *range(40), -1.0, 7.5, *rng.normal(size=20)], size=(samples, FEATURES))
    return x.astype(np.float32)


@st.composite
def library_trees(draw: st.DrawFn, width: int = 1, outputs: int = 1) -> list[LibraryTree]:
    """A few trees, from none to six, of one model."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    shapes = draw(
        st.lists(st.tuples(st.integers(0, 12), st.sampled_from([0, 1, 7, 8, 9, 33]), st.booleans()), max_size=6)
    )
    return [
        random_tree(rng, splits, width, codes, chain, output=int(rng.integers(outputs)))
        for splits, codes, chain in shapes
    ]


def joined(trees: list[LibraryTree], width: int = 1) -> Forest:
    return Forest.joined([Forest.empty(width), *(tree.forest() for tree in trees)])


def said(trees: list[LibraryTree], x: Array, outputs: int) -> Array:
    """The margins of samples, tree by tree."""
    margins = np.zeros((len(x), outputs))
    for tree in trees:
        for row, sample in enumerate(x):
            value = tree.value[tree.leaf(sample)]
            if len(value) == 1:
                margins[row, tree.output] += np.float64(value[0])
            else:
                margins[row] += value.astype(np.float64)
    return margins
