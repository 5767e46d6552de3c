"""XGBoost's parameters, with defaults that suit small private data, and what grows trees by them."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Annotated, Any, Literal

import numpy as np
from annotated_types import Ge, Gt, Le
from numpy.typing import NDArray

from colearn_core.data import PrivateData
from colearn_core.errors import DataError, ParameterError
from colearn_core.parameters import sharing
from colearn_core.trees import DEEPEST

from .grower import XGBoostGrower

Rounds = Annotated[
    int, Ge(1), "Rounds of boosting for a proposal; each adds a tree, or one for each of 3 or more classes"
]
Rate = Annotated[float, Gt(0), "By which each tree's values are multiplied (eta)"]
Depth = Annotated[int, Ge(1), Le(DEEPEST), "Most splits from root to leaf"]
ChildWeight = Annotated[float, Ge(0), "Least sum of second derivatives in a leaf"]
L2 = Annotated[float, Ge(0), "L2 penalty on leaf values (lambda)"]
L1 = Annotated[float, Ge(0), "L1 penalty on leaf values (alpha)"]
Gamma = Annotated[float, Ge(0), "Least gain of a split"]
Subsample = Annotated[float, Gt(0), Le(1), "Share of the samples that each tree sees"]
Columns = Annotated[float, Gt(0), Le(1), "Share of the features that each tree sees"]
Bins = Annotated[int, Ge(2), "Values of a feature that are told apart (tree_method hist)"]
Method = Annotated[Literal["hist", "approx", "exact"], "How splits are searched for"]
OneHot = Annotated[int, Ge(1), "Up to so many categories, a split parts one from the others; beyond, sets of them"]
Threads = Annotated[int, Ge(1), "For training; on another number, trees may differ in the last digits"]

MOST_CODES = 65_536
"""How many categories a feature may have: each split by a set carries a bit for each code up to its highest."""


@dataclass(frozen=True)
class Boosting:
    """The parameters of both components, named as XGBoost names them."""

    rounds: Rounds = 5
    learning_rate: Rate = 0.2
    max_depth: Depth = 6
    min_child_weight: ChildWeight = 1.0
    reg_lambda: L2 = 1.0
    reg_alpha: L1 = 0.0
    gamma: Gamma = 0.0
    subsample: Subsample = 0.8
    colsample_bytree: Columns = 1.0
    max_bin: Bins = 256
    tree_method: Method = "hist"
    max_cat_to_onehot: OneHot = 4
    threads: Threads = 1

    def grower(self, data: PrivateData, more: dict[str, Any]) -> XGBoostGrower:
        """A grower by these parameters and more."""
        x, task = data.train.x, data.task
        if x.ndim != 2:
            raise ParameterError(
                f"trees can't learn a task with samples of shape {list(x.shape[1:])}: they take tables"
            )
        if task.categorical and self.tree_method == "exact":
            raise ParameterError("tree_method = 'exact' takes no categories", hint="Take hist or approx.")
        for feature in task.categorical:
            _check_codes(feature, x)
        parameters = asdict(self) | more
        rounds, threads = parameters.pop("rounds"), parameters.pop("threads")
        return XGBoostGrower(
            x.shape[1],
            len(task.classes),
            rounds,
            tuple(task.categorical),
            tuple(sorted(parameters.items())),
            threads,
        )


@sharing(Boosting, "grower")
def classifier(
    data: PrivateData,
    scale_pos_weight: Annotated[float, Gt(0), "Weight of the second of two classes"] = 1.0,
) -> dict[str, Any]:
    """Gradient-boosted trees (Chen and Guestrin 2016) that classify."""
    if not data.task.classes:
        raise ParameterError("xgboost.classifier can't learn a regression task", hint="Take xgboost.regressor.")
    if scale_pos_weight != 1 and len(data.task.classes) != 2:
        raise ParameterError(f"scale_pos_weight is for two classes, not {len(data.task.classes)}")
    return {"scale_pos_weight": scale_pos_weight} if scale_pos_weight != 1 else {}


@sharing(Boosting, "grower")
def regressor(data: PrivateData) -> dict[str, Any]:
    """Gradient-boosted trees (Chen and Guestrin 2016) that predict values, by the squared error."""
    if data.task.classes:
        raise ParameterError("xgboost.regressor can't learn a classification task", hint="Take xgboost.classifier.")
    return {}


def _check_codes(feature: int, x: NDArray[Any]) -> None:
    if not 0 <= feature < x.shape[1]:
        raise DataError(f"feature {feature} is said to hold categories; there are {x.shape[1]} features, from 0")
    codes = x[:, feature].astype(np.float64)
    wrong = codes[~np.isnan(codes) & ((codes < 0) | (codes >= MOST_CODES) | (codes % 1 != 0))]
    if len(wrong):
        raise DataError(
            f"feature {feature} holds {wrong[0]:g} as a category; codes are whole numbers from 0, "
            f"below {MOST_CODES:,} (NaN where missing)"
        )
