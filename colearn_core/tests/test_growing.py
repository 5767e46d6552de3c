"""Learners whose model grows: the contract, the cache of margins, combining, pruning, and whole experiments."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from itertools import permutations
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from library_trees import FEATURES, joined, random_samples, random_tree
from numpy.typing import NDArray
from numpy_grower import Exhaustive, averaged, boosted

from colearn_core.approval import Approval
from colearn_core.cohort import LoopCohort
from colearn_core.data import PrivateData, Samples, Task
from colearn_core.errors import Abstention, ConfigError, DataError, ParameterError, WeightsError
from colearn_core.experiment import Experiment
from colearn_core.growing import Growth, Margins, TreeCohort, TreeLearner
from colearn_core.learner import Learner, Proposal
from colearn_core.ledger import FileLedger, LedgerFile, line_hash
from colearn_core.plugins import Plugins
from colearn_core.proposing import LineSearch
from colearn_core.reference import SoftmaxRegression
from colearn_core.scores import Part
from colearn_core.streams import Streams
from colearn_core.testing import Subject
from colearn_core.testing.kit import Check, checks_of
from colearn_core.testing.samples import classes, private, values
from colearn_core.trees import Forest
from colearn_core.weights import Weights

Array = NDArray[Any]
UNHURRIED = settings(deadline=None, max_examples=60)
KINDS: dict[str, tuple[Callable[..., Any], Callable[[], Any]]] = {
    "boosted classes": (boosted, classes),
    "boosted values": (boosted, values),
    "averaged classes": (averaged, classes),
    "averaged values": (averaged, values),
}
STRATEGIES = ("approval", "committee", "everyone", "line_search", "random", "round_robin")


def rng_of(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def two_classes() -> PrivateData:
    whole = private(classes())
    train, vote, test = (Samples(s.x, (s.y > 0).astype(int)) for s in (whole.train, whole.vote, whole.test))
    return PrivateData(train, vote, test, Task(("no", "yes")))


def shares(
    data: PrivateData, votes: Sequence[int] = (40, 0, 25, 60), tests: Sequence[int] = (9, 8, 0, 7)
) -> list[PrivateData]:
    """Parties with 15 training samples each, and so many to vote and test by."""
    found = []
    for i, (vote, test) in enumerate(zip(votes, tests, strict=True)):
        rows = {"train": np.arange(15) + 15 * i, "vote": np.arange(vote) + 60 * i, "test": np.arange(test) + 10 * i}
        train, vote_, test_ = (getattr(data, part).take(own) for part, own in rows.items())
        found.append(PrivateData(train, vote_, test_, data.task))
    return found


def learners(data: PrivateData | None = None, make: Any = boosted, **parameters: Any) -> list[TreeLearner]:
    return [make(share, **parameters) for share in shares(data or two_classes())]


def grown_by(learner: TreeLearner, proposals: int, seed: int = 0) -> Weights:
    weights = learner.initial_weights(rng_of())
    for i in range(proposals):
        weights = learner.propose_weights(weights, rng_of(seed + i)).weights
    return weights


def margins_of(learner: TreeLearner, weights: Weights, part: str = "vote") -> Array:
    x = learner.features(part)
    margins = np.zeros((len(x), learner.grower.outputs))
    learner.forest(weights).add_to(margins, x)
    return margins


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("check", checks_of("learners"), ids=lambda check: check.name)
def test_tree_learners_keep_the_contract(check: Check, kind: str) -> None:
    make, dataset = KINDS[kind]
    check.function(Subject(make, dataset=dataset()))


@pytest.mark.parametrize("check", checks_of("learners"), ids=lambda check: check.name)
def test_learners_that_prune_keep_the_contract(check: Check) -> None:
    check.function(Subject(boosted, {"prune": 0.5, "trees": 2}, classes()))


class TestMargins:
    @UNHURRIED
    @given(st.integers(0, 2**32), st.lists(st.tuples(st.sampled_from("aggbdsn"), st.integers(0, 99)), max_size=25))
    def test_are_those_of_a_cold_sum_to_the_bit(self, seed: int, steps: list[tuple[str, int]]) -> None:
        rng = rng_of(seed)
        x = random_samples(rng, 7)
        cached, pool = Margins(x, 2), [Forest.empty(1)]
        for step, choice in steps:
            known = pool[choice % len(pool)]
            new = joined([random_tree(rng, 3, codes=9, output=int(rng.integers(2))) for _ in range(2)])
            if step == "g":
                pool.append(Forest.joined([known, new]))
            elif step == "b":  # a branch off somewhere within
                pool.append(Forest.joined([known.take(slice(choice % (len(known) + 1))), new]))
            elif step == "d":
                pool.append(known.take(np.flatnonzero(rng.random(len(known)) < 0.7)))
            elif step == "s":
                pool.append(known.scaled(0.5))
            elif step == "n":
                pool.append(new)
            asked = pool[-1] if step != "a" else Forest(**known.to_weights())
            cold = np.zeros((7, 2))
            asked.add_to(cold, x)
            assert cached.of(asked).tobytes() == cold.tobytes()

    def test_are_read_only(self) -> None:
        margins = Margins(random_samples(rng_of(), 3), 1)
        one = joined([random_tree(rng_of(), 2)])
        for forest in (Forest.empty(1), one, Forest.joined([one, one])):
            with pytest.raises(ValueError, match="read-only"):
                margins.of(forest)[0, 0] = 1

    @pytest.mark.parametrize("accepted", [1.0, 0.5, 0.1])
    def test_of_one_candidate_a_round_cost_what_is_new(self, asked: list[int], accepted: float) -> None:
        rng, base, margins = rng_of(3), Forest.empty(1), Margins(random_samples(rng_of(), 3), 1)
        while len(base) < 1000 * accepted:
            candidate = Forest.joined([base, *(random_tree(rng, 2).forest() for _ in range(5))])
            asked.clear()
            margins.of(candidate)
            assert sum(asked) <= 2 * 5
            if rng.random() < accepted:
                base = candidate

    def test_of_rival_candidates_cost_what_is_new(self, asked: list[int]) -> None:
        rng, base, margins = rng_of(4), Forest.empty(1), Margins(random_samples(rng_of(), 3), 1)
        while len(base) < 1000:
            own = [joined([random_tree(rng, 2) for _ in range(3)]) for _ in range(4)]
            committees = [own, *([f for f in own if f is not left] for left in own), own[:2], own[2:]]
            candidates = [Forest.joined([base, *committee]) for committee in committees]
            asked.clear()
            for candidate in candidates:
                margins.of(candidate)
            assert sum(asked) <= 12 + sum(3 * len(committee) for committee in committees)
            base = candidates[int(rng.integers(len(candidates)))]

    def test_survive_candidates_that_share_nothing(self, asked: list[int]) -> None:
        margins, trees = (
            Margins(random_samples(rng_of(), 3), 1),
            [random_tree(rng_of(i), 3).forest() for i in range(99)],
        )
        base = Forest.joined(trees[:90])
        margins.of(base)
        margins.of(Forest.joined([base, trees[98]]))
        for i in range(90, 98):
            margins.of(Forest.joined([base, trees[i]]).scaled(0.5))
            asked.clear()
            margins.of(Forest.joined([base, trees[i]]))
            assert sum(asked) == 1

    def test_of_what_was_asked_before_cost_nothing(self, asked: list[int]) -> None:
        margins, forest = Margins(random_samples(rng_of(), 3), 1), joined([random_tree(rng_of(i), 3) for i in range(9)])
        margins.of(forest)
        assert asked == [9]
        margins.of(forest)
        margins.of(Forest(**forest.to_weights()))
        margins.of(forest.take(slice(9)))
        assert asked == [9]

    @pytest.mark.parametrize("runtime", ["fused", "loop"])
    def test_in_an_experiment_cost_what_is_new(self, asked: list[int], runtime: str) -> None:
        parties = learners(trees=2)
        experiment = Experiment(parties, proposals="round_robin", runtime=runtime, seed=1)
        for _ in experiment.rounds(20):
            # A learner trains in every fourth round, and then catches up; votes see what's new and was adopted last.
            assert max(asked, default=0) <= 4 * 2
            assert sum(asked) <= 4 * 2 + (1 if runtime == "fused" else len(parties)) * (4 + 2)
            asked.clear()
        assert len(parties[0].forest(experiment.weights)) > 20


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many trees each call of ``add_to`` evaluates."""
    found: list[int] = []
    add_to = Forest.add_to

    def counting(self: Forest, margins: Array, x: Array) -> None:
        found.append(len(self))
        add_to(self, margins, x)

    monkeypatch.setattr(Forest, "add_to", counting)
    return found


class TestCombining:
    def learner(self, boosts: bool = True) -> TreeLearner:
        data = two_classes()
        grower = Exhaustive(6, 2, boosts)
        return Growth().learner(data, grower)

    def forests(self, seed: int, trees: int, width: int = 1) -> Forest:
        rng = rng_of(seed)
        return joined([random_tree(rng, 1 + i % 4, width, codes=7 * (i % 3)) for i in range(trees)], width)

    def proposals(self, base: Forest, width: int = 1) -> list[Proposal]:
        """Grown, pruned, pruned and grown, emptied, and unchanged ones."""
        grown = Forest.joined([base, self.forests(1, 3, width)])
        pruned = base.take(np.array([0, 2, 5]))
        both = Forest.joined([base.take(np.array([1, 2, 3, 4])), self.forests(2, 2, width)])
        forests = [grown, pruned, both, Forest.empty(width), base, Forest.joined([base, self.forests(3, 1, width)])]
        return [Proposal(f.to_weights(), s) for f, s in zip(forests, (10, 7.5, 0.1, 0.2, 3, 40), strict=True)]

    def test_gives_the_mean_of_the_margins(self) -> None:
        learner, base = self.learner(), self.forests(0, 6)
        proposals = self.proposals(base)
        weights = np.array([p.samples for p in proposals])
        mean = np.average([margins_of(learner, p.weights) for p in proposals], axis=0, weights=weights)
        combined = learner.combine(base.to_weights(), proposals)
        assert np.allclose(margins_of(learner, combined), mean, rtol=1e-6, atol=1e-6)
        assert np.abs(mean).max() > 0.1
        assert len(learner.forest(combined)) == 6 + 3 + 2 + 1

    def test_in_pairs_gives_the_mean_of_the_margins(self) -> None:
        learner, base = self.learner(), self.forests(0, 6)
        for pair in permutations(self.proposals(base), 2):
            combined = learner.combine(base.to_weights(), pair)
            mean = np.average([margins_of(learner, p.weights) for p in pair], axis=0, weights=[p.samples for p in pair])
            assert np.allclose(margins_of(learner, combined), mean, rtol=1e-6, atol=1e-6)

    def test_leaves_trees_that_all_kept_as_they_are(self) -> None:
        learner, base = self.learner(), self.forests(0, 30)
        proposals = [Proposal(Forest.joined([base, self.forests(i, 2)]).to_weights(), i**0.5) for i in range(1, 8)]
        combined = learner.forest(learner.combine(base.to_weights(), proposals))
        assert combined.common(base) == 30
        assert len(combined) == 30 + 7 * 2

    @pytest.mark.parametrize("boosts", [True, False])
    def test_ignores_the_order_to_the_bit(self, boosts: bool) -> None:
        learner = self.learner(boosts)
        width = learner.grower.width
        base = self.forests(0, 6, width)
        proposals = self.proposals(base, width)[:4]
        repeated = [*proposals[:3], proposals[0]._replace(samples=0.1), proposals[0]._replace(samples=0.7)]
        for several in (proposals, repeated):
            found = {learner.combine(base.to_weights(), order).digest for order in permutations(several)}
            assert len(found) == 1

    @pytest.mark.parametrize("boosts", [True, False])
    def test_equal_proposals_gives_them_back(self, boosts: bool) -> None:
        learner = self.learner(boosts)
        width = learner.grower.width
        base = self.forests(0, 6, width)
        for proposal in self.proposals(base, width):
            copy = Proposal(Weights(dict(proposal.weights)), 3)
            assert learner.combine(base.to_weights(), [proposal, copy, proposal]) == proposal.weights

    def test_counts_equal_proposals_together(self) -> None:
        learner, base = self.learner(), self.forests(0, 6)
        one, other = self.proposals(base)[:2]
        thrice = [one._replace(samples=1), *[other._replace(samples=1)] * 3]
        once = [one._replace(samples=1), other._replace(samples=3)]
        assert learner.combine(base.to_weights(), thrice) == learner.combine(base.to_weights(), once)

    def test_averaged_trees_gives_all_of_them(self) -> None:
        learner, base = self.learner(boosts=False), self.forests(0, 6, 2)
        new = [self.forests(i, 2, 2) for i in (1, 2, 3)]
        kept = [base, base.take(np.array([0, 1, 5])), base.take(np.array([0, 2]))]
        proposals = [Proposal(Forest.joined(pair).to_weights(), 10) for pair in zip(kept, new, strict=True)]
        combined = learner.forest(learner.combine(base.to_weights(), proposals))
        most = base.take(np.array([0, 1, 2, 5]))  # in two of three
        assert len(combined) == 4 + 6
        assert combined.common(most) == 4
        whole = margins_of(learner, combined.to_weights())
        parts = sum(margins_of(learner, f.to_weights()) for f in [most, *new])
        assert np.allclose(whole, parts)

    def test_from_nothing_takes_all_trees(self) -> None:
        learner = self.learner()
        one, other = self.forests(1, 3), self.forests(2, 2)
        combined = learner.combine(Forest.empty(1).to_weights(), [Proposal(f.to_weights(), 5) for f in (one, other)])
        assert len(learner.forest(combined)) == 5

    @pytest.mark.parametrize("samples", [0, -1.0, np.nan, np.inf])
    def test_without_a_number_of_samples_is_refused(self, samples: float) -> None:
        learner, base = self.learner(), self.forests(0, 6)
        proposals = [p._replace(samples=samples) for p in self.proposals(base)[:2]]
        with pytest.raises(WeightsError, match="can't be combined"):
            learner.combine(base.to_weights(), proposals)

    def test_what_are_no_trees_is_refused(self) -> None:
        learner, base = self.learner(), self.forests(0, 6).to_weights()
        for foreign in (Weights({"w": np.zeros(3)}), self.forests(0, 2, width=3).to_weights()):
            for proposals in ([Proposal(foreign, 1)], [Proposal(base, 1), Proposal(foreign, 1)]):
                with pytest.raises(WeightsError):
                    learner.combine(base, proposals)


class TestPruning:
    @pytest.mark.parametrize("make", [boosted, averaged])
    @pytest.mark.parametrize("dataset", [classes, values])
    def test_never_makes_training_worse(self, make: Any, dataset: Any) -> None:
        learner: TreeLearner = make(private(dataset()), prune=1.0)
        measure, train = learner.vote_metric, learner.data.train
        base = learner.forest(grown_by(make(private(dataset()), trees=3), 4))
        harmful = joined([random_tree(rng_of(i), 3) for i in range(4)]) if base.width == 1 else base.take(slice(3))

        def loss(weights: Weights) -> float:
            predictions = learner.predict(weights, train.x)
            return float(measure.score(train.y, predictions, np.array([len(train)]))[0])

        for forest in (Forest.joined([base, harmful]), Forest.joined([harmful, base])):
            weights = forest.to_weights()
            pruned = learner.propose_weights(weights, rng_of()).weights
            assert loss(pruned) <= loss(weights) + 1e-12
            kept = [tree_bytes(learner.forest(pruned), i) for i in range(len(learner.forest(pruned)))]
            every = iter([tree_bytes(forest, i) for i in range(len(forest))])
            assert 0 < len(kept) < len(forest)
            assert all(tree in every for tree in kept)  # in their order

    def test_that_finds_nothing_grows_instead(self) -> None:
        pruning, growing = boosted(two_classes(), prune=1.0), boosted(two_classes())
        base = grown_by(growing, 1)
        rng = rng_of(5)
        rng.random()
        assert pruning.propose_weights(base, rng_of(5)).weights == growing.propose_weights(base, rng).weights

    def test_keeps_one_of_averaged_trees(self) -> None:
        learner = averaged(private(classes()), prune=1.0)
        wrong = replace(random_tree(rng_of(), 0, width=3), value=np.full((1, 3), -1.0))  # worse than no tree at all
        worst = joined([wrong] * 3, 3)
        pruned = learner.propose_weights(worst.to_weights(), rng_of()).weights
        assert len(learner.forest(pruned)) == 1

    def test_happens_in_its_share_of_proposals(self) -> None:
        learner = boosted(two_classes(), prune=0.3)
        base = Forest.joined([learner.forest(grown_by(learner, 2)), joined([random_tree(rng_of(1), 2)]).scaled(0)])
        fewer = [
            len(learner.forest(learner.propose_weights(base.to_weights(), rng_of(i)).weights)) < len(base)
            for i in range(100)
        ]
        assert 15 < sum(fewer) < 45


def tree_bytes(forest: Forest, tree: int) -> bytes:
    return forest.take(slice(tree, tree + 1)).to_weights().to_bytes()


class TestLimits:
    def test_a_full_model_is_an_abstention_and_the_run_goes_on(self) -> None:
        parties = learners(trees=2, max_trees=5)
        experiment = Experiment(parties, proposals="round_robin", voting="majority", seed=2)
        records = list(experiment.rounds(12))
        refusals = [r for record in records for r in record.refusals.values()]
        assert len(parties[0].forest(experiment.weights)) == 4
        assert refusals
        assert set(refusals) == {"the model has 4 trees; 2 more would exceed max_trees = 5"}

    def test_a_full_model_is_not_trained_on(self, monkeypatch: pytest.MonkeyPatch) -> None:
        learner = boosted(two_classes(), max_trees=2)
        base = grown_by(learner, 2)
        monkeypatch.setattr(Exhaustive, "grow", None)
        with pytest.raises(Abstention, match="the model has 2 trees, and max_trees = 2"):
            learner.propose_weights(base, rng_of())

    def test_a_full_model_may_be_pruned(self) -> None:
        learner = boosted(two_classes(), max_trees=2, prune=1.0)
        base = joined([random_tree(rng_of(0), 1), random_tree(rng_of(1), 1)]).to_weights()
        assert len(learner.forest(learner.propose_weights(base, rng_of()).weights)) < 2

    def test_proposals_beyond_it_are_refused(self) -> None:
        learner = boosted(two_classes(), max_trees=3)
        base, four = grown_by(learner, 2), joined([random_tree(rng_of(i), 1) for i in range(4)]).to_weights()
        with pytest.raises(WeightsError, match="'sizes' is of 4 trees, and max_trees = 3"):
            learner.check_weights(four, base)
        learner.check_weights(four, four)  # no more than there were
        learner.check_weights(grown_by(learner, 3), base)

    @pytest.mark.parametrize("wrong", [{"max_trees": 0}, {"prune": -0.1}, {"prune": 1.1}])
    def test_settings_out_of_range_are_refused(self, wrong: dict[str, Any]) -> None:
        with pytest.raises(ParameterError, match=r"max_trees = .*prune = "):
            Growth(**wrong).learner(two_classes(), Exhaustive(6, 2, True))

    def test_a_grower_of_another_task_is_refused(self) -> None:
        for classes_ in (0, 3):
            with pytest.raises(ParameterError, match="classification task of 2 classes"):
                Growth().learner(two_classes(), Exhaustive(6, classes_, True))
        with pytest.raises(ParameterError, match="mse can't score classes"):
            boosted(two_classes(), vote_metric="mse")


class TestData:
    def with_x(self, **parts: Array) -> PrivateData:
        data = two_classes()
        changed: Any = {part: Samples(x, getattr(data, part).y[: len(x)]) for part, x in parts.items()}
        return replace(data, **changed)

    def test_of_other_features_are_refused(self) -> None:
        for part in ("train", "vote", "test"):
            data = self.with_x(**{part: np.zeros((5, 7))})
            with pytest.raises(DataError, match=rf"{part} features .* know 6 features"):
                Growth().learner(data, Exhaustive(6, 2, True))

    def test_that_are_infinite_in_single_precision_are_refused(self) -> None:
        for worst in (np.inf, -np.inf, 1e39):
            x = np.zeros((5, 6))
            x[2, 1] = worst
            with pytest.raises(DataError, match=r"vote features are infinite in single precision \(1\)"):
                boosted(self.with_x(vote=x))

    def test_that_are_no_numbers_are_refused(self) -> None:
        with pytest.raises(DataError, match="test features are no table of numbers"):
            boosted(self.with_x(test=np.full((3, 6), "red", dtype=object)))

    def test_may_be_missing(self) -> None:
        data = two_classes()
        x = data.train.x.copy()
        x[::3, 0] = np.nan
        learner = boosted(self.with_x(train=x, vote=np.full((4, 6), np.nan)))
        assert np.isfinite(learner.test_weights(grown_by(learner, 3), "vote").value)

    @pytest.mark.parametrize("weight", [[1.0] * 59, [[1.0]] * 60, [-1.0] + [1.0] * 59, [np.nan] * 60, [0.0] * 60])
    def test_weights_of_samples_must_fit(self, weight: list[Any]) -> None:
        with pytest.raises(DataError, match="sample weights must be 60 numbers"):
            Growth().learner(two_classes(), Exhaustive(6, 2, True), np.array(weight))

    def test_weights_of_samples_reach_the_grower(self) -> None:
        plain, weighted = (
            Growth().learner(two_classes(), Exhaustive(6, 2, True), weight)
            for weight in (None, np.where(np.arange(60) % 2, 5.0, 0.1))
        )
        assert grown_by(plain, 1) != grown_by(weighted, 1)

    def test_of_new_samples_are_predicted_as_asked(self) -> None:
        learner = boosted(two_classes())
        weights = grown_by(learner, 8)
        x, y = learner.data.vote.x, learner.data.vote.y
        probabilities = learner.predict(weights, x)
        labels = learner.predict(weights, x, "labels")
        assert probabilities.shape == (len(x), 2)
        assert np.array_equal(labels, probabilities.argmax(axis=1))
        assert (labels == y).mean() > 0.75
        with pytest.raises(DataError, match="new features"):
            learner.predict(weights, x[:, :3])

    def test_tells_which_features_matter(self) -> None:
        learner = boosted(two_classes())
        importance = learner.feature_importance(grown_by(learner, 5))
        assert list(importance) == [f"feature {i}" for i in range(6)]
        assert sum(importance.values()) == pytest.approx(1)
        assert not any(learner.feature_importance(learner.initial_weights(rng_of())).values())


class TestCohort:
    def candidates(self, parties: Sequence[TreeLearner]) -> list[Weights]:
        base = grown_by(parties[0], 2)
        proposals = [party.propose_weights(base, rng_of(i)) for i, party in enumerate(parties)]
        return [base, *(p.weights for p in proposals), parties[0].combine(base, proposals), grown_by(parties[1], 1)]

    @pytest.mark.parametrize("kind", KINDS)
    @pytest.mark.parametrize("part", ["vote", "test"])
    def test_scores_as_each_by_itself(self, kind: str, part: Part) -> None:
        make, dataset = KINDS[kind]
        parties = learners(private(dataset()), make)
        fused, loop = TreeLearner.cohort(parties), LoopCohort(learners(private(dataset()), make))
        assert isinstance(fused, TreeCohort)
        candidates = self.candidates(parties)
        for asked in (candidates, candidates[::-1], []):
            ours, theirs = fused.test(asked, part), loop.test(asked, part)
            assert np.array_equal(ours.values, theirs.values, equal_nan=True)
            if asked:
                assert np.array_equal(ours.samples, theirs.samples)
                assert np.isnan(ours.values[1 if part == "vote" else 2]).all()
                assert np.isfinite(ours.values[0]).all()

    def test_asks_the_others_when_one_candidate_is_no_model(self) -> None:
        parties = learners()
        good, bad = grown_by(parties[0], 1), Weights({"w": np.zeros(2)})
        scores = TreeLearner.cohort(parties).test([good, bad], "vote")
        assert np.isfinite(scores.values[0, 0])
        assert np.isnan(scores.values[:, 1]).all()
        assert "these weights are no trees" in scores.reasons[0]

    def test_of_different_growers_is_a_loop(self) -> None:
        one, other = learners()[0], learners(depth=3)[1]
        for cohort in (TreeLearner.cohort([one, other]), TreeLearner.cohort([one, SoftmaxRegression(two_classes())])):
            assert type(cohort) is LoopCohort

    def test_of_different_classes_is_refused(self) -> None:
        renamed = replace(two_classes(), task=Task(("yes", "no")))
        with pytest.raises(ConfigError, match=r"learner 1 has the classes \('yes', 'no'\)"):
            TreeLearner.cohort([boosted(two_classes()), boosted(renamed)])

    @pytest.mark.parametrize(
        ("foreign", "culprit"),
        [
            (joined([random_tree(rng_of(i), 5) for i in range(9)]).to_weights(), "'output'"),
            (Weights({"w": np.zeros(2)}), "no trees"),
            (joined([random_tree(rng_of(0), 1, width=3)], 3).to_weights(), "'value'"),
        ],
    )
    def test_refuses_proposals_of_other_models(self, foreign: Weights, culprit: str) -> None:
        if culprit == "'output'":
            foreign = Weights({**foreign, "output": np.full(9, 2, np.int32)})
        parties = learners()
        parties[1].propose_weights = lambda base, rng: Proposal(foreign, 1)  # type: ignore[method-assign]
        for cohort in (TreeLearner.cohort(parties), LoopCohort(parties)):
            proposed = cohort.propose([0, 1], parties[0].initial_weights(rng_of()), 1, Streams(0))
            assert list(proposed.proposals) == [0]
            assert proposed.refusals[1].startswith("WeightsError: ")
            assert culprit in proposed.refusals[1]


class Particular(SoftmaxRegression):
    """Has its own idea of what fits the model."""

    def check_weights(self, weights: Weights, base: Weights) -> None:
        if weights["coef"][0, 0] <= base["coef"][0, 0]:
            raise WeightsError("'coef' must grow")


class TestTheCheckOfProposals:
    def propose(self, learner: Learner, answer: Callable[[Weights], Weights]) -> Any:
        learner.propose_weights = lambda base, rng: Proposal(answer(base), 1)  # type: ignore[method-assign]
        return LoopCohort([learner]).propose([0], learner.initial_weights(rng_of()), 1, Streams(0))

    def test_is_the_learners_own(self) -> None:
        grown = self.propose(Particular(two_classes()), lambda base: Weights({"coef": np.ones((9, 9))}))
        assert list(grown.proposals) == [0]  # another shape, which the learner allows
        shrunk = self.propose(Particular(two_classes()), lambda base: base)
        assert shrunk.refusals == {0: "WeightsError: 'coef' must grow"}

    def test_is_by_default_of_names_types_and_shapes(self) -> None:
        refused = self.propose(SoftmaxRegression(two_classes()), lambda base: Weights({"coef": np.ones((9, 9))}))
        assert "missing ['intercept']" in refused.refusals[0]


class TestExperiments:
    def test_line_search_goes_part_of_the_way(self) -> None:
        parties = learners(trees=2)
        experiment = Experiment(parties, proposals=LineSearch(), seed=3)
        for record in experiment.rounds(6):
            assert [c.label for c in record.candidates] == ["step 1", "step 0.5", "step 0.25"]
        assert len(parties[0].forest(experiment.weights)) > 4

    def test_a_shorter_step_shrinks_what_is_new(self) -> None:
        learner = boosted(two_classes(), trees=2)
        base = grown_by(learner, 2)
        proposal = learner.propose_weights(base, rng_of(9))
        found = LineSearch((0.25,)).candidates(base, {0: proposal}, lambda proposals: learner.combine(base, proposals))
        stepped, whole = learner.forest(found[0].weights), learner.forest(proposal.weights)
        assert stepped.common(whole) == stepped.common(learner.forest(base)) == 4
        assert np.allclose(
            stepped.value, Forest.joined([whole.take(slice(4)), whole.take(slice(4, 6)).scaled(0.25)]).value
        )

    def test_approval_has_no_median(self) -> None:
        experiment = Experiment(learners(), proposals=Approval(4), seed=4)
        for record in experiment.rounds(5):
            labels = [c.label for c in record.candidates]
            assert labels[0] == "mean"
            assert "median" not in labels
            assert len(labels) == 1 + 4 + 4

    @pytest.mark.parametrize("make", [boosted, averaged])
    @pytest.mark.parametrize("strategy", STRATEGIES)
    def test_runtimes_and_repetitions_give_one_ledger(self, make: Any, strategy: str, tmp_path: Path) -> None:
        def played(folder: str, runtime: str, seed: int = 5) -> tuple[list[Any], Weights]:
            parties = learners(private(classes()), make, trees=3, depth=2, prune=0.2)
            with FileLedger(tmp_path / folder) as ledger:
                run = Experiment(parties, proposals=strategy, runtime=runtime, seed=seed, ledger=ledger).run(6)
            assert any(LedgerFile.read(tmp_path / folder / "ledger.jsonl").history().accepted)
            return [line_hash(json.loads(line)) for line in lines(tmp_path / folder)], run.weights

        fused, loop, again = played("a", "fused"), played("b", "loop"), played("c", "fused")
        assert fused == loop == again
        assert played("d", "fused", seed=6) != fused

    def test_all_strategies_are_tried(self) -> None:
        assert set(STRATEGIES) == set(Plugins([]).components("proposal_strategies"))

    def test_the_vote_gets_better(self) -> None:
        experiment = Experiment(learners(private(classes())), proposals="round_robin", seed=5)
        before = experiment.standing.vote.mean()
        run = experiment.run(15)
        assert experiment.standing.vote.mean() < 0.8 * before
        received = Weights.from_bytes(run.weights.to_bytes())
        assert boosted(private(classes())).test_weights(received, "test").value > 0.6


def lines(folder: Path) -> Iterator[str]:
    yield from (folder / "ledger.jsonl").read_text().splitlines()


assert FEATURES <= 6  # random trees fit the learners' data
