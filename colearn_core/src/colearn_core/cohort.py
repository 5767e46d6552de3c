"""The cohort: all learners of an experiment behind one interface, wherever they run."""

from __future__ import annotations

import logging
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from .errors import Abstention, ConfigError, UsageError
from .learner import Learner, Proposal
from .metrics import Metric
from .privacy import Spent
from .scores import Part, Score, Scores, in_single
from .streams import Streams
from .voting import Ballots
from .weights import Weights

if TYPE_CHECKING:
    from .proposing import Candidate

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Proposals:
    """The answers to a call for proposals, by learner, in the order of their numbers."""

    proposals: dict[int, Proposal]
    refusals: dict[int, str]
    """Who proposed nothing usable, and why."""


class Cohort(ABC):
    """What the experiment talks to. Learners are known by their number, from 0.

    No exception of a learner passes through: it becomes a refusal or a missing score, with its reason.
    """

    names: tuple[str, ...]
    vote_metric: Metric
    test_metric: Metric

    def __len__(self) -> int:
        return len(self.names)

    def metric_of(self, part: Part) -> Metric:
        return self.vote_metric if part == "vote" else self.test_metric

    @abstractmethod
    def initial_weights(self, rng: np.random.Generator) -> Weights:
        """Weights that all learners begin with."""

    @abstractmethod
    def propose(self, learners: Sequence[int], base: Weights, round: int, streams: Streams) -> Proposals:
        """Have some learners train from ``base``; each draws from its own stream ``("propose", round, learner)``."""

    @abstractmethod
    def test(self, candidates: Sequence[Weights], part: Part) -> Scores:
        """Have all learners score all candidates on their ``vote`` or ``test`` data."""

    def test_samples(self, candidates: Sequence[Weights]) -> Scores:
        """Have all learners score all candidates on their ``vote`` data, with the score of each sample.

        Raises:
            UsageError: this kind of cohort can't.
        """
        raise UsageError(
            f"{type(self).__name__} gives no scores of single samples, which the voting policy goes by",
            hint="Take another voting policy or another runtime.",
        )

    def cast(self, ballots: Ballots, candidates: Sequence[Candidate], round: int, streams: Streams) -> Ballots:
        """What the learners publish, of the ballots that the policy makes of their scores: by default just that."""
        return ballots

    @abstractmethod
    def combine(self, base: Weights, proposals: Sequence[Proposal]) -> Weights:
        """Merge proposals as the learners' kind of model requires."""

    def feature_importance(self, weights: Weights) -> dict[str, float]:
        """How much the model goes by each feature, by name, in shares; empty for models that don't tell."""
        return {}

    def spent(self) -> dict[int, Spent]:
        """What each learner that keeps a privacy budget has spent of it."""
        return {}

    def keep_budgets(self, folder: Path) -> None:
        """Write what learners spend to a file for each in this folder, before they spend it.

        Raises:
            LedgerError: a file can't be written.
        """


class LoopCohort(Cohort):
    """Learners in this process, asked one after the other.

    Raises:
        ConfigError: no learners, names that don't fit, or learners that differ in their metrics.
    """

    def __init__(self, learners: Sequence[Learner], names: Sequence[str] | None = None) -> None:
        if not learners:
            raise ConfigError("an experiment needs at least one learner")
        self.learners = tuple(learners)
        self.names = tuple(names) if names is not None else tuple(f"learner-{i}" for i in range(len(learners)))
        if len(self.names) != len(self.learners) or len(set(self.names)) != len(self.names):
            raise ConfigError(f"{len(self.learners)} learners need as many different names, not {list(self.names)}")
        self.vote_metric = self.learners[0].vote_metric
        self.test_metric = self.learners[0].test_metric
        for name, learner in zip(self.names, self.learners, strict=True):
            if (learner.vote_metric, learner.test_metric) != (self.vote_metric, self.test_metric):
                raise ConfigError(
                    f"{name} scores by {learner.vote_metric.name} and {learner.test_metric.name}, "
                    f"{self.names[0]} by {self.vote_metric.name} and {self.test_metric.name}: scores must be comparable"
                )
        self._budgets = {i: x.budget for i, x in enumerate(self.learners) if x.budget is not None}

    def initial_weights(self, rng: np.random.Generator) -> Weights:
        weights = self.learners[0].initial_weights(rng)
        weights.check_finite()
        return weights

    def propose(self, learners: Sequence[int], base: Weights, round: int, streams: Streams) -> Proposals:
        proposals: dict[int, Proposal] = {}
        refusals: dict[int, str] = {}
        for i in sorted(learners):
            try:
                proposal = self.learners[i].propose_weights(base, streams.generator("propose", round, i))
                if not proposal.samples > 0:
                    raise ValueError(f"a proposal trained on {proposal.samples} samples")
                self.learners[i].check_weights(proposal.weights, base)
                proposal.weights.check_finite()
                proposals[i] = proposal
            except Exception as error:  # whatever a learner raises costs it its proposal, not the others the round
                refusals[i] = reason(error)
                log.debug("%s proposes nothing", self.names[i], exc_info=True)
        return Proposals(proposals, refusals)

    def test(self, candidates: Sequence[Weights], part: Part) -> Scores:
        columns: list[list[float]] = []
        samples = [0] * len(self.learners)
        reasons: dict[int, str] = {}
        for weights in candidates:
            column = []
            for i, learner in enumerate(self.learners):
                try:
                    value, samples[i] = learner.test_weights(weights, part)[:2]
                except Exception as error:  # an abstention: the others' votes decide
                    value = np.nan
                    reasons.setdefault(i, reason(error))
                    log.debug("%s gives no score", self.names[i], exc_info=True)
                column.append(value)
            columns.append(column)
        values, counts = _numbers(columns, samples, reasons)
        return Scores(self.metric_of(part), values, counts, reasons)

    def test_samples(self, candidates: Sequence[Weights]) -> Scores:
        rows = [_SampleScores(len(candidates)) for _ in self.learners]
        reasons: dict[int, str] = {}
        for c, weights in enumerate(candidates):
            for i, learner in enumerate(self.learners):
                try:
                    rows[i].take(c, learner.test_samples(weights, "vote"))
                except Exception as error:  # an abstention, as in test()
                    reasons.setdefault(i, reason(error))
                    log.debug("%s gives no scores of samples", self.names[i], exc_info=True)
        columns = [[row.values[c] for row in rows] for c in range(len(candidates))]
        values, counts = _numbers(columns, [row.samples for row in rows], reasons)
        each, classes = [row.each for row in rows], [row.classes for row in rows]
        return Scores(self.vote_metric, values, counts, reasons, each, classes)

    def combine(self, base: Weights, proposals: Sequence[Proposal]) -> Weights:
        return self.learners[0].combine(base, proposals)

    def feature_importance(self, weights: Weights) -> dict[str, float]:
        try:
            return self.learners[0].feature_importance(weights)
        except Exception:  # it's for the reader, and no round depends on it
            log.debug("no feature importance", exc_info=True)
            return {}

    def spent(self) -> dict[int, Spent]:
        return {i: budget.spent for i, budget in self._budgets.items()}

    def keep_budgets(self, folder: Path) -> None:
        for i, budget in self._budgets.items():
            budget.keep(folder / f"{self.names[i]}.jsonl")


class _SampleScores:
    """One learner's answers for all candidates."""

    def __init__(self, candidates: int) -> None:
        self.values = [np.nan] * candidates
        self.samples = 0
        self.each: NDArray[np.float32] | None = None
        self.classes: NDArray[np.int64] | None = None

    def take(self, candidate: int, score: Score) -> None:
        value, samples, each, classes = score
        if samples:
            told = None if each is None else np.shape(each)
            if told != (samples,) or self.samples not in (0, samples):
                raise ValueError(f"a score of {samples} samples comes with those of {told}")
            if self.each is None:
                self.each = np.full((len(self.values), samples), np.nan, np.float32)
            self.each[candidate] = in_single(np.asarray(each, np.float64))
            self.classes = classes
        self.values[candidate], self.samples = value, samples


def _numbers(
    columns: list[list[float]], samples: list[int], reasons: dict[int, str]
) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """What the learners answered, shape ``(learners, candidates)``, and of how many samples."""
    try:
        values, counts = np.array(columns, dtype=np.float64), np.array(samples, dtype=np.int64)
    except (TypeError, ValueError):  # somebody's answer is no score
        values = np.array([[_number(i, v, float, reasons) for i, v in enumerate(c)] for c in columns])
        counts = np.array([_number(i, n, int, reasons) for i, n in enumerate(samples)], dtype=np.int64)
    return values.reshape(len(columns), len(samples)).T, counts


def _number(learner: int, value: Any, kind: type[float] | type[int], reasons: dict[int, str]) -> float:
    """The value as a number, or what stands for none, with the reason."""
    try:
        return kind(value)
    except (TypeError, ValueError) as error:
        reasons.setdefault(learner, reason(error))
        return float("nan") if kind is float else 0


def reason(error: Exception) -> str:
    """Why a learner gave no answer, in one line for the ledger."""
    text = " ".join(str(error).split())
    return text if isinstance(error, Abstention) else f"{type(error).__name__}: {text}"
