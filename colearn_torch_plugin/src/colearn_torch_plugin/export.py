"""Trained modules as files that others read: ONNX, and torch's own state dictionaries."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from io import BytesIO
from threading import Lock
from typing import Any

import numpy as np
import torch
from safetensors.torch import save
from torch import Tensor, nn

from colearn_core.errors import ColearnError, UsageError
from colearn_core.weights import Weights

OPSET = 20
"""Version of ONNX's operators: the highest that the exporter of every torch since 2.6 writes, and read by
ONNX Runtime since 1.17."""

TOLERANCE = 1e-3
"""Largest difference of the exported outputs from the module's, as a share of the largest output."""

_ALONE = Lock()
"""torch's exporter, and the filters of warnings, are global to the process."""


def as_state_dict(module: nn.Module, weights: Weights) -> bytes:
    """The whole state dictionary in the safetensors format, for ``load_state_dict`` with ``strict=True``.

    What doesn't travel in weights, the counters of a BatchNorm that never looks at them, is 0: the resident
    module's have counted every batch of this process.

    Args:
        module: it has these weights.

    Raises:
        ColearnError: the module keeps a state that is no tensor.
    """
    tensors: dict[str, Tensor] = {}
    for name, value in module.state_dict().items():
        if not isinstance(value, Tensor):
            raise ColearnError(
                f"{type(module).__name__} can't be exported: {name!r} of its state is {type(value).__name__}, no tensor"
            )
        # A copy, as safetensors refuses tensors that share memory: tied layers do.
        tensors[name] = value.detach().cpu().clone(memory_format=torch.contiguous_format)
        if name not in weights:
            tensors[name].zero_()
    return save(tensors)


def as_onnx(module: nn.Module, samples: Tensor) -> bytes:
    """The module as an ONNX model, whose ``input`` and ``output`` take any number of samples.

    Its outputs are the module's own: for classes logits, whose softmax gives the probabilities.

    It's written by the exporter that traces the module, which is quick and needs no onnxscript. What the module
    computes in Python, such as ``len(x)``, is a constant in a trace, so the result is run once to compare.

    Args:
        module: ready to predict.
        samples: at least one. They are only compared by, and none of their values gets into the result.

    Raises:
        UsageError: the package onnx isn't installed.
        ColearnError: the module can't be exported; the message names it and the cause.
    """
    evaluator = _evaluator()
    module = module.cpu().eval()
    x = samples[torch.arange(3) % len(samples)].cpu()
    written = BytesIO()
    title = type(module).__name__
    with _ALONE, warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore")  # the exporter says that it's old, and what tracing might miss
        try:
            torch.onnx.export(
                module,
                (torch.zeros(2, *x.shape[1:]),),
                written,
                dynamo=False,
                opset_version=OPSET,
                input_names=["input"],
                output_names=["output"],
                dynamic_axes={"input": {0: "samples"}, "output": {0: "samples"}},
            )
        except Exception as error:
            raise ColearnError(f"{title} can't be exported to ONNX: {_first_line(error)}", hint=_OTHERWISE) from error
        expected = module(x).numpy()
        try:
            found = evaluator(written.getvalue()).run(None, {"input": x.numpy()})[0]
        except Exception as error:
            raise _untrue(title, f"fails with {len(x)} samples: {_first_line(error)}") from error
    _compare(title, found, expected)
    return written.getvalue()


_OTHERWISE = 'Take the format "state_dict", and load it into the module.'


def _evaluator() -> Callable[[bytes], Any]:
    try:
        from onnx.reference import ReferenceEvaluator  # here, as onnx is an extra
    except ModuleNotFoundError as error:
        if error.name != "onnx":
            raise
        raise UsageError(
            'the format "onnx" needs the package onnx, which isn\'t installed',
            hint='pip install "colearn-torch-plugin[onnx]"',
        ) from error
    return ReferenceEvaluator


def _compare(title: str, found: Any, expected: Any) -> None:
    if found.shape != expected.shape:
        raise _untrue(title, f"gives outputs of shape {found.shape}, the module {expected.shape}")
    scale = float(np.abs(expected).max(initial=1.0))
    if not np.allclose(found, expected, rtol=0, atol=TOLERANCE * scale, equal_nan=True):
        raise _untrue(title, f"gives outputs that differ by up to {np.abs(found - expected).max():.3g}")


def _untrue(title: str, how: str) -> ColearnError:
    return ColearnError(
        f"{title} can't be exported to ONNX: what tracing makes of it {how}",
        hint=f"Python numbers made of tensors become constants: write x.shape[0], not len(x). {_OTHERWISE}",
    )


def _first_line(error: Exception) -> str:
    """Most of what torch says of an operator is a listing of the graph."""
    return (str(error).strip() or type(error).__name__).splitlines()[0]
