"""Training and scoring with differential privacy, by Opacus.

The accountants give the epsilon between data sets that differ in one sample, for Poisson sampling, which is
how batches are drawn here; batches of a fixed size, shuffled, would not have it.
"""

from __future__ import annotations

import warnings
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from functools import lru_cache
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from opacus.accountants import PRVAccountant
from opacus.accountants.analysis import rdp
from opacus.grad_sample import GradSampleHooksFastGradientClipping as Hooks
from opacus.validators import ModuleValidator
from torch import Tensor, nn

from colearn_core.errors import ParameterError
from colearn_core.noise import PrivateAnswers, accountant_among
from colearn_core.privacy import Accountant, Privacy, SampledGaussian

from .tensors import Tensors
from .workbench import Loss, Steps

GRADIENT_BYTES = 2**28
"""Memory that the gradients of single samples may take in one layer; larger batches go through in pieces."""

ORDERS = (*(1 + x / 10 for x in range(1, 100)), *range(12, 64), 128, 256, 512)
LOOSE = 50.0
"""Where epsilon is beyond this nothing is private, and PRV, which would need a huge grid, isn't asked."""


class Private(PrivateAnswers):
    """What a torch learner needs to train and score privately.

    Args:
        module: what is trained.
        setting: as for :class:`PrivateAnswers`.

    Raises:
        ParameterError: the module can't be trained privately, or no noise would do.
    """

    def __init__(self, privacy: Privacy, module: nn.Module, **setting: Any) -> None:
        _check(module)
        super().__init__(privacy, accountant_of(privacy), **setting)

    def steps(self, samples: Tensors, loss: Loss, noise: np.random.Generator) -> Steps:
        """DP-SGD (Abadi et al. 2016, arXiv 1607.00133): each sample's gradient is clipped, their sum gets noise.

        Args:
            loss: a mean over samples; one that compares samples of a batch isn't private.
        """

        def run(module: nn.Module, optimizer: torch.optim.Optimizer) -> list[Tensor]:
            fixed = {name: buffer.clone() for name, buffer in module.named_buffers()}
            params = [p for p in module.parameters() if p.requires_grad]
            most = max(1, GRADIENT_BYTES // (4 * max(p.numel() for p in params)))
            losses = []
            with _norms_of_samples(module, self.privacy.max_grad_norm, samples.x[:1]) as hooks:
                for _ in range(self.training.steps):
                    optimizer.zero_grad()
                    rows = torch.from_numpy(np.flatnonzero(noise.random(len(samples)) < self.training.sample_rate))
                    pieces = [p for p in torch.split(rows.to(samples.x.device), most) if len(p)]
                    losses += [_add_clipped(module, hooks, samples.x[p], samples.y[p], loss) for p in pieces]
                    self._add_noise(params, noise)
                    optimizer.step()
            for name, buffer in module.named_buffers():
                if not torch.equal(buffer, fixed[name]):
                    raise ParameterError(f"privacy: training changes the buffer {name!r}, which gets no noise")
            return losses

        return run

    def _add_noise(self, params: Iterable[nn.Parameter], noise: np.random.Generator) -> None:
        """Make the mean gradient of sums of clipped ones, which are missing where no sample was drawn.

        Noise is numpy's: torch's own generator on a CPU has 2³² seeds, few enough to be tried out.
        """
        deviation = self.training.noise_multiplier * self.privacy.max_grad_norm
        for p in params:
            drawn = torch.from_numpy(np.asarray(noise.standard_normal(p.shape, dtype=np.float32))).to(p.device)
            total = deviation * drawn if p.grad is None else p.grad + deviation * drawn
            p.grad = total / self.batch_size


def accountant_of(privacy: Privacy) -> Accountant:
    """By Rényi divergences (``rdp``) or by privacy loss variables (``prv``), which is tighter.

    Raises:
        ParameterError: an unknown name.
    """
    return accountant_among(ACCOUNTANTS, "prv", "torch", privacy)


def _by_rdp(done: tuple[SampledGaussian, ...], delta: float) -> float:
    """Mironov 2017 (arXiv 1702.07476), with the conversion of Balle et al. 2020 (arXiv 1905.09982)."""
    total = np.sum([item.steps * _rdp_of_step(item.noise_multiplier, item.sample_rate) for item in done], axis=0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that another order might be tighter yet
        return float(rdp.get_privacy_spent(orders=ORDERS, rdp=total, delta=delta)[0])


def _by_prv(done: tuple[SampledGaussian, ...], delta: float) -> float:
    """Gopi, Lee and Wutschitz 2021 (arXiv 2106.02848): an upper bound, within .01."""
    bound = _by_rdp(done, delta)
    if bound > LOOSE:
        return bound
    accountant = PRVAccountant()
    accountant.history = [tuple(item) for item in done]
    with warnings.catch_warnings(), np.errstate(divide="ignore"):
        warnings.simplefilter("ignore")
        return min(bound, float(accountant.get_epsilon(delta)))


ACCOUNTANTS: dict[str, Accountant] = {"prv": lru_cache(1024)(_by_prv), "rdp": lru_cache(1024)(_by_rdp)}


@lru_cache
def _rdp_of_step(noise_multiplier: float, sample_rate: float) -> NDArray[np.float64]:
    found = rdp.compute_rdp(q=sample_rate, noise_multiplier=noise_multiplier, steps=1, orders=ORDERS)
    return np.asarray(found, dtype=np.float64)


def _add_clipped(module: nn.Module, hooks: Hooks, x: Tensor, y: Tensor, loss: Loss) -> Tensor:
    """Add the sum of the samples' clipped gradients to the gradients of parameters; gives the loss.

    By ghost clipping (Li et al. 2022, arXiv 2110.05679): a first backward pass gives each sample's norm, layer by
    layer, a second one from the rescaled outputs the sum.
    """
    params = [p for p in module.parameters() if p.requires_grad]
    before = [p.grad for p in params]
    for p in params:
        p.grad = None
    hooks.enable_hooks()
    outputs = module(x)
    value = loss(outputs, y)
    (towards_loss,) = torch.autograd.grad(value, outputs, retain_graph=True)
    outputs.backward(towards_loss, retain_graph=True)
    hooks.disable_hooks()
    squares = [p.__dict__.pop("_norm_sample").square() for p in params if "_norm_sample" in p.__dict__]
    norms = torch.stack(squares).sum(dim=0).sqrt()
    clipped = len(x) * (hooks.max_grad_norm / (norms + 1e-6)).clamp(max=1)
    for p, grad in zip(params, before, strict=True):
        p.grad = grad
    outputs.backward(towards_loss * clipped.reshape(-1, *[1] * (outputs.ndim - 1)))
    return value.detach()


def _uses_a_layer_twice(module: nn.Module, x: Tensor) -> bool:
    """Ghost clipping can't tell the norms of parameters that are used in two places."""
    uses: Counter[Tensor] = Counter()
    handles = [
        part.register_forward_pre_hook(lambda layer, _: uses.update(layer.parameters(recurse=False)))
        for part in module.modules()
    ]
    try:
        with torch.no_grad():
            module(x)
    finally:
        for handle in handles:
            handle.remove()
    return any(count > 1 for count in uses.values())


@contextmanager
def _norms_of_samples(module: nn.Module, bound: float, x: Tensor) -> Iterator[Hooks]:
    """Have backward passes leave the norm of each sample's gradient; afterwards the module is as it was."""
    ghost = not _uses_a_layer_twice(module, x)
    hooks = Hooks(module, max_grad_norm=bound, use_ghost_clipping=ghost)
    hooks.disable_hooks()
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "Full backward hook is firing")  # true of every first layer
            yield hooks
    finally:
        hooks.cleanup()
        for part in module.modules():  # a pass that fails leaves these behind
            part.__dict__.pop("activations", None)
            part.__dict__.pop("max_batch_len", None)


def _check(module: nn.Module) -> None:
    for name, part in module.named_modules():
        known: Any = ModuleValidator.VALIDATORS.get(type(part), lambda _: [])
        if not known(part):
            continue
        where = f"layer {name!r} of {type(module).__name__}" if name else type(module).__name__
        if isinstance(part, nn.modules.batchnorm._BatchNorm):
            raise ParameterError(
                f"privacy: {where} is a {type(part).__name__}, which mixes the samples of a batch",
                hint="Take GroupNorm or LayerNorm; opacus.validators.ModuleValidator.fix(module) does it for you.",
            )
        raise ParameterError(
            f"privacy: {where} can't be trained privately: {known(part)[0]}",
            hint="opacus.validators.ModuleValidator.fix(module) may replace it.",
        )
    for error in Hooks.validate(module):
        raise ParameterError(f"privacy: {type(module).__name__} can't be trained privately: {error}")
