"""How votes stand up to liars: attacks by rules by skew, at equal trainings, beside averages without a vote.

10 learners of digits, or MNIST, with a small neural network, of which 3, drawn by the seed, play the attack and lie in
the vote as well. Each cell is the mean over seeds of the test accuracy, of all learners or of the honest ones. Scorings
and bytes are told per accepted round: each proposal goes to every other learner once, and a vote is one byte.

    python benchmarks/robustness.py                                   # everything: hours
    python benchmarks/robustness.py --seeds 1 --trainings 200 --alphas 0.5 --attacks none sign_flip
    python benchmarks/robustness.py --data mnist --methods "federated averaging" "aligned, clipped, threshold .4"
    python benchmarks/robustness.py --methods "federated averaging" "approval, majority"
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import measure  # noqa: F401 - first: it sets the number of threads
import numpy as np
from digits import PLUGINS
from mnist import SMALL_NETWORKS
from unseen import Unseen

from colearn_core.config import ExperimentConfig, prepare
from colearn_core.measured import Budget, play_measured

LEARNERS = 10
ROBUST = ["trusted", "mean", "median", "trimmed_mean", "leave_one_out", "halves"]
"""Families of candidates for when some may lie."""
THRESHOLD = {"name": "threshold", "share": 0.4}


@dataclass(frozen=True)
class Method:
    """A strategy and a policy; without one everything is adopted."""

    proposals: dict[str, Any]
    voting: dict[str, Any] | None = None


def _all(*families: str, **parameters: Any) -> dict[str, Any]:
    """Everyone proposes, and these merges are put to the vote."""
    return {"name": "approval", "size": LEARNERS, "families": families, **parameters}


METHODS = {
    "federated averaging": Method({"name": "everyone"}),
    "coordinate median": Method(_all("median")),
    "trimmed mean": Method(_all("trimmed_mean", liars=3)),
    "Krum": Method(_all("krum", liars=3)),
    "multi-Krum": Method(_all("multi_krum", liars=3)),
    "centred clipping": Method(_all("centred_clipping")),
    "geometric median": Method(_all("geometric_median")),
    "round robin, majority": Method({"name": "round_robin"}, {"name": "majority"}),
    "everyone, majority": Method({"name": "everyone"}, {"name": "majority"}),
    "approval(5), majority": Method({"name": "approval"}, {"name": "majority"}),
    "approval, majority": Method({"name": "approval", "size": LEARNERS}, {"name": "majority"}),
    "aligned, majority": Method(_all("aligned"), {"name": "majority"}),
    "aligned, threshold .4": Method(_all("aligned"), THRESHOLD),
    "aligned, clipped, threshold .4": Method(_all("aligned", max_norm=2.0), THRESHOLD),
    "aligned+robust, threshold .4": Method(_all("aligned", "median", "trimmed_mean", "multi_krum", liars=3), THRESHOLD),
    "robust, majority": Method(_all(*ROBUST, liars=3), {"name": "majority"}),
    "robust, threshold .4": Method(_all(*ROBUST, liars=3), THRESHOLD),
    "robust, reputation": Method(_all(*ROBUST, liars=3), {"name": "reputation"}),
    "robust, median improvement": Method(_all(*ROBUST, liars=3), {"name": "median_improvement"}),
    "robust, score margin": Method(_all(*ROBUST, liars=3), {"name": "score_margin", "trim": 0.3}),
    "robust, per class": Method(_all(*ROBUST, liars=3), {"name": "per_class"}),
    "robust, significant": Method(_all(*ROBUST, liars=3), {"name": "significant"}),
}
ATTACKS: dict[str, dict[str, Any] | None] = {
    "none": None,
    "sign_flip": {"name": "sign_flip", "votes": "opposite"},
    "scaled_update": {"name": "scaled_update", "votes": "loyal"},
    "inner_product": {"name": "inner_product", "votes": "loyal"},
    "little_is_enough": {"name": "little_is_enough", "votes": "loyal"},
    "label_flip": {"name": "label_flip", "votes": "loyal"},
    "mimic": {"name": "mimic", "votes": "loyal"},
    "free_rider": {"name": "free_rider", "votes": "opposite"},
}


@dataclass(frozen=True)
class Job:
    method: str
    attack: str
    alpha: float
    seed: int
    trainings: int
    data: str = "digits"

    @property
    def config(self) -> ExperimentConfig:
        method, attack = METHODS[self.method], ATTACKS[self.attack]
        values: dict[str, Any] = {
            **SMALL_NETWORKS[self.data],
            "learners": LEARNERS,
            "split": {"name": "dirichlet", "alpha": self.alpha},
            "proposals": method.proposals,
            "voting": method.voting or "majority",
            "seed": self.seed,
        }
        if attack is not None:
            values["adversaries"] = [{**attack, "share": 0.3}]
        return ExperimentConfig.from_mapping(values, "benchmark")


@dataclass(frozen=True)
class Outcome:
    accuracy: float
    honest: float
    accepted: int
    scorings: int
    megabytes: float


def play(job: Job) -> Outcome:
    prepared = prepare(job.config, PLUGINS)
    if METHODS[job.method].voting is None:
        prepared = replace(prepared, policy=Unseen())
    found = play_measured(prepared, Budget(trainings=job.trainings)).outcome
    return Outcome(
        found["test"],
        found.get("test_honest", found["test"]),
        found["accepted"],
        found["scorings"],
        found["bytes"] / 1e6,
    )


def played(jobs: list[Job], kept: Path | None, processes: int) -> Iterator[tuple[Job, Outcome]]:
    """Outcomes as they come; those in the file are read, new ones are added to it."""
    known: dict[str, Outcome] = {}
    if kept is not None and kept.exists():
        for line in kept.read_text().splitlines():
            key, values = json.loads(line)
            known[key] = Outcome(**values)
    todo = [job for job in jobs if repr(job) not in known]
    yield from ((job, known[repr(job)]) for job in jobs if repr(job) in known)
    with ProcessPoolExecutor(processes, mp_context=get_context("spawn")) as pool:
        for job, outcome in zip(todo, pool.map(play, todo), strict=True):
            if kept is not None:
                with kept.open("a") as file:
                    file.write(json.dumps([repr(job), outcome.__dict__]) + "\n")
            yield job, outcome


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--trainings", type=int, default=600)
    parser.add_argument("--data", choices=SMALL_NETWORKS, default="digits", help="mnist needs `make data`")
    parser.add_argument("--alphas", type=float, nargs="+", default=[100.0, 0.5, 0.1])
    parser.add_argument("--attacks", nargs="+", choices=ATTACKS, default=list(ATTACKS))
    parser.add_argument("--methods", nargs="+", choices=METHODS, default=list(METHODS), metavar="METHOD")
    parser.add_argument("--keep", type=Path, help="Keep outcomes in this file, and don't repeat those in it.")
    parser.add_argument("--processes", type=int, default=2)
    given = parser.parse_args()
    jobs = [
        Job(method, attack, alpha, seed, given.trainings, given.data)
        for method in given.methods
        for attack in given.attacks
        for alpha in given.alphas
        for seed in range(given.seeds)
    ]
    found: dict[tuple[str, str, float], list[Outcome]] = {}
    heading = "".join(f"{alpha:>14g}" for alpha in given.alphas)
    print(f"all / honest learners, at Dirichlet{'':17}{heading}   scorings, MB per accepted round", flush=True)
    for job, outcome in played(jobs, given.keep, given.processes):
        found.setdefault((job.method, job.attack, job.alpha), []).append(outcome)
        row = [found.get((job.method, job.attack, alpha), []) for alpha in given.alphas]
        if all(len(cell) == given.seeds for cell in row):
            print(_line(job.method, job.attack, row), flush=True)


def _line(method: str, attack: str, row: list[list[Outcome]]) -> str:
    cells = (f"  {np.mean([o.accuracy for o in c]):.3f} /{np.mean([o.honest for o in c]):5.3f}" for c in row)
    every = [o for cell in row for o in cell]
    accepted = max(1, sum(o.accepted for o in every))
    cost = f"{sum(o.scorings for o in every) / accepted:8.0f} {sum(o.megabytes for o in every) / accepted:6.2f}"
    return f"{method:30}{attack:20}{''.join(cells)}  {cost}"


if __name__ == "__main__":
    main()
