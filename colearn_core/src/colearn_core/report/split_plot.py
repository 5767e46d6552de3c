"""The picture of a division: how much each learner has, how far from the whole it is, and what of which class."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.collections import EllipseCollection
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.patches import Patch
from matplotlib.ticker import MaxNLocator

from ..division import Division
from ..voting import Vote
from .plot import (
    COLLECTIVE,
    INK,
    RULE,
    TITLE,
    VOTE_COLOURS,
    _bare,
    _legend_beside_title,
    _ruled,
    _short,
    _step,
    save_figure,
)

PART_COLOURS = {"train": COLLECTIVE, "vote": VOTE_COLOURS[Vote.APPROVE], "test": VOTE_COLOURS[Vote.REJECT]}
BUBBLE = "#3a7fb8"
NARROW = 0.13
"""Inches below which a cell is shaded."""

SMALLEST = 0.014
"""Diameter in inches of a single sample's bubble, or it wouldn't be seen."""


def save_division(division: Division, path: Path, title: str = "") -> None:
    """Draw a division into a file; an existing one is replaced.

    Args:
        path: ends in .png, .svg or .pdf.

    Raises:
        UsageError: it ends in something else.
        ColearnError: it can't be written.
    """
    save_figure(lambda: division_picture(division, title), path)


def division_picture(division: Division, title: str = "") -> Figure:
    """A bar for each learner's size, one for its distance to the whole, and a bubble for each of its classes.

    The area of a bubble is in proportion to the number of samples; the largest one fills its cell. Where cells are
    too narrow for bubbles to be told apart, they are shaded instead.
    """
    learners, classes = division.counts.shape
    width = float(np.clip(2.2 + 0.42 * learners, 5.5, 11.0))
    heights = [1.3, 0.55, float(np.clip(0.3 * classes, 0.7, max(3.2, min(7.0, 0.085 * classes))))]
    figure = Figure(
        figsize=(width, sum(heights) + 1.7), facecolor="white", layout=ConstrainedLayoutEngine(w_pad=0.12, h_pad=0.06)
    )
    FigureCanvasAgg(figure)
    if title:
        figure.suptitle(
            _short(title, int(8 * width)),
            x=0.012,
            ha="left",
            fontsize=11.5,
            fontweight="bold",
            color=INK,
            parse_math=False,
        )
    rows = figure.add_gridspec(3, 1, height_ratios=heights)
    grid = figure.add_subplot(rows[2])
    sizes, distances = (figure.add_subplot(rows[i], sharex=grid) for i in (0, 1))
    draw_sizes(sizes, division)
    draw_distances(distances, division)
    draw_classes(grid, division)
    for axes in (sizes, distances):
        axes.tick_params(labelbottom=False)
    grid.set_xlim(-0.6, learners - 0.4)
    figure.get_layout_engine().execute(figure)  # type: ignore[union-attr]
    box = grid.get_window_extent()
    cell = min(box.width / (learners + 0.2), box.height / classes) / figure.dpi
    if cell < NARROW:
        draw_shades(grid, division)
    else:
        draw_bubbles(grid, division, cell)
    return figure


def draw_sizes(axes: Axes, division: Division) -> None:
    """Stacked bars of the samples to train on, to vote by and to test on."""
    axes.set_title("Samples", **TITLE)
    _ruled(axes)
    base = np.zeros(len(division.sizes))
    for (part, colour), size in zip(PART_COLOURS.items(), division.sizes.T, strict=True):
        axes.bar(np.arange(len(size)), size, 0.8, bottom=base, color=colour, label=part)
        base += size
    axes.yaxis.set_major_locator(MaxNLocator(4, integer=True))
    _legend_beside_title(axes, [Patch(color=colour, label=part) for part, colour in PART_COLOURS.items()])


def draw_distances(axes: Axes, division: Division) -> None:
    """A bar from 0, as the whole, to 1, nothing in common with it."""
    axes.set_title(f"Distance to the whole: {division.mean_distance:.2f} on average", **TITLE)
    _ruled(axes)
    axes.bar(np.arange(len(division.distances)), division.distances, 0.8, color="#8c8c8c")
    axes.set_ylim(0, 1)
    axes.set_yticks([0, 0.5, 1], ["0", "", "1"])


def draw_classes(axes: Axes, division: Division) -> None:
    """The field of bubbles: a column for each learner, a row for each class, the first one on top."""
    learners, classes = division.counts.shape
    axes.set_title(_rows(division), **TITLE)  # what cells mean is added when their size is known
    _bare(axes)
    axes.set_xlabel("learner", color=INK)
    axes.set_ylim(classes - 0.5, -0.5)
    axes.set_xticks(range(0, learners, _step(learners)))
    named = range(0, classes, _step(classes))
    axes.set_yticks(named, [_short(division.classes[c], 24) for c in named], parse_math=False)


def draw_bubbles(axes: Axes, division: Division, cell: float) -> None:
    """Bubbles of an area in proportion to the samples.

    Args:
        cell: the diameter of the largest one, in inches.
    """
    learners, classes = division.counts.shape
    axes.set_title(f"{_rows(division)}: area of a bubble for the number of samples", **TITLE)
    axes.hlines(np.arange(classes), -0.5, learners - 0.5, color=RULE, linewidth=0.4, zorder=0)
    learner, c = np.nonzero(division.counts)
    shares = division.counts[learner, c] / division.counts.max()
    diameters = np.maximum(0.95 * cell * np.sqrt(shares), SMALLEST)
    axes.add_collection(
        EllipseCollection(
            diameters, diameters, np.zeros_like(diameters), units="inches", offsets=np.column_stack([learner, c]),
            offset_transform=axes.transData, facecolors=BUBBLE, linewidths=0, zorder=2,
        ),
        autolim=False,
    )  # fmt: skip


def draw_shades(axes: Axes, division: Division) -> None:
    """Cells in shades from white, no sample, to dark; as the root, so that few samples are seen beside many."""
    axes.set_title(f"{_rows(division)}: the more samples the darker, up to {division.counts.max()}", **TITLE)
    extent = (-0.5, len(division.counts) - 0.5, len(division.classes) - 0.5, -0.5)
    shades = LinearSegmentedColormap.from_list("shades", ["white", BUBBLE, "#0b2c47"])
    axes.imshow(np.sqrt(division.counts.T), extent=extent, cmap=shades, vmin=0, aspect="auto", interpolation="nearest")
    axes.spines[:].set_visible(True)
    axes.spines[:].set_color(RULE)


def _rows(division: Division) -> str:
    return "Target, by deciles of all samples" if division.targets is not None else "Classes"
