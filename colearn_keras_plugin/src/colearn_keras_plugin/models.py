"""The learner components: architectures with settings that suit small private data."""

from __future__ import annotations

from functools import partial
from math import isqrt, prod
from typing import Annotated, Any, Literal

from annotated_types import Ge

from colearn_core.data import PrivateData
from colearn_core.errors import DataError, ParameterError
from colearn_core.parameters import function_at, sharing

from .backend import keras
from .training import Architecture, Training, trained
from .workbench import MakeModel

layers = keras.layers
Shape = tuple[int, ...]
Image = Annotated[
    tuple[int, int, int] | None, "Height, width and channels; by default what the samples' shape says, or a square"
]
Activation = Annotated[
    Literal["relu", "tanh"], "tanh suits differential privacy better (Papernot et al. 2020, arXiv 2007.14191)"
]


@trained(batch_size=8)
def linear(data: PrivateData) -> Architecture:
    """A linear model: logistic regression for classes, linear regression for values."""
    return partial(_perceptron, _shape(data), (), _outputs(data), 0.0, "relu")


@trained(batch_size=8)
def mlp(
    data: PrivateData,
    hidden: Annotated[tuple[int, ...], "Neurons of each hidden layer"] = (64,),
    dropout: Annotated[float, Ge(0), "Share of neurons left out in training"] = 0.0,
    activation: Activation = "relu",
) -> Architecture:
    """A multi-layer perceptron."""
    if any(width < 1 for width in hidden):
        raise ParameterError(f"hidden layers need at least one neuron each, not {list(hidden)}")
    if not 0 <= dropout < 1:
        raise ParameterError(f"dropout must be at least 0 and less than 1, not {dropout}")
    return partial(_perceptron, _shape(data), hidden, _outputs(data), dropout, activation)


@trained(learning_rate=0.05, momentum=0.5)
def cnn(
    data: PrivateData,
    channels: Annotated[tuple[int, ...], "Channels of each convolution of 5 × 5, each followed by pooling"] = (
        32,
        32,
        64,
    ),
    hidden: Annotated[int, Ge(1), "Neurons of the dense layer"] = 64,
    image: Image = None,
    activation: Activation = "relu",
) -> Architecture:
    """A convolutional network, as in the MNIST example of Fetch.ai's colearn 0.2.8."""
    shape = _image(data, image, channels, len(channels))
    return partial(_convolutions, _shape(data), shape, channels, hidden, _outputs(data), activation)


@trained(learning_rate=0.05, momentum=0.5)
def resnet(
    data: PrivateData,
    channels: Annotated[tuple[int, ...], "Channels of each stage; each but the first halves the image"] = (16, 32),
    groups: Annotated[int, Ge(1), "Groups of each GroupNormalization; it must divide all channels"] = 4,
    image: Image = None,
) -> Architecture:
    """A small residual network (He et al. 2016, arXiv 1512.03385) with GroupNormalization (Wu and He 2018, arXiv
    1803.08494), which, unlike BatchNormalization, keeps no statistics of anyone's samples."""
    shape = _image(data, image, channels, len(channels) - 1)
    uneven = [width for width in channels if width % groups]
    if uneven:
        raise ParameterError(f"groups = {groups} doesn't divide {uneven[0]} channels")
    return partial(_residual, _shape(data), shape, channels, groups, _outputs(data))


def _own(
    data: PrivateData,
    model: Annotated[str, 'A function without arguments that makes and compiles it: "my_package.models:make_model"'],
) -> MakeModel:
    """Any compiled Keras model of yours; its loss says whether outputs are logits or probabilities."""
    return function_at(model, "model")


model = sharing(Training, "learner")(_own)


def _perceptron(shape: Shape, hidden: Shape, outputs: int, dropout: float, activation: str) -> keras.Model:
    net = keras.Sequential([keras.Input(shape), layers.Flatten()])
    for width in hidden:
        net.add(layers.Dense(width, activation))
        if dropout:
            net.add(layers.Dropout(dropout))
    net.add(layers.Dense(outputs))
    return net


def _convolutions(
    samples: Shape, image: Shape, channels: Shape, hidden: int, outputs: int, activation: str
) -> keras.Model:
    net = keras.Sequential([keras.Input(samples), _as_images(samples, image)])
    for width in channels:
        net.add(layers.Conv2D(width, 5, padding="same", activation=activation))
        net.add(layers.MaxPooling2D())
    for layer in (layers.Flatten(), layers.Dense(hidden, activation), layers.Dense(outputs)):
        net.add(layer)
    return net


def _residual(samples: Shape, image: Shape, channels: Shape, groups: int, outputs: int) -> keras.Model:
    inputs = keras.Input(samples)
    x = layers.Conv2D(channels[0], 3, padding="same", use_bias=False)(_as_images(samples, image)(inputs))
    before = channels[0]
    for stage, after in enumerate(channels):
        x = _block(x, before, after, 2 if stage else 1, groups)
        before = after
    x = layers.Activation("relu")(layers.GroupNormalization(groups)(x))
    return keras.Model(inputs, layers.Dense(outputs)(layers.GlobalAveragePooling2D()(x)))


def _block(x: Any, before: int, after: int, stride: int, groups: int) -> Any:
    """A residual block with normalisation first (He et al. 2016, arXiv 1603.05027)."""
    shortcut = x
    if before != after or stride > 1:
        shortcut = layers.Conv2D(after, 1, stride, use_bias=False)(x)
    for strides in (stride, 1):
        x = layers.Activation("relu")(layers.GroupNormalization(groups)(x))
        x = layers.Conv2D(after, 3, strides, padding="same", use_bias=False)(x)
    return layers.Add()([shortcut, x])


def _shape(data: PrivateData) -> Shape:
    return tuple(int(n) for n in data.train.x.shape[1:])


def _outputs(data: PrivateData) -> int:
    return len(data.task.classes) or 1


def _image(data: PrivateData, image: tuple[int, int, int] | None, channels: Shape, halvings: int) -> Shape:
    """Height, width and channels of the samples."""
    if not channels or any(width < 1 for width in channels):
        raise ParameterError(f"channels must be positive, one number for each stage, not {list(channels)}")
    shape, inputs = _shape(data), prod(_shape(data))
    side = isqrt(inputs)
    found: Shape
    if image is not None:
        found = image
    elif len(shape) == 3:
        found = (*shape[1:], shape[0]) if _channels_first(shape) else shape
    elif len(shape) == 2:
        found = (*shape, 1)
    elif side * side == inputs:
        found = (side, side, 1)
    else:
        raise DataError(
            f"{inputs} features are no square image", hint="Say its form: image = [height, width, channels]."
        )
    if prod(found) != inputs:
        raise ParameterError(f"image = {list(found)} has another number of values than the {inputs} of a sample")
    if min(found[:2]) < 2**halvings:
        raise DataError(f"images of {found[0]} × {found[1]} are too small to be halved {halvings} times")
    return found


def _channels_first(shape: Shape) -> bool:
    """Whether samples are images as torch has them, such as those of ``torch.idx``; Keras has channels last."""
    return len(shape) == 3 and shape[0] in (1, 3) and shape[2] not in (1, 3)


def _as_images(samples: Shape, image: Shape) -> Any:
    """A layer that gives samples in whatever shape as images."""
    return layers.Permute((2, 3, 1)) if _channels_first(samples) else layers.Reshape(image)
