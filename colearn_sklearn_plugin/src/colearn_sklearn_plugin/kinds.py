"""What a column of a data frame can hold."""

from __future__ import annotations

import re
from typing import Any

import pandas as pd
from numpy.typing import NDArray

NUMBERS = ("integer", "integer-na", "floating", "mixed-integer-float", "decimal", "empty")
CATEGORIES = ("string", "boolean", "categorical")
DATES = ("datetime64", "datetime", "date")
"""The kinds as pandas infers them."""

_DATE = re.compile(r"(\d{4}[-/.]\d{1,2}[-/.]\d{1,2}|\d{1,2}[-/.]\d{1,2}[-/.](\d{2}|\d{4}))([T ]\d{1,2}:.*)?")


def holds_dates_as_text(column: pd.Series) -> bool:
    """Whether each value there is looks like a date."""
    found = column.dropna()
    text = pd.api.types.infer_dtype(found) == "string"
    return text and len(found) > 0 and all(map(_DATE.fullmatch, found))


def texts_of(column: pd.Series) -> NDArray[Any]:
    """Categories as text; what is missing stays missing."""
    texts: NDArray[Any] = column.astype(object).map(str, na_action="ignore").to_numpy(dtype=object)
    return texts
