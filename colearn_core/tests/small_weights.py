"""Weights of a few numbers, for tests that do sums by hand."""

from __future__ import annotations

import numpy as np

from colearn_core.learner import Proposal
from colearn_core.weights import Weights


def vector(*values: float) -> Weights:
    """Two arrays: what's trained, and a counter, which is no float."""
    return Weights({"w": np.array(values), "steps": np.array([7])})


def w(found: Proposal | Weights) -> list[float]:
    values: list[float] = (found.weights if isinstance(found, Proposal) else found)["w"].tolist()
    return values
