"""Reputations of proposers: what the public record says about whose proposals help."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import numpy as np
from numpy.typing import NDArray

from .past import PastRound
from .voting import APPROVE, REJECT, Votes

MEMORY = 0.8
"""What is left of a reputation when new evidence comes in: after ten times, a tenth."""

SHARPNESS = 6.0
"""Odds of being drawn fall by e for each 1/6 of reputation below the best."""

LEAST = 0.05
"""The odds of the worst, beside 1 for the best: it's drawn now and then, and can make good."""

GOOD = -0.1
"""Approvals are noisy: a proposer is suspected only when its inclusion costs a tenth of the votes."""


@dataclass(frozen=True)
class Reputations:
    """How much approval rises when a learner's proposal is included, for each learner from -1 to 1; 0 when nothing
    is known. It's a value: whoever folds the same record comes to the same one.

    Args:
        scores: by learner; those beyond the end have 0.
        usual: the share of approvals that candidates without rivals usually get.
    """

    scores: Annotated[tuple[float, ...], "By learner, from -1 to 1"] = ()
    usual: Annotated[float | None, "Approval that lone candidates usually get"] = None

    def after(self, past: PastRound) -> Reputations:
        """The reputations after a round: ``MEMORY`` of the old one, and the rest new evidence.

        The evidence on a learner is the mean approval of plain means that it's in less that of those it isn't in. A
        round in which all were approved alike tells nothing. A candidate without rivals is compared with what
        such candidates usually get.
        """
        scores = np.zeros(len(past.votes))
        scores[: len(self.scores)] = self.scores[: len(scores)]
        evidence, usual = self._evidence(past)
        for i, found in evidence.items():
            scores[i] = MEMORY * scores[i] + (1 - MEMORY) * found
        return Reputations(tuple(map(float, scores)), usual)

    def of(self, learner: int) -> float:
        return self.scores[learner] if learner < len(self.scores) else 0.0

    def good(self, learner: int) -> bool:
        return self.of(learner) >= GOOD

    def chances(self, learners: int) -> NDArray[np.float64]:
        """The probability of each learner to be the first one drawn, shape ``(learners,)``."""
        scores = np.array([self.of(i) for i in range(learners)])
        odds = np.maximum(np.exp(SHARPNESS * (scores - scores.max())), LEAST)
        return np.asarray(odds / odds.sum())

    def _evidence(self, past: PastRound) -> tuple[dict[int, float], float | None]:
        approval = _approval(past.votes)
        plain = [c for c, label in enumerate(past.labels) if is_plain(label) and not np.isnan(approval[c])]
        if len(past.authors) == 1 and len(plain) == 1:
            found = float(approval[plain[0]])
            usual = found if self.usual is None else MEMORY * self.usual + (1 - MEMORY) * found
            return dict.fromkeys(past.authors[0], found - (found if self.usual is None else self.usual)), usual
        if len({float(approval[c]) for c in plain}) < 2:
            return {}, self.usual
        return _contrasts(past, plain, approval), self.usual


def is_plain(label: str) -> bool:
    """Whether the candidate is a plain mean of its authors' proposals: what a robust mean holds of each of its
    authors, their names don't tell."""
    return label == "proposal" or label.split(" ")[0] == "mean"


def _contrasts(past: PastRound, plain: list[int], approval: NDArray[np.float64]) -> dict[int, float]:
    """Of each author that is in some of these candidates and not in others: the difference that it makes."""
    found = {}
    for i in sorted({i for c in plain for i in past.authors[c]}):
        included = np.array([i in past.authors[c] for c in plain])
        if not included.all():
            found[i] = float(approval[plain][included].mean() - approval[plain][~included].mean())
    return found


def _approval(votes: Votes) -> NDArray[np.float64]:
    """The share of approvals among the votes cast on each candidate; NaN where nobody voted."""
    yes, no = (votes == APPROVE).sum(axis=0), (votes == REJECT).sum(axis=0)
    cast = yes + no
    return np.where(cast > 0, yes / np.maximum(cast, 1), np.nan)
