"""``colearn split``: see how a splitter divides data before anything learns from them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from .options import block_option, check_named, complete_component, experiment_values

if TYPE_CHECKING:
    from ..config import ExperimentConfig
    from ..division import Division


@click.command(short_help="Show how data are divided among learners.")
@click.argument("file", required=False, type=click.Path(dir_okay=False, path_type=Path), metavar="[EXPERIMENT.toml]")
@click.option("--data", metavar="NAME", help="Data set.", shell_complete=complete_component("datasets"))
@click.option(
    "--split", metavar="NAME", help="How data are divided [iid].", shell_complete=complete_component("splitters")
)
@click.option("--learners", type=int, metavar="N", help="Number of simulated parties [10].")
@click.option("--seed", type=int, metavar="K", help="Same seed, same division [0].")
@click.option(
    "--set", "settings", multiple=True, metavar="KEY=VALUE", help="Any setting, such as split.alpha=0.1 (repeatable)."
)
@click.option(
    "--out",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Draw it into this file too (.png, .svg or .pdf).",
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON instead of a table.")
@block_option
def split(
    file: Path | None,
    settings: tuple[str, ...],
    out: Path | None,
    as_json: bool,
    block: tuple[str, ...],
    **options: Any,
) -> None:
    """Show how data are divided among learners: their sizes and classes, and how far each is from the whole.

    Give an experiment file, options, or both: options win. What is shown is exactly what `colearn run` will use
    with the same settings and seed.
    """
    from ..config import prepare
    from ..division import Division
    from ..plugins import Plugins
    from ..report.split_plot import save_division

    config = _config(file, settings, options)
    prepared = prepare(config, Plugins(block=block))
    division = Division.of(prepared.dataset, prepared.parts)
    parameters = ", ".join(f"{key} {value}" for key, value in config.split.parameters.items())
    title = f"{prepared.dataset.name}, {config.learners} learners, {config.split.name} {parameters}".strip()
    if out is not None:
        save_division(division, out, title)
    if as_json:
        about = {"data": prepared.dataset.name, "split": config.split.model_dump(), "seed": config.seed}
        click.echo(json.dumps(about | division.summary(), indent=2))
        return
    _show(division, title, out)


def _config(file: Path | None, settings: tuple[str, ...], options: dict[str, Any]) -> ExperimentConfig:
    from ..config import ExperimentConfig

    values = experiment_values(file, settings, options)
    values.setdefault("learner", "softmax")  # a division needs none, an experiment does
    check_named(values)
    return ExperimentConfig.from_mapping(values, str(file) if file is not None else "command line")


def _show(division: Division, title: str, out: Path | None) -> None:
    from ..report.split_table import division_table
    from .progress import Watch

    watch = Watch()
    watch.show(division_table(division, title))
    watch.show(
        "Distance: the share of its samples that a learner would have to exchange to have classes like the whole."
    )
    if out is not None:
        watch.show(f"Picture  {out}")
