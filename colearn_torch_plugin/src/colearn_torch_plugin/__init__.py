"""PyTorch learners for colearn."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .learner import TorchCohort as TorchCohort
    from .learner import TorchLearner as TorchLearner

__all__ = ["TorchCohort", "TorchLearner"]


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from . import learner  # torch is imported with it

    return getattr(learner, name)
