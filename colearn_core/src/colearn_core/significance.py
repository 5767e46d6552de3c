"""Votes that abstain from what may be chance: paired tests, sample by sample."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from math import atan, cos, erfc, exp, lgamma, log, pi, sin, sqrt
from typing import Annotated, Literal

import numpy as np
from annotated_types import Ge, Gt, Le, Lt
from numpy.typing import NDArray

from .errors import ConfigError, ParameterError
from .metrics import Metric
from .scores import Score
from .voting import Threshold, Vote

NEGLIGIBLE = 1e-18
"""Terms of a series that no double can tell from 0 beside 1."""

Gains = NDArray[np.float64]
"""By how much each sample's score improves, shape ``(samples,)``."""


@dataclass(frozen=True)
class Significant(Threshold):
    """A learner approves what is significantly better on its samples, rejects what is significantly worse, and abstains
    from all between; more than half of the votes cast must approve, or another ``share``.

    Formula: a paired test of the differences between both models' scores of each sample, one-sided at ``level`` in
    either direction. ``sign``: of the samples that changed, how many improved, against a fair coin (Arbuthnott 1710;
    exact). ``mcnemar``: of the answers that became right ``b`` and wrong ``c``, ``(b - c) / sqrt(b + c)`` against the
    normal distribution (McNemar 1947, Psychometrika 12), for learners that vote by accuracy. ``t``: the mean difference
    by its standard error, against Student's t (Student 1908, Biometrika 6). That learners compare classifiers by such
    tests is Dietterich's advice (1998, Neural Computation 10).

    When to use it: where voters have few samples, and many votes on small steps are a matter of chance. An unsure
    voter then leaves the decision to the others. It costs speed: steps too small for anyone to be sure of are
    adopted by nobody; so the quorum is low by default, and ``level`` wants to be generous. ``sign`` goes by how many
    samples improve, whatever by how much.
    """

    quorum: Annotated[float, Ge(0), Le(1), "Share of all learners that must vote; those who aren't sure don't"] = 0.2
    share: Annotated[float | str, 'Share of the votes cast, a number or a fraction such as "2/3"'] = 0.5
    inclusive: Annotated[bool, "Whether exactly this share is enough"] = False
    test: Annotated[Literal["sign", "mcnemar", "t"], "How scores are compared"] = "t"
    level: Annotated[float, Gt(0), Lt(0.5), "How probable a vote for one side may be by chance"] = 0.1

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.test not in TESTS:
            raise ParameterError(f"test = {self.test!r} is unknown", hint=f"Tests: {', '.join(TESTS)}.")
        if not 0 < self.level < 0.5:
            raise ParameterError(f"level must lie between 0 and 1/2, not {self.level}")

    @property
    def looks_closer(self) -> bool:
        return True

    def check(self, metric: Metric) -> None:
        super().check(metric)
        if self.test == "mcnemar" and metric.name != "accuracy":
            raise ConfigError(
                f"mcnemar compares right answers with wrong ones, and learners vote by {metric.name}",
                hint="Take test = sign or t, or let learners vote by accuracy.",
            )

    def vote(self, current: Score, proposed: Score, greater_is_better: bool) -> Vote:
        plain = super().vote(current, proposed, greater_is_better)
        if current.each is None or proposed.each is None or plain == Vote.ABSTAIN or not np.isfinite(current.value):
            return plain
        sign = 1.0 if greater_is_better else -1.0
        gains = sign * (proposed.each.astype(np.float64) - current.each) - self.min_improvement
        chance = TESTS[self.test]
        if chance(gains) <= self.level:
            return Vote.APPROVE
        return Vote.REJECT if chance(-gains) <= self.level else Vote.ABSTAIN


def sign_test(gains: Gains) -> float:
    """The probability of at least so many improved samples among those that changed, if either were as likely."""
    improved, changed = int((gains > 0).sum()), int((gains != 0).sum())
    return _heads(improved, changed)


def mcnemar_test(gains: Gains) -> float:
    """The same for many samples, by the normal distribution."""
    improved, worsened = int((gains > 0).sum()), int((gains < 0).sum())
    if improved + worsened == 0:
        return 1.0
    return erfc((improved - worsened) / sqrt(2 * (improved + worsened))) / 2


def t_test(gains: Gains) -> float:
    """The probability of so great a mean, by its standard error, if the true mean were 0."""
    n = len(gains)
    spread = float(np.std(gains, ddof=1)) if n > 1 else 0.0
    mean = float(np.mean(gains))
    if n < 2:
        return 1.0
    if spread == 0.0:
        return 0.0 if mean > 0 else 1.0
    return _beyond(mean / (spread / sqrt(n)), n - 1)


TESTS: Mapping[str, Callable[[Gains], float]] = {"sign": sign_test, "mcnemar": mcnemar_test, "t": t_test}
"""One-sided tests: from the gains to how probable such, or greater ones, are by chance."""


def _heads(least: int, coins: int) -> float:
    """The probability of at least so many heads of fair coins."""
    logs = lgamma(coins + 1) - coins * log(2)
    tail = sum(exp(logs - lgamma(k + 1) - lgamma(coins - k + 1)) for k in range(least, coins + 1))
    return min(tail, 1.0)


def _beyond(t: float, degrees: int) -> float:
    """The probability that Student's t exceeds a value, by the finite series for whole degrees of freedom
    (Abramowitz and Stegun 1964, 26.7.3 and 26.7.4).
    """
    angle = atan(t / sqrt(degrees))
    square = cos(angle) ** 2
    odd = degrees % 2
    term = cos(angle) if odd else 1.0
    total = 0.0
    for k in range(2 if odd else 1, degrees, 2):
        total += term
        term *= square * k / (k + 1)
        if term < NEGLIGIBLE:
            break
    within = 2 / pi * (angle + sin(angle) * total) if odd else sin(angle) * total
    return (1 - within) / 2
