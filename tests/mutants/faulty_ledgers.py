"""Ledgers with one fault each, made from the file ledger and from one in memory."""

from __future__ import annotations

import pickle
from collections.abc import Mapping
from contextlib import suppress
from copy import deepcopy
from pathlib import Path
from typing import Any

import numpy as np
from mutant import Mutant

from colearn_core.errors import LedgerError
from colearn_core.history import History
from colearn_core.ledger import FileLedger, Ledger
from colearn_core.privacy import Spent
from colearn_core.rounds import RoundRecord, Standing
from colearn_core.testing import Subject
from colearn_core.voting import ABSTAIN, REJECT
from colearn_core.weights import Weights

FETCH = "Fetch.ai colearn 0.2.8"


class MemoryLedger(Ledger):
    """Keeps the history in memory, and only a mark in the folder: correct."""

    kept: History
    in_force: Weights

    def __init__(self, folder: Path) -> None:
        mark = folder / "taken"
        if mark.exists():
            raise LedgerError(f"{folder} has a ledger")
        mark.touch()

    def begin(
        self, about: Mapping[str, Any], names: tuple[str, ...], standing: Standing, aside: Mapping[str, Any]
    ) -> None:
        self.kept = History.begin(names, deepcopy(standing))
        self.in_force = standing.weights

    def append(self, record: RoundRecord) -> None:
        self.kept.add(deepcopy(record))
        self.in_force = record.standing.weights

    def history(self) -> History:
        return deepcopy(self.kept)

    def weights(self) -> Weights:
        return self.in_force


class PickledLedger(MemoryLedger):
    """Writes everything anew in every round, and reads it back from the disk: correct."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.path = folder / "everything"

    def begin(
        self, about: Mapping[str, Any], names: tuple[str, ...], standing: Standing, aside: Mapping[str, Any]
    ) -> None:
        self._write(History.begin(names, standing), standing.weights)

    def append(self, record: RoundRecord) -> None:
        history = self.history()
        history.add(record)
        self._write(history, record.standing.weights)

    def history(self) -> History:
        columns, _ = pickle.loads(self.path.read_bytes())
        return History(**{**columns, "vote_metric": self.metrics[0], "test_metric": self.metrics[1]})

    def weights(self) -> Weights:
        found: Weights = pickle.loads(self.path.read_bytes())[1]
        return found

    def _write(self, history: History, weights: Weights) -> None:
        self.metrics = history.vote_metric, history.test_metric  # they hold functions, which can't be pickled
        columns = {name: value for name, value in vars(history).items() if "metric" not in name}
        self.path.write_bytes(pickle.dumps((columns, weights)))


class RefusesAtTheBeginning(FileLedger):
    """Looks at the folder when the run begins: correct."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def begin(
        self, about: Mapping[str, Any], names: tuple[str, ...], standing: Standing, aside: Mapping[str, Any]
    ) -> None:
        FileLedger.__init__(self, self.folder)
        super().begin(about, names, standing, aside)

    def close(self) -> None:
        if hasattr(self, "_file"):
            super().close()


class ForgetsRejectedRounds(MemoryLedger):
    def append(self, record: RoundRecord) -> None:
        if record.accepted:
            super().append(record)


class ForgetsRoundsWithoutCandidates(MemoryLedger):
    def append(self, record: RoundRecord) -> None:
        if record.candidates:
            super().append(record)


class FailsWithoutCandidates(MemoryLedger):
    def append(self, record: RoundRecord) -> None:
        record.candidates[0]
        super().append(record)


class KeepsReferences(MemoryLedger):
    def append(self, record: RoundRecord) -> None:
        self.kept.add(record)
        self.in_force = record.standing.weights


class KeepsTheInitialScores(MemoryLedger):
    def begin(
        self, about: Mapping[str, Any], names: tuple[str, ...], standing: Standing, aside: Mapping[str, Any]
    ) -> None:
        self.kept = History.begin(names, standing)
        self.in_force = standing.weights


class HandsOutItsColumns(MemoryLedger):
    def history(self) -> History:
        return self.kept


class Overwrites(FileLedger):
    def __init__(self, folder: Path) -> None:
        (folder / "ledger.jsonl").unlink(missing_ok=True)
        super().__init__(folder)


class RefusesInItsOwnWords(FileLedger):
    def __init__(self, folder: Path) -> None:
        if (folder / "ledger.jsonl").exists():
            raise FileExistsError(folder)
        super().__init__(folder)


class GivesWeightsWrittenLast(FileLedger):
    """A file of weights that exists isn't written again, so the last written ones needn't be in force."""

    written: Weights

    def begin(
        self, about: Mapping[str, Any], names: tuple[str, ...], standing: Standing, aside: Mapping[str, Any]
    ) -> None:
        self.written = standing.weights
        super().begin(about, names, standing, aside)

    def append(self, record: RoundRecord) -> None:
        if not self._weights_path(record.standing.weights.digest).exists():
            self.written = record.standing.weights
        super().append(record)

    def weights(self) -> Weights:
        return self.written


class GivesInitialWeights(FileLedger):
    def append(self, record: RoundRecord) -> None:
        self.kept = getattr(self, "kept", None) or super().weights()
        super().append(record)

    def weights(self) -> Weights:
        return getattr(self, "kept", None) or super().weights()


class GivesWeightsInSinglePrecision(FileLedger):
    def weights(self) -> Weights:
        return Weights(
            {n: a.astype(np.float32).astype(a.dtype) if a.dtype == float else a for n, a in super().weights().items()}
        )


class LeavesHalfARound(MemoryLedger):
    def append(self, record: RoundRecord) -> None:
        self.kept.round.append(record.round)
        before = deepcopy(self.kept)
        before.round.pop()
        before.add(deepcopy(record))
        self.kept = before
        self.in_force = record.standing.weights


class AdoptsBeforeItRecords(MemoryLedger):
    def append(self, record: RoundRecord) -> None:
        if record.standing is not None:
            self.in_force = record.standing.weights
        super().append(record)


class SwallowsFailures(FileLedger):
    def append(self, record: RoundRecord) -> None:
        with suppress(AttributeError, TypeError, ValueError):
            super().append(record)


class SharesItsState(MemoryLedger):
    everyone: History

    @property
    def kept(self) -> History:
        return SharesItsState.everyone

    @kept.setter
    def kept(self, history: History) -> None:
        SharesItsState.everyone = history


class TurnsAbstentionsIntoRejections(MemoryLedger):
    def append(self, record: RoundRecord) -> None:
        super().append(record._replace(votes=np.where(record.votes == ABSTAIN, REJECT, record.votes).astype(np.int8)))


class AltersTheVotes(MemoryLedger):
    def append(self, record: RoundRecord) -> None:
        super().append(record)
        record.votes[record.votes == ABSTAIN] = REJECT


class AltersTheRefusals(MemoryLedger):
    def append(self, record: RoundRecord) -> None:
        super().append(record)
        for learner in record.refusals:
            record.refusals[learner] = "refused"


class TakesNoScoreForZero(MemoryLedger):
    def history(self) -> History:
        history = super().history()
        for scores in (history.vote_scores, history.test_scores):
            scores[:] = [np.nan_to_num(column) for column in scores]
        return history


class RoundsScores(MemoryLedger):
    def history(self) -> History:
        history = super().history()
        history.vote_scores[:] = [np.round(column, 5) for column in history.vote_scores]
        return history


class ReadsDoubles(MemoryLedger):
    def history(self) -> History:
        history = super().history()
        history.test_scores[:] = [column.astype(np.float64) for column in history.test_scores]
        return history


class NamesTheFirstCandidate(MemoryLedger):
    def append(self, record: RoundRecord) -> None:
        if record.candidates:
            record = record._replace(candidates=(record.candidates[0],) * len(record.candidates))
        super().append(record)


class WritesNamesInAscii(MemoryLedger):
    def history(self) -> History:
        history = super().history()
        history.names = tuple(name.encode("ascii", "replace").decode() for name in history.names)
        return history


class ForgetsWhenClosed(MemoryLedger):
    def close(self) -> None:
        self.kept = History.begin((), Standing(self.in_force, *[self._nothing()] * 2))

    def _nothing(self) -> Any:
        from colearn_core.scores import Scores

        return Scores(self.kept.vote_metric, np.zeros((0, 1)), np.zeros(0, dtype=np.int64))


class ReadsThroughAnOpenFile(FileLedger):
    def history(self) -> History:
        self._file.fileno()
        return super().history()


class ClosesOnce(FileLedger):
    def close(self) -> None:
        if self._file.closed:
            raise LedgerError("it's closed")
        super().close()


class ForgetsPrivacy(FileLedger):
    def _newly_spent(self, privacy: Mapping[int, Spent]) -> dict[str, Any]:
        return {}


class SpendsInTheWrongName(FileLedger):
    def _newly_spent(self, privacy: Mapping[int, Spent]) -> dict[str, Any]:
        return super()._newly_spent({i + 1: spent for i, spent in privacy.items()})


def _mutant(ledger: type[Ledger], fault: str, origin: str = "") -> Mutant:
    return Mutant(ledger.__name__, "ledgers", fault, Subject(ledger), origin)


MUTANTS = [
    _mutant(ForgetsRejectedRounds, "rejected rounds aren't recorded"),
    _mutant(ForgetsRoundsWithoutCandidates, "rounds without candidates aren't recorded"),
    _mutant(FailsWithoutCandidates, "a round without candidates raises"),
    _mutant(KeepsReferences, "keeps references to the arrays of a round"),
    _mutant(KeepsTheInitialScores, "keeps references to the initial scores"),
    _mutant(HandsOutItsColumns, "history() gives the columns that it keeps"),
    _mutant(Overwrites, "a second run overwrites the first"),
    _mutant(RefusesInItsOwnWords, "a second run is refused by an OSError"),
    _mutant(GivesWeightsWrittenLast, "weights() gives what was written last, not what is in force"),
    _mutant(GivesInitialWeights, "weights() gives the initial weights"),
    _mutant(GivesWeightsInSinglePrecision, "weights lose precision"),
    _mutant(LeavesHalfARound, "a failed append leaves half a round"),
    _mutant(AdoptsBeforeItRecords, "a failed append changes the weights in force"),
    _mutant(SwallowsFailures, "a failed append raises nothing"),
    _mutant(SharesItsState, "all ledgers share one state"),
    _mutant(TurnsAbstentionsIntoRejections, "abstentions are recorded as rejections", FETCH),
    _mutant(AltersTheVotes, "the votes of a record are altered"),
    _mutant(AltersTheRefusals, "the refusals of a record are altered"),
    _mutant(TakesNoScoreForZero, "no score is recorded as zero"),
    _mutant(RoundsScores, "scores are rounded"),
    _mutant(ReadsDoubles, "scores come back in another type"),
    _mutant(NamesTheFirstCandidate, "the first candidate is recorded as the leading one"),
    _mutant(WritesNamesInAscii, "names lose their accents"),
    _mutant(ForgetsWhenClosed, "closing forgets the rounds"),
    _mutant(ReadsThroughAnOpenFile, "a closed ledger can't be read"),
    _mutant(ClosesOnce, "closing twice raises"),
    _mutant(ForgetsPrivacy, "privacy spent isn't recorded"),
    _mutant(SpendsInTheWrongName, "privacy spent is put down to another learner"),
]
CONTROLS = [_mutant(ledger, "") for ledger in (FileLedger, MemoryLedger, PickledLedger, RefusesAtTheBeginning)]
