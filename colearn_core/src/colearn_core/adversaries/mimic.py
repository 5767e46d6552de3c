"""Mimic: many voices with one opinion."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, ClassVar

import numpy as np
from annotated_types import Ge

from ..errors import Abstention
from ..learner import Proposal
from .adversary import Adversary, Scene
from .updates import Update, update_of


@dataclass(frozen=True)
class Mimic(Adversary):
    """Proposes what one honest learner proposes, so that this one counts for many: with unequal data robust means take
    the others for outliers (Karimireddy et al. 2022, section 4 and appendix B, arXiv 2006.09365).

    Whom to copy is, as in the paper, who lies farthest along the direction in which honest updates differ most.
    The paper learns that direction in the first rounds and keeps it; here each round has its own, since other learners
    may be asked. Give ``target`` to copy the same one whenever it proposes. Models that grow have no such direction:
    of them it copies the first.
    """

    needs_company: ClassVar[bool] = True
    target: Annotated[int | None, Ge(0), "Number of the learner to copy; by default the most telling one"] = None

    def propose(self, scene: Scene, rng: np.random.Generator) -> Proposal:
        if not scene.others:
            return scene.own
        if self.target is not None and self.target in scene.others:
            return scene.others[self.target]
        honest = list(scene.others.values())
        try:
            return honest[_farthest([update_of(p, scene.base) for p in honest])]
        except Abstention:
            return honest[0]


def _farthest(updates: list[Update]) -> int:
    """The number of the update that is farthest along the first principal direction of them all."""
    rows = np.stack([np.concatenate([change.ravel() for change in update.values()]) for update in updates])
    rows -= rows.mean(axis=0)
    # Where each lies along that direction is, up to a factor, in the last eigenvector of their inner products.
    _, vectors = np.linalg.eigh(rows @ rows.T)
    return int(np.argmax(np.abs(vectors[:, -1])))
