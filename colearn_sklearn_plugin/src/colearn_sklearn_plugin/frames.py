"""From a data frame to a data set: what its columns mean, and how each learner prepares its own part."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from difflib import get_close_matches
from typing import Annotated, Any, Literal, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.impute import SimpleImputer
from sklearn.preprocessing import StandardScaler

from colearn_core.data import Dataset, Samples, Task, Transform
from colearn_core.errors import DataError, ParameterError

from .aside import column_of
from .kinds import CATEGORIES, NUMBERS, holds_dates_as_text, texts_of

Array = NDArray[Any]
TaskName = Annotated[
    Literal["auto", "classification", "regression"],
    "auto: classes if the target is text, or whole numbers with at most 20 different values; else a regression",
]
Ignore = Annotated[tuple[str, ...], "Columns to leave out"]
Missing = Annotated[
    Literal["fill", "keep"], "Missing numbers: fill them in, or keep them as NaN, which only learners of trees can take"
]
Categories = Annotated[
    Literal["one_hot", "codes"],
    "A categorical column as a 0/1 column for each category, or as one column of codes, for learners of trees",
]
Standardize = Annotated[bool, "Shift and scale features by each learner's own training statistics"]

MOST_WHOLE_CLASSES = 20
MOST_CATEGORIES = 1000
LARGEST = 1e150
"""Beyond it a number's square, and so its column's variance, can be infinite."""

NEVER_FEATURES = (
    "A column of numbers or of categories can be learned from; leave others out with `ignore`, "
    "or with `aside` for splitters to go by."
)


@dataclass(frozen=True)
class Statistics:
    """Means and standard deviations of columns, by name, that the group agreed on; ``source`` is for messages."""

    source: str
    mean: Mapping[str, float]
    deviation: Mapping[str, float]


def dataset_of(
    frame: pd.DataFrame,
    target: str,
    name: str,
    *,
    task: Literal["auto", "classification", "regression"] = "auto",
    ignore: Sequence[str] = (),
    aside: Sequence[str] = (),
    standardize: bool = True,
    missing: Literal["fill", "keep"] = "fill",
    categories: Literal["one_hot", "codes"] = "one_hot",
    statistics: Statistics | None = None,
) -> Dataset:
    """A data set with the target in one column and the features in all others that aren't ignored or set aside.

    Features are the columns of numbers, in their order, then one 0/1 column for each category of each
    categorical column (text, truth values, pandas categories); its name is ``column=category``. The
    categories are those of the whole frame, sorted as text: they are part of what the group agrees on, like
    the names of the columns. A missing category is 0 in all of them. With ``codes`` a categorical column is
    one column of category numbers instead, NaN where it's missing, and ``Task.categorical`` tells which.

    A missing number is NaN until a learner fills it in with the median of its own training part, or the
    mean in ``statistics``; with ``keep`` it stays NaN. Without any number in its training part a learner
    takes the column as 0 when it standardises.

    A target without missing values is turned into classes if it is categorical, or if it is whole
    numbers of which at most 20 are different, each twice on average or more; else it is a regression.
    Classes are sorted: whole numbers by value, others as text.

    Columns that are set aside are offered to splitters: see ``aside.column_of``.

    Raises:
        DataError: the frame can't be learned from; the message names ``name`` and the column.
        ParameterError: a column or a task is asked for that the frame doesn't have.
    """
    frame = frame.rename(columns=str)
    _check_columns(frame, target, {"ignore": ignore, "set aside": aside}, name)
    features = frame.drop(columns=[target, *ignore, *aside])
    y, classes = _target(frame[target], task, name)
    kinds = {column: _kind(features[column], name) for column in features}
    numbers = [column for column, kind in kinds.items() if kind == "number"]
    others = [_coded(features[column], name) for column, kind in kinds.items() if kind == "category"]
    columns = [
        *(Columns((column,), _numbers(features[column], name)[:, None]) for column in numbers),
        *(coded if categories == "codes" else coded.one_hot() for coded in others),
    ]
    x = np.concatenate([*(c.values for c in columns), np.empty((len(frame), 0))], axis=1)
    if np.isnan(x).all():  # no columns, or only empty ones
        without = f" and {', '.join(map(repr, (*ignore, *aside)))}" if ignore or aside else ""
        raise DataError(f"{name} has no feature left without the target {target!r}{without}")
    if statistics is not None:
        _check_statistics(statistics, numbers, [] if classes else [target])
        if target in statistics.mean:
            y = _given([target], statistics)(y[:, None])[:, 0]
    keep = missing == "keep"
    fills = not keep and bool(np.isnan(x[:, : len(numbers)]).any())
    needed = bool(numbers) and (standardize or fills)
    prepare = _preparation(numbers, standardize, keep, statistics) if needed else None
    codes = range(len(numbers), len(numbers) + len(others)) if categories == "codes" else ()
    described = Task(classes, tuple(feature for c in columns for feature in c.names), tuple(codes))
    return Dataset(name, Samples(x, y), described, prepare, {c: column_of(frame[c], name) for c in aside})


@dataclass(frozen=True)
class Preparation:
    """Fills in and scales the columns of numbers, which come first; the others stay as they are.

    What is to stay missing is filled in with NaN.
    """

    fill: Array
    mean: Array
    deviation: Array

    def __call__(self, x: Array) -> Array:
        numbers, rest = np.split(x, [len(self.fill)], axis=1)
        filled = np.where(np.isnan(numbers), self.fill, numbers)
        return np.concatenate([(filled - self.mean) / self.deviation, rest], axis=1)


def _preparation(
    numbers: Sequence[str], standardize: bool, keep: bool, statistics: Statistics | None
) -> Callable[[Array], Transform]:
    if statistics is None:
        return lambda train: _own(train[:, : len(numbers)], standardize, keep)
    given = _given(numbers, statistics)
    if not standardize:
        given = Preparation(given.fill, np.zeros(len(numbers)), np.ones(len(numbers)))
    if keep:
        given = replace(given, fill=np.full(len(numbers), np.nan))
    return lambda train: given


def _own(train: Array, standardize: bool, keep: bool) -> Preparation:
    """From the numbers that a learner trains on; those that stay missing don't count."""
    empty = np.isnan(train).all(axis=0)
    if keep:
        fill, known = np.full(train.shape[1], np.nan), np.where(empty, 0.0, train)
    else:
        imputer = SimpleImputer(strategy="median", keep_empty_features=True).fit(train)
        fill, known = imputer.statistics_, imputer.transform(train)
    if not standardize:
        return Preparation(fill, np.zeros_like(fill), np.ones_like(fill))
    scaler = StandardScaler().fit(known)
    # What has no training value has no scale: its values elsewhere become 0, since raw they could be huge.
    return Preparation(fill, scaler.mean_, np.where(empty, np.inf, scaler.scale_))


def _given(columns: Sequence[str], statistics: Statistics) -> Preparation:
    mean = np.array([statistics.mean[column] for column in columns], dtype=np.float64)
    deviation = np.array([statistics.deviation[column] for column in columns], dtype=np.float64)
    return Preparation(mean, mean, np.where(deviation > 0, deviation, 1.0))


def _check_columns(frame: pd.DataFrame, target: str, out: Mapping[str, Sequence[str]], name: str) -> None:
    """``out``: columns that are to be no features, by what is to be done with them."""
    columns = list(frame.columns)
    if not frame.columns.is_unique:
        twice = frame.columns[frame.columns.duplicated()][0]
        raise DataError(f"{name} has more than one column {twice!r}", hint="Rename one of them.")
    if not len(frame):
        raise DataError(f"{name} has no rows, only the columns {_listing(columns)}")
    if target not in columns:
        raise ParameterError(f"{name} has no target column {target!r}", hint=_known(target, columns))
    for what, listed in out.items():
        for column in listed:
            if column not in columns:
                raise ParameterError(f"{name} has no column {column!r} to {what}", hint=_known(column, columns))
    if target in out["ignore"]:
        raise ParameterError(f"{name}: the target {target!r} can't be ignored")
    if target in out["set aside"]:
        raise ParameterError(
            f"{name}: the target {target!r} can't be set aside", hint='Splitters can go by it as column = "target".'
        )
    both = sorted({*out["ignore"]} & {*out["set aside"]})
    if both:
        raise ParameterError(f"{name}: {_listing(both)} can't be both ignored and set aside")


def _check_statistics(statistics: Statistics, numbers: Sequence[str], more: Sequence[str]) -> None:
    """All columns of numbers must have statistics; ``more`` (the target of a regression) may have them."""
    for part, values in (("mean", statistics.mean), ("deviation", statistics.deviation)):
        where = f"[{part}] in {statistics.source}"
        wanted = [*numbers, *(column for column in more if column in {*statistics.mean, *statistics.deviation})]
        missing = [column for column in wanted if column not in values]
        if missing:
            raise DataError(
                f"{where} lacks {_listing(missing)}", hint=f"It needs all columns of numbers: {_listing(wanted)}."
            )
        for column, value in values.items():
            if column not in wanted:
                raise DataError(
                    f"{where} has {column!r}, which is no feature of numbers", hint=_known(column, [*numbers, *more])
                )
            if not np.isfinite(value) or (part == "deviation" and value < 0):
                raise DataError(f"{where}: {column} = {value} is no {part}", hint="0 stands for a constant column.")


def _target(column: pd.Series, task: str, name: str) -> tuple[Array, tuple[str, ...]]:
    """Class numbers and the names of the classes; or values and no names."""
    where = f"target {column.name!r} of {name}"
    if column.isna().any():
        raise DataError(
            f"{where} has no value in {_rows(column.isna())}",
            hint="Fill them in or delete the rows; empty fields, NA, None and null count as missing.",
        )
    categorical = _kind(column, name, "The target must be numbers or categories.") == "category"
    if task == "regression" and categorical:
        column = _parsed(column, where)
        categorical = False
    values = texts_of(column) if categorical else _numbers(column, name)
    distinct, numbers = np.unique(values, return_inverse=True)
    if len(distinct) == 1:
        raise DataError(
            f"{where} is {_class_name(distinct[0])!r} in all {len(column)} rows, so there's nothing to learn"
        )
    if task == "auto":
        whole = not categorical and bool((values == np.round(values)).all())
        few = len(distinct) <= min(MOST_WHOLE_CLASSES, len(column) / 2)
        task = "classification" if categorical or (whole and few) else "regression"
    if task == "regression":
        return values, ()
    if len(distinct) > MOST_CATEGORIES:
        raise DataError(
            f"{where} has {len(distinct)} different values, more than the {MOST_CATEGORIES} classes that are possible",
            hint="Is it the right column? Set task to 'regression' if it's a quantity.",
        )
    return numbers.astype(np.int64), tuple(map(_class_name, distinct))


def _kind(column: pd.Series, name: str, hint: str = NEVER_FEATURES) -> Literal["number", "category"]:
    """How a column is read.

    Raises:
        DataError: it holds something else: dates, bytes, lists, a mixture.
    """
    where = f"column {column.name!r} of {name}"
    inferred = pd.api.types.infer_dtype(column, skipna=True)
    found = column.dropna()
    if inferred in NUMBERS:
        return "number"
    if inferred not in CATEGORIES:
        raise DataError(f"{where} holds values of type {inferred!r}, such as {found.iloc[0]!r}", hint=hint)
    if holds_dates_as_text(column):
        raise DataError(f"{where} holds dates, such as {found.iloc[0]!r}", hint=hint)
    return "category"


def _numbers(column: pd.Series, name: str) -> Array:
    values: Array = column.to_numpy(dtype=np.float64, na_value=np.nan)
    infinite = np.abs(values) > LARGEST
    if infinite.any():
        raise DataError(
            f"column {column.name!r} of {name} is infinite or beyond {LARGEST:g} in {_rows(infinite)}",
            hint="Replace these values, or leave them empty if they are unknown.",
        )
    return values


class Columns(NamedTuple):
    """Features that come of one column of the frame: their names, and values of shape ``(rows, names)``."""

    names: tuple[str, ...]
    values: Array
    categories: tuple[str, ...] = ()
    """What codes stand for, if the values are codes."""

    def one_hot(self) -> Columns:
        """A 0/1 column for each category instead of one of codes."""
        names = tuple(f"{self.names[0]}={category}" for category in self.categories)
        return Columns(names, (self.values == np.arange(len(names))).astype(np.float64))


def _coded(column: pd.Series, name: str) -> Columns:
    texts = pd.Series(texts_of(column), index=column.index, name=column.name, dtype=object)
    different = texts.nunique()
    if different > MOST_WHOLE_CLASSES:
        _check_not_spoilt(texts, name)
    if different > MOST_CATEGORIES:
        raise DataError(
            f"column {column.name!r} of {name} has {different} different texts, such as {texts.dropna().iloc[0]!r}; "
            f"{MOST_CATEGORIES} categories are possible",
            hint="Names and free text can't be learned from; leave the column out with `ignore`.",
        )
    found = texts.notna().to_numpy()
    categories, numbers = np.unique(texts[found].to_numpy(dtype=object), return_inverse=True)
    codes = np.full((len(texts), 1), np.nan)
    codes[found, 0] = numbers
    return Columns((str(column.name),), codes, tuple(categories))


def _check_not_spoilt(texts: pd.Series, name: str) -> None:
    """Refuse numbers that were read as text because a few fields say "?" or the like.

    As categories they would be learned from without any complaint, and badly.
    """
    stray = texts.notna() & pd.to_numeric(texts, errors="coerce").isna()
    if stray.sum() < texts.notna().sum() / 2:
        raise DataError(
            f"column {texts.name!r} of {name} is numbers but for {texts[stray].iloc[0]!r} in {_rows(stray)}",
            hint="Leave a field empty (or write NA) where a number is missing; or leave the column out with `ignore`.",
        )


def _parsed(column: pd.Series, where: str) -> pd.Series:
    """Categories that are numbers in truth (truth values, or openml's nominal integers)."""
    texts = column.astype(object)
    values = pd.to_numeric(texts, errors="coerce")
    if values.isna().any():
        raise ParameterError(
            f"{where} has values that are no numbers, such as {texts[values.isna()].iloc[0]!r}",
            hint="Set task to 'classification'.",
        )
    return values.astype(np.float64)


def _class_name(value: Any) -> str:
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)


def _rows(which: Any) -> str:
    """``3 of 150 rows (7, 12 and 90)``, counted from 1 without the header."""
    found = (np.flatnonzero(np.asarray(which)) + 1).tolist()
    first = ", ".join(map(str, found[:5])) + (", ..." if len(found) > 5 else "")
    return f"{len(found)} of {len(which)} rows ({first}; the first below the header is 1)"


def _known(name: str, columns: Sequence[str]) -> str:
    spellings = {column.lower(): column for column in columns}
    close = get_close_matches(name.lower(), spellings, n=1)
    return (f"Did you mean {spellings[close[0]]!r}? " if close else "") + f"Columns: {_listing(columns)}."


def _listing(columns: Iterable[str], most: int = 20) -> str:
    names = [repr(column) for column in columns]
    more = f", ... ({len(names) - most} more)" if len(names) > most else ""
    return (", ".join(names[:most]) + more) or "none"
