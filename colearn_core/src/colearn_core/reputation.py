"""Reputations of proposers: what the public record says about whose proposals help."""

from __future__ import annotations

from dataclasses import dataclass
from math import exp, sqrt

import numpy as np
from numpy.typing import NDArray

from .past import PastRound
from .voting import ABSTAIN, APPROVE

Floats = NDArray[np.float64]

MEMORY = 0.97
"""What is left of old evidence when new comes in: after 23 times, half. With less memory the noise in approvals, which
is ten times what a liar costs once the model is good, hides who lies."""

DOUBT = 0.05
"""Squared evidence that a learner begins with, so that the first round alone convicts nobody."""

LEAST = 0.05
"""The odds of the worst, beside 1 for those that nothing speaks against: it's drawn now and then, and can make good."""

GOOD = -1.0
"""Chance alone gives one in six a lower reputation."""

ROUNDING = 1e-9
"""What is left of a correlation of 0; were it a weight, a single voter would speak for all."""


@dataclass(frozen=True)
class Reputations:
    """Whose inclusion in a candidate cost it approval, for each learner in standard deviations: 0 when nothing is
    known, below -2 when it's hardly chance. It's a value: whoever folds the same record comes to the same one.

    The evidence that a round gives on a learner is the approval of the plain means that it's in, less that of those
    that it isn't in. With ``e_t`` the evidence of its rounds, oldest first and each weighing ``MEMORY`` times as much
    as the next, its reputation is ``sum(e_t) / sqrt(DOUBT + sum(e_t ** 2))``: what a running t test of "it makes no
    difference" goes by. Where there's one plain mean only, it's compared with what such ones usually get.

    Votes of liars are in the record too. So each voter counts by how far it agrees with the others' votes of that
    round (the correlation, if positive): who votes against all others counts nothing.

    Reputations punish what costs approval, be it a lie or data that nobody else has. Where learners' data differ
    much, rare data may be kept out by them.

    Args:
        sums, squares: of the evidence on each learner; those beyond the end have none.
        usual: the share of approvals that a plain mean usually gets where it's the only one.
    """

    sums: tuple[float, ...] = ()
    squares: tuple[float, ...] = ()
    usual: float | None = None

    def after(self, past: PastRound) -> Reputations:
        """The reputations after a round. One in which all candidates were approved alike tells nothing."""
        plain = [c for c, label in enumerate(past.labels) if is_plain(label)]
        usual = self.usual
        if len(plain) == 1:
            evidence, usual = self._lone(past.authors[plain[0]], past.votes[:, plain[0]])
        else:
            evidence = _contrasts([past.authors[c] for c in plain], _approval(past.votes[:, plain]))
        sums, squares = (_padded(x, len(past.votes)) for x in (self.sums, self.squares))
        for i, found in evidence.items():
            sums[i] = MEMORY * sums[i] + found
            squares[i] = MEMORY * squares[i] + found**2
        return Reputations(tuple(sums), tuple(squares), usual)

    def of(self, learner: int) -> float:
        """In standard deviations."""
        if learner >= len(self.sums):
            return 0.0
        return self.sums[learner] / sqrt(DOUBT + self.squares[learner])

    def good(self, learner: int) -> bool:
        """Whether nothing much speaks against it."""
        return self.of(learner) >= GOOD

    def chances(self, learners: int) -> Floats:
        """The probability of each learner to be the first one drawn, shape ``(learners,)``."""
        odds = np.array([max(LEAST, exp(min(0.0, self.of(i)))) for i in range(learners)])
        return np.asarray(odds / odds.sum())

    def _lone(self, authors: tuple[int, ...], votes: NDArray[np.int8]) -> tuple[dict[int, float], float | None]:
        """The evidence of a plain mean that has no rivals of its kind, and what such ones usually get after it."""
        cast = int((votes != ABSTAIN).sum())
        if not cast:
            return {}, self.usual
        found = float((votes == APPROVE).sum()) / cast
        if self.usual is None:
            return {}, found
        return dict.fromkeys(authors, found - self.usual), MEMORY * self.usual + (1 - MEMORY) * found


def is_plain(label: str) -> bool:
    """Whether the candidate is a plain mean of its authors' proposals: how much of each of them a robust mean holds,
    its authors' names don't tell. What Krum chooses are plain means, and often the same as those without a learner,
    which then aren't put to the vote again."""
    return label.split(" ")[0] in ("mean", "proposal", "krum", "multi-krum")


def _contrasts(authors: list[tuple[int, ...]], approval: Floats | None) -> dict[int, float]:
    """Of each author that is in some of these candidates and not in others: the difference that it makes."""
    found: dict[int, float] = {}
    if approval is None:
        return found
    for i in sorted({i for some in authors for i in some}):
        included = np.array([i in some for some in authors])
        if not included.all():
            found[i] = float(approval[included].mean() - approval[~included].mean())
    return found


def _approval(votes: NDArray[np.int8]) -> Floats | None:
    """How much of the votes that agree with others approves each candidate, from 0 to 1; an abstention is half a
    vote. None where no voter tells candidates apart like another does.

    Args:
        votes: shape ``(learners, candidates)``.
    """
    own = votes.astype(np.int64)
    own = own.shape[1] * own - own.sum(axis=1, keepdims=True)  # whole numbers: rounding makes no agreement
    others = own.sum(axis=0) - own
    agreement = np.maximum((own * others).sum(axis=1), 0)
    if not agreement.any():
        return None
    scale = np.sqrt((own**2).sum(axis=1)) * np.sqrt((others**2).sum(axis=1))
    weights = agreement / np.maximum(scale, 1)
    approval: Floats = (weights[:, None] * (votes + 1.0) / 2).sum(axis=0) / weights.sum()
    return approval


def _padded(values: tuple[float, ...], length: int) -> list[float]:
    return [*values[:length], *[0.0] * (length - len(values))]
