"""``colearn plot``: the picture of a run."""

from __future__ import annotations

from pathlib import Path

import click


@click.command(short_help="Draw the scores and votes of a run.")
@click.argument("run", type=click.Path(path_type=Path))
@click.option(
    "--out",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Where to write it (.png, .svg or .pdf) [RUN/plot.png].",
)
def plot(run: Path, out: Path | None) -> None:
    """Draw the scores and votes of a run, finished or not, from its ledger.

    RUN is its folder, such as runs/digits-mlp_classifier-1.
    """
    from ..report.plot import save_picture
    from ..runs import RunFolder

    folder = RunFolder.open(run)
    target = out or folder.picture_file
    save_picture(folder.ledger().history(), target, title=run.resolve().name)
    click.echo(str(target))
