"""Components: what a plugin offers, named before anything is imported."""

from __future__ import annotations

from dataclasses import dataclass
from importlib import import_module
from typing import Any

from .errors import PluginError

KINDS = {
    "learners": "learner",
    "voting_policies": "voting policy",
    "splitters": "splitter",
    "proposal_strategies": "proposal strategy",
    "datasets": "data set",
    "ledgers": "ledger",
    "runtimes": "runtime",
    "adversaries": "adversary",
}
"""Every kind of component, as in the hook ``colearn_<kind>``, and what one of them is called."""


@dataclass(frozen=True)
class Component:
    """One implementation that a plugin offers.

    Attributes:
        name: the name in experiment files; it begins with the plugin's name and a dot.
        target: where it is, as ``"package.module:attribute"``.
        summary: what it is, in a line.
    """

    name: str
    target: str
    summary: str = ""

    def load(self) -> Any:
        """Import the implementation: the only place where a plugin's ML framework gets imported.

        Raises:
            PluginError: the import fails; the message names the target.
        """
        module, _, attribute = self.target.partition(":")
        try:
            return getattr(import_module(module), attribute)
        except (Exception, SystemExit) as error:  # a backend that is broken or missing may raise anything
            raise PluginError(
                f"component {self.name!r} can't be loaded from {self.target!r}: {type(error).__name__}: {error}"
            ) from error
