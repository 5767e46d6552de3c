"""A new plugin of every kind works outside of the repository: built, installed, tested, used, removed."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import venv
from pathlib import Path

import pytest

from colearn_core.scaffold import EXAMPLES, write_plugin

ROOT = Path(__file__).parent.parent
PAGE = ROOT / "docs" / "authors" / "five-commands.md"
RULES = "E,F,W,I,UP,B,C4,SIM,PT,RET,PERF,PIE"


def run(*command: str | Path, cwd: Path, expected: int = 0, **variables: str) -> str:
    """Run a command as a user would, far from the repository; returns what it prints."""
    mine = {k: v for k, v in os.environ.items() if k not in ("PYTHONPATH", "VIRTUAL_ENV")}
    done = subprocess.run(
        [str(part) for part in command], cwd=cwd, env=mine | variables, text=True, stdout=-1, stderr=subprocess.STDOUT
    )
    assert done.returncode == expected, done.stdout
    return done.stdout


@pytest.fixture(scope="module")
def core_wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheels")
    run(sys.executable, "-m", "build", "--wheel", "--no-isolation", "-o", folder, ROOT / "colearn_core", cwd=folder)
    return next(folder.glob("*.whl"))


@pytest.fixture(scope="module")
def bin_folder(core_wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The commands of a new environment that holds the core and pytest only."""
    folder = tmp_path_factory.mktemp("environment")
    venv.create(folder, with_pip=True)
    pip = (folder / "bin" / "pip", "install", "-q", "--disable-pip-version-check", "-c", ROOT / "constraints.txt")
    run(*pip, core_wheel, "pytest", cwd=folder)
    return folder / "bin"


@pytest.mark.slow
@pytest.mark.parametrize("kind", EXAMPLES)
def test_a_new_plugin_works_from_its_wheel(kind: str, bin_folder: Path, tmp_path: Path) -> None:
    new = write_plugin("mine", kind, tmp_path)
    build = (sys.executable, "-m", "build", "--wheel", "--no-isolation", "-o", tmp_path / "dist", new.folder)
    run(*build, cwd=tmp_path)
    pip, colearn = bin_folder / "pip", bin_folder / "colearn"
    run(pip, "install", "-q", "--no-deps", next((tmp_path / "dist").glob("*.whl")), cwd=tmp_path)
    try:
        assert "passed" in run(bin_folder / "pytest", "-q", "-W", "error", cwd=new.folder)
        listed = json.loads(run(colearn, "plugins", "--json", cwd=tmp_path))
        assert [(row["plugin"], row["distribution"]) for row in listed] == [("mine", "colearn-mine-plugin")]
        assert "checks passed" in run(colearn, "check", "mine", cwd=tmp_path)
        command: list[str | Path] = [
            bin_folder / new.run.split()[0],
            *new.run.split()[1:],
            "--rounds",
            "5",
            "--learners",
            "4",
        ]
        assert "of 5 rounds accepted" in run(*command, cwd=tmp_path)
    finally:
        run(pip, "uninstall", "-q", "-y", new.distribution, cwd=tmp_path)
    message = run(*command, cwd=tmp_path, expected=2)
    assert f"{new.component!r}" in message
    assert "pip install colearn-mine-plugin" in message


@pytest.mark.slow
@pytest.mark.parametrize("kind", EXAMPLES)
def test_a_new_plugin_pleases_ruff_and_mypy(kind: str, tmp_path: Path) -> None:
    folder = write_plugin("mine", kind, tmp_path).folder
    ruff = (sys.executable, "-m", "ruff")
    style = ("--isolated", "--line-length", "120", "--no-cache")
    run(*ruff, "check", *style, "--select", RULES, "--target-version", "py311", ".", cwd=folder)
    run(*ruff, "format", "--check", *style, ".", cwd=folder)
    cache = tmp_path.parent / "mypy"  # the same for all kinds: the core's types are read once
    run(sys.executable, "-m", "mypy", "--strict", "--cache-dir", cache, "src", "tests", cwd=folder, MYPYPATH="src")


@pytest.mark.slow
def test_the_five_commands_of_the_documentation_work(core_wheel: Path, tmp_path: Path) -> None:
    found = re.search(r"<!-- five-commands -->\n```sh\n(.*?)```", PAGE.read_text(), re.DOTALL)
    assert found is not None
    commands = found[1].splitlines()
    assert len(commands) <= 5
    venv.create(tmp_path / ".venv", with_pip=True)
    out = run(
        "bash",
        "-e",
        "-c",
        "\n".join(["source .venv/bin/activate", *commands]),
        cwd=tmp_path,
        PIP_FIND_LINKS=str(core_wheel.parent),
        PIP_CONSTRAINT=str(ROOT / "constraints.txt"),
        PIP_DISABLE_PIP_VERSION_CHECK="1",
    )
    assert " passed" in out
    assert "rounds accepted" in out


def test_the_readme_shows_the_same_commands() -> None:
    commands = re.findall(r"^(?:pip|colearn|pytest) .*$", PAGE.read_text(), re.MULTILINE)
    readme = (ROOT / "README.md").read_text()
    assert len(commands) == 5
    assert [command for command in commands if f"    {command}" not in readme] == []
