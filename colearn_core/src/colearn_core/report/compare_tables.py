"""The results of a comparison: a row per run, a row per run and round, and means with deviations over seeds."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean, stdev
from typing import Any

from rich.table import Table

from ..comparing import SEED, Label, PlannedRun
from ..errors import UsageError
from ..ledger import write_atomically
from ..workers import Finished
from .tables import number

OUTCOME = (
    "rounds", "accepted", "acceptance_rate", "trainings", "scorings", "bytes", "vote_metric", "vote_initial", "vote",
    "test_metric", "test_initial", "test", "test_honest", "test_worst", "epsilon", "seconds", "weights",
)  # fmt: skip
"""The columns of ``results.csv`` after those of the varied keys; those that no run has are left out."""


@dataclass(frozen=True)
class Mean:
    """A mean over seeds and their sample standard deviation; None where there's nothing to compute it from."""

    mean: float | None
    deviation: float | None

    @staticmethod
    def of(values: Sequence[float | None]) -> Mean:
        known = [v for v in values if v is not None]
        return Mean(fmean(known) if known else None, stdev(known) if len(known) > 1 else None)

    def __str__(self) -> str:
        if self.mean is None:
            return "–"
        return number(self.mean) + ("" if self.deviation is None else f" ± {number(self.deviation)}")


@dataclass(frozen=True)
class Series:
    """The runs that differ in their seeds only.

    Attributes:
        labels: by varied key, without the seed.
        planned: how many runs it has.
        done: what came of those that are done, in the order of the grid.
        errors: those of failed runs, each once.
    """

    labels: Mapping[str, Label]
    planned: int
    done: tuple[Finished, ...]
    errors: tuple[str, ...]
    failed: int

    @property
    def name(self) -> str:
        return ", ".join(map(str, self.labels.values())) or "all runs"

    def mean(self, column: str) -> Mean:
        return Mean.of([value_of(f, column) for f in self.done])

    def per_accepted(self, column: str) -> float | None:
        """What an accepted round cost; None when no round was accepted."""
        accepted = sum(f.outcome["accepted"] for f in self.done)
        return sum(f.outcome[column] for f in self.done) / accepted if accepted else None

    def summary(self) -> dict[str, Any]:
        """In JSON values."""
        found: dict[str, Any] = {**self.labels, "runs": len(self.done), "failed": self.failed}
        for column in ("test", "test_honest", "test_worst", "vote", "acceptance_rate"):
            if column != "test_honest" or any(column in f.outcome for f in self.done):
                found[column] = self.mean(column).mean
                found[f"{column}_deviation"] = self.mean(column).deviation
        for column in ("rounds", "trainings", "scorings", "bytes", "seconds"):
            found[column] = self.mean(column).mean
        for column in ("trainings", "scorings", "bytes"):
            found[f"{column}_per_accepted_round"] = self.per_accepted(column) if self.done else None
        return found


@dataclass(frozen=True)
class Results:
    """The runs of a grid, in its order, with what came of each; None for those that aren't finished."""

    runs: Sequence[PlannedRun]
    finished: Sequence[Finished | None]

    @property
    def keys(self) -> tuple[str, ...]:
        return tuple(self.runs[0].labels)

    @property
    def done(self) -> list[Finished]:
        return [f for f in self.finished if f is not None and f.error is None]

    @property
    def failures(self) -> list[tuple[PlannedRun, str]]:
        pairs = zip(self.runs, self.finished, strict=True)
        return [(run, f.error) for run, f in pairs if f is not None and f.error is not None]

    def metric(self, part: str) -> str:
        """By which the runs score a part; empty if none is done, or they score by several."""
        names = {f.outcome[f"{part}_metric"] for f in self.done}
        return names.pop() if len(names) == 1 else ""

    def series(self) -> list[Series]:
        members: dict[tuple[Label, ...], list[int]] = {}
        for i, run in enumerate(self.runs):
            members.setdefault(run.series, []).append(i)
        found = []
        for indices in members.values():
            finished = [f for i in indices if (f := self.finished[i]) is not None]
            errors = [f.error for f in finished if f.error is not None]
            labels = {k: v for k, v in self.runs[indices[0]].labels.items() if k != SEED}
            done = tuple(f for f in finished if f.error is None)
            found.append(Series(labels, len(indices), done, tuple(dict.fromkeys(errors)), len(errors)))
        return found

    def rows(self) -> list[dict[str, Any]]:
        """One for each finished run: its varied keys, the seed, and the outcome or the error."""
        pairs = [(run, f) for run, f in zip(self.runs, self.finished, strict=True) if f is not None]
        columns = [c for c in OUTCOME if any(c in f.outcome for _, f in pairs)]
        return [
            {**_labelled(run), "status": "failed" if f.error else "done"}
            | {column: value_of(f, column) for column in columns}
            | {"error": f.error, "run": run.digest}
            for run, f in pairs
        ]

    def curve_rows(self) -> Iterator[dict[str, Any]]:
        """One for each run that is done and each kept round of it, from the state before the first."""
        for run, f in zip(self.runs, self.finished, strict=True):
            if f is not None and f.error is None:
                curve = {column: f.curve.get(column, f.curve["test"]) for column in self._curves}
                for values in zip(*curve.values(), strict=True):
                    yield {**_labelled(run), **dict(zip(curve, values, strict=True))}

    @property
    def _curves(self) -> list[str]:
        """The columns of all curves; only ``test_honest`` is missing where nobody plays an adversary."""
        return list(dict.fromkeys(column for f in self.done for column in f.curve))


def value_of(finished: Finished, column: str) -> Any:
    """Of an outcome, None where there's none; where nobody plays an adversary, all are honest."""
    if column == "test_honest" and column not in finished.outcome:
        column = "test"
    return finished.outcome.get(column)


def save_tables(results: Results, folder: Path, parquet: bool) -> None:
    """Write ``results.csv`` and ``curves.csv``, and the same as Parquet if asked.

    Raises:
        UsageError: there's no pyarrow to write Parquet.
    """
    for name, rows in (("results", results.rows()), ("curves", list(results.curve_rows()))):
        write_atomically(folder / f"{name}.csv", as_csv(rows).encode())
        if parquet:
            write_atomically(folder / f"{name}.parquet", as_parquet(rows))


def as_csv(rows: Sequence[Mapping[str, Any]]) -> str:
    out = io.StringIO()
    writer = csv.DictWriter(out, _columns(rows), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return out.getvalue()


def as_parquet(rows: Sequence[Mapping[str, Any]]) -> bytes:
    """Columns whose values are of several kinds, such as labels 0.5 and "own", become text."""
    check_parquet()
    import pyarrow as pa
    from pyarrow import parquet

    columns = {}
    for name in _columns(rows):
        values = [row.get(name) for row in rows]
        kinds = {type(v) for v in values if v is not None}
        if len(kinds) > 1:
            kind: Any = float if kinds == {int, float} else str
            values = [None if v is None else kind(v) for v in values]
        columns[name] = values
    sink = io.BytesIO()
    parquet.write_table(pa.table(columns), sink)
    return sink.getvalue()


def check_parquet() -> None:
    """Raise UsageError unless pyarrow is installed."""
    from importlib.util import find_spec

    if find_spec("pyarrow") is None:
        raise UsageError("Parquet needs pyarrow", hint="pip install 'colearn-core[parquet]', or take the CSV files.")


def summary_table(results: Results) -> Table:
    """One row per series, best test score first."""
    series = ranked(results)
    table = Table(title=f"Test {results.metric('test') or 'score'}, mean ± deviation over seeds", title_justify="left")
    table.title_style = "bold"
    keys = [key for key in results.keys if key != SEED]
    for key in keys or ["experiment"]:
        table.add_column(key, overflow="fold")
    columns = {heading: column for heading, column in columns_of(results).items() if column != "seconds"}
    for heading in columns:
        table.add_column(heading, justify="right", no_wrap=True)
    for s in series:
        table.add_row(*(str(s.labels[k]) for k in keys or []), *([] if keys else ["all runs"]), *cells_of(s, columns))
    return table


def ranked(results: Results) -> list[Series]:
    """The series, best mean test score (of honest learners, where there are others) first."""
    from ..metrics import METRICS

    name = results.metric("test")
    sign = -1 if name not in METRICS or METRICS[name].greater_is_better else 1
    column = headline(results)

    def place(series: Series) -> float:
        mean = series.mean(column).mean
        return float("inf") if mean is None else sign * mean

    return sorted(results.series(), key=place)


def headline(results: Results) -> str:
    """The score that series are compared by."""
    return "test_honest" if any("test_honest" in f.outcome for f in results.done) else "test"


COLUMNS = {
    "test": "test",
    "test_honest": "honest",
    "test_worst": "worst",
    "acceptance_rate": "accepted",
    "trainings": "trainings",
    "bytes": "bytes",
    "seconds": "seconds",
}
"""What the summary shows, with the headings."""


def columns_of(results: Results) -> dict[str, str]:
    """Heading to column, of those that any run has, and the number of runs."""
    return {"runs": "runs"} | {
        heading: column for column, heading in COLUMNS.items() if any(column in f.outcome for f in results.done)
    }


def cells_of(series: Series, columns: Mapping[str, str]) -> list[str]:
    return [_cell(series, column) for column in columns.values()]


def _cell(series: Series, column: str) -> str:
    if column == "runs":
        missing = series.planned - len(series.done) - series.failed
        notes = [f"{n} {what}" for n, what in ((series.failed, "failed"), (missing, "missing")) if n]
        return str(len(series.done)) + (f" ({', '.join(notes)})" if notes else "")
    mean = series.mean(column)
    if mean.mean is None:
        return "–"
    if column == "acceptance_rate":
        return f"{mean.mean:.0%}"
    if column == "bytes":
        return bytes_in_words(mean.mean)
    if column == "trainings":
        return f"{mean.mean:.0f}"
    if column == "seconds":
        return f"{mean.mean:.1f}"
    return str(mean)


def bytes_in_words(count: float) -> str:
    for unit in ("B", "kB", "MB", "GB"):
        if count < 1000:
            return f"{count:.3g} {unit}"
        count /= 1000
    return f"{count:.3g} TB"


def _labelled(run: PlannedRun) -> dict[str, Label]:
    return {**{k: v for k, v in run.labels.items() if k != SEED}, SEED: run.config.seed}


def _columns(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    return list(dict.fromkeys(key for row in rows for key in row))
