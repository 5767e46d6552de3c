"""scikit-learn for colearn: learners for any incremental estimator, and data sets.

Names are imported when they're first used: the plugin module of this package must stay light.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .learner import SklearnLearner as SklearnLearner

__all__ = ["SklearnLearner"]


def __getattr__(name: str) -> Any:
    if name == "SklearnLearner":
        from .learner import SklearnLearner

        return SklearnLearner
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
