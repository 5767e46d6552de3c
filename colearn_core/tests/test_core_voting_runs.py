"""What runs by the voting policies keep: in the ledger, in the history, in the summary."""

from __future__ import annotations

import json
from math import inf
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from colearn_core.approval import Approval
from colearn_core.data import Holdout, partition
from colearn_core.errors import ConfigError
from colearn_core.experiment import Experiment
from colearn_core.graded import MedianImprovement, ScoreMargin
from colearn_core.ledger import VOTES, FileLedger, LedgerFile
from colearn_core.past import PastRound
from colearn_core.plugins import Plugins
from colearn_core.randomised_response import RandomisedResponse
from colearn_core.reference import SoftmaxRegression, blobs
from colearn_core.splitting import Dirichlet
from colearn_core.streams import Streams
from colearn_core.voters_record import Reputation
from colearn_core.voting import Ballots, Majority, VotingPolicy
from colearn_core.weighing import Weighted


def experiment(voting: VotingPolicy, **arguments: Any) -> Experiment:
    parts = partition(blobs(samples=300, spread=1.0), Dirichlet(alpha=0.5), 6, Holdout(0.3, 0.1), Streams(0))
    learners = [SoftmaxRegression(part, learning_rate=0.5) for part in parts]
    return Experiment(learners, voting=voting, plugins=Plugins([]), seed=3, **arguments)


def lines(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / "ledger.jsonl").read_text().splitlines()]


def ballots(line: dict[str, Any]) -> Ballots:
    """What a line of the ledger says was published."""
    votes = np.array([[VOTES[v] for v in c["votes"]] for c in line["candidates"]], dtype=np.int8).T
    margins = np.array([c["margins"] for c in line["candidates"]], dtype=np.float32).T
    return Ballots(votes, margins)


@pytest.mark.parametrize("policy", [ScoreMargin(), ScoreMargin(trim=0.2, relative=False), MedianImprovement()])
def test_the_ledger_holds_margins_from_which_anyone_decides_alike(policy: Any, tmp_path: Path) -> None:
    with FileLedger(tmp_path) as ledger:
        run = experiment(policy, proposals=Approval(), ledger=ledger).run(12)
    played = lines(tmp_path)[1:]
    for line in played:
        decision = policy.decide(ballots(line))
        assert (decision.accepted, decision.leader) == (line["accepted"], line["leader"])
        assert decision.reason == line["reason"]
    assert sum(run.history.accepted) > 0
    assert LedgerFile.read(tmp_path / "ledger.jsonl").history().candidates == run.history.candidates


def test_margins_of_a_policy_without_them_are_not_in_the_ledger(tmp_path: Path) -> None:
    with FileLedger(tmp_path) as ledger:
        experiment(Majority(), ledger=ledger).run(2)
    assert not any("margins" in candidate for line in lines(tmp_path)[1:] for candidate in line["candidates"])


def test_the_author_of_a_lone_candidate_has_no_margin() -> None:
    for record in experiment(ScoreMargin(), proposals="round_robin").rounds(4):
        assert record.margins is not None
        (author,) = record.candidates[0].authors
        assert np.isnan(record.margins[author, 0])
        assert np.isfinite(np.delete(record.margins[:, 0], author)).all()


def test_a_reader_of_the_ledger_comes_to_the_same_reputations_and_decisions(tmp_path: Path) -> None:
    policy = Reputation(lowest=0.2, highest=1.8)
    with FileLedger(tmp_path) as ledger:
        played = experiment(policy, ledger=ledger, proposals=Approval())
        played.run(20)
    reader = policy
    for line in lines(tmp_path)[1:]:
        votes = np.array([[VOTES[v] for v in c["votes"]] for c in line["candidates"]], dtype=np.int8).T
        assert reader.tally(votes).reason == line["reason"]
        authors = tuple(tuple(c["authors"]) for c in line["candidates"])
        labels = tuple(c["label"] for c in line["candidates"])
        proposers = tuple(line["proposers"])
        past = PastRound(line["round"], proposers, authors, labels, votes, line["leader"], line["accepted"])
        reader = reader.after(past)
    assert reader == played.policy
    assert len(set(reader.weights_of(6))) > 1


def test_voters_samples_weigh_their_votes() -> None:
    played = experiment(Weighted())
    played.run(1)
    assert isinstance(played.policy, Weighted)
    assert played.policy.weights == tuple(played.standing.vote.samples.tolist())


def test_stakes_of_others_are_refused_before_the_first_round() -> None:
    with pytest.raises(ConfigError, match="6 learners need as many stakes, not 2"):
        experiment(Weighted(stakes=(1.0, 2.0))).run(1)


def test_what_randomised_votes_tell_is_counted_per_round_and_in_all(tmp_path: Path) -> None:
    with FileLedger(tmp_path) as ledger:
        run = experiment(RandomisedResponse(epsilon=0.1), ledger=ledger, proposals=Approval()).run(8)
    h = run.history
    assert h.vote_epsilon == 0.1
    assert len(h.candidates) == 8
    assert min(h.candidates) > 1
    assert h.columns()["epsilon_of_votes"] == pytest.approx([0.1 * n for n in h.candidates])
    told = run.summary()["votes"]
    assert told["epsilon"] == pytest.approx(0.1 * sum(h.candidates))
    assert told["epsilon_per_round"] == pytest.approx(0.1 * max(h.candidates))
    assert 0 < told["epsilon_with_delta"] <= told["epsilon"]
    read = LedgerFile.read(tmp_path / "ledger.jsonl").history()
    assert (read.vote_epsilon, read.candidates) == (0.1, h.candidates)


def test_votes_that_are_not_randomised_have_no_epsilon(tmp_path: Path) -> None:
    with FileLedger(tmp_path) as ledger:
        run = experiment(Majority(), ledger=ledger).run(2)
    assert run.history.vote_epsilon == inf
    assert "votes" not in run.summary()
    assert "epsilon_of_votes" not in run.history.columns()
    assert LedgerFile.read(tmp_path / "ledger.jsonl").history().vote_epsilon == inf
    assert "epsilon_per_vote" not in lines(tmp_path)[0]


def test_randomised_votes_are_flipped_from_those_of_a_majority() -> None:
    flipped = [
        (one.votes != other.votes).sum()
        for one, other in zip(
            experiment(RandomisedResponse(epsilon=50.0)).rounds(6), experiment(Majority()).rounds(6), strict=True
        )
    ]
    assert flipped == [0] * 6
    first = next(experiment(RandomisedResponse(epsilon=0.01)).rounds(1))
    assert (first.votes != next(experiment(Majority()).rounds(1)).votes).any()
