"""The file ledger: what it holds, what it notices, and what is left of it when a write fails."""

from __future__ import annotations

import errno
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, fields
from itertools import pairwise
from pathlib import Path
from typing import Any, BinaryIO, cast

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from colearn_core.errors import Abstention, LedgerError
from colearn_core.experiment import Experiment
from colearn_core.history import History
from colearn_core.learner import Learner, Proposal
from colearn_core.ledger import ASIDE, FileLedger, LedgerFile, Sealed, line_hash, write_atomically
from colearn_core.metrics import metric
from colearn_core.plugins import Plugins
from colearn_core.scores import Part, Score
from colearn_core.weights import Weights

NAMES = ("Zoë", "Bo", "Cy", "Di")
ROUNDS = 12


@dataclass(frozen=True)
class Pull(Learner):
    """Pulls one number towards a goal of its own, so that the others often disagree."""

    goal: float
    samples: int = 3

    vote_metric = metric("mse")
    test_metric = metric("r2")

    def initial_weights(self, rng: np.random.Generator) -> Weights:
        return Weights({"w": rng.normal(size=3)})

    def propose_weights(self, base: Weights, rng: np.random.Generator) -> Proposal:
        return Proposal(
            Weights({"w": base["w"] + 0.4 * (self.goal - base["w"]) + rng.normal(size=3) / 9}), self.samples
        )

    def test_weights(self, weights: Weights, part: Part) -> Score:
        loss = float(np.square(weights["w"] - self.goal).mean())
        return Score(loss if part == "vote" else 1 - loss / 3, self.samples)


class Silent(Pull):
    """Has neither proposals nor scores to give, and says why."""

    def propose_weights(self, base: Weights, rng: np.random.Generator) -> Proposal:
        raise Abstention("privacy budget spent")

    def test_weights(self, weights: Weights, part: Part) -> Score:
        raise Abstention("privacy budget spent")


class Overflowing(Pull):
    """Scores that aren't finite."""

    def test_weights(self, weights: Weights, part: Part) -> Score:
        return Score(float("inf"), self.samples)


def learners() -> list[Learner]:
    return [Pull(1.0), Pull(1 / 3, 5), Pull(1.2, 2), Silent(0.0)]


def experiment(folder: Path | None, seed: int = 7, parties: list[Learner] | None = None, **options: Any) -> Experiment:
    parties = learners() if parties is None else parties
    ledger = None if folder is None else FileLedger(folder)
    names = NAMES[: len(parties)]
    return Experiment(parties, seed=seed, names=names, ledger=ledger, plugins=Plugins([]), **options)


def played(folder: Path, seed: int = 7, rounds: int = ROUNDS, **options: Any) -> History:
    """Play and close; the history is the one kept in memory."""
    it = experiment(folder, seed, **options)
    history = it.run(rounds).history
    closed(it)
    return history


def closed(it: Experiment) -> None:
    assert it.ledger is not None
    it.ledger.close()


def lines_of(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / "ledger.jsonl").read_text().splitlines()]


def assert_same(read: History, memory: History) -> None:
    """All columns, to the bit."""
    for column in fields(History):
        ours, theirs = getattr(read, column.name), getattr(memory, column.name)
        if column.name.endswith(("votes", "_scores", "_samples")):
            one, other = np.array(ours), np.array(theirs)
            assert (one.dtype, one.shape) == (other.dtype, other.shape), column.name
            np.testing.assert_array_equal(one, other, err_msg=column.name)
        else:
            assert ours == theirs, column.name
    assert repr(read.columns()) == repr(memory.columns())


# What it holds


def test_the_ledger_has_an_opening_and_a_line_for_each_round(tmp_path: Path) -> None:
    history = played(tmp_path, proposals="round_robin")
    lines = lines_of(tmp_path)
    assert [line["round"] for line in lines] == list(range(ROUNDS + 1))
    assert lines[0]["colearn"] == 2
    assert lines[0]["learners"] == list(NAMES)
    assert lines[0]["seed"] == 7
    assert lines[0]["versions"]["numpy"] == np.__version__
    assert lines[0]["abstentions"] == {"3": "privacy budget spent"}
    assert [line["accepted"] for line in lines[1:]] == history.accepted
    assert lines[4]["proposers"] == [3]
    assert lines[4]["refusals"] == {"3": "privacy budget spent"}
    assert lines[4]["candidates"] == []
    (candidate,) = lines[1]["candidates"]
    assert candidate["authors"] == [0]
    assert candidate["votes"][0] == "."  # an author doesn't vote on its own candidate
    assert len(candidate["scores"]) == len(NAMES)
    assert (tmp_path / "ledger.jsonl").read_bytes().endswith(b"}\n")


def test_the_example_has_both_outcomes_and_so_tests_something(tmp_path: Path) -> None:
    history = played(tmp_path)
    assert set(history.accepted) == {True, False}
    assert {int(vote) for votes in history.votes for vote in votes} == {-1, 0, 1}


def test_each_line_has_the_hash_of_the_one_before(tmp_path: Path) -> None:
    played(tmp_path)
    previous = ""
    for line in lines_of(tmp_path):
        assert line["previous"] == previous
        assert line["hash"] == line_hash(line)
        previous = line["hash"]
    assert len(previous) == 64


def test_two_runs_with_one_seed_differ_in_what_is_put_aside_only(tmp_path: Path) -> None:
    played(tmp_path / "a")
    played(tmp_path / "b", runtime="loop")
    one, two = ([{**line, ASIDE: None} for line in lines_of(tmp_path / name)] for name in ("a", "b"))
    assert one == two
    played(tmp_path / "c", seed=8)
    assert lines_of(tmp_path / "c")[1]["hash"] != one[1]["hash"]


def test_what_a_run_took_is_put_aside(tmp_path: Path) -> None:
    played(tmp_path)
    opening, first, *_ = lines_of(tmp_path)
    assert {"platform", "processors", "cohort"} <= set(opening[ASIDE])
    assert set(first[ASIDE]["seconds"]) == {"propose", "vote", "round"}


def test_adopted_weights_lie_beside_the_ledger_and_match_their_digests(tmp_path: Path) -> None:
    it = experiment(tmp_path)
    weights = it.run(ROUNDS).weights
    closed(it)
    digests = [line["weights"] for line in lines_of(tmp_path)]
    files = {path.name: path for path in (tmp_path / "weights").iterdir()}
    assert set(files) == {f"{digest}.safetensors" for digest in digests}  # and no temporary file
    for digest in digests:
        assert Weights.from_bytes(files[f"{digest}.safetensors"].read_bytes()).digest == digest
    assert digests[-1] == weights.digest


def test_only_accepted_rounds_change_the_weights_and_have_test_scores(tmp_path: Path) -> None:
    played(tmp_path)
    lines = lines_of(tmp_path)
    for before, line in pairwise(lines):
        assert (line["weights"] != before["weights"]) == line["accepted"]
        assert ("test" in line) == line["accepted"]
        if line["accepted"]:
            assert line["weights"] == line["candidates"][line["leader"]]["digest"]


@pytest.mark.parametrize("proposals", ["round_robin", "approval", "everyone", "line_search"])
def test_the_history_read_is_the_one_kept_in_memory_to_the_bit(tmp_path: Path, proposals: str) -> None:
    memory = played(tmp_path, proposals=proposals)
    assert_same(LedgerFile.read(tmp_path / "ledger.jsonl").history(), memory)


def test_scores_that_arent_finite_read_as_they_were_in_memory(tmp_path: Path) -> None:
    memory = played(tmp_path, parties=[Pull(1.0), Pull(1.1), Pull(0.9), Overflowing(1.0)], rounds=6)
    assert any(memory.accepted)
    assert_same(LedgerFile.read(tmp_path / "ledger.jsonl").history(), memory)


def test_a_running_ledger_can_be_read_after_every_round(tmp_path: Path) -> None:
    it = experiment(tmp_path)
    for record in it.rounds(4):
        assert len(LedgerFile.read(tmp_path / "ledger.jsonl").rounds) == record.round
    closed(it)


def test_a_second_run_goes_on_in_the_same_ledger(tmp_path: Path) -> None:
    it = experiment(tmp_path)
    it.run(3)
    it.run(2)
    closed(it)
    assert len(LedgerFile.read(tmp_path / "ledger.jsonl").rounds) == 5
    played(tmp_path / "whole", rounds=5)
    assert lines_of(tmp_path)[-1]["hash"] == lines_of(tmp_path / "whole")[-1]["hash"]


@dataclass(frozen=True)
class InterruptedOnce(Pull):
    """Is interrupted, as by Ctrl-C, in its first training."""

    calls: tuple[list[int], ...] = ([],)

    def propose_weights(self, base: Weights, rng: np.random.Generator) -> Proposal:
        if not self.calls[0]:
            self.calls[0].append(1)
            raise KeyboardInterrupt
        return super().propose_weights(base, rng)


def test_a_run_interrupted_in_its_first_round_can_be_taken_up_again(tmp_path: Path) -> None:
    it = experiment(tmp_path, parties=[InterruptedOnce(1.0, calls=([],)), Pull(1.1)])
    assert it.run(3).history.round == []
    it.run(3)
    closed(it)
    assert [line["round"] for line in LedgerFile.read(tmp_path / "ledger.jsonl").rounds] == [1, 2, 3]


# Where it can't be written


def test_a_ledger_in_place_is_refused_and_left_as_it_was(tmp_path: Path) -> None:
    played(tmp_path, rounds=2)
    before = (tmp_path / "ledger.jsonl").read_bytes()
    with pytest.raises(LedgerError, match=r"ledger\.jsonl exists; a ledger is never overwritten"):
        FileLedger(tmp_path)
    assert (tmp_path / "ledger.jsonl").read_bytes() == before


def test_a_folder_that_cant_be_made_is_a_ledger_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(LedgerError, match=r"can't write a ledger in .*file"):
        FileLedger(tmp_path / "file" / "run")


def test_a_file_in_place_of_the_weights_folder_isnt_taken_for_a_ledger(tmp_path: Path) -> None:
    (tmp_path / "weights").write_text("")
    with pytest.raises(LedgerError) as caught:
        FileLedger(tmp_path)
    assert "ledger.jsonl exists" not in str(caught.value)
    assert "weights" in str(caught.value)


def test_weights_that_cant_be_written_are_a_ledger_error_and_no_round_is_recorded(tmp_path: Path) -> None:
    it = experiment(tmp_path)
    it.run(3)
    (tmp_path / "weights").rename(tmp_path / "gone")
    with pytest.raises(LedgerError, match=r"can't write .*\.safetensors"):
        it.run(ROUNDS)
    closed(it)
    rounds = LedgerFile.read(tmp_path / "ledger.jsonl").rounds
    assert len(rounds) >= 3
    gone = {path.stem for path in (tmp_path / "gone").iterdir()}
    assert {line["weights"] for line in rounds} <= gone


class HalfFull:
    """A file on a disk that fills up: it stores half of what it's given, then fails, or tells how much it stored."""

    def __init__(self, file: BinaryIO, fail: bool) -> None:
        self._file = file
        self._fail = fail

    def __getattr__(self, name: str) -> Any:
        return getattr(self._file, name)

    def write(self, data: bytes) -> int:
        written = self._file.write(data[: len(data) // 2])
        if self._fail:
            raise OSError(errno.ENOSPC, "No space left on device")
        return written


@contextmanager
def full(ledger: FileLedger, fail: bool) -> Iterator[None]:
    file = ledger._file
    ledger._file = cast(BinaryIO, HalfFull(file, fail))
    try:
        yield
    finally:
        ledger._file = file


@pytest.mark.parametrize(
    ("fail", "why"), [(True, "No space left"), (False, "bytes were written; the disk may be full")]
)
@pytest.mark.parametrize("rounds", [1, 5])
def test_a_write_that_fails_midway_leaves_the_rounds_before_whole(
    tmp_path: Path, fail: bool, why: str, rounds: int
) -> None:
    it = experiment(tmp_path)
    it.run(rounds)
    before = (tmp_path / "ledger.jsonl").read_bytes()
    assert isinstance(it.ledger, FileLedger)
    with full(it.ledger, fail), pytest.raises(LedgerError) as caught:
        it.run(1)
    assert why in str(caught.value)
    assert "ledger.jsonl" in str(caught.value)
    assert f"whole up to round {rounds}." in str(caught.value)
    assert (tmp_path / "ledger.jsonl").read_bytes() == before
    it.run(2)  # there's space again: the lost round is played anew
    closed(it)
    played(tmp_path / "undisturbed", rounds=rounds + 2)
    assert lines_of(tmp_path)[-1]["hash"] == lines_of(tmp_path / "undisturbed")[-1]["hash"]


def test_a_first_round_that_cant_be_written_can_be_played_again(tmp_path: Path) -> None:
    it = experiment(tmp_path)
    ledger = it.ledger
    assert isinstance(ledger, FileLedger)
    original = ledger.append

    def append(record: Any) -> None:
        with full(ledger, fail=True):
            original(record)

    ledger.append = append  # type: ignore[method-assign]
    with pytest.raises(LedgerError, match="whole up to round 0"):
        it.run(1)
    ledger.append = original  # type: ignore[method-assign]
    it.run(1)
    closed(it)
    assert [line["round"] for line in LedgerFile.read(tmp_path / "ledger.jsonl").rounds] == [1]


def test_an_opening_that_cant_be_written_leaves_the_file_empty_and_claims_no_round(tmp_path: Path) -> None:
    it = experiment(tmp_path)
    assert isinstance(it.ledger, FileLedger)
    with full(it.ledger, fail=True), pytest.raises(LedgerError, match="No space left") as caught:
        it.run(1)
    assert "Nothing has been recorded yet" in str(caught.value)
    assert "round -1" not in str(caught.value)
    assert (tmp_path / "ledger.jsonl").read_bytes() == b""
    it.run(1)
    closed(it)
    assert len(LedgerFile.read(tmp_path / "ledger.jsonl").rounds) == 1


def test_a_file_at_the_systems_size_limit_stays_whole(tmp_path: Path) -> None:
    resource = pytest.importorskip("resource")  # there's none on Windows
    it = experiment(tmp_path)
    it.run(4)
    before = (tmp_path / "ledger.jsonl").read_bytes()
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (len(before) + 40, hard))
    try:
        with pytest.raises(LedgerError, match="whole up to round 4"):
            it.run(1)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    closed(it)
    assert (tmp_path / "ledger.jsonl").read_bytes() == before


def test_a_file_is_written_atomically(tmp_path: Path) -> None:
    write_atomically(tmp_path / "x", b"old")
    write_atomically(tmp_path / "x", b"new")
    assert (tmp_path / "x").read_bytes() == b"new"
    assert [path.name for path in tmp_path.iterdir()] == ["x"]


@pytest.mark.parametrize("error", [OSError(errno.ENOSPC, "No space left on device"), KeyboardInterrupt()])
def test_an_atomic_write_that_fails_leaves_nothing_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: BaseException
) -> None:
    (tmp_path / "x").write_bytes(b"old")

    def replace(*_: object) -> Path:
        raise error

    monkeypatch.setattr(Path, "replace", replace)
    with pytest.raises(type(error)):
        write_atomically(tmp_path / "x", b"new")
    assert [path.name for path in tmp_path.iterdir()] == ["x"]
    assert (tmp_path / "x").read_bytes() == b"old"


def test_an_atomic_write_onto_a_folder_fails_and_leaves_nothing_behind(tmp_path: Path) -> None:
    (tmp_path / "x").mkdir()
    with pytest.raises(OSError, match="x"):
        write_atomically(tmp_path / "x", b"new")
    assert [path.name for path in tmp_path.iterdir()] == ["x"]


# What it notices


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> list[bytes]:
    """The lines of a whole ledger."""
    folder = tmp_path_factory.mktemp("original")
    played(folder, rounds=6)
    return (folder / "ledger.jsonl").read_bytes().splitlines(keepends=True)


def altered(line: bytes, change: Callable[[dict[str, Any]], None]) -> bytes:
    values = json.loads(line)
    change(values)
    return json.dumps(values, separators=(",", ":")).encode() + b"\n"


def resealed(line: bytes, previous: bytes) -> bytes:
    """The line with the seal that it would have had after that line."""
    values = json.loads(line)
    values[ASIDE].pop("seal", None)
    return Sealed.of(values, json.loads(previous)[ASIDE]["seal"]).data


def refusal(folder: Path, lines: list[bytes]) -> str:
    (folder / "ledger.jsonl").write_bytes(b"".join(lines))
    with pytest.raises(LedgerError) as caught:
        LedgerFile.read(folder / "ledger.jsonl")
    return str(caught.value)


def test_a_whole_ledger_is_read_without_complaint(tmp_path: Path, original: list[bytes]) -> None:
    (tmp_path / "ledger.jsonl").write_bytes(b"".join(original))
    ledger = LedgerFile.read(tmp_path / "ledger.jsonl")
    assert len(ledger.rounds) == 6
    assert ledger.opening["round"] == 0


@pytest.mark.parametrize("kept", [1, 100, -1])
def test_a_last_line_that_is_cut_off_is_named_with_what_is_whole(
    tmp_path: Path, original: list[bytes], kept: int
) -> None:
    message = refusal(tmp_path, [*original[:-1], original[-1][:kept]])
    assert f"line {len(original)} is cut off" in message
    assert f"whole up to line {len(original) - 1}" in message


FIELDS: dict[str, Callable[[dict[str, Any]], None]] = {
    "accepted": lambda line: line.update(accepted=not line["accepted"]),
    "score": lambda line: line["candidates"][0]["scores"].__setitem__(1, 0.0),
    "votes": lambda line: line["candidates"][0].update(votes="AAAA"),
    "reason": lambda line: line.update(reason="4 of 4 approve"),
    "weights": lambda line: line.update(weights="0" * 64),
    "own hash": lambda line: line.update(hash="0" * 64),
    "added field": lambda line: line.update(note="x"),
    "removed field": lambda line: line.pop("refusals"),
}


@pytest.mark.parametrize("field", FIELDS)
@pytest.mark.parametrize("number", [2, 7])
def test_an_altered_field_is_noticed_in_its_line(
    tmp_path: Path, original: list[bytes], field: str, number: int
) -> None:
    lines = list(original)
    lines[number - 1] = altered(lines[number - 1], FIELDS[field])
    assert f"line {number} has been altered" in refusal(tmp_path, lines)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
def test_what_python_takes_for_json_but_isnt_is_refused_in_its_line(
    tmp_path: Path, original: list[bytes], value: float
) -> None:
    lines = list(original)
    lines[1] = altered(lines[1], lambda line: line["candidates"][0]["scores"].__setitem__(1, value))
    assert "line 2 " in refusal(tmp_path, lines)


def test_an_altered_line_with_a_fresh_hash_is_noticed_in_the_next(tmp_path: Path, original: list[bytes]) -> None:
    def forge(line: dict[str, Any]) -> None:
        line["reason"] = "4 of 4 approve"
        line["hash"] = line_hash(line)

    lines = list(original)
    lines[2] = altered(lines[2], forge)
    assert "line 3 has been altered in what it puts aside" in refusal(tmp_path, lines)
    lines[2] = resealed(lines[2], lines[1])
    assert "line 4 doesn't follow the line before" in refusal(tmp_path, lines)


def test_a_line_that_was_removed_is_noticed_where_it_was(tmp_path: Path, original: list[bytes]) -> None:
    assert "line 4 holds round 4, expected 3" in refusal(tmp_path, original[:3] + original[4:])


def test_a_line_that_was_doubled_is_noticed(tmp_path: Path, original: list[bytes]) -> None:
    assert "line 5 holds round 3, expected 4" in refusal(tmp_path, original[:4] + original[3:])


def test_swapped_lines_are_noticed_at_the_first(tmp_path: Path, original: list[bytes]) -> None:
    lines = list(original)
    lines[2], lines[3] = lines[3], lines[2]
    assert "line 3 holds round 3, expected 2" in refusal(tmp_path, lines)


def test_a_line_of_another_ledger_is_noticed(tmp_path: Path, original: list[bytes]) -> None:
    played(tmp_path / "other", seed=8, rounds=6)
    other = (tmp_path / "other" / "ledger.jsonl").read_bytes().splitlines(keepends=True)
    assert "line 4 doesn't follow the line before" in refusal(tmp_path, [*original[:3], *other[3:]])


@pytest.mark.parametrize(
    ("line", "why"),
    [
        (b"round 3: accepted\n", "is no JSON"),
        (b"\n", "is no JSON"),
        (b"\xff\xfe\x00\n", "is no JSON"),
        (b"[1, 2]\n", "is no line of a ledger"),
        (b'"hash"\n', "is no line of a ledger"),
        (b"{}\n", "is no line of a ledger"),
    ],
)
def test_a_line_that_is_none_of_a_ledger_is_named(tmp_path: Path, original: list[bytes], line: bytes, why: str) -> None:
    message = refusal(tmp_path, [*original[:3], line, *original[4:]])
    assert f"line 4 {why}" in message


def test_an_empty_file_is_no_ledger(tmp_path: Path) -> None:
    assert "ledger.jsonl is empty" in refusal(tmp_path, [])


def test_another_format_is_named_in_line_1(tmp_path: Path, original: list[bytes]) -> None:
    newer = altered(original[0], lambda line: line.update(colearn=1))
    assert "line 1 is no opening of a ledger of format 2" in refusal(tmp_path, [newer, *original[1:]])


def test_a_ledger_without_its_opening_is_refused(tmp_path: Path, original: list[bytes]) -> None:
    assert "line 1 is no opening" in refusal(tmp_path, original[1:])


def test_a_file_that_isnt_there_is_a_ledger_error(tmp_path: Path) -> None:
    with pytest.raises(LedgerError, match=r"can't read the ledger .*ledger\.jsonl: No such file"):
        LedgerFile.read(tmp_path / "ledger.jsonl")


@pytest.mark.parametrize("number", [1, 3, 7])
def test_altering_what_is_put_aside_breaks_the_seal(tmp_path: Path, original: list[bytes], number: int) -> None:
    lines = list(original)
    lines[number - 1] = altered(lines[number - 1], lambda values: values[ASIDE].update(seconds="few"))
    assert f"line {number} has been altered in what it puts aside" in refusal(tmp_path, lines)


def test_a_fresh_seal_breaks_that_of_the_next_line(tmp_path: Path, original: list[bytes]) -> None:
    lines = list(original)
    lines[2] = resealed(altered(lines[2], lambda values: values[ASIDE].update(seconds="few")), lines[1])
    assert "line 4 has been altered in what it puts aside" in refusal(tmp_path, lines)


@settings(max_examples=300, deadline=None)
@given(data=st.data())
def test_any_altered_byte_is_noticed_in_its_line(
    data: st.DataObject, original: list[bytes], tmp_path_factory: pytest.TempPathFactory
) -> None:
    number = data.draw(st.integers(1, len(original)))
    line = bytearray(original[number - 1])
    place = data.draw(st.integers(0, len(line) - 1))
    line[place] = data.draw(st.integers(0, 255).filter(lambda byte: byte != line[place]))
    path = tmp_path_factory.getbasetemp() / "one-altered.jsonl"
    path.write_bytes(b"".join([*original[: number - 1], bytes(line), *original[number:]]))
    with pytest.raises(LedgerError, match=rf"line {number}\b"):
        LedgerFile.read(path)
