"""Learners from arrays at hand, their settings, and data at the edges."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import xgboost
from numpy.typing import NDArray

from colearn_core import Experiment, Plugins
from colearn_core.config import ExperimentConfig, prepare
from colearn_core.errors import Abstention, ConfigError, DataError, ParameterError
from colearn_core.growing import TreeCohort
from colearn_core.weights import Weights
from colearn_xgboost_plugin import XGBoostLearner

Array = NDArray[Any]
README = Path(__file__).parents[1] / "README.md"
ANIMALS = ["ape", "cow", "zebra"]


def pair(samples: int = 120, seed: int = 0, *, regression: bool = False) -> tuple[Array, Array]:
    """Quantities with gaps, codes of five categories, and labels or values."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(samples, 4))
    x[:, 3] = rng.integers(5, size=samples)
    values = x[:, 0] + 2 * np.isin(x[:, 3], (1, 4)) + 0.1 * rng.normal(size=samples)
    x[rng.random(x.shape) < 0.1] = np.nan
    return x, values if regression else np.array(ANIMALS)[np.digitize(values, [0, 1.5])]


def learner(regression: bool = False, **settings: Any) -> XGBoostLearner:
    parts = [pair(120, seed, regression=regression) for seed in range(3)]
    return XGBoostLearner(*parts, regression=regression, categorical=[3], **settings)


def trained(own: XGBoostLearner, proposals: int = 8) -> Weights:
    weights = own.initial_weights(np.random.default_rng(0))
    for i in range(proposals):
        weights = own.propose_weights(weights, np.random.default_rng(i)).weights
    return weights


def test_labels_are_kept() -> None:
    own = learner()
    x, y = pair(200, 5)
    assert own.labels is not None
    labels = own.labels[own.predict(trained(own), x, "labels")]
    assert list(own.labels) == ANIMALS
    assert np.mean(labels == y) > 0.7


def test_values_are_learned() -> None:
    own = learner(regression=True)
    x, y = pair(200, 5, regression=True)
    assert own.labels is None
    assert np.mean((own.predict(trained(own), x) - y) ** 2) < 0.4 * y.var()


def test_settings_are_those_of_the_components() -> None:
    own = learner(rounds=3, max_depth=2, max_trees=12, vote_metric="accuracy")
    weights = trained(own, 1)
    assert own.forest(weights).depths.max() <= 2
    assert (own.vote_metric.name, own.grower.rounds, len(own.forest(weights))) == ("accuracy", 3, 3 + 9)
    with pytest.raises(Abstention, match="max_trees = 12"):
        own.propose_weights(weights, np.random.default_rng(0))
    for wrong in ({"max_deep": 3}, {"max_depth": "deep"}, {"learning_rate": -1.0}, {"prune": 2}):
        with pytest.raises(ParameterError, match=next(iter(wrong))):
            learner(**wrong)


def test_the_same_seed_draws_the_same_samples() -> None:
    own = learner(subsample=0.5, colsample_bytree=0.5)
    start = trained(own, 2)
    first, same, other = (own.propose_weights(start, np.random.default_rng(s)).weights.digest for s in (1, 1, 2))
    assert first == same != other


def test_threads_are_no_part_of_the_model() -> None:
    single, several = learner(), learner(threads=2)
    assert single.grower == several.grower
    assert isinstance(XGBoostLearner.cohort([single, several]), TreeCohort)
    np.testing.assert_allclose(
        single.predict(trained(single), pair(50, 9)[0]), several.predict(trained(several), pair(50, 9)[0]), atol=1e-4
    )


def test_columns_of_a_data_frame_name_the_features() -> None:
    parts = [(pd.DataFrame(x, columns=list("pqrs")), pd.Series(y)) for x, y in (pair(seed=s) for s in range(2))]
    own = XGBoostLearner(*parts)
    weights = trained(own)
    assert list(own.feature_importance(weights)) == list("pqrs")
    found = own.booster(weights).predict(xgboost.DMatrix(parts[1][0]))
    np.testing.assert_allclose(found, own.predict(weights, parts[1][0].to_numpy()), atol=1e-6)
    with pytest.raises(DataError, match="2 names for 4 features"):
        XGBoostLearner(pair(), features=["p", "q"])


def test_sample_weights_come_third() -> None:
    x, y = pair()
    whole = XGBoostLearner((x, y, np.where(y == "ape", 0.0, 1.0)))
    kept = XGBoostLearner((x[y != "ape"], y[y != "ape"]), classes=ANIMALS)
    fresh = pair(100, 6)[0]
    np.testing.assert_allclose(
        whole.predict(trained(whole), fresh)[:, 0], kept.predict(trained(kept), fresh)[:, 0], atol=0.05
    )
    with pytest.raises(DataError, match="sample weights must be 120 numbers"):
        XGBoostLearner((x, y, np.ones(3)))


@pytest.mark.parametrize("code", [-1, 1.5, 65_536, 1e9])
def test_what_is_no_code_of_a_category_is_named(code: float) -> None:
    x, y = pair()
    x[7, 3] = code
    with pytest.raises(DataError, match=re.escape(f"feature 3 holds {code:g} as a category")):
        XGBoostLearner((x, y), categorical=[3])


def test_a_category_beyond_the_features_is_named() -> None:
    with pytest.raises(DataError, match="feature 4 is said to hold categories; there are 4"):
        XGBoostLearner(pair(), categorical=[4])


def test_the_highest_code_can_be_split_by() -> None:
    x = np.where(np.arange(60) % 2, 65_535.0, 3.0)[:, None]
    own = XGBoostLearner((x, np.arange(60) % 2), categorical=[0])
    labels = own.predict(trained(own, 2), np.array([[65_535.0], [3.0], [np.nan], [7.0]]), "labels")
    assert labels[:2].tolist() == [1, 0]


@pytest.mark.parametrize("classes", [["ape", "cow"], ANIMALS])
def test_one_sample_of_one_class_moves_the_model_to_it(classes: list[str]) -> None:
    own = XGBoostLearner((np.ones((1, 2)), ["cow"]), classes=classes, min_child_weight=0.0)
    shares = [own.predict(trained(own, n), np.zeros((1, 2)))[0, 1] for n in range(5)]
    assert shares[0] == pytest.approx(1 / len(classes))
    assert shares == sorted(set(shares))


def test_a_sample_that_is_too_little_for_a_leaf_is_told() -> None:
    own = XGBoostLearner((np.ones((1, 2)), ["cow"]), classes=ANIMALS)
    with pytest.raises(Abstention, match=r"no split of these 1 samples.*min_child_weight"):
        own.propose_weights(trained(own, 1), np.random.default_rng(0))


def test_one_value_gives_a_constant_and_then_nothing() -> None:
    own = XGBoostLearner((np.ones((1, 2)), [3.5]), regression=True)
    weights = own.propose_weights(own.initial_weights(np.random.default_rng(0)), np.random.default_rng(0)).weights
    assert own.predict(weights, np.zeros((1, 2))).tolist() == [3.5]
    with pytest.raises(Abstention, match="no split of these 1 samples"):
        own.propose_weights(weights, np.random.default_rng(1))


def test_one_class_in_all_needs_the_others_named() -> None:
    with pytest.raises(ParameterError, match=r"(?s)only one class, 'cow'.*classes="):
        XGBoostLearner((np.ones((3, 2)), ["cow"] * 3))


def test_values_beyond_single_precision_are_refused() -> None:
    with pytest.raises(DataError, match=r"train targets are too large for single precision, up to 1e[+]39"):
        XGBoostLearner((np.ones((2, 1)), [1e39, 0.0]), regression=True)


@pytest.mark.parametrize("scale", [1e-30, 1e25, 1e36])
def test_values_of_any_scale_make_trees_that_others_take(scale: float) -> None:
    x, y = pair(regression=True)
    own = XGBoostLearner((x, scale * y), regression=True)
    weights = Weights.from_bytes(trained(own, 2).to_bytes())
    assert np.isfinite(own.predict(weights, x)).all()


def test_learners_of_other_classes_are_no_cohort() -> None:
    x, y = pair()
    with pytest.raises(ConfigError, match="learner 1 has the classes"):
        XGBoostLearner.cohort([learner(), XGBoostLearner((x[y != "cow"], y[y != "cow"]))])


def test_learners_without_data_to_vote_by_abstain() -> None:
    own = XGBoostLearner(pair())
    assert own.test_weights(trained(own, 1), "vote").samples == 0


def test_a_group_learns_what_its_members_alone_do_not() -> None:
    learners = [
        XGBoostLearner(pair(40, seed), pair(60, seed + 50), pair(60, seed + 90), classes=ANIMALS) for seed in range(4)
    ]
    run = Experiment(learners, proposals="approval", seed=1).run(12)
    x, y = pair(500, 200)
    labels = learners[0].predict(run.weights, x, "labels")
    alone = [own.predict(trained(own, 12), x, "labels") for own in learners]
    truth = np.searchsorted(ANIMALS, y)
    assert np.mean(labels == truth) > np.mean([np.mean(a == truth) for a in alone])


def test_the_readme_runs(tmp_path: Path) -> None:
    text = README.read_text()
    (python,) = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    found: dict[str, Any] = {}
    exec(python, found)
    assert np.mean(found["learners"][0].predict(found["run"].weights, found["x"], "labels") == found["y"]) > 0.9
    assert isinstance(found["booster"], xgboost.Booster)
    (toml,) = re.findall(r"```toml\n(.*?)```", text, re.DOTALL)
    (tmp_path / "experiment.toml").write_text(toml)
    run = prepare(ExperimentConfig.read(tmp_path / "experiment.toml"), Plugins()).experiment().run(3)
    assert any(run.history.accepted)
