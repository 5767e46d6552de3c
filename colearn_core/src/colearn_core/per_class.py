"""Votes that look at each class of the voter's samples."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import numpy as np
from annotated_types import Ge
from numpy.typing import NDArray

from .errors import ParameterError
from .scores import Score
from .voting import Threshold, Vote


@dataclass(frozen=True)
class PerClass(Threshold):
    """A learner rejects what makes one of its classes much worse, even if its score improves; more than half of the
    votes cast must approve, or another ``share``.

    Formula: for each class ``c`` of which the learner has at least ``fewest`` vote samples, it takes the mean of their
    scores by either model; if that worsens by more than ``worse``, the learner rejects. All else is as by a
    threshold. That clients compare models class by class is the idea of BaFFLe (Andreina et al. 2021, arXiv
    2011.02167), which however learns from a history of accepted models what is unusual.

    When to use it: against models that are right on the whole and wrong in one class, by a targeted attack or by being
    trained on other classes alone. A majority adopts them as long as that class is rare. It takes voters that have
    samples of the class: with ``share`` near 1 few of them are enough. A backdoor whose trigger voters' samples don't
    carry shows in no class. It costs learning under label skew, where honest proposals too worsen classes that
    their authors lack: take a committee's mean with it. ``worse`` suits the log loss, in nats; by accuracy 0.1 does.

    In a regression there are no classes, and the vote is as by a threshold.
    """

    share: Annotated[float | str, 'Share of the votes cast, a number or a fraction such as "2/3"'] = 0.5
    inclusive: Annotated[bool, "Whether exactly this share is enough"] = False
    worse: Annotated[float, Ge(0), "How much worse a class may get, in units of the vote metric"] = 0.5
    fewest: Annotated[int, Ge(1), "Classes of fewer vote samples aren't looked at"] = 5

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.worse >= 0:
            raise ParameterError(f"worse can't be negative: {self.worse}")
        if self.fewest < 1:
            raise ParameterError(f"fewest must be at least 1 sample, not {self.fewest}")

    @property
    def looks_closer(self) -> bool:
        return True

    def vote(self, current: Score, proposed: Score, greater_is_better: bool) -> Vote:
        vote = super().vote(current, proposed, greater_is_better)
        if vote != Vote.APPROVE or not np.isfinite(current.value):
            return vote
        losses = class_losses(current, proposed, greater_is_better, self.fewest)
        return Vote.REJECT if (losses > self.worse).any() else vote


def class_losses(current: Score, proposed: Score, greater_is_better: bool, fewest: int = 1) -> NDArray[np.float64]:
    """How much worse each class gets that has enough samples; empty if scores don't tell.

    Args:
        fewest: how many samples are enough.
    """
    if current.each is None or proposed.each is None or proposed.classes is None:
        return np.zeros(0)
    sign = 1.0 if greater_is_better else -1.0
    losses = sign * (current.each.astype(np.float64) - proposed.each)
    counts = np.bincount(proposed.classes)
    enough = counts >= fewest
    found: NDArray[np.float64] = np.bincount(proposed.classes, weights=losses)[enough] / counts[enough]
    return found
