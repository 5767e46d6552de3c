"""The workbench: one resident module that all learners of a kind take turns at."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from threading import RLock
from typing import Any, Literal
from weakref import WeakKeyDictionary, WeakValueDictionary

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from colearn_core.errors import DataError, ParameterError, WeightsError
from colearn_core.fused import identity_of
from colearn_core.metrics import Needs
from colearn_core.weights import Weights

from .layout import alone, first_row_of, lay_out
from .streamed import StreamedTensor

Array = NDArray[Any]
MakeOptimizer = Callable[[Any], torch.optim.Optimizer]
Loss = Callable[[Tensor, Tensor], Tensor]
Steps = Callable[[nn.Module, torch.optim.Optimizer], list[Tensor]]
"""Runs the steps of a proposal, and gives the loss of each."""
Precision = Literal["float32", "bfloat16"]

ONE_THREAD_BELOW = 500_000
"""Modules with fewer parameters are small: they run on one thread, as more would mostly wait for each other."""

CHUNK_ROWS, LARGE_CHUNK_ROWS = 256, 64
"""Rows of every forward pass that scores, zeros where there is no sample: products of other shapes end in other last
bits. Small modules take many rows, so that Python's share is small; in large ones the layers' outputs stay in cache.
"""


class Workbench:
    """A module that weights are put into for training and scoring, and taken out again.

    A thousand learners of one architecture share it, so memory doesn't grow with their number; a lock
    keeps threads apart.

    Args:
        module: it belongs to the workbench from now on.
        make: makes another one with initial parameters of its own; None to begin with those it has.

    Raises:
        ParameterError: the module has no parameters.
    """

    def __init__(self, module: nn.Module, make: Callable[[], nn.Module] | None, device: torch.device) -> None:
        self.module = module.to(device)
        self.device = device
        self._make = make
        self._lock = RLock()
        self._places = {name: tensor for name, tensor in self.module.state_dict().items() if _travels(module, name)}
        parameters = dict(self.module.named_parameters())
        if not any(parameter.requires_grad for parameter in parameters.values()):
            raise ParameterError(f"{type(module).__name__} has no parameters to train")
        small = sum(p.numel() for p in parameters.values()) < ONE_THREAD_BELOW
        self.threads = 1 if small else None
        self.chunk_rows = CHUNK_ROWS if small else LARGE_CHUNK_ROWS
        self._loaded: Weights | None = None
        self._fits: dict[tuple[int, ...], int] = {}
        self._model = self._taken()

    def check(self, weights: Weights) -> None:
        """Raise WeightsError unless the weights are of this module, and finite."""
        weights.check_like(self._model)
        weights.check_finite()

    def check_samples(self, x: Tensor | StreamedTensor, outputs: int) -> None:
        """Raise DataError unless the module takes such samples and gives so many outputs for each.

        Args:
            x: at least one sample.
        """
        shape = tuple(x.shape[1:])
        if self._fits.get(shape) == outputs:
            return
        entered: list[str] = []
        names = {module: name for name, module in self.module.named_modules()}
        hook = nn.modules.module.register_module_forward_pre_hook(
            lambda module, _: entered.append(names.get(module, ""))
        )
        title = type(self.module).__name__
        try:
            with self._working(None), torch.inference_mode():
                found = self.module.eval()(x[:1])
        except RuntimeError as error:
            layer = f"layer {entered[-1]!r} of {title}" if entered and entered[-1] else title
            raise DataError(f"{layer} can't take samples of shape {shape}: {error}") from error
        finally:
            hook.remove()
        given = tuple(found.shape[1:])
        if given != (outputs,) and not (outputs == 1 and given == ()):
            raise DataError(f"{title} gives outputs of shape {given} for a sample; ({outputs},) is needed")
        self._fits[shape] = outputs

    def initial(self, rng: np.random.Generator) -> Weights:
        """Weights of an untrained module."""
        if self._make is None:
            return self._model
        with self._working(rng):
            fresh = self._make()
            return Weights({n: _array(t) for n, t in fresh.state_dict().items() if n in self._places}, copy=False)

    def train(
        self,
        base: Weights,
        steps: Steps,
        make_optimizer: MakeOptimizer,
        moments: dict[str, Array],
        rng: np.random.Generator,
    ) -> Weights:
        """Weights after training from ``base``.

        Args:
            steps: does the training.
            moments: the optimiser's state, by parameter and name; it's replaced by that after training.

        Raises:
            FloatingPointError: the loss of a step isn't finite; the message names the step.
        """
        with self._working(rng):
            self._load(base)
            self._loaded = None
            self.module.train()
            optimizer = make_optimizer([p for p in self.module.parameters() if p.requires_grad])
            self._restore(optimizer, moments)
            _check_losses(steps(self.module, optimizer))
            moments.clear()
            moments.update(self._moments(optimizer))
            trained = self._taken()
            self._loaded = trained if trained.finite else None  # the next thing is mostly to score them
            return trained

    def lay_out(self, parts: Sequence[Tensor | StreamedTensor]) -> tuple[Tensor, Array]:
        """Samples as :meth:`predict` takes them, and which rows they are; see :func:`layout.lay_out`."""
        return lay_out([part[:] for part in parts], self.chunk_rows)

    def predict(self, weights: Weights, x: Tensor | StreamedTensor, needs: Needs, rows: Array | None = None) -> Array:
        """What a metric needs of the predictions for ``x``, one row per sample.

        Args:
            rows: which rows of ``x`` are samples, if it's laid out already.
        """
        if rows is None:
            first = first_row_of(x)
            rows, count = np.arange(first, first + len(x)), first + len(x)
            chunks: Iterable[Tensor] = alone(x, first, self.chunk_rows)
        else:
            chunks, count = torch.split(x[:], self.chunk_rows), len(x)
        with self._working(None), torch.inference_mode():
            self._load(weights)
            self.module.eval()
            outputs = self._outputs(chunks, count).cpu()
            if needs == "probabilities":
                outputs = torch.softmax(outputs.double(), dim=1)
        found: Array = outputs.numpy()[rows]
        if needs == "values":
            return found.reshape(len(found))
        return found.argmax(axis=1) if needs == "labels" else found

    def module_with(self, weights: Weights) -> nn.Module:
        """A copy of the module with these weights, for use outside of colearn."""
        from copy import deepcopy

        with self._lock:
            self._load(weights)
            return deepcopy(self.module).eval()

    def check_moments(self, moments: Mapping[str, Array]) -> None:
        """Raise WeightsError unless this could be the state of an optimiser of this module."""
        shapes = {name: tuple(p.shape) for name, p in self.module.named_parameters()}
        for key, array in moments.items():
            name = key.rpartition("/")[0]
            if name not in shapes or array.shape not in ((), shapes[name]):
                raise WeightsError(f"{key!r} is no state of an optimiser of {type(self.module).__name__}")

    def _outputs(self, chunks: Iterable[Tensor], count: int) -> Tensor:
        together = torch.empty(0)
        for start, chunk in zip(range(0, count, self.chunk_rows), chunks, strict=True):
            found: Tensor = self.module(chunk)
            if not start:
                # In one piece: with streamed features, small pieces kept from between large ones scatter the memory.
                together = found.new_empty((count, *found.shape[1:]))
            together[start : start + self.chunk_rows] = found[: count - start]
        return together

    def _load(self, weights: Weights) -> None:
        if self._loaded is not weights:
            self._loaded = None
            self.check(weights)
            self._put(weights)
            self._loaded = weights

    def _put(self, weights: Weights) -> None:
        with torch.no_grad():
            for name, place in self._places.items():
                place.copy_(torch.from_numpy(np.array(weights[name])))  # torch warns of read-only arrays

    def _taken(self) -> Weights:
        return Weights({name: _array(place) for name, place in self._places.items()}, copy=False)

    def _restore(self, optimizer: torch.optim.Optimizer, moments: Mapping[str, Array]) -> None:
        parameters = dict(self.module.named_parameters())
        for key, array in moments.items():
            name, _, moment = key.rpartition("/")
            optimizer.state[parameters[name]][moment] = torch.from_numpy(np.array(array))

    def _moments(self, optimizer: torch.optim.Optimizer) -> dict[str, Array]:
        return {
            f"{name}/{moment}": _array(torch.as_tensor(value))
            for name, parameter in self.module.named_parameters()
            for moment, value in optimizer.state.get(parameter, {}).items()
            if value is not None
        }

    @contextmanager
    def _working(self, rng: np.random.Generator | None) -> Iterator[None]:
        """Alone, on the right number of threads, and drawing (dropout does) from the given generator only."""
        with self._lock:
            before = torch.get_num_threads()
            try:
                if self.threads is not None and before != self.threads:
                    torch.set_num_threads(self.threads)
                if rng is None:
                    yield
                    return
                with _seeded(int(rng.integers(2**63)), self.device):
                    yield
            finally:
                if torch.get_num_threads() != before:
                    torch.set_num_threads(before)


def computing_in(precision: Precision, device: torch.device) -> AbstractContextManager[object]:
    """Where a forward pass and its loss go, and the backward pass doesn't: it follows the forward pass by itself.

    bfloat16 has the range of float32, so small gradients don't vanish and losses need no scaling.
    """
    return nullcontext() if precision == "float32" else torch.autocast(device.type, dtype=torch.bfloat16)


@contextmanager
def _seeded(seed: int, device: torch.device) -> Iterator[None]:
    """Seed torch's own generators, which dropout draws from, and put them back after."""
    if device.type != "cpu":
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            yield
        return
    # manual_seed would also note the seed, and a stack trace, for each kind of device that isn't there yet.
    state = torch.default_generator.get_state()
    torch.default_generator.manual_seed(seed)
    try:
        yield
    finally:
        torch.default_generator.set_state(state)


def _travels(module: nn.Module, name: str) -> bool:
    """Whether a tensor of the state is part of the model. A BatchNorm that averages with a fixed momentum
    never looks at its counter of batches, which couldn't be averaged."""
    if not name.endswith("num_batches_tracked"):
        return True
    owner = module.get_submodule(name.rpartition(".")[0])
    return getattr(owner, "momentum", None) is None


def _array(tensor: Tensor) -> Array:
    return np.array(tensor.detach().cpu().numpy())


def steps_over(batches: Iterable[tuple[Tensor, Tensor]], loss: Loss, precision: Precision = "float32") -> Steps:
    """One step of the optimiser for each batch.

    Args:
        precision: of forward passes and losses.
    """

    def run(module: nn.Module, optimizer: torch.optim.Optimizer) -> list[Tensor]:
        losses = []
        parameters = list(module.parameters())
        for x, y in batches:
            for parameter in parameters:  # zero_grad() would also tell the profiler, which takes as long as a layer
                parameter.grad = None
            with computing_in(precision, x.device):
                value = loss(module(x), y)
            value.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
            losses.append(value.detach())
        return losses

    return run


def _check_losses(losses: list[Tensor]) -> None:
    if not losses:  # all batches of a private learner were empty
        return
    finite = torch.isfinite(torch.stack(losses))
    if not finite.all():
        step = int((~finite).nonzero()[0])
        raise FloatingPointError(f"the loss of step {step + 1} of {len(losses)} is {losses[step].item()}")


_OF_MODULES: WeakKeyDictionary[nn.Module, dict[str, Workbench]] = WeakKeyDictionary()
_OF_FACTORIES: WeakValueDictionary[tuple[Any, str], Workbench] = WeakValueDictionary()


def workbench_for(model: nn.Module | Callable[[], nn.Module], device: torch.device) -> Workbench:
    """The one workbench of this process for a module, or for the modules that a factory makes.

    Args:
        model: a module, which is copied and never changed, or what makes one. Partial calls of one
            function with equal arguments make equal modules.
    """
    if isinstance(model, nn.Module):
        from copy import deepcopy

        known = _OF_MODULES.setdefault(model, {})
        if str(device) not in known:
            known[str(device)] = Workbench(deepcopy(model), None, device)
        return known[str(device)]
    kind = (identity_of(model), str(device))
    workbench = _OF_FACTORIES.get(kind)
    if workbench is None:
        made = model()
        if not isinstance(made, nn.Module):
            raise ParameterError(f"the factory of the model gives {type(made).__name__}, not a torch.nn.Module")
        workbench = _OF_FACTORIES[kind] = Workbench(made, model, device)
    return workbench
