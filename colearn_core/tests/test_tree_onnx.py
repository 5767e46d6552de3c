"""Trees in ONNX: ONNX Runtime predicts what the arrays say."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import numpy as np
import onnx
import onnxruntime  # type: ignore[import-untyped]
import pytest
from numpy.typing import NDArray

from colearn_core.errors import UsageError
from colearn_core.tree_onnx import as_onnx
from colearn_core.trees import Forest, grown

Array = NDArray[Any]
FEATURES = 4


def tree(rng: np.random.Generator, width: int, outputs: int, splits: int) -> Forest:
    """A random tree, the last feature split by sets of categories."""
    nodes = 2 * splits + 1
    left, right, feature = np.full(nodes, -1), np.full(nodes, -1), np.zeros(nodes, np.int64)
    sets = np.zeros((nodes, 12), dtype=bool)
    leaves, end = [0], 1
    for _ in range(splits):
        node = leaves.pop(int(rng.integers(len(leaves))))
        left[node], right[node], feature[node] = end, end + 1, rng.integers(FEATURES)
        if feature[node] == FEATURES - 1:
            sets[node, rng.integers(12)] = True
            sets[node] |= rng.random(12) < 0.3
        leaves += [end, end + 1]
        end += 2
    return grown(
        left,
        right,
        feature,
        rng.normal(size=nodes).astype(np.float32),
        rng.random((nodes, width)),
        missing_left=rng.random(nodes) < 0.5,
        sets=sets,
        output=0 if width > 1 else int(rng.integers(outputs)),
    )


def forest(width: int, outputs: int, seed: int = 0) -> Forest:
    rng = np.random.default_rng(seed)
    return Forest.joined([tree(rng, width, outputs, splits) for splits in (0, 1, 7, 3, 0, 20)])


def samples(seed: int = 1) -> Array:
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(500, FEATURES)).astype(np.float32)
    x[:, -1] = rng.integers(14, size=500)
    x[rng.random(x.shape) < 0.2] = np.nan
    return x


def sums(trees: Forest, outputs: int) -> Array:
    margins = np.zeros((500, outputs))
    trees.add_to(margins, samples())
    return margins


def run(written: bytes) -> list[Array]:
    onnx.checker.check_model(onnx.load_from_string(written))
    found: list[Array] = onnxruntime.InferenceSession(written).run(None, {"input": samples()})
    return found


def test_boosted_values() -> None:
    trees = forest(1, 1)
    (found,) = run(as_onnx(trees, FEATURES, 0, 1, averaged=False))
    np.testing.assert_allclose(found, sums(trees, 1)[:, 0], rtol=1e-6)


def test_averaged_values() -> None:
    trees = forest(1, 1)
    (found,) = run(as_onnx(trees, FEATURES, 0, 1, averaged=True))
    np.testing.assert_allclose(found, sums(trees, 1)[:, 0] / len(trees), rtol=1e-6)


def test_two_boosted_classes() -> None:
    trees = forest(1, 1)
    probabilities, label = run(as_onnx(trees, FEATURES, 2, 1, averaged=False))
    expected = 1 / (1 + np.exp(-sums(trees, 1)[:, 0]))
    np.testing.assert_allclose(probabilities[:, 1], expected, rtol=1e-6)
    np.testing.assert_array_equal(label, expected > 0.5)


def test_several_boosted_classes() -> None:
    trees = forest(1, 3)
    probabilities, label = run(as_onnx(trees, FEATURES, 3, 3, averaged=False))
    exponentials = np.exp(sums(trees, 3))
    np.testing.assert_allclose(probabilities, exponentials / exponentials.sum(axis=1, keepdims=True), rtol=1e-6)
    np.testing.assert_array_equal(label, probabilities.argmax(axis=1))


def test_averaged_classes() -> None:
    trees = forest(3, 3)
    probabilities, _ = run(as_onnx(trees, FEATURES, 3, 3, averaged=True))
    shares = sums(trees, 3)
    np.testing.assert_allclose(probabilities, shares / shares.sum(axis=1, keepdims=True), rtol=1e-6)


@pytest.mark.parametrize(
    ("width", "outputs", "classes", "averaged"), [(1, 1, 0, False), (1, 1, 2, False), (3, 3, 3, True)]
)
def test_a_model_without_trees_says_nothing_of_any_sample(
    width: int, outputs: int, classes: int, averaged: bool
) -> None:
    found, *_ = run(as_onnx(Forest.empty(width), FEATURES, classes, outputs, averaged=averaged))
    np.testing.assert_allclose(found, 1 / classes if classes else 0, rtol=1e-6)


def test_equal_trees_are_equal_bytes_and_others_are_not() -> None:
    written = [as_onnx(forest(1, 1, seed), FEATURES, 0, 1, averaged=False) for seed in (0, 0, 1)]
    assert written[0] == written[1] != written[2]


def test_without_onnx_it_is_named() -> None:
    code = (
        "import sys; sys.modules['onnx'] = None\n"
        "from colearn_core.errors import UsageError\n"
        "from colearn_core.tree_onnx import as_onnx\n"
        "from colearn_core.trees import Forest\n"
        "try:\n    as_onnx(Forest.empty(1), 1, 0, 1, averaged=False)\n"
        f"except {UsageError.__name__} as error:\n    print(error)"
    )
    told = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout
    assert "pip install onnx" in told
