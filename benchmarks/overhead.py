"""Protocol overhead: colearn beside the bare numpy loop that trains one, scores N and copies nothing.

The model is a vector of 10,000 doubles. Training adds a little noise, a score is the squared
distance to the learner's own target. Both sides do the same arithmetic with the same kind of random
generator; the bare loop keeps the better vector by majority, so it decides alike. "with ledger" adds
the file ledger, which must hash every candidate and write every round.
"""

from __future__ import annotations

from tempfile import TemporaryDirectory

import measure  # first: it sets the number of threads
import numpy as np
from numpy.typing import NDArray

from colearn_core import Experiment, FileLedger, Learner, Plugins, Proposal, Score, Weights
from colearn_core.metrics import Metric, metric
from colearn_core.scores import Part

SIZE = 10_000
STEP = 0.01
Vector = NDArray[np.float64]


class Vectors(Learner):
    """A learner whose work is trivial."""

    vote_metric: Metric = metric("mse")
    test_metric: Metric = metric("mse")

    def __init__(self, target: Vector) -> None:
        self.target = target

    def initial_weights(self, rng: np.random.Generator) -> Weights:
        return Weights({"w": np.zeros(SIZE)}, copy=False)

    def propose_weights(self, base: Weights, rng: np.random.Generator) -> Proposal:
        return Proposal(Weights({"w": trained(base["w"], rng)}, copy=False), 1)

    def test_weights(self, weights: Weights, part: Part) -> Score:
        if part == "test":
            return Score(float("nan"), 0)
        return Score(distance(weights["w"], self.target), 1)


def trained(vector: Vector, rng: np.random.Generator) -> Vector:
    return vector + STEP * rng.standard_normal(SIZE)


def distance(vector: Vector, target: Vector) -> float:
    gap = vector - target
    return float(gap @ gap)


def bare(targets: list[Vector], rounds: int) -> None:
    """Propose in turn, score all, keep what most of the others find better."""
    current = np.zeros(SIZE)
    scores = [distance(current, target) for target in targets]
    rng = np.random.default_rng(0)
    for r in range(rounds):
        author = r % len(targets)
        proposal = trained(current, rng)
        proposed = [distance(proposal, target) for target in targets]
        better = sum(p < s for i, (p, s) in enumerate(zip(proposed, scores, strict=True)) if i != author)
        if 2 * better > len(targets) - 1:
            current, scores = proposal, proposed


def with_ledger(learners: list[Vectors], rounds: int) -> None:
    from pathlib import Path

    with TemporaryDirectory() as folder, FileLedger(Path(folder)) as ledger:
        Experiment(learners, ledger=ledger, plugins=Plugins(())).run(rounds)


def main() -> None:
    print(f"{'learners':>8} {'bare ms':>9} {'colearn ms':>11} {'ratio':>6} {'with ledger ms':>15} {'ratio':>6}")
    for n, rounds, repeats in ((10, 1000, 15), (100, 200, 15), (1000, 30, 15)):
        rng = np.random.default_rng(1)
        targets = [rng.standard_normal(SIZE) for _ in range(n)]
        learners = [Vectors(target) for target in targets]
        times = measure.in_turns(
            {
                "bare": lambda: bare(targets, rounds),
                "colearn": lambda: Experiment(learners, plugins=Plugins(())).run(rounds),
                "ledger": lambda: with_ledger(learners, rounds),
            },
            repeats,
        )
        floor, ours, recorded = (times[name] / rounds * 1e3 for name in ("bare", "colearn", "ledger"))
        print(
            f"{n:8} {floor:9.3f} {ours:11.3f} {ours / floor:6.2f} {recorded:15.3f} {recorded / floor:6.2f}", flush=True
        )


if __name__ == "__main__":
    main()
