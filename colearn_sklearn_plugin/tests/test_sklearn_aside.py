"""Columns set aside: no features, but what splitters go by."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from colearn_core.by_column import Natural
from colearn_core.config import ExperimentConfig, prepare
from colearn_core.errors import ColearnError, DataError, ParameterError, SplitError
from colearn_core.plugins import Plugins
from colearn_sklearn_plugin.aside import column_of
from colearn_sklearn_plugin.frames import dataset_of
from colearn_sklearn_plugin.tables import table

VISITS = pd.DataFrame(
    {
        "hospital": ["north", "south", "north", "west"] * 10,
        "date": [f"2026-03-{day:02}" for day in range(31, 11, -1)] * 2,
        "age": np.arange(40.0),
        "ill": [0, 1] * 20,
    }
)


def read(values: Any) -> list[Any]:
    return column_of(pd.Series(values, name="c"), "f").tolist()  # type: ignore[no-any-return]


def days(values: Any) -> list[str]:
    found = column_of(pd.Series(values, name="c"), "f")
    assert found.dtype.kind == "M"
    return np.datetime_as_string(found, unit="D").tolist()  # type: ignore[no-any-return]


def test_columns_set_aside_are_no_features_but_offered_by_name(tmp_path: Path) -> None:
    path = tmp_path / "visits.csv"
    VISITS.to_csv(path, index=False)
    data = table(str(path), "ill", aside=("hospital", "date"))
    assert data.task.features == ("age",)
    assert data.samples.x.shape == (40, 1)
    assert list(data.columns) == ["hospital", "date"]
    assert data.column("hospital").tolist() == VISITS["hospital"].tolist()
    assert data.column("date").dtype.kind == "M"
    assert data.column("age").tolist() == VISITS["age"].tolist()


@pytest.mark.parametrize(
    ("split", "held"),
    [
        ({"name": "natural", "column": "hospital"}, [{"north"}, {"south"}, {"west"}]),
        ({"name": "time", "column": "date"}, None),
    ],
)
def test_an_experiment_file_divides_a_table_by_a_column(tmp_path: Path, split: Any, held: Any) -> None:
    path = tmp_path / "visits.csv"
    VISITS.to_csv(path, index=False)
    data = {"name": "table", "path": str(path), "target": "ill", "aside": ["hospital", "date"], "standardize": False}
    values = {"data": data, "learner": "sklearn.sgd_classifier", "split": split, "learners": 3}
    parts = prepare(ExperimentConfig.from_mapping(values, "test"), Plugins()).parts
    rows = [np.concatenate([s.x[:, 0] for s in (p.train, p.vote, p.test)]).astype(int) for p in parts]
    if held is not None:
        assert [set(VISITS["hospital"][r]) for r in rows] == held
    else:
        dates = [VISITS["date"][r] for r in rows]
        assert dates[0].max() <= dates[1].min() <= dates[1].max() <= dates[2].min()


def test_the_number_of_learners_that_hospitals_need_is_told() -> None:
    data = dataset_of(VISITS, "ill", "visits", aside=["hospital", "date"])

    with pytest.raises(SplitError, match=r"'hospital' has 3 values.*4 learners\nTake --learners 3"):
        Natural("hospital").split(data.column("hospital"), 4, np.random.default_rng(0))


def test_numbers_stay_numbers_text_stays_text_and_gaps_are_kept() -> None:
    assert np.array_equal(read([1, 2.5, None]), [1.0, 2.5, np.nan], equal_nan=True)
    assert read(["b", None, "a"]) == ["b", "", "a"]
    assert read([True, False]) == ["True", "False"]
    assert read(pd.Categorical(["x", "y", None])) == ["x", "y", ""]


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (["2026-01-02", "2025-12-31", None], ["2026-01-02", "2025-12-31", "NaT"]),
        (["1/2/2026", "13/2/2026"], ["2026-02-01", "2026-02-13"]),
        (["1/2/2026", "2/13/2026"], ["2026-01-02", "2026-02-13"]),
        (["2026-01-02", "13.2.2026"], ["2026-01-02", "2026-02-13"]),
        (["2026-01-02T23:30:00-05:00", "2026-01-02"], ["2026-01-03", "2026-01-02"]),
        ([date(2026, 1, 2), None], ["2026-01-02", "NaT"]),
        (pd.to_datetime(["2026-01-02"]).tz_localize("Europe/Berlin"), ["2026-01-01"]),
    ],
)
def test_dates_are_read_in_the_order_that_the_column_itself_tells(values: Any, expected: list[str]) -> None:
    assert days(values) == expected


@pytest.mark.parametrize(
    ("values", "said"),
    [
        (["1/2/2026", "2/3/2026"], "day and month can't be told apart\nWrite dates as 2026-02-01"),
        (["13/2/2026", "2/13/2026"], "both orders of day and month"),
        (["2026-02-30"], "one of which is none"),
        ([[1], [2]], "holds values of type 'mixed'"),
        ([1, "a"], "holds values of type 'mixed-integer'"),
    ],
)
def test_what_can_not_be_sorted_is_refused_by_name(values: Any, said: str) -> None:
    with pytest.raises(DataError, match=f"column 'c' of f .*{said}"):
        read(values)


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"aside": ["hospitl"]}, "no column 'hospitl' to set aside\nDid you mean 'hospital'"),
        ({"aside": ["ill"]}, "the target 'ill' can't be set aside"),
        ({"aside": ["hospital"], "ignore": ["hospital"]}, "'hospital' can't be both ignored and set aside"),
    ],
)
def test_columns_that_can_not_be_set_aside_are_refused(settings: Any, said: str) -> None:
    with pytest.raises(ParameterError, match=said):
        dataset_of(VISITS, "ill", "visits", **settings)


def test_setting_every_feature_aside_is_refused_as_ignoring_them_is() -> None:
    with pytest.raises(ColearnError, match="no feature left without the target 'ill' and 'hospital', 'date', 'age'"):
        dataset_of(VISITS, "ill", "visits", aside=["hospital", "date", "age"])
