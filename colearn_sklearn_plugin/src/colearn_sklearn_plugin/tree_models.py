"""The learner components that grow trees: settings that suit small private data."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import partial
from typing import Annotated, Any, Literal

from annotated_types import Ge, Gt, Le
from sklearn.ensemble import ExtraTreesClassifier, ExtraTreesRegressor, RandomForestClassifier, RandomForestRegressor
from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor

from colearn_core.data import PrivateData
from colearn_core.errors import ParameterError
from colearn_core.growing import Grower
from colearn_core.parameters import sharing

from .boosting import GradientBoosting
from .forests import Bagging, depth, settings
from .histograms import HistGradientBoosting
from .tree_learner import ForestGrowth

Trees = Annotated[int, Ge(1), "Trees for a proposal"]
Iterations = Annotated[
    int, Ge(1), "Boosting iterations for a proposal; each adds a tree, or one for each of three or more classes"
]
Subsample = Annotated[float, Gt(0), Le(1), "Share of the samples that each iteration sees"]
Rate = Annotated[float, Gt(0), "By which each tree's values are multiplied"]
Depth = Annotated[Annotated[int, Ge(1)] | None, "Most splits from root to leaf"]
LeafSamples = Annotated[int, Ge(1), "Fewest samples of a leaf"]
Features = Annotated[
    Literal["sqrt", "log2"] | Annotated[float, Gt(0), Le(1)] | None, "Features tried at a split: a share, or all"
]
Gini = Annotated[Literal["gini", "entropy", "log_loss"], "What a split lowers"]
Errors = Annotated[Literal["squared_error", "absolute_error", "poisson"], "What a split lowers"]
Smoothing = Annotated[float, Ge(0), "Samples, of all classes alike, that each leaf counts besides its own"]
ClassWeight = Annotated[Literal["balanced"] | None, "balanced: each class weighs the same in a learner's training"]
Bins = Annotated[int, Ge(2), Le(255), "Values of a feature that are told apart; also the most categories"]

Make = Callable[..., Any]
grows = sharing(ForestGrowth, "learner")


@dataclass(frozen=True)
class Tree:
    """The parameters of all averaged trees."""

    max_depth: Depth = None
    min_samples_leaf: LeafSamples = 1
    max_features: Features = None

    def grower(self, data: PrivateData, made: tuple[Make, float]) -> Grower:
        """A grower of what is made with these parameters, and of so much smoothing."""
        make, smoothing = made
        return Bagging.of(make(**asdict(self)), data.train.x.shape[1], len(data.task.classes), smoothing)


@dataclass(frozen=True)
class ForClasses:
    """The parameters of averaged trees that classify."""

    criterion: Gini = "gini"
    class_weight: ClassWeight = None
    smoothing: Smoothing = 1.0

    def tree(self, data: PrivateData, make: Make) -> tuple[Make, float]:
        return partial(make, criterion=self.criterion, class_weight=self.class_weight), self.smoothing


@dataclass(frozen=True)
class ForValues:
    """The parameters of averaged trees that predict values."""

    criterion: Errors = "squared_error"

    def tree(self, data: PrivateData, make: Make) -> tuple[Make, float]:
        return partial(make, criterion=self.criterion), 0.0


@grows
@sharing(Tree, "grower", max_features="sqrt")
@sharing(ForClasses, "tree")
def random_forest_classifier(data: PrivateData, trees: Trees = 10) -> Make:
    """A random forest (Breiman 2001) that classifies; codes of categories count as quantities."""
    return partial(RandomForestClassifier, n_estimators=trees)


@grows
@sharing(Tree, "grower", max_features=1.0)
@sharing(ForValues, "tree")
def random_forest_regressor(data: PrivateData, trees: Trees = 10) -> Make:
    """A random forest (Breiman 2001) that predicts values; codes of categories count as quantities."""
    return partial(RandomForestRegressor, n_estimators=trees)


@grows
@sharing(Tree, "grower", max_features="sqrt")
@sharing(ForClasses, "tree")
def extra_trees_classifier(data: PrivateData, trees: Trees = 10) -> Make:
    """Extremely randomised trees (Geurts et al. 2006) that classify; codes of categories count as quantities."""
    return partial(ExtraTreesClassifier, n_estimators=trees)


@grows
@sharing(Tree, "grower", max_features=1.0)
@sharing(ForValues, "tree")
def extra_trees_regressor(data: PrivateData, trees: Trees = 10) -> Make:
    """Extremely randomised trees (Geurts et al. 2006) that predict values; codes of categories count as quantities."""
    return partial(ExtraTreesRegressor, n_estimators=trees)


@grows
@sharing(Tree, "grower")
@sharing(ForClasses, "tree")
def decision_tree_classifier(data: PrivateData) -> Make:
    """One decision tree a proposal, averaged with the accepted ones, that classifies."""
    make: Make = DecisionTreeClassifier
    return make


@grows
@sharing(Tree, "grower")
@sharing(ForValues, "tree")
def decision_tree_regressor(data: PrivateData) -> Make:
    """One decision tree a proposal, averaged with the accepted ones, that predicts values."""
    make: Make = DecisionTreeRegressor
    return make


@dataclass(frozen=True)
class Boosted:
    """The parameters of gradient boosting, for classes and for values."""

    iterations: Iterations = 10
    learning_rate: Rate = 0.1
    max_depth: Depth = 3
    min_samples_leaf: LeafSamples = 1
    max_features: Features = None
    subsample: Subsample = 0.8

    def grower(self, data: PrivateData, class_weight: ClassWeight) -> Grower:
        tree = {
            "max_depth": depth(self.max_depth),
            "min_samples_leaf": self.min_samples_leaf,
            "max_features": self.max_features,
        }
        return GradientBoosting(
            data.train.x.shape[1],
            len(data.task.classes),
            self.iterations,
            self.learning_rate,
            class_weight,
            self.subsample,
            settings(tree),
        )


@dataclass(frozen=True)
class BoostedOnHistograms:
    """The parameters of gradient boosting on histograms, for classes and for values."""

    iterations: Iterations = 10
    learning_rate: Rate = 0.1
    max_leaf_nodes: Annotated[Annotated[int, Ge(2)] | None, "Most leaves of a tree"] = 31
    max_depth: Depth = None
    min_samples_leaf: LeafSamples = 5
    l2_regularization: Annotated[float, Ge(0), "Added to the curvature of each leaf"] = 0.0
    max_features: Annotated[float, Gt(0), Le(1), "Share of the features tried at a split"] = 0.8
    max_bins: Bins = 255

    def grower(self, data: PrivateData, class_weight: ClassWeight) -> Grower:
        tree = {
            "max_leaf_nodes": self.max_leaf_nodes,
            "max_depth": depth(self.max_depth),
            "min_samples_leaf": self.min_samples_leaf,
            "max_features": self.max_features,
        }
        return HistGradientBoosting(
            data.train.x.shape[1],
            len(data.task.classes),
            self.iterations,
            self.learning_rate,
            class_weight,
            self.l2_regularization,
            self.max_bins,
            data.task.categorical,
            settings(tree),
        )


@grows
@sharing(Boosted, "grower")
def gradient_boosting_classifier(data: PrivateData, class_weight: ClassWeight = None) -> ClassWeight:
    """Gradient boosting (Friedman 2001) that classifies; codes of categories count as quantities."""
    _check_task(data, "GradientBoostingClassifier")
    return class_weight


@grows
@sharing(Boosted, "grower")
def gradient_boosting_regressor(data: PrivateData) -> ClassWeight:
    """Gradient boosting (Friedman 2001) that predicts values; codes of categories count as quantities."""
    _check_task(data, "GradientBoostingRegressor")
    return None


@grows
@sharing(BoostedOnHistograms, "grower")
def hist_gradient_boosting_classifier(data: PrivateData, class_weight: ClassWeight = None) -> ClassWeight:
    """Gradient boosting on histograms that classifies; takes missing values and codes of categories."""
    _check_task(data, "HistGradientBoostingClassifier")
    return class_weight


@grows
@sharing(BoostedOnHistograms, "grower")
def hist_gradient_boosting_regressor(data: PrivateData) -> ClassWeight:
    """Gradient boosting on histograms that predicts values; takes missing values and codes of categories."""
    _check_task(data, "HistGradientBoostingRegressor")
    return None


def _check_task(data: PrivateData, title: str) -> None:
    if title.endswith("Classifier") != bool(data.task.classes):
        raise ParameterError(f"{title} can't learn a {data.task.kind} task")
