"""What everyone knows of a past round: from this, and nothing else, reputations are worked out."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray


class PastRound(NamedTuple):
    """The public record of a round; a ledger holds it, so whoever reads one comes to the same reputations.

    Attributes:
        round: its number, from 1.
        proposers: who was asked for a proposal.
        authors: of each candidate, whose proposals are in it.
        labels: how each candidate came about.
        votes: values of :class:`~colearn_core.voting.Vote`, shape ``(learners, candidates)``.
        leader: the leading candidate; None without candidates.
        accepted: whether it was adopted.
        observed: a number about each proposal, by its author; what
            :meth:`~colearn_core.proposing.ProposalStrategy.observe` gave.
    """

    round: int
    proposers: tuple[int, ...]
    authors: tuple[tuple[int, ...], ...]
    labels: tuple[str, ...]
    votes: NDArray[np.int8]
    leader: int | None
    accepted: bool
    observed: Mapping[int, float] = {}
