"""Accuracy on digits under label skew: the table of the design document without attackers, in one command.

10 learners with the default neural network, 600 local trainings each way, mean test accuracy over 3
seeds. The last two rows have no vote.
"""

from __future__ import annotations

import measure  # noqa: F401 - first: it sets the number of threads
import numpy as np
from digits import experiment

from colearn_core import Experiment
from colearn_core.rounds import assess
from colearn_core.weights import Weights, median

TRAININGS = 600
LEARNERS = 10
SEEDS = (0, 1, 2)
ALPHAS = (100, 0.5, 0.1)
BY_VOTE = {
    "one proposer, majority": {"name": "round_robin"},
    "line search, majority": {"name": "line_search"},
    "committee of 5": {"name": "committee", "size": 5},
    "approval(5)": {"name": "approval", "size": 5},
    "approval(everyone)": {"name": "approval", "size": LEARNERS},
}


def by_vote(e: Experiment) -> float:
    proposers = len(e.strategy.proposers(1, LEARNERS, e.streams))
    return e.run(TRAININGS // proposers).history.mean_test()


def without_vote(e: Experiment, merge: str) -> float:
    weights: Weights = e.weights
    for step in range(1, TRAININGS // LEARNERS + 1):
        proposals = list(e.cohort.propose(range(LEARNERS), weights, step, e.streams).proposals.values())
        weights = e.cohort.combine(weights, proposals) if merge == "mean" else median([p.weights for p in proposals])
    return assess(e.cohort, weights).test.mean()


def accuracy(row: str, alpha: float, seed: int) -> float:
    split = {"name": "dirichlet", "alpha": alpha}
    proposals = BY_VOTE.get(row, {"name": "everyone"})
    e = experiment("sklearn.mlp_classifier", LEARNERS, seed=seed, split=split, proposals=proposals)
    if row in BY_VOTE:
        return by_vote(e)
    return without_vote(e, "mean" if row.startswith("FedAvg") else "median")


def main() -> None:
    print(f"{'Dirichlet':28}" + "".join(f"{alpha:>8}" for alpha in ALPHAS))
    for row in (*BY_VOTE, "FedAvg, no vote", "coordinate median, no vote"):
        print(f"{row:28}", end="", flush=True)
        for alpha in ALPHAS:
            print(f"{np.mean([accuracy(row, alpha, seed) for seed in SEEDS]):8.3f}", end="", flush=True)
        print()


if __name__ == "__main__":
    main()
