"""What every learner must do."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from ...cohort import LoopCohort
from ...data import Samples
from ...errors import Abstention
from ...learner import Learner, Proposal
from ...metrics import METRICS
from ...scores import Part
from ...streams import Streams
from ...weights import Weights
from ..kit import Subject, fail, require
from ..probing import (
    bits,
    close,
    copied,
    foreign,
    global_generators,
    half,
    initial_of,
    learner_of,
    own,
    parts_of,
    propose,
    require_close,
    rng_of,
    same_score,
    score_of,
    several,
    three_proposals,
    trained,
    with_parts,
)
from ..samples import private

PARTS: tuple[Part, Part] = ("vote", "test")
CUTS = (1, 33, 65, 129, 257)
"""Where a vote set is cut in two: off the usual batch sizes, so that last batches are of odd sizes."""


def its_metrics_are_known(subject: Subject) -> None:
    """A ledger names metrics, and whoever reads it looks them up; the direction of improvement comes with them."""
    learner = learner_of(subject)
    for part, measure in (("vote_metric", learner.vote_metric), ("test_metric", learner.test_metric)):
        require(METRICS.get(measure.name) is measure, f"{part} is {measure!r}, which is none of colearn_core.metrics")


def weights_survive_the_wire(subject: Subject) -> None:
    """Other parties get weights as bytes: if these say less than the arrays did, or a new instance can't use
    them, everyone votes on another model than the author's.
    """
    here, there = learner_of(subject), learner_of(subject)
    for weights in (initial_of(here), trained(here)):
        received = Weights.from_bytes(weights.to_bytes())
        require(received == weights, "weights read from their own bytes differ from what was written")
        for part in PARTS:
            ours, theirs = here.test_weights(weights, part), there.test_weights(received, part)
            require(same_score(ours, theirs), f"the {part} score is {ours}, in a fresh instance {theirs}")
        ours_next, theirs_next = (propose(learner_of(subject), w) for w in (weights, received))
        require(ours_next == theirs_next, "a fresh instance trains on from the bytes to another proposal")


def initial_weights_are_repeatable(subject: Subject) -> None:
    """All begin with one learner's answer: without it being repeatable no run can be."""
    first, second = initial_of(learner_of(subject)), initial_of(learner_of(subject))
    require(first == second, "two instances give different initial weights for the same seed")
    first.check_finite()


def same_seed_same_proposal(subject: Subject) -> None:
    """A run couldn't be repeated, replayed or checked by others if training drew from anything but its rng."""
    learner = learner_of(subject)
    base, state = initial_of(learner), learner.state()
    proposals = []
    for attempt in range(2):
        with global_generators(seed=attempt):
            learner.restore(state)
            proposals.append(propose(learner, base))
    require(proposals[0] == proposals[1], "the same learner proposes something else when asked again with the same rng")
    other = propose(learner_of(subject), base)
    require(other == proposals[0], "a second instance proposes something else from the same data, base and rng")


def global_generators_are_left_alone(subject: Subject) -> None:
    """Simulated learners share a process: one that seeds a global generator decides what the others draw."""
    learner = learner_of(subject)
    with global_generators(seed=977) as untouched:
        learner.test_weights(trained(learner), "vote")
        require(untouched(), "training or scoring touches a global random generator; draw from rng instead")


def given_weights_stay_unchanged(subject: Subject) -> None:
    """All simulated learners hold the same arrays: who writes into them changes everyone's model, without a vote."""
    learner = learner_of(subject)
    base = own(initial_of(learner))
    before = own(base)
    proposal = propose(learner, base)
    require(bits(base) == bits(before), "propose_weights writes into the base weights")
    before = own(proposal)
    for part in PARTS:
        learner.test_weights(proposal, part)
    require(bits(proposal) == bits(before), "test_weights writes into the weights it scores")
    learner.combine(base, [Proposal(proposal, 1), Proposal(base, 2)])
    require(bits(proposal) == bits(before), "combine writes into a proposal")


def published_weights_stay_unchanged(subject: Subject) -> None:
    """A proposal that shares arrays with the learner goes on changing while it is voted on and after it is adopted."""
    learner = learner_of(subject)
    initial = initial_of(learner)
    first = propose(learner, initial)
    copies = [own(initial), own(first)]
    second = propose(learner, first, round=2)
    learner.test_weights(second, "vote")
    propose(learner, second, round=3)
    require(bits(initial) == bits(copies[0]), "training changes initial weights that were handed out before")
    require(bits(first) == bits(copies[1]), "later training changes a proposal that was handed out before")


def private_data_stay_unchanged(subject: Subject) -> None:
    """Data that are, say, scaled in place are other data in the next round, and no round can be repeated."""
    data = copied(private(subject.data))
    before = copied(data)
    learner: Learner = subject.make(data)
    weights = trained(learner)
    for part in PARTS:
        learner.test_weights(weights, part)
    for name, now in parts_of(data).items():
        then = parts_of(before)[name]
        same = np.array_equal(now.x, then.x) and np.array_equal(now.y, then.y)
        require(same, f"the {name} data are changed by training or scoring")


def rejected_proposals_leave_no_trace(subject: Subject) -> None:
    """A learner that goes on from what it last saw, not from what it's given, drifts away from what was adopted."""
    learner, fresh = learner_of(subject), learner_of(subject)
    base = initial_of(learner)
    before = {part: learner.test_weights(base, part) for part in PARTS}
    state = learner.state()
    candidate = trained(learner)
    learner.test_weights(candidate, "vote")
    for part in PARTS:
        after = learner.test_weights(base, part)
        require(same_score(before[part], after), f"the base scores {before[part]} on {part}, after a proposal {after}")
    learner.restore(state)
    require(propose(learner, base) == propose(fresh, base), "what was scored before changes the next proposal")


def proposals_fit_the_model(subject: Subject) -> None:
    """Proposals of other names, shapes or types are refused, and can't be combined with those of others."""
    learner = learner_of(subject)
    weights = initial_of(learner)
    for round in range(1, 4):
        proposal = learner.propose_weights(weights, rng_of(round))
        learner.check_weights(proposal.weights, weights)
        proposal.weights.check_finite()
        samples = proposal.samples
        require(isinstance(samples, int | np.integer) and samples > 0, f"a proposal says it was trained on {samples!r}")
        weights = proposal.weights


def proposals_come_from_training_data(subject: Subject) -> None:
    """Training on what one votes by makes the vote worthless; ignoring the own data makes the proposal so."""
    usual = private(subject.data)
    base = initial_of(subject.make(usual))
    other = replace(usual, train=usual.vote)
    same = propose(subject.make(other), base) == propose(subject.make(usual), base)
    require(not same, "the proposal is the same for other training data")
    others = subject.make(replace(usual, train=usual.vote.take(np.arange(10))))
    for round in (1, 2, 3):  # from others' models too: dropping a part of one, say, is training as well
        proposal = propose(subject.make(usual), base, round)
        for part in PARTS:
            other = with_parts(usual, {part: usual.train})
            same = propose(subject.make(other), base, round) == proposal
            require(same, f"the proposal depends on the {part} data")
        base = propose(others, base, round)


def training_helps(subject: Subject) -> None:
    """A learner whose training leads away from better scores makes rounds that nobody should accept."""
    learner = learner_of(subject)
    weights = initial_of(learner)
    start = learner.test_weights(weights, "vote").value
    found = []
    for round in range(1, 9):
        weights = propose(learner, weights, round)
        found.append(learner.test_weights(weights, "vote").value)
    better = max(found) > start if learner.vote_metric.greater_is_better else min(found) < start
    require(
        better, f"eight trainings in a row take the vote score ({learner.vote_metric.name}) from {start} to {found}"
    )


def scores_are_finite(subject: Subject) -> None:
    """A score that is no number is an abstention: a learner that never has one never votes."""
    learner = learner_of(subject)
    sizes = {part: len(getattr(private(subject.data), part)) for part in PARTS}
    for name, weights in (("initial", initial_of(learner)), ("trained", trained(learner))):
        for part in PARTS:
            value, samples = learner.test_weights(weights, part)[:2]
            require(bool(np.isfinite(value)), f"the {part} score of {name} weights is {value}")
            require(samples == sizes[part], f"the {part} score says {samples} samples; there are {sizes[part]}")


def scoring_twice_gives_the_same(subject: Subject) -> None:
    """The current model's score is kept, a candidate's is new: both must be measured alike, on the same samples."""
    learner = learner_of(subject)
    weights = trained(learner)
    for part in PARTS:
        first, second = learner.test_weights(weights, part), learner.test_weights(weights, part)
        require(same_score(first, second), f"the {part} score is {first}, and the second time {second}")


def each_part_is_scored_by_itself(subject: Subject) -> None:
    """Votes by training data approve what was learned by heart; reports on vote data flatter what was selected."""
    usual = private(subject.data)
    weights = trained(subject.make(usual))
    for part in PARTS:
        expected = subject.make(usual).test_weights(weights, part)
        for changed in {"train", *PARTS} - {part}:
            other = with_parts(usual, {changed: half(getattr(usual, changed))})
            found = subject.make(other).test_weights(weights, part)
            require(
                same_score(found, expected), f"the {part} score depends on {changed} data: {expected}, then {found}"
            )


def scores_are_means_over_samples(subject: Subject) -> None:
    """A mean of batch means weighs the samples of a short last batch more, so the score, and with it the vote,
    depends on the batch size.
    """
    usual = private(subject.data)
    weights = trained(subject.make(usual))
    measure = subject.make(usual).vote_metric
    whole = score_of(subject, usual.vote, weights)
    if measure.per_sample is None:  # a ranking, say: then only repeating all samples must change nothing
        doubled = score_of(subject, Samples.joined([usual.vote, usual.vote]), weights)
        require(close(whole, doubled), f"{measure.name} is {whole}, and {doubled} of every sample twice")
        return
    n = len(usual.vote)
    for cut in (c for c in CUTS if c < n):
        parts = [usual.vote.take(np.arange(cut)), usual.vote.take(np.arange(cut, n))]
        first, second = (score_of(subject, part, weights) for part in parts)
        together = (cut * first + (n - cut) * second) / n
        require(
            close(whole, together),
            f"{n} samples score {whole}; the first {cut} score {first} and the rest {second}, together {together}",
        )


def small_vote_sets_work(subject: Subject) -> None:
    """Parties with one sample, one batch or one class are the rule under label skew, and they have a vote too."""
    usual = private(subject.data)
    weights = trained(subject.make(usual))
    one_class = usual.vote.take(np.flatnonzero(usual.vote.y == usual.vote.y[0]))
    sets = {"one sample": usual.vote.take(np.arange(1)), "one batch": usual.vote.take(np.arange(32))}
    for name, vote in {**sets, "one class": one_class}.items():
        learner = subject.make(replace(usual, vote=vote))
        value, samples = learner.test_weights(weights, "vote")[:2]
        undefined = learner.vote_metric.per_sample is None  # no ranking of one class
        require(bool(np.isfinite(value)) or undefined, f"{name} to vote by gives the score {value}")
        require(samples == len(vote), f"{name} to vote by is said to be {samples} samples, not {len(vote)}")


def no_vote_data_is_an_abstention(subject: Subject) -> None:
    """A learner without such data must say so; a made-up score would be counted."""
    usual = private(subject.data)
    weights = trained(subject.make(usual))
    for part in PARTS:
        nothing = getattr(usual, part).take(np.arange(0))
        learner = subject.make(with_parts(usual, {part: nothing}))
        try:
            value, samples = learner.test_weights(weights, part)[:2]
        except Abstention:
            continue
        require(samples == 0, f"without {part} data the score is {value} of {samples} samples, not Score(nan, 0)")


def small_training_sets_work(subject: Subject) -> None:
    """A learner with one sample or one class must propose what fits the others' model, or decline with a reason."""
    usual = private(subject.data)
    base = initial_of(subject.make(usual))
    one_class = usual.train.take(np.flatnonzero(usual.train.y == usual.train.y[0]))
    for name, train in {"one sample": usual.train.take(np.arange(1)), "one class": one_class}.items():
        learner = subject.make(replace(usual, train=train))
        try:
            proposal = learner.propose_weights(base, rng_of(1))
        except Abstention as abstention:
            require(bool(str(abstention)), f"with {name} to train on it abstains without a reason")
            continue
        try:
            learner.check_weights(proposal.weights, base)
        except Exception as error:
            fail(f"with {name} to train on: {error}")


def foreign_weights_are_refused(subject: Subject) -> None:
    """Weights of another model that are scored as if they fitted give a vote about something else; proposed and not
    refused, they end the run when they are combined with others.
    """
    learner = learner_of(subject)
    base = initial_of(learner)
    verbs: dict[str, Callable[[Weights], object]] = {
        "test_weights": lambda weights: learner.test_weights(weights, "vote"),
        "propose_weights": lambda weights: learner.propose_weights(weights, rng_of(1)),
        "check_weights": lambda weights: learner.check_weights(weights, base),
    }
    for what, weights in foreign(trained(learner)):
        for verb, take in verbs.items():
            try:
                take(weights)
            except Exception:
                continue
            fail(f"{verb} takes weights {what}")


def non_finite_weights_get_no_score(subject: Subject) -> None:
    """Comparisons with NaN are all false, so a diverged model can look like a class that is always predicted."""
    learner = learner_of(subject)
    good = trained(learner)
    for name, array in good.items():
        if array.dtype.kind != "f":
            continue
        for value in (np.nan, np.inf):
            try:
                score = learner.test_weights(Weights({**good, name: np.full_like(array, value)}), "vote")
            except Exception:
                continue
            require(not np.isfinite(score.value), f"{name!r} full of {value} scores {score}")


def equal_proposals_combine_to_one(subject: Subject) -> None:
    """Merging that moves where all agree isn't merging. (Learners that are ``additive`` add up instead; of a single
    proposal it holds for them too.)
    """
    learner = learner_of(subject)
    base, proposal = initial_of(learner), learner.propose_weights(initial_of(learner), rng_of(1))
    for copies in (1,) if learner.additive else (1, 2, 5):
        found = learner.combine(base, [proposal] * copies)
        require_close(found, proposal.weights, f"combining {copies} equal proposals doesn't give that proposal")


def combining_ignores_the_order(subject: Subject) -> None:
    """Who is asked first must not matter."""
    learner = learner_of(subject)
    base, proposals = initial_of(learner), three_proposals(subject)
    expected = learner.combine(base, proposals)
    for order in ((2, 1, 0), (1, 2, 0)):
        found = learner.combine(base, [proposals[i] for i in order])
        require_close(found, expected, f"combining in the order {order} gives something else")
    learner.check_weights(expected, base)


def combining_weighs_by_samples(subject: Subject) -> None:
    """A party with three times the samples must count as three; else splitting the own data buys weight.
    (Of ``additive`` learners: what they add already counts their samples, so the number given changes nothing.)
    """
    learner = learner_of(subject)
    base, (p, q, _) = initial_of(learner), three_proposals(subject)
    if learner.additive:
        found = learner.combine(base, [p._replace(samples=1), q._replace(samples=7)])
        require_close(found, learner.combine(base, [p, q]), "an additive learner weighs by the number of samples")
        return
    one, three = p._replace(samples=1), q._replace(samples=3)
    expected = learner.combine(base, [one, *[q._replace(samples=1)] * 3])
    found = learner.combine(base, [one, three])
    require_close(found, expected, "a proposal on 3 samples doesn't count as 3 equal ones on 1 sample")


def state_continues_exactly(subject: Subject) -> None:
    """After a crash the run goes on from the weights and each learner's state: what isn't in there, a momentum or
    a spent privacy budget, is lost, and the result is another.
    """
    learner, fresh = learner_of(subject), learner_of(subject)
    weights = initial_of(learner)
    for round in (1, 2):
        weights = propose(learner, weights, round)
    fresh.restore(Weights.from_bytes(learner.state().to_bytes()))
    for round in (3, 4):
        ours, theirs = (propose(x, weights, round) for x in (learner, fresh))
        require(ours == theirs, f"after restore(state()) the proposal of round {round} is another")
        weights = ours
    require(learner.state() == fresh.state(), "after restore(state()) and equal rounds the states differ")


def what_it_spends_is_remembered(subject: Subject) -> None:
    """A privacy budget that a restart forgets is spent again; an answer given twice reveals nothing new, and must
    not cost twice, or a round that's played again after a crash is paid for twice. (Nothing is asked of a learner
    without a budget.)
    """
    learner, fresh = learner_of(subject), learner_of(subject)
    if learner.budget is None or fresh.budget is None:
        return
    trained(learner)
    spent = learner.budget.spent
    require(bool(spent.mechanisms), "a proposal costs nothing of its privacy budget")
    trained(learner)
    require(learner.budget.spent == spent, f"one proposal, given twice, is paid for twice: {learner.budget.spent}")
    fresh.restore(Weights.from_bytes(learner.state().to_bytes()))
    require(fresh.budget.spent == spent, f"spent was {spent}, after restore(state()) it is {fresh.budget.spent}")


def foreign_state_is_refused(subject: Subject) -> None:
    """A checkpoint of another learner that is taken silently starts the budget or the momentum from nonsense."""
    learner = learner_of(subject)
    try:
        learner.restore(Weights({"nobody keeps this": np.arange(3.0)}))
    except Exception:
        return
    fail("restore takes a state with unknown names")


def the_cohort_votes_as_the_loop(subject: Subject) -> None:
    """Whether many learners are scored in one pass or one by one must not be seen in a single vote."""
    usual = private(subject.data)
    learners = list(several(subject, usual))
    loop, cohort = LoopCohort(list(several(subject, usual))), type(learners[0]).cohort(learners)
    base = loop.initial_weights(rng_of(0))
    require(cohort.initial_weights(rng_of(0)) == base, "the cohort gives other initial weights")
    asked = range(len(learners))
    expected, found = (c.propose(asked, base, 1, Streams(0)) for c in (loop, cohort))
    require(
        {i: p.weights.digest for i, p in found.proposals.items()}
        == {i: p.weights.digest for i, p in expected.proposals.items()},
        "the cohort's learners propose something else",
    )
    proposals = list(expected.proposals.values())
    require(cohort.combine(base, proposals) == loop.combine(base, proposals), "the cohort combines otherwise")
    candidates = [base, *(p.weights for p in proposals[:3]), loop.combine(base, proposals)]
    for part in PARTS:
        ours, theirs = loop.test(candidates, part), cohort.test(candidates, part)
        require(np.array_equal(ours.samples, theirs.samples), f"{part} samples: {theirs.samples}, not {ours.samples}")
        differ = np.argwhere(~((ours.values == theirs.values) | (np.isnan(ours.values) & np.isnan(theirs.values))))
        if len(differ):
            i, c = differ[0]
            fail(f"{part} score of learner {i}: {theirs.values[i, c]} in the cohort, {ours.values[i, c]} by itself")
