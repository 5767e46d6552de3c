"""Trees that anybody may have sent: what isn't a model of the right form is refused, and costs little."""

from __future__ import annotations

import struct
import tracemalloc
from collections.abc import Callable
from time import perf_counter
from typing import Any

import numpy as np
import pytest
from library_trees import FEATURES, joined, random_samples, random_tree
from numpy.typing import NDArray

from colearn_core.errors import WeightsError
from colearn_core.trees import CATEGORICAL, DEEPEST, Forest, grown
from colearn_core.weights import Weights

Array = NDArray[Any]
OUTPUTS = 3
NAMES = ("categories", "feature", "flags", "gain", "output", "sizes", "threshold", "value")


def model(width: int = 1, trees: int = 8) -> Weights:
    """Honest trees of all kinds of splits."""
    rng = np.random.default_rng(7)
    return joined(
        [random_tree(rng, 1 + 2 * i, width, codes=12, output=i % OUTPUTS * (width == 1)) for i in range(trees)], width
    ).to_weights()


def read(weights: Weights, width: int = 1) -> Forest:
    return Forest.from_weights(weights, FEATURES, OUTPUTS, width)


def changed(**arrays: Any) -> Weights:
    """The honest model with some arrays replaced."""
    return Weights({**model(), **arrays})


def with_one(name: str, row: int, value: Any) -> Weights:
    array = model()[name].copy()
    array[row] = value
    return changed(**{name: array})


def refused(weights: Weights, name: str, text: str = "", width: int = 1) -> None:
    with pytest.raises(WeightsError) as refusal:
        read(weights, width)
    assert repr(name) in str(refusal.value)
    assert text in str(refusal.value)


def test_the_honest_model_is_taken() -> None:
    forest = read(model())
    assert len(forest) == 8
    assert (forest.flags & CATEGORICAL).any()
    assert read(model(width=3), width=3).width == 3
    assert len(read(Forest.empty(1).to_weights())) == 0


class TestForm:
    @pytest.mark.parametrize("name", NAMES)
    def test_another_type_is_refused(self, name: str) -> None:
        array = model()[name]
        for kind in ("f8", "f4", "f2", "i8", "i4", "i2", "i1", "u8", "u4", "u2", "u1", "?"):
            if np.dtype(kind) != array.dtype:
                refused(changed(**{name: np.zeros(array.shape, kind)}), name, np.dtype(kind).name)

    @pytest.mark.parametrize("name", NAMES)
    def test_other_dimensions_are_refused(self, name: str) -> None:
        array = model()[name]
        shapes: list[tuple[int, ...]] = [(), (1, *array.shape), (*array.shape, 1), (0, *array.shape)]
        for shape in [*shapes, (array.size,) if array.ndim == 2 else (array.size, 1)]:
            refused(changed(**{name: np.zeros(shape, array.dtype)}), name)

    @pytest.mark.parametrize("name", NAMES)
    def test_other_lengths_are_refused(self, name: str) -> None:
        array = model()[name]
        for other in (array[:0], array[1:], array[:-1], np.concatenate([array, array[-1:]]), np.repeat(array, 2, 0)):
            with pytest.raises(WeightsError) as refusal:
                read(changed(**{name: other}))
            assert any(repr(n) in str(refusal.value) for n in NAMES)

    @pytest.mark.parametrize("name", NAMES)
    def test_a_missing_array_is_named(self, name: str) -> None:
        refused(Weights({n: a for n, a in model().items() if n != name}), name, "missing")

    def test_an_array_too_many_is_named(self) -> None:
        refused(changed(left=np.zeros(3)), "left", "unexpected")
        with pytest.raises(WeightsError, match="no trees"):
            read(Weights({}))

    def test_another_width_of_leaves_is_refused(self) -> None:
        refused(Weights({**model(), "output": np.zeros(8, np.int32)}), "value", width=3)
        refused(model(width=3), "value", width=1)
        refused(changed(value=np.zeros((0, 1), np.float32)), "value")
        refused(Weights({**Forest.empty(1).to_weights(), "value": np.zeros((10**15, 0), np.float32)}), "value")

    def test_parts_of_other_models_are_refused(self) -> None:
        other = dict(joined([random_tree(np.random.default_rng(3), 6, codes=40) for _ in range(5)]).to_weights())
        for name in NAMES:
            with pytest.raises(WeightsError):
                read(changed(**{name: other[name]}))


class TestSizes:
    @pytest.mark.parametrize("size", [0, -1, -(2**31), 2**31 - 1])
    def test_of_no_tree_are_refused(self, size: int) -> None:
        for row in (0, 3, -1):
            refused(with_one("sizes", row, size), "sizes")

    def test_whose_sum_would_wrap_around_are_refused(self) -> None:
        nodes = len(model()["feature"])
        for sizes in ([2**31 - 1, 2**31 - 1, nodes + 2], [2**30] * 4 + [nodes], [-(2**31), 2**31 - 1, nodes + 1]):
            hostile = np.array(sizes, np.int32)
            assert int(hostile.sum(dtype=np.int32)) == nodes
            refused(changed(sizes=hostile, output=np.zeros(len(sizes), np.int32)), "sizes")

    def test_that_move_a_node_to_another_tree_are_refused(self) -> None:
        sizes = model()["sizes"].copy()
        sizes[2:4] += [2, -2]
        refused(changed(sizes=sizes), "sizes", "tree 2")

    def test_that_are_even_are_refused(self) -> None:
        sizes = model()["sizes"].copy()
        sizes[:2] += [1, -1]
        refused(changed(sizes=sizes), "sizes", "tree 0")


class TestNodes:
    @pytest.mark.parametrize("feature", [FEATURES, FEATURES + 1, 2**31 - 1, -2, -(2**31)])
    def test_by_features_that_the_model_lacks_are_refused(self, feature: int) -> None:
        for row in (0, 5, -1):
            refused(with_one("feature", row, feature), "feature", str(FEATURES))

    @pytest.mark.parametrize("output", [OUTPUTS, -1, 2**31 - 1, -(2**31)])
    def test_for_outputs_that_the_model_lacks_are_refused(self, output: int) -> None:
        refused(with_one("output", 2, output), "output")

    def test_of_several_values_add_to_all_outputs(self) -> None:
        weights = model(width=3)
        refused(Weights({**weights, "output": np.ones(8, np.int32)}), "output", width=3)

    def test_more_or_fewer_splits_than_thresholds_are_refused(self) -> None:
        leaf = int(np.flatnonzero(model()["feature"] < 0)[0])
        refused(with_one("feature", leaf, 0), "threshold")
        refused(with_one("feature", 0, -1), "threshold")

    def test_a_child_before_its_parent_is_refused(self) -> None:
        # The root is a leaf; node 1 splits, and its children would be nodes 1 and 2.
        refused(_raw([-1, 0, -1]), "feature", "tree 0, which isn't numbered level by level")
        refused(_raw([0, -1, -1, -1, 0]), "feature", "level by level")
        refused(_raw([-1, -1, 0, 0, 0, -1, -1]), "feature", "level by level")
        before = _raw([0, -1, 0, -1, -1])
        forest = Forest.joined([Forest(**before), Forest(**_raw([0, -1, -1, -1, 0]))])
        refused(forest.to_weights(), "feature", "tree 1")

    def test_every_order_of_splits_and_leaves_is_refused_or_within_the_tree(self) -> None:
        shapes = 0
        for bits in range(2**9):
            feature = [0 if bits >> i & 1 else -1 for i in range(9)]
            if sum(f >= 0 for f in feature) != 4:
                continue
            try:
                forest = read(_raw(feature))
            except WeightsError:
                continue
            shapes += 1
            reached, below = {0}, [0]
            while below:
                node = below.pop()
                if forest.left[node] != node:
                    children = {int(forest.left[node]), int(forest.left[node]) + 1}
                    assert not children & reached
                    reached |= children
                    below += children
            assert reached == set(range(9))
        assert shapes == 14  # the binary trees of four splits (Catalan)

    def test_a_chain_is_taken_up_to_the_deepest(self) -> None:
        forests = [
            joined([random_tree(np.random.default_rng(0), n, chain=True) for n in (2, depth)])
            for depth in (DEEPEST, DEEPEST + 1)
        ]
        assert read(forests[0].to_weights()).depths.tolist() == [2, DEEPEST]
        refused(forests[1].to_weights(), "feature", f"tree 1, which is deeper than {DEEPEST}")


class TestValues:
    @pytest.mark.parametrize("name", ["threshold", "gain", "value"])
    @pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
    def test_that_are_no_numbers_are_refused(self, name: str, value: float) -> None:
        for row in (0, -1):
            refused(with_one(name, row, value), name, "non-finite")

    def test_of_any_size_give_finite_margins(self) -> None:
        forest = read(changed(value=np.full_like(model()["value"], np.finfo(np.float32).max)))
        margins = np.zeros((50, OUTPUTS))
        forest.add_to(margins, random_samples(np.random.default_rng(0), 50))
        assert np.isfinite(margins).all()
        assert margins.max() > 1e38


class TestSets:
    def test_flags_that_nobody_knows_are_refused(self) -> None:
        for flags in (4, 7, 255):
            refused(with_one("flags", 0, flags), "flags")

    @pytest.mark.parametrize("length", [-1, 0.5, 1e9, 2.0**24, np.finfo(np.float32).max, 3, 0])
    def test_of_other_lengths_than_there_are_bytes_are_refused(self, length: float) -> None:
        by_set = np.flatnonzero(model()["flags"] & CATEGORICAL)
        assert model()["threshold"][by_set[1]] == 2
        for row in by_set[[1, -1]]:
            refused(with_one("threshold", int(row), length), "categories")

    def test_lengths_of_opposite_sign_are_refused(self) -> None:
        by_set = np.flatnonzero(model()["flags"] & CATEGORICAL)
        threshold = model()["threshold"].copy()
        threshold[by_set[:2]] += [1000, -1000]
        refused(changed(threshold=threshold), "categories")

    def test_lengths_that_are_no_whole_numbers_are_refused(self) -> None:
        by_set = np.flatnonzero(model()["flags"] & CATEGORICAL)
        threshold = model()["threshold"].copy()
        threshold[by_set[:2]] += [0.5, -0.5]
        refused(changed(threshold=threshold), "categories")

    def test_more_or_fewer_bytes_are_refused(self) -> None:
        categories = model()["categories"]
        for other in (categories[:-1], np.append(categories, np.uint8(1)), categories[:0]):
            refused(changed(categories=other), "categories")

    def test_flags_of_a_set_that_is_not_there_are_refused(self) -> None:
        plain = int(np.flatnonzero((model()["flags"] & CATEGORICAL) == 0)[0])
        flags, threshold = model()["flags"].copy(), model()["threshold"].copy()
        flags[plain] |= CATEGORICAL
        threshold[plain] = 1
        refused(changed(flags=flags, threshold=threshold), "categories")

    def test_a_set_of_no_bytes_holds_no_code(self) -> None:
        weights = _raw([0, -1, -1], flags=[CATEGORICAL])
        margins = np.zeros((3, OUTPUTS))
        read(weights).add_to(margins, np.array([[0], [5], [-1]], np.float32).repeat(FEATURES, 1))
        assert margins[:, 0].tolist() == [0, 0, 0]


def _raw(feature: list[int], flags: list[int] | None = None) -> Weights:
    """One tree of these nodes, with leaves that say their number; the rest fits."""
    splits = sum(f >= 0 for f in feature)
    leaves = len(feature) - splits
    return Weights(
        {
            "sizes": np.array([len(feature)], np.int32),
            "output": np.zeros(1, np.int32),
            "feature": np.array(feature, np.int32),
            "threshold": np.zeros(splits, np.float32),
            "flags": np.array(flags or [0] * splits, np.uint8),
            "gain": np.zeros(splits, np.float32),
            "value": np.arange(leaves, dtype=np.float32)[:, None],
            "categories": np.zeros(0, np.uint8),
        }
    )


def _peak(work: Callable[[], object]) -> int:
    """The most bytes that were held at once."""
    tracemalloc.start()
    try:
        work()
    except WeightsError:
        pass
    finally:
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    return peak


def _one_leaf_trees(trees: int) -> Weights:
    zeros = np.zeros(trees, np.int32)
    return Weights(
        {**Forest.empty(1).to_weights(), "sizes": zeros + 1, "output": zeros, "feature": zeros - 1}
        | {"value": np.ones((trees, 1), np.float32)}
    )


def _chains(trees: int, by_set: bool = False) -> Weights:
    """The deepest trees, whose every sample goes all the way."""
    nodes = 2 * DEEPEST + 1
    left = np.where(np.arange(nodes) % 2 == 0, np.arange(nodes) + 1, -1)
    left[-1] = -1
    sets = np.zeros((nodes, 8), dtype=bool)
    sets[:, 7] = by_set
    one = grown(left, left + 1, np.arange(nodes) % FEATURES, np.full(nodes, -1e38), np.ones(nodes), sets=sets)
    return Forest.joined([one] * trees).to_weights()


def _balanced(trees: int) -> Weights:
    """What an honest learner sends: trees of depth 6."""
    nodes = np.arange(127)
    rng = np.random.default_rng(0)
    left = np.where(nodes < 63, 2 * nodes + 1, -1)
    one = grown(left, left + 1, nodes % FEATURES, rng.normal(size=127), rng.normal(size=127))
    return Forest.joined([one] * trees).to_weights()


class TestRoom:
    """Memory stays within a small multiple of the bytes that came."""

    MULTIPLE = 12

    def test_bytes_that_claim_much_take_no_room(self) -> None:
        data = model().to_bytes()
        length = struct.unpack("<Q", data[:8])[0]
        header = data[8 : 8 + length].decode()
        for old, new in ((f"[{len(model()['sizes'])}]", "[4000000000000]"), ('"shape":[', '"shape":[1000000000,')):
            claimed = header.replace(old, new).encode()
            hostile = struct.pack("<Q", len(claimed)) + claimed + data[8 + length :]
            assert _peak(lambda hostile=hostile: read(Weights.from_bytes(hostile))) < 100_000  # type: ignore[misc]
        assert _peak(lambda: Weights.from_bytes(struct.pack("<Q", 2**60) + data)) < 100_000

    def test_sizes_that_claim_much_take_no_room(self) -> None:
        for sizes in ([2**31 - 1], [2**31 - 1] * 1000):
            weights = changed(sizes=np.array(sizes, np.int32), output=np.zeros(len(sizes), np.int32))
            assert _peak(lambda weights=weights: read(weights)) < 100_000  # type: ignore[misc]

    @pytest.mark.parametrize(
        "hostile", [_one_leaf_trees(20_000), _chains(120), _chains(100, by_set=True), _balanced(240)]
    )
    def test_checking_predicting_and_joining_take_little(self, hostile: Weights) -> None:
        size = len(hostile.to_bytes())
        x = random_samples(np.random.default_rng(0), 500)
        margins = np.zeros((len(x), OUTPUTS))
        per_sample = 200 * len(x)
        assert _peak(lambda: read(hostile)) < self.MULTIPLE * size
        assert _peak(lambda: read(hostile).add_to(margins, x)) < self.MULTIPLE * size + per_sample
        assert _peak(lambda: Forest.joined([read(hostile), read(model())])) < self.MULTIPLE * size

    def test_one_large_set_makes_no_other_large(self) -> None:
        sets = np.zeros((3, 400_000), dtype=bool)
        sets[0, -1] = True
        left, right = np.array([1, -1, -1]), np.array([2, -1, -1])
        large = grown(left, right, np.zeros(3), np.zeros(3), np.zeros(3), sets=sets)
        honest = _chains(100, by_set=True)
        size = large.categories.nbytes + len(honest.to_bytes())
        assert _peak(lambda: Forest.joined([read(honest), large])) < self.MULTIPLE * size


class TestTime:
    """A message costs about as much to score as an honest one of its size."""

    MULTIPLE = 60

    @pytest.mark.parametrize(
        "hostile", [_one_leaf_trees(15_000), _chains(95), _chains(90, by_set=True)], ids=["leaves", "chains", "sets"]
    )
    def test_of_predicting_is_bounded_by_the_bytes(self, hostile: Weights) -> None:
        honest = _balanced(180)
        assert len(hostile.to_bytes()) < 1.1 * len(honest.to_bytes())
        x = np.abs(random_samples(np.random.default_rng(0), 1000))
        assert _seconds(hostile, x) < self.MULTIPLE * _seconds(honest, x)


def _seconds(weights: Weights, x: Array) -> float:
    found = []
    for _ in range(2):
        start = perf_counter()
        read(weights).add_to(np.zeros((len(x), OUTPUTS)), x)
        found.append(perf_counter() - start)
    return min(found)


class TestFuzz:
    """Whatever bytes come, there's a refusal or a finite prediction."""

    @pytest.mark.parametrize("attempts", [300, pytest.param(10_000, marks=pytest.mark.slow)])
    def test_any_bytes_are_refused_or_predict(self, attempts: int) -> None:
        rng = np.random.default_rng(attempts)
        honest = {width: model(width, trees=3).to_bytes() for width in (1, 3)}
        x = random_samples(rng, 10)
        taken = 0
        start = perf_counter()
        for attempt in range(attempts):
            width = int(rng.choice([1, 3]))
            taken += _predicts(_mutated(rng, honest[width], attempt), width, x)
        assert taken > attempts / 50  # some changes, such as of a value, make another honest model
        assert perf_counter() - start < attempts / 50


def _mutated(rng: np.random.Generator, data: bytes, attempt: int) -> bytes:
    changed = np.frombuffer(data, np.uint8).copy()
    header = 8 + struct.unpack("<Q", data[:8])[0]
    kind = attempt % 5
    if kind == 0:
        return rng.bytes(int(rng.integers(0, 400)))
    if kind == 1:
        return data[: int(rng.integers(len(data)))]
    where = {2: (0, len(data)), 3: (header, len(data)), 4: (8, header)}[kind]
    for _ in range(int(rng.integers(1, 4))):
        changed[rng.integers(*where)] ^= np.uint8(1 << rng.integers(8))
    return changed.tobytes()


def _predicts(data: bytes, width: int, x: Array) -> bool:
    """Whether the bytes are taken for a model; anything but a refusal or numbers is an error."""
    try:
        forest = read(Weights.from_bytes(data), width)
    except WeightsError:
        return False
    margins = np.zeros((len(x), OUTPUTS))
    forest.add_to(margins, x)
    assert np.isfinite(margins).all()
    assert forest.importance(FEATURES).shape == (FEATURES,)
    return True
