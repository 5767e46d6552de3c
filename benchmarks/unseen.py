"""The collective without a vote, for benchmarks that compare with it."""

from __future__ import annotations

from colearn_core.voting import VotingPolicy


class Unseen(VotingPolicy):
    """Adopts whatever any learner has an opinion on."""

    def passes(self, approvals: int, cast: int) -> bool:
        return True
