"""The ``colearn`` command: one file per group of commands, imported when it's called."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from importlib import import_module
from typing import Any

import click

COMMANDS = {
    "run": "run:run",
    "compare": "compare:compare",
    "init": "init:init",
    "new-plugin": "new_plugin:new_plugin",
    "plugins": "listing:plugins",
    "components": "listing:components",
    "show": "listing:show",
    "check": "check:check",
    "split": "split:split",
    "plot": "plot:plot",
    "verify": "verify:verify",
    "completion": "completion:completion",
}


class CommandGroup(click.Group):
    """The core's commands by name; those of plugins are looked for only when they're needed."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return [*COMMANDS, *sorted(self._of_plugins(ctx))]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name in COMMANDS:
            module, _, attribute = COMMANDS[cmd_name].partition(":")
            command: click.Command = getattr(import_module(f".{module}", __name__), attribute)
            return command
        return self._of_plugins(ctx).get(cmd_name)

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        try:
            return super().resolve_command(ctx, args)
        except click.UsageError as error:
            from difflib import get_close_matches

            close = get_close_matches(args[0], self.list_commands(ctx), n=1)
            raise click.UsageError(error.message + (f" Did you mean {close[0]!r}?" if close else ""), ctx) from None

    def main(self, args: Sequence[str] | None = None, *rest: Any, **extra: Any) -> Any:
        """Run, and turn what goes wrong into one message and an exit code."""
        if not extra.get("standalone_mode", True):
            return super().main(args, *rest, **extra)
        words = list(sys.argv[1:] if args is None else args)
        debug = "--debug" in words
        if debug:  # wherever it's typed
            words = ["--debug", *(word for word in words if word != "--debug")]
        try:
            return super().main(words, *rest, **extra)
        except Exception as error:
            if debug:
                raise
            sys.exit(report(error))

    def _of_plugins(self, ctx: click.Context) -> dict[str, click.Command]:
        from ..plugins import Plugins

        commands: dict[str, click.Command] | None = ctx.meta.get(__name__)
        if commands is None:  # the help asks for each command again
            found = click.Group()
            Plugins().notify("colearn_commands", group=found)
            commands = {name: command for name, command in found.commands.items() if name not in COMMANDS}
            ctx.meta[__name__] = commands
        return commands


def report(error: Exception) -> int:
    """Print an error and return the exit code."""
    from ..errors import ColearnError

    if isinstance(error, ColearnError):
        message, code = str(error), error.exit_code
    elif isinstance(error, OSError):
        message, code = f"{error.filename or 'input or output'}: {error.strerror or error}", 1
    else:
        message, code = f"{type(error).__name__}: {error}\nThis is a fault; --debug shows where.", 1
    first, *more = message.splitlines()
    click.echo(click.style("Error: ", fg="red", bold=True) + first, err=True)
    for line in more:
        click.echo(f"  {line}", err=True)
    return code


def _version(ctx: click.Context, _: click.Parameter, value: bool) -> None:
    if value and not ctx.resilient_parsing:
        from importlib.metadata import version

        click.echo(f"colearn-core {version('colearn-core')}")
        ctx.exit()


@click.group(cls=CommandGroup, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.option("--version", is_flag=True, is_eager=True, expose_value=False, callback=_version, help="Show the version.")
@click.option("--debug", is_flag=True, help="Log what happens, and show a traceback when something fails.")
def main(debug: bool) -> None:
    """Collective learning: parties with private data train one model together, and vote on every step.

    Begin with: colearn run --data digits --learner sklearn.mlp_classifier --split dirichlet
    """
    if debug:
        import logging

        logging.basicConfig(level=logging.DEBUG, format="%(name)s: %(message)s")
        logging.getLogger("matplotlib").setLevel(logging.INFO)
