"""Adversaries in experiment files and on the command line."""

from __future__ import annotations

import json
import re
import tomllib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner, Result

from colearn_core.adversaries import Backdoor, LabelFlip, SignFlip, Slow, Wanted, attack_success, roles
from colearn_core.baselines import baselines
from colearn_core.cli import main
from colearn_core.components import Component
from colearn_core.config import ExperimentConfig, Prepared, adversary_option, prepare, read_toml
from colearn_core.errors import ConfigError, DataError, PluginError, UsageError
from colearn_core.experiment import Experiment
from colearn_core.ledger import FileLedger, LedgerFile
from colearn_core.plugins import Plugins
from colearn_core.rounds import assess
from colearn_core.streams import Streams

PLUGINS = Plugins([])
BASE: dict[str, Any] = {"data": {"name": "blobs", "samples": 200}, "learner": "softmax", "holdout": {"vote": 0.3}}


def prepared(*adversaries: Any, **more: Any) -> Prepared:
    values = {**BASE, "adversaries": list(adversaries), "proposals": "approval", **more}
    return prepare(ExperimentConfig.from_mapping(values, "test"), PLUGINS)


# Who plays what


def test_a_share_a_count_or_numbers_say_who_plays() -> None:
    wanted = [Wanted("a", share=0.3), Wanted("b", count=2), Wanted("c", learners=[4, 1]), Wanted("d")]
    found = roles(wanted, 10, Streams(0))
    assert list(found) == sorted(found)
    assert [list(found.values()).count(place) for place in range(4)] == [3, 2, 2, 1]
    assert (found[1], found[4]) == (2, 2)


def test_the_seed_draws_who_plays() -> None:
    drawn = [tuple(roles([Wanted("a", count=3)], 10, Streams(seed))) for seed in range(20)]
    assert tuple(roles([Wanted("a", count=3)], 10, Streams(0))) == drawn[0]
    assert len(set(drawn)) > 10
    assert {i for who in drawn for i in who} == set(range(10))


def test_one_more_adversary_changes_nothing_for_those_before_it() -> None:
    one = roles([Wanted("a", count=3)], 10, Streams(4))
    two = roles([Wanted("a", count=3), Wanted("b", share=0.2)], 10, Streams(4))
    assert {i: place for i, place in two.items() if place == 0} == one


@pytest.mark.parametrize(("learners", "expected"), [(10, 3), (5, 2), (2, 1)])
def test_a_share_is_rounded_half_up(learners: int, expected: int) -> None:
    assert len(roles([Wanted("a", share=0.3)], learners, Streams(0))) == expected


WRONG: tuple[tuple[list[Any], str], ...] = (
    ([{"name": "sign_flip", "share": 1.5}], r"adversary 'sign_flip': share lies between 0 and 1, not at 1\.5"),
    ([{"name": "sign_flip", "share": 0}], r"share lies between 0 and 1, not at 0\.0"),
    ([{"name": "sign_flip", "share": 0.01}], r"a share of 0\.01 of 10 learners is nobody; give a count"),
    ([{"name": "sign_flip", "count": 0}], "count must be at least 1, not 0"),
    ([{"name": "sign_flip", "count": 11}], "'sign_flip': 11 more learners are asked for, but of 10 only 10 are free"),
    (
        [{"name": "sign_flip", "share": 0.6}, {"name": "nan", "share": 0.6}],
        "'nan': 6 more learners are asked for, but of 10 only 4 are free",
    ),
    ([{"name": "sign_flip", "learners": [3, 10]}], "there's no learner 10; with 10 they are 0 to 9"),
    ([{"name": "sign_flip", "learners": [-1]}], "there's no learner -1"),
    (
        [{"name": "sign_flip", "learners": [3, 4]}, {"name": "nan", "learners": [4]}],
        "'nan': learner 4 plays adversary 'sign_flip' already",
    ),
    ([{"name": "nan", "learners": [4, 4]}], "learner 4 plays adversary 'nan' already"),
    ([{"name": "nan", "learners": []}], "learners is empty"),
    ([{"name": "nan", "share": 0.5, "count": 5}], "give share, count or learners, not several of them"),
    ([{"name": "signflip"}], "unknown adversary 'signflip'\nDid you mean 'sign_flip'"),
    ([{"name": "sign_flip", "scael": 2}], "adversary 'sign_flip' has no parameter 'scael'"),
    ([{"name": "sign_flip", "scale": -2}], "adversary 'sign_flip'.*scale"),
    ([{"name": "sign_flip", "votes": "never"}], "adversary 'sign_flip': votes = 'never'"),
    (
        [{"name": "label_flip", "source": 7, "target": 1}],
        "adversary 'label_flip': source is class 7, but there are 3 classes",
    ),
    ([{"share": 0.5}], r"'adversaries\.0\.name' is missing"),
    ([{"name": "nan", "count": "many"}], r"adversaries\.0\.count = 'many'"),
    ([7], r"adversaries\.0 = 7"),
)


@pytest.mark.parametrize(("adversaries", "complaint"), WRONG, ids=[complaint for _, complaint in WRONG])
def test_what_is_wrong_is_named(adversaries: list[Any], complaint: str) -> None:
    with pytest.raises(UsageError, match=complaint):
        prepared(*adversaries).experiment()


def test_a_single_table_is_told_from_a_list_of_tables() -> None:
    with pytest.raises(ConfigError, match=r"write \[\[adversaries\]\]"):
        prepare(ExperimentConfig.from_mapping({**BASE, "adversaries": {"name": "nan"}}, "test"), PLUGINS)


def test_a_parameter_that_says_who_plays_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    def greedy(share: float = 0.5) -> SignFlip:
        return SignFlip()

    load = Component.load
    monkeypatch.setattr(Component, "load", lambda c: greedy if c.name == "sign_flip" else load(c))
    with pytest.raises(PluginError, match="its parameter 'share' says in experiment files who plays it"):
        prepared("sign_flip")


def test_a_bare_name_is_one_learner() -> None:
    assert len(prepared("nan", "slow").adversaries) == 2


def test_parameters_reach_the_adversary_and_defaults_are_written_down(tmp_path: Path) -> None:
    found = prepared(
        {"name": "sign_flip", "learners": [2], "scale": 3, "votes": "loyal"}, {"name": "nan", "share": 0.2}
    )
    assert found.adversaries[2] == SignFlip(3, votes="loyal")
    assert len(found.adversaries) == 3
    path = tmp_path / "experiment.toml"
    path.write_text(found.config.to_toml())
    assert read_toml(path)["adversaries"] == [
        {"name": "sign_flip", "learners": [2], "scale": 3.0, "votes": "loyal"},
        {"name": "nan", "share": 0.2, "places": 1.0, "votes": "honest"},
    ]
    again = prepare(ExperimentConfig.read(path), PLUGINS)
    assert again.adversaries == found.adversaries
    assert again.config == found.config


def test_without_adversaries_a_file_and_a_ledger_say_nothing_of_them() -> None:
    config = prepared().config
    assert "adversaries" not in config.to_toml()
    assert "adversaries" not in config.what_decides()


def test_the_section_in_the_documentation_is_taken() -> None:
    page = Path(__file__).parents[2] / "docs" / "adversaries.md"
    if not page.is_file():
        pytest.skip("the documentation isn't part of the distribution")
    (section,) = re.findall(r"```toml\n(.*?)```", page.read_text(encoding="utf-8"), re.DOTALL)
    found = prepared(*tomllib.loads(section)["adversaries"]).adversaries
    assert found[0] == Slow(0.1)
    assert list(found.values()).count(SignFlip(2.0, votes="loyal")) == 3


# What comes of it

SEVERAL = (
    {"name": "sign_flip", "count": 1, "votes": "loyal"},
    {"name": "little_is_enough", "count": 1, "z": 1.0},
    {"name": "gaussian_noise", "count": 1},
    {"name": "backdoor", "count": 1, "votes": "opposite"},
    {"name": "free_rider", "count": 1, "noise": 1.0},
    {"name": "crashing", "count": 1},
    {"name": "stale", "count": 1, "rounds": 2},
    {"name": "mimic", "count": 1},
)


def lines(of: Prepared, folder: Path) -> list[dict[str, Any]]:
    with FileLedger(folder) as ledger:
        of.experiment(ledger).run(8)
    return [{k: v for k, v in json.loads(raw).items() if k != "aside"} for raw in ledger.path.read_text().splitlines()]


@pytest.mark.parametrize("proposals", ["approval", "everyone", "round_robin"])
def test_the_same_ledger_twice_and_in_the_loop(proposals: str, tmp_path: Path) -> None:
    found = [
        lines(prepared(*SEVERAL, proposals=proposals, seed=3, runtime=runtime), tmp_path / str(number))
        for number, runtime in enumerate(("fused", "fused", "loop"))
    ]
    assert found[0] == found[1] == found[2]


def test_the_ledger_tells_who_plays_what(tmp_path: Path) -> None:
    of = prepared({"name": "nan", "learners": [2]}, {"name": "sign_flip", "learners": [0, 3]})
    opening, *rounds = lines(of, tmp_path)
    flip = {"kind": "sign_flip", "parameters": "SignFlip(votes='honest', scale=1.0)"}
    nan = {"kind": "nan", "parameters": "Nan(votes='honest', places=1.0)"}
    assert opening["adversaries"] == {"0": flip, "2": nan, "3": flip}
    assert [a["name"] for a in opening["experiment"]["adversaries"]] == ["nan", "sign_flip"]
    assert opening["learners"] == [f"learner-{i}" for i in range(10)]
    refusals = [r["refusals"].get("2") for r in rounds if 2 in r["proposers"]]
    assert refusals
    assert all(why.startswith("WeightsError: non-finite values in 'coef'") for why in refusals)
    history = LedgerFile.read(tmp_path / "ledger.jsonl").history()
    assert history.adversaries == {0: "sign_flip", 2: "nan", 3: "sign_flip"}


def test_experiments_from_objects_record_their_adversaries(tmp_path: Path) -> None:
    of = prepared()
    learners = [of.make_learner(part) for part in of.parts]
    with FileLedger(tmp_path) as ledger:
        Experiment(learners, adversaries={1: SignFlip(2.0)}, ledger=ledger, plugins=PLUGINS).run(1)
    opening = LedgerFile.read(ledger.path).opening
    parameters = "SignFlip(votes='honest', scale=2.0)"
    assert opening["adversaries"] == {"1": {"kind": "sign_flip", "parameters": parameters}}


def test_only_the_learners_that_poison_hold_other_data() -> None:
    of = prepared({"name": "label_flip", "learners": [1]})
    learners: Any = of.experiment().cohort.learners  # type: ignore[attr-defined]
    assert np.array_equal(learners[0].data.train.y, of.parts[0].train.y)
    assert np.array_equal(learners[1].data.train.y, 2 - of.parts[1].train.y)
    assert np.array_equal(learners[1].data.vote.y, of.parts[1].vote.y)
    assert of.adversaries == {1: LabelFlip()}


def test_baselines_without_a_vote_suffer_and_honest_ones_do_not() -> None:
    attack = {"name": "scaled_update", "share": 0.3, "scale": 200}
    found = {b.name: b for b in baselines(prepared({"name": "sign_flip", "share": 0.3, "scale": 20}), 60)}
    honest = {b.name: b for b in baselines(prepared(), 60)}
    assert found["pooled data"].test > 0.9
    assert found["each learner alone"].test > 0.8
    assert found["federated averaging, no vote"].test < honest["federated averaging, no vote"].test - 0.2
    assert len(list(baselines(prepared(attack), 10))) == 4


# Backdoors


def attacked(*adversaries: Any) -> tuple[float, float]:
    """Success of the backdoor, and accuracy, after federated averaging."""
    data = {"name": "blobs", "samples": 600, "features": 64, "classes": 4, "spread": 2.5}
    of = prepared(*adversaries, data=data, seed=1)
    experiment = of.experiment()
    weights, cohort = experiment.weights, experiment.cohort
    for round in range(1, 21):
        proposals = cohort.propose(range(10), weights, round, experiment.streams).proposals
        weights = cohort.combine(weights, list(proposals.values()))
    return attack_success(of, Backdoor(value=3.0), weights), assess(cohort, weights).test.mean()


def test_a_backdoor_that_nobody_votes_against_works_and_is_measured() -> None:
    success, accuracy = attacked({"name": "backdoor", "learners": [0, 1, 2], "scale": 3, "value": 3.0})
    clean_success, clean_accuracy = attacked()
    assert success > 0.6
    assert clean_success < 0.1
    assert accuracy > clean_accuracy - 0.15


def test_success_is_only_measured_where_it_can_be() -> None:
    of = prepared(holdout={"vote": 0.3, "test": 0})
    with pytest.raises(DataError, match="no honest learner has test data of another class than 0"):
        attack_success(of, Backdoor(), of.experiment().weights)


# The command line


def colearn(*args: str | Path) -> Result:
    return CliRunner().invoke(main, [str(a) for a in args])


QUICK = ("run", "--data", "blobs", "--learner", "softmax", "--rounds", "3", "--proposals", "approval")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("sign_flip", {"name": "sign_flip"}),
        ("sign_flip:3", {"name": "sign_flip", "count": 3}),
        ("mine.attack:0.3", {"name": "mine.attack", "share": 0.3}),
        ("nan:1.0", {"name": "nan", "share": 1.0}),
        ("nan:.5", {"name": "nan", "share": 0.5}),
    ],
)
def test_an_option_is_a_section(text: str, expected: dict[str, Any]) -> None:
    assert adversary_option(text) == expected


@pytest.mark.parametrize("text", ["", ":3", "nan:", "nan:many", "nan:-1", "nan:0.3:yes"])
def test_an_option_of_another_form_is_refused(text: str) -> None:
    with pytest.raises(ConfigError, match="is no adversary\nWrite name:count or name:share"):
        adversary_option(text)


def test_a_run_tells_who_is_not_honest(tmp_path: Path) -> None:
    result = colearn(*QUICK, "--adversaries", "sign_flip:0.2", "--adversaries", "nan", "--out", tmp_path)
    assert result.exit_code == 0, result.output
    assert "3 of the learners are not honest: " in result.output
    assert result.output.count("(sign_flip)") == 2
    assert result.output.count("(nan)") == 1
    assert "mean of the honest" in result.output
    (folder,) = tmp_path.iterdir()
    assert [a["name"] for a in read_toml(folder / "experiment.toml")["adversaries"]] == ["sign_flip", "nan"]


def test_adversaries_of_the_command_line_replace_those_of_the_file(tmp_path: Path) -> None:
    file = tmp_path / "experiment.toml"
    file.write_text('data = "blobs"\nlearner = "softmax"\n[[adversaries]]\nname = "liar"\nshare = 0.5\n')
    told = colearn("run", file, "--rounds", "1", "--out", tmp_path / "a").output
    assert "5 of the learners are not honest: liar (learners " in told
    assert "votes: opposite" in told
    assert "Note: 5 of 10 learners lie in the vote: they decide, not the others." in told
    told = colearn("run", file, "--rounds", "1", "--adversaries", "slow", "--out", tmp_path / "b").output
    assert "1 of the learners is not honest: slow (learner " in told
    assert "lie in the vote" not in told


def test_an_attack_that_needs_company_is_told_where_it_has_none(tmp_path: Path) -> None:
    options = ("--adversaries", "mimic", "--adversaries", "sign_flip", "--adversaries", "min_max")
    told = colearn(*QUICK[:-2], "--proposals", "random", *options, "--out", tmp_path / "a").output
    assert "Note: mimic, min_max: honest in a round in which nobody else proposes, as here in all." in told
    assert "nobody else proposes" not in colearn(*QUICK, *options, "--out", tmp_path / "b").output


@pytest.mark.parametrize("option", ["sign_flip:1.5", "sign_flip:11", "signflip", "nan:"])
def test_a_wrong_option_is_exit_code_2(option: str, tmp_path: Path) -> None:
    result = colearn(*QUICK, "--adversaries", option, "--out", tmp_path)
    assert result.exit_code == 2
    assert "Error: " in result.stderr
    assert not list(tmp_path.iterdir())


def test_the_json_outcome_has_the_honest_mean(tmp_path: Path) -> None:
    result = colearn(*QUICK, "--adversaries", "sign_flip:0.2", "--json", "--out", tmp_path)
    outcome = json.loads(result.stdout)
    assert 0 <= outcome["test"]["honest"] <= 1
    assert sorted(outcome["adversaries"].values()) == ["sign_flip"] * 2


def test_show_gives_a_section_to_paste() -> None:
    output = colearn("show", "sign_flip").output
    assert '[[adversaries]]\nname = "sign_flip"\nscale = 1.0\nvotes = "honest"' in output
