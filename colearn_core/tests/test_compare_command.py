"""``colearn compare`` as users type it: resumed, killed, interrupted, with failures, on one process and two."""

from __future__ import annotations

import csv
import json
import multiprocessing
import os
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from colearn_core.cli import main
from colearn_core.comparing import Grid
from colearn_core.plugins import Plugins
from colearn_core.report.compare_tables import Mean
from colearn_core.workers import THREADS, Task, _one_thread_each, perform_all

QUICK = ["--data", "blobs", "--learner", "softmax", "--learners", "4", "--split", "dirichlet", "--rounds", "5"]
GRID = ["--vary", "proposals=round_robin,everyone", "--vary", "split.alpha=100,0.1", "--seeds", "2"]
LONG = [*QUICK[:-1], "300", "--vary", "proposals=round_robin,random", "--seeds", "2"]


def compare(*args: str | Path) -> Result:
    return CliRunner().invoke(main, ["compare", *map(str, args)])


def rows(folder: Path, name: str = "results") -> list[dict[str, str]]:
    """Of a CSV file, without what differs between two runs of the same."""
    with (folder / f"{name}.csv").open(newline="") as file:
        return [{k: v for k, v in row.items() if k != "seconds"} for row in csv.DictReader(file)]


def start(*args: str | Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "colearn_core", "compare", *map(str, args)],
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
    )  # fmt: skip


def wait_for_runs(folder: Path, count: int, process: subprocess.Popen[str]) -> None:
    deadline = time.monotonic() + 120
    while len(list((folder / "runs").glob("[0-9a-f]*.json"))) < count:
        assert process.poll() is None, process.communicate()[0]
        assert time.monotonic() < deadline
        time.sleep(0.02)


def alive(pid: int) -> bool:
    status = Path(f"/proc/{pid}/stat")
    return status.exists() and status.read_text().rpartition(")")[2].split()[0] not in "ZX"


def children(pid: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Result]:
    folder = tmp_path_factory.mktemp("compare") / "quick"
    return folder, compare(*QUICK, *GRID, "--out", folder)


def test_a_comparison_leaves_tables_a_picture_and_a_page(done: tuple[Path, Result]) -> None:
    folder, result = done
    assert result.exit_code == 0, result.output
    names = {p.name for p in folder.iterdir()}
    assert names == {"runs", "grid.toml", "results.csv", "curves.csv", "plot.png", "index.html"}
    found = rows(folder)
    assert [(r["proposals"], r["split.alpha"], r["seed"]) for r in found[:3]] == [
        ("round_robin", "100", "0"), ("round_robin", "100", "1"), ("round_robin", "0.1", "0"),
    ]  # fmt: skip
    assert len(found) == len(list((folder / "runs").iterdir())) == 8
    assert all(r["status"] == "done" and r["rounds"] == "5" and 0 < float(r["test"]) <= 1 for r in found)
    assert len(rows(folder, "curves")) == 8 * 6
    for words in ("mean ± deviation over seeds", "round_robin", "everyone", "results.csv", "index.html"):
        assert words in result.output


def test_a_second_start_plays_nothing_again(done: tuple[Path, Result]) -> None:
    folder, _ = done
    before = {p.name: p.stat().st_mtime_ns for p in (folder / "runs").iterdir()}
    results, page = (folder / "results.csv").read_bytes(), (folder / "index.html").read_bytes()
    again = compare(*QUICK, *GRID, "--out", folder)
    assert again.exit_code == 0, again.output
    assert "8 are done" in again.output
    assert {p.name: p.stat().st_mtime_ns for p in (folder / "runs").iterdir()} == before
    assert (folder / "results.csv").read_bytes() == results
    assert (folder / "index.html").read_bytes() == page


def test_the_kept_grid_is_the_same_comparison_and_an_edited_one_reuses_what_fits(done: tuple[Path, Result]) -> None:
    folder, _ = done
    listed = compare(folder / "grid.toml", "--out", folder, "--list")
    assert "8 runs, 8 done" in listed.output
    wider = ["--vary", "split.alpha=0.1,1,100", "--vary", "proposals=everyone"]
    outcome = json.loads(compare(folder / "grid.toml", *wider, "--out", folder, "--list", "--json").stdout)
    states = [(r["split.alpha"], r["seed"], r["state"]) for r in outcome["runs"]]
    assert states == [
        (0.1, 0, "done"), (0.1, 1, "done"), (1, 0, "to do"), (1, 1, "to do"), (100, 0, "done"), (100, 1, "done"),
    ]  # fmt: skip


def test_a_damaged_or_foreign_file_of_a_run_counts_as_none(done: tuple[Path, Result], tmp_path: Path) -> None:
    (run,) = Grid.of({"data": "blobs", "learner": "softmax", "rounds": 2}, "here").runs(Plugins())
    task = Task.of(run, tmp_path, ())
    assert task.finished() is None
    content = next((done[0] / "runs").iterdir()).read_bytes()
    for damaged in (b"", content[:40], content, b"[]", b'{"identity": 1}'):
        task.file.write_bytes(damaged)
        assert task.finished() is None


def test_one_process_and_two_give_the_same(done: tuple[Path, Result], tmp_path: Path) -> None:
    result = compare(*QUICK, *GRID, "--out", tmp_path / "alone", "--jobs", "1")
    assert result.exit_code == 0, result.output
    assert rows(tmp_path / "alone") == rows(done[0])
    assert rows(tmp_path / "alone", "curves") == rows(done[0], "curves")


def test_a_killed_comparison_continues_to_the_result_of_an_undisturbed_one(tmp_path: Path) -> None:
    process = start(*LONG, "--out", tmp_path / "killed")
    wait_for_runs(tmp_path / "killed", 1, process)
    workers = children(process.pid)
    assert workers
    process.kill()
    process.communicate()
    deadline = time.monotonic() + 20
    while any(map(alive, workers)):  # they notice that they are orphans
        assert time.monotonic() < deadline
        time.sleep(0.05)
    kept = {p: p.stat().st_mtime_ns for p in (tmp_path / "killed" / "runs").glob("[0-9a-f]*.json")}
    assert 1 <= len(kept) < 4
    continued = compare(*LONG, "--out", tmp_path / "killed")
    assert continued.exit_code == 0, continued.output
    assert f"{len(kept)} are done" in continued.output
    assert {p: p.stat().st_mtime_ns for p in kept} == kept
    assert compare(*LONG, "--out", tmp_path / "calm").exit_code == 0
    assert rows(tmp_path / "killed") == rows(tmp_path / "calm")
    assert rows(tmp_path / "killed", "curves") == rows(tmp_path / "calm", "curves")


def test_an_interrupt_ends_after_the_runs_in_progress_and_says_how_to_continue(tmp_path: Path) -> None:
    process = start(*LONG, "--out", tmp_path, "--jobs", "1")
    wait_for_runs(tmp_path, 1, process)
    process.send_signal(signal.SIGINT)
    output = process.communicate(timeout=60)[0]
    assert process.returncode == 130, output
    count = len(list((tmp_path / "runs").iterdir()))
    assert 1 <= count < 4
    assert f"Interrupted: {count} of 4 runs are done and safe in {tmp_path}. The same command continues." in output
    assert "Traceback" not in output
    assert len(rows(tmp_path)) == count
    assert (tmp_path / "index.html").exists()


def test_a_second_interrupt_ends_at_once(tmp_path: Path) -> None:
    process = start(*QUICK[:-1], "1000000", "--vary", "seed=0,1", "--out", tmp_path)
    deadline = time.monotonic() + 60
    while not children(process.pid):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    time.sleep(1)
    for _ in range(2):
        process.send_signal(signal.SIGINT)
        time.sleep(0.5)
    output = process.communicate(timeout=30)[0]
    assert process.returncode == 130, output
    assert "0 of 2 runs are done" in output
    assert "Traceback" not in output


def test_a_run_that_fails_is_named_and_the_others_go_on(tmp_path: Path) -> None:
    grid: list[str | Path] = [*QUICK, "--vary", "learners=3,601", "--seeds", "2", "--out", tmp_path]
    result = compare(*grid)
    assert result.exit_code == 1
    assert "2 of 4 runs failed" in result.output
    assert "learners=601, seed=1: " in result.output
    found = rows(tmp_path)
    assert [r["status"] for r in found] == ["done", "done", "failed", "failed"]
    assert "601 learners" in found[-1]["error"]
    assert "0 (2 failed)" in result.output
    assert "601 learners" in (tmp_path / "index.html").read_text()
    outcome = json.loads(compare(*grid, "--json").stdout)  # what failed is tried again, the rest isn't
    assert (outcome["done"], [f["run"] for f in outcome["failed"]]) == (
        2,
        ["learners=601, seed=0", "learners=601, seed=1"],
    )
    assert outcome["summary"][0]["learners"] == 3
    assert outcome["summary"][1]["test"] is None


def test_a_comparison_in_which_all_fail_says_so(tmp_path: Path) -> None:
    result = compare(*QUICK, "--learners", "601", "--out", tmp_path)
    assert result.exit_code == 1
    assert "1 of 1 runs failed" in result.output
    assert "Traceback" not in result.output


def test_combinations_that_are_the_same_experiment_are_played_once(tmp_path: Path) -> None:
    same = 'proposals=committee,{name="committee",size=5}'
    result = compare(*QUICK, "--vary", same, "--out", tmp_path)
    assert result.exit_code == 0, result.output
    first, second = rows(tmp_path)
    assert len(list((tmp_path / "runs").iterdir())) == 1
    assert (first.pop("proposals"), second.pop("proposals")) == ("committee", "committee size=5")
    assert first == second


def test_nothing_is_written_for_a_wrong_grid_or_a_list(tmp_path: Path) -> None:
    wrong = compare(*QUICK, "--vary", "split.alpha=1,-1", "--out", tmp_path / "c")
    assert wrong.exit_code == 2
    assert "split.alpha=-1" in wrong.output
    assert compare(*QUICK, *GRID, "--out", tmp_path / "c", "--list").exit_code == 0
    assert not (tmp_path / "c").exists()


@pytest.mark.parametrize(
    ("args", "words"),
    [
        (["--learner", "softmax", "--vary", "seed=1,2"], ["Name the data"]),
        ([*QUICK, "--trainings", "5"], ["either --rounds or --trainings"]),
        ([*QUICK, "--vary", "voting"], ["KEY=VALUE,VALUE"]),
        ([*QUICK, "--jobs", "0"], ["--jobs"]),
        (["nosuch.toml"], ["nosuch.toml"]),
    ],
)
def test_bad_input_is_named_with_exit_code_2(args: list[str], words: list[str]) -> None:
    result = compare(*args)
    assert result.exit_code == 2, result.output
    assert [word for word in words if word not in result.output] == []


def test_data_may_be_varied_and_options_win_over_the_file(tmp_path: Path) -> None:
    file = tmp_path / "two.toml"
    file.write_text('trainings = 9\nlearner = "softmax"\n[vary]\ndata = ["blobs"]\nseed = [4, 5]\n')
    listed = json.loads(compare(file, "--list", "--json").stdout)
    assert listed["folder"] == "compare/two"
    assert [r["seed"] for r in listed["runs"]] == [4, 5]
    again = json.loads(compare(file, "--seed", "8", "--rounds", "3", "--list", "--json").stdout)
    assert [r["data"] for r in again["runs"]] == ["blobs"]
    assert "seed" not in again["runs"][0]


def test_adversaries_are_varied_and_the_honest_learners_are_what_counts(tmp_path: Path) -> None:
    attacks = 'adversaries=[],{label="flips", value=[{name="sign_flip", share=0.5}]}'
    result = compare(*QUICK, "--vary", attacks, "--vary", "proposals=everyone", "--out", tmp_path)
    assert result.exit_code == 0, result.output
    calm, attacked = rows(tmp_path)
    assert [calm["adversaries"], attacked["adversaries"]] == ["none", "flips"]
    assert calm["test_honest"] == calm["test"]
    assert attacked["test_honest"] != attacked["test"]
    assert rows(tmp_path, "curves")[-1]["test_honest"] == attacked["test_honest"]
    config = ["--split", "dirichlet", "--set", "proposals.name=everyone", "--adversaries", "sign_flip:0.5"]
    listed = json.loads(compare(*QUICK, *config, "--list", "--json", "--out", tmp_path).stdout)
    assert [(r["run"], r["state"]) for r in listed["runs"]] == [(attacked["run"], "done")]


def test_an_unwritable_place_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    result = compare(*QUICK, "--out", tmp_path / "file" / "c")
    assert result.exit_code == 1
    assert "--out" in result.output


def test_parquet_holds_what_the_csv_files_hold(done: tuple[Path, Result]) -> None:
    parquet = pytest.importorskip("pyarrow.parquet")
    folder, _ = done
    assert compare(*QUICK, *GRID, "--out", folder, "--parquet").exit_code == 0
    for name in ("results", "curves"):
        table = parquet.read_table(folder / f"{name}.parquet").to_pylist()
        text = [{k: "" if v is None else str(v) for k, v in row.items() if k != "seconds"} for row in table]
        wanted = rows(folder, name)
        assert [list(row) for row in text] == [list(row) for row in wanted]
        for mine, other in zip(text, wanted, strict=True):
            assert all(mine[k] == v or float(mine[k]) == float(v) for k, v in other.items())
        (folder / f"{name}.parquet").unlink()


def test_parquet_without_pyarrow_is_refused_before_anything_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    result = compare(*QUICK, "--parquet", "--out", tmp_path / "c")
    assert result.exit_code == 2
    assert "colearn-core[parquet]" in result.output
    assert not (tmp_path / "c").exists()


def tasks(folder: Path, rounds: int, seeds: int) -> list[Task]:
    values = {"data": "blobs", "learner": "softmax", "learners": 4, "rounds": rounds}
    return [Task.of(run, folder, ()) for run in Grid.of(values, "here").seeded(seeds).runs(Plugins())]


def kill_workers(until: threading.Event, most: int) -> list[int]:
    killed: list[int] = []
    while not until.is_set() and len(killed) < most:
        for process in multiprocessing.active_children():
            if process.pid is not None and process.pid not in killed and len(killed) < most:
                process.kill()
                killed.append(process.pid)
        time.sleep(0.05)
    return killed


@pytest.mark.parametrize(("kills", "fails"), [(1, False), (2, True)])
def test_a_lost_process_costs_its_run_only_if_it_is_lost_again(kills: int, fails: bool, tmp_path: Path) -> None:
    wanted = tasks(tmp_path, rounds=400, seeds=1)
    found: list[tuple[Task, str | None]] = []
    over = threading.Event()
    killer = threading.Thread(target=kill_workers, args=(over, kills))
    killer.start()
    perform_all(wanted, 1, lambda task, error: found.append((task, error)), lambda: False)
    over.set()
    killer.join()
    ((task, error),) = found
    assert task == wanted[0]
    assert ("ended without a result" in (error or "")) == fails
    finished = task.finished()
    assert finished is not None
    assert finished.error == error
    if not fails:
        assert finished.outcome["rounds"] == 400


def test_no_run_is_begun_once_asked_to_stop(tmp_path: Path) -> None:
    found: list[Any] = []
    perform_all(tasks(tmp_path, rounds=2, seeds=5), 1, lambda *a: found.append(a), lambda: len(found) >= 2)
    assert len(found) == len(list(tmp_path.iterdir())) == 2


def test_workers_have_one_thread_each_whatever_is_set_outside(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "7")
    monkeypatch.delenv("MKL_NUM_THREADS", raising=False)
    with _one_thread_each(), ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
        assert {pool.submit(os.getenv, name).result() for name in THREADS} == {"1"}
    assert os.environ["OMP_NUM_THREADS"] == "7"
    assert "MKL_NUM_THREADS" not in os.environ


def test_a_mean_over_seeds_has_a_deviation_from_two_values_on() -> None:
    assert Mean.of([]) == Mean.of([None]) == Mean(None, None)
    assert Mean.of([0.5, None]) == Mean(0.5, None)
    assert Mean.of([1.0, 2.0, 3.0]) == Mean(2.0, 1.0)
    assert [str(m) for m in (Mean(None, None), Mean(0.5, None), Mean(2.0, 1.0))] == ["–", "0.500", "2.000 ± 1.000"]
