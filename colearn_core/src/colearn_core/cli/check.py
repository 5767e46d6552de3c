"""``colearn check``: the conformance kit on installed components and plugins."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import click

from .options import block_option, complete_component

if TYPE_CHECKING:
    from ..plugins import Plugins
    from ..testing.kit import Verdict


@dataclass(frozen=True)
class _Target:
    """Something to check; its subject is made when its turn comes, since that imports the implementation."""

    title: str
    kind: str
    subject: Callable[[], Any]


@click.command(short_help="Check that components keep their contract.")
@click.argument("names", nargs=-1, required=True, metavar="NAME...", shell_complete=complete_component())
@click.option(
    "--set", "settings", multiple=True, metavar="KEY=VALUE", help="A parameter of the component (repeatable)."
)
@click.option("--data", metavar="NAME", help="Data set for a learner [the kit's own].")
@click.option("--learners", type=int, default=5, metavar="N", help="Among how many a splitter divides data [5].")
@click.option("--why", is_flag=True, help="Say at each failure what it breaks in a collective.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON instead of lines.")
@block_option
@click.pass_context
def check(
    ctx: click.Context,
    names: tuple[str, ...],
    settings: tuple[str, ...],
    data: str | None,
    learners: int,
    why: bool,
    as_json: bool,
    block: tuple[str, ...],
) -> None:
    """Run the conformance kit on a component, or on a plugin (or the core) and all that it offers.

    Each check prints a line; the exit code is 1 if any fails. Components that can't do without a parameter are
    checked by name, with --set.
    """
    from ..plugins import Plugins
    from ..testing.kit import verdicts

    plugins = Plugins(block=block)
    targets = [t for name in names for t in _targets(plugins, name, settings, data, learners)]
    rows: list[dict[str, Any]] = []
    for target in targets:
        if not as_json:
            click.echo(click.style(target.title, bold=True))
        subject = target.subject()
        said = None
        for verdict in verdicts(target.kind, subject):
            rows.append({"name": target.title, "check": verdict.check.name, "failure": verdict.failure})
            if verdict.error is not None and ctx.find_root().params.get("debug"):
                raise verdict.error
            if not as_json:
                _print(verdict, why, repeated=verdict.failure == said)
            said = verdict.failure
    failed = sum(row["failure"] is not None for row in rows)
    if as_json:
        click.echo(json.dumps(rows, indent=2))
    else:
        click.echo(f"{len(rows) - failed} of {len(rows)} checks passed")
    if failed:
        raise SystemExit(1)


def _targets(
    plugins: Plugins, name: str, settings: tuple[str, ...], data: str | None, learners: int
) -> Iterator[_Target]:
    from ..components import KINDS
    from ..config import GIVEN
    from ..parameters import checked, parameters_of
    from ..plugins import CORE
    from ..testing.kit import PLUGINS, Subject
    from .listing import found

    def component(kind: str, name: str) -> _Target:
        title = f"{KINDS[kind]} {name!r}"

        def subject() -> Subject:
            implementation = plugins.component(kind, name).load()
            parameters = checked(implementation, _parameters(settings), title, GIVEN.get(kind, ()))
            dataset = plugins.component("datasets", data).load()() if data is not None else None
            return Subject(implementation, parameters, dataset, learners)

        return _Target(title, kind, subject)

    if name in plugins.infos:
        info = plugins.infos[name]
        yield _Target(f"plugin {name!r}", PLUGINS, lambda: info)
    elif name != CORE:
        yield component(found(plugins, name)[0], name)
        return
    for kind in KINDS:
        for offered, (plugin, registered) in plugins.components(kind).items():
            if plugin != name:
                continue
            try:
                required = [p.name for p in parameters_of(registered.load(), GIVEN.get(kind, ())) if p.required]
            except Exception:  # the plugin's own check tells
                continue
            if required and not settings:
                click.echo(f"Note: {offered!r} needs {', '.join(required)}; check it by name, with --set.", err=True)
            else:
                yield component(kind, offered)


def _parameters(settings: tuple[str, ...]) -> dict[str, Any]:
    from ..config import with_setting

    values: dict[str, Any] = {}
    for setting in settings:
        with_setting(values, setting)
    return values


def _print(verdict: Verdict, why: bool, repeated: bool) -> None:
    if verdict.failure is None:
        click.echo(f"  {click.style('ok', fg='green')}    {verdict.check.name}")
        return
    click.echo(f"  {click.style('FAIL', fg='red', bold=True)}  {verdict.check.name}")
    for line in ["as before"] if repeated else verdict.failure.splitlines():
        click.echo(f"        {line}")
    if why:
        click.echo(f"        Why it matters: {' '.join(verdict.check.why.split())}")
