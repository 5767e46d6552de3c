"""``colearn compare``: a grid of experiments, played side by side, and what came of them."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from .options import adversaries_option, block_option, check_named, component_options, experiment_values

if TYPE_CHECKING:
    from ..comparing import Grid, PlannedRun
    from ..report.compare_tables import Results
    from ..workers import Finished, Task
    from .progress import Watch


@click.command(short_help="Run a grid of experiments, and compare what came of them.")
@click.argument("file", required=False, type=click.Path(dir_okay=False, path_type=Path), metavar="[GRID.toml]")
@click.option(
    "--vary", multiple=True, metavar="KEY=V,V,...", help="A key and its values: split.alpha=100,0.1 (repeatable)."
)
@click.option("--seeds", type=click.IntRange(1), metavar="N", help="Repeat everything with so many seeds.")
@click.option("--trainings", type=int, metavar="T", help="End each run after so many local trainings.")
@click.option("--rounds", type=int, metavar="R", help="End each run after so many rounds [50].")
@component_options
@adversaries_option
@click.option("--seed", type=int, metavar="K", help="The seed, or the first of them [0].")
@click.option(
    "--set", "settings", multiple=True, metavar="KEY=VALUE", help="Any setting, such as split.alpha=0.1 (repeatable)."
)
@click.option("--out", type=click.Path(file_okay=False, path_type=Path), help="Where it's kept [compare/NAME].")
@click.option("--jobs", type=click.IntRange(1), metavar="J", help="Runs at once, at most one per core [all cores].")
@click.option("--list", "only_list", is_flag=True, help="Tell the runs and which are done, and run nothing.")
@click.option("--parquet", is_flag=True, help="Write Parquet files besides CSV; needs pyarrow.")
@click.option("--json", "as_json", is_flag=True, help="Print the outcome as JSON on standard output.")
@block_option
def compare(
    file: Path | None,
    vary: tuple[str, ...],
    seeds: int | None,
    settings: tuple[str, ...],
    out: Path | None,
    jobs: int | None,
    only_list: bool,
    parquet: bool,
    as_json: bool,
    block: tuple[str, ...],
    **options: Any,
) -> None:
    """Run a grid of experiments: every combination of the values that some keys take.

    Give an experiment file with a table [vary], options, or both: options win. Finished runs are kept, one small
    file each: the same command continues where it was interrupted, and an edited grid runs only what is new.
    """
    from ..plugins import Plugins
    from ..report.compare_tables import Results, check_parquet
    from ..workers import Task
    from .progress import Watch

    if parquet:
        check_parquet()
    grid = _grid(file, vary, seeds, settings, options)
    runs = grid.runs(Plugins(block=block))
    folder = out or Path("compare") / _name(file, runs)
    tasks = [Task.of(run, folder / "runs", block) for run in runs]
    found = [task.finished() for task in tasks]
    if only_list:
        _list(Watch(), folder, Results(runs, found), as_json)
        return
    with _kept_in(folder, grid):
        _play(Watch(), folder, grid, runs, tasks, jobs, parquet, as_json)


def _grid(
    file: Path | None, vary: tuple[str, ...], seeds: int | None, settings: tuple[str, ...], options: dict[str, Any]
) -> Grid:
    from ..comparing import VARY, Grid, vary_option
    from ..errors import ConfigError

    if options["rounds"] is not None and options["trainings"] is not None:
        raise ConfigError("a budget is either --rounds or --trainings, not both")
    values = experiment_values(file, settings, options)
    for given, other in (("rounds", "trainings"), ("trainings", "rounds")):
        if options[given] is not None:
            values.pop(other, None)
    for key, value in options.items():
        if value is not None and isinstance(values.get(VARY), dict):
            values[VARY].pop(key, None)  # options win
    grid = Grid.of(values, str(file) if file is not None else "command line")
    for text in vary:
        grid = grid.varying(vary_option(text))
    check_named([*grid.base, *(axis.key for axis in grid.axes)])
    return grid.seeded(seeds) if seeds is not None else grid


def _name(file: Path | None, runs: list[PlannedRun]) -> str:
    config = runs[0].config
    if config.name is not None:
        return config.name
    return file.stem if file is not None else f"{config.data.name}-{config.learner.name.rpartition('.')[2]}"


@contextmanager
def _kept_in(folder: Path, grid: Grid) -> Iterator[None]:
    """Make the folder, with the grid as a file that repeats it."""
    from ..errors import ColearnError
    from ..ledger import write_atomically

    try:
        (folder / "runs").mkdir(parents=True, exist_ok=True)
        write_atomically(folder / "grid.toml", grid.to_toml().encode())
        yield
    except OSError as error:
        raise ColearnError(
            f"can't write a comparison in {folder}: {error.strerror}", hint="Choose another place with --out."
        ) from error


def _play(
    watch: Watch,
    folder: Path,
    grid: Grid,
    runs: list[PlannedRun],
    tasks: list[Task],
    jobs: int | None,
    parquet: bool,
    as_json: bool,
) -> None:
    from ..report.compare_page import save_page
    from ..report.compare_plot import save_comparison
    from ..report.compare_tables import Results, save_tables
    from ..workers import perform_all
    from .progress import Interrupts

    before = [task.finished() for task in tasks]
    # What failed is tried again: the cause may be gone. A run that two combinations share is played once.
    waiting = {t.file: t for t, f in zip(tasks, before, strict=True) if f is None or f.error is not None}
    titles = {task.file: run.title for task, run in zip(tasks, runs, strict=True)}
    cores = os.cpu_count() or 1
    jobs = min(jobs or cores, cores, max(1, len(waiting)))
    watch.say(_introduction(runs, len(waiting), jobs, folder))
    interrupted = False
    if waiting:
        ending = "Ending after the runs in progress"
        with Interrupts(watch, ending) as interrupts, watch.runs(len(waiting)) as on_run:
            with suppress(KeyboardInterrupt):
                perform_all(
                    waiting.values(),
                    jobs,
                    lambda task, error: on_run(titles[task.file], error),
                    lambda: interrupts.asked,
                )
            interrupted = interrupts.asked
    results = Results(runs, [task.finished() for task in tasks])
    if results.done:
        save_tables(results, folder, parquet)
        save_comparison(results, folder / "plot.png", title=folder.resolve().name)
        save_page(results, grid, folder, title=folder.resolve().name)
    _conclude(watch, folder, results, as_json)
    missing = sum(f is None for f in results.finished)
    if interrupted and missing:
        watch.say(
            f"Interrupted: {len(runs) - missing} of {len(runs)} runs are done and safe in {folder}. "
            "The same command continues."
        )
        raise SystemExit(130)
    if results.failures:
        raise SystemExit(1)


def _conclude(watch: Watch, folder: Path, results: Results, as_json: bool) -> None:
    from ..report.compare_tables import summary_table

    if as_json:
        click.echo(json.dumps(_outcome(folder, results), indent=2))
    elif results.done:
        watch.show(summary_table(results))
        watch.show(f"\nResults  {folder / 'results.csv'}, {folder / 'curves.csv'}")
        watch.show(f"Picture  {folder / 'plot.png'}")
        watch.show(f"Page     {folder / 'index.html'}")
    if results.failures:
        watch.say(f"{len(results.failures)} of {len(results.runs)} runs failed:")
        for run, error in results.failures:
            watch.say(f"  {run.title}: {error}")


def _outcome(folder: Path, results: Results) -> dict[str, Any]:
    return {
        "folder": str(folder),
        "runs": len(results.runs),
        "done": len(results.done),
        "failed": [{"run": run.title, "error": error} for run, error in results.failures],
        "summary": [series.summary() for series in results.series()],
    }


def _list(watch: Watch, folder: Path, results: Results, as_json: bool) -> None:
    states = [_state(f) for f in results.finished]
    if as_json:
        rows = [{**r.labels, "state": s, "run": r.digest} for r, s in zip(results.runs, states, strict=True)]
        click.echo(json.dumps({"folder": str(folder), "runs": rows}, indent=2))
        return
    for run, state in zip(results.runs, states, strict=True):
        watch.show(f"{state:8}{run.title or 'the experiment'}")
    watch.show(f"{len(results.runs)} runs, {len(results.done)} done, in {folder}")


def _state(finished: Finished | None) -> str:
    if finished is None:
        return "to do"
    return "done" if finished.error is None else "failed"


def _introduction(runs: list[PlannedRun], waiting: int, jobs: int, folder: Path) -> str:
    budget = runs[0].budget
    each = f"{budget.trainings} trainings each" if budget.trainings is not None else f"{budget.rounds} rounds each"
    if len({run.budget for run in runs}) > 1:
        each = "of several lengths"
    done = len(runs) - waiting
    return (
        f"{len(runs)} run{'s' * (len(runs) != 1)}, {each}, in {folder}"
        + (f"; {done} are done" if done else "")
        + (f"; {jobs} at once." if waiting else ".")
    )
