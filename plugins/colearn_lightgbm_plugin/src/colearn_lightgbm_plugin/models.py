"""The learner components: LightGBM's parameters, with defaults that suit small private data."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Annotated

from annotated_types import Ge, Gt, Le

from colearn_core.data import PrivateData
from colearn_core.errors import ParameterError
from colearn_core.growing import Growth
from colearn_core.parameters import sharing
from colearn_core.trees import DEEPEST

from .grower import LightGBMGrower


@dataclass(frozen=True)
class Boosting:
    """The parameters of both components, named as LightGBM names them."""

    rounds: Annotated[
        int, Ge(1), "Rounds of boosting for a proposal; each adds a tree, or one for each of 3 or more classes"
    ] = 5
    learning_rate: Annotated[float, Gt(0), "By which each tree's values are multiplied"] = 0.2
    num_leaves: Annotated[int, Ge(2), Le(131072), "Most leaves of a tree"] = 31
    max_depth: Annotated[int, Ge(1), Le(DEEPEST), "Most splits from root to leaf"] = DEEPEST
    min_data_in_leaf: Annotated[
        int, Ge(1), "Fewest samples in a leaf, and of a category that is split by; at most a quarter of all"
    ] = 5
    lambda_l1: Annotated[float, Ge(0), "L1 penalty on leaf values"] = 0.0
    lambda_l2: Annotated[float, Ge(0), "L2 penalty on leaf values"] = 1.0
    cat_l2: Annotated[float, Ge(0), "L2 penalty on leaf values besides, for splits by sets of categories"] = 1.0
    min_gain_to_split: Annotated[float, Ge(0), "Least gain of a split"] = 0.0
    bagging_fraction: Annotated[float, Gt(0), Le(1), "Share of the samples that each round sees"] = 0.8
    feature_fraction: Annotated[float, Gt(0), Le(1), "Share of the features that each tree sees"] = 1.0
    max_bin: Annotated[int, Ge(2), "Values of a feature that are told apart"] = 255

    def grower(self, data: PrivateData, classes: int) -> LightGBMGrower:
        """A grower for so many classes; 0 for values."""
        if data.train.x.ndim != 2:
            raise ParameterError(f"trees take tables, not samples of the shape {list(data.train.x.shape[1:])}")
        settings = asdict(self)
        rounds = settings.pop("rounds")
        return LightGBMGrower(data.train.x.shape[1], classes, data.task.categorical, rounds, tuple(settings.items()))


@sharing(Growth, "learner")
@sharing(Boosting, "grower")
def classifier(data: PrivateData) -> int:
    """Gradient-boosted trees (Ke et al. 2017) that classify."""
    if not data.task.classes:
        raise ParameterError("lightgbm.classifier can't learn a regression task", hint="Take lightgbm.regressor.")
    return len(data.task.classes)


@sharing(Growth, "learner")
@sharing(Boosting, "grower")
def regressor(data: PrivateData) -> int:
    """Gradient-boosted trees (Ke et al. 2017) that predict values, by the squared error."""
    if data.task.classes:
        raise ParameterError("lightgbm.regressor can't learn a classification task", hint="Take lightgbm.classifier.")
    return 0
