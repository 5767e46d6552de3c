"""The learner components that grow trees: settings that suit small private data."""

from __future__ import annotations

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

grows = sharing(ForestGrowth, "learner")


@grows
def random_forest_classifier(
    data: PrivateData,
    trees: Trees = 10,
    max_depth: Depth = None,
    min_samples_leaf: LeafSamples = 1,
    max_features: Features = "sqrt",
    criterion: Gini = "gini",
    class_weight: ClassWeight = None,
    smoothing: Smoothing = 1.0,
) -> Grower:
    """A random forest (Breiman 2001) that classifies; codes of categories count as quantities."""
    estimator = RandomForestClassifier(
        n_estimators=trees,
        max_depth=max_depth,
        min_samples_leaf=min_samples_leaf,
        max_features=max_features,
        criterion=criterion,
        class_weight=class_weight,
    )
    return _bagging(estimator, data, smoothing)


@grows
def random_forest_regressor(
    data: PrivateData,
    trees: Trees = 10,
    max_depth: Depth = None,
    min_samples_leaf: LeafSamples = 1,
    max_features: Features = 1.0,
    criterion: Errors = "squared_error",
) -> Grower:
    """A random forest (Breiman 2001) that predicts values; codes of categories count as quantities."""
    estimator = RandomForestRegressor(
        n_estimators=trees,
        max_depth=max_depth,
        min_samples_leaf=min_samples_leaf,
        max_features=max_features,
        criterion=criterion,
    )
    return _bagging(estimator, data)


@grows
def extra_trees_classifier(
    data: PrivateData,
    trees: Trees = 10,
    max_depth: Depth = None,
    min_samples_leaf: LeafSamples = 1,
    max_features: Features = "sqrt",
    criterion: Gini = "gini",
    class_weight: ClassWeight = None,
    smoothing: Smoothing = 1.0,
) -> Grower:
    """Extremely randomised trees (Geurts et al. 2006) that classify; codes of categories count as quantities."""
    estimator = ExtraTreesClassifier(
        n_estimators=trees,
        max_depth=max_depth,
        min_samples_leaf=min_samples_leaf,
        max_features=max_features,
        criterion=criterion,
        class_weight=class_weight,
    )
    return _bagging(estimator, data, smoothing)


@grows
def extra_trees_regressor(
    data: PrivateData,
    trees: Trees = 10,
    max_depth: Depth = None,
    min_samples_leaf: LeafSamples = 1,
    max_features: Features = 1.0,
    criterion: Errors = "squared_error",
) -> Grower:
    """Extremely randomised trees (Geurts et al. 2006) that predict values; codes of categories count as quantities."""
    estimator = ExtraTreesRegressor(
        n_estimators=trees,
        max_depth=max_depth,
        min_samples_leaf=min_samples_leaf,
        max_features=max_features,
        criterion=criterion,
    )
    return _bagging(estimator, data)


@grows
def decision_tree_classifier(
    data: PrivateData,
    max_depth: Depth = None,
    min_samples_leaf: LeafSamples = 1,
    max_features: Features = None,
    criterion: Gini = "gini",
    class_weight: ClassWeight = None,
    smoothing: Smoothing = 1.0,
) -> Grower:
    """One decision tree a proposal, averaged with the accepted ones, that classifies."""
    estimator = DecisionTreeClassifier(
        max_depth=max_depth,
        min_samples_leaf=min_samples_leaf,
        max_features=max_features,
        criterion=criterion,
        class_weight=class_weight,
    )
    return _bagging(estimator, data, smoothing)


@grows
def decision_tree_regressor(
    data: PrivateData,
    max_depth: Depth = None,
    min_samples_leaf: LeafSamples = 1,
    max_features: Features = None,
    criterion: Errors = "squared_error",
) -> Grower:
    """One decision tree a proposal, averaged with the accepted ones, that predicts values."""
    estimator = DecisionTreeRegressor(
        max_depth=max_depth, min_samples_leaf=min_samples_leaf, max_features=max_features, criterion=criterion
    )
    return _bagging(estimator, data)


@grows
def gradient_boosting_classifier(
    data: PrivateData,
    iterations: Iterations = 10,
    learning_rate: Rate = 0.1,
    max_depth: Depth = 3,
    min_samples_leaf: LeafSamples = 1,
    max_features: Features = None,
    subsample: Subsample = 0.8,
    class_weight: ClassWeight = None,
) -> Grower:
    """Gradient boosting (Friedman 2001) that classifies; codes of categories count as quantities."""
    _check_task(data, "GradientBoostingClassifier")
    tree = {"max_depth": depth(max_depth), "min_samples_leaf": min_samples_leaf, "max_features": max_features}
    return GradientBoosting(
        data.train.x.shape[1],
        len(data.task.classes),
        iterations,
        learning_rate,
        class_weight,
        subsample,
        settings(tree),
    )


@grows
def hist_gradient_boosting_classifier(
    data: PrivateData,
    iterations: Iterations = 10,
    learning_rate: Rate = 0.1,
    max_leaf_nodes: Annotated[Annotated[int, Ge(2)] | None, "Most leaves of a tree"] = 31,
    max_depth: Depth = None,
    min_samples_leaf: LeafSamples = 5,
    l2_regularization: Annotated[float, Ge(0), "Added to the curvature of each leaf"] = 0.0,
    max_features: Annotated[float, Gt(0), Le(1), "Share of the features tried at a split"] = 0.8,
    max_bins: Bins = 255,
    class_weight: ClassWeight = None,
) -> Grower:
    """Gradient boosting on histograms that classifies; takes missing values and codes of categories."""
    _check_task(data, "HistGradientBoostingClassifier")
    tree = {
        "max_leaf_nodes": max_leaf_nodes,
        "max_depth": depth(max_depth),
        "min_samples_leaf": min_samples_leaf,
        "max_features": max_features,
    }
    return HistGradientBoosting(
        data.train.x.shape[1],
        len(data.task.classes),
        iterations,
        learning_rate,
        class_weight,
        l2_regularization,
        max_bins,
        data.task.categorical,
        settings(tree),
    )


@grows
def gradient_boosting_regressor(
    data: PrivateData,
    iterations: Iterations = 10,
    learning_rate: Rate = 0.1,
    max_depth: Depth = 3,
    min_samples_leaf: LeafSamples = 1,
    max_features: Features = None,
    subsample: Subsample = 0.8,
) -> Grower:
    """Gradient boosting (Friedman 2001) that predicts values; codes of categories count as quantities."""
    _check_task(data, "GradientBoostingRegressor")
    tree = {"max_depth": depth(max_depth), "min_samples_leaf": min_samples_leaf, "max_features": max_features}
    return GradientBoosting(
        data.train.x.shape[1],
        len(data.task.classes),
        iterations,
        learning_rate,
        None,
        subsample,
        settings(tree),
    )


@grows
def hist_gradient_boosting_regressor(
    data: PrivateData,
    iterations: Iterations = 10,
    learning_rate: Rate = 0.1,
    max_leaf_nodes: Annotated[Annotated[int, Ge(2)] | None, "Most leaves of a tree"] = 31,
    max_depth: Depth = None,
    min_samples_leaf: LeafSamples = 5,
    l2_regularization: Annotated[float, Ge(0), "Added to the curvature of each leaf"] = 0.0,
    max_features: Annotated[float, Gt(0), Le(1), "Share of the features tried at a split"] = 0.8,
    max_bins: Bins = 255,
) -> Grower:
    """Gradient boosting on histograms that predicts values; takes missing values and codes of categories."""
    _check_task(data, "HistGradientBoostingRegressor")
    tree = {
        "max_leaf_nodes": max_leaf_nodes,
        "max_depth": depth(max_depth),
        "min_samples_leaf": min_samples_leaf,
        "max_features": max_features,
    }
    return HistGradientBoosting(
        data.train.x.shape[1],
        len(data.task.classes),
        iterations,
        learning_rate,
        None,
        l2_regularization,
        max_bins,
        data.task.categorical,
        settings(tree),
    )


def _bagging(estimator: Any, data: PrivateData, smoothing: float = 0.0) -> Grower:
    return Bagging.of(estimator, data.train.x.shape[1], len(data.task.classes), smoothing)


def _check_task(data: PrivateData, title: str) -> None:
    if title.endswith("Classifier") != bool(data.task.classes):
        raise ParameterError(f"{title} can't learn a {data.task.kind} task")
