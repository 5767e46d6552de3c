"""Metrics by name, with their direction; each scores many learners' samples in one call."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from math import inf
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from .errors import Abstention, ParameterError

Array = NDArray[Any]
Needs = Literal["labels", "probabilities", "values"]


@dataclass(frozen=True)
class Metric:
    """How well predictions meet their targets.

    Attributes:
        name: the name in experiment files.
        greater_is_better: the direction of improvement.
        needs: what it compares with the targets: ``labels`` (class numbers, shape ``(n,)``),
            ``probabilities`` (shape ``(n, classes)``) or ``values`` (regression, shape ``(n,)``).
        per_sample: ``(targets, predictions) -> (n,)`` when the score is a mean over samples.
        whole: ``(targets, predictions) -> float`` when it isn't; NaN where it's undefined.
        largest: the largest absolute score that a sample can have.
    """

    name: str
    greater_is_better: bool
    needs: Needs
    per_sample: Callable[[Array, Array], Array] | None = None
    whole: Callable[[Array, Array], float] | None = None
    largest: float = inf

    @property
    def of_samples(self) -> bool:
        """Whether a score is the mean of the scores of single samples."""
        return self.per_sample is not None

    def each(self, targets: Array, predictions: Array) -> NDArray[np.float64]:
        """The score of each sample, shape ``(n,)``; the arguments are those of :meth:`score`.

        Raises:
            Abstention: the metric is no mean over samples.
        """
        if self.per_sample is None:
            known = ", ".join(m.name for m in METRICS.values() if m.of_samples)
            raise Abstention(f"{self.name} has no score of a single sample; these have: {known}")
        return np.asarray(self.per_sample(targets, predictions), dtype=np.float64)

    def score(self, targets: Array, predictions: Array, sizes: Array) -> NDArray[np.float64]:
        """One score per learner for samples that lie one learner after the other.

        Args:
            targets: class numbers or values of all samples, shape ``(n,)``.
            predictions: what :attr:`needs` says, ``n`` rows.
            sizes: number of samples of each learner; they add up to ``n``.

        Returns:
            Shape ``(len(sizes),)``; NaN for a learner without samples.
        """
        if self.per_sample is not None and len(targets):
            return means(self.each(targets, predictions), sizes)
        scores = np.full(len(sizes), np.nan)
        if self.whole is not None:
            ends = np.cumsum(sizes)
            for i in np.flatnonzero(sizes):
                part = slice(ends[i] - sizes[i], ends[i])
                scores[i] = self.whole(targets[part], predictions[part])
        return scores


def means(values: NDArray[np.float64], sizes: Array) -> NDArray[np.float64]:
    """The mean of each learner's samples, which lie one learner after the other; NaN for one without samples."""
    filled = sizes > 0
    starts = np.cumsum(sizes) - sizes
    found = np.full(len(sizes), np.nan)
    found[filled] = np.add.reduceat(values, starts[filled]) / sizes[filled]
    return found


def metric(name: str) -> Metric:
    """The metric of this name.

    Raises:
        ParameterError: there's none; the message lists the known ones.
    """
    try:
        return METRICS[name]
    except KeyError:
        raise ParameterError(f"unknown metric {name!r}", hint=f"Known metrics: {', '.join(METRICS)}.") from None


def metric_for(name: str | None, classes: int | None, usual: str) -> Metric:
    """The metric of this name for a task with so many classes, or for values if that's None.

    Args:
        usual: which one if none is named and there are classes; for values it's ``mse``.

    Raises:
        ParameterError: there's none, or it scores something else.
    """
    found = metric(name or ("mse" if classes is None else usual))
    if (found.needs == "values") != (classes is None):
        raise ParameterError(f"{found.name} can't score {'values' if classes is None else 'classes'}")
    return found


def _accuracy(targets: Array, labels: Array) -> Array:
    correct: Array = np.equal(targets, labels)
    return correct


def _log_loss(targets: Array, probabilities: Array) -> Array:
    """Cross-entropy in nats; probabilities are clipped at the spacing of doubles, so it's finite."""
    chosen = probabilities[np.arange(len(targets)), targets]
    losses: Array = -np.log(np.clip(chosen, np.finfo(np.float64).eps, 1.0))
    return losses


def _squared_error(targets: Array, values: Array) -> Array:
    errors: Array = np.square(values - targets)
    return errors


def _r2(targets: Array, values: Array) -> float:
    """Coefficient of determination; undefined for equal targets, so for one sample too."""
    if targets.min() == targets.max():
        return float("nan")
    spread = np.square(targets - targets.mean()).sum()
    return float(1 - np.square(values - targets).sum() / spread)


def _roc_auc(targets: Array, probabilities: Array) -> float:
    """Area under the ROC curve by ranks (Mann and Whitney 1947), ties counting half.

    With more than two classes the mean over classes, each against the rest, of those that have both
    positives and negatives here; undefined when only one class is present.
    """
    if not np.isfinite(probabilities).all():
        return float("nan")
    classes = [1] if probabilities.shape[1] == 2 else range(probabilities.shape[1])
    areas = []
    for c in classes:
        positive = targets == c
        n_positive = int(positive.sum())
        n_negative = len(targets) - n_positive
        if n_positive and n_negative:
            _, inverse, counts = np.unique(probabilities[:, c], return_inverse=True, return_counts=True)
            ranks = (np.cumsum(counts) - (counts - 1) / 2)[inverse]
            areas.append((ranks[positive].sum() - n_positive * (n_positive + 1) / 2) / (n_positive * n_negative))
    return float(np.mean(areas)) if areas else float("nan")


def _f1(targets: Array, labels: Array) -> float:
    """F1, the mean over the classes that occur in targets or predictions."""
    scores = []
    for c in np.union1d(targets, labels):
        both = np.sum((targets == c) & (labels == c))
        scores.append(2 * both / (np.sum(targets == c) + np.sum(labels == c)))
    return float(np.mean(scores))


METRICS: Mapping[str, Metric] = {
    m.name: m
    for m in (
        Metric("accuracy", True, "labels", per_sample=_accuracy, largest=1.0),
        Metric("log_loss", False, "probabilities", per_sample=_log_loss),
        Metric("mse", False, "values", per_sample=_squared_error),
        Metric("r2", True, "values", whole=_r2),
        Metric("roc_auc", True, "probabilities", whole=_roc_auc),
        Metric("f1", True, "labels", whole=_f1),
    )
}
