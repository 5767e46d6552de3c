"""Bases: the weights that were in force at the beginning of past rounds."""

from __future__ import annotations

from ..weights import Weights


class Bases:
    """What a cohort keeps of the past for its adversaries: only as much as these look back.

    Rounds may be played again, as baselines do: what is known of later ones is forgotten then.

    Args:
        rounds: how many rounds back adversaries look.
    """

    def __init__(self, rounds: int) -> None:
        self._rounds = rounds
        self._initial: Weights | None = None
        self._since: list[tuple[int, Weights]] = []  # the first round of each, and of no two in a row the same

    def add(self, round: int, base: Weights) -> None:
        """Note the base of a round; rounds come in their order, or begin again."""
        while self._since and self._since[-1][0] >= round:
            self._since.pop()
        if not self._since or self._since[-1][1] is not base:
            self._since.append((round, base))
        if round == 1 or self._initial is None:
            self._initial = base
        while len(self._since) > 2 and self._since[1][0] <= round - self._rounds:
            self._since.pop(0)

    @property
    def initial(self) -> Weights:
        """The first base."""
        if self._initial is None:
            raise LookupError("no round has begun")
        return self._initial

    @property
    def before(self) -> Weights | None:
        """The base that was in force until the one of the last round was adopted."""
        return self._since[-2][1] if len(self._since) > 1 else None

    def past(self, round: int, rounds: int) -> tuple[Weights, ...]:
        """The bases one round before this one, two rounds before and so on."""
        earlier = range(round - 1, max(round - 1 - rounds, 0), -1)
        found = ([base for since, base in self._since if since <= r][-1:] for r in earlier)
        return tuple(base for known in found for base in known)
