"""Data too large for memory: features are read when they're needed, and only as many rows as are needed."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, IterableDataset

from colearn_core.errors import DataError

ROWS_READ = 256
"""Samples read at a time when all are gone through."""

CPU = torch.device("cpu")

BYTES = 4
"""What a feature takes as float32, the form that modules get."""


@dataclass(frozen=True)
class StreamedTensor:
    """Stands in for a tensor of features: ``x[rows]`` reads these rows, and nothing is kept.

    Rows named by a tensor of numbers, as training does, are read anew, and random augmentation draws from torch's
    generator as it stands, which training seeds. A slice, as scoring takes, is read with a seed of its own: all
    candidates are scored on the same samples.

    Attributes:
        part: whose features these are, for messages.
        numbers: the number in the source of each row's sample.
        sample_shape: the shape of one sample.
        read: the features of samples by number, one row each.
    """

    part: str
    numbers: Sequence[int]
    sample_shape: torch.Size
    read: Callable[[Sequence[int]], Tensor]
    device: torch.device = CPU

    def __len__(self) -> int:
        return len(self.numbers)

    @property
    def shape(self) -> torch.Size:
        return torch.Size((len(self), *self.sample_shape))

    def to(self, device: torch.device) -> StreamedTensor:
        return replace(self, device=device)

    def __getitem__(self, rows: slice | Tensor) -> Tensor:
        """These rows as a contiguous float32 tensor on the device.

        Raises:
            DataError: a sample holds values that aren't finite, or has another shape than the first.
        """
        if isinstance(rows, Tensor):
            return self._rows([self.numbers[row] for row in rows.tolist()])
        with seeded_by(rows.indices(len(self))[0]):
            return self._rows(self.numbers[rows])

    def _rows(self, numbers: Sequence[int]) -> Tensor:
        if not numbers:
            return torch.empty((0, *self.sample_shape), device=self.device)
        with _plainly():
            return self.checked(self.read(numbers), numbers).to(self.device)

    def checked(self, x: Tensor, numbers: Sequence[int]) -> Tensor:
        """The features of these samples as modules take them, if they're fit for it."""
        if len(x) != len(numbers):
            raise DataError(f"{len(numbers)} {self.part} samples are read as {len(x)}")
        if x.shape[1:] != self.sample_shape:
            raise DataError(
                f"the {self.part} features of sample {numbers[0]} have the shape {tuple(x.shape[1:])}, "
                f"those of sample {self.numbers[0]} {tuple(self.sample_shape)}"
            )
        x = x.float().contiguous()
        finite = torch.isfinite(x)
        if not finite.all():
            wrong = (~finite).flatten(1).sum(1)
            first = int(wrong.nonzero()[0])
            raise DataError(
                f"the {self.part} features of sample {numbers[first]} hold {int(wrong[first])} values "
                "that aren't finite"
            )
        return x


class MapStyle:
    """Samples that can be read by number: a map-style ``Dataset``, or that of a ``DataLoader``.

    A loader's order is drawn once, and it joins samples in its own way; its workers aren't used.
    """

    def __init__(self, part: str, data: Dataset[Any] | DataLoader[Any]) -> None:
        self.part = part
        self._loader = data if isinstance(data, DataLoader) else None
        self._dataset: Any = data.dataset if isinstance(data, DataLoader) else data

    @staticmethod
    def readable(data: Any) -> bool:
        """Whether samples can be read by number, and are known to be so many."""
        if isinstance(data, DataLoader):
            sized = hasattr(data.sampler, "__len__") and hasattr(data.batch_sampler, "__len__")
            return sized and MapStyle.readable(data.dataset)
        numbered = getattr(type(data), "__getitem__", Dataset.__getitem__) is not Dataset.__getitem__
        return numbered and hasattr(data, "__len__") and not isinstance(data, IterableDataset)

    @property
    def features_bytes(self) -> int:
        """How much memory all features would take, judged by the first sample."""
        count = len(self._dataset if self._loader is None else self._loader.sampler)  # type: ignore[arg-type]
        if not count or not len(self._dataset):
            return 0
        with seeded_by(0), _plainly():
            return BYTES * count * self.samples([0])[0].numel()

    def samples(self, numbers: Sequence[int]) -> tuple[Tensor, Tensor]:
        """The features and targets of samples by number, one row each.

        Raises:
            DataError: they aren't pairs of equal shapes.
        """
        found = [self._dataset[number] for number in numbers]
        try:
            if self._loader is not None:
                x, y = self._loader.collate_fn(found)
                return torch.as_tensor(x), torch.as_tensor(y)
            pairs = [(torch.as_tensor(x), torch.as_tensor(y)) for x, y in found]
            return torch.stack([x for x, _ in pairs]), torch.stack([y for _, y in pairs])
        except (TypeError, ValueError, RuntimeError) as error:
            raise no_pairs(self.part, error) from error

    def streamed(self) -> tuple[StreamedTensor, Tensor]:
        """Features to be read when they're needed, and the targets: all samples are read once for these."""
        numbers = self._numbers()
        with seeded_by(0), _plainly():
            first, target = self.samples(numbers[:1])
            x = StreamedTensor(self.part, numbers, first.shape[1:], lambda numbers: self.samples(numbers)[0])
            # In one piece from the beginning: small pieces, kept from between large ones, keep the allocator from
            # using the room of these again.
            targets = target.new_empty((len(numbers), *target.shape[1:]))
            for start in range(0, len(numbers), ROWS_READ):
                chunk = numbers[start : start + ROWS_READ]
                features, y = self.samples(chunk)
                x.checked(features, chunk)
                targets = targets.to(torch.promote_types(targets.dtype, y.dtype))
                if y.shape != targets[start : start + ROWS_READ].shape:
                    raise no_pairs(self.part, f"targets of samples from {chunk[0]} on have the shape {tuple(y.shape)}")
                targets[start : start + ROWS_READ] = y
            return x, targets

    def _numbers(self) -> Sequence[int]:
        if self._loader is None:
            return range(len(self._dataset))
        batches: Any = self._loader.batch_sampler
        return [int(number) for batch in batches for number in batch]


def streamed_array(part: str, values: Any) -> StreamedTensor:
    """Rows of an array, such as a ``numpy.memmap``, or of a tensor, to be copied when they're needed.

    Raises:
        DataError: values aren't finite; all are read once to see.
    """

    def read(numbers: Sequence[int]) -> Tensor:
        if isinstance(values, Tensor):
            return values.detach()[torch.tensor(numbers, device=values.device)]
        return torch.from_numpy(np.asarray(values[np.array(numbers)]))

    x = StreamedTensor(part, range(len(values)), torch.Size(values.shape[1:]), read)
    for start in range(0, len(x), ROWS_READ):
        x[start : start + ROWS_READ]  # checked, so that it isn't found out, and told to all, in some round
    return x


def no_pairs(part: str, error: Exception | str) -> DataError:
    return DataError(f"the {part} data aren't pairs of a sample and its target of equal shapes: {error}")


@contextmanager
def seeded_by(seed: int) -> Iterator[None]:
    """Have what is drawn from torch's generator depend on the seed only, and leave the generator as it was."""
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)
        yield


@contextmanager
def _plainly() -> Iterator[None]:
    """No gradients, and no inference mode either: a data set may keep what it reads, and change it in training."""
    with torch.inference_mode(False), torch.no_grad():
        yield
