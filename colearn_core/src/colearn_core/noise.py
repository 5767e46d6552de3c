"""Noise: how much of it a budget needs, where it comes from, and answers that have it."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Mapping, Sequence
from math import exp, log
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .errors import ParameterError
from .metrics import Metric
from .privacy import Accountant, Budget, Privacy, SampledGaussian, together
from .scores import Part
from .streams import generator_of
from .weights import Weights

CLOSE_ENOUGH = 0.01
"""How far below its target, as a share, the epsilon of a computed noise may stay."""

QUIETEST, LOUDEST = 0.05, 1e5
"""Noise multipliers between which one is looked for."""

ONLY_NOISY = "its scores must have noise, which scores of single samples have none of"
"""Why a learner whose scores are noisy gives none of single samples."""


class PrivateAnswers:
    """What a learner of any backend needs to answer privately: its budget, its secret key, its noise.

    Args:
        samples: number of training samples.
        batch_size: how many are expected in a batch, by Poisson sampling.
        steps: of the optimiser, for a proposal.
        key: the secret from which all noise is drawn; empty for a fresh one of the operating system. One key
            serves one learner with one set of settings: the same noise under two answers would give both away.
        metrics: by which the learner scores.

    Raises:
        ParameterError: no noise would do, or a metric that noise can't serve.
    """

    def __init__(
        self,
        privacy: Privacy,
        accountant: Accountant,
        *,
        samples: int,
        batch_size: int,
        steps: int,
        key: bytes,
        metrics: Sequence[Metric],
    ) -> None:
        if privacy.score_noise_multiplier:
            for metric in metrics:
                _check_mean(metric)
        self.privacy = privacy
        self.key = key or secrets.token_bytes(32)
        self.batch_size = batch_size
        rate = min(1.0, batch_size / samples)

        def planned(noise: float) -> list[SampledGaussian]:
            training = SampledGaussian(noise, rate, steps * (privacy.proposals or 1))
            scores = SampledGaussian(privacy.score_noise_multiplier, 1.0, privacy.scores or 0)
            return [training, scores] if scores.noise_multiplier and scores.steps else [training]

        noise = privacy.noise_multiplier
        if noise == "auto":
            noise = noise_for(privacy, accountant, planned)
        self.training = SampledGaussian(noise, rate, steps)
        self.budget = Budget(privacy, accountant)

    def pay_for_proposal(self, base: Weights, moments: Weights, rng: np.random.Generator) -> np.random.Generator:
        """Pay for a proposal, and get the generator for its batches and noise.

        Args:
            moments: the state of the optimiser that training begins with.

        Raises:
            Abstention: the budget doesn't allow it.
        """
        answer = self._answer(b"proposal", base.digest, moments.digest, rng.bytes(16), repr(self.training))
        self.budget.spend("a proposal", {answer: self.training})
        return noise_of(self.key, answer)

    @property
    def scores_are_noisy(self) -> bool:
        return self.privacy.score_noise_multiplier > 0

    def score(
        self, metric: Metric, targets: NDArray[Any], predictions: NDArray[Any], weights: Weights, part: Part
    ) -> float:
        """Pay for a noisy score, and give it; the same weights get the same one again, for free.

        Raises:
            Abstention: the budget doesn't allow it.
        """
        answer = self._answer(b"score", part, metric.name, weights.digest)
        self.budget.spend("a score", {answer: SampledGaussian(self.privacy.score_noise_multiplier, 1.0, 1)})
        return noisy_score(self.privacy, metric, targets, predictions, noise_of(self.key, answer))

    def _answer(self, *what: bytes | str) -> bytes:
        return self.budget.answer(self.key, *(w.encode() if isinstance(w, str) else w for w in what))


def accountant_among(
    accountants: Mapping[str, Accountant], tightest: str, backend: str, privacy: Privacy
) -> Accountant:
    """The accountant that the privacy names, else the tightest.

    With noisy scores there's something to account for in every round, so the default is then the faster ``rdp``.

    Raises:
        ParameterError: an unknown name.
    """
    name = privacy.accountant or ("rdp" if privacy.score_noise_multiplier else tightest)
    if name not in accountants:
        raise ParameterError(
            f"privacy: unknown accountant {name!r}", hint=f"Accountants of {backend}: {', '.join(accountants)}."
        )
    return accountants[name]


def noise_of(key: bytes, answer: bytes) -> np.random.Generator:
    """Where an answer's noise comes from: a generator for it alone, that needs the secret key to be made."""
    return generator_of(key + b"/noise/" + answer)


def noisy_score(
    privacy: Privacy, metric: Metric, targets: NDArray[Any], predictions: NDArray[Any], rng: np.random.Generator
) -> float:
    """A mean of clipped per-sample scores by the Gaussian mechanism; the number of samples is taken to be public.

    Args:
        metric: one that is a mean over samples.
        targets: shape ``(n,)``.
        predictions: what the metric needs, ``n`` rows.
    """
    _check_mean(metric)
    assert metric.per_sample is not None
    bound = min(privacy.score_bound, metric.largest)
    total = np.clip(metric.per_sample(targets, predictions), -bound, bound).sum()
    return float(total + rng.normal(scale=privacy.score_noise_multiplier * bound)) / len(targets)


def noise_for(privacy: Privacy, accountant: Accountant, planned: Callable[[float], Sequence[SampledGaussian]]) -> float:
    """The least noise, about, with which the budget lasts for what is planned.

    Args:
        planned: from a noise multiplier to all that's to be done with it; epsilon falls as it grows.

    Raises:
        ParameterError: no noise is enough, since what doesn't depend on it spends the budget already.
    """
    target = privacy.target_epsilon

    def epsilon(noise: float) -> float:
        return accountant(together(planned(noise)), privacy.target_delta)

    low, high = QUIETEST, 1.0
    while (at_high := epsilon(high)) > target:
        low, high = high, 2 * high
        if high > LOUDEST:
            raise ParameterError(
                f"privacy: no noise keeps epsilon at {target:g}; what is planned makes it {at_high:.3g}",
                hint="Plan fewer proposals or scores, or let scores have more noise.",
            )
    while at_high < (1 - CLOSE_ENOUGH) * target and high / low > 1 + 1e-3:
        middle = exp((log(low) + log(high)) / 2)
        at_middle = epsilon(middle)
        if at_middle > target:
            low = middle
        else:
            high, at_high = middle, at_middle
    return high


def _check_mean(metric: Metric) -> None:
    if metric.per_sample is None:
        raise ParameterError(
            f"privacy: {metric.name} is no mean over samples, so noise can't hide one of them",
            hint="Score by accuracy, log_loss or mse.",
        )
