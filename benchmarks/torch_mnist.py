"""MNIST among 5 learners, without and with differential privacy: accuracy after 40 rounds.

``make data`` fetches the 60,000 images; each learner holds 12,000 of them, a tenth for the vote and a tenth to
test on. Private learners each keep to their own (ε, 1e-5). Beside them what one party with all 60,000 gets in
Opacus' example (its README: 10 runs, 94.63, 96.78 and 97.09 %). Takes about half an hour on one core;
``python benchmarks/torch_mnist.py 3`` does one epsilon only.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from time import perf_counter
from typing import Any

import measure  # noqa: F401 - first: it sets the number of threads
import torch
from mnist import MNIST, idx
from torch import Tensor, nn

from colearn_core import Experiment, Plugins
from colearn_core.config import ExperimentConfig, prepare
from colearn_core.rounds import assess

LEARNERS, ROUNDS = 5, 40
ONE_PARTY = {1.2: 0.9463, 3.0: 0.9678, 7.0: 0.9709}
PLAIN = {"name": "torch.mlp", "hidden": [100], "steps": 50, "batch_size": 32}


class Images(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x.reshape(len(x), 1, 28, 28)


def small_cnn() -> nn.Module:
    """26,010 parameters; the strides keep it cheap, as in the network of Opacus' example, and tanh suits the noise."""
    return nn.Sequential(
        Images(),
        nn.Conv2d(1, 16, 8, stride=2, padding=3),
        nn.Tanh(),
        nn.MaxPool2d(2, stride=1),
        nn.Conv2d(16, 32, 4, stride=2),
        nn.Tanh(),
        nn.MaxPool2d(2, stride=1),
        nn.Flatten(),
        nn.Linear(512, 32),
        nn.Tanh(),
        nn.Linear(32, 10),
    )


def private(epsilon: float) -> dict[str, Any]:
    return {
        "name": "torch.module",
        "module": "torch_mnist:small_cnn",
        "batch_size": 512,
        "steps": 10,
        "learning_rate": 2.0,
        "privacy": {"target_epsilon": epsilon, "proposals": ROUNDS},
    }


def on_mnist(learner: dict[str, Any], proposals: str) -> Experiment:
    values = {
        "data": idx("train"),
        "learner": learner,
        "learners": LEARNERS,
        "holdout": {"vote": 0.1, "test": 0.1},
        "proposals": proposals,
        "seed": 1,
    }
    return prepare(ExperimentConfig.from_mapping(values, "benchmark"), Plugins()).experiment()


def without_vote(e: Experiment) -> float:
    """Federated averaging."""
    weights = e.weights
    for round in range(1, ROUNDS + 1):
        proposals = e.cohort.propose(range(LEARNERS), weights, round, e.streams).proposals
        weights = e.cohort.combine(weights, list(proposals.values()))
    return assess(e.cohort, weights).test.mean()


def report(title: str, accuracy: float, start: float, more: str = "") -> None:
    print(f"{title:44} {accuracy:8.4f} {perf_counter() - start:8.0f} s  {more}", flush=True)


def compare(plain: dict[str, Any], private: Callable[[float], dict[str, Any]], one_party: dict[float, float]) -> None:
    """Print a row for each way to train, or for the epsilons on the command line only."""
    if not MNIST.exists():
        raise SystemExit("MNIST isn't there; `make data` fetches it")
    asked = [float(text) for text in sys.argv[1:]]
    if not asked:
        for proposals in ("round_robin", "approval", "everyone"):
            start = perf_counter()
            report(proposals, on_mnist(plain, proposals).run(ROUNDS).history.mean_test(), start)
        start = perf_counter()
        report("federated averaging, no vote", without_vote(on_mnist(plain, "everyone")), start)
    for epsilon in asked or one_party:
        start = perf_counter()
        history = on_mnist(private(epsilon), "everyone").run(ROUNDS).history
        spent = max(s.epsilon for s in history.privacy[-1].values())
        one = one_party.get(epsilon, float("nan"))
        more = f"spent {spent:.2f}, accepted {history.acceptance_rate:.0%}; one party with all data {one:.4f}"
        report(f"everyone, each at epsilon {epsilon:g}", history.mean_test(), start, more)


if __name__ == "__main__":
    torch.set_num_threads(1)
    compare(PLAIN, private, ONE_PARTY)
