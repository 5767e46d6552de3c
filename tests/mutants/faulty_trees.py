"""Learners of trees with one fault each: what only models that grow can do wrong."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from mutant import Mutant
from numpy.typing import NDArray

from colearn_core.data import PrivateData, Samples
from colearn_core.growing import Grower, Growth, Margins, TreeLearner
from colearn_core.learner import Proposal
from colearn_core.metrics import Needs
from colearn_core.testing import Subject
from colearn_core.trees import Forest, grown
from colearn_core.weights import Weights

Array = NDArray[Any]


@dataclass(frozen=True)
class Stumps(Grower):
    """Boosts one split for each class, at the median of a feature that is drawn."""

    features: int
    classes: int
    boosts: bool = True

    def grow(self, x: Array, y: Array, sample_weight: Array | None, margins: Array, rng: np.random.Generator) -> Forest:
        missed = (y[:, None] == np.arange(self.classes)) - self.respond(margins, 0, "probabilities")
        return Forest.joined([self._stump(x, missed[:, c], c, rng) for c in range(self.classes)])

    def _stump(self, x: Array, missed: Array, output: int, rng: np.random.Generator) -> Forest:
        feature = int(rng.integers(self.features))
        threshold = float(np.median(x[:, feature]))
        right = x[:, feature] > threshold
        means = [missed[side].sum() / (side.sum() + 1) for side in (~right, right)]
        left, feature_of = np.array([1, -1, -1]), np.full(3, feature)
        return grown(left, left + 1, feature_of, np.full(3, threshold), np.array([0, *means]), output=output)

    def respond(self, margins: Array, trees: int, needs: Needs) -> Array:
        exponentials = np.exp(margins - margins.max(axis=1, keepdims=True))
        probabilities: Array = exponentials / exponentials.sum(axis=1, keepdims=True)
        return probabilities.argmax(axis=1) if needs == "labels" else probabilities


class StumpLearner(TreeLearner):
    """All as it should be."""

    def __init__(self, data: PrivateData, prune: float = 0.0) -> None:
        grower = Stumps(data.train.x.shape[1], len(data.task.classes))
        super().__init__(grower, data, Growth(prune=prune))


class JoinsInTheGivenOrder(StumpLearner):
    def combine(self, base: Weights, proposals: Sequence[Proposal]) -> Weights:
        kept = self.forest(base)
        share = 1 / len(proposals)
        new = [self.forest(p.weights).take(slice(len(kept), None)).scaled(share) for p in proposals]
        return Forest.joined([kept, *new]).to_weights()


class AddsAllNewTrees(StumpLearner):
    def combine(self, base: Weights, proposals: Sequence[Proposal]) -> Weights:
        kept = self.forest(base)
        by_digest = sorted(proposals, key=lambda p: p.weights.digest)
        new = [self.forest(p.weights).take(slice(len(kept), None)) for p in by_digest]
        return Forest.joined([kept, *new]).to_weights()


class TreesWithoutShares(StumpLearner):
    def combine(self, base: Weights, proposals: Sequence[Proposal]) -> Weights:
        return super().combine(base, [p._replace(samples=1) for p in {p.weights: p for p in proposals}.values()])


class ShrinksTheBase(StumpLearner):
    """Damps the values of the accepted trees where they lie."""

    def propose_weights(self, base: Weights, rng: np.random.Generator) -> Proposal:
        proposal = super().propose_weights(base, rng)
        values = base["value"]
        values.flags.writeable = True
        values *= np.float32(0.9)
        values.flags.writeable = False
        return proposal


class GrowsOnVoteData(StumpLearner):
    def propose_weights(self, base: Weights, rng: np.random.Generator) -> Proposal:
        everything = Samples.joined([self.data.train, self.data.vote])
        return (
            StumpLearner(replace(self.data, train=everything))
            .propose_weights(base, rng)
            ._replace(samples=len(self.data.train))
        )


class PrunesByVoteData(StumpLearner):
    def __init__(self, data: PrivateData) -> None:
        super().__init__(data, prune=1.0)

    def _pruned(self, forest: Forest) -> Forest:
        return StumpLearner(replace(self.data, train=self.data.vote))._pruned(forest)


class GrowsOnFromItsOwnTrees(StumpLearner):
    """Goes on from the trees it proposed last, whether or not they were adopted."""

    last: Weights | None = None

    def propose_weights(self, base: Weights, rng: np.random.Generator) -> Proposal:
        proposal = super().propose_weights(base if self.last is None else self.last, rng)
        self.last = proposal.weights
        return proposal


class CountedMargins(Margins):
    """Takes models of as many trees for one."""

    def of(self, forest: Forest) -> Array:
        found: dict[int, Array] = vars(self).setdefault("found", {})
        return found.setdefault(len(forest), super().of(forest))


class TakesAsManyTreesForTheSame(StumpLearner):
    def __init__(self, data: PrivateData) -> None:
        super().__init__(data)
        self._margins = {part: CountedMargins(m.x, self.grower.outputs) for part, m in self._margins.items()}


class LetsAnyProposalPass(StumpLearner):
    def check_weights(self, weights: Weights, base: Weights) -> None:
        pass


class Pruning(StumpLearner):
    """Drops trees in every other round: correct."""

    def __init__(self, data: PrivateData) -> None:
        super().__init__(data, prune=0.5)


def _mutant(learner: type[StumpLearner], fault: str, survives: str | None = None) -> Mutant:
    return Mutant(learner.__name__, "learners", fault, Subject(learner), survives=survives)


MUTANTS = [
    _mutant(JoinsInTheGivenOrder, "combining joins trees in the order of proposals"),
    _mutant(AddsAllNewTrees, "combining adds up the trees of all"),
    _mutant(
        TreesWithoutShares,
        "combining doesn't weigh trees by samples, nor count equal ones",
        survives="averaged trees don't either, by design: each has one voice, whoever grew it",
    ),
    _mutant(ShrinksTheBase, "accepted trees are changed in place"),
    _mutant(GrowsOnVoteData, "trees are grown on vote data too"),
    _mutant(PrunesByVoteData, "trees are pruned by vote data"),
    _mutant(GrowsOnFromItsOwnTrees, "trees grow on from its own last proposal"),
    _mutant(TakesAsManyTreesForTheSame, "a model with as many trees gets the score of the one before"),
    _mutant(LetsAnyProposalPass, "proposals of other models pass the check"),
]
CONTROLS = [_mutant(StumpLearner, ""), _mutant(Pruning, "")]
