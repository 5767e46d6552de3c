"""A round with torch learners beside the batched floor: one shared module, all votes in one forward pass.

The floor trains the proposer's steps in place, keeps a clone of the parameters in case of a rejection, and
scores all learners' vote data at once. Data are random numbers of the shape of the real ones: only time is
measured. Test data are left out on both sides.
"""

from __future__ import annotations

from functools import partial

import measure  # first: it sets the number of threads
import numpy as np
import torch
from torch import nn
from torch.nn.functional import cross_entropy

from colearn_core import Experiment, Plugins
from colearn_torch_plugin import TorchLearner

CLASSES = 10
VOTE_SHARE = 0.15
SGD = partial(torch.optim.SGD, lr=0.05)
Part = tuple[torch.Tensor, torch.Tensor]


def divided(samples: int, features: int, learners: int) -> list[tuple[Part, Part]]:
    """Each learner's training and vote data; with few samples for many learners some have none to vote by."""
    rng = torch.Generator().manual_seed(0)
    x, y = torch.randn(samples, features, generator=rng), torch.randint(CLASSES, (samples,), generator=rng)
    parts = []
    for rows in np.array_split(np.arange(samples), learners):
        vote = min(len(rows) - 1, max(1, round(VOTE_SHARE * len(rows))))
        held, rest = rows[:vote], rows[vote:]
        parts.append(((x[rest], y[rest]), (x[held], y[held])))
    return parts


def floor(module: nn.Module, parts: list[tuple[Part, Part]], steps: int, batch: int, rounds: int) -> None:
    x = torch.cat([vote[0] for _, vote in parts])
    y = torch.cat([vote[1] for _, vote in parts])
    sizes = np.array([len(vote[1]) for _, vote in parts])
    starts = (np.cumsum(sizes) - sizes)[sizes > 0]
    rng = np.random.default_rng(0)

    def scores() -> np.ndarray[tuple[int, ...], np.dtype[np.float64]]:
        with torch.inference_mode():
            losses = cross_entropy(module.eval()(x), y, reduction="none").numpy()
        found: np.ndarray[tuple[int, ...], np.dtype[np.float64]] = np.add.reduceat(losses, starts) / sizes[sizes > 0]
        return found

    current = scores()
    for r in range(rounds):
        (train_x, train_y), _ = parts[r % len(parts)]
        kept = [p.detach().clone() for p in module.parameters()]
        optimizer = SGD(module.parameters())
        module.train()
        rows = torch.from_numpy(rng.integers(len(train_y), size=(steps, batch)))
        for i in rows:
            optimizer.zero_grad()
            cross_entropy(module(train_x[i]), train_y[i]).backward()  # type: ignore[no-untyped-call]
            optimizer.step()
        proposed = scores()
        if 2 * (proposed < current).sum() > len(current):
            current = proposed
        else:
            with torch.no_grad():
                for p, before in zip(module.parameters(), kept, strict=True):
                    p.copy_(before)


def perceptron(features: int, hidden: int) -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(features, hidden), nn.ReLU(), nn.Linear(hidden, CLASSES))


def compare(title: str, samples: int, features: int, hidden: int, counts: dict[int, int]) -> None:
    steps, batch = 10, 8
    for n, rounds in counts.items():
        parts = divided(samples, features, n)
        module = perceptron(features, hidden)
        learners = [
            TorchLearner(module, SGD, "cross_entropy", *part, classes=CLASSES, steps_per_round=steps, batch_size=batch)
            for part in parts
        ]
        times = measure.in_turns(
            {
                "floor": lambda: floor(perceptron(features, hidden), parts, steps, batch, rounds),
                "colearn": lambda: Experiment(learners, plugins=Plugins(())).run(rounds),
            },
            11,
        )
        bare, ours = (times[name] / rounds * 1e3 for name in ("floor", "colearn"))
        print(f"{title:24} {n:8} {bare:9.2f} {ours:11.2f} {ours / bare:6.2f}", flush=True)


def main() -> None:
    torch.set_num_threads(1)
    # Building the experiment is timed with its rounds.
    print(f"{'model':24} {'learners':>8} {'floor ms':>9} {'colearn ms':>11} {'ratio':>6}")
    compare("digits, 64-64-10", 1797, 64, 64, {10: 100, 100: 100, 1000: 100})
    compare("60,000 images, 784-100-10", 60_000, 784, 100, {10: 10, 100: 10, 1000: 10})


if __name__ == "__main__":
    main()
