"""The runs of a comparison in processes of their own; each leaves a small file, so that none is done twice."""

from __future__ import annotations

import json
import multiprocessing
import os
import platform
import signal
import threading
import tomllib
import warnings
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import FIRST_COMPLETED, BrokenExecutor, Future, ProcessPoolExecutor, wait
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from .comparing import PlannedRun
from .config import ExperimentConfig, prepare
from .errors import ColearnError
from .ledger import write_atomically
from .measured import Budget, play_measured
from .plugins import Plugins

THREADS = (
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS",
    "BLIS_NUM_THREADS",
    "VECLIB_MAXIMUM_THREADS",
    "NUMEXPR_NUM_THREADS",
    "TF_NUM_INTRAOP_THREADS",
    "TF_NUM_INTEROP_THREADS",
)
"""What libraries read when they're imported; in workers each is 1, for there's a process per core."""


class Finished(NamedTuple):
    """What the file of a run says: what came of it, or why nothing did."""

    error: str | None
    outcome: Mapping[str, Any]
    curve: Mapping[str, list[Any]]


class Task(NamedTuple):
    """A run for a worker, in values that any process understands."""

    file: Path
    identity: Mapping[str, Any]
    experiment: str
    budget: Budget
    block: tuple[str, ...]

    @staticmethod
    def of(run: PlannedRun, folder: Path, block: Iterable[str]) -> Task:
        file = folder / f"{run.digest}.json"
        return Task(file, run.identity, run.config.to_toml(), run.budget, tuple(block))

    def finished(self) -> Finished | None:
        """What the run's file says; None without one that is whole and of this run."""
        try:
            kept = json.loads(self.file.read_bytes())
            if kept["identity"] != self.identity:
                return None
            return Finished(kept["error"], kept["outcome"], kept["curve"])
        except (OSError, ValueError, KeyError, TypeError):
            return None

    def keep(self, finished: Finished) -> None:
        content = {
            "identity": self.identity,
            "experiment": self.experiment,
            **finished._asdict(),
            "environment": {
                "python": platform.python_version(),
                "numpy": np.__version__,
                "machine": platform.machine(),
            },
        }
        write_atomically(self.file, json.dumps(content, allow_nan=False).encode() + b"\n")


OnFinished = Callable[[Task, str | None], object]
"""Called with a run that is finished, and its error if it has one."""


def perform_all(tasks: Iterable[Task], jobs: int, on_finished: OnFinished, stopped: Callable[[], bool]) -> None:
    """Play runs in so many processes at once.

    A run that ends its process (killed, or a fault in native code) takes down those beside it as well: all of them
    are tried again, one by one, and the one that does it again has failed.

    Args:
        stopped: asked before each run; runs in progress are played to their end. A KeyboardInterrupt ends them.
    """
    waiting = deque(tasks)
    while waiting and not stopped():
        lost = _in_one_pool(waiting, jobs, on_finished, stopped)
        while lost and not stopped():
            task = lost.pop()
            if _in_one_pool(deque([task]), 1, on_finished, stopped):
                error = "its process ended without a result: it was killed, perhaps since memory ran out"
                task.keep(Finished(error, {}, {}))
                on_finished(task, error)


def _in_one_pool(waiting: deque[Task], jobs: int, on_finished: OnFinished, stopped: Callable[[], bool]) -> list[Task]:
    """Play what is waiting; returns the runs that were in progress when a process was lost, if one was."""
    running: dict[Future[str | None], Task] = {}
    others = set(multiprocessing.active_children())
    context = multiprocessing.get_context("spawn")
    with _one_thread_each(), ProcessPoolExecutor(jobs, mp_context=context, initializer=_begin_worker) as pool:
        try:
            while True:
                while waiting and len(running) < jobs and not stopped():
                    running[pool.submit(perform, waiting[0])] = waiting[0]
                    waiting.popleft()
                if not running:
                    return []
                done, _ = wait(running, return_when=FIRST_COMPLETED)
                for future in done:
                    error = future.result()
                    on_finished(running.pop(future), error)
        except BrokenExecutor:
            return list(running.values())
        except BaseException:
            for process in set(multiprocessing.active_children()) - others:
                process.terminate()
            raise


def perform(task: Task) -> str | None:
    """Play a run and write its file; returns the error that it failed with, if it did."""
    try:
        config = ExperimentConfig.from_mapping(tomllib.loads(task.experiment), task.file.name)
        measured = play_measured(prepare(config, Plugins(block=task.block)), task.budget)
        finished = Finished(None, measured.outcome, measured.curve)
    except Exception as error:  # whatever a run fails with, the others go on
        told = str(error) if isinstance(error, ColearnError) else f"{type(error).__name__}: {error}"
        finished = Finished(told, {}, {})
    task.keep(finished)
    return finished.error


def _begin_worker() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches all processes; the first one decides what it means
    warnings.simplefilter("ignore")  # `colearn run` shows them; here they'd tear the progress bar
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    """A worker whose parent was killed would wait for work for ever."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


@contextmanager
def _one_thread_each() -> Iterator[None]:
    """Set in this process, since a new one may import numpy before any code of ours runs in it."""
    before = {name: os.environ.get(name) for name in THREADS}
    os.environ.update(dict.fromkeys(THREADS, "1"))
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value
