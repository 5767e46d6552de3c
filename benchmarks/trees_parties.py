"""What the benchmarks of trees share: a common test set, the library's own baselines, and the collective beside them.

A common test set is cut off before the data are divided: no party holds it and no vote sees it. Baselines train
on all rows of their party; of the collective's a share is kept for the vote, which is the price of voting.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, cast

import measure  # noqa: F401 - first: it sets the number of threads
import numpy as np
import xgboost
from numpy.typing import NDArray

from colearn_core import Experiment, Plugins
from colearn_core.cohort import LoopCohort
from colearn_core.data import Dataset, Holdout, PrivateData, Samples, partition
from colearn_core.growing import TreeLearner
from colearn_core.proposing import ProposalStrategy
from colearn_core.splitting import Splitter
from colearn_core.streams import Streams
from colearn_core.voting import VotingPolicy

Array = NDArray[Any]
PLUGINS = Plugins()
VOTE_SHARE = 0.15


@dataclass(frozen=True)
class Boosting:
    """The same settings for the library alone and for the collective.

    Attributes:
        iterations: of a model; the collective has as many put to the vote.
        each: of them, that one proposal adds.
        subsample: share of the rows that each tree sees. With 1 a party would repeat a rejected proposal for ever.
    """

    iterations: int = 200
    each: int = 10
    learning_rate: float = 0.1
    max_depth: int = 6
    subsample: float = 0.8

    def train(self, samples: Samples, task: str, seed: int) -> xgboost.Booster:
        """The library's own booster on these rows."""
        settings = {
            "objective": "binary:logistic" if task == "classification" else "reg:squarederror",
            "eta": self.learning_rate,
            "max_depth": self.max_depth,
            "subsample": self.subsample,
            "seed": seed,
            "nthread": 1,
        }
        return xgboost.train(settings, xgboost.DMatrix(samples.x, samples.y), self.iterations)

    def learner(self, data: PrivateData) -> TreeLearner:
        """A party of the collective."""
        kind = "classifier" if data.task.classes else "regressor"
        found: TreeLearner = PLUGINS.component("learners", f"xgboost.{kind}").load()(
            data,
            rounds=self.each,
            learning_rate=self.learning_rate,
            max_depth=self.max_depth,
            subsample=self.subsample,
            max_trees=100 * self.iterations,
        )
        return found

    def experiment(
        self, parts: Sequence[PrivateData], proposals: str | ProposalStrategy, voting: str | VotingPolicy, seed: int
    ) -> Experiment:
        """The collective of these parties; :attr:`rounds` is how many it should play."""
        learners = [self.learner(part) for part in parts]
        return Experiment(learners, proposals=proposals, voting=voting, seed=seed, plugins=PLUGINS)

    @property
    def rounds(self) -> int:
        return self.iterations // self.each


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
    """Margins of the library's models on the common test set.

    Attributes:
        pooled: of one trained on all data.
        alone: of one for each party, trained on all its rows.
        bagged: the mean of those.
        bagged_without_votes: the mean of those trained only on the rows that the collective trains on.
    """

    pooled: Array
    alone: tuple[Array, ...]
    bagged: Array
    bagged_without_votes: Array


def baselines(rest: Dataset, parts: Sequence[PrivateData], test: Samples, boosting: Boosting, seed: int) -> Baselines:
    target = xgboost.DMatrix(test.x)

    def margins(samples: Samples) -> Array:
        booster = boosting.train(samples, rest.task.kind, seed)
        found: Array = booster.predict(target, output_margin=True)
        return found

    alone = tuple(margins(all_rows(part)) for part in parts)
    fewer = [margins(part.train) for part in parts]
    return Baselines(margins(rest.samples), alone, np.mean(alone, axis=0), np.mean(fewer, axis=0))


def margins(experiment: Experiment, x: Array) -> Array:
    """What the collective's model says of samples: log-odds or values, shape ``(n,)``."""
    learner = cast(TreeLearner, cast(LoopCohort, experiment.cohort).learners[0])
    found = np.zeros((len(x), 1))
    learner.forest(experiment.weights).add_to(found, x.astype(np.float32))
    return found[:, 0]
