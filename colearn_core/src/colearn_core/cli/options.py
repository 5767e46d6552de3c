"""Options that several commands share."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path
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


COMPONENT_OPTIONS = (
    click.option("--data", metavar="NAME", help="Data set.", shell_complete=complete_component("datasets")),
    click.option("--learner", metavar="NAME", help="Kind of learner.", shell_complete=complete_component("learners")),
    click.option("--learners", type=int, metavar="N", help="Number of simulated parties [10]."),
    click.option(
        "--split", metavar="NAME", help="How data are divided [iid].", shell_complete=complete_component("splitters")
    ),
    click.option(
        "--proposals",
        metavar="NAME",
        help="Who proposes, and what is voted on [approval].",
        shell_complete=complete_component("proposal_strategies"),
    ),
    click.option(
        "--voting",
        metavar="NAME",
        help="Rule of the vote [majority].",
        shell_complete=complete_component("voting_policies"),
    ),
    click.option(
        "--runtime", metavar="NAME", help="Where it is computed [fused].", shell_complete=complete_component("runtimes")
    ),
)
"""What an experiment is made of, on the command line."""


def component_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command the options that name an experiment's components."""
    for option in reversed(COMPONENT_OPTIONS):
        command = option(command)
    return command


def experiment_values(file: Path | None, settings: Sequence[str], options: Mapping[str, Any]) -> dict[str, Any]:
    """What an experiment file says, changed by options, and these by settings."""
    from ..config import SECTIONS, read_toml, with_setting

    values = read_toml(file) if file is not None else {}
    for key, value in options.items():
        if value is not None:
            # Naming another component drops the parameters of the one in the file.
            same = key in SECTIONS and isinstance(values.get(key), dict) and values[key].get("name") == value
            if not same:
                values[key] = value
    for setting in settings:
        with_setting(values, setting)
    return values


def check_named(keys: Collection[str]) -> None:
    """Raise UsageError unless data and learner are among what is given."""
    for key in ("data", "learner"):
        if key not in keys:
            raise click.UsageError(f"Name the {key}: --{key} NAME, or an experiment file. Try `colearn components`.")


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
