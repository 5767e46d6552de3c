"""Weights: the only model state that ever leaves a learner."""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import lru_cache
from math import isfinite
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .errors import WeightsError

Array = NDArray[Any]


class Weights(Mapping[str, Array]):
    """An immutable, named set of numpy arrays, sorted by name.

    Arrays are read-only, C-contiguous and native in byte order; their types are those of numpy that
    *safetensors* can carry: booleans, integers and floats of up to 64 bits.

    Args:
        arrays: name to array.
        copy: pass False to hand over arrays that nobody else holds: they are frozen as they are.

    Raises:
        WeightsError: a name or a type that can't travel.
    """

    __slots__ = ("_arrays", "_digest")

    def __init__(self, arrays: Mapping[str, ArrayLike], *, copy: bool = True) -> None:
        for name in arrays:
            _check_name(name)
        self._arrays = {name: _freeze(name, arrays[name], copy) for name in sorted(arrays)}
        self._digest: str | None = None

    def __getitem__(self, name: str) -> Array:
        return self._arrays[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._arrays)

    def __len__(self) -> int:
        return len(self._arrays)

    def __repr__(self) -> str:
        arrays = ", ".join(f"{name}: {a.dtype}{list(a.shape)}" for name, a in self._arrays.items())
        return f"Weights({arrays})"

    def __eq__(self, other: object) -> bool:
        """Whether names, types, shapes and every bit agree (so NaN equals the same NaN)."""
        if not isinstance(other, Weights):
            return NotImplemented
        return self is other or self.digest == other.digest

    def __hash__(self) -> int:
        return hash(self.digest)

    def __copy__(self) -> Weights:
        return self

    def __deepcopy__(self, memo: object) -> Weights:
        return self

    def __reduce__(self) -> tuple[type[Weights], tuple[dict[str, Array]]]:
        return Weights, (dict(self._arrays),)

    @property
    def digest(self) -> str:
        """SHA-256, in hex, over names, types, shapes and little-endian values; computed once."""
        if self._digest is None:
            sha = hashlib.sha256()
            for name, array in self._arrays.items():
                label = f"{name}\0{array.dtype.newbyteorder('<').str}\0{array.shape}".encode()
                sha.update(struct.pack("<Q", len(label)) + label)
                sha.update(array.astype(array.dtype.newbyteorder("<"), copy=False).data)
            self._digest = sha.hexdigest()
        return self._digest

    @property
    def size(self) -> int:
        """Number of values in all arrays."""
        return sum(array.size for array in self._arrays.values())

    def to_bytes(self) -> bytes:
        """The weights in the *safetensors* format."""
        from safetensors.numpy import save

        return save(self._arrays)

    @classmethod
    def from_bytes(cls, data: bytes) -> Weights:
        """Read what :meth:`to_bytes` wrote; nothing in the bytes is ever executed.

        Raises:
            WeightsError: the bytes aren't a safetensors file.
        """
        from safetensors import SafetensorError
        from safetensors.numpy import load

        try:
            return cls(load(data))
        except (SafetensorError, ValueError, TypeError, KeyError) as error:
            raise WeightsError(f"these {len(data)} bytes are not weights in the safetensors format: {error}") from error

    @property
    def finite(self) -> bool:
        """Whether no value is NaN or infinite."""
        # A sum of squares is finite only if all values are; where it overflows, each is looked at.
        for array in self._arrays.values():
            if array.dtype.kind == "f" and not isfinite(np.vdot(array, array)) and not np.isfinite(array).all():
                return False
        return True

    def check_finite(self) -> None:
        """Raise WeightsError that names the first array with a NaN or an infinity in it."""
        if self.finite:
            return
        for name, array in self._arrays.items():
            bad = array.size - int(np.isfinite(array).sum())
            if bad:
                raise WeightsError(f"non-finite values in {name!r} ({bad} of {array.size})")

    def check_like(self, model: Weights) -> None:
        """Raise WeightsError unless names, types and shapes are those of ``model``."""
        if self._arrays.keys() != model._arrays.keys():
            missing = [name for name in model if name not in self]
            extra = [name for name in self if name not in model]
            raise WeightsError(f"weights of another model: missing {missing}, unexpected {extra}")
        for name, array in self._arrays.items():
            expected = model._arrays[name]
            if array.shape != expected.shape or array.dtype != expected.dtype:
                raise WeightsError(
                    f"{name!r} is {array.dtype}{list(array.shape)}, "
                    f"the model has {expected.dtype}{list(expected.shape)}"
                )


def mean(weights: Sequence[Weights], shares: Sequence[float] | None = None) -> Weights:
    """The weighted mean, computed in double precision; ``shares`` need not add up to 1.

    Equal weights come out unchanged, to the bit.

    Raises:
        WeightsError: the weights don't fit each other, or integers differ: their mean has no
            meaning, the learner must override ``combine``.
    """
    part = np.ones(len(weights)) if shares is None else np.asarray(shares, dtype=np.float64)
    if not part.sum() > 0:
        raise WeightsError(f"a mean needs shares that add up to more than nothing, not {part.tolist()}")
    part = part / part.max()

    def of(arrays: list[Array]) -> Array:
        total = part[0] * arrays[0].astype(np.float64)
        same = np.ones(total.shape, dtype=bool)
        for share, array in zip(part[1:], arrays[1:], strict=True):
            total += share * array.astype(np.float64)
            same &= array == arrays[0]
        return np.where(same, arrays[0], total / part.sum())

    return elementwise(of, weights)


def median(weights: Sequence[Weights]) -> Weights:
    """The coordinate-wise median (Yin et al. 2018, "Byzantine-robust distributed learning"), which is all that the
    widest trimming leaves."""
    return trimmed_mean(weights, (len(weights) - 1) // 2)


def trimmed_mean(weights: Sequence[Weights], trim: int) -> Weights:
    """The mean of each coordinate without its ``trim`` smallest and largest values (Yin et al. 2018).

    Coordinates that are equal in all come out unchanged, to the bit.

    Raises:
        WeightsError: nothing would be left, the weights don't fit each other, or integers differ.
    """
    if not 0 <= 2 * trim < len(weights):
        raise WeightsError(f"of {len(weights)} values {trim} can't be trimmed at each end")

    def of(arrays: list[Array]) -> Array:
        ordered = np.sort(np.stack(arrays), axis=0)
        middle = ordered[trim : len(arrays) - trim].astype(np.float64)
        return np.asarray(np.where(middle[0] == middle[-1], middle[0], middle.mean(axis=0)))

    return elementwise(of, weights)


def interpolate(start: Weights, end: Weights, step: float) -> Weights:
    """``start + step * (end - start)``: 0 is the start and 1 the end, to the bit; 2 goes as far again."""
    if step in (0, 1):
        return end if step else start
    end.check_like(start)
    return elementwise(lambda arrays: arrays[0] + step * (arrays[1] - arrays[0]), [start, end])


def elementwise(function: Callable[..., Any], weights: Sequence[Weights], *beside: Weights) -> Weights:
    """What a function makes of each array of floats; integers are kept, as they must be equal in all.

    Args:
        function: is given a list with the array of each of ``weights``, and then that of each of ``beside``.

    Raises:
        WeightsError: the weights don't fit each other, or integers of ``weights`` differ.
    """
    first = weights[0]
    for other in (*weights[1:], *beside):
        other.check_like(first)
    result: dict[str, Array] = {}
    for name, array in first.items():
        if array.dtype.kind == "f":
            with np.errstate(over="ignore", invalid="ignore"):  # what overflows is no candidate
                found = function([w[name] for w in weights], *(b[name] for b in beside))
                result[name] = np.asarray(found).astype(array.dtype)
        elif all(np.array_equal(w[name], array) for w in weights[1:]):
            result[name] = array
        else:
            raise WeightsError(
                f"{name!r} holds {array.dtype} values that differ, and these can't be averaged",
                hint="The learner has to override combine().",
            )
    return Weights(result, copy=False)


@lru_cache  # the same few names, round after round
def _check_name(name: object) -> None:
    # safetensors keeps its own notes under that name; lone surrogates can't be written
    if not isinstance(name, str) or not name or name == "__metadata__" or not _encodes(name):
        raise WeightsError(f"{name!r} is no name for an array of weights")


def _encodes(name: str) -> bool:
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True


def _freeze(name: str, value: ArrayLike, copy: bool) -> Array:
    array = np.array(value, order="C", copy=copy or None)
    if array.dtype not in _CARRIED:
        array = array.astype(array.dtype.newbyteorder("="))
        if array.dtype not in _CARRIED:
            raise WeightsError(f"{name!r} has type {array.dtype}; weights are {', '.join(map(str, _CARRIED))}")
    array.flags.writeable = False
    return array


_CARRIED = {np.dtype(code): None for code in ("f8", "f4", "f2", "i8", "i4", "i2", "i1", "u8", "u4", "u2", "u1", "?")}
"""The types that safetensors can carry, in native byte order."""
