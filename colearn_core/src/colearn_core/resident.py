"""Learners whose model is resident: one copy of it in this process, which all of a kind take turns at."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from .errors import Abstention, WeightsError
from .fused import FusedCohort
from .learner import Learner
from .metrics import Needs
from .noise import ONLY_NOISY, PrivateAnswers
from .privacy import STATE_NAMES
from .scores import Part, Score, scored
from .weights import Weights

PARTS: tuple[Part, Part] = ("vote", "test")


class Workbench(Protocol):
    """What a backend keeps the model in."""

    def initial(self, rng: np.random.Generator) -> Weights:
        """Weights of an untrained model."""

    def lay_out(self, parts: Sequence[Any]) -> tuple[Any, NDArray[Any]]:
        """All learners' samples in one, as :meth:`predict` takes them, and which rows are theirs."""

    def predict(self, weights: Weights, x: Any, needs: Needs, rows: NDArray[Any] | None = None) -> NDArray[Any]:
        """What a metric needs of the predictions for ``x``, one row per sample; ``rows`` if it's laid out."""

    def check_moments(self, moments: Mapping[str, NDArray[Any]]) -> None:
        """Raise WeightsError unless this could be the state of an optimiser of this model."""


class ResidentLearner(Learner):
    """A learner that puts weights into a shared workbench to score them.

    Attributes:
        workbench: the one of all learners of this model.
        private: what it answers privately with; None for a learner that keeps no privacy.
        keep_optimizer: whether the optimiser's state is kept between proposals.
        moments: that state.
    """

    workbench: Workbench
    private: PrivateAnswers | None = None
    keep_optimizer: bool = False
    moments: dict[str, NDArray[Any]]

    @abstractmethod
    def held(self, part: Part) -> tuple[Any, NDArray[Any]]:
        """Features, as the workbench takes them, and targets of a part."""

    def initial_weights(self, rng: np.random.Generator) -> Weights:
        return self.workbench.initial(rng)

    def test_weights(self, weights: Weights, part: Part) -> Score:
        return self._scored(weights, part, each=False)

    def test_samples(self, weights: Weights, part: Part = "vote") -> Score:
        return self._scored(weights, part, each=True)

    def _scored(self, weights: Weights, part: Part, each: bool) -> Score:
        x, targets = self.held(part)
        samples = len(targets)
        if not samples:
            return Score(float("nan"), 0)
        measure = self.vote_metric if part == "vote" else self.test_metric
        noisy = self.private if self.private is not None and self.private.scores_are_noisy else None
        if each and noisy is not None:
            raise Abstention(ONLY_NOISY)
        predictions = self.workbench.predict(weights, x, measure.needs)
        if noisy is not None:
            return Score(noisy.score(measure, targets, predictions, weights, part), samples)
        return scored(measure, targets, predictions, each)

    def state(self) -> Weights:
        return Weights({**self.moments, **(self.budget.state() if self.budget is not None else {})})

    def restore(self, state: Weights) -> None:
        spent = {name: array for name, array in state.items() if name in STATE_NAMES}
        moments = {name: array for name, array in state.items() if name not in spent}
        if (moments and not self.keep_optimizer) or (spent and self.budget is None):
            raise WeightsError(f"this {type(self).__name__} keeps no state such as {next(iter(state))!r}")
        self.workbench.check_moments(moments)
        if self.budget is not None:
            self.budget.restore(spent)
        self.moments = moments


class ResidentCohort(FusedCohort):
    """Learners of one workbench: candidates are put into it once, and all learners' samples go through in chunks."""

    def __init__(self, learners: Sequence[ResidentLearner], names: Sequence[str] | None = None) -> None:
        held = {part: [learner.held(part) for learner in learners] for part in PARTS}
        private = {i: x.private for i, x in enumerate(learners) if x.private is not None}
        super().__init__(learners, names, {part: [y for _, y in held[part]] for part in PARTS}, private)
        self._workbench = learners[0].workbench
        self._laid_out = {part: self._workbench.lay_out([x for x, _ in held[part]]) for part in PARTS}

    def predictions(self, weights: Weights, part: Part, needs: Needs) -> NDArray[Any]:
        x, rows = self._laid_out[part]
        return self._workbench.predict(weights, x, needs, rows)
