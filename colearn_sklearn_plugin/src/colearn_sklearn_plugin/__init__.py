"""scikit-learn for colearn: learners for any incremental estimator, for forests and boosted trees, and data sets.

Names are imported when they're first used: the plugin module of this package must stay light.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .learner import SklearnLearner as SklearnLearner
    from .tree_learner import ForestLearner as ForestLearner

__all__ = ["ForestLearner", "SklearnLearner"]


def __getattr__(name: str) -> Any:
    if name == "SklearnLearner":
        from .learner import SklearnLearner

        return SklearnLearner
    if name == "ForestLearner":
        from .tree_learner import ForestLearner

        return ForestLearner
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
