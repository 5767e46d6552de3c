"""A faulty component, and which checks of the kit notice it."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

from colearn_core.testing.kit import verdicts


@dataclass(frozen=True)
class Mutant:
    """A component with one fault planted in it.

    Attributes:
        name: what it is called in the table.
        kind: as in ``KINDS``, or ``plugins``.
        fault: what is wrong with it, in a few words.
        subject: what the kit is given.
        origin: where the fault has been seen, if anywhere.
        survives: why no check can notice it; None when one must.
    """

    name: str
    kind: str
    fault: str
    subject: Any
    origin: str = ""
    survives: str | None = None

    @cached_property
    def killers(self) -> list[str]:
        """The checks that fail on it."""
        return self.examine()

    def examine(self) -> list[str]:
        """Run all checks, and name those that fail."""
        return [v.check.name for v in verdicts(self.kind, self.subject) if v.failure is not None]
