"""A differentially private training step of Keras models beside a plain one: layer by layer, where the model is a
chain of well-known layers, and by vectorised single samples, which serves all models. CPU time, one thread, in turns.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import measure  # isort: skip  # first: it sets the number of threads
import keras
import numpy as np
from keras import layers as kl

from colearn_keras_plugin.dpsgd import PrivateSteps

STEPS, SAMPLES, BATCH = 10, 4096, 64
MODELS: dict[str, Callable[[], list[Any]]] = {
    "MLP 784-64-10": lambda: [kl.Flatten(), kl.Dense(64, "relu")],
    "CNN, 26,000 parameters": lambda: [
        *(kl.Conv2D(16, 5, 2, "same", activation="relu"), kl.MaxPooling2D()),
        *(kl.Conv2D(32, 3, padding="same", activation="relu"), kl.MaxPooling2D()),
        *(kl.Flatten(), kl.Dense(64, "relu")),
    ],
    "CNN with GroupNormalization": lambda: [
        *(kl.Conv2D(16, 5, 2, "same"), kl.GroupNormalization(4), kl.ReLU(), kl.MaxPooling2D(), kl.Flatten()),
    ],
}


class Unknown(keras.Sequential):  # type: ignore[misc]
    """A subclass, which may do anything, so that its samples go through one by one."""


def compiled(kind: type[keras.Sequential], layers: list[Any]) -> keras.Model:
    model = kind([kl.Input((28, 28, 1)), *layers, kl.Dense(10)])
    model.compile(keras.optimizers.SGD(0.05), keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    return model


def main() -> None:
    rng = np.random.default_rng(0)
    x, y = rng.random((SAMPLES, 28, 28, 1), dtype=np.float32), rng.integers(10, size=SAMPLES)

    def plain(model: keras.Model) -> Callable[[], object]:
        starts = range(0, STEPS * BATCH, BATCH)
        return lambda: [model.train_on_batch(x[i : i + BATCH], y[i : i + BATCH]) for i in starts]

    def private(model: keras.Model) -> Callable[[], object]:
        settings = {"max_grad_norm": 1.0, "noise_multiplier": 1.0, "sample_rate": BATCH / SAMPLES}
        steps = PrivateSteps(model, batch_size=BATCH, samples=SAMPLES, **settings)
        return lambda: steps.run(x, y, STEPS, rng)

    print(f"{'model':28} {'plain ms':>9} {'by layers':>10} {'by samples':>11}")
    for title, make in MODELS.items():
        works = {
            "plain": plain(compiled(keras.Sequential, make())),
            "layers": private(compiled(keras.Sequential, make())),
            "samples": private(compiled(Unknown, make())),
        }
        times = measure.in_turns(works, 9)
        base = times["plain"]
        ratios = f"{times['layers'] / base:9.2f}× {times['samples'] / base:10.2f}×"
        print(f"{title:28} {base / STEPS * 1e3:9.2f} {ratios}", flush=True)


if __name__ == "__main__":
    main()
