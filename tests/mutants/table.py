"""Writes the mutation table of the documentation: ``python tests/mutants/table.py``."""

from __future__ import annotations

from collections.abc import Iterator
from importlib import import_module
from pathlib import Path

from mutant import Mutant

from colearn_core.components import KINDS

PAGE = Path(__file__).parents[2] / "docs" / "authors" / "mutation-table.md"
MODULES = {
    "learners": "faulty_learners",
    "voting_policies": "faulty_policies",
    "splitters": "faulty_splitters",
    "proposal_strategies": "faulty_strategies",
    "datasets": "faulty_datasets",
    "ledgers": "faulty_ledgers",
    "runtimes": "faulty_runtimes",
    "adversaries": "faulty_adversaries",
    "plugins": "faulty_plugins",
}
FILES = (*MODULES.values(), "faulty_exports", "faulty_trees")
MUTANTS: list[Mutant] = [m for file in FILES for m in import_module(file).MUTANTS]
CONTROLS: list[Mutant] = [m for file in FILES for m in import_module(file).CONTROLS]

INTRODUCTION = """\
# Does the kit notice faults?

To find out, faults were planted: each component in this table has one (`tests/mutants/`). The table is
written by `python tests/mutants/table.py`, and a test holds it to what the kit does.

**{killed} of {total} faults are noticed ({share:.0%})**, and none of the {controls} unusual but correct
components beside them is blamed.
"""


def page() -> str:
    """The text of the page; runs the kit on every mutant."""
    killed = sum(m.survives is None for m in MUTANTS)
    total = len(MUTANTS)
    head = INTRODUCTION.format(killed=killed, total=total, share=killed / total, controls=len(CONTROLS))
    return "\n".join([head, *(line for kind in MODULES for line in _section(kind))])


def _section(kind: str) -> Iterator[str]:
    title = KINDS.get(kind, "plugin")
    yield f"## Faults of a {title}\n"
    yield "| fault | noticed by |"
    yield "|---|---|"
    for mutant in MUTANTS:
        if mutant.kind == kind:
            seen = f" (seen in {mutant.origin})" if mutant.origin else ""
            yield f"| {mutant.fault}{seen} | {_noticed(mutant)} |"
    yield ""


def _noticed(mutant: Mutant) -> str:
    killers = mutant.killers
    if not killers:
        return f"**survives**: {mutant.survives}"
    others = len(killers) - 2
    return ", ".join(f"`{name}`" for name in killers[:2]) + (f" and {others} more" if others > 0 else "")


if __name__ == "__main__":
    PAGE.write_text(page())
    print(f"Wrote {PAGE.name}")
