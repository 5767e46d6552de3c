"""XGBoost models from trees: for use outside of colearn."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from colearn_core.trees import CATEGORICAL, MISSING_LEFT, Forest

from .grower import XGBoostGrower, feature_types, library_settings
from .library import xgboost

Array = NDArray[Any]
NO_PARENT = 2**31 - 1


def booster_of(grower: XGBoostGrower, forest: Forest, names: Sequence[str] = ()) -> xgboost.Booster:
    """A booster that predicts what the trees do.

    The frame around the trees is XGBoost's own, of a model without any; so it suits the version that is installed.
    What an XGBoost model also tells, how many samples went through a node, isn't known: it's 0.
    """
    nothing = xgboost.DMatrix(np.zeros((1, grower.features), np.float32), label=[0.0], nthread=1)
    empty = xgboost.train(library_settings(grower) | {"nthread": 1}, nothing, 0)
    model = json.loads(bytes(empty.save_raw("json")))
    learner = model["learner"]
    learner["learner_model_param"]["base_score"] = _base_score(learner["learner_model_param"]["base_score"], grower)
    learner["feature_types"] = feature_types(grower)
    learner["feature_names"] = list(names)
    trees = learner["gradient_booster"]["model"]
    trees["trees"] = [_tree(forest.take(slice(i, i + 1)), i, grower.features) for i in range(len(forest))]
    trees["tree_info"] = forest.output.tolist()
    trees["gbtree_model_param"]["num_trees"] = str(len(forest))
    trees["iteration_indptr"] = list(range(len(forest) + 1))
    return xgboost.Booster(model_file=bytearray(json.dumps(model).encode()))


def _base_score(written: str, grower: XGBoostGrower) -> str:
    """The value whose margin is 0, in the form that this version writes."""
    value = "5E-1" if grower.classes == 2 else "0E0"
    values = ",".join([value] * max(1, grower.classes if grower.classes > 2 else 1))
    return f"[{values}]" if written.startswith("[") else value


def _tree(tree: Forest, number: int, features: int) -> dict[str, Any]:
    nodes = len(tree.feature)
    inner = tree.feature >= 0
    left = np.where(inner, tree.left, -1)
    by_set = np.zeros(nodes, dtype=bool)
    by_set[inner] = (tree.flags & CATEGORICAL) > 0
    conditions = np.zeros(nodes, np.float32)
    conditions[inner] = np.nextafter(tree.threshold, np.float32(np.inf))
    conditions[by_set] = 0
    conditions[~inner] = tree.value[:, 0]
    parents = np.full(nodes, NO_PARENT)
    parents[left[inner]] = parents[left[inner] + 1] = np.flatnonzero(inner)
    codes = [tree.codes(int(split)) for split in np.flatnonzero(by_set[inner])]
    sizes = np.array([len(c) for c in codes], dtype=np.int64)
    return {
        "base_weights": _by_node(inner, None, tree.value[:, 0]).tolist(),
        "categories": np.concatenate([np.zeros(0, np.int64), *codes]).tolist(),
        "categories_nodes": np.flatnonzero(by_set).tolist(),
        "categories_segments": (np.cumsum(sizes) - sizes).tolist(),
        "categories_sizes": sizes.tolist(),
        "default_left": _by_node(inner, tree.flags & MISSING_LEFT, None).astype(int).tolist(),
        "id": number,
        "left_children": left.tolist(),
        "loss_changes": _by_node(inner, tree.gain, None).tolist(),
        "parents": parents.tolist(),
        "right_children": np.where(inner, tree.left + 1, -1).tolist(),
        "split_conditions": conditions.tolist(),
        "split_indices": np.maximum(tree.feature, 0).tolist(),
        "split_type": by_set.astype(int).tolist(),
        "sum_hessian": [0.0] * nodes,
        "tree_param": {
            "num_deleted": "0",
            "num_feature": str(features),
            "num_nodes": str(nodes),
            "size_leaf_vector": "1",
        },
    }


def _by_node(inner: Array, of_splits: Array | None, of_leaves: Array | None) -> Array:
    values = np.zeros(len(inner), np.float32)
    if of_splits is not None:
        values[inner] = of_splits
    if of_leaves is not None:
        values[~inner] = of_leaves
    return values
