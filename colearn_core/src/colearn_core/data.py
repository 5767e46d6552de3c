"""Data: a data set, what one learner holds of it, and how the one becomes the other."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from difflib import get_close_matches
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .errors import DataError, ParameterError, SplitError
from .splitting import Splitter
from .streams import Streams

Array = NDArray[Any]
TARGET_BINS = 10
MOST_NAMED = 20


@dataclass(frozen=True)
class Samples:
    """Features ``x``, one row per sample, and targets ``y`` (class numbers or values)."""

    x: Array
    y: Array

    def __len__(self) -> int:
        return len(self.y)

    def take(self, indices: Array) -> Samples:
        return Samples(self.x[indices], self.y[indices])

    @staticmethod
    def joined(parts: Sequence[Samples]) -> Samples:
        """All samples, one part after the other."""
        return Samples(np.concatenate([p.x for p in parts]), np.concatenate([p.y for p in parts]))


@dataclass(frozen=True)
class Task:
    """What is to be predicted; the group agrees on it, so every learner knows all classes.

    Attributes:
        classes: the names of the class numbers 0, 1, ...; there are none in regression.
        features: the names of the features, if they have any.
        categorical: the numbers of the features that hold codes of categories (0, 1, ..., or NaN), not quantities.
    """

    classes: tuple[str, ...] = ()
    features: tuple[str, ...] = ()
    categorical: tuple[int, ...] = ()

    @property
    def kind(self) -> str:
        return "classification" if self.classes else "regression"

    def check_quantities(self) -> None:
        """Raise DataError if features hold codes of categories; for learners that would take them for quantities."""
        if not self.categorical:
            return
        names = [self.features[i] if self.features else f"feature {i}" for i in self.categorical]
        listing = ", ".join(map(repr, names[:5])) + (", ..." if len(names) > 5 else "")
        raise DataError(
            f"the features {listing} hold codes of categories, which this learner would take for quantities",
            hint="Leave the data's `categories` at one_hot, or take a learner that grows trees.",
        )


Transform = Callable[[Array], Array]


@dataclass(frozen=True)
class Dataset:
    """A data set to be divided among simulated learners.

    Attributes:
        name: how it's called in titles.
        samples: all features and targets; class numbers for classification.
        task: the classes, if any.
        fit_transform: from a learner's own training features to a transform of all its features,
            so that statistics such as means stay private; None leaves features as they are.
        columns: what is known of each sample besides its features, for splitters to go by: where it came from,
            or when. By name, one value for each sample: numbers, dates or text.
    """

    name: str
    samples: Samples
    task: Task
    fit_transform: Callable[[Array], Transform] | None = None
    columns: Mapping[str, Array] = field(default_factory=dict)

    def __post_init__(self) -> None:
        x, y = self.samples.x, self.samples.y
        if not len(x) or len(x) != len(y):
            raise DataError(f"data set {self.name!r} has {len(x)} rows of features and {len(y)} targets")
        if y.dtype.kind == "f" and not np.isfinite(y).all():
            raise DataError(f"data set {self.name!r} has targets that are no numbers ({int((~np.isfinite(y)).sum())})")
        for name, values in self.columns.items():
            if values.shape != (len(y),):
                raise DataError(
                    f"data set {self.name!r} has {len(y)} samples, its column {name!r} the shape {values.shape}"
                )

    def labels(self) -> Array:
        """What splitters go by: the class, or for regression the decile of the target."""
        if self.task.classes:
            return self.samples.y
        return np.searchsorted(self.target_edges(), self.samples.y, side="right")

    def target_edges(self) -> Array:
        """What divides the deciles of a regression's target: the upper nine are at or above these values."""
        return np.asarray(np.quantile(self.samples.y, np.linspace(0, 1, TARGET_BINS + 1)[1:-1]))

    def column(self, name: str) -> Array:
        """A value for each sample: of one of :attr:`columns`, a feature by its name, or something that all data have.

        All data have ``"target"`` (class numbers or values), ``"row"`` (the order in which the samples stand) and
        ``"principal component"`` (where a sample lies along the direction in which standardised features vary most).

        Raises:
            ParameterError: there's no such column; the message lists the known ones.
        """
        if name in self.columns:
            return self.columns[name]
        if name in self.task.features:
            return np.asarray(self.samples.x[:, self.task.features.index(name)])
        if name in EVERYWHERE:
            return EVERYWHERE[name](self.samples)
        known = [*self.columns, *self.task.features, *EVERYWHERE]
        close = get_close_matches(name, known, n=1)
        listing = ", ".join(map(repr, [*self.columns, *self.task.features[:MOST_NAMED]]))
        more = len(self.task.features) - MOST_NAMED
        raise ParameterError(
            f"data set {self.name!r} has no column {name!r}",
            hint=(f"Did you mean {close[0]!r}? " if close else "")
            + (f"Columns: {listing}{f' and {more} more features' if more > 0 else ''}; all" if listing else "All")
            + f" data have {', '.join(map(repr, EVERYWHERE))}.",
        )


def principal_component(x: Array) -> Array:
    """Where each sample lies along the first principal component of the standardised features, shape ``(n,)``.

    Missing features count as their mean. The direction is the one whose largest loading is positive. The last bits
    depend on the linear algebra library.
    """
    flat = x.reshape(len(x), int(np.prod(x.shape[1:]))).astype(np.float64)
    missing = np.isnan(flat)
    mean = np.where(missing, 0, flat).sum(axis=0) / np.maximum((~missing).sum(axis=0), 1)
    centred = np.where(missing, 0, flat - mean)
    deviation = centred.std(axis=0)
    centred /= np.where(deviation > 0, deviation, 1.0)
    _, directions = np.linalg.eigh(centred.T @ centred)
    loadings = directions[:, -1]
    return np.asarray(centred @ (loadings * np.sign(loadings[np.abs(loadings).argmax()])))


EVERYWHERE: dict[str, Callable[[Samples], Array]] = {
    "target": lambda samples: samples.y,
    "row": lambda samples: np.arange(len(samples)),
    "principal component": lambda samples: principal_component(samples.x),
}
"""Columns that every data set has, by name."""


@dataclass(frozen=True)
class PrivateData:
    """What one learner holds: it trains on ``train``, votes by ``vote``, reports on ``test``.

    Attributes:
        task: what is to be predicted.
        key: a secret of this learner alone, from which private learners draw their noise. That of a simulated
            learner comes from the experiment's seed, so that runs repeat. Without one they draw their own.
    """

    train: Samples
    vote: Samples
    test: Samples
    task: Task
    key: bytes = field(default=b"", repr=False)

    @staticmethod
    def pooled(parts: Sequence[PrivateData]) -> PrivateData:
        """All parts in one hand: what collective learning avoids, as a baseline."""
        return PrivateData(
            Samples.joined([p.train for p in parts]),
            Samples.joined([p.vote for p in parts]),
            Samples.joined([p.test for p in parts]),
            parts[0].task,
            b"".join(p.key for p in parts),
        )


@dataclass(frozen=True)
class Holdout:
    """The shares of its own samples that a learner keeps from training.

    With too few samples training comes first, then the vote: a learner of one sample trains on it
    and abstains, one of two has none to test on.
    """

    vote: float = 0.15
    test: float = 0.15

    def __post_init__(self) -> None:
        if not (self.vote >= 0 and self.test >= 0 and self.vote + self.test < 1):
            raise ParameterError(
                f"vote = {self.vote} and test = {self.test} must be shares that leave something to train on"
            )

    def divide(self, samples: int, rng: np.random.Generator) -> tuple[Array, Array, Array]:
        """Indices of the train, vote and test samples of ``samples`` many, in random order."""
        spare = samples - 1
        vote = min(spare, max(1, round(self.vote * samples))) if self.vote else 0
        test = min(spare - vote, max(1, round(self.test * samples))) if self.test else 0
        order = rng.permutation(samples)
        return order[vote + test :], order[:vote], order[vote : vote + test]


def batches(samples: int, batch_size: int, steps: int, rng: np.random.Generator) -> list[Array]:
    """Indices of the samples of each step, drawn without repetition until all are used, then again."""
    count = batch_size * steps
    passes = -(-count // samples)
    order = rng.permuted(np.tile(np.arange(samples), (passes, 1)), axis=1).ravel()[:count]
    return np.split(order, steps)


def partition(
    dataset: Dataset, splitter: Splitter, learners: int, holdout: Holdout, streams: Streams
) -> list[PrivateData]:
    """Divide a data set among learners, and each learner's part into train, vote and test data.

    Raises:
        ParameterError: the splitter goes by a column that the data set doesn't have.
        SplitError: the request can't be met, or the splitter returned no exact partition.
    """
    values = dataset.labels() if splitter.column is None else dataset.column(splitter.column)
    parts = splitter.split(values, learners, streams.generator("split"))
    _check_partition(splitter, parts, learners, len(dataset.samples))
    return [
        _private(
            dataset,
            _altered(dataset.task, splitter, dataset.samples.take(part), i, learners, streams),
            holdout,
            streams.generator("holdout", learner=i),
            streams.key("privacy", i),
        )
        for i, part in enumerate(parts)
    ]


def _altered(task: Task, splitter: Splitter, samples: Samples, i: int, learners: int, streams: Streams) -> Samples:
    found = splitter.alter(samples, i, learners, streams.generator("alter", learner=i))
    if found.x.shape != samples.x.shape or not np.array_equal(found.y, samples.y):
        raise SplitError(
            f"{splitter!r} alters more than the features of learner {i}: {samples.x.shape} became {found.x.shape}, "
            "or targets changed"
        )
    codes = list(task.categorical)
    if codes and not np.array_equal(found.x[:, codes], samples.x[:, codes], equal_nan=True):
        raise SplitError(
            f"{splitter!r} alters codes of categories, which have no meaning in between",
            hint="Leave the data's `categories` at one_hot.",
        )
    return found


def _private(dataset: Dataset, part: Samples, holdout: Holdout, rng: np.random.Generator, key: bytes) -> PrivateData:
    train, vote, test = (part.take(indices) for indices in holdout.divide(len(part), rng))
    if dataset.fit_transform is not None:
        transform = dataset.fit_transform(train.x)
        train, vote, test = (Samples(transform(s.x), s.y) for s in (train, vote, test))
    return PrivateData(train, vote, test, dataset.task, key)


def _check_partition(splitter: Splitter, parts: Sequence[Array], learners: int, samples: int) -> None:
    sizes = [len(part) for part in parts]
    together = np.sort(np.concatenate(parts)) if parts else np.array([])
    if len(parts) != learners or not all(sizes) or not np.array_equal(together, np.arange(samples)):
        raise SplitError(
            f"{splitter!r} returned no exact partition of {samples} samples among {learners} learners "
            f"(sizes {sizes[:10]}{'...' if len(sizes) > 10 else ''})"
        )
