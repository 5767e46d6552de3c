"""``colearn plugins``, ``components`` and ``show``: what is installed."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import click

from ..components import KINDS
from ..errors import UnknownComponentError
from ..plugins import Plugins, blocked_by_environment, installed
from .options import block_option, complete_component

if TYPE_CHECKING:
    from ..components import Component
    from ..parameters import Parameter

as_json = click.option("--json", "as_json", is_flag=True, help="Print JSON instead of a table.")


@click.command()
@click.option("--check", is_flag=True, help="Import every plugin: list what it offers, or why it is broken.")
@as_json
@block_option
def plugins(check: bool, as_json: bool, block: tuple[str, ...]) -> None:
    """List the installed plugins.

    Reads metadata only; with --check the plugins are imported too, and the exit code is 1 if any is broken.
    """
    infos = {info.name: info for info in installed()}
    loaded = Plugins(infos.values(), block=block) if check else None
    blocked = {*block, *blocked_by_environment()}
    rows = []
    for name, info in infos.items():
        status = "blocked" if name in blocked else info.misfit or "ok"
        row: dict[str, Any] = {
            "plugin": name,
            "distribution": info.distribution,
            "version": info.version,
            "api": info.api,
            "status": status,
            "summary": info.summary,
        }
        rows.append(row)
    if loaded is not None:
        offers = _offers(loaded)
        rows = [r | {"offers": offers.get(r["plugin"], []), "status": _status(loaded, r)} for r in rows]
    if as_json:
        click.echo(json.dumps(rows, indent=2))
    else:
        _print_plugins(rows)
    if loaded is not None and loaded.errors:
        raise SystemExit(1)


@click.command(short_help="List what experiments can be made of.")
@click.argument("kind", required=False, type=click.Choice(list(KINDS)), metavar="[KIND]")
@as_json
@block_option
def components(kind: str | None, as_json: bool, block: tuple[str, ...]) -> None:
    """List what experiments can be made of: learners, voting policies, splitters, ...

    KIND limits the list: learners, voting_policies, splitters, proposal_strategies, datasets, ledgers, runtimes,
    adversaries.
    """
    loaded = Plugins(block=block)
    rows = [
        {"kind": k, "name": name, "summary": component.summary, "plugin": plugin, "target": component.target}
        for k in ([kind] if kind else KINDS)
        for name, (plugin, component) in loaded.components(k).items()
    ]
    if as_json:
        click.echo(json.dumps(rows, indent=2))
    else:
        _columns(
            ("KIND", "NAME", "PLUGIN", "SUMMARY"),
            [(KINDS[row["kind"]], row["name"], row["plugin"], row["summary"]) for row in rows],
        )
    for error in loaded.errors.values():
        click.echo(f"Warning: {error}", err=True)


@click.command(short_help="Show the parameters of a component.")
@click.argument("name", shell_complete=complete_component())
@as_json
@block_option
def show(name: str, as_json: bool, block: tuple[str, ...]) -> None:
    """Show the parameters of a component: types, defaults, help, and a line to paste."""
    from ..config import GIVEN, SECTIONS
    from ..parameters import parameters_of

    loaded = Plugins(block=block)
    kind, plugin, component = found(loaded, name)
    implementation = component.load()
    parameters = parameters_of(implementation, GIVEN.get(kind, ()))
    section = next((f"[{s}]" for s, k in SECTIONS.items() if k == kind), None)
    section = "[[adversaries]]" if kind == "adversaries" else section
    description = " ".join((implementation.__doc__ or component.summary).split("\n\n")[0].split())
    paste = _line_to_paste(section, component, parameters)
    if as_json:
        about = {
            "name": name,
            "kind": kind,
            "plugin": plugin,
            "summary": component.summary,
            "description": description,
            "parameters": [
                {"name": p.name, "type": p.type_name, "required": p.required, "help": p.help}
                | ({} if p.required else {"default": p.default})
                for p in parameters
            ],
            "paste": paste,
        }
        click.echo(json.dumps(about, indent=2))
        return
    click.echo(f"{click.style(name, bold=True)}: {KINDS[kind]} of plugin {plugin}\n{description}\n")
    if parameters:
        _columns(
            ("PARAMETER", "TYPE", "DEFAULT", "HELP"),
            [(p.name, p.type_name, "required" if p.required else _toml(p.default), p.help) for p in parameters],
        )
    else:
        click.echo("It takes no parameters.")
    if paste:
        click.echo(f"\n{paste}")


def found(loaded: Plugins, name: str) -> tuple[str, str, Component]:
    """The component of this name, of whatever kind, with its kind and its plugin.

    Raises:
        UnknownComponentError: there's none.
    """
    everything = {
        known: (kind, plugin, component)
        for kind in KINDS
        for known, (plugin, component) in loaded.components(kind).items()
    }
    if name in everything:
        return everything[name]
    from difflib import get_close_matches

    close = get_close_matches(name, everything, n=3, cutoff=0.5) or [k for k in everything if k.endswith(f".{name}")]
    hint = f"Did you mean {' or '.join(map(repr, close))}? " if close else ""
    raise UnknownComponentError(f"unknown component {name!r}", hint=f"{hint}`colearn components` lists all.")


def _line_to_paste(section: str | None, component: Component, parameters: list[Parameter]) -> str | None:
    """A section for an experiment file, with all defaults."""
    if section is None:
        return None
    lines = [section, f'name = "{component.name}"']
    for p in parameters:
        if p.required:
            lines.append(f"{p.name} = ...  # required: {p.type_name}")
        elif p.default is None:
            lines.append(f"# {p.name} = ...")
        else:
            lines.append(f"{p.name} = {_toml(p.default)}")
    return "\n".join(lines)


def _toml(value: Any) -> str:
    import tomli_w

    return "none" if value is None else tomli_w.dumps({"v": value}).removeprefix("v = ").replace("\n", "").strip()


def _offers(loaded: Plugins) -> dict[str, list[str]]:
    offers: dict[str, list[str]] = {}
    for kind in KINDS:
        for name, (plugin, _) in loaded.components(kind).items():
            offers.setdefault(plugin, []).append(name)
    return offers


def _status(loaded: Plugins, row: dict[str, Any]) -> str:
    error = loaded.errors.get(row["plugin"])
    return str(row["status"]) if error is None else f"broken: {error}"


def _print_plugins(rows: list[dict[str, Any]]) -> None:
    if not rows:
        click.echo("No plugins are installed; try: pip install colearn-sklearn-plugin")
        return
    _columns(
        ("PLUGIN", "DISTRIBUTION", "VERSION", "API", "STATUS", "SUMMARY"),
        [
            tuple(str(row[key]) for key in ("plugin", "distribution", "version", "api", "status", "summary"))
            for row in rows
        ],
    )
    for row in rows:
        if row.get("offers"):
            click.echo(f"\n{row['plugin']} offers:\n  " + "\n  ".join(row["offers"]))


def _columns(headings: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Aligned columns, the last one free: for eyes, grep and cut alike. A rich table would double the start-up."""
    widths = [max(map(len, column)) for column in zip(headings, *rows, strict=True)]
    widths[-1] = 0
    for number, row in enumerate((headings, *rows)):
        line = "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        click.echo(line if number else click.style(line, bold=True))
