"""DP-SGD for any compiled Keras model, on TensorFlow (Abadi et al. 2016, arXiv 1607.00133).

Each sample's gradient is clipped, and the sum of a batch gets Gaussian noise before the optimiser sees it.

Models that are a chain of well-known layers go through in one batch, and the gradients of each layer's weights come
from its inputs and the gradients of its outputs (Bu et al. 2022, arXiv 2210.00038). Those of dense layers needn't even
be made: their norm is that of the input times that of the output's gradient (Goodfellow 2015, arXiv 1510.01799).
All other models see one sample at a time, vectorised, so that whatever they do can't mix samples.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from colearn_core.errors import ParameterError

from .backend import keras

if keras.backend.backend() == "tensorflow":
    import tensorflow as tf

kl = keras.layers
Array = NDArray[Any]
Tensor = Any
Shape = tuple[int | None, ...]

GRADIENT_BYTES = 2**28
"""Memory that the gradients of single samples may take; larger batches go through in pieces."""

SMALL_KERNEL = 64
"""Values that a kernel sees, up to which patches come from a convolution."""

WITH_WEIGHTS = {kl.Dense, kl.Conv2D, kl.GroupNormalization, kl.LayerNormalization}
WITHOUT_WEIGHTS = {
    *(kl.InputLayer, kl.Flatten, kl.Reshape, kl.Rescaling, kl.ZeroPadding2D, kl.Dropout, kl.SpatialDropout2D),
    *(kl.MaxPooling2D, kl.AveragePooling2D, kl.GlobalMaxPooling2D, kl.GlobalAveragePooling2D),
    *(kl.ReLU, kl.LeakyReLU, kl.ELU, kl.Softmax, kl.Activation),
}
"""Layers that are known to keep samples apart; the weights of the others are seen to here, see :func:`chain_of`."""


class PrivateSteps:
    """Trains a model privately, some steps at a time.

    Args:
        model: compiled and built; its trainable variables are trained in place. What TensorFlow traces is kept with
            it, and serves all learners that share it.
        max_grad_norm: to which each sample's gradient is clipped, over all variables together.
        noise_multiplier: standard deviation of the noise, relative to that norm.
        sample_rate: the probability with which a sample takes part in a batch.
        batch_size: how many are expected in a batch.
        samples: number of training samples.

    Raises:
        ParameterError: the model can't be trained privately.
    """

    def __init__(
        self,
        model: keras.Model,
        *,
        max_grad_norm: float,
        noise_multiplier: float,
        sample_rate: float,
        batch_size: int,
        samples: int,
    ) -> None:
        check_private(model)
        self.model = model
        self.max_grad_norm = max_grad_norm
        self.noise_multiplier = noise_multiplier
        self.sample_rate = sample_rate
        self.batch_size = batch_size
        self.samples = samples

    def run(self, x: Array, y: Array, steps: int, rng: np.random.Generator) -> list[float]:
        """Train in place, and give the mean loss of each step whose batch isn't empty.

        Args:
            x: features, shape ``(samples, ...)``; anything that gives an array for an array of rows will do.
            y: targets, one per sample.
            rng: where batches, noise and dropout come from.

        Raises:
            FloatingPointError: the loss of a step isn't finite; the message names the step.
            ParameterError: training changed weights that get no noise.
        """
        if len(x) != self.samples:
            raise ParameterError(f"privacy: {len(x)} samples to train on, but noise is meant for {self.samples}")
        fixed = [(v, np.array(v.value.numpy())) for v in self.model.non_trainable_weights]
        traced = _traced_for(self.model, x[:1], y[:1])
        _seed(self.model, rng)
        losses: dict[int, Any] = {}
        for step in range(1, steps + 1):
            rows = np.flatnonzero(rng.random(self.samples) < self.sample_rate)
            sums = [traced.clipped(x[piece], y[piece], self.max_grad_norm) for piece in _pieces(rows, traced.most)]
            traced.step([total for _, total in sums], self._noise(traced.size, rng), self.batch_size)
            if sums:
                losses[step] = sum(loss for loss, _ in sums) / len(rows)
        for variable, before in fixed:
            if not np.array_equal(variable.value.numpy(), before, equal_nan=True):
                raise ParameterError(f"privacy: training changes {variable.path!r}, which gets no noise")
        for step, loss in losses.items():
            if not math.isfinite(loss):
                raise FloatingPointError(f"the loss of step {step} of {steps} is {float(loss)}")
        return [float(loss) for loss in losses.values()]

    def _noise(self, size: int, rng: np.random.Generator) -> Array:
        """By numpy, as its generators can have seeds of any length, too long to be tried out."""
        noise = rng.standard_normal(size, dtype=np.float32)
        noise *= np.float32(self.noise_multiplier * self.max_grad_norm)
        return noise


def check_private(model: keras.Model) -> None:
    """Raise ParameterError if the model can't be trained privately, with the layer and what to do about it."""
    backend = keras.backend.backend()
    if backend != "tensorflow":
        raise ParameterError(
            f"privacy: private training needs KERAS_BACKEND=tensorflow, not {backend}",
            hint="Set that in the environment before Keras is imported.",
        )
    for layer in model._flatten_layers():
        where = f"layer {layer.name!r} of {model.name!r}"
        if isinstance(layer, kl.BatchNormalization):
            raise ParameterError(
                f"privacy: {where} is a {type(layer).__name__}, which mixes the samples of a batch",
                hint="Take GroupNormalization or LayerNormalization.",
            )
        if layer.compute_dtype in ("float16", "bfloat16"):
            raise ParameterError(
                f"privacy: {where} computes in {layer.compute_dtype}, and rounded norms of gradients are no bound",
                hint='Take dtype="float32".',
            )


def _pieces(rows: Array, most: int) -> Iterator[Array]:
    return (rows[start : start + most] for start in range(0, len(rows), most))


def _seed(model: keras.Model, rng: np.random.Generator) -> None:
    """Have dropout draw from the given generator only, whatever was drawn before."""
    for state in _seeds(model):
        state.assign(rng.integers(2**31, size=state.shape))


def _seeds(model: keras.Model) -> list[Any]:
    return [variable for variable in model.variables if variable.path.endswith("seed_generator_state")]


class Traced:
    """What is traced once for a compiled model, for any number of samples and any bound.

    Batches aren't padded: a trace for any number of samples took half the time of one for the largest likely number.

    Attributes:
        size: the number of trainable parameters.
        most: how many samples a piece of a batch may have.
    """

    def __init__(self, model: keras.Model, x: Array, y: Array) -> None:
        self.key = _key(model, x, y)
        self.model = model
        self.variables = list(model.trainable_variables)
        self._sizes = [math.prod(v.shape) for v in self.variables]
        self.size = sum(self._sizes)
        self.chain = chain_of(model, x.shape[1:])
        values = self.size if self.chain is None else sum(_values(layer, shape) for layer, shape in self.chain)
        self.most = max(1, GRADIENT_BYTES // (4 * max(1, values)))
        model.optimizer.build(self.variables)
        self._x, self._y = (tf.TensorSpec((None, *a.shape[1:]), _dtype(a)) for a in (x, y))
        flat, number = tf.TensorSpec((self.size,), tf.float32), tf.TensorSpec((), tf.float32)
        self._clipped = tf.function(self._sums, input_signature=[self._x, self._y, number], autograph=False)
        self._step = tf.function(self._applied, input_signature=[flat, flat, number], autograph=False)

    def clipped(self, x: Array, y: Array, bound: float) -> tuple[Tensor, Tensor]:
        """The sum of the samples' losses, and that of their clipped gradients, all parameters in a row."""
        samples = tf.convert_to_tensor(x.astype(self._x.dtype.as_numpy_dtype, copy=False))
        targets = tf.convert_to_tensor(y.astype(self._y.dtype.as_numpy_dtype, copy=False))
        found: tuple[Tensor, Tensor] = self._clipped(samples, targets, np.float32(bound))
        return found

    def step(self, sums: Sequence[Tensor], noise: Array, batch_size: int) -> None:
        """One step of the optimiser, also where no sample was drawn."""
        self._step(tf.add_n(sums) if sums else tf.zeros(self.size), noise, np.float32(batch_size))

    def _sums(self, x: Tensor, y: Tensor, bound: Tensor) -> tuple[Tensor, Tensor]:
        if self.chain is None:
            losses, sums = _by_samples(self.model, self.variables, x, y, bound)
        else:
            losses, sums = _by_layers(self.model, [layer for layer, _ in self.chain], x, y, bound)
        return tf.reduce_sum(losses), tf.concat([tf.reshape(part, (-1,)) for part in sums], axis=0)

    def _applied(self, total: Tensor, noise: Tensor, batch_size: Tensor) -> None:
        parts = tf.split((total + noise) / batch_size, self._sizes)
        grads = [tf.reshape(part, v.shape) for part, v in zip(parts, self.variables, strict=True)]
        self.model.optimizer.apply(grads, self.variables)


def _traced_for(model: keras.Model, x: Array, y: Array) -> Traced:
    """What is kept with a model, made anew when that is compiled anew."""
    kept: Traced | None = vars(model).get("_colearn_traced")
    if kept is None or kept.key != _key(model, x, y):
        kept = vars(model)["_colearn_traced"] = Traced(model, x, y)
    return kept


def _key(model: keras.Model, x: Array, y: Array) -> tuple[Any, ...]:
    trained = tuple(id(v) for v in model.trainable_variables)
    return id(model.optimizer), id(model._compile_loss), trained, *((a.shape[1:], _dtype(a)) for a in (x, y))


def _dtype(array: Array) -> Any:
    return tf.float32 if array.dtype.kind == "f" else tf.as_dtype(array.dtype)


def _by_samples(
    model: keras.Model, variables: Sequence[Any], x: Tensor, y: Tensor, bound: Tensor
) -> tuple[Tensor, list[Tensor]]:
    weights = [tf.convert_to_tensor(v.value) for v in variables]
    states = _seeds(model)
    seeds = [tf.random.stateless_uniform((tf.shape(x)[0], 2), s.value, 0, 2**31, s.dtype) for s in states]
    for state in states:
        state.assign_add(tf.constant((1, 0), state.dtype))

    def one(sample: tuple[Tensor, Tensor, list[Tensor]]) -> tuple[Tensor, list[Tensor]]:
        alone, target = sample[0][None], sample[1][None]
        # A sample's dropout is its own only with a seed of its own.
        values = [*zip(variables, weights, strict=True), *zip(states, sample[2], strict=True)]
        with keras.StatelessScope(values) as scope, tf.GradientTape() as tape:
            tape.watch(weights)
            loss = model.compute_loss(alone, target, model(alone, training=True), training=True)
        for variable in model.non_trainable_weights:
            if scope.get_current_value(variable) is not None:
                raise ParameterError(f"privacy: training changes {variable.path!r}, which gets no noise")
        grads = tape.gradient(loss, weights, unconnected_gradients="zero")
        return loss, [tf.convert_to_tensor(grad) for grad in grads]

    losses, grads = tf.vectorized_map(one, (x, y, seeds))
    scale = _scale([_squares(grad) for grad in grads], bound)
    return losses, [tf.tensordot(scale, grad, 1) for grad in grads]


def chain_of(model: keras.Model, sample: Shape) -> list[tuple[Any, Shape]] | None:
    """The layers of a model with the shapes of their inputs, if each takes what the one before it gives, and all are
    understood here; None for other models."""
    if not type(model).__module__.startswith("keras.") or len(model.inputs) != 1:
        return None  # a subclass may do anything
    last, shape = model.inputs[0], tuple(model.inputs[0].shape)
    if shape[1:] != tuple(sample):
        return None
    chain: list[tuple[Any, Shape]] = []
    for layer in model.layers:
        if type(layer) is not kl.InputLayer:
            if type(model) is not keras.Sequential:
                if len(layer._inbound_nodes) != 1 or layer.input is not last:
                    return None
                last = layer.output
            if not _understood(layer, shape):
                return None
            chain.append((layer, shape))
            shape = tuple(layer.compute_output_shape(shape))
    ids = [id(v) for layer, _ in chain for v in layer.trainable_variables]
    return chain if ids == [id(v) for v in model.trainable_variables] else None


def _understood(layer: Any, shape: Shape) -> bool:
    if type(layer) not in WITH_WEIGHTS | WITHOUT_WEIGHTS or layer.compute_dtype != "float32":
        return False
    if any(getattr(layer, f"{of}_regularizer", None) for of in ("kernel", "bias", "gamma", "beta", "activity")):
        return False
    activation = getattr(layer, "activation", None)
    if activation is not None and getattr(keras.activations, activation.__name__, None) is not activation:
        return False  # it might mix samples
    if any(axis % len(shape) == 0 for axis in np.atleast_1d(getattr(layer, "axis", -1))):
        return False  # it does
    if type(layer) not in (kl.Dense, kl.Conv2D):
        return True
    if len(layer.trainable_variables) not in (0, len(layer.weights)) or layer.lora_enabled or layer.quantization_mode:
        return False
    if type(layer) is kl.Dense:
        return bool(len(shape) == 2)
    spread = min(max(layer.strides), max(layer.dilation_rate))
    return bool(layer.groups == 1 and layer.data_format == "channels_last" and spread == 1)


def _values(layer: Any, shape: Shape) -> int:
    """How many numbers a sample takes for the gradients of a layer's weights."""
    if not layer.trainable_variables or type(layer) is kl.Dense:
        return 0
    weights: int = sum(math.prod(v.shape) for v in layer.trainable_variables)
    if type(layer) is not kl.Conv2D:
        return int(weights)
    patches: int = math.prod(layer.compute_output_shape(shape)[1:3]) * math.prod(layer.kernel.shape[:3])
    return weights + patches


def _by_layers(
    model: keras.Model, chain: Sequence[Any], x: Tensor, y: Tensor, bound: Tensor
) -> tuple[Tensor, list[Tensor]]:
    trained: list[tuple[Any, Tensor, Tensor]] = []
    x = tf.cast(x, model.inputs[0].dtype)
    with tf.GradientTape(watch_accessed_variables=False) as tape:
        for layer in chain:
            if not layer.trainable_variables:
                x = layer(x, training=True)
                continue
            before, x = x, _without_activation(layer, x)
            tape.watch(x)
            trained.append((layer, before, x))
            if getattr(layer, "activation", None) is not None:
                x = layer.activation(x)
        losses = tf.vectorized_map(lambda pair: model.compute_loss(None, pair[0][None], pair[1][None]), (y, x))
        loss = tf.reduce_sum(losses)
    towards = tape.gradient(loss, [after for _, _, after in trained], unconnected_gradients="zero")
    parts = [
        (_DensePart if type(layer) is kl.Dense else _Part)(layer, before, grad)
        for (layer, before, _), grad in zip(trained, towards, strict=True)
    ]
    scale = _scale([part.squares for part in parts], bound)
    return losses, [total for part in parts for total in part.sums(scale)]


class _Part:
    """The gradients of one layer's weights, from its inputs and the gradients of its outputs before activation."""

    def __init__(self, layer: Any, before: Tensor, towards: Tensor) -> None:
        self.grads = (_grads_of_convolution if type(layer) is kl.Conv2D else _grads_of_layer)(layer, before, towards)
        self.squares = tf.add_n([_squares(grad) for grad in self.grads])

    def sums(self, scale: Tensor) -> list[Tensor]:
        return [tf.tensordot(scale, grad, 1) for grad in self.grads]


class _DensePart:
    def __init__(self, layer: Any, before: Tensor, towards: Tensor) -> None:
        self.layer, self.before, self.towards = layer, before, towards
        self.squares = (_squares(before) + float(layer.use_bias)) * _squares(towards)

    def sums(self, scale: Tensor) -> list[Tensor]:
        scaled = self.towards * scale[:, None]
        kernel = tf.matmul(self.before, scaled, transpose_a=True)
        return [kernel, tf.reduce_sum(scaled, axis=0)] if self.layer.use_bias else [kernel]


def _without_activation(layer: Any, x: Tensor) -> Tensor:
    if type(layer) is kl.Dense:
        x = keras.ops.matmul(x, layer.kernel)
    elif type(layer) is kl.Conv2D:
        x = layer.convolution_op(x, layer.kernel)
    else:
        return layer(x, training=True)
    return x + layer.bias if layer.use_bias else x


def _grads_of_convolution(layer: Any, before: Tensor, towards: Tensor) -> list[Tensor]:
    """The gradients of each sample for a kernel, and a bias if there's one."""
    patches = _patches(layer, before)
    positions, values, filters = patches.shape[1] * patches.shape[2], patches.shape[3], layer.filters
    rows = tf.reshape(patches, (-1, positions, values))
    columns = tf.reshape(towards, (-1, positions, filters))
    kernel = tf.matmul(rows, columns, transpose_a=True)
    return [kernel, tf.reduce_sum(columns, axis=1)] if layer.use_bias else [kernel]


def _patches(layer: Any, x: Tensor) -> Tensor:
    """What a convolution's kernel sees at each position, in a row: for small kernels its own convolution with a kernel
    for each value is five times as fast as TensorFlow's extraction."""
    size = math.prod(layer.kernel.shape[:3])
    if size <= SMALL_KERNEL:
        return layer.convolution_op(x, tf.reshape(tf.eye(size), (*layer.kernel.shape[:3], size)))
    height, width = layer.kernel_size
    strides, rates = (1, *layer.strides, 1), (1, *layer.dilation_rate, 1)
    return tf.image.extract_patches(x, (1, height, width, 1), strides, rates, layer.padding.upper())


def _grads_of_layer(layer: Any, before: Tensor, towards: Tensor) -> list[Tensor]:
    """The gradients of each sample for the weights of any layer."""

    def one(sample: tuple[Tensor, Tensor]) -> list[Tensor]:
        with tf.GradientTape() as tape:
            after = layer(sample[0][None], training=True)
        grads: list[Tensor] = tape.gradient(after, [v.value for v in layer.trainable_variables], sample[1][None])
        return grads

    return list(tf.vectorized_map(one, (before, towards)))


def _squares(grads: Tensor) -> Tensor:
    """Each sample's sum of squares."""
    return tf.reduce_sum(tf.square(tf.reshape(grads, (tf.shape(grads)[0], -1))), axis=1)


def _scale(squares: Sequence[Tensor], bound: Tensor) -> Tensor:
    """By what to multiply each sample's gradient, so that its norm is at most the bound."""
    return tf.minimum(1.0, bound / (tf.sqrt(tf.add_n(squares)) + 1e-6))
