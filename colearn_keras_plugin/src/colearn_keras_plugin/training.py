"""How components are trained: the parameters that all of them have, written down once."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Annotated, Any, Literal

from annotated_types import Ge, Gt

from colearn_core.data import PrivateData
from colearn_core.parameters import sharing
from colearn_core.privacy import Privacy

from .backend import keras
from .learner import KerasLearner
from .workbench import MakeModel

Architecture = Callable[[], keras.Model]
"""Makes a model that isn't compiled yet; for classes its outputs are logits."""


@dataclass(frozen=True)
class Training:
    """The parameters of training a model that is compiled already."""

    batch_size: Annotated[int, Ge(1), "Samples per step of the optimiser; on average, with privacy"] = 16
    steps: Annotated[int, Ge(1), "Steps of the optimiser for a proposal, the same for all learners"] = 20
    keep_optimizer: Annotated[bool, "Keep the optimiser's state between proposals; else it begins anew with each"] = (
        False
    )
    vote_metric: Annotated[str | None, "What learners vote by (log_loss, accuracy, f1, roc_auc; mse, r2)"] = None
    test_metric: Annotated[str | None, "What the current model is reported by"] = None
    privacy: Annotated[
        Privacy | None, "Differential privacy, such as {target_epsilon = 3, proposals = 40}; needs TensorFlow"
    ] = None

    def learner(self, data: PrivateData, make: MakeModel) -> KerasLearner:
        data.task.check_quantities()
        return KerasLearner.of(
            data,
            make,
            steps_per_round=self.steps,
            batch_size=self.batch_size,
            keep_optimizer=self.keep_optimizer,
            vote_metric=self.vote_metric,
            test_metric=self.test_metric,
            privacy=self.privacy,
        )


@dataclass(frozen=True)
class Compiling(Training):
    """The parameters of compiling and training a model."""

    optimizer: Annotated[Literal["sgd", "adam", "adamw"], "Optimiser"] = "sgd"
    learning_rate: Annotated[float, Gt(0), "Learning rate"] = 0.1
    momentum: Annotated[float, Ge(0), "Momentum of sgd"] = 0.0
    weight_decay: Annotated[float, Ge(0), "Weight decay"] = 0.0
    loss: Annotated[
        Literal["cross_entropy", "mse", "huber"] | None,
        "cross_entropy for classes; mse (the default) or huber for values",
    ] = None

    def compiled(self, data: PrivateData, make: Architecture) -> KerasLearner:
        loss = self.loss or ("cross_entropy" if data.task.classes else "mse")
        optimizer = (self.optimizer, self.learning_rate, self.momentum, self.weight_decay)
        return self.learner(data, partial(_compiled, make, optimizer, loss))


def trained(**defaults: Any) -> Callable[[Callable[..., Architecture]], Callable[..., KerasLearner]]:
    """Make a learner component of a function from data and parameters to an architecture."""
    return sharing(Compiling, "compiled", **defaults)


def _compiled(make: Architecture, optimizer: tuple[str, float, float, float], loss: str) -> keras.Model:
    model = make()
    model.compile(optimizer=_optimizer(*optimizer), loss=_LOSSES[loss]())
    return model


def _optimizer(name: str, learning_rate: float, momentum: float, weight_decay: float) -> keras.optimizers.Optimizer:
    decay = weight_decay or None
    if name == "sgd":
        return keras.optimizers.SGD(learning_rate, momentum=momentum, weight_decay=decay)
    kind = keras.optimizers.Adam if name == "adam" else keras.optimizers.AdamW
    return kind(learning_rate, weight_decay=weight_decay if name == "adamw" else decay)


_LOSSES: dict[str, Callable[[], keras.losses.Loss]] = {
    "cross_entropy": lambda: keras.losses.SparseCategoricalCrossentropy(from_logits=True),
    "mse": keras.losses.MeanSquaredError,
    "huber": keras.losses.Huber,
}
