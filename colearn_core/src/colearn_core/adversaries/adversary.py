"""The adversary: what a learner does instead of taking part honestly."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from ..data import PrivateData
from ..errors import Abstention, ParameterError
from ..learner import Proposal
from ..streams import Streams
from ..voting import APPROVE, REJECT
from ..weights import Weights

if TYPE_CHECKING:
    from ..proposing import Candidate

Ballot = NDArray[np.int8]
"""One learner's votes, a value of :class:`~colearn_core.voting.Vote` for each candidate."""

WAYS_TO_VOTE = ("honest", "yes", "no", "opposite", "loyal")


@dataclass(frozen=True)
class Scene:
    """All that an adversary knows when it proposes: as in the literature, everything.

    What it needs of the past is in here too, so that a round can be played again.

    Attributes:
        round: the number of the round, from 1.
        learner: its own number.
        learners: how many there are.
        base: the weights in force.
        initial: the weights of the beginning.
        before: the weights that were in force until ``base`` was adopted; None while it's the initial ones.
        past: the weights in force one round ago, two rounds ago and so on, as far as :attr:`Adversary.looks_back`
            says and the run goes back.
        others: what the honest learners that were asked in this round propose, by number.
        trained: what the dishonest ones that were asked would propose if they were honest, itself among them.
        accomplices: the numbers of all malicious learners, asked or not.
    """

    round: int
    learner: int
    learners: int
    base: Weights
    initial: Weights
    before: Weights | None = None
    past: Sequence[Weights] = ()
    others: Mapping[int, Proposal] = field(default_factory=dict)
    trained: Mapping[int, Proposal] = field(default_factory=dict)
    accomplices: frozenset[int] = frozenset()

    @property
    def own(self) -> Proposal:
        """What it would propose if it were honest.

        Raises:
            Abstention: its training failed or was declined.
        """
        if self.learner not in self.trained:
            raise Abstention("it trained nothing that it could falsify")
        return self.trained[self.learner]

    @property
    def known(self) -> list[Proposal]:
        """Honest proposals of this round to go by: those of the honest learners, or of the adversaries if there
        are no others.

        Raises:
            Abstention: nobody proposed anything.
        """
        found = list(self.others.values()) or list(self.trained.values())
        if not found:
            raise Abstention("nobody trained anything that it could go by")
        return found


@dataclass(frozen=True)
class Adversary:
    """A learner that cheats or fails. By default it does neither: a subclass overrides where it does.

    It's a value and holds no state: what it knows comes with each call, and randomness from ``rng`` alone.
    Any method may raise :class:`~colearn_core.errors.Abstention` to do nothing this time.
    """

    malicious: ClassVar[bool] = True
    """Whether it means harm; the malicious ones are each other's accomplices."""

    needs_company: ClassVar[bool] = False
    """Whether its proposals are honest unless others propose in the same round."""

    votes: Annotated[
        Literal["honest", "yes", "no", "opposite", "loyal"],
        "How it votes; loyal: for exactly the candidates that an accomplice has a part in",
    ] = field(default="honest", kw_only=True)

    def __post_init__(self) -> None:
        if self.votes not in WAYS_TO_VOTE:
            raise ParameterError(f"votes must be one of {', '.join(WAYS_TO_VOTE)}, not {self.votes!r}")

    @property
    def kind(self) -> str:
        """What it's called in tables and in the ledger, from its class: ``SignFlip`` is "sign_flip"."""
        return re.sub(r"(?<!^)(?=[A-Z])", "_", type(self).__name__).lower()

    @property
    def looks_back(self) -> int:
        """How many rounds back it wants to know the weights in force, for ``scene.past``."""
        return 0

    def poison(self, data: PrivateData, rng: np.random.Generator) -> PrivateData:
        """The data that it trains on, made before its learner is: by default unchanged, as ``data`` always stays."""
        return data

    def trains_from(self, scene: Scene) -> Weights | None:
        """The weights that it trains from: by default those in force. With None it doesn't train.

        The scene has no proposals in it yet.
        """
        return scene.base

    def propose(self, scene: Scene, rng: np.random.Generator) -> Proposal:
        """What it publishes when it's asked for a proposal: by default the honest one."""
        return scene.own

    def cast(
        self, honest: Ballot, candidates: Sequence[Candidate], accomplices: frozenset[int], rng: np.random.Generator
    ) -> Ballot:
        """The votes that it publishes, as :attr:`votes` says; ``honest`` itself if it doesn't lie.

        Args:
            honest: its votes by the rule and its own scores, shape ``(candidates,)``; not to be changed.
        """
        if self.votes == "honest":
            return honest
        if self.votes == "opposite":
            return -honest
        if self.votes == "loyal":
            ours = [APPROVE if accomplices.intersection(c.authors) else REJECT for c in candidates]
            return np.array(ours, dtype=np.int8)
        return np.full_like(honest, APPROVE if self.votes == "yes" else REJECT)


def poisoned(parts: Sequence[PrivateData], adversaries: Mapping[int, Adversary], streams: Streams) -> list[PrivateData]:
    """The learners' data, those of adversaries as they poison them. Each draws from its own stream.

    Raises:
        ParameterError: an adversary doesn't fit the data; names it.
    """
    found = list(parts)
    for i, adversary in adversaries.items():
        try:
            found[i] = adversary.poison(parts[i], streams.generator("poison", learner=i))
        except ParameterError as error:
            raise ParameterError(f"adversary {adversary.kind!r}: {error}") from None
    return found
