"""Data as torch takes them: arrays, tensors, data sets and loaders become contiguous tensors."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from colearn_core.data import Samples
from colearn_core.errors import DataError

LARGEST_UNSIZED = 1_000_000
"""Samples after which a loader that doesn't know its length is taken for endless."""


@dataclass(frozen=True)
class Tensors:
    """Features, one row per sample, and targets: class numbers (int64) or values (float32)."""

    x: Tensor
    y: Tensor

    def __len__(self) -> int:
        return len(self.y)

    @property
    def targets(self) -> Any:
        """The targets as a numpy array, for metrics."""
        return self.y.cpu().numpy()

    def to(self, device: torch.device) -> Tensors:
        return Tensors(self.x.to(device), self.y.to(device))


def tensors_of(part: str, data: Any, classes: int | None) -> Tensors:
    """Data in whatever form, checked.

    Args:
        part: what they are, for messages.
        data: a pair of arrays or tensors, :class:`Samples`, a torch ``Dataset``, or a ``DataLoader``.
        classes: how many there are; None for values.

    Raises:
        DataError: they can't be read or learned from; the message names the part.
    """
    x, y = _pair(part, data)
    if len(x) != len(y):
        raise DataError(f"the {part} data have {len(x)} samples and {len(y)} targets")
    if not torch.isfinite(x).all():
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


def _pair(part: str, data: Any) -> tuple[Tensor, Tensor]:
    if isinstance(data, Samples):
        return _features(part, data.x), _tensor(part, data.y)
    if isinstance(data, tuple) and len(data) == 2:
        return _features(part, data[0]), _tensor(part, data[1])
    if isinstance(data, DataLoader):
        pairs: list[Any] = list(_bounded(part, data))
        join = torch.cat
    elif isinstance(data, Dataset):
        pairs = list(_bounded(part, data if isinstance(data, Iterable) else map(data.__getitem__, range(len(data)))))  # type: ignore[arg-type]
        join = torch.stack
    else:
        raise DataError(
            f"the {part} data are {type(data).__name__}",
            hint="Pass a pair of arrays or tensors, a torch Dataset or a DataLoader.",
        )
    if not pairs:
        raise DataError(f"the {part} data set is empty")
    try:
        x = join([torch.as_tensor(x) for x, _ in pairs])
        y = join([torch.as_tensor(y) for _, y in pairs])
    except (TypeError, ValueError, RuntimeError) as error:
        raise DataError(f"the {part} data aren't pairs of a sample and its target of equal shapes: {error}") from error
    return x.float().contiguous(), y


def _bounded(part: str, items: Iterable[Any]) -> Iterable[Any]:
    """The items, unless there's no end to them."""
    for count, item in enumerate(items):
        if count >= LARGEST_UNSIZED:
            raise DataError(
                f"the {part} loader gives more than {LARGEST_UNSIZED:,} items; is it endless?",
                hint="Take a finite part of it.",
            )
        yield item


def _features(part: str, values: Any) -> Tensor:
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
