"""Scores: what private data say about weights."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from .metrics import Metric

Part = Literal["vote", "test"]
"""Which of its private data a learner scores on."""


class Score(NamedTuple):
    """One learner's score of one set of weights: ``value`` averaged over ``samples`` samples.

    A score of no samples, or one that isn't finite, is an abstention.
    """

    value: float
    samples: int


LARGEST = float(np.finfo(np.float32).max)


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
        complete: whether every learner gave a score of every candidate.
    """

    metric: Metric
    values: NDArray[np.floating[Any]]
    samples: NDArray[np.int64]
    reasons: Mapping[int, str] = field(default_factory=dict)
    complete: bool = field(init=False)

    def __post_init__(self) -> None:
        known = np.abs(self.values) <= LARGEST
        # count_nonzero is all() without numpy's detour through Python: this runs in every round.
        complete = bool(np.count_nonzero(known) == known.size and np.count_nonzero(self.samples) == len(self.samples))
        values = self.values if complete else np.where(known & (self.samples > 0)[:, None], self.values, np.nan)
        object.__setattr__(self, "values", values.astype(np.float32, copy=False))
        object.__setattr__(self, "complete", complete)

    def score(self, learner: int, candidate: int) -> Score:
        return Score(float(self.values[learner, candidate]), int(self.samples[learner]))

    def candidate(self, index: int) -> Scores:
        """The scores of one candidate, as a single column."""
        return Scores(self.metric, self.values[:, index : index + 1], self.samples, self.reasons)

    def mean(self, candidate: int = 0) -> float:
        """The mean over learners, weighted by their samples; NaN when nobody answered."""
        return weighted_mean(self.values[:, candidate], self.samples)


def weighted_mean(values: NDArray[Any], samples: NDArray[Any]) -> float:
    """Mean of the finite values, each weighted by its samples; NaN when there's none."""
    known = np.isfinite(values) & (samples > 0)
    if not known.any():
        return float("nan")
    return float(np.average(values[known].astype(np.float64), weights=samples[known]))
