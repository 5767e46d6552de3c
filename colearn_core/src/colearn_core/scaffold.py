"""Writes a new plugin: a small, complete distribution that is green at once."""

from __future__ import annotations

import keyword
import re
import tempfile
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from string import Template

from .components import KINDS
from .errors import ColearnError, ConfigError, ParameterError
from .plugins import CORE


@dataclass(frozen=True)
class Example:
    """The component that a new plugin begins with.

    Attributes:
        kind: as in :data:`~colearn_core.components.KINDS`.
        module: the file that holds it, and the name of its template.
        component: its name, without the plugin's.
        attribute: its name in the module.
        summary: what it is, in a line.
        option: how ``colearn run`` is told to use it.
        requirements: what its module imports.
    """

    kind: str
    module: str
    component: str
    attribute: str
    summary: str
    option: str
    requirements: tuple[str, ...]


CORE_ONLY = ("annotated-types>=0.6", "colearn-core~=0.1")
WITH_NUMPY = (*CORE_ONLY, "numpy>=2.0")

EXAMPLES = {
    "learner": Example(
        "learners", "learner", "hinge", "HingeClassifier", "Linear classifier by large margins", "--learner", WITH_NUMPY
    ),
    "voting-policy": Example(
        "voting_policies",
        "policy",
        "margin",
        "Margin",
        "Approvals must exceed rejections by a margin",
        "--voting",
        CORE_ONLY,
    ),
    "splitter": Example("splitters", "splitter", "blocks", "Blocks", "Consecutive samples", "--split", WITH_NUMPY),
    "proposal-strategy": Example(
        "proposal_strategies",
        "strategy",
        "neighbours",
        "Neighbours",
        "Two neighbours propose",
        "--proposals",
        CORE_ONLY,
    ),
    "dataset": Example(
        "datasets", "dataset", "rings", "rings", "Synthetic rings around one centre", "--data", WITH_NUMPY
    ),
    "adversary": Example(
        "adversaries",
        "adversary",
        "halfhearted",
        "Halfhearted",
        "Goes only a part of the way",
        "--adversaries",
        WITH_NUMPY,
    ),
}
"""What ``--kind`` may be."""

FILES = {
    "pyproject.toml": "pyproject.toml.txt",
    "README.md": "README.md.txt",
    "LICENSE": "LICENSE.txt",
    ".gitignore": "gitignore.txt",
    ".github/workflows/test.yml": "test.yml.txt",
    "src/$package/__init__.py": "init.py.txt",
    "src/$package/py.typed": "py.typed.txt",
    "src/$package/plugin.py": "plugin.py.txt",
    "src/$package/$module.py": "$module.py.txt",
    "tests/test_$plugin.py": "test_$module.py.txt",
}
"""Each file of a new plugin, and its template."""


@dataclass(frozen=True)
class NewPlugin:
    """What was written."""

    folder: Path
    distribution: str
    plugin: str
    component: str
    run: str
    """A ``colearn run`` that uses the component and needs nothing but the core."""


def write_plugin(name: str, kind: str, parent: Path) -> NewPlugin:
    """Write a distribution ``colearn-<name>-plugin`` into a new folder of that name.

    Args:
        name: what users will write before the dot in names of components: ``mine.margin``.
        kind: of :data:`EXAMPLES`.

    Raises:
        ParameterError: the name can't be one.
        ConfigError: the folder exists.
        ColearnError: the folder can't be written.
    """
    example = EXAMPLES[kind]
    plugin = _checked_name(name)
    distribution = f"colearn-{plugin.replace('_', '-')}-plugin"
    component = f"{plugin}.{example.component}"
    options = {"--data": "blobs", "--learner": "softmax", example.option: component}
    run = "colearn run " + " ".join(f"{option} {value}" for option, value in options.items())
    values = {
        "plugin": plugin,
        "distribution": distribution,
        "package": f"colearn_{plugin}_plugin",
        "module": example.module,
        "component": component,
        "attribute": example.attribute,
        "summary": example.summary,
        "hook": f"colearn_{example.kind}",
        "kind": KINDS[example.kind],
        "article": "an" if KINDS[example.kind][0] in "aeiou" else "a",
        "requirements": "\n".join(f'  "{requirement}",' for requirement in example.requirements),
        "run": run,
    }
    folder = parent / distribution
    if folder.exists():
        raise ConfigError(f"{folder} exists", hint="Choose another name, or another place with --out.")
    try:
        _write(folder, values)
    except OSError as error:
        raise ColearnError(
            f"can't write {folder}: {error.strerror}", hint="Choose another place with --out."
        ) from error
    return NewPlugin(folder, distribution, plugin, component, run)


def _checked_name(name: str) -> str:
    plugin = name.replace("-", "_")
    if not re.fullmatch(r"[a-z][a-z0-9]*(_[a-z0-9]+)*", plugin) or keyword.iskeyword(plugin):
        raise ParameterError(
            f"{name!r} is no name for a plugin",
            hint="Take lower-case letters, digits and single hyphens, and begin with a letter, such as my-votes.",
        )
    if plugin == CORE:
        raise ParameterError(f"{name!r} is the name of the core", hint="Choose another name.")
    return plugin


def _write(folder: Path, values: dict[str, str]) -> None:
    """Write all files beside their place, then move them there at once: a half plugin is never seen."""
    templates = files(__package__) / "template"
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=f".{folder.name}.") as temporary:
        root = Path(temporary) / folder.name
        for path, template in FILES.items():
            file = root / Template(path).substitute(values)
            file.parent.mkdir(parents=True, exist_ok=True)
            text = (templates / Template(template).substitute(values)).read_text(encoding="utf-8")
            file.write_text(Template(text).substitute(values), encoding="utf-8")
        root.rename(folder)
