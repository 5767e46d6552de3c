"""Data sets that ship with scikit-learn, and those of openml.org."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any

import numpy as np
from numpy.typing import NDArray
from sklearn import datasets as bundled

from colearn_core.data import Dataset, Samples, Task, Transform

Array = NDArray[Any]
Standardize = Annotated[bool, "Shift and scale features by each learner's own training statistics"]


def standardization(train: Array) -> Transform:
    """Zero mean and unit variance on a learner's own training features; constant ones are only shifted."""
    mean, deviation = train.mean(axis=0), train.std(axis=0)
    deviation = np.where(deviation > 0, deviation, 1.0)
    return lambda x: (x - mean) / deviation


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
    return Dataset("digits", Samples(data.data / 16.0, data.target), Task(tuple(map(str, data.target_names))))


def diabetes() -> Dataset:
    """Diabetes progression (Efron et al. 2004): 442 patients, 10 features, a regression.

    Features and target have zero mean and unit variance over the whole published data set, so that
    a mean squared error of 1 is that of predicting the mean.
    """
    data = bundled.load_diabetes(scaled=False)
    x, y = data.data, data.target
    return Dataset("diabetes", Samples((x - x.mean(axis=0)) / x.std(axis=0), (y - y.mean()) / y.std()), Task())


def _classification(name: str, load: Callable[[], Any], standardize: bool) -> Dataset:
    data = load()
    task = Task(tuple(map(str, data.target_names)))
    return Dataset(name, Samples(data.data, data.target), task, standardization if standardize else None)
