"""``colearn completion``: the script that completes commands and names in a shell."""

from __future__ import annotations

import click
from click.shell_completion import get_completion_class


@click.command()
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
def completion(shell: str) -> None:
    """Print a completion script. For bash, add to ~/.bashrc: eval "$(colearn completion bash)" """
    from . import main

    found = get_completion_class(shell)
    if found is None:
        raise click.UsageError(f"no completion for {shell}")
    click.echo(found(main, {}, "colearn", "_COLEARN_COMPLETE").source())
