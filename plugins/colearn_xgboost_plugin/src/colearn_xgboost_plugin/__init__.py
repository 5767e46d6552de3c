"""XGBoost learners for colearn."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .learner import XGBoostLearner as XGBoostLearner

__all__ = ["XGBoostLearner"]


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from . import learner  # xgboost is imported with it

    return getattr(learner, name)
