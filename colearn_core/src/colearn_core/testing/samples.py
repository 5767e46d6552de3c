"""The kit's own data: small, but larger than any usual batch, and easy to learn."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np

from ..data import Dataset, PrivateData, Samples, Task
from ..errors import ColearnError
from ..reference import blobs
from .kit import CheckFailed

TRAIN, VOTE, TEST = 60, 300, 90
"""Rows of a learner's parts in checks; what is voted on spans several batches of the usual sizes."""


@cache
def classes() -> Dataset:
    """Three classes; features lie between 0 and 1, so that learners that count can take them too."""
    data = blobs(samples=900, features=6, spread=0.4, seed=1)
    x = data.samples.x
    x = (x - x.min(axis=0)) / (x.max(axis=0) - x.min(axis=0))
    return Dataset("the kit's classes", Samples(x, data.samples.y), data.task)


@cache
def values() -> Dataset:
    """A noisy linear function of six features."""
    rng = np.random.default_rng(2)
    x = rng.normal(size=(900, 6))
    y = x @ rng.normal(size=6) + 0.1 * rng.normal(size=900)
    return Dataset("the kit's values", Samples(x, (y - y.mean()) / y.std()), Task())


@cache
def pictures() -> Dataset:
    """Four classes of noisy images of 8 × 8 pixels."""
    data = blobs(samples=900, features=64, classes=4, spread=0.8, seed=3)
    return Dataset("the kit's pictures", data.samples, data.task)


def suitable(make: Callable[[PrivateData], Any]) -> Dataset:
    """The first of the kit's data sets that a learner takes."""
    refusals = []
    for dataset in (classes(), values(), pictures()):
        try:
            make(private(dataset))
        except ColearnError as error:
            refusals.append(f"{dataset.name}: {error}")
        else:
            return dataset
    raise CheckFailed("the learner takes none of the kit's data; give it a data set. " + "; ".join(refusals))


def private(dataset: Dataset, **parts: Samples) -> PrivateData:
    """One learner's data; ``train``, ``vote`` or ``test`` replace the usual rows."""
    rows = np.random.default_rng(3).permutation(len(dataset.samples))
    usual = {
        "train": rows[:TRAIN],
        "vote": rows[TRAIN : TRAIN + VOTE],
        "test": rows[TRAIN + VOTE : TRAIN + VOTE + TEST],
    }
    found = {part: parts.get(part, dataset.samples.take(indices)) for part, indices in usual.items()}
    if dataset.fit_transform is not None:
        transform = dataset.fit_transform(found["train"].x)
        found = {part: Samples(transform(s.x), s.y) for part, s in found.items()}
    return PrivateData(**found, task=dataset.task, key=b"the kit's key")
