"""MNIST among 5 Keras learners, without and with differential privacy: see torch_mnist.py.

Beside them what one party with all 60,000 images gets in TensorFlow Privacy's example (95.0, 96.6 and 97.3 % at its
ε of 1.2, 2.92 and 9.74).
"""

from __future__ import annotations

import os
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("TF_NUM_INTRAOP_THREADS", "1")
os.environ.setdefault("TF_NUM_INTEROP_THREADS", "1")

import keras
import measure  # noqa: F401 - it sets the number of threads
from keras import layers
from torch_mnist import ROUNDS, compare

ONE_PARTY = {1.2: 0.95, 2.9: 0.966, 9.7: 0.973}
PLAIN = {"name": "keras.mlp", "hidden": [100], "steps": 50, "batch_size": 32}


def small_cnn() -> keras.Model:
    """As torch_mnist.small_cnn."""
    model = keras.Sequential(
        [
            keras.Input((1, 28, 28)),
            layers.Reshape((28, 28, 1)),
            layers.Conv2D(16, 8, strides=2, padding="same", activation="tanh"),
            layers.MaxPooling2D(2, 1),
            layers.Conv2D(32, 4, strides=2, activation="tanh"),
            layers.MaxPooling2D(2, 1),
            layers.Flatten(),
            layers.Dense(32, "tanh"),
            layers.Dense(10),
        ]
    )
    model.compile(keras.optimizers.SGD(2.0), keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    return model


def private(epsilon: float) -> dict[str, Any]:
    return {
        "name": "keras.model",
        "model": "keras_mnist:small_cnn",
        "batch_size": 512,
        "steps": 10,
        "privacy": {"target_epsilon": epsilon, "proposals": ROUNDS},
    }


if __name__ == "__main__":
    compare(PLAIN, private, ONE_PARTY)
