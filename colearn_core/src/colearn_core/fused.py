"""The fused cohort: learners of one model whose candidates are scored in one pass over all their samples."""

from __future__ import annotations

import logging
from abc import abstractmethod
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any
from zlib import crc32

import numpy as np
from numpy.typing import NDArray

from .cohort import LoopCohort, reason
from .learner import Learner
from .metrics import Metric, Needs, means
from .noise import ONLY_NOISY, PrivateAnswers
from .scores import Part, Scores, in_single
from .weights import Weights

log = logging.getLogger(__name__)

ALIGNED_ROWS = 8
"""A row's place modulo this decides its alignment in memory in every layer, however wide (8 rows of floats are a
multiple of 32 bytes). Matrix products with few columns start their vectors at an aligned address, so that a row
that lies elsewhere ends in other last bits."""


class FusedCohort(LoopCohort):
    """Learners that share a model: a backend gives predictions for all their samples at once.

    Args:
        targets: of each part, each learner's targets, possibly none.
        private: the learners, by number, whose scores may need noise.
    """

    def __init__(
        self,
        learners: Sequence[Learner],
        names: Sequence[str] | None,
        targets: Mapping[Part, Sequence[NDArray[Any]]],
        private: Mapping[int, PrivateAnswers] | None = None,
    ) -> None:
        super().__init__(learners, names)
        self._targets = {part: np.concatenate(own) for part, own in targets.items()}
        self._sizes = {part: np.array([len(y) for y in own], dtype=np.int64) for part, own in targets.items()}
        self._noisy = {i: answers for i, answers in (private or {}).items() if answers.scores_are_noisy}

    @abstractmethod
    def predictions(self, weights: Weights, part: Part, needs: Needs) -> NDArray[Any]:
        """What a metric needs of the predictions for all samples of a part, one learner's after the other's.

        Raises:
            WeightsError: the weights are of another model, or not finite.
        """

    def test(self, candidates: Sequence[Weights], part: Part) -> Scores:
        measure, sizes = self.metric_of(part), self._sizes[part]
        if not candidates or not sizes.any():
            return Scores(measure, np.full((len(self), len(candidates)), np.nan, np.float32), sizes)
        reasons: dict[int, str] = {}
        try:
            columns = [self._column(weights, part, measure, reasons) for weights in candidates]
        except Exception:  # one candidate that doesn't fit must not spoil the others: each is asked alone
            log.debug("the fused pass failed", exc_info=True)
            return super().test(candidates, part)
        return Scores(measure, np.column_stack(columns), sizes, reasons)

    def test_samples(self, candidates: Sequence[Weights]) -> Scores:
        measure, sizes, targets = self.vote_metric, self._sizes["vote"], self._targets["vote"]
        if not candidates or not sizes.any():
            return super().test_samples(candidates)
        try:
            found = [measure.each(targets, self.predictions(w, "vote", measure.needs)) for w in candidates]
        except Exception:  # as in test()
            log.debug("the fused pass failed", exc_info=True)
            return super().test_samples(candidates)
        values = np.column_stack([means(each, sizes) for each in found])
        ends = np.cumsum(sizes)[:-1]
        each = np.split(in_single(np.array(found)), ends, axis=1)
        classes = [None] * len(self) if measure.needs == "values" else np.split(targets.astype(np.int64), ends)
        reasons = {i: ONLY_NOISY for i in self._noisy if sizes[i]}
        silent = [i in reasons or not sizes[i] for i in range(len(self))]
        values[list(reasons)] = np.nan
        return Scores(
            measure,
            values,
            np.where(np.isin(np.arange(len(self)), list(reasons)), 0, sizes),
            reasons,
            [None if no else own for no, own in zip(silent, each, strict=True)],
            [None if no else own for no, own in zip(silent, classes, strict=True)],
        )

    def _column(self, weights: Weights, part: Part, measure: Metric, reasons: dict[int, str]) -> NDArray[np.float64]:
        predictions = self.predictions(weights, part, measure.needs)
        targets, sizes = self._targets[part], self._sizes[part]
        scores = measure.score(targets, predictions, sizes)
        for i, private in self._noisy.items():
            end = int(sizes[: i + 1].sum())
            own = slice(end - int(sizes[i]), end)
            if sizes[i]:
                try:
                    scores[i] = private.score(measure, targets[own], predictions[own], weights, part)
                except Exception as error:  # an abstention of this learner only
                    scores[i] = np.nan
                    reasons.setdefault(i, reason(error))
        return scores


def identity_of(factory: Any) -> Any:
    """What tells a factory's models from others': a partial call is known by what it calls, and with what."""
    if not isinstance(factory, partial):
        return factory
    keywords = sorted((name, identity_of(value)) for name, value in factory.keywords.items())
    return factory.func, tuple(map(identity_of, factory.args)), tuple(keywords)


def first_row(first_sample: bytes) -> int:
    """Where a learner's samples begin in the chunks that are scored, modulo :data:`ALIGNED_ROWS`.

    It's told by the first sample, so it's the same in company and alone, and differs between learners.
    """
    return crc32(first_sample) % ALIGNED_ROWS


def laid_end_to_end(first_rows: Sequence[int], sizes: Sequence[int]) -> tuple[NDArray[np.int64], int]:
    """Each learner's first row, and the end of the last: whoever fits where another ended comes next.

    With a common first row a thousand learners of one sample each would be eight times as many rows; as first rows
    differ, they fit end to end almost without gaps.

    Args:
        first_rows: see :func:`first_row`.
        sizes: number of samples of each, none of them 0.
    """
    waiting: list[list[int]] = [[] for _ in range(ALIGNED_ROWS)]
    for i in reversed(range(len(sizes))):
        waiting[first_rows[i]].append(i)
    starts, end = np.zeros(len(sizes), dtype=np.int64), 0
    for _ in sizes:
        start = next(row for row in range(end, end + ALIGNED_ROWS) if waiting[row % ALIGNED_ROWS])
        i = waiting[start % ALIGNED_ROWS].pop()
        starts[i], end = start, start + sizes[i]
    return starts, end
