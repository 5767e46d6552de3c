"""Columns that are no features but told to splitters: where each sample came from, or when."""

from __future__ import annotations

import re
from typing import Annotated, Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from colearn_core.errors import DataError

from .kinds import CATEGORIES, DATES, NUMBERS, holds_dates_as_text, texts_of

Array = NDArray[Any]
Aside = Annotated[
    tuple[str, ...], "Columns that are no features but that splitters can go by: a hospital, a patient, a date"
]
DAY_AND_MONTH = re.compile(r"(\d{1,2})[-/.](\d{1,2})[-/.]")


def column_of(column: pd.Series, name: str) -> Array:
    """A value for each row: numbers (NaN where missing), dates (NaT), or text ("").

    Text in which every value is a date becomes dates. A day before or after its month is told apart by a number
    above 12 somewhere in the column.

    Raises:
        DataError: it holds something else, or dates that can be read in two ways; the message says ``name``.
    """
    where = f"column {column.name!r} of {name}"
    inferred = pd.api.types.infer_dtype(column, skipna=True)
    found = column.dropna()
    if inferred in DATES:
        return _dates(column, where)
    if holds_dates_as_text(column):
        year_last = column.str.match(DAY_AND_MONTH, na=False)
        parsed = _dates(column.where(~year_last), where)
        if year_last.any():
            day_first = _day_first(column[year_last], where)
            parsed = np.where(year_last, _dates(column.where(year_last), where, dayfirst=day_first), parsed)
        return parsed
    if inferred in NUMBERS:
        values: Array = column.to_numpy(dtype=np.float64, na_value=np.nan)
        return values
    if inferred in CATEGORIES:
        texts = pd.Series(texts_of(column), dtype=object)
        return np.asarray(texts.where(texts.notna(), "").to_numpy(dtype=str))
    raise DataError(
        f"{where} holds values of type {inferred!r}, such as {found.iloc[0]!r}",
        hint="Splitters go by numbers, dates or text.",
    )


def _dates(column: pd.Series, where: str, dayfirst: bool = False) -> Array:
    try:
        parsed = pd.to_datetime(column, utc=True, format="mixed", dayfirst=dayfirst)
        dates: Array = parsed.dt.tz_localize(None).to_numpy(dtype="datetime64[us]")
    except (ValueError, OverflowError) as error:
        raise DataError(f"{where} holds dates, one of which is none: {error}") from error
    return dates


def _day_first(texts: pd.Series, where: str) -> bool:
    """Whether 1/2/2026 is in February.

    Raises:
        DataError: nothing tells.
    """
    numbers = texts.str.extract(DAY_AND_MONTH).astype(int)
    day_first, month_first = (bool((numbers[i] > 12).any()) for i in (0, 1))
    if day_first == month_first:
        raise DataError(
            f"{where} holds dates such as {texts.iloc[0]!r}, "
            + ("of both orders of day and month" if day_first else "in which day and month can't be told apart"),
            hint="Write dates as 2026-02-01.",
        )
    return day_first
