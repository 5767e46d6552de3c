"""How components are trained: the parameters that all of them have, written down once."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Annotated, Any, Literal

import torch
from annotated_types import Ge, Gt
from torch import nn

from colearn_core.data import PrivateData
from colearn_core.parameters import sharing
from colearn_core.privacy import Privacy

from .learner import TorchLearner
from .workbench import MakeOptimizer, Precision

MakeModule = Callable[[], nn.Module]


@dataclass(frozen=True)
class Training:
    """The parameters of training, with the defaults of most components."""

    optimizer: Annotated[Literal["sgd", "adam", "adamw"], "Optimiser"] = "sgd"
    learning_rate: Annotated[float, Gt(0), "Learning rate"] = 0.1
    momentum: Annotated[float, Ge(0), "Momentum of sgd"] = 0.0
    weight_decay: Annotated[float, Ge(0), "Weight decay"] = 0.0
    batch_size: Annotated[int, Ge(1), "Samples per step of the optimiser; on average, with privacy"] = 16
    steps: Annotated[int, Ge(1), "Steps of the optimiser for a proposal, the same for all learners"] = 20
    loss: Annotated[
        Literal["cross_entropy", "mse", "huber"] | None,
        "cross_entropy for classes; mse (the default) or huber for values",
    ] = None
    keep_optimizer: Annotated[bool, "Keep the optimiser's state between proposals; else it begins anew with each"] = (
        False
    )
    vote_metric: Annotated[str | None, "What learners vote by (log_loss, accuracy, f1, roc_auc; mse, r2)"] = None
    test_metric: Annotated[str | None, "What the current model is reported by"] = None
    device: Annotated[str, "Where to compute: cpu, cuda, cuda:1, ..."] = "cpu"
    precision: Annotated[Precision, "Of forward passes in training; scoring is always in float32"] = "float32"
    privacy: Annotated[
        Privacy | None, "Differential privacy, such as {target_epsilon = 3, proposals = 40}; needs Opacus"
    ] = None

    def learner(self, data: PrivateData, make: MakeModule) -> TorchLearner:
        data.task.check_quantities()
        return TorchLearner.of(
            data,
            make,
            optimizer_of(self.optimizer, self.learning_rate, self.momentum, self.weight_decay),
            loss=self.loss,
            steps_per_round=self.steps,
            batch_size=self.batch_size,
            keep_optimizer=self.keep_optimizer,
            vote_metric=self.vote_metric,
            test_metric=self.test_metric,
            device=self.device,
            precision=self.precision,
            privacy=self.privacy,
        )


def trained(**defaults: Any) -> Callable[[Callable[..., MakeModule]], Callable[..., TorchLearner]]:
    """Make a learner component of a function from data and parameters to a factory of modules."""
    return sharing(Training, "learner", **defaults)


def optimizer_of(
    name: Literal["sgd", "adam", "adamw"], learning_rate: float, momentum: float, weight_decay: float
) -> MakeOptimizer:
    """A factory of optimisers by name; momentum is SGD's."""
    if name == "sgd":
        return partial(torch.optim.SGD, lr=learning_rate, momentum=momentum, weight_decay=weight_decay)
    kind = torch.optim.Adam if name == "adam" else torch.optim.AdamW
    return partial(kind, lr=learning_rate, weight_decay=weight_decay)
