"""What private training costs, by Google's dp_accounting.

The accountants give the epsilon between data sets that differ in one sample, for Poisson sampling, which is
how :mod:`.dpsgd` draws batches; batches of a fixed size, shuffled, would not have it.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache

import numpy as np
from dp_accounting import DpEvent, GaussianDpEvent, PoissonSampledDpEvent
from dp_accounting.pld import PLDAccountant
from dp_accounting.rdp import RdpAccountant, compute_epsilon
from dp_accounting.rdp.rdp_privacy_accountant import DEFAULT_RDP_ORDERS
from numpy.typing import NDArray

from colearn_core.noise import accountant_among
from colearn_core.privacy import Accountant, Privacy, SampledGaussian

LOOSE = 50.0
"""Where epsilon is beyond this nothing is private, and the slower accountant isn't asked."""

FINEST, COARSEST = 2e-5, 1e-3
"""Intervals of the grid of privacy losses."""


def accountant_of(privacy: Privacy) -> Accountant:
    """By Rényi divergences (``rdp``) or by privacy loss distributions (``pld``), which is tighter.

    Raises:
        ParameterError: an unknown name.
    """
    return accountant_among(ACCOUNTANTS, "pld", "keras", privacy)


def _by_rdp(done: tuple[SampledGaussian, ...], delta: float) -> float:
    """Mironov 2017 (arXiv 1702.07476), with the conversion of Canonne, Kamath and Steinke 2020 (arXiv 2004.00010)."""
    total = np.sum([item.steps * _rdp_of_step(item.noise_multiplier, item.sample_rate) for item in done], axis=0)
    return float(compute_epsilon(DEFAULT_RDP_ORDERS, total, delta)[0])


def _by_pld(done: tuple[SampledGaussian, ...], delta: float) -> float:
    """Doroshenko et al. 2022 (arXiv 2207.04380): an upper bound."""
    bound = _by_rdp(done, delta)
    if bound > LOOSE:
        return bound
    accountant = PLDAccountant(value_discretization_interval=max(FINEST, min(_interval(item) for item in done)))
    for item in done:
        accountant.compose(_event(item.noise_multiplier, item.sample_rate), item.steps)
    return min(bound, float(accountant.get_epsilon(delta)))


ACCOUNTANTS: dict[str, Accountant] = {"pld": lru_cache(1024)(_by_pld), "rdp": lru_cache(1024)(_by_rdp)}


def _interval(item: SampledGaussian) -> float:
    """A tenth of what one step loses, about, where epsilon is within .1 % of that on finer grids.

    The library's own 1e-4 takes up to ten times as long for large losses, and is too coarse for small ones: losses
    are rounded up, so with 10,000 steps that are nearly free the bound was twice as high on a grid of 1e-3.
    """
    return min(COARSEST, item.sample_rate / item.noise_multiplier / 10)


@lru_cache
def _rdp_of_step(noise_multiplier: float, sample_rate: float) -> NDArray[np.float64]:
    accountant = RdpAccountant(DEFAULT_RDP_ORDERS)
    with _without_remarks():
        accountant.compose(_event(noise_multiplier, sample_rate))
    return np.array(accountant._rdp, dtype=np.float64)


def _event(noise_multiplier: float, sample_rate: float) -> DpEvent:
    everyone = GaussianDpEvent(noise_multiplier)
    return everyone if sample_rate == 1 else PoissonSampledDpEvent(sample_rate, everyone)


@contextmanager
def _without_remarks() -> Iterator[None]:
    """dp_accounting logs a warning for each order that it leaves out, though the bound of the others holds."""
    logger = logging.getLogger("absl")
    before, logger.disabled = logger.disabled, True
    try:
        yield
    finally:
        logger.disabled = before
