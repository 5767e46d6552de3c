"""How well a backdoor works in the model that came out."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from ..data import Samples
from ..errors import DataError, UsageError
from ..weights import Weights
from .backdoor import Backdoor

if TYPE_CHECKING:
    from ..config import Prepared


def attack_success(prepared: Prepared, backdoor: Backdoor, weights: Weights) -> float:
    """The share of the honest learners' test samples, of other classes than the target, that a model takes for the
    target when they wear the trigger; of a model without backdoor it's about that of errors.

    Raises:
        UsageError: the learners aren't tested by accuracy.
        DataError: there are no such test samples.
    """
    honest = [part for i, part in enumerate(prepared.parts) if i not in prepared.adversaries] or list(prepared.parts)
    triggered = Samples.joined([backdoor.triggered(part.test) for part in honest])
    if not len(triggered):
        raise DataError(f"no honest learner has test data of another class than {backdoor.target}")
    learner = prepared.make_learner(replace(honest[0], vote=triggered, test=triggered))
    if learner.test_metric.name != "accuracy":
        raise UsageError(
            f"the success of an attack is an accuracy, and these learners are tested by {learner.test_metric.name}",
            hint="Take a learner of classes.",
        )
    return float(learner.test_weights(weights, "test").value)
