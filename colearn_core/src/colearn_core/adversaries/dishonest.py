"""The dishonest cohort: some of the learners play an adversary, the others are as they were."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ..cohort import Cohort, Proposals, reason
from ..errors import ConfigError
from ..learner import Learner, Proposal
from ..privacy import Spent
from ..scores import Part, Scores
from ..streams import Streams
from ..voting import ABSTAIN, Ballots
from ..weights import Weights
from .adversary import Adversary, Ballot, Scene
from .bases import Bases

if TYPE_CHECKING:
    from ..proposing import Candidate

log = logging.getLogger(__name__)

LOUD = 1e6
"""A liar's margin; one that isn't finite would be an abstention."""


class DishonestCohort(Cohort):
    """A cohort of honest learners, in which what adversaries publish is put in place of what they say.

    So honest learners train and score as without adversaries, in one pass where the cohort does. As of any learner,
    no exception of an adversary passes through, and what it proposes is checked.

    Args:
        honest: the cohort of all learners, as if they were all honest.
        learners: those in it.
        adversaries: who plays what, by number.

    Raises:
        ConfigError: there's no learner of such a number.
    """

    def __init__(self, honest: Cohort, learners: Sequence[Learner], adversaries: Mapping[int, Adversary]) -> None:
        for i, adversary in adversaries.items():
            if not 0 <= i < len(honest):
                raise ConfigError(f"learner {i} is to play {adversary.kind}, but they are 0 to {len(honest) - 1}")
        self.honest = honest
        self.learners = tuple(learners)
        self.adversaries = dict(sorted(adversaries.items()))
        self.accomplices = frozenset(i for i, adversary in adversaries.items() if adversary.malicious)
        self.names, self.vote_metric, self.test_metric = honest.names, honest.vote_metric, honest.test_metric
        self._bases = Bases(max((adversary.looks_back for adversary in adversaries.values()), default=0))

    def propose(self, learners: Sequence[int], base: Weights, round: int, streams: Streams) -> Proposals:
        self._bases.add(round, base)
        asked = sorted(learners)
        adversaries = {i: self.adversaries[i] for i in asked if i in self.adversaries}
        if not adversaries:
            return self.honest.propose(asked, base, round, streams)
        scenes = {i: self._scene(i, base, round, adversary) for i, adversary in adversaries.items()}
        trained = self._trained(asked, scenes, streams)
        others = {i: p for i, p in trained.proposals.items() if i not in adversaries}
        own = {i: p for i, p in trained.proposals.items() if i in adversaries}
        answers, refusals = dict(others), {i: why for i, why in trained.refusals.items() if i not in adversaries}
        for i, adversary in adversaries.items():
            scene = replace(scenes[i], others=dict(others), trained=dict(own))
            try:
                answers[i] = self._checked(i, adversary.propose(scene, streams.generator("attack", round, i)), base)
            except Exception as error:  # as any learner's: it costs it its proposal
                refusals[i] = trained.refusals.get(i, reason(error))
                log.debug("%s, playing %s, proposes nothing", self.names[i], adversary.kind, exc_info=True)
        return Proposals(dict(sorted(answers.items())), dict(sorted(refusals.items())))

    def cast(self, ballots: Ballots, candidates: Sequence[Candidate], round: int, streams: Streams) -> Ballots:
        """Adversaries' votes become what they say. Where the policy goes by margins, a liar's are ``LOUD``, for or
        against: more than any policy counts.
        """
        ballots = self.honest.cast(ballots, candidates, round, streams)
        votes = ballots.votes.copy()
        margins = None if ballots.margins is None else ballots.margins.copy()
        for i, adversary in self.adversaries.items():
            honest = ballots.votes[i].copy()
            rng = streams.generator("lie", round, i)
            try:
                told = _checked_ballot(adversary.cast(honest, candidates, self.accomplices, rng), honest)
            except Exception:  # as of any learner: it abstains
                told = np.full(len(candidates), ABSTAIN, dtype=np.int8)
                log.debug("%s, playing %s, doesn't vote", self.names[i], adversary.kind, exc_info=True)
            if told is honest:
                continue
            votes[i] = told
            if margins is not None and ballots.margins is not None:
                margins[i] = np.where(told == ABSTAIN, np.nan, told * LOUD)
        return Ballots(votes, margins)

    def initial_weights(self, rng: np.random.Generator) -> Weights:
        return self.honest.initial_weights(rng)

    def test(self, candidates: Sequence[Weights], part: Part) -> Scores:
        return self.honest.test(candidates, part)

    def test_samples(self, candidates: Sequence[Weights]) -> Scores:
        return self.honest.test_samples(candidates)

    def combine(self, base: Weights, proposals: Sequence[Proposal]) -> Weights:
        return self.honest.combine(base, proposals)

    def feature_importance(self, weights: Weights) -> dict[str, float]:
        return self.honest.feature_importance(weights)

    def spent(self) -> dict[int, Spent]:
        return self.honest.spent()

    def keep_budgets(self, folder: Path) -> None:
        self.honest.keep_budgets(folder)

    def _scene(self, learner: int, base: Weights, round: int, adversary: Adversary) -> Scene:
        return Scene(
            round=round,
            learner=learner,
            learners=len(self),
            base=base,
            initial=self._bases.initial,
            before=self._bases.before,
            past=self._bases.past(round, adversary.looks_back),
            accomplices=self.accomplices,
        )

    def _trained(self, asked: Sequence[int], scenes: Mapping[int, Scene], streams: Streams) -> Proposals:
        """Honest training of all, from the base or, for some adversaries, from where these want to, or not at all."""
        first = next(iter(scenes.values()))
        round, base = first.round, first.base
        together: list[int] = []
        apart: dict[int, Weights] = {}
        refusals: dict[int, str] = {}
        for i in asked:
            start: Weights | None = base
            if i in scenes:
                try:
                    start = self.adversaries[i].trains_from(scenes[i])
                except Exception as error:
                    refusals[i] = reason(error)
                    continue
            if start is base:
                together.append(i)
            elif start is not None:
                apart[i] = start
        found = self.honest.propose(together, base, round, streams) if together else Proposals({}, {})
        proposals, refusals = dict(found.proposals), {**found.refusals, **refusals}
        for i, start in apart.items():
            alone = self.honest.propose([i], start, round, streams)
            proposals |= alone.proposals
            refusals |= alone.refusals
        return Proposals(proposals, refusals)

    def _checked(self, learner: int, proposal: Proposal, base: Weights) -> Proposal:
        if not proposal.samples > 0:
            raise ValueError(f"a proposal trained on {proposal.samples} samples")
        self.learners[learner].check_weights(proposal.weights, base)
        proposal.weights.check_finite()
        return proposal


def _checked_ballot(told: Ballot, honest: Ballot) -> Ballot:
    """The votes, if they are some."""
    if told is not honest:
        values = told.dtype.kind == "i" and told.min(initial=0) >= -1 and told.max(initial=0) <= 1
        if told.shape != honest.shape or not values:
            raise ValueError(f"{told!r} are no votes on {len(honest)} candidates")
    return told
