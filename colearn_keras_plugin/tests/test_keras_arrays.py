"""Data in every form that Keras users have them in, and what is said of data that can't be learned from."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import keras
import numpy as np
import pytest
from numpy.typing import NDArray

from colearn_core.data import Samples
from colearn_core.errors import DataError
from colearn_keras_plugin import arrays
from colearn_keras_plugin.arrays import arrays_of

Array = NDArray[Any]

RNG = np.random.default_rng(3)
X = RNG.normal(size=(10, 4)).astype(np.float32)
Y = RNG.integers(3, size=10)
ONE_HOT = np.eye(3, dtype=np.float32)[Y]


class Batches(keras.utils.PyDataset):  # type: ignore[misc]
    def __init__(self, *items: Any) -> None:
        super().__init__()
        self.items = items

    def __len__(self) -> int:
        return len(self.items)

    def __getitem__(self, number: int) -> Any:
        return self.items[number]


def slices(*arrays: Any) -> Any:
    tf = pytest.importorskip("tensorflow")
    return tf.data.Dataset.from_tensor_slices(arrays)


def torch_pair() -> Any:
    torch = pytest.importorskip("torch")
    return torch.tensor(X, requires_grad=True), torch.tensor(Y)


FORMS: dict[str, Any] = {
    "samples": lambda: Samples(X, Y),
    "arrays": lambda: (X.astype(np.float64), Y),
    "Fortran order": lambda: (np.asfortranarray(X), Y),
    "lists": lambda: (X.tolist(), Y.tolist()),
    "tensors": lambda: (keras.ops.convert_to_tensor(X), keras.ops.convert_to_tensor(Y)),
    "torch": torch_pair,
    "float classes": lambda: (X, Y.astype(np.float64)),
    "column": lambda: (X, Y[:, None]),
    "one-hot": lambda: (X, ONE_HOT),
    "one-hot booleans": lambda: (X, ONE_HOT.astype(bool)),
    "PyDataset": lambda: Batches((X[:7], Y[:7]), [X[7:], Y[7:]]),
    "PyDataset of one-hot": lambda: Batches((X[:7], ONE_HOT[:7]), (X[7:], ONE_HOT[7:])),
    "PyDataset of tensors": lambda: Batches((keras.ops.convert_to_tensor(X), keras.ops.convert_to_tensor(Y))),
    "tf.data": lambda: slices(X, Y),
    "tf.data, one-hot": lambda: slices(X, ONE_HOT),
    "tf.data, batches": lambda: slices(X, Y).batch(4),
    "tf.data, batches of one": lambda: slices(X, Y).batch(1),
    "tf.data, batches of known size": lambda: slices(X, Y).batch(5, drop_remainder=True),
    "tf.data, batches of one-hot": lambda: slices(X, ONE_HOT).batch(4),
    "tf.data, batches of columns": lambda: slices(X, Y[:, None]).batch(4).prefetch(1),
    "tf.data of unknown length": lambda: slices(X, Y).filter(lambda x, y: True).batch(4),
}


@pytest.mark.parametrize("form", FORMS)
def test_the_same_samples_in_every_form_are_the_same_arrays(form: str) -> None:
    found = arrays_of("train", FORMS[form](), 3)
    assert (found.x == X).all()
    assert (found.y == Y).all()
    assert found.x.dtype == np.float32
    assert found.y.dtype == np.int64
    assert found.x.flags.c_contiguous
    assert found.y.shape == (10,)


def from_generator(x: Any, y: Any, **described: Any) -> Any:
    tf = pytest.importorskip("tensorflow")
    return tf.data.Dataset.from_generator(lambda: iter([(x, y)]), **described)


def test_tf_data_that_declares_no_shapes_is_judged_by_its_first_element() -> None:
    types = {"output_types": ("float32", "int64")}
    assert (arrays_of("train", from_generator(X, Y, **types), 3).x == X).all()
    assert (arrays_of("train", from_generator(X[0], Y[0], **types), 3).x == X[:1]).all()


@pytest.mark.parametrize("y", [X[:, 0], X[:, :1].astype(np.float64), X[:, 0].tolist()])
def test_values_become_float32(y: Any) -> None:
    found = arrays_of("train", (X, y), None)
    assert found.y.dtype == np.float32
    assert (found.y == X[:, 0]).all()


@pytest.mark.parametrize("dtype", [np.int64, np.uint8, np.int32])
def test_integers_stay_integers_as_embeddings_take_them(dtype: Any) -> None:
    words = RNG.integers(200, size=(10, 5)).astype(dtype)
    for data in ((words, Y), (words.tolist(), Y), Batches((words, Y)), slices(words, Y)):
        found = arrays_of("train", data, 3)
        assert found.x.dtype == np.int32
        assert (found.x == words).all()


def test_half_precision_becomes_float32() -> None:
    x = keras.ops.cast(X, "bfloat16")
    found = arrays_of("train", (x, Y), 3).x
    assert found.dtype == np.float32
    assert found == pytest.approx(X, rel=1e-2)


def test_later_changes_of_the_callers_arrays_dont_reach_the_learner() -> None:
    x, y, values = X.copy(), Y.copy(), X[:, 0].copy()
    classes, regression = arrays_of("train", (x, y), 3), arrays_of("train", Samples(x, values), None)
    x[:], y[:], values[:] = 0, 0, 0
    assert (classes.x == X).all()
    assert (classes.y == Y).all()
    assert (regression.y == X[:, 0]).all()


def test_a_set_may_use_the_memory_of_its_batches_again() -> None:
    x, y = np.empty((5, 4), np.float32), np.empty(5, np.int64)

    class Reusing(Batches):
        def __getitem__(self, number: int) -> Any:
            x[:], y[:] = X[5 * number : 5 * number + 5], Y[5 * number : 5 * number + 5]
            return x, y

    found = arrays_of("train", Reusing(0, 1), 3)
    assert (found.x == X).all()
    assert (found.y == Y).all()


def test_a_learner_may_have_nothing_to_test_on() -> None:
    assert len(arrays_of("test", Samples(X[:0], Y[:0]), 3)) == 0


def spoiled(value: float) -> Array:
    x = X.copy()
    x[2, 1] = x[5, 0] = value
    return x


WRONG: dict[str, tuple[Any, int | None, str]] = {
    "a string": (lambda: "mnist", 3, "the vote data are str\nPass a pair of arrays"),
    "words": (lambda: (X, ["cat"] * 10), 3, "the vote data are no numbers, but <U3"),
    "rows of several lengths": (lambda: ([[1.0], [1.0, 2.0]], [0, 1]), 3, "the vote data are no arrays of numbers"),
    "lengths": (lambda: (X[:9], Y), 3, "the vote data have 9 samples and 10 targets"),
    "one target": (lambda: (X, 1), 3, "the vote data have 10 samples and no targets"),
    "flat features": (lambda: (X[:, 0], Y), 3, r"the vote features need a row for each sample; their shape is \(10,\)"),
    "nan": (lambda: (spoiled(np.nan), Y), 3, "the vote features hold 2 values that aren't finite"),
    "too large for float32": (
        lambda: (X.astype(np.float64) * 1e300, Y),
        3,
        "the vote features hold 40 values that aren't finite in flo",
    ),
    "too large for int32": (lambda: ([[1 << 40]], [0]), 3, "integers as large as 1099511627776, which int32 can't"),
    "nan values": (lambda: (X, spoiled(np.nan)[:, 0]), None, "the vote targets hold 1 values that aren't finite"),
    "class out of range": (lambda: (X, Y + 1), 3, "the vote targets hold 3; class numbers go from 0 to 2"),
    "negative class": (lambda: (X, Y - 1), 3, "the vote targets hold -1; class numbers go from 0 to 2"),
    "half a class": (lambda: (X, Y + 0.5), 3, r"the vote targets hold [0-2]\.5; class numbers"),
    "nan as a class": (lambda: (X, spoiled(np.nan)[:, 1]), 3, "class numbers go from 0 to 2"),
    "shares": (lambda: (X, ONE_HOT * 0.9), 3, "have 3 columns, but 10 of 10 rows aren't one-hot; row 0 is the first"),
    "several labels": (lambda: (X, np.maximum(ONE_HOT, [1, 0, 0])), 3, "rows aren't one-hot"),
    "too many columns": (lambda: (X, np.eye(4)[Y]), 3, r"the vote targets have the shape \(10, 4\); one for each"),
    "several values": (lambda: (X, X), None, r"the vote targets have the shape \(10, 4\); one for each sample"),
    "weights": (lambda: (X, Y, np.ones(10)), 3, "the vote data give weights of samples"),
    "PyDataset with weights": (lambda: Batches((X, Y, Y)), 3, "the vote data give weights of samples"),
    "tf.data with weights": (lambda: slices(X, Y, Y).batch(4), 3, "the vote data give weights of samples"),
    "features only": (lambda: Batches(X), 3, "the vote data give ndarray, and not pairs of samples and targets"),
    "tf.data, features only": (lambda: slices(X).batch(2), 3, "the vote data give 1 things, and not pairs"),
    "inputs": (lambda: ((X, X), Y), 3, "the vote features are a tuple of 2, for a model of several inputs"),
    "named inputs": (lambda: ({"a": X, "b": X}, Y), 3, "the vote features are a dict of 2, for a model of several"),
    "listed inputs": (lambda: ([X, X], Y), 3, "the vote features are a list of 2, for a model of several inputs"),
    "PyDataset of inputs": (lambda: Batches(((X, X), Y)), 3, "the vote features are a tuple of 2, for a model of s"),
    "PyDataset of listed inputs": (lambda: Batches(([X, X], Y)), 3, "the vote features are a list of 2"),
    "tf.data of inputs": (lambda: slices((X, X), Y), 3, "the vote features are a tuple of 2, for a model of several"),
    "tf.data of named inputs": (lambda: slices({"a": X}, Y).batch(4), 3, "the vote features are a dict of 1"),
    "empty PyDataset": (lambda: Batches(), 3, "the vote data set is empty"),
    "empty batches": (lambda: Batches((X[:0], Y[:0])), 3, "the vote data set is empty"),
    "empty tf.data": (lambda: slices(X, Y).take(0), 3, "the vote data set is empty"),
    "shapes that differ": (lambda: Batches((X, Y), (X[:, :2], Y)), 3, "the vote samples, or targets, aren't of equal"),
    "lengths in a batch": (lambda: Batches((X, Y[:9]), (X[:9], Y)), 3, r"samples of shape \(10, 4\) and targets of sh"),
    "endless": (lambda: slices(X, Y).repeat(), 3, r"the vote tf.data set has no end\nLeave out repeat\(\)"),
    "ambiguous": (lambda: slices(X, Y).batch(3, drop_remainder=True), 3, r"may be a batch of 3 .*\n.*batch\(32\)"),
}


@pytest.mark.parametrize("case", WRONG)
def test_what_cant_be_learned_from_is_named_with_its_part(case: str) -> None:
    data, classes, message = WRONG[case]
    with pytest.raises(DataError, match=message):
        arrays_of("vote", data(), classes)


def test_tf_data_that_is_endless_without_saying_so_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    endless = slices(X, Y).repeat().filter(lambda x, y: True)
    monkeypatch.setattr(arrays, "LARGEST_UNSIZED", 1000)
    with pytest.raises(DataError, match=r"gives more than 1,000 samples or .*; is it endless\?\nAdd take\(count\)"):
        arrays_of("train", endless, 3)
    monkeypatch.setattr(arrays, "LARGEST_UNSIZED", 10**9)
    monkeypatch.setattr(arrays, "LARGEST_UNSIZED_BYTES", 16000)
    with pytest.raises(DataError, match="or 16,000 bytes; is it endless"):
        arrays_of("train", endless.batch(8), 3)


def test_large_tf_data_that_says_its_length_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    tf = pytest.importorskip("tensorflow")
    monkeypatch.setattr(arrays, "LARGEST_UNSIZED", 5)
    unsized = slices(X, Y).filter(lambda x, y: True)
    sized = unsized.apply(tf.data.experimental.assert_cardinality(10))
    assert len(arrays_of("train", sized, 3)) == 10


def test_a_py_dataset_without_an_end_is_noticed() -> None:
    class Endless(Batches):
        @property
        def num_batches(self) -> None:
            return None

    with pytest.raises(DataError, match="the test Endless says that it has no end\nGive it __len__"):
        arrays_of("test", Endless((X, Y)), 3)


def test_a_py_dataset_that_doesnt_say_its_length_is_noticed() -> None:
    class Unsized(keras.utils.PyDataset):  # type: ignore[misc]
        def __getitem__(self, number: int) -> Any:
            return X, Y

    with pytest.raises(DataError, match="Unsized, the test data, doesn't say how many batches it has\nGive it __len__"):
        arrays_of("test", Unsized(), 3)


def test_what_tf_data_fails_of_is_told_with_the_part() -> None:
    tf = pytest.importorskip("tensorflow")

    def failing() -> Iterator[Any]:
        yield X[0], Y[0]
        raise KeyError("no such picture")

    spec = (tf.TensorSpec((4,), tf.float32), tf.TensorSpec((), tf.int64))
    with pytest.raises(DataError, match=r"the train tf\.data set can't be read: .*no such picture") as raised:
        arrays_of("train", tf.data.Dataset.from_generator(failing, output_signature=spec), 3)
    assert raised.value.__cause__ is not None
