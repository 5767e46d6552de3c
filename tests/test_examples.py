"""The examples run, and the README shows them as they are."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from colearn_core.comparing import Grid
from colearn_core.plugins import Plugins

ROOT = Path(__file__).parent.parent
EXAMPLES = sorted((ROOT / "examples").glob("*.py"))


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda p: p.stem)
def test_an_example_runs(example: Path, tmp_path: Path) -> None:
    done = subprocess.run([sys.executable, str(example)], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""


def test_the_quickstart_learns() -> None:
    done = subprocess.run(
        [sys.executable, str(ROOT / "examples" / "quickstart.py")], capture_output=True, text=True, check=True
    )
    last = done.stdout.splitlines()[-1]
    found = re.search(r"test accuracy ([\d.]+)", last)
    assert found
    assert float(found[1]) > 0.9


def test_the_readme_shows_the_example_files() -> None:
    text = (ROOT / "README.md").read_text()
    blocks = re.findall(r"<!-- (examples/\S+) -->\n```python\n(.*?)```", text, re.DOTALL)
    assert blocks
    for name, code in blocks:
        assert (ROOT / name).read_text() == code


def test_links_in_the_documentation_lead_somewhere() -> None:
    pages = [
        ROOT / "README.md",
        *(ROOT / "docs").rglob("*.md"),
        *ROOT.glob("*/README.md"),
        *ROOT.glob("plugins/*/README.md"),
    ]
    missing = [
        (page.name, target)
        for page in pages
        for target in re.findall(r"\]\(([^)#:]+)\)", page.read_text())
        if not (page.parent / target).exists()
    ]
    assert missing == []


def test_the_example_of_a_comparison_is_a_grid_of_ninety_runs() -> None:
    runs = Grid.read(ROOT / "examples" / "compare.toml").runs(Plugins())
    assert len({run.digest for run in runs}) == 90
    assert len({run.series for run in runs}) == 18
    assert {run.budget.trainings for run in runs} == {600}
