"""Models of trees in ONNX, written from their arrays."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from .errors import UsageError
from .trees import CATEGORICAL, MISSING_LEFT, Forest

Array = NDArray[Any]
OPSET, ML_OPSET, IR_VERSION = 18, 5, 10
"""Versions of ONNX: the first of trees that split by sets of categories, read by ONNX Runtime since 1.21."""

LEAST_SHARE = 1e-30
"""Of a class: where no tree says anything, all are alike."""

AT_MOST, MEMBER = 0, 6
"""Modes of a split: the true branch is for what isn't greater, or for members of the set."""


def as_onnx(forest: Forest, features: int, classes: int, outputs: int, *, averaged: bool) -> bytes:
    """A model with the input ``input``, float32, shape ``(n, features)``, NaN where missing.

    Its outputs are ``probabilities``, shape ``(n, classes)``, and ``label``, the class numbers; or ``value``, shape
    ``(n,)``. Sums are in single precision, as ONNX has it. The same trees give the same bytes.

    Args:
        classes: 0 for a regression.
        outputs: how many sums the trees make.
        averaged: whether leaves hold values, or shares of classes, to be averaged over trees. Else their sums are
            margins, of the logistic function if there's one output, of softmax if there are more.

    Raises:
        UsageError: onnx isn't installed.
    """
    try:
        from onnx import TensorProto, helper, numpy_helper
    except ImportError as error:
        raise UsageError("exporting trees as ONNX needs the package onnx", hint="pip install onnx") from error

    if classes:
        steps, constants = _to_probabilities(averaged, outputs)
        found = [
            helper.make_tensor_value_info("probabilities", TensorProto.FLOAT, ["samples", classes]),
            helper.make_tensor_value_info("label", TensorProto.INT64, ["samples"]),
        ]
    else:
        steps, constants = _to_values(len(forest) if averaged else 1)
        found = [helper.make_tensor_value_info("value", TensorProto.FLOAT, ["samples"])]
    given = [helper.make_tensor_value_info("input", TensorProto.FLOAT, ["samples", features])]
    trees = helper.make_node("TreeEnsemble", ["input"], ["sums"], domain="ai.onnx.ml", **_ensemble(forest, outputs))
    model = helper.make_model(
        helper.make_graph(
            [trees, *steps],
            "trees",
            given,
            found,
            [numpy_helper.from_array(value, name) for name, value in constants.items()],
        ),
        opset_imports=[helper.make_opsetid("", OPSET), helper.make_opsetid("ai.onnx.ml", ML_OPSET)],
        ir_version=IR_VERSION,
        producer_name="colearn",
    )
    written: bytes = model.SerializeToString(deterministic=True)
    return written


def _to_values(trees: int) -> tuple[list[Any], dict[str, Array]]:
    """The steps from sums to values, and the constants these use."""
    from onnx import helper

    steps = [
        helper.make_node("Mul", ["sums", "share"], ["mean"]),
        helper.make_node("Squeeze", ["mean", "axis"], ["value"]),
    ]
    return steps, {"share": np.array(1 / max(1, trees), np.float32), "axis": np.array([1])}


def _to_probabilities(averaged: bool, outputs: int) -> tuple[list[Any], dict[str, Array]]:
    """The steps from sums to probabilities and labels, and the constants these use."""
    from onnx import helper

    label = helper.make_node("ArgMax", ["probabilities"], ["label"], axis=1, keepdims=0)
    if averaged:
        steps = [
            helper.make_node("Max", ["sums", "least"], ["shares"]),
            helper.make_node("ReduceSum", ["shares", "axis"], ["all"]),
            helper.make_node("Div", ["shares", "all"], ["probabilities"]),
        ]
        return [*steps, label], {"least": np.array(LEAST_SHARE, np.float32), "axis": np.array([1])}
    if outputs > 1:
        return [helper.make_node("Softmax", ["sums"], ["probabilities"], axis=1), label], {}
    steps = [
        helper.make_node("Sigmoid", ["sums"], ["second"]),
        helper.make_node("Neg", ["sums"], ["negative"]),
        helper.make_node("Sigmoid", ["negative"], ["first"]),  # 1 - second would be 0 where it's merely small
        helper.make_node("Concat", ["first", "second"], ["probabilities"], axis=1),
    ]
    return [*steps, label], {}


def _ensemble(forest: Forest, outputs: int) -> dict[str, Any]:
    """The attributes of ONNX's operator. Its leaves have one value each: trees with more are there once for each."""
    from onnx import numpy_helper

    if not len(forest):
        forest = Forest.empty(1)
    copies = forest.width if len(forest) else 1
    structure = _structure(forest)
    nodes, leaves = len(structure["features"]), len(forest.value)
    split_of, leaf_of = np.arange(copies) * nodes, np.arange(copies) * leaves

    def repeated(array: Array) -> Array:
        return np.tile(array, copies)

    def shifted(links: Array, to_leaf: Array) -> Array:
        return np.concatenate([links + np.where(to_leaf, leaf_of[c], split_of[c]) for c in range(copies)])

    targets = forest.output if forest.width == 1 else np.zeros(0, np.int32)
    by_leaf = np.repeat(targets, (forest.sizes + 1) // 2) if forest.width == 1 else np.repeat(np.arange(copies), leaves)
    values = forest.value.T.ravel()
    if not len(forest):  # the operator wants a tree
        by_leaf, values = np.zeros(1, np.int64), np.zeros(1, np.float32)
    attributes: dict[str, Any] = {
        "aggregate_function": 1,  # the sum
        "post_transform": 0,  # none
        "n_targets": outputs,
        "nodes_featureids": repeated(structure["features"]).tolist(),
        "nodes_modes": numpy_helper.from_array(repeated(structure["modes"]), "modes"),
        "nodes_splits": numpy_helper.from_array(repeated(structure["thresholds"]), "splits"),
        "nodes_truenodeids": shifted(structure["true"], structure["true_leaf"]).tolist(),
        "nodes_trueleafs": repeated(structure["true_leaf"]).tolist(),
        "nodes_falsenodeids": shifted(structure["false"], structure["false_leaf"]).tolist(),
        "nodes_falseleafs": repeated(structure["false_leaf"]).tolist(),
        "nodes_missing_value_tracks_true": repeated(structure["missing_true"]).tolist(),
        "leaf_targetids": by_leaf.tolist(),
        "leaf_weights": numpy_helper.from_array(values.astype(np.float32), "weights"),
        "tree_roots": np.concatenate([structure["roots"] + split_of[c] for c in range(copies)]).tolist(),
    }
    members = _members(forest)
    if len(members):
        attributes["membership_values"] = numpy_helper.from_array(repeated(members), "members")
    return attributes


def _structure(forest: Forest) -> dict[str, Array]:
    """What ONNX keeps of each split. A tree that is one leaf gets a split, whose branches are both that leaf."""
    inner = forest.feature >= 0
    single = (forest.sizes == 1).nonzero()[0]
    kept = inner.copy()
    kept[forest.starts[single]] = True
    number = np.cumsum(kept) - 1
    if not len(forest):
        zero = np.zeros(1, np.int64)
        names = ("features", "true", "false", "missing_true", "roots")
        return {
            **dict.fromkeys(names, zero),
            "modes": zero.astype(np.uint8),
            "thresholds": zero.astype(np.float32),
            "true_leaf": zero + 1,
            "false_leaf": zero + 1,
        }
    leaf = np.arange(len(inner)) - forest.splits[:-1]
    left = forest.left
    right = np.where(inner, left + 1, left)
    by_set = np.zeros(len(inner), dtype=bool)
    by_set[inner] = (forest.flags & CATEGORICAL) > 0
    missing_left = np.zeros(len(inner), dtype=bool)
    missing_left[inner] = (forest.flags & MISSING_LEFT) > 0
    threshold = np.zeros(len(inner), np.float32)
    threshold[inner] = forest.threshold
    threshold[by_set] = 0
    true, false = np.where(by_set, right, left), np.where(by_set, left, right)
    link = np.where(inner, number, leaf)
    return {
        "features": np.maximum(forest.feature, 0)[kept].astype(np.int64),
        "modes": np.where(by_set, MEMBER, AT_MOST)[kept].astype(np.uint8),
        "thresholds": threshold[kept],
        "true": link[true[kept]],
        "true_leaf": (~inner[true[kept]]).astype(np.int64),
        "false": link[false[kept]],
        "false_leaf": (~inner[false[kept]]).astype(np.int64),
        "missing_true": (missing_left != by_set)[kept].astype(np.int64),
        "roots": number[forest.starts[:-1]],
    }


def _members(forest: Forest) -> Array:
    """The codes of each set, and a NaN after each."""
    nobody = np.array([np.finfo(np.float32).min], np.float32)
    found = [np.zeros(0, np.float32)]
    for split in np.flatnonzero(forest.flags & CATEGORICAL):
        codes = forest.codes(int(split)).astype(np.float32)
        found += [codes if len(codes) else nobody, np.array([np.nan], np.float32)]
    return np.concatenate(found)
