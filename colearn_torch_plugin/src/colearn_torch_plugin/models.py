"""The learner components: architectures with settings that suit small private data."""

from __future__ import annotations

from functools import partial
from math import isqrt
from typing import Annotated, Literal

from annotated_types import Ge
from torch import Tensor, nn

from colearn_core.data import PrivateData
from colearn_core.errors import DataError, ParameterError
from colearn_core.parameters import function_at

from .training import MakeModule, trained

Image = Annotated[
    tuple[int, int, int] | None, "Channels, height and width; by default what the samples' shape says, or a square"
]
Activation = Annotated[
    Literal["relu", "tanh"], "tanh suits differential privacy better (Papernot et al. 2020, arXiv 2007.14191)"
]
ACTIVATIONS: dict[str, type[nn.Module]] = {"relu": nn.ReLU, "tanh": nn.Tanh}
Channels = Annotated[tuple[int, ...], "Channels of each stage; each but the first halves the image"]


@trained(batch_size=8)
def linear(data: PrivateData) -> MakeModule:
    """A linear model: logistic regression for classes, linear regression for values."""
    return partial(_perceptron, _inputs(data), (), _outputs(data))


@trained(batch_size=8)
def mlp(
    data: PrivateData,
    hidden: Annotated[tuple[int, ...], "Neurons of each hidden layer"] = (64,),
    dropout: Annotated[float, Ge(0), "Share of neurons left out in training"] = 0.0,
    activation: Activation = "relu",
) -> MakeModule:
    """A multi-layer perceptron."""
    if any(width < 1 for width in hidden):
        raise ParameterError(f"hidden layers need at least one neuron each, not {list(hidden)}")
    if not 0 <= dropout < 1:
        raise ParameterError(f"dropout must be at least 0 and less than 1, not {dropout}")
    return partial(_perceptron, _inputs(data), hidden, _outputs(data), dropout, activation)


@trained(learning_rate=0.05, momentum=0.5)
def cnn(
    data: PrivateData,
    channels: Channels = (16, 32),
    hidden: Annotated[int, Ge(1), "Neurons of the dense layer"] = 64,
    image: Image = None,
    activation: Activation = "relu",
) -> MakeModule:
    """A small convolutional network: 3 × 3 convolutions, max pooling, one dense layer."""
    return partial(_convolutions, _image(data, image, channels), channels, hidden, _outputs(data), activation)


@trained(learning_rate=0.05, momentum=0.5)
def resnet(
    data: PrivateData,
    channels: Channels = (16, 32),
    groups: Annotated[int, Ge(1), "Groups of each GroupNorm; it must divide all channels"] = 4,
    image: Image = None,
) -> MakeModule:
    """A small residual network (He et al. 2016, arXiv 1512.03385) with GroupNorm (Wu and He 2018, arXiv
    1803.08494), which, unlike BatchNorm, keeps no statistics of anyone's samples."""
    shape = _image(data, image, channels)
    uneven = [width for width in channels if width % groups]
    if uneven:
        raise ParameterError(f"groups = {groups} doesn't divide {uneven[0]} channels")
    return partial(_residual, shape, channels, groups, _outputs(data))


@trained()
def module(
    data: PrivateData,
    module: Annotated[str, 'A function without arguments that makes it: "my_package.models:make_model"'],
) -> MakeModule:
    """Any torch module of yours; for classes its outputs are logits, one for each class."""
    return function_at(module, "module")


def _perceptron(
    inputs: int, hidden: tuple[int, ...], outputs: int, dropout: float = 0.0, activation: str = "relu"
) -> nn.Module:
    layers: list[nn.Module] = [nn.Flatten()]
    for width in hidden:
        layers += [nn.Linear(inputs, width), ACTIVATIONS[activation](), *([nn.Dropout(dropout)] if dropout else [])]
        inputs = width
    return nn.Sequential(*layers, nn.Linear(inputs, outputs))


def _convolutions(
    shape: tuple[int, int, int], channels: tuple[int, ...], hidden: int, outputs: int, activation: str
) -> nn.Module:
    layers: list[nn.Module] = [_Shaped(shape)]
    before, height, width = shape
    for stage, after in enumerate(channels):
        layers += [nn.Conv2d(before, after, 3, padding=1), ACTIVATIONS[activation]()]
        if stage:
            layers.append(nn.MaxPool2d(2))
            height, width = height // 2, width // 2
        before = after
    dense = nn.Linear(before * height * width, hidden)
    return nn.Sequential(*layers, nn.Flatten(), dense, ACTIVATIONS[activation](), nn.Linear(hidden, outputs))


def _residual(shape: tuple[int, int, int], channels: tuple[int, ...], groups: int, outputs: int) -> nn.Module:
    layers: list[nn.Module] = [_Shaped(shape), nn.Conv2d(shape[0], channels[0], 3, padding=1, bias=False)]
    before = channels[0]
    for stage, after in enumerate(channels):
        layers.append(_Block(before, after, 2 if stage else 1, groups))
        before = after
    pooled = [nn.GroupNorm(groups, before), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten()]
    return nn.Sequential(*layers, *pooled, nn.Linear(before, outputs))


class _Shaped(nn.Module):
    """Samples in whatever shape as images."""

    def __init__(self, shape: tuple[int, int, int]) -> None:
        super().__init__()
        self.shape = shape

    def forward(self, x: Tensor) -> Tensor:
        return x.reshape(x.shape[0], *self.shape)  # len(x) would be a constant in an exported model


class _Block(nn.Module):
    """A residual block with normalisation first (He et al. 2016, arXiv 1603.05027)."""

    def __init__(self, before: int, after: int, stride: int, groups: int) -> None:
        super().__init__()
        self.shortcut = (
            nn.Conv2d(before, after, 1, stride, bias=False) if before != after or stride > 1 else nn.Identity()
        )
        self.residual = nn.Sequential(
            nn.GroupNorm(groups, before),
            nn.ReLU(),
            nn.Conv2d(before, after, 3, stride, padding=1, bias=False),
            nn.GroupNorm(groups, after),
            nn.ReLU(),
            nn.Conv2d(after, after, 3, padding=1, bias=False),
        )

    def forward(self, x: Tensor) -> Tensor:
        found: Tensor = self.shortcut(x) + self.residual(x)
        return found


def _inputs(data: PrivateData) -> int:
    inputs = 1
    for size in data.train.x.shape[1:]:
        inputs *= size
    return inputs


def _outputs(data: PrivateData) -> int:
    return len(data.task.classes) or 1


def _image(data: PrivateData, image: tuple[int, int, int] | None, channels: tuple[int, ...]) -> tuple[int, int, int]:
    """Channels, height and width of the samples."""
    if not channels or any(width < 1 for width in channels):
        raise ParameterError(f"channels must be positive, one number for each stage, not {list(channels)}")
    shape, inputs = data.train.x.shape[1:], _inputs(data)
    if image is None:
        side = isqrt(inputs)
        if len(shape) == 3:
            image = shape
        elif len(shape) == 2:
            image = (1, *shape)
        elif side * side == inputs:
            image = (1, side, side)
        else:
            raise DataError(
                f"{inputs} features are no square image", hint="Say its form: image = [channels, height, width]."
            )
    if image[0] * image[1] * image[2] != inputs:
        raise ParameterError(f"image = {list(image)} has another number of values than the {inputs} of a sample")
    if min(image[1:]) < 2 ** (len(channels) - 1):
        raise DataError(f"images of {image[1]} × {image[2]} are too small to be halved {len(channels) - 1} times")
    return image
