"""Alignment: who pulls with the others, told from the directions of proposals alone."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from colearn_core import Experiment, Streams
from colearn_core.adversaries import SignFlip
from colearn_core.alignment import ACCOMPLICE, LIMIT, Alignments, cosines, observed
from colearn_core.approval import Approval
from colearn_core.data import Holdout, partition
from colearn_core.learner import Proposal
from colearn_core.ledger import FileLedger
from colearn_core.merging import inner_products
from colearn_core.past import PastRound
from colearn_core.reference import SoftmaxRegression, blobs
from colearn_core.rounds import RoundRecord
from colearn_core.splitting import Dirichlet, Iid
from colearn_core.voting import Threshold
from colearn_core.weights import Weights, mean

LIARS = (1, 4, 7)


def products(changes: list[list[float]]) -> np.ndarray:
    base = Weights({"a": np.zeros(len(changes[0]))})
    return inner_products(base, [Weights({"a": np.array(change, dtype=np.float64)}) for change in changes])


def past(seen: dict[int, float]) -> PastRound:
    return PastRound(1, tuple(seen), (), (), np.zeros((10, 0), dtype=np.int8), None, False, seen)


def folded(*rounds: dict[int, float]) -> Alignments:
    found = Alignments()
    for one in rounds:
        found = found.after(past(one))
    return found


# What a round tells


def test_changes_the_same_way_agree_whatever_their_lengths() -> None:
    assert cosines(products([[1, 0], [5, 0], [0.1, 0]])) == pytest.approx([1, 1, 1])


def test_one_that_goes_the_other_way_stands_out_and_hardly_touches_the_others() -> None:
    found = cosines(products([[1, 0.1], [1, -0.1], [1, 0], [1, 0.05], [-1, 0]]))
    assert found[4] < -0.99
    assert (found[:4] > 0.9).all()


def test_a_change_that_is_nothing_goes_nowhere_and_is_no_reference() -> None:
    found = cosines(products([[1, 0], [1, 0], [1, 0], [0, 0], [0, 0]]))
    assert found == pytest.approx([1, 1, 1, 0, 0])


def test_a_change_too_large_to_be_squared_goes_against_all() -> None:
    found = cosines(products([[1, 0], [1, 0], [1, 0], [1e200, 0]]))
    assert found == pytest.approx([1, 1, 1, -1])


@pytest.mark.parametrize("changes", [[[1.0, 0.0]], [[1.0, 0.0], [-1.0, 0.0]], [[1.0, 0.0], [-1.0, 0.0], [0.0, 0.0]]])
def test_of_two_nobody_can_tell_which_is_wrong(changes: list[list[float]]) -> None:
    assert cosines(products(changes)) == pytest.approx(0)


def test_too_few_proposals_are_not_recorded() -> None:
    assert observed({3: None, 5: None}, products([[1.0], [1.0]])) == {}
    assert set(observed({3: None, 5: None, 6: None}, products([[1.0], [1.0], [-1.0]]))) == {3, 5, 6}


@settings(deadline=None)
@given(
    st.lists(
        st.lists(st.floats(-1e160, 1e160), min_size=3, max_size=3),
        min_size=1,
        max_size=9,
    )
)
def test_cosines_are_cosines(changes: list[list[float]]) -> None:
    found = cosines(products(changes))
    assert found.shape == (len(changes),)
    assert np.isfinite(found).all()
    assert (np.abs(found) <= 1).all()


# What is known after some rounds


def test_without_a_record_nothing_speaks_against_anybody() -> None:
    assert all(Alignments().good(i) for i in (0, 99))


def test_a_round_without_observations_tells_nothing() -> None:
    known = folded({0: 0.9, 1: 0.9, 2: -0.9})
    assert known.after(past({})) is known


def test_who_goes_against_all_who_agree_is_out_at_once() -> None:
    known = folded({0: 0.9, 1: 0.9, 3: -0.9})
    assert [known.good(i) for i in range(5)] == [True, True, True, False, True]


def test_where_nobody_agrees_nobody_is_blamed() -> None:
    known = folded(*[{0: -0.1, 1: -0.2, 2: 0.3, 3: -0.9}] * 50)
    assert known.against == (0, 0, 0, 0)


def test_what_was_good_before_makes_up_for_nothing() -> None:
    lately = {0: 0.6, 1: 0.6, 2: -0.6}
    assert folded({0: 0.9, 1: 0.9, 2: 0.9}, lately) == folded(lately)


def test_who_goes_along_again_is_good_again() -> None:
    with_them = {0: 0.6, 1: 0.6, 2: 0.6}
    assert not folded({0: 0.6, 1: 0.6, 2: -0.6}).good(2)
    assert folded({0: 0.6, 1: 0.6, 2: -0.6}, with_them, with_them).good(2)


def test_less_is_enough_once_somebody_is_found_out() -> None:
    slightly = {0: 0.5, 1: 0.5, 2: 0.5, 3: -0.16, 4: 0.5}
    known = folded(slightly)
    assert known.against[3] < LIMIT
    assert known.good(3)
    found = folded({**slightly, 4: -0.5})
    assert ACCOMPLICE * found.against[4] < found.against[3] < LIMIT
    assert not found.good(3)


# In an experiment


def experiment(votes: str = "opposite", families: tuple[str, ...] = ("aligned",), **other: object) -> Experiment:
    parts = partition(blobs(samples=1000, classes=5), Dirichlet(1.0), 10, Holdout(), Streams(0))
    return Experiment(
        [SoftmaxRegression(part) for part in parts],
        proposals=Approval(size=10, families=families),
        voting=Threshold(share=0.4),
        adversaries={i: SignFlip(votes=votes) for i in LIARS},  # type: ignore[arg-type]
        **other,  # type: ignore[arg-type]
    )


def test_liars_are_found_out_and_the_honest_are_not() -> None:
    liars = experiment()
    liars.run(30)
    alignments = liars.strategy.alignments  # type: ignore[attr-defined]
    assert tuple(i for i in range(10) if not alignments.good(i)) == LIARS


def test_better_than_their_mean() -> None:
    aligned, plain = (experiment(families=(family,)).run(30).history for family in ("aligned", "mean"))
    assert aligned.honest_mean_test() > plain.honest_mean_test() + 0.05


def test_while_all_are_honest_it_is_their_mean() -> None:
    def weights(family: str) -> Weights:
        parts = partition(blobs(), Iid(), 5, Holdout(), Streams(0))
        return Experiment([SoftmaxRegression(p) for p in parts], proposals=Approval(families=(family,))).run(10).weights

    assert weights("aligned") == weights("mean")


def test_the_ledger_holds_what_was_observed_and_its_reader_comes_to_the_same(tmp_path: Path) -> None:
    records: list[RoundRecord] = []
    with FileLedger(tmp_path / "run") as ledger:
        played = experiment(ledger=ledger)
        played.run(8, on_round=lambda record, _: records.append(record))
    lines = [json.loads(line) for line in (tmp_path / "run" / "ledger.jsonl").read_text().splitlines()][1:]
    reader = Alignments()
    for line in lines:
        reader = reader.after(past({int(i): value for i, value in line["observed"].items()}))
    assert reader == played.strategy.alignments  # type: ignore[attr-defined]
    assert [record.observed for record in records] == [
        {int(i): value for i, value in line["observed"].items()} for line in lines
    ]


def test_nothing_is_recorded_where_candidates_are_not_made_by_it(tmp_path: Path) -> None:
    with FileLedger(tmp_path / "run") as ledger:
        experiment(families=("mean", "median"), ledger=ledger).run(2)
    assert "observed" not in (tmp_path / "run" / "ledger.jsonl").read_text()


def test_models_without_coordinates_are_not_observed() -> None:
    base = Weights({"trees": np.array([1, 2])})
    proposals = {i: Proposal(Weights({"trees": np.array([i, 2])}), 1) for i in range(4)}
    assert Approval(families=("aligned",)).observe(base, proposals) == {}


def test_a_claim_of_many_samples_is_capped() -> None:
    base = Weights({"a": np.zeros(2)})
    proposals = {i: Proposal(Weights({"a": np.array([1.0 if i else 0.0, i / 10])}), 10) for i in range(5)}
    proposals[0] = proposals[0]._replace(samples=10**9)
    (candidate,) = Approval(families=("aligned",)).candidates(
        base, proposals, lambda some: mean([p.weights for p in some], [p.samples for p in some])
    )
    assert candidate.authors == (0, 1, 2, 3, 4)
    assert candidate.weights["a"][0] == pytest.approx(4 / 7)


def test_if_nobody_is_aligned_the_mean_of_all_is_put_to_the_vote() -> None:
    strategy = Approval(families=("aligned",))
    object.__setattr__(strategy, "alignments", Alignments((1.0, 1.0, 1.0)))
    base = Weights({"a": np.zeros(2)})
    proposals = {i: Proposal(Weights({"a": np.full(2, float(i))}), 1) for i in range(3)}
    (candidate,) = strategy.candidates(base, proposals, lambda some: mean([p.weights for p in some], [1] * len(some)))
    assert candidate.authors == (0, 1, 2)
    assert replace(strategy, liars=2) != strategy
