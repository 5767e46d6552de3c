"""Weights: immutable, compared by digest, carried as safetensors, and what is done to them element by element."""

from __future__ import annotations

import copy
import json
import struct
from contextlib import suppress
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.typing import NDArray

from colearn_core.errors import WeightsError
from colearn_core.weights import Weights, interpolate, mean, median

Array = NDArray[Any]
DTYPES = ("f8", "f4", "f2", "i8", "i4", "i2", "i1", "u8", "u4", "u2", "u1", "?")
SHAPES = hnp.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=4)
NAMES = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=8).filter("__metadata__".__ne__)
BYTE_ORDERS = st.sampled_from("<>")


def any_array() -> st.SearchStrategy[Array]:
    kinds = st.builds(lambda order, code: np.dtype(order + code), BYTE_ORDERS, st.sampled_from(DTYPES))
    return kinds.flatmap(lambda dtype: hnp.arrays(dtype, SHAPES))


def bits(array: Array) -> bytes:
    return array.astype(array.dtype.newbyteorder("<")).tobytes()


def vector(*values: float, dtype: str = "f8") -> Weights:
    return Weights({"w": np.array(values, dtype=dtype)})


def values_of(weights: Weights) -> list[Any]:
    return list(weights["w"].tolist())


# Immutability


def test_arrays_are_read_only_and_none_can_be_set() -> None:
    weights: Any = vector(1, 2)
    with pytest.raises(ValueError, match="read-only"):
        weights["w"][0] = 5
    with pytest.raises(TypeError):
        weights["w"] = np.zeros(2)
    with pytest.raises(TypeError):
        del weights["w"]


def test_arrays_are_copied_so_the_giver_keeps_its_own() -> None:
    mine = np.array([1.0, 2.0])
    weights = Weights({"w": mine})
    mine[0] = 5
    assert values_of(weights) == [1, 2]


def test_arrays_that_are_handed_over_are_frozen_without_a_copy() -> None:
    mine = np.array([1.0, 2.0])
    weights = Weights({"w": mine}, copy=False)
    assert np.shares_memory(weights["w"], mine)
    with pytest.raises(ValueError, match="read-only"):
        mine[0] = 5


def test_a_copy_of_weights_is_immutable_too() -> None:
    weights = vector(1, 2)
    copied = copy.deepcopy(weights)
    assert copied == weights
    with pytest.raises(ValueError, match="read-only"):
        copied["w"][0] = 5


def test_arrays_become_contiguous_and_native() -> None:
    given_array = np.arange(6, dtype=">i4").reshape(2, 3).T
    array = Weights({"w": given_array}, copy=False)["w"]
    assert array.flags.c_contiguous
    assert array.dtype.isnative
    assert array.tolist() == given_array.tolist()


def test_weights_are_a_mapping_sorted_by_name() -> None:
    weights = Weights({"b": np.zeros((2, 3)), "a": np.ones(4, dtype="f4")})
    assert list(weights) == ["a", "b"]
    assert (len(weights), weights.size) == (2, 10)
    assert repr(weights) == "Weights(a: float32[4], b: float64[2, 3])"


# Names and types


@pytest.mark.parametrize("name", ["", "__metadata__", 7])
def test_a_name_that_cannot_travel_is_refused(name: Any) -> None:
    with pytest.raises(WeightsError, match="no name for an array"):
        Weights({name: np.zeros(1)})


@pytest.mark.parametrize("names", [("a", 7), ("a", None)])
def test_a_name_that_is_no_text_is_refused_among_others(names: tuple[Any, ...]) -> None:
    with pytest.raises(WeightsError, match="no name for an array"):
        Weights({name: np.zeros(1) for name in names})


def test_a_name_that_is_no_unicode_is_refused() -> None:
    with pytest.raises(WeightsError, match="no name for an array"):
        Weights({"\ud800": np.zeros(1)})


@pytest.mark.parametrize("value", ["text", None, 1j, np.longdouble(1), np.datetime64("2020-01-01")])
def test_a_type_that_cannot_travel_is_refused_with_the_name(value: Any) -> None:
    with pytest.raises(WeightsError, match=r"'fc1' has type .*; weights are float64, float32"):
        Weights({"fc1": value})


# Digest and equality


def test_the_digest_is_the_same_on_every_machine_and_in_every_version() -> None:
    weights = Weights(
        {
            "layer.weight": np.array([[1.0, -2.5], [0.0, 3.25]], dtype="f4"),
            "bias": np.array([1, 2, 3], dtype="i8"),
            "flag": np.array(True),
        }
    )
    assert weights.digest == "ed17698ca914e551ac072e867e65762617319808e694b4c053c100ca1c060503"


@given(st.dictionaries(NAMES, any_array(), max_size=4), st.randoms())
def test_the_digest_depends_neither_on_insertion_order_nor_on_memory_layout(
    arrays: dict[str, Array], random: Any
) -> None:
    names = list(arrays)
    random.shuffle(names)
    other = Weights({name: _elsewhere(arrays[name]) for name in names})
    weights = Weights(arrays)
    assert other.digest == weights.digest
    assert other == weights
    assert hash(other) == hash(weights)


def _elsewhere(array: Array) -> Array:
    """The same values in the other byte order, and with gaps in memory."""
    swapped = array.astype(array.dtype.newbyteorder("S"))
    spaced = np.zeros((*array.shape, 2), dtype=swapped.dtype)
    spaced[..., 1] = swapped
    view: Array = spaced[..., 1]
    return view


@pytest.mark.parametrize(
    "other",
    [
        {"v": np.array([1.0, 0.0])},
        {"w": np.array([1.0, 0.0], dtype="f4")},
        {"w": np.array([[1.0, 0.0]])},
        {"w": np.array([[1.0], [0.0]])},
        {"w": np.array([0.0, 1.0])},
        {"w": np.array([1.0, -0.0])},
        {"w": np.array([1.0])},
        {"w": np.array([1.0, 0.0]), "x": np.zeros(0)},
        {"w": np.array([1.0, 0.0]).view("i8")},
        {},
    ],
    ids=lambda other: repr(other),
)
def test_the_digest_tells_apart_names_types_shapes_and_values(other: dict[str, Array]) -> None:
    weights = vector(1, 0)
    assert Weights(other).digest != weights.digest
    assert Weights(other) != weights


def test_the_digest_keeps_neighbouring_arrays_apart() -> None:
    one = Weights({"a": np.array([1, 2], dtype="u1"), "b": np.array([3], dtype="u1")})
    two = Weights({"a": np.array([1], dtype="u1"), "b": np.array([2, 3], dtype="u1")})
    assert one.digest != two.digest


def test_weights_with_the_same_nan_are_equal_and_other_things_are_not() -> None:
    assert vector(np.nan) == vector(np.nan)
    assert vector(1) != {"w": np.array([1.0])}


# safetensors


@given(st.dictionaries(NAMES, any_array(), max_size=4))
def test_bytes_come_back_as_the_same_weights(arrays: dict[str, Array]) -> None:
    weights = Weights(arrays)
    data = weights.to_bytes()
    again = Weights.from_bytes(data)
    assert list(again) == sorted(arrays)
    for name, array in arrays.items():
        assert again[name].dtype == array.dtype.newbyteorder("=")
        assert again[name].shape == array.shape
        assert bits(again[name]) == bits(array)
        assert not again[name].flags.writeable
    assert again.digest == weights.digest
    assert again.to_bytes() == data


def test_the_bytes_are_a_safetensors_file() -> None:
    data = vector(1.5, dtype="f4").to_bytes()
    (length,) = struct.unpack("<Q", data[:8])
    assert json.loads(data[8 : 8 + length]) == {"w": {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]}}
    assert data[8 + length :] == struct.pack("<f", 1.5)


@given(st.binary(max_size=64))
def test_bytes_of_anything_else_are_refused(data: bytes) -> None:
    with pytest.raises(WeightsError, match=f"these {len(data)} bytes are not weights"):
        Weights.from_bytes(data)


@given(st.data())
def test_damaged_bytes_give_weights_or_a_refusal_and_nothing_else(data: st.DataObject) -> None:
    whole = bytearray(Weights({"a": np.arange(3.0), "b": np.array([True])}).to_bytes())
    for _ in range(data.draw(st.integers(1, 3))):
        whole[data.draw(st.integers(0, len(whole) - 1))] = data.draw(st.integers(0, 255))
    end = data.draw(st.integers(0, len(whole)))
    with suppress(WeightsError):
        Weights.from_bytes(bytes(whole[:end])).check_finite()


@pytest.mark.parametrize("kind", ["BF16", "C64", "F8_E4M3", "no type"])
def test_types_that_numpy_lacks_are_refused(kind: str) -> None:
    size = {"BF16": 2, "C64": 8}.get(kind, 1)
    header = json.dumps({"a": {"dtype": kind, "shape": [1], "data_offsets": [0, size]}}).encode()
    with pytest.raises(WeightsError):
        Weights.from_bytes(struct.pack("<Q", len(header)) + header + bytes(size))


@pytest.mark.parametrize("data", [b"\x80\x04N.", vector(1).to_bytes()[:-1], vector(1).to_bytes() + b"x"])
def test_pickles_and_files_cut_or_lengthened_are_refused(data: bytes) -> None:
    with pytest.raises(WeightsError):
        Weights.from_bytes(data)


# Checks


@pytest.mark.parametrize("dtype", ["f2", "f4", "f8"])
@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_check_finite_names_the_array_and_counts(dtype: str, bad: float) -> None:
    weights = Weights({"a": np.zeros(3), "fc1.weight": np.array([[1, bad], [bad, 1]], dtype=dtype)})
    with pytest.raises(WeightsError, match=r"non-finite values in 'fc1\.weight' \(2 of 4\)"):
        weights.check_finite()


@pytest.mark.parametrize("dtype", ["f2", "f4", "f8"])
def test_check_finite_lets_the_largest_numbers_pass(dtype: str) -> None:
    largest = np.finfo(dtype).max
    Weights({"a": np.array([largest, -largest] * 3, dtype=dtype)}).check_finite()
    Weights({"i": np.array([-(2**63)]), "b": np.array([True]), "e": np.zeros(0), "s": np.array(1.0)}).check_finite()


def test_check_like_passes_weights_of_the_same_form() -> None:
    vector(1, 2).check_like(vector(np.nan, 4))


@pytest.mark.parametrize(
    ("other", "message"),
    [
        ({"v": np.zeros(2)}, r"missing \['w'\], unexpected \['v'\]"),
        ({}, r"missing \['w'\], unexpected \[\]"),
        ({"w": np.zeros(2), "x": np.zeros(1)}, r"missing \[\], unexpected \['x'\]"),
        ({"w": np.zeros(3)}, r"'w' is float64\[3\], the model has float64\[2\]"),
        ({"w": np.zeros((2, 1))}, r"'w' is float64\[2, 1\], the model has float64\[2\]"),
        ({"w": np.zeros(2, dtype="f4")}, r"'w' is float32\[2\], the model has float64\[2\]"),
    ],
)
def test_check_like_names_what_does_not_fit(other: dict[str, Array], message: str) -> None:
    with pytest.raises(WeightsError, match=message):
        Weights(other).check_like(vector(1, 2))


# Arithmetic


FINITE = hnp.arrays(
    st.sampled_from(["f8", "f4", "f2"]), 3, elements=st.floats(-1000, 1000, width=16), fill=st.nothing()
)
SHARES = st.lists(st.floats(0.01, 1000), min_size=1, max_size=5)


@given(FINITE, SHARES)
def test_the_mean_of_equal_weights_is_the_same_to_the_bit(array: Array, shares: list[float]) -> None:
    weights = Weights({"w": array, "trees": np.array([1, 2], dtype="u1"), "flag": np.array(True)})
    assert mean([weights] * len(shares), shares) == weights
    assert mean([weights] * len(shares)) == weights


def test_the_mean_keeps_the_sign_of_a_common_zero() -> None:
    assert mean([vector(-0.0), vector(-0.0)]) == vector(-0.0)


def test_the_mean_takes_all_alike_or_by_shares_that_need_not_add_up_to_one() -> None:
    assert values_of(mean([vector(0, 1), vector(4, 5)])) == [2, 3]
    assert values_of(mean([vector(0, 1), vector(4, 5)], [3, 1])) == [1, 2]
    assert values_of(mean([vector(0, 1), vector(4, 5)], [300, 100])) == [1, 2]
    assert values_of(mean([vector(0), vector(6), vector(9)], [1, 1, 0])) == [3]


@given(st.lists(st.tuples(st.floats(-100, 100), st.floats(0.01, 10)), min_size=1, max_size=6))
def test_the_mean_is_the_weighted_mean(pairs: list[tuple[float, float]]) -> None:
    values, shares = zip(*pairs, strict=True)
    result = mean([vector(v) for v in values], shares)["w"][0]
    assert result == pytest.approx(np.average(values, weights=shares), abs=1e-9)


def test_the_mean_is_computed_in_double_precision_and_given_in_the_type_of_the_model() -> None:
    result = mean([vector(3e38, dtype="f4"), vector(-3e38, dtype="f4"), vector(3, dtype="f4")])
    assert result["w"].dtype == np.float32
    assert values_of(result) == [1]
    # 60000 and -60000 are 120000 apart, more than half precision can hold.
    assert values_of(mean([vector(60000, dtype="f2"), vector(-60000, dtype="f2")])) == [0]
    thousand = mean([vector(2048, dtype="f2")] + [vector(2050, dtype="f2")] * 999)
    assert values_of(thousand) == [2050]


def test_shares_that_are_all_zero_are_refused() -> None:
    with pytest.raises(WeightsError):
        mean([vector(1), vector(2)], [0, 0])


def test_the_median_is_taken_for_each_coordinate() -> None:
    assert values_of(median([vector(1, 9, 5), vector(2, 8, 1e9), vector(300, 7, 6)])) == [2, 8, 6]
    even = median([vector(1, 0, dtype="f4"), vector(2, 4, dtype="f4")])
    assert (values_of(even), even["w"].dtype) == ([1.5, 2], np.dtype("f4"))


@given(st.floats(-10, 10), FINITE, st.integers(0, 2**32 - 1))
def test_interpolation_goes_from_the_start_towards_the_end(step: float, array: Array, seed: int) -> None:
    start = Weights({"w": array.astype("f8")})
    end = Weights({"w": np.random.default_rng(seed).normal(size=3)})
    expected = (1 - step) * start["w"] + step * end["w"]
    np.testing.assert_allclose(interpolate(start, end, step)["w"], expected, rtol=1e-9, atol=1e-7)


@pytest.mark.parametrize("dtype", ["f2", "f4", "f8"])
def test_interpolation_by_nothing_is_the_start_and_by_one_the_end_to_the_bit(dtype: str) -> None:
    start, end = vector(3e4, 0.1, -0.0, dtype=dtype), vector(1.1, 0.3, -0.0, dtype=dtype)
    assert interpolate(start, end, 0) == start
    assert interpolate(start, end, 1) == end


INTEGERS = [Weights({"w": np.ones(1), "n": np.array([value])}) for value in (3, 4)]
BOOLEANS = [Weights({"w": np.ones(1), "n": np.array([value])}) for value in (True, False)]


@pytest.mark.parametrize("pair", [INTEGERS, BOOLEANS], ids=["integers", "booleans"])
def test_integers_that_differ_have_no_mean_and_the_error_says_what_to_do(pair: list[Weights]) -> None:
    with pytest.raises(WeightsError, match=r"'n' holds (int64|bool) values that differ(.|\n)*override combine"):
        mean(pair)
    with pytest.raises(WeightsError, match="'n' holds"):
        median(pair)
    with pytest.raises(WeightsError, match="'n' holds"):
        interpolate(pair[0], pair[1], 0.5)


def test_integers_that_agree_are_kept() -> None:
    result = mean([Weights({"w": np.array([v]), "n": np.array([3])}) for v in (1.0, 2.0)])
    assert (values_of(result), result["n"].tolist()) == ([1.5], [3])


def test_weights_of_different_models_have_no_mean() -> None:
    with pytest.raises(WeightsError, match=r"'w' is float64\[2\], the model has float64\[1\]"):
        mean([vector(1), vector(1, 2)])


def test_the_mean_leaves_what_it_is_made_of_alone() -> None:
    one, two = vector(1), vector(3)
    result = mean([one, two])
    assert (values_of(one), values_of(two)) == ([1], [3])
    assert not result["w"].flags.writeable
