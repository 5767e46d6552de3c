"""Trees as flat arrays: they say what the library's tree says, and part and join without a change."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from library_trees import FEATURES, LibraryTree, joined, library_trees, random_samples, random_tree, said

from colearn_core.trees import CATEGORICAL, CHUNK_ROWS, DEEPEST, MISSING_LEFT, Forest, grown
from colearn_core.weights import Weights

UNHURRIED = settings(deadline=None, max_examples=60)


def received(forest: Forest, outputs: int = 1) -> Forest:
    """The same after a journey as bytes."""
    weights = Weights.from_bytes(forest.to_weights().to_bytes())
    return Forest.from_weights(weights, FEATURES, outputs, forest.width)


def same(one: Forest, other: Forest) -> bool:
    return one.to_weights() == other.to_weights()


def margins_of(forest: Forest, x: np.ndarray, outputs: int) -> np.ndarray:
    margins = np.zeros((len(x), outputs))
    forest.add_to(margins, x)
    return margins


def rng_of(seed: int) -> np.random.Generator:
    return np.random.default_rng(seed)


def stump(value: float = 1.0, threshold: float = 0.0, **more: object) -> Forest:
    """One split by feature 0, with -value on the left."""
    arrays = {"left": [1, -1, -1], "right": [2, -1, -1], "feature": [0, -1, -1], "threshold": [threshold, 0, 0]}
    return grown(**{**arrays, "value": np.array([0, -value, value]), **more})  # type: ignore[arg-type]


class TestPredictions:
    @UNHURRIED
    @given(library_trees(outputs=3), st.integers(0, 2**32))
    def test_are_those_of_a_recursive_walk(self, trees: list[LibraryTree], seed: int) -> None:
        x = random_samples(rng_of(seed), 30)
        assert np.array_equal(margins_of(joined(trees), x, 3), said(trees, x, 3))

    @UNHURRIED
    @given(library_trees(width=3), st.integers(0, 2**32))
    def test_of_several_values_are_those_of_a_recursive_walk(self, trees: list[LibraryTree], seed: int) -> None:
        x = random_samples(rng_of(seed), 30)
        assert np.array_equal(margins_of(joined(trees, 3), x, 3), said(trees, x, 3))

    @UNHURRIED
    @given(library_trees(outputs=2), st.integers(0, 2**32))
    def test_are_the_same_after_a_journey(self, trees: list[LibraryTree], seed: int) -> None:
        forest = joined(trees)
        arrived = received(forest, outputs=2)
        assert same(arrived, forest)
        x = random_samples(rng_of(seed), 20)
        assert np.array_equal(margins_of(arrived, x, 2), margins_of(forest, x, 2))

    @pytest.mark.parametrize("samples", [0, 1, CHUNK_ROWS, CHUNK_ROWS + 1, 2 * CHUNK_ROWS + 3])
    def test_of_a_sample_are_the_same_in_any_company(self, samples: int) -> None:
        rng = rng_of(samples)
        forest = joined([random_tree(rng, 9, codes=9) for _ in range(3)])
        x = random_samples(rng, samples)
        together = margins_of(forest, x, 1)
        picked = np.arange(0, samples, 517)
        assert np.array_equal(together[picked], margins_of(forest, x[picked], 1))
        assert np.array_equal(together[-1:], margins_of(forest, x[-1:], 1))

    def test_add_to_what_is_there(self) -> None:
        margins = np.array([[1.0, 2.0], [3.0, 4.0]])
        stump(output=1).add_to(margins, np.array([[-1], [1]], np.float32))
        assert margins.tolist() == [[1.0, 1.0], [3.0, 5.0]]

    def test_of_no_trees_are_nothing(self) -> None:
        assert not margins_of(Forest.empty(2), random_samples(rng_of(0), 4), 2).any()

    def test_leave_samples_as_they_are(self) -> None:
        x = random_samples(rng_of(1), 10)
        before = x.copy()
        margins_of(joined([random_tree(rng_of(2), 5, codes=8)]), x, 1)
        assert x.tobytes() == before.tobytes()

    @UNHURRIED
    @given(library_trees(), st.integers(0, 2**32))
    def test_are_the_values_of_the_leaves_reached(self, trees: list[LibraryTree], seed: int) -> None:
        forest, x = joined(trees), random_samples(rng_of(seed), 10)
        leaves = forest.leaves(x)
        assert leaves.shape == (len(trees), 10)
        for own, tree in zip(leaves, trees, strict=True):
            expected = [tree.value[tree.leaf(sample), 0] for sample in x]
            assert forest.value[own, 0].tolist() == expected


class TestThresholds:
    @pytest.mark.parametrize("threshold", [0.1, 1 / 3, -0.1, 1e-40, 3.4e38, -2.0000001, 16777217.0])
    def test_between_singles_part_them_as_in_double_precision(self, threshold: float) -> None:
        single = np.float32(threshold)
        around = [np.nextafter(single, np.float32(-np.inf)), single, np.nextafter(single, np.float32(np.inf))]
        said = margins_of(stump(threshold=threshold), np.array(around)[:, None], 1)[:, 0]
        assert said.tolist() == [1.0 if float(x) > threshold else -1.0 for x in around]

    @UNHURRIED
    @given(st.floats(allow_nan=False), st.floats(width=32, allow_nan=False, allow_infinity=False))
    def test_of_any_size_part_singles_but_the_least(self, threshold: float, x: float) -> None:
        if x == np.finfo(np.float32).min and threshold < x:
            x = 0.0  # a finite threshold can't have it on its right
        said = margins_of(stump(threshold=threshold), np.array([[x]], np.float32), 1)[0, 0]
        assert said == (1.0 if x > threshold else -1.0)

    def test_beyond_singles_are_finite(self) -> None:
        for threshold in (np.inf, -np.inf, 1e300, -1e300, float(np.finfo(np.float32).min)):
            stump(threshold=threshold).to_weights().check_finite()


class TestMissingValues:
    @pytest.mark.parametrize("left", [True, False])
    def test_go_where_the_flag_says(self, left: bool) -> None:
        forest = stump(missing_left=np.array([left] * 3))
        assert margins_of(forest, np.array([[np.nan]], np.float32), 1)[0, 0] == (-1.0 if left else 1.0)

    def test_go_right_by_default(self) -> None:
        assert margins_of(stump(), np.array([[np.nan], [-1]], np.float32), 1)[:, 0].tolist() == [1.0, -1.0]


class TestCategories:
    @pytest.mark.parametrize("codes", [1, 7, 8, 9, 16, 300])
    def test_in_the_set_go_right(self, codes: int) -> None:
        chosen = rng_of(codes).random(codes) < 0.5
        chosen[0] = True
        forest = stump(sets=np.array([chosen, np.zeros(codes), np.zeros(codes)], dtype=bool))
        x = np.arange(-2, codes + 20, dtype=np.float32)
        right = margins_of(forest, x[:, None], 1)[:, 0] > 0
        assert x[right].tolist() == np.flatnonzero(chosen).tolist() == forest.codes(0).tolist()

    def test_may_be_huge_and_unknown(self) -> None:
        forest = stump(sets=np.array([[1], [0], [0]], dtype=bool))
        assert margins_of(forest, np.array([[3e38], [-3e38]], np.float32), 1)[:, 0].tolist() == [-1.0, -1.0]

    def test_take_no_more_room_than_their_last_code_needs(self) -> None:
        sets = np.zeros((3, 4000), dtype=bool)
        sets[0, 9] = True
        forest = stump(sets=sets)
        assert forest.categories.tolist() == [0, 2]
        assert forest.threshold.tolist() == [2.0]

    def test_of_several_splits_are_told_apart(self) -> None:
        trees = [random_tree(rng_of(seed), 8, codes=5 * seed) for seed in range(4)]
        forest = joined(trees)
        expected = [
            np.flatnonzero(one.sets[node]).tolist()
            for one in trees
            for node in level_by_level(one)
            if one.sets[node].any()
        ]
        by_set = np.flatnonzero(forest.flags & CATEGORICAL)
        assert len(by_set) > 4
        assert [forest.codes(int(split)).tolist() for split in by_set] == expected


def level_by_level(tree: LibraryTree) -> list[int]:
    """The nodes that split, as a forest numbers them."""
    level, found = [0], []
    while level:
        split = [node for node in level if tree.left[node] >= 0]
        found += split
        level = [int(child) for node in split for child in (tree.left[node], tree.right[node])]
    return found


class TestGrowing:
    def test_numbers_nodes_level_by_level(self) -> None:
        #      0
        #   4     1
        #  3 2   5 6    in the library's numbers
        forest = grown(
            left=np.array([4, 5, -1, -1, 3, -1, -1]),
            right=np.array([1, 6, -1, -1, 2, -1, -1]),
            feature=np.array([0, 1, 9, 9, 4, 9, 9]),
            threshold=np.arange(7) / 2,
            value=np.arange(7),
            gain=np.arange(7),
            missing_left=np.array([1, 0, 1, 1, 1, 1, 1]),
        )
        assert forest.sizes.tolist() == [7]
        assert forest.feature.tolist() == [0, 4, 1, -1, -1, -1, -1]
        assert forest.threshold.tolist() == [0.0, 2.0, 0.5]
        assert forest.flags.tolist() == [MISSING_LEFT, MISSING_LEFT, 0]
        assert forest.gain.tolist() == [0.0, 4.0, 1.0]
        assert forest.value[:, 0].tolist() == [3.0, 2.0, 5.0, 6.0]
        assert forest.left.tolist() == [1, 3, 5, 3, 4, 5, 6]

    def test_a_single_leaf_says_one_value(self) -> None:
        forest = grown(np.array([-1]), np.array([-1]), np.array([-2]), np.array([-2.0]), np.array([[1.5, 2.5]]))
        assert (len(forest), forest.width, forest.depths.tolist()) == (1, 2, [0])
        assert margins_of(received(forest, 2), np.zeros((2, FEATURES), np.float32), 2).tolist() == [[1.5, 2.5]] * 2

    @UNHURRIED
    @given(library_trees())
    def test_left_children_and_depths_are_those_of_a_walk(self, trees: list[LibraryTree]) -> None:
        forest = joined(trees)

        def depth(node: int) -> int:
            left = int(forest.left[node])
            return 0 if left == node else 1 + max(depth(left), depth(left + 1))

        def library_depth(tree: LibraryTree, node: int = 0) -> int:
            if tree.left[node] < 0:
                return 0
            return 1 + max(library_depth(tree, tree.left[node]), library_depth(tree, tree.right[node]))

        expected = [library_depth(tree) for tree in trees]
        assert forest.depths.tolist() == expected == [depth(int(start)) for start in forest.starts[:-1]]

    @pytest.mark.parametrize("splits", [DEEPEST, DEEPEST + 1])
    def test_depth_is_known_up_to_the_deepest(self, splits: int) -> None:
        forest = joined([random_tree(rng_of(0), n, chain=True) for n in (3, splits, 0)])
        assert forest.depths.tolist() == [3, splits if splits <= DEEPEST else -1, 0]

    def test_importance_is_the_share_of_gain(self) -> None:
        forest = grown(
            left=np.array([1, -1, 3, -1, -1]),
            right=np.array([2, -1, 4, -1, -1]),
            feature=np.array([2, 0, 1, 0, 0]),
            threshold=np.zeros(5),
            value=np.zeros(5),
            gain=np.array([3.0, 0, 1.0, 0, 0]),
        )
        assert forest.importance(4).tolist() == [0, 0.25, 0.75, 0]
        worse = replace(forest, gain=np.array([3.0, -1.0], np.float32))
        assert worse.importance(4).tolist() == [0, 0, 1, 0]
        assert replace(forest, gain=np.zeros(2, np.float32)).importance(4).tolist() == [0, 0, 0, 0]
        assert Forest.empty(1).importance(2).tolist() == [0, 0]


class TestTaking:
    @UNHURRIED
    @given(library_trees(), st.data())
    def test_gives_the_trees_as_they_would_be_without_the_others(
        self, trees: list[LibraryTree], data: st.DataObject
    ) -> None:
        chosen = sorted(data.draw(st.sets(st.integers(0, len(trees) - 1)))) if trees else []
        expected = joined([trees[i] for i in chosen])
        assert same(joined(trees).take(np.array(chosen, dtype=np.intp)), expected)

    @UNHURRIED
    @given(library_trees(), st.integers(-7, 7), st.integers(-7, 7), st.sampled_from([None, 1, 2]))
    def test_a_slice_is_a_slice(self, trees: list[LibraryTree], begin: int, end: int, step: int | None) -> None:
        chosen = slice(begin, end, step)
        assert same(joined(trees).take(chosen), joined(trees[chosen]))

    @UNHURRIED
    @given(library_trees(outputs=2), st.integers(0, 6), st.integers(0, 6))
    def test_and_joining_gives_the_whole(self, trees: list[LibraryTree], one: int, other: int) -> None:
        forest, (first, second) = joined(trees), sorted((one, other))
        parts = [forest.take(part) for part in (slice(first), slice(first, second), slice(second, None))]
        assert same(Forest.joined(parts), forest)

    def test_a_tree_twice_or_backwards_is_refused(self) -> None:
        forest = joined([random_tree(rng_of(i), 2) for i in range(3)])
        for order in ([1, 1], [2, 0]):
            with pytest.raises(ValueError, match="in their order"):
                forest.take(np.array(order))
        with pytest.raises(ValueError, match="in their order"):
            forest.take(slice(None, None, -1))

    def test_a_run_of_trees_copies_nothing(self) -> None:
        forest = joined([random_tree(rng_of(i), 5, codes=9) for i in range(9)])
        taken = forest.take(slice(5, 8))
        assert all(np.shares_memory(getattr(taken, a), getattr(forest, a)) for a in taken.to_weights())


class TestScaling:
    def test_multiplies_the_values_of_each_tree(self) -> None:
        trees = [random_tree(rng_of(i), i, width=2) for i in range(4)]
        forest = joined(trees, 2)
        factors = [1, 0.5, 0, 3]
        expected = joined([replace(t, value=t.value * f) for t, f in zip(trees, factors, strict=True)], 2)
        assert same(forest.scaled(np.array(factors)), expected)
        assert same(forest.scaled(2), forest.scaled(np.full(4, 2.0)))
        assert same(forest.scaled(1), forest)

    def test_rounds_once(self) -> None:
        forest = stump(value=0.1)
        assert forest.scaled(1 / 3).value[1, 0] == np.float32(np.float64(np.float32(0.1)) / 3)


class TestCommonTrees:
    @UNHURRIED
    @given(library_trees(), library_trees(), library_trees())
    def test_are_those_both_begin_with(
        self, shared: list[LibraryTree], one: list[LibraryTree], other: list[LibraryTree]
    ) -> None:
        first, second = joined(shared + one), joined(shared + other)
        pairs = zip(shared + one, shared + other, strict=False)
        expected = 0
        for a, b in pairs:
            if not same(a.forest(), b.forest()):
                break
            expected += 1
        assert first.common(second) == second.common(first) == expected >= len(shared)

    @UNHURRIED
    @given(st.integers(0, 2**32), st.data())
    def test_end_at_the_first_bit_that_differs(self, seed: int, data: st.DataObject) -> None:
        rng = rng_of(seed)
        forest = joined([random_tree(rng, int(rng.integers(0, 6)), codes=9) for _ in range(6)])
        arrays = dict(forest.to_weights())
        names = [n for n in ("output", "threshold", "flags", "gain", "value", "categories") if arrays[n].size]
        name = data.draw(st.sampled_from(names))
        row = data.draw(st.integers(0, len(arrays[name]) - 1))
        changed = arrays[name].copy()
        changed.view(np.uint8).reshape(len(changed), -1)[row, 0] ^= 1  # the lowest bit
        ends = [len(forest.take(slice(t + 1)).to_weights()[name]) for t in range(6)]
        tree = sum(end <= row for end in ends)
        assert forest.common(Forest(**{**arrays, name: changed})) == tree

    def test_differ_by_the_sign_of_zero(self) -> None:
        assert stump(threshold=0.0).common(stump(threshold=-0.0)) == 0

    def test_of_another_shape_are_none(self) -> None:
        chain, balanced = random_tree(rng_of(0), 3, chain=True), random_tree(rng_of(5), 1)
        assert joined([chain]).common(joined([balanced])) == 0
        assert joined([balanced, chain]).common(joined([balanced, balanced])) == 1

    def test_with_nothing_are_none(self) -> None:
        forest = joined([random_tree(rng_of(0), 3)])
        assert forest.common(Forest.empty(1)) == Forest.empty(1).common(forest) == 0
        assert Forest.empty(1).common(Forest.empty(1)) == 0
        assert forest.common(Forest.empty(2)) == 0

    def test_of_another_width_are_none(self) -> None:
        one = random_tree(rng_of(0), 3)
        assert joined([one]).common(joined([replace(one, value=one.value.repeat(3, 1))], 3)) == 0

    def test_with_itself_are_all(self) -> None:
        forest = joined([random_tree(rng_of(i), i, codes=9) for i in range(5)])
        assert forest.common(received(forest)) == forest.common(forest) == 5
