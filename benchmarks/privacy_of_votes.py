"""What votes and scores reveal: an observer who knows all vote samples but one looks for that one.

A learner votes by 100 samples. The observer knows the weights, which are public, 99 of the samples, and 1,000
people, one of whom is the last sample. It asks how likely each of them makes what the learner published: one
exact score as the ledger has it, exact votes on the candidates of 40 rounds, noisy scores of these, or votes by
noisy scores; and names the likeliest. This is the observer that differential privacy is meant for; one who
knows less learns less. By chance it would be right once in 1,000 times.

Data are digits, with their 1,797 samples; the model is softmax regression, trained by 10 other learners.
"""

from __future__ import annotations

from collections.abc import Callable

import measure  # noqa: F401 - first: it sets the number of threads
import numpy as np
from digits import experiment
from numpy.typing import NDArray
from scipy.special import log_ndtr

from colearn_core.data import Samples
from colearn_core.metrics import metric
from colearn_core.privacy import Privacy, SampledGaussian
from colearn_core.reference import SoftmaxRegression
from colearn_core.weights import Weights
from colearn_torch_plugin.private import accountant_of

OWN = 100
PEOPLE = 1000
ROUNDS = 40
TRIALS = 300
BOUND = 5.0
Array = NDArray[np.float64]
Observer = Callable[[Array, Array, np.random.Generator], Array]
"""From the vote scores of the weights in force and of the candidates, if each of the people in turn were the last
sample (shape ``(rounds, people)``, of whom the first truly is), to the log-likelihood of each."""


def losses_of_samples() -> tuple[Array, Array]:
    """Each sample's loss by the weights in force and by the candidate of every round: shape ``(rounds, samples)``."""
    e = experiment("softmax", 10, seed=1)
    data = [part for learner in e.cohort.learners for part in _parts(learner)]  # type: ignore[attr-defined]
    x, y = np.concatenate([part.x for part in data]), np.concatenate([part.y for part in data])
    measure_loss = metric("log_loss").per_sample
    assert measure_loss is not None

    def losses(weights: Weights) -> Array:
        exponentials = np.exp(x @ weights["coef"] + weights["intercept"])
        return np.asarray(measure_loss(y, exponentials / exponentials.sum(axis=1, keepdims=True)), dtype=np.float64)

    found = [losses(e.weights)]
    weights = e.weights
    for round in range(1, ROUNDS + 1):
        i = round % 10
        weights = e.cohort.propose([i], weights, round, e.streams).proposals[i].weights
        found.append(losses(weights))
    return np.array(found[:-1]), np.array(found[1:])


def _parts(learner: SoftmaxRegression) -> list[Samples]:
    return [learner.data.train, learner.data.vote, learner.data.test]


def sees_nothing(current: Array, proposed: Array, rng: np.random.Generator) -> Array:
    return np.zeros(current.shape[1])


def sees_a_score(current: Array, proposed: Array, rng: np.random.Generator) -> Array:
    published = np.float32(proposed[-1, 0])
    return np.where(proposed[-1].astype(np.float32) == published, 0.0, -np.inf)


def sees_votes(current: Array, proposed: Array, rng: np.random.Generator) -> Array:
    votes = proposed < current
    return np.where((votes == votes[:, :1]).all(axis=0), 0.0, -np.inf)


def sees_noisy_scores(noise: float) -> Observer:
    def observer(current: Array, proposed: Array, rng: np.random.Generator) -> Array:
        deviation = noise * BOUND / OWN
        published = proposed[:, :1] + rng.normal(scale=deviation, size=(ROUNDS, 1))
        return -np.square((proposed - published) / deviation).sum(axis=0) / 2  # type: ignore[no-any-return]

    return observer


def sees_noisy_votes(noise: float) -> Observer:
    def observer(current: Array, proposed: Array, rng: np.random.Generator) -> Array:
        deviation = noise * BOUND / OWN
        surer = (current - proposed) / (np.sqrt(2) * deviation)  # both scores have noise
        votes = surer[:, :1] + rng.normal(size=(ROUNDS, 1)) > 0
        return np.where(votes, log_ndtr(surer), log_ndtr(-surer)).sum(axis=0)  # type: ignore[no-any-return]

    return observer


def epsilon(noise: float) -> float:
    """Of 41 noisy scores: the initial weights' too."""
    tight = accountant_of(Privacy(1.0, noise_multiplier=1.0))
    return tight((SampledGaussian(noise, 1.0, ROUNDS + 1),), 1e-5)


def rightly_found(observer: Observer, current: Array, proposed: Array) -> float:
    """How often the likeliest is the right one; among equally likely ones it's a guess."""
    rng, found = np.random.default_rng(0), 0.0
    for _ in range(TRIALS):
        order = rng.permutation(current.shape[1])
        known, people = order[: OWN - 1], order[OWN - 1 : OWN - 1 + PEOPLE]
        before, after = ((x[:, known].sum(axis=1)[:, None] + x[:, people]) / OWN for x in (current, proposed))
        likelihood = observer(before, after, rng)
        best = likelihood == likelihood.max()
        found += best[0] / best.sum()
    return found / TRIALS


def main() -> None:
    current, proposed = (np.minimum(losses, BOUND) for losses in losses_of_samples())
    rows: list[tuple[str, str, Observer]] = [
        ("nothing", "0", sees_nothing),
        ("one exact score", "none", sees_a_score),
        ("40 exact votes", "none", sees_votes),
    ]
    for noise in (1.0, 5.0, 20.0):
        spent = f"{epsilon(noise):.1f}"
        rows.append((f"40 noisy scores, multiplier {noise:g}", spent, sees_noisy_scores(noise)))
        rows.append((f"40 votes by noisy scores, multiplier {noise:g}", spent, sees_noisy_votes(noise)))
    print(f"{'published':44} {'epsilon':>8} {'found':>7}")
    for title, spent, observer in rows:
        print(f"{title:44} {spent:>8} {rightly_found(observer, current, proposed):7.1%}", flush=True)


if __name__ == "__main__":
    main()
