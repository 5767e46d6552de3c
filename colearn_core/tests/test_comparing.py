"""The grid of a comparison: which runs it is, how they are called, and what is refused before anything runs."""

from __future__ import annotations

import tomllib
from typing import Any

import pytest

from colearn_core.comparing import Axis, Grid, PlannedRun, described, vary_option
from colearn_core.config import ExperimentConfig, prepare
from colearn_core.errors import ColearnError, ConfigError, UnknownComponentError, UsageError
from colearn_core.measured import MOST_POINTS, Budget, play_measured, size_of
from colearn_core.plugins import Plugins

BASE: dict[str, Any] = {"data": {"name": "blobs", "samples": 200}, "learner": "softmax", "learners": 5, "rounds": 4}


def planned(vary: dict[str, Any], **more: Any) -> list[PlannedRun]:
    values = {key: value for key, value in (BASE | more).items() if value is not None}
    return Grid.of({**values, "vary": vary}, "grid.toml").runs(Plugins())


def measured(**more: Any) -> Any:
    (run,) = planned({}, **more)
    return play_measured(prepare(run.config, Plugins()), run.budget)


def test_every_combination_is_a_run_and_seeds_are_the_last_to_vary() -> None:
    runs = planned({"seed": [0, 1], "split": ["iid", "shards"], "learners": [4, 6]})
    assert [r.title for r in runs[:3]] == [
        "split=iid, learners=4, seed=0",
        "split=iid, learners=4, seed=1",
        "split=iid, learners=6, seed=0",
    ]
    assert len({r.digest for r in runs}) == len(runs) == 8
    assert len({r.series for r in runs}) == 4
    assert [(r.config.split.name, r.config.learners, r.config.seed) for r in runs[-1:]] == [("shards", 6, 1)]


def test_a_parameter_is_varied_with_its_section_whichever_comes_first() -> None:
    text = (
        'split.alpha = [100, 0.1]\nsplit.name = ["dirichlet"]\nproposals = [{name = "approval", size = 3}, "everyone"]'
    )
    runs = planned(tomllib.loads(text))
    assert [r.config.split.parameters["alpha"] for r in runs] == [100, 100, 0.1, 0.1]
    quoted = planned({"split.alpha": [100, 0.1], "proposals": ["everyone"], "split": ["dirichlet"]})
    assert [r.config.split.parameters["alpha"] for r in quoted] == [100, 0.1]


@pytest.mark.parametrize(
    ("value", "label"),
    [
        ("approval", "approval"),
        (0.5, 0.5),
        (3, 3),
        ({"name": "approval", "size": 10}, "approval size=10"),
        ({"name": "approval", "size": 10, "label": "all of them"}, "all of them"),
        ({"label": "wide", "value": [64, 64]}, "wide"),
        ([64, 32], "[64, 32]"),
        ([], "none"),
        ([{"name": "sign_flip", "share": 0.3}, {"name": "liar"}], "sign_flip share=0.3 + liar"),
    ],
)
def test_values_are_called_by_their_label_or_in_few_words(value: Any, label: Any) -> None:
    (alternative,) = Axis.of("proposals", [value]).alternatives
    assert alternative.label == label
    assert "label" not in str(alternative.value)


def test_a_list_with_a_label_takes_the_place_of_the_key() -> None:
    axis = Axis.of("learner.hidden_layer_sizes", [{"label": "wide", "value": [64, 64]}])
    assert axis.alternatives[0].value == [64, 64]
    assert described(True) == "True"


@pytest.mark.parametrize(
    ("text", "labels"),
    [
        ("proposals=round_robin,approval", ["round_robin", "approval"]),
        ("split.alpha=100,0.5, 0.1", [100, 0.5, 0.1]),
        ('proposals={name="approval",size=3},everyone', ["approval size=3", "everyone"]),
        ("learner.hidden_layer_sizes=[64],[32, 32]", ["[64]", "[32, 32]"]),
        ('data.target="a,b",c', ["a,b", "c"]),
    ],
)
def test_what_is_varied_on_the_command_line(text: str, labels: list[Any]) -> None:
    assert [a.label for a in vary_option(text).alternatives] == labels


def test_the_grid_that_is_kept_is_the_grid() -> None:
    grid = Grid.of(
        {
            **BASE,
            "vary": {
                "proposals": ["everyone", {"name": "approval", "size": 3, "label": "three"}],
                "learner.batch_size": [{"label": "small", "value": 4}, 16],
            },
        },
        "grid.toml",
    ).seeded(2)
    again = Grid.of(tomllib.loads(grid.to_toml()), "again")
    assert again.axes == grid.axes
    assert [(r.title, r.digest) for r in again.runs(Plugins())] == [(r.title, r.digest) for r in grid.runs(Plugins())]


def test_seeds_begin_with_that_of_the_experiment() -> None:
    grid = Grid.of({**BASE, "seed": 7, "vary": {"seed": [1, 2]}}, "grid.toml")
    assert [r.config.seed for r in grid.seeded(3).runs(Plugins())] == [7, 8, 9]


def test_the_identity_is_what_decides_the_result() -> None:
    (run,) = planned({})
    assert planned({}, name="another")[0].digest == run.digest
    assert planned({}, voting={"name": "majority", "quorum": 0.5})[0].digest == run.digest  # the default
    others: list[dict[str, Any]] = [
        {"seed": 1}, {"rounds": 5}, {"learners": 6}, {"voting": "unanimous"}, {"runtime": "loop"},
        {"rounds": None, "trainings": 20}, {"holdout": {"vote": 0.2}}, {"learner": {"name": "softmax", "steps": 3}},
    ]  # fmt: skip
    digests = {planned({}, **other)[0].digest for other in others}
    assert len(digests - {run.digest}) == len(others)
    assert set(run.identity["versions"]) == {"colearn-core"}


def test_other_data_in_the_same_file_make_another_run(tmp_path: Any) -> None:
    pytest.importorskip("colearn_sklearn_plugin")
    table = tmp_path / "t.csv"
    data = {"name": "table", "path": str(table), "target": "y"}
    found = []
    for last in ("1,b", "2,b"):
        table.write_text(f"x,y\n0,a\n{last}\n")
        found.append(planned({}, data=data)[0])
    assert found[0].digest != found[1].digest
    assert "colearn-sklearn-plugin" in found[0].identity["versions"]


@pytest.mark.parametrize(
    ("vary", "more", "words"),
    [
        ({"speed": [1, 2]}, {}, ["'speed' can't be varied", "split.alpha"]),
        ({"name": ["a", "b"]}, {}, ["'name' can't be varied"]),
        ({"seed.x": [1]}, {}, ["'seed.x' can't be varied"]),
        ({"split": []}, {}, ["split is varied over no value"]),
        ({"split": "iid"}, {}, ["'iid' is no list of values"]),
        ({"split": ["iid", "iid"]}, {}, ["'iid' twice", "label"]),
        ({"learners": [3, 0]}, {}, ["learners=0:", "greater than or equal to 1"]),
        ({"split": ["iid", "dirichlet"], "split.alpha": [1]}, {}, ["split=iid, split.alpha=1:", "'alpha'"]),
        ({"voting": ["majority", "mojority"]}, {}, ["voting=mojority:", "Did you mean 'majority'?"]),
        ({"holdout.vote": [0.2, 0.9]}, {}, ["holdout.vote=0.9:", "leave something to train on"]),
        ({"voting.share": [0.5, 7]}, {"voting": "threshold"}, ["voting.share=7:", "between 0 and 1"]),
        ({"trainings": [10, 20]}, {}, ["trainings=10:", "either rounds or trainings"]),
        ({"proposals": ["round_robin", "everyone"]}, {"rounds": None, "trainings": 4},
         ["proposals=everyone:", "trainings = 4 are too few for one round, which takes 5"]),
        ({"seed": [0]}, {"rounds": None, "trainings": 0}, ["seed=0:", "trainings = 0"]),
        ({"seed": [0]}, {"rounds": "many"}, ["seed=0:", "rounds = 'many'"]),
    ],
)  # fmt: skip
def test_a_wrong_grid_is_refused_as_a_whole_and_the_combination_named(
    vary: dict[str, Any], more: dict[str, Any], words: list[str]
) -> None:
    with pytest.raises(UsageError) as caught:
        planned(vary, **more)
    assert [word for word in words if word not in str(caught.value)] == []


def test_a_vary_that_is_no_table_and_options_without_values_are_refused() -> None:
    with pytest.raises(ConfigError, match="vary is no table"):
        Grid.of({**BASE, "vary": [1]}, "grid.toml")
    for text in ("split.alpha", "split.alpha="):
        with pytest.raises(ConfigError, match="varies nothing"):
            vary_option(text)


def test_checking_loads_no_data(tmp_path: Any) -> None:
    pytest.importorskip("colearn_sklearn_plugin")
    missing = {"name": "table", "path": str(tmp_path / "nowhere.csv"), "target": "y"}
    (run,) = planned({}, data=missing)
    with pytest.raises(ColearnError):
        prepare(run.config, Plugins())
    with pytest.raises(UnknownComponentError):
        planned({}, data="nosuch")


@pytest.mark.parametrize(
    ("proposals", "rounds", "trainings"),
    [("round_robin", 13, 13), ("everyone", 2, 10), ({"name": "approval", "size": 3}, 4, 12)],
)
def test_a_budget_of_trainings_is_never_exceeded_nor_left_for_another_round(
    proposals: Any, rounds: int, trainings: int
) -> None:
    outcome = measured(rounds=None, trainings=13, proposals=proposals).outcome
    assert (outcome["rounds"], outcome["trainings"]) == (rounds, trainings)


def test_what_a_round_costs() -> None:
    # softmax: 6 features, 3 classes; 5 learners, of which each sends to 4.
    weights = 8 * (6 * 3 + 3)
    alone = measured(rounds=2, proposals="round_robin")
    assert alone.curve["bytes"] == [0, 4 * (weights + 5), 2 * 4 * (weights + 5)]
    assert alone.curve["scorings"] == [0, 5, 10]
    rivals = measured(rounds=1, proposals={"name": "approval", "size": 3})
    candidates = 1 + 1 + 3 + 0  # mean, median, without each one (which are the halves, too)
    assert rivals.curve["scorings"] == [0, 5 * candidates]
    assert rivals.curve["bytes"] == [0, 4 * (3 * weights + 5 * candidates)]
    assert rivals.outcome["bytes"] == rivals.curve["bytes"][-1]


def test_the_outcome_is_that_of_the_same_experiment_run_alone() -> None:
    found = measured(rounds=6, proposals="approval")
    config = ExperimentConfig.from_mapping(BASE | {"proposals": "approval"}, "here")
    run = prepare(config, Plugins()).experiment().run(6)
    assert found.outcome["weights"] == run.weights.digest
    assert found.outcome["test"] == found.curve["test"][-1] == run.history.mean_test()
    assert found.outcome["test_worst"] == pytest.approx(run.history.test_scores[-1].min())
    assert found.curve["accepted"][-1] == found.outcome["accepted"] == sum(run.history.accepted)
    assert size_of(run.weights) == 168


def test_curves_of_long_runs_are_thinned_and_keep_both_ends() -> None:
    curve = measured(rounds=700, learner={"name": "softmax", "steps": 1}).curve
    assert len(curve["round"]) == MOST_POINTS
    assert (curve["round"][0], curve["round"][-1]) == (0, 700)
    assert {len(column) for column in curve.values()} == {MOST_POINTS}


def test_a_budget_in_rounds_allows_any_number_of_trainings() -> None:
    assert Budget(rounds=3).allows(10**9)
    assert not Budget(trainings=3).allows(4)
