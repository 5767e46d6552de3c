"""Your own data: a CSV or Parquet file with a target column."""

from __future__ import annotations

import tomllib
import warnings
import zlib
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

import pandas as pd
from pandas.errors import EmptyDataError, ParserError, ParserWarning

from colearn_core.data import Dataset
from colearn_core.errors import DataError, ParameterError

from .aside import Aside
from .frames import Categories, Ignore, Missing, Standardize, Statistics, TaskName, dataset_of

SEPARATORS = {".csv": ",", ".csv.gz": ",", ".tsv": "\t"}


def table(
    path: Annotated[str, "A .csv, .csv.gz, .tsv or .parquet file; relative to the working directory"],
    target: Annotated[str, "The column to predict"],
    task: TaskName = "auto",
    ignore: Ignore = (),
    aside: Aside = (),
    standardize: Standardize = True,
    missing: Missing = "fill",
    categories: Categories = "one_hot",
    statistics: Annotated[
        str | None, "TOML file with [mean] and [deviation] of each column of numbers, instead of each learner's own"
    ] = None,
) -> Dataset:
    """A CSV or Parquet file in which each row is a sample.

    All columns but the target and those ignored or set aside are features; how they are read, and which targets
    make classes, is told at ``frames.dataset_of``. CSV files are UTF-8 with a header. A regression's
    target may have statistics too, and is then scaled like a feature.

    Raises:
        DataError: a file can't be read, or holds what can't be learned from.
        ParameterError: the file's kind isn't known, or it has no such column.
    """
    file = Path(path).expanduser()
    given = None if statistics is None else read_statistics(Path(statistics).expanduser())
    frame = _read(file)
    _check_header(frame, file, (*ignore, *aside))
    data = dataset_of(
        frame,
        target,
        path,
        task=task,
        ignore=ignore,
        aside=aside,
        standardize=standardize,
        missing=missing,
        categories=categories,
        statistics=given,
    )
    return replace(data, name=file.name)  # the whole path is for messages, not for titles


def read_statistics(path: Path) -> Statistics:
    """Read a TOML file with the tables ``[mean]`` and ``[deviation]``: a number per column.

    Raises:
        DataError: it can't be read or has another form.
    """
    hint = "It holds two tables, [mean] and [deviation], with a number for each column of numbers."
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise DataError(f"can't read the statistics {path}: {error.strerror}", hint=_whereabouts(path)) from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise DataError(f"the statistics {path} are no valid TOML: {error}", hint=hint) from error
    if set(content) != {"mean", "deviation"} or not all(isinstance(part, dict) for part in content.values()):
        raise DataError(f"the statistics {path} hold {', '.join(content) or 'nothing'}", hint=hint)
    for part, values in content.items():
        for column, value in values.items():
            if isinstance(value, bool) or not isinstance(value, int | float):
                raise DataError(f"[{part}] in {path}: {column} = {value!r} is no number", hint=hint)
    return Statistics(str(path), content["mean"], content["deviation"])


def _read(path: Path) -> pd.DataFrame:
    separator = next((s for ending, s in SEPARATORS.items() if path.name.lower().endswith(ending)), None)
    if separator is None and path.suffix.lower() != ".parquet":
        raise ParameterError(
            f"path = {str(path)!r} has an unknown ending", hint="Known: .csv, .csv.gz, .tsv, .parquet."
        )
    try:
        if not path.stat().st_size:
            raise DataError(f"{path} is empty (0 bytes)")
        return pd.read_parquet(path, engine="pyarrow") if separator is None else _read_text(path, separator)
    except FileNotFoundError as error:
        raise DataError(f"there's no file {path}", hint=_whereabouts(path)) from error
    except ImportError as error:
        raise DataError(
            f"{path} is a Parquet file, which needs pyarrow ({error})",
            hint="pip install colearn-sklearn-plugin[parquet]",
        ) from error
    except EmptyDataError as error:
        raise DataError(f"{path} is empty: it has no header", hint="The first line must name the columns.") from error
    except (OSError, EOFError, zlib.error, ValueError, ParserWarning) as error:
        raise DataError(f"can't read {path}: {_reason(error)}", hint=_advice(error)) from error


def _read_text(path: Path, separator: str) -> pd.DataFrame:
    form: dict[str, Any] = {"sep": separator, "skipinitialspace": True}
    header = pd.read_csv(path, header=None, nrows=1, dtype=str, keep_default_na=False, **form).iloc[0]
    if header.duplicated().any():  # pandas would rename the second, and a copy of the target be a feature
        raise DataError(
            f"{path} has more than one column {header[header.duplicated()].iloc[0]!r}", hint="Rename one of them."
        )
    with warnings.catch_warnings():
        warnings.simplefilter("error", ParserWarning)  # else a row's surplus fields are lost
        return pd.read_csv(path, index_col=False, low_memory=False, **form)


def _check_header(frame: pd.DataFrame, path: Path, no_features: tuple[str, ...]) -> None:
    """Refuse two slips that pandas lets pass: another separator, and an index saved as a column."""
    first = str(frame.columns[0]) if len(frame.columns) else ""
    if len(frame.columns) == 1 and any(sign in first for sign in ";\t|,"):
        raise DataError(
            f"{path} has a single column, {first!r}: another separator was expected",
            hint="Separate fields by a comma in .csv, by a tab in .tsv.",
        )
    if first == "Unnamed: 0" and first not in no_features:
        raise DataError(
            f"the first column of {path} has no name; is it the row's number?",
            hint="Row numbers give the order away, and so often the class: set ignore to ['Unnamed: 0'], or name it.",
        )


def _reason(error: Any) -> str:
    return str(getattr(error, "strerror", None) or error).strip()


def _advice(error: Exception) -> str | None:
    if isinstance(error, UnicodeDecodeError):
        return "Save it as UTF-8."
    if isinstance(error, ParserError | ParserWarning):
        return "All rows must have as many fields as the header; put a field that holds the separator in quotes."
    return None


def _whereabouts(path: Path) -> str:
    return f"The working directory is {Path.cwd()}." if not path.is_absolute() else "Check the path."
