"""Updates: what training changed, as numbers to calculate with."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from ..errors import Abstention, WeightsError
from ..learner import Proposal
from ..weights import Weights

Update = dict[str, NDArray[np.float64]]
"""By array, in double precision; only of arrays of floats: counters and the like aren't calculated with."""


def update_of(proposal: Proposal, base: Weights) -> Update:
    """What a proposal changes of the base.

    Raises:
        Abstention: the model grows, as trees do: it has other arrays now.
    """
    try:
        proposal.weights.check_like(base)
    except WeightsError as error:
        raise Abstention(f"what a model that grows has learned can't be calculated with: {error}") from error
    floats = {name: array for name, array in base.items() if array.dtype.kind == "f"}
    return {name: _double(proposal.weights[name]) - _double(array) for name, array in floats.items()}


def moved(base: Weights, update: Update, rest: Weights) -> Weights:
    """The base with an update added; arrays that aren't of floats are those of ``rest``."""
    with np.errstate(over="ignore", invalid="ignore"):  # what overflows is refused as a proposal
        changed = {name: (_double(base[name]) + change).astype(base[name].dtype) for name, change in update.items()}
    return Weights({**rest, **changed}, copy=False)


def scaled(update: Update, factor: float) -> Update:
    return {name: factor * change for name, change in update.items()}


def combined(function: Callable[[NDArray[np.float64]], NDArray[np.float64]], updates: Sequence[Update]) -> Update:
    """What a function of stacked updates, shape ``(updates, ...)``, gives array by array."""
    return {name: function(np.stack([update[name] for update in updates])) for name in updates[0]}


def inner(one: Update, other: Update) -> float:
    """Their inner product."""
    return sum(float(np.vdot(change, other[name])) for name, change in one.items())


def root_mean_square(update: Update) -> float:
    """Over all values; 0 if there are none."""
    size = sum(change.size for change in update.values())
    return float(np.sqrt(inner(update, update) / size)) if size else 0.0


def normal_noise(base: Weights, deviation: float, rng: np.random.Generator) -> Update:
    """Independent normal values for each value of the base's arrays of floats."""
    floats = {name: array for name, array in base.items() if array.dtype.kind == "f"}
    return {name: deviation * rng.standard_normal(array.shape) for name, array in floats.items()}


def _double(array: NDArray[np.floating]) -> NDArray[np.float64]:
    return array.astype(np.float64)
