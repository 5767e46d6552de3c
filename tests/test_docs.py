"""The documentation shows code that works, and output as it is."""

from __future__ import annotations

import importlib.util
import os
import re
import subprocess
import sys
from dataclasses import dataclass
from doctest import ELLIPSIS, OutputChecker
from pathlib import Path
from typing import Any

import pytest

from colearn_core.components import KINDS
from colearn_core.hookspecs import PROJECT
from colearn_core.plugins import CORE, Plugins
from colearn_core.testing.kit import PLUGINS, checks_of

ROOT = Path(__file__).resolve().parent.parent
DOCS = ROOT / "docs"
OF_OTHERS = {"authors/five-commands.md", "authors/mutation-table.md"}  # these have tests of their own
NOT_RUN = ("pip install ", "python -m build", "twine ")
SCRIPTS = str(Path(sys.executable).parent)


def _generate() -> Any:
    spec = importlib.util.spec_from_file_location("docs_generate", DOCS / "generate.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


generate = _generate()
WRITTEN_BY_HAND = sorted({p.relative_to(DOCS).as_posix() for p in DOCS.rglob("*.md")} - {*generate.PAGES} - OF_OTHERS)


@dataclass(frozen=True)
class Block:
    """A block of code in a page; ``mark`` is the comment above it, which says how it is tested."""

    page: str
    mark: str
    language: str
    code: str


def blocks(page: str) -> list[Block]:
    text = (DOCS / page).read_text(encoding="utf-8")
    found = re.findall(r"^(?:<!-- (.*) -->\n)?```(\w*).*\n((?:.*\n)*?)```$", text, re.MULTILINE)
    return [Block(page, *parts) for parts in found]


BLOCKS = [block for page in WRITTEN_BY_HAND for block in blocks(page)]


def chosen(language: str, mark: str) -> pytest.MarkDecorator:
    """The pages with such blocks, each with the code of them."""
    pages: dict[str, list[str]] = {}
    for block in BLOCKS:
        if (block.language, block.mark) == (language, mark):
            pages.setdefault(block.page, []).append(block.code)
    return pytest.mark.parametrize("codes", list(pages.values()), ids=list(pages))


def run(*command: str, folder: Path, **more: Any) -> subprocess.CompletedProcess[str]:
    """What a command prints, standard error included, as if the environment were active."""
    environment = {k: v for k, v in os.environ.items() if k != "COLEARN_BLOCK_PLUGINS"}
    environment |= {"PATH": f"{SCRIPTS}{os.pathsep}{environment.get('PATH', '')}", "NO_MKDOCS_2_WARNING": "1"}
    done = subprocess.run(
        command, cwd=folder, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, **more
    )
    assert done.returncode == 0, done.stdout
    return done


def test_each_block_of_code_is_tested() -> None:
    ways = {("console", ""), ("python", ""), ("python", "pytest")}
    for block in BLOCKS:
        from_file = re.fullmatch(r"(in |tested by )?\S+/\S+", block.mark)
        assert from_file or (block.language, block.mark) in ways, block


def test_blocks_show_files_as_they_are() -> None:
    shown = 0
    for block in BLOCKS:
        if block.mark.startswith("examples/"):
            assert block.code == (ROOT / block.mark).read_text(encoding="utf-8"), block.mark
            shown += 1
        elif block.mark.startswith("in "):
            assert block.code in (ROOT / block.mark.removeprefix("in ")).read_text(encoding="utf-8"), block.mark
    assert shown >= 7


def test_blocks_that_another_test_runs_are_known_to_it() -> None:
    for block in BLOCKS:
        if block.mark.startswith("tested by "):
            assert Path(block.page).name in (ROOT / block.mark.removeprefix("tested by ")).read_text(encoding="utf-8")


@chosen("console", "")
def test_commands_print_what_the_page_says(codes: list[str], tmp_path: Path) -> None:
    for code in codes:
        for part in re.split(r"^\$ ", code, flags=re.MULTILINE)[1:]:
            command, _, expected = part.partition("\n")
            if not command.startswith(NOT_RUN):
                # The shell is for settings such as COLEARN_BLOCK_PLUGINS=mine in front of a command.
                found = run("sh", "-c", command, folder=tmp_path).stdout
                assert not expected or OutputChecker().check_output(expected, found, ELLIPSIS), f"{command}\n{found}"


@chosen("python", "")
def test_python_blocks_run(codes: list[str], tmp_path: Path) -> None:
    for code in codes:
        run(sys.executable, "-W", "error", "-", folder=tmp_path, input=code)


@chosen("python", "pytest")
def test_tests_in_a_page_pass(codes: list[str], tmp_path: Path) -> None:
    for number, code in enumerate(codes):
        (tmp_path / f"test_block_{number}.py").write_text(code, encoding="utf-8")
    run(sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", folder=tmp_path)


@pytest.mark.parametrize("example", sorted(p.parent.name for p in (ROOT / "examples").glob("*/pyproject.toml")))
def test_the_tests_of_an_example_pass(example: str) -> None:
    run(sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "tests", folder=ROOT / "examples" / example)


def test_test_modules_of_examples_have_names_of_their_own() -> None:
    names = [p.name for p in ROOT.rglob("tests/**/test_*.py") if ".venv" not in p.parts]
    assert [p.name for p in (ROOT / "examples").rglob("test_*.py") if names.count(p.name) > 1] == []


@pytest.mark.parametrize("page", generate.PAGES)
def test_generated_pages_are_up_to_date(page: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("COLEARN_BLOCK_PLUGINS", raising=False)
    assert (DOCS / page).read_text(encoding="utf-8") == generate.PAGES[page](), "run docs/generate.py"


def test_all_hooks_checks_and_components_are_in_the_reference() -> None:
    from colearn_core import hookspecs

    def headings(page: str, mark: str) -> list[str]:
        return re.findall(rf"^{mark}(\w[\w.]*)", (DOCS / page).read_text(encoding="utf-8"), re.MULTILINE)

    hooks = [name for name, value in vars(hookspecs).items() if hasattr(value, f"{PROJECT}_spec")]
    assert headings("authors/hooks.md", "## ") == hooks
    checks = [check.name for kind in (*KINDS, PLUGINS) for check in checks_of(kind)]
    assert headings("authors/checks.md", r"\*\*`") == checks
    plugins = Plugins()
    own = {CORE, "sklearn"}
    components = [n for kind in KINDS for n, (plugin, _) in plugins.components(kind).items() if plugin in own]
    catalogue = headings("authors/catalogue.md", "### ")
    assert set(components) <= set(catalogue)
    assert not [name for name in catalogue if name.startswith(("prudent.", "centroid."))]


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("site")
    # Not --quiet: it keeps warnings from --strict too.
    run("mkdocs", "build", "--strict", "--site-dir", str(folder), folder=ROOT)
    return folder


def test_the_site_builds_without_a_broken_link(site: Path) -> None:
    assert {p.relative_to(DOCS).with_suffix("").as_posix() for p in DOCS.rglob("*.md")} == {
        p.relative_to(site).as_posix().removesuffix("/index.html").replace(".html", "")
        for p in site.rglob("*.html")
        if p.name != "404.html"
    }
    assert not (site / "generate.py").exists()


def test_pages_load_nothing_from_elsewhere(site: Path) -> None:
    for page in site.rglob("*.html"):
        text = page.read_text(encoding="utf-8")
        assert not re.findall(r'(?:src|<link[^>]*href)="(?:https?:)?//[^"]*"', text), page
        assert "``" not in re.sub(r"(?s)<(code|script)\b.*?</\1>", "", text), page


def test_tables_keep_their_columns(site: Path) -> None:
    # A type such as "str | None" has the character that divides columns.
    text = (site / "authors" / "catalogue" / "index.html").read_text(encoding="utf-8")
    rows = re.findall(r"(?s)<tr>(.*?)</tr>", text)
    assert rows
    assert {len(re.findall(r"<t[dh]\b", row)) for row in rows} == {4}
    assert "<code>str | None</code>" in text
