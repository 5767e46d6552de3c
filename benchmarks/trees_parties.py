"""What the benchmarks of trees share: a common test set, the library's own baselines, and the collective beside them.

A common test set is cut off before the data are divided: no party holds it and no vote sees it. Baselines train
on all rows of their party; of the collective's a share is kept for the vote, which is the price of voting.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import measure  # noqa: F401 - first: it sets the number of threads
import numpy as np
import xgboost
from numpy.typing import NDArray

from colearn_core import Experiment, Plugins
from colearn_core.data import Dataset, Holdout, PrivateData, Samples, partition
from colearn_core.splitting import Splitter
from colearn_core.streams import Streams

Array = NDArray[Any]
PLUGINS = Plugins()
VOTE_SHARE = 0.15


@dataclass(frozen=True)
class Boosting:
    """The same settings for the library alone and for the collective."""

    iterations: int = 100
    learning_rate: float = 0.1
    max_depth: int = 6

    def train(self, samples: Samples, task: str) -> xgboost.Booster:
        """The library's own booster on these rows."""
        settings = {
            "objective": "binary:logistic" if task == "classification" else "reg:squarederror",
            "eta": self.learning_rate,
            "max_depth": self.max_depth,
            "nthread": 1,
        }
        return xgboost.train(settings, xgboost.DMatrix(samples.x, samples.y), self.iterations)


class Stretches(Splitter):
    """Consecutive stretches of the rows, one for each party: rows in order of time stay together."""

    def split(self, labels: Array, parts: int, rng: np.random.Generator) -> list[Array]:
        return np.array_split(np.arange(len(labels)), parts)


def cut(dataset: Dataset, test_rows: Array) -> tuple[Dataset, Samples]:
    """The rest of a data set, in its order, and the rows that nobody holds."""
    rest = np.ones(len(dataset.samples), dtype=bool)
    rest[test_rows] = False
    return replace(dataset, samples=dataset.samples.take(np.flatnonzero(rest))), dataset.samples.take(test_rows)


def random_rows(dataset: Dataset, share: float, seed: int) -> Array:
    n = len(dataset.samples)
    return np.sort(np.random.default_rng(seed).permutation(n)[: round(share * n)])


def divided(dataset: Dataset, splitter: Splitter, parties: int, seed: int) -> list[PrivateData]:
    return partition(dataset, splitter, parties, Holdout(VOTE_SHARE, 0.0), Streams(seed))


def all_rows(part: PrivateData) -> Samples:
    """All that a party holds: alone it needs no vote."""
    return Samples.joined([part.train, part.vote])


@dataclass(frozen=True)
class Baselines:
    """Margins of the library's models on the common test set: all data in one hand, and each party's alone."""

    pooled: Array
    alone: tuple[Array, ...]

    @property
    def bagged(self) -> Array:
        """The mean of the margins of the separate models."""
        found: Array = np.mean(self.alone, axis=0)
        return found


def baselines(rest: Dataset, parts: Sequence[PrivateData], test: Samples, boosting: Boosting) -> Baselines:
    target = xgboost.DMatrix(test.x)

    def margins(samples: Samples) -> Array:
        found: Array = boosting.train(samples, rest.task.kind).predict(target, output_margin=True)
        return found

    return Baselines(margins(rest.samples), tuple(margins(all_rows(part)) for part in parts))


def collective(
    parts: Sequence[PrivateData], learner: Mapping[str, Any], proposals: str | Mapping[str, Any], seed: int
) -> Experiment:
    """Parties that vote on each other's trees; components by name, with their parameters."""
    strategy = {"name": proposals} if isinstance(proposals, str) else dict(proposals)
    made = {kind: dict(section) for kind, section in (("learners", learner), ("proposal_strategies", strategy))}
    factories = {kind: PLUGINS.component(kind, section.pop("name")).load() for kind, section in made.items()}
    return Experiment(
        [factories["learners"](part, **made["learners"]) for part in parts],
        proposals=factories["proposal_strategies"](**made["proposal_strategies"]),
        seed=seed,
        plugins=Plugins(()),
    )
