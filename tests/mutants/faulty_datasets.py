"""Data sets with one fault each."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
from mutant import Mutant
from numpy.typing import NDArray

from colearn_core.data import Dataset, Samples, Task, Transform
from colearn_core.reference import blobs
from colearn_core.testing import Subject

FETCH = "Fetch.ai colearn 0.2.8"
Array = NDArray[Any]


def standardization(train: Array) -> Transform:
    """Zero mean and unit variance by the training part, as it should be."""
    mean, deviation = train.mean(axis=0), train.std(axis=0)
    deviation[deviation == 0] = 1
    return lambda x: (x - mean) / deviation


def made(
    x: Array | None = None,
    y: Array | None = None,
    classes: tuple[str, ...] = ("a", "b", "c"),
    fit_transform: Callable[[Array], Transform] | None = standardization,
) -> Dataset:
    data = blobs(samples=60, features=4)
    samples = Samples(data.samples.x if x is None else x, data.samples.y if y is None else y)
    return Dataset("mine", samples, Task(classes), fit_transform)


def usual() -> Dataset:
    """Standardised by each learner: correct."""
    return made()


def prices() -> Dataset:
    """A regression of whole numbers from single-precision features: correct."""
    x = np.random.default_rng(0).normal(size=(50, 3)).astype(np.float32)
    return made(x, np.round(10 * x.sum(axis=1)).astype(np.int64), ())


def images() -> Dataset:
    """Read-only images of bytes, the same arrays for every call, scaled by a constant: correct."""
    return made(_pixels(), _digits(), ("a", "b"), lambda train: lambda x: x / np.float32(255))


def widened() -> Dataset:
    """Missing values are filled in, and become a column of their own: correct."""

    def fit(train: Array) -> Transform:
        known = np.isfinite(train)
        fill = np.where(known, train, 0).sum(axis=0) / np.maximum(known.sum(axis=0), 1)
        return lambda x: np.hstack([np.where(np.isnan(x), fill, x), np.isnan(x)])

    x = usual().samples.x.copy()
    x[::7, 1] = np.nan
    return made(x, fit_transform=fit)


def two_samples() -> Dataset:
    """The smallest one: correct."""
    return made(np.array([[False], [True]]), np.array([1, 0], dtype=np.uint8), ("a", "b"), None)


@cache
def _pixels() -> Array:
    pixels = np.random.default_rng(0).integers(256, size=(40, 8, 8, 1)).astype(np.uint8)
    pixels.flags.writeable = False
    return pixels


@cache
def _digits() -> Array:
    digits = np.arange(40) % 2
    digits.flags.writeable = False
    return digits


def numbers_from_one() -> Dataset:
    return made(y=usual().samples.y + 1)


def a_class_that_never_occurs() -> Dataset:
    return made(classes=("a", "b", "c", "none"))


def class_numbers_that_are_no_integers() -> Dataset:
    return made(y=usual().samples.y.astype(np.float64))


def classes_of_one_name() -> Dataset:
    return made(classes=("a", "b", "a"))


def targets_in_a_column() -> Dataset:
    return made(y=usual().samples.y[:, None])


def features_in_a_line() -> Dataset:
    return made(x=usual().samples.x[:, 0], fit_transform=None)


def features_as_text() -> Dataset:
    return made(x=usual().samples.x.astype(str), fit_transform=None)


def constant_values() -> Dataset:
    return made(y=np.full(60, 0.1 + 0.2), classes=())


def no_seed() -> Dataset:
    return blobs(seed=int(np.random.default_rng().integers(2**31)))


def draws_from_the_global_generator() -> Dataset:
    return blobs(seed=np.random.randint(2**31))


def seeds_the_global_generator() -> Dataset:
    np.random.seed(0)
    return draws_from_the_global_generator()


def shuffles_in_its_transform() -> Dataset:
    def fit(train: Array) -> Transform:
        train = np.random.permutation(train)
        return standardization(train)

    return made(fit_transform=fit)


@cache
def shares_its_arrays() -> Dataset:
    return usual()


def statistics_of_what_it_transforms() -> Dataset:
    return made(fit_transform=lambda train: lambda x: standardization(x)(x) if len(x) else x)


def statistics_of_the_whole_data_set() -> Dataset:
    transform = standardization(usual().samples.x)
    return made(fit_transform=lambda train: transform)


def one_scaler_for_all() -> Dataset:
    shared: dict[str, Transform] = {}

    def fit(train: Array) -> Transform:
        shared["last"] = standardization(train)
        return lambda x: shared["last"](x)

    return made(fit_transform=fit)


def transforms_in_place() -> Dataset:
    def fit(train: Array) -> Transform:
        mean = train.mean(axis=0)

        def transform(x: Array) -> Array:
            x -= mean
            return x

        return transform

    return made(fit_transform=fit)


def fits_in_place() -> Dataset:
    def fit(train: Array) -> Transform:
        train.sort(axis=0)
        median = train[len(train) // 2].copy()
        return lambda x: x - median

    return made(fit_transform=fit)


def fails_on_a_single_row() -> Dataset:
    def fit(train: Array) -> Transform:
        inverse = np.linalg.inv(np.cov(train.T))
        return lambda x: x @ inverse

    return made(fit_transform=fit)


def divides_by_zero() -> Dataset:
    def fit(train: Array) -> Transform:
        mean, deviation = train.mean(axis=0), train.std(axis=0)

        def transform(x: Array) -> Array:
            with np.errstate(all="ignore"):
                scaled: Array = (x - mean) / deviation
            return scaled

        return transform

    return made(fit_transform=fit)


def needs_rows() -> Dataset:
    def fit(train: Array) -> Transform:
        scale = standardization(train)
        return lambda x: np.stack([scale(row) for row in x])

    return made(fit_transform=fit)


def drops_outliers() -> Dataset:
    def fit(train: Array) -> Transform:
        scale = standardization(train)
        return lambda x: scale(x[np.abs(scale(x)).max(axis=1) < 2])

    return made(fit_transform=fit)


def drops_constant_columns() -> Dataset:
    def fit(train: Array) -> Transform:
        varies = train.std(axis=0) > 0
        return lambda x: x[:, varies]

    return made(fit_transform=fit)


def _mutant(dataset: Callable[[], Dataset], fault: str, origin: str = "", survives: str | None = None) -> Mutant:
    return Mutant(dataset.__name__, "datasets", fault, Subject(dataset), origin, survives)


MUTANTS = [
    _mutant(numbers_from_one, "class numbers begin with 1"),
    _mutant(a_class_that_never_occurs, "a class never occurs"),
    _mutant(class_numbers_that_are_no_integers, "class numbers are floats"),
    _mutant(classes_of_one_name, "two classes have the same name"),
    _mutant(targets_in_a_column, "targets have the shape (n, 1)"),
    _mutant(features_in_a_line, "features have the shape (n,)"),
    _mutant(features_as_text, "features are text"),
    _mutant(constant_values, "all targets are equal"),
    _mutant(no_seed, "random without a seed"),
    _mutant(draws_from_the_global_generator, "the seed does nothing: draws are global", FETCH),
    _mutant(seeds_the_global_generator, "seeds numpy's global generator"),
    _mutant(shuffles_in_its_transform, "the transform draws from the global generator"),
    _mutant(shares_its_arrays, "all calls give the same arrays"),
    _mutant(statistics_of_what_it_transforms, "the transform is fitted on whatever it transforms"),
    _mutant(
        statistics_of_the_whole_data_set,
        "the transform is fitted on the whole data set",
        survives="it looks like scaling by constants, which are nobody's secret",
    ),
    _mutant(one_scaler_for_all, "all learners' transforms share the last one's statistics"),
    _mutant(transforms_in_place, "the transform alters its input"),
    _mutant(fits_in_place, "fitting alters the training part"),
    _mutant(fails_on_a_single_row, "a training part of one row raises"),
    _mutant(divides_by_zero, "a training part of one row gives NaN"),
    _mutant(needs_rows, "a part without rows raises"),
    _mutant(drops_outliers, "the transform drops rows"),
    _mutant(drops_constant_columns, "learners get different columns"),
]
CONTROLS = [_mutant(dataset, "") for dataset in (blobs, usual, prices, images, widened, two_samples)]
