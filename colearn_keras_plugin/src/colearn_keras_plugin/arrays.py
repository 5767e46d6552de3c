"""Data as Keras takes them: arrays, tensors, ``tf.data`` and ``PyDataset`` become arrays in memory."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from colearn_core.data import Samples
from colearn_core.errors import DataError

from .backend import keras

Array = NDArray[Any]
Shape = tuple[int | None, ...]

LARGEST_UNSIZED, LARGEST_UNSIZED_BYTES = 1_000_000, 2 << 30
"""Samples, and bytes of their features, after which a ``tf.data`` set that doesn't know its length is taken for
endless."""

INFINITE = -1
"""``tf.data.INFINITE_CARDINALITY``: what a set that is repeated without end gives for its length."""


def arrays_of(part: str, data: Any, classes: int | None) -> Samples:
    """Data in whatever form, checked, and copied: later changes of the caller's arrays don't reach them.

    Args:
        part: what they are, for messages.
        data: :class:`Samples`, a pair of arrays, lists or tensors of any Keras backend, a ``tf.data.Dataset`` of
            pairs or of batches of them, or a ``keras.utils.PyDataset``; these two are read
            once, in the order they give, which ``shuffle`` without a seed makes another in every run.
        classes: how many there are; None for values.

    Returns:
        Features, one row per sample: float32, or int32 where they are integers, as embeddings take them; and
        targets of shape (samples,): class numbers (int64), made of one-hot rows if need be, or values (float32).

    Raises:
        DataError: they can't be read or learned from; the message names the part.
    """
    x, y = _joined(part, data, classes) if _is_tf(data) or _is_py(data) else _pair(part, data)
    if x.ndim < 2:
        raise DataError(f"the {part} features need a row for each sample; their shape is {x.shape}")
    if not y.ndim or len(x) != len(y):
        raise DataError(f"the {part} data have {len(x)} samples and {len(y) if y.ndim else 'no'} targets")
    if wrong := _not_finite(x):
        raise DataError(f"the {part} features hold {wrong} values that aren't finite in float32")
    return Samples(x, _values(part, y) if classes is None else _class_numbers(part, y, classes))


def _values(part: str, y: Array) -> Array:
    y = _float32(_flat(part, y))
    if wrong := _not_finite(y):
        raise DataError(f"the {part} targets hold {wrong} values that aren't finite in float32")
    return y


def _class_numbers(part: str, y: Array, classes: int) -> Array:
    if y.ndim == 2 and y.shape[1] == classes > 1:
        wrong = ((y != 0) & (y != 1)).any(axis=1) | (y.sum(axis=1) != 1)
        if wrong.any():
            raise DataError(
                f"the {part} targets have {classes} columns, but {int(wrong.sum())} of {len(y)} rows aren't one-hot; "
                f"row {int(wrong.argmax())} is the first",
                hint="Give class numbers, or rows of a single 1 and otherwise 0; shares of classes aren't learned.",
            )
        return np.asarray(y.argmax(axis=1), dtype=np.int64)
    y = _flat(part, y)
    wrong = y[(y < 0) | (y >= classes) | (y != np.round(y))]  # which not-a-number is too
    if len(wrong):
        raise DataError(f"the {part} targets hold {wrong[0]}; class numbers go from 0 to {classes - 1}")
    return y.astype(np.int64)


def _flat(part: str, y: Array) -> Array:
    if y.ndim == 2 and y.shape[1] == 1:
        y = y[:, 0]
    if y.ndim != 1:
        raise DataError(f"the {part} targets have the shape {y.shape}; one for each sample is needed")
    return y


def _not_finite(values: Array) -> int:
    return int((~np.isfinite(values)).sum())


# Pairs


def _pair(part: str, data: Any) -> tuple[Array, Array]:
    if isinstance(data, Samples):
        return _features(part, data.x), _numbers(part, data.y)
    if not isinstance(data, tuple):
        raise DataError(
            f"the {part} data are {type(data).__name__}",
            hint="Pass a pair of arrays or tensors, a tf.data.Dataset or a keras.utils.PyDataset.",
        )
    features, targets = _two(part, data)
    y = _numbers(part, targets)
    return _features(part, _one_input(part, features, y)), y


def _two(part: str, item: Any) -> tuple[Any, Any]:
    """Features and targets, in one of the forms in which Keras passes a batch."""
    if not isinstance(item, tuple | list):
        raise DataError(f"the {part} data give {type(item).__name__}, and not pairs of samples and targets")
    if len(item) == 3:
        raise DataError(
            f"the {part} data give weights of samples, or a third thing besides samples and targets; "
            "these aren't supported",
            hint="Leave them out: all samples count alike.",
        )
    if len(item) != 2:
        raise DataError(f"the {part} data give {len(item)} things, and not pairs of samples and targets")
    return item[0], item[1]


def _one_input(part: str, features: Any, targets: Array) -> Any:
    """The features, unless they're meant for several inputs."""
    several = isinstance(features, tuple | dict)
    if isinstance(features, list) and targets.ndim and len(features) != len(targets):
        # As Keras takes it, this is a list of inputs, each with a row for every sample.
        several = all(hasattr(one, "shape") and len(one.shape) and len(one) == len(targets) for one in features)
    if several:
        raise DataError(
            f"the {part} features are a {type(features).__name__} of {len(features)}, for a model of several inputs; "
            "these aren't supported",
            hint="Join them into one array, which the model divides again.",
        )
    return features


def _features(part: str, values: Any) -> Array:
    """A copy as float32 or int32."""
    x = _numbers(part, values)
    if x.dtype.kind not in "iu":
        return _float32(x)
    bounds = np.iinfo(np.int32)
    if x.size and (x.min() < bounds.min or x.max() > bounds.max):
        raise DataError(
            f"the {part} features hold integers as large as {max(abs(int(x.min())), abs(int(x.max())))}, "
            "which int32 can't hold",
            hint="Number them anew, from 0, or make them floating-point numbers.",
        )
    return np.array(x, dtype=np.int32, order="C")


def _float32(values: Array) -> Array:
    with np.errstate(over="ignore"):  # what is too large gets infinite, and is counted then
        return np.array(values, dtype=np.float32, order="C")


def _numbers(part: str, values: Any) -> Array:
    try:
        if hasattr(values, "detach"):  # torch's tensors, which may need gradients, whatever the backend
            values = values.detach().cpu()
            values = values.float() if values.is_floating_point() else values
        # By their own method, as numpy warns of how tensors become arrays otherwise.
        found = np.asarray(values.numpy() if hasattr(values, "numpy") else values)
        if found.dtype.name in ("bfloat16", "bool"):
            found = found.astype(np.float32)
    except (TypeError, ValueError, RuntimeError, AttributeError) as error:
        raise DataError(f"the {part} data are no arrays of numbers: {error}") from error
    if found.dtype.kind not in "iuf":
        raise DataError(f"the {part} data are no numbers, but {found.dtype}")
    return found


# Data sets


def _joined(part: str, data: Any, classes: int | None) -> tuple[Array, Array]:
    """All batches, or single samples, in one piece."""
    batches = _py_batches(part, data) if _is_py(data) else _tf_batches(part, data, classes)
    pairs = list(batches)
    if not pairs:
        raise DataError(f"the {part} data set is empty")
    try:
        x, y = np.concatenate([x for x, _ in pairs]), np.concatenate([y for _, y in pairs])
    except ValueError as error:
        raise DataError(f"the {part} samples, or targets, aren't of equal shapes: {error}") from error
    if not len(y):
        raise DataError(f"the {part} data set is empty")
    return (x if x.dtype == np.int32 else x.astype(np.float32, copy=False)), y


def _batch(part: str, item: Any) -> tuple[Array, Array]:
    features, targets = _two(part, item)
    y = np.array(_numbers(part, targets))  # copied, as a set may use its memory again
    x = _features(part, _one_input(part, features, y))
    if not x.ndim or not y.ndim or len(x) != len(y):
        raise DataError(f"the {part} data give a batch of samples of shape {x.shape} and targets of shape {y.shape}")
    return x, y


def _is_py(data: Any) -> bool:
    return isinstance(data, keras.utils.PyDataset)


def _py_batches(part: str, data: Any) -> Iterator[tuple[Array, Array]]:
    try:
        batches = data.num_batches
    except NotImplementedError as error:
        raise DataError(
            f"{type(data).__name__}, the {part} data, doesn't say how many batches it has", hint="Give it __len__."
        ) from error
    if batches is None:
        raise _endless(part, type(data).__name__, "says that it has no end", "Give it __len__.")
    for number in range(batches):
        yield _batch(part, data[number])


def _is_tf(data: Any) -> bool:
    """Whether it's a ``tf.data.Dataset``, told by its form, as TensorFlow needn't be installed."""
    return hasattr(data, "as_numpy_iterator") and hasattr(data, "element_spec")


def _tf_batches(part: str, data: Any, classes: int | None) -> Iterator[tuple[Array, Array]]:
    known = int(data.cardinality())
    if known == INFINITE:
        raise _endless(part, "tf.data set", "has no end", "Leave out repeat(), or add take(count).")
    features, targets = _two(part, data.element_spec)
    _one_input(part, features, np.empty(0))
    batched: bool | None = None
    count = size = 0
    for item in _tf_items(part, data):
        if batched is None:
            shapes = [_shape(spec, value) for spec, value in zip((features, targets), item, strict=True)]
            batched = _batched(part, shapes[0], shapes[1], classes)
        x, y = _batch(part, item if batched else tuple(np.asarray(value)[None] for value in item))
        count, size = count + len(y), size + x.nbytes
        if known < 0 and (count > LARGEST_UNSIZED or size > LARGEST_UNSIZED_BYTES):
            raise _endless(
                part,
                "tf.data set",
                f"doesn't know its length, and gives more than {LARGEST_UNSIZED:,} samples or "
                f"{LARGEST_UNSIZED_BYTES:,} bytes; is it endless?",
                "Add take(count), or if it's right, apply(tf.data.experimental.assert_cardinality(count)).",
            )
        yield x, y


def _tf_items(part: str, data: Any) -> Iterable[Any]:
    """What the set gives, with whatever its own functions fail of told as the part's failure."""
    try:
        yield from data.as_numpy_iterator()
    except DataError:
        raise
    except Exception as error:
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise DataError(f"the {part} tf.data set can't be read: {reason}") from error


def _shape(spec: Any, value: Any) -> Shape:
    """What is declared, where None is any length, or else what is found."""
    declared = getattr(spec, "shape", None)
    return np.shape(value) if declared is None or declared.rank is None else tuple(declared)


def _batched(part: str, x: Shape, y: Shape, classes: int | None) -> bool:
    """Whether shapes are those of batches, and not of one sample and its target, which may be one-hot.

    Raises:
        DataError: they can be both.
    """
    if not y or len(x) < 2 or x[0] != y[0]:
        return False
    if len(y) == 1 and y[0] == classes:
        raise DataError(
            f"the {part} tf.data set gives samples of shape {x} and targets of shape {y}, "
            f"which may be a batch of {classes} or one sample with a one-hot target",
            hint=f"Add batch(32) if it's one sample, or rebatch(32) if it's a batch of {classes}.",
        )
    return True


def _endless(part: str, kind: str, what: str, hint: str) -> DataError:
    return DataError(f"the {part} {kind} {what}", hint=hint)
