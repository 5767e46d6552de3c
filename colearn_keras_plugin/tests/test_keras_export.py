"""Exported models: other programs read them and predict the same, and equal models are equal bytes."""

from __future__ import annotations

import builtins
import hashlib
import logging
import os
import random
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any
from zipfile import ZipFile

import keras
import numpy as np
import onnx
import onnxruntime  # type: ignore[import-untyped]
import pytest
from keras import layers
from numpy.typing import NDArray

from colearn_core.errors import ColearnError, UsageError
from colearn_keras_plugin.export import as_keras, as_onnx

Array = NDArray[Any]

BACKEND = keras.backend.backend()


def mlp() -> Any:
    return keras.Sequential([keras.Input((6,)), layers.Dense(8, "relu"), layers.Dense(8, "relu"), layers.Dense(3)])


def cnn() -> Any:
    return keras.Sequential(
        [
            keras.Input((8, 8, 1)),
            layers.Conv2D(4, 3, padding="same", activation="relu"),
            layers.MaxPooling2D(),
            layers.Conv2D(8, 3, strides=2),
            layers.Flatten(),
            layers.Dense(3),
        ]
    )


def resnet() -> Any:
    inputs = keras.Input((8, 8, 1))
    x = layers.Conv2D(8, 3, padding="same", use_bias=False)(inputs)
    for _ in range(2):
        branch = layers.ReLU()(layers.GroupNormalization(4)(x))
        x = layers.Add()([x, layers.Conv2D(8, 3, padding="same")(branch)])
    return keras.Model(inputs, layers.Dense(3)(layers.GlobalAveragePooling2D()(x)))


def normalised() -> Any:
    return keras.Sequential(
        [
            keras.Input((6,)),
            layers.Dense(8),
            layers.BatchNormalization(),
            layers.ReLU(),
            layers.Dropout(0.5),
            layers.Dense(3),
        ]
    )


def nested() -> Any:
    """Models in a model, names of a user's own, and a layer that is used twice."""
    inputs = keras.Input((6,), name="features")
    block = keras.Sequential([layers.Dense(6, "relu"), layers.Dense(6, name="dense_out")])
    x = block(block(inputs)) + inputs
    return keras.Model(inputs, layers.Dense(3, name="last")(keras.ops.tanh(x)), name="whole")


def reader() -> Any:
    return keras.Sequential(
        [keras.Input((7,), dtype="int32"), layers.Embedding(20, 4), layers.LSTM(5), layers.Dense(3)]
    )


@keras.saving.register_keras_serializable("colearn_tests")
class Own(keras.Model):  # type: ignore[misc]
    def __init__(self, width: int = 4) -> None:
        super().__init__()
        self.width = width
        self.blocks = [layers.Dense(width, "relu") for _ in range(2)]
        self.drop = layers.Dropout(0.5)
        self.last = layers.Dense(3)

    def call(self, x: Any, training: bool = False) -> Any:
        for block in self.blocks:
            x = block(x)
        return self.last(self.drop(x, training=training))

    def get_config(self) -> dict[str, Any]:
        return {"width": self.width}


def own() -> Any:
    model = Own()
    model(np.zeros((2, 6), np.float32))
    return model


MODELS = {make.__name__: make for make in (mlp, cnn, resnet, normalised, nested, reader, own)}


def filled(make: Callable[[], Any]) -> Any:
    """A model whose weights depend on its architecture only."""
    model = make()
    rng = np.random.default_rng(7)
    for variable in model.weights:
        values = rng.uniform(0.1, 0.6, variable.shape)
        variable.assign(values if "variance" in variable.path else values * rng.choice([-1, 1], variable.shape))
    return model


def weights_of(model: Any) -> list[Array]:
    return [plain(variable.value) for variable in model.weights]


def plain(tensor: Any) -> Array:
    """A copy, not by convert_to_numpy(), which numpy warns of."""
    return np.array((tensor.detach() if BACKEND == "torch" else tensor).numpy())


@pytest.fixture(params=MODELS)
def make(request: pytest.FixtureRequest) -> Callable[[], Any]:
    return MODELS[request.param]


def samples(model: Any, count: int) -> Array:
    rng = np.random.default_rng(count)
    if isinstance(model, Own):
        return rng.normal(size=(count, 6)).astype(np.float32)
    given = model.inputs[0]
    if given.dtype == "int32":
        return rng.integers(20, size=(count, *given.shape[1:])).astype(np.int32)
    return rng.normal(size=(count, *given.shape[1:])).astype(np.float32)


def outputs(model: Any, x: Array) -> Array:
    return plain(model(x, training=False))


def loaded(exported: bytes, folder: Path) -> Any:
    path = folder / "model.keras"
    path.write_bytes(exported)
    return keras.saving.load_model(path)


# ONNX


def test_onnx_gives_what_the_model_gives_for_any_number_of_samples(make: Callable[[], Any]) -> None:
    model = filled(make)
    session = onnxruntime.InferenceSession(as_onnx(model))
    for count in (1, 3, 300):
        x = samples(model, count)
        assert session.run(None, {"input": x})[0] == pytest.approx(outputs(model, x), abs=1e-5)


def test_onnx_is_well_formed_and_names_its_input_and_output(make: Callable[[], Any]) -> None:
    model = onnx.load_model_from_string(as_onnx(filled(make)))
    onnx.checker.check_model(model, full_check=True)
    (given,), (result,) = model.graph.input, model.graph.output
    assert (given.name, result.name) == ("input", "output")
    for value in (given, result):
        assert value.type.tensor_type.shape.dim[0].dim_param == "samples"
    assert result.type.tensor_type.shape.dim[1].dim_value == 3


def test_a_model_that_repeats_itself_keeps_what_its_inner_graphs_take_from_outside() -> None:
    def repeating() -> Any:
        inputs = keras.Input((5, 6))
        return keras.Model(inputs, layers.Dense(3)(layers.SimpleRNN(4)(inputs)))

    model = filled(repeating)
    x = samples(model, 3)
    (found,) = onnxruntime.InferenceSession(as_onnx(model)).run(None, {"input": x})
    assert found == pytest.approx(outputs(model, x), abs=1e-5)


@pytest.mark.skipif(BACKEND != "torch", reason="TensorFlow doesn't know how many samples there are")
def test_a_model_that_counts_samples_in_python_isnt_exported_as_something_else() -> None:
    class Counting(keras.Model):  # type: ignore[misc]
        def call(self, x: Any) -> Any:
            return x * len(x)

    model = Counting()
    model(np.zeros((1, 6), np.float32))
    with pytest.raises(ColearnError, match=r"Counting .*: what torch's tracing makes of it gives other outputs"):
        as_onnx(model)


class Unknown(layers.Layer):  # type: ignore[misc]
    def call(self, x: Any) -> Any:
        if BACKEND == "tensorflow":
            import tensorflow as tf

            return tf.math.betainc(abs(x), abs(x), 0.5)
        import torch

        return torch.special.i0e(x)


def test_what_onnx_has_no_operator_for_is_named() -> None:
    model = keras.Sequential([keras.Input((6,)), Unknown(), layers.Dense(3)], name="strange")
    with pytest.raises(
        ColearnError, match=r"Sequential 'strange' can't be exported to ONNX: .*(Betainc|i0e)"
    ) as raised:
        as_onnx(model)
    assert raised.value.__cause__ is not None


def test_models_of_several_inputs_arent_exported_to_onnx() -> None:
    inputs = [keras.Input((2,)), keras.Input((3,))]
    model = keras.Model(inputs, layers.Dense(3)(layers.Concatenate()(inputs)))
    with pytest.raises(ColearnError, match="it has 2 inputs, and one is supported"):
        as_onnx(model)


def test_a_model_that_was_never_called_is_named() -> None:
    with pytest.raises(ColearnError, match=r"Own 'own.*' can't be exported to ONNX: it hasn't been called"):
        as_onnx(Own())


@pytest.mark.parametrize("missing", ["onnx", "tf2onnx"] if BACKEND == "tensorflow" else ["onnx"])
def test_a_missing_package_is_named_with_what_to_install(missing: str, monkeypatch: pytest.MonkeyPatch) -> None:
    real = builtins.__import__

    def importing(name: str, *args: Any) -> Any:
        if name.partition(".")[0] == missing:
            raise ModuleNotFoundError(f"No module named {missing!r}", name=missing)
        return real(name, *args)

    monkeypatch.setattr(builtins, "__import__", importing)
    model = mlp()
    with pytest.raises(UsageError, match=f"{missing}, which isn't.*\n.*colearn-keras-plugin\\[onnx\\]") as raised:
        as_onnx(model)
    assert isinstance(raised.value.__cause__, ImportError)


def test_backends_that_cant_export_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keras.backend, "backend", lambda: "jax")
    with pytest.raises(UsageError, match="can't be exported to ONNX from the backend 'jax'"):
        as_onnx(mlp())


# Keras


def test_the_keras_format_is_read_by_keras_and_predicts_the_same(make: Callable[[], Any], tmp_path: Path) -> None:
    model = filled(make)
    again = loaded(as_keras(model), tmp_path)
    x = samples(model, 5)
    assert (outputs(again, x) == outputs(model, x)).all()
    assert all((a == b).all() for a, b in zip(weights_of(again), weights_of(model), strict=True))


def test_names_of_a_users_own_are_kept(tmp_path: Path) -> None:
    names = [layer.name for layer in loaded(as_keras(filled(nested)), tmp_path).layers]
    assert "last" in names
    assert loaded(as_keras(filled(nested)), tmp_path).get_layer("sequential").layers[-1].name == "dense_out"


def test_a_users_name_that_looks_like_keras_own_doesnt_clash(tmp_path: Path) -> None:
    def clashing() -> Any:
        inputs = keras.Input((6,))
        x = layers.Dense(6)(layers.Dense(6)(inputs))
        return keras.Model(inputs, layers.Dense(3)(layers.ReLU(name="dense_1")(x)))

    [filled(clashing) for _ in range(2)]
    model = filled(clashing)
    again = loaded(as_keras(model), tmp_path)
    x = samples(model, 4)
    assert (outputs(again, x) == outputs(model, x)).all()
    assert [layer.name for layer in again.layers] == ["input_layer", "dense", "dense_2", "dense_1", "dense_3"]


def test_nothing_of_the_last_training_gets_into_the_file(tmp_path: Path) -> None:
    untouched, trained = filled(normalised), filled(normalised)
    weights = weights_of(trained)
    trained.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    x = samples(trained, 8)
    trained.fit(x, np.zeros(8), verbose=0)
    trained.set_weights(weights)
    assert as_keras(trained) == as_keras(untouched)
    assert not loaded(as_keras(trained), tmp_path).compiled


def test_no_time_of_day_gets_into_the_file(tmp_path: Path) -> None:
    path = tmp_path / "model.keras"
    path.write_bytes(as_keras(mlp()))
    with ZipFile(path) as archive:
        assert b"date" not in archive.read("metadata.json")
        assert {entry.date_time[0] for entry in archive.infolist()} == {1980}
        assert archive.namelist() == sorted(archive.namelist())


def test_a_model_that_keeps_its_arguments_to_itself_is_named() -> None:
    class Secret(keras.Model):  # type: ignore[misc]
        def __init__(self, function: Any) -> None:
            super().__init__()
            self.last = layers.Dense(3)
            self.function = function

        def call(self, x: Any) -> Any:
            return self.function(self.last(x))

    model = Secret(object())
    model.function = lambda x: x
    model(np.zeros((1, 6), np.float32))
    with pytest.raises(ColearnError, match=r"Secret 'secret.*' can't be saved: .*\nGive each class .* get_config"):
        as_keras(model)


# Both


@pytest.mark.parametrize("export", [as_onnx, as_keras])
def test_equal_models_are_equal_bytes_whatever_the_process_built_before(
    make: Callable[[], Any], export: Callable[[Any], bytes]
) -> None:
    first = filled(make)
    exported = export(first)
    assert export(first) == exported
    for _ in range(10):
        make()  # numbers of layers get a second digit, which sorts them otherwise
    assert export(filled(make)) == exported


@pytest.mark.parametrize("export", [as_onnx, as_keras])
def test_other_weights_are_other_bytes(export: Callable[[Any], bytes]) -> None:
    model = filled(mlp)
    exported = export(model)
    model.set_weights([weight + 1 for weight in weights_of(model)])
    assert export(model) != exported


@pytest.mark.slow
def test_bytes_are_the_same_in_another_process_with_another_order_of_sets() -> None:
    code = (
        "import sys, hashlib; sys.path.insert(0, sys.argv[1]); import test_keras_export as t\n"
        "for make in t.MODELS.values():\n"
        "    model = t.filled(make)\n"
        "    print(*(hashlib.sha256(e(model)).hexdigest() for e in (t.as_onnx, t.as_keras)))\n"
    )
    expected = [
        " ".join(hashlib.sha256(export(filled(make))).hexdigest() for export in (as_onnx, as_keras))
        for make in MODELS.values()
    ]
    for seed in ("1", "2"):
        command = [sys.executable, "-c", code, str(Path(__file__).parent)]
        ran = subprocess.run(command, env=os.environ | {"PYTHONHASHSEED": seed}, capture_output=True, check=True)
        assert ran.stdout.decode().split("\n")[:-1] == expected


@pytest.mark.parametrize("export", [as_onnx, as_keras])
def test_exporting_leaves_no_trace(
    export: Callable[[Any], bytes],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    model = filled(normalised)
    weights, drawn = weights_of(model), random.getstate()
    handlers = list(logging.getLogger("tf2onnx").handlers)
    export(model)
    assert list(tmp_path.iterdir()) == []
    assert capsys.readouterr() == ("", "")
    assert all((a == b).all() for a, b in zip(weights, weights_of(model), strict=True))
    assert random.getstate() == drawn
    assert logging.getLogger("tf2onnx").handlers == handlers
