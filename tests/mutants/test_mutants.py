"""The kit notices faults: of the components that each have one planted, at least 95 % are killed."""

from __future__ import annotations

import pytest
from mutant import Mutant
from table import CONTROLS, MUTANTS, PAGE, page

KILLED = 0.95


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda m: f"{m.kind}-{m.name}")
def test_a_fault_is_noticed_or_its_reason_to_survive_is_named(mutant: Mutant) -> None:
    assert bool(mutant.killers) == (mutant.survives is None)


@pytest.mark.parametrize("control", CONTROLS, ids=lambda m: f"{m.kind}-{m.name}")
def test_an_unusual_but_correct_component_passes(control: Mutant) -> None:
    assert control.killers == []


def test_enough_mutants_are_killed() -> None:
    assert len(MUTANTS) >= 40
    assert sum(m.survives is None for m in MUTANTS) >= KILLED * len(MUTANTS)


def test_the_known_faults_of_the_predecessor_are_among_them() -> None:
    assert sum("Fetch.ai" in m.origin for m in MUTANTS) >= 7


def test_names_of_mutants_are_unique() -> None:
    names = [(m.kind, m.name) for m in [*MUTANTS, *CONTROLS]]
    assert len(set(names)) == len(names)


def test_the_page_tells_which_check_kills_which() -> None:
    assert PAGE.read_text() == page(), "run: python tests/mutants/table.py"
