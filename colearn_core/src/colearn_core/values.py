"""Values: dataclasses that are frozen, and made anew where something changes."""

from __future__ import annotations

from copy import copy
from typing import Any, TypeVar

Value = TypeVar("Value")


def changed(value: Value, **fields: Any) -> Value:
    """A copy with other fields, also such as aren't parameters, which ``dataclasses.replace`` refuses to set."""
    other = copy(value)
    for name, field in fields.items():
        object.__setattr__(other, name, field)
    return other
