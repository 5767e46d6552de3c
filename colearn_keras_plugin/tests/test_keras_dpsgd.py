"""Private training of Keras models: clipped gradients, batches, noise, and what is refused."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers as kl
from numpy.typing import NDArray

from colearn_core.errors import ParameterError
from colearn_keras_plugin import dpsgd
from colearn_keras_plugin.dpsgd import PrivateSteps, check_private

Array = NDArray[Any]
RNG = partial(np.random.default_rng, 1)
CROSS_ENTROPY = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
IMAGE = (6, 6, 2)


def compiled(*layers: Any, shape: tuple[int, ...] = (6,), loss: Any = CROSS_ENTROPY, rate: float = 0.1) -> keras.Model:
    model = keras.Sequential([kl.Input(shape), *layers])
    rng = np.random.default_rng(0)
    model.set_weights([rng.normal(scale=0.5, size=v.shape) for v in model.weights])
    model.compile(keras.optimizers.SGD(rate), loss)
    return model


def perceptron(**more: Any) -> keras.Model:
    return compiled(kl.Dense(8, "relu"), kl.Dense(5, "tanh", use_bias=False), kl.Dense(3), **more)


def images() -> keras.Model:
    convolved = [kl.Conv2D(8, 3, padding="same", strides=2, activation="relu"), kl.MaxPooling2D(2, padding="same")]
    more = [kl.Conv2D(3, (3, 4), use_bias=False, padding="same", dilation_rate=2), kl.Flatten(), kl.Dense(3)]
    return compiled(kl.Rescaling(2.0), *convolved, *more, shape=IMAGE)


def normalised() -> keras.Model:
    convolved = [kl.Conv2D(4, 3), kl.GroupNormalization(2), kl.ReLU()]
    return compiled(*convolved, kl.Flatten(), kl.LayerNormalization(), kl.Dense(3), shape=IMAGE)


def residual() -> keras.Model:
    keras.utils.set_random_seed(0)
    first = kl.Input(IMAGE)
    h = kl.GroupNormalization(1)(kl.Conv2D(2, 3, padding="same")(first))
    h = kl.Flatten()(kl.Add()([first, h]))
    model = keras.Model(first, kl.Dense(3)(h))
    model.compile("sgd", CROSS_ENTROPY)
    return model


def regularised() -> keras.Model:
    return compiled(kl.Dense(8, "relu", kernel_regularizer="l2"), kl.Dense(3))


def partly_fixed() -> keras.Model:
    fixed = kl.Dense(8, "relu")
    fixed.trainable = False
    return compiled(kl.Dense(4), fixed, kl.Dense(3))


class Branched(keras.Model):  # type: ignore[misc]
    """Sends its input through one layer twice."""

    def __init__(self) -> None:
        super().__init__()
        self.layer, self.out = kl.Dense(6, "tanh"), kl.Dense(3)

    def call(self, x: Any, training: bool = False) -> Any:
        return self.out(self.layer(self.layer(x)))


def subclassed() -> keras.Model:
    keras.utils.set_random_seed(0)
    model = Branched()
    model.compile("sgd", CROSS_ENTROPY)
    model(np.zeros((1, 6), np.float32))
    return model


def mixes(z: Any) -> Any:
    return z - keras.ops.mean(z, axis=0)


def normalised_over_the_batch() -> keras.Model:
    return compiled(kl.Dense(4, mixes), kl.Dense(3))


def samples_for(model: keras.Model, n: int = 20) -> tuple[Array, Array]:
    rng = np.random.default_rng(0)
    shape = (6,) if isinstance(model, Branched) else model.inputs[0].shape[1:]
    return rng.normal(size=(n, *shape)).astype(np.float32), rng.integers(0, 3, n)


def private(model: keras.Model, n: int = 20, batch_size: int = 20, **more: Any) -> PrivateSteps:
    """Hardly any noise, and nothing is clipped, if not said otherwise."""
    settings = {"max_grad_norm": 1e3, "noise_multiplier": 1e-9, "sample_rate": min(1.0, batch_size / n), **more}
    return PrivateSteps(model, batch_size=batch_size, samples=n, **settings)


def trained(model: keras.Model) -> list[Array]:
    return [np.array(v.value.numpy()) for v in model.trainable_variables]


# The gradient


def one_by_one(model: keras.Model, x: Array, y: Array, bound: float) -> tuple[list[Array], int]:
    """The sum of clipped gradients, and how many were longer than the bound."""
    sums, clipped = [np.zeros(v.shape) for v in model.trainable_variables], 0
    for i in range(len(x)):
        with tf.GradientTape() as tape:
            loss = CROSS_ENTROPY(y[i : i + 1], model(x[i : i + 1], training=True)) + sum(model.losses)
        grads = [np.array(g) for g in tape.gradient(loss, [v.value for v in model.trainable_variables])]
        norm = np.sqrt(sum(np.square(g, dtype=np.float64).sum() for g in grads))
        clipped += int(norm > bound)
        sums = [total + grad * min(1.0, bound / norm) for total, grad in zip(sums, grads, strict=True)]
    return sums, clipped


MODELS: dict[Callable[[], keras.Model], bool] = {
    **dict.fromkeys((perceptron, images, normalised, partly_fixed), True),
    **dict.fromkeys((residual, regularised, subclassed), False),
}
"""And whether they are a chain of layers that is understood."""


@pytest.mark.parametrize("make", MODELS)
@pytest.mark.parametrize("bound", [0.05, None, 1e3])
def test_the_gradient_is_the_sum_of_each_samples_clipped_one(
    make: Callable[[], keras.Model], bound: float | None
) -> None:
    model = make()
    x, y = samples_for(model)
    if bound is None:  # the median norm
        norms = [one_by_one(model, x[i : i + 1], y[i : i + 1], 1e9)[0] for i in range(20)]
        bound = float(np.median([np.sqrt(sum(np.square(g).sum() for g in grads)) for grads in norms]))
    expected, clipped = one_by_one(model, x, y, bound)
    assert clipped == {0.05: 20, 1e3: 0}.get(bound, 10)
    traced = dpsgd.Traced(model, x, y)
    assert (traced.chain is not None) == MODELS[make]
    _, first = traced.clipped(x[:13], y[:13], bound)
    _, second = traced.clipped(x[13:], y[13:], bound)
    flat = np.concatenate([total.ravel() for total in expected])
    np.testing.assert_allclose(np.array(first) + np.array(second), flat, rtol=2e-4, atol=1e-5)


@pytest.mark.parametrize("make", MODELS)
def test_without_clipping_and_noise_it_is_a_plain_step(make: Callable[[], keras.Model]) -> None:
    plain, quiet = make(), make()
    x, y = samples_for(plain)
    loss = plain.train_on_batch(x, y)
    assert private(quiet).run(x, y, 1, RNG()) == [pytest.approx(float(loss), rel=1e-4)]
    for expected, found in zip(trained(plain), trained(quiet), strict=True):
        np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("make", [images, residual])
def test_pieces_of_a_batch_give_the_gradient_of_the_whole(
    make: Callable[[], keras.Model], monkeypatch: pytest.MonkeyPatch
) -> None:
    whole, parts = make(), make()
    x, y = samples_for(whole)
    losses = private(whole).run(x, y, 2, RNG())
    monkeypatch.setattr(dpsgd, "GRADIENT_BYTES", 4 * 1500)
    assert dpsgd.Traced(make(), x, y).most < 10
    assert private(parts).run(x, y, 2, RNG()) == pytest.approx(losses, rel=1e-4)
    for expected, found in zip(trained(whole), trained(parts), strict=True):
        np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("make", [perceptron, subclassed, normalised_over_the_batch])
def test_a_sample_changes_the_sum_by_the_bound_at_most(make: Callable[[], keras.Model]) -> None:
    model = make()
    x, y = samples_for(model)
    x[7] *= 1e6
    traced = dpsgd.Traced(model, x, y)
    _, everyone = traced.clipped(x, y, 0.5)
    _, others = traced.clipped(np.delete(x, 7, 0), np.delete(y, 7), 0.5)
    assert np.linalg.norm(np.array(everyone) - np.array(others)) <= 0.5 + 1e-3


@pytest.mark.parametrize(
    "layer",
    [
        kl.Softmax(axis=0),
        kl.Softmax(axis=(0, 1)),
        kl.Activation(mixes),
        kl.Lambda(mixes),
    ],
)
def test_layers_that_could_mix_samples_see_one_at_a_time(layer: Any) -> None:
    model = compiled(kl.Dense(4), layer, kl.Dense(3))
    assert dpsgd.chain_of(model, (6,)) is None


# The noise and the batches


def test_noise_has_the_size_that_is_accounted_for() -> None:
    model = compiled(kl.Dense(500, use_bias=False), loss=lambda y, found: keras.ops.mean(found), rate=1.0)
    (before,) = trained(model)
    steps = private(model, 200, 20, noise_multiplier=3.0, max_grad_norm=0.5)
    steps.run(np.zeros((200, 6), np.float32), np.zeros(200), 1, RNG())
    moved = trained(model)[0] - before
    assert moved.mean() == pytest.approx(0, abs=4 * 0.075 / np.sqrt(moved.size))
    assert moved.std() == pytest.approx(3.0 * 0.5 / 20, rel=0.05)


def test_a_batch_holds_each_sample_with_equal_probability_and_may_be_empty(monkeypatch: pytest.MonkeyPatch) -> None:
    model = perceptron()
    x, y = samples_for(model, 60)
    sizes: list[int] = []
    clipped = dpsgd.Traced.clipped

    def counted(self: dpsgd.Traced, x: Array, y: Array, bound: float) -> Any:
        sizes.append(len(x))
        return clipped(self, x, y, bound)

    monkeypatch.setattr(dpsgd.Traced, "clipped", counted)
    losses = private(model, 60, 2).run(x, y, 500, RNG())
    assert len(losses) == len(sizes)
    empty = 500 - len(sizes)
    assert sum(sizes) / 500 == pytest.approx(2, abs=0.3)
    assert np.var([*sizes, *[0] * empty]) == pytest.approx(2 * 58 / 60, rel=0.25)  # Poisson sampling, not shuffling
    assert empty == pytest.approx(500 * (58 / 60) ** 60, rel=0.4)
    assert int(model.optimizer.iterations.value.numpy()) == 500  # a step each, as the accountant counts them


def test_an_empty_batch_still_gets_its_noise() -> None:
    model = perceptron()
    x, y = samples_for(model)
    before = trained(model)
    assert private(model, noise_multiplier=1.0, max_grad_norm=1.0, sample_rate=1e-12).run(x, y, 1, RNG()) == []
    assert all((a != b).all() for a, b in zip(before, trained(model), strict=True))


@pytest.mark.parametrize("n", [1, 2])
def test_very_few_samples_work(n: int) -> None:
    model = perceptron()
    x, y = samples_for(model, n)
    assert len(private(model, n, 8).run(x, y, 3, RNG())) == 3


def outcome(draw: int, make: Callable[[], keras.Model] = perceptron, **more: Any) -> bytes:
    model = make()
    x, y = samples_for(model)
    private(model, 20, 6, **more).run(x, y, 4, np.random.default_rng(draw))
    return b"".join(part.tobytes() for part in trained(model))


def dropping() -> keras.Model:
    return compiled(kl.Dense(8, "relu"), kl.Dropout(0.5), kl.Dense(3))


def dropping_alone() -> keras.Model:
    return compiled(kl.Dense(8, "relu", kernel_regularizer="l2"), kl.Dropout(0.5), kl.Dense(3))


@pytest.mark.parametrize("make", [perceptron, images, normalised, residual, dropping, dropping_alone])
def test_the_same_generator_gives_the_same_bits(make: Callable[[], keras.Model]) -> None:
    first = outcome(1, make)
    keras.utils.set_random_seed(5)  # plays no part
    assert outcome(1, make) == first


def test_a_second_run_draws_dropout_from_its_generator_alone() -> None:
    model = dropping()
    x, y = samples_for(model)
    steps, start, found = private(model, 20, 6), trained(model), []
    for draw in (1, 1, 2):
        for variable, array in zip(model.trainable_variables, start, strict=True):
            variable.assign(array)
        steps.run(x, y, 3, np.random.default_rng(draw))
        found.append(trained(model)[0].tobytes())
    assert found[0] == found[1] != found[2]


@pytest.mark.parametrize("make", [dropping, dropping_alone])
def test_samples_have_dropout_of_their_own(make: Callable[[], keras.Model]) -> None:
    model = make()
    x, y = np.ones((40, 6), np.float32), np.zeros(40, dtype=np.int64)
    traced = dpsgd.Traced(model, x, y)
    halves = [float(traced.clipped(x[:20], y[:20], 1.0)[0]) for _ in range(2)]
    assert halves[0] != halves[1]
    with tf.GradientTape():
        losses = _losses_of(traced, x, y)
    assert len(np.unique(losses)) > 5


def _losses_of(traced: dpsgd.Traced, x: Array, y: Array) -> Array:
    if traced.chain is not None:
        layers = [layer for layer, _ in traced.chain]
        return np.array(dpsgd._by_layers(traced.model, layers, tf.constant(x), tf.constant(y), tf.constant(1.0))[0])
    found = dpsgd._by_samples(traced.model, traced.variables, tf.constant(x), tf.constant(y), tf.constant(1.0))[0]
    return np.array(found)


def test_another_generator_gives_other_noise() -> None:
    assert outcome(1, sample_rate=1.0, noise_multiplier=1.0) != outcome(2, sample_rate=1.0, noise_multiplier=1.0)


# Training


def test_it_is_traced_once_for_all_runs_and_learners() -> None:
    model = perceptron()
    x, y = samples_for(model, 40)
    for n in (40, 17, 5):
        steps = private(model, n, 4, noise_multiplier=0.1 * n, max_grad_norm=n)
        for draw in range(5):
            steps.run(x[:n].astype(np.float64), y[:n], 3, np.random.default_rng(draw))
    traced = vars(model)["_colearn_traced"]
    assert [f.experimental_get_tracing_count() for f in (traced._clipped, traced._step)] == [1, 1]
    model.compile(keras.optimizers.Adam(0.01), CROSS_ENTROPY)
    before = trained(model)[0]
    private(model, 40).run(x, y, 1, RNG())
    moved = np.abs(trained(model)[0] - before)
    assert moved[moved > 5e-3] == pytest.approx(0.01, rel=0.01)  # by Adam, from now on


@pytest.mark.parametrize("targets", [(400,), (400, 1)])
def test_values_are_learned_privately_too(targets: tuple[int, ...]) -> None:
    rng = np.random.default_rng(0)
    x = rng.normal(size=(400, 6)).astype(np.float32)
    y = (x @ rng.normal(size=6)).reshape(targets)
    model = compiled(kl.Dense(1), loss="mse")
    losses = private(model, 400, 40, max_grad_norm=1.0, noise_multiplier=0.5).run(x, y, 200, RNG())
    assert np.mean(losses[-20:]) < 0.1 * losses[0]


def test_a_loss_that_is_not_finite_is_named_with_its_step() -> None:
    model = perceptron(rate=1e30)
    x, y = samples_for(model)
    with pytest.raises(FloatingPointError, match=r"the loss of step [23] of 5 is (nan|inf)"):
        private(model, max_grad_norm=1e9).run(x, y, 5, RNG())


# What it refuses


class Remembers(kl.Layer):  # type: ignore[misc]
    """Keeps the mean of the last samples that it saw."""

    def build(self, shape: Any) -> None:
        self.seen = self.add_weight(shape=(6,), name="seen", trainable=False)

    def call(self, x: Any, training: bool = False) -> Any:
        self.seen.assign(keras.ops.mean(self.seen) + keras.ops.ones(6))
        return x


def test_a_model_that_mixes_samples_is_refused_with_the_fix() -> None:
    nested = keras.Sequential([kl.Input((6,)), kl.Dense(4), kl.BatchNormalization(name="mixer")])
    with pytest.raises(
        ParameterError, match=r"layer 'mixer' of '.*' is a BatchNormalization, which mixes.*\nTake GroupNormalization"
    ):
        check_private(compiled(nested, kl.Dense(3)))
    check_private(normalised())


def test_low_precision_is_refused() -> None:
    with pytest.raises(ParameterError, match=r"layer 'half' of .* computes in bfloat16.*\nTake dtype"):
        private(compiled(kl.Dense(3, dtype="mixed_bfloat16", name="half")))


def test_weights_that_training_changes_without_noise_are_noticed() -> None:
    model = compiled(Remembers(), kl.Dense(3))
    x, y = samples_for(model)
    with pytest.raises(ParameterError, match=r"training changes '.*seen', which gets no noise"):
        private(model).run(x, y, 1, RNG())


def test_another_backend_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    model = perceptron()
    monkeypatch.setattr(keras.backend, "backend", lambda: "jax")
    with pytest.raises(ParameterError, match="private training needs KERAS_BACKEND=tensorflow, not jax"):
        check_private(model)


def test_other_samples_than_those_the_noise_is_meant_for_are_refused() -> None:
    model = perceptron()
    with pytest.raises(ParameterError, match="19 samples to train on, but noise is meant for 20"):
        private(model).run(*samples_for(model, 19), 1, RNG())
