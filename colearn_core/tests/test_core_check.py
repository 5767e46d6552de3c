"""``colearn check``, the contract classes and the fixtures of the kit."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

import pytest
from click.testing import CliRunner, Result

from colearn_core import Component, Dataset, Experiment, Plugins, hookimpl
from colearn_core.cli import main
from colearn_core.testing import CheckFailed, check_learner, check_voting_policy
from colearn_core.testing.kit import checks_of
from colearn_core.voting import Majority


def colearn(*args: str) -> Result:
    return CliRunner().invoke(main, list(args))


@dataclass(frozen=True)
class TiesWin(Majority):
    """A fault: half is enough, against what it inherits."""

    def passes(self, approvals: int, cast: int) -> bool:
        return 2 * approvals >= cast


@pytest.fixture
def mine(monkeypatch: pytest.MonkeyPatch, colearn_plugins: Callable[..., Plugins]) -> None:
    """The only installed plugin offers the faulty policy."""

    @hookimpl
    def colearn_voting_policies() -> list[Component]:
        return [Component("mine.ties_win", f"{__name__}:TiesWin", "Half is enough")]

    module = SimpleNamespace(colearn_voting_policies=colearn_voting_policies)
    infos = list(colearn_plugins(mine=module).infos.values())
    monkeypatch.setattr("colearn_core.plugins.installed", lambda: infos)


def test_each_check_prints_its_verdict() -> None:
    result = colearn("check", "majority")
    assert result.exit_code == 0, result.output
    lines = result.output.splitlines()
    assert [line.split() for line in lines[1:-1]] == [["ok", check.name] for check in checks_of("voting_policies")]
    assert lines[-1] == f"{len(lines) - 2} of {len(lines) - 2} checks passed"


@pytest.mark.usefixtures("mine")
def test_a_failure_is_named_with_exit_code_1() -> None:
    result = colearn("check", "mine.ties_win")
    assert result.exit_code == 1
    assert "FAIL  ties_are_decided_as_declared" in result.output
    assert "Traceback" not in result.output
    assert "Why it matters: " in colearn("check", "mine.ties_win", "--why").output


@pytest.mark.usefixtures("mine")
def test_a_plugin_is_checked_with_all_that_it_offers() -> None:
    rows = json.loads(colearn("check", "mine", "--json").output)
    assert {row["name"] for row in rows} == {"plugin 'mine'", "voting policy 'mine.ties_win'"}
    failed = [row["check"] for row in rows if row["failure"] and row["name"].startswith("voting")]
    assert failed == ["ties_are_decided_as_declared"]


@pytest.mark.usefixtures("mine")
def test_debug_shows_where_a_check_failed() -> None:
    result = colearn("--debug", "check", "mine.ties_win")
    assert isinstance(result.exception, CheckFailed)


@pytest.mark.parametrize(
    ("args", "words"),
    [
        (["majorty"], ["'majorty'", "Did you mean 'majority' or "]),
        (["fractions"], ["'fractions' needs the parameter 'shares'"]),
        (["majority", "--set", "quorom=1"], ["no parameter 'quorom'", "quorum=0.5"]),
        (["softmax", "--data", "nosuch"], ["unknown data set 'nosuch'"]),
        ([], ["Missing argument"]),
    ],
)
def test_bad_input_is_named_with_exit_code_2(args: list[str], words: list[str]) -> None:
    result = colearn("check", *args)
    assert result.exit_code == 2, result.output
    assert [word for word in words if word not in result.output] == []


def test_required_parameters_can_be_given() -> None:
    result = colearn("check", "fractions", "--set", "shares=[1, 2, 3]", "--learners", "3")
    assert result.exit_code == 0, result.output


def test_a_learner_can_be_checked_on_other_data() -> None:
    result = colearn("check", "softmax", "--data", "blobs", "--set", "steps=5")
    assert result.exit_code == 0, result.output


def test_without_pytest_the_kit_raises_what_is_wrong() -> None:
    check_voting_policy(Majority, quorum=0.3)
    with pytest.raises(CheckFailed, match=r"fails 1 of \d+ checks:\n- ties_are_decided_as_declared: "):
        check_voting_policy(TiesWin)


def test_a_learner_that_takes_none_of_the_kits_data_is_told() -> None:
    def make(data: Any) -> Any:
        from colearn_core.errors import DataError

        raise DataError("only pictures, please")

    with pytest.raises(CheckFailed, match=r"takes none of the kit's data.*only pictures"):
        check_learner(make)


def test_every_check_says_why_it_matters() -> None:
    from colearn_core.components import KINDS

    for kind in (*KINDS, "plugins"):
        checks = checks_of(kind)
        assert checks
        assert [check.name for check in checks if not check.why] == []


CONTRACTS = """
from colearn_core.testing import VotingPolicyContract

class TestTies(VotingPolicyContract):
    component = "threshold"
    parameters = {"share": 0.6}
    expected_failures = {EXPECTED}
"""


@pytest.mark.parametrize(
    ("expected", "outcome"),
    [
        ("{}", "passed"),
        ('{"ties_are_decided_as_declared": "a strict expectation that is wrong"}', "1 failed"),
        ('{"no_such_check": "?"}', "expects a failure of 'no_such_check'; checks: "),
    ],
)
def test_a_contract_class_runs_one_test_per_check(expected: str, outcome: str, tmp_path: Any) -> None:
    (tmp_path / "test_ties.py").write_text(CONTRACTS.replace("{EXPECTED}", expected))
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(tmp_path)]
    output = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path).stdout
    assert outcome in output
    if outcome == "passed":
        assert f"{len(checks_of('voting_policies'))} passed" in output


def test_an_expected_failure_is_an_xfail(tmp_path: Any) -> None:
    (tmp_path / "test_mine.py").write_text(
        "from colearn_core.testing import VotingPolicyContract\n"
        "from colearn_core.testing.kit import Subject\n"
        "from colearn_core.voting import Majority\n"
        "class TiesWin(Majority):\n"
        "    def passes(self, approvals, cast):\n"
        "        return 2 * approvals >= cast\n"
        "class TestMine(VotingPolicyContract):\n"
        "    expected_failures = {'ties_are_decided_as_declared': 'half is enough, by design'}\n"
        "    def subject(self):\n"
        "        return Subject(TiesWin)\n"
    )
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(tmp_path)]
    output = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path).stdout
    assert f"{len(checks_of('voting_policies')) - 1} passed, 1 xfailed" in output


def test_the_plugins_of_a_test_are_what_it_gives(
    colearn_plugins: Callable[..., Plugins], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLEARN_BLOCK_PLUGINS", "mine")

    @hookimpl
    def colearn_voting_policies() -> list[Component]:
        return [Component("mine.ties_win", f"{__name__}:TiesWin")]

    plugins = colearn_plugins(mine=SimpleNamespace(colearn_voting_policies=colearn_voting_policies))
    assert list(plugins.infos) == ["mine"]
    assert not plugins.errors
    assert "mine.ties_win" in plugins.components("voting_policies")


def test_the_fixtures_give_a_tiny_data_set_and_experiment(
    colearn_dataset: Dataset, colearn_experiment: Callable[..., Experiment]
) -> None:
    assert len(colearn_dataset.samples) == 90
    history = colearn_experiment(voting=Majority(), seed=3).run(8).history
    assert any(history.accepted)


def test_the_pytest_plugin_imports_nothing_heavy() -> None:
    code = (
        "import sys, pytest; before = set(sys.modules); import colearn_core.testing.pytest_plugin; "
        "print(*sorted(set(sys.modules) - before))"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert out.split() == ["colearn_core", "colearn_core.testing", "colearn_core.testing.pytest_plugin"]
