"""What every data set must do."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...data import Dataset, Holdout, Transform, partition
from ...splitting import Iid
from ...streams import Streams
from ..kit import Subject, fail, require
from ..probing import global_generators

TOLERANCE = 1e-6
"""Relative difference that another order of summation may make to a feature."""

Array = NDArray[Any]


def it_is_a_data_set(subject: Subject) -> None:
    """Splitters, learners and titles rely on rows of numbers, one target for each, and a name."""
    made = subject.make()
    require(isinstance(made, Dataset), f"it gives {type(made).__name__} instead of Dataset")
    x, y = made.samples.x, made.samples.y
    name = made.name
    require(isinstance(name, str) and name.strip() != "", f"its name is {name!r}")
    require(len(name.splitlines()) == 1, f"its name has several lines: {name!r}")
    require(isinstance(x, np.ndarray) and isinstance(y, np.ndarray), f"x is {type(x).__name__}, y {type(y).__name__}")
    require(len(x) == len(y), f"{len(x)} rows of features have {len(y)} targets")
    require(len(x) >= 2, f"it has {len(x)} sample, nothing to divide")
    require(x.dtype.kind in "biuf", f"features are {x.dtype}, not numbers")
    require(x.ndim >= 2, f"features have the shape {x.shape}; they need a row for each sample")
    require(y.ndim == 1, f"targets have the shape {y.shape} instead of {y.shape[:1]}")
    for column, values in made.columns.items():
        require(values.dtype.kind in "biufMU", f"the column {column!r} is {values.dtype}, no numbers, dates or text")


def same_parameters_same_data(subject: Subject) -> None:
    """Every party loads the data by itself: indices and class numbers must mean the same to all, today and later."""
    made = []
    for seed in (1, 2):
        with global_generators(seed):
            made.append(subject.make())
    _require_same(made[0], made[1], "two calls with the same parameters give different")


def classes_are_numbered_from_zero(subject: Subject) -> None:
    """Learners size their models by the classes and index by their numbers; all must mean the same ones."""
    dataset = subject.make()
    y, names = dataset.samples.y, dataset.task.classes
    if not names:
        require(y.dtype.kind in "biuf", f"a regression's targets are {y.dtype}, not numbers")
        require(bool(np.isfinite(y).all()), f"{int((~np.isfinite(y)).sum())} targets are not finite")
        require(bool((y != y[0]).any()), f"all targets are {y[0]}: there's nothing to learn")
        return
    require(y.dtype.kind in "iu", f"class numbers are {y.dtype}, not integers")
    texts = all(isinstance(name, str) and name for name in names)
    require(isinstance(names, tuple) and texts, f"the classes are {names!r}; they need names")
    require(len(names) >= 2, f"the only class is {names[0]!r}: there's nothing to learn")
    require(len(set(names)) == len(names), f"names of classes aren't unique: {names}")
    found = np.unique(y).tolist()
    expected = list(range(len(names)))
    require(found == expected, f"class numbers are {found}, the {len(names)} classes have {expected}")


def a_call_hands_out_its_own_arrays(subject: Subject) -> None:
    """One learner that scales its samples in place would change those of everyone who loads the data after it."""
    first, kept = subject.make(), subject.make()
    kept = Dataset(kept.name, type(kept.samples)(kept.samples.x.copy(), kept.samples.y.copy()), kept.task)
    for array in (first.samples.x, first.samples.y):
        with suppress(ValueError):  # read-only arrays may be shared
            array[...] = array[::-1].copy()
    _require_same(subject.make(), kept, "altering what one call gave alters the next call's")


def statistics_stay_private(subject: Subject) -> None:
    """Each learner prepares all of its samples by what its own training part tells, and by nothing else: statistics
    of its test part would flatter its scores, and those of another learner would be a leak.
    """
    dataset = subject.make()
    if dataset.fit_transform is None:
        return
    x = dataset.samples.x
    rows = np.random.default_rng(5).permutation(len(x))
    train, rest = x[rows[: len(x) // 2]], x[rows[len(x) // 2 :][:50]]
    transform = _fitted(dataset, train, "training features")
    alone = _applied(transform, rest, "features")
    for i in range(0, len(rest), 7):
        one = _applied(transform, rest[i : i + 1], "a single row")
        require(_close(one[0], alone[i]), f"a row's features are {one[0]} alone, among others {alone[i]}")
    _fitted(dataset, rest[::-1], "another learner's training features")
    again = _applied(transform, rest, "features")
    require(_close(again, alone), "fitting a second learner's transform changes the first one's")


def a_part_of_any_size_is_prepared(subject: Subject) -> None:
    """With few samples for many learners some train on one row and have none to test on; they must get finite numbers
    in the same columns as everyone.
    """
    dataset = subject.make()
    if dataset.fit_transform is None:
        return
    x = dataset.samples.x[:64]
    complete = np.flatnonzero(_finite_rows(x))
    single = x[complete[0] if len(complete) else 0]
    width = None
    for train, title in ((x, "64 rows"), (x[:2], "two rows"), (single[None], "one row")):
        transform = _fitted(dataset, train, title)
        prepared, nothing = _applied(transform, x, title), _applied(transform, x[:0], "no rows")
        if width is None:
            width = prepared.shape[1:]
        for found in (prepared, nothing):
            require(
                found.shape[1:] == width,
                f"fitted on {title}, features have the shape {found.shape}, among others {('n', *width)}",
            )
        bad = np.flatnonzero(_finite_rows(x) & ~_finite_rows(prepared))
        if len(bad):
            fail(f"fitted on {title}, {len(bad)} finite rows become non-finite: {x[bad[0]]} becomes {prepared[bad[0]]}")


def it_can_be_divided(subject: Subject) -> None:
    """A data set is there to be divided among learners, by its labels."""
    dataset = subject.make()
    size = len(dataset.samples)
    labels = dataset.labels()
    require(labels.shape == (size,), f"labels() has the shape {labels.shape} for {size} samples")
    parts = partition(dataset, Iid(), min(3, size), Holdout(), Streams(0))
    sizes = [len(part.train) + len(part.vote) + len(part.test) for part in parts]
    require(sum(sizes) == size, f"of {size} samples the learners get {sizes}")
    for part in parts:
        for samples in (part.train, part.vote, part.test):
            rows, targets = len(samples.x), len(samples.y)
            require(rows == targets, f"a learner gets {rows} rows of features for {targets} targets")


def global_generators_are_left_alone(subject: Subject) -> None:
    """Loading data must not disturb the draws of anything else in the process, nor depend on them."""
    with global_generators(seed=11) as untouched:
        dataset = subject.make()
        require(untouched(), "loading draws from, or seeds, a global generator")
        if dataset.fit_transform is not None:
            dataset.fit_transform(dataset.samples.x[:20].copy())(dataset.samples.x[:20].copy())
        require(untouched(), "its transform draws from, or seeds, a global generator")


def _fitted(dataset: Dataset, train: Array, title: str) -> Transform:
    assert dataset.fit_transform is not None
    given = train.copy()
    try:
        transform = dataset.fit_transform(given)
    except Exception as error:
        fail(f"fit_transform fails on {title}: {type(error).__name__}: {error}")
    require(_same(given, train), f"fit_transform alters the {title} that it's given")
    return transform


def _applied(transform: Transform, x: Array, title: str) -> Array:
    given = x.copy()
    try:
        found = transform(given)
    except Exception as error:
        fail(f"the transform fails on {title}: {type(error).__name__}: {error}")
    require(_same(given, x), f"the transform alters the {title} that it's given")
    require(len(found) == len(x), f"the transform turns {len(x)} rows into {len(found)}")
    return np.array(found)


def _require_same(one: Dataset, other: Dataset, otherwise: str) -> None:
    for part in ("x", "y"):
        ours, theirs = getattr(one.samples, part), getattr(other.samples, part)
        require(_same(ours, theirs), f"{otherwise} {part}: {_about(ours)}, {_about(theirs)}")
    classes = one.task.classes, other.task.classes
    require(classes[0] == classes[1], f"{otherwise} classes: {classes[0]}, {classes[1]}")


def _same(one: Array, other: Array) -> bool:
    return one.dtype == other.dtype and np.array_equal(one, other, equal_nan=one.dtype.kind == "f")


def _close(one: Array, other: Array) -> bool:
    return bool(np.allclose(one, other, rtol=TOLERANCE, atol=1e-9, equal_nan=True))


def _finite_rows(x: Array) -> NDArray[np.bool_]:
    return np.asarray(np.isfinite(x).reshape(len(x), int(np.prod(x.shape[1:]))).all(axis=1))


def _about(array: Array) -> str:
    return f"{array.dtype}{list(array.shape)} beginning with {array.ravel()[:4]}"
