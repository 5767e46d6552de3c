"""The page of a comparison: one HTML file with table, pictures and how to repeat it; it loads nothing."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Any

from ..comparing import SEED, Grid
from ..ledger import write_atomically
from .compare_plot import ABSCISSAE, COLOURS, comparison_svg
from .compare_tables import Results, Series, cells_of, columns_of, headline, ranked
from .plot import INK, RULE

ON_DARK = ("#4fa3e0", "#ff8a4c", "#2fc79a", "#e39cc4", "#f5bd3d", "#9ad5f7")
"""The colours of lines for a dark page, in the same order."""

STYLE = """
:root { color-scheme: light dark; --page: #fff; --ink: #1a1a1a; --rule: #d9d9d9; --faint: #f4f6f6; --link: #0b5d57;
  LIGHT }
@media (prefers-color-scheme: dark) {
  :root { --page: #16191a; --ink: #e6e6e6; --rule: #3a4042; --faint: #1f2425; --link: #6fd0c5;
    DARK }
}
* { box-sizing: border-box; }
body { margin: 0 auto; padding: 1rem; max-width: 90rem; background: var(--page); color: var(--ink);
  font: 1rem/1.5 system-ui, sans-serif; }
h1 { font-size: 1.5rem; line-height: 1.2; margin: .5rem 0; overflow-wrap: anywhere; }
h2 { font-size: 1.1rem; margin: 2rem 0 .5rem; }
a { color: var(--link); }
.wide { overflow-x: auto; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; font-size: .9rem; }
th, td { padding: .3rem .7rem; text-align: right; white-space: nowrap; border-bottom: 1px solid var(--rule); }
th { vertical-align: bottom; }
.name { text-align: left; }
td.name { white-space: normal; min-width: 6rem; overflow-wrap: anywhere; }
tbody tr:hover { background: var(--faint); }
th button { all: unset; cursor: pointer; font-weight: 600; }
th button:focus-visible { outline: 2px solid var(--link); }
th[aria-sort=ascending] button::after { content: " \\2191"; }
th[aria-sort=descending] button::after { content: " \\2193"; }
.pictures { display: grid; gap: 1rem; grid-template-columns: repeat(auto-fit, minmax(min(100%, 34rem), 1fr)); }
.pictures > div { overflow-x: auto; }
svg { width: 100%; min-width: 32rem; height: auto; font-family: system-ui, sans-serif; }
pre { background: var(--faint); padding: .8rem; overflow-x: auto; font-size: .85rem; }
.failed { color: light-dark(#a3330b, #ff9d76); }
"""

SCRIPT = """
for (const table of document.querySelectorAll("table.sortable")) {
  const headings = [...table.tHead.rows[0].cells], body = table.tBodies[0];
  headings.forEach((heading, column) => heading.firstElementChild.addEventListener("click", () => {
    const falls = heading.getAttribute("aria-sort") === "ascending" ||
      (!heading.hasAttribute("aria-sort") && !heading.classList.contains("name"));
    headings.forEach(other => other.removeAttribute("aria-sort"));
    heading.setAttribute("aria-sort", falls ? "descending" : "ascending");
    const key = row => row.cells[column].dataset.key;
    const order = (a, b) => key(a) === "" ? 1 : key(b) === "" ? -1 : (falls ? -1 : 1) *
      (isNaN(key(a)) || isNaN(key(b)) ? key(a).localeCompare(key(b)) : key(a) - key(b));
    body.append(...[...body.rows].sort(order));
  }));
}
"""


def save_page(results: Results, grid: Grid, folder: Path, title: str) -> None:
    """Write ``index.html`` into the folder of a comparison."""
    write_atomically(folder / "index.html", page(results, grid, title).encode())


def page(results: Results, grid: Grid, title: str) -> str:
    """The page as text; the same results give the same page."""
    parts = [
        f"<h1>{escape(title)}</h1>",
        f"<p>{escape(_about(results))}</p>",
        "<h2>Summary</h2>",
        f'<div class="wide">{_table(results)}</div>',
        f"<p>{escape(_reading(results))}</p>",
        _failures(results),
        "<h2>Curves</h2>",
        '<div class="pictures">',
        *(f"<div>{_svg(results, abscissa)}</div>" for abscissa in ABSCISSAE),
        "</div>",
        "<h2>How to repeat it</h2>",
        _recipe(results, grid),
    ]
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{escape(title)}</title>\n<style>{_style()}</style>\n</head>\n<body>\n"
        + "\n".join(part for part in parts if part)
        + f"\n<script>{SCRIPT}</script>\n</body>\n</html>\n"
    )


def _style() -> str:
    light, dark = (" ".join(f"--line{i}: {c};" for i, c in enumerate(cs)) for cs in (COLOURS, ON_DARK))
    return STYLE.replace("LIGHT", light).replace("DARK", dark)


def _about(results: Results) -> str:
    c = results.runs[0].config
    varied = [key for key in results.keys if key != SEED]
    seeds = len({run.config.seed for run in results.runs})
    fixed = {
        "data": c.data.name, "learner": c.learner.name, "learners": c.learners, "split": c.split.name,
        "proposals": c.proposals.name, "voting": c.voting.name,
    }  # fmt: skip
    kept = ", ".join(f"{k} {v}" for k, v in fixed.items() if k not in varied)
    lengths = {run.budget for run in results.runs}
    budget = ", ".join(f"{n} {k}" for k, n in results.runs[0].budget._asdict().items() if n is not None)
    return (
        f"{len(results.done)} of {len(results.runs)} runs are done: {', '.join(varied) or 'nothing'} varied, "
        f"{seeds} seed{'s' * (seeds > 1)}. In all of them: {kept}"
        + (f"; {budget} each." if len(lengths) == 1 else "; of several lengths.")
    )


def _reading(results: Results) -> str:
    who = "honest: the mean over the honest learners. " if headline(results) != "test" else ""
    return (
        "Mean ± standard deviation over seeds. Test: the mean over learners, each on its own test data, weighted by "
        f"samples. {who}Worst: the score of the learner that is served worst. Accepted: share of rounds that "
        "adopted a candidate. Bytes: each proposal, and each vote (a byte), sent to every other learner. "
        "A click on a heading sorts."
    )


def _table(results: Results) -> str:
    columns = columns_of(results)
    keys = [key for key in results.keys if key != SEED]
    names = "".join(f'<th class="name"><button>{escape(key)}</button></th>' for key in keys or ["experiment"])
    head = names + "".join(f"<th><button>{escape(heading)}</button></th>" for heading in columns)
    rows = "\n".join(_row(series, columns) for series in ranked(results))
    return f'<table class="sortable">\n<thead><tr>{head}</tr></thead>\n<tbody>\n{rows}\n</tbody>\n</table>'


def _row(series: Series, columns: Mapping[str, str]) -> str:
    names = [str(label) for label in series.labels.values()] or ["all runs"]
    cells = [f'<td class="name" data-key="{escape(n)}">{escape(n)}</td>' for n in names]
    for text, column in zip(cells_of(series, columns), columns.values(), strict=True):
        mean = len(series.done) if column == "runs" else series.mean(column).mean
        cells.append(f'<td data-key="{"" if mean is None else repr(mean)}">{escape(text)}</td>')
    return f"<tr>{''.join(cells)}</tr>"


def _failures(results: Results) -> str:
    if not results.failures:
        return ""
    items = "".join(f"<li>{escape(run.title)}: {escape(error)}</li>" for run, error in results.failures)
    return f'<h2>Failed runs</h2>\n<ul class="failed">{items}</ul>'


def _svg(results: Results, abscissa: str) -> str:
    """With the colours of the page, and ids that no other picture in it has."""
    text = comparison_svg(results, abscissa)
    for colour, name in [*((c, f"--line{i}") for i, c in enumerate(COLOURS)), (INK, "--ink"), (RULE, "--rule")]:
        text = text.replace(colour, f"var({name})")
    text = re.sub(r"(?s)<metadata>.*?</metadata>", "", text)
    text = re.sub(r'\b(id="|href="#|url\(#)', rf"\g<1>{abscissa}-", text)
    return text.replace("<svg ", f'<svg role="img" aria-label="Test score against {ABSCISSAE[abscissa]}" ', 1)


def _recipe(results: Results, grid: Grid) -> str:
    versions: dict[str, Any] = {}
    for run in results.runs:
        versions |= run.identity["versions"]
    told = ", ".join(f"{name} {number}" for name, number in sorted(versions.items()))
    links = ", ".join(f'<a href="{name}">{name}</a>' for name in _files())
    return (
        f"<p>With {escape(told)}, save this as <code>grid.toml</code> and run "
        "<code>colearn compare grid.toml</code>. Same seeds, same results.</p>\n"
        f"<pre>{escape(grid.to_toml())}</pre>\n<p>Beside this page: {links}.</p>"
    )


def _files() -> Sequence[str]:
    return ("results.csv", "curves.csv", "grid.toml", "plot.png")
