"""Where samples lie in the chunks that are scored, so that company doesn't change a prediction."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from colearn_core.fused import first_row, laid_end_to_end

from .streamed import StreamedTensor


def lay_out(parts: Sequence[Tensor], chunk: int) -> tuple[Tensor, NDArray[np.int64]]:
    """All learners' samples in one tensor, where each would lie if it were alone; and which rows are theirs.

    Args:
        parts: each learner's samples, possibly none.
        chunk: the tensor's rows are a multiple of it.

    Returns:
        The samples, zeros in the gaps; and the rows of the first learner's, the second's, ...
    """
    sizes = np.array([part.shape[0] for part in parts])
    filled = np.flatnonzero(sizes).tolist()
    starts, end = laid_end_to_end([first_row_of(parts[i]) for i in filled], sizes[filled].tolist())
    together = parts[0].new_zeros((-(-end // chunk) * chunk, *parts[0].shape[1:]))
    for i, start in zip(filled, starts, strict=True):
        together[start : start + sizes[i]] = parts[i]
    before = np.cumsum(sizes[filled]) - sizes[filled]
    return together, np.repeat(starts - before, sizes[filled]) + np.arange(sizes.sum())


def alone(x: Tensor | StreamedTensor, first: int, chunk: int) -> Iterator[Tensor]:
    """One learner's samples in chunks, as they'd lie if nobody else were there; zeros before and after.

    Each is a copy: a view of the samples might begin at any address.

    Args:
        first: the first row, see :func:`first_row_of`.
    """
    for start in range(-first, len(x), chunk):
        part = x[max(0, start) : start + chunk]
        whole = part.new_zeros((chunk, *part.shape[1:]))
        whole[max(0, -start) : max(0, -start) + len(part)] = part
        yield whole


def first_row_of(part: Tensor | StreamedTensor) -> int:
    """Where a learner's samples begin in the chunks."""
    return first_row(part[:1].cpu().numpy().tobytes())
