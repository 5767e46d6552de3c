"""Liar: proposes like everyone else, and lies in the vote."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Annotated, Literal

from .adversary import Adversary


@dataclass(frozen=True)
class Liar(Adversary):
    """Trains and proposes honestly, and votes as it's told to: by default the opposite of what its data say."""

    votes: Annotated[
        Literal["honest", "yes", "no", "opposite", "loyal"],
        "How it votes; loyal: for exactly the candidates that an accomplice has a part in",
    ] = field(default="opposite", kw_only=True)
