"""The ledger: the append-only, hash-chained record of the rounds."""

from __future__ import annotations

import hashlib
import json
import os
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from math import inf
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

from .errors import LedgerError
from .history import History
from .metrics import metric
from .privacy import SampledGaussian, Spent
from .rounds import RoundRecord, Standing
from .voting import Vote
from .weights import Weights

FORMAT = 2
LETTERS = {Vote.APPROVE: "A", Vote.REJECT: "R", Vote.ABSTAIN: "."}
VOTES = {letter: vote for vote, letter in LETTERS.items()}
ASIDE = "aside"
"""The one field that the hash leaves out: what may differ between two runs of one experiment. Its last entry is the
line's seal, see :class:`Sealed`."""


class Ledger(ABC):
    """Where the rounds are recorded. Used as a context manager; leaving it closes it."""

    @abstractmethod
    def begin(
        self, about: Mapping[str, Any], names: tuple[str, ...], standing: Standing, aside: Mapping[str, Any]
    ) -> None:
        """Record the experiment, its learners and the initial weights; called once, first.

        Args:
            about: what determines the result: experiment, seed, versions; JSON values only.
            aside: what doesn't: runtime, platform.
        """

    @abstractmethod
    def append(self, record: RoundRecord) -> None:
        """Record a round. When it returns, the round is safe; if it raises, the ledger is as before."""

    @abstractmethod
    def history(self) -> History:
        """The columns that the run had in memory, read back from what is recorded."""

    @abstractmethod
    def weights(self) -> Weights:
        """The weights in force after the last recorded round, read back from what is recorded."""

    def close(self) -> None:
        """Release what the ledger holds; what is recorded stays, and can still be read."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()


class FileLedger(Ledger):
    """``ledger.jsonl``: one JSON line per round, each with the hash of the one before; adopted
    weights lie in ``weights/<digest>.safetensors``.

    Raises:
        LedgerError: the folder can't be written, or holds a ledger already.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = Path(folder)
        self.path = self.folder / "ledger.jsonl"
        self._previous = ""
        self._seal = ""
        self._privacy: Mapping[int, Spent] = {}
        if self.path.exists():
            raise LedgerError(f"{self.path} exists; a ledger is never overwritten")
        try:
            (self.folder / "weights").mkdir(parents=True, exist_ok=True)
            self._file: BinaryIO = self.path.open("xb", buffering=0)
        except OSError as error:
            raise LedgerError(f"can't write a ledger in {self.folder}: {error.filename}: {error.strerror}") from error

    def begin(
        self, about: Mapping[str, Any], names: tuple[str, ...], standing: Standing, aside: Mapping[str, Any]
    ) -> None:
        self._keep(standing.weights, 0)
        line = {
            "colearn": FORMAT,
            "round": 0,
            **about,
            "learners": list(names),
            "metrics": {"vote": standing.vote.metric.name, "test": standing.test.metric.name},
            "samples": {"vote": standing.vote.samples.tolist(), "test": standing.test.samples.tolist()},
            "weights": standing.weights.digest,
            "scores": {"vote": _numbers(standing.vote.values[:, 0]), "test": _numbers(standing.test.values[:, 0])},
            "abstentions": _by_number({**standing.test.reasons, **standing.vote.reasons}),
        }
        self._write(line | self._newly_spent(standing.privacy), aside)
        self._privacy = standing.privacy

    def append(self, record: RoundRecord) -> None:
        standing = record.standing
        if record.accepted:
            self._keep(standing.weights, record.round)
        line: dict[str, Any] = {
            "round": record.round,
            "proposers": list(record.proposers),
            "refusals": _by_number(record.refusals),
            "candidates": [
                {
                    "label": candidate.label,
                    "authors": list(candidate.authors),
                    "digest": candidate.digest,
                    "votes": "".join(LETTERS[Vote(v)] for v in record.votes[:, c].tolist()),
                    "scores": _numbers(record.scores[:, c]),
                    **({} if record.margins is None else {"margins": _numbers(record.margins[:, c])}),
                }
                for c, candidate in enumerate(record.candidates)
            ],
            **({"observed": _by_number(record.observed)} if record.observed else {}),
            "abstentions": _by_number(record.abstentions),
            "leader": record.decision.leader,
            "accepted": record.accepted,
            "reason": record.decision.reason,
            "weights": standing.weights.digest,
        }
        if record.accepted:
            line["test"] = _numbers(standing.test.values[:, 0])
        seconds = {name: round(value, 6) for name, value in record.seconds.items()}
        self._write(line | self._newly_spent(standing.privacy), {"seconds": seconds})
        self._privacy = standing.privacy

    def history(self) -> History:
        return LedgerFile.read(self.path).history()

    def weights(self) -> Weights:
        read = LedgerFile.read(self.path)
        path = self._weights_path((read.rounds or [read.opening])[-1]["weights"])
        try:
            found = Weights.from_bytes(path.read_bytes())
        except OSError as error:
            raise LedgerError(f"can't read {path}: {error.strerror}") from error
        if found.digest != path.stem:
            raise LedgerError(f"{path} has been altered: its digest is {found.digest}")
        return found

    def close(self) -> None:
        self._file.close()

    def _weights_path(self, digest: str) -> Path:
        return self.folder / "weights" / f"{digest}.safetensors"

    def _newly_spent(self, privacy: Mapping[int, Spent]) -> dict[str, Any]:
        """The totals of those that spent something since the last line."""
        new = {str(i): spent._asdict() for i, spent in privacy.items() if spent != self._privacy.get(i)}
        return {"privacy": new} if new else {}

    def _keep(self, weights: Weights, round: int) -> None:
        path = self._weights_path(weights.digest)
        if not path.exists():
            try:
                write_atomically(path, weights.to_bytes())
            except OSError as error:
                raise self._failure(path, error, round) from error

    def _write(self, line: dict[str, Any], aside: Mapping[str, Any]) -> None:
        line["previous"] = self._previous
        line[ASIDE] = dict(aside)
        data, found, seal = Sealed.of(line, self._seal)
        end = self._file.tell()
        try:
            written = self._file.write(data)
            if written != len(data):
                raise OSError(0, f"only {written} of {len(data)} bytes were written; the disk may be full")
        except OSError as error:
            self._file.truncate(end)
            self._file.seek(end)
            raise self._failure(self.path, error, line["round"]) from error
        self._previous, self._seal = found, seal

    def _failure(self, path: Path, error: OSError, round: int) -> LedgerError:
        safe = f"The ledger is whole up to round {round - 1}." if round else "Nothing has been recorded yet."
        return LedgerError(f"can't write {path}: {error.strerror}", hint=safe)


@dataclass(frozen=True)
class LedgerFile:
    """What a finished or running ledger file holds: the opening line and one line per round."""

    opening: dict[str, Any]
    rounds: list[dict[str, Any]]

    @staticmethod
    def read(path: Path) -> LedgerFile:
        """Read and check a ledger file: its form, the order of its rounds, and the chain of hashes.

        Raises:
            LedgerError: it can't be read, or isn't what was once written; names the first line that's wrong.
        """
        lines = list(_checked_lines(path))
        if not lines:
            raise LedgerError(f"{path} is empty")
        return LedgerFile(lines[0], lines[1:])

    def history(self) -> History:
        """The columns that the run had in memory."""
        first = self.opening
        history = History(
            tuple(first["learners"]),
            metric(first["metrics"]["vote"]),
            metric(first["metrics"]["test"]),
            np.array(first["samples"]["vote"], dtype=np.int64),
            np.array(first["samples"]["test"], dtype=np.int64),
            vote_epsilon=first.get("epsilon_per_vote", inf),
            adversaries={int(i): one["kind"] for i, one in first.get("adversaries", {}).items()},
        )
        history.vote_scores.append(_array(first["scores"]["vote"]))
        history.test_scores.append(_array(first["scores"]["test"]))
        history.privacy.append(self.spent(first))
        for line in self.rounds:
            label, authors, votes, adopted = "", (), None, None
            if line["leader"] is not None:
                leader = line["candidates"][line["leader"]]
                label, authors = leader["label"], tuple(leader["authors"])
                votes = np.array([VOTES[letter] for letter in leader["votes"]], dtype=np.int8)
                if line["accepted"]:
                    adopted = _array(leader["scores"]), _array(line["test"])
            privacy = {**history.privacy[-1], **self.spent(line)}
            asked, rivals = tuple(line["proposers"]), len(line["candidates"])
            history.add_row(line["round"], asked, label, authors, votes, adopted, privacy, rivals)
        return history

    @staticmethod
    def spent(line: Mapping[str, Any]) -> dict[int, Spent]:
        """What the learners that spent something since the line before have spent so far."""
        return {
            int(i): Spent(**{**spent, "mechanisms": tuple(SampledGaussian(*m) for m in spent["mechanisms"])})
            for i, spent in line.get("privacy", {}).items()
        }


class Sealed(NamedTuple):
    """A line as it's written.

    Attributes:
        data: its bytes.
        hash: the SHA-256, in hex, of what it says, as JSON, without its own hash and what it puts aside.
        seal: the SHA-256, in hex, of the seal of the line before and of every byte of this one before its own seal.
            Equal runs have equal hashes, but not equal seals: these cover times as well.
    """

    data: bytes
    hash: str
    seal: str

    @staticmethod
    def of(line: Mapping[str, Any], previous: str) -> Sealed:
        """The line after one with that seal. A hash that it holds already isn't looked at."""
        said = _said(line)
        found = _sha256(said)
        aside = json.dumps({**line[ASIDE], "seal": ""}, separators=(",", ":"), allow_nan=False)
        body = said[:-1] + _before_aside(found) + aside[1 : -len(_AFTER_SEAL)].encode()
        seal = _sha256(previous.encode() + body)
        return Sealed(body + seal.encode() + _AFTER_SEAL + b"}\n", found, seal)

    @staticmethod
    def check(raw: bytes, line: Mapping[str, Any], previous: str, where: str) -> str:
        """The seal of a line that was read.

        Raises:
            LedgerError: its hash or its seal isn't that of its bytes.
        """
        said, found, _ = raw.partition(_before_aside(str(line["hash"])))
        if not found or _sha256(said + b"}") != line["hash"]:
            raise LedgerError(f"{where} has been altered: its hash doesn't match what it says")
        end = len(_AFTER_SEAL) + len(b"}\n")
        body, seal = raw[: -64 - end], raw[-64 - end : -end].decode("ascii", "replace")
        if raw[-end:] != _AFTER_SEAL + b"}\n" or _sha256(previous.encode() + body) != seal:
            raise LedgerError(f"{where} has been altered in what it puts aside: its seal doesn't match")
        return seal


_AFTER_SEAL = b'"}'


def _before_aside(found: str) -> bytes:
    return f',"hash":"{found}","{ASIDE}":{{'.encode()


def _said(line: Mapping[str, Any]) -> bytes:
    said = {key: value for key, value in line.items() if key not in ("hash", ASIDE)}
    return json.dumps(said, separators=(",", ":"), allow_nan=False).encode()


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def line_hash(line: Mapping[str, Any]) -> str:
    """The hash of a line, see :class:`Sealed`."""
    return _sha256(_said(line))


def write_atomically(path: Path, data: bytes) -> None:
    """Write a file that is whole when it's there; a crash leaves at most a dot file beside it."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        temporary.write_bytes(data)
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def _checked_lines(path: Path) -> Iterator[dict[str, Any]]:
    try:
        text = path.read_bytes()
    except OSError as error:
        raise LedgerError(f"can't read the ledger {path}: {error.strerror}") from error
    previous = seal = ""
    for number, raw in enumerate(text.splitlines(keepends=True), start=1):
        where = f"{path}, line {number}"
        if not raw.endswith(b"\n"):
            raise LedgerError(f"{where} is cut off", hint=f"The ledger is whole up to line {number - 1}.")
        try:
            line = json.loads(raw, parse_constant=str)  # NaN is never written: its hash won't match
        except ValueError as error:
            raise LedgerError(f"{where} is no JSON: {error}") from None
        if not isinstance(line, dict) or "hash" not in line:
            raise LedgerError(f"{where} is no line of a ledger")
        if number == 1 and line.get("colearn") != FORMAT:
            raise LedgerError(f"{where} is no opening of a ledger of format {FORMAT}")
        if line.get("round") != number - 1:
            raise LedgerError(f"{where} holds round {line.get('round')}, expected {number - 1}")
        if line.get("previous") != previous:
            raise LedgerError(f"{where} doesn't follow the line before: its 'previous' is not that line's hash")
        seal = Sealed.check(raw, line, seal, where)
        previous = line["hash"]
        yield line


def _numbers(values: NDArray[np.float32]) -> list[float | None]:
    """Single-precision scores in their shortest form; None where there's none."""
    return [float(str(v)) if np.isfinite(v) else None for v in values]


def _array(numbers: list[float | None]) -> NDArray[np.float32]:
    return np.array([np.nan if v is None else v for v in numbers], dtype=np.float32)


def _by_number(found: Mapping[int, Any]) -> dict[str, Any]:
    return {str(i): found[i] for i in sorted(found)}
