"""What every voting policy must do."""

from __future__ import annotations

import json
from collections.abc import Iterator
from fractions import Fraction
from math import inf, nan
from typing import Any

import numpy as np

from ...metrics import Metric, metric
from ...parameters import parameters_of
from ...scores import Score, Scores
from ...voting import ABSTAIN, APPROVE, REJECT, Decision, Vote, Votes, VotingPolicy
from ..kit import Subject, require
from ..probing import require_equal_looks

DIRECTIONS = (metric("accuracy"), metric("log_loss"))
"""One metric of each direction."""

MANY = 1000
"""Samples behind a score that no policy should find too few."""

SHARES = ((0.9, 1.0), (0.7, 0.5), (0.5, 0.0), (0.5, 1.0), (0.3, 0.2), (1.0, 0.0))
"""How many approve a candidate, and how many of the others reject it; the rest abstains."""


def tally_ignores_the_order_of_ballots(subject: Subject) -> None:
    """Ballots arrive in any order: parties that tally the same votes would adopt different models."""
    policy = _policy(subject)
    rng = np.random.default_rng(1)
    for votes in _ballots(150):
        decision = policy.tally(votes)
        for order in (np.arange(len(votes))[::-1], rng.permutation(len(votes))):
            other = policy.tally(votes[order])
            require(
                other == decision,
                f"the ballots {votes.tolist()} give {decision}; in the order {order.tolist()} they give {other}",
            )


def voting_is_pure(subject: Subject) -> None:
    """Whoever replays a ledger must come to the same votes and decisions; a policy that remembers or writes into
    what it is given makes that impossible.
    """
    used, matrices = _policy(subject), list(_ballots(40))
    _require_same("tally", [used.tally(v) for v in matrices], [used.tally(v) for v in reversed(matrices)][::-1])
    _require_same("tally", [used.tally(v) for v in matrices], [_policy(subject).tally(v) for v in matrices])
    require(
        all(np.array_equal(v, again) for v, again in zip(matrices, _ballots(40), strict=True)),
        "tally writes into the ballots",
    )
    for measure in DIRECTIONS:
        scores = list(_scores(measure))
        first, again = (
            [policy.votes(current, proposed).tolist() for current, proposed in scores]
            for policy in (used, _policy(subject))
        )
        _require_same("votes", first, again)
        _require_same("votes", first, [used.votes(*pair).tolist() for pair in reversed(scores)][::-1])
        for given, untouched in zip(scores, _scores(measure), strict=True):
            for ours, theirs in zip(given, untouched, strict=True):
                same = np.array_equal(ours.values, theirs.values, equal_nan=True)
                require(same and np.array_equal(ours.samples, theirs.samples), "votes writes into the scores")
        pairs = [(Score(a, MANY), Score(b, MANY)) for a in (0.2, 0.8, nan) for b in (0.2, 0.5, 0.9)]
        first, again = ([p.vote(*pair, measure.greater_is_better) for pair in pairs] for p in (used, _policy(subject)))
        _require_same("vote", first, again)


def one_more_approval_never_rejects(subject: Subject) -> None:
    """If approving could hurt a candidate, honest learners would have to vote against what they want."""
    policy = _policy(subject)
    for n in range(1, 8):
        for approvals in range(n):
            for rejections in range(n - approvals + 1):
                if policy.tally(_counted(n, approvals, rejections)).accepted:
                    for fewer in {rejections, max(rejections - 1, 0)}:
                        if approvals + 1 + fewer <= n:
                            require(
                                policy.tally(_counted(n, approvals + 1, fewer)).accepted,
                                f"of {n} learners {approvals} approve and {rejections} reject, and the candidate is "
                                f"adopted; with {approvals + 1} and {fewer} it is not",
                            )
    for votes in _ballots(100):
        decision = policy.tally(votes)
        if decision.accepted and decision.leader is not None:
            for voter in np.flatnonzero(votes[:, decision.leader] != APPROVE)[:2]:
                more = votes.copy()
                more[voter, decision.leader] = APPROVE
                require(
                    policy.tally(more).accepted,
                    f"the ballots {votes.tolist()} adopt candidate {decision.leader}; when voter {voter} approves it "
                    "too, nothing is adopted",
                )


def a_lone_learner_decides(subject: Subject) -> None:
    """A collective of one has nobody else to ask: it would never learn, or adopt what it didn't approve."""
    policy = _policy(subject)
    for vote in Vote:
        accepted = policy.tally(_column(vote)).accepted
        require(
            accepted == (vote == Vote.APPROVE),
            f"a lone learner's {vote.name} {'adopts' if accepted else 'does not adopt'} the candidate",
        )


def everyones_approval_adopts(subject: Subject) -> None:
    """A collective that turns down what all its members want can't learn anything."""
    policy = _policy(subject)
    for n in (*range(2, 11), 100):
        decision = policy.tally(_counted(n, n, 0))
        require(decision.accepted, f"all {n} learners approve and the candidate is not adopted: {decision.reason}")


def everyones_rejection_rejects(subject: Subject) -> None:
    """A model that nobody wants would be in force."""
    policy = _policy(subject)
    for n in (*range(2, 11), 100):
        decision = policy.tally(_counted(n, 0, n))
        require(not decision.accepted, f"all {n} learners reject and the candidate is adopted: {decision.reason}")


def silence_adopts_nothing(subject: Subject) -> None:
    """When scoring fails for everyone, or nothing is proposed, the model in force must stay."""
    policy = _policy(subject)
    for n in range(1, 11):
        decision = policy.tally(_counted(n, 0, 0))
        require(not decision.accepted, f"none of {n} learners votes and the candidate is adopted: {decision.reason}")
        decision = policy.tally(np.zeros((n, 0), dtype=np.int8))
        require(
            not decision.accepted and decision.leader is None,
            f"without a candidate accepted is {decision.accepted} and the leader {decision.leader}",
        )


def ties_are_decided_as_declared(subject: Subject) -> None:
    """With few learners ties are common: users read ``adopts_ties`` to know whether one moves the model."""
    policy = _policy(subject)
    for n in (2, 4, 10, 100):
        accepted = policy.tally(_counted(n, n // 2, n // 2)).accepted
        require(
            accepted == policy.adopts_ties,
            f"{n // 2} of {n} approve, the others reject: adopted is {accepted}, adopts_ties is {policy.adopts_ties}",
        )


def quorum_is_kept(subject: Subject) -> None:
    """When most learners can't be reached, a handful would decide for all of them."""
    for policy in _variants(subject, "quorum", (0.3, 0.55, 1.0)):
        for n in (*range(1, 13), 100):
            for cast in range(n + 1):
                if cast < Fraction(str(policy.quorum)) * n:
                    decision = policy.tally(_counted(n, cast, 0))
                    require(
                        not decision.accepted,
                        f"the quorum is {policy.quorum}, only {cast} of {n} learners vote, and the candidate is "
                        f"adopted: {decision.reason}",
                    )


def the_most_approved_candidate_wins(subject: Subject) -> None:
    """Of rival candidates the one that most want must win, and one that is good enough alone must not lose because
    of others; else a proposer could block a good model by proposing a bad one beside it.
    """
    policy = _policy(subject)
    for votes in _ballots(150):
        decision = policy.tally(votes)
        approvals = (votes == APPROVE).sum(axis=0).tolist()
        passing = [c for c in range(votes.shape[1]) if policy.tally(votes[:, c : c + 1]).accepted]
        require(
            decision.accepted == bool(passing),
            f"of the candidates in {votes.tolist()} {passing} are adopted when they stand alone; together accepted "
            f"is {decision.accepted}",
        )
        expected = max(passing or range(votes.shape[1]), key=lambda c: approvals[c])
        require(
            decision.leader == expected,
            f"the candidates have {approvals} approvals, {passing} are adopted when they stand alone: the leader "
            f"should be {expected}, not {decision.leader}",
        )


def decisions_are_well_formed(subject: Subject) -> None:
    """A ledger writes decisions as JSON, and whoever checks it counts again: numpy's numbers can't be written,
    wrong counts look like a forgery.
    """
    policy = _policy(subject)
    for votes in (*_ballots(40), _counted(4, 0, 0), np.zeros((3, 0), dtype=np.int8)):
        decision = policy.tally(votes)
        require(isinstance(decision, Decision), f"tally returns {decision!r}, not a Decision")
        accepted, leader, approvals, rejections, reason = decision
        require(type(accepted) is bool, f"accepted is {accepted!r}, not a plain bool")
        known = type(leader) is int and 0 <= leader < votes.shape[1]
        require(known if votes.shape[1] else leader is None, f"leader of {votes.shape[1]} candidates is {leader!r}")
        for name, counts, value in (("approvals", approvals, APPROVE), ("rejections", rejections, REJECT)):
            expected = tuple((votes == value).sum(axis=0).tolist())
            plain = type(counts) is tuple and all(type(count) is int for count in counts)
            require(plain and counts == expected, f"{name} are {counts!r}, should be {expected!r}")
        one_line = isinstance(reason, str) and bool(reason.strip()) and len(reason.splitlines()) == 1
        require(one_line, f"the reason is {reason!r}, not a line of text")
        json.dumps(decision)


def improvement_is_approved_and_worsening_rejected(subject: Subject) -> None:
    """Votes are all that steers a collective: with the wrong direction of a metric it learns to be bad."""
    for policy in _variants(subject, "min_improvement", (0.1, 0.15)):
        for better_is_greater in (True, False):
            sign = 1 if better_is_greater else -1
            for gap in (1.0, 1000.0):
                gain = gap * (1 + policy.min_improvement)
                for start in (0.0, 0.5, -20.0):
                    vote = policy.vote(Score(start, MANY), Score(start + sign * gain, MANY), better_is_greater)
                    told = f"from {start} to {start + sign * gain}, greater_is_better={better_is_greater}"
                    require(vote == APPROVE, f"{policy!r} votes {vote!r} on an improvement {told}")
                    vote = policy.vote(Score(start, MANY), Score(start - sign * gain, MANY), better_is_greater)
                    told = f"from {start} to {start - sign * gain}, greater_is_better={better_is_greater}"
                    require(vote == REJECT, f"{policy!r} votes {vote!r} on a worsening {told}")
            for loss in (1e-6, 0.01, 0.1):
                vote = policy.vote(Score(0.5, MANY), Score(0.5 - sign * loss, MANY), better_is_greater)
                require(vote != APPROVE, f"{policy!r} approves what is worse by {loss}")


def equal_scores_are_not_approved(subject: Subject) -> None:
    """A proposal that changes nothing would be adopted for ever, and with it one that only looks harmless."""
    policy = _policy(subject)
    for better_is_greater in (True, False):
        for value in (0.0, 0.1, 1.0, -3.0, 1e6):
            vote = policy.vote(Score(value, MANY), Score(value, MANY), better_is_greater)
            require(vote != APPROVE, f"a proposal that scores {value}, as the current weights do, is approved")


def no_score_is_an_abstention(subject: Subject) -> None:
    """A learner that couldn't score has no opinion: its approval would let diverged models in, its rejection
    would make everyone without data block the others.
    """
    policy = _policy(subject)
    for better_is_greater in (True, False):
        for current in (0.5, nan):
            for proposed in (Score(nan, MANY), Score(inf, MANY), Score(-inf, MANY), Score(0.9, 0), Score(nan, 0)):
                vote = policy.vote(Score(current, proposed.samples), proposed, better_is_greater)
                require(
                    vote == ABSTAIN,
                    f"the proposal's score is {proposed}, the current one {current}: the vote is {vote!r}, "
                    "not an abstention",
                )


def a_lost_score_does_not_reject_for_ever(subject: Subject) -> None:
    """Once the current model's score is lost (NaN), each comparison with it is false: a learner that takes this
    for a rejection blocks the collective from then on.
    """
    policy = _policy(subject)
    for better_is_greater in (True, False):
        lost = -inf if better_is_greater else inf
        for current in (nan, inf, -inf, lost):
            for proposed in (0.1, 0.9):
                vote = policy.vote(Score(current, MANY), Score(proposed, MANY), better_is_greater)
                require(
                    vote != REJECT,
                    f"the current score is {current}, so {proposed} is rejected, and so will be all that follow",
                )


def votes_agree_with_vote(subject: Subject) -> None:
    """Simulations vote for all learners at once, a deployed learner for itself alone: if these differ, a simulation
    says nothing about the real thing.
    """
    for policy in _variants(subject, "min_improvement", (0.1, 0.15)):
        for measure in DIRECTIONS:
            for current, proposed in _scores(measure):
                votes = policy.votes(current, proposed)
                for i, row in enumerate(votes.tolist()):
                    alone = [
                        int(policy.vote(current.score(i, 0), proposed.score(i, c), measure.greater_is_better))
                        for c in range(proposed.values.shape[1])
                    ]
                    require(
                        row == alone,
                        f"learner {i} has {current.score(i, 0)}, the candidates {proposed.values[i].tolist()} "
                        f"({measure.name}): votes() gives {row}, vote() gives {alone}",
                    )


def votes_are_well_formed(subject: Subject) -> None:
    """The round strikes out an author's own vote in the array, and the ledger writes one letter for each vote."""
    policy = _policy(subject)
    for current, proposed in _scores(DIRECTIONS[0]):
        votes = policy.votes(current, proposed)
        shape = proposed.values.shape
        require(votes.shape == shape, f"votes have shape {votes.shape}, the scores of the candidates {shape}")
        require(votes.dtype.kind == "i", f"votes are of type {votes.dtype}, not signed integers")
        require(votes.flags.writeable, "the array of votes is read-only")
        require(not np.setdiff1d(votes, list(Vote)).size, f"votes hold {np.unique(votes).tolist()}: not only -1, 0, 1")


def votes_are_private(subject: Subject) -> None:
    """A learner has its own scores only; one that goes by those of others can't be run outside a simulation, and
    can be steered by what others claim.
    """
    policy = _policy(subject)
    for measure in DIRECTIONS:
        for current, proposed in _scores(measure):
            votes = policy.votes(current, proposed)
            for i in range(len(votes)):
                for foreign in (nan, -7.0, 7.0):
                    now, then = (_with_others_at(foreign, i, scores) for scores in (current, proposed))
                    row = policy.votes(now, then)[i].tolist()
                    require(
                        row == votes[i].tolist(),
                        f"learner {i} votes {votes[i].tolist()}, but {row} when all others' scores are {foreign}",
                    )


def equal_policies_look_equal(subject: Subject) -> None:
    """The ledger records how the policy looks: a memory address in it makes every run differ."""
    require_equal_looks(subject)


def _policy(subject: Subject) -> VotingPolicy:
    policy: VotingPolicy = subject.make()
    return policy


def _variants(subject: Subject, parameter: str, values: tuple[Any, ...]) -> Iterator[VotingPolicy]:
    """The policy as it is and, where it has the parameter, with other values of it."""
    yield _policy(subject)
    if parameter in {p.name for p in parameters_of(subject.implementation)}:
        for value in values:
            yield subject.make(**{parameter: value})


def _column(*votes: int) -> Votes:
    return np.array(votes, dtype=np.int8)[:, None]


def _counted(n: int, approvals: int, rejections: int) -> Votes:
    return _column(*[APPROVE] * approvals, *[REJECT] * rejections, *[ABSTAIN] * (n - approvals - rejections))


def _ballots(count: int) -> Iterator[Votes]:
    """Random ballots of 1 to 12 learners on 1 to 5 candidates, from much liked ones to disputed ones."""
    rng = np.random.default_rng(0)
    for _ in range(count):
        n, candidates = int(rng.integers(1, 13)), int(rng.integers(1, 6))
        approve, reject = np.array(SHARES)[rng.integers(len(SHARES), size=candidates)].T
        others = np.where(rng.random((n, candidates)) < reject, REJECT, ABSTAIN)
        yield np.where(rng.random((n, candidates)) < approve, APPROVE, others).astype(np.int8)


def _scores(measure: Metric) -> Iterator[tuple[Scores, Scores]]:
    """Current and proposed scores of some learners, with ties; the later ones with gaps."""
    rng = np.random.default_rng(0)
    for learners, candidates, gaps in ((5, 3, 0.0), (1, 1, 0.0), (3, 0, 0.0), (7, 4, 0.25), (6, 1, 0.5)):
        values = rng.integers(0, 11, size=(learners, 1 + candidates)) / 10
        values[rng.random(values.shape) < gaps] = nan
        samples = np.where(rng.random(learners) < gaps / 2, 0, MANY)
        yield Scores(measure, values[:, :1].copy(), samples.copy()), Scores(measure, values[:, 1:].copy(), samples)


def _with_others_at(value: float, learner: int, scores: Scores) -> Scores:
    values = np.full(scores.values.shape, value)
    values[learner] = scores.values[learner]
    return Scores(scores.metric, values, scores.samples)


def _require_same(method: str, first: list[Any], again: list[Any]) -> None:
    for one, other in zip(first, again, strict=True):
        require(one == other, f"{method} gives {one} and, for the same input, {other}")
