"""Trained models as files that others read: ONNX, and Keras' own format.

Equal models give equal bytes: the numbers that Keras gives to layers without a name, which depend on what else the
process has built, and times of day don't get into them.
"""

from __future__ import annotations

import json
import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from io import BytesIO
from itertools import count
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Lock
from typing import Any
from zipfile import ZipFile, ZipInfo

import h5py  # type: ignore[import-untyped]

from colearn_core.errors import ColearnError, UsageError

from .backend import keras
from .onnx_names import renamed

OPSET = 15
"""Version of ONNX's operators: what tf2onnx writes by itself, and ONNX Runtime reads since 1.10."""

ONNX_BACKENDS = ("tensorflow", "torch")

WEIGHTS = "model.weights.h5"

TRAINING_STATE = "optimizer"
"""Where weights of a compiled model have what its optimizer remembers of the last training, whoever's that was."""

_ALONE = Lock()
"""Filters of warnings, and loggers, are global to the process."""


def as_onnx(model: keras.Model) -> bytes:
    """The model as ONNX, whose ``input`` and ``output`` take one sample or more.

    Its outputs are the model's own: for classes logits, if these are what it was trained to give.

    Args:
        model: it's built, and has the weights to export.

    Raises:
        UsageError: a package isn't installed, or Keras runs on a backend that can't export.
        ColearnError: the model can't be exported; the message names it and the cause.
    """
    backend = keras.backend.backend()
    if backend not in ONNX_BACKENDS:
        raise UsageError(
            f"Keras models can't be exported to ONNX from the backend {backend!r}",
            hint=f"Take the format 'keras', and load it with KERAS_BACKEND={ONNX_BACKENDS[0]}.",
        )
    _check_installed(backend)
    with _quietly("tf2onnx") as said:
        try:
            shape, dtype = _input(model)
            written = (_traced_by_tensorflow if backend == "tensorflow" else _traced_by_torch)(model, shape, dtype)
            return renamed(written, type(model).__name__)
        except Exception as error:
            cause = said[0] if said else _first_line(error)
            raise ColearnError(
                f"{_title(model)} can't be exported to ONNX: {cause}",
                hint="Take the format 'keras', which keeps the layers as they are.",
            ) from error


def as_keras(model: keras.Model) -> bytes:
    """The model in Keras' own format, for ``keras.saving.load_model``; it's not compiled.

    Args:
        model: it's built, and has the weights to export.

    Raises:
        ColearnError: a part of the model can't be saved; the message names the model and the cause.
    """
    with _quietly(), TemporaryDirectory() as folder:
        path = Path(folder) / "model.keras"
        try:
            model.save(path)
        except Exception as error:
            raise ColearnError(
                f"{_title(model)} can't be saved: {_first_line(error)}",
                hint="Give each class of its own get_config(), which returns the arguments of its constructor.",
            ) from error
        with ZipFile(path) as archive:
            entries = {name: archive.read(name) for name in archive.namelist()}
    metadata = json.loads(entries["metadata.json"])
    del metadata["date_saved"]
    entries["metadata.json"] = json.dumps(metadata).encode()
    entries["config.json"] = json.dumps(_plain_config(json.loads(entries["config.json"]))).encode()
    entries[WEIGHTS] = _plain_weights(entries[WEIGHTS])
    return _zipped(entries)


# ONNX


def _traced_by_tensorflow(model: keras.Model, shape: tuple[int | None, ...], dtype: str) -> bytes:
    # Not by model.export(): that wants a model that was called, and sets an attribute of numpy for an older tf2onnx.
    import tensorflow as tf
    import tf2onnx
    from tf2onnx.graph import GraphUtil

    signature = [tf.TensorSpec((None, *shape), dtype, name="input")]
    forward = tf.function(lambda x: model(x, training=False), input_signature=signature, autograph=False)
    proto, _ = tf2onnx.convert.from_function(forward, input_signature=signature, opset=OPSET)
    # The first time it's left to the order of Python's sets whether what a Flatten asks of shapes becomes a constant.
    written: bytes = GraphUtil.optimize_model_proto(proto).SerializeToString(deterministic=True)
    return written


def _traced_by_torch(model: keras.Model, shape: tuple[int | None, ...], dtype: str) -> bytes:
    signature = [keras.InputSpec(shape=(None, *shape), dtype=dtype, name="input")]
    with TemporaryDirectory() as folder:
        path = Path(folder) / "model.onnx"
        model.export(path, format="onnx", verbose=False, input_signature=signature)
        _check_trace(model, shape, dtype)
        return path.read_bytes()


def _check_trace(model: keras.Model, shape: tuple[int | None, ...], dtype: str) -> None:
    """Raise ValueError if the model computes in Python, such as by ``len(x)``, what is a constant in torch's traces."""
    import torch

    one, three = (keras.ops.ones((samples, *(axis or 1 for axis in shape)), dtype) for samples in (1, 3))
    with torch.no_grad():
        expected = model(three, training=False)
        try:
            found = torch.jit.trace(model, one, check_trace=False)(three)  # type: ignore[no-untyped-call]
        except RuntimeError as error:
            raise ValueError(f"what torch's tracing makes of it can't take {len(three)} samples") from error
    if found.shape != expected.shape or not torch.allclose(found, expected, rtol=1e-3, atol=1e-3, equal_nan=True):
        raise ValueError(f"what torch's tracing makes of it gives other outputs for {len(three)} samples")


def _input(model: keras.Model) -> tuple[tuple[int | None, ...], str]:
    """The shape of one sample, and the type of its numbers."""
    if inputs := getattr(model, "inputs", None):
        if len(inputs) > 1:
            raise ValueError(f"it has {len(inputs)} inputs, and one is supported")
        return tuple(inputs[0].shape[1:]), inputs[0].dtype
    built = model.get_build_config() or {}
    shape = built.get("input_shape")
    if not isinstance(shape, tuple | list) or not all(axis is None or isinstance(axis, int) for axis in shape):
        raise ValueError("it hasn't been called on samples yet, or has several inputs")
    return tuple(shape[1:]), model.input_dtype


def _check_installed(backend: str) -> None:
    needed = ("onnx", "tf2onnx") if backend == "tensorflow" else ("onnx",)
    try:
        for name in needed:
            __import__(name)
    except ModuleNotFoundError as error:
        if error.name not in needed:
            raise
        raise UsageError(
            f"the format 'onnx' needs the package {error.name}, which isn't installed",
            hint='pip install "colearn-keras-plugin[onnx]"',
        ) from error


# Keras' own format


def _plain_config(config: dict[str, Any]) -> dict[str, Any]:
    """The architecture, without how it was compiled and with names as in a process that built nothing else."""
    config = config | {"compile_config": {}}
    named = list(_named(config))
    chosen = {name for kind, name in named if not _is_automatic(kind, name)}
    numbers: dict[str, Iterator[int]] = {}
    names: dict[str, str] = {}
    for kind, name in named:
        if name in names or not _is_automatic(kind, name):
            continue
        stem = _stem(name)
        fresh = (f"{stem}_{number}" if number else stem for number in numbers.setdefault(stem, count()))
        names[name] = next(found for found in fresh if found not in chosen)
    plain: dict[str, Any] = _replaced(config, names, {})
    return plain


def _named(config: Any) -> Iterator[tuple[str, str]]:
    """Class and name of all layers, in order."""
    if isinstance(config, dict):
        inner = config.get("config")
        if isinstance(inner, dict) and isinstance(inner.get("name"), str) and "class_name" in config:
            yield config["class_name"], inner["name"]
        for value in config.values():
            yield from _named(value)
    elif isinstance(config, list):
        for value in config:
            yield from _named(value)


def _is_automatic(kind: str, name: str) -> bool:
    """Whether Keras made this name of the layer's class: ``conv2d_3`` of ``Conv2D``."""
    return _stem(name).replace("_", "") == kind.replace("_", "").lower()


def _stem(name: str) -> str:
    stem, _, number = name.rpartition("_")
    return stem if stem and number.isdigit() else name


def _replaced(config: Any, names: dict[str, str], objects: dict[int, int]) -> Any:
    """The same with other names of layers; objects that are shared are numbered in order, and not by address."""
    if isinstance(config, list):
        if len(config) == 3 and isinstance(config[0], str) and all(isinstance(axis, int) for axis in config[1:]):
            return [names.get(config[0], config[0]), *config[1:]]  # layer, node and output
        return [_replaced(value, names, objects) for value in config]
    if not isinstance(config, dict):
        return config
    found = {key: _replaced(value, names, objects) for key, value in config.items()}
    if isinstance(config.get("name"), str):
        found["name"] = names.get(config["name"], config["name"])
    if "shared_object_id" in config:
        found["shared_object_id"] = objects.setdefault(config["shared_object_id"], len(objects))
    return found


def _plain_weights(written: bytes) -> bytes:
    """The same weights, without the state of training, and with groups named as Keras finds them again."""
    plain = BytesIO()
    with h5py.File(BytesIO(written)) as source, h5py.File(plain, "w") as target:
        for name in sorted(set(source) - {TRAINING_STATE}):
            _copy(source[name], target, name)
    return plain.getvalue()


def _copy(source: Any, target: Any, name: str) -> None:
    if isinstance(source, h5py.Dataset):
        made = target.create_dataset(name, data=source[()])
    else:
        made = target.create_group(name)
        for inner in sorted(source):
            _copy(source[inner], made, inner)
    for key, value in sorted(source.attrs.items()):
        # The name of the layer is for readers only; that of its place in the model is no accident.
        made.attrs[key] = target.name.rpartition("/")[2] if key == "name" else value


def _zipped(entries: dict[str, bytes]) -> bytes:
    archive = BytesIO()
    with ZipFile(archive, "w") as made:
        for name in sorted(entries):
            entry = ZipInfo(name)  # of 1980
            entry.create_system = 3  # Unix, on whatever system
            made.writestr(entry, entries[name])
    return archive.getvalue()


# Both


@contextmanager
def _quietly(*loggers: str) -> Iterator[list[str]]:
    """Alone, and without warnings; the errors that these loggers would print are given instead."""
    said: list[str] = []

    class Collector(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            if record.levelno >= logging.ERROR:
                said.append(record.getMessage().strip().splitlines()[0])

    collector = Collector()
    found = [logging.getLogger(name) for name in loggers]
    with _ALONE, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        before = [logger.propagate for logger in found]
        for logger in found:
            logger.addHandler(collector)
            logger.propagate = False
        try:
            yield said
        finally:
            for logger, propagated in zip(found, before, strict=True):
                logger.removeHandler(collector)
                logger.propagate = propagated


def _title(model: keras.Model) -> str:
    return f"{type(model).__name__} {model.name!r}"


def _first_line(error: Exception) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0]
