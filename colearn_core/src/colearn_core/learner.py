"""The learner: one party's private data, and a way to train and score a model on them."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from .errors import Abstention, UsageError, WeightsError
from .metrics import Metric
from .scores import Part, Score
from .weights import Weights, mean

if TYPE_CHECKING:
    from .cohort import Cohort
    from .privacy import Budget


class Proposal(NamedTuple):
    """What a learner publishes after training: new weights, and on how many samples they were trained."""

    weights: Weights
    samples: float


class Learner(ABC):
    """One party. It's functional: it holds data and hyper-parameters, never "the current weights";
    what else must survive a round is explicit, in :meth:`state`.

    So it can be tested alone, replayed, moved to another process, and shared by a thousand
    simulated parties without a copy of the model for each.

    Any method may raise :class:`~colearn_core.errors.Abstention` to decline with a reason. Any other
    exception counts as an abstention too; the round goes on without this learner.
    """

    vote_metric: Metric
    """What it votes by."""

    test_metric: Metric
    """What the current model is reported by."""

    additive: bool = False
    """Whether proposals add to the base what they learned, as counts do, instead of replacing it.

    Equal proposals then combine to more than one of them, and their samples don't weigh them.
    """

    export_formats: tuple[str, ...] = ("safetensors",)
    """What :meth:`export_model` can write."""

    budget: Budget | None = None
    """What it may spend of its privacy; None for a learner that keeps none."""

    @abstractmethod
    def initial_weights(self, rng: np.random.Generator) -> Weights:
        """Weights to begin with. Only one learner is asked, and all begin with its answer."""

    @abstractmethod
    def propose_weights(self, base: Weights, rng: np.random.Generator) -> Proposal:
        """Train from ``base`` on the private training data. ``base`` isn't changed.

        All randomness comes from ``rng``, so that the same call gives the same proposal.
        """

    @abstractmethod
    def test_weights(self, weights: Weights, part: Part) -> Score:
        """Score weights on the private ``vote`` or ``test`` data, averaged over samples.

        Without such data the answer is ``Score(nan, 0)``.
        """

    def test_samples(self, weights: Weights, part: Part = "vote") -> Score:
        """:meth:`test_weights` with the score and the class of each sample, in the same order every time.

        Some voting policies go by them. They stay with the learner, as its score does where votes alone are published.

        Raises:
            Abstention: the learner can't tell, or doesn't want to.
        """
        raise Abstention(f"{type(self).__name__} gives no scores of single samples")

    def check_weights(self, weights: Weights, base: Weights) -> None:
        """Whether a proposal is of the same model as what it was trained from.

        By default names, types and shapes must agree; models that grow override this.

        Raises:
            WeightsError: it isn't; the message names the array.
        """
        weights.check_like(base)

    def combine(self, base: Weights, proposals: Sequence[Proposal]) -> Weights:
        """Merge proposals that were trained from ``base``: by default their mean, weighted by samples.

        Sums of counts, trees and the like don't average: their learners override this.
        """
        return mean([p.weights for p in proposals], [p.samples for p in proposals])

    def feature_importance(self, weights: Weights) -> dict[str, float]:
        """How much the model goes by each feature, by name, in shares; empty for models that don't tell."""
        return {}

    def state(self) -> Weights:
        """What the learner itself keeps between rounds, such as momentum or a spent budget: by default nothing.

        It never leaves the learner but for its own checkpoint.
        """
        return Weights({})

    def restore(self, state: Weights) -> None:
        """Go on from what :meth:`state` gave, in this or another process.

        Raises:
            WeightsError: the state isn't one of such a learner.
        """
        if state:
            raise WeightsError(f"{type(self).__name__} keeps no state, but was given {list(state)}")

    def export_model(self, weights: Weights, format: str) -> bytes:
        """The model with these weights as a file for use outside of colearn; the same call gives the same bytes.

        A backend overrides this to write what its field reads, and leaves other formats to this one.

        Args:
            format: one of :attr:`export_formats`; by default only ``safetensors``, which
                :meth:`Weights.from_bytes` reads.

        Raises:
            UsageError: the learner knows no such format.
        """
        if format != "safetensors":
            raise UsageError(
                f"{type(self).__name__} can't export a model as {format!r}",
                hint=f"It knows: {', '.join(self.export_formats)}.",
            )
        return weights.to_bytes()

    @classmethod
    def cohort(cls, learners: Sequence[Learner], names: Sequence[str] | None = None) -> Cohort:
        """All learners of this class behind one interface: by default a plain loop.

        A backend overrides this to score all learners in one pass. The votes must be the same.
        """
        from .cohort import LoopCohort

        return LoopCohort(learners, names)
