"""Card frauds found together by 5 parties, each with another stretch of time; and two small medical and wine tables.

The payments are in order of time. Their last fifth is the common test set, which no party holds and no vote sees;
each party holds one of 5 consecutive stretches of the rest, with 52 to 142 frauds in some 45,570 payments. Given are
the area under the ROC curve and the average precision on the test set, in per cent. Breast cancer (2 classes) and wine
(here: its second class or not) are divided at random, a quarter being the common test set; means over 10 seeds.

The columns are those of ``trees_tables.py``; *alone* is the mean of the parties, *best alone* the best of them, judged
by the test set. Takes two minutes of one core.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import tables
from sklearn.metrics import average_precision_score, roc_auc_score
from trees_parties import Array, Boosting, Stretches, baselines, cut, divided, margins, random_rows
from unseen import Unseen

from colearn_core.data import Dataset, Samples, Task
from colearn_core.splitting import Iid, Splitter
from colearn_core.voting import Majority
from colearn_sklearn_plugin.datasets import breast_cancer, wine

PARTIES = 5
TEST_SHARE = 0.2
SMALL_TEST_SHARE = 0.25
SMALL_SEEDS = range(10)


def ranking(targets: Array, margins: Array) -> float:
    return 100 * float(roc_auc_score(targets, margins))


def precision(targets: Array, margins: Array) -> float:
    return 100 * float(average_precision_score(targets, margins))


QUALITIES = {"ROC AUC": ranking, "average precision": precision}


def latest_rows(dataset: Dataset, share: float) -> Array:
    n = len(dataset.samples)
    return np.arange(n - round(share * n), n)


def second_class(dataset: Dataset) -> Dataset:
    """The second class against all others."""
    samples = Samples(dataset.samples.x, (dataset.samples.y == 1).astype(np.int64))
    return replace(dataset, samples=samples, task=Task(("other", dataset.task.classes[1])))


def figures(dataset: Dataset, test_rows: Array, splitter: Splitter, seed: int) -> list[list[float]]:
    """A row for each of :data:`QUALITIES`."""
    rest, test = cut(dataset, test_rows)
    parts = divided(rest, splitter, PARTIES, seed)
    boosting = Boosting()
    found = baselines(rest, parts, test, boosting, seed)
    models = [found.pooled, *found.alone, found.bagged, found.bagged_without_votes]
    adopted = []
    for voting in (Unseen(), Majority()):
        together = boosting.experiment(parts, "everyone", voting, seed)
        adopted.append(100 * together.run(boosting.rounds).history.acceptance_rate)
        models.append(margins(together, test.x))
    rows = []
    for quality in QUALITIES.values():
        pooled, *alone, bagged, fewer, unseen, collective = (quality(test.y, model) for model in models)
        rows.append([pooled, float(np.mean(alone)), max(alone), bagged, fewer, unseen, collective, adopted[1]])
    return rows


def show(title: str, seeds: list[list[list[float]]]) -> None:
    for quality, values in zip(QUALITIES, np.mean(seeds, axis=0), strict=True):
        print(f"{title:16}{quality:18}" + "".join(f"{v:12.2f}" for v in values), flush=True)


def main() -> None:
    titles = ("pooled", "alone", "best alone", "bagged", "bagged, 85%", "no vote", "collective", "adopted, %")
    print(f"{'':34}" + "".join(f"{title:>12}" for title in titles))
    payments = tables.frauds()
    show("frauds", [figures(payments, latest_rows(payments, TEST_SHARE), Stretches(), 0)])
    small = {
        "breast cancer": breast_cancer(standardize=False),
        "wine": second_class(wine(standardize=False)),
    }
    for name, dataset in small.items():
        show(name, [figures(dataset, random_rows(dataset, SMALL_TEST_SHARE, s), Iid(), s) for s in SMALL_SEEDS])


if __name__ == "__main__":
    main()
