"""Images in IDX files, the format of MNIST and Fashion-MNIST; reading them needs no torch."""

from __future__ import annotations

import gzip
from math import prod
from pathlib import Path
from typing import Annotated, Any

import numpy as np
from annotated_types import Ge
from numpy.typing import NDArray

from colearn_core.data import Dataset, Samples, Task
from colearn_core.errors import DataError

BYTES = 0x08
"""The code of the only type of value that is read: unsigned bytes."""

GZIP = b"\x1f\x8b"


def idx(
    images: Annotated[Path, "File of the images, plain or compressed by gzip"],
    labels: Annotated[Path, "File of the labels"],
    samples: Annotated[int | None, Ge(2), "Take only the first so many"] = None,
) -> Dataset:
    """Grey images and their classes from a pair of IDX files, such as those of MNIST.

    Features have the shape ``(n, 1, height, width)`` and lie between 0 and 1.

    Raises:
        DataError: a file can't be read, isn't one of these, or they don't fit each other; it's named.
    """
    x, y = read_idx(Path(images), 3), read_idx(Path(labels), 1)
    if len(x) != len(y):
        raise DataError(f"{images} holds {len(x)} images, {labels} {len(y)} labels")
    if samples is not None:
        if samples > len(x):
            raise DataError(f"{images} holds {len(x)} images; {samples} were asked for")
        x, y = x[:samples], y[:samples]
    if not x.size:
        raise DataError(f"{images} holds no images")
    classes = int(y.max()) + 1
    if len(np.unique(y)) != classes:
        missing = sorted(set(range(classes)) - set(y.tolist()))
        raise DataError(f"{labels} has no sample of class {missing[0]}, but of class {classes - 1}")
    pixels = x[:, None].astype(np.float32) / np.float32(255)
    name = Path(images).resolve().parent.name or "images"
    return Dataset(name, Samples(pixels, y.astype(np.int64)), Task(tuple(map(str, range(classes)))))


def read_idx(path: Path, dimensions: int) -> NDArray[np.uint8]:
    """The array of unsigned bytes in an IDX file.

    The format: two zero bytes, the type of the values, the number of dimensions, each dimension as a
    big-endian 32-bit number, then the values.

    Args:
        dimensions: how many it must have.

    Raises:
        DataError: the file can't be read, or isn't such a file.
    """
    content = _content(path)
    if len(content) < 4 or content[:2] != b"\0\0":
        raise DataError(f"{path} is no IDX file: it doesn't begin with two zero bytes and two that tell its form")
    kind, found = content[2], content[3]
    if kind != BYTES or found != dimensions:
        raise DataError(
            f"{path} holds values of type {kind:#04x} in {found} dimensions; bytes ({BYTES:#04x}) in {dimensions} "
            "are needed",
            hint="Are images and labels swapped?" if kind == BYTES else None,
        )
    start = 4 + 4 * dimensions
    if len(content) < start:
        raise DataError(f"{path} ends within its header")
    shape = tuple(int(size) for size in np.frombuffer(content, dtype=">u4", count=dimensions, offset=4))
    if len(content) - start != prod(shape):
        raise DataError(f"{path} announces {prod(shape)} values ({shape}) and holds {len(content) - start}")
    array: NDArray[Any] = np.frombuffer(content, dtype=np.uint8, offset=start)
    return array.reshape(shape)


def _content(path: Path) -> bytes:
    try:
        content = path.read_bytes()
        return gzip.decompress(content) if content[:2] == GZIP else content
    except EOFError as error:
        raise DataError(f"{path} is cut off: {error}") from error
    except OSError as error:  # BadGzipFile is one of these
        raise DataError(f"can't read {path}: {error.strerror or error}") from error
