"""What the plugin offers: light to list, described, and each component learns what it's for."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import pytest

from colearn_core.components import Component
from colearn_core.config import GIVEN, ExperimentConfig, prepare
from colearn_core.data import Dataset
from colearn_core.errors import ParameterError
from colearn_core.parameters import parameters_of
from colearn_core.plugins import Plugins
from colearn_sklearn_plugin import plugin

PLUGINS = Plugins()
LEARNERS = plugin.colearn_learners()
DATASETS = plugin.colearn_datasets()
REGRESSORS = {c.name for c in LEARNERS if c.name.endswith("regressor")}
FEW: dict[str, dict[str, Any]] = {
    f"sklearn.{trees}_{kind}": {setting: 3}
    for kind in ("classifier", "regressor")
    for setting, names in {
        "trees": ("random_forest", "extra_trees"),
        "iterations": ("gradient_boosting", "hist_gradient_boosting"),
    }.items()
    for trees in names
}
"""Settings by which a proposal of many trees takes less time."""


def modules_after(statements: str) -> set[str]:
    """The modules of a fresh interpreter that has run these statements."""
    script = f"{statements}\nimport sys\nprint(*sys.modules)"
    result = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=60)
    return set(result.stdout.split())


@pytest.mark.parametrize(
    "statements",
    [
        "import colearn_sklearn_plugin.plugin as p; p.colearn_learners(); p.colearn_datasets()",
        "from colearn_core.plugins import Plugins; p = Plugins(); p.components('learners'); p.components('datasets')",
    ],
)
def test_listing_components_imports_neither_sklearn_nor_pandas(statements: str) -> None:
    modules = modules_after(statements)
    assert "colearn_sklearn_plugin.plugin" in modules
    assert not modules & {"sklearn", "pandas", "scipy", "colearn_sklearn_plugin.learner"}


def test_the_plugin_is_found_and_offers_all_its_components() -> None:
    assert "sklearn" in PLUGINS.infos
    for kind, components in (("learners", LEARNERS), ("datasets", DATASETS)):
        assert {c.name for c in components} <= set(PLUGINS.components(kind))
    names = "decision_tree_classifier decision_tree_regressor extra_trees_classifier extra_trees_regressor gaussian_nb"
    names += " gradient_boosting_classifier gradient_boosting_regressor hist_gradient_boosting_classifier"
    names += " hist_gradient_boosting_regressor mlp_classifier mlp_regressor multinomial_nb passive_aggressive"
    names += " perceptron random_forest_classifier random_forest_regressor sgd_classifier sgd_regressor"
    assert [c.name for c in LEARNERS] == [f"sklearn.{name}" for name in names.split()]


@pytest.mark.parametrize(
    ("component", "kind"),
    [pytest.param(c, kind, id=c.name) for kind, cs in (("learners", LEARNERS), ("datasets", DATASETS)) for c in cs],
)
def test_every_component_loads_and_all_it_takes_is_explained(component: Component, kind: str) -> None:
    implementation = component.load()
    assert component.summary
    assert implementation.__doc__
    for parameter in parameters_of(implementation, GIVEN.get(kind, ())):
        assert parameter.help, f"{component.name}: {parameter.name} has no help"


@pytest.mark.parametrize("component", LEARNERS, ids=lambda c: c.name)
def test_every_learner_component_works_with_its_defaults(component: Component) -> None:
    assert not [p for p in parameters_of(component.load(), GIVEN["learners"]) if p.required]


@pytest.mark.parametrize(
    ("name", "samples", "features", "classes"),
    [
        ("iris", 150, 4, 3),
        ("wine", 178, 13, 3),
        ("breast_cancer", 569, 30, 2),
        ("digits", 1797, 64, 10),
        ("diabetes", 442, 10, 0),
    ],
)
def test_a_data_set_is_what_its_summary_says(name: str, samples: int, features: int, classes: int) -> None:
    component = PLUGINS.component("datasets", name)
    data = component.load()()
    assert isinstance(data, Dataset)
    assert data.samples.x.shape == (samples, features)
    assert len(data.task.classes) == classes
    assert f"{samples:,}" in component.summary


def config(learner: str | dict[str, Any], data: dict[str, Any], **sections: Any) -> ExperimentConfig:
    settings: dict[str, Any] = {"seed": 1, "learners": 5, "learner": learner, "data": data}
    return ExperimentConfig.from_mapping(settings | sections, "test")


def fitting_data(learner: str) -> dict[str, Any]:
    if learner in REGRESSORS:
        return {"name": "diabetes"}
    return {"name": "iris", "standardize": learner != "sklearn.multinomial_nb"}


@pytest.mark.parametrize("proposals", ["approval", "everyone"])
@pytest.mark.parametrize("learner", [c.name for c in LEARNERS])
def test_every_learner_component_learns_a_fitting_data_set(learner: str, proposals: str) -> None:
    chosen = {"name": learner} | FEW.get(learner, {})
    experiment = prepare(config(chosen, fitting_data(learner), proposals=proposals), PLUGINS).experiment()
    history = experiment.run(8 if learner in FEW else 20).history
    gain = history.mean_test() - history.mean_test(0)
    assert any(history.accepted)
    assert (gain if history.test_metric.greater_is_better else -gain) > 0.1


@pytest.mark.parametrize("learner", [c.name for c in LEARNERS])
def test_a_learner_component_refuses_a_task_that_is_not_its_own(learner: str) -> None:
    data, kind = ("iris", "classification") if learner in REGRESSORS else ("diabetes", "regression")
    with pytest.raises(ParameterError, match=rf"learner '{learner}': \w+ can't learn a {kind} task"):
        prepare(config(learner, {"name": data}), PLUGINS).experiment()


@pytest.mark.parametrize(
    ("learner", "parameter", "value", "message"),
    [
        ("sklearn.sgd_classifier", "loss", "hinges", "hinges"),
        ("sklearn.sgd_classifier", "epochs", 0, "epochs = 0"),
        ("sklearn.sgd_classifier", "alhpa", 1, "no parameter 'alhpa'\n.*alpha"),
        ("sklearn.perceptron", "vote_metric", "log_loss", "gives no probabilities"),
        ("sklearn.multinomial_nb", "alpha", 0, "alpha = 0"),  # what a class never showed would score 0 * log(0)
        ("sklearn.mlp_classifier", "steps", "many", "steps = 'many'"),
        ("sklearn.random_forest_classifier", "trees", 0, "trees = 0"),
        ("sklearn.extra_trees_classifier", "max_features", 1.5, "max_features = 1.5"),
        ("sklearn.decision_tree_classifier", "max_trees", 0, "max_trees = 0"),
        ("sklearn.gradient_boosting_classifier", "subsample", 0, "subsample = 0"),
        ("sklearn.hist_gradient_boosting_classifier", "max_bins", 300, "max_bins = 300"),
        ("sklearn.hist_gradient_boosting_classifier", "vote_metric", "mse", "mse can't score classes"),
    ],
)
def test_a_wrong_parameter_is_a_clear_error(learner: str, parameter: str, value: object, message: str) -> None:
    chosen = {"name": learner, parameter: value}
    with pytest.raises(ParameterError, match=rf"(?s)learner '{learner}'.*{message}"):
        prepare(ExperimentConfig.from_mapping({"data": "iris", "learner": chosen}, "test"), PLUGINS).experiment()
