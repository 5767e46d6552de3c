"""What a run shows while it's running; all of it goes to standard error, results to standard output."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from types import FrameType
from typing import Any, Self

from rich.console import Console, RenderableType
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from ..history import History
from ..report.tables import number
from ..rounds import RoundRecord

LINES = 10
"""How many lines of progress a run prints when it isn't watched at a terminal."""


MOST_REASONS = 5
"""How many different reasons of refusals and abstentions a run prints."""


class Watch:
    """The console of a run."""

    def __init__(self) -> None:
        self._err = Console(stderr=True, highlight=False)
        self._out = Console(highlight=False)
        if not self._out.is_terminal:
            self._out.width = 120

    def say(self, text: str) -> None:
        """Print a line about the run to standard error."""
        self._err.print(text, markup=False, soft_wrap=True)

    def show(self, result: RenderableType) -> None:
        """Print a result to standard output."""
        self._out.print(result, soft_wrap=isinstance(result, str))

    @contextmanager
    def rounds(self, total: int, learners: int) -> Iterator[Callable[[RoundRecord, History], None]]:
        """A progress bar over rounds, or a line now and then where there's no terminal."""
        stall = Stall(learners)
        troubles = Troubles()
        with self._progress("round", total, "{task.fields[speed]}  {task.fields[state]}") as (progress, task):

            def on_round(record: RoundRecord, history: History) -> None:
                state = (
                    f"accepted {history.acceptance_rate:.0%}  "
                    f"vote {history.vote_metric.name} {number(history.mean_vote())}  "
                    f"test {history.test_metric.name} {number(history.mean_test())}"
                )
                progress.update(task, advance=1, state=state, speed=_speed(progress))
                if not self._err.is_terminal and (record.round % max(1, total // LINES) == 0 or record.round == total):
                    self.say(f"round {record.round}/{total}  {state}")
                for text in (*troubles.new(record, history.names), *stall.new(history)):
                    progress.console.print(text, markup=False, soft_wrap=True)

            yield on_round

    @contextmanager
    def trainings(self, total: int) -> Iterator[Callable[[], None]]:
        """A progress bar over the trainings of the baselines."""
        if not self._err.is_terminal:
            self.say(f"baselines: {total} trainings")
        with self._progress("baseline training", total, "") as (progress, task):
            yield lambda: progress.advance(task)

    @contextmanager
    def lines(self, unit: str, total: int) -> Iterator[Callable[[], None]]:
        """A progress bar over the lines of a ledger."""
        with self._progress(unit, total, "") as (progress, task):
            yield lambda: progress.advance(task)

    @contextmanager
    def runs(self, total: int) -> Iterator[Callable[[str, str | None], None]]:
        """A progress bar over the runs of a comparison, or a line now and then; failures are told at once.

        What's called after each run takes its title, and its error if it failed.
        """
        done = failed = 0
        with self._progress("run", total, "{task.fields[state]}") as (progress, task):

            def on_run(title: str, error: str | None) -> None:
                nonlocal done, failed
                done, failed = done + 1, failed + (error is not None)
                progress.update(task, advance=1, state=f"{failed} failed  {title}" if failed else title)
                if error is not None:
                    progress.console.print(f"{title} failed: {error}", markup=False, soft_wrap=True)
                if not self._err.is_terminal and (done % max(1, total // LINES) == 0 or done == total):
                    self.say(f"run {done}/{total}  {title}")

            yield on_run

    @contextmanager
    def _progress(self, unit: str, total: int, fields: str) -> Iterator[tuple[Progress, Any]]:
        columns: list[Any] = [TextColumn(unit), BarColumn(bar_width=24), MofNCompleteColumn()]
        columns += [TimeElapsedColumn(), TimeRemainingColumn(), *([TextColumn(fields)] if fields else [])]
        with Progress(*columns, console=self._err, transient=True, disable=not self._err.is_terminal) as progress:
            yield progress, progress.add_task(unit, total=total, speed="", state="")


class Interrupts:
    """Ctrl-C asks for an end after what is in progress, such as a round; a second one ends it at once.

    Python's own way would raise in the middle of a training, and scikit-learn's neural networks
    swallow that and go on.
    """

    def __init__(self, watch: Watch, ending: str = "Ending after this round") -> None:
        self.asked = False
        self._watch = watch
        self._ending = ending
        self._before: Any = None

    def __enter__(self) -> Self:
        self._before = signal.signal(signal.SIGINT, self._interrupted)
        return self

    def __exit__(self, *exc: object) -> None:
        signal.signal(signal.SIGINT, self._before)

    def _interrupted(self, number: int, frame: FrameType | None) -> None:
        if self.asked:
            raise KeyboardInterrupt
        self.asked = True
        self._watch.say(f"{self._ending} (Ctrl-C again: at once).")


class Troubles:
    """Tells why learners propose nothing or abstain, each reason once; the ledger has all of them."""

    def __init__(self) -> None:
        self._told: set[str] = set()

    def new(self, record: RoundRecord, names: Sequence[str]) -> Iterator[str]:
        for what, reasons in (("proposes nothing", record.refusals), ("abstains", record.abstentions)):
            for learner, reason in reasons.items():
                if reason not in self._told and len(self._told) < MOST_REASONS:
                    self._told.add(reason)
                    yield f"round {record.round}: {names[learner]} {what}: {reason}"


class Stall:
    """Notices when nothing has been accepted for a while, and says once what helps."""

    def __init__(self, learners: int) -> None:
        self._patience = max(20, 2 * learners)
        self._told = False

    def new(self, history: History) -> Iterator[str]:
        since = history.rounds_since_acceptance
        if self._told or since < self._patience:
            return
        self._told = True
        if len(history.proposers[-1]) > 1:
            yield (
                f"Nothing has been accepted for {since} rounds: the model may be as good as it gets, or the learners "
                "go too far at a time (fewer steps or epochs, a smaller learning rate)."
            )
            return
        yield (
            f"Nothing has been accepted for {since} rounds. When the model is still poor, the learners' data "
            "differ too much for single proposals: try --proposals approval, or committee."
        )


def _speed(progress: Progress) -> str:
    speed = progress.tasks[0].finished_speed or progress.tasks[0].speed
    return f"{speed:.1f} rounds/s" if speed else ""
