"""What this plugin offers; importing it doesn't import Keras."""

from __future__ import annotations

from colearn_core import Component, hookimpl

MODELS = "colearn_keras_plugin.models"


@hookimpl
def colearn_learners() -> list[Component]:
    return [
        Component("keras.cnn", f"{MODELS}:cnn", "Convolutional network of the MNIST examples, for images"),
        Component("keras.linear", f"{MODELS}:linear", "Linear model, for classes or values"),
        Component("keras.mlp", f"{MODELS}:mlp", "Neural network, for classes or values"),
        Component("keras.model", f"{MODELS}:model", "Your own compiled Keras model, by its path"),
        Component("keras.resnet", f"{MODELS}:resnet", "Small residual network with GroupNormalization, for images"),
    ]
