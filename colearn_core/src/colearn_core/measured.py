"""A run under a budget, with what it costs: trainings, scorings, and bytes that travel."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple, cast

import numpy as np

from .cohort import Cohort, Proposals
from .config import Prepared
from .errors import ConfigError
from .history import History, Run, number_or_none
from .metrics import Metric
from .proposing import ProposalStrategy
from .rounds import RoundRecord
from .streams import Streams
from .weights import Weights

MOST_POINTS = 300
"""Curves of longer runs keep so many rounds, evenly apart, and the last."""


class Budget(NamedTuple):
    """When a run ends: after so many rounds, or before the round that would exceed so many local trainings."""

    rounds: int | None = None
    trainings: int | None = None

    @property
    def most_rounds(self) -> int:
        return self.rounds or self.trainings or 1

    def allows(self, trainings: int) -> bool:
        return self.trainings is None or trainings <= self.trainings

    def check(self, strategy: ProposalStrategy, learners: int, seed: int) -> None:
        """Raise ConfigError unless it allows the first round."""
        first = len(strategy.proposers(1, learners, Streams(seed)))
        if not self.allows(first):
            raise ConfigError(f"trainings = {self.trainings} are too few for one round, which takes {first}")


class Measured(NamedTuple):
    """What came of a run, in JSON values: the outcome, and columns of one value per kept round, from round 0."""

    outcome: dict[str, Any]
    curve: dict[str, list[Any]]


class Meter:
    """A cohort that weighs the proposals on their way; whatever else is asked of it, the one inside answers."""

    def __init__(self, cohort: Cohort) -> None:
        self._cohort = cohort
        self.proposed = 0
        """Bytes of the proposals of the last round."""

    def __getattr__(self, name: str) -> Any:
        return getattr(self._cohort, name)

    def __len__(self) -> int:
        return len(self._cohort)

    def propose(self, learners: Sequence[int], base: Weights, round: int, streams: Streams) -> Proposals:
        found = self._cohort.propose(learners, base, round, streams)
        self.proposed = sum(size_of(p.weights) for p in found.proposals.values())
        return found


class Counts:
    """Sums over the rounds, for each round."""

    def __init__(self, learners: int, meter: Meter) -> None:
        self._learners = learners
        self._meter = meter
        self.columns: dict[str, list[Any]] = {
            "trainings": [0],
            "accepted": [0],
            "scorings": [0],
            "bytes": [0],
            "seconds": [0.0],
        }

    def add(self, record: RoundRecord) -> None:
        self._add("trainings", len(record.proposers))
        self._add("accepted", int(record.accepted))
        self._add("scorings", self._learners * len(record.candidates))
        published = self._meter.proposed + record.votes.nbytes
        published += 0 if record.margins is None else record.margins.nbytes
        self._add("bytes", published * (self._learners - 1))
        self._add("seconds", record.seconds["round"])

    def _add(self, column: str, value: float) -> None:
        self.columns[column].append(self.columns[column][-1] + value)


def play_measured(prepared: Prepared, budget: Budget) -> Measured:
    """Play an experiment until its budget is used up.

    Whatever a learner publishes goes to every other learner: its proposal (the bytes of its arrays), and for each
    candidate its vote (a byte) and, where the policy goes by it, its margin (four bytes). Candidates are made of
    proposals by everyone alike, and don't travel. A scoring is one learner's score of one candidate.

    Raises:
        ConfigError: the budget doesn't allow one round.
    """
    experiment = prepared.experiment()
    learners = len(experiment.cohort)
    budget.check(experiment.strategy, learners, prepared.config.seed)
    meter = Meter(experiment.cohort)
    experiment.cohort = cast(Cohort, meter)
    counts = Counts(learners, meter)

    def ends(record: RoundRecord, _: History) -> bool:
        counts.add(record)
        following = experiment.strategy.proposers(record.round + 1, learners, experiment.streams)
        return not budget.allows(counts.columns["trainings"][-1] + len(following))

    run = experiment.run(budget.most_rounds, ends)
    return Measured(_outcome(run, counts), _curve(run.history, counts))


def size_of(weights: Weights) -> int:
    """Bytes of all arrays."""
    return sum(array.nbytes for array in weights.values())


def _outcome(run: Run, counts: Counts) -> dict[str, Any]:
    summary, h = run.summary(), run.history
    outcome: dict[str, Any] = {key: summary[key] for key in ("rounds", "accepted", "acceptance_rate", "trainings")}
    outcome |= {key: counts.columns[key][-1] for key in ("scorings", "bytes")}
    for part in ("vote", "test"):
        scores = summary[part]
        outcome[f"{part}_metric"] = scores["metric"]
        outcome[f"{part}_initial"] = scores["initial"]
        outcome[part] = scores["final"]
    if "honest" in summary["test"]:
        outcome["test_honest"] = summary["test"]["honest"]
    outcome["test_worst"] = _worst(h.test_metric, h.test_scores[-1])
    if "privacy" in summary:
        outcome["epsilon"] = summary["privacy"]["epsilon"]
    return outcome | {"seconds": summary["seconds"], "weights": summary["weights"]}


def _worst(metric: Metric, scores: Any) -> float | None:
    """The score of the learner that's served worst; None without scores."""
    known = scores[np.isfinite(scores)]
    if not len(known):
        return None
    return float(known.min() if metric.greater_is_better else known.max())


def _curve(history: History, counts: Counts) -> dict[str, list[Any]]:
    played = len(history.round)
    kept = np.unique(np.linspace(0, played, min(played + 1, MOST_POINTS)).round().astype(int)).tolist()
    curve: dict[str, list[Any]] = {"round": kept}
    curve |= {name: [column[row] for row in kept] for name, column in counts.columns.items()}
    curve["vote"] = [number_or_none(history.mean_vote(row)) for row in kept]
    curve["test"] = [number_or_none(history.mean_test(row)) for row in kept]
    if history.adversaries:
        curve["test_honest"] = [number_or_none(history.honest_mean_test(row)) for row in kept]
    return curve
