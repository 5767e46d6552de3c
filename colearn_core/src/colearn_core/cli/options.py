"""Options that several commands share."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import click
from click.shell_completion import CompletionItem

block_option = click.option(
    "--block", multiple=True, metavar="PLUGIN", help="Leave this plugin out, before it is imported (repeatable)."
)


def complete_component(kind: str | None = None) -> Callable[[Any, Any, str], list[CompletionItem]]:
    """Shell completion of component names, of one kind or of all."""

    def complete(_: click.Context, __: click.Parameter, incomplete: str) -> list[CompletionItem]:
        from ..components import KINDS
        from ..plugins import Plugins

        loaded = Plugins()
        return [
            CompletionItem(name, help=component.summary)
            for k in ([kind] if kind else KINDS)
            for name, (_, component) in loaded.components(k).items()
            if name.startswith(incomplete)
        ]

    return complete


def _sections(_: click.Context, __: click.Parameter, texts: tuple[str, ...]) -> list[dict[str, Any]] | None:
    """The sections of an experiment file that the texts stand for; None without any."""
    if not texts:
        return None
    from ..config import adversary_option

    return [adversary_option(text) for text in texts]


adversaries_option = click.option(
    "--adversaries",
    multiple=True,
    metavar="NAME[:WHO]",
    callback=_sections,
    help="Learners that cheat or fail: how many, or a share, such as sign_flip:0.3 (repeatable).",
    shell_complete=complete_component("adversaries"),
)
