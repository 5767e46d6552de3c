"""What every runtime must do: the same as the plain loop, wherever the work is done."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from ...approval import Approval
from ...cohort import Cohort, LoopCohort, Proposals
from ...data import Holdout, PrivateData, partition
from ...errors import Abstention, UsageError
from ...experiment import Experiment
from ...learner import Learner, Proposal
from ...ledger import FileLedger
from ...metrics import metric
from ...plugins import Plugins
from ...privacy import Budget, Privacy, SampledGaussian
from ...reference import SoftmaxRegression, blobs
from ...scores import Part, Scores
from ...splitting import Dirichlet
from ...streams import Streams
from ...voting import Majority
from ...weights import Weights
from ..kit import Subject, fail, require

PARTS: tuple[Part, Part] = ("vote", "test")
STREAMS = Streams(9)
NAMES = ("Zoë", "Bo", "learner-0", "Di", "Ed")
BAD = 2
"""The learner that misbehaves; the others must not notice."""


def learners_are_named(subject: Subject) -> None:
    """Reports and ledgers name learners: a wrong name puts one party's votes down to another."""
    for size in (1, 5):
        usual = tuple(f"learner-{i}" for i in range(size))
        for names, expected in ((None, usual), (NAMES[:size], NAMES[:size]), (list(NAMES[:size]), NAMES[:size])):
            cohort = subject.make(_learners()[:size], names)
            require(isinstance(cohort, Cohort), f"it gives {type(cohort).__name__} instead of Cohort")
            require(tuple(cohort.names) == expected, f"given {names}, learners are named {cohort.names}")
            require(isinstance(cohort.names, tuple), f"names are a {type(cohort.names).__name__}, not a tuple")
            require(len(cohort) == size, f"of {size} learners the cohort has {len(cohort)}")


def impossible_requests_are_refused(subject: Subject) -> None:
    """A wrong request must end before the first round, and say so: scores by different metrics can't be compared."""
    mixed = _learners()
    mixed[1].vote_metric = metric("accuracy")
    tested = _learners()
    tested[4].test_metric = metric("log_loss")
    requests: tuple[tuple[str, Sequence[Learner], Sequence[str] | None], ...] = (
        ("no learners", [], None),
        ("two learners of one name", _learners()[:2], ["same", "same"]),
        ("too few names", _learners(), NAMES[:4]),
        ("too many names", _learners()[:4], NAMES),
        ("learners that vote by different metrics", mixed, None),
        ("learners that report by different metrics", tested, None),
    )
    for title, learners, names in requests:
        try:
            subject.make(learners, names)
        except UsageError:
            continue
        except Exception as error:
            fail(f"{title}: refused by {type(error).__name__} instead of a ConfigError: {error}")
        fail(f"{title}: taken without an error")


def initial_weights_are_the_loops(subject: Subject) -> None:
    """All begin with the first learner's answer; another beginning is another run."""
    found = _cohort(subject).initial_weights(STREAMS.generator("initial"))
    expected = LoopCohort(_learners()).initial_weights(STREAMS.generator("initial"))
    require(found == expected, f"initial weights are {_brief(found)}, of the first learner {_brief(expected)}")


def its_metrics_are_the_learners(subject: Subject) -> None:
    """Votes need the metric's direction, and reports its name."""
    cohort, first = _cohort(subject), _learners()[0]
    for part, expected in (("vote", first.vote_metric), ("test", first.test_metric)):
        found = cohort.metric_of(part)  # type: ignore[arg-type]
        require(found == expected, f"the {part} metric is {found.name}, the learners' is {expected.name}")


def it_proposes_as_the_loop(subject: Subject) -> None:
    """Where the work is done must not decide what is proposed, or no one could check a run on another machine."""
    cohort, loop = _cohort(subject), LoopCohort(_learners())
    base = _base()
    for round, asked in ((1, range(5)), (2, [3]), (2, [1, 4]), (3, [])):
        found, expected = (c.propose(asked, base, round, STREAMS) for c in (cohort, loop))
        _require_proposals(found, expected, f"asked {list(asked)} in round {round}")
    found, expected = (c.propose([0, 2], _candidates()[1], 4, STREAMS) for c in (cohort, loop))
    _require_proposals(found, expected, "asked [0, 2] in round 4 with other weights")


def proposers_are_asked_in_any_order(subject: Subject) -> None:
    """Strategies name proposers in any order; candidates and the ledger list them by number."""
    cohort, base = _cohort(subject), _base()
    asked = [3, 0, 4, 1]
    found = cohort.propose(asked, base, 1, STREAMS)
    require(list(found.proposals) == sorted(asked), f"asked {asked}, proposals come as {list(found.proposals)}")
    _require_proposals(found, LoopCohort(_learners()).propose(asked, base, 1, STREAMS), f"asked {asked} in round 1")


def it_scores_as_the_loop(subject: Subject) -> None:
    """Votes follow from scores: one that differs can turn a round."""
    cohort, loop = _cohort(subject), LoopCohort(_learners())
    everything = _candidates()
    for part in PARTS:
        for candidates in (everything, everything[1:2], everything[:0], everything[::-1]):
            found, expected = (c.test(candidates, part) for c in (cohort, loop))
            _require_scores(found, expected, f"the {part} scores of {len(candidates)} candidates")
            shape = len(cohort), len(candidates)
            require(found.values.shape == shape, f"scores have the shape {found.values.shape} instead of {shape}")


def it_combines_as_the_learners(subject: Subject) -> None:
    """Only the learners know how their kind of model is merged, and that samples weigh."""
    base = _base()
    for kind in (_Drawn, _AddsUp):
        learners = [kind(data) for data in _private()]
        proposals = list(LoopCohort(learners).propose(range(5), base, 1, STREAMS).proposals.values())
        for merged in (proposals, proposals[:2], proposals[:1]):
            found, expected = subject.make(learners, None).combine(base, merged), learners[0].combine(base, merged)
            require(
                found == expected,
                f"{len(merged)} proposals of {kind.__name__} combine to {_brief(found)}, "
                f"by the learner's combine() to {_brief(expected)}",
            )


def a_failing_learner_costs_only_itself(subject: Subject) -> None:
    """One party's crash, or its decision to decline, must end neither the round nor the others' votes."""
    base, candidates = _base(), _candidates()
    failures = (
        (Abstention("privacy budget: 'spent' (ε = 8)"), "privacy budget: 'spent' (ε = 8)"),
        (ValueError("bad data"), "ValueError: bad data"),
        (MemoryError("too large"), "MemoryError: too large"),
    )
    for error, reason in failures:
        title = f"a learner that raises {type(error).__name__}"
        cohort = _with_one(subject, proposing=_raises(error), scoring=_raises(error))
        with _caught(f"{title} in propose_weights()"):
            proposed = cohort.propose(range(5), base, 1, STREAMS)
        require(proposed.refusals == {BAD: reason}, f"{title} is recorded as {proposed.refusals}, not {reason!r}")
        _require_others_propose(proposed, title)
        for part in PARTS:
            with _caught(f"{title} in test_weights()"):
                scores = cohort.test(candidates, part)
            reasons = dict(scores.reasons)
            require(reasons == {BAD: reason}, f"{title} is recorded as {reasons}, not {reason!r}")
            _require_others_score(scores, part, title)


def unusable_proposals_are_refused(subject: Subject) -> None:
    """Weights that aren't finite, or of another model, spoil every mean that they are in."""
    base = _base()
    first = next(iter(base))
    unusable: tuple[tuple[str, Any], ...] = (
        ("NaN in it", Proposal(Weights({**base, first: base[first] * np.nan}), 5)),
        ("an infinity in it", Proposal(Weights({**base, first: base[first] + np.inf}), 5)),
        ("another shape", Proposal(Weights({**base, first: np.zeros((1, 1))}), 5)),
        ("an array missing", Proposal(Weights({first: base[first]}), 5)),
        ("another type", Proposal(Weights({n: a.astype(np.float32) for n, a in base.items()}), 5)),
        ("no samples", Proposal(base, 0)),
        ("a negative number of samples", Proposal(base, -3)),
        ("nothing", None),
    )
    for title, answer in unusable:
        cohort = _with_one(subject, proposing=_gives(answer))
        with _caught(f"a proposal with {title}"):
            proposed = cohort.propose(range(5), base, 1, STREAMS)
        require(BAD not in proposed.proposals, f"a proposal with {title} is taken")
        require(bool(proposed.refusals.get(BAD)), f"a proposal with {title} is refused without a reason")
        _require_others_propose(proposed, f"a proposal with {title}")


def malformed_scores_are_abstentions(subject: Subject) -> None:
    """A learner whose answer is no score has no vote, and the others keep theirs."""
    malformed: tuple[Any, ...] = (None, "text", (None, 5), ("much", 5), (np.nan, 5), (np.inf, 5), (0.5, None), (0.5, 0))
    for answer in malformed:
        cohort = _with_one(subject, scoring=_gives(answer))
        for part in PARTS:
            with _caught(f"the score {answer!r}"):
                scores = cohort.test(_candidates(), part)
            _require_others_score(scores, part, f"a learner that answers {answer!r}")


def nobody_is_asked_twice(subject: Subject) -> None:
    """Scoring is what a round costs; and a second training would use up twice the privacy budget."""
    learners = [_Counting(data) for data in _private()]
    cohort: Cohort = subject.make(learners, None)
    cohort.test(_candidates(), "vote")
    cohort.propose([0, 1, 2], _base(), 1, STREAMS)
    for i, learner in enumerate(learners):
        require(
            learner.scored <= len(_candidates()),
            f"learner {i} scores {len(_candidates())} weights {learner.scored} times",
        )
        require(learner.trained <= 1, f"learner {i} trains {learner.trained} times for one proposal")


def the_ledger_does_not_depend_on_it(subject: Subject) -> None:
    """The record of a run is checked by playing it again, by others and elsewhere: it must come out the same."""
    found, expected = _hashes(subject.make), _hashes(LoopCohort)
    for round, (ours, theirs) in enumerate(zip(found, expected, strict=True)):
        require(ours == theirs, f"the ledger's line of round {round} has hash {ours[:12]}, with the loop {theirs[:12]}")


def _hashes(runtime: Callable[..., Cohort]) -> list[str]:
    learners = _learners()
    learners[BAD].scoring = _raises(Abstention("no time"))
    with TemporaryDirectory() as name, FileLedger(Path(name)) as ledger:
        experiment = Experiment(
            learners,
            proposals=Approval(3),
            voting=Majority(),
            runtime=runtime,
            seed=3,
            ledger=ledger,
            plugins=Plugins([]),
        )
        experiment.run(6)
        return [json.loads(line)["hash"] for line in ledger.path.read_text().splitlines()]


def budgets_are_told_and_kept(subject: Subject) -> None:
    """What a learner spends of its privacy is for the ledger to say; and it must be on the disk before a proposal is
    out, or a party that's killed and made anew spends it again.
    """
    learners = _learners()
    for i in (1, 3):
        learners[i].budget = Budget(Privacy(2.0, noise_multiplier=1.0), _count)
    cohort: Cohort = subject.make(learners, None)
    with TemporaryDirectory() as name:
        cohort.keep_budgets(Path(name))
        for round in (1, 2, 3):
            cohort.propose([0, 1], _base(), round, STREAMS)
        spent = {i: s.epsilon for i, s in cohort.spent().items()}
        require(spent == {1: 2.0, 3: 0.0}, f"learners 1 and 3 have spent 2 and 0, but spent() says {spent}")
        kept = {path.name: len(path.read_text().splitlines()) for path in sorted(Path(name).iterdir())}
        require(kept == {"learner-1.jsonl": 2}, f"of 2 entries of learner-1 the journals hold {kept}")


def _count(done: tuple[SampledGaussian, ...], delta: float) -> float:
    return float(sum(item.steps for item in done))


class _Drawn(SoftmaxRegression):
    """Draws its initial weights, and answers what it's told to; instances can be pickled."""

    proposing: _Answer | None = None
    scoring: _Answer | None = None

    def initial_weights(self, rng: np.random.Generator) -> Weights:
        return Weights({n: a + rng.normal(size=a.shape) * len(self.data.train) for n, a in self._initial.items()})

    def propose_weights(self, base: Weights, rng: np.random.Generator) -> Proposal:
        if self.proposing is not None:
            return self.proposing.given()  # type: ignore[no-any-return]
        if self.budget is not None:
            self.budget.spend("a proposal", {rng.bytes(16): SampledGaussian(1.0, 1.0, 1)})
        return super().propose_weights(base, rng)

    def test_weights(self, weights: Weights, part: Part) -> Any:
        return self.scoring.given() if self.scoring is not None else super().test_weights(weights, part)


class _AddsUp(_Drawn):
    def combine(self, base: Weights, proposals: Sequence[Proposal]) -> Weights:
        return Weights({n: np.sum([p.weights[n] for p in proposals], axis=0) for n in base})


class _Counting(_Drawn):
    """Counts what it's asked, if that happens in this process."""

    scored = 0
    trained = 0

    def propose_weights(self, base: Weights, rng: np.random.Generator) -> Proposal:
        self.trained += 1
        return super().propose_weights(base, rng)

    def test_weights(self, weights: Weights, part: Part) -> Any:
        self.scored += 1
        return super().test_weights(weights, part)


class _Answer:
    """An answer, or an exception to raise."""

    def __init__(self, value: Any = None, error: Exception | None = None) -> None:
        self.value, self.error = value, error

    def given(self) -> Any:
        if self.error is not None:
            raise self.error
        return self.value


def _raises(error: Exception) -> _Answer:
    return _Answer(error=error)


def _gives(value: Any) -> _Answer:
    return _Answer(value)


@cache
def _private() -> tuple[PrivateData, ...]:
    """Five learners' data, of different sizes; the last has nothing to vote by."""
    data = blobs(samples=100, features=4, spread=1.2)
    parts = partition(data, Dirichlet(1.0, 9), 5, Holdout(0.3, 0.2), Streams(2))
    last = parts[4]
    return (*parts[:4], replace(last, vote=last.vote.take(np.arange(0))))


def _learners() -> list[_Drawn]:
    return [_Drawn(data) for data in _private()]


def _cohort(subject: Subject) -> Cohort:
    cohort: Cohort = subject.make(_learners(), None)
    return cohort


def _with_one(subject: Subject, proposing: _Answer | None = None, scoring: _Answer | None = None) -> Cohort:
    learners = _learners()
    learners[BAD].proposing, learners[BAD].scoring = proposing, scoring
    cohort: Cohort = subject.make(learners, None)
    return cohort


@cache
def _base() -> Weights:
    return Weights(
        {name: array * 0.1 for name, array in _learners()[0].initial_weights(STREAMS.generator("b")).items()}
    )


@cache
def _candidates() -> list[Weights]:
    proposed = LoopCohort(_learners()).propose([0, 1, 3], _base(), 7, STREAMS).proposals
    return [_base(), *(p.weights for p in proposed.values())]


@contextmanager
def _caught(title: str) -> Iterator[None]:
    """Turn whatever is raised within into a failed check."""
    try:
        yield
    except Exception as error:
        fail(f"{title} ends the round with {type(error).__name__}: {error}")


def _require_others_propose(found: Proposals, title: str) -> None:
    others = [i for i in range(5) if i != BAD]
    expected = LoopCohort(_learners()).propose(others, _base(), 1, STREAMS)
    require(list(found.proposals) == others, f"{title}: proposals come from {list(found.proposals)}, not {others}")
    same = all(found.proposals[i].weights == expected.proposals[i].weights for i in others)
    require(same, f"{title} changes what the others propose")
    require(list(found.refusals) == [BAD], f"{title}: refusals are {found.refusals}")


def _require_others_score(found: Scores, part: Part, title: str) -> None:
    expected = LoopCohort(_learners()).test(_candidates(), part)
    require(found.values.shape == expected.values.shape, f"{title}: scores have the shape {found.values.shape}")
    own = found.values[BAD]
    require(bool(np.isnan(own).all()), f"{title} has the {part} scores {own}, instead of none (NaN)")
    others = np.arange(5) != BAD
    same = np.array_equal(found.values[others], expected.values[others], equal_nan=True)
    require(same, f"{title} changes the others' {part} scores to {found.values[others].tolist()}")
    counts = found.samples[others].tolist(), expected.samples[others].tolist()
    require(counts[0] == counts[1], f"{title}: the others score on {counts[0]} samples instead of {counts[1]}")


def _require_proposals(found: Proposals, expected: Proposals, when: str) -> None:
    ours, theirs = list(found.proposals), list(expected.proposals)
    require(ours == theirs, f"{when}, learners {ours} propose, in the loop {theirs}")
    require(found.refusals == expected.refusals, f"{when}, refusals are {found.refusals}, not {expected.refusals}")
    for i, proposal in expected.proposals.items():
        other = found.proposals[i]
        samples = other.samples, proposal.samples
        require(
            samples[0] == samples[1], f"{when}, learner {i} trains on {samples[0]} samples, in the loop {samples[1]}"
        )
        same = other.weights == proposal.weights
        texts = _brief(other.weights), _brief(proposal.weights)
        require(same, f"{when}, learner {i} proposes {texts[0]}, in the loop {texts[1]}")


def _require_scores(found: Scores, expected: Scores, title: str) -> None:
    require(found.metric == expected.metric, f"{title} are by {found.metric.name}, not {expected.metric.name}")
    require(found.values.shape == expected.values.shape, f"{title} have the shape {found.values.shape}")
    same = np.array_equal(found.values, expected.values, equal_nan=True)
    require(same, f"{title} are {found.values.tolist()}, in the loop {expected.values.tolist()}")
    if found.values.shape[1]:
        samples = found.samples.tolist(), expected.samples.tolist()
        require(samples[0] == samples[1], f"{title} are of {samples[0]} samples, in the loop {samples[1]}")
    reasons = dict(found.reasons), dict(expected.reasons)
    require(reasons[0] == reasons[1], f"{title} lack reasons: {reasons[0]} instead of {reasons[1]}")


def _brief(weights: Weights) -> str:
    first = next(iter(weights))
    return f"{first!r} = {np.array2string(weights[first].ravel()[:3], precision=9)}..."
