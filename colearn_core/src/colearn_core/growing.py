"""Learners whose model grows: each proposal adds trees to the accepted ones, and only new trees are evaluated."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from math import fsum, inf
from typing import Annotated, Any, NamedTuple, Self

import numpy as np
from annotated_types import Ge, Le
from numpy.typing import NDArray

from .cohort import Cohort, LoopCohort
from .data import PrivateData
from .errors import Abstention, ConfigError, DataError, ParameterError, WeightsError
from .fused import FusedCohort
from .learner import Learner, Proposal
from .metrics import Needs, metric_for
from .resident import PARTS
from .scores import Part, Score, scored
from .trees import Forest, grown
from .weights import Weights

Array = NDArray[Any]
KEPT_SUMS = 6
"""How many sums :class:`Margins` keeps: the accepted trees' outlives those that rivals have in common in pairs."""


class Grower(ABC):
    """How a backend grows trees on private data. It holds settings, no model and no data.

    Growers that compare equal belong to one model: their learners are scored together.

    Attributes:
        features: number of features.
        classes: number of classes; 0 for a regression.
        boosts: whether trees are added up, each correcting those before; else they're averaged.
    """

    features: int
    classes: int
    boosts: bool

    @property
    def outputs(self) -> int:
        """How many margins a sample has: one for a regression or, if trees are boosted, for two classes."""
        return 1 if not self.classes or (self.boosts and self.classes == 2) else self.classes

    @property
    def width(self) -> int:
        """How many values a leaf has."""
        return 1 if self.boosts else self.outputs

    def check(self, data: PrivateData) -> None:
        """Raise DataError for a learner's data that no trees can be grown on; by default all will do."""

    @abstractmethod
    def grow(self, x: Array, y: Array, sample_weight: Array | None, margins: Array, rng: np.random.Generator) -> Forest:
        """New trees.

        Args:
            x: float32, shape ``(n, features)``; NaN is missing.
            y: class numbers or values, shape ``(n,)``; classes may be absent.
            sample_weight: shape ``(n,)``; None weighs all alike.
            margins: what the accepted trees say, float64, shape ``(n, outputs)``.
            rng: where all randomness comes from.
        """

    @abstractmethod
    def respond(self, margins: Array, trees: int, needs: Needs) -> Array:
        """Predictions: labels, probabilities of shape ``(n, classes)``, or values.

        Args:
            margins: the sums of the trees' values, shape ``(n, outputs)``.
            trees: how many were summed.
        """


class BoostingGrower(Grower):
    """Trees that are added up: by the squared error of values, the log loss of the logistic function for two classes,
    and of softmax for more.
    """

    boosts = True

    def respond(self, margins: Array, trees: int, needs: Needs) -> Array:
        if not self.classes:
            return margins[:, 0]
        if self.outputs == 1:
            if needs == "labels":
                return (margins[:, 0] > 0).astype(np.int64)
            margins = np.column_stack([np.zeros(len(margins)), margins[:, 0]])
        elif needs == "labels":
            labels: Array = margins.argmax(axis=1)
            return labels
        exponentials = np.exp(margins - margins.max(axis=1, keepdims=True))
        probabilities: Array = exponentials / exponentials.sum(axis=1, keepdims=True)
        return probabilities

    def constant(self, y: Array, sample_weight: Array | None) -> Forest:
        """What a model begins with: a leaf for each output, of the mean, or of the log of the classes' shares.

        Shares are as if each class had been seen once more (Laplace). Arguments are those of :meth:`grow`.
        """
        weight = np.ones(len(y)) if sample_weight is None else sample_weight
        if self.classes:
            shares = np.bincount(y, weights=weight * len(y) / weight.sum(), minlength=self.classes) + 1
            logs = np.log(shares)
            values = logs[1:] - logs[0] if self.outputs == 1 else logs - logs.mean()
        else:
            values = np.array([np.average(y, weights=weight)])
        none, zero = np.full(1, -1), np.zeros(1)
        return Forest.joined(
            [grown(none, none, none, zero, zero + value, output=i) for i, value in enumerate(values.tolist())]
        )


class Margins:
    """What accepted trees say of some samples, so that only trees that are new need be asked.

    Sums begin anew nowhere: trees are added one by one in their order, so that what is kept changes no bit. Kept are
    the sum of the last model, and those that others began with: of a whole model, or of the trees that two have in
    common. So rival candidates cost what's new in each.

    Args:
        x: float32, shape ``(n, features)``.
        outputs: number of margins of a sample.
    """

    def __init__(self, x: Array, outputs: int) -> None:
        self.x = x
        self._nothing = _frozen(np.zeros((len(x), outputs)))
        self._kept: list[_Sum] = []  # the last model's, then those begun with, the last used first

    def of(self, forest: Forest) -> Array:
        """The sums, float64, shape ``(n, outputs)``; read-only."""
        start, known, fork = None, 0, 0
        for kept in self._kept:
            shared = len(forest) if kept.forest is forest else kept.forest.common(forest)
            if shared == len(kept.forest) == len(forest):
                return kept.margins
            fork = max(fork, shared)
            if shared == len(kept.forest) > known:
                start, known = kept, shared
        begun = [] if start is None else [start]
        if known < fork < len(forest):
            start = self._sum(forest, known, fork, start)
            begun.insert(0, start)
        last = self._sum(forest, 0 if start is None else len(start.forest), len(forest), start)
        others = [kept for kept in self._kept[1:] if all(kept is not used for used in begun)]
        self._kept = [last, *begun, *others][:KEPT_SUMS]
        return last.margins

    def _sum(self, forest: Forest, begin: int, end: int, start: _Sum | None) -> _Sum:
        total = (self._nothing if start is None else start.margins).copy()
        forest.take(slice(begin, end)).add_to(total, self.x)
        return _Sum(forest if end == len(forest) else forest.take(slice(end)), _frozen(total))


class _Sum(NamedTuple):
    forest: Forest
    margins: Array


@dataclass(frozen=True)
class Growth:
    """How a learner proposes trees, whatever grows them."""

    max_trees: Annotated[int, Ge(1), "The most trees a proposal may have: a learner then adds none"] = 2000
    prune: Annotated[float, Ge(0), Le(1), "Share of proposals that drop trees which no longer help, adding none"] = 0.0
    vote_metric: Annotated[str | None, "What learners vote by (log_loss, accuracy, f1, roc_auc; mse, r2)"] = None
    test_metric: Annotated[str | None, "What the current model is reported by"] = None

    def learner(self, data: PrivateData, grower: Grower, sample_weight: Array | None = None) -> TreeLearner:
        """A learner that grows trees so."""
        return TreeLearner.of(grower, data, self, sample_weight)


class TreeLearner(Learner):
    """A party that adds trees to the accepted ones.

    The model begins without trees. Of a committee's proposals that boost, the mean is a model whose margins are the
    mean of theirs; of those that average trees it has all their trees.

    Args:
        grower: grows trees; its classes must be those of the data's task.
        data: features must be numbers; NaN is a missing value.
        growth: how much is proposed.
        sample_weight: of the training samples, shape ``(n,)``.

    Raises:
        DataError: the data can't be learned from.
        ParameterError: a metric that doesn't suit the task, or settings out of range.
    """

    def __init__(
        self, grower: Grower, data: PrivateData, growth: Growth = Growth(), sample_weight: Array | None = None
    ) -> None:
        self._begin(grower, data, growth, sample_weight)

    @classmethod
    def of(cls, grower: Grower, data: PrivateData, growth: Growth, sample_weight: Array | None = None) -> Self:
        """A learner for data that an experiment has divided, also of classes whose own arguments are others."""
        learner = cls.__new__(cls)
        learner._begin(grower, data, growth, sample_weight)
        return learner

    def _begin(
        self,
        grower: Grower,
        data: PrivateData,
        growth: Growth,
        sample_weight: Array | None,
        labels: Array | None = None,
    ) -> None:
        """Check everything and keep it; ``labels`` are those behind the class numbers if their names aren't."""
        classes = data.task.classes
        if len(classes) == 1:
            raise ParameterError(
                f"there's only one class, {classes[0]!r}",
                hint=f"Pass all labels in the group: {type(self).__name__}(..., classes=[...]).",
            )
        if growth.max_trees < 1 or not 0 <= growth.prune <= 1:
            raise ParameterError(f"max_trees = {growth.max_trees} must be at least 1, prune = {growth.prune} a share")
        if grower.classes != len(data.task.classes):
            raise ParameterError(f"{grower} can't learn a {data.task.kind} task of {len(data.task.classes)} classes")
        self.grower = grower
        self.data = data
        self.growth = growth
        self.sample_weight = _checked_weight(sample_weight, len(data.train))
        self.vote_metric = metric_for(growth.vote_metric, grower.classes or None, "log_loss")
        self.test_metric = metric_for(growth.test_metric, grower.classes or None, "accuracy")
        self._features = {part: _features(part, getattr(data, part).x, grower.features) for part in ("train", *PARTS)}
        grower.check(data)
        self._margins = {part: Margins(x, grower.outputs) for part, x in self._features.items()}
        self._held: tuple[Weights, Forest] | None = None
        self.labels = np.array(classes) if labels is None and classes else labels

    labels: Array | None
    """The labels behind the class numbers; None for regression."""

    export_formats: tuple[str, ...] = ("onnx", "safetensors")

    def initial_weights(self, rng: np.random.Generator) -> Weights:
        return Forest.empty(self.grower.width).to_weights()

    def propose_weights(self, base: Weights, rng: np.random.Generator) -> Proposal:
        forest = self.forest(base)
        samples = len(self.data.train)
        if len(forest) and self.growth.prune and rng.random() < self.growth.prune:
            fewer = self._pruned(forest)
            if len(fewer) < len(forest):
                return Proposal(fewer.to_weights(), samples)
        most = self.growth.max_trees
        if len(forest) >= most:
            raise Abstention(f"the model has {len(forest)} trees, and max_trees = {most}")
        margins = self._margins["train"]
        new = self.grower.grow(self._features["train"], self.data.train.y, self.sample_weight, margins.of(forest), rng)
        if len(forest) + len(new) > most:
            raise Abstention(f"the model has {len(forest)} trees; {len(new)} more would exceed max_trees = {most}")
        return Proposal(Forest.joined([forest, new]).to_weights(), samples)

    def test_weights(self, weights: Weights, part: Part) -> Score:
        return self._scored(weights, part, each=False)

    def test_samples(self, weights: Weights, part: Part = "vote") -> Score:
        return self._scored(weights, part, each=True)

    def _scored(self, weights: Weights, part: Part, each: bool) -> Score:
        samples = getattr(self.data, part)
        if not len(samples):
            return Score(float("nan"), 0)
        measure = self.vote_metric if part == "vote" else self.test_metric
        forest = self.forest(weights)
        predictions = self.grower.respond(self._margins[part].of(forest), len(forest), measure.needs)
        return scored(measure, samples.y, predictions, each)

    def predict(self, weights: Weights, x: Array, needs: Needs | None = None) -> Array:
        """Predictions for new samples, shape ``(n, features)``.

        Args:
            needs: ``probabilities``, ``labels`` (class numbers) or ``values``; by default what the vote metric needs.
        """
        forest = self.forest(weights)
        margins = np.zeros((len(x), self.grower.outputs))
        forest.add_to(margins, _features("new", x, self.grower.features))
        return self.grower.respond(margins, len(forest), needs or self.vote_metric.needs)

    def export_model(self, weights: Weights, format: str) -> bytes:
        if format != "onnx":
            return super().export_model(weights, format)
        from .tree_onnx import as_onnx

        g = self.grower
        return as_onnx(self.forest(weights), g.features, g.classes, g.outputs, averaged=not g.boosts)

    def check_weights(self, weights: Weights, base: Weights) -> None:
        trees, most = len(self.forest(weights)), self.growth.max_trees
        if trees > most and trees > len(self.forest(base)):
            raise WeightsError(f"'sizes' is of {trees} trees, and max_trees = {most}")

    def combine(self, base: Weights, proposals: Sequence[Proposal]) -> Weights:
        forests = {p.weights.digest: self.forest(p.weights) for p in proposals}
        if len(forests) == 1:
            return proposals[0].weights
        samples: dict[str, list[float]] = {digest: [] for digest in forests}
        for p in proposals:
            samples[p.weights.digest].append(p.samples)
        rivals = [(forests[digest], fsum(samples[digest])) for digest in sorted(forests)]
        return _combined(self.forest(base), rivals, self.grower.boosts).to_weights()

    def forest(self, weights: Weights) -> Forest:
        """The trees in weights, checked.

        Raises:
            WeightsError: they aren't trees of this model.
        """
        if self._held is None or self._held[0] is not weights:
            self._held = weights, forest_of(self.grower, weights)
        return self._held[1]

    def features(self, part: str) -> Array:
        """The features of a part as trees see them, float32, shape ``(n, features)``."""
        return self._features[part]

    def feature_importance(self, weights: Weights) -> dict[str, float]:
        """Each feature's share of what all splits gained, by those who grew them."""
        names = self.data.task.features or [f"feature {i}" for i in range(self.grower.features)]
        return dict(zip(names, self.forest(weights).importance(self.grower.features).tolist(), strict=True))

    def _pruned(self, forest: Forest) -> Forest:
        """Without the trees that the training data are predicted no worse without; the last go first."""
        measure, y = self.vote_metric, self.data.train.y
        x, sizes = self._features["train"], np.array([len(y)])
        sign = -1 if measure.greater_is_better else 1

        def loss(margins: Array, trees: int) -> float:
            return sign * float(measure.score(y, self.grower.respond(margins, trees, measure.needs), sizes)[0])

        margins = np.array(self._margins["train"].of(forest))
        kept = np.ones(len(forest), dtype=bool)
        best = loss(margins, len(forest))
        for tree in reversed(range(len(forest))):
            own = np.zeros_like(margins)
            forest.take(slice(tree, tree + 1)).add_to(own, x)
            without = loss(margins - own, int(kept.sum()) - 1) if kept.sum() > 1 or self.grower.boosts else np.inf
            if without <= best:
                kept[tree], best = False, without
                margins -= own
        return forest.take(np.flatnonzero(kept))

    @classmethod
    def cohort(cls, learners: Sequence[Learner], names: Sequence[str] | None = None) -> Cohort:
        own = [learner for learner in learners if isinstance(learner, TreeLearner)]
        for i, learner in enumerate(own):
            if learner.data.task.classes != own[0].data.task.classes:
                raise ConfigError(
                    f"learner {i} has the classes {learner.data.task.classes}, learner 0 {own[0].data.task.classes}"
                )
        if len(own) != len(learners) or any(learner.grower != own[0].grower for learner in own):
            return LoopCohort(learners, names)
        return TreeCohort(own, names)


class TreeCohort(FusedCohort):
    """Learners of one model of trees: a candidate's new trees see all learners' samples in one pass."""

    def __init__(self, learners: Sequence[TreeLearner], names: Sequence[str] | None = None) -> None:
        super().__init__(
            learners, names, {part: [getattr(learner.data, part).y for learner in learners] for part in PARTS}
        )
        self._grower = learners[0].grower
        self._margins = {
            part: Margins(np.concatenate([x.features(part) for x in learners]), self._grower.outputs) for part in PARTS
        }

    def predictions(self, weights: Weights, part: Part, needs: Needs) -> Array:
        forest = forest_of(self._grower, weights)
        return self._grower.respond(self._margins[part].of(forest), len(forest), needs)


def forest_of(grower: Grower, weights: Weights) -> Forest:
    return Forest.from_weights(weights, grower.features, grower.outputs, grower.width)


def _combined(base: Forest, rivals: Sequence[tuple[Forest, float]], boosts: bool) -> Forest:
    """One model of several that differ, each with the number of samples it was trained on."""
    total = fsum(samples for _, samples in rivals)
    if not 0 < total < inf:
        raise WeightsError(f"proposals of {total} samples in all can't be combined")
    kept = np.zeros(len(base))
    new: list[tuple[Forest, float]] = []
    for forest, samples in rivals:
        of_base, others = _matched(base, forest)
        kept[of_base] += samples / total
        new.append((forest.take(others), samples / total))
    if not boosts:
        return Forest.joined([base.take(np.flatnonzero(kept >= 0.5)), *(forest for forest, _ in new)])
    unpruned = base.scaled(kept).take(np.flatnonzero(kept > 0))  # in single precision nearly 1 is 1
    return Forest.joined([unpruned, *(forest.scaled(share) for forest, share in new)])


def _matched(base: Forest, forest: Forest) -> tuple[Array, slice]:
    """Which trees of the base a proposal kept, and which of its own are new."""
    kept: list[int] = []
    tree = 0
    while tree < len(base) and len(kept) < len(forest):
        run = base.take(slice(tree, None)).common(forest.take(slice(len(kept), None)))
        kept.extend(range(tree, tree + run))
        tree += run + 1
    return np.array(kept, dtype=np.intp), slice(len(kept), None)


def _frozen(array: Array) -> Array:
    array.flags.writeable = False
    return array


def _features(part: str, x: Array, features: int) -> Array:
    if x.ndim != 2 or x.shape[1] != features:
        raise DataError(f"{part} features have the shape {list(x.shape)}; these trees know {features} features")
    try:
        with np.errstate(over="ignore"):
            single = np.ascontiguousarray(x, dtype=np.float32)
    except (TypeError, ValueError) as error:
        raise DataError(f"{part} features are no table of numbers: {error}") from error
    if np.isinf(single).any():
        raise DataError(f"{part} features are infinite in single precision ({int(np.isinf(single).sum())})")
    return single


def _checked_weight(sample_weight: Array | None, samples: int) -> Array | None:
    if sample_weight is None:
        return None
    weight = np.asarray(sample_weight, np.float64)
    if weight.shape != (samples,) or not np.isfinite(weight).all() or (weight < 0).any() or not weight.any():
        raise DataError(f"sample weights must be {samples} numbers, not negative, and not all 0")
    return weight
