"""Where samples lie in the chunks that are scored, so that company doesn't change a prediction."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from zlib import crc32

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from .streamed import StreamedTensor

ALIGNED_ROWS = 8
"""A row's place modulo this decides its alignment in memory in every layer, however wide (8 rows of floats are a
multiple of 32 bytes). Matrix products with few columns start their vectors at an aligned address, so that a row
that lies elsewhere ends in other last bits."""


def lay_out(parts: Sequence[Tensor], chunk: int) -> tuple[Tensor, NDArray[np.int64]]:
    """All learners' samples in one tensor, where each would lie if it were alone; and which rows are theirs.

    Modulo :data:`ALIGNED_ROWS` a learner's first row is where the bytes of its first sample say. As these differ,
    learners fit end to end almost without gaps; with a common first row a thousand learners of one
    sample each would be eight times as many rows.

    Args:
        parts: each learner's samples, possibly none.
        chunk: the tensor's rows are a multiple of it.

    Returns:
        The samples, zeros in the gaps; and the rows of the first learner's, the second's, ...
    """
    sizes = np.array([part.shape[0] for part in parts])
    filled = np.flatnonzero(sizes).tolist()
    starts, end = _starts([first_row(parts[i]) for i in filled], sizes[filled].tolist())
    together = parts[0].new_zeros((-(-end // chunk) * chunk, *parts[0].shape[1:]))
    for i, start in zip(filled, starts, strict=True):
        together[start : start + sizes[i]] = parts[i]
    before = np.cumsum(sizes[filled]) - sizes[filled]
    return together, np.repeat(starts - before, sizes[filled]) + np.arange(sizes.sum())


def alone(x: Tensor | StreamedTensor, first: int, chunk: int) -> Iterator[Tensor]:
    """One learner's samples in chunks, as they'd lie if nobody else were there; zeros before and after.

    Each is a copy: a view of the samples might begin at any address.

    Args:
        first: the first row, see :func:`first_row`.
    """
    for start in range(-first, len(x), chunk):
        part = x[max(0, start) : start + chunk]
        whole = part.new_zeros((chunk, *part.shape[1:]))
        whole[max(0, -start) : max(0, -start) + len(part)] = part
        yield whole


def first_row(part: Tensor | StreamedTensor) -> int:
    """Where a learner's samples begin, modulo :data:`ALIGNED_ROWS`."""
    return crc32(part[:1].cpu().numpy().tobytes()) % ALIGNED_ROWS


def _starts(first_rows: Sequence[int], sizes: Sequence[int]) -> tuple[NDArray[np.int64], int]:
    """Each learner's first row, and the end of the last: whoever fits where another ended comes next."""
    waiting: list[list[int]] = [[] for _ in range(ALIGNED_ROWS)]
    for i in reversed(range(len(sizes))):
        waiting[first_rows[i]].append(i)
    starts, end = np.zeros(len(sizes), dtype=np.int64), 0
    for _ in sizes:
        start = next(row for row in range(end, end + ALIGNED_ROWS) if waiting[row % ALIGNED_ROWS])
        i = waiting[start % ALIGNED_ROWS].pop()
        starts[i], end = start, start + sizes[i]
    return starts, end
