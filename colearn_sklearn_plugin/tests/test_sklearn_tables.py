"""Tables: how files are read, what becomes of their columns, and which files are refused in which words."""

from __future__ import annotations

import gzip
import importlib.util
import sys
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.datasets import load_iris

from colearn_core import Experiment
from colearn_core.config import ExperimentConfig
from colearn_core.data import Dataset, Holdout, PrivateData, partition
from colearn_core.errors import ColearnError, DataError, ParameterError
from colearn_core.splitting import Iid
from colearn_core.streams import Streams
from colearn_sklearn_plugin.frames import Statistics, dataset_of
from colearn_sklearn_plugin.tables import table

parquet = pytest.mark.skipif(importlib.util.find_spec("pyarrow") is None, reason="needs pyarrow")

PETS = """\
age,kind,weight,name
3,dog,10.5,a
5,cat,,b
,,4.0,a
2,bird,0.1,b
"""


def written(folder: Path, content: str | bytes, name: str = "pets.csv") -> str:
    path = folder / name
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return str(path)


def prepared(data: Dataset, train: list[int], x: list[int]) -> Any:
    """Features of the rows ``x`` as a learner sees them that trains on the rows ``train``."""
    assert data.fit_transform is not None
    return data.fit_transform(data.samples.x[train])(data.samples.x[x])


def numbers(rows: int = 40, **columns: Any) -> pd.DataFrame:
    return pd.DataFrame({"a": np.arange(rows, dtype=float), "y": ["no", "yes"] * (rows // 2)} | columns)


def refusal(kind: type[ColearnError], *args: Any, **settings: Any) -> str:
    with pytest.raises(kind) as caught:
        dataset_of(*args, **settings) if isinstance(args[0], pd.DataFrame) else table(*args, **settings)
    return str(caught.value)


# Features


def test_numbers_come_first_then_a_code_for_each_category_in_sorted_order(tmp_path: Path) -> None:
    data = table(written(tmp_path, PETS), "name")
    x = data.samples.x
    assert x.dtype == np.float64
    nan = np.nan
    np.testing.assert_array_equal(
        x,  # age, weight, bird, cat, dog
        [[3, 10.5, 0, 0, 1], [5, nan, 0, 1, 0], [nan, 4, 0, 0, 0], [2, 0.1, 1, 0, 0]],
    )
    assert data.task.classes == ("a", "b")
    assert data.samples.y.tolist() == [0, 1, 0, 1]


def test_truth_values_are_categories_and_may_be_missing() -> None:
    data = dataset_of(numbers(4, b=[True, None, False, True]), "y", "f")
    np.testing.assert_array_equal(data.samples.x[:, 1:], [[0, 1], [0, 0], [1, 0], [0, 1]])


def test_categories_that_pandas_knows_of_but_no_row_has_get_no_code() -> None:
    kinds = pd.Categorical(["u", "v", "u", "v"], categories=["v", "u", "never"])
    np.testing.assert_array_equal(
        dataset_of(numbers(4, k=kinds), "y", "f").samples.x[:, 1:], [[1, 0], [0, 1], [1, 0], [0, 1]]
    )


def test_nullable_and_decimal_columns_are_numbers() -> None:
    frame = numbers(4, i=pd.array([1, None, 3, 4], dtype="Int64"), d=[Decimal("0.5"), None, Decimal(2), Decimal(3)])
    x = dataset_of(frame, "y", "f").samples.x
    np.testing.assert_array_equal(x[:, 1:], [[1, 0.5], [np.nan, np.nan], [3, 2], [4, 3]])


def test_ignored_columns_are_left_out(tmp_path: Path) -> None:
    assert table(written(tmp_path, PETS), "name", ignore=("kind", "weight")).samples.x.shape == (4, 1)


def test_spaces_after_separators_belong_to_no_name_and_no_category(tmp_path: Path) -> None:
    data = table(written(tmp_path, "a, k, y\n1, u, no\n2, u, yes\n3,u,no\n"), "y")
    assert data.samples.x.shape == (3, 2)
    assert data.task.classes == ("no", "yes")


# What each learner does with its own part


def test_a_missing_number_becomes_the_median_of_the_learners_own_training_part() -> None:
    frame = numbers(6, b=[1.0, 2.0, 9.0, np.nan, 500.0, 500.0])
    raw = prepared(dataset_of(frame, "y", "f", standardize=False), [0, 1, 2], [3, 4])
    np.testing.assert_array_equal(raw[:, 1], [2, 500])


def test_standardisation_uses_only_the_learners_own_training_part_after_filling_in() -> None:
    own = np.array([1.0, 2.0, 9.0, np.nan])
    frame = numbers(6, b=[*own, 100.0, -1000.0])
    filled = np.array([1.0, 2.0, 9.0, 2.0])
    seen = prepared(dataset_of(frame, "y", "f"), [0, 1, 2, 3], [0, 1, 2, 3, 4])[:, 1]
    np.testing.assert_allclose(seen[:4], (filled - filled.mean()) / filled.std())
    assert seen[4] == pytest.approx((100 - filled.mean()) / filled.std())


def test_codes_of_categories_are_left_as_they_are() -> None:
    data = dataset_of(numbers(4, k=["u", "v", "v", None]), "y", "f")
    np.testing.assert_array_equal(prepared(data, [0, 1, 2], [0, 1, 2, 3])[:, 1:], [[1, 0], [0, 1], [0, 1], [0, 0]])


def test_a_column_without_any_value_in_the_training_part_is_zero() -> None:
    frame = numbers(4, b=[np.nan, np.nan, 80000.0, np.nan])
    np.testing.assert_array_equal(prepared(dataset_of(frame, "y", "f"), [0, 1], [0, 1, 2, 3])[:, 1], 0)


def test_a_column_that_is_constant_in_the_training_part_is_only_shifted() -> None:
    frame = numbers(4, b=[0.1, 0.1, 0.1, 1.1])  # the standard deviation of three 0.1 isn't 0 in floating point
    np.testing.assert_allclose(prepared(dataset_of(frame, "y", "f"), [0, 1, 2], [0, 3])[:, 1], [0, 1], atol=1e-12)


def test_parts_without_samples_are_prepared_too() -> None:
    frame = numbers(4, b=[1.0, np.nan, 3.0, 4.0])
    assert prepared(dataset_of(frame, "y", "f"), [0, 1], []).shape == (0, 2)


def test_nothing_is_done_to_complete_columns_without_standardisation() -> None:
    assert dataset_of(numbers(), "y", "f", standardize=False).fit_transform is None
    assert dataset_of(numbers(4)[["y"]].assign(k=list("uvuv")), "y", "f").fit_transform is None


def test_learners_of_an_experiment_keep_their_statistics_to_themselves() -> None:
    frame = numbers(60, b=np.random.default_rng(0).normal(50, 9, 60))
    frame.loc[::7, "b"] = np.nan
    parts: list[PrivateData] = partition(dataset_of(frame, "y", "f"), Iid(), 3, Holdout(), Streams(1))
    for part in parts:
        np.testing.assert_allclose(part.train.x.mean(axis=0), 0, atol=1e-12)
        np.testing.assert_allclose(part.train.x.std(axis=0), 1)
        assert np.isfinite(part.vote.x).all()
        assert abs(part.vote.x.mean()) > 1e-3


# Given statistics


def test_given_statistics_replace_the_learners_own(tmp_path: Path) -> None:
    given = written(tmp_path, "[mean]\nage = 4\nweight = 5.0\n[deviation]\nage = 2.0\nweight = 0\n", "s.toml")
    data = table(written(tmp_path, PETS), "name", statistics=given)
    np.testing.assert_allclose(prepared(data, [0], [0, 1, 2])[:, :2], [[-0.5, 5.5], [0.5, 0.0], [0.0, -1.0]])


def test_given_means_fill_in_what_is_missing_without_standardisation() -> None:
    frame = numbers(4, b=[1.0, np.nan, 3.0, 4.0])
    given = Statistics("s.toml", {"a": 0, "b": 7}, {"a": 1, "b": 2})
    data = dataset_of(frame, "y", "f", standardize=False, statistics=given)
    np.testing.assert_array_equal(prepared(data, [0], [0, 1])[:, 1], [1, 7])


def test_a_target_of_a_regression_is_scaled_by_given_statistics_and_left_alone_without() -> None:
    frame = pd.DataFrame({"a": [1.0, 2, 3], "y": [100.5, 200.5, 300.5]})
    given = Statistics("s.toml", {"a": 2, "y": 200.5}, {"a": 1, "y": 50})
    assert dataset_of(frame, "y", "f", statistics=given).samples.y.tolist() == [-2, 0, 2]
    assert dataset_of(frame, "y", "f").samples.y.tolist() == [100.5, 200.5, 300.5]


@pytest.mark.parametrize(
    ("text", "culprit", "said"),
    [
        ("[mean]\nage = 1\n[deviation]\nage = 1\nweight = 1\n", "[mean] in", "lacks 'weight'"),
        ("[mean]\nage=1\nweight=1\n[deviation]\nage=1\n", "[deviation] in", "lacks 'weight'"),
        ("[mean]\nage=1\nweight=1\nWeight=1\n[deviation]\nage=1\nweight=1\n", "'Weight'", "Did you mean 'weight'?"),
        ("[mean]\nage=1\nweight=1\nkind=1\n[deviation]\nage=1\nweight=1\n", "'kind'", "no feature of numbers"),
        ("[mean]\nage=1\nweight=1\n[deviation]\nage=1\nweight=-1\n", "weight = -1", "is no deviation"),
        ("[mean]\nage=1\nweight=nan\n[deviation]\nage=1\nweight=1\n", "weight = nan", "is no mean"),
        ("[mean]\nage='old'\n[deviation]\n", "age = 'old'", "is no number"),
        ("[mean]\nage=1\n", "hold mean", "two tables"),
        ("[mean\n", "no valid TOML", "two tables"),
    ],
)
def test_wrong_statistics_are_refused_by_name(tmp_path: Path, text: str, culprit: str, said: str) -> None:
    message = refusal(DataError, written(tmp_path, PETS), "name", statistics=written(tmp_path, text, "s.toml"))
    assert "s.toml" in message
    assert culprit in message
    assert said in message


def test_statistics_that_are_not_there_are_named(tmp_path: Path) -> None:
    message = refusal(DataError, written(tmp_path, PETS), "name", statistics=str(tmp_path / "none.toml"))
    assert "can't read the statistics" in message
    assert "none.toml" in message


# Targets


@pytest.mark.parametrize(
    ("values", "classes"),
    [
        (["b", "a", "b", "c"], ("a", "b", "c")),
        ([True, False, True, True], ("False", "True")),
        (pd.Categorical(["2", "1", "2", "1"]), ("1", "2")),
        ([10, 9, 10, 9], ("9", "10")),
        ([1.0, 0.0, 0.0, 1.0], ("0", "1")),
        ([-1, 1, 1, -1], ("-1", "1")),
        (list(range(20)) * 2, tuple(map(str, range(20)))),
        (list(range(21)) * 2, ()),  # too many
        ([1, 2, 3, 1], ()),  # not twice each on average
        ([0.5, 1.5, 0.5, 1.5], ()),  # not whole
    ],
)
def test_the_automatic_task(values: Any, classes: tuple[str, ...]) -> None:
    frame = pd.DataFrame({"a": np.arange(len(values)), "y": values})
    data = dataset_of(frame, "y", "f")
    assert data.task.classes == classes
    expected = [classes.index(str(v).removesuffix(".0")) for v in values] if classes else list(values)
    assert data.samples.y.tolist() == expected


def test_a_task_can_be_chosen() -> None:
    few = pd.DataFrame({"a": [1, 2, 3, 4], "y": [1, 2, 1, 2]})
    assert dataset_of(few, "y", "f", task="regression").task.kind == "regression"
    halves = pd.DataFrame({"a": [1, 2, 3, 4], "y": [0.5, 1, 0.5, 1]})
    assert dataset_of(halves, "y", "f", task="classification").task.classes == ("0.5", "1")


def test_nominal_numbers_can_be_a_regressions_target() -> None:
    frame = pd.DataFrame({"a": [1, 2, 3], "y": pd.Categorical(["5", "6.5", "7"])})
    assert dataset_of(frame, "y", "f", task="regression").samples.y.tolist() == [5, 6.5, 7]


def test_text_can_not_be_a_regressions_target() -> None:
    message = refusal(ParameterError, numbers(), "y", "f", task="regression")
    assert "target 'y' of f has values that are no numbers, such as 'no'" in message


def test_missing_targets_are_counted_and_located(tmp_path: Path) -> None:
    message = refusal(DataError, written(tmp_path, PETS), "kind")
    assert "target 'kind'" in message
    assert "1 of 4 rows (3;" in message
    many = refusal(DataError, numbers(40, z=[np.nan] * 39 + [1]), "z", "f")
    assert "39 of 40 rows (1, 2, 3, 4, 5, ...;" in many


def test_a_target_with_one_value_is_refused() -> None:
    assert "'yes' in all 4 rows" in refusal(DataError, numbers(4, y=["yes"] * 4), "y", "f")
    assert "'3' in all 4 rows" in refusal(DataError, numbers(4, y=[3.0] * 4), "y", "f")
    assert "'0.5' in all 4 rows" in refusal(DataError, numbers(4, y=[0.5] * 4), "y", "f")


def test_more_classes_than_can_be_meant_are_refused() -> None:
    frame = pd.DataFrame({"a": np.arange(1001), "y": [f"t{i}" for i in range(1001)]})
    assert "1001 different values" in refusal(DataError, frame, "y", "f")


def test_an_infinite_target_is_refused() -> None:
    assert "'y' of f is infinite or beyond 1e+150 in 1 of 4 rows (2;" in refusal(
        DataError, numbers(4, y=[1, np.inf, 2, 3]), "y", "f"
    )


# Columns that can't be learned from


@pytest.mark.parametrize(
    ("values", "said"),
    [
        (pd.to_datetime(["2024-01-01"] * 4), "'datetime64'"),
        ([date(2024, 1, 1)] * 4, "'date'"),
        (pd.to_timedelta([1, 2, 3, 4]), "'timedelta64'"),
        (["2024-01-31", "2024-02-01 10:30", None, "2024-03-01T00:00:00Z"], "holds dates, such as '2024-01-31'"),
        (["31.12.2023", "1/2/24", "1/3/24", "1/4/24"], "holds dates"),
        ([[1], [2], [3], [4]], "'mixed'"),
        ([b"x", b"y", b"x", b"y"], "'bytes'"),
        ([1j, 2j, 3j, 4j], "'complex'"),
    ],
)
def test_a_column_of_an_unsupported_type_is_named_and_can_be_ignored(values: Any, said: str) -> None:
    frame = numbers(4, when=values)
    message = refusal(DataError, frame, "y", "f")
    assert "column 'when' of f" in message
    assert said in message
    assert "`ignore`" in message
    assert dataset_of(frame, "y", "f", ignore=["when"]).samples.x.shape == (4, 1)


def test_infinite_values_are_refused_with_their_column(tmp_path: Path) -> None:
    message = refusal(DataError, written(tmp_path, "a,b,y\n1,2,no\n1,inf,yes\n-inf,-inf,no\n"), "y", ignore=("a",))
    assert "column 'b'" in message
    assert "2 of 3 rows (2, 3;" in message


def test_numbers_too_large_to_be_standardised_are_refused() -> None:
    message = refusal(DataError, numbers(4, b=[1e300, 1, 2, 3]), "y", "f")
    assert "column 'b' of f is infinite or beyond 1e+150 in 1 of 4 rows (1;" in message
    largest = numbers(4, b=[1e150, -1e150, 2, 3])
    assert np.isfinite(prepared(dataset_of(largest, "y", "f"), [0, 1], [0, 1, 2, 3])).all()


def test_free_text_is_refused() -> None:
    frame = pd.DataFrame({"t": [f"text {i}" for i in range(1002)], "y": [0, 1] * 501})
    message = refusal(DataError, frame, "y", "f")
    assert "column 't' of f has 1002 different texts, such as 'text 0'" in message


def test_numbers_spoilt_by_a_mark_for_missing_values_are_refused() -> None:
    frame = numbers(40, age=["?", *map(str, range(38)), "?"])
    message = refusal(DataError, frame, "y", "f")
    assert "column 'age' of f is numbers but for '?' in 2 of 40 rows (1, 40;" in message


def test_a_few_codes_that_look_like_numbers_are_categories() -> None:
    assert dataset_of(numbers(4, code=["1", "2", "B", "1"]), "y", "f").samples.x.shape == (4, 4)


@pytest.mark.parametrize("columns", [["y"], ["y", "empty"], ["y", "none"]])
def test_a_table_without_a_feature_is_refused(columns: list[str]) -> None:
    frame = numbers(4, empty=[np.nan] * 4, none=[None] * 4)[columns]
    assert "f has no feature left without the target 'y'" in refusal(DataError, frame, "y", "f")
    assert "'y' and 'a'" in refusal(DataError, frame.assign(a=1), "y", "f", ignore=["a"])


def test_two_columns_of_one_name_are_refused() -> None:
    frame = pd.concat([numbers(4), numbers(4)[["a"]]], axis=1)
    assert "f has more than one column 'a'" in refusal(DataError, frame, "y", "f")


# Names


def test_an_unknown_target_is_refused_with_the_columns_and_the_likely_one(tmp_path: Path) -> None:
    message = refusal(ParameterError, written(tmp_path, PETS), "Nmae")
    assert "no target column 'Nmae'" in message
    assert "Did you mean 'name'? Columns: 'age', 'kind', 'weight', 'name'." in message
    assert "Did you mean 'age'?" in refusal(ParameterError, written(tmp_path, PETS), "AGE")


def test_an_unknown_column_to_ignore_is_refused(tmp_path: Path) -> None:
    message = refusal(ParameterError, written(tmp_path, PETS), "name", ignore=("kinds",))
    assert "no column 'kinds' to ignore" in message
    assert "Did you mean 'kind'?" in message


def test_the_target_can_not_be_ignored(tmp_path: Path) -> None:
    assert "'name' can't be ignored" in refusal(ParameterError, written(tmp_path, PETS), "name", ignore=("name",))


def test_a_wide_tables_columns_are_listed_in_part() -> None:
    frame = pd.DataFrame(np.zeros((2, 300)), columns=[f"c{i}" for i in range(300)])
    assert "'c19', ... (280 more)." in refusal(ParameterError, frame, "zzz", "f")


# Files


@pytest.mark.parametrize("name", ["pets.csv", "PETS.CSV", "pets.csv.gz", "pets.tsv", "pets.parquet"])
def test_each_kind_of_file_gives_the_same_data(tmp_path: Path, name: str) -> None:
    if name.endswith("parquet"):
        pytest.importorskip("pyarrow")
        pd.read_csv(written(tmp_path, PETS)).to_parquet(tmp_path / name)
    else:
        text = PETS.replace(",", "\t") if name.endswith("tsv") else PETS
        written(tmp_path, gzip.compress(text.encode(), mtime=0) if name.endswith("gz") else text, name)
    data = table(str(tmp_path / name), "name")
    same = table(written(tmp_path, PETS, "same.csv"), "name")
    np.testing.assert_array_equal(data.samples.x, same.samples.x)
    np.testing.assert_array_equal(data.samples.y, same.samples.y)
    assert data.task == same.task


def test_a_path_is_relative_to_the_working_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    written(tmp_path, PETS)
    monkeypatch.chdir(tmp_path)
    data = table("pets.csv", "name")
    assert len(data.samples) == 4


def test_a_table_is_called_by_its_files_name(tmp_path: Path) -> None:
    assert table(written(tmp_path, PETS), "name").name == "pets.csv"


def test_a_missing_file_is_named_with_the_working_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    message = refusal(DataError, "none.csv", "y")
    assert "there's no file none.csv" in message
    assert str(tmp_path) in message


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("f.csv", "", "is empty (0 bytes)"),
        ("f.parquet", "", "is empty (0 bytes)"),
        ("f.csv", "\n\n", "it has no header"),
        ("f.csv.gz", gzip.compress(b"", mtime=0), "it has no header"),
        ("f.csv", "a,y\n", "has no rows, only the columns 'a', 'y'"),
        ("f.csv", b"a,y\n\xff\xfe,1\n", "Save it as UTF-8."),
        ("f.csv", "a,y\n1,2\n1,2,3\n", "as many fields as the header"),
        ("f.csv", "a,y\n1,2,3\n1,2,3\n", "as many fields as the header"),
        ("f.csv", 'a,y\n"1,2\n', "as many fields as the header"),
        ("f.csv", "a;y\n1;2\n", "has a single column, 'a;y': another separator was expected"),
        ("f.tsv", "a,y\n1,2\n", "has a single column, 'a,y': another separator was expected"),
        ("f.csv", "y,a,y\n1,2,1\n", "has more than one column 'y'"),
        ("f.csv", ",a,y\n0,5,no\n1,6,yes\n", "the first column"),
        ("f.csv.gz", "a,y\n1,2\n", "can't read"),
        ("f.csv.gz", gzip.compress(PETS.encode(), mtime=0)[:-12], "can't read"),
        ("f.csv.gz", gzip.compress(PETS.encode(), mtime=0)[:12] + b"\xff" * 60, "can't read"),
        pytest.param("f.parquet", "a,y\n1,2\n", "can't read", marks=parquet),
    ],
)
def test_a_file_that_can_not_be_used_is_refused(tmp_path: Path, name: str, content: str | bytes, said: str) -> None:
    message = refusal(DataError, written(tmp_path, content, name), "y")
    assert name in message
    assert said in message


def test_a_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "f.csv").mkdir()
    assert "can't read" in refusal(DataError, str(tmp_path / "f.csv"), "y")


def test_an_unknown_ending_is_refused(tmp_path: Path) -> None:
    assert "Known: .csv, .csv.gz, .tsv, .parquet." in refusal(ParameterError, str(tmp_path / "f.xlsx"), "y")


def test_a_saved_index_can_be_ignored(tmp_path: Path) -> None:
    data = table(written(tmp_path, ",a,y\n0,5,no\n1,6,yes\n"), "y", ignore=("Unnamed: 0",))
    assert data.samples.x.tolist() == [[5], [6]]


def test_parquet_without_pyarrow_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    message = refusal(DataError, written(tmp_path, "PAR1", "f.parquet"), "y")
    assert "needs pyarrow" in message
    assert "pip install colearn-sklearn-plugin[parquet]" in message


# From an experiment file


def iris_with_gaps(folder: Path) -> str:
    data = load_iris(as_frame=True)
    frame = data.frame.rename(columns=lambda name: name.removesuffix(" (cm)").replace(" ", "_"))
    rng = np.random.default_rng(3)
    frame["size"] = np.where(frame["petal_length"] > 4, "large", "small")
    frame["species"] = data.target_names[frame.pop("target")]
    for column in ("sepal_width", "petal_length", "size"):
        frame.loc[rng.random(len(frame)) < 0.1, column] = None
    path = folder / "iris.csv"
    frame.to_csv(path, index=False)
    return str(path)


def test_an_experiment_learns_from_a_table_with_categories_and_gaps(tmp_path: Path) -> None:
    config = ExperimentConfig.from_mapping(
        {
            "seed": 1,
            "learners": 4,
            "data": {"name": "table", "path": iris_with_gaps(tmp_path), "target": "species"},
            "learner": "sklearn.sgd_classifier",
        },
        "test",
    )
    history = Experiment.from_config(config).run(20).history
    first, last = history.test_scores[0].mean(), history.test_scores[-1].mean()
    assert last > 0.8 > 0.5 > first


def test_an_experiment_file_gives_lists_and_needs_a_target(tmp_path: Path) -> None:
    data = {"name": "table", "path": iris_with_gaps(tmp_path), "ignore": ["size"]}
    values: dict[str, Any] = {"data": data, "learner": "sklearn.sgd_classifier", "learners": 3}
    with pytest.raises(ParameterError, match="needs the parameter 'target'"):
        Experiment.from_config(ExperimentConfig.from_mapping(values, "test"))
    data["target"] = "species"
    weights = Experiment.from_config(ExperimentConfig.from_mapping(values, "test")).weights
    assert weights["coef_"].shape == (3, 4)
