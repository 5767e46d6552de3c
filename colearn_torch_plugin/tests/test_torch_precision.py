"""Training in mixed precision: what changes, and what stays in float32."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from colearn_core import Weights
from colearn_core.errors import ParameterError
from colearn_core.privacy import Privacy
from colearn_core.reference import blobs
from colearn_torch_plugin import TorchLearner
from colearn_torch_plugin.workbench import Precision

SGD = partial(torch.optim.SGD, lr=0.1)
RNG = partial(np.random.default_rng, 1)


def perceptron() -> nn.Module:
    return nn.Sequential(nn.Linear(6, 8), nn.Dropout(0.2), nn.ReLU(), nn.Linear(8, 3))


def arrays() -> tuple[Any, Any]:
    samples = blobs(samples=600, seed=0).samples
    return samples.x, samples.y


def learner(train: Any, vote: Any = None, test: Any = None, **more: Any) -> TorchLearner:
    return TorchLearner(perceptron, SGD, "cross_entropy", train, vote, test, classes=3, **more)


def test_training_in_bfloat16_keeps_weights_in_float32_and_repeats() -> None:
    seen: list[torch.dtype] = []

    class Seen(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            seen.append(x.dtype)
            return x

    model = nn.Sequential(nn.Linear(6, 8), Seen(), nn.Dropout(0.2), nn.Linear(8, 3))
    found: dict[str, Weights] = {}
    precisions: list[Precision] = ["float32", "bfloat16", "bfloat16"]
    for precision in precisions:
        party = TorchLearner(
            model,
            partial(torch.optim.Adam, lr=0.01),
            "cross_entropy",
            arrays(),
            arrays(),
            classes=3,
            precision=precision,
            keep_optimizer=True,
        )
        seen.clear()
        weights = party.propose_weights(party.initial_weights(RNG()), RNG()).weights
        assert set(seen) == {torch.float32 if precision == "float32" else torch.bfloat16}
        assert {array.dtype for array in [*weights.values(), *party.state().values()]} == {np.dtype(np.float32)}
        assert found.setdefault(precision, weights) == weights
        seen.clear()
        party.test_weights(weights, "vote")
        assert set(seen) == {torch.float32}
    assert found["float32"] != found["bfloat16"]


def test_scores_do_not_depend_on_the_precision_of_training() -> None:
    parties = [learner(arrays(), arrays(), precision=precision) for precision in ("float32", "bfloat16")]
    weights = parties[0].initial_weights(RNG())
    assert parties[0].test_weights(weights, "vote") == parties[1].test_weights(weights, "vote")


def test_training_in_bfloat16_learns() -> None:
    accuracies = []
    for precision in ("float32", "bfloat16"):
        party = learner(arrays(), test=arrays(), precision=precision, steps_per_round=200)
        weights = party.propose_weights(party.initial_weights(RNG()), RNG()).weights
        accuracies.append(party.test_weights(weights, "test").value)
    assert accuracies[1] == pytest.approx(accuracies[0], abs=0.02)
    assert accuracies[1] > 0.9


@pytest.mark.parametrize("loss", ["mse", "huber"])
def test_values_are_learned_in_bfloat16(loss: str) -> None:
    x, _ = arrays()
    pair = x, x.sum(1)
    party = TorchLearner(lambda: nn.Linear(6, 1), SGD, loss, pair, pair, steps_per_round=50, precision="bfloat16")
    base = party.initial_weights(RNG())
    after = party.propose_weights(base, RNG()).weights
    assert party.test_weights(after, "vote").value < 0.5 * party.test_weights(base, "vote").value


def test_an_unknown_precision_is_named() -> None:
    with pytest.raises(ParameterError, match="unknown precision 'float16'\nKnown: float32, bfloat16"):
        learner(arrays(), precision="float16")


def test_private_training_in_bfloat16_is_refused() -> None:
    privacy = Privacy(3.0, noise_multiplier=1.0)
    with pytest.raises(ParameterError, match="precision = 'bfloat16' can't be private"):
        learner(arrays(), precision="bfloat16", privacy=privacy)
