"""What each adversary proposes and votes, by numbers small enough to check by hand."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from time import perf_counter
from typing import Any

import numpy as np
import pytest
from small_weights import vector, w

from colearn_core.adversaries import (
    Adversary,
    Backdoor,
    Crashing,
    FreeRider,
    GaussianNoise,
    InnerProduct,
    LabelFlip,
    Liar,
    LittleIsEnough,
    Mimic,
    MinMax,
    Nan,
    ScaledUpdate,
    Scene,
    SignFlip,
    Slow,
    Stale,
    poisoned,
)
from colearn_core.adversaries.little_is_enough import largest_hidden
from colearn_core.data import PrivateData, Samples, Task
from colearn_core.errors import Abstention, ParameterError
from colearn_core.learner import Proposal
from colearn_core.proposing import Candidate
from colearn_core.streams import Streams
from colearn_core.weights import Weights

STREAMS = Streams(5)


BASE = vector(1.0, 2.0)


def scene(own: Weights | None = None, *others: Weights, learner: int = 0, **more: Any) -> Scene:
    """A scene in which learner 0 is the adversary and has trained ``own``."""
    honest = {i: Proposal(weights, 10.0 * i) for i, weights in enumerate(others, start=1)}
    trained = {} if own is None else {learner: Proposal(own, 30)}
    given: dict[str, Any] = {"round": 3, "learners": 1 + len(others), "base": BASE, "initial": BASE}
    return Scene(learner=learner, others=honest, trained=trained, **given | more)


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def propose(adversary: Adversary, at: Scene, seed: int = 0) -> Proposal:
    return adversary.propose(at, rng(seed))


# Proposals

CALCULATING = (SignFlip(), ScaledUpdate(), GaussianNoise(), InnerProduct(), LittleIsEnough(), MinMax())
"""Those that need a model of fixed shape."""


def test_sign_flip_goes_as_far_the_other_way() -> None:
    found = propose(SignFlip(), scene(vector(1.5, 1.0)))
    assert (w(found), found.samples) == ([0.5, 3.0], 30)
    assert w(propose(SignFlip(2.0), scene(vector(1.5, 1.0)))) == [0.0, 4.0]


def test_counters_are_left_as_training_made_them() -> None:
    trained = Weights({"w": np.array([1.5, 1.0]), "steps": np.array([9])})
    for adversary in (*CALCULATING, Nan()):
        assert propose(adversary, scene(trained)).weights["steps"].tolist() == [9]


def test_single_precision_stays_single() -> None:
    base, trained = (Weights({"w": np.array([v], dtype=np.float32)}) for v in (1.0, 3.0))
    found = propose(SignFlip(), scene(trained, base=base))
    assert found.weights["w"].dtype == np.float32
    assert w(found) == [-1.0]


def test_scaled_update_goes_so_many_times_as_far() -> None:
    assert w(propose(ScaledUpdate(10), scene(vector(1.5, 1.0)))) == [6.0, -8.0]


def test_gaussian_noise_has_the_deviation_that_is_asked_for() -> None:
    base = Weights({"w": np.zeros(20_000)})
    trained = Weights({"w": np.tile([0.3, -0.4], 10_000)})  # root mean square 0.3536
    for adversary, expected in ((GaussianNoise(2.0), 2.0), (GaussianNoise(2.0, relative=True), 2 * 0.125**0.5)):
        noise = np.array(w(propose(adversary, scene(trained, base=base)))) - trained["w"]
        assert noise.std() == pytest.approx(expected, rel=0.02)
        assert abs(noise.mean()) < 0.03 * expected


def test_inner_product_goes_against_the_mean_of_the_honest() -> None:
    at = scene(vector(9.0, 9.0), vector(2.0, 2.0), vector(3.0, 4.0))  # their updates: (1, 0) and (2, 2)
    found = propose(InnerProduct(scale=2.0), at)
    assert (w(found), found.samples) == ([-2.0, 0.0], 30)


def test_inner_product_alone_goes_against_its_own() -> None:
    assert w(propose(InnerProduct(), scene(vector(1.5, 1.0)))) == [0.5, 3.0]


def test_a_little_is_enough_stays_so_many_deviations_from_the_mean() -> None:
    at = scene(vector(9.0, 9.0), vector(2.0, 2.0), vector(4.0, 2.0))  # updates (1, 0) and (3, 0): mean 2, deviation 1
    assert w(propose(LittleIsEnough(z=1.5), at)) == [1.0 + 2.0 - 1.5, 2.0]
    assert w(propose(LittleIsEnough(z=0), at)) == [3.0, 2.0]


def test_how_much_is_a_little_follows_the_paper() -> None:
    # n = 50, m = 24: 2 supporters, the normal quantile of 24/26 (Baruch et al. 2019, algorithm 3).
    assert largest_hidden(26, 24) == pytest.approx(1.4260769, abs=1e-6)
    # n = 10, m = 3: 3 supporters of 7; 4/7.
    assert largest_hidden(7, 3) == pytest.approx(0.1800124, abs=1e-6)
    assert largest_hidden(9, 1) == 0  # the paper's quantile is negative here
    assert largest_hidden(1, 3) == largest_hidden(2, 9) > 3
    assert largest_hidden(0, 2) == 0


def test_a_little_is_enough_takes_that_by_default() -> None:
    others = [vector(2.0 + i, 2.0) for i in range(7)]
    at = replace(scene(vector(0.0, 0.0), *others), trained={i: Proposal(BASE, 1) for i in (0, 8, 9)})
    expected = 1.0 + 4.0 - largest_hidden(7, 3) * 2.0  # the deviation of 1 to 7 is 2
    assert w(propose(LittleIsEnough(), at)) == pytest.approx([expected, 2.0])


def test_mimic_copies_the_one_that_differs_most_with_its_samples() -> None:
    at = scene(vector(0.0, 0.0), vector(1.1, 2.0), vector(1.2, 2.1), vector(9.0, 2.0), vector(1.0, 1.9))
    assert propose(Mimic(), at) == at.others[3]
    assert propose(Mimic(target=2), at) == at.others[2]
    assert propose(Mimic(target=77), at) == at.others[3]


def test_mimic_copies_the_first_of_models_that_grow() -> None:
    grown = Weights({"w": np.arange(3.0), "steps": np.array([7])})
    at = scene(vector(0.0, 0.0), grown, vector(1.0, 2.0))
    assert propose(Mimic(), at) == at.others[1]


def distances(found: Proposal, others: Mapping[int, Proposal]) -> list[float]:
    return [float(np.linalg.norm(np.subtract(w(found), w(p)))) for p in others.values()]


def test_min_max_is_as_far_off_as_the_two_farthest_are_apart() -> None:
    rng = np.random.default_rng(3)
    at = scene(vector(9.0, 9.0), *(vector(*rng.normal(size=2)) for _ in range(6)))
    apart = max(d for p in at.others.values() for d in distances(p, at.others))
    found = propose(MinMax(), at)
    assert max(distances(found, at.others)) == pytest.approx(apart)
    mean, deviation = (f([w(p) for p in at.others.values()], axis=0) for f in (np.mean, np.std))
    assert np.ptp((mean - np.array(w(found))) / deviation) == pytest.approx(0, abs=1e-12)  # against the deviation
    assert (np.array(w(found)) < mean).all()
    most = max(float(np.square(distances(p, at.others)).sum()) for p in at.others.values())
    closer = propose(MinMax("sum"), at)
    assert np.square(distances(closer, at.others)).sum() == pytest.approx(most)
    assert max(distances(closer, at.others)) < apart


def test_min_max_is_honest_where_the_honest_agree() -> None:
    assert w(propose(MinMax(), scene(vector(1.5, 1.0)))) == [1.5, 1.0]
    assert w(propose(MinMax("sum"), scene(vector(1.5, 1.0), vector(3.0, 1.0), vector(3.0, 1.0)))) == [3.0, 1.0]


def test_mimic_without_company_is_honest() -> None:
    at = scene(vector(5.0, 5.0))
    assert propose(Mimic(), at) is at.own


def test_a_free_rider_returns_the_base_and_claims_the_usual_samples() -> None:
    found = propose(FreeRider(), scene(None, vector(5.0, 5.0), vector(6.0, 6.0)))
    assert found == Proposal(BASE, 15.0)
    assert propose(FreeRider(), scene(None)).samples == 1
    assert propose(FreeRider(samples=99), scene(None, vector(5.0, 5.0))).samples == 99
    assert FreeRider().trains_from(scene()) is None


def test_a_free_riders_noise_has_the_size_of_the_last_change() -> None:
    base, before = Weights({"w": np.full(20_000, 3.0)}), Weights({"w": np.full(20_000, 2.5)})
    noise = np.array(w(propose(FreeRider(noise=0.4), scene(None, base=base, before=before)))) - base["w"]
    assert noise.std() == pytest.approx(0.4 * 0.5, rel=0.02)
    assert propose(FreeRider(noise=0.4), scene(None, before=None)).weights is BASE


def test_nan_is_in_as_many_places_as_asked_for() -> None:
    trained = Weights({"a": np.ones(10), "b": np.ones(1), "steps": np.array([3])})
    found = propose(Nan(0.3), scene(trained, base=trained)).weights
    assert [int(np.isnan(found[name]).sum()) for name in ("a", "b")] == [3, 1]
    assert np.isnan(propose(Nan(), scene(trained)).weights["a"]).all()


def test_a_crash_comes_as_often_as_asked_for() -> None:
    at, crashes = scene(vector(5.0, 5.0)), 0
    for seed in range(400):
        try:
            propose(Crashing(0.25), at, seed)
        except Abstention:
            crashes += 1
    assert 70 <= crashes <= 130
    assert propose(Crashing(0), at) is at.own
    with pytest.raises(Abstention, match="crashed"):
        propose(Crashing(1), at)


def test_a_slow_learner_takes_its_time_and_is_honest() -> None:
    at, start = scene(vector(5.0, 5.0)), perf_counter()
    assert propose(Slow(0.05), at) is at.own
    assert perf_counter() - start >= 0.05


def test_a_stale_learner_trains_from_old_weights() -> None:
    initial, older, old = vector(0.0, 0.0), vector(0.1, 0.1), vector(0.2, 0.2)
    at = scene(initial=initial, past=(old, older))
    assert Stale().trains_from(at) is initial
    assert Stale(1).trains_from(at) is old
    assert Stale(2).trains_from(at) is older
    assert Stale(3).trains_from(at) is initial


def test_a_backdoor_can_exaggerate() -> None:
    assert w(propose(Backdoor(scale=4), scene(vector(1.5, 1.0)))) == [3.0, -2.0]
    at = scene(vector(1.5, 1.0))
    assert propose(Backdoor(), at) is at.own


@pytest.mark.parametrize("adversary", CALCULATING)
def test_a_model_that_grows_is_not_calculated_with(adversary: Adversary) -> None:
    grown = Weights({"w": np.arange(3.0), "steps": np.array([7])})
    with pytest.raises(Abstention, match=r"model that grows.*'w' is float64"):
        propose(adversary, scene(grown))


WRONG: tuple[tuple[Callable[[], Adversary], str], ...] = (
    (lambda: SignFlip(0), "scale must be a positive number, not 0"),
    (lambda: SignFlip(votes="maybe"), "votes must be one of honest, yes, no, opposite, loyal, not 'maybe'"),  # type: ignore[arg-type]
    (lambda: ScaledUpdate(float("inf")), "scale must be a positive number, not inf"),
    (lambda: GaussianNoise(-1), "deviation must be a positive number, not -1"),
    (lambda: LabelFlip(poisoned=0), "poisoned must be a share between 0 and 1, not 0"),
    (lambda: LabelFlip(source=2, target=2), "source and target are the same class: 2"),
    (lambda: LittleIsEnough(z=-1), "z must be a number of deviations, 0 or more, not -1"),
    (lambda: MinMax("near"), "near must be max or sum, not 'near'"),  # type: ignore[arg-type]
    (lambda: FreeRider(noise=-1), "noise can't be negative or infinite: -1"),
    (lambda: FreeRider(samples=0), "samples must be a positive number, not 0"),
    (lambda: Nan(2), "places must be a share between 0 and 1, not 2"),
    (lambda: Slow(-1), "seconds can't be negative or infinite: -1"),
    (lambda: Crashing(1.5), "probability lies between 0 and 1, not at 1.5"),
    (lambda: Stale(0), "rounds must be at least 1, not 0"),
    (lambda: Backdoor(target=-1), "target is the number of a class, 0 or more, not -1"),
    (lambda: Backdoor(features=(3, -1)), "features are numbers from 0, not"),
    (lambda: Backdoor(value=float("nan")), "value must be a number, not nan"),
)


@pytest.mark.parametrize(("make", "complaint"), WRONG, ids=[complaint for _, complaint in WRONG])
def test_parameters_that_make_no_sense_are_refused(make: Callable[[], Adversary], complaint: str) -> None:
    with pytest.raises(ParameterError, match=complaint):
        make()


# Data


def held(x: Any, y: Any, classes: int = 4) -> PrivateData:
    part = Samples(np.asarray(x), np.asarray(y))
    return PrivateData(part, part, part, Task(tuple(f"class {c}" for c in range(classes))), b"key")


def test_labels_are_mirrored_in_training_data_only() -> None:
    data = held(np.zeros((5, 2)), [0, 1, 2, 3, 3])
    found = LabelFlip().poison(data, rng())
    assert found.train.y.tolist() == [3, 2, 1, 0, 0]
    assert found.vote is data.vote
    assert found.test is data.test
    assert data.train.y.tolist() == [0, 1, 2, 3, 3]


def test_one_label_is_flipped_to_another() -> None:
    data = held(np.zeros((6, 2)), [0, 1, 1, 3, 1, 1])
    assert LabelFlip(source=1, target=2).poison(data, rng()).train.y.tolist() == [0, 2, 2, 3, 2, 2]
    assert LabelFlip(source=0).poison(data, rng()).train.y.tolist() == [3, 1, 1, 3, 1, 1]
    half = LabelFlip(source=1, target=2, poisoned=0.5).poison(data, rng()).train.y
    assert sorted(half[[1, 2, 4, 5]].tolist()) == [1, 1, 2, 2]


def test_values_are_mirrored_at_their_mean() -> None:
    data = held(np.zeros((3, 1)), [1.0, 2.0, 6.0], classes=0)
    assert LabelFlip().poison(data, rng()).train.y.tolist() == [5.0, 4.0, 0.0]


def test_classes_that_are_not_there_are_refused() -> None:
    data = held(np.zeros((3, 1)), [0, 1, 2])
    with pytest.raises(ParameterError, match="target is class 4, but there are 4 classes"):
        LabelFlip(source=1, target=4).poison(data, rng())
    with pytest.raises(ParameterError, match="target is class 9, but there are 4 classes"):
        Backdoor(target=9).poison(data, rng())
    for adversary in (LabelFlip(source=1), Backdoor()):
        with pytest.raises(ParameterError, match="a regression has n"):
            adversary.poison(held(np.zeros((3, 1)), [0.0, 1.0, 2.0], classes=0), rng())


def test_the_trigger_is_in_the_lower_right_corner() -> None:
    picture = np.zeros((4, 4))
    picture[2:, 2:] = 0.8
    for shape in ((1, 16), (1, 4, 4)):
        marked = Backdoor(value=0.8).triggered(Samples(np.zeros(shape), np.array([1])))
        assert np.array_equal(marked.x.reshape(4, 4), picture)
    channels = Backdoor().triggered(Samples(np.zeros((1, 4, 4, 3)), np.array([1]))).x[0]
    assert np.array_equal(channels, np.repeat((picture > 0).astype(float)[:, :, None], 3, axis=2))


def test_other_data_are_triggered_in_their_last_features_or_in_named_ones() -> None:
    samples = Samples(np.zeros((1, 7)), np.array([1]))
    assert Backdoor().triggered(samples).x.tolist() == [[0, 0, 0, 1, 1, 1, 1]]
    assert Backdoor(features=(0, 5), value=9).triggered(samples).x.tolist() == [[9, 0, 0, 0, 0, 9, 0]]
    with pytest.raises(ParameterError, match="the trigger is in feature 8, but there are 7 features"):
        Backdoor(features=(8,)).triggered(samples)


def test_triggered_samples_are_those_of_other_classes() -> None:
    samples = Samples(np.zeros((4, 16)), np.array([2, 0, 1, 2]))
    found = Backdoor(target=2).triggered(samples)
    assert found.y.tolist() == [2, 2]
    assert (found.x.sum(axis=1) == 4).all()
    assert not samples.x.any()


def test_a_share_of_the_training_data_gets_trigger_and_target() -> None:
    data = held(np.zeros((20, 16)), np.arange(20) % 2)
    found = Backdoor(target=3, poisoned=0.25).poison(data, rng())
    marked = found.train.x.any(axis=1)
    assert marked.sum() == 5
    assert (found.train.y[marked] == 3).all()
    assert np.array_equal(found.train.y[~marked], data.train.y[~marked])
    assert not data.train.x.any()
    assert (found.vote, found.test, found.key) == (data.vote, data.test, data.key)


def test_only_adversaries_poison_their_data_each_with_its_own_draws() -> None:
    parts = [held(np.zeros((20, 16)), np.arange(20) % 2) for _ in range(3)]
    found = poisoned(parts, {0: Backdoor(poisoned=0.3), 2: Backdoor(poisoned=0.3)}, STREAMS)
    assert found[1] is parts[1]
    assert not np.array_equal(found[0].train.x, found[2].train.x)
    again = poisoned(parts, {2: Backdoor(poisoned=0.3)}, STREAMS)
    assert np.array_equal(found[2].train.x, again[2].train.x)


# Votes

CANDIDATES = [Candidate(BASE, authors, "") for authors in ((0,), (1,), (0, 2), (2, 3))]
HONEST = np.array([1, -1, 0, 1], dtype=np.int8)


@pytest.mark.parametrize(
    ("votes", "expected"),
    [("yes", [1, 1, 1, 1]), ("no", [-1, -1, -1, -1]), ("opposite", [-1, 1, 0, -1]), ("loyal", [-1, 1, -1, 1])],
)
def test_a_liar_votes_as_told(votes: Any, expected: list[int]) -> None:
    ballot = SignFlip(votes=votes).cast(HONEST, CANDIDATES, frozenset({1, 3}), rng())
    assert ballot.tolist() == expected
    assert HONEST.tolist() == [1, -1, 0, 1]


def test_an_honest_voter_says_what_it_thinks() -> None:
    assert SignFlip().cast(HONEST, CANDIDATES, frozenset({1}), rng()) is HONEST
    assert Liar().votes == "opposite"
    assert Liar(votes="loyal").votes == "loyal"
