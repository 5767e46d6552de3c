"""How voting policies learn under skew, with honest voters and with three of ten that vote the opposite.

Proposals are honest here: what's measured is who gets stuck, not who keeps bad models out. Each cell is the final test
accuracy on digits, and the share of rounds that adopted something in %, the mean of two seeds.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import measure  # noqa: F401 - first: it sets the number of threads
import numpy as np
from digits import PLUGINS

from colearn_core import Experiment
from colearn_core.cohort import LoopCohort
from colearn_core.config import ExperimentConfig, prepare
from colearn_core.proposing import Candidate
from colearn_core.streams import Streams
from colearn_core.voting import Ballots

LIARS = 3
ROUNDS = 30
SEEDS = (0, 1)
ALPHAS = (100, 0.5, 0.1)
CLAIM = np.float32(1e6)
POLICIES: tuple[dict[str, Any], ...] = (
    {"name": "majority"},
    {"name": "supermajority"},
    {"name": "weighted"},
    {"name": "weighted", "cap": 3.0},
    {"name": "reputation"},
    {"name": "score_margin"},
    {"name": "score_margin", "trim": 0.3},
    {"name": "score_margin", "clip": 0.02},
    {"name": "median_improvement"},
    {"name": "per_class", "worse": 0.1},
    {"name": "per_class"},
    {"name": "significant"},
    {"name": "randomised_response", "epsilon": 1.0},
)


class Contrary(LoopCohort):
    """The first learners vote the opposite of what they think, and claim as large a margin as they can."""

    def cast(self, ballots: Ballots, candidates: Sequence[Candidate], round: int, streams: Streams) -> Ballots:
        ballots.votes[:LIARS] *= -1
        if ballots.margins is not None:
            claims = ballots.votes[:LIARS] * CLAIM
            ballots.margins[:LIARS] = np.where(np.isnan(ballots.margins[:LIARS]), np.nan, claims)
        return ballots


def outcome(voting: dict[str, Any], alpha: float, cohort: type[LoopCohort], seed: int) -> tuple[float, float]:
    """Final test accuracy, and the share of rounds that adopted something."""
    split = {"name": "dirichlet", "alpha": alpha}
    values = {"data": "digits", "learner": "softmax", "learners": 10, "split": split, "proposals": "approval"}
    config = ExperimentConfig.from_mapping({**values, "voting": voting, "seed": seed}, "benchmark")
    prepared = prepare(config, PLUGINS)
    learners = [prepared.make_learner(part) for part in prepared.parts]
    experiment = Experiment(
        learners,
        proposals=prepared.strategy,
        voting=prepared.policy,
        runtime=cohort,
        seed=seed,
        plugins=PLUGINS,
    )
    summary = experiment.run(ROUNDS).summary()
    return summary["test"]["final"], summary["acceptance_rate"]


def main() -> None:
    titles = [f"{alpha:g}{liars}" for liars in ("", ", liars") for alpha in ALPHAS]
    print(f"{'policy':36}" + "".join(f"{title:>13}" for title in titles))
    for voting in POLICIES:
        cells = []
        for cohort in (LoopCohort, Contrary):
            for alpha in ALPHAS:
                found = np.mean([outcome(voting, alpha, cohort, seed) for seed in SEEDS], axis=0)
                cells.append(f"{found[0]:8.2f} ({100 * found[1]:.0f})")
        named = " ".join([voting["name"], *(f"{k}={v}" for k, v in voting.items() if k != "name")])
        print(f"{named:36}" + "".join(f"{cell:>13}" for cell in cells), flush=True)


if __name__ == "__main__":
    main()
