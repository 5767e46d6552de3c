"""Run folders: ``runs/<name>/`` holds the experiment file, the ledger, the weights and the picture."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from .config import ExperimentConfig
from .errors import ConfigError, LedgerError
from .ledger import LedgerFile, write_atomically


@dataclass(frozen=True)
class RunFolder:
    """Where a run lives."""

    path: Path

    @property
    def experiment_file(self) -> Path:
        return self.path / "experiment.toml"

    @property
    def ledger_file(self) -> Path:
        return self.path / "ledger.jsonl"

    @property
    def privacy_folder(self) -> Path:
        """What private learners spend, a journal for each."""
        return self.path / "privacy"

    @property
    def picture_file(self) -> Path:
        return self.path / "plot.png"

    @staticmethod
    def create(parent: Path, config: ExperimentConfig) -> RunFolder:
        """A new folder named after the run, or numbered after its data and learner when it has no name.

        Raises:
            ConfigError: the name is in use; nothing is ever overwritten.
            LedgerError: the folder can't be written.
        """
        try:
            parent.mkdir(parents=True, exist_ok=True)
            folder = RunFolder(_claimed(parent, config))
            write_atomically(folder.experiment_file, config.to_toml().encode())
        except OSError as error:
            raise LedgerError(
                f"can't write a run in {parent}: {error.strerror}", hint="Choose another place with --out."
            ) from error
        return folder

    @staticmethod
    def open(path: Path) -> RunFolder:
        """The folder of an existing run.

        Raises:
            ConfigError: it holds no ledger.
        """
        folder = RunFolder(path)
        if not folder.ledger_file.is_file():
            raise ConfigError(f"{path} is no run: it holds no {folder.ledger_file.name}")
        return folder

    def ledger(self) -> LedgerFile:
        """The checked ledger of the run."""
        return LedgerFile.read(self.ledger_file)


def _claimed(parent: Path, config: ExperimentConfig) -> Path:
    if config.name is not None:
        path = parent / config.name
        try:
            path.mkdir()
        except FileExistsError:
            raise ConfigError(f"the run {path} exists", hint="Choose another name, or remove that folder.") from None
        return path
    stem = f"{config.data.name}-{config.learner.name.rpartition('.')[2]}"
    number = 1
    while True:
        path = parent / f"{stem}-{number}"
        try:
            path.mkdir()
        except FileExistsError:
            number += 1
        else:
            return path
