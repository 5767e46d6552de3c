"""``colearn split``: the table, the picture and the JSON of a division, and that they tell what a run will use."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner, Result
from matplotlib.collections import EllipseCollection
from matplotlib.figure import Figure
from numpy.typing import NDArray

from colearn_core.cli import main
from colearn_core.config import ExperimentConfig, prepare
from colearn_core.data import Dataset, Holdout, Samples, Task, partition
from colearn_core.division import Division
from colearn_core.plugins import Plugins
from colearn_core.report.split_plot import division_picture
from colearn_core.splitting import Iid, Indices, Splitter
from colearn_core.streams import Streams


def colearn(*args: str | Path) -> Result:
    return CliRunner().invoke(main, ["split", *(str(a) for a in args)])


def told(*args: str | Path) -> Any:
    result = colearn(*args, "--json")
    assert result.exit_code == 0, result.output
    return json.loads(result.output)


def a_division(learners: int, classes: int, samples: int = 4000) -> Division:
    rng = np.random.default_rng(0)
    counts = rng.multinomial(samples // learners, rng.dirichlet(np.full(classes, 0.3)), size=learners)
    sizes = np.array([[n - 2, 1, 1] for n in counts.sum(axis=1)])
    return Division(tuple(f"class {c}" for c in range(classes)), counts, sizes)


class Halves(Splitter):
    def split(self, labels: Any, parts: int, rng: np.random.Generator) -> list[Indices]:
        return list(np.array_split(np.arange(len(labels)), parts))


def halves(y: Any, task: Task) -> Division:
    data = Dataset("d", Samples(np.zeros((len(y), 1)), np.array(y)), task)
    return Division.of(data, partition(data, Halves(), 2, Holdout(0.25, 0.25), Streams(0)))


# Figures


def test_counts_and_distances_of_a_division_are_those_of_its_parts() -> None:
    found = halves([0, 0, 0, 1, 0, 2, 2, 2], Task(("a", "b", "c", "d")))
    assert found.counts.tolist() == [[3, 1, 0, 0], [1, 0, 3, 0]]
    assert found.sizes.tolist() == [[2, 1, 1], [2, 1, 1]]
    assert found.classes_held.tolist() == [2, 2]
    # The whole is (4, 1, 3, 0) / 8; the first learner's (6, 2, 0, 0) / 8 differ by (2 + 1 + 3) / 16.
    assert found.distances.tolist() == [0.375, 0.375]
    assert found.mean_distance == 0.375


def test_one_learner_is_the_whole_and_learners_of_one_class_each_are_far_from_it() -> None:
    y = np.repeat([0, 1], 10)
    data = Dataset("d", Samples(np.zeros((20, 1)), y), Task(("a", "b")))
    assert Division.of(data, partition(data, Iid(), 1, Holdout(), Streams(0))).mean_distance == 0
    assert halves(y, Task(("a", "b"))).distances.tolist() == [0.5, 0.5]


def test_a_regressions_division_goes_by_deciles_and_tells_means() -> None:
    found = halves(np.arange(100.0), Task())
    assert len(found.classes) == 10
    assert found.counts.tolist() == [[10] * 5 + [0] * 5, [0] * 5 + [10] * 5]
    assert found.targets is not None
    np.testing.assert_allclose(found.targets, [[24.5, np.arange(50).std()], [74.5, np.arange(50).std()]])
    assert found.classes[0] == "< 9.9"
    assert found.classes[-1].startswith("≥ 89.1")


def test_equal_deciles_are_one_and_close_ones_can_be_told_apart() -> None:
    assert halves([1.0] * 19 + [2.0], Task()).classes == ("< 1", "≥ 1")
    names = halves(1e6 + np.arange(20) / 1000, Task()).classes
    assert len(set(names)) == len(names) == 10


# The command


def test_a_table_counts_each_learners_classes(tmp_path: Path) -> None:
    output = colearn("--data", "wine", "--split", "dirichlet", "--learners", "4", "--seed", "2").output
    rows = re.findall(r"learner-\d +(.*)", output)
    cells = np.array([[0 if cell == "·" else float(cell) for cell in row.split()] for row in rows])
    assert cells.shape == (4, 9)
    assert cells[:, 0].sum() == 178
    np.testing.assert_array_equal(cells[:, 0], cells[:, 1:4].sum(axis=1))
    np.testing.assert_array_equal(cells[:, 0], cells[:, 6:].sum(axis=1))
    assert cells[:, 6:].sum(axis=0).tolist() == [59, 71, 48]


def test_json_tells_the_same_as_the_run_will_use(tmp_path: Path) -> None:
    options = ["--data", "digits", "--split", "dirichlet", "--learners", "5", "--seed", "9", "--set", "split.alpha=0.1"]
    found = told(*options)
    values = {"data": "digits", "learner": "softmax", "learners": 5, "seed": 9}
    values["split"] = {"name": "dirichlet", "alpha": 0.1}
    parts = prepare(ExperimentConfig.from_mapping(values, "test"), Plugins()).parts
    for row, part in zip(found["learners"], parts, strict=True):
        y = np.concatenate([part.train.y, part.vote.y, part.test.y])
        assert row["counts"] == np.bincount(y, minlength=10).tolist()
        assert (row["train"], row["vote"], row["test"]) == (len(part.train), len(part.vote), len(part.test))
    assert found["split"] == {"name": "dirichlet", "alpha": 0.1}


def test_an_experiment_file_is_taken_and_options_win(tmp_path: Path) -> None:
    file = tmp_path / "e.toml"
    file.write_text('learners = 3\n[data]\nname = "iris"\n[learner]\nname = "softmax"\n[split]\nname = "shards"\n')
    assert told(file)["split"] == {"name": "shards"}
    assert len(told(file)["learners"]) == 3
    assert len(told(file, "--learners", "4", "--split", "iid")["learners"]) == 4


def test_many_classes_are_named_and_many_learners_cut() -> None:
    many = ["--data", "blobs", "--set", "data.classes=60", "--set", "data.samples=6000", "--learners", "30"]
    output = colearn(*many, "--split", "pathological").output
    assert "class 5" in output
    assert "(50%)" in output
    assert "... 5 more" in output


def test_a_regression_tells_mean_and_deviation() -> None:
    output = colearn("--data", "diabetes", "--learners", "3").output
    assert re.search(r"all +442 .* 0\.000 +1\.000", output), output


@pytest.mark.parametrize("ending", ["png", "svg", "pdf"])
def test_a_picture_is_drawn_and_the_same_each_time(tmp_path: Path, ending: str) -> None:
    first, second = tmp_path / f"a.{ending}", tmp_path / f"b.{ending}"
    for path in (first, second):
        result = colearn("--data", "iris", "--learners", "3", "--out", path)
        assert result.exit_code == 0, result.output
    assert first.read_bytes() == second.read_bytes()


@pytest.mark.parametrize(
    ("args", "words"),
    [
        ([], ["Name the data"]),
        (["--data", "iris", "--out", "a.gif"], ["a.gif", ".png"]),
        (["--data", "iris", "--split", "natural"], ["needs the parameter 'column'"]),
        (["--data", "iris", "--split", "natural", "--set", "split.column=target"], ["3 values", "--learners 3"]),
        (["--data", "iris", "--split", "time", "--set", "split.column=day"], ["no column 'day'", "'petal width (cm)'"]),
        (["--data", "iris", "--split", "pathological", "--set", "split.classes=4"], ["4 classes each", "have 3"]),
        (["--data", "iris", "--split", "quantity", "--set", "split.law=cubic"], ["law = 'cubic'", "'linear'"]),
        (["--data", "iris", "--learners", "151"], ["151", "150"]),
    ],
)
def test_bad_requests_are_named_with_exit_code_2(args: list[str], words: list[str]) -> None:
    result = colearn(*args)
    assert result.exit_code == 2, result.output
    assert [word for word in words if word not in result.output] == []


# The picture


def bubbles(figure: Figure) -> list[EllipseCollection]:
    return [c for axes in figure.axes for c in axes.collections if isinstance(c, EllipseCollection)]


def widths_of(drawn: EllipseCollection) -> NDArray[np.float64]:
    return np.asarray(drawn.get_widths(), dtype=np.float64)


def test_the_area_of_a_bubble_is_the_number_of_samples() -> None:
    division = a_division(5, 4)
    (drawn,) = bubbles(division_picture(division))
    (learner, c) = np.nonzero(division.counts)
    np.testing.assert_array_equal(drawn.get_offsets(), np.column_stack([learner, c]))
    areas = widths_of(drawn) ** 2
    expected = division.counts[learner, c] / division.counts.max() * areas.max()
    visible = expected > 1e-2 * areas.max()  # the smallest ones are drawn larger, or they weren't seen
    np.testing.assert_allclose(areas[visible], expected[visible], rtol=1e-6)


@pytest.mark.parametrize(("learners", "classes"), [(3, 2), (10, 10), (25, 20)])
def test_bubbles_keep_apart(learners: int, classes: int) -> None:
    figure = division_picture(a_division(learners, classes))
    figure.draw_without_rendering()
    (drawn,) = bubbles(figure)
    box = figure.axes[0].get_window_extent()
    cell = min(box.width / (learners + 0.2), box.height / classes) / figure.dpi
    assert widths_of(drawn).max() <= cell


@pytest.mark.parametrize(("learners", "classes"), [(100, 2), (10, 100), (100, 100), (3, 1000)])
def test_where_bubbles_were_too_small_cells_are_shaded(learners: int, classes: int) -> None:
    division = a_division(learners, classes)
    figure = division_picture(division)
    assert not bubbles(figure)
    (image,) = [image for axes in figure.axes for image in axes.images]
    assert np.asarray(image.get_array()).shape == (classes, learners)
    width, height = figure.get_size_inches()
    assert width <= 11
    assert height <= 11


# docs/splits.md


PAGE = (Path(__file__).resolve().parent.parent / "docs" / "splits.md").read_text(encoding="utf-8")


def test_the_page_tells_of_each_splitter_of_the_core() -> None:
    found = Plugins().components("splitters")
    rows = re.findall(r"^\| `(\w+)` \| [^|]+ \| [^|]+ \|$", PAGE, re.MULTILINE)
    assert set(rows) == {name for name, (plugin, _) in found.items() if plugin == "core"}


def test_the_pages_distances_are_what_comes_out() -> None:
    digits = Plugins().component("datasets", "digits").load()()
    table = re.findall(r"`(\w+)`(?:, (\w+) ([\d.]+))? \| (0\.\d\d) \|", PAGE)
    assert len(table) == 12
    for name, parameter, value, distance in table:
        parameters = {parameter: int(value) if parameter == "classes" else float(value)} if parameter else {}
        splitter = Plugins().component("splitters", name).load()(**parameters)
        parts = [partition(digits, splitter, 10, Holdout(), Streams(seed)) for seed in range(5)]
        found = np.mean([Division.of(digits, p).mean_distance for p in parts])
        assert f"{found:.2f}" == distance, name


def test_the_pages_experiment_file_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    toml = re.findall(r"```toml\n(.*?)```", PAGE, re.DOTALL)[0]
    (tmp_path / "mine.toml").write_text(toml)
    rows = [f"{h},2026-0{m}-1{d},{60 + 7 * d + m},{d % 2}" for h in "ab" for m in range(1, 7) for d in range(8)]
    (tmp_path / "visits.csv").write_text("\n".join(["hospital,date,pulse,fever", *rows]))
    monkeypatch.chdir(tmp_path)
    assert [row["samples"] for row in told("mine.toml")["learners"]] == [32, 32, 32]
    result = CliRunner().invoke(main, ["run", "mine.toml", "--rounds", "2"])
    assert result.exit_code == 0, result.output
