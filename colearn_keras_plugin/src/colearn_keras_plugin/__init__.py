"""Keras learners for colearn."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .learner import KerasCohort as KerasCohort
    from .learner import KerasLearner as KerasLearner

__all__ = ["KerasCohort", "KerasLearner"]


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from . import learner  # Keras and its backend are imported with it

    return getattr(learner, name)
