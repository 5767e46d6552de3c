"""Adversaries among honest learners: what a cohort makes of them, and what an experiment comes to."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
from small_weights import vector, w

from colearn_core.adversaries import (
    Adversary,
    Crashing,
    DishonestCohort,
    FreeRider,
    Liar,
    Nan,
    Scene,
    SignFlip,
    Stale,
)
from colearn_core.adversaries.bases import Bases
from colearn_core.cohort import LoopCohort, Proposals
from colearn_core.errors import Abstention, ConfigError
from colearn_core.experiment import Experiment
from colearn_core.learner import Learner, Proposal
from colearn_core.metrics import metric
from colearn_core.plugins import Plugins
from colearn_core.proposing import Candidate, Everyone, RoundRobin
from colearn_core.scores import Part, Score
from colearn_core.streams import Streams
from colearn_core.voting import Ballots
from colearn_core.weights import Weights

STREAMS = Streams(5)


CANDIDATES = [Candidate(vector(1.0), authors, "") for authors in ((1,), (0, 2))]


class Fixed(Learner):
    """Proposes a fixed change of the base, and counts how often it trains."""

    vote_metric = metric("mse")
    test_metric = metric("mse")

    def __init__(self, change: float, samples: float = 10) -> None:
        self.change, self.samples, self.bases = change, samples, list[Weights]()

    def initial_weights(self, rng: np.random.Generator) -> Weights:
        return vector(0.0)

    def propose_weights(self, base: Weights, rng: np.random.Generator) -> Proposal:
        self.bases.append(base)
        if np.isnan(self.change):
            raise Abstention("no data today")
        return Proposal(vector(w(base)[0] + self.change + 1e-9 * rng.random()), self.samples)

    def test_weights(self, weights: Weights, part: Part) -> Score:
        return Score(-w(weights)[0], 5)


def cohort(adversaries: dict[int, Adversary], *changes: float) -> tuple[DishonestCohort, list[Fixed]]:
    learners = [Fixed(change) for change in changes or (1.0, 2.0, 3.0, 4.0)]
    return DishonestCohort(LoopCohort(learners), learners, adversaries), learners


def ballots(margins: Any = None) -> Ballots:
    votes = np.array([[1, -1], [1, 1], [-1, 0], [1, 1]], dtype=np.int8)
    return Ballots(votes, None if margins is None else np.array(margins, dtype=np.float32))


def cast(adversaries: dict[int, Adversary], given: Ballots) -> Ballots:
    return cohort(adversaries)[0].cast(given, CANDIDATES, 1, STREAMS)


def test_only_liars_rows_are_replaced() -> None:
    given = ballots()
    found = cast({1: Liar(votes="no"), 2: SignFlip(votes="opposite"), 3: SignFlip()}, given)
    assert found.votes.tolist() == [[1, -1], [-1, -1], [1, 0], [1, 1]]
    assert given.votes.tolist() == ballots().votes.tolist()
    assert found.margins is None


def test_a_liars_margin_is_more_than_any_policy_counts() -> None:
    margins = [[0.5, -2.0], [0.1, 0.1], [-0.1, np.nan], [0.2, np.inf]]
    found = cast({1: Liar(votes="no"), 2: Liar(votes="yes"), 3: Crashing(1.0)}, ballots(margins)).margins
    assert found is not None
    assert found[:3].tolist() == [[0.5, -2.0], [-1e6, -1e6], [1e6, 1e6]]
    assert np.isnan(found[3]).all()


def test_loyal_ones_approve_of_what_any_malicious_one_has_a_part_in() -> None:
    adversaries: dict[int, Adversary] = {1: Liar(votes="loyal"), 2: Nan(), 3: SignFlip()}
    assert cohort(adversaries)[0].accomplices == {1, 3}
    assert cast(adversaries, ballots()).votes[1].tolist() == [1, -1]  # candidates of 1, and of 0 and 2


def test_a_vote_that_is_none_counts_as_abstention() -> None:
    @dataclass(frozen=True)
    class Odd(Adversary):
        answer: Any

        def cast(self, *_: Any) -> Any:
            if isinstance(self.answer, Exception):
                raise self.answer
            return self.answer

    for answer in (ValueError("oh"), None, np.array([1], dtype=np.int8), np.array([5, 1]), np.array([np.nan, 1])):
        assert cast({1: Odd(answer)}, ballots()).votes.tolist() == [[1, -1], [0, 0], [-1, 0], [1, 1]]


# The cohort


def asked(of: DishonestCohort, learners: Sequence[int], base: Weights, round: int = 1) -> Proposals:
    return of.propose(learners, base, round, STREAMS)


def test_adversaries_proposals_are_replaced_and_the_others_stay() -> None:
    found = asked(cohort({1: SignFlip()})[0], [3, 1, 0], vector(0.0))
    assert list(found.proposals) == [0, 1, 3]
    assert [round(w(p)[0]) for p in found.proposals.values()] == [1, -2, 4]
    honest = LoopCohort([Fixed(c) for c in (1.0, 2.0, 3.0, 4.0)]).propose([0, 1, 3], vector(0.0), 1, STREAMS)
    assert found.proposals[0] == honest.proposals[0]
    assert found.proposals[3] == honest.proposals[3]


def test_adversaries_see_the_honest_ones_that_were_asked_and_each_other() -> None:
    seen: dict[int, Scene] = {}

    class Watching(Adversary):
        def propose(self, scene: Scene, rng: np.random.Generator) -> Proposal:
            seen[scene.learner] = scene
            return scene.own

    of, _ = cohort({1: Watching(), 2: Watching()})
    asked(of, [0, 1, 2], vector(0.0))
    assert {i: (list(s.others), list(s.trained)) for i, s in seen.items()} == {1: ([0], [1, 2]), 2: ([0], [1, 2])}
    asked(of, [1], vector(0.0), 2)
    assert (list(seen[1].others), list(seen[1].trained), seen[1].learners, seen[1].round) == ([], [1], 4, 2)


def test_what_is_no_usable_proposal_is_a_refusal_with_its_reason() -> None:
    class Raising(Adversary):
        def propose(self, scene: Scene, rng: np.random.Generator) -> Proposal:
            raise ZeroDivisionError("oh")

    class Bigger(Adversary):
        def propose(self, scene: Scene, rng: np.random.Generator) -> Proposal:
            return Proposal(vector(1.0, 2.0), 5)

    class Claiming(Adversary):
        def propose(self, scene: Scene, rng: np.random.Generator) -> Proposal:
            return Proposal(scene.own.weights, -1)

    class Lost(Adversary):
        def trains_from(self, scene: Scene) -> Weights:
            raise KeyError("where")

    of, _ = cohort({0: Nan(), 1: Raising(), 2: Bigger(), 3: Claiming(), 4: Crashing(1.0), 5: Lost()}, *range(7))
    found = asked(of, range(7), vector(0.0))
    assert list(found.proposals) == [6]
    assert found.refusals == {
        0: "WeightsError: non-finite values in 'w' (1 of 1)",
        1: "ZeroDivisionError: oh",
        2: "WeightsError: 'w' is float64[2], the model has float64[1]",
        3: "ValueError: a proposal trained on -1 samples",
        4: "crashed",
        5: "KeyError: 'where'",
    }


def test_an_adversary_whose_training_failed_tells_why() -> None:
    found = asked(cohort({1: SignFlip()}, 1.0, np.nan)[0], [0, 1], vector(0.0))
    assert found.refusals == {1: "no data today"}


def test_a_free_rider_does_not_train() -> None:
    of, learners = cohort({1: FreeRider()})
    found = asked(of, [0, 1], vector(0.0))
    assert w(found.proposals[1]) == [0.0]
    assert [len(learner.bases) for learner in learners[:2]] == [1, 0]


def test_stale_learners_train_from_what_was_in_force_then() -> None:
    of, learners = cohort({0: Stale(2), 1: Stale()})
    bases = [vector(float(i)) for i in (0, 1, 1, 3, 4)]
    bases[2] = bases[1]  # round 2 was rejected
    for round, base in enumerate(bases, start=1):
        asked(of, [0, 1, 2], base, round)
    assert [w(b) for b in learners[0].bases] == [[0.0], [0.0], [0.0], [1.0], [1.0]]
    assert [w(b) for b in learners[1].bases] == [[0.0]] * 5
    assert [w(b) for b in learners[2].bases] == [w(b) for b in bases]
    asked(of, [0], bases[3], 4)  # a round that's played again
    assert w(learners[0].bases[-1]) == [1.0]
    asked(of, [1], vector(50.0), 1)  # all of them
    assert w(learners[1].bases[-1]) == [50.0]


def test_only_as_much_of_the_past_is_kept_as_somebody_looks_back() -> None:
    bases, kept = Bases(2), []
    for round in range(1, 40):
        bases.add(round, vector(float(round)))
        kept.append(len(bases._since))
        assert [w(base) for base in bases.past(round, 2)] == [[float(r)] for r in (round - 1, round - 2) if r > 0]
        assert w(bases.initial) == [1.0]
        assert bases.before is None if round == 1 else w(bases.before or vector()) == [round - 1.0]
    assert max(kept) == 3
    same = vector(5.0)
    for round in range(40, 60):  # rejections: the same base, and the one before it is still known
        bases.add(round, same)
    assert bases.before is not None
    assert w(bases.before) == [39.0]
    assert [w(base) for base in bases.past(59, 2)] == [[5.0], [5.0]]


def test_a_free_rider_hides_behind_the_last_change() -> None:
    of, _ = cohort({1: FreeRider(noise=1.0)})
    base = vector(0.0)
    assert asked(of, [1], base).proposals[1].weights is base
    changed = vector(1e6)
    for round in (2, 3, 4):
        noise = w(asked(of, [1], changed, round).proposals[1])[0] - 1e6
        assert 1e3 < abs(noise) < 1e7


def test_who_plays_must_be_there() -> None:
    with pytest.raises(ConfigError, match="learner 4 is to play sign_flip, but they are 0 to 3"):
        cohort({4: SignFlip()})


# Experiments


def experiment(adversaries: dict[int, Adversary], **more: Any) -> Experiment:
    learners = [Fixed(change) for change in (1.0, 2.0, 3.0, 4.0)]
    return Experiment(learners, adversaries=adversaries, plugins=Plugins([]), **{"proposals": RoundRobin(), **more})


def test_an_experiment_rejects_what_its_honest_majority_rejects() -> None:
    found = experiment({1: SignFlip(), 2: Nan()}).run(8)
    h = found.history
    assert h.accepted == [True, False, False, True] * 2
    assert h.adversaries == {1: "sign_flip", 2: "nan"}
    assert found.summary()["adversaries"] == {"learner-1": "sign_flip", "learner-2": "nan"}


def test_liars_in_the_majority_decide() -> None:
    liars: dict[int, Adversary] = {i: Liar(votes="loyal") for i in (1, 2, 3)}
    assert experiment({0: SignFlip(), **liars}).run(4).history.accepted == [True] * 4
    opposing: dict[int, Adversary] = {i: Liar() for i in (1, 2, 3)}
    assert experiment(opposing).run(4).history.accepted == [False] * 4


def test_the_mean_over_honest_learners_is_told() -> None:
    class Scattered(Fixed):
        def test_weights(self, weights: Weights, part: Part) -> Score:
            return Score(-w(weights)[0] + self.change, 5)

    learners = [Scattered(change) for change in (1.0, 2.0, 3.0, 90.0)]
    run = Experiment(learners, proposals=Everyone(), adversaries={3: FreeRider()}, plugins=Plugins([])).run(2)
    h = run.history
    honest = h.test_scores[-1][:3].mean()
    assert h.honest_mean_test() == pytest.approx(honest)
    assert run.summary()["test"]["honest"] == pytest.approx(honest)
    assert h.columns()["test_mse_honest"][-1] == pytest.approx(honest)
    assert h.mean_test() > honest + 10


def test_without_adversaries_nothing_is_told_of_them() -> None:
    run = experiment({}).run(2)
    assert "adversaries" not in run.summary()
    assert "honest" not in run.summary()["test"]
    assert not [name for name in run.history.columns() if "honest" in name]
    assert isinstance(experiment({}).cohort, LoopCohort)
