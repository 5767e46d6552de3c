"""Verifying a run: is the model what the votes made it? Everything is worked out again from what is recorded."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .config import ExperimentConfig, check
from .errors import LedgerError
from .ledger import VOTES, LedgerFile
from .metrics import metric
from .past import PastRound
from .plugins import Plugins
from .privacy import Spent
from .proposing import ProposalStrategy
from .rounds import without_own_vote
from .runs import RunFolder
from .scores import Scores
from .streams import SCHEME, Streams
from .voting import ABSTAIN, APPROVE, REJECT, Ballots, VotingPolicy
from .weights import Weights

LEFT_OUT = {
    "by sample": "votes weren't compared with scores: they went by the scores of single samples, which stay private",
    "no rules": "decisions weren't compared with the rules: the ledger names no experiment file that tells them",
}


@dataclass(frozen=True)
class Verified:
    """What was found right.

    Attributes:
        rounds: how many there are.
        accepted: how many of them adopted a candidate.
        models: how many weights were read, and have the digest that the ledger gives.
        votes: how many votes are those that the learners' own scores ask for.
        head: the hash of the last line. Who knows it from elsewhere knows that this is the same ledger.
        left_out: what couldn't be verified, and why.
    """

    rounds: int
    accepted: int
    models: int
    votes: int
    head: str
    left_out: tuple[str, ...]


@dataclass(frozen=True)
class Rules:
    """By what a run was decided: its strategy and its policy, as they stand before the next round."""

    strategy: ProposalStrategy
    policy: VotingPolicy
    seed: int

    def after(self, past: PastRound) -> Rules:
        return replace(self, strategy=self.strategy.after(past), policy=self.policy.after(past))


def verify(folder: RunFolder, plugins: Plugins, on_round: Callable[[], object] = lambda: None) -> Verified:
    """Verify a run by its ledger and its weights; no data are read, and nothing is trained or scored.

    Of each round: who was to propose, that votes follow from the scores that honest learners recorded, what the
    policy makes of the votes, that what won is in force, and that no learner spent more privacy than it may.

    Args:
        on_round: called after each line of the ledger.

    Raises:
        LedgerError: something is wrong; the message names the first round and field.
        UsageError: a component that the run went by isn't installed.
    """
    ledger = folder.ledger()
    _check_file(folder, ledger.opening, plugins)
    models = _Models(folder)
    with _in_form(0):
        reading = _Reading.begin(ledger.opening, plugins)
        models.check(ledger.opening["weights"], 0)
    on_round()
    for line in ledger.rounds:
        with _in_form(line["round"]):
            reading.check(line)
            models.check(line["weights"], line["round"])
        on_round()
    left_out = [LEFT_OUT["no rules"]] if reading.rules is None else []
    if reading.rules is not None and reading.rules.policy.looks_closer:
        left_out.append(LEFT_OUT["by sample"])
    return Verified(
        len(ledger.rounds),
        sum(line["accepted"] for line in ledger.rounds),
        models.checked,
        reading.votes,
        (ledger.rounds or [ledger.opening])[-1]["hash"],
        tuple(left_out),
    )


@contextmanager
def _in_form(round: int) -> Iterator[None]:
    """A line whose hash is right may still have been written by somebody else, and hold anything."""
    try:
        yield
    except (LookupError, TypeError, ValueError, AttributeError) as error:
        _wrong(round, "form", f"this is no record of a round ({type(error).__name__}: {error})")


def _check_file(folder: RunFolder, opening: Mapping[str, Any], plugins: Plugins) -> None:
    """The experiment file beside the ledger must be that of the ledger."""
    if not _has_config(opening) or not folder.experiment_file.exists():
        return
    beside = check(ExperimentConfig.read(folder.experiment_file), plugins).config.what_decides()
    recorded = opening["experiment"]
    differing = sorted(key for key in {*beside, *recorded} if beside.get(key) != recorded.get(key))
    if differing:
        names = ", ".join(differing)
        raise LedgerError(f"{folder.experiment_file} has been altered: {names} isn't what the ledger begins with")


def _has_config(opening: Mapping[str, Any]) -> bool:
    return "data" in opening.get("experiment", {})


def _rules(opening: Mapping[str, Any], plugins: Plugins) -> Rules | None:
    if opening.get("streams") != SCHEME:
        _wrong(0, "streams", f"they are drawn by scheme {opening.get('streams')}, this version knows {SCHEME}")
    if not _has_config(opening):
        return None
    config = ExperimentConfig.from_mapping(opening["experiment"], "the ledger's opening line")
    if config.seed != opening["seed"]:
        _wrong(0, "seed", f"it is {opening['seed']}, the experiment says {config.seed}")
    checked = check(config, plugins)
    samples = np.array(opening["samples"]["vote"], dtype=np.int64)
    return Rules(checked.strategy, checked.policy.among(samples), config.seed)


class _Models:
    """The weights of a run; each is read once."""

    def __init__(self, folder: RunFolder) -> None:
        self._folder = folder
        self._known: set[str] = set()

    @property
    def checked(self) -> int:
        return len(self._known)

    def check(self, digest: str, round: int) -> None:
        if digest in self._known:
            return
        path = self._folder.path / "weights" / f"{digest}.safetensors"
        try:
            data = path.read_bytes()
            found = Weights.from_bytes(data)
        except OSError as error:
            _wrong(round, "weights", f"can't read {path}: {error.strerror}")
        except Exception as error:
            _wrong(round, "weights", f"{path} holds no weights: {error}")
        if found.digest != digest or found.to_bytes() != data:
            _wrong(round, "weights", f"{path} has been altered: it doesn't hold what its name says")
        self._known.add(digest)


@dataclass
class _Reading:
    """What is known after some lines of a ledger."""

    learners: int
    rules: Rules | None
    liars: frozenset[int]
    weights: str
    scores: Scores
    privacy: dict[int, Spent]
    votes: int = 0

    @staticmethod
    def begin(opening: Mapping[str, Any], plugins: Plugins) -> _Reading:
        learners = len(opening["learners"])
        current = _scores(opening["metrics"]["vote"], opening["samples"]["vote"], [opening["scores"]["vote"]])
        liars = frozenset(map(int, opening.get("adversaries", {})))
        reading = _Reading(learners, _rules(opening, plugins), liars, opening["weights"], current, {})
        reading._check_privacy(opening)
        return reading

    def check(self, line: Mapping[str, Any]) -> None:
        """Raise LedgerError unless this round follows from what was before it."""
        ballots = self._ballots(line)
        self._check_authors(line)
        self._check_privacy(line)
        if self.rules is not None:
            self._check_rules(line, self.rules, ballots)
        self._check_outcome(line)
        if self.rules is not None:
            self.rules = self.rules.after(_past(line, ballots))

    def _ballots(self, line: Mapping[str, Any]) -> Ballots:
        candidates = line["candidates"]
        for c, candidate in enumerate(candidates):
            for field in ("votes", "scores", "margins"):
                if field in candidate and len(candidate[field]) != self.learners:
                    found = len(candidate[field])
                    _wrong(line["round"], f"candidates.{c}.{field}", f"{found} of them for {self.learners} learners")
        columns = [[VOTES[letter] for letter in candidate["votes"]] for candidate in candidates]
        votes = np.array(columns, dtype=np.int8).reshape(len(candidates), self.learners).T
        if not any("margins" in candidate for candidate in candidates):
            return Ballots(votes)
        return Ballots(votes, _values([candidate["margins"] for candidate in candidates], self.learners))

    def _check_authors(self, line: Mapping[str, Any]) -> None:
        proposers = set(line["proposers"])
        proposed = proposers - set(map(int, line["refusals"]))
        for name in ("refusals", "observed"):
            if strangers := set(map(int, line.get(name, {}))) - proposers:
                _wrong(line["round"], name, f"learners {_listed(strangers)} weren't asked")
        for c, candidate in enumerate(line["candidates"]):
            if strangers := set(candidate["authors"]) - proposed:
                _wrong(line["round"], f"candidates.{c}.authors", f"learners {_listed(strangers)} proposed nothing")
            if candidate["digest"] is None:
                _wrong(line["round"], f"candidates.{c}.digest", "there is none")

    def _check_privacy(self, line: Mapping[str, Any]) -> None:
        """What is spent adds up: it never gets less, and never exceeds what was promised."""
        for i, spent in LedgerFile.spent(line).items():
            before = self.privacy.get(i)
            field = f"privacy.{i}"
            if spent.epsilon > spent.target_epsilon:
                _wrong(line["round"], field, f"epsilon {spent.epsilon:g} is above its limit {spent.target_epsilon:g}")
            if before is not None:
                if (spent.target_epsilon, spent.delta) != (before.target_epsilon, before.delta):
                    _wrong(line["round"], field, "it has another limit than before")
                if spent.epsilon < before.epsilon or any(_steps(spent, m) < m.steps for m in before.mechanisms):
                    _wrong(line["round"], field, "less is spent than before")
            self.privacy[i] = spent

    def _check_rules(self, line: Mapping[str, Any], rules: Rules, ballots: Ballots) -> None:
        round, streams = line["round"], Streams(rules.seed)
        asked = list(rules.strategy.proposers(round, self.learners, streams))
        if line["proposers"] != asked:
            _wrong(round, "proposers", f"{line['proposers']} were asked, by the rules {asked}")
        if not rules.policy.looks_closer:
            self._check_votes(line, rules, ballots, streams)
        decision = rules.policy.decide(ballots)
        for field in ("leader", "accepted", "reason"):
            if line[field] != getattr(decision, field):
                _wrong(round, field, f"it says {line[field]!r}, these votes give {getattr(decision, field)!r}")

    def _check_votes(self, line: Mapping[str, Any], rules: Rules, ballots: Ballots, streams: Streams) -> None:
        """Who plays no adversary votes as its scores ask for; the author of a lone candidate has no say."""
        if not line["candidates"]:
            return
        proposed = replace(self.scores, values=_values([c["scores"] for c in line["candidates"]], self.learners))
        honest = rules.policy.ballots(self.scores, proposed, line["round"], streams)
        honest = without_own_vote(honest, [c["authors"] for c in line["candidates"]])
        names = {APPROVE: "approves", REJECT: "rejects", ABSTAIN: "abstains"}
        for i in range(self.learners):
            if i in self.liars:
                continue
            for c in range(len(line["candidates"])):
                cast, asked_for = int(ballots.votes[i, c]), int(honest.votes[i, c])
                if cast != asked_for:
                    why = f"learner {i} {names[cast]}, where by its scores it {names[asked_for]}"
                    _wrong(line["round"], f"candidates.{c}.votes", why)
            if honest.margins is not None and not _same(ballots.margins, honest.margins, i):
                _wrong(line["round"], "margins", f"those of learner {i} don't follow from its scores")
            self.votes += len(line["candidates"])

    def _check_outcome(self, line: Mapping[str, Any]) -> None:
        """What won is in force from now on, or else what was before."""
        leader = line["leader"]
        if leader is not None and not 0 <= leader < len(line["candidates"]):
            _wrong(line["round"], "leader", f"there is no candidate {leader}")
        if not line["accepted"]:
            if line["weights"] != self.weights:
                _wrong(line["round"], "weights", "nothing was adopted, and yet other weights are in force")
            return
        if leader is None:
            _wrong(line["round"], "accepted", "there's no candidate that could have been adopted")
        adopted = line["candidates"][leader]
        if line["weights"] != adopted["digest"]:
            _wrong(line["round"], "weights", f"they aren't those of candidate {leader}, which was adopted")
        if len(line.get("test", [])) != self.learners:
            _wrong(line["round"], "test", "the scores of what was adopted are missing")
        self.weights = line["weights"]
        self.scores = replace(self.scores, values=_values([adopted["scores"]], self.learners))


def _same(published: NDArray[np.float32] | None, honest: NDArray[np.float32], learner: int) -> bool:
    return published is not None and np.array_equal(published[learner], honest[learner], equal_nan=True)


def _past(line: Mapping[str, Any], ballots: Ballots) -> PastRound:
    return PastRound(
        line["round"],
        tuple(line["proposers"]),
        tuple(tuple(c["authors"]) for c in line["candidates"]),
        tuple(c["label"] for c in line["candidates"]),
        ballots.votes,
        line["leader"],
        line["accepted"],
        {int(i): value for i, value in line.get("observed", {}).items()},
    )


def _scores(name: str, samples: list[int], columns: list[list[float | None]]) -> Scores:
    return Scores(metric(name), _values(columns, len(samples)), np.array(samples, dtype=np.int64))


def _values(columns: list[list[float | None]], learners: int) -> NDArray[np.float32]:
    rows = [[np.nan if value is None else value for value in column] for column in columns]
    return np.array(rows, dtype=np.float32).reshape(len(columns), learners).T


def _steps(spent: Spent, mechanism: Any) -> int:
    """How many times a mechanism with the same noise and sample rate was used."""
    return sum(m.steps for m in spent.mechanisms if m[:2] == mechanism[:2])


def _listed(learners: set[int]) -> str:
    return ", ".join(map(str, sorted(learners)))


def _wrong(round: int, field: str, why: str) -> Any:
    where = f"round {round}" if round else "the opening line"
    raise LedgerError(f"{where}, {field}: {why}")
