"""From trees that travelled to a fitted estimator of scikit-learn.

Its own trees are made of arrays that were checked: children are found by their numbers, so none can be out of reach.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.ensemble import ExtraTreesClassifier, ExtraTreesRegressor, RandomForestClassifier, RandomForestRegressor
from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor, ExtraTreeClassifier, ExtraTreeRegressor
from sklearn.tree._tree import Tree

from colearn_core.errors import UsageError
from colearn_core.trees import CATEGORICAL, MISSING_LEFT, Forest

from .forests import FORESTS, Bagging

Array = NDArray[Any]
FOREST_OF = {
    DecisionTreeClassifier: RandomForestClassifier,
    DecisionTreeRegressor: RandomForestRegressor,
    ExtraTreeClassifier: ExtraTreesClassifier,
    ExtraTreeRegressor: ExtraTreesRegressor,
}
TREE_OF = {forest: tree for tree, forest in FOREST_OF.items()}


def rebuilt(grower: Bagging, forest: Forest, labels: Array | None) -> Any:
    """A fitted estimator that predicts what these trees say.

    Args:
        labels: behind the class numbers; None for a regression.

    Raises:
        UsageError: there are no trees, or they split by sets of categories, which scikit-learn's can't.
    """
    if not len(forest):
        raise UsageError("a model without trees can't become a fitted estimator", hint="Let the group accept some.")
    if (forest.flags & CATEGORICAL).any():
        raise UsageError("these trees split by sets of categories, which trees of this kind in scikit-learn can't")
    own = dict(grower.parameters)
    if grower.estimator not in FORESTS and len(forest) == 1:
        return _with_tree(grower.estimator(**own), forest, grower, labels)
    kind: Any = FOREST_OF.get(grower.estimator, grower.estimator)
    shared = {name: own[name] for name in kind().get_params() if name in own}
    estimator = kind(**{**shared, "n_estimators": len(forest)})
    tree: Any = TREE_OF[kind]
    inner = {name: own[name] for name in tree().get_params() if name in own}
    numbers = None if labels is None else np.arange(len(labels), dtype=np.float64)
    estimator.estimator_ = tree(**inner)
    estimator.estimators_ = [
        _with_tree(tree(**inner), forest.take(slice(i, i + 1)), grower, numbers) for i in range(len(forest))
    ]
    return _fitted(estimator, grower, labels)


def _with_tree(estimator: Any, forest: Forest, grower: Bagging, labels: Array | None) -> Any:
    estimator.tree_ = _tree(forest, grower)
    estimator.max_features_ = grower.features
    return _fitted(estimator, grower, labels)


def _fitted(estimator: Any, grower: Bagging, labels: Array | None) -> Any:
    estimator.n_features_in_ = grower.features
    estimator.n_outputs_ = 1
    if labels is not None:
        estimator.classes_ = labels
        estimator.n_classes_ = len(labels)
    return estimator


def _tree(forest: Forest, grower: Bagging) -> Any:
    """A tree of scikit-learn, of a forest of one."""
    tree = Tree(grower.features, np.array([max(grower.classes, 1)], dtype=np.intp), 1)
    inner = forest.feature >= 0
    nodes = np.zeros(len(inner), dtype=tree.__getstate__()["nodes"].dtype)
    nodes["left_child"] = np.where(inner, forest.left, -1)
    nodes["right_child"] = np.where(inner, forest.left + 1, -1)
    nodes["feature"] = np.where(inner, forest.feature, -2)
    nodes["threshold"] = -2.0
    nodes["threshold"][inner] = forest.threshold
    nodes["missing_go_to_left"][inner] = forest.flags & MISSING_LEFT
    values = np.zeros((len(inner), 1, forest.width))
    values[~inner, 0] = forest.value
    state = {"max_depth": int(forest.depths[0]), "node_count": len(inner), "nodes": nodes, "values": values}
    tree.__setstate__(state)
    return tree
