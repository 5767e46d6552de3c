"""Tables as trees take them: missing numbers and categories as they are, with the names of the features."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn import datasets as bundled
from sklearn.utils import Bunch

from colearn_core.config import ExperimentConfig, prepare
from colearn_core.data import PrivateData
from colearn_core.errors import DataError
from colearn_core.plugins import Plugins
from colearn_sklearn_plugin.datasets import breast_cancer, diabetes, digits, iris, openml, wine
from colearn_sklearn_plugin.frames import Statistics, dataset_of
from colearn_sklearn_plugin.tables import table

NAN = np.nan


def pets() -> pd.DataFrame:
    return pd.DataFrame(
        {
            "kind": ["dog", "cat", None, "bird", "dog", "cat"],
            "age": [3.0, 5.0, NAN, 2.0, 4.0, 6.0],
            "tame": [True, False, True, None, True, False],
            "weight": [10.5, NAN, 4.0, 0.1, NAN, 3.0],
            "name": ["a", "b", "a", "b", "a", "b"],
        }
    )


def test_features_have_the_names_of_their_columns_and_categories() -> None:
    task = dataset_of(pets(), "name", "f").task
    assert task.features == ("age", "weight", "kind=bird", "kind=cat", "kind=dog", "tame=False", "tame=True")
    assert task.categorical == ()


def test_codes_are_one_column_of_category_numbers_and_never_scaled() -> None:
    data = dataset_of(pets(), "name", "f", categories="codes")
    assert data.task.features == ("age", "weight", "kind", "tame")
    assert data.task.categorical == (2, 3)
    codes = [[2, 1], [1, 0], [NAN, 1], [0, NAN], [2, 1], [1, 0]]
    np.testing.assert_array_equal(data.samples.x[:, 2:], codes)
    assert data.fit_transform is not None
    prepared = data.fit_transform(data.samples.x[:3])(data.samples.x)
    np.testing.assert_array_equal(prepared[:, 2:], codes)
    assert np.isfinite(prepared[:, :2]).all()


@pytest.mark.parametrize("categories", ["one_hot", "codes"])
def test_a_category_has_the_same_code_wherever_it_stands(categories: Any) -> None:
    frame = pets()
    one, other = (dataset_of(f, "name", "f", categories=categories) for f in (frame, frame.iloc[::-1]))
    np.testing.assert_array_equal(one.samples.x, other.samples.x[::-1])
    assert one.task == other.task


def test_one_hot_columns_are_the_codes_spread_out() -> None:
    spread, codes = (dataset_of(pets(), "name", "f", categories=c).samples.x for c in ("one_hot", "codes"))
    np.testing.assert_array_equal(spread[:, 2:5], codes[:, 2:3] == np.arange(3))
    np.testing.assert_array_equal(spread[:, 5:], codes[:, 3:4] == np.arange(2))


def test_what_is_kept_missing_is_not_counted_in_scaling() -> None:
    data = dataset_of(pets(), "name", "f", missing="keep")
    assert data.fit_transform is not None
    x = data.fit_transform(data.samples.x)(data.samples.x)
    np.testing.assert_array_equal(np.isnan(x[:, 1]), pets()["weight"].isna())
    for column in ("age", "weight"):
        values, scaled = pets()[column].to_numpy(), x[:, data.task.features.index(column)]
        np.testing.assert_allclose(scaled, (values - np.nanmean(values)) / np.nanstd(values))


def test_a_column_without_any_training_value_stays_missing_and_is_0_elsewhere() -> None:
    frame = pets().assign(weight=[NAN, NAN, NAN, 0.1, NAN, 300.0])
    data = dataset_of(frame, "name", "f", missing="keep")
    assert data.fit_transform is not None
    x = data.fit_transform(data.samples.x[:3])(data.samples.x)
    np.testing.assert_array_equal(x[:, 1], [NAN, NAN, NAN, 0, NAN, 0])


def test_given_statistics_scale_what_is_there_and_fill_in_nothing() -> None:
    given = Statistics("s.toml", {"age": 4.0, "weight": 1.0}, {"age": 2.0, "weight": 1.0})
    for standardize, expected in (
        (True, [[-0.5, 9.5], [0.5, NAN], [NAN, 3]]),
        (False, [[3, 10.5], [5, NAN], [NAN, 4]]),
    ):
        data = dataset_of(pets(), "name", "f", missing="keep", statistics=given, standardize=standardize)
        x = data.samples.x if data.fit_transform is None else data.fit_transform(data.samples.x)(data.samples.x)
        np.testing.assert_allclose(x[:3, :2], expected)


def test_nothing_is_prepared_where_nothing_is_filled_in_or_scaled() -> None:
    assert dataset_of(pets(), "name", "f", missing="keep", standardize=False).fit_transform is None
    assert dataset_of(pets(), "name", "f", missing="fill", standardize=False).fit_transform is not None
    only = pets()[["kind", "name"]]
    assert dataset_of(only, "name", "f", categories="codes").fit_transform is None


def test_files_and_openml_take_the_same_settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pets().to_csv(tmp_path / "pets.csv", index=False)
    monkeypatch.setattr(bundled, "fetch_openml", lambda *_, **__: Bunch(frame=pets(), target_names=["name"]))
    found = table(str(tmp_path / "pets.csv"), "name", missing="keep", categories="codes", standardize=False)
    assert found.task.categorical == (2, 3)
    assert found.fit_transform is None
    other = openml("pets", missing="keep", categories="codes", standardize=False)
    assert other.task == found.task
    np.testing.assert_array_equal(other.samples.x, found.samples.x)


@pytest.mark.parametrize("load", [iris, wine, breast_cancer, digits, diabetes])
def test_bundled_features_have_names(load: Any) -> None:
    data = load()
    assert len(set(data.task.features)) == data.samples.x.shape[1]
    assert all(data.task.features)


def group(learner: str, tmp_path: Path, **settings: Any) -> list[Any]:
    pd.concat([pets()] * 5).to_csv(tmp_path / "pets.csv", index=False)
    data = {"name": "table", "path": str(tmp_path / "pets.csv"), "target": "name"} | settings
    config = ExperimentConfig.from_mapping({"learners": 2, "learner": learner, "data": data, "seed": 1}, "test")
    parts = prepare(config, Plugins())
    return [parts.make_learner(part) for part in parts.parts]


@pytest.mark.parametrize("learner", ["sgd_classifier", "mlp_classifier", "gaussian_nb"])
def test_learners_of_quantities_refuse_what_only_trees_can_take(learner: str, tmp_path: Path) -> None:
    for settings, message in (
        ({"missing": "keep"}, r"(?s)features are missing \(\d+ values are NaN\).*`missing` at fill"),
        ({"categories": "codes"}, r"(?s)'kind', 'tame' hold codes of categories.*`categories` at one_hot"),
    ):
        with pytest.raises(DataError, match=message):
            group(f"sklearn.{learner}", tmp_path, **settings)
    assert group(f"sklearn.{learner}", tmp_path)


@pytest.mark.parametrize("learner", ["random_forest_classifier", "hist_gradient_boosting_classifier"])
def test_learners_of_trees_take_them(learner: str, tmp_path: Path) -> None:
    party, other = group(f"sklearn.{learner}", tmp_path, missing="keep", categories="codes")
    assert isinstance(party.data, PrivateData)
    assert np.isnan(party.data.train.x).any()
    assert getattr(party.grower, "categorical", (2, 3)) == (2, 3)
    weights = party.propose_weights(party.initial_weights(np.random.default_rng(0)), np.random.default_rng(0)).weights
    assert np.isfinite(other.test_weights(weights, "vote").value)
    assert set(party.feature_importance(weights)) == {"age", "weight", "kind", "tame"}


def test_too_many_categories_for_histograms_are_named(tmp_path: Path) -> None:
    frame = pd.DataFrame({"city": [f"city {i}" for i in range(300)] * 2, "y": ["a", "b"] * 300})
    frame.to_csv(tmp_path / "cities.csv", index=False)
    data = {"name": "table", "path": str(tmp_path / "cities.csv"), "target": "y", "categories": "codes"}
    mapping = {"learners": 1, "learner": "sklearn.hist_gradient_boosting_classifier", "data": data, "seed": 1}
    with pytest.raises(DataError, match=r"(?s)'city' has 2\d\d categories.*255 apart.*one_hot"):
        prepare(ExperimentConfig.from_mapping(mapping, "test"), Plugins()).experiment()
