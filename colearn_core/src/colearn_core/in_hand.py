"""Data in hand, as arrays or lists of a caller, made what learners hold."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .data import PrivateData, Samples, Task
from .errors import DataError

Array = NDArray[Any]
Pair = tuple[ArrayLike, ArrayLike]
Triple = tuple[ArrayLike, ArrayLike, ArrayLike]
"""With the samples' weights."""


class InHand(NamedTuple):
    """What a learner holds, and the labels behind its class numbers; None for a regression."""

    data: PrivateData
    labels: Array | None


def in_hand(
    train: Pair,
    vote: Pair | None,
    test: Pair | None,
    classes: Sequence[Any] | None,
    *,
    classifier: bool,
    missing: bool = False,
    categorical: Sequence[int] = (),
    names: Sequence[str] = (),
) -> InHand:
    """Check the data that a learner is given.

    Args:
        classes: all labels in the group; by default those that occur here.
        classifier: whether targets are labels.
        missing: whether features may be NaN.
        categorical: numbers of the features that hold codes.
        names: those of the features, if they have any.

    Raises:
        DataError: the data can't be learned from.
    """
    arrays = _arrays("train", train)
    pairs = {"train": arrays} | {p: _arrays(p, pair) for p, pair in (("vote", vote), ("test", test)) if pair}
    labels: Array | None = None
    if classifier:
        own_labels = [_labels(f"{part} targets", y) for part, (_, y) in pairs.items()]
        labels = _labels("classes", np.concatenate(own_labels) if classes is None else np.asarray(classes))
    features = arrays[0].shape[1] if arrays[0].ndim == 2 else 0
    own = {part: _samples(part, pairs.get(part), features, labels, missing) for part in ("train", "vote", "test")}
    if names and len(names) != features:
        raise DataError(f"there are {len(names)} names for {features} features")
    task = Task(() if labels is None else tuple(map(str, labels)), tuple(map(str, names)), tuple(categorical))
    return InHand(PrivateData(own["train"], own["vote"], own["test"], task), labels)


def _arrays(part: str, pair: Pair) -> tuple[Array, Array]:
    x, y = pair
    try:
        features = np.asarray(x, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise DataError(f"{part} features are no table of numbers: {error}") from error
    try:
        return features, np.asarray(y)
    except ValueError as error:
        raise DataError(f"{part} targets are no list of single values: {error}") from error


def _labels(what: str, values: Array) -> Array:
    try:
        return np.unique(values)
    except TypeError as error:
        raise DataError(f"{what} must be of one kind, such as all text: {error}") from error


def _samples(
    part: str, pair: tuple[Array, Array] | None, features: int, labels: Array | None, missing: bool
) -> Samples:
    if pair is None:
        return Samples(np.empty((0, features)), np.empty(0, dtype=np.int64 if labels is not None else np.float64))
    x, y = pair
    if x.ndim != 2 or y.ndim != 1 or len(x) != len(y) or x.shape[1] != features:
        raise DataError(
            f"{part} data must be features of shape (n, {features or 'features'}) and targets of shape (n,), "
            f"not {list(x.shape)} and {list(y.shape)}"
        )
    if part == "train" and not len(x):
        raise DataError("a learner needs at least one sample to train on")
    refused = np.isinf(x) if missing else ~np.isfinite(x)
    if refused.any():
        raise DataError(f"{part} features hold {'' if missing else 'NaN or '}infinite values ({int(refused.sum())})")
    if labels is None:
        return Samples(x, _values(part, y))
    unknown = [label for label in _labels(f"{part} targets", y).tolist() if label not in labels.tolist()]
    if unknown:
        raise DataError(f"{part} targets {unknown[:5]} are not among the classes {labels.tolist()}")
    return Samples(x, np.searchsorted(labels, y))


def _values(part: str, y: Array) -> NDArray[np.float64]:
    try:
        values = y.astype(np.float64)
    except (TypeError, ValueError) as error:
        raise DataError(f"{part} targets of a regression must be numbers: {error}") from error
    if not np.isfinite(values).all():
        raise DataError(f"{part} targets hold NaN or infinite values ({int((~np.isfinite(values)).sum())})")
    return values
