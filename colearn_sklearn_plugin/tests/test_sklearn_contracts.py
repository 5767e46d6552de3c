"""Every component of this plugin keeps its contract."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest
from sklearn import datasets as bundled

from colearn_core.testing import DatasetContract, LearnerContract, PluginContract
from colearn_sklearn_plugin import plugin


def test_no_component_is_forgotten() -> None:
    contracts = [value for name, value in globals().items() if name.startswith("Test") and value is not TestPlugin]
    offered = {c.name for c in [*plugin.colearn_learners(), *plugin.colearn_datasets()]}
    assert {c.component for c in contracts} == offered


class TestPlugin(PluginContract):
    plugin = "sklearn"


class TestGaussianNb(LearnerContract):
    component = "sklearn.gaussian_nb"


class TestMlpClassifier(LearnerContract):
    component = "sklearn.mlp_classifier"


class TestMlpRegressor(LearnerContract):
    component = "sklearn.mlp_regressor"


class TestMultinomialNb(LearnerContract):
    component = "sklearn.multinomial_nb"


class TestPassiveAggressive(LearnerContract):
    component = "sklearn.passive_aggressive"


class TestPerceptron(LearnerContract):
    component = "sklearn.perceptron"


class TestSgdClassifier(LearnerContract):
    component = "sklearn.sgd_classifier"


class TestSgdRegressor(LearnerContract):
    component = "sklearn.sgd_regressor"


class TestDecisionTreeClassifier(LearnerContract):
    component = "sklearn.decision_tree_classifier"


class TestDecisionTreeRegressor(LearnerContract):
    component = "sklearn.decision_tree_regressor"


class TestExtraTreesClassifier(LearnerContract):
    component = "sklearn.extra_trees_classifier"
    parameters = {"trees": 3}


class TestExtraTreesRegressor(LearnerContract):
    component = "sklearn.extra_trees_regressor"
    parameters = {"trees": 3}


class TestGradientBoostingClassifier(LearnerContract):
    component = "sklearn.gradient_boosting_classifier"
    parameters = {"iterations": 3}


class TestGradientBoostingRegressor(LearnerContract):
    component = "sklearn.gradient_boosting_regressor"
    parameters = {"iterations": 3}


class TestHistGradientBoostingClassifier(LearnerContract):
    component = "sklearn.hist_gradient_boosting_classifier"
    parameters = {"iterations": 3}


class TestHistGradientBoostingRegressor(LearnerContract):
    component = "sklearn.hist_gradient_boosting_regressor"
    parameters = {"iterations": 3}


class TestRandomForestClassifier(LearnerContract):
    component = "sklearn.random_forest_classifier"
    parameters = {"trees": 3}


class TestRandomForestRegressor(LearnerContract):
    component = "sklearn.random_forest_regressor"
    parameters = {"trees": 3}


class TestBreastCancer(DatasetContract):
    component = "breast_cancer"


class TestDiabetes(DatasetContract):
    component = "diabetes"


class TestDigits(DatasetContract):
    component = "digits"


class TestIris(DatasetContract):
    component = "iris"


class TestWine(DatasetContract):
    component = "wine"


class TestTable(DatasetContract):
    component = "table"
    parameters = {"path": "flowers.csv", "target": "kind"}

    @pytest.fixture(autouse=True)
    def _flowers(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.chdir(tmp_path)
        pd.DataFrame({"size": range(30), "kind": ["a", "b", "c"] * 10}).to_csv("flowers.csv", index=False)


class TestOpenml(DatasetContract):
    component = "openml"
    parameters = {"number": 61}

    @pytest.fixture(autouse=True)
    def _downloaded(self, monkeypatch: pytest.MonkeyPatch) -> None:
        def fetch(*_: object, **__: object) -> object:
            found = bundled.load_iris(as_frame=True)
            found.target_names = ["target"]
            return found

        monkeypatch.setattr(bundled, "fetch_openml", fetch)
