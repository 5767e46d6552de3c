"""Trees that scikit-learn grows travel as they are, boosting continues anybody's, and corners of data break nothing."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from sklearn.datasets import make_classification
from sklearn.ensemble import (
    ExtraTreesClassifier,
    ExtraTreesRegressor,
    GradientBoostingClassifier,
    GradientBoostingRegressor,
    HistGradientBoostingClassifier,
    HistGradientBoostingRegressor,
    RandomForestClassifier,
    RandomForestRegressor,
)
from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

from colearn_core.data import PrivateData, Samples, Task
from colearn_core.errors import ParameterError, WeightsError
from colearn_core.growing import Grower
from colearn_core.metrics import metric
from colearn_core.trees import DEEPEST, Forest, grown
from colearn_sklearn_plugin import boosting, tree_models
from colearn_sklearn_plugin.boosting import GradientBoosting
from colearn_sklearn_plugin.forests import Bagging
from colearn_sklearn_plugin.histograms import Bins, HistGradientBoosting

Array = NDArray[Any]
CLASSIFIERS = (RandomForestClassifier(5), ExtraTreesClassifier(5), DecisionTreeClassifier())
REGRESSORS = (RandomForestRegressor(5), ExtraTreesRegressor(5), DecisionTreeRegressor())
COMPONENTS = [
    f"{trees}_{kind}"
    for trees in ("random_forest", "extra_trees", "decision_tree", "gradient_boosting", "hist_gradient_boosting")
    for kind in ("classifier", "regressor")
]


def table(n: int, seed: int, *, missing: float = 0.15, unknown: bool = False) -> tuple[Array, Array]:
    """Six features, two of them codes of 7 and 30 categories, and values; some codes only where ``unknown``."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(n, 6)).astype(np.float32)
    x[:, 2] = rng.integers(7, size=n)
    x[:, 4] = rng.integers(30, size=n)
    y = x[:, 0] * x[:, 1] + x[:, 2] % 3 + x[:, 4] % 5 / 2 + 0.1 * rng.normal(size=n)
    if not unknown:
        x[np.isin(x[:, 4], (3, 11, 29)), 4] = 5
    x[rng.random(x.shape) < missing] = np.nan
    return x, y


def rng_of(seed: int) -> np.random.Generator:
    return np.random.default_rng(seed)


def predicted(grower: Grower, forest: Forest, x: Array, needs: Any, start: Array | float = 0.0) -> Array:
    margins = np.zeros((len(x), grower.outputs)) + start
    forest.add_to(margins, x)
    return grower.respond(margins, len(forest), needs)


def continued(
    grower: Grower, x: Array, y: Array, proposals: int, start: Array | float = 0.0, weight: Array | None = None
) -> Forest:
    """The trees of some proposals, each accepted."""
    margins = np.zeros((len(x), grower.outputs)) + start
    forest, rng = Forest.empty(grower.width), rng_of(0)
    for _ in range(proposals):
        new = grower.grow(x, y, weight, margins.copy(), rng)
        new.add_to(margins, x)
        forest = Forest.joined([forest, new])
    return forest


def checked(grower: Grower, forest: Forest) -> Forest:
    """The same trees, as another party gets them."""
    return Forest.from_weights(forest.to_weights(), grower.features, grower.outputs, grower.width)


def component(name: str, data: PrivateData, **parameters: Any) -> Any:
    return getattr(tree_models, name)(data, **parameters)


def private(x: Array, y: Array, classes: int, categorical: tuple[int, ...] = ()) -> PrivateData:
    samples = Samples(x, y)
    return PrivateData(samples, samples, samples, Task(tuple(map(str, range(classes))), categorical=categorical))


@pytest.mark.parametrize("estimator", [*CLASSIFIERS, *REGRESSORS], ids=lambda e: type(e).__name__)
def test_averaged_trees_predict_as_in_the_library(estimator: Any) -> None:
    x, values = table(300, 1)
    new, _ = table(500, 2, missing=0.3)
    classes = 3 if estimator in CLASSIFIERS else 0
    y = np.searchsorted(np.quantile(values, [0.3, 0.6]), values) if classes else values
    grower = Bagging.of(estimator, 6, classes, smoothing=0.0)
    forest = checked(grower, grower.grow(x, y, None, np.zeros((len(x), grower.outputs)), rng_of(5)))
    fitted = grower.unfitted(int(rng_of(5).integers(2**32))).fit(x, y)
    expected = fitted.predict_proba(new) if classes else fitted.predict(new)
    assert len(forest) == len(getattr(fitted, "estimators_", [fitted]))
    found = predicted(grower, forest, new, "probabilities" if classes else "values")
    np.testing.assert_allclose(found, expected, atol=1e-6)
    if classes:
        np.testing.assert_array_equal(predicted(grower, forest, new, "labels"), fitted.predict(new))


def test_smoothed_leaves_are_shares_of_more_samples() -> None:
    x, y = np.array([[0.0], [0.0], [0.0], [1.0]], np.float32), np.array([0, 0, 2, 1])
    grower = Bagging.of(DecisionTreeClassifier(), 1, 3, smoothing=1.5)
    forest = grower.grow(x, y, None, np.zeros((4, 3)), rng_of(0))
    np.testing.assert_allclose(forest.value, [[2.5 / 4.5, 0.5 / 4.5, 1.5 / 4.5], [0.2, 0.6, 0.2]], rtol=1e-6)


def test_gains_are_the_importance_that_the_library_tells() -> None:
    x, y = table(300, 3)
    for estimator in (DecisionTreeRegressor(), DecisionTreeRegressor(max_depth=4)):
        grower = Bagging.of(estimator, 6, 0, smoothing=0.0)
        forest = grower.grow(x, y, None, np.zeros((300, 1)), rng_of(1))
        fitted = grower.unfitted(int(rng_of(1).integers(2**32))).fit(x, y)
        np.testing.assert_allclose(forest.importance(6), fitted.feature_importances_, atol=1e-5)


def test_leaves_that_hold_more_than_shares_buy_no_better_loss() -> None:
    grower = Bagging.of(RandomForestClassifier(), 2, 3, smoothing=1.0)
    honest = np.array([[0.2, 0.5, 0.3], [0.0, 0.0, 0.0], [1.0, 0.0, 0.0]])
    fair = grower.respond(honest, 1, "probabilities")
    np.testing.assert_allclose(fair, np.array([[0.2, 0.5, 0.3], [1 / 3, 1 / 3, 1 / 3], [1.0, 0.0, 0.0]]))
    np.testing.assert_allclose(grower.respond(honest * 1e30, 1, "probabilities"), fair)
    negative = grower.respond(np.array([[-5.0, 3.0, 1.0], [-1.0, -2.0, -3.0]]), 1, "probabilities")
    np.testing.assert_allclose(negative, [[0, 0.75, 0.25], [1 / 3, 1 / 3, 1 / 3]])


@pytest.mark.parametrize(("asked", "given"), [(None, DEEPEST), (1000, DEEPEST), (7, 7)])
def test_trees_are_no_deeper_than_can_travel(asked: int | None, given: int) -> None:
    assert dict(Bagging.of(DecisionTreeRegressor(max_depth=asked), 1, 0, 0.0).parameters)["max_depth"] == given


SMALL = (("max_depth", 3),)


def histograms(
    classes: int, categorical: tuple[int, ...] = (), iterations: int = 10, **tree: Any
) -> HistGradientBoosting:
    settings = {"max_leaf_nodes": 31, "min_samples_leaf": 20} | tree
    return HistGradientBoosting(6, classes, iterations, 0.1, None, 0.0, 255, categorical, tuple(settings.items()))


def test_gradient_boosting_of_values_goes_on_as_the_library_does() -> None:
    x, y = table(300, 1, missing=0)
    settings = {"max_depth": 3, "min_samples_leaf": 20}  # few samples are parted alike by several features
    grower = GradientBoosting(6, 0, 10, 0.1, None, 1.0, tuple(settings.items()))
    forest = checked(grower, continued(grower, x, y, 4))
    fitted = GradientBoostingRegressor(n_estimators=40, random_state=0, **settings).fit(x, y)
    assert len(forest) == 41
    new, _ = table(300, 2, missing=0)
    np.testing.assert_allclose(predicted(grower, forest, new, "values"), fitted.predict(new), atol=1e-5)


@pytest.mark.parametrize("categorical", [(), (2, 4)])
def test_histogram_boosting_of_values_goes_on_as_the_library_does(categorical: tuple[int, ...]) -> None:
    x, y = table(800, 1)
    grower = histograms(0, categorical)
    forest = checked(grower, continued(grower, x, y, 4))
    settings = {"max_iter": 40, "early_stopping": False, "categorical_features": categorical or None}
    fitted = HistGradientBoostingRegressor(**settings).fit(x, y)
    new, _ = table(1000, 2, missing=0.3, unknown=True)
    assert not set(new[:, 4][~np.isnan(new[:, 4])]) <= set(x[:, 4])
    np.testing.assert_allclose(predicted(grower, forest, new, "values"), fitted.predict(new), atol=1e-6)


@pytest.mark.parametrize("classes", [2, 3])
@pytest.mark.parametrize("kind", ["small", "histograms"])
def test_unbounded_steps_from_its_own_beginning_are_those_of_the_library(
    kind: str, classes: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(boosting, "LARGEST_STEP", np.inf)
    x, y = make_classification(500, 6, n_informative=5, n_redundant=0, n_classes=classes, flip_y=0.2, random_state=1)
    x = x.astype(np.float32)
    grower: Grower
    if kind == "small":
        grower = GradientBoosting(6, classes, 5, 0.1, None, 1.0, SMALL)
        fitted = GradientBoostingClassifier(n_estimators=15, random_state=0).fit(x, y)
        shares = np.bincount(y) / len(y)
        start = np.log(shares[1] / shares[0]) if classes == 2 else np.log(shares)
    else:
        grower = histograms(classes, iterations=5)
        fitted = HistGradientBoostingClassifier(max_iter=15, early_stopping=False).fit(x, y)
        start = fitted._baseline_prediction
    forest = continued(grower, x, y, 3, start)
    assert len(forest) == 15 * grower.outputs
    found = predicted(grower, forest, x, "probabilities", start)
    np.testing.assert_allclose(found, fitted.predict_proba(x), atol=1e-3)


@pytest.mark.parametrize("classes", [2, 3])
def test_a_hundred_iterations_predict_as_well_as_the_library(classes: int) -> None:
    x, y = make_classification(700, 6, n_informative=5, n_redundant=0, n_classes=classes, flip_y=0.1, random_state=2)
    x, new, y, targets = x[:300].astype(np.float32), x[300:].astype(np.float32), y[:300], y[300:]
    growers = (GradientBoosting(6, classes, 25, 0.1, None, 1.0, SMALL), histograms(classes, iterations=25))
    theirs = (GradientBoostingClassifier(random_state=0), HistGradientBoostingClassifier(early_stopping=False))
    for grower, library in zip(growers, theirs, strict=True):
        found = predicted(grower, continued(grower, x, y, 4), new, "probabilities")
        expected = library.fit(x, y).predict_proba(new)
        ours, usual = (float(metric("log_loss").score(targets, p, np.array([400]))[0]) for p in (found, expected))
        assert abs(ours - usual) < 0.1 * usual


def test_a_category_parted_from_what_is_missing_is_parted_as_in_training() -> None:
    rng = rng_of(0)
    for side in (-1.0, 1.0):
        x = np.full((200, 1), 4.0, np.float32)
        x[::2] = np.nan
        y = np.where(np.isnan(x[:, 0]), side, -side) + 0.01 * rng.normal(size=200)
        grower = HistGradientBoosting(1, 0, 1, 1.0, None, 0.0, 255, (0,), (("min_samples_leaf", 5),))
        forest = checked(grower, grower.grow(x, y, None, np.zeros((200, 1)), rng))
        new = np.array([[4.0], [np.nan], [0.0], [9.0], [200.0]], np.float32)  # unknown codes count as missing
        np.testing.assert_allclose(
            predicted(grower, forest, new, "values"), side * np.array([-1, 1, 1, 1, 1]), atol=0.01
        )


def test_more_values_than_bins_are_binned_by_their_frequency() -> None:
    x = np.concatenate([np.zeros(500), np.arange(500)]).astype(np.float32)[:, None]
    bins = Bins(x, (), 10)
    assert bins.codes.max() == len(bins.edges[0]) <= 9
    for code in range(len(bins.edges[0])):
        inside = bins.codes[:, 0] == code
        assert x[inside].max() <= bins.edges[0][code] < x[bins.codes[:, 0] == code + 1].min()


def test_l2_shrinks_leaves_towards_no_step_at_all() -> None:
    x, y = np.repeat([[0.0], [1.0]], 20, axis=0).astype(np.float32), np.repeat([0.0, 10.0], 20)
    start = np.full((40, 1), 1.0)  # what others' trees say; nothing is added for the mean
    for l2 in (0.0, 20.0):
        grower = HistGradientBoosting(1, 0, 1, 1.0, None, l2, 255, (), (("min_samples_leaf", 1),))
        forest = grower.grow(x, y, None, start, rng_of(0))
        np.testing.assert_allclose(forest.value[:, 0], np.array([-20, 180]) / (20 + l2), rtol=1e-6)


def test_steps_are_bounded_where_others_are_sure_and_wrong() -> None:
    x, y = np.zeros((50, 6), np.float32), np.ones(50, np.int64)
    for grower in (histograms(2, iterations=1), GradientBoosting(6, 2, 1, 0.1, None, 1.0, SMALL)):
        for sure in (-30.0, -1000.0):
            forest = grower.grow(x, y, None, np.full((50, 1), sure), rng_of(0))
            np.testing.assert_allclose(forest.value, 0.1 * boosting.LARGEST_STEP, rtol=1e-5)
        forest = grower.grow(x, y, None, np.full((50, 1), 1000.0), rng_of(0))
        assert np.abs(forest.value).max() == 0


def test_threads_change_no_bit() -> None:
    x, y = table(2000, 1)
    grower = histograms(0, (2, 4), iterations=3)
    one = grower.grow(x, y, None, np.zeros((2000, 1)), rng_of(0)).to_weights()
    with threadpool_limits(2):
        two = grower.grow(x, y, None, np.zeros((2000, 1)), rng_of(0)).to_weights()
    assert one == two


@pytest.mark.parametrize("name", COMPONENTS)
def test_weights_count_as_repetitions(name: str) -> None:
    x, values = table(60, 1)
    classes = 3 if name.endswith("classifier") else 0
    y = np.searchsorted(np.quantile(values, [0.3, 0.6]), values) if classes else values
    repeats = rng_of(0).integers(0, 4, size=60)
    fixed = {"bootstrap": False} if name.startswith("random") else {}
    grower = component(name, private(x, y, classes)).grower
    if isinstance(grower, Bagging):
        grower = Bagging.of(grower.unfitted(0).set_params(max_features=None, max_depth=3, **fixed), 6, classes, 1.0)
    margins = np.zeros((60, grower.outputs))
    weighted = grower.grow(x, y, repeats.astype(float), margins, rng_of(1))
    assert weighted.to_weights() != grower.grow(x, y, None, margins, rng_of(1)).to_weights()
    if name.startswith(("hist", "extra", "gradient")):  # their fewest samples of a leaf, or draws, count rows
        return
    again, targets = np.repeat(x, repeats, axis=0), np.repeat(y, repeats)
    repeated = grower.grow(again, targets, None, np.repeat(margins, repeats, axis=0), rng_of(1))
    found, expected = (
        predicted(grower, f, again, "probabilities" if classes else "values") for f in (weighted, repeated)
    )
    np.testing.assert_allclose(found, expected, atol=1e-5)


@pytest.mark.parametrize("name", [n for n in COMPONENTS if n.endswith("classifier")])
def test_balanced_classes_weigh_alike(name: str) -> None:
    x = np.zeros((100, 2), np.float32)
    y = (np.arange(100) < 10).astype(np.int64)  # nothing tells them apart
    more = {"iterations": 40} if "boosting" in name else {"smoothing": 0.0}
    usual, balanced = (component(name, private(x, y, 2), class_weight=w, **more) for w in (None, "balanced"))
    for learner, share, within in ((usual, 0.1, 0.06), (balanced, 0.5, 0.06)):
        weights = learner.propose_weights(learner.initial_weights(rng_of(0)), rng_of(2)).weights
        assert learner.predict(weights, x, "probabilities")[0, 1] == pytest.approx(share, abs=within)


@pytest.mark.parametrize("name", COMPONENTS)
@pytest.mark.parametrize("case", ["one sample", "one class", "all the same", "a class absent", "all missing"])
def test_corners_of_the_data_give_trees_that_fit_the_model(name: str, case: str) -> None:
    classes = 3 if name.endswith("classifier") else 0
    x, y = table(40, 1)
    y = (np.arange(40) % 3 if classes else y).astype(np.int64 if classes else np.float64)
    few = {"iterations": 3} if "boosting" in name else {}
    usual = component(name, private(x, y, classes, (2, 4)), **few)
    if case == "one sample":
        x, y = x[:1], y[:1]
    elif case == "one class":
        y = np.full_like(y, 2)
    elif case == "all the same":
        x, y = np.zeros_like(x), y * 0
    elif case == "a class absent":
        y[y == 1] = 0
    else:
        x = np.full_like(x, np.nan)
    learner = component(name, private(x, y, classes, (2, 4)), **few)
    base = learner.initial_weights(rng_of(0))
    for round in range(3):
        proposal = learner.propose_weights(base, rng_of(round)).weights
        usual.check_weights(proposal, base)
        for judge in (learner, usual):
            assert np.isfinite(judge.test_weights(proposal, "vote").value)
        base = proposal
    if case == "one class" and classes:
        assert learner.predict(base, x, "labels").tolist() == [2] * 40
    if case == "all the same" and not classes:
        np.testing.assert_allclose(learner.predict(base, x), 0, atol=1e-6)


@pytest.mark.parametrize("name", ["random_forest_classifier", "hist_gradient_boosting_classifier"])
def test_learning_goes_on_across_classes_that_each_party_lacks(name: str) -> None:
    x, y = make_classification(600, 6, n_informative=5, n_redundant=0, n_classes=3, class_sep=2.0, random_state=1)
    x = x.astype(np.float32)
    parties = [component(name, private(x[y != gone][:150], y[y != gone][:150], 3)) for gone in range(3)]
    weights = parties[0].initial_weights(rng_of(0))
    for round in range(6):
        weights = parties[round % 3].propose_weights(weights, rng_of(round)).weights
    assert np.mean(parties[0].predict(weights, x[300:], "labels") == y[300:]) > 0.8


def test_a_first_proposal_begins_with_the_mean_or_the_classes_shares() -> None:
    x, y = table(100, 1)
    far = histograms(0, iterations=1).grow(x, y + 1000, None, np.zeros((100, 1)), rng_of(0))
    assert far.sizes[0] == 1
    assert far.value[0, 0] == pytest.approx(np.mean(y) + 1000, rel=1e-6)
    counts = np.array([0, 7, 93])
    labels = np.repeat(np.arange(3), counts)
    grower = histograms(3, iterations=1)
    forest = grower.grow(x, labels, None, np.zeros((100, 3)), rng_of(0)).take(slice(3))
    found = predicted(grower, forest, x, "probabilities")[0]
    np.testing.assert_allclose(found, (counts + 1) / 103, rtol=1e-5)


@pytest.mark.parametrize("name", COMPONENTS)
def test_hostile_weights_are_refused_or_harmless(name: str) -> None:
    rng = rng_of(3)
    x, values = table(40, 1)
    classes = 2 if name.endswith("classifier") else 0
    y = (values > 1).astype(np.int64) if classes else values
    learner = component(name, private(x, y, classes, (2, 4)), **({"iterations": 2} if "boosting" in name else {}))
    base = learner.initial_weights(rng_of(0))
    honest = learner.propose_weights(base, rng_of(0)).weights
    refused = 0
    for attempt in range(60):
        arrays = {n: a.copy() for n, a in honest.items()}
        for _ in range(int(rng.integers(1, 4))):
            spoilt = arrays[list(arrays)[rng.integers(len(arrays))]]
            if spoilt.size:
                raw = spoilt.view(np.uint8).reshape(-1)
                raw[rng.integers(len(raw))] = rng.integers(256)
        weights = type(honest)(arrays)
        try:
            learner.check_weights(weights, base)
        except WeightsError:
            refused += 1
            continue
        assert not np.isnan(learner.test_weights(weights, "vote").value)
        if attempt % 5 == 0 or len(weights["categories"]):
            learner.propose_weights(weights, rng_of(attempt))
    assert refused


@pytest.mark.parametrize(
    ("estimator", "classes", "message"),
    [
        (RandomForestClassifier(), 0, "RandomForestClassifier can't learn a regression task"),
        (RandomForestRegressor(), 3, "RandomForestRegressor can't learn a classification task"),
        (RandomForestClassifier(oob_score=True), 3, "oob_score = True isn't possible"),
        (RandomForestClassifier(class_weight={0: 2}), 3, "class_weight must be None or a name"),
        (RandomForestClassifier(n_estimators=0), 3, "n_estimators"),
        (HistGradientBoostingClassifier(), 3, "HistGradientBoostingClassifier is no forest"),
    ],
)
def test_a_forest_that_cannot_be_grown_is_refused(estimator: Any, classes: int, message: str) -> None:
    with pytest.raises(ParameterError, match=message):
        Bagging.of(estimator, 4, classes, 1.0)


def test_equal_settings_make_equal_growers_and_others_do_not() -> None:
    one, same, other = (Bagging.of(RandomForestClassifier(n, random_state=n), 4, 3, 1.0) for n in (5, 5, 6))
    assert one == same
    assert one != other
    assert histograms(2) == histograms(2) != histograms(2, max_depth=3)


def test_a_tree_with_nothing_in_common_with_the_data_is_corrected() -> None:
    """Others' trees may say anything of samples: margins are what is corrected, whoever's trees gave them."""
    x, y = table(400, 1)
    none = np.array([-1])
    foreign = grown(none, none, none, np.zeros(1), np.array([50.0]))
    for grower in (histograms(0, iterations=60), GradientBoosting(6, 0, 60, 0.1, None, 1.0, SMALL)):
        margins = np.zeros((400, 1))
        foreign.add_to(margins, x)
        grower.grow(x, y, None, margins.copy(), rng_of(0)).add_to(margins, x)
        assert np.mean((margins[:, 0] - y) ** 2) < np.var(y)


@pytest.mark.parametrize("subsample", [0.5, 1.0])
def test_subsamples_are_drawn_of_samples_that_count(subsample: float) -> None:
    grower = GradientBoosting(6, 0, 1, 0.1, None, subsample, SMALL)
    weight = np.r_[np.zeros(50), np.full(100, 2.0)]
    drawn = grower.drawn(weight, rng_of(0))
    assert np.count_nonzero(drawn) == 100 * subsample
    assert set(drawn[:50]) == {0}
    assert set(drawn[drawn > 0]) == {2.0}
