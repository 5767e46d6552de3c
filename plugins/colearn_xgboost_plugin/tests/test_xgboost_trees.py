"""Trees say what XGBoost's own boosters do, out of the library and back into it."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

import numpy as np
import pytest
import xgboost
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from colearn_core.data import PrivateData, Samples, Task
from colearn_core.errors import ParameterError, UsageError, WeightsError
from colearn_core.trees import Forest
from colearn_core.weights import Weights
from colearn_xgboost_plugin.grower import XGBoostGrower, feature_types, forests
from colearn_xgboost_plugin.grower import library_settings as parameters_of
from colearn_xgboost_plugin.learner import XGBoostLearner
from colearn_xgboost_plugin.models import classifier, regressor

Array = NDArray[Any]
FEATURES, CATEGORICAL = 5, (3, 4)


def table(samples: int, seed: int = 0, missing: float = 0.1) -> Array:
    """Three quantities, and codes of 3 and of 12 categories, all with gaps."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(samples, FEATURES))
    x[:, 3], x[:, 4] = rng.integers(3, size=samples), rng.integers(12, size=samples)
    x[rng.random(x.shape) < missing] = np.nan
    return x.astype(np.float32)


def targets(x: Array, classes: int, seed: int = 0) -> Array:
    rng = np.random.default_rng(seed)
    signal = np.nan_to_num(x[:, 0]) + np.isin(x[:, 4], (2, 3, 7)) + 0.3 * rng.normal(size=len(x))
    if not classes:
        return signal
    return np.digitize(signal, np.quantile(signal, np.linspace(0, 1, classes + 1)[1:-1]))


def grower(classes: int, rounds: int = 3, **parameters: Any) -> XGBoostGrower:
    own = {"max_depth": 4, "tree_method": "hist", **parameters}
    return XGBoostGrower(FEATURES, classes, rounds, CATEGORICAL, tuple(sorted(own.items())))


def learner(classes: int, samples: int = 200, seed: int = 0, **parameters: Any) -> XGBoostLearner:
    x = table(samples, seed)
    y = targets(x, classes, seed)
    train, vote, test = (Samples(x[i::3].astype(np.float64), y[i::3]) for i in range(3))
    names = tuple(map(str, range(classes)))
    data = PrivateData(train, vote, test, Task(names, ("a", "b", "c", "d", "e"), CATEGORICAL))
    made: XGBoostLearner = (classifier if classes else regressor)(data, **parameters)
    return made


def trained(own: XGBoostLearner, rounds: int = 3) -> Weights:
    weights = own.initial_weights(np.random.default_rng(0))
    for i in range(rounds):
        weights = own.propose_weights(weights, np.random.default_rng(i)).weights
    return weights


@pytest.mark.parametrize("classes", [0, 2, 4])
@given(seed=st.integers(0, 10_000), one_hot=st.sampled_from([1, 20]), method=st.sampled_from(["hist", "approx"]))
@settings(max_examples=15, deadline=None)
def test_trees_say_what_the_booster_says(classes: int, seed: int, one_hot: int, method: str) -> None:
    own = grower(classes, max_cat_to_onehot=one_hot, tree_method=method)
    x = table(150, seed)
    types = feature_types(own)
    samples = xgboost.DMatrix(
        x, targets(x, classes, seed), base_margin=np.zeros((150, own.outputs)), feature_types=types
    )
    booster = xgboost.train(parameters_of(own), samples, 4)
    forest = Forest.joined(forests(json.loads(bytes(booster.save_raw("json")))))
    fresh = table(300, seed + 1, missing=0.3)
    fresh[::7, 4] = 40  # a category that nobody has seen
    margins = np.zeros((300, own.outputs))
    forest.add_to(margins, fresh)
    begin = xgboost.DMatrix(fresh, base_margin=np.zeros((300, own.outputs)), feature_types=types)
    expected = booster.predict(begin, output_margin=True).reshape(300, -1)
    np.testing.assert_allclose(margins, expected, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("classes", [0, 2, 4])
def test_a_model_goes_back_into_the_library(classes: int) -> None:
    own = learner(classes)
    weights = trained(own)
    booster = own.booster(weights)
    fresh = table(200, 9)
    found = booster.predict(
        xgboost.DMatrix(fresh, feature_names=list("abcde"), feature_types=feature_types(own.grower))
    )
    expected = own.predict(weights, fresh)
    np.testing.assert_allclose(found, expected[:, 1] if classes == 2 else expected, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("format", ["ubj", "json"])
def test_exported_files_are_models_of_xgboost(format: str) -> None:
    own = learner(2)
    weights = trained(own)
    booster = xgboost.Booster()
    booster.load_model(bytearray(own.export_model(weights, format)))
    fresh = xgboost.DMatrix(table(50, 3), feature_names=list("abcde"), feature_types=feature_types(own.grower))
    np.testing.assert_allclose(booster.predict(fresh), own.predict(weights, table(50, 3))[:, 1], rtol=1e-6, atol=1e-6)
    assert own.export_model(weights, format) == own.export_model(weights, format)


def test_training_goes_on_in_the_library() -> None:
    own = learner(2)
    x = own.data.train.x.astype(np.float32)
    samples = xgboost.DMatrix(x, own.data.train.y, feature_names=list("abcde"), feature_types=feature_types(own.grower))
    booster = own.booster(trained(own))
    more = xgboost.train({"objective": "binary:logistic"}, samples, 5, xgb_model=booster)
    losses = [float(b.eval(samples).split(":")[1]) for b in (booster, more)]
    assert losses[1] < losses[0]


def test_importance_is_that_of_the_library() -> None:
    own = learner(2)
    weights = trained(own)
    gains: dict[str, Any] = own.booster(weights).get_score(importance_type="total_gain")
    total = sum(gains.values())
    for name, share in own.feature_importance(weights).items():
        assert share == pytest.approx(gains.get(name, 0.0) / total, abs=1e-5)


def test_sums_are_the_same_as_continuing_in_the_library() -> None:
    own = learner(0, rounds=1, subsample=1.0, learning_rate=0.5)
    start = trained(own, 1)
    proposed = own.propose_weights(start, np.random.default_rng(5)).weights
    x, y = own.data.train.x.astype(np.float32), own.data.train.y
    samples = xgboost.DMatrix(x, y, feature_names=list("abcde"), feature_types=feature_types(own.grower))
    continued = xgboost.train(parameters_of(own.grower), samples, 1, xgb_model=own.booster(start))
    np.testing.assert_allclose(own.predict(proposed, x), continued.predict(samples), atol=1e-4)


def test_sample_weights_count() -> None:
    usual = learner(2)
    weight = np.where(usual.data.train.y == 1, 50.0, 1.0)
    weighted = XGBoostLearner.of(usual.grower, usual.data, usual.growth, weight)
    shares = [own.predict(trained(own, 1), table(100, 4))[:, 1].mean() for own in (usual, weighted)]
    assert shares[1] > shares[0] + 0.1


def test_a_learner_without_a_class_proposes_for_all() -> None:
    own = learner(4)
    kept = own.data.train.take(np.flatnonzero(own.data.train.y < 2))
    lacking = classifier(PrivateData(kept, own.data.vote, own.data.test, own.data.task))
    weights = trained(lacking)
    own.check_weights(weights, own.initial_weights(np.random.default_rng(0)))
    assert own.predict(weights, table(20)).shape == (20, 4)


def test_wrong_settings_are_named() -> None:
    data = learner(2).data
    with pytest.raises(ParameterError, match="can't learn a regression"):
        classifier(learner(0).data)
    with pytest.raises(ParameterError, match="can't learn a classification"):
        regressor(data)
    with pytest.raises(ParameterError, match="takes no categories"):
        classifier(data, tree_method="exact")
    with pytest.raises(ParameterError, match="two classes, not 4"):
        classifier(learner(4).data, scale_pos_weight=2.0)


def test_foreign_models_are_refused_before_the_library_sees_them(monkeypatch: pytest.MonkeyPatch) -> None:
    own = learner(2)
    weights = trained(own)
    monkeypatch.setattr("colearn_xgboost_plugin.grower.xgboost", None)
    monkeypatch.setattr("colearn_xgboost_plugin.native.xgboost", None)
    wrong = Weights({**weights, "feature": np.where(weights["feature"] == 0, 99, weights["feature"]).astype(np.int32)})
    for use in (
        lambda: own.propose_weights(wrong, np.random.default_rng(0)),
        lambda: own.test_weights(wrong, "vote"),
        lambda: own.booster(wrong),
        lambda: own.export_model(wrong, "ubj"),
    ):
        with pytest.raises(WeightsError, match="feature"):
            use()


def test_an_unknown_format_is_refused() -> None:
    own = learner(2)
    with pytest.raises(UsageError, match="onnx"):
        own.export_model(trained(own, 1), "pickle")


def test_listing_does_not_import_xgboost() -> None:
    code = (
        "import sys; from colearn_core.plugins import Plugins\n"
        "assert 'xgboost.classifier' in str(Plugins().components('learners')); assert 'xgboost' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_without_the_library_both_ways_to_get_it_are_named() -> None:
    code = (
        "import sys; sys.modules['xgboost'] = None\n"
        "try:\n    import colearn_xgboost_plugin.models\n"
        "except ImportError as error:\n    print(error)"
    )
    told = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout
    assert "pip install xgboost-cpu" in told
    assert "GPU" in told


@pytest.mark.parametrize("classes", [0, 2, 4])
def test_onnx_says_the_same(classes: int) -> None:
    import onnx
    import onnxruntime  # type: ignore[import-untyped]

    own = learner(classes)
    weights = trained(own)
    written = own.export_model(weights, "onnx")
    onnx.checker.check_model(onnx.load_from_string(written))
    fresh = table(300, 8, missing=0.3)
    found = onnxruntime.InferenceSession(written).run(None, {"input": fresh})
    np.testing.assert_allclose(found[0], own.predict(weights, fresh), rtol=1e-6, atol=1e-6)
    if classes:
        np.testing.assert_array_equal(found[1], own.predict(weights, fresh, "labels"))
