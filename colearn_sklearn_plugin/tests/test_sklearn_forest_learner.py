"""Estimators of trees with data in hand: labels, missing values, categories, weights; fitted forests to take away."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray
from sklearn.base import is_classifier
from sklearn.ensemble import (
    ExtraTreesClassifier,
    ExtraTreesRegressor,
    GradientBoostingClassifier,
    GradientBoostingRegressor,
    HistGradientBoostingClassifier,
    HistGradientBoostingRegressor,
    RandomForestClassifier,
    RandomForestRegressor,
)
from sklearn.linear_model import LogisticRegression
from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor, ExtraTreeRegressor

from colearn_core.cohort import LoopCohort
from colearn_core.config import ExperimentConfig, Prepared, prepare
from colearn_core.errors import ColearnError, ConfigError, DataError, ParameterError, UsageError, WeightsError
from colearn_core.growing import TreeCohort
from colearn_core.ledger import FileLedger
from colearn_core.plugins import Plugins
from colearn_core.trees import grown
from colearn_core.weights import Weights
from colearn_sklearn_plugin import ForestLearner

Array = NDArray[Any]
PLUGINS = Plugins()
FORESTS = (
    RandomForestClassifier(4),
    RandomForestRegressor(4),
    ExtraTreesClassifier(4),
    ExtraTreesRegressor(4),
    DecisionTreeClassifier(),
    DecisionTreeRegressor(),
    ExtraTreeRegressor(),
)
BOOSTED = (
    GradientBoostingClassifier(n_estimators=4),
    GradientBoostingRegressor(n_estimators=4),
    HistGradientBoostingClassifier(max_iter=4, early_stopping=False),
    HistGradientBoostingRegressor(max_iter=4, min_samples_leaf=5),
)
COMPONENTS = [
    f"sklearn.{trees}_{kind}"
    for trees in ("random_forest", "extra_trees", "decision_tree", "gradient_boosting", "hist_gradient_boosting")
    for kind in ("classifier", "regressor")
]


def title(estimator: Any) -> str:
    return type(estimator).__name__


def rng_of(seed: int) -> np.random.Generator:
    return np.random.default_rng(seed)


def pair(estimator: Any, n: int = 120, seed: int = 0) -> tuple[Array, Array]:
    """Features with missing values, and labels or values."""
    rng = rng_of(seed)
    x = rng.normal(size=(n, 4))
    values = x[:, 0] + np.abs(x[:, 1]) + 0.1 * rng.normal(size=n)
    x[rng.random(x.shape) < 0.1] = np.nan
    return x, np.array(["ape", "cow", "zebra"])[np.digitize(values, [0, 1.5])] if is_classifier(estimator) else values


def learner_of(estimator: Any, **more: Any) -> ForestLearner:
    return ForestLearner(estimator, pair(estimator), pair(estimator, 60, 1), pair(estimator, 60, 2), **more)


def trained(learner: ForestLearner, proposals: int = 3) -> Weights:
    weights = learner.initial_weights(rng_of(0))
    for i in range(proposals):
        weights = learner.propose_weights(weights, rng_of(i)).weights
    return weights


@pytest.mark.parametrize("estimator", [*FORESTS, *BOOSTED], ids=title)
def test_an_estimator_of_trees_learns_and_is_never_changed(estimator: Any) -> None:
    before = estimator.get_params()
    learner = learner_of(estimator)
    start = learner.test_weights(learner.initial_weights(rng_of(0)), "vote")
    scores = [learner.test_weights(trained(learner, count), "vote") for count in (1, 4, 12)]
    assert start.samples == 60
    assert min(s.value for s in scores) < start.value
    assert learner.vote_metric.name == ("log_loss" if is_classifier(estimator) else "mse")
    assert estimator.get_params() == before
    assert not hasattr(estimator, "n_features_in_")


@pytest.mark.parametrize("proposals", [1, 3])
@pytest.mark.parametrize("estimator", FORESTS, ids=title)
def test_a_fitted_estimator_predicts_as_the_learner_does(estimator: Any, proposals: int) -> None:
    learner = learner_of(estimator)
    weights = trained(learner, proposals)
    fitted = learner.fitted_estimator(weights)
    x, y = pair(estimator, 300, 5)
    if not is_classifier(estimator):
        np.testing.assert_allclose(fitted.predict(x), learner.predict(weights, x), atol=1e-6)
        return
    np.testing.assert_allclose(fitted.predict_proba(x), learner.predict(weights, x, "probabilities"), atol=1e-6)
    assert list(fitted.classes_) == ["ape", "cow", "zebra"]
    np.testing.assert_array_equal(fitted.predict(x), fitted.classes_[learner.predict(weights, x, "labels")])
    assert np.mean(fitted.predict(x) == y) > 0.6


def test_a_fitted_forest_has_its_parameters_and_its_number_of_trees() -> None:
    learner = learner_of(ExtraTreesClassifier(4, max_depth=3, min_samples_leaf=2))
    fitted = learner.fitted_estimator(trained(learner, 2))
    assert isinstance(fitted, ExtraTreesClassifier)
    assert (fitted.n_estimators, len(fitted.estimators_)) == (8, 8)
    assert (fitted.max_depth, fitted.min_samples_leaf) == (3, 2)
    assert max(tree.get_depth() for tree in fitted.estimators_) <= 3
    single = learner_of(DecisionTreeClassifier())
    assert isinstance(single.fitted_estimator(trained(single, 1)), DecisionTreeClassifier)
    assert isinstance(single.fitted_estimator(trained(single, 3)), RandomForestClassifier)


@pytest.mark.parametrize("estimator", BOOSTED, ids=title)
def test_boosted_trees_have_no_fitted_estimator(estimator: Any) -> None:
    learner = learner_of(estimator)
    with pytest.raises(UsageError, match=r"(?s)can't take boosted trees.*Export the model instead"):
        learner.fitted_estimator(trained(learner, 1))


def test_a_fitted_estimator_needs_trees_that_it_can_take() -> None:
    learner = learner_of(DecisionTreeRegressor())
    with pytest.raises(UsageError, match="without trees"):
        learner.fitted_estimator(learner.initial_weights(rng_of(0)))
    left, right, sets = np.array([1, -1, -1]), np.array([2, -1, -1]), np.zeros((3, 4), bool)
    sets[0, 2] = True
    foreign = grown(left, right, np.zeros(3, int), np.zeros(3), np.arange(3.0), sets=sets)
    assert learner.test_weights(foreign.to_weights(), "vote").samples == 60
    with pytest.raises(UsageError, match="sets of categories"):
        learner.fitted_estimator(foreign.to_weights())
    with pytest.raises(WeightsError):
        learner.fitted_estimator(Weights({"sizes": np.zeros(1, np.int32)}))


def test_categories_are_split_by_sets() -> None:
    rng = rng_of(0)
    codes = rng.integers(12, size=400).astype(float)
    codes[::9] = np.nan
    x, y = np.column_stack([rng.normal(size=400), codes]), np.where(np.isin(codes, [1, 4, 5, 9]), 3.0, 0.0)
    for named in ([1], [False, True], np.array([1])):
        estimator = HistGradientBoostingRegressor(max_iter=20, max_leaf_nodes=2, categorical_features=named)
        learner = ForestLearner(estimator, (x, y))
        forest = learner.forest(trained(learner, 1))
        assert forest.categories.size
        np.testing.assert_allclose(learner.predict(forest.to_weights(), x), y, atol=0.6)
    apart = ForestLearner(HistGradientBoostingRegressor(max_iter=20, max_leaf_nodes=2), (x, y))
    assert not apart.forest(trained(apart, 1)).categories.size


@pytest.mark.parametrize(
    ("named", "values", "error", "message"),
    [
        ([0], [0.0, 1.0, 2.5], DataError, "feature 0 doesn't hold codes"),
        ([0], [0.0, -1.0, 2.0], DataError, "feature 0 doesn't hold codes"),
        ([0], [0.0, 1e6, 2.0], DataError, "feature 0 doesn't hold codes"),
        ([-1], [0.0, 1.0, 2.0], ParameterError, "numbers of features"),
        (["age"], [0.0, 1.0, 2.0], ParameterError, "numbers of features"),
    ],
)
def test_categories_must_be_codes(named: Any, values: Any, error: type[ColearnError], message: str) -> None:
    train = np.array(values)[:, None], np.arange(3.0)
    with pytest.raises(error, match=message):
        ForestLearner(HistGradientBoostingRegressor(categorical_features=named), train)


def test_more_categories_than_histograms_tell_apart_are_refused() -> None:
    train = np.arange(40.0)[:, None], np.arange(40.0)
    estimator = HistGradientBoostingRegressor(max_bins=30, categorical_features=[0])
    with pytest.raises(DataError, match=r"(?s)feature 0 has 40 categories.*30 apart.*one_hot"):
        ForestLearner(estimator, train)


@pytest.mark.parametrize("estimator", [DecisionTreeRegressor(), GradientBoostingRegressor(), BOOSTED[3]], ids=title)
def test_samples_of_weight_0_count_for_nothing(estimator: Any) -> None:
    x, y = pair(estimator)
    wrong = np.concatenate([y, y + 100])
    weight = np.concatenate([np.ones(120), np.zeros(120)])
    weighted = ForestLearner(estimator, (np.concatenate([x, x]), wrong, weight))
    plain = ForestLearner(estimator, (x, y))
    new, _ = pair(estimator, 50, 3)
    np.testing.assert_allclose(
        weighted.predict(trained(weighted), new), plain.predict(trained(plain), new), rtol=0.02, atol=0.02
    )
    with pytest.raises(DataError, match="sample weights must be 120 numbers"):
        ForestLearner(estimator, (x, y, -np.ones(120)))


@pytest.mark.parametrize(
    ("estimator", "message"),
    [
        (LogisticRegression(), "LogisticRegression is no forest"),
        (GradientBoostingClassifier(loss="exponential"), "loss = 'exponential' isn't possible"),
        (GradientBoostingRegressor(loss="huber"), "loss = 'huber' isn't possible"),
        (GradientBoostingRegressor(init="zero"), "init = 'zero' isn't possible"),
        (GradientBoostingRegressor(subsample=2.0), "subsample"),
        (HistGradientBoostingRegressor(loss="poisson"), "loss = 'poisson' isn't possible"),
        (HistGradientBoostingRegressor(early_stopping=True), "early_stopping = True isn't possible"),
        (HistGradientBoostingRegressor(monotonic_cst=[1, 0, 0, 0]), "monotonic_cst"),
        (HistGradientBoostingClassifier(class_weight={0: 1}), "class_weight must be None or 'balanced'"),
        (HistGradientBoostingClassifier(max_iter=-3), "max_iter"),
        (RandomForestRegressor(criterion="nonsense"), "criterion"),
    ],
)
def test_what_would_be_ignored_is_refused(estimator: Any, message: str) -> None:
    with pytest.raises(ParameterError, match=message):
        learner_of(estimator)


def test_data_that_cannot_be_learned_from_are_refused() -> None:
    x, y = pair(FORESTS[0])
    with pytest.raises(DataError, match=r"train features hold infinite values \(1\)"):
        ForestLearner(FORESTS[0], (np.where(np.arange(480).reshape(120, 4) == 7, np.inf, x), y))
    with pytest.raises(ParameterError, match="only one class, 'ape'"):
        ForestLearner(FORESTS[0], (x, ["ape"] * 120))
    with pytest.raises(DataError, match=r"targets \['ape'\] are not among the classes"):
        ForestLearner(FORESTS[0], (x, y), classes=["cow", "zebra"])
    with pytest.raises(ParameterError, match="mse can't score classes"):
        ForestLearner(FORESTS[0], (x, y), vote_metric="mse")
    with pytest.raises(ParameterError, match="max_trees = 0"):
        ForestLearner(FORESTS[0], (x, y), max_trees=0)


def test_a_party_without_some_classes_grows_trees_for_all() -> None:
    x, y = pair(FORESTS[0])
    few = ForestLearner(FORESTS[0], (x[y != "cow"], y[y != "cow"]), classes=["zebra", "cow", "ape"])
    usual = learner_of(FORESTS[0])
    weights = trained(few, 1)
    usual.check_weights(weights, usual.initial_weights(rng_of(0)))
    shares = usual.predict(weights, x, "probabilities")
    assert shares.shape == (120, 3)
    assert shares[:, 1].max() < 0.3


def test_learners_of_equal_settings_are_scored_together_and_others_one_by_one() -> None:
    alike = [learner_of(RandomForestClassifier(3)) for _ in range(3)]
    assert type(ForestLearner.cohort(alike)) is TreeCohort
    assert type(ForestLearner.cohort([*alike, learner_of(RandomForestClassifier(5))])) is LoopCohort
    x, y = pair(FORESTS[0])
    with pytest.raises(ConfigError, match="classes"):
        ForestLearner.cohort([*alike, ForestLearner(RandomForestClassifier(3), (x[y != "cow"], y[y != "cow"]))])


def played(component: str, runtime: str, folder: Path) -> bytes:
    settings: dict[str, Any] = {
        "seed": 4,
        "learners": 3,
        "data": {"name": "table", "path": "mixed.csv", "target": "y", "missing": "keep", "categories": "codes"},
        "learner": {"name": component}
        | ({"trees": 3} if "decision" not in component and "boosting" not in component else {})
        | ({"iterations": 2} if "boosting" in component else {"prune": 0.3}),
        "proposals": "approval",
        "runtime": runtime,
        "split": {"name": "dirichlet", "alpha": 0.5},
    }
    parts: Prepared = prepare(ExperimentConfig.from_mapping(settings, "test"), PLUGINS)
    with FileLedger(folder) as ledger:
        experiment = parts.experiment(ledger)
        assert type(experiment.cohort) is (TreeCohort if runtime == "fused" else LoopCohort)
        run = experiment.run(3)
    assert any(run.history.accepted)
    assert set(run.importance) == {"size", "age", "colour"}
    return run.weights.to_bytes() + run.history.votes[-1].tobytes() + np.array(run.history.accepted).tobytes()


@pytest.mark.parametrize("component", COMPONENTS)
def test_the_same_seed_gives_the_same_run_fused_and_one_by_one(
    component: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    rng = rng_of(1)
    size, age, colour = rng.normal(size=200), rng.normal(size=200), rng.choice(["red", "green", "blue"], size=200)
    y = size + (colour == "green")
    frame = pd.DataFrame({"size": size, "colour": colour, "age": age})
    frame = frame.mask(rng.random(frame.shape) < 0.1)
    frame["y"] = y if component.endswith("regressor") else np.where(y > 0.5, "large", "small")
    frame.to_csv("mixed.csv", index=False)
    runs = [
        played(component, runtime, tmp_path / name) for name, runtime in (("a", "fused"), ("b", "fused"), ("c", "loop"))
    ]
    assert runs[0] == runs[1] == runs[2]


@pytest.mark.parametrize("estimator", [FORESTS[0], FORESTS[1], *BOOSTED], ids=title)
def test_exported_trees_predict_the_same(estimator: Any) -> None:
    onnxruntime = pytest.importorskip("onnxruntime")
    if title(estimator).startswith("Hist"):
        estimator = estimator.__class__(max_iter=4, min_samples_leaf=5, categorical_features=[3])
    x, y = pair(estimator)
    new, _ = pair(estimator, 100, 7)
    for features in (x, new):
        features[:, 3] = np.floor(np.abs(features[:, 3]) * 4)
    learner = ForestLearner(estimator, (x, y))
    weights = trained(learner)
    session = onnxruntime.InferenceSession(learner.export_model(weights, "onnx"))
    found = session.run(None, {"input": new.astype(np.float32)})
    needs: Any = "probabilities" if is_classifier(estimator) else "values"
    np.testing.assert_allclose(found[0], learner.predict(weights, new, needs), atol=1e-5)
