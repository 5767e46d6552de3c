"""Verifying runs: whole ones pass, and whatever was altered is named, even if every hash was made anew."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner, Result

from colearn_core import Experiment, Streams
from colearn_core.cli import main
from colearn_core.config import ExperimentConfig, prepare
from colearn_core.data import Holdout, partition
from colearn_core.errors import LedgerError
from colearn_core.ledger import FileLedger, Sealed
from colearn_core.plugins import Plugins
from colearn_core.reference import SoftmaxRegression, blobs
from colearn_core.runs import RunFolder
from colearn_core.splitting import Iid
from colearn_core.verifying import Verified, verify
from colearn_core.weights import Weights

PLUGINS = Plugins()
Line = dict[str, Any]

APPROVAL = {"name": "approval", "size": 4, "choose": "reputation", "families": ["aligned", "trusted", "mean", "median"]}


def played(folder: Path, rounds: int = 6, **values: Any) -> Path:
    """A run of small learners, kept as `colearn run` keeps it."""
    given = {"data": "blobs", "learner": "softmax", "learners": 5, "seed": 3, "name": "run", **values}
    prepared = prepare(ExperimentConfig.from_mapping(given, "test"), PLUGINS)
    run = RunFolder.create(folder, prepared.config)
    with prepared.new_ledger(run.path) as ledger:
        prepared.experiment(ledger).run(rounds)
    return run.path


def verified(path: Path) -> Verified:
    return verify(RunFolder.open(path), PLUGINS)


def refusal(path: Path) -> str:
    with pytest.raises(LedgerError) as caught:
        verified(path)
    return str(caught.value)


@pytest.fixture(scope="module")
def margins_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run whose policy goes by margins, and whose strategy learns from votes and directions."""
    return played(tmp_path_factory.mktemp("margins"), proposals=APPROVAL, voting="score_margin")


@pytest.fixture
def run(margins_run: Path, tmp_path: Path) -> Path:
    """A copy to spoil."""
    return Path(shutil.copytree(margins_run, tmp_path / "run"))


def forge(path: Path, change: Callable[[list[Line]], None]) -> None:
    """Alter lines of a ledger and make all hashes and seals anew, as somebody would who wants it to look whole."""
    file = path / "ledger.jsonl"
    lines = [json.loads(raw) for raw in file.read_bytes().splitlines()]
    change(lines)
    written, previous, seal = [], "", ""
    for line in lines:
        line["previous"] = previous
        line["aside"].pop("seal", None)
        data, previous, seal = Sealed.of(line, seal)
        written.append(data)
    file.write_bytes(b"".join(written))


# What is whole


@pytest.mark.parametrize("proposals", ["round_robin", "random", "everyone", "committee", "line_search", APPROVAL])
@pytest.mark.parametrize("voting", ["majority", "reputation", "median_improvement", "randomised_response"])
def test_a_run_is_what_its_votes_made_it(tmp_path: Path, proposals: Any, voting: str) -> None:
    path = played(tmp_path, proposals=proposals, voting=voting)
    found = verified(path)
    lines = [json.loads(raw) for raw in (path / "ledger.jsonl").read_bytes().splitlines()]
    assert found.rounds == 6
    assert found.accepted == sum(line["accepted"] for line in lines[1:])
    assert found.models == len(list((path / "weights").iterdir()))
    assert found.votes == sum(5 * len(line["candidates"]) for line in lines[1:])
    assert (found.head, found.left_out) == (lines[-1]["hash"], ())


def test_liars_may_vote_as_they_like_and_the_others_are_still_compared(tmp_path: Path) -> None:
    path = played(
        tmp_path, adversaries=[{"name": "sign_flip", "count": 2, "votes": "opposite"}], proposals=APPROVAL, rounds=4
    )
    lines = [json.loads(raw) for raw in (path / "ledger.jsonl").read_bytes().splitlines()]
    assert verified(path).votes == sum(3 * len(line["candidates"]) for line in lines[1:])


def test_votes_by_single_samples_are_left_out_and_said_so(tmp_path: Path) -> None:
    found = verified(played(tmp_path, voting="significant", rounds=3))
    assert found.votes == 0
    assert "single samples" in found.left_out[0]


def test_a_run_that_ended_early_is_whole_as_far_as_it_goes(run: Path) -> None:
    lines = (run / "ledger.jsonl").read_bytes().splitlines(keepends=True)
    (run / "ledger.jsonl").write_bytes(b"".join(lines[:3]))
    assert verified(run).rounds == 2


def test_without_a_round_the_initial_weights_are_checked(run: Path) -> None:
    lines = (run / "ledger.jsonl").read_bytes().splitlines(keepends=True)
    (run / "ledger.jsonl").write_bytes(lines[0])
    found = verified(run)
    assert (found.rounds, found.models) == (0, 1)


def test_a_ledger_of_objects_without_a_file_is_checked_but_for_its_rules(tmp_path: Path) -> None:
    parts = partition(blobs(), Iid(), 3, Holdout(), Streams(0))
    with FileLedger(tmp_path / "run") as ledger:
        Experiment([SoftmaxRegression(part) for part in parts], ledger=ledger).run(4)
    found = verified(tmp_path / "run")
    assert found.rounds == 4
    assert "names no experiment file" in found.left_out[0]
    forge(tmp_path / "run", lambda lines: lines[2].update(weights=lines[0]["weights"]))
    assert refusal(tmp_path / "run").startswith("round 2, weights")


# What was altered, with all hashes made anew


def _other(letters: str) -> str:
    return letters.translate(str.maketrans("AR", "RA"))


FORGERIES: dict[str, tuple[Callable[[list[Line]], Any], str]] = {
    "proposers": (lambda lines: lines[2].update(proposers=[0, 1, 2, 3, 4]), "round 2, proposers"),
    "an author who wasn't asked": (
        lambda lines: lines[2]["candidates"][0]["authors"].append(9),
        "round 2, candidates.0.authors: learners 9 proposed nothing",
    ),
    "an author who refused": (
        lambda lines: lines[2]["refusals"].update({str(lines[2]["proposers"][0]): "no time"}),
        "round 2, candidates.0.authors",
    ),
    "a refusal of nobody": (lambda lines: lines[2]["refusals"].update({"9": "no time"}), "round 2, refusals"),
    "an observation of nobody": (lambda lines: lines[2]["observed"].update({"9": 0.5}), "round 2, observed"),
    "votes": (
        lambda lines: lines[3]["candidates"][1].update(votes=_other(lines[3]["candidates"][1]["votes"])),
        "round 3, candidates.1.votes: learner 0",
    ),
    "too few votes": (
        lambda lines: lines[3]["candidates"][1].update(votes="A"),
        "round 3, candidates.1.votes: 1 of them for 5 learners",
    ),
    "scores": (lambda lines: lines[3]["candidates"][0]["scores"].__setitem__(2, 9.0), "round 3, "),
    "margins": (
        lambda lines: lines[3]["candidates"][0]["margins"].__setitem__(2, 0.125),
        "round 3, margins: those of learner 2",
    ),
    "leader": (lambda lines: lines[4].update(leader=None), "round 4, leader"),
    "outcome": (lambda lines: lines[4].update(accepted=not lines[4]["accepted"]), "round 4, accepted"),
    "reason": (lambda lines: lines[4].update(reason="all approve"), "round 4, reason"),
    "weights": (lambda lines: lines[4].update(weights=lines[0]["weights"]), "round 4, weights"),
    "no digest": (lambda lines: lines[4]["candidates"][0].update(digest=None), "round 4, candidates.0.digest"),
    "test scores": (lambda lines: lines[1].pop("test"), "round 1, test"),
    "initial scores": (lambda lines: lines[0]["scores"]["vote"].__setitem__(0, 0.001), "round 1, "),
    "no candidates": (lambda lines: lines[2].pop("candidates"), "round 2, form: this is no record of a round"),
    "votes by number": (lambda lines: lines[2]["candidates"][0].update(votes=[1] * 5), "round 2, form"),
    "no samples": (lambda lines: lines[0].pop("samples"), "the opening line, form"),
    "streams": (lambda lines: lines[0].update(streams="other"), "the opening line, streams"),
    "seed": (lambda lines: lines[0].update(seed=4), "the opening line, seed"),
}


@pytest.mark.parametrize("what", FORGERIES)
def test_a_forgery_is_named_by_round_and_field(run: Path, what: str) -> None:
    change, said = FORGERIES[what]
    forge(run, change)
    assert refusal(run).startswith(said)


def test_a_forgery_without_any_change_would_pass(run: Path) -> None:
    forge(run, lambda lines: None)
    assert verified(run).rounds == 6


def test_a_round_that_was_cut_out_is_noticed(run: Path) -> None:
    def cut(lines: list[Line]) -> None:
        del lines[2]
        for number, line in enumerate(lines):
            line["round"] = number

    forge(run, cut)
    assert refusal(run).startswith("round 2, ")


SPENT = {
    "epsilon": 1.0,
    "target_epsilon": 2.0,
    "delta": 1e-5,
    "mechanisms": [[1.0, 0.1, 5]],
}


@pytest.mark.parametrize(
    ("then", "why"),
    [
        ({"epsilon": 2.5}, "epsilon 2.5 is above its limit 2"),
        ({"epsilon": 0.5}, "less is spent than before"),
        ({"mechanisms": [[1.0, 0.1, 4]]}, "less is spent than before"),
        ({"mechanisms": [[2.0, 0.1, 50]]}, "less is spent than before"),
        ({"target_epsilon": 3.0}, "it has another limit than before"),
        ({"delta": 1e-3}, "it has another limit than before"),
    ],
)
def test_privacy_adds_up(run: Path, then: Line, why: str) -> None:
    def spend(lines: list[Line]) -> None:
        lines[1]["privacy"] = {"2": SPENT}
        lines[3]["privacy"] = {"2": {**SPENT, **then}}

    forge(run, spend)
    assert refusal(run) == f"round 3, privacy.2: {why}"


def test_privacy_that_adds_up_passes(run: Path) -> None:
    def spend(lines: list[Line]) -> None:
        lines[1]["privacy"] = {"2": SPENT}
        lines[3]["privacy"] = {"2": {**SPENT, "epsilon": 1.5, "mechanisms": [[1.0, 0.1, 9]]}}

    forge(run, spend)
    assert verified(run).rounds == 6


# Bytes


def test_flipped_bytes_of_a_ledger_are_noticed(run: Path) -> None:
    file = run / "ledger.jsonl"
    data = file.read_bytes()
    rng = np.random.default_rng(0)
    for place in rng.choice(len(data), size=min(400, len(data)), replace=False):
        spoilt = bytearray(data)
        spoilt[place] ^= int(rng.integers(1, 256))
        file.write_bytes(bytes(spoilt))
        refusal(run)


def test_flipped_bytes_of_weights_are_noticed(run: Path) -> None:
    file = sorted((run / "weights").iterdir())[0]
    data = file.read_bytes()
    rng = np.random.default_rng(1)
    for place in rng.choice(len(data), size=100, replace=False):
        spoilt = bytearray(data)
        spoilt[place] ^= int(rng.integers(1, 256))
        file.write_bytes(bytes(spoilt))
        assert ", weights: " in refusal(run)
        assert file.name in refusal(run)


def test_missing_weights_are_named(run: Path) -> None:
    first = json.loads((run / "ledger.jsonl").read_bytes().splitlines()[0])["weights"]
    (run / "weights" / f"{first}.safetensors").unlink()
    assert refusal(run).startswith("the opening line, weights: can't read ")


def test_other_weights_under_the_same_name_are_noticed(run: Path) -> None:
    file = sorted((run / "weights").iterdir())[0]
    other = Weights({"a": np.zeros(3)})
    file.write_bytes(other.to_bytes())
    assert "it doesn't hold what its name says" in refusal(run)


def test_another_experiment_file_is_noticed(run: Path) -> None:
    file = run / "experiment.toml"
    file.write_text(file.read_text().replace("seed = 3", "seed = 4"))
    assert "experiment.toml has been altered: seed isn't what the ledger begins with" in refusal(run)


def test_without_an_experiment_file_the_ledger_says_enough(run: Path) -> None:
    (run / "experiment.toml").unlink()
    assert verified(run).rounds == 6


# The command


def colearn(*args: str) -> Result:
    return CliRunner().invoke(main, list(args), prog_name="colearn")


def test_the_command_tells_what_it_found(run: Path) -> None:
    result = colearn("verify", str(run))
    assert result.exit_code == 0
    assert f"{run} is as it was recorded: 6 rounds" in result.output
    assert "Head  " in result.output


def test_the_command_in_json(run: Path) -> None:
    found = json.loads(colearn("verify", str(run), "--json").stdout)
    assert found["rounds"] == 6
    assert found["run"] == str(run)


def test_what_is_wrong_is_a_failure_in_one_line(run: Path) -> None:
    forge(run, FORGERIES["outcome"][0])
    result = colearn("verify", str(run))
    assert result.exit_code == 1
    assert "round 4, accepted: it says" in result.output
    assert "Traceback" not in result.output


def test_what_is_no_run_is_a_wrong_use(tmp_path: Path) -> None:
    result = colearn("verify", str(tmp_path))
    assert result.exit_code == 2
    assert "is no run" in result.output


def test_a_run_by_rules_that_are_not_installed_says_so(run: Path) -> None:
    forge(run, lambda lines: lines[0]["experiment"]["voting"].update(name="by_lot"))
    (run / "experiment.toml").unlink()
    result = colearn("verify", str(run))
    assert result.exit_code == 2
    assert "by_lot" in result.output
