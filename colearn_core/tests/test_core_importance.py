"""What a run says of features, when its model tells."""

from __future__ import annotations

from io import StringIO

import numpy as np
import pytest
from rich.console import Console

from colearn_core.cohort import LoopCohort
from colearn_core.data import PrivateData, Samples, Task
from colearn_core.experiment import Experiment
from colearn_core.reference import SoftmaxRegression
from colearn_core.report.tables import importance_table
from colearn_core.weights import Weights


class Telling(SoftmaxRegression):
    def feature_importance(self, weights: Weights) -> dict[str, float]:
        sums = np.abs(weights["coef"]).sum(axis=1)
        return {f"feature {i}": float(share) for i, share in enumerate(sums / sums.sum())}


class Raising(SoftmaxRegression):
    def feature_importance(self, weights: Weights) -> dict[str, float]:
        raise RuntimeError("no idea")


def data(seed: int = 0) -> PrivateData:
    rng = np.random.default_rng(seed)
    y = rng.integers(2, size=60)
    samples = Samples(np.column_stack([y * 2.0, rng.normal(size=60)]), y)
    train, vote, test = (samples.take(np.arange(i, 60, 3)) for i in range(3))
    return PrivateData(train, vote, test, Task(("no", "yes")))


def shown(importance: dict[str, float]) -> str:
    out = StringIO()
    Console(file=out, width=80).print(importance_table(importance))
    return out.getvalue()


def test_a_run_says_what_its_model_goes_by() -> None:
    run = Experiment([Telling(data(i)) for i in range(3)], seed=1).run(5)
    assert run.importance["feature 0"] > run.importance["feature 1"] > 0
    assert run.summary()["importance"] == run.importance


def test_of_models_that_do_not_tell_nothing_is_said() -> None:
    run = Experiment([SoftmaxRegression(data(i)) for i in range(3)], seed=1).run(1)
    assert not run.importance
    assert "importance" not in run.summary()


def test_a_learner_that_cannot_tell_does_not_cost_the_run() -> None:
    assert LoopCohort([Raising(data())]).feature_importance(Weights({})) == {}
    assert len(Experiment([Raising(data(i)) for i in range(2)], seed=1).run(2).history.round) == 2


def test_the_table_begins_with_the_most_important_feature() -> None:
    lines = shown({"age": 0.25, "dose": 0.75, "name": 0.0}).splitlines()
    rows = [line for line in lines if "%" in line]
    assert [line.split()[1] for line in rows] == ["dose", "age"]
    assert "75.0%" in rows[0]


@pytest.mark.parametrize(("features", "rest"), [(11, "1 more"), (30, "20 more")])
def test_a_long_table_is_cut_and_says_what_is_left(features: int, rest: str) -> None:
    text = shown({f"f{i}": 1 / features for i in range(features)})
    assert f"... {rest}" in text
    assert f"{(features - 10) / features:.1%}" in text
