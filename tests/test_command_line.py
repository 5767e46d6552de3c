"""The ``colearn`` command as users type it, on the core and the scikit-learn plugin."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from colearn_core.cli import main
from colearn_core.ledger import LedgerFile

QUICK = ["--data", "iris", "--learner", "sklearn.sgd_classifier", "--learners", "4", "--rounds", "6", "--seed", "3"]


def colearn(*args: str | Path) -> Result:
    return CliRunner().invoke(main, [str(a) for a in args])


def modules_after(*args: str) -> set[str]:
    """The names in ``sys.modules`` after one command in a fresh interpreter."""
    code = (
        "import sys; from colearn_core.cli import main; "
        f"main({list(args)!r}, standalone_mode=False); print('MODULES', *sys.modules)"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    return set(out.splitlines()[-1].split())


def test_listing_plugins_imports_no_plugin_and_no_framework() -> None:
    modules = modules_after("plugins")
    assert not {m for m in modules if m.startswith("colearn_") and not m.startswith("colearn_core")}
    assert modules.isdisjoint({"sklearn", "pandas", "numpy", "pydantic", "matplotlib"})


def test_listing_components_imports_plugin_modules_but_no_framework() -> None:
    modules = modules_after("components")
    assert "colearn_sklearn_plugin.plugin" in modules
    assert modules.isdisjoint({"sklearn", "pandas", "matplotlib"})


def test_plugins_are_listed_for_eyes_and_for_programs() -> None:
    assert "colearn-sklearn-plugin" in colearn("plugins").output
    row = next(r for r in json.loads(colearn("plugins", "--json").output) if r["plugin"] == "sklearn")
    assert (row["distribution"], row["api"], row["status"]) == ("colearn-sklearn-plugin", 1, "ok")
    assert "offers" not in row
    checked = json.loads(colearn("plugins", "--check", "--json").output)
    assert "sklearn.mlp_classifier" in next(r for r in checked if r["plugin"] == "sklearn")["offers"]


def test_a_blocked_plugin_is_listed_as_such_and_its_components_are_gone() -> None:
    rows = json.loads(colearn("plugins", "--json", "--block", "sklearn").output)
    row = next(r for r in rows if r["plugin"] == "sklearn")
    assert row["status"] == "blocked"
    names = {r["name"] for r in json.loads(colearn("components", "--json", "--block", "sklearn").output)}
    assert "majority" in names
    assert "digits" not in names


def test_components_of_one_kind() -> None:
    rows = json.loads(colearn("components", "splitters", "--json").output)
    names = [r["name"] for r in rows]
    assert names == sorted(names)
    assert {"dirichlet", "fractions", "iid", "natural", "shards", "time"} <= set(names)
    assert all(r["summary"] and r["plugin"] == "core" for r in rows)


def test_show_tells_parameters_and_a_section_to_paste() -> None:
    about = json.loads(colearn("show", "dirichlet", "--json").output)
    alpha = about["parameters"][0]
    assert (alpha["name"], alpha["type"], alpha["default"]) == ("alpha", "float", 0.5)
    assert "Concentration" in alpha["help"]
    assert '[split]\nname = "dirichlet"\nalpha = 0.5' in colearn("show", "dirichlet").output


def test_show_of_an_unknown_name_suggests() -> None:
    result = colearn("show", "sklearn.mpl_classifier")
    assert result.exit_code == 2
    assert "Did you mean 'sklearn.mlp_classifier'" in result.output


def test_version_help_and_completion() -> None:
    assert colearn("--version").output.startswith("colearn-core 0.1")
    top = colearn("--help").output
    assert all(command in top for command in ("run", "init", "plugins", "components", "show", "plot"))
    assert "_COLEARN_COMPLETE" in colearn("completion", "bash").output


def test_an_unknown_command_suggests() -> None:
    result = colearn("plgins")
    assert result.exit_code == 2
    assert "Did you mean 'plugins'?" in result.output


def test_a_run_leaves_a_folder_that_tells_everything(tmp_path: Path) -> None:
    result = colearn("run", *QUICK, "--name", "first", "--out", tmp_path, "--baselines")
    assert result.exit_code == 0, result.output
    for row in ("collective, by vote", "each learner alone", "pooled data", "cyclic", "federated averaging"):
        assert row in result.output
    folder = tmp_path / "first"
    assert {p.name for p in folder.iterdir()} == {"experiment.toml", "ledger.jsonl", "plot.png", "weights"}
    ledger = LedgerFile.read(folder / "ledger.jsonl")
    assert len(ledger.rounds) == 6
    kept = {p.stem for p in (folder / "weights").iterdir()}
    assert kept == {ledger.opening["weights"], *(line["weights"] for line in ledger.rounds)}
    assert (folder / "plot.png").read_bytes().startswith(b"\x89PNG")


def test_a_run_can_be_repeated_from_its_own_experiment_file(tmp_path: Path) -> None:
    colearn("run", *QUICK, "--name", "first", "--out", tmp_path, "--set", "split.name=dirichlet")
    again = colearn("run", tmp_path / "first" / "experiment.toml", "--name", "second", "--out", tmp_path)
    assert again.exit_code == 0, again.output
    lines = [
        [line["hash"] for line in LedgerFile.read(tmp_path / name / "ledger.jsonl").rounds]
        for name in ("first", "second")
    ]
    assert lines[0] == lines[1]


def test_fused_and_loop_give_the_same_ledger(tmp_path: Path) -> None:
    for runtime in ("fused", "loop"):
        result = colearn(
            "run", *QUICK, "--proposals", "approval", "--runtime", runtime, "--name", runtime, "--out", tmp_path
        )
        assert result.exit_code == 0, result.output
    heads = [LedgerFile.read(tmp_path / r / "ledger.jsonl").rounds[-1]["hash"] for r in ("fused", "loop")]
    assert heads[0] == heads[1]


def test_json_output_is_the_outcome_and_nothing_else(tmp_path: Path) -> None:
    out = subprocess.run(
        [sys.executable, "-m", "colearn_core", "run", *QUICK, "--json", "--out", str(tmp_path)],
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    outcome = json.loads(out)
    assert outcome["rounds"] == 6
    assert outcome["test"]["metric"] == "accuracy"


def test_a_name_in_use_is_refused_and_nothing_is_overwritten(tmp_path: Path) -> None:
    colearn("run", *QUICK, "--name", "mine", "--out", tmp_path)
    before = (tmp_path / "mine" / "ledger.jsonl").read_bytes()
    result = colearn("run", *QUICK, "--name", "mine", "--out", tmp_path)
    assert result.exit_code == 2
    assert "exists" in result.output
    assert (tmp_path / "mine" / "ledger.jsonl").read_bytes() == before


def test_init_writes_a_file_that_runs(tmp_path: Path) -> None:
    file = tmp_path / "e.toml"
    assert colearn("init", file).exit_code == 0
    result = colearn("run", file, "--rounds", "2", "--out", tmp_path)
    assert result.exit_code == 0, result.output
    assert colearn("init", file).exit_code == 2


def test_plot_draws_a_run_again(tmp_path: Path) -> None:
    colearn("run", *QUICK, "--name", "mine", "--out", tmp_path)
    result = colearn("plot", tmp_path / "mine", "--out", tmp_path / "p.svg")
    assert result.exit_code == 0, result.output
    assert "<svg" in (tmp_path / "p.svg").read_text()


def test_plot_names_the_altered_line_of_a_ledger(tmp_path: Path) -> None:
    colearn("run", *QUICK, "--name", "mine", "--out", tmp_path)
    ledger = tmp_path / "mine" / "ledger.jsonl"
    lines = ledger.read_text().splitlines(keepends=True)
    lines[3] = lines[3].replace('"accepted":', '"accepted": ').replace('"reason":"', '"reason":"not ')
    ledger.write_text("".join(lines))
    result = colearn("plot", tmp_path / "mine")
    assert result.exit_code == 1
    assert "line 4" in result.output


@pytest.mark.parametrize(
    ("args", "words"),
    [
        (["--learner", "sklearn.sgd_classifier"], ["Name the data"]),
        (["--data", "digit", "--learner", "sklearn.mlp_classifier"], ["'digit'", "Did you mean 'digits'?", "Known:"]),
        (["--data", "iris", "--learner", "nosuch.model"], ["'nosuch.model'", "pip install colearn-nosuch-plugin"]),
        ([*QUICK, "--set", "learner.alhpa=1"], ["sklearn.sgd_classifier", "'alhpa'", "alpha=0.0001"]),
        ([*QUICK, "--set", "learner.alpha=high"], ["alpha = 'high'", "float"]),
        ([*QUICK, "--set", "learner.alpha=-1"], ["alpha = -1"]),
        ([*QUICK, "--set", "split.alpha"], ["section.key=value"]),
        ([*QUICK, "--set", "learner.loss=nosuch"], ["loss"]),
        ([*QUICK, "--rounds", "0"], ["rounds", "greater than or equal to 1"]),
        ([*QUICK, "--learners", "0"], ["learners", "greater than or equal to 1"]),
        ([*QUICK, "--learners", "151"], ["151 learners", "150"]),
        ([*QUICK, "--split", "dirichlet", "--set", "split.alpha=0"], ["alpha"]),
        (
            [*QUICK, "--set", "holdout.vote=0.9", "--set", "holdout.test=0.2"],
            ["holdout", "leave something to train on"],
        ),
        ([*QUICK, "--set", "speed=9"], ["unknown key 'speed'"]),
        (["nosuch.toml"], ["nosuch.toml", "colearn init"]),
        (["--data", "diabetes", "--learner", "sklearn.sgd_classifier"], ["regression"]),
        ([*QUICK, "--block", "sklearn"], ["Blocked plugins: sklearn"]),
    ],
)
def test_bad_input_is_named_with_exit_code_2_and_no_traceback(
    args: list[str], words: list[str], tmp_path: Path
) -> None:
    result = colearn("run", *args, "--out", tmp_path / "runs")
    assert result.exit_code == 2, result.output
    assert [word for word in words if word not in result.output] == []
    assert "Traceback" not in result.output
    assert not (tmp_path / "runs").exists()


def test_a_toml_error_names_its_line(tmp_path: Path) -> None:
    file = tmp_path / "e.toml"
    file.write_text('rounds = 3\nlearners = \n[data]\nname = "iris"\n')
    result = colearn("run", file)
    assert result.exit_code == 2
    assert "line 2" in result.output


def test_an_unwritable_place_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    result = colearn("run", *QUICK, "--out", tmp_path / "file" / "runs")
    assert result.exit_code == 1
    assert "can't write" in result.output
    assert "--out" in result.output


def test_debug_shows_the_traceback(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "colearn_core", "--debug", "show", "nosuch"], capture_output=True, text=True
    )
    assert "Traceback" in done.stderr
    assert "Traceback" not in colearn("show", "nosuch").output


@pytest.mark.parametrize("learners", [1, 2, 150])
def test_few_and_many_learners_run_to_the_end(learners: int, tmp_path: Path) -> None:
    result = colearn("run", *QUICK, "--learners", str(learners), "--out", tmp_path, "--baselines")
    assert result.exit_code == 0, result.output
    if learners == 150:
        assert "too few samples to vote" in result.output


def test_a_stalled_run_says_what_helps(tmp_path: Path) -> None:
    stuck = [
        "--proposals",
        "round_robin",
        "--set",
        "voting.min_improvement=99",
        "--rounds",
        "30",
        "--out",
        str(tmp_path),
    ]
    assert "--proposals approval" in colearn("run", *QUICK, *stuck).output


def test_learners_that_cannot_train_are_told_once(tmp_path: Path) -> None:
    wild = ["--data", "diabetes", "--learner", "sklearn.sgd_regressor", "--set", "learner.eta0=1e300", "--rounds", "5"]
    output = colearn("run", *wild, "--out", tmp_path).output
    assert output.count("proposes nothing: ValueError: Floating-point under-/overflow") == 1
    assert "0 of 5 rounds accepted" in output


def test_data_that_a_learner_cannot_take_are_named_before_the_run(tmp_path: Path) -> None:
    result = colearn("run", "--data", "iris", "--learner", "sklearn.multinomial_nb", "--out", tmp_path / "runs")
    assert result.exit_code == 1
    assert "data.standardize=false" in result.output
    assert not (tmp_path / "runs").exists()


def test_ctrl_c_ends_after_the_round_and_the_ledger_is_whole(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "colearn_core", "run", *QUICK, "--rounds", "100000", "--name", "r", "--out"]
    process = subprocess.Popen([*command, str(tmp_path)], stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    ledger = tmp_path / "r" / "ledger.jsonl"
    _wait_for(lambda: ledger.exists() and ledger.read_bytes().count(b"\n") > 3)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 130
    rounds = len(LedgerFile.read(ledger).rounds)
    assert f"{rounds} of 100000 rounds are done and safe" in err
    assert (tmp_path / "r" / "plot.png").exists()


def test_a_killed_run_leaves_a_whole_ledger(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "colearn_core", "run", *QUICK, "--rounds", "100000", "--name", "r", "--out"]
    process = subprocess.Popen([*command, str(tmp_path)], stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
    ledger = tmp_path / "r" / "ledger.jsonl"
    _wait_for(lambda: ledger.exists() and ledger.read_bytes().count(b"\n") > 3)
    os.kill(process.pid, signal.SIGKILL)
    process.wait(timeout=60)
    found = LedgerFile.read(ledger)
    assert len(found.rounds) >= 3
    for line in [found.opening, *found.rounds]:
        assert (tmp_path / "r" / "weights" / f"{line['weights']}.safetensors").exists()


def _wait_for(condition: object, seconds: float = 60) -> None:
    assert callable(condition)
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not happen in time"
        time.sleep(0.02)
