"""The table of a division of data among learners."""

from __future__ import annotations

import numpy as np
from rich.box import SIMPLE_HEAD
from rich.table import Table

from ..division import Division
from .tables import MOST_LEARNERS, number

MOST_CHARACTERS = 64
"""Where the counts of all classes would be wider, a learner's row names its largest ones instead."""

LONGEST = 12

MOST_NAMED = 3


def division_table(division: Division, title: str) -> Table:
    """One row per learner: how much it has, and of what."""
    d = division
    values = d.targets is not None
    table = Table(title=title, title_justify="left", title_style="bold", box=SIMPLE_HEAD, padding=(0, 1, 0, 0))
    table.add_column("learner", no_wrap=True)
    for column in ("samples", "train", "vote", "test", "deciles" if values else "classes", "distance"):
        table.add_column(column, justify="right", no_wrap=True)
    if values:
        for column in ("mean", "deviation"):
            table.add_column(column, justify="right", no_wrap=True)
    elif _all_fit(d):
        for name in d.classes:
            table.add_column(name, justify="right", overflow="ellipsis", max_width=LONGEST, no_wrap=True)
    else:
        table.add_column("mostly")
    for i in range(min(len(d.sizes), MOST_LEARNERS)):
        sizes = d.sizes[i]
        table.add_row(
            f"learner-{i}",
            str(sizes.sum()),
            *map(str, sizes),
            str(d.classes_held[i]),
            f"{d.distances[i]:.2f}",
            *_contents(d, i),
        )
    if len(d.sizes) > MOST_LEARNERS:
        table.add_row(f"... {len(d.sizes) - MOST_LEARNERS} more")
    table.add_section()
    table.add_row(
        "all", str(d.sizes.sum()), *map(str, d.sizes.sum(axis=0)), str(len(d.classes)), f"{d.mean_distance:.2f}",
        *_contents(d, None), style="bold",
    )  # fmt: skip
    return table


def _contents(division: Division, learner: int | None) -> list[str]:
    """What a learner has, or all have together."""
    d = division
    if d.targets is not None:
        mean, deviation = d.targets[learner] if learner is not None else _pooled(d)
        return [number(round(float(mean), 9) + 0.0), number(float(deviation))]  # never -0.000
    counts = d.counts.sum(axis=0) if learner is None else d.counts[learner]
    if _all_fit(d):
        return [str(count) if count else "·" for count in counts]
    largest = [c for c in np.argsort(-counts, kind="stable")[:MOST_NAMED] if counts[c]]
    return [", ".join(f"{d.classes[c]} ({counts[c] / counts.sum():.0%})" for c in largest)]


def _all_fit(division: Division) -> bool:
    digits = len(str(division.counts.sum(axis=0).max()))
    return sum(max(min(len(name), LONGEST), digits) + 2 for name in division.classes) <= MOST_CHARACTERS


def _pooled(division: Division) -> tuple[float, float]:
    """Mean and deviation of all targets, from those of each learner."""
    assert division.targets is not None
    means, deviations = division.targets.T
    weights = division.counts.sum(axis=1)
    mean = float(np.average(means, weights=weights))
    return mean, float(np.sqrt(np.average(deviations**2 + (means - mean) ** 2, weights=weights)))
