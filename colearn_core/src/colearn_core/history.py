"""What is kept of a run in memory: its history as columns, and the outcome."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from math import inf, isfinite
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .metrics import Metric
from .privacy import Spent
from .randomised_response import total_epsilon
from .rounds import RoundRecord, Standing
from .scores import weighted_mean
from .voting import Vote
from .weights import Weights

DELTA = 1e-5
"""With what probability a smaller bound on what votes tell may be exceeded."""


@dataclass
class History:
    """The rounds of a run as columns; row 0 of the scores is the state before the first round.

    Attributes:
        names: the learners' names.
        vote_metric, test_metric: what the scores mean.
        vote_samples, test_samples: how many samples each learner scores on.
        round: numbers of the rounds played.
        accepted: whether each round adopted a candidate.
        trainings: proposals asked for in each round.
        proposers: who was asked in each round.
        labels: the leading candidate of each round, "" without one.
        authors: whose proposals are in it.
        votes: each learner's vote on the leading candidate, one row per round.
        vote_scores, test_scores: each learner's scores of the weights in force, one row per round
            and the initial row.
        privacy: what each private learner has spent, one row per round and the initial row.
        candidates: how many candidates were voted on in each round.
        vote_epsilon: what a vote tells of a learner's data at most; infinite unless votes are randomised.
        adversaries: what the learners play that aren't honest, by number.
    """

    names: tuple[str, ...]
    vote_metric: Metric
    test_metric: Metric
    vote_samples: NDArray[np.int64]
    test_samples: NDArray[np.int64]
    round: list[int] = field(default_factory=list)
    accepted: list[bool] = field(default_factory=list)
    trainings: list[int] = field(default_factory=list)
    proposers: list[tuple[int, ...]] = field(default_factory=list)
    labels: list[str] = field(default_factory=list)
    authors: list[tuple[int, ...]] = field(default_factory=list)
    votes: list[NDArray[np.int8]] = field(default_factory=list)
    vote_scores: list[NDArray[np.float32]] = field(default_factory=list)
    test_scores: list[NDArray[np.float32]] = field(default_factory=list)
    privacy: list[Mapping[int, Spent]] = field(default_factory=list)
    candidates: list[int] = field(default_factory=list)
    vote_epsilon: float = inf
    adversaries: Mapping[int, str] = field(default_factory=dict)

    @staticmethod
    def begin(
        names: tuple[str, ...],
        standing: Standing,
        *,
        vote_epsilon: float = inf,
        adversaries: Mapping[int, str] | None = None,
    ) -> History:
        history = History(
            names,
            standing.vote.metric,
            standing.test.metric,
            standing.vote.samples,
            standing.test.samples,
            vote_epsilon=vote_epsilon,
        )
        history.adversaries = dict(adversaries or {})
        history.vote_scores.append(standing.vote.values[:, 0])
        history.test_scores.append(standing.test.values[:, 0])
        history.privacy.append(standing.privacy)
        return history

    def add(self, record: RoundRecord) -> None:
        label, authors, votes, adopted = "", tuple[int, ...](), None, None
        leader = record.decision.leader
        if leader is not None:
            label, authors, _ = record.candidates[leader]
            votes = record.votes[:, leader]
        if record.accepted:
            adopted = record.standing.vote.values[:, 0], record.standing.test.values[:, 0]
        self.add_row(
            record.round,
            record.proposers,
            label,
            authors,
            votes,
            adopted,
            record.standing.privacy,
            len(record.candidates),
        )

    def add_row(
        self,
        round: int,
        proposers: tuple[int, ...],
        label: str,
        authors: tuple[int, ...],
        votes: NDArray[np.int8] | None,
        adopted: tuple[NDArray[np.float32], NDArray[np.float32]] | None,
        privacy: Mapping[int, Spent],
        candidates: int,
    ) -> None:
        """Add a round.

        Args:
            votes: on the leading candidate; None without one.
            adopted: vote and test scores of the weights that were adopted; None if none were.
            privacy: what each private learner has spent by now.
            candidates: how many were voted on.
        """
        self.round.append(round)
        self.accepted.append(adopted is not None)
        self.trainings.append(len(proposers))
        self.proposers.append(proposers)
        self.labels.append(label)
        self.authors.append(authors)
        self.votes.append(np.full(len(self.names), Vote.ABSTAIN, dtype=np.int8) if votes is None else votes)
        vote, test = (self.vote_scores[-1], self.test_scores[-1]) if adopted is None else adopted
        self.vote_scores.append(vote)
        self.test_scores.append(test)
        self.privacy.append(privacy)
        self.candidates.append(candidates)

    def mean_vote(self, row: int = -1) -> float:
        return weighted_mean(self.vote_scores[row], self.vote_samples)

    def mean_test(self, row: int = -1) -> float:
        return weighted_mean(self.test_scores[row], self.test_samples)

    def epsilon_of_votes(self, delta: float = 0.0) -> float:
        """What all votes of one learner tell of its data together, at most; see
        :func:`~colearn_core.randomised_response.total_epsilon`.
        """
        return total_epsilon(self.vote_epsilon, sum(self.candidates), delta)

    @property
    def honest(self) -> NDArray[np.bool_]:
        """Which learners play no adversary, shape ``(learners,)``."""
        return np.array([i not in self.adversaries for i in range(len(self.names))])

    def honest_mean_test(self, row: int = -1) -> float:
        """The mean test score of the learners that play no adversary; NaN if all do."""
        return weighted_mean(self.test_scores[row][self.honest], self.test_samples[self.honest])

    @property
    def acceptance_rate(self) -> float:
        """Share of rounds that adopted a candidate; NaN before the first."""
        return sum(self.accepted) / len(self.accepted) if self.accepted else float("nan")

    @property
    def rounds_since_acceptance(self) -> int:
        """How many rounds in a row, up to the last, adopted nothing."""
        count = 0
        for accepted in reversed(self.accepted):
            if accepted:
                break
            count += 1
        return count

    def columns(self) -> dict[str, list[Any]]:
        """One value per round, ready for a data frame: ``pandas.DataFrame(history.columns())``."""
        rows = range(1, len(self.round) + 1)
        columns: dict[str, list[Any]] = {
            "round": list(self.round),
            "accepted": list(self.accepted),
            "trainings": list(self.trainings),
            "proposers": list(self.proposers),
            "candidate": list(self.labels),
            "authors": list(self.authors),
            "approvals": [int((v > 0).sum()) for v in self.votes],
            "rejections": [int((v < 0).sum()) for v in self.votes],
            f"vote_{self.vote_metric.name}": [self.mean_vote(row) for row in rows],
            f"test_{self.test_metric.name}": [self.mean_test(row) for row in rows],
        }
        if self.adversaries:
            columns[f"test_{self.test_metric.name}_honest"] = [self.honest_mean_test(row) for row in rows]
        if self.privacy[0]:
            columns["epsilon"] = [max(spent.epsilon for spent in self.privacy[row].values()) for row in rows]
        if isfinite(self.vote_epsilon):
            columns["epsilon_of_votes"] = [self.vote_epsilon * n for n in self.candidates]
        return columns


@dataclass(frozen=True)
class Run:
    """What an experiment came to: its history and the weights in force at the end."""

    history: History
    weights: Weights
    seconds: float
    importance: Mapping[str, float] = field(default_factory=dict)
    """How much the model goes by each feature, where it tells."""

    def summary(self) -> dict[str, Any]:
        """The outcome in numbers that JSON can hold (None where there's no score)."""
        h = self.history
        private = h.privacy[-1].values()
        return {
            "rounds": len(h.round),
            "accepted": sum(h.accepted),
            "acceptance_rate": number_or_none(h.acceptance_rate),
            "trainings": sum(h.trainings),
            "learners": len(h.names),
            "vote": {
                "metric": h.vote_metric.name,
                "initial": number_or_none(h.mean_vote(0)),
                "final": number_or_none(h.mean_vote()),
            },
            "test": {
                "metric": h.test_metric.name,
                "initial": number_or_none(h.mean_test(0)),
                "final": number_or_none(h.mean_test()),
                **({"honest": number_or_none(h.honest_mean_test())} if h.adversaries else {}),
            },
            **({"adversaries": {h.names[i]: kind for i, kind in h.adversaries.items()}} if h.adversaries else {}),
            **({"privacy": _most(private)} if private else {}),
            **({"votes": _told_by_votes(h)} if isfinite(h.vote_epsilon) else {}),
            **({"importance": dict(self.importance)} if self.importance else {}),
            "seconds": round(self.seconds, 3),
            "weights": self.weights.digest,
        }


def _told_by_votes(history: History) -> dict[str, float]:
    """What a learner's randomised votes tell at most: one, those of a round, all of them, and these but for delta."""
    return {
        "epsilon_per_vote": history.vote_epsilon,
        "epsilon_per_round": history.vote_epsilon * max(history.candidates, default=0),
        "epsilon": history.epsilon_of_votes(),
        "epsilon_with_delta": history.epsilon_of_votes(DELTA),
        "delta": DELTA,
    }


def _most(spent: Iterable[Spent]) -> dict[str, float]:
    """The worst that any learner has spent."""
    return {"epsilon": max(s.epsilon for s in spent), "delta": max(s.delta for s in spent)}


def number_or_none(value: float) -> float | None:
    """A score as JSON can hold it."""
    return value if np.isfinite(value) else None
