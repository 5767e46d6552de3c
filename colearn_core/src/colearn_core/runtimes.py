"""Runtimes of the core: both work in this process."""

from __future__ import annotations

from collections.abc import Sequence

from .cohort import Cohort, LoopCohort
from .learner import Learner


def fused(learners: Sequence[Learner], names: Sequence[str] | None = None) -> Cohort:
    """The cohort that the learners' class offers; a plain loop when they're of several classes."""
    kinds = {type(learner) for learner in learners}
    return kinds.pop().cohort(learners, names) if len(kinds) == 1 else LoopCohort(learners, names)


def loop(learners: Sequence[Learner], names: Sequence[str] | None = None) -> Cohort:
    """One learner after the other, whatever their class offers."""
    return LoopCohort(learners, names)
