"""Approval: what each family puts to the vote, and how far clipping lets anyone go."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from math import inf, nan, sqrt
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy_grower import boosted

from colearn_core import merging
from colearn_core.approval import Approval
from colearn_core.cohort import LoopCohort
from colearn_core.config import ExperimentConfig, prepare
from colearn_core.errors import ParameterError, UsageError, WeightsError
from colearn_core.experiment import Experiment
from colearn_core.learner import Learner, Proposal
from colearn_core.metrics import metric
from colearn_core.past import PastRound
from colearn_core.plugins import Plugins
from colearn_core.proposing import Candidate, Combine, Everyone, LineSearch, ProposalStrategy, RoundRobin
from colearn_core.rivals import FAMILIES
from colearn_core.rounds import RoundRecord, assess, play
from colearn_core.scores import Part, Score
from colearn_core.streams import Streams
from colearn_core.testing.samples import classes, private
from colearn_core.voting import Majority
from colearn_core.weights import Weights, mean

UNHURRIED = settings(deadline=None)
BASE = Weights({"w": np.zeros(2)})
POINTS = {1: (1.0, 0.0), 3: (2.0, 0.0), 4: (0.0, 2.0), 6: (3.0, 3.0), 7: (-40.0, 90.0)}
EVERYONE = tuple(POINTS)


def vector(*values: float) -> Weights:
    return Weights({"w": np.array(values, dtype=np.float64)})


def proposed(points: Mapping[int, Sequence[float]] | None = None, **samples: int) -> dict[int, Proposal]:
    """Of learner i, claiming ``s<i>`` samples, by default 1."""
    return {i: Proposal(vector(*p), samples.get(f"s{i}", 1)) for i, p in (points or POINTS).items()}


def merged(proposals: Sequence[Proposal]) -> Weights:
    return mean([p.weights for p in proposals], [p.samples for p in proposals])


def candidates(*families: str, proposals: Mapping[int, Proposal] | None = None, **parameters: Any) -> list[Candidate]:
    return Approval(families=families, **parameters).candidates(BASE, proposals or proposed(), merged)


def only(*families: str, proposals: Mapping[int, Proposal] | None = None, **parameters: Any) -> Candidate:
    (found,) = candidates(*families, proposals=proposals, **parameters)
    return found


def named(found: Sequence[Candidate]) -> list[tuple[str, tuple[int, ...]]]:
    return [(c.label, c.authors) for c in found]


def at(candidate: Candidate) -> list[float]:
    return [float(v) for v in candidate.weights["w"]]


def mean_of(*learners: int) -> list[float]:
    return [sum(POINTS[i][k] for i in learners) / len(learners) for k in (0, 1)]


# What each family gives


def test_mean_gives_one_weighted_by_samples() -> None:
    found = only("mean", proposals=proposed({0: (1, 0), 1: (4, 0)}, s1=2))
    assert (found.label, found.authors, at(found)) == ("mean", (0, 1), [3, 0])


def test_median_gives_that_of_each_coordinate() -> None:
    found = only("median")
    assert (found.label, found.authors, at(found)) == ("median", EVERYONE, [1, 2])


@pytest.mark.parametrize(("liars", "expected"), [(0, [-6.8, 19]), (1, [1, 5 / 3]), (2, [1, 2]), (9, [1, 2])])
def test_a_trimmed_mean_leaves_out_as_many_as_there_are_liars_and_fewer_than_half(
    liars: int, expected: list[float]
) -> None:
    found = only("trimmed_mean", liars=liars)
    assert (found.label, found.authors) == ("trimmed mean", EVERYONE)
    assert at(found) == pytest.approx(expected)


def test_the_geometric_median_stays_among_the_many() -> None:
    found = only("geometric_median")
    assert (found.label, found.authors) == ("geometric median", EVERYONE)

    def total(point: Sequence[float]) -> float:
        return sum(sqrt((point[0] - x) ** 2 + (point[1] - y) ** 2) for x, y in POINTS.values())

    x, y = at(found)
    for dx in (-0.01, 0, 0.01):
        for dy in (-0.01, 0, 0.01):
            assert total((x, y)) <= total((x + dx, y + dy)) + 1e-6


def distances(i: int, among: Sequence[int]) -> list[float]:
    return sorted(sum((a - b) ** 2 for a, b in zip(POINTS[i], POINTS[j], strict=True)) for j in among if j != i)


@pytest.mark.parametrize(("liars", "nearest"), [(0, 3), (1, 2), (2, 1), (7, 1)])
def test_krum_gives_the_proposal_nearest_to_its_nearest_and_multi_krum_the_mean_of_the_best(
    liars: int, nearest: int
) -> None:
    ranked = sorted(EVERYONE, key=lambda i: (sum(distances(i, EVERYONE)[:nearest]), i))
    krum, several = candidates("krum", "multi_krum", liars=liars)
    assert (krum.label, krum.authors, at(krum)) == ("krum", (ranked[0],), list(POINTS[ranked[0]]))
    chosen = tuple(sorted(ranked[: 5 - min(liars, 2)]))
    assert (several.label, several.authors) == ("multi-krum", chosen)
    assert at(several) == pytest.approx(mean_of(*chosen))


def test_multi_krum_counts_alike_whatever_is_claimed() -> None:
    found = only("multi_krum", proposals=proposed(s1=10**6, s7=10**6))
    assert at(found) == pytest.approx(mean_of(*found.authors))
    assert 7 not in found.authors


@pytest.mark.parametrize("radius", [0.5, 1.0, 3.0])
def test_centred_clipping_lets_nobody_pull_further_than_radius_median_norms(radius: float) -> None:
    found = only("centred_clipping", radius=radius)
    assert (found.label, found.authors) == ("centred clipping", EVERYONE)
    limit = radius * float(np.median([sqrt(x * x + y * y) for x, y in POINTS.values()]))
    v = np.zeros(2)
    for _ in range(3):
        pulls = [np.array(p) - v for p in POINTS.values()]
        v = v + sum(d * min(1, limit / sqrt(float(d @ d))) for d in pulls) / len(pulls)
    assert at(found) == pytest.approx(v.tolist())


def test_leave_one_out_gives_the_means_without_each() -> None:
    found = candidates("leave_one_out")
    assert named(found) == [(f"mean without {i}", tuple(j for j in EVERYONE if j != i)) for i in EVERYONE]
    for c in found:
        assert at(c) == pytest.approx(mean_of(*c.authors))


def test_halves_give_the_means_of_half_around_the_circle() -> None:
    found = candidates("halves")
    circle = [(1, 3, 4), (3, 4, 6), (4, 6, 7), (1, 6, 7), (1, 3, 7)]
    assert named(found) == [("mean of " + "+".join(map(str, some)), some) for some in circle]
    for c in found:
        assert at(c) == pytest.approx(mean_of(*c.authors))


def test_steps_go_so_far_towards_the_mean() -> None:
    found = candidates("steps", steps=(0.25, 1.0, 3.0))
    assert named(found) == [(f"step {s} of the mean", EVERYONE) for s in ("0.25", "1", "3")]
    for c, step in zip(found, (0.25, 1, 3), strict=True):
        assert at(c) == pytest.approx([step * v for v in mean_of(*EVERYONE)])


def test_single_gives_each_proposal_alone() -> None:
    proposals = proposed()
    found = candidates("single", proposals=proposals)
    assert named(found) == [("proposal", (i,)) for i in EVERYONE]
    assert all(c.weights is proposals[c.authors[0]].weights for c in found)


def blaming(*learners: int, **parameters: Any) -> Approval:
    """What approval is after rounds in which nobody liked what these learners had a part in."""
    strategy = Approval(**parameters)
    authors = tuple((i,) for i in range(8))
    votes = np.array([[-1 if i in learners else 1 for i in range(8)]] * 8, dtype=np.int8)
    for round in range(1, 7):
        strategy = strategy.after(PastRound(round, tuple(range(8)), authors, ("proposal",) * 8, votes, 0, True))
    return strategy


def test_trusted_gives_the_mean_without_those_of_bad_reputation() -> None:
    strategy = blaming(7, 4, families=("trusted",))
    (found,) = strategy.candidates(BASE, proposed(), merged)
    assert (found.label, found.authors) == ("mean of the trusted", (1, 3, 6))
    assert at(found) == pytest.approx(mean_of(1, 3, 6))


def test_a_claim_of_samples_counts_for_three_times_the_median_claim_among_the_trusted() -> None:
    strategy = blaming(7, families=("trusted", "mean"))
    points = {0: (1.0, 0.0), 1: (0.0, 1.0), 2: (0.0, 0.0), 7: (5.0, 5.0)}
    trusted, all_ = strategy.candidates(BASE, proposed(points, s0=1000), merged)
    assert at(trusted) == pytest.approx([3 / 5, 1 / 5])
    assert at(all_)[0] == pytest.approx(1005 / 1003)


def test_while_all_are_trusted_or_none_is_there_is_no_such_candidate() -> None:
    assert named(candidates("trusted", "median")) == [("median", EVERYONE)]
    nobody = blaming(*EVERYONE, families=("trusted", "median")).candidates(BASE, proposed(), merged)
    assert named(nobody) == [("median", EVERYONE)]


def test_families_come_in_the_order_they_are_named() -> None:
    labels = [c.label for c in candidates("single", "krum", "mean", "trimmed_mean")]
    assert labels == ["proposal"] * 5 + ["mean", "trimmed mean"]  # krum is one of the proposals
    assert [c.label for c in candidates("krum", "median")] == ["krum", "median"]


def test_all_families_together_put_what_two_of_them_give_to_the_vote_once() -> None:
    found = named(candidates(*FAMILIES))
    assert [label for label, authors in found if authors == EVERYONE] == [
        "mean",
        "median",
        "trimmed mean",
        "geometric median",
        "centred clipping",
        "step 0.5 of the mean",
        "step 2 of the mean",
    ]
    # The mean without the liar is multi-krum's, and the proposal of learner 1 is Krum's.
    assert [(label, authors) for label, authors in found if authors != EVERYONE] == [
        ("krum", (1,)),
        ("multi-krum", (1, 3, 4, 6)),
        *[(f"mean without {i}", tuple(j for j in EVERYONE if j != i)) for i in (1, 3, 4, 6)],
        *named(candidates("halves")),
        *[("proposal", (i,)) for i in (3, 4, 6, 7)],
    ]


# Equal candidates, and what can't be made


def test_equal_candidates_are_put_to_the_vote_once_under_the_first_name() -> None:
    alike = proposed(dict.fromkeys(range(4), (1.0, 2.0)))
    assert named(candidates(*FAMILIES, proposals=alike, steps=(1.0, 0.5))) == [
        ("mean", (0, 1, 2, 3)),
        ("step 0.5 of the mean", (0, 1, 2, 3)),
    ]


@UNHURRIED
@given(st.lists(st.tuples(st.integers(-2, 2), st.integers(-2, 2)), min_size=1, max_size=6), st.integers(0, 3))
def test_no_weights_are_put_to_the_vote_twice(points: list[tuple[int, int]], liars: int) -> None:
    found = candidates(*FAMILIES, proposals=proposed(dict(enumerate(points))), liars=liars)
    assert len({c.weights.digest for c in found}) == len(found) > 0
    assert {i for c in found for i in c.authors} <= set(range(len(points)))


def test_of_two_proposals_there_is_no_robust_mean() -> None:
    two = proposed({2: (1.0, 0.0), 5: (3.0, 0.0)})
    assert named(candidates(*FAMILIES, proposals=two, steps=(1.25,))) == [
        ("mean", (2, 5)),
        ("proposal", (5,)),
        ("proposal", (2,)),
        ("step 1.25 of the mean", (2, 5)),
    ]


@pytest.mark.parametrize("family", sorted(FAMILIES))
def test_a_lone_proposal_is_put_to_the_vote_by_every_family(family: str) -> None:
    found = candidates(family, proposals=proposed({5: (1.0, 2.0)}), steps=(1.0,))
    assert [(c.authors, at(c)) for c in found] == [((5,), [1, 2])]


def test_when_nobody_goes_anywhere_there_is_nothing_to_clip_to() -> None:
    still = proposed(dict.fromkeys(range(3), (0.0, 0.0)))
    assert named(candidates("centred_clipping", proposals=still)) == [("mean", (0, 1, 2))]


def test_if_not_even_a_mean_can_be_made_the_learners_say_why() -> None:
    def never(proposals: Sequence[Proposal]) -> Weights:
        raise WeightsError("such models can't be merged")

    with pytest.raises(WeightsError, match="such models can't be merged"):
        Approval(families=("mean",)).candidates(BASE, proposed(), never)
    single = Approval(families=("mean", "single")).candidates(BASE, proposed(), never)
    assert named(single) == [("proposal", (i,)) for i in EVERYONE]


def forests(proposals: int = 4) -> tuple[Weights, dict[int, Proposal], Combine]:
    """Trees that some parties grew on a common base, which has trees already."""
    whole = private(classes())
    parties = [boosted(replace(whole, train=whole.train.take(np.arange(15) + 15 * i))) for i in range(proposals)]
    base = parties[0].propose_weights(parties[0].initial_weights(np.random.default_rng(0)), np.random.default_rng(0))
    found = {i: p.propose_weights(base.weights, np.random.default_rng(i)) for i, p in enumerate(parties)}
    return base.weights, found, lambda some: parties[0].combine(base.weights, some)


def test_trees_have_the_families_that_need_no_coordinates() -> None:
    base, proposals, combine = forests()
    found = Approval(families=tuple(FAMILIES)).candidates(base, proposals, combine)
    assert named(found) == (
        [("mean", (0, 1, 2, 3))]
        + [(f"mean without {i}", tuple(j for j in range(4) if j != i)) for i in range(4)]
        + [("mean of 0+1", (0, 1)), ("mean of 1+2", (1, 2)), ("mean of 2+3", (2, 3)), ("mean of 0+3", (0, 3))]
        + [("step 0.5 of the mean", (0, 1, 2, 3))]
        + [("proposal", (i,)) for i in range(4)]
    )


@pytest.mark.parametrize("family", ["median", "trimmed_mean", "geometric_median", "krum", "centred_clipping"])
def test_trees_are_averaged_if_no_family_fits_them(family: str) -> None:
    base, proposals, combine = forests()
    assert named(Approval(families=(family,)).candidates(base, proposals, combine)) == [("mean", (0, 1, 2, 3))]


# Clipping


@pytest.mark.parametrize("strategy", [RoundRobin, Everyone, LineSearch, Approval])
def test_without_limits_proposals_stay_as_they_are(strategy: Callable[[], ProposalStrategy]) -> None:
    proposals = proposed()
    assert strategy().clipped(BASE, proposals) is proposals


@UNHURRIED
@given(
    st.lists(st.tuples(st.integers(-9, 9), st.integers(-9, 9)), min_size=1, max_size=6),
    st.none() | st.floats(0.1, 5),
    st.none() | st.floats(0.1, 5),
)
def test_changes_are_shortened_to_the_lower_of_both_limits(
    points: list[tuple[int, int]], max_norm: float | None, max_change: float | None
) -> None:
    start = (5.0, -3.0)
    ends = {i: (start[0] + x, start[1] + y) for i, (x, y) in enumerate(points)}
    proposals = proposed(ends, s0=7)
    lengths = [sqrt(x * x + y * y) for x, y in points]
    moved = [n for n in lengths if n]
    limit = inf if max_change is None else max_change
    if max_norm is not None and len(moved) > 1:
        limit = min(limit, max_norm * float(np.median(moved)))
    found = Everyone(max_norm=max_norm, max_change=max_change).clipped(vector(*start), proposals)
    assert list(found) == list(proposals)
    for i, (x, y) in enumerate(points):
        share = min(1, limit / lengths[i]) if lengths[i] else 1
        np.testing.assert_allclose(found[i].weights["w"], [start[0] + share * x, start[1] + share * y], atol=1e-9)
        assert found[i].samples == proposals[i].samples
        if lengths[i] <= limit:
            assert found[i] is proposals[i]


def test_a_change_too_large_to_be_measured_is_nothing() -> None:
    huge = proposed({0: (1.0, 0.0), 1: (1e200, 0.0), 2: (0.0, 1.0)})
    found = Everyone(max_norm=2.0).clipped(BASE, huge)
    assert found[1].weights == BASE
    assert (found[0], found[2]) == (huge[0], huge[2])


def test_trees_are_not_clipped() -> None:
    base, proposals, _ = forests()
    assert Everyone(max_norm=1e-6, max_change=1e-6).clipped(base, proposals) == proposals


class Mover(Learner):
    """Proposes to go by a given change, and likes whatever is far from the start."""

    vote_metric = metric("accuracy")
    test_metric = metric("accuracy")

    def __init__(self, *change: float) -> None:
        self.change = np.array(change)

    def initial_weights(self, rng: np.random.Generator) -> Weights:
        return vector(10.0, 0.0)

    def propose_weights(self, base: Weights, rng: np.random.Generator) -> Proposal:
        return Proposal(Weights({"w": base["w"] + self.change}), 5)

    def test_weights(self, weights: Weights, part: Part) -> Score:
        return Score(float(np.square(weights["w"] - [10.0, 0.0]).sum()), 5)


class Bold(ProposalStrategy):
    """Of another author: not even a dataclass, and without an __init__ that calls ours."""

    def proposers(self, round: int, learners: int, streams: Streams) -> Sequence[int]:
        return range(learners)

    def candidates(self, base: Weights, proposals: Mapping[int, Proposal], combine: Combine) -> list[Candidate]:
        return [Candidate(p.weights, (i,), "bold") for i, p in proposals.items()]


@dataclass(frozen=True)
class Parametrised(Bold):
    """Of another author, with a parameter of its own."""

    first: int = 0

    def proposers(self, round: int, learners: int, streams: Streams) -> Sequence[int]:
        return range(self.first, learners)


def one_round(strategy: ProposalStrategy, *learners: Learner) -> RoundRecord:
    cohort = LoopCohort(learners)
    return play(1, assess(cohort, vector(10.0, 0.0)), cohort, strategy, Majority(), Streams(0))


MOVERS = (Mover(3.0, 4.0), Mover(0.0, 1.0), Mover(30.0, 40.0))


@pytest.mark.parametrize(
    ("strategy", "furthest"),
    [
        (Bold(), [2500, 25, 1]),
        (Bold(max_change=2.0), [4, 4, 1]),
        (Bold(max_norm=2.0), [100, 25, 1]),
        (Bold(max_norm=2.0, max_change=7.0), [49, 25, 1]),
        (Parametrised(1, max_change=2.0), [4, 1]),
        (Parametrised(first=1, max_norm=1.0), [25.5**2, 1]),
    ],
    ids=repr,
)
def test_a_round_clips_for_strategies_of_other_authors_too(strategy: ProposalStrategy, furthest: list[float]) -> None:
    record = one_round(strategy, *MOVERS)
    assert sorted(map(float, record.scores[0]), reverse=True) == pytest.approx(furthest)
    assert record.accepted
    assert record.standing.vote.values[0, 0] == record.scores[0, 0]  # of equally approved ones the first


def test_what_is_adopted_is_the_clipped_change() -> None:
    record = one_round(RoundRobin(max_change=2.5), *MOVERS)
    np.testing.assert_allclose(record.standing.weights["w"], [11.5, 2.0])


def test_an_experiment_file_clips(tmp_path: Any) -> None:
    values = {
        "data": {"name": "blobs", "samples": 200},
        "learner": "softmax",
        "proposals": {"name": "everyone", "max_change": 0.01},
        "learners": 4,
    }
    experiment = prepare(ExperimentConfig.from_mapping(values, "test"), Plugins([])).experiment()
    start = experiment.weights
    experiment.run(1)
    length = merging.change_length(start, experiment.weights)
    assert length is not None
    assert 0 < length <= 0.01 * (1 + 1e-9)


# Parameters


@pytest.mark.parametrize(
    ("parameters", "told"),
    [
        ({"families": ()}, "families must be some of mean, .* not none"),
        ({"families": ("mean", "mode", "sum")}, "families must be some of mean, .* not mode, sum"),
        ({"liars": -1}, "liars can't be negative: -1"),
        ({"radius": 0.0}, "radius must be .* not 0.0"),
        ({"radius": nan}, "radius must be .* not nan"),
        ({"radius": inf}, "radius must be .* not inf"),
        ({"steps": ()}, "steps must be positive numbers"),
        ({"steps": (1.0, -1.0)}, "steps must be positive numbers"),
        ({"size": 0}, "size must be at least 1, not 0"),
        ({"choose": "wisely"}, "choose must be one of random, round_robin, reputation, not 'wisely'"),
        ({"max_norm": 0.0}, "max_norm must be positive, not 0.0"),
        ({"max_norm": nan}, "max_norm must be positive, not nan"),
        ({"max_change": -2.0}, "max_change must be positive, not -2.0"),
    ],
)
def test_a_parameter_out_of_range_is_named(parameters: dict[str, Any], told: str) -> None:
    with pytest.raises(ParameterError, match=told):
        Approval(**parameters)


@pytest.mark.parametrize(
    ("parameters", "told"),
    [
        ({"families": ["mode"]}, "families must be some of"),
        ({"choose": "wisely"}, "choose"),
        ({"liars": "many"}, "liars"),
        ({"max_norm": "wide"}, "max_norm"),
        ({"max_change": -1}, "max_change"),
    ],
)
def test_an_experiment_file_is_told_which_parameter_is_wrong(parameters: dict[str, Any], told: str) -> None:
    values = {"data": "blobs", "learner": "softmax", "proposals": {"name": "approval", **parameters}}
    with pytest.raises(UsageError, match=told):
        prepare(ExperimentConfig.from_mapping(values, "test"), Plugins([]))


def test_trees_go_through_whole_experiments_with_all_families() -> None:
    whole = private(classes())
    parties = [boosted(replace(whole, train=whole.train.take(np.arange(15) + 15 * i))) for i in range(4)]
    strategy = Approval(families=tuple(FAMILIES), choose="reputation", size=3, max_norm=1.0)
    run = Experiment(parties, proposals=strategy, seed=1).run(5)
    assert any(run.history.accepted)


def test_the_experiment_in_the_documentation_runs() -> None:
    page = Path(__file__).parents[2] / "docs" / "proposals.md"
    if not page.is_file():
        pytest.skip("the documentation isn't part of the distribution")
    (file,) = re.findall(r"```toml\n(.*?)```", page.read_text(encoding="utf-8"), re.DOTALL)
    prepared = prepare(ExperimentConfig.from_mapping(tomllib.loads(file), "proposals.md"), Plugins([]))
    experiment = prepared.experiment()
    expected = Approval(6, "reputation", prepared.config.proposals.parameters["families"], liars=2, max_norm=2.0)
    assert experiment.strategy == expected
    assert any(experiment.run(prepared.config.rounds).history.accepted)
