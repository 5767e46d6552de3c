from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.text import Text
from numpy.typing import NDArray

from colearn_core.errors import ColearnError, UsageError
from colearn_core.history import History
from colearn_core.metrics import METRICS
from colearn_core.report.plot import COLLECTIVE, MOST_COLUMNS, VOTE_COLOURS, picture, save_picture
from colearn_core.voting import Vote

Scores = NDArray[np.floating[Any]]


def a_history(
    learners: int = 3,
    rounds: int = 5,
    *,
    vote: Scores | None = None,
    test: Scores | None = None,
    vote_metric: str = "log_loss",
    first: int = 1,
) -> History:
    """A made-up run; ``vote`` and ``test`` have a row for the state before it and one for each round."""
    rng = np.random.default_rng(learners * 1000 + rounds)
    falling = np.linspace(2.3, 1.2, rounds + 1)[:, None] + rng.uniform(0, 0.2, (rounds + 1, learners))
    samples = rng.integers(20, 200, learners)
    history = History(
        tuple(f"learner-{i}" for i in range(learners)), METRICS[vote_metric], METRICS["accuracy"], samples, samples
    )
    history.vote_scores = list((falling if vote is None else vote).astype(np.float32))
    history.test_scores = list((1 - falling / 3 if test is None else test).astype(np.float32))
    for i in range(rounds):
        history.round.append(first + i)
        history.accepted.append(i % 2 == 0)
        history.trainings.append(1)
        history.proposers.append((i % learners,))
        history.labels.append("proposal")
        history.votes.append(rng.integers(-1, 2, learners).astype(np.int8))
    return history


def nothing(learners: int = 3, rounds: int = 5) -> Scores:
    return np.full((rounds + 1, learners), np.nan, dtype=np.float32)


def panels(figure: Figure) -> tuple[Axes, Axes, Axes, Axes]:
    """Drawn for good (some warnings come no earlier): vote scores, test scores, accepted rounds, votes."""
    figure.draw_without_rendering()
    vote, test, strip, grid = figure.axes
    return vote, test, strip, grid


def cells(axes: Axes) -> NDArray[np.float64]:
    (image,) = axes.images
    pixels: NDArray[np.float64] = np.asarray(image.get_array())
    return pixels


def texts(axes: Axes) -> str:
    return " ".join(artist.get_text() for artist in axes.findobj(Text) if isinstance(artist, Text))


def marks(axes: Axes) -> set[tuple[int, int]]:
    """Round and learner of each proposer's mark; the other lines are the white gaps between cells."""
    found = [c for c in axes.collections if isinstance(c, LineCollection) and c.get_capstyle() == "round"]
    return {(round(float(s[:, 0].mean())), round(float(s[:, 1].mean()))) for c in found for s in c.get_segments()}


def test_each_learner_has_a_line_and_the_mean_a_thick_one() -> None:
    history = a_history(learners=4, rounds=6)
    vote, test, _, _ = panels(picture(history))
    for axes, mean in ((vote, history.mean_vote), (test, history.mean_test)):
        *each, thick = axes.lines
        assert len(each) == 4
        assert all(line.get_linewidth() < thick.get_linewidth() for line in each)
        np.testing.assert_allclose(np.asarray(thick.get_ydata()), [mean(row) for row in range(7)])
        np.testing.assert_array_equal(np.asarray(thick.get_xdata()), range(7))


def test_panels_name_metric_direction_and_outcome() -> None:
    history = a_history()
    vote, test, strip, grid = panels(picture(history, "digits by committee"))
    assert f"log_loss (lower is better), mean {history.mean_vote(0):.3f} → {history.mean_vote():.3f}" in texts(vote)
    assert "accuracy (higher is better)" in texts(test)
    assert "3 of 5 rounds accepted" in texts(strip)
    assert grid.get_xlabel() == "round"
    assert vote.figure.get_suptitle() == "digits by committee"


def test_votes_have_their_colours_one_cell_for_each_learner_and_round() -> None:
    history = a_history(learners=4, rounds=6)
    shown = cells(panels(picture(history))[3])
    assert shown.shape == (4, 6, 3)
    for i in range(4):
        for r in range(6):
            assert tuple(shown[i, r]) == to_rgb(VOTE_COLOURS[Vote(int(history.votes[r][i]))])


def test_accepted_rounds_are_marked_above_the_votes() -> None:
    history = a_history(rounds=6)
    shown = cells(panels(picture(history))[2])
    assert [tuple(cell) == to_rgb(COLLECTIVE) for cell in shown[0]] == history.accepted


@pytest.mark.parametrize("rounds", [6, 300])  # dots, and dashes in narrow cells
def test_proposers_are_marked_in_their_cells(rounds: int) -> None:
    history = a_history(learners=4, rounds=rounds)
    history.proposers[2] = (0, 3)
    expected = {(r, i) for r, proposers in zip(history.round, history.proposers, strict=True) for i in proposers}
    assert marks(panels(picture(history))[3]) == expected


def test_legends_explain_lines_and_cells() -> None:
    vote, _, strip, _ = panels(picture(a_history()))
    lines, marks = vote.get_legend(), strip.get_legend()
    assert lines is not None
    assert marks is not None
    assert [text.get_text() for text in lines.get_texts()] == ["each learner", "mean"]
    assert [text.get_text() for text in marks.get_texts()] == ["approve", "abstain", "reject", "accepted", "proposer"]


def test_a_continued_run_begins_at_the_round_before_its_first() -> None:
    vote, _, _, grid = panels(picture(a_history(rounds=5, first=21)))
    np.testing.assert_array_equal(np.asarray(vote.lines[0].get_xdata()), range(20, 26))
    assert tuple(grid.images[0].get_extent()[:2]) == (20.5, 25.5)


@pytest.mark.parametrize(("learners", "names"), [(1, 1), (30, 30), (31, 16), (100, 20), (1000, 20)])
def test_names_are_thinned_when_they_are_many(learners: int, names: int) -> None:
    grid = panels(picture(a_history(learners)))[3]
    labels = [label.get_text() for label in grid.get_yticklabels()]
    assert len(labels) == names
    assert labels[0] == "learner-0"


def test_names_are_shown_as_they_are_not_as_mathematics() -> None:
    history = a_history()
    history.names = ("$x^2", "a\nb", "n" * 60 + "north")
    labels = panels(picture(history, "costs $5 and $6"))[3].get_yticklabels()
    assert [label.get_text() for label in labels] == ["$x^2", "a b", "n" * 15 + "…nnnnorth"]


@pytest.mark.parametrize(("learners", "rounds"), [(1, 0), (1, 1), (2, 1), (3, 30), (100, 30), (5, 600)])
def test_any_size_is_drawn_without_a_warning(learners: int, rounds: int) -> None:
    figure = picture(a_history(learners, rounds), "any size")
    *_, grid = panels(figure)
    assert len(grid.images) == (rounds > 0)
    assert 8 <= figure.get_figwidth() <= 11
    assert 4 <= figure.get_figheight() <= 12


@pytest.mark.parametrize("metric", ["mse", "r2"])  # a loss and none
@pytest.mark.parametrize("special", [np.nan, np.inf, 0.0])
def test_any_scores_are_drawn_without_a_warning(metric: str, special: float) -> None:
    rng = np.random.default_rng(0)
    scores = rng.normal(size=(6, 3)) * 10.0 ** rng.integers(-30, 30, (6, 3))
    scores[rng.random((6, 3)) < 0.3] = special
    panels(picture(a_history(vote=scores, vote_metric=metric)))
    panels(picture(a_history(vote=abs(scores), vote_metric=metric)))


def test_runs_longer_than_the_picture_is_wide_are_shown_in_mean_colours() -> None:
    history = a_history(1, 2 * MOST_COLUMNS)
    history.accepted = [True, False] * MOST_COLUMNS
    shown = cells(panels(picture(history))[2])
    assert shown.shape == (1, MOST_COLUMNS, 3)
    assert (shown > to_rgb(COLLECTIVE)).all()
    assert (shown < 0.9).all()


def test_without_test_data_the_picture_says_so() -> None:
    vote, test, _, _ = panels(picture(a_history(test=nothing())))
    assert len(vote.lines) == 4
    assert not test.lines
    assert "no test scores" in texts(test)
    assert "nan" not in texts(test).lower()


def test_a_history_without_any_score_still_shows_its_votes() -> None:
    vote, _, _, grid = panels(picture(a_history(vote=nothing(), test=nothing())))
    assert "no vote scores" in texts(vote)
    assert cells(grid).shape == (3, 5, 3)


def test_before_the_first_round_there_are_scores_and_no_votes() -> None:
    vote, _, _, grid = panels(picture(a_history(rounds=0)))
    assert len(vote.lines) == 4
    assert "→" not in texts(vote)
    assert "no round was played" in texts(grid)


def test_a_loss_over_more_than_a_decade_and_a_half_is_logarithmic() -> None:
    falls = np.geomspace(3, 0.01, 6)[:, None] * np.ones(3)
    assert panels(picture(a_history(vote=falls)))[0].get_yscale() == "log"
    assert panels(picture(a_history(vote=falls, vote_metric="r2")))[0].get_yscale() == "linear"
    assert panels(picture(a_history(vote=falls + 1)))[0].get_yscale() == "linear"
    assert panels(picture(a_history(vote=falls - 0.01)))[0].get_yscale() == "linear"  # ends at 0


@pytest.mark.parametrize("lowest", [1.0, 0.01])  # linear, logarithmic
@pytest.mark.parametrize("diverged", [1e20, np.inf])
def test_one_diverged_learner_does_not_flatten_the_others(lowest: float, diverged: float) -> None:
    scores = np.geomspace(3, lowest, 6)[:, None] * np.linspace(1, 1.1, 10)
    scores[3:, 7] = diverged
    vote = panels(picture(a_history(10, vote=scores)))[0]
    assert vote.get_ylim()[1] < 5
    assert "1 learner" in texts(vote)
    assert "beyond the scale" in texts(vote)


def test_learners_that_keep_within_reach_are_not_cut_off() -> None:
    scores = np.linspace(2.3, 0.5, 6)[:, None] * np.array([1, 1, 1, 1, 2])
    vote = panels(picture(a_history(5, vote=scores)))[0]
    assert vote.get_ylim()[1] > 4.6
    assert "beyond" not in texts(vote)


@pytest.mark.parametrize(("ending", "start"), [("png", b"\x89PNG\r\n\x1a\n"), ("PNG", b"\x89PNG"), ("pdf", b"%PDF")])
def test_the_ending_decides_the_format(tmp_path: Path, ending: str, start: bytes) -> None:
    save_picture(a_history(), tmp_path / f"run.{ending}")
    assert (tmp_path / f"run.{ending}").read_bytes().startswith(start)
    assert len(list(tmp_path.iterdir())) == 1


@pytest.mark.parametrize("ending", ["png", "svg", "pdf"])
def test_the_same_history_gives_the_same_file(tmp_path: Path, ending: str) -> None:
    drawn = []
    for _ in range(2):
        save_picture(a_history(), tmp_path / f"run.{ending}", title="again")
        drawn.append((tmp_path / f"run.{ending}").read_bytes())
    assert drawn[0] == drawn[1]


@pytest.mark.parametrize("name", ["run.jpeg", "run", ".png"])
def test_an_unknown_ending_is_refused_and_nothing_is_written(tmp_path: Path, name: str) -> None:
    with pytest.raises(UsageError, match=r"ends in \.png, \.svg or \.pdf"):
        save_picture(a_history(), tmp_path / name)
    assert not list(tmp_path.iterdir())


def test_a_place_that_can_not_be_written_is_an_error_and_leaves_nothing_behind(tmp_path: Path) -> None:
    (tmp_path / "folder.png").mkdir()
    (tmp_path / "file").touch()
    for path in (tmp_path / "folder.png", tmp_path / "missing" / "run.png", tmp_path / "file" / "run.png"):
        with pytest.raises(ColearnError, match=r"can't write .*\.png: .*"):
            save_picture(a_history(), path)
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["file", "folder.png"]


def test_matplotlib_is_imported_only_to_draw_and_pyplot_never(tmp_path: Path) -> None:
    program = """
import sys, colearn_core, colearn_core.cli, colearn_core.report, colearn_core.report.tables
assert "matplotlib" not in sys.modules
import colearn_core.report.plot
assert "matplotlib" in sys.modules
assert "matplotlib.pyplot" not in sys.modules
"""
    subprocess.run([sys.executable, "-c", program], check=True, cwd=tmp_path)
