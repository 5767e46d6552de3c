"""Tables for the terminal."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from rich.table import Table

from ..baselines import Baseline
from ..history import History
from ..metrics import Metric
from ..privacy import Spent

MOST_LEARNERS = 25
"""A table with more rows than that is cut to the first ones; the ledger and the picture have all."""

MOST_FEATURES = 10


def learners_table(history: History) -> Table:
    """What the run meant for each learner: its scores before and after, and what it contributed."""
    h = history
    table = Table(title="Learners", title_justify="left", title_style="bold")
    table.add_column("learner")
    for column in ("proposed", "adopted", "approves", "rejects"):
        table.add_column(column, justify="right")
    table.add_column(f"vote {h.vote_metric.name}", justify="right")
    table.add_column(f"test {h.test_metric.name}", justify="right")
    private = h.privacy[-1]
    if private:
        table.add_column(f"epsilon (delta {max(s.delta for s in private.values()):g})", justify="right")
    votes = np.array(h.votes) if h.votes else np.zeros((0, len(h.names)))
    for i, name in enumerate(h.names[:MOST_LEARNERS]):
        table.add_row(
            f"{name} ({h.adversaries[i]})" if i in h.adversaries else name,
            str(sum(i in proposers for proposers in h.proposers)),
            str(sum(accepted and i in authors for accepted, authors in zip(h.accepted, h.authors, strict=True))),
            str(int((votes[:, i] > 0).sum())),
            str(int((votes[:, i] < 0).sum())),
            before_and_after(h.vote_scores[0][i], h.vote_scores[-1][i]),
            before_and_after(h.test_scores[0][i], h.test_scores[-1][i]),
            *([_spent(private.get(i))] if private else []),
        )
    if len(h.names) > MOST_LEARNERS:
        table.add_row(f"... {len(h.names) - MOST_LEARNERS} more")
    table.add_section()
    table.add_row(
        "mean",
        "",
        "",
        "",
        "",
        before_and_after(h.mean_vote(0), h.mean_vote()),
        before_and_after(h.mean_test(0), h.mean_test()),
        *([""] if private else []),
        style="bold",
    )
    if h.adversaries:
        honest = before_and_after(h.honest_mean_test(0), h.honest_mean_test())
        table.add_row("mean of the honest", "", "", "", "", "", honest, *([""] if private else []), style="bold")
    return table


def _spent(spent: Spent | None) -> str:
    return "–" if spent is None else f"{spent.epsilon:.3g} of {spent.target_epsilon:g}"


def baselines_table(history: History, found: Sequence[Baseline]) -> Table:
    """The collective model beside the baselines, best first."""
    metric = history.test_metric
    honest = history.honest
    collective = Baseline.of(
        "collective, by vote", sum(history.trainings), history.test_scores[-1][honest], history.test_samples[honest]
    )
    whose = " of the honest" if history.adversaries else ""
    table = Table(title=f"Was it worth it? Test {metric.name}{whose} ({direction(metric)})", title_justify="left")
    table.title_style = "bold"
    table.add_column("training")
    table.add_column("trainings", justify="right")
    table.add_column("mean", justify="right")
    table.add_column("lowest – highest learner", justify="right")
    sign = -1 if metric.greater_is_better else 1
    for row in sorted([collective, *found], key=lambda b: sign * b.test if np.isfinite(b.test) else np.inf):
        table.add_row(
            row.name,
            str(row.trainings),
            number(row.test),
            f"{number(row.lowest)} – {number(row.highest)}",
            style="bold green" if row is collective else "",
        )
    return table


def importance_table(importance: Mapping[str, float]) -> Table:
    """The features that the model goes by most, given their shares by name."""
    table = Table(title="What the model goes by", title_justify="left", title_style="bold")
    table.add_column("feature")
    table.add_column("importance", justify="right")
    used = sorted(((share, name) for name, share in importance.items() if share > 0), key=lambda pair: -pair[0])
    for share, name in used[:MOST_FEATURES]:
        table.add_row(name, f"{share:.1%}")
    if len(used) > MOST_FEATURES:
        rest = sum(share for share, _ in used[MOST_FEATURES:])
        table.add_row(f"... {len(used) - MOST_FEATURES} more", f"{rest:.1%}")
    return table


def direction(metric: Metric) -> str:
    return "higher is better" if metric.greater_is_better else "lower is better"


def before_and_after(before: float, after: float) -> str:
    return f"{number(before)} → {number(after)}"


def number(value: float) -> str:
    """A score in three decimals, or a dash."""
    if not np.isfinite(value):
        return "–"
    return f"{value:.3f}" if abs(value) < 1000 else f"{value:.3g}"
