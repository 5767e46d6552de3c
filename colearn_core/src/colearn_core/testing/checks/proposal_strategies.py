"""What every proposal strategy must do."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from math import isfinite
from typing import Any

import numpy as np

from ...errors import WeightsError
from ...learner import Proposal
from ...past import PastRound
from ...proposing import Candidate, ProposalStrategy
from ...streams import Streams
from ...voting import ABSTAIN, APPROVE, REJECT
from ...weights import Weights, mean
from ..kit import Subject, fail, require
from ..probing import bits, global_generators, require_equal_looks

LEARNERS = 7
"""How many learners there are where their number doesn't matter; no usual committee size divides it."""

ROUNDS = 30

BLAMED = 3
"""The learner whose proposals are voted down, where it matters what a strategy learns."""

EVER = 100 * LEARNERS
"""Rounds in which everyone should have been asked once; drawing one at random misses someone in 1 of 10^46 runs."""


def proposers_are_learners(subject: Subject) -> None:
    """A round asks the learners of these numbers and the ledger writes them as JSON: a number that doesn't exist
    ends the run, one that occurs twice counts twice.
    """
    strategy = _strategy(subject)
    for n in range(1, 13):
        for round in range(1, ROUNDS + 1):
            told = f"in round {round} of {n} learners"
            _require_learners(list(strategy.proposers(round, n, Streams(0))), n, told)


def same_seed_same_proposers(subject: Subject) -> None:
    """Every party works out for itself who proposes, and a replay does so later: both must come to the same."""
    rounds = list(range(1, ROUNDS + 1))
    once = _strategy(subject)
    found = []
    for attempt, strategy in enumerate((once, once, _strategy(subject))):
        order = rounds[::-1] if attempt else rounds
        with global_generators(attempt):
            asked = {round: list(strategy.proposers(round, LEARNERS, Streams(3))) for round in order}
        found.append([asked[round] for round in rounds])
    require(found[0] == found[1], "the same strategy asks others when the rounds come in another order")
    require(found[0] == found[2], "a second instance asks others for the same streams")


def global_generators_are_left_alone(subject: Subject) -> None:
    """Learners share the process with the strategy: if it seeds a global generator, it decides what they draw."""
    strategy = _strategy(subject)
    with global_generators(12345) as untouched:
        for round in range(1, 4):
            _candidates(strategy, _proposals(strategy, round))
        require(untouched(), "proposing touches a global random generator; draw from streams instead")


def everyone_proposes_in_the_end(subject: Subject) -> None:
    """What a learner knows reaches the others by its proposals only: one that is never asked has joined in vain."""
    strategy = _strategy(subject)
    asked: set[int] = set()
    for round in range(1, EVER + 1):
        asked.update(strategy.proposers(round, LEARNERS, Streams(0)))
        if len(asked) >= LEARNERS:
            break
    never = sorted(set(range(LEARNERS)) - asked)
    require(not never, f"of {LEARNERS} learners {never} are never asked within {EVER} rounds")


def candidates_fit_the_model(subject: Subject) -> None:
    """What is put to the vote must be weights of the same model, named for the reader, by learners that proposed
    something: the rest of the collective can neither score nor record anything else.
    """
    for _, proposals, candidates in _votes(subject):
        require(bool(candidates), f"{len(proposals)} proposals give no candidate")
        for candidate in candidates:
            require(isinstance(candidate, Candidate), f"{candidate!r} is no Candidate")
            weights, authors, label = candidate
            try:
                weights.check_like(_base())
                weights.check_finite()
            except WeightsError as error:
                fail(f"candidate {label!r} of {len(proposals)} proposals: {error}")
            one_line = isinstance(label, str) and bool(label.strip()) and len(label.splitlines()) == 1
            require(one_line, f"the label {label!r} is not a line of text")
            plain = type(authors) is tuple and all(type(i) is int for i in authors)
            require(plain and bool(authors), f"authors of {label!r} are {authors!r}, not a tuple of learners' numbers")
            require(
                set(authors) <= set(proposals) and len(set(authors)) == len(authors),
                f"authors of {label!r} are {authors}, proposals came from {tuple(proposals)}",
            )


def candidates_are_repeatable(subject: Subject) -> None:
    """The ledger holds the candidates' digests: whoever checks it puts the same proposals together and must get
    the same candidates. So nothing may be remembered, drawn, or written into what is given.
    """
    used = _strategy(subject)
    cases = {tuple(proposals): proposals for proposals in _calls(used)}
    first = {asked: _candidates(used, proposals) for asked, proposals in cases.items()}
    for asked, proposals in reversed(cases.items()):
        base, given = _base(), dict(proposals)
        before = [bits(base), *(bits(p.weights) for p in given.values())]
        for strategy in (used, _strategy(subject)):
            require(
                list(strategy.candidates(base, given, _combine)) == first[asked],
                f"the proposals of {asked} give other candidates when they are put together again",
            )
        require(
            [bits(base), *(bits(p.weights) for p in given.values())] == before and given == proposals,
            f"the base or the proposals of {asked} are changed",
        )


def authors_are_named_truthfully(subject: Subject) -> None:
    """An author doesn't vote on its own work, and a defence blames the authors of what was rejected: a candidate
    must hold something of each author it names, and nothing of anyone else.
    """
    for strategy, proposals, candidates in _votes(subject):
        for j in proposals:
            followed = dict.fromkeys((_key(c) for c in candidates if j in c.authors), False)
            for attempt in range(6):
                # From the second on they change little, else a rule that leaves out what is far off follows none.
                changed = _changed(proposals[j], attempt, size=10.0 if attempt < 2 else 0.3)
                after = _candidates(strategy, {**proposals, j: changed})
                for candidate in candidates:
                    # A rule may choose others now: only what says that it came about alike is compared.
                    alike = [c.weights for c in after if _key(c) == _key(candidate)]
                    moved = bool(alike) and candidate.weights not in alike
                    if j in candidate.authors:
                        followed[_key(candidate)] |= moved or not alike
                    else:
                        require(
                            not moved,
                            f"candidate {candidate.label!r} of {candidate.authors} changes with the proposal of "
                            f"learner {j}, which it doesn't name",
                        )
            for (authors, label), follows in followed.items():
                require(
                    follows, f"candidate {label!r} names {authors}, but nothing that learner {j} proposes changes it"
                )


def a_lone_proposal_is_put_to_the_vote(subject: Subject) -> None:
    """Others fall silent or are refused, and the one proposal that came is all there is: it must not be lost."""
    strategy, base = _strategy(subject), _base()
    for round in range(1, 8):
        author, proposal = next(iter(_proposals(strategy, round).items()))
        candidates = _candidates(strategy, {author: proposal})
        require(
            any(c.authors == (author,) and _leads_towards(proposal.weights, c.weights, base) for c in candidates),
            f"learner {author} alone proposes, but {[(c.label, c.authors) for c in candidates]} is put to the vote: "
            "none of them leads from the base to its proposal",
        )


def merging_is_left_to_the_learners(subject: Subject) -> None:
    """Only the learners know how models of their kind are merged: ``combine`` must get their proposals, and the
    candidate name all of those whose proposals it was given.
    """
    base = _base()
    for strategy, proposals, _ in _votes(subject):
        author_of = {p.weights.digest: i for i, p in proposals.items()}
        recorder = _Recorder()
        candidates = strategy.candidates(base, proposals, recorder)
        for given, merged in recorder.calls:
            require(bool(given), "combine is called without a proposal")
            for proposal in given:
                require(isinstance(proposal, Proposal), f"combine is given {type(proposal).__name__}, not proposals")
                proposal.weights.check_like(base)
            # A defence may hand on altered proposals, whose authors can't be told.
            if all(p.weights.digest in author_of for p in given):
                behind = sorted(author_of[p.weights.digest] for p in given)
                for candidate in candidates:
                    if candidate.weights == merged:
                        require(
                            sorted(candidate.authors) == behind,
                            f"candidate {candidate.label!r} names {candidate.authors}, combine was given the "
                            f"proposals of {behind}",
                        )


def what_it_learns_is_public(subject: Subject) -> None:
    """Whoever reads the ledger folds the rounds that it holds, and must come to the strategy that the players had:
    from nothing but the record, without a draw, and each strategy stays as it was.
    """
    used, reader = _strategy(subject), _strategy(subject)
    first = _strategy(subject)
    for past in [_past(first, round) for round in range(1, ROUNDS + 1)]:
        votes, before = past.votes.copy(), _behaviour(used)  # its candidates are seen here, by a player only
        with global_generators(past.round) as untouched:
            later = used.after(past)
            require(untouched(), "after() touches a global random generator")
        require(isinstance(later, ProposalStrategy), f"after() gives {later!r}, which is no strategy")
        require(np.array_equal(past.votes, votes), "after() writes into the votes of the record")
        require(_behaviour(used) == before, "after() changes the strategy itself; it must give another one")
        with global_generators(12345 + past.round):
            reader = reader.after(past)
        used = later
    require(
        _behaviour(used) == _behaviour(reader),
        "whoever only read the record comes to another strategy than whoever also put proposals together",
    )


def what_it_observes_can_be_recorded(subject: Subject) -> None:
    """What a strategy observes of proposals goes into the ledger, as a number by author, and whoever checks it later
    must observe the same of the same proposals.
    """
    used = _strategy(subject)
    for proposals in _calls(used):
        base = _base()
        before = [bits(base), *(bits(p.weights) for p in proposals.values())]
        found = []
        for attempt, strategy in enumerate((used, used, _strategy(subject))):
            with global_generators(attempt) as untouched:
                found.append(strategy.observe(base, dict(proposals)))
                require(untouched(), "observe() touches a global random generator")
        told = f"the proposals of {tuple(proposals)}"
        require(found[0] == found[1] == found[2], f"of {told} it observes now this, now that")
        require([bits(base), *(bits(p.weights) for p in proposals.values())] == before, "observe() changes weights")
        require(isinstance(found[0], Mapping), f"observe() gives {found[0]!r}, which is no mapping")
        outsiders = [i for i in found[0] if i not in proposals]
        require(not outsiders, f"it observes something of {outsiders} in {told}")
        odd = {i: value for i, value in found[0].items() if type(value) is not float or not isfinite(value)}
        require(not odd, f"what it observes are no finite Python floats, which a ledger could hold: {odd}")


def nobody_is_shut_out_for_ever(subject: Subject) -> None:
    """A learner whose proposals were all voted down may have had bad luck, or mended: it must be asked now and then,
    and what it proposes be put to the vote if there's nothing else.
    """
    strategy = _strategy(subject)
    asked: set[int] = set()
    for round in range(1, ROUNDS + EVER + 1):
        proposers = list(strategy.proposers(round, LEARNERS, Streams(0)))
        _require_learners(proposers, LEARNERS, f"in round {round}, after others,")
        if round > ROUNDS:
            asked.update(proposers)
        if len(asked) >= LEARNERS:
            break
        strategy = strategy.after(_past(strategy, round))
    never = sorted(set(range(LEARNERS)) - asked)
    require(not never, f"while learner {BLAMED} is voted down {never} are not asked any more within {EVER} rounds")
    candidates = _candidates(strategy, {BLAMED: _proposal(BLAMED)})
    require(bool(candidates), f"what learner {BLAMED} alone proposes is lost after it was voted down")


def equal_strategies_look_equal(subject: Subject) -> None:
    """The ledger records how the strategy looks: a memory address in it makes every run differ."""
    require_equal_looks(subject)


def _strategy(subject: Subject) -> ProposalStrategy:
    strategy: ProposalStrategy = subject.make()
    return strategy


def _require_learners(asked: list[Any], learners: int, told: str) -> None:
    require(bool(asked), f"{told} nobody is asked for a proposal")
    odd = [i for i in asked if type(i) is not int]
    require(not odd, f"{told} {odd!r} are asked, which are no plain integers")
    require(all(0 <= i < learners for i in asked), f"{told} {asked} are asked; learners are 0 to {learners - 1}")
    require(len(set(asked)) == len(asked), f"{told} {asked} are asked, some of them twice")


def _behaviour(strategy: ProposalStrategy) -> tuple[Any, ...]:
    """How it looks, whom it asks in some rounds, and what it puts to the vote."""
    asked = [tuple(strategy.proposers(round, LEARNERS, Streams(3))) for round in range(1, ROUNDS + 1)]
    return repr(strategy), asked, _candidates(strategy, {i: _proposal(i) for i in range(LEARNERS)})


def _past(strategy: ProposalStrategy, round: int) -> PastRound:
    """The record of a round in which whatever holds something of the blamed learner is voted down by the others, and
    the rest is approved by most; in some rounds nobody votes or proposes.
    """
    rng = np.random.default_rng([11, round])
    proposals = _proposals(strategy, round) if round % 7 else {}
    candidates = _candidates(strategy, proposals) if proposals else []
    spoilt = np.array([BLAMED in c.authors for c in candidates], dtype=bool)
    votes = np.where(rng.random((LEARNERS, len(candidates))) < np.where(spoilt, 0.1, 0.9), APPROVE, REJECT)
    votes[BLAMED] = np.where(spoilt, APPROVE, REJECT)
    votes[rng.random(votes.shape) < (0.1 if round % 5 else 1)] = ABSTAIN
    approvals = (votes == APPROVE).sum(axis=0)
    leader = int(np.argmax(approvals)) if candidates else None
    return PastRound(
        round,
        tuple(proposals),
        tuple(c.authors for c in candidates),
        tuple(c.label for c in candidates),
        votes.astype(np.int8),
        leader,
        leader is not None and 2 * int(approvals[leader]) > LEARNERS,
        strategy.observe(_base(), proposals) if proposals else {},
    )


def _base() -> Weights:
    """Arrays of several types and shapes; the numbers of samples seen are the same for all, and can't be averaged."""
    rng = np.random.default_rng(0)
    return Weights(
        {
            "coef": rng.normal(size=(4, 3)),
            "intercept": rng.normal(size=3).astype(np.float32),
            "scale": np.array(1.5, dtype=np.float32),
            "seen": np.array([3, 4]),
        }
    )


def _proposal(learner: int) -> Proposal:
    return _changed(Proposal(_base(), 10 + learner), learner, size=0.3)


def _changed(proposal: Proposal, key: int, size: float) -> Proposal:
    """A proposal with noise on its floats."""
    rng = np.random.default_rng([7, key])
    arrays: dict[str, Any] = {
        name: (array + size * rng.normal(size=array.shape)).astype(array.dtype) if array.dtype.kind == "f" else array
        for name, array in proposal.weights.items()
    }
    return proposal._replace(weights=Weights(arrays))


def _proposals(strategy: ProposalStrategy, round: int) -> dict[int, Proposal]:
    """One of each learner that is asked in this round, in the order of a cohort."""
    return {int(i): _proposal(int(i)) for i in sorted(strategy.proposers(round, LEARNERS, Streams(0)))}


def _calls(strategy: ProposalStrategy) -> Iterator[dict[int, Proposal]]:
    """The proposals when all of those asked propose, or only one or two of them."""
    seen = set()
    for round in (1, 2):
        full = _proposals(strategy, round)
        for some in (len(full), 1, 2):
            proposals = dict(list(full.items())[:some])
            if tuple(proposals) not in seen:
                seen.add(tuple(proposals))
                yield proposals


def _votes(subject: Subject) -> Iterator[tuple[ProposalStrategy, dict[int, Proposal], list[Candidate]]]:
    """Strategies, proposals, and what is put to the vote: at first, and by what is learned of some rounds."""
    strategy = _strategy(subject)
    for proposals in _calls(strategy):
        yield strategy, proposals, _candidates(strategy, proposals)
    learned = strategy
    for round in range(1, ROUNDS + 1):
        learned = learned.after(_past(learned, round))
    if learned is not strategy:
        proposals = {i: _proposal(i) for i in range(LEARNERS)}
        yield learned, proposals, _candidates(learned, proposals)


def _candidates(strategy: ProposalStrategy, proposals: dict[int, Proposal]) -> list[Candidate]:
    return list(strategy.candidates(_base(), proposals, _combine))


def _combine(proposals: Sequence[Proposal]) -> Weights:
    return mean([p.weights for p in proposals], [p.samples for p in proposals])


@dataclass
class _Recorder:
    """Combines, and keeps what it was given and what it made of it."""

    calls: list[tuple[list[Proposal], Weights]] = field(default_factory=list)

    def __call__(self, proposals: Sequence[Proposal]) -> Weights:
        given = list(proposals)
        merged = _changed(Proposal(_base(), 1), 100 + len(self.calls), size=1.0).weights
        self.calls.append((given, merged))
        return merged


def _key(candidate: Candidate) -> tuple[tuple[int, ...], str]:
    return candidate.authors, candidate.label


def _leads_towards(proposal: Weights, candidate: Weights, base: Weights) -> bool:
    """Whether the candidate is the proposal, or lies on its side of the base."""
    along = sum(
        float(np.vdot(candidate[name].astype(np.float64) - array, proposal[name].astype(np.float64) - array))
        for name, array in base.items()
    )
    return along > 0
