"""What this plugin offers; importing it doesn't import torch."""

from __future__ import annotations

from colearn_core import Component, hookimpl

MODELS = "colearn_torch_plugin.models"
DATASETS = "colearn_torch_plugin.datasets"


@hookimpl
def colearn_learners() -> list[Component]:
    return [
        Component("torch.cnn", f"{MODELS}:cnn", "Small convolutional network, for images"),
        Component("torch.linear", f"{MODELS}:linear", "Linear model, for classes or values"),
        Component("torch.mlp", f"{MODELS}:mlp", "Neural network, for classes or values"),
        Component("torch.module", f"{MODELS}:module", "Your own torch module, by its path"),
        Component("torch.resnet", f"{MODELS}:resnet", "Small residual network with GroupNorm, for images"),
    ]


@hookimpl
def colearn_datasets() -> list[Component]:
    return [
        Component("torch.idx", f"{DATASETS}:idx", "Your IDX files: MNIST, Fashion-MNIST"),
        Component("torch.image_folder", f"{DATASETS}:image_folder", "Your pictures, a folder for each class"),
        Component("torch.torchvision", f"{DATASETS}:torchvision", "A data set of torchvision that is on your disk"),
    ]
