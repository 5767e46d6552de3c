"""What every learner must do that gives the score of each sample; one that gives none has nothing to keep."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from ...cohort import LoopCohort
from ...errors import Abstention
from ...learner import Learner
from ...streams import Streams
from ...weights import Weights
from ..kit import Subject, require
from ..probing import close, initial_of, learner_of, rng_of, several, trained
from ..samples import private


def scores_of_samples_average_to_the_score(subject: Subject) -> None:
    """Voters that look closer would go by something else than the score that is written down."""
    learner = learner_of(subject)
    if not _tells(learner):
        return
    for weights in (initial_of(learner), trained(learner)):
        found, score = learner.test_samples(weights), learner.test_weights(weights, "vote")
        alike = found.samples == score.samples and close(found.value, score.value)
        require(alike, f"the score is {found[:2]} with those of samples, {score[:2]} without")
        shape = None if found.each is None else np.shape(found.each)
        require(shape == (score.samples,), f"a score of {score.samples} samples comes with those of {shape}")
        average = float(np.mean(found.each, dtype=np.float64))  # type: ignore[arg-type]
        require(close(average, score.value), f"the scores of samples average to {average}, the score is {score.value}")


def scores_of_samples_come_in_the_order_of_the_samples(subject: Subject) -> None:
    """A vote pairs what two models make of the same sample, and looks at the samples of one class: in another order
    it compares one sample with another.
    """
    usual = private(subject.data)
    learner, turned = learner_of(subject), subject.make(replace(usual, vote=usual.vote.take(_turned(usual))))
    if not _tells(learner):
        return
    weights = trained(learner)
    found, reversed_ = learner.test_samples(weights), turned.test_samples(weights)
    same = bool(np.allclose(found.each[::-1], reversed_.each, rtol=1e-4, atol=1e-6))  # type: ignore[index]
    require(same, "with the samples in reverse, their scores are not those of before in reverse")
    classes = usual.vote.y if usual.task.classes else None
    require(_same(found.classes, classes), f"the classes of the samples are {found.classes}, not {classes}")


def the_cohort_scores_samples_as_the_loop(subject: Subject) -> None:
    """Whether many learners are scored in one pass or one by one must not be seen in a single vote, also of voters
    that look closer.
    """
    learners = list(several(subject, private(subject.data)))
    if not _tells(learners[0]):
        return
    loop, cohort = LoopCohort(list(several(subject, private(subject.data)))), type(learners[0]).cohort(learners)
    base = loop.initial_weights(rng_of(0))
    proposed = loop.propose(range(2), base, 1, Streams(0)).proposals.values()
    ours, theirs = (c.test_samples([base, *(p.weights for p in proposed)]) for c in (loop, cohort))
    require(theirs.reasons == ours.reasons, f"abstentions are {theirs.reasons} in the cohort, {ours.reasons} without")
    require(np.array_equal(theirs.samples, ours.samples), f"samples: {theirs.samples}, not {ours.samples}")
    require(_same(theirs.values, ours.values), f"scores are {theirs.values} in the cohort, {ours.values} without")
    for i in range(len(learners)):
        for name, one, other in (("scores", ours.each, theirs.each), ("classes", ours.classes, theirs.classes)):
            require(_same(other[i], one[i]), f"{name} of learner {i}'s samples are others in the cohort")


def _tells(learner: Learner) -> bool:
    weights: Weights = initial_of(learner)
    try:
        learner.test_samples(weights)
    except Abstention:
        return False
    return True


def _turned(usual: Any) -> Any:
    return np.arange(len(usual.vote))[::-1]


def _same(one: Any, other: Any) -> bool:
    if one is None or other is None:
        return one is other
    one, other = np.asarray(one), np.asarray(other)
    return one.shape == other.shape and bool(np.array_equal(one, other, equal_nan=one.dtype.kind == "f"))
