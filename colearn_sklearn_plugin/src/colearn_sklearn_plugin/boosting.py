"""Boosting on anybody's trees: new ones correct the accepted model on one learner's data.

scikit-learn's boosting can't begin with given margins, so the loss is differentiated here, and the library's
regression trees are fitted to what's to be corrected: a step of Newton's method for each tree (Friedman, Hastie and
Tibshirani 2000, "Additive logistic regression", Annals of Statistics 28; Friedman 2001, Annals of Statistics 29).
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
from numpy.random import RandomState
from numpy.typing import NDArray
from sklearn.tree import DecisionTreeRegressor
from sklearn.utils.class_weight import compute_sample_weight

from colearn_core.growing import BoostingGrower
from colearn_core.trees import Forest

from .forests import packed

Array = NDArray[Any]
Fitter = Callable[[Array, Array, Array], list[Forest]]
ClassWeight = Literal["balanced"] | None
LARGEST_STEP = 4.0
"""Of a class's margin, before the learning rate (Friedman et al. 2000 bound LogitBoost's response by 2 to 4).

What others' trees are sure of may be wrong for these samples: the curvature is then next to 0, and an unbounded
step would be a proposal that nobody can accept."""


@dataclass(frozen=True)
class Boosting(BoostingGrower):
    """Adds trees that correct the margins, iteration by iteration.

    A model that says nothing yet begins with a constant: the mean, or the log of the classes' shares.

    Attributes:
        iterations: of a proposal; each adds a tree for each output.
        learning_rate: by which the values of all leaves are multiplied.
        class_weight: ``balanced`` weighs a learner's classes as if it had as many samples of each.
    """

    features: int
    classes: int
    iterations: int
    learning_rate: float
    class_weight: ClassWeight

    @abstractmethod
    def fitter(self, x: Array, rng: np.random.Generator) -> Fitter:
        """What fits one tree for each output; what their leaves hold doesn't matter.

        It's called with the gradient of the loss and its positive second derivatives, both of shape
        ``(n, outputs)``, and the samples' weights, shape ``(n,)``; those of weight 0 count for nothing.
        """

    def grow(self, x: Array, y: Array, sample_weight: Array | None, margins: Array, rng: np.random.Generator) -> Forest:
        weight = np.ones(len(y)) if sample_weight is None else sample_weight.astype(np.float64)
        if self.classes and self.class_weight:
            weight = weight * compute_sample_weight(self.class_weight, y)
        counts = weight > 0
        x, y, margins, weight = x[counts], y[counts], margins[counts], weight[counts]
        new = [] if margins.any() else [self.constant(y, weight)]
        for tree in new:
            tree.add_to(margins, x)
        fit = self.fitter(x, rng)
        for _ in range(self.iterations):
            gradient, hessian = self.derivatives(margins, y)
            drawn = self.drawn(weight, rng)
            for output, tree in enumerate(fit(gradient, hessian, drawn)):
                leaves = tree.leaves(x)[0]
                step = _newton(
                    leaves, len(tree.value), gradient[:, output] * drawn, hessian[:, output] * drawn, self.l2
                )
                value = (self.rate * step).astype(np.float32)
                new.append(replace(tree, value=value[:, None], output=np.array([output], np.int32)))
                margins[:, output] += value[leaves]
        return Forest.joined(new)

    @property
    def rate(self) -> float:
        """By which steps are multiplied."""
        return self.learning_rate

    @property
    def l2(self) -> float:
        """What is added to the curvature of each leaf."""
        return 0.0

    def drawn(self, weight: Array, rng: np.random.Generator) -> Array:
        """The weights for one iteration."""
        return weight

    def derivatives(self, margins: Array, y: Array) -> tuple[Array, Array]:
        """First and second derivatives of the loss by each margin, shape ``(n, outputs)``.

        The second ones are raised where a Newton step would exceed :data:`LARGEST_STEP`.
        """
        if not self.classes:
            return margins - y[:, None], np.ones_like(margins)
        probabilities = self.respond(margins, 1, "probabilities")
        targets = np.arange(self.classes) == y[:, None]
        if self.outputs == 1:
            probabilities, targets = probabilities[:, 1:], targets[:, 1:]
        gradient = probabilities - targets
        hessian = np.maximum(probabilities * (1 - probabilities), np.abs(gradient) / LARGEST_STEP)
        return gradient, np.maximum(hessian, np.finfo(np.float64).eps)


@dataclass(frozen=True)
class GradientBoosting(Boosting):
    """Trees as ``GradientBoostingClassifier`` and ``-Regressor`` grow them: splits by the gradient, then Newton steps.

    Attributes:
        subsample: share of the samples that each iteration sees, drawn without repetition.
        tree: further parameters of ``DecisionTreeRegressor``.
    """

    subsample: float
    tree: tuple[tuple[str, Any], ...]

    def fitter(self, x: Array, rng: np.random.Generator) -> Fitter:
        estimator = DecisionTreeRegressor(**dict(self.tree), random_state=RandomState(int(rng.integers(2**32))))

        def fit(gradient: Array, hessian: Array, weight: Array) -> list[Forest]:
            used = np.flatnonzero(weight)
            found = []
            for output in range(self.outputs):
                tree = estimator.fit(x[used], -gradient[used, output], sample_weight=weight[used]).tree_
                found.append(packed(tree, tree.value[:, 0]))
            return found

        return fit

    @property
    def rate(self) -> float:
        """With three classes or more a share of the learning rate, as in Friedman 2001, algorithm 6."""
        return self.learning_rate * (1 - 1 / self.outputs) if self.outputs > 1 else self.learning_rate

    def drawn(self, weight: Array, rng: np.random.Generator) -> Array:
        if self.subsample == 1:
            return weight
        drawn = np.zeros_like(weight)
        able = np.flatnonzero(weight)
        chosen = rng.choice(able, size=max(1, int(self.subsample * len(able))), replace=False)
        drawn[chosen] = weight[chosen]
        return drawn


def _newton(leaves: Array, count: int, gradient: Array, hessian: Array, l2: float) -> Array:
    """The step of each leaf; 0 for one without samples."""
    slope = np.bincount(leaves, weights=gradient, minlength=count)
    curvature = np.bincount(leaves, weights=hessian, minlength=count) + l2
    step: Array = np.divide(-slope, curvature, out=np.zeros(count), where=curvature > 0)
    return step
