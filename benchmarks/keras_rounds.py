"""Keras learners beside bare loops: scoring a candidate, and a round with training.

The floor of scoring is one batched forward pass over all learners' vote data by the model's own compiled prediction;
beside it stands ``model.evaluate`` for each learner, on a few of them, times their number. The floor of a round
trains by ``train_on_batch``, keeps a copy of the weights, and scores by the batched pass. CPU time in turns.
"""

from __future__ import annotations

import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("TF_NUM_INTRAOP_THREADS", "1")
os.environ.setdefault("TF_NUM_INTEROP_THREADS", "1")

from collections.abc import Callable
from time import process_time
from typing import Any

import keras
import measure  # it sets the number of threads
import numpy as np
from keras import layers
from numpy.typing import NDArray

from colearn_core import Experiment, Plugins
from colearn_core.streams import Streams
from colearn_keras_plugin import KerasLearner

CLASSES, STEPS, BATCH, EVALUATED = 10, 10, 16, 5
Array = NDArray[np.float32]


def mlp() -> keras.Model:
    return compiled(keras.Sequential([keras.Input((784,)), layers.Dense(100, "relu"), layers.Dense(CLASSES)]))


def cnn() -> keras.Model:
    net = keras.Sequential([keras.Input((784,)), layers.Reshape((28, 28, 1))])
    for width in (8, 16):
        net.add(layers.Conv2D(width, 3, padding="same", activation="relu"))
        net.add(layers.MaxPooling2D())
    net.add(layers.Flatten())
    net.add(layers.Dense(CLASSES))
    return compiled(net)


def compiled(net: keras.Model) -> keras.Model:
    net.compile(keras.optimizers.SGD(0.05), keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    return net


def parts_of(samples: int, learners: int) -> list[tuple[NDArray[Any], ...]]:
    """Each learner's features and targets, to train on and to vote by."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(samples, 784)).astype(np.float32)
    y = rng.integers(CLASSES, size=samples)
    found: list[tuple[NDArray[Any], ...]] = []
    for rows in np.array_split(np.arange(samples), learners):
        votes = min(len(rows) - 1, max(1, round(0.2 * len(rows))))
        found.append((x[rows[votes:]], y[rows[votes:]], x[rows[:votes]], y[rows[:votes]]))
    return found


def main() -> None:
    print(f"{'model':6} {'learners':>8} {'scoring':>8} {'evaluate':>9} {'round':>6}   (times the floor)")
    for title, make, samples in (("MLP", mlp, 20_000), ("CNN", cnn, 6_000)):
        for n in (10, 100, 1000):
            compare(title, make, parts_of(samples, n))


def compare(title: str, make: Callable[[], keras.Model], parts: list[tuple[NDArray[Any], ...]]) -> None:
    net = make()
    learners = [
        KerasLearner(net, part[:2], part[2:], classes=CLASSES, steps_per_round=STEPS, batch_size=BATCH)
        for part in parts
    ]
    x, y = np.concatenate([part[2] for part in parts]), np.concatenate([part[3] for part in parts])
    sizes = np.array([len(part[3]) for part in parts])
    rng = np.random.default_rng(0)
    padded = np.concatenate([x, np.zeros((-len(x) % 256, 784), np.float32)])

    def scores() -> Array:
        logits = np.concatenate([net.predict_on_batch(padded[i : i + 256]) for i in range(0, len(padded), 256)])
        logits = logits[: len(x)].astype(np.float64)
        logits -= logits.max(axis=1, keepdims=True)
        losses = np.log(np.exp(logits).sum(axis=1)) - logits[np.arange(len(y)), y]
        found: Array = np.add.reduceat(losses, np.cumsum(sizes) - sizes) / sizes
        return found

    def rounds(count: int) -> None:
        current = scores()
        for r in range(count):
            train_x, train_y = parts[r % len(parts)][:2]
            kept = net.get_weights()
            for _ in range(STEPS):
                rows = rng.integers(len(train_y), size=BATCH)
                net.train_on_batch(train_x[rows], train_y[rows])
            proposed = scores()
            if 2 * (proposed < current).sum() <= len(current):
                net.set_weights(kept)

    cohort = KerasLearner.cohort(learners)
    base = cohort.initial_weights(rng)
    candidates = [p.weights for p in cohort.propose(range(4), base, 1, Streams(0)).proposals.values()]
    turn = iter(range(10**9))
    times = measure.in_turns(
        {
            "floor": scores,
            "ours": lambda: cohort.test([candidates[next(turn) % 4]], "vote"),
            "round floor": lambda: rounds(10),
            "round": lambda: Experiment(learners, plugins=Plugins(())).run(10),
        },
        7,
    )
    start = process_time()
    for part in parts[:EVALUATED]:
        net.evaluate(part[2], part[3], verbose=0)
    evaluate = (process_time() - start) / EVALUATED * len(parts)
    print(
        f"{title:6} {len(parts):8} {times['ours'] / times['floor']:7.2f}× {evaluate / times['floor']:8.0f}× "
        f"{times['round'] / times['round floor']:5.2f}×",
        flush=True,
    )


if __name__ == "__main__":
    main()
