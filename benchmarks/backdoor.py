"""Backdoors: how often the model falls for a trigger that one of 10 learners plants, and what keeping it out costs.

Digits, or MNIST with ``--mnist``, at Dirichlet 0.5. The attacker puts a bright patch and the label 0 on half of its
training data (or on another share: the fewer, the less its clean accuracy suffers) and proposes what it learns from
that, as it is (scale 1) or ten times the change, which replaces a mean (Bagdasaryan et al. 2020, arXiv 1807.00459);
it votes as its own clean data say, or for whatever it has a part in.
Each cell is the attack's success, on the honest learners' test samples of other classes, and their clean accuracy:
means over the seeds, at equal trainings. A model without a backdoor is taken in about as often as it errs.

    python benchmarks/backdoor.py                                   # half an hour on one idle core
    python benchmarks/backdoor.py --seeds 1 --trainings 200 --scales 10 --votes loyal
    python benchmarks/backdoor.py --scales 1 --votes loyal --poisoned 0.1
    python benchmarks/backdoor.py --mnist --seeds 3 --methods "federated averaging" "robust, majority"
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass, replace
from typing import Any

import measure  # noqa: F401 - first: it sets the number of threads
import numpy as np
from digits import PLUGINS
from mnist import SMALL_NETWORKS
from robustness import Method
from unseen import Unseen

from colearn_core.adversaries import Backdoor, attack_success
from colearn_core.config import ExperimentConfig, Prepared, prepare

LEARNERS = 10
ALPHA = 0.5
ROBUST = ("trusted", "trimmed_mean", "median", "leave_one_out", "halves")
"""Families of candidates that can do without the attacker, and not the mean of all."""


def approval(*families: str, **parameters: Any) -> dict[str, Any]:
    """Everyone proposes, and these merges are put to the vote; without families, the usual ones."""
    chosen = {"families": families} if families else {}
    return {"name": "approval", "size": LEARNERS, **chosen, **parameters}


COORDINATES = ("trimmed_mean", "median")
"""Families that leave out, weight by weight, what only one learner changed: honest data don't move those of a trigger
that they never wear.
"""

CLIPPED = approval(*ROBUST, max_norm=1.0)
METHODS = {
    "federated averaging": Method({"name": "everyone"}),
    "clipped averaging": Method({"name": "everyone", "max_norm": 1.0}),
    "trimmed mean": Method(approval("trimmed_mean", liars=1)),
    "coordinate median": Method(approval("median")),
    "round robin, majority": Method({"name": "round_robin"}, {"name": "majority"}),
    "approval, majority": Method(approval(), {"name": "majority"}),
    "robust, majority": Method(approval(*ROBUST), {"name": "majority"}),
    "aligned, clipped, threshold .4": Method(approval("aligned", max_norm=2.0), {"name": "threshold", "share": 0.4}),
    "coordinates, majority": Method(approval(*COORDINATES), {"name": "majority"}),
    "coordinates, threshold .4": Method(approval(*COORDINATES), {"name": "threshold", "share": 0.4}),
    "coordinates, score margin": Method(approval(*COORDINATES), {"name": "score_margin", "trim": 0.1}),
    "coordinates, clipped, majority": Method(approval(*COORDINATES, max_norm=1.0), {"name": "majority"}),
    "robust, clipped, majority": Method(CLIPPED, {"name": "majority"}),
    "robust, clipped, per class": Method(CLIPPED, {"name": "per_class"}),
    "robust, clipped, threshold .4": Method(CLIPPED, {"name": "threshold", "share": 0.4}),
    "robust, clipped, score margin": Method(CLIPPED, {"name": "score_margin", "trim": 0.1}),
    "robust, clipped, median": Method(CLIPPED, {"name": "median_improvement"}),
}


@dataclass(frozen=True)
class Outcome:
    success: float
    accuracy: float


def prepared_for(method: Method, seed: int, mnist: bool, backdoor: Backdoor, attacked: bool) -> Prepared:
    """An experiment in which the learner that plays the attacker is drawn by the seed, or isn't one."""
    values: dict[str, Any] = {
        **SMALL_NETWORKS["mnist" if mnist else "digits"],
        "learners": LEARNERS,
        "split": {"name": "dirichlet", "alpha": ALPHA},
        "proposals": method.proposals,
        "voting": method.voting or "majority",
        "seed": seed,
    }
    if attacked:
        values["adversaries"] = [
            {
                "name": "backdoor",
                "target": backdoor.target,
                "poisoned": backdoor.poisoned,
                "scale": backdoor.scale,
                "votes": backdoor.votes,
            }
        ]
    prepared = prepare(ExperimentConfig.from_mapping(values, "benchmark"), PLUGINS)
    return prepared if method.voting else replace(prepared, policy=Unseen())


def play(method: Method, seed: int, trainings: int, mnist: bool, backdoor: Backdoor, attacked: bool = True) -> Outcome:
    """What came of it, for those that are honest when there's an attack: with and without it the same learners."""
    cast = prepared_for(method, seed, mnist, backdoor, attacked=True)
    prepared = cast if attacked else prepared_for(method, seed, mnist, backdoor, attacked=False)
    experiment = prepared.experiment()
    proposers = len(prepared.strategy.proposers(1, LEARNERS, experiment.streams))
    run = experiment.run(trainings // proposers)
    honest = [i for i in range(LEARNERS) if i not in cast.adversaries]
    scores, samples = run.history.test_scores[-1], run.history.test_samples
    return Outcome(
        attack_success(cast, backdoor, run.weights), float(np.average(scores[honest], weights=samples[honest]))
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--trainings", type=int, default=600)
    parser.add_argument("--scales", type=float, nargs="+", default=[1.0, 10.0])
    parser.add_argument("--votes", nargs="+", choices=("honest", "loyal"), default=["honest", "loyal"])
    parser.add_argument(
        "--poisoned", type=float, default=0.5, help="Share of the attacker's training data with trigger"
    )
    parser.add_argument("--methods", nargs="+", choices=METHODS, default=list(METHODS), metavar="METHOD")
    parser.add_argument("--mnist", action="store_true", help="MNIST, fetched by `make data`, instead of digits")
    given = parser.parse_args()
    attacks = [
        Backdoor(poisoned=given.poisoned, scale=scale, votes=votes) for scale in given.scales for votes in given.votes
    ]
    headings = [f"scale {b.scale:g}, {b.votes}" for b in attacks]
    print(f"{'success / clean accuracy':32}{'no attack':>18}" + "".join(f"{h:>18}" for h in headings), flush=True)
    for name in given.methods:
        print(f"{name:32}", end="", flush=True)
        for backdoor, attacked in [(attacks[0], False), *((b, True) for b in attacks)]:
            cells = [
                play(METHODS[name], seed, given.trainings, given.mnist, backdoor, attacked)
                for seed in range(given.seeds)
            ]
            success, accuracy = (np.mean([getattr(c, what) for c in cells]) for what in ("success", "accuracy"))
            print(f"{f'{success:.3f} / {accuracy:.3f}':>18}", end="", flush=True)
        print(flush=True)


if __name__ == "__main__":
    main()
