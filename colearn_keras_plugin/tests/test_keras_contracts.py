"""Every learner of this plugin keeps its contract."""

from __future__ import annotations

import keras
from keras import layers

from colearn_core.privacy import Privacy
from colearn_core.testing import LearnerContract, PluginContract
from colearn_keras_plugin import plugin


def normalised() -> keras.Model:
    """A model with moving statistics, dropout, and probabilities as outputs."""
    model = keras.Sequential(
        [
            keras.Input((6,)),
            layers.Dense(16, "relu"),
            layers.BatchNormalization(),
            layers.Dropout(0.1),
            layers.Dense(3, "softmax"),
        ]
    )
    model.compile(keras.optimizers.SGD(0.1), "sparse_categorical_crossentropy", metrics=["accuracy"])
    return model


def one_hot() -> keras.Model:
    model = keras.Sequential([keras.Input((6,)), layers.Dense(3)])
    model.compile(keras.optimizers.SGD(0.1), keras.losses.CategoricalCrossentropy(from_logits=True))
    return model


def test_no_component_is_forgotten() -> None:
    contracts = [value for name, value in globals().items() if name.startswith("Test") and value is not TestPlugin]
    assert {c.component for c in contracts} == {c.name for c in plugin.colearn_learners()}


class TestPlugin(PluginContract):
    plugin = "keras"


class TestLinear(LearnerContract):
    component = "keras.linear"


class TestMlp(LearnerContract):
    component = "keras.mlp"


class TestDropoutAndAdam(LearnerContract):
    component = "keras.mlp"
    parameters = {"dropout": 0.2, "optimizer": "adam", "learning_rate": 0.01, "keep_optimizer": True}


class TestMomentum(LearnerContract):
    component = "keras.mlp"
    parameters = {"momentum": 0.9, "learning_rate": 0.02, "keep_optimizer": True}


class TestPrivateTraining(LearnerContract):
    component = "keras.mlp"
    parameters = {"privacy": Privacy(target_epsilon=1000.0, noise_multiplier=0.7)}


class TestPrivateScores(LearnerContract):
    component = "keras.linear"
    parameters = {"privacy": Privacy(target_epsilon=1000.0, noise_multiplier=0.7, score_noise_multiplier=1.0)}
    expected_failures = {"scores_are_means_over_samples": "of one sample, the noise is as large as the score"}


class TestPrivateResnet(LearnerContract):
    component = "keras.resnet"
    parameters = {"channels": (4, 4), "groups": 2, "privacy": Privacy(target_epsilon=1000.0, noise_multiplier=0.7)}


class TestCnn(LearnerContract):
    component = "keras.cnn"
    parameters = {"channels": (4, 4), "hidden": 16}


class TestResnet(LearnerContract):
    component = "keras.resnet"
    parameters = {"channels": (8, 8)}


class TestModelWithMovingStatistics(LearnerContract):
    component = "keras.model"
    parameters = {"model": f"{__name__}:normalised"}


class TestModelThatTakesOneHotTargets(LearnerContract):
    component = "keras.model"
    parameters = {"model": f"{__name__}:one_hot"}
