"""The learner: what travels in its weights, how it trains, scores and combines, and what it refuses."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import isfinite, isnan
from typing import Any

import numpy as np
import pytest
import sklearn.metrics
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin, clone
from sklearn.linear_model import LogisticRegression, Perceptron, SGDClassifier, SGDRegressor
from sklearn.naive_bayes import BernoulliNB, CategoricalNB, ComplementNB, GaussianNB, MultinomialNB
from sklearn.neural_network import MLPClassifier

from colearn_core.data import PrivateData, Samples, Task
from colearn_core.errors import DataError, ParameterError
from colearn_core.learner import Proposal
from colearn_core.metrics import METRICS
from colearn_core.weights import Weights
from colearn_sklearn_plugin import SklearnLearner, models
from colearn_sklearn_plugin.workbench import Workbench

Array = NDArray[Any]
Maker = Callable[[PrivateData], SklearnLearner]
FEATURES = 5


def of(estimator: Any, **options: Any) -> Maker:
    return lambda data: SklearnLearner.of(estimator, data, **options)


CLASSIFIERS: dict[str, Maker] = {
    "gaussian_nb": models.gaussian_nb,
    "mlp_classifier": models.mlp_classifier,
    "multinomial_nb": models.multinomial_nb,
    "passive_aggressive": models.passive_aggressive,
    "perceptron": models.perceptron,
    "sgd_classifier": models.sgd_classifier,
    "sgd_classifier averaged": of(SGDClassifier(loss="log_loss", average=True)),
    "sgd_classifier averaged from 5": of(SGDClassifier(loss="log_loss", average=5)),
    "sgd_classifier averaged late": of(SGDClassifier(loss="log_loss", average=10_000)),
    "bernoulli_nb": of(BernoulliNB(binarize=0.5)),
    "complement_nb": of(ComplementNB()),
}
REGRESSORS: dict[str, Maker] = {
    "mlp_regressor": models.mlp_regressor,
    "sgd_regressor": models.sgd_regressor,
    "sgd_regressor averaged": of(SGDRegressor(average=True)),
}
BAYES = ("gaussian_nb", "multinomial_nb", "bernoulli_nb", "complement_nb")


@dataclass(frozen=True)
class Case:
    """A kind of learner on a task of so many classes; none means regression."""

    make: Maker
    classes: int

    def learner(self, seed: int = 0, **options: Any) -> SklearnLearner:
        return self.make(some_data(self.classes, seed, **options))


CASES = {f"{name}, {n} classes": Case(make, n) for name, make in CLASSIFIERS.items() for n in (2, 3)} | {
    name: Case(make, 0) for name, make in REGRESSORS.items()
}
every_kind = pytest.mark.parametrize("case", [pytest.param(case, id=name) for name, case in CASES.items()])
every_classifier = pytest.mark.parametrize(
    "case", [pytest.param(case, id=name) for name, case in CASES.items() if case.classes]
)


def rng(*key: int) -> np.random.Generator:
    return np.random.default_rng(key)


def samples(classes: int, n: int, draw: np.random.Generator, only: Sequence[int] | None = None) -> Samples:
    """Features between 0 and 1 that depend on the class, or that the target depends on."""
    x = draw.random((n, FEATURES))
    if not classes:
        return Samples(x, x @ np.arange(FEATURES) + 0.1 * draw.normal(size=n))
    y = draw.choice(np.arange(classes) if only is None else np.asarray(only), size=n)
    return Samples(np.clip(x / 2 + 0.5 * (np.arange(FEATURES) % classes == y[:, None]), 0, 1), y)


def some_data(
    classes: int, seed: int = 0, n: int = 40, only: Sequence[int] | None = None, scored: int = 12
) -> PrivateData:
    draw = rng(seed)
    train, vote, test = (samples(classes, size, draw, only) for size in (n, scored, scored))
    return PrivateData(train, vote, test, Task(tuple("abc"[:classes])))


def on_fresh_workbench(learner: SklearnLearner) -> SklearnLearner:
    """A learner that shares nothing with the others, as if in another process."""
    used = learner.workbench
    learner.workbench = Workbench(used.template, used.features, used.classes, None)
    return learner


def sent(weights: Weights) -> Weights:
    return Weights.from_bytes(weights.to_bytes())


def trained(learner: SklearnLearner, rounds: int = 2, start: Weights | None = None) -> Weights:
    weights = learner.initial_weights(rng(0)) if start is None else start
    for round in range(rounds):
        weights = learner.propose_weights(weights, rng(1, round)).weights
    return weights


def predictions(learner: SklearnLearner, weights: Weights) -> list[Array]:
    x = learner.data.test.x
    needs = {learner.vote_metric.needs, learner.test_metric.needs}
    return [learner.workbench.predict(weights, x, need) for need in sorted(needs)]


def same(left: Sequence[Array], right: Sequence[Array]) -> bool:
    return all(np.array_equal(a, b) for a, b in zip(left, right, strict=True))


# What travels


@every_kind
def test_weights_that_travelled_as_bytes_predict_exactly_the_same(case: Case) -> None:
    learner = case.learner()
    weights = trained(learner)
    receiver = on_fresh_workbench(case.learner())
    assert same(predictions(receiver, sent(weights)), predictions(learner, weights))
    for part in ("vote", "test"):
        assert receiver.test_weights(sent(weights), part) == learner.test_weights(weights, part)


@every_kind
def test_training_on_after_the_trip_gives_the_same_as_without(case: Case) -> None:
    learner = case.learner()
    weights = trained(learner)
    receiver = on_fresh_workbench(case.learner())
    assert trained(receiver, start=sent(weights)) == trained(learner, start=weights)


@every_kind
def test_initial_weights_travel_too(case: Case) -> None:
    learner = case.learner()
    initial = learner.initial_weights(rng(3))
    receiver = on_fresh_workbench(case.learner())
    assert receiver.initial_weights(rng(3)) == initial
    assert same(predictions(receiver, sent(initial)), predictions(learner, initial))
    assert trained(receiver, start=sent(initial)) == trained(learner, start=initial)


IN_FIXED_ORDER = {
    "sgd": SGDClassifier(loss="log_loss", shuffle=False),
    "sgd on the invscaling schedule": SGDClassifier(shuffle=False, learning_rate="invscaling", eta0=0.5),
    "sgd averaged": SGDClassifier(shuffle=False, average=True),
    "sgd averaged from 5": SGDClassifier(shuffle=False, average=5),
    "sgd averaged from the second proposal": SGDClassifier(shuffle=False, average=60),
    "sgd averaged later": SGDClassifier(shuffle=False, average=10_000),
    "perceptron": Perceptron(shuffle=False),
    "passive-aggressive": SGDClassifier(loss="hinge", penalty=None, learning_rate="pa1", eta0=1.0, shuffle=False),
    "gaussian": GaussianNB(var_smoothing=0.0),
    "multinomial": MultinomialNB(),
    "bernoulli": BernoulliNB(binarize=0.5),
    "complement": ComplementNB(),
    "complement normed": ComplementNB(norm=True),
    "sgd regressor": SGDRegressor(shuffle=False),
    "sgd regressor averaged": SGDRegressor(shuffle=False, average=True),
}


@pytest.mark.parametrize("classes", [2, 3])
@pytest.mark.parametrize("name", IN_FIXED_ORDER)
def test_proposals_of_two_learners_in_turn_equal_one_estimator_that_sees_both_their_data(
    name: str, classes: int
) -> None:
    estimator = IN_FIXED_ORDER[name]
    classes = 0 if isinstance(estimator, SGDRegressor) else classes
    first, second = (of(estimator)(some_data(classes, seed)) for seed in (1, 2))
    weights = first.propose_weights(first.initial_weights(rng(0)), rng(1)).weights
    weights = on_fresh_workbench(second).propose_weights(sent(weights), rng(2)).weights

    alone = clone(estimator)
    everything = {"classes": np.arange(classes)} if classes else {}
    for learner in (first, second):
        if "_standard_intercept" in vars(alone):
            # scikit-learn writes the unaveraged intercepts of many classes through intercept_, which after an
            # averaged pass is the averaged array: those would be lost, and these overwritten.
            alone.intercept_ = alone._standard_intercept
        alone.partial_fit(learner.data.train.x, learner.data.train.y, **everything)

    for attribute in weights:
        np.testing.assert_array_equal(weights[attribute], np.asarray(getattr(alone, attribute)), attribute)
    x = second.data.test.x
    np.testing.assert_array_equal(second.workbench.predict(weights, x, "labels"), alone.predict(x))


@pytest.mark.parametrize(
    ("estimator", "names"),
    [
        (SGDClassifier(), {"coef_", "intercept_", "t_"}),
        (
            SGDClassifier(average=True),
            {"coef_", "intercept_", "t_"}
            | {"_standard_coef", "_standard_intercept", "_average_coef", "_average_intercept"},
        ),
        (GaussianNB(), {"class_count_", "theta_", "var_"}),
        (MultinomialNB(), {"class_count_", "feature_count_"}),
        (MLPClassifier((4,)), {"coefs_.0", "coefs_.1", "intercepts_.0", "intercepts_.1"}),
    ],
)
def test_nothing_but_the_needed_state_leaves_the_learner(estimator: Any, names: set[str]) -> None:
    assert set(trained(of(estimator)(some_data(3)))) == names


# Purity and randomness


@every_kind
def test_proposing_changes_neither_the_base_nor_later_scores(case: Case) -> None:
    learner, other = case.learner(0), case.learner(1)
    base = trained(learner)
    bytes_before = base.to_bytes()
    before = [learner.test_weights(base, part) for part in ("vote", "test")]
    proposal = learner.propose_weights(base, rng(4))
    other.propose_weights(proposal.weights, rng(5))
    assert base.to_bytes() == bytes_before
    assert proposal.weights != base
    assert [learner.test_weights(base, part) for part in ("vote", "test")] == before
    assert [on_fresh_workbench(case.learner(0)).test_weights(base, part) for part in ("vote", "test")] == before


@every_kind
def test_scoring_changes_no_later_proposal(case: Case) -> None:
    learner = case.learner()
    base = trained(learner)
    expected = on_fresh_workbench(case.learner()).propose_weights(base, rng(4)).weights
    learner.test_weights(base, "vote")
    learner.test_weights(learner.initial_weights(rng(9)), "test")
    assert learner.propose_weights(base, rng(4)).weights == expected


@every_kind
def test_the_same_key_gives_the_same_proposal_whoever_trained_or_was_made_before(case: Case) -> None:
    a, b, c = (case.learner(seed) for seed in range(3))
    base = a.initial_weights(rng(0))
    in_order = [learner.propose_weights(base, rng(1, i)).weights for i, learner in enumerate((a, b, c))]
    again = {i: learner.propose_weights(base, rng(1, i)).weights for i, learner in ((2, c), (0, a), (1, b))}
    made_backwards = {seed: on_fresh_workbench(case.learner(seed)) for seed in (2, 1, 0)}
    assert [again[i] for i in range(3)] == in_order
    assert [made_backwards[i].propose_weights(base, rng(1, i)).weights for i in range(3)] == in_order


@pytest.mark.parametrize("name", ["mlp_classifier", "sgd_classifier", "perceptron", "passive_aggressive"])
def test_another_key_gives_another_proposal(name: str) -> None:
    learner = Case(CLASSIFIERS[name], 3).learner()
    base = learner.initial_weights(rng(0))
    assert learner.propose_weights(base, rng(1)).weights != learner.propose_weights(base, rng(2)).weights


def test_a_neural_network_begins_with_layers_drawn_by_the_key() -> None:
    learner = Case(models.mlp_classifier, 3).learner()
    assert learner.initial_weights(rng(1)) == learner.initial_weights(rng(1))
    assert learner.initial_weights(rng(1)) != learner.initial_weights(rng(2))
    assert np.ptp(learner.initial_weights(rng(1))["coefs_.0"]) > 0


@every_kind
def test_the_global_random_state_is_neither_used_nor_changed(case: Case) -> None:
    def everything() -> tuple[Weights, float]:
        learner = on_fresh_workbench(case.learner())
        weights = trained(learner)
        return weights, learner.test_weights(weights, "vote").value

    kept = np.random.get_state(legacy=False)
    try:
        np.random.seed(1)
        before = repr(np.random.get_state(legacy=False))
        first = everything()
        assert repr(np.random.get_state(legacy=False)) == before
        np.random.seed(2)
        assert everything() == first
    finally:
        np.random.set_state(kept)


def test_the_estimator_passed_in_is_cloned_and_never_changed() -> None:
    estimator = SGDClassifier(random_state=3)
    before = dict(vars(estimator))
    learner = of(estimator)(some_data(3))
    trained(learner)
    assert vars(estimator) == before


# Unusual data


@every_classifier
def test_a_class_that_one_learner_lacks_breaks_nothing(case: Case) -> None:
    lacking, other = case.learner(0, only=[0]), case.learner(1)
    base = lacking.initial_weights(rng(0))
    proposals = [learner.propose_weights(base, rng(1, i)) for i, learner in enumerate((lacking, other))]
    for proposal in proposals:
        proposal.weights.check_like(base)
        proposal.weights.check_finite()
    candidates = [base, *(p.weights for p in proposals), lacking.combine(base, proposals)]
    for weights in candidates:
        weights.check_finite()
        for learner in (lacking, other):
            assert isfinite(learner.test_weights(weights, "vote").value)
    on = other.propose_weights(proposals[0].weights, rng(2)).weights
    assert set(other.workbench.predict(on, other.data.train.x, "labels")) - {0}


@every_kind
def test_one_sample_is_enough_to_train_on(case: Case) -> None:
    learner = case.learner(n=1)
    proposal = learner.propose_weights(learner.initial_weights(rng(0)), rng(1))
    proposal.weights.check_finite()
    assert isfinite(learner.test_weights(proposal.weights, "vote").value)


@every_classifier
def test_a_vote_set_of_one_class_is_scored(case: Case) -> None:
    data = some_data(case.classes)
    single = data.vote.take(np.flatnonzero(data.vote.y == 1))
    learner = case.make(PrivateData(data.train, single, data.test, data.task))
    score = learner.test_weights(trained(learner), "vote")
    assert isfinite(score.value)
    assert score.samples == len(single) > 0


@every_kind
def test_without_data_to_score_on_the_score_is_nan_of_no_samples(case: Case) -> None:
    learner = case.learner(scored=0)
    for part in ("vote", "test"):
        score = learner.test_weights(trained(learner), part)
        assert isnan(score.value)
        assert score.samples == 0


@every_classifier
def test_weights_that_have_seen_nothing_get_a_finite_score(case: Case) -> None:
    learner = case.learner()
    assert isfinite(learner.test_weights(learner.initial_weights(rng(0)), "vote").value)


# How much it trains


def test_every_epoch_passes_once_over_all_samples() -> None:
    data = some_data(3)
    for epochs in (1, 4):
        learner = models.sgd_classifier(data, epochs=epochs)
        proposal = learner.propose_weights(learner.initial_weights(rng(0)), rng(1))
        assert proposal.weights["t_"] == 1 + epochs * 40
        assert proposal.samples == 40


def test_more_epochs_take_a_neural_network_further() -> None:
    one, two = (of(MLPClassifier((8,), solver="sgd", momentum=0.0), epochs=n)(some_data(3)) for n in (1, 2))
    base = one.initial_weights(rng(0))
    moved = [np.abs(x.propose_weights(base, rng(1)).weights["coefs_.0"] - base["coefs_.0"]).sum() for x in (one, two)]
    assert moved[0] < moved[1]


@pytest.mark.parametrize("name", BAYES)
def test_naive_bayes_counts_its_samples_once_whatever_the_epochs(name: str) -> None:
    plain = CLASSIFIERS[name](some_data(3))
    many = of(plain.workbench.template, epochs=5)(some_data(3))
    base = plain.initial_weights(rng(0))
    proposal = many.propose_weights(base, rng(1))
    assert proposal.weights["class_count_"].sum() == 40
    assert proposal.weights == plain.propose_weights(base, rng(1)).weights


@pytest.mark.parametrize("count", [1, 7, 40, 100])
def test_samples_per_proposal_draws_all_samples_before_any_again(count: int) -> None:
    n = 40
    train = Samples(np.eye(n), np.arange(n) % 2)
    data = PrivateData(train, train.take(np.arange(0)), train.take(np.arange(0)), Task(("a", "b")))
    learner = of(MultinomialNB(), samples_per_proposal=count)(data)
    base = learner.initial_weights(rng(0))
    proposal = learner.propose_weights(base, rng(1))
    drawn = proposal.weights["feature_count_"].sum(axis=0)
    assert proposal.samples == count == drawn.sum()
    assert set(drawn) <= {count // n, -(-count // n)}
    if count == 7:
        assert learner.propose_weights(base, rng(2)).weights != proposal.weights


def test_samples_per_proposal_replaces_epochs() -> None:
    learner = of(SGDClassifier(), samples_per_proposal=7, epochs=5)(some_data(3))
    assert learner.propose_weights(learner.initial_weights(rng(0)), rng(1)).weights["t_"] == 8


# Combining


@pytest.mark.parametrize(
    "case", [pytest.param(c, id=name) for name, c in CASES.items() if name.split(",")[0] not in BAYES]
)
def test_linear_models_and_networks_combine_to_the_mean_weighted_by_samples(case: Case) -> None:
    learner = case.learner()
    base = learner.initial_weights(rng(0))
    proposals = [
        Proposal(case.learner(seed).propose_weights(base, rng(seed)).weights, n) for seed, n in ((1, 10), (2, 30))
    ]
    combined = learner.combine(base, proposals)
    combined.check_like(base)
    for name in base:
        expected = 0.25 * proposals[0].weights[name] + 0.75 * proposals[1].weights[name]
        np.testing.assert_allclose(combined[name], expected, rtol=1e-12, atol=1e-12)


def pooled(learners: Sequence[SklearnLearner]) -> Samples:
    return Samples.joined([learner.data.train for learner in learners])


@pytest.mark.parametrize("classes", [2, 3])
@pytest.mark.parametrize("estimator", [MultinomialNB(), BernoulliNB(binarize=0.5), ComplementNB()])
def test_counting_bayes_of_all_learners_is_the_fit_on_their_pooled_data(estimator: Any, classes: int) -> None:
    learners = [of(estimator)(some_data(classes, seed, n=20 + seed)) for seed in range(5)]
    for learner in learners:  # whole numbers add up exactly in any order
        learner.data.train.x[:] = np.round(8 * learner.data.train.x)
    base = learners[0].initial_weights(rng(0))
    combined = learners[0].combine(base, [x.propose_weights(base, rng(1)) for x in learners])
    data = pooled(learners)
    fit: Any = clone(estimator)
    fit.fit(data.x, data.y)
    np.testing.assert_array_equal(combined["class_count_"], fit.class_count_)
    np.testing.assert_array_equal(combined["feature_count_"], fit.feature_count_)
    mine = learners[0].fitted_estimator(combined)
    np.testing.assert_array_equal(mine.predict_proba(data.x), fit.predict_proba(data.x))


@pytest.mark.parametrize("classes", [2, 3])
def test_gaussian_bayes_of_all_learners_is_the_fit_on_their_pooled_data(classes: int) -> None:
    only: list[list[int] | None] = [None, [0], [1], None, [0, 1]]
    learners = [of(GaussianNB(var_smoothing=1e-3))(some_data(classes, i, n=20 + i, only=o)) for i, o in enumerate(only)]
    base = learners[0].initial_weights(rng(0))
    combined = learners[0].combine(base, [x.propose_weights(base, rng(1)) for x in learners])
    data = pooled(learners)
    fit = GaussianNB(var_smoothing=0.0).fit(data.x, data.y)
    np.testing.assert_array_equal(combined["class_count_"], fit.class_count_)
    np.testing.assert_allclose(combined["theta_"], fit.theta_, rtol=1e-12)
    np.testing.assert_allclose(combined["var_"], fit.var_, rtol=1e-10)
    mine = learners[0].fitted_estimator(combined)
    np.testing.assert_allclose(mine.class_prior_, fit.class_prior_, rtol=1e-15)
    np.testing.assert_allclose(mine.var_, fit.var_ + 1e-3, rtol=1e-10)


def test_gaussian_bayes_keeps_its_precision_far_from_zero() -> None:
    """Years, prices or times in seconds: large means with small variances."""
    learners = [of(GaussianNB())(some_data(3, seed)) for seed in range(3)]
    for learner in learners:
        learner.data.train.x[:] += 1e6
    base = learners[0].initial_weights(rng(0))
    combined = learners[0].combine(base, [x.propose_weights(base, rng(1)) for x in learners])
    data = pooled(learners)
    np.testing.assert_allclose(
        combined["var_"], GaussianNB(var_smoothing=0.0).fit(data.x, data.y).var_, rtol=1e-5, atol=1e-9
    )


@pytest.mark.parametrize("name", BAYES)
def test_the_base_is_counted_once_when_proposals_are_combined(name: str) -> None:
    learners = [CLASSIFIERS[name](some_data(3, seed)) for seed in range(4)]
    empty = learners[0].initial_weights(rng(0))
    base = learners[0].propose_weights(empty, rng(0)).weights
    in_turn = base
    for learner in learners[1:]:
        in_turn = learner.propose_weights(in_turn, rng(1)).weights
    at_once = learners[0].combine(base, [x.propose_weights(base, rng(1)) for x in learners[1:]])
    at_once.check_like(in_turn)
    for attribute in in_turn:
        np.testing.assert_allclose(at_once[attribute], in_turn[attribute], rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("name", CLASSIFIERS)
def test_combining_one_proposal_gives_it_back(name: str) -> None:
    learner = Case(CLASSIFIERS[name], 3).learner()
    base = trained(learner)
    proposal = learner.propose_weights(base, rng(4))
    combined = learner.combine(base, [proposal])
    for attribute in base:
        np.testing.assert_allclose(combined[attribute], proposal.weights[attribute], rtol=1e-9, atol=1e-12)


def test_an_outlier_in_one_batch_changes_no_other_classes_smoothing() -> None:
    learner = models.gaussian_nb(some_data(3), var_smoothing=1e-2)
    outliers = models.gaussian_nb(some_data(3, 1, only=[0]), var_smoothing=1e-2)
    outliers.data.train.x[0] = 1e6
    base = learner.propose_weights(learner.initial_weights(rng(0)), rng(1)).weights
    after = outliers.propose_weights(base, rng(1)).weights
    combined = learner.combine(base, [outliers.propose_weights(base, rng(1))])
    for weights in (base, after, combined):
        fitted = learner.fitted_estimator(weights)
        assert fitted.epsilon_ == 1e-2
        np.testing.assert_allclose(fitted.var_[1:], base["var_"][1:] + 1e-2, rtol=1e-12)


@pytest.mark.parametrize(
    ("estimator", "prior"),
    [
        (GaussianNB(priors=[0.7, 0.2, 0.1]), [0.7, 0.2, 0.1]),
        (MultinomialNB(class_prior=[0.7, 0.2, 0.1]), [0.7, 0.2, 0.1]),
        (BernoulliNB(binarize=0.5, class_prior=[0.7, 0.2, 0.1]), [0.7, 0.2, 0.1]),
        (MultinomialNB(fit_prior=False), [1 / 3] * 3),
    ],
)
def test_priors_that_the_user_gives_are_kept(estimator: Any, prior: list[float]) -> None:
    learner = of(estimator)(some_data(3))
    initial = learner.initial_weights(rng(0))
    for weights in (initial, trained(learner)):
        fitted = learner.fitted_estimator(weights)
        kept = fitted.class_prior_ if isinstance(estimator, GaussianNB) else np.exp(fitted.class_log_prior_)
        np.testing.assert_allclose(kept, prior)


# Scores


def reference(metric: str, targets: Array, predicted: Array, classes: int) -> float:
    labels = list(range(classes))
    by_name: dict[str, Callable[[], Any]] = {
        "accuracy": lambda: sklearn.metrics.accuracy_score(targets, predicted),
        "log_loss": lambda: sklearn.metrics.log_loss(targets, predicted, labels=labels),
        "f1": lambda: sklearn.metrics.f1_score(targets, predicted, average="macro"),
        "roc_auc": lambda: sklearn.metrics.roc_auc_score(
            targets, predicted[:, 1] if classes == 2 else predicted, multi_class="ovr", average="macro", labels=labels
        ),
        "mse": lambda: sklearn.metrics.mean_squared_error(targets, predicted),
        "r2": lambda: sklearn.metrics.r2_score(targets, predicted),
    }
    return float(by_name[metric]())


@pytest.mark.parametrize("rounds", [0, 1])
@pytest.mark.parametrize(
    ("metric", "classes"),
    [(m, n) for m in ("accuracy", "log_loss", "f1", "roc_auc") for n in (2, 3)] + [("mse", 0), ("r2", 0)],
)
def test_scores_agree_with_those_of_scikit_learn(metric: str, classes: int, rounds: int) -> None:
    makers: list[Any] = [models.sgd_classifier, models.mlp_classifier, models.gaussian_nb]
    if not classes:
        makers = [models.sgd_regressor, models.mlp_regressor]
    for make in makers:
        learner = make(some_data(classes, scored=60), vote_metric=metric, test_metric=metric)
        weights = trained(learner, rounds)
        test = learner.data.test
        score = learner.test_weights(weights, "test")
        predicted = learner.workbench.predict(weights, test.x, METRICS[metric].needs)
        assert score.value == pytest.approx(reference(metric, test.y, predicted, classes), abs=1e-6)
        assert score.samples == 60


def test_log_loss_knows_of_classes_that_the_vote_set_lacks() -> None:
    learner = models.sgd_classifier(some_data(3, only=[0, 2]))
    weights = trained(models.sgd_classifier(some_data(3, 1)))
    vote = learner.data.vote
    predicted = learner.workbench.predict(weights, vote.x, "probabilities")
    assert predicted.shape == (len(vote), 3)
    expected = sklearn.metrics.log_loss(vote.y, predicted, labels=[0, 1, 2])
    assert learner.test_weights(weights, "vote").value == pytest.approx(expected, abs=1e-6)


def test_learners_vote_by_log_loss_if_there_are_probabilities_and_by_accuracy_if_not() -> None:
    made = {name: Case(make, 3).learner() for name, make in CLASSIFIERS.items()}
    assert made["gaussian_nb"].vote_metric.name == made["sgd_classifier"].vote_metric.name == "log_loss"
    assert made["perceptron"].vote_metric.name == made["passive_aggressive"].vote_metric.name == "accuracy"
    assert {learner.test_metric.name for learner in made.values()} == {"accuracy"}
    regressor = models.sgd_regressor(some_data(0))
    assert regressor.vote_metric.name == regressor.test_metric.name == "mse"


# The model for use outside


@every_classifier
def test_a_fitted_estimator_predicts_the_original_labels_as_the_learner_does(case: Case) -> None:
    numbered = some_data(case.classes)
    labels = np.array(["zebra", "ape", "cow"][: case.classes])

    def named(part: Samples) -> tuple[Array, Array]:
        return part.x, labels[part.y]

    estimator = case.make(numbered).workbench.template
    learner = SklearnLearner(estimator, named(numbered.train), named(numbered.vote), named(numbered.test))
    weights = trained(learner, 3)
    fitted = learner.fitted_estimator(weights)
    x = numbered.test.x
    predicted = fitted.predict(x)
    assert set(predicted) <= set(labels)
    assert list(fitted.classes_) == sorted(labels)
    np.testing.assert_array_equal(predicted, np.sort(labels)[learner.workbench.predict(weights, x, "labels")])
    assert np.mean(predicted == labels[numbered.test.y]) == pytest.approx(learner.test_weights(weights, "test").value)
    if hasattr(fitted, "predict_proba"):
        expected = learner.workbench.predict(weights, x, "probabilities")
        np.testing.assert_array_equal(fitted.predict_proba(x), expected)


@pytest.mark.parametrize("name", REGRESSORS)
def test_a_fitted_regressor_predicts_as_the_learner_does(name: str) -> None:
    learner = Case(REGRESSORS[name], 0).learner()
    weights = trained(learner)
    x = learner.data.test.x
    expected = learner.workbench.predict(weights, x, "values")
    np.testing.assert_array_equal(learner.fitted_estimator(weights).predict(x), expected)


def test_a_fitted_estimator_has_the_parameters_it_was_given_and_shares_nothing_with_the_learner() -> None:
    learner = of(MLPClassifier((4,), learning_rate_init=0.3))(some_data(3))
    weights = trained(learner)
    before = predictions(learner, weights)
    fitted = learner.fitted_estimator(weights)
    assert fitted.get_params() == learner.workbench.template.get_params()
    fitted.coefs_[0][:] = 0
    assert same(predictions(learner, weights), before)
    assert weights["coefs_.0"].any()


@every_kind
def test_a_fitted_estimator_can_be_trained_on(case: Case) -> None:
    learner = case.learner()
    fitted = learner.fitted_estimator(trained(learner))
    x, y = learner.data.train.x, learner.data.train.y
    before = learner.workbench.family.read(fitted)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        fitted.partial_fit(x, y if learner.labels is None else learner.labels[y])
    after = learner.workbench.family.read(fitted)
    assert any(not np.array_equal(after[name], before[name]) for name in before)


# Estimators of no known family


class Centroids(ClassifierMixin, BaseEstimator):  # type: ignore[misc]
    """Predicts the class with the nearest mean."""

    def partial_fit(self, X: Array, y: Array, classes: Array | None = None) -> Centroids:
        if classes is not None:
            self.classes_ = np.asarray(classes)
            self.sums_ = np.zeros((len(classes), X.shape[1]))
            self.counts_ = np.zeros(len(classes))
        np.add.at(self.sums_, y, X)
        np.add.at(self.counts_, y, 1.0)
        return self

    def means(self) -> Array:
        means: Array = self.sums_ / np.maximum(self.counts_, 1)[:, None]
        return means

    def predict(self, X: Array) -> Array:
        nearest = np.square(X[:, None] - self.means()).sum(axis=2).argmin(axis=1)
        labels: Array = self.classes_[nearest]
        return labels


class SecretCentroids(Centroids):
    """Keeps what it needs out of sight."""

    _sums: Array

    def partial_fit(self, X: Array, y: Array, classes: Array | None = None) -> SecretCentroids:
        if classes is None:
            self.sums_ = self._sums
        super().partial_fit(X, y, classes)
        self._sums = self.__dict__.pop("sums_")
        return self

    def means(self) -> Array:
        means: Array = self._sums / np.maximum(self.counts_, 1)[:, None]
        return means


class TiringRegressor(RegressorMixin, BaseEstimator):  # type: ignore[misc]
    """Predicts a running mean, with steps that shrink by a counter kept out of sight."""

    def partial_fit(self, X: Array, y: Array) -> TiringRegressor:
        self._seen = getattr(self, "_seen", 0)
        self.mean_ = getattr(self, "mean_", 0.0)
        for value in y:
            self._seen += 1
            self.mean_ += (float(value) - self.mean_) / self._seen
        return self

    def predict(self, X: Array) -> Array:
        return np.full(len(X), self.mean_)


class CountingRegressor(TiringRegressor):
    """The same, with the counter where it's found: a plain whole number."""

    def partial_fit(self, X: Array, y: Array) -> CountingRegressor:
        self._seen = getattr(self, "seen_", 0)
        super().partial_fit(X, y)
        self.seen_ = self.__dict__.pop("_seen")
        return self


def test_an_estimator_of_no_known_family_travels_by_its_fitted_attributes() -> None:
    learner = of(Centroids())(some_data(3))
    weights = trained(learner)
    assert set(weights) == {"sums_", "counts_"}
    receiver = on_fresh_workbench(of(Centroids())(some_data(3)))
    assert same(predictions(receiver, sent(weights)), predictions(learner, weights))
    assert trained(receiver, start=sent(weights)) == trained(learner, start=weights)
    start = learner.test_weights(learner.initial_weights(rng(0)), "test").value
    assert learner.test_weights(weights, "test").value > start


def test_plain_numbers_travel_and_keep_their_type() -> None:
    learner = of(CountingRegressor())(some_data(0))
    weights = trained(learner)
    assert set(weights) == {"mean_", "seen_"}
    fitted = on_fresh_workbench(of(CountingRegressor())(some_data(0))).fitted_estimator(sent(weights))
    assert type(fitted.seen_) is int
    assert fitted.seen_ == 1 + 2 * 40  # one blank sample to begin with


def test_an_estimator_that_hides_what_it_predicts_by_is_refused_with_a_hint() -> None:
    with pytest.raises(ParameterError, match=r"SecretCentroids keeps state.*counts_.*\n.*state=\["):
        of(SecretCentroids())(some_data(3))


def test_an_estimator_that_hides_what_it_trains_by_is_refused_with_a_hint() -> None:
    """Such as the counter of a learning-rate schedule: predictions alone don't show that it's missing."""
    with pytest.raises(ParameterError, match=r"TiringRegressor keeps state.*\n.*state=\["):
        of(TiringRegressor())(some_data(0))


def pair(part: Samples) -> tuple[Array, Array]:
    return part.x, part.y


def test_state_names_the_attributes_that_travel() -> None:
    data = some_data(3)
    learner = SklearnLearner(SecretCentroids(), pair(data.train), pair(data.vote), state=["counts_", "_sums"])
    weights = trained(learner)
    assert set(weights) == {"counts_", "_sums"}
    receiver = SklearnLearner(SecretCentroids(), pair(data.train), pair(data.vote), state=["counts_", "_sums"])
    receiver.workbench = Workbench(SecretCentroids(), FEATURES, 3, ["counts_", "_sums"])
    assert receiver.test_weights(sent(weights), "vote") == learner.test_weights(weights, "vote")


def test_state_that_leaves_out_what_predictions_need_is_refused() -> None:
    with pytest.raises(ParameterError, match="SecretCentroids keeps state"):
        SklearnLearner(SecretCentroids(), pair(some_data(3).train), state=["counts_"])


@pytest.mark.parametrize("estimator", [SGDClassifier(), SecretCentroids()])
def test_state_that_names_no_attribute_is_a_clear_error(estimator: Any) -> None:
    with pytest.raises(ParameterError, match="nonsense_"):
        SklearnLearner(estimator, pair(some_data(3).train), state=["nonsense_"])


def test_an_estimator_that_cannot_be_tried_on_arbitrary_features_gives_a_clear_error_or_works() -> None:
    """CategoricalNB takes whole numbers from 0 only, and the learner tries an unknown estimator on others."""
    data = some_data(3)
    try:
        learner = SklearnLearner(CategoricalNB(min_categories=2), (np.round(data.train.x), data.train.y))
    except ParameterError as error:
        assert "CategoricalNB" in str(error)  # noqa: PT017
        return
    trained(learner).check_finite()


# What is refused


X = [[0.0, 1.0], [1.0, 0.0], [1.0, 1.0]]
Y = ["a", "b", "a"]


def test_an_estimator_that_cannot_train_incrementally_is_refused() -> None:
    with pytest.raises(ParameterError, match="LogisticRegression can't train incrementally: it has no partial_fit"):
        SklearnLearner(LogisticRegression(), (X, Y))


def test_a_parameter_that_scikit_learn_refuses_is_refused_when_the_learner_is_made() -> None:
    with pytest.raises(ParameterError, match="alpha"):
        SklearnLearner(SGDClassifier(alpha=-1), (X, Y))


@pytest.mark.parametrize(
    ("estimator", "metric", "message"),
    [
        (SGDClassifier(), "mse", "SGDClassifier can't be scored by mse"),
        (SGDClassifier(), "r2", "SGDClassifier can't be scored by r2"),
        (SGDClassifier(), "log_loss", "SGDClassifier gives no probabilities to score by log_loss"),
        (Perceptron(), "roc_auc", "Perceptron gives no probabilities to score by roc_auc"),
        (SGDClassifier(), "akkuracy", "unknown metric 'akkuracy'\n.*accuracy"),
    ],
)
@pytest.mark.parametrize("which", ["vote_metric", "test_metric"])
def test_a_metric_that_does_not_fit_is_refused(estimator: Any, metric: str, message: str, which: str) -> None:
    options: dict[str, Any] = {which: metric}
    with pytest.raises(ParameterError, match=message):
        SklearnLearner(estimator, (X, Y), **options)


def test_a_classifying_metric_is_refused_for_a_regressor() -> None:
    with pytest.raises(ParameterError, match="SGDRegressor can't be scored by accuracy"):
        SklearnLearner(SGDRegressor(), (X, [0.0, 1.0, 2.0]), vote_metric="accuracy")


@pytest.mark.parametrize(
    ("estimator", "classes", "kind"), [(SGDClassifier(), 0, "regression"), (SGDRegressor(), 3, "classification")]
)
def test_an_estimator_for_another_task_is_refused(estimator: Any, classes: int, kind: str) -> None:
    with pytest.raises(ParameterError, match=f"{type(estimator).__name__} can't learn a {kind} task"):
        SklearnLearner.of(estimator, some_data(classes))


@pytest.mark.parametrize("option", ["epochs", "samples_per_proposal"])
def test_training_on_nothing_is_refused(option: str) -> None:
    options: dict[str, Any] = {option: 0}
    with pytest.raises(ParameterError, match=f"{option} must be at least 1, not 0"):
        SklearnLearner(SGDClassifier(), (X, Y), **options)


def test_a_single_class_is_refused_unless_the_group_has_more() -> None:
    with pytest.raises(DataError, match=r"only one class, 'a'\n.*classes="):
        SklearnLearner(SGDClassifier(), (X, ["a"] * 3))
    learner = SklearnLearner(SGDClassifier(), (X, ["a"] * 3), classes=["b", "a"])
    assert learner.workbench.classes == 2


def refused(train: tuple[Any, Any], message: str, estimator: Any = None, **options: Any) -> None:
    with pytest.raises(DataError, match=message):
        SklearnLearner(SGDClassifier() if estimator is None else estimator, train, **options)


@pytest.mark.parametrize("part", ["train", "vote", "test"])
@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_features_that_are_no_numbers_are_refused(part: str, bad: float) -> None:
    spoilt = [[bad, 1.0], [1.0, bad], [0.0, 0.0]]
    pairs: dict[str, tuple[Any, Any]] = {"train": (X, Y), part: (spoilt, Y)}
    refused(pairs.pop("train"), rf"{part} features hold NaN or infinite values \(2\)", **pairs)


def test_targets_that_are_no_numbers_are_refused() -> None:
    refused((X, [0.0, np.nan, 1.0]), r"train targets hold NaN or infinite values \(1\)", SGDRegressor())
    refused((X, [0.0, np.nan, 1.0]), "train targets")


@pytest.mark.parametrize("part", ["train", "vote", "test"])
def test_labels_that_the_group_does_not_know_are_refused(part: str) -> None:
    pairs: dict[str, tuple[Any, Any]] = {"train": (X, Y), part: (X, ["a", "q", "b"])}
    refused(
        pairs.pop("train"),
        rf"{part} targets \['q'\] are not among the classes \['a', 'b'\]",
        **pairs,
        classes=["a", "b"],
    )


@pytest.mark.parametrize(
    ("part", "x", "y"),
    [
        ("train", [0.0, 1.0, 2.0], Y),
        ("train", X, Y[:2]),
        ("train", X, [Y, Y, Y]),
        ("train", [X, X, X], Y),
        ("vote", [[0.0, 1.0, 2.0]] * 3, Y),
        ("test", X[:2], Y),
    ],
)
def test_data_of_the_wrong_shape_are_refused(part: str, x: Any, y: Any) -> None:
    pairs: dict[str, tuple[Any, Any]] = {"train": (X, Y), part: (x, y)}
    refused(pairs.pop("train"), f"{part} data must be features of shape", **pairs, classes=["a", "b"])


def test_no_sample_to_train_on_is_refused() -> None:
    refused((np.empty((0, 2)), []), "needs at least one sample to train on", classes=["a", "b"])


def test_rows_of_different_lengths_are_refused() -> None:
    refused(([[0.0, 1.0], [1.0]], ["a", "b"]), "train")
    refused((X, Y), "vote", vote=([[0.0, 1.0], [1.0]], ["a", "b"]))


def test_features_that_are_text_are_refused() -> None:
    refused(([["red", "blue"], ["blue", "red"], ["red", "red"]], Y), "train features")


def test_targets_of_a_regression_that_are_text_are_refused() -> None:
    refused((X, Y), "train targets", SGDRegressor())


def test_labels_that_cannot_be_ordered_are_refused() -> None:
    refused((X, np.array(["a", None, "b"], dtype=object)), "train targets")
