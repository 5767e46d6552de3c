"""What this plugin offers; importing it imports neither scikit-learn nor pandas."""

from __future__ import annotations

from colearn_core import Component, hookimpl

MODELS = "colearn_sklearn_plugin.models"
TREES = "colearn_sklearn_plugin.tree_models"
DATASETS = "colearn_sklearn_plugin.datasets"


@hookimpl
def colearn_learners() -> list[Component]:
    return [
        Component(
            "sklearn.decision_tree_classifier",
            f"{TREES}:decision_tree_classifier",
            "One decision tree a proposal, averaged, for classes",
        ),
        Component(
            "sklearn.decision_tree_regressor",
            f"{TREES}:decision_tree_regressor",
            "One decision tree a proposal, averaged, for values",
        ),
        Component(
            "sklearn.extra_trees_classifier",
            f"{TREES}:extra_trees_classifier",
            "Extremely randomised trees, averaged, for classes",
        ),
        Component(
            "sklearn.extra_trees_regressor",
            f"{TREES}:extra_trees_regressor",
            "Extremely randomised trees, averaged, for values",
        ),
        Component("sklearn.gaussian_nb", f"{MODELS}:gaussian_nb", "Gaussian naive Bayes, for classes"),
        Component(
            "sklearn.gradient_boosting_classifier",
            f"{TREES}:gradient_boosting_classifier",
            "Boosted small trees, for classes",
        ),
        Component(
            "sklearn.gradient_boosting_regressor",
            f"{TREES}:gradient_boosting_regressor",
            "Boosted small trees, for values",
        ),
        Component(
            "sklearn.hist_gradient_boosting_classifier",
            f"{TREES}:hist_gradient_boosting_classifier",
            "Boosted trees on histograms, for classes",
        ),
        Component(
            "sklearn.hist_gradient_boosting_regressor",
            f"{TREES}:hist_gradient_boosting_regressor",
            "Boosted trees on histograms, for values",
        ),
        Component("sklearn.mlp_classifier", f"{MODELS}:mlp_classifier", "Neural network, for classes"),
        Component("sklearn.mlp_regressor", f"{MODELS}:mlp_regressor", "Neural network, for values"),
        Component("sklearn.multinomial_nb", f"{MODELS}:multinomial_nb", "Naive Bayes of counts, for classes"),
        Component("sklearn.passive_aggressive", f"{MODELS}:passive_aggressive", "Linear, large margin, for classes"),
        Component("sklearn.perceptron", f"{MODELS}:perceptron", "Linear, learns from mistakes, for classes"),
        Component(
            "sklearn.random_forest_classifier",
            f"{TREES}:random_forest_classifier",
            "A forest of random trees, averaged, for classes",
        ),
        Component(
            "sklearn.random_forest_regressor",
            f"{TREES}:random_forest_regressor",
            "A forest of random trees, averaged, for values",
        ),
        Component("sklearn.sgd_classifier", f"{MODELS}:sgd_classifier", "Linear, stochastic gradient, for classes"),
        Component("sklearn.sgd_regressor", f"{MODELS}:sgd_regressor", "Linear, stochastic gradient, for values"),
    ]


@hookimpl
def colearn_datasets() -> list[Component]:
    return [
        Component("breast_cancer", f"{DATASETS}:breast_cancer", "569 tumours, 30 features, 2 classes"),
        Component("diabetes", f"{DATASETS}:diabetes", "442 patients, 10 features, progression of the disease"),
        Component("digits", f"{DATASETS}:digits", "1,797 handwritten digits of 8 × 8 pixels, 10 classes"),
        Component("iris", f"{DATASETS}:iris", "150 flowers, 4 features, 3 classes"),
        Component("openml", f"{DATASETS}:openml", "A data set of openml.org, by name or number"),
        Component("table", "colearn_sklearn_plugin.tables:table", "Your CSV or Parquet file with a target column"),
        Component("wine", f"{DATASETS}:wine", "178 wines, 13 features, 3 classes"),
    ]
