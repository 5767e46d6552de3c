"""What every voting policy must do with what learners publish, with its voters, and with past rounds."""

from __future__ import annotations

import json
from collections.abc import Iterator
from math import inf, nan

import numpy as np
from numpy.typing import NDArray

from ...errors import ConfigError
from ...metrics import metric
from ...past import PastRound
from ...scores import Scores
from ...streams import Streams
from ...voting import ABSTAIN, APPROVE, REJECT, Ballots, Vote, Votes, VotingPolicy
from ..kit import Subject, require
from ..probing import global_generators

MANY = 1000
"""Samples behind a score that no policy should find too few."""

VOTERS = 10
"""How many vote where a past is told: with fewer a weight that's bounded could still decide alone."""

ROUND, STREAMS = 7, Streams(3)


def ballots_are_repeatable(subject: Subject) -> None:
    """Whoever replays a ledger must come to the same ballots: all chance comes from the streams that are given."""
    policy = _policy(subject)
    with global_generators(0) as untouched:
        first = [policy.ballots(*pair, ROUND, STREAMS) for pair in _scores()]
        require(untouched(), "it draws from a global generator")
    with global_generators(1):
        again = [policy.ballots(*pair, ROUND, STREAMS) for pair in reversed(list(_scores()))][::-1]
        fresh = [_policy(subject).ballots(*pair, ROUND, STREAMS) for pair in _scores()]
    for one, *others in zip(first, again, fresh, strict=True):
        for other in others:
            require(_same(one, other), f"ballots are {one} and, for the same scores and streams, {other}")


def ballots_are_private(subject: Subject) -> None:
    """A learner makes its ballot from its own scores and its own coins: one that hangs on what others think, or on
    how many they are, can't be made outside of a simulation.
    """
    policy = _policy(subject)
    for current, proposed in _scores():
        ballots = policy.ballots(current, proposed, ROUND, STREAMS)
        for learner in range(len(ballots.votes)):
            for foreign in (nan, -7.0, 7.0):
                now, then = (_with_others_at(foreign, learner, scores) for scores in (current, proposed))
                other = policy.ballots(now, then, ROUND, STREAMS)
                require(
                    _same(_of(ballots, learner), _of(other, learner)),
                    f"learner {learner} publishes {_of(ballots, learner)}, but {_of(other, learner)} when all others' "
                    f"scores are {foreign}",
                )


def ballots_are_well_formed(subject: Subject) -> None:
    """The ledger writes a letter for each vote and a number for each margin, and who has no score has no say: its
    vote would be made up.
    """
    policy = _policy(subject)
    for current, proposed in _scores():
        votes, margins = policy.ballots(current, proposed, ROUND, STREAMS)
        shape, silent = proposed.values.shape, np.isnan(proposed.values)
        require(votes.shape == shape, f"votes have shape {votes.shape}, the scores {shape}")
        require(votes.dtype == np.int8 and votes.flags.writeable, f"votes are {votes.dtype}, not int8 to be written")
        require(not np.setdiff1d(votes, list(Vote)).size, f"votes hold {np.unique(votes).tolist()}: not only -1, 0, 1")
        require(bool((votes[silent] == ABSTAIN).all()), f"votes are {votes.tolist()}; there's no score at {silent}")
        if margins is not None:
            require(margins.shape == shape, f"margins have shape {margins.shape}, the scores {shape}")
            floats = margins.dtype == np.float32 and margins.flags.writeable
            require(floats, f"margins are {margins.dtype}, not float32 to be written")
            stated = np.isfinite(margins) == (votes != ABSTAIN)
            require(bool(stated.all()), f"votes are {votes.tolist()}, margins {margins.tolist()}: who abstains?")


def deciding_ignores_the_order_of_ballots(subject: Subject) -> None:
    """Ballots arrive in any order: parties that count the same ones would adopt different models."""
    policy, rng = _policy(subject), np.random.default_rng(0)
    for current, proposed in _scores():
        ballots = policy.ballots(current, proposed, ROUND, STREAMS)
        decision = policy.decide(ballots)
        json.dumps(decision)
        order = rng.permutation(len(ballots.votes))
        other = policy.decide(_of(ballots, order))
        require(other == decision, f"{ballots} give {decision}; in the order {order.tolist()} they give {other}")


def no_claim_outweighs_all_others(subject: Subject) -> None:
    """A margin is what a learner says it is: without a bound one liar decides every vote."""
    policy = _policy(subject)
    current = Scores(metric("accuracy"), np.full((VOTERS, 1), 0.5), np.full(VOTERS, MANY))
    for liar, others, outcome in ((APPROVE, 0.1, False), (REJECT, 0.9, True)):
        proposed = Scores(metric("accuracy"), np.full((VOTERS, 1), others), np.full(VOTERS, MANY))
        votes, margins = policy.ballots(current, proposed, ROUND, STREAMS)
        if margins is None:
            return
        votes[0] = liar
        for claim in (1e30, float(np.finfo(np.float32).max), inf):
            margins[0] = claim * liar
            accepted = policy.decide(Ballots(votes, margins)).accepted
            require(
                accepted is outcome,
                f"{VOTERS - 1} of {VOTERS} voters score {others} instead of 0.5, the other claims a margin of "
                f"{claim * liar:g}, and adopted is {accepted}",
            )


def the_past_changes_a_copy(subject: Subject) -> None:
    """Whoever reads the ledger must come to the same policy, from where they begin and as often as they read."""
    policy = _policy(subject)
    look, pasts = repr(policy), _pasts(30)
    decisions = [policy.tally(past.votes) for past in pasts]
    first, again, fresh = (_folded(p, pasts) for p in (policy, policy, _policy(subject)))
    for other in (again, fresh):
        require(repr(other) == repr(first), f"after the same rounds it's {first!r}, and {other!r}")
        same = all(other.tally(past.votes) == first.tally(past.votes) for past in pasts)
        require(same, f"after the same rounds {first!r} decides otherwise than before")
    require(repr(policy) == look, f"it was {look}, and is {policy!r} after others were made of it")
    require([policy.tally(past.votes) for past in pasts] == decisions, "after() changes how the policy itself decides")
    require(
        all(np.array_equal(past.votes, untouched.votes) for past, untouched in zip(pasts, _pasts(30), strict=True)),
        "after() writes into the votes of the past",
    )


def no_past_makes_a_dictator(subject: Subject) -> None:
    """A voter with the best record must not decide alone what all others are against: it may have waited for that."""
    policy = _policy(subject)
    alone = np.full((VOTERS, 1), REJECT, dtype=np.int8)
    alone[0] = APPROVE
    for length in (1, 30, 300):
        experienced = _folded(policy, [_all_err_but_one(round) for round in range(1, length + 1)])
        for vote, outcome in ((APPROVE, True), (REJECT, False)):
            accepted = experienced.tally(np.full((VOTERS, 1), vote, dtype=np.int8)).accepted
            require(accepted is outcome, f"after {length} rounds all votes are {vote}, and adopted is {accepted}")
        for votes in (alone, -alone):
            before, after = policy.tally(votes).accepted, experienced.tally(votes).accepted
            require(
                before is after,
                f"after {length} rounds in which it alone was right, one voter of {VOTERS} turns the vote of all "
                f"others: {votes[:, 0].tolist()} gives accepted = {after}, and before {before}",
            )


def voters_change_a_copy(subject: Subject) -> None:
    """One policy serves several experiments: what it knows of the voters of one must not be in another's votes. And
    whoever they are, what all want is adopted, and what none wants isn't.
    """
    policy = _policy(subject)
    look = repr(policy)
    for samples in ([5], [9, 9, 9], [1, 100, 10_000], [3, 0, 7, 2], list(range(1, 11))):
        counts = np.array(samples)
        try:
            among = policy.among(counts)
        except ConfigError:
            continue
        require(repr(policy) == look, f"it was {look}, and is {policy!r} after it was told its voters")
        require(repr(policy.among(counts)) == repr(among), f"told its voters twice it's {among!r} and another")
        for vote, outcome in ((APPROVE, True), (REJECT, False)):
            accepted = among.tally(np.full((len(samples), 1), vote, dtype=np.int8)).accepted
            require(
                accepted is outcome,
                f"voters have {samples} samples, all votes are {vote}, and adopted is {accepted}",
            )


def _policy(subject: Subject) -> VotingPolicy:
    policy: VotingPolicy = subject.make()
    return policy


def _scores() -> Iterator[tuple[Scores, Scores]]:
    """Current and proposed scores of some learners, in both directions, some with gaps."""
    rng = np.random.default_rng(5)
    for name in ("accuracy", "log_loss"):
        for learners, candidates, gaps in ((5, 3, 0.0), (1, 1, 0.0), (3, 0, 0.0), (8, 2, 0.3)):
            values = rng.integers(0, 11, size=(learners, 1 + candidates)) / 10
            values[rng.random(values.shape) < gaps] = nan
            samples = np.where(rng.random(learners) < gaps / 2, 0, MANY)
            yield Scores(metric(name), values[:, :1].copy(), samples), Scores(metric(name), values[:, 1:], samples)


def _with_others_at(value: float, learner: int, scores: Scores) -> Scores:
    values = np.full(scores.values.shape, value)
    values[learner] = scores.values[learner]
    return Scores(scores.metric, values, scores.samples)


def _of(ballots: Ballots, learners: int | NDArray[np.int64]) -> Ballots:
    """The ballots of some learners."""
    return Ballots(ballots.votes[learners], None if ballots.margins is None else ballots.margins[learners])


def _same(one: Ballots, other: Ballots) -> bool:
    if not np.array_equal(one.votes, other.votes) or (one.margins is None) != (other.margins is None):
        return False
    return one.margins is None or bool(np.array_equal(one.margins, other.margins, equal_nan=True))  # type: ignore[arg-type]


def _folded(policy: VotingPolicy, pasts: list[PastRound]) -> VotingPolicy:
    for past in pasts:
        policy = policy.after(past)
    return policy


def _pasts(count: int) -> list[PastRound]:
    """Rounds as they come, with one candidate, with none, and with rivals."""
    rng = np.random.default_rng(9)
    pasts = []
    for round in range(1, count + 1):
        candidates = round % 4
        votes = rng.integers(-1, 2, size=(VOTERS, candidates)).astype(np.int8)
        leader = int(rng.integers(candidates)) if candidates else None
        accepted = bool(candidates and votes[:, leader].sum() > 0)
        pasts.append(_past(round, votes, leader, accepted))
    return pasts


def _all_err_but_one(round: int) -> PastRound:
    votes = np.full((VOTERS, 1), REJECT, dtype=np.int8)
    votes[0] = APPROVE
    return _past(round, votes if round % 2 else -votes, 0, accepted=bool(round % 2))


def _past(round: int, votes: Votes, leader: int | None, accepted: bool) -> PastRound:
    candidates = votes.shape[1]
    authors = tuple(((round + c) % VOTERS,) for c in range(candidates))
    labels = tuple(f"candidate {c}" for c in range(candidates))
    return PastRound(round, (round % VOTERS,), authors, labels, votes, leader, accepted)
