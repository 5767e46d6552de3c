"""Guards against the import pitfalls of a repository with many distributions (docs/layout.md)."""

from __future__ import annotations

import importlib
import tomllib
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parent.parent
MEMBERS = sorted(p.parent for p in [*ROOT.glob("*/pyproject.toml"), *ROOT.glob("plugins/*/pyproject.toml")])
each_member = pytest.mark.parametrize("member", MEMBERS, ids=lambda p: p.name)


def settings(member: Path) -> Any:
    return tomllib.loads((member / "pyproject.toml").read_text())


def test_the_core_and_a_plugin_are_found() -> None:
    assert {"colearn_core", "colearn_sklearn_plugin"} <= {m.name for m in MEMBERS}


def test_the_root_is_no_distribution() -> None:
    assert "project" not in tomllib.loads((ROOT / "pyproject.toml").read_text())


@each_member
def test_a_member_has_the_common_form(member: Path) -> None:
    package = member / "src" / member.name
    assert (package / "__init__.py").is_file()
    assert (package / "py.typed").is_file()
    assert (member / "README.md").read_text().strip()
    assert list((member / "tests").glob("test_*.py"))


@each_member
def test_a_member_is_built_in_the_common_way(member: Path) -> None:
    built = settings(member)
    assert built["build-system"]["build-backend"] == "hatchling.build"
    assert built["project"]["name"] == member.name.replace("_", "-")
    assert built["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"] == [f"src/{member.name}"]
    assert "dev-mode-exact" not in (member / "pyproject.toml").read_text()


@each_member
def test_a_plugin_depends_on_the_core_and_registers_its_plugin_module(member: Path) -> None:
    if member.name == "colearn_core":
        return
    project = settings(member)["project"]
    assert "colearn-core~=0.1" in project["dependencies"]
    assert f"{member.name}.plugin" in project["entry-points"]["colearn.v1"].values()


@each_member
def test_a_member_folder_and_its_tests_are_no_packages(member: Path) -> None:
    stray = [p for p in (member, member.parent, member / "tests", ROOT / "tests") if (p / "__init__.py").exists()]
    assert stray == []


@each_member
def test_the_imported_package_is_the_installed_one(member: Path) -> None:
    # From the root, a package that isn't installed imports as an empty namespace.
    assert importlib.import_module(member.name).__file__ is not None


def test_test_modules_have_unique_names() -> None:
    folders = [ROOT / "tests", *(m / "tests" for m in MEMBERS)]
    names = Counter(p.name for folder in folders for p in folder.rglob("test_*.py"))
    assert [name for name, count in names.items() if count > 1] == []


def test_there_is_at_most_one_conftest() -> None:
    assert len([p for p in ROOT.rglob("conftest.py") if ".venv" not in p.parts]) <= 1


def test_every_member_is_installed_for_tests() -> None:
    wanted = (ROOT / "requirements.txt").read_text() + (ROOT / "requirements-dev.txt").read_text()
    installed = {line.partition("[")[0] for line in wanted.splitlines()}  # without the extras
    assert [m.name for m in MEMBERS if f"-e ./{m.relative_to(ROOT)}" not in installed] == []


def test_no_member_loads_pickles() -> None:
    sources = [p for m in MEMBERS for p in (m / "src").rglob("*.py")]
    words = ("import pickle", "pickle.load", "joblib", "torch.load", "allow_pickle=True")
    assert [(p.name, w) for p in sources for w in words if w in p.read_text()] == []
