"""``colearn verify``: is the model of a run what the votes made it?"""

from __future__ import annotations

import json
from pathlib import Path

import click

from .options import block_option


@click.command(short_help="Check that a run's model is what its votes made it.")
@click.argument("run", type=click.Path(path_type=Path))
@click.option("--json", "as_json", is_flag=True, help="Print what was found as JSON on standard output.")
@block_option
def verify(run: Path, as_json: bool, block: tuple[str, ...]) -> None:
    """Work everything out again from what a run, finished or not, has recorded.

    RUN is its folder, such as runs/digits-mlp_classifier-1. Checked are the chain of hashes and the seal of every
    line, the digests of all weights, who was to propose, that honest learners voted as their scores ask for, what the
    votes decide, what is in force, and that no learner spent more privacy than it may. No data are needed, and nothing
    is trained or scored again.

    Whatever is wrong first is named by round and field, with exit code 1. Somebody who writes a whole ledger anew can
    make it consistent: compare the head with that which the others know.
    """
    from dataclasses import asdict

    from ..plugins import Plugins
    from ..runs import RunFolder
    from ..verifying import verify as verified
    from .progress import Watch

    folder = RunFolder.open(run)
    watch = Watch()
    with watch.lines("round", folder.ledger_file.read_bytes().count(b"\n")) as on_line:
        found = verified(folder, Plugins(block=block), on_line)
    if as_json:
        click.echo(json.dumps({"run": str(run), **asdict(found)}, indent=2))
        return
    click.echo(
        f"{run} is as it was recorded: {found.rounds} rounds, {found.accepted} of them accepted, "
        f"{found.models} models, {found.votes} votes."
    )
    for what in found.left_out:
        click.echo(f"Note: {what}.")
    click.echo(f"Head  {found.head}")
