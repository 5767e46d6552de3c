"""The picture of a run: the scores of each round, and below them who voted how.

Drawn with matplotlib's objects, never with pyplot: no window, no figure left behind in a process.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.lines import Line2D
from matplotlib.offsetbox import AnchoredText
from matplotlib.patches import Patch
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullLocator
from numpy.typing import NDArray

from ..errors import ColearnError, UsageError
from ..history import History
from ..ledger import write_atomically
from ..metrics import Metric
from ..scores import weighted_mean
from ..voting import Vote
from .tables import direction, number

# Blue and orange keep apart for every kind of colour blindness, and in grey: one is darker.
VOTE_COLOURS = {Vote.APPROVE: "#3a7fb8", Vote.REJECT: "#f2a346", Vote.ABSTAIN: "#e4e4e4"}
COLLECTIVE = "#0b5d57"
"""The colour of what all learners have in common: the mean score, and the rounds that changed the weights."""
INK, RULE = "#1a1a1a", "#d9d9d9"

METADATA: dict[str, dict[str, Any]] = {"png": {}, "svg": {"Date": None}, "pdf": {"CreationDate": None}}
"""By ending, what keeps the time of drawing out of the file: same history, same file."""
DOTS_PER_INCH = 150
MOST_NAMES = 30
MOST_MARKERS = 25
MOST_COLUMNS = 1400
"""Longer runs are shown as mean colours of neighbouring rounds: a picture has no more pixels than that."""


def save_picture(history: History, path: Path, title: str = "") -> None:
    """Draw a run into a file; an existing one is replaced, by the whole picture or not at all.

    Args:
        path: ends in .png, .svg or .pdf.

    Raises:
        UsageError: it ends in something else.
        ColearnError: it can't be written.
    """
    save_figure(lambda: picture(history, title), path)


def save_figure(draw: Callable[[], Figure], path: Path) -> None:
    """Write what is drawn, as :func:`save_picture` does; same figure, same file."""
    kind = path.suffix.lower().removeprefix(".")
    if kind not in METADATA:
        raise UsageError(f"can't draw {path}: a picture ends in .png, .svg or .pdf, not in {path.suffix!r}")
    drawn = io.BytesIO()
    with mpl.rc_context({"svg.hashsalt": "colearn"}):  # or an SVG's ids would be random
        draw().savefig(drawn, format=kind, dpi=DOTS_PER_INCH, metadata=METADATA[kind])
    try:
        write_atomically(path, drawn.getvalue())
    except OSError as error:
        raise ColearnError(f"can't write {path}: {error.strerror}", hint="Choose another place with --out.") from error


def picture(history: History, title: str = "") -> Figure:
    """The run in one figure: vote score, test score and votes over the rounds, on one x axis.

    Scores are those of the weights in force: one faint line per learner, and their mean weighted by
    samples. Below, one cell for each learner's vote on the leading candidate of each round.
    """
    rounds, learners = len(history.round), len(history.names)
    panels = [1.75 if np.isfinite(scores).any() else 0.4 for scores in (history.vote_scores, history.test_scores)]
    heights = [*panels, 0.13, float(np.clip(0.21 * learners, 0.3, 5.0))]
    width = float(np.clip(7.0 + 0.05 * rounds, 8.5, 11.0))
    figure = Figure(
        figsize=(width, sum(heights) + 1.8), facecolor="white", layout=ConstrainedLayoutEngine(w_pad=0.12, h_pad=0.06)
    )
    FigureCanvasAgg(figure)
    if title:
        figure.suptitle(
            _short(title, 72), x=0.012, ha="left", fontsize=13, fontweight="bold", color=INK, parse_math=False
        )
    rows = figure.add_gridspec(4, 1, height_ratios=heights)
    vote = figure.add_subplot(rows[0])
    test, strip, grid = (figure.add_subplot(rows[i], sharex=vote) for i in (1, 2, 3))

    draw_scores(vote, history, "vote")
    draw_scores(test, history, "test")
    _score_legend(vote)
    draw_outcomes(strip, history)
    draw_votes(grid, history, cell=(width - 1.5, heights[3]))
    for axes in (vote, test, strip):
        axes.tick_params(labelbottom=False)
    start = _rounds(history)[0]
    vote.set_xlim(start - 0.012 * (rounds + 1), start + rounds + 0.5)
    return figure


def draw_scores(axes: Axes, history: History, part: str) -> None:
    """One faint line per learner and their mean, in limits that one diverged learner can't blow up."""
    metric, samples, rows = (
        (history.vote_metric, history.vote_samples, history.vote_scores)
        if part == "vote"
        else (history.test_metric, history.test_samples, history.test_scores)
    )
    scores = np.array(rows, dtype=np.float64)
    mean = np.array([weighted_mean(row, samples) for row in scores])
    heading = f"{part.capitalize()} score: {metric.name} ({direction(metric)})"
    if not np.isnan(mean).all():
        heading += f", mean {number(mean[0])}" + (f" → {number(mean[-1])}" if history.round else "")
    axes.set_title(heading, **TITLE)
    _ruled(axes)
    if np.isnan(mean).all():
        axes.set_yticks([])
        _say(axes, f"no {part} scores")
        return
    x = _rounds(history)
    few = len(x) <= MOST_MARKERS  # a marker is all that's seen of a score without neighbours
    faint = float(np.clip(2.5 / len(samples), 0.1, 0.45))
    axes.plot(x, scores, color=COLLECTIVE, alpha=faint, linewidth=0.8, marker="." if few else "", markersize=2)
    axes.plot(x, mean, color=COLLECTIVE, linewidth=2, marker="o" if few else "", markersize=3, zorder=3)
    _limit(axes, metric, scores, mean)


def draw_outcomes(axes: Axes, history: History) -> None:
    """The strip above the votes: which rounds adopted a candidate; with the title and legend of the votes."""
    played = len(history.round)
    axes.set_title(f"Votes: {sum(history.accepted)} of {played} rounds accepted" if played else "Votes", **TITLE)
    _bare(axes)
    axes.set_yticks([0], ["accepted"])
    if played:
        _show_cells(axes, history, np.array([history.accepted]), {False: "#f4f4f4", True: COLLECTIVE})
    handles = [Patch(color=VOTE_COLOURS[vote], label=vote.name.lower()) for vote in reversed(Vote)]
    handles.append(Patch(color=COLLECTIVE, label="accepted"))
    dot = Line2D([], [], color=INK, marker="o", markersize=4, linestyle="", label="proposer")
    _legend_beside_title(axes, [*handles, dot])


def draw_votes(axes: Axes, history: History, cell: tuple[float, float]) -> None:
    """One row per learner, one column per round, and a mark on the proposers.

    Args:
        cell: width and height of all cells together, in inches.
    """
    learners, played = len(history.names), len(history.round)
    _bare(axes)
    axes.set_xlabel("round", color=INK)
    axes.tick_params(axis="x", length=3)
    axes.xaxis.set_major_locator(MaxNLocator("auto", integer=True, steps=[1, 2, 5, 10], min_n_ticks=1))
    axes.set_ylim(learners - 0.5, -0.5)
    named = range(0, learners, _step(learners))
    axes.set_yticks(named, [_short(history.names[i], 24) for i in named], parse_math=False)
    if not played:
        _say(axes, "no round was played")
        return
    _show_cells(axes, history, np.array(history.votes).T, VOTE_COLOURS)
    width, height = 72 * cell[0] / (played + 1), 72 * cell[1] / learners
    rounds, between = _rounds(history) + 0.5, np.arange(learners - 1) + 0.5
    if width > 5:
        axes.vlines(rounds, -0.5, learners - 0.5, color="white", linewidth=0.8)
    if height > 5:
        axes.hlines(between, rounds[0], rounds[-1], color="white", linewidth=0.8)
    _mark_proposers(axes, history, width, height)


def _mark_proposers(axes: Axes, history: History, width: float, height: float) -> None:
    """A dot in each proposer's cell; in narrow cells it's drawn out to a dash, or nobody would see it."""
    row = np.array([i for proposers in history.proposers for i in proposers], dtype=np.float64)
    column = np.repeat(history.round, [len(proposers) for proposers in history.proposers])
    thick = min(0.4 * width, 0.4 * height, 6)
    half = 0.22 if height > 4 * width else 0.002  # no length at all isn't drawn
    axes.vlines(column, row - half, row + half, color=INK, linewidth=thick, capstyle="round", snap=False)


def _show_cells(axes: Axes, history: History, cells: NDArray[Any], colours: dict[Any, str]) -> None:
    """Cells of ``(rows, rounds)`` in their colours, each centred on its round."""
    pixels = np.zeros((*cells.shape, 3))
    for value, colour in colours.items():
        pixels[cells == value] = to_rgb(colour)
    if cells.shape[1] > MOST_COLUMNS:
        parts = np.array_split(pixels, MOST_COLUMNS, axis=1)
        pixels = np.stack([part.mean(axis=1) for part in parts], axis=1)
    extent = (history.round[0] - 0.5, history.round[-1] + 0.5, len(cells) - 0.5, -0.5)
    axes.imshow(pixels, extent=extent, aspect="auto", interpolation="nearest")


def _limit(axes: Axes, metric: Metric, scores: NDArray[Any], mean: NDArray[Any]) -> None:
    """Scale and limits of a score axis; what is cut off is said in a corner.

    A loss that falls by more than a decade and a half is drawn in logarithms. Limits follow the
    learners but for a tenth at each end: those decide only as far as they keep within reach.
    """
    low, high = _core(scores)
    if not metric.greater_is_better and low > 0 and high / low > 10**1.5:
        reach = high / low
        shown = (scores >= low / reach) & (scores <= high * reach)
        bottom, top = scores[shown].min(), scores[shown].max()
        pad = (top / bottom) ** 0.06
        axes.set_yscale("log")
        axes.set_ylim(bottom / pad, top * pad)
        axes.yaxis.set_major_locator(LogLocator(subs=(1, 3) if top / bottom < 1e4 else (1,)))
        axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
        axes.yaxis.set_minor_locator(NullLocator())
    else:
        reach = 2 * max(high - low, abs(low), abs(high))
        shown = (scores >= low - reach) & (scores <= high + reach)
        bottom, top = scores[shown].min(), scores[shown].max()
        pad = 0.06 * (top - bottom) or 0.1 * abs(top) or 0.1
        axes.set_ylim(bottom - pad, top + pad)
    cut = int((~shown & ~np.isnan(scores)).any(axis=0).sum())
    if cut:
        who = f"{cut} learner{'s' * (cut > 1)}" + (" and the mean" if ((mean < bottom) | (mean > top)).any() else "")
        _say(axes, f"{who} beyond the scale", corner="lower right" if metric.greater_is_better else "upper right")


def _core(scores: NDArray[Any]) -> tuple[float, float]:
    """Lowest and highest score over the rounds without the outer tenth (at least one of three) of learners."""
    lows, highs = [], []
    for row in scores:
        known = np.sort(row[np.isfinite(row)])
        if len(known):
            trim = max(len(known) // 10, 1) if len(known) > 2 else 0
            lows.append(known[trim])
            highs.append(known[len(known) - 1 - trim])
    return float(min(lows)), float(max(highs))


TITLE: dict[str, Any] = {"loc": "left", "fontsize": 9.5, "color": INK, "parse_math": False}


def _score_legend(axes: Axes) -> None:
    each = Line2D([], [], color=COLLECTIVE, alpha=0.45, linewidth=0.8, label="each learner")
    mean = Line2D([], [], color=COLLECTIVE, linewidth=2, label="mean")
    _legend_beside_title(axes, [each, mean])


def _legend_beside_title(axes: Axes, handles: Sequence[Line2D | Patch]) -> None:
    axes.legend(
        handles=handles, loc="lower right", bbox_to_anchor=(1.005, 1.0), bbox_transform=axes.transAxes,
        ncols=len(handles), frameon=False, fontsize=8.5, borderaxespad=0.5, borderpad=0,
        handlelength=1.1, handleheight=0.9, handletextpad=0.5, columnspacing=1.3,
    )  # fmt: skip


def _ruled(axes: Axes) -> None:
    """Only horizontal rules: a score is read against the y axis."""
    axes.grid(axis="y", color=RULE, linewidth=0.6)
    axes.set_axisbelow(True)
    axes.spines[["top", "right", "left"]].set_visible(False)
    axes.spines["bottom"].set_color(RULE)
    axes.tick_params(length=0, labelsize=8, labelcolor=INK)


def _bare(axes: Axes) -> None:
    axes.spines[:].set_visible(False)
    axes.tick_params(length=0, labelsize=8, labelcolor=INK, color=RULE)


def _say(axes: Axes, text: str, corner: str = "center") -> None:
    note = AnchoredText(text, loc=corner, frameon=False, prop={"color": "#666666", "fontsize": 9, "style": "italic"})
    note.set_zorder(4)
    axes.add_artist(note)


def _rounds(history: History) -> NDArray[np.int64]:
    """The x of each row of scores: the round after which they held; the first lies before all rounds."""
    start = history.round[0] - 1 if history.round else 0
    return start + np.arange(len(history.vote_scores))


def _short(text: str, most: int) -> str:
    """On one line, cut in the middle: long names of parties often differ at the end."""
    line = " ".join(text.split())
    return line if len(line) <= most else f"{line[: most - 9]}…{line[-8:]}"


def _step(learners: int) -> int:
    """The first of 1, 2, 5, 10, 20, ... that leaves names that can be read."""
    steps = (digit * int(10**power) for power in range(9) for digit in (1, 2, 5))
    return next(step for step in steps if step * MOST_NAMES >= learners)
