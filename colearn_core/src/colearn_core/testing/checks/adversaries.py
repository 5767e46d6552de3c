"""What every adversary must do."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from functools import cache
from typing import Any

import numpy as np

from ...adversaries import Adversary, DishonestCohort, Scene
from ...cohort import LoopCohort
from ...data import PrivateData, Samples
from ...errors import Abstention, ColearnError
from ...learner import Proposal
from ...proposing import Candidate
from ...reference import SoftmaxRegression
from ...streams import Streams
from ...voting import Ballots
from ...weights import Weights
from ..kit import Subject, fail, require
from ..probing import bits, global_generators, require_equal_looks
from ..samples import classes, private

STREAMS = Streams(11)

LEARNERS = 5

PLAYING = (1, 3)
"""The learners that play the adversary in checks."""


def same_seed_same_proposal(subject: Subject) -> None:
    """A run with adversaries is repeated as any other, to see whether another rule stands up to the same attack; what
    an adversary remembers, or draws elsewhere, makes the second attack another one.
    """
    scenes = dict(_scenes())
    once = _adversary(subject)
    found = []
    for attempt, adversary in enumerate((once, once, _adversary(subject))):
        titles = list(scenes)[::-1] if attempt else list(scenes)
        with global_generators(attempt):
            found.append({title: _answer(adversary, scenes[title], title) for title in titles})
    for title in scenes:
        require(
            _same(found[0][title], found[1][title]), f"asked again, in other company, it proposes otherwise: {title}"
        )
        require(_same(found[0][title], found[2][title]), f"a second instance proposes otherwise: {title}")


def proposals_are_of_the_model_or_declined(subject: Subject) -> None:
    """An attack whose proposals are malformed is no attack: it's refused by the first check, and the rule that is
    tested looks better than it is. An adversary that can't act says so, by an Abstention.
    """
    for title, scene in _scenes():
        answer = _answer(_adversary(subject), scene, title)
        if isinstance(answer, Exception):
            continue
        require(isinstance(answer, Proposal), f"{title}: it proposes {answer!r}, which is no Proposal")
        require(isinstance(answer.weights, Weights), f"{title}: the weights are {answer.weights!r}")
        try:
            answer.weights.check_like(scene.base)
        except ColearnError as error:
            fail(f"{title}: {error}")
        require(answer.samples > 0, f"{title}: it claims {answer.samples} samples")


def what_others_hold_is_left_unchanged(subject: Subject) -> None:
    """The base and the others' proposals are theirs, and everyone's after this: an adversary cheats by what it
    publishes, not by writing into others' memory.
    """
    for title, scene in _scenes():
        given = {"the base": scene.base, "the initial weights": scene.initial}
        given |= {f"the proposal of learner {i}": p.weights for i, p in {**scene.others, **scene.trained}.items()}
        before = {what: bits(weights) for what, weights in given.items()}
        proposers = list(scene.others), list(scene.trained)
        _answer(_adversary(subject), scene, title)
        for what, weights in given.items():
            require(bits(weights) == before[what], f"{title}: {what} is changed")
        require(
            (list(scene.others), list(scene.trained)) == proposers, f"{title}: the proposals of others are replaced"
        )


def data_are_poisoned_in_a_copy(subject: Subject) -> None:
    """Baselines and the success of a backdoor are measured on the honest data; whoever poisons those in place spoils
    the yardstick too.
    """
    data = _data()
    before = _bytes(data)
    _poisoned(_adversary(subject), data)
    require(_bytes(data) == before, "poison() changes the data that it's given")


def poisoned_data_are_still_data(subject: Subject) -> None:
    """The learner is made of them: other shapes, types or class numbers would fail in the backend, far from here."""
    data = _data()
    found = _poisoned(_adversary(subject), data)
    require(isinstance(found, PrivateData), f"poison() gives {found!r}, which is no PrivateData")
    require(found.task == data.task and found.key == data.key, "poison() changes the task or the key")
    for part in ("train", "vote", "test"):
        ours, theirs = getattr(found, part), getattr(data, part)
        require(len(ours.x) == len(ours.y) > 0, f"the {part} data have {len(ours.x)} rows and {len(ours.y)} targets")
        require(ours.x.shape[1:] == theirs.x.shape[1:], f"the {part} data have rows of shape {ours.x.shape[1:]}")
        types = ours.x.dtype, ours.y.dtype
        require(types == (theirs.x.dtype, theirs.y.dtype), f"the {part} data become of type {types}")
        known = bool(np.isin(ours.y, np.arange(len(data.task.classes))).all())
        require(known, f"the {part} data have targets that are no class numbers")


def same_seed_same_poison(subject: Subject) -> None:
    """A learner's data are part of the experiment, so they come from its seed alone."""
    found = []
    for attempt in range(2):
        with global_generators(attempt):
            found.append(_bytes(_poisoned(_adversary(subject), _data())))
    require(found[0] == found[1], "the same data and rng give other poisoned data")


def it_votes_as_it_is_told(subject: Subject) -> None:
    """The same attack is measured with honest and with lying voters; one that doesn't lie as told measures something
    else.
    """
    candidates = _candidates()
    honest = np.array([1, -1, 0, 1, -1], dtype=np.int8)
    loyal = [1 if set(c.authors) & set(PLAYING) else -1 for c in candidates]
    told = {"honest": honest.tolist(), "yes": [1] * 5, "no": [-1] * 5, "opposite": (-honest).tolist(), "loyal": loyal}
    for votes, expected in told.items():
        for number in range(8):
            given = honest.copy()
            ballot = _vote(subject, votes, given, candidates, number)
            require(np.array_equal(given, honest), f"votes = {votes!r}: it writes into its honest votes")
            if ballot is None:
                continue
            right = isinstance(ballot, np.ndarray) and ballot.shape == honest.shape and ballot.dtype == np.int8
            require(right, f"votes = {votes!r}: {ballot!r} are no votes (int8) on {len(candidates)} candidates")
            wrong = [v for v, e in zip(ballot.tolist(), expected, strict=True) if v not in (e, 0)]
            require(not wrong, f"votes = {votes!r}: told {expected}, it votes {ballot.tolist()} on {honest.tolist()}")


def honest_learners_are_left_alone(subject: Subject) -> None:
    """What an attack does to others it does by its proposals and votes; a cohort in which honest learners propose or
    vote otherwise tells nothing about the rule.
    """
    learners = [SoftmaxRegression(data) for data in _parts()]
    adversaries = {i: _adversary(subject) for i in PLAYING}
    cohort, loop = DishonestCohort(LoopCohort(learners), learners, adversaries), LoopCohort(learners)
    base, candidates = _base(), _candidates()
    asked = list(range(LEARNERS))
    found, expected = (c.propose(asked, base, 1, STREAMS).proposals for c in (cohort, loop))
    votes = np.tile(np.array([1, -1, 0, 1, -1], dtype=np.int8), (LEARNERS, 1))
    cast = cohort.cast(Ballots(votes, votes.astype(np.float32)), candidates, 1, STREAMS)
    for i in asked:
        if i not in PLAYING:
            same = i in found and _same(found[i], expected[i])
            require(same, f"honest learner {i} proposes otherwise when learners {PLAYING} play the adversary")
            require(np.array_equal(cast.votes[i], votes[i]), f"the votes of honest learner {i} are changed")


def global_generators_are_left_alone(subject: Subject) -> None:
    """Everything in a process shares these generators: who seeds or uses one decides what the others draw."""
    adversary = _adversary(subject)
    with global_generators(12345) as untouched:
        _poisoned(adversary, _data())
        for title, scene in _scenes():
            _answer(adversary, scene, title)
        _vote(subject, adversary.votes, np.ones(5, dtype=np.int8), _candidates(), 0)
        require(untouched(), "it touches a global random generator; draw from rng instead")


def equal_ones_look_equal(subject: Subject) -> None:
    """The ledger names who plays what by its ``repr``: a memory address in it makes each run's ledger another one."""
    require_equal_looks(subject)


def _adversary(subject: Subject, **changed: Any) -> Adversary:
    adversary = subject.make(**changed)
    require(isinstance(adversary, Adversary), f"{adversary!r} is no Adversary")
    return adversary  # type: ignore[no-any-return]


def _scenes() -> Iterator[tuple[str, Scene]]:
    """Rounds as they occur: in company and alone, at the beginning and later, trained or not."""
    base, proposals = _base(), _proposals()
    trained = {i: proposals[i] for i in PLAYING}
    others = {i: p for i, p in proposals.items() if i not in PLAYING}
    initial = Weights({name: np.zeros_like(array) for name, array in base.items()})
    company = Scene(
        round=4,
        learner=1,
        learners=LEARNERS,
        base=base,
        initial=initial,
        before=initial,
        past=(base, initial, initial),
        others=others,
        trained=trained,
        accomplices=frozenset(PLAYING),
    )
    yield "in company", company
    yield "as another learner", replace(company, learner=3)
    yield "with one honest learner", replace(company, others={0: proposals[0]})
    yield "alone", replace(company, others={}, trained={1: proposals[1]})
    yield "in the first round", replace(company, round=1, base=initial, before=None, past=())
    yield "when its own training failed", replace(company, trained={3: proposals[3]})
    yield "when nobody trained", replace(company, others={}, trained={})


def _answer(adversary: Adversary, scene: Scene, title: str) -> Any:
    """What it proposes, or the words in which it declines."""
    rng = STREAMS.generator("attack", scene.round, scene.learner)
    try:
        start = adversary.trains_from(replace(scene, others={}, trained={}))
        require(start is None or isinstance(start, Weights), f"{title}: it would train from {start!r}")
        return adversary.propose(scene, rng)
    except (Abstention, ColearnError) as refusal:
        require(bool(str(refusal).strip()), f"{title}: it declines without a word")
        return refusal
    except Exception as error:
        fail(f"{title}: it ends in {type(error).__name__}: {error}; to decline, raise Abstention")


def _same(one: Any, other: Any) -> bool:
    if isinstance(one, Proposal) and isinstance(other, Proposal):
        return one.samples == other.samples and bits(one.weights) == bits(other.weights)
    return type(one) is type(other) and str(one) == str(other)


def _vote(subject: Subject, votes: str, honest: Any, candidates: list[Candidate], number: int) -> Any:
    """Its votes; None where it abstains from all."""
    try:
        adversary = _adversary(subject, votes=votes)
        return adversary.cast(honest, candidates, frozenset(PLAYING), STREAMS.generator("lie", number, 1))
    except Abstention:
        return None
    except Exception as error:
        fail(f"votes = {votes!r}: it ends in {type(error).__name__}: {error}")


def _poisoned(adversary: Adversary, data: PrivateData) -> PrivateData:
    return adversary.poison(data, STREAMS.generator("poison", learner=1))


def _data() -> PrivateData:
    return private(classes())


def _bytes(data: PrivateData) -> Mapping[str, bytes]:
    parts: dict[str, Samples] = {"train": data.train, "vote": data.vote, "test": data.test}
    return {part: samples.x.tobytes() + samples.y.tobytes() for part, samples in parts.items()}


@cache
def _parts() -> tuple[PrivateData, ...]:
    usual = _data()
    return tuple(replace(usual, train=usual.train.take(np.arange(i * 10, i * 10 + 8 + 2 * i))) for i in range(LEARNERS))


def _base() -> Weights:
    """In arrays of its own, since a faulty adversary may write into them."""
    return Weights(dict(_trained_base()))


def _proposals() -> dict[int, Proposal]:
    return {i: Proposal(Weights(dict(p.weights)), p.samples) for i, p in _trained_proposals().items()}


@cache
def _trained_base() -> Weights:
    learner = SoftmaxRegression(_parts()[0])
    start = learner.initial_weights(STREAMS.generator("initial"))
    return learner.propose_weights(start, STREAMS.generator("base")).weights


@cache
def _trained_proposals() -> dict[int, Proposal]:
    learners = [SoftmaxRegression(data) for data in _parts()]
    return LoopCohort(learners).propose(range(LEARNERS), _base(), 1, STREAMS).proposals


def _candidates() -> list[Candidate]:
    authors = ((0,), (1,), (0, 2), (2, 3), tuple(range(LEARNERS)))
    return [Candidate(_proposals()[a[0]].weights, a, "candidate") for a in authors]
