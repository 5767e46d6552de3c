"""Trained modules as files that others read: ONNX, and torch's own state dictionaries."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Lock
from typing import Any

import numpy as np
import torch
from safetensors.torch import save
from torch import Tensor, nn
from torch.backends import mha

from colearn_core.errors import ColearnError, UsageError
from colearn_core.weights import Weights

log = logging.getLogger(__name__)

OPSET = 20
"""Version of ONNX's operators: the highest that the exporter of every torch since 2.6 writes, and read by
ONNX Runtime since 1.17."""

TOLERANCE = 1e-3
"""Largest difference of the exported outputs from the module's, as a share of the largest output."""

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
    with _exporting():
        exported = _traced(module, x.shape[1:])
        try:
            found = evaluator(exported).run(None, {"input": x.numpy()})[0]
        except NotImplementedError as error:  # it lacks networks that recur in both directions, say
            log.warning("the ONNX of %s isn't compared with it: %s", type(module).__name__, error)
            return exported
        except Exception as error:
            raise _untrue(module, f"fails with {len(x)} samples: {_first_line(error)}") from error
        _compare(module, found, module(x).numpy())
    return exported


def _traced(module: nn.Module, shape: Sequence[int]) -> bytes:
    """What the exporter writes: traced with two samples of zeros, as a single one might be taken for a scalar."""
    with TemporaryDirectory() as folder:
        path = Path(folder) / "model.onnx"
        try:
            torch.onnx.export(
                module,
                (torch.zeros(2, *shape),),
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


def _compare(module: nn.Module, found: Any, expected: Any) -> None:
    if found.shape != expected.shape:
        raise _untrue(module, f"gives outputs of shape {found.shape}, not {expected.shape}")
    scale = float(np.abs(expected).max(initial=1.0))
    if not np.allclose(found, expected, rtol=0, atol=TOLERANCE * scale, equal_nan=True):
        raise _untrue(module, f"gives outputs that differ by up to {np.abs(found - expected).max():.3g}")


def _untrue(module: nn.Module, how: str) -> ColearnError:
    return ColearnError(
        f"{type(module).__name__} can't be exported to ONNX: what tracing makes of it {how}",
        hint=f"Python numbers made of tensors become constants: write x.shape[0], not len(x). {_OTHERWISE}",
    )


def _first_line(error: Exception) -> str:
    """Most of what torch says of an operator is a listing of the graph."""
    return (str(error).strip() or type(error).__name__).splitlines()[0]
