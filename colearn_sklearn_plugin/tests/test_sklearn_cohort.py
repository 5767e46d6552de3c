"""The fused cohort: the same scores, votes and ledger as asking learners one by one, with one estimator for all."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tracemalloc
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.linear_model import SGDClassifier
from sklearn.neural_network import MLPClassifier

from colearn_core.cohort import LoopCohort
from colearn_core.config import ExperimentConfig, Prepared, prepare
from colearn_core.data import PrivateData, Samples, Task
from colearn_core.errors import ColearnError, ConfigError
from colearn_core.ledger import FileLedger
from colearn_core.plugins import Plugins
from colearn_core.scores import Part, Scores
from colearn_core.streams import Streams
from colearn_core.voting import Majority
from colearn_core.weights import Weights
from colearn_sklearn_plugin import SklearnLearner, models
from colearn_sklearn_plugin.learner import SklearnCohort

Array = NDArray[Any]
PLUGINS = Plugins()
STREAMS = Streams(11)
PARTS: tuple[Part, Part] = ("vote", "test")


def prepared(component: str, learners: int, seed: int = 0, **sections: Any) -> Prepared:
    data = "diabetes" if component.endswith("regressor") else "digits"
    settings: dict[str, Any] = {
        "seed": seed,
        "learners": learners,
        "data": data,
        "learner": f"sklearn.{component}",
        "split": {"name": "dirichlet", "alpha": 0.5} if learners <= 10 else "iid",
    }
    return prepare(ExperimentConfig.from_mapping(settings | sections, "test"), PLUGINS)


def learners_of(parts: Prepared) -> list[SklearnLearner]:
    made = [parts.make_learner(part) for part in parts.parts]
    assert all(isinstance(learner, SklearnLearner) for learner in made)
    return [learner for learner in made if isinstance(learner, SklearnLearner)]


def ledger_lines(path: Path) -> list[dict[str, Any]]:
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    for line in lines:
        del line["aside"]
    return lines


def played(parts: Prepared, runtime: str, rounds: int, folder: Path) -> list[dict[str, Any]]:
    config = parts.config.model_copy(update={"runtime": parts.config.runtime.model_copy(update={"name": runtime})})
    with FileLedger(folder) as ledger:
        experiment = Prepared(
            config, parts.dataset, parts.parts, parts.make_learner, parts.strategy, parts.policy, PLUGINS
        ).experiment(ledger)
        assert type(experiment.cohort) is (SklearnCohort if runtime == "fused" else LoopCohort)
        experiment.run(rounds)
    return ledger_lines(folder / "ledger.jsonl")


def candidates(learners: Sequence[SklearnLearner], count: int = 3, start: int = 0) -> list[Weights]:
    """Initial weights, and proposals one upon the other."""
    weights = [learners[0].initial_weights(STREAMS.generator("initial"))]
    for i in range(start, start + count):
        learner = learners[i % len(learners)]
        weights.append(learner.propose_weights(weights[-1], STREAMS.generator("propose", 1, i)).weights)
    return weights


def agree(left: Scores, right: Scores) -> None:
    """The same to the bit, NaN included."""
    assert left.metric == right.metric
    assert left.values.dtype == right.values.dtype == np.float32
    np.testing.assert_array_equal(left.values, right.values)
    np.testing.assert_array_equal(left.samples, right.samples)
    assert dict(left.reasons) == dict(right.reasons)


COMPONENTS = ("sgd_classifier", "mlp_classifier", "gaussian_nb", "sgd_regressor")


@pytest.mark.parametrize("seed", [1, 2, 3])
@pytest.mark.parametrize("learners", [10, 100])
@pytest.mark.parametrize("component", COMPONENTS)
def test_fused_scores_and_votes_are_those_of_the_loop_to_the_bit(component: str, learners: int, seed: int) -> None:
    group = learners_of(prepared(component, learners, seed))
    fused, loop = SklearnLearner.cohort(group), LoopCohort(group)
    assert type(fused) is SklearnCohort
    put_to_vote = candidates(group, 4, start=seed)
    for part in PARTS:
        agree(fused.test(put_to_vote, part), loop.test(put_to_vote, part))
    current, proposed = put_to_vote[:1], put_to_vote[1:]
    ballots, expected = (Majority().votes(c.test(current, "vote"), c.test(proposed, "vote")) for c in (fused, loop))
    np.testing.assert_array_equal(ballots, expected)
    assert ballots.any()


@pytest.mark.parametrize("metric", ["accuracy", "f1", "roc_auc", "log_loss"])
def test_fused_scores_are_those_of_the_loop_in_every_metric_for_classes(metric: str) -> None:
    group = learners_of(
        prepared("sgd_classifier", 30, learner={"name": "sklearn.sgd_classifier", "vote_metric": metric})
    )
    put_to_vote = candidates(group)
    agree(SklearnLearner.cohort(group).test(put_to_vote, "vote"), LoopCohort(group).test(put_to_vote, "vote"))


@pytest.mark.parametrize("metric", ["mse", "r2"])
def test_fused_scores_are_those_of_the_loop_in_every_metric_for_values(metric: str) -> None:
    group = learners_of(prepared("sgd_regressor", 30, learner={"name": "sklearn.sgd_regressor", "vote_metric": metric}))
    put_to_vote = candidates(group)
    agree(SklearnLearner.cohort(group).test(put_to_vote, "vote"), LoopCohort(group).test(put_to_vote, "vote"))


@pytest.mark.parametrize("factor", [3.0, 10.0, 100.0])
def test_fused_scores_of_very_sure_models_are_those_of_the_loop(factor: float) -> None:
    """Losses next to zero are differences of probabilities that hardly differ from one."""
    group = learners_of(prepared("mlp_classifier", 100))
    learnt = candidates(group, 30)[-1]
    sure = [Weights({name: array * factor for name, array in learnt.items()})]
    agree(SklearnLearner.cohort(group).test(sure, "vote"), LoopCohort(group).test(sure, "vote"))


def test_data_of_more_rows_than_fit_one_chunk_score_as_in_the_loop() -> None:
    draw = np.random.default_rng(0)

    def samples(n: int) -> Samples:
        x = draw.random((n, 4))
        return Samples(x, (x.sum(axis=1) > 2).astype(np.int64))

    group = [
        models.mlp_classifier(PrivateData(samples(50), samples(n), samples(5), Task(("a", "b"))))
        for n in (9000, 3, 9000)
    ]
    put_to_vote = candidates(group)
    agree(SklearnLearner.cohort(group).test(put_to_vote, "vote"), LoopCohort(group).test(put_to_vote, "vote"))


@pytest.mark.parametrize("proposals", ["approval", "round_robin"])
@pytest.mark.parametrize(("learners", "rounds", "seeds"), [(10, 3, (1, 2)), (100, 2, (3,))])
@pytest.mark.parametrize("component", COMPONENTS)
def test_fused_and_loop_write_the_same_ledger(
    component: str, learners: int, rounds: int, seeds: tuple[int, ...], proposals: str, tmp_path: Path
) -> None:
    for seed in seeds:
        parts = prepared(component, learners, seed, proposals=proposals)
        fused = played(parts, "fused", rounds, tmp_path / f"fused-{seed}")
        loop = played(parts, "loop", rounds, tmp_path / f"loop-{seed}")
        assert len(fused) == 1 + rounds
        assert any(line["accepted"] for line in fused[1:]) or proposals == "round_robin"
        assert fused == loop


def test_learners_without_vote_data_abstain_in_both_and_the_ledgers_agree(tmp_path: Path) -> None:
    parts = prepared("sgd_classifier", 10, proposals="approval")
    starved = [
        PrivateData(p.train, p.vote.take(np.arange(0)), p.test, p.task) if i in (0, 4, 9) else p
        for i, p in enumerate(parts.parts)
    ]
    parts = Prepared(
        parts.config, parts.dataset, starved, parts.make_learner, parts.strategy, parts.policy, parts.plugins
    )
    fused = played(parts, "fused", 4, tmp_path / "fused")
    assert fused == played(parts, "loop", 4, tmp_path / "loop")
    ballots = [candidate["votes"] for line in fused[1:] for candidate in line["candidates"]]
    assert ballots
    assert all(ballot[i] == "." for ballot in ballots for i in (0, 4, 9))
    assert all(ballot[i] != "." for ballot in ballots for i in (1, 2, 3))


def test_nobody_with_vote_data_gives_no_score_in_both() -> None:
    group = learners_of(prepared("sgd_classifier", 3, holdout={"vote": 0.0, "test": 0.2}))
    put_to_vote = candidates(group)
    scores = SklearnLearner.cohort(group).test(put_to_vote, "vote")
    agree(scores, LoopCohort(group).test(put_to_vote, "vote"))
    assert np.isnan(scores.values).all()
    assert scores.values.shape == (3, len(put_to_vote))


def test_a_candidate_scored_twice_gets_the_same_scores_whatever_came_between() -> None:
    group = learners_of(prepared("mlp_classifier", 10))
    cohort = SklearnLearner.cohort(group)
    first, *others = candidates(group)
    before = cohort.test([first], "vote")
    cohort.test(others, "test")
    cohort.propose([1, 2], others[0], 5, STREAMS)
    agree(cohort.test([first], "vote"), before)
    again = cohort.test([*others, first, first], "vote")
    np.testing.assert_array_equal(again.values[:, -1], before.values[:, 0])
    np.testing.assert_array_equal(again.values[:, -2], before.values[:, 0])


def test_equal_weights_in_other_arrays_get_equal_scores() -> None:
    group = learners_of(prepared("gaussian_nb", 5))
    cohort = SklearnLearner.cohort(group)
    weights = candidates(group)[-1]
    agree(cohort.test([Weights.from_bytes(weights.to_bytes())], "vote"), cohort.test([weights], "vote"))


# Where no fused pass is possible


class TouchyCentroids(ClassifierMixin, BaseEstimator):  # type: ignore[misc]
    """Predicts the class with the nearest mean; one huge feature among many samples makes it give up."""

    def partial_fit(self, X: Array, y: Array, classes: Array | None = None) -> TouchyCentroids:
        if classes is not None:
            self.classes_ = np.asarray(classes)
            self.sums_ = np.zeros((len(classes), X.shape[1]))
            self.counts_ = np.zeros(len(classes))
        np.add.at(self.sums_, y, X)
        np.add.at(self.counts_, y, 1.0)
        return self

    def predict(self, X: Array) -> Array:
        if np.max(X) > 1e6:
            raise FloatingPointError("a feature is out of range")
        means = self.sums_ / np.maximum(self.counts_, 1)[:, None]
        labels: Array = self.classes_[np.square(X[:, None] - means).sum(axis=2).argmin(axis=1)]
        return labels


def test_a_learner_that_spoils_the_fused_pass_costs_only_itself_its_score() -> None:
    parts = prepared("sgd_classifier", 6).parts
    group = [SklearnLearner.of(TouchyCentroids(), part) for part in parts]
    group[2].data.vote.x[0, 0] = 1e9
    fused, loop = SklearnLearner.cohort(group), LoopCohort(group)
    assert type(fused) is SklearnCohort
    put_to_vote = candidates(group, start=3)
    scores = fused.test(put_to_vote, "vote")
    agree(scores, loop.test(put_to_vote, "vote"))
    assert dict(scores.reasons) == {2: "FloatingPointError: a feature is out of range"}
    assert np.isnan(scores.values[2]).all()
    assert np.isfinite(np.delete(scores.values, 2, axis=0)).all()
    assert fused.test(put_to_vote, "test").complete


def test_learners_of_different_estimators_are_asked_one_by_one() -> None:
    parts = prepared("sgd_classifier", 2).parts
    settings: list[dict[str, Any]] = [{"alpha": 0.1}, {"penalty": "l1"}]
    mixed = [SklearnLearner.of(SGDClassifier(**s), part) for s, part in zip(settings, parts, strict=True)]
    cohort = SklearnLearner.cohort(mixed)
    assert type(cohort) is LoopCohort
    assert cohort.test(candidates(mixed), "vote").complete


def test_learners_of_different_metrics_are_refused() -> None:
    parts = prepared("sgd_classifier", 2).parts
    mixed = [models.sgd_classifier(part, vote_metric=m) for part, m in zip(parts, ("f1", "accuracy"), strict=True)]
    with pytest.raises(ConfigError, match="learner-1 scores by accuracy"):
        SklearnLearner.cohort(mixed)


def test_learners_that_mean_different_labels_by_the_same_numbers_are_refused() -> None:
    """Without classes=... each takes its own: two of three labels, but not the same two."""
    x = np.random.default_rng(0).random((6, 2))
    mixed = [SklearnLearner(SGDClassifier(), (x, list(own * 3)), (x, list(own * 3))) for own in ("ab", "bc")]
    with pytest.raises(ColearnError, match="classes"):
        SklearnLearner.cohort(mixed)


def test_a_single_learner_makes_a_cohort() -> None:
    group = learners_of(prepared("sgd_classifier", 1))
    cohort = SklearnLearner.cohort(group, ["alone"])
    assert cohort.names == ("alone",)
    assert cohort.test(candidates(group), "vote").complete


# One estimator for all


def test_learners_of_one_kind_share_a_workbench_and_others_do_not() -> None:
    parts = prepared("mlp_classifier", 200)
    group = learners_of(parts)
    assert len({id(learner.workbench) for learner in group}) == 1
    other = models.mlp_classifier(parts.parts[0], hidden_layer_sizes=(65,))
    assert other.workbench is not group[0].workbench


def test_the_random_state_makes_no_other_kind() -> None:
    part = prepared("sgd_classifier", 2).parts[0]
    one, other = (SklearnLearner.of(SGDClassifier(random_state=seed), part) for seed in (1, 2))
    assert one.workbench is other.workbench


def test_memory_for_weights_does_not_grow_with_the_number_of_learners() -> None:
    parts = prepared("mlp_classifier", 200).parts
    wide = MLPClassifier((2000,), solver="sgd")  # 150 kB of weights for each hundred neurons
    first = SklearnLearner.of(wide, parts[0], samples_per_proposal=1)
    weights = first.initial_weights(STREAMS.generator("initial"))
    size = sum(array.nbytes for array in weights.values())
    assert size > 1e6
    first.test_weights(first.propose_weights(weights, STREAMS.generator("propose")).weights, "vote")
    tracemalloc.start()
    try:
        group = [SklearnLearner.of(wide, part, samples_per_proposal=1) for part in parts]
        for learner in group[:20]:
            learner.propose_weights(weights, STREAMS.generator("propose"))
            learner.test_weights(weights, "vote")
        grown, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert grown < 5 * size


# Another process

SCRIPT = """
import sys
from pathlib import Path
from colearn_core.config import ExperimentConfig, build_experiment
from colearn_core.ledger import FileLedger
from colearn_core.plugins import Plugins
for learner in ("sklearn.mlp_classifier", "sklearn.sgd_classifier"):
    settings = {"seed": 5, "learners": 5, "data": "iris", "learner": learner, "proposals": "approval"}
    with FileLedger(Path(sys.argv[1]) / learner) as ledger:
        build_experiment(ExperimentConfig.from_mapping(settings, "test"), Plugins(), ledger).run(4)
"""


def test_two_processes_with_the_same_seed_write_the_same_ledger(tmp_path: Path) -> None:
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", SCRIPT, str(tmp_path / hash_seed)], env=os.environ | {"PYTHONHASHSEED": hash_seed}
        )
        for hash_seed in ("1", "2")
    ]
    assert [process.wait(timeout=60) for process in processes] == [0, 0]
    for learner in ("sklearn.mlp_classifier", "sklearn.sgd_classifier"):
        first, second = (ledger_lines(tmp_path / run / learner / "ledger.jsonl") for run in ("1", "2"))
        assert len(first) == 5
        assert first == second
