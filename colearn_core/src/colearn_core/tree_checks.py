"""Whether arrays that anybody may have sent are trees: what a forest's form can't rule out is compared here."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from .errors import WeightsError

if TYPE_CHECKING:
    from .trees import Forest

DEEPEST = 128
"""The most splits from root to leaf: what predicting costs a sample is bounded, whoever grew the tree."""

MISSING_LEFT, CATEGORICAL = 1, 2
"""Bits of ``flags``."""


def check_trees(trees: Forest, features: int, outputs: int, width: int) -> None:
    """Whether arrays of the right types and dimensions are trees of a model.

    Args:
        features: how many the model has.
        outputs: how many the model has.
        width: number of values of each leaf.

    Raises:
        WeightsError: they aren't; the message names the array.
    """
    nodes, splits = len(trees.feature), len(trees.threshold)
    if (trees.sizes < 1).any() or int(trees.sizes.sum(dtype=np.int64)) != nodes:
        raise WeightsError(f"'sizes' of {len(trees)} trees don't add up to the {nodes} nodes there are")
    most = outputs if width == 1 else 1
    if len(trees.output) != len(trees) or not _within(trees.output, 0, most):
        raise WeightsError(f"'output' must give one of {most} outputs for each of {len(trees)} trees")
    if not _within(trees.feature, -1, features):
        raise WeightsError(f"'feature' names features that aren't among the {features} of the model")
    if not len(trees.flags) == len(trees.gain) == splits == len(trees.inner):
        raise WeightsError(f"'threshold', 'flags' and 'gain' must have a value for each of {len(trees.inner)} splits")
    if trees.value.shape != (nodes - splits, width):
        raise WeightsError(f"'value' has the shape {list(trees.value.shape)}, the leaves {[nodes - splits, width]}")
    for name in ("threshold", "gain", "value"):
        if not np.isfinite(getattr(trees, name)).all():
            raise WeightsError(f"non-finite values in {name!r}")
    if not _within(trees.flags, 0, (MISSING_LEFT | CATEGORICAL) + 1):
        raise WeightsError(f"'flags' are bits of {MISSING_LEFT | CATEGORICAL}, not {int(trees.flags.max())}")
    lengths = trees.threshold[(trees.flags & CATEGORICAL) > 0].astype(np.float64)
    if (lengths < 0).any() or (lengths % 1 > 0).any() or lengths.sum() != len(trees.categories):
        raise WeightsError(
            f"'categories' has {len(trees.categories)} bytes, which isn't what 'threshold' says of "
            f"{len(lengths)} categorical splits"
        )
    _check_shapes(trees)


def _check_shapes(trees: Forest) -> None:
    """That numbers of nodes and splits are those of trees that are numbered level by level."""
    splits = np.diff(trees.ends["split"])
    unfit = 2 * splits + 1 != trees.sizes
    if unfit.any():
        tree = int(np.argmax(unfit))
        raise WeightsError(
            f"'feature' gives tree {tree} {splits[tree]} splits, which isn't what 'sizes' says: "
            f"{trees.sizes[tree]} nodes"
        )
    # Children that come after their parents are all within reach: each node but the root is the child of one.
    early = trees.left_of_splits <= trees.inner
    if early.any():
        tree = int(np.searchsorted(trees.starts, trees.inner[np.argmax(early)], side="right")) - 1
        raise WeightsError(f"'feature' gives tree {tree}, which isn't numbered level by level")
    if (splits > DEEPEST).any() and (trees.depths < 0).any():
        tree = int(np.argmax(trees.depths < 0))
        raise WeightsError(f"'feature' gives tree {tree}, which is deeper than {DEEPEST} splits")


def _within(numbers: NDArray[Any], least: int, end: int) -> bool:
    return not len(numbers) or bool(numbers.min() >= least and numbers.max() < end)
