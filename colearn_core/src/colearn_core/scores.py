"""Scores: what private data say about weights."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from .metrics import Metric, means

Part = Literal["vote", "test"]
"""Which of its private data a learner scores on."""


LARGEST = float(np.finfo(np.float32).max)


class Score(NamedTuple):
    """One learner's score of one set of weights: ``value`` averaged over ``samples`` samples.

    A score of no samples, or one that isn't finite, is an abstention.

    Attributes:
        each: the score of each sample, shape ``(samples,)``, always in the same order; None unless asked for.
        classes: the class number of each sample; None without ``each``, and in a regression.
    """

    value: float
    samples: int
    each: NDArray[np.float32] | None = None
    classes: NDArray[np.int64] | None = None


def scored(metric: Metric, targets: NDArray[Any], predictions: NDArray[Any], each: bool = False) -> Score:
    """One learner's score of what it predicts for its samples.

    Args:
        targets: shape ``(n,)``, ``n`` at least 1.
        predictions: what the metric needs, ``n`` rows.
        each: whether with the score of each sample.

    Raises:
        Abstention: ``each`` is asked for, and the metric is no mean over samples.
    """
    sizes = np.array([len(targets)])
    if not each:
        return Score(float(metric.score(targets, predictions, sizes)[0]), len(targets))
    values = metric.each(targets, predictions)
    classes = None if metric.needs == "values" else np.asarray(targets, np.int64)
    return Score(float(means(values, sizes)[0]), len(targets), in_single(values), classes)


def in_single(values: NDArray[np.float64]) -> NDArray[np.float32]:
    """Scores of samples in single precision, see :class:`Scores`; what's too large for it is the largest."""
    return np.clip(values, -LARGEST, LARGEST).astype(np.float32)


@dataclass(frozen=True)
class Scores:
    """The scores of all learners for the candidates of a round.

    Values are kept in single precision: the last bits of a double depend on how BLAS blocks the
    rows of a product, so a fused pass and a loop disagree there; in single precision they agree,
    and so do the votes and the ledger.

    Attributes:
        metric: what was measured.
        values: shape ``(learners, candidates)``; NaN where a learner gave no answer, or a score
            that counts as none: one that isn't finite, or of no samples.
        samples: shape ``(learners,)``, how many samples each learner scored on.
        reasons: learner to why it gave no answer, where it raised or abstained.
        each: of each learner, the scores of its samples, shape ``(candidates, samples)``, or None where it gave
            none; empty unless they were asked for.
        classes: of each learner, the class numbers of its samples, or None; empty like ``each``.
        complete: whether every learner gave a score of every candidate.
    """

    metric: Metric
    values: NDArray[np.floating[Any]]
    samples: NDArray[np.int64]
    reasons: Mapping[int, str] = field(default_factory=dict)
    each: Sequence[NDArray[np.float32] | None] = ()
    classes: Sequence[NDArray[np.int64] | None] = ()
    complete: bool = field(init=False)

    def __post_init__(self) -> None:
        known = np.abs(self.values) <= LARGEST
        # count_nonzero is all() without numpy's detour through Python: this runs in every round.
        complete = bool(np.count_nonzero(known) == known.size and np.count_nonzero(self.samples) == len(self.samples))
        values = self.values if complete else np.where(known & (self.samples > 0)[:, None], self.values, np.nan)
        object.__setattr__(self, "values", values.astype(np.float32, copy=False))
        object.__setattr__(self, "complete", complete)

    def score(self, learner: int, candidate: int) -> Score:
        value, samples = float(self.values[learner, candidate]), int(self.samples[learner])
        each = self.each[learner] if self.each else None
        if each is None:
            return Score(value, samples)
        return Score(value, samples, each[candidate], self.classes[learner])

    def candidate(self, index: int) -> Scores:
        """The scores of one candidate, as a single column."""
        column = slice(index, index + 1)
        each = [None if found is None else found[column] for found in self.each]
        return Scores(self.metric, self.values[:, column], self.samples, self.reasons, each, self.classes)

    def mean(self, candidate: int = 0) -> float:
        """The mean over learners, weighted by their samples; NaN when nobody answered."""
        return weighted_mean(self.values[:, candidate], self.samples)


def weighted_mean(values: NDArray[Any], samples: NDArray[Any]) -> float:
    """Mean of the finite values, each weighted by its samples; NaN when there's none."""
    known = np.isfinite(values) & (samples > 0)
    if not known.any():
        return float("nan")
    return float(np.average(values[known].astype(np.float64), weights=samples[known]))
