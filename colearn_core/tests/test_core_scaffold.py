"""``colearn new-plugin`` writes what the author asked for, or says what's wrong and writes nothing."""

from __future__ import annotations

import ast
import os
import re
import shlex
import sys
import tomllib
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from colearn_core.cli import main
from colearn_core.cli.new_plugin import KINDS
from colearn_core.components import KINDS as COMPONENT_KINDS
from colearn_core.plugins import PluginInfo
from colearn_core.scaffold import EXAMPLES, write_plugin


def new_plugin(*args: str | Path) -> Result:
    return CliRunner().invoke(main, ["new-plugin", *map(str, args)])


def test_every_kind_that_authors_write_is_offered() -> None:
    assert set(KINDS) == set(EXAMPLES)
    assert {example.kind for example in EXAMPLES.values()} == set(COMPONENT_KINDS) - {"ledgers", "runtimes"}


@pytest.mark.parametrize("kind", KINDS)
def test_a_plugin_is_complete(kind: str, tmp_path: Path) -> None:
    result = new_plugin("my-own", "--kind", kind, "--out", tmp_path)
    assert result.exit_code == 0, result.output
    folder = tmp_path / "colearn-my-own-plugin"
    settings = tomllib.loads((folder / "pyproject.toml").read_text())
    assert settings["project"]["name"] == folder.name
    assert settings["project"]["entry-points"]["colearn.v1"] == {"my_own": "colearn_my_own_plugin.plugin"}
    files = [path for path in folder.rglob("*") if path.is_file()]
    assert [path for path in files if "$" in path.name or "$" in path.read_text().replace("${{ matrix", "")] == []
    for path in folder.rglob("*.py"):
        ast.parse(path.read_text())
    names = {str(path.relative_to(folder)) for path in files}
    assert {"README.md", "LICENSE", ".gitignore", ".github/workflows/test.yml", "tests/test_my_own.py"} <= names
    assert "src/colearn_my_own_plugin/py.typed" in names
    assert os.listdir(tmp_path) == [folder.name]


def test_the_next_commands_are_told(tmp_path: Path) -> None:
    output = new_plugin("cautious", "--kind", "voting-policy", "--out", tmp_path).output
    assert f'pip install -e "{tmp_path}/colearn-cautious-plugin[test]"' in output
    assert f"pytest {tmp_path}/colearn-cautious-plugin\n" in output
    assert "colearn check cautious\n" in output
    assert "colearn run --data blobs --learner softmax --voting cautious.margin" in output


def test_the_next_commands_can_be_pasted_where_a_folder_has_a_space(tmp_path: Path) -> None:
    output = new_plugin("mine", "--kind", "dataset", "--out", tmp_path / "my plugins").output
    words = [shlex.split(line) for line in output.splitlines()[1:]]
    folder = f"{tmp_path}/my plugins/colearn-mine-plugin"
    assert words[:2] == [["pip", "install", "-e", f"{folder}[test]"], ["pytest", folder]]


@pytest.mark.parametrize("kind", KINDS)
def test_what_the_package_imports_is_required_and_nothing_else(kind: str, tmp_path: Path) -> None:
    folder = write_plugin("mine", kind, tmp_path).folder
    required = tomllib.loads((folder / "pyproject.toml").read_text())["project"]["dependencies"]
    imported = set()
    for path in folder.glob("src/**/*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ImportFrom):
                imported.add(str(node.module).partition(".")[0])
            elif isinstance(node, ast.Import):
                imported.update(alias.name.partition(".")[0] for alias in node.names)
    names = {re.split("[~>=]", requirement)[0].replace("-", "_") for requirement in required}
    # An example without parameters has no use for annotated_types; its author soon will.
    assert imported - set(sys.stdlib_module_names) | {"annotated_types"} == names


def test_a_name_that_another_distribution_has_taken_is_written_with_a_note(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    taken = PluginInfo("mine", "acme-votes", "1.0", 1)
    monkeypatch.setattr("colearn_core.plugins.installed", lambda: [taken])
    result = new_plugin("mine", "--kind", "splitter", "--out", tmp_path)
    assert result.exit_code == 0
    assert "acme-votes is installed and has the same name" in result.stderr
    assert "Note" not in new_plugin("other", "--kind", "splitter", "--out", tmp_path).output


@pytest.mark.parametrize("name", ["", "My", "1st", "a b", "a--b", "-a", "a.b", "../evil", "class", "core", "ä", "a$b"])
def test_a_name_that_cannot_be_one_is_refused(name: str, tmp_path: Path) -> None:
    result = new_plugin("--kind", "learner", "--out", tmp_path, "--", name)
    assert result.exit_code == 2, result.output
    assert repr(name) in result.output
    assert os.listdir(tmp_path) == []


def test_an_existing_folder_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "colearn-mine-plugin").mkdir()
    result = new_plugin("mine", "--kind", "learner", "--out", tmp_path)
    assert result.exit_code == 2
    assert "exists" in result.output
    assert os.listdir(tmp_path / "colearn-mine-plugin") == []


def test_a_place_that_cannot_be_written_is_named_and_nothing_is_left(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    result = new_plugin("mine", "--kind", "learner", "--out", tmp_path / "file" / "deep")
    assert result.exit_code == 1
    assert "can't write" in result.output


def test_the_kind_must_be_named() -> None:
    result = new_plugin("mine")
    assert result.exit_code == 2
    assert "--kind" in result.output
