"""Data sets that ship with scikit-learn, and those of openml.org."""

from __future__ import annotations

import socket
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.client import HTTPException
from typing import Annotated, Any, Literal
from urllib.error import HTTPError

from annotated_types import Ge
from numpy.typing import NDArray
from sklearn import datasets as bundled
from sklearn.preprocessing import StandardScaler

from colearn_core.data import Dataset, Samples, Task, Transform
from colearn_core.errors import DataError, ParameterError

from .aside import Aside
from .frames import Categories, Ignore, Missing, Standardize, TaskName, dataset_of

Array = NDArray[Any]
OPENML_TIMEOUT = 20.0
"""Seconds that openml.org may stay silent."""


def standardization(train: Array) -> Transform:
    """Zero mean and unit variance on a learner's own training features; constant ones are only shifted."""
    scaler = StandardScaler().fit(train)
    return lambda x: (x - scaler.mean_) / scaler.scale_  # its own transform refuses a part without samples


def iris(standardize: Standardize = True) -> Dataset:
    """Fisher's iris flowers: 150 samples, 4 features, 3 classes."""
    return _classification("iris", bundled.load_iris, standardize)


def wine(standardize: Standardize = True) -> Dataset:
    """UCI wine: 178 samples, 13 chemical features, 3 cultivars."""
    return _classification("wine", bundled.load_wine, standardize)


def breast_cancer(standardize: Standardize = True) -> Dataset:
    """Wisconsin diagnostic breast cancer (UCI): 569 samples, 30 features, malignant or benign."""
    return _classification("breast_cancer", bundled.load_breast_cancer, standardize)


def digits() -> Dataset:
    """UCI handwritten digits: 1,797 images of 8 × 8 pixels between 0 and 1, 10 classes."""
    data = bundled.load_digits()
    return Dataset("digits", Samples(data.data / 16.0, data.target), _task(data))


def diabetes() -> Dataset:
    """Diabetes progression (Efron et al. 2004): 442 patients, 10 features, a regression.

    Features and target have zero mean and unit variance over the whole published data set, so that
    a mean squared error of 1 is that of predicting the mean.
    """
    data = bundled.load_diabetes(scaled=False)
    x, y = data.data, data.target
    samples = Samples((x - x.mean(axis=0)) / x.std(axis=0), (y - y.mean()) / y.std())
    return Dataset("diabetes", samples, Task(features=tuple(data.feature_names)))


def _classification(name: str, load: Callable[[], Any], standardize: bool) -> Dataset:
    data = load()
    return Dataset(name, Samples(data.data, data.target), _task(data), standardization if standardize else None)


def _task(data: Any) -> Task:
    return Task(tuple(map(str, data.target_names)), tuple(map(str, data.feature_names)))


def openml(
    dataset: Annotated[str | None, "Its name at openml.org; or give its number"] = None,
    number: Annotated[int | None, Ge(1), "Its number at openml.org; or give its name as dataset"] = None,
    version: Annotated[
        Literal["active"] | Annotated[int, Ge(1)], "Of the name; active: the oldest valid one"
    ] = "active",
    target: Annotated[str | None, "The column to predict; by default the one that openml.org names"] = None,
    task: TaskName = "auto",
    ignore: Ignore = (),
    aside: Aside = (),
    standardize: Standardize = True,
    missing: Missing = "fill",
    categories: Categories = "one_hot",
) -> Dataset:
    """A data set of openml.org, downloaded once into scikit-learn's cache (``SCIKIT_LEARN_DATA``).

    Its columns are read like those of a table: see ``frames.dataset_of``. Numbers never change their
    data; a name alone may mean another version some day.

    Raises:
        DataError: openml.org can't be reached, has no such data, or these can't be learned from.
        ParameterError: not exactly one of ``dataset`` and ``number`` is given, or there's no such column.
    """
    if (dataset is None) == (number is None):
        raise ParameterError(
            f"openml needs either dataset or number, not {'none' if number is None else 'both'} of them",
            hint="Look for data at https://www.openml.org/search?type=data: each has a name and a number (id).",
        )
    if number is not None and version != "active":
        raise ParameterError(f"number = {number} already stands for one version; version = {version} goes with a name")
    title = f"openml {dataset if number is None else number}"
    with _openml_errors(title):
        found = bundled.fetch_openml(
            dataset, data_id=number, version=version, as_frame=True, parser="auto", n_retries=1
        )
    if target is None:
        if len(found.target_names) != 1:
            named = ", ".join(found.target_names) or "none"
            raise ParameterError(
                f"openml.org names no single target of {title} ({named})",
                hint=f"Set target to one of: {', '.join(map(str, found.frame.columns))}.",
            )
        target = str(found.target_names[0])
    return dataset_of(
        found.frame,
        target,
        title,
        task=task,
        ignore=ignore,
        aside=aside,
        standardize=standardize,
        missing=missing,
        categories=categories,
    )


@contextmanager
def _openml_errors(title: str) -> Iterator[None]:
    """Bound the wait for openml.org, and say what went wrong there."""
    before = socket.getdefaulttimeout()
    socket.setdefaulttimeout(OPENML_TIMEOUT)  # fetch_openml takes no timeout of its own
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "A network error occurred")  # it retries; the end is told below
            yield
    except (OSError, EOFError, HTTPException, ValueError) as error:
        absent = isinstance(error, ValueError) or (isinstance(error, HTTPError) and error.code in (404, 412))
        if absent:
            raise DataError(
                f"openml.org has no such data set as {title}, or not as a table: {error}",
                hint="Look up its name, number and version at https://www.openml.org/search?type=data.",
            ) from error
        raise DataError(
            f"openml.org couldn't be reached for {title}: {error}",
            hint="Check the connection and try again, or download the data elsewhere and take `table` for the file.",
        ) from error
    finally:
        socket.setdefaulttimeout(before)
