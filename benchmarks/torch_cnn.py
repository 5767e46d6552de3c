"""A round with a CNN of 1.2 million parameters beside the batched floor: CPU time on one thread, and wall time of
the plugin on all cores, which is what it takes unless OMP_NUM_THREADS says otherwise, over that of the floor on one.

Ten learners of 600 images each. Wall time is only as good as the machine is idle: minima are shown, and medians of
CPU time.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from statistics import median
from time import perf_counter, process_time

import measure  # noqa: F401  first: it sets the number of threads
import torch
from torch import nn
from torch_rounds import CLASSES, SGD, divided, floor

from colearn_core import Experiment, Plugins
from colearn_torch_plugin import TorchLearner

LEARNERS, STEPS, BATCH, ROUNDS, REPEATS = 10, 20, 32, 3, 9


def network() -> nn.Module:
    """The CNN of many MNIST examples, Keras's first."""
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Unflatten(1, (1, 28, 28)),
        nn.Conv2d(1, 32, 3),
        nn.ReLU(),
        nn.Conv2d(32, 64, 3),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Flatten(),
        nn.Linear(64 * 12 * 12, 128),
        nn.ReLU(),
        nn.Linear(128, CLASSES),
    )


def times(work: Callable[[], object], threads: int) -> tuple[float, float]:
    """Seconds of CPU and wall time."""
    torch.set_num_threads(threads)
    cpu, wall = process_time(), perf_counter()
    work()
    return process_time() - cpu, perf_counter() - wall


def main() -> None:
    parts = divided(600 * LEARNERS, 784, LEARNERS)
    module = network()
    learners = [
        TorchLearner(module, SGD, "cross_entropy", *part, classes=CLASSES, steps_per_round=STEPS, batch_size=BATCH)
        for part in parts
    ]
    works: dict[str, tuple[Callable[[], object], int]] = {
        "floor": (lambda: floor(network(), parts, STEPS, BATCH, ROUNDS), 1),
        "colearn": (lambda: Experiment(learners, plugins=Plugins(())).run(ROUNDS), 1),
        "colearn, all cores": (lambda: Experiment(learners, plugins=Plugins(())).run(ROUNDS), os.cpu_count() or 1),
    }
    found: dict[str, list[tuple[float, float]]] = {name: [] for name in works}
    for repeat in range(REPEATS + 1):
        for name, (work, threads) in works.items():
            taken = times(work, threads)
            if repeat:  # the first is to warm up
                found[name].append(taken)
    cpu = {name: median(c for c, _ in values) / ROUNDS * 1e3 for name, values in found.items()}
    wall = {name: min(w for _, w in values) / ROUNDS * 1e3 for name, values in found.items()}
    print(f"{'a round':20} {'CPU ms':>8} {'ratio':>6} {'wall ms':>8} {'ratio':>6}")
    for name in works:
        print(
            f"{name:20} {cpu[name]:8.0f} {cpu[name] / cpu['floor']:6.2f} "
            f"{wall[name]:8.0f} {wall[name] / wall['floor']:6.2f}"
        )


if __name__ == "__main__":
    main()
