"""``colearn new-plugin``: a distribution to begin with."""

from __future__ import annotations

from pathlib import Path

import click

KINDS = ("learner", "voting-policy", "splitter", "proposal-strategy", "dataset", "adversary")


@click.command("new-plugin", short_help="Write a small, complete plugin to begin with.")
@click.argument("name")
@click.option("--kind", type=click.Choice(KINDS), required=True, help="What the plugin offers.")
@click.option(
    "--out", type=click.Path(file_okay=False, path_type=Path), default=Path(), help="Where its folder goes [here]."
)
def new_plugin(name: str, kind: str, out: Path) -> None:
    """Write the distribution colearn-NAME-plugin: package, tests on the conformance kit, README and CI.

    It works and is green at once; make it yours from there.
    """
    import shlex

    from ..plugins import installed
    from ..scaffold import write_plugin

    written = write_plugin(name, kind, out)
    click.echo(f"Wrote {written.folder}. Next:")
    click.echo(f'  pip install -e "{_shown(written.folder)}[test]"')
    click.echo(f"  pytest {shlex.quote(str(written.folder))}")
    click.echo(f"  colearn check {written.plugin}")
    click.echo(f"  {written.run}")
    for info in installed():
        if info.name == written.plugin and info.distribution != written.distribution:
            click.echo(f"Note: {info.distribution} is installed and has the same name; only one can be used.", err=True)


def _shown(folder: Path) -> str:
    """A path that pip doesn't take for the name of a distribution."""
    return str(folder) if folder.is_absolute() else f"./{folder}"
