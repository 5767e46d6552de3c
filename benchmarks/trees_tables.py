"""Boosted trees on tables among 2, 5 and 10 parties: the collective beside pooled data, each alone, and bagging.

A fifth of the rows is a common test set that no party holds and no vote sees; the rest is divided at random.
Means over 3 seeds: accuracy in per cent, or the mean squared error of ``marketing`` (the bracket of income, 1 to 9).
All models get 200 boosting iterations of depth 6. *pooled*: the library on all data in one hand. *alone*: on each
party's, the mean of the parties. *bagged*: the mean of the margins of those separate models. *collective*: all
parties propose 10 iterations each, 20 times, and vote on their mean. It's trained on 85 % of the rows, since 15 % are
kept for the vote, the others on all; *bagged, 85 %* shows what that costs. *no vote* adopts every mean unseen.
*adopted* is the share of the proposals that passed the vote, *MB* the size of the model.

Federated baselines publish such figures for a9a, cod-rna, ijcnn1 and abalone (``PUBLISHED``), which no package ships
whole; so compare how far each falls behind its own pooled model, and what more parties cost. A few tables only:
``python benchmarks/trees_tables.py phoneme marketing``. Takes six minutes of one core.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from functools import partial

import numpy as np
import tables
from trees_parties import Array, Boosting, baselines, cut, divided, margins, random_rows
from unseen import Unseen

from colearn_core.data import Dataset
from colearn_core.splitting import Iid

PARTIES = (2, 5, 10)
SEEDS = (0, 1, 2)
TEST_SHARE = 0.2
CLASSES = ("magic", "ring", "phoneme", "spambase")
VALUES = ("marketing",)
PUBLISHED = {
    "a9a, %": (84.9, 84.4, 84.2, 83.7),
    "cod-rna, %": (97.3, 96.4, 96.2, 95.0),
    "ijcnn1, %": (98.7, 98.0, 97.28, 96.8),
    "abalone, MSE": (4.6, 5.5, 6.87, 7.5),
}
"""Flower's hfedxgboost: the centralised model, then 2, 5 and 10 clients (its README, tables 1 to 3)."""


def accuracy(targets: Array, margins: Array) -> float:
    return 100 * float(np.mean((margins > 0) == targets))


def squared_error(targets: Array, margins: Array) -> float:
    return float(np.mean((targets - margins) ** 2))


def row(dataset: Dataset, parties: int, seed: int) -> Iterator[float]:
    rest, test = cut(dataset, random_rows(dataset, TEST_SHARE, seed))
    parts = divided(rest, Iid(), parties, seed)
    boosting = Boosting()
    quality = partial(accuracy if dataset.task.classes else squared_error, test.y)
    found = baselines(rest, parts, test, boosting, seed)
    yield quality(found.pooled)
    yield float(np.mean([quality(each) for each in found.alone]))
    yield quality(found.bagged)
    yield quality(found.bagged_without_votes)
    unseen = boosting.experiment(parts, "everyone", Unseen(), seed)
    unseen.run(boosting.rounds)
    yield quality(margins(unseen, test.x))
    together = boosting.experiment(parts, "everyone", "majority", seed)
    history = together.run(boosting.rounds).history
    yield quality(margins(together, test.x))
    yield history.acceptance_rate
    yield len(together.weights.to_bytes()) / 1e6


def main() -> None:
    titles = ("pooled", "alone", "bagged", "bagged, 85%", "no vote", "collective", "adopted", "MB")
    print(f"{'table':12}{'parties':>8}" + "".join(f"{title:>12}" for title in titles))
    for name in sys.argv[1:] or (*CLASSES, *VALUES):
        dataset = tables.keel(name, "regression" if name in VALUES else "classification")
        for parties in PARTIES:
            means = np.mean([list(row(dataset, parties, seed)) for seed in SEEDS], axis=0)
            print(f"{name:12}{parties:8}" + "".join(f"{mean:12.2f}" for mean in means), flush=True)
    print(f"\n{'hfedxgboost':12}{'pooled':>9}" + "".join(f"{n:8}" for n in PARTIES))
    for name, figures in PUBLISHED.items():
        print(f"{name:12}" + "".join(f"{figure:8.2f}" for figure in figures))


if __name__ == "__main__":
    main()
