"""The policies themselves; imported when an experiment needs one."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import Annotated

from annotated_types import Ge, Lt

from colearn_core import VotingPolicy
from colearn_core.errors import ParameterError


@dataclass(frozen=True)
class Margin(VotingPolicy):
    """Approvals must exceed rejections by more than a share of the votes cast."""

    margin: Annotated[float, Ge(0), Lt(1), "Share of the votes cast; 0 is a plain majority"] = 0.2

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 0 <= self.margin < 1:
            raise ParameterError(f"margin must lie between 0 and 1, without 1, not {self.margin}")

    def passes(self, approvals: int, cast: int) -> bool:
        rejections = cast - approvals
        # In doubles 0.29 * 100 is a little less than 29, and a lead of 29 votes of 100 would be enough.
        return approvals - rejections > Fraction(str(self.margin)) * cast
