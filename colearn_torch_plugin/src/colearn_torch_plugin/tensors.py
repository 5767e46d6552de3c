"""Data as torch takes them: arrays, tensors, data sets and loaders become contiguous tensors, where they fit."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from colearn_core.data import Samples
from colearn_core.errors import DataError

from .streamed import BYTES, MapStyle, StreamedTensor, no_pairs, streamed_array

MEMORY_LIMIT = 2 << 30
"""Bytes of features, as float32, up to which a learner holds a part of its data in memory."""

LARGEST_UNSIZED = 1_000_000
"""Samples after which a loader that doesn't know its length is taken for endless."""


@dataclass(frozen=True)
class Tensors:
    """Features, one row per sample, and targets: class numbers (int64) or values (float32).

    ``x[rows]`` gives features by a slice or a tensor of row numbers, whether they're in memory or streamed.
    """

    x: Tensor | StreamedTensor
    y: Tensor

    def __len__(self) -> int:
        return len(self.y)

    @property
    def targets(self) -> Any:
        """The targets as a numpy array, for metrics."""
        return self.y.cpu().numpy()

    @property
    def streamed(self) -> bool:
        """Whether features are read when they're needed, and not kept."""
        return isinstance(self.x, StreamedTensor)

    def to(self, device: torch.device) -> Tensors:
        return Tensors(self.x.to(device), self.y.to(device))


def tensors_of(part: str, data: Any, classes: int | None, limit: int = MEMORY_LIMIT) -> Tensors:
    """Data in whatever form, checked; features that are streamed are checked whenever they're read.

    Args:
        part: what they are, for messages.
        data: a pair of arrays or tensors, :class:`Samples`, a torch ``Dataset``, or a ``DataLoader``.
        classes: how many there are; None for values.
        limit: the bytes that features may take, as float32; larger ones are streamed.

    Raises:
        DataError: they can't be read or learned from, or are too large and can't be streamed; the message
            names the part.
    """
    x, y = _pair(part, data, limit)
    if len(x) != len(y):
        raise DataError(f"the {part} data have {len(x)} samples and {len(y)} targets")
    if isinstance(x, Tensor) and not torch.isfinite(x).all():
        raise DataError(f"the {part} features hold {int((~torch.isfinite(x)).sum())} values that aren't finite")
    if y.ndim == 2 and y.shape[1] == 1:
        y = y[:, 0]
    if y.ndim != 1:
        raise DataError(f"the {part} targets have the shape {tuple(y.shape)}; one for each sample is needed")
    if classes is None:
        if not torch.isfinite(y.double()).all():
            raise DataError(f"the {part} targets hold values that aren't finite")
        return Tensors(x, y.float().contiguous())
    wrong = y[(y < 0) | (y >= classes) | (y != y.round())] if y.is_floating_point() else y[(y < 0) | (y >= classes)]
    if len(wrong):
        raise DataError(f"the {part} targets hold {wrong[0].item()}; class numbers go from 0 to {classes - 1}")
    return Tensors(x, y.long().contiguous())


def _pair(part: str, data: Any, limit: int) -> tuple[Tensor | StreamedTensor, Tensor]:
    if isinstance(data, Samples):
        return _features(part, data.x, limit), _tensor(part, data.y)
    if isinstance(data, tuple) and len(data) == 2:
        return _features(part, data[0], limit), _tensor(part, data[1])
    if not isinstance(data, DataLoader | Dataset):
        raise DataError(
            f"the {part} data are {type(data).__name__}",
            hint="Pass a pair of arrays or tensors, a torch Dataset or a DataLoader.",
        )
    if MapStyle.readable(data):
        samples = MapStyle(part, data)
        if samples.features_bytes > limit:
            return samples.streamed()
    pairs = list(_pairs(part, data, limit))
    if not pairs:
        raise DataError(f"the {part} data set is empty")
    join = torch.cat if isinstance(data, DataLoader) else torch.stack
    try:
        x, y = join([x for x, _ in pairs]), join([y for _, y in pairs])
    except (TypeError, ValueError, RuntimeError) as error:
        raise no_pairs(part, error) from error
    return x.float().contiguous(), y


def _pairs(part: str, data: Any, limit: int) -> Iterator[tuple[Tensor, Tensor]]:
    """Samples, or a loader's batches of them, unless there's no end to them or they take too much memory."""
    known = isinstance(data, Dataset) and MapStyle.readable(data)
    if not known and not isinstance(data, Iterable):
        raise DataError(
            f"{type(data).__name__}, the {part} data, can't be read", hint="Give it __getitem__ and __len__."
        )
    items: Iterable[Any] = map(data.__getitem__, range(len(data))) if known else data
    taken = 0
    for count, item in enumerate(items):
        if count >= LARGEST_UNSIZED and not known:
            raise DataError(
                f"the {part} loader gives more than {LARGEST_UNSIZED:,} items; is it endless?",
                hint="Take a finite part of it.",
            )
        try:
            x, y = (torch.as_tensor(values) for values in item)
        except (TypeError, ValueError, RuntimeError) as error:
            raise no_pairs(part, error) from error
        taken += BYTES * x.numel()
        if taken > limit:
            kind = type(getattr(data, "dataset", data)).__name__
            raise DataError(
                f"the {part} features take more than the {limit:,} bytes of memory_limit after {count + 1:,} items, "
                f"and {kind} can't be streamed, as its samples can't be read by their number",
                hint="Make it a map-style data set, with __getitem__ and __len__, or raise memory_limit.",
            )
        yield x.float() if x.element_size() > BYTES else x, y


def _features(part: str, values: Any, limit: int) -> Tensor | StreamedTensor:
    numeric = isinstance(values, Tensor) or (isinstance(values, np.ndarray) and values.dtype.kind in "biuf")
    if numeric and values.ndim >= 2 and BYTES * prod(values.shape) > limit:
        return streamed_array(part, values)
    x = _tensor(part, values)
    if x.ndim < 2:
        raise DataError(f"the {part} features need a row for each sample; their shape is {tuple(x.shape)}")
    return x.float().contiguous()


def _tensor(part: str, values: Any) -> Tensor:
    if isinstance(values, Tensor):
        return values.detach()
    try:
        return torch.from_numpy(np.array(values))  # a copy: torch warns of read-only arrays
    except TypeError as error:
        raise DataError(f"the {part} data are no numbers: {error}") from error
