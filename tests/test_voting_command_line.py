"""What `colearn run` says about voting policies."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from colearn_core.cli import main

ALONE = ("--proposals", "round_robin")
"""One candidate in a round."""


def run(folder: Path, *arguments: str) -> Result:
    common = ("--data", "blobs", "--learners", "5", "--rounds", "3", "--out", str(folder))
    return CliRunner().invoke(main, ["run", *common, *arguments])


def test_the_epsilon_of_votes_is_told_before_and_after(tmp_path: Path) -> None:
    result = run(
        tmp_path, "--learner", "softmax", "--voting", "randomised_response", "--set", "voting.epsilon=0.5", *ALONE
    )
    assert result.exit_code == 0, result.output
    assert "Note: each vote has an epsilon of 0.5, and they add up; abstentions aren't hidden." in result.output
    assert "Each learner's 3 votes have an epsilon of 1.5 together." in result.output
    quiet = run(tmp_path, "--learner", "softmax", "--voting", "randomised_response", "--name", "json", "--json", *ALONE)
    assert json.loads(quiet.stdout)["votes"]["epsilon"] == 3


def test_with_many_votes_the_smaller_bound_is_told_too(tmp_path: Path) -> None:
    told = run(
        tmp_path, "--learner", "softmax", "--voting", "randomised_response", "--set", "voting.epsilon=0.01",
        "--rounds", "800", *ALONE,
    )  # fmt: skip
    assert "Each learner's 800 votes have an epsilon of 8 together, or of 1.4 with delta 1e-05." in told.output


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            ("--voting", "per_class", "--learner", "sklearn.sgd_classifier", "--set", "learner.vote_metric=f1"),
            "PerClass goes by the scores of single samples, and f1 has none",
        ),
        (("--voting", "weighted", "--set", "voting.stakes=[1,2]", "--learner", "softmax"), "5 learners need as many"),
        (
            ("--voting", "significant", "--set", "voting.test=mcnemar", "--learner", "softmax"),
            "mcnemar compares right answers with wrong ones, and learners vote by log_loss",
        ),
        (("--voting", "threshold", "--set", "voting.share=0", "--learner", "softmax"), "adopts what everyone rejects"),
    ],
)
def test_policies_that_do_not_fit_are_named_before_a_folder_is_made(
    arguments: tuple[str, ...], message: str, tmp_path: Path
) -> None:
    result = run(tmp_path / "runs", *arguments)
    assert result.exit_code == 2
    assert message in result.output
    assert not (tmp_path / "runs").exists()


@pytest.mark.parametrize("voting", ["per_class", "significant", "score_margin", "reputation", "weighted"])
def test_every_policy_learns(voting: str, tmp_path: Path) -> None:
    result = run(tmp_path, "--learner", "softmax", "--voting", voting, "--rounds", "15", "--json")
    outcome = json.loads(result.stdout)
    assert outcome["test"]["final"] > 0.8
    assert outcome["accepted"] > 0
