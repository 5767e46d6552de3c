"""Where samples lie in the chunks that are scored, so that company doesn't change a prediction."""

from __future__ import annotations

from collections.abc import Sequence
from zlib import crc32

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

ALIGNED_ROWS = 8
"""A row's place modulo this decides its alignment in memory in every layer, however wide (8 rows of floats are a
multiple of 32 bytes). Matrix products with few columns start their vectors at an aligned address, so that a row
that lies elsewhere ends in other last bits."""


def lay_out(parts: Sequence[Tensor]) -> tuple[Tensor, NDArray[np.int64]]:
    """All learners' samples in one tensor, where each would lie if it were alone; and which rows are theirs.

    Modulo :data:`ALIGNED_ROWS` a learner's first row is where the bytes of its first sample say. As these differ,
    learners fit end to end almost without gaps; with a common first row a thousand learners of one
    sample each would be eight times as many rows.

    Args:
        parts: each learner's samples, possibly none.

    Returns:
        The samples, zeros in the gaps; and the rows of the first learner's, the second's, ...
    """
    starts, end = _starts(parts)
    together = parts[0].new_zeros((end, *parts[0].shape[1:]))
    for start, part in zip(starts, parts, strict=True):
        together[start : start + len(part)] = part
    rows = [start + np.arange(len(part)) for start, part in zip(starts, parts, strict=True)]
    return together, np.concatenate(rows)


def _starts(parts: Sequence[Tensor]) -> tuple[list[int], int]:
    """The first row of each learner, and the end of the last: whoever fits where another ended comes next."""
    waiting: list[list[int]] = [[] for _ in range(ALIGNED_ROWS)]
    filled = [i for i, part in enumerate(parts) if len(part)]
    for i in reversed(filled):
        waiting[crc32(parts[i][0].cpu().numpy().tobytes()) % ALIGNED_ROWS].append(i)
    starts, end = [0] * len(parts), 0
    for _ in filled:
        start = next(row for row in range(end, end + ALIGNED_ROWS) if waiting[row % ALIGNED_ROWS])
        i = waiting[start % ALIGNED_ROWS].pop()
        starts[i], end = start, start + len(parts[i])
    return starts, end
