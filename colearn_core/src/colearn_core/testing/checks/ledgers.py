"""What every ledger must do."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from copy import deepcopy
from dataclasses import fields, replace
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

import numpy as np

from ...approval import Approval
from ...cohort import LoopCohort
from ...data import Holdout, PrivateData, partition
from ...errors import Abstention, LedgerError
from ...history import History
from ...learner import Proposal
from ...ledger import Ledger
from ...metrics import metric
from ...privacy import Budget, Privacy, SampledGaussian
from ...proposing import RoundRobin
from ...reference import SoftmaxRegression, blobs
from ...rounds import CandidateRecord, RoundRecord, Standing, assess, play
from ...scores import Scores
from ...splitting import Dirichlet
from ...streams import Streams
from ...voting import Decision, Majority
from ...weights import Weights
from ..kit import Subject, fail, require

ABOUT = {"experiment": {"name": 'a "test" of Zoë'}, "seed": 1}
ASIDE = {"platform": "any"}


def the_history_is_read_back(subject: Subject) -> None:
    """The ledger is all that is left of a run: reports, plots and disputes are settled by what it says."""
    game = _game()
    with _begun(subject, game) as ledger:
        _require_history(ledger, game, 0)
        for played, record in enumerate(game.records, start=1):
            ledger.append(record)
            _require_history(ledger, game, played)


def the_weights_in_force_are_read_back(subject: Subject) -> None:
    """Whoever joins or resumes begins with these weights: with any others the next vote is on another model."""
    for game in (_game(), _odd_weights()):
        with _begun(subject, game) as ledger:
            _require_weights(ledger, game, 0)
            for played, record in enumerate(game.records, start=1):
                ledger.append(record)
                _require_weights(ledger, game, played)


def it_can_be_read_after_closing(subject: Subject) -> None:
    """A run closes its ledger before anyone reads it."""
    game = _game()
    with _begun(subject, game) as ledger:
        _append(ledger, game)
        ledger.close()
        _require_same(ledger, game, len(game.records))


def closing_twice_is_harmless(subject: Subject) -> None:
    """A run closes its ledger, and so may its caller: an error then would hide how the run ended."""
    game = _game()
    with _begun(subject, game) as ledger:
        _append(ledger, game)
        for attempt in ("first", "second"):
            try:
                ledger.close()
            except Exception as error:
                fail(f"the {attempt} close() raised {type(error).__name__}: {error}")
        _require_same(ledger, game, len(game.records))


def odd_rounds_are_recorded(subject: Subject) -> None:
    """A round without candidates, without scores or with an odd name is a round too: a run that ends at it is lost."""
    for game in (_odd_rounds(), _lone_learner()):
        with _begun(subject, game) as ledger:
            for played, record in enumerate(game.records, start=1):
                try:
                    ledger.append(record)
                except Exception as error:
                    fail(f"round {played} ({record.decision.reason!r}) raised {type(error).__name__}: {error}")
                _require_same(ledger, game, played)


def a_ledger_is_never_overwritten(subject: Subject) -> None:
    """A second run into the same folder must not cost the record of the first."""
    game, other = _game(), _lone_learner()
    with TemporaryDirectory() as name, subject.make(Path(name)) as ledger:
        _begin(ledger, game)
        _append(ledger, game)
        ledger.close()
        try:
            with subject.make(Path(name)) as second:
                _begin(second, other)
        except LedgerError:
            pass
        except Exception as error:
            fail(f"a second ledger in the folder is refused by {type(error).__name__} instead of LedgerError: {error}")
        else:
            fail("a second ledger can be begun in the folder of a first")
        _require_same(ledger, game, len(game.records))


def a_failed_append_changes_nothing(subject: Subject) -> None:
    """Half a round in the ledger is worse than none: nobody could say then which weights are in force."""
    for title, spoil, must_raise in _FAULTS:
        game = _game()
        kept = next(i for i, record in enumerate(game.records) if record.accepted and i)
        with _begun(subject, game) as ledger:
            for record in game.records[:kept]:
                ledger.append(record)
            try:
                ledger.append(spoil(game.records[kept]))
            except Exception:
                _require_same(ledger, game, kept, f"after a failed append ({title}) ")
                ledger.append(game.records[kept])
                _require_same(ledger, game, kept + 1, f"after a failed append ({title}) and a good one ")
            else:
                require(not must_raise, f"a record with {title} is taken without an error")


def what_is_recorded_stays(subject: Subject) -> None:
    """What was decided must not change afterwards, whatever is done with the arrays that it was recorded from or
    read into.
    """
    game, expected = _game(), _game()
    with _begun(subject, game) as ledger:
        _append(ledger, game)
        for record in game.records:
            record.votes[:] = -record.votes
            record.scores[:] = 7
            record.refusals.clear()
        for standing in (game.standing, *(record.standing for record in game.records)):
            for scores in (standing.vote, standing.test):
                scores.values[:] = 7
                scores.samples[:] = 7
        _require_history(ledger, expected, len(expected.records), "after the caller altered its records, ")
        for column in vars(ledger.history()).values():
            _spoil(column)
        _require_history(ledger, expected, len(expected.records), "after the caller altered a history read before, ")


def records_are_left_unchanged(subject: Subject) -> None:
    """The run goes on with the record that it gave to the ledger, and observers get it next."""
    game, before = _game(), _game()
    about, aside = deepcopy(ABOUT), deepcopy(ASIDE)
    with TemporaryDirectory() as name, subject.make(Path(name)) as ledger:
        ledger.begin(about, game.names, game.standing, aside)
        require((about, aside) == (ABOUT, ASIDE), f"begin() altered what it was told about the run: {about}, {aside}")
        _require_unchanged("begin()", game.standing, before.standing)
        for ours, theirs in zip(game.records, before.records, strict=True):
            ledger.append(ours)
            _require_unchanged("append()", ours, theirs)


def two_ledgers_keep_apart(subject: Subject) -> None:
    """Several runs may be recorded at the same time: none must end up in the record of another."""
    one, other = _game(), _odd_rounds()
    with _begun(subject, one) as first, _begun(subject, other) as second:
        for ours, theirs in zip(one.records, other.records, strict=False):
            first.append(ours)
            second.append(theirs)
        played = min(len(one.records), len(other.records))
        _require_same(first, one, played, "with a second ledger open ")
        _require_same(second, other, played, "with a first ledger open ")


class _Game(NamedTuple):
    """A run as it was in memory."""

    names: tuple[str, ...]
    standing: Standing
    records: tuple[RoundRecord, ...]

    def after(self, played: int) -> Weights:
        return self.records[played - 1].standing.weights if played else self.standing.weights

    def history(self, played: int) -> History:
        history = History.begin(self.names, self.standing)
        for record in self.records[:played]:
            history.add(record)
        return history


@contextmanager
def _begun(subject: Subject, game: _Game) -> Iterator[Ledger]:
    with TemporaryDirectory() as name, subject.make(Path(name)) as ledger:
        _begin(ledger, game)
        yield ledger


def _begin(ledger: Ledger, game: _Game) -> None:
    ledger.begin(ABOUT, game.names, game.standing, ASIDE)


def _append(ledger: Ledger, game: _Game) -> None:
    for record in game.records:
        ledger.append(record)


def _require_same(ledger: Ledger, game: _Game, played: int, when: str = "") -> None:
    _require_history(ledger, game, played, when)
    _require_weights(ledger, game, played, when)


def _require_history(ledger: Ledger, game: _Game, played: int, when: str = "") -> None:
    found, expected = ledger.history(), game.history(played)
    for field in fields(History):
        ours, theirs = getattr(found, field.name), getattr(expected, field.name)
        if not _equal(ours, theirs):
            fail(f"{when}history().{field.name} of {played} rounds is {_brief(ours)}, recorded was {_brief(theirs)}")


def _require_weights(ledger: Ledger, game: _Game, played: int, when: str = "") -> None:
    found, expected = ledger.weights(), game.after(played)
    if found != expected:
        fail(
            f"{when}weights() after {played} rounds gives {found!r} with digest {found.digest[:8]}, "
            f"in force is {expected!r} with {expected.digest[:8]}"
        )


def _require_unchanged(what: str, record: Any, before: Any) -> None:
    for name, ours, theirs in zip(record._fields, record, before, strict=True):
        require(_equal(ours, theirs), f"{what} altered {name!r} from {_brief(theirs)} to {_brief(ours)}")


def _equal(one: Any, other: Any) -> bool:
    if isinstance(one, np.ndarray) and isinstance(other, np.ndarray):
        if one.dtype != other.dtype:
            return False
        return np.array_equal(one, other, equal_nan=other.dtype.kind == "f")
    if isinstance(one, Scores) and isinstance(other, Scores):
        return all(_equal(getattr(one, f.name), getattr(other, f.name)) for f in fields(Scores))
    if isinstance(one, list | tuple) and isinstance(other, list | tuple):
        same = isinstance(one, list) == isinstance(other, list) and len(one) == len(other)
        return same and all(map(_equal, one, other))
    return type(one) is type(other) and bool(one == other)


def _brief(value: Any) -> str:
    text = " ".join(repr(value).split())
    return text if len(text) <= 160 else f"{text[:100]} ... {text[-60:]}"


def _spoil(column: Any) -> None:
    if isinstance(column, list):
        for item in column:
            _spoil(item)
        column.clear()
    elif isinstance(column, np.ndarray):
        with suppress(ValueError):  # read-only is safe
            column[...] = 7


_FAULTS: tuple[tuple[str, Callable[[RoundRecord], RoundRecord], bool], ...] = (
    ("no votes", lambda r: r._replace(votes=None), True),  # type: ignore[arg-type]
    ("no standing", lambda r: r._replace(standing=None), True),  # type: ignore[arg-type]
    ("no test scores", lambda r: r._replace(standing=r.standing._replace(test=None)), True),  # type: ignore[arg-type]
    # Not every ledger keeps these.
    ("no scores", lambda r: r._replace(scores=None), False),  # type: ignore[arg-type]
    ("no times", lambda r: r._replace(seconds=None), False),  # type: ignore[arg-type]
)
"""Records that can't be written; they fail early, in the middle and late."""


class _Paying(SoftmaxRegression):
    """Pays for its proposals from a privacy budget that allows one of them."""

    budget: Budget

    def __init__(self, data: PrivateData) -> None:
        super().__init__(data, learning_rate=0.5)
        self.budget = Budget(Privacy(1.5, noise_multiplier=1.0), lambda done, delta: sum(d.steps / 0.7 for d in done))

    def propose_weights(self, base: Weights, rng: np.random.Generator) -> Proposal:
        self.budget.spend("a proposal", {self.budget.answer(b"", rng.bytes(8)): SampledGaussian(1.5, 0.1, 1)})
        return super().propose_weights(base, rng)


class _Silent(SoftmaxRegression):
    """Declines to propose, and has nothing to vote by."""

    def propose_weights(self, base: Weights, rng: np.random.Generator) -> Proposal:
        raise Abstention('privacy budget "spent"')


def _game() -> _Game:
    """Eight rounds as they're played, accepted and rejected ones, in fresh arrays."""
    game = _played()
    return _Game(game.names, _copied(game.standing), tuple(map(_copied_record, game.records)))


@cache
def _played() -> _Game:
    data = blobs(samples=120, features=4, spread=1.2)
    parts = partition(data, Dirichlet(0.5, 8), 5, Holdout(0.3, 0.2), Streams(4))
    learners = [_Paying(parts[0]), *(SoftmaxRegression(part, learning_rate=0.5) for part in parts[1:4])]
    quiet = replace(parts[4], vote=parts[4].vote.take(np.arange(0)))
    cohort = LoopCohort([*learners, _Silent(quiet)])
    streams, records = Streams(4), []
    first = standing = assess(cohort, cohort.initial_weights(streams.generator("initial")))
    for round in range(1, 9):
        strategy = Approval(3) if round in (4, 7) else RoundRobin()
        records.append(play(round, standing, cohort, strategy, Majority(), streams, digests=True))
        standing = records[-1].standing
    return _Game(cohort.names, first, tuple(records))


def _copied(standing: Standing) -> Standing:
    def copy(scores: Scores) -> Scores:
        return Scores(scores.metric, scores.values.copy(), scores.samples.copy(), dict(scores.reasons))

    return Standing(standing.weights, copy(standing.vote), copy(standing.test), dict(standing.privacy))


def _copied_record(record: RoundRecord) -> RoundRecord:
    return record._replace(
        refusals=dict(record.refusals),
        votes=record.votes.copy(),
        scores=record.scores.copy(),
        abstentions=dict(record.abstentions),
        standing=_copied(record.standing),
        seconds=dict(record.seconds),
    )


def _odd_weights() -> _Game:
    """Weights of all sorts; the first ones are adopted again in the end."""
    one = Weights(
        {
            "a.b/c ü": np.array([[0.1, -0.0], [np.pi, 1e-310]]),
            "count": np.array([2**62 + 1, -1]),
            "empty": np.zeros((0, 3), dtype=np.float32),
            "half": np.array([1.5, 6e-8], dtype=np.float16),
            "mask": np.array([True, False]),
            "scalar": np.array(1 / 3),
        }
    )
    other = Weights({**one, "scalar": np.nextafter(1 / 3, 1)})
    no_test = _scores("accuracy", [0, 0], np.nan, np.nan)
    standings = [
        Standing(weights, _scores("log_loss", [3, 4], 0.5 / (1 + round), 0.125), no_test)
        for round, weights in enumerate((one, other, one))
    ]
    records = [_record(i, standings[i], [[1], [1]], accepted=True, leader=0) for i in (1, 2)]
    return _Game(("a", "b"), standings[0], tuple(records))


def _odd_rounds() -> _Game:
    """Rounds without candidates or scores, with rivals and with text of all sorts."""
    names = ("Zoë", 'the "first", {really}', "two\nlines\u2028", "漢字 \U0001f600")
    samples = [3, 0, 2, 1]
    first, second = (Weights({"w": np.array([value])}) for value in (1.0, 2.0))
    no_test = _scores("accuracy", [0] * 4, *[np.nan] * 4)
    begin = Standing(first, _scores("mse", samples, np.nan, np.nan, np.nan, np.nan, reasons={0: "no\ttime"}), no_test)
    adopted = Standing(second, _scores("mse", samples, 0.1, np.nan, 1e-45, 3.4e38, reasons={1: "ill"}), no_test)
    records = (
        _record(1, begin, [[], [], [], []], refusals={0: 'ValueError: "no"', 2: "gone\\"}, proposers=(0, 2)),
        _record(2, begin, [[0], [0], [0], [0]], leader=0, reason="no quorum: 0 of 4 learners voted"),
        _record(3, adopted, [[-1, 1, 0], [-1, 1, 1], [0, 1, -1], [-1, 0, 0]], accepted=True, leader=1),
        _record(4, adopted, [[-1, -1], [-1, 0], [-1, -1], [-1, -1]], leader=0, reason="naïve: 'no'\n"),
        _record(5, adopted, [[], [], [], []], proposers=()),
    )
    return _Game(names, begin, records)


def _lone_learner() -> _Game:
    first, second = (Weights({"w": np.array([value])}) for value in (3.0, 4.0))
    begin = Standing(first, _scores("accuracy", [5], 0.2), _scores("accuracy", [5], 0.2))
    after = Standing(second, _scores("accuracy", [5], 0.8), _scores("accuracy", [5], 0.4))
    return _Game(("only me",), begin, (_record(1, after, [[1]], accepted=True, leader=0),))


def _scores(name: str, samples: list[int], *values: float, reasons: dict[int, str] | None = None) -> Scores:
    return Scores(metric(name), np.array(values)[:, None], np.array(samples, dtype=np.int64), reasons or {})


def _record(
    round: int,
    standing: Standing,
    votes: list[list[int]],
    *,
    accepted: bool = False,
    leader: int | None = None,
    reason: str = "counted",
    refusals: dict[int, str] | None = None,
    proposers: tuple[int, ...] = (0,),
) -> RoundRecord:
    ballots = np.array(votes, dtype=np.int8).reshape(len(votes), -1)
    scores = np.full(ballots.shape, np.nan, dtype=np.float32)
    if accepted and leader is not None:
        scores[:, leader] = standing.vote.values[:, 0]
    candidates = [CandidateRecord(f"step ½ #{c}", tuple(range(c % 2, 2)), "0" * 64) for c in range(ballots.shape[1])]
    approvals, rejections = ((ballots == sign).sum(axis=0).tolist() for sign in (1, -1))
    decision = Decision(accepted, leader, tuple(approvals), tuple(rejections), reason)
    seconds = {"propose": 0.1, "vote": 0.0, "round": 0.1}
    listed, abstentions = tuple(candidates), dict(standing.vote.reasons)
    return RoundRecord(
        *(round, proposers, refusals or {}, listed, ballots, scores, abstentions, decision, standing, seconds)
    )
