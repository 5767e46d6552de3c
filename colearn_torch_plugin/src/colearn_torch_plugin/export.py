"""Trained modules as files that others read: ONNX, and torch's own state dictionaries."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Lock

import torch
from safetensors.torch import save
from torch import Tensor, nn
from torch.backends import mha

from colearn_core.errors import ColearnError, UsageError
from colearn_core.weights import Weights

OPSET = 20
"""Version of ONNX's operators: the highest that the exporter of every torch since 2.6 writes, and read by
ONNX Runtime since 1.17."""

TOLERANCE = 1e-3
"""Largest difference of the traced outputs from the module's, as a share of the largest output."""

TRACED = 2
"""Samples to trace with; the comparison takes one more."""

_OTHERWISE = 'Take the format "state_dict", and load it into the module.'

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
    """The module as an ONNX model, whose ``input`` and ``output`` take one sample or more.

    Its outputs are the module's own: for classes logits, whose softmax gives the probabilities.

    It's written by the exporter that traces the module, which is quick and needs no onnxscript. What the module
    computes in Python, such as ``len(x)``, is a constant in a trace, so that is compared with the module.

    Args:
        module: nobody else's; it's moved to the CPU and can't be trained any more.
        samples: at least one. They are only compared by, and none of their values gets into the result.

    Raises:
        UsageError: the package onnx isn't installed.
        ColearnError: the module can't be exported; the message names it and the cause.
    """
    _check_installed()
    module = module.cpu().eval().requires_grad_(False)
    zeros = torch.zeros(TRACED, *samples.shape[1:])
    with _exporting():
        exported = _written(module, zeros)
        difference = _difference(module, zeros, samples[torch.arange(TRACED + 1) % len(samples)].cpu())
    if difference:
        raise ColearnError(
            f"{type(module).__name__} can't be exported to ONNX: what tracing makes of it {difference}",
            hint=f"Python numbers made of tensors become constants: write x.shape[0], not len(x). {_OTHERWISE}",
        )
    return exported


def _written(module: nn.Module, traced_with: Tensor) -> bytes:
    with TemporaryDirectory() as folder:
        path = Path(folder) / "model.onnx"
        try:
            torch.onnx.export(
                module,
                (traced_with,),
                path,
                dynamo=False,
                opset_version=OPSET,
                input_names=["input"],
                output_names=["output"],
                dynamic_axes={"input": {0: "samples"}, "output": {0: "samples"}},
            )
        except Exception as error:
            raise ColearnError(
                f"{type(module).__name__} can't be exported to ONNX: {_first_line(error)}", hint=_OTHERWISE
            ) from error
        return path.read_bytes()


def _difference(module: nn.Module, traced_with: Tensor, x: Tensor) -> str:
    """How the traced module differs from the module itself; empty if it doesn't.

    Torch itself compares, as onnx's own evaluator is wrong about some operators (1.23: grouped ConvTranspose).
    """
    # As a function, as modules with hooks are refused.
    traced = torch.jit.trace(lambda x: module(x), traced_with, check_trace=False)  # type: ignore[no-untyped-call]
    expected = module(x)
    try:
        found = traced(x)
    except Exception as error:
        return f"can't take {len(x)} samples: {_last_line(error)}"
    if found.shape != expected.shape:
        return f"gives outputs of shape {tuple(found.shape)}, not {tuple(expected.shape)}"
    scale = max(1.0, float(expected.abs().max()))
    if not torch.allclose(found, expected, rtol=0, atol=TOLERANCE * scale, equal_nan=True):
        return f"gives outputs that differ by up to {float((found - expected).abs().max()):.3g}"
    return ""


@contextmanager
def _exporting() -> Iterator[None]:
    """Alone, without what the exporter says of itself, and with transformers in operators that it knows."""
    with _ALONE, warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore")  # that it's old, and what tracing might miss
        printing, fast = torch._C._jit_onnx_log, mha.get_fastpath_enabled()
        # Before an error it prints the whole graph, whether verbose or not (torch 2.13: its log is always on).
        torch._C._jit_onnx_log = lambda *_: None
        mha.set_fastpath_enabled(False)
        try:
            yield
        finally:
            torch._C._jit_onnx_log = printing
            mha.set_fastpath_enabled(fast)


def _check_installed() -> None:
    """torch's exporter needs the package onnx, which it imports when all is done."""
    try:
        import onnx  # noqa: F401  # here, as it's an extra
    except ModuleNotFoundError as error:
        if error.name != "onnx":
            raise
        raise UsageError(
            "the format 'onnx' needs the package onnx, which isn't installed",
            hint='pip install "colearn-torch-plugin[onnx]"',
        ) from error


def _first_line(error: Exception) -> str:
    """Most of what the exporter says of an operator is a listing of the graph."""
    return (str(error).strip() or type(error).__name__).splitlines()[0]


def _last_line(error: Exception) -> str:
    """What a traced module says begins with the stack."""
    return (str(error).strip() or type(error).__name__).splitlines()[-1]
