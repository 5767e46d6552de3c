"""The picture of a comparison: test score against trainings, and against bytes, one line per series.

What makes the setting (data, split, learners, adversaries) gets a row of its own for each value, and what makes the
method a line in every row: lines to be compared lie in one panel.
"""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.ticker import EngFormatter, FuncFormatter, LogLocator, MaxNLocator, NullLocator
from matplotlib.transforms import blended_transform_factory
from numpy.typing import NDArray

from ..comparing import Label
from ..ledger import write_atomically
from ..workers import Finished
from .compare_tables import Results, Series, headline, ranked
from .plot import DOTS_PER_INCH, INK, RULE, TITLE, _ruled, _say, _short
from .tables import number

COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9")
"""Apart for every kind of colour blindness (Okabe and Ito 2008, "Color Universal Design", without yellow and black)."""

DASHES: tuple[Any, ...] = ("-", (0, (4, 1.5)), (0, (1, 1.2)))
"""When colours are used up they begin again, dashed and then dotted."""

MOST_LINES = len(COLOURS) * len(DASHES)
MOST_ROWS = 12
SETTING = ("data", "split", "holdout", "learners", "adversaries")
"""The keys that make the setting in which methods are compared."""

ABSCISSAE = {"trainings": "local trainings", "bytes": "bytes sent"}
STEP_POINTS = 300
Array = NDArray[np.float64]


@dataclass(frozen=True)
class Line:
    """A series in a panel: its mean over seeds at each x, and the standard deviation (NaN with one seed)."""

    name: str
    colour: str
    dash: Any
    x: Array
    mean: Array
    deviation: Array


def save_comparison(results: Results, path: Path, title: str = "") -> None:
    """Draw a comparison into a PNG file."""
    drawn = io.BytesIO()
    comparison(results, tuple(ABSCISSAE), title).savefig(drawn, format="png", dpi=DOTS_PER_INCH)
    write_atomically(path, drawn.getvalue())


def comparison_svg(results: Results, abscissa: str) -> str:
    """One column of the picture as an SVG element for a page: without background, with text as text."""
    drawn = io.StringIO()
    with mpl.rc_context({"svg.hashsalt": abscissa, "svg.fonttype": "none"}):
        comparison(results, (abscissa,)).savefig(drawn, format="svg", metadata={"Date": None}, transparent=True)
    text = drawn.getvalue()
    return text[text.index("<svg") :]


def comparison(results: Results, abscissae: Sequence[str], title: str = "") -> Figure:
    """A column of panels for each abscissa, and a row for each setting."""
    rows = _rows(results)
    most = max(len(series) for _, series in rows)
    height = float(np.clip(0.21 * most, 2.3, 5.5))
    names = max(len(_short(s.name, 40)) for _, members in rows for s in members)
    width = 4.6 + min(names, 32) * 0.075
    shown = rows[:MOST_ROWS]
    figure = Figure(
        figsize=(width * len(abscissae), (height + 0.75) * len(shown) + (0.4 if title else 0)),
        facecolor="white",
        layout=ConstrainedLayoutEngine(w_pad=0.12, h_pad=0.08),
    )
    FigureCanvasAgg(figure)
    if title:
        figure.suptitle(_short(title, 90), x=0.012, ha="left", fontweight="bold", color=INK, parse_math=False)
    styles = _styles([s for _, members in rows for s in members])
    panels = figure.subplots(len(shown), len(abscissae), squeeze=False)
    for i, (setting, members) in enumerate(shown):
        for axes, abscissa in zip(panels[i], abscissae, strict=True):
            lines = [line for s in members[:MOST_LINES] if (line := _line(s, abscissa, headline(results), styles))]
            heading = _heading(results, setting, len(members) - min(len(members), MOST_LINES), len(rows) - len(shown))
            draw_lines(axes, lines, abscissa, heading, last=i == len(shown) - 1)
    return figure


def draw_lines(axes: Axes, lines: Sequence[Line], abscissa: str, heading: str, last: bool = True) -> None:
    """Means as lines and deviations as bands; each line's name stands at its end, in its colour."""
    axes.set_title(heading, **TITLE)
    _ruled(axes)
    if last:
        axes.set_xlabel(ABSCISSAE[abscissa], color=INK, fontsize=9)
    if not lines:
        axes.set_yticks([])
        _say(axes, "nothing is done")
        return
    bottom, top = _reach(lines)
    axes.set_ylim(bottom, top)
    _abscissa(axes, lines, abscissa)
    faint = 0.16 if len(lines) <= 6 else 0.08
    for line in lines:
        shown = line.x > 0 if axes.get_xscale() == "log" else line.x >= 0
        x, mean, deviation = line.x[shown], line.mean[shown], line.deviation[shown]
        if np.isfinite(deviation).any():
            low, high = mean - deviation, mean + deviation
            axes.fill_between(x, low, high, step="post", color=line.colour, alpha=faint, linewidth=0)
        axes.plot(x, mean, color=line.colour, linestyle=line.dash, linewidth=1.7, drawstyle="steps-post", zorder=3)
    _name_lines(axes, lines, bottom, top)


def _name_lines(axes: Axes, lines: Sequence[Line], bottom: float, top: float) -> None:
    """Names to the right of the panel, spread so that none covers another, each with a thread to its line's end."""
    ends = [float(np.clip((line.mean[-1] - bottom) / (top - bottom), 0, 1)) for line in lines]
    beside = blended_transform_factory(axes.transAxes, axes.transAxes)
    at_end = blended_transform_factory(axes.transData, axes.transAxes)
    right = axes.get_xlim()[1]
    # In the order of the summary: of equal ends the first is the higher one.
    order = sorted(range(len(lines)), key=lambda i: -ends[i])
    places = dict(zip(order, spread([ends[i] for i in order], apart=min(0.085, 1 / len(lines))), strict=True))
    for i, line in enumerate(lines):
        thread: dict[str, Any] = {"color": line.colour, "linewidth": 0.7, "alpha": 0.6, "clip_on": False}
        axes.plot([line.x[-1], right], [ends[i]] * 2, transform=at_end, linestyle=(0, (1, 2)), **thread)
        axes.plot([1, 1.06], [ends[i], places[i]], transform=beside, **thread)
        axes.plot(
            [1.06, 1.11], [places[i]] * 2, transform=beside, clip_on=False,
            color=line.colour, linestyle=line.dash, linewidth=1.7,
        )  # fmt: skip
        axes.text(
            1.125, places[i], f"{number(line.mean[-1])}  {_short(line.name, 40)}", transform=beside,
            va="center", fontsize=8, color=INK, parse_math=False,
        )  # fmt: skip


def spread(places: Sequence[float], apart: float) -> list[float]:
    """Falling places between 0 and 1, moved as little as needed to be so far apart."""
    blocks: list[list[float]] = []  # each: sum of wished tops, number of members
    for i, place in enumerate(places):
        blocks.append([place + i * apart, 1])
        while len(blocks) > 1 and blocks[-2][0] / blocks[-2][1] <= blocks[-1][0] / blocks[-1][1]:
            total, count = blocks.pop()
            blocks[-1] = [blocks[-1][0] + total, blocks[-1][1] + count]
    tops = [total / count for total, count in blocks for _ in range(int(count))]
    lowest = (len(places) - 1) * apart
    return [float(np.clip(top, lowest, 1)) - i * apart for i, top in enumerate(tops)]


def _rows(results: Results) -> list[tuple[Mapping[str, Label], list[Series]]]:
    """Settings, in the order of the grid, with their series, best first; all in one row if methods don't differ."""
    series = ranked(results)
    if len({_divided(s)[1] for s in series}) == 1:
        return [({}, series)]
    rows: dict[tuple[Label, ...], tuple[Mapping[str, Label], list[Series]]] = {}
    for s in results.series():
        setting = {key: label for key, label in s.labels.items() if _is_setting(key)}
        rows.setdefault(_divided(s)[0], (setting, []))
    for s in series:
        rows[_divided(s)[0]][1].append(
            replace(s, labels={key: label for key, label in s.labels.items() if not _is_setting(key)})
        )
    return list(rows.values())


def _divided(series: Series) -> tuple[tuple[Label, ...], tuple[Label, ...]]:
    """Its setting and its method."""
    items = series.labels.items()
    return tuple(v for k, v in items if _is_setting(k)), tuple(v for k, v in items if not _is_setting(k))


def _is_setting(key: str) -> bool:
    return key.partition(".")[0] in SETTING


def _styles(series: Sequence[Series]) -> dict[str, tuple[str, Any]]:
    """Colour and dash by name: a method has the same in every row."""
    names = list(dict.fromkeys(s.name for s in series))
    count = len(COLOURS)
    return {name: (COLOURS[i % count], DASHES[i // count % len(DASHES)]) for i, name in enumerate(names)}


def _heading(results: Results, setting: Mapping[str, Label], left_out: int, rows_left_out: int) -> str:
    what = f"test {results.metric('test') or 'score'}" + (" of honest learners" if headline(results) != "test" else "")
    where = ", ".join(f"{key} = {label}" for key, label in setting.items())
    heading = f"{where}: {what}" if where else what[0].upper() + what[1:]
    heading += f" (the best {MOST_LINES}; {left_out} more in the table)" if left_out else ""
    return heading + (f" ({rows_left_out} more settings in the table)" if rows_left_out else "")


def _line(series: Series, abscissa: str, column: str, styles: Mapping[str, tuple[str, Any]]) -> Line | None:
    """None for a series without a score."""
    done = [f for f in series.done if any(v is not None for v in f.curve[_of(f, column)])]
    if not done:
        return None
    x = np.unique(np.concatenate([np.asarray(f.curve[abscissa], dtype=np.float64) for f in done]))
    if len(x) > STEP_POINTS:
        x = x[np.linspace(0, len(x) - 1, STEP_POINTS).round().astype(int)]
    values = np.array([_held(f, abscissa, _of(f, column), x) for f in done])
    deviation = values.std(axis=0, ddof=1) if len(done) > 1 else np.full(len(x), np.nan)
    return Line(series.name, *styles[series.name], x, values.mean(axis=0), deviation)


def _of(finished: Finished, column: str) -> str:
    return column if column in finished.curve else "test"


def _held(finished: Finished, abscissa: str, column: str, x: Array) -> Array:
    """The values of a curve at each x: each holds until the next."""
    at = np.searchsorted(np.asarray(finished.curve[abscissa], dtype=np.float64), x, side="right") - 1
    values = np.array([np.nan if v is None else v for v in finished.curve[column]], dtype=np.float64)
    held: Array = values[at]
    return held


def _reach(lines: Sequence[Line]) -> tuple[float, float]:
    """Limits of the scores after the first twentieth of the way: how steep they begin says nothing of how they end."""
    values = np.concatenate([line.mean[line.x >= 0.05 * line.x[-1]] for line in lines])
    values = values[np.isfinite(values)]
    low, high = (float(values.min()), float(values.max())) if len(values) else (0.0, 1.0)
    pad = 0.06 * (high - low) or 0.1 * abs(high) or 0.1
    return low - pad, high + pad


def _abscissa(axes: Axes, lines: Sequence[Line], abscissa: str) -> None:
    """In logarithms where some lines are more than five times as long as others."""
    ends = [line.x[-1] for line in lines]
    shortest, longest = min(ends), max(ends)
    if 0 < 5 * shortest < longest:
        axes.set_xscale("log")
        axes.xaxis.set_major_locator(LogLocator(subs=(1, 3) if longest < 1e4 * shortest else (1,)))
        axes.xaxis.set_minor_locator(NullLocator())
        axes.set_xlim(min(line.x[line.x > 0][0] for line in lines if (line.x > 0).any()), longest * 1.05)
    else:
        axes.xaxis.set_major_locator(MaxNLocator(5, integer=True))
        axes.set_xlim(0, longest * 1.02 or 1)
    if abscissa == "bytes":
        axes.xaxis.set_major_formatter(EngFormatter(unit="B"))
    else:
        axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axes.tick_params(axis="x", length=3, color=RULE)
