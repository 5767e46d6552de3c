"""A differentially private training step beside a plain one: ours, by ghost clipping, and Opacus' own default way,
which computes each sample's gradient in full. CPU time of proposals of 5 steps, on one thread, in turns.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import measure  # first: it sets the number of threads
import numpy as np
import torch
from opacus import PrivacyEngine
from torch import nn
from torch.nn.functional import cross_entropy
from torch.utils.data import DataLoader, TensorDataset
from torch_cnn import network
from torch_mnist import small_cnn

from colearn_core.privacy import Privacy
from colearn_torch_plugin import TorchLearner

STEPS, SAMPLES, CLASSES = 5, 4096, 10
SGD = partial(torch.optim.SGD, lr=0.05)
MODELS: dict[str, Callable[[], nn.Module]] = {
    "MLP 784-100-10": lambda: nn.Sequential(nn.Flatten(), nn.Linear(784, 100), nn.ReLU(), nn.Linear(100, CLASSES)),
    "CNN, 26,000 parameters": small_cnn,
    "CNN, 1.2 million": network,
}


def proposal(make: Callable[[], nn.Module], batch: int, privacy: Privacy | None) -> Callable[[], object]:
    rng = np.random.default_rng(0)
    data = rng.random((SAMPLES, 784), dtype=np.float32), rng.integers(CLASSES, size=SAMPLES)
    loss = "cross_entropy"
    learner = TorchLearner(
        make, SGD, loss, data, classes=CLASSES, batch_size=batch, steps_per_round=STEPS, privacy=privacy, key=b"key"
    )
    base = learner.initial_weights(rng)
    return lambda: learner.propose_weights(base, rng)


def opacus(make: Callable[[], nn.Module], batch: int) -> Callable[[], object]:
    x, y = torch.rand(SAMPLES, 784), torch.randint(CLASSES, (SAMPLES,))
    module = make()
    parts: Any = PrivacyEngine().make_private(
        module=module,
        optimizer=SGD(module.parameters()),
        data_loader=DataLoader(TensorDataset(x, y), batch_size=batch),
        noise_multiplier=1.0,
        max_grad_norm=1.0,
    )
    private, optimizer = parts[0], parts[1]
    rows = torch.randperm(SAMPLES)

    def work() -> None:
        for step in range(STEPS):
            drawn = rows[step * batch % SAMPLES :][:batch]
            optimizer.zero_grad()
            cross_entropy(private(x[drawn]), y[drawn]).backward()  # type: ignore[no-untyped-call]
            optimizer.step()

    return work


def main() -> None:
    torch.set_num_threads(1)
    print(f"{'model':24} {'batch':>5} {'plain ms':>9} {'ours':>7} {'Opacus':>8}")
    for title, make in MODELS.items():
        for batch in (64, 512):
            privacy = Privacy(target_epsilon=1e9, noise_multiplier=1.0, accountant="rdp")
            works = {
                "plain": proposal(make, batch, None),
                "ours": proposal(make, batch, privacy),
                "opacus": opacus(make, batch),
            }
            times = measure.in_turns(works, 3)
            plain = times["plain"]
            print(
                f"{title:24} {batch:5} {plain / STEPS * 1e3:9.2f} {times['ours'] / plain:6.2f}× "
                f"{times['opacus'] / plain:7.2f}×",
                flush=True,
            )


if __name__ == "__main__":
    main()
