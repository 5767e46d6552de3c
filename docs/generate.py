"""Write the pages that are made of the code: the hooks, the checks, the catalogue of components.

``python docs/generate.py`` writes them, ``--check`` says which are out of date and writes nothing.
"""

from __future__ import annotations

import inspect
import re
import sys
import textwrap
import tomllib
from collections.abc import Callable
from pathlib import Path

from colearn_core import builtin, hookspecs
from colearn_core.components import KINDS, Component
from colearn_core.config import GIVEN
from colearn_core.parameters import Parameter, parameters_of
from colearn_core.plugins import Plugins, installed
from colearn_core.testing.kit import PLUGINS, checks_of

DOCS = Path(__file__).resolve().parent
ROOT = DOCS.parent
NOTE = "<!-- Written by docs/generate.py; changes made here are lost. -->\n\n"
PLURALS = {
    "learners": "Learners",
    "voting_policies": "Voting policies",
    "splitters": "Splitters",
    "proposal_strategies": "Proposal strategies",
    "datasets": "Data sets",
    "ledgers": "Ledgers",
    "runtimes": "Runtimes",
    "adversaries": "Adversaries",
    PLUGINS: "Plugins",
}


def main() -> None:
    stale = [name for name, page in PAGES.items() if not _is(DOCS / name, page())]
    if "--check" in sys.argv:
        sys.exit(f"Out of date: {', '.join(stale)}; run docs/generate.py" if stale else 0)
    for name in stale:
        (DOCS / name).write_text(PAGES[name](), encoding="utf-8")
        print(f"written: docs/{name}")


def hooks_page() -> str:
    """Every hook: when it's called, what it may return, an example."""
    hooks = [value for value in vars(hookspecs).values() if hasattr(value, f"{hookspecs.PROJECT}_spec")]
    return (
        f"{NOTE}# Hooks\n\n"
        "A plugin is a module that implements one or more of these hooks. A function with the name of a hook and\n"
        "the mark `@hookimpl` is enough. Of its arguments it may leave out those that it doesn't need.\n"
        f"The first {len(KINDS)} offer [components](components.md), the last three observe.\n\n"
        + "\n".join(map(_hook_section, hooks))
    )


def checks_page() -> str:
    """Every check of the conformance kit, with what breaks in a collective when it fails."""
    sections = []
    for kind, title in PLURALS.items():
        lines = [f"**`{check.name}`**\n:   {_markdown(check.why, indent=4)}\n" for check in checks_of(kind)]
        sections.append(f"## {title}\n\n" + "\n".join(lines))
    count = sum(len(checks_of(kind)) for kind in PLURALS)
    return (
        f"{NOTE}# All checks\n\n"
        f"The [conformance kit](kit.md) has {count} checks. Each is a function in\n"
        "`colearn_core.testing.checks`; its text says what breaks in a collective when the check fails.\n\n"
        + "\n".join(sections)
    )


def catalogue_page() -> str:
    """Every component of this repository's distributions, with its parameters."""
    members = _members()
    infos = [info for info in installed() if info.distribution in members]
    missing = members - {"colearn-core"} - {info.distribution for info in infos}
    if missing:
        sys.exit(f"The catalogue needs all members, and these aren't installed: {', '.join(sorted(missing))}")
    plugins = Plugins(infos)
    if plugins.errors or plugins.blocked:
        sys.exit(f"The catalogue needs all members: {plugins.errors or plugins.blocked}")
    distributions = {"core": "colearn-core"} | {info.name: info.distribution for info in infos}
    sections = []
    for kind in KINDS:
        sections.append(f"## {PLURALS[kind]}\n")
        for plugin, component in plugins.components(kind).values():
            sections.append(_component_section(kind, component, distributions[plugin]))
    return (
        f"{NOTE}# Catalogue\n\n"
        f"Every component of {' and '.join(f'`{name}`' for name in sorted(distributions.values()))}.\n"
        "`colearn components` lists what is installed, other plugins included; `colearn show NAME` prints what\n"
        "stands here.\n\n" + "\n".join(sections)
    )


PAGES: dict[str, Callable[[], str]] = {
    "authors/hooks.md": hooks_page,
    "authors/checks.md": checks_page,
    "authors/catalogue.md": catalogue_page,
}


def _is(path: Path, text: str) -> bool:
    return path.is_file() and path.read_text(encoding="utf-8") == text


def _hook_section(hook: Callable[..., object]) -> str:
    prose, _, source = (inspect.getdoc(hook) or "").partition("\nExample::\n\n")
    core = "The core implements it too: see `colearn_core/builtin.py`.\n\n" if hasattr(builtin, hook.__name__) else ""
    # Annotations are text in that module, and are shown without its quotes.
    signature = str(inspect.signature(hook)).replace("'", "")
    example = textwrap.dedent(source).replace("\n\n@", "\n\n\n@")  # as the formatter wants it in a file
    return (
        f"## {hook.__name__}\n\n```python\ndef {hook.__name__}{signature}\n```\n\n{_markdown(prose)}\n\n{core}"
        f"```python\n{example}\n```\n"
    )


def _component_section(kind: str, component: Component, distribution: str) -> str:
    implementation = component.load()
    text = (implementation.__doc__ or component.summary).split("\n\n")[0]
    parameters = parameters_of(implementation, GIVEN.get(kind, ()))
    rows = "".join(map(_row, parameters))
    table = (
        f"| parameter | type | default | |\n|---|---|---|---|\n{rows}" if parameters else "It takes no parameters.\n"
    )
    return f"### {component.name}\n\n{component.summary} (`{distribution}`).\n\n{_markdown(text)}\n\n{table}"


def _row(parameter: Parameter) -> str:
    default = "required" if parameter.required else f"`{parameter.default!r}`"
    return f"| `{parameter.name}` | `{parameter.type_name}` | {default} | {_markdown(parameter.help)} |\n"


def _markdown(text: str, indent: int = 0) -> str:
    """The text of a docstring: roles lose their module, literals get one backtick."""
    text = re.sub(r":\w+:`~?(?:[\w.]*\.)?(\w+)`", r"`\1`", inspect.cleandoc(text))
    return text.replace("``", "`").strip().replace("\n", "\n" + " " * indent)


def _members() -> set[str]:
    """The names of the repository's distributions; examples are none of them."""
    files = [*ROOT.glob("*/pyproject.toml"), *ROOT.glob("plugins/*/pyproject.toml")]
    return {tomllib.loads(path.read_text(encoding="utf-8"))["project"]["name"] for path in files}


if __name__ == "__main__":
    main()
