"""Options that several commands share."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from click.shell_completion import CompletionItem

if TYPE_CHECKING:
    from ..config import ExperimentConfig


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


experiment_file = click.argument(
    "file", required=False, type=click.Path(dir_okay=False, path_type=Path), metavar="[EXPERIMENT.toml]"
)
data_option = click.option("--data", metavar="NAME", help="Data set.", shell_complete=complete_component("datasets"))
learners_option = click.option("--learners", type=int, metavar="N", help="Number of simulated parties [10].")
split_option = click.option(
    "--split", metavar="NAME", help="How data are divided [iid].", shell_complete=complete_component("splitters")
)
seed_option = click.option("--seed", type=int, metavar="K", help="Same seed, same result [0].")
set_option = click.option(
    "--set", "settings", multiple=True, metavar="KEY=VALUE", help="Any setting, such as split.alpha=0.1 (repeatable)."
)
block_option = click.option(
    "--block", multiple=True, metavar="PLUGIN", help="Leave this plugin out, before it is imported (repeatable)."
)


def config_of(
    file: Path | None, settings: Sequence[str], options: Mapping[str, Any], needed: Sequence[str]
) -> ExperimentConfig:
    """The experiment that a file, options and ``--set`` describe; later ones win.

    Args:
        options: by key of the experiment file; None where an option wasn't given.
        needed: keys that one of them must have named; what isn't needed may be left open.

    Raises:
        UsageError: one that's needed is missing, or something is wrong.
    """
    from ..config import SECTIONS, ExperimentConfig, read_toml, with_setting

    values = read_toml(file) if file is not None else {}
    for key, value in options.items():
        if value is not None:
            # Naming another component drops the parameters of the one in the file.
            same = key in SECTIONS and isinstance(values.get(key), dict) and values[key].get("name") == value
            if not same:
                values[key] = value
    for setting in settings:
        with_setting(values, setting)
    for key in needed:
        if key not in values:
            raise click.UsageError(f"Name the {key}: --{key} NAME, or an experiment file. Try `colearn components`.")
    return ExperimentConfig.from_mapping(values, str(file) if file is not None else "command line")
