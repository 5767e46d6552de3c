"""Tables, picture and page of a comparison, from made-up results."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from matplotlib.axes import Axes
from matplotlib.collections import PolyCollection
from matplotlib.text import Text

from colearn_core.comparing import Alternative, Grid, Label, PlannedRun
from colearn_core.config import ExperimentConfig
from colearn_core.measured import Budget
from colearn_core.report.compare_page import page
from colearn_core.report.compare_plot import MOST_LINES, comparison, comparison_svg, save_comparison, spread
from colearn_core.report.compare_tables import Results, as_csv, as_parquet, bytes_in_words, ranked, summary_table
from colearn_core.workers import Finished

CONFIG = ExperimentConfig.from_mapping({"data": "blobs", "learner": "softmax"}, "here")
GRID = Grid.of({"data": "blobs", "learner": "softmax", "vary": {"voting": ["majority"]}}, "here")


def a_run(labels: Mapping[str, Label], seed: int = 0) -> PlannedRun:
    config = CONFIG.model_copy(update={"seed": seed})
    return PlannedRun(
        {**labels, "seed": seed}, config, Budget(rounds=4), {"versions": {"colearn-core": "0.1.0"}, **labels}
    )


def finished(test: float, *, honest: float | None = None, metric: str = "accuracy", points: int = 5) -> Finished:
    """A run whose score rises, or falls, to ``test``."""
    curve: dict[str, list[Any]] = {
        "round": list(range(points)),
        "trainings": [2 * i for i in range(points)],
        "bytes": [100 * i for i in range(points)],
        "test": list(np.linspace(0.1, test, points)),
    }
    outcome: dict[str, Any] = {
        "rounds": points - 1, "accepted": 2, "acceptance_rate": 0.5, "trainings": 2 * (points - 1), "scorings": 40,
        "bytes": 4000, "vote_metric": "log_loss", "vote": 0.5, "test_metric": metric, "test": test,
        "test_worst": test - 0.1, "seconds": 1.0, "weights": "ab",
    }  # fmt: skip
    if honest is not None:
        outcome["test_honest"], curve["test_honest"] = honest, [honest] * points
    return Finished(None, outcome, curve)


def with_outcome(run: Finished, **changes: Any) -> Finished:
    return run._replace(outcome={**run.outcome, **changes})


def results(tests: Mapping[tuple[Label, ...], list[float]], *keys: str, **more: Any) -> Results:
    """Of series by the labels of their keys, each with its test scores by seed."""
    pairs = [
        (a_run(dict(zip(keys, labels, strict=True)), seed), finished(score, **more))
        for labels, scores in tests.items()
        for seed, score in enumerate(scores)
    ]
    return Results([run for run, _ in pairs], [f for _, f in pairs])


TWO = results({("majority",): [0.8, 0.9], ("unanimous",): [0.5, 0.7]}, "voting")
TWELVE = results(
    {(s, v, a): [0.5, 0.6] for s in ("a", "b") for v in ("x", "y") for a in (100, 0.5, 0.1)},
    "proposals", "voting", "split.alpha",
)  # fmt: skip


def lines(axes: Axes) -> list[Any]:
    """The curves; threads and swatches have two points."""
    return [line for line in axes.lines if len(line.get_xdata()) > 2]  # type: ignore[arg-type]


def texts(axes: Axes) -> str:
    return " | ".join(artist.get_text() for artist in axes.findobj(Text) if isinstance(artist, Text))


@given(st.lists(st.floats(0, 1), min_size=1, max_size=14))
def test_names_are_apart_in_order_and_within_the_panel(ends: list[float]) -> None:
    falling = sorted(ends, reverse=True)
    apart = min(0.085, 1 / len(ends))
    places = spread(falling, apart)
    assert all(-1e-9 <= place <= 1 + 1e-9 for place in places)
    assert all(a - b >= apart - 1e-9 for a, b in pairwise(places))


def test_names_that_have_room_stay_where_their_lines_end() -> None:
    assert spread([0.9, 0.5, 0.2], 0.1) == pytest.approx([0.9, 0.5, 0.2])
    assert spread([0.5, 0.5], 0.1) == pytest.approx([0.55, 0.45])


def test_a_line_for_each_series_with_its_deviation_as_a_band_and_its_name_at_the_end() -> None:
    figure = comparison(TWO, ("trainings", "bytes"))
    figure.draw_without_rendering()
    assert len(figure.axes) == 2
    for axes in figure.axes:
        assert len(lines(axes)) == len([c for c in axes.collections if isinstance(c, PolyCollection)]) == 2
        assert "0.850  majority" in texts(axes)
        assert "0.600  unanimous" in texts(axes)
    best = lines(figure.axes[0])[0]
    assert list(best.get_xdata()) == [0, 2, 4, 6, 8]
    assert best.get_ydata()[-1] == pytest.approx(0.85)
    assert len({line.get_color() for line in lines(figure.axes[0])}) == 2


def test_one_seed_has_no_band() -> None:
    figure = comparison(results({("majority",): [0.8]}, "voting"), ("trainings",))
    assert len(lines(figure.axes[0])) == 1
    assert not figure.axes[0].collections


def test_settings_have_rows_and_methods_the_same_colour_in_each() -> None:
    figure = comparison(TWELVE, ("trainings", "bytes"), "title")
    figure.draw_without_rendering()
    assert len(figure.axes) == 6
    headings = [axes.get_title("left") or axes.get_title(loc="left") for axes in figure.axes[::2]]
    assert headings == [f"split.alpha = {a}: test accuracy" for a in (100, 0.5, 0.1)]
    assert {len(lines(axes)) for axes in figure.axes} == {4}
    colours = [{line.get_color() for line in lines(axes)} for axes in figure.axes]
    assert all(len(colour) == 4 and colour == colours[0] for colour in colours)
    assert "a, x" in texts(figure.axes[0])


def test_settings_alone_are_lines_of_one_panel() -> None:
    figure = comparison(results({(100,): [0.9], (0.1,): [0.5]}, "split.alpha"), ("trainings",))
    assert len(figure.axes) == 1
    assert "0.900  100" in texts(figure.axes[0])


def test_more_series_than_can_be_told_apart_are_cut_to_the_best_and_it_is_said() -> None:
    many = results({(f"rule {i}",): [0.5 + i / 100] for i in range(MOST_LINES + 3)}, "voting")
    figure = comparison(many, ("trainings",))
    drawn = lines(figure.axes[0])
    assert len({(line.get_color(), line._unscaled_dash_pattern) for line in drawn}) == len(drawn) == MOST_LINES
    assert "3 more in the table" in texts(figure.axes[0])
    assert "rule 20" in texts(figure.axes[0])
    assert "rule 2 " not in texts(figure.axes[0]) + " "


def test_runs_of_other_lengths_and_missing_scores_are_drawn() -> None:
    runs = [a_run({"voting": "majority"}, seed) for seed in range(3)]
    silent = with_outcome(finished(0.5), test=None)
    silent.curve["test"][:] = [None] * 5
    long = finished(0.9, points=200)
    long.curve["bytes"][:] = [10_000 * i for i in range(200)]
    figure = comparison(Results(runs, [finished(0.7), long, silent]), ("trainings", "bytes"))
    figure.draw_without_rendering()
    assert lines(figure.axes[0])[0].get_ydata()[-1] == pytest.approx(0.8)
    empty = comparison(Results(runs[:1], [silent]), ("trainings",))
    assert "nothing is done" in texts(empty.axes[0])


def test_costs_of_other_sizes_are_drawn_in_logarithms() -> None:
    dear = finished(0.9)
    dear.curve["bytes"][:] = [10_000 * i for i in range(5)]
    both = Results([a_run({"learners": 3}), a_run({"learners": 300})], [finished(0.8), dear])
    trainings, sent = comparison(both, ("trainings", "bytes")).axes
    assert (trainings.get_xscale(), sent.get_xscale()) == ("linear", "log")


def test_the_picture_is_written_and_the_same_again(tmp_path: Path) -> None:
    for name in ("a.png", "b.png"):
        save_comparison(TWO, tmp_path / name, "two $rules_")
    assert (tmp_path / "a.png").read_bytes().startswith(b"\x89PNG")
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()
    assert comparison_svg(TWO, "bytes") == comparison_svg(TWO, "bytes")


class Elements(HTMLParser):
    """Reads a page, and notices what isn't closed."""

    EMPTY = ("meta", "link", "br", "img")

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.seen: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.append((tag, dict(attrs)))
        if tag not in self.EMPTY:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data


HOSTILE = '<script>alert("1")</script> & $x_1$ \'"'


def test_the_page_is_whole_loads_nothing_and_has_ids_once() -> None:
    text = page(TWELVE, GRID, "twelve")
    found = Elements(text)
    assert found.open == []
    ids = [attributes["id"] for _, attributes in found.seen if "id" in attributes]
    assert len(set(ids)) == len(ids)
    assert [tag for tag, _ in found.seen].count("svg") == 2
    loaded = [a for tag, a in found.seen if tag in ("link", "img", "iframe", "object") or "src" in a]
    assert loaded == []
    assert "url(http" not in text
    assert "@import" not in text
    links = {a["href"] for tag, a in found.seen if tag == "a"}
    assert links == {"results.csv", "curves.csv", "grid.toml", "plot.png"}
    referred = set(re.findall(r'(?:href="#|url\(#)([^")]+)', text))
    assert referred <= set(ids)


def test_names_and_errors_in_a_page_are_text() -> None:
    hostile = results({(HOSTILE,): [0.8, 0.9], ("fine",): [0.7, 0.7]}, "voting")
    failed = Results([*hostile.runs, a_run({"voting": "bad"})], [*hostile.finished, Finished(f"no {HOSTILE}", {}, {})])
    text = page(failed, Grid({"data": HOSTILE}, ()), HOSTILE)
    found = Elements(text)
    assert found.open == []
    assert [tag for tag, _ in found.seen].count("script") == 1
    assert f"no {HOSTILE}" in found.text
    assert HOSTILE in [a.get("data-key") for _, a in found.seen]


def test_the_page_has_the_colours_of_light_and_dark() -> None:
    text = page(TWO, GRID, "two")
    drawing = "".join(re.findall(r"(?s)<svg.*?</svg>", text))
    used = set(re.findall(r"var\((--\w+)\)", drawing))
    assert {"--ink", "--rule", "--line0", "--line1"} <= used
    assert "#0072b2" not in drawing
    light, _, dark = text.partition("prefers-color-scheme: dark")
    for name in used:
        assert f"{name}:" in light
        assert f"{name}:" in dark.partition("</style>")[0]
    assert 'name="viewport"' in text


def test_the_page_tells_how_to_repeat_it() -> None:
    found = Elements(page(TWO, GRID, "two"))
    assert "colearn compare grid.toml" in found.text
    assert "colearn-core 0.1.0" in found.text
    assert GRID.to_toml() in found.text


def test_the_summary_ranks_by_the_score_of_the_honest_where_there_are_others() -> None:
    runs = [a_run({"voting": name}) for name in ("a", "b", "c")]
    found = Results(runs, [finished(0.9, honest=0.2), finished(0.5, honest=0.8), None])
    assert [s.name for s in ranked(found)] == ["b", "a", "c"]
    assert [s.name for s in ranked(results({("a",): [0.2], ("b",): [0.1]}, "voting", metric="log_loss"))] == ["b", "a"]
    headings = [str(column.header) for column in summary_table(found).columns]
    assert "honest" in headings
    assert "honest" not in [str(column.header) for column in summary_table(TWO).columns]
    clean = Results([*runs[:2], a_run({"voting": "clean"})], [*found.finished[:2], finished(0.85)])
    assert [s.name for s in ranked(clean)] == ["clean", "b", "a"]
    assert [row["test_honest"] for row in clean.rows()] == [0.2, 0.8, 0.85]
    assert list(clean.curve_rows())[-1]["test_honest"] == 0.85
    figure = comparison(found, ("trainings",))
    assert "of honest learners" in texts(figure.axes[0])
    assert "0.800  b" in texts(figure.axes[0])


def test_the_summary_has_means_deviations_and_costs_per_accepted_round() -> None:
    series = TWO.series()[0]
    summary = series.summary()
    assert (summary["voting"], summary["runs"], summary["failed"]) == ("majority", 2, 0)
    assert summary["test"] == pytest.approx(0.85)
    assert summary["test_deviation"] == pytest.approx(0.1 / 2**0.5)
    assert [summary[f"{c}_per_accepted_round"] for c in ("trainings", "scorings", "bytes")] == [4, 20, 2000]
    nothing = with_outcome(finished(0.1), accepted=0)
    assert Results([a_run({})], [nothing]).series()[0].summary()["bytes_per_accepted_round"] is None


def test_rows_have_the_seed_even_when_it_is_not_varied() -> None:
    run = PlannedRun({"voting": "a"}, CONFIG, Budget(rounds=1), {})
    rows = Results([run, run], [finished(0.5), None]).rows()
    assert len(rows) == 1
    assert list(rows[0])[:3] == ["voting", "seed", "status"]
    assert as_csv([{"a": 1, "b": None}, {"a": "x,y", "c": 0.1}]) == 'a,b,c\n1,,\n"x,y",,0.1\n'


def test_parquet_keeps_numbers_and_writes_labels_of_several_kinds_as_text(tmp_path: Path) -> None:
    parquet = pytest.importorskip("pyarrow.parquet")
    rows: list[dict[str, Any]] = [{"a": 1, "b": 1, "c": None}, {"a": 0.5, "b": "own", "c": "x"}]
    (tmp_path / "t.parquet").write_bytes(as_parquet(rows))
    columns = parquet.read_table(tmp_path / "t.parquet").to_pydict()
    assert columns == {"a": [1.0, 0.5], "b": ["1", "own"], "c": [None, "x"]}


def test_bytes_in_words() -> None:
    assert [bytes_in_words(n) for n in (0, 516, 31_000, 69_300_000, 2e15)] == [
        "0 B", "516 B", "31 kB", "69.3 MB", "2e+03 TB",
    ]  # fmt: skip


def test_adversaries_in_compare_md_are_three_alternatives() -> None:
    text = (Path(__file__).parents[2] / "docs" / "compare.md").read_text()
    (block,) = (code for code in re.findall(r"(?s)```toml\n(.*?)```", text) if code.startswith("[vary]\nadversaries"))
    alternatives = [Alternative.of(value) for value in tomllib.loads(block)["vary"]["adversaries"]]
    assert [a.label for a in alternatives] == ["none", "sign_flip share=0.3", "flip and lie"]
    assert [len(a.value) for a in alternatives] == [0, 1, 2]
