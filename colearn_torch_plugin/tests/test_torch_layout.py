"""Layout: a prediction has the same bits whoever else is scored, and parties fit end to end."""

from __future__ import annotations

from functools import partial
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from colearn_torch_plugin.layout import lay_out
from colearn_torch_plugin.workbench import CHUNK_ROWS, LARGE_CHUNK_ROWS, Workbench

RNG = partial(np.random.default_rng, 1)


def test_rows_are_each_partys_samples_in_its_own_order() -> None:
    parts = torch.split(torch.arange(60.0).reshape(20, 3), [5, 0, 1, 14])
    together, rows = lay_out(parts, 8)
    assert torch.equal(together[rows], torch.cat(parts))


def test_a_thousand_parties_of_few_samples_leave_few_gaps() -> None:
    torch.manual_seed(0)
    for size, most in ((1, 1.3), (9, 1.1), (16, 1.1)):
        together, rows = lay_out(torch.split(torch.randn(1000 * size, 4), size), 1)
        assert len(together) < most * len(rows)


def test_no_samples_at_all_take_no_rows() -> None:
    together, rows = lay_out([torch.zeros(0, 4)] * 3, 8)
    assert len(together) == len(rows) == 0


def linears(*widths: int) -> nn.Module:
    return nn.Sequential(*(nn.Linear(before, after) for before, after in pairwise(widths)))


@pytest.mark.parametrize("widths", [(6, 8, 3), (6, 7, 5, 3), (6, 33, 3), (6, 67, 8)])
def test_a_prediction_does_not_depend_on_who_else_is_scored(widths: tuple[int, ...]) -> None:
    together, alone = predictions(linears(*widths), torch.randn(2 * CHUNK_ROWS, widths[0]), RNG())
    assert np.array_equal(together, alone)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("threads", "chunk_rows"), [(1, CHUNK_ROWS), (2, CHUNK_ROWS), (1, LARGE_CHUNK_ROWS), (2, LARGE_CHUNK_ROWS)]
)
@pytest.mark.parametrize("seed", range(8))
def test_a_prediction_does_not_depend_on_who_else_is_scored_in_any_module(
    seed: int, threads: int, chunk_rows: int
) -> None:
    rng = np.random.default_rng(seed)
    model, shape = random_module(rng)
    for samples in (300, 40):
        together, alone = predictions(model, torch.randn(samples, *shape), rng, threads, chunk_rows)
        assert np.array_equal(together, alone), model


def predictions(
    model: nn.Module, x: Tensor, rng: np.random.Generator, threads: int = 1, chunk_rows: int = CHUNK_ROWS
) -> tuple[Any, Any]:
    """What the module predicts for samples of many parties at once, and for each party's alone."""
    bench = Workbench(model, None, torch.device("cpu"))
    bench.threads, bench.chunk_rows = threads, chunk_rows
    weights = bench.initial(rng)
    parts = torch.split(x, _sizes(len(x), rng))
    laid, rows = bench.lay_out(parts)
    together = bench.predict(weights, laid, "probabilities", rows)
    return together, np.concatenate([bench.predict(weights, part, "probabilities") for part in parts if len(part)])


def _sizes(total: int, rng: np.random.Generator) -> list[int]:
    """Of parties with many samples, few, one, and none."""
    cuts = np.sort(rng.integers(total + 1, size=total // 4))
    cuts[: len(cuts) // 3] //= 3
    return [int(size) for size in np.diff(np.sort([0, *cuts, total]))]


def random_module(rng: np.random.Generator) -> tuple[nn.Module, tuple[int, ...]]:
    """A module of random widths with random parameters, and the shape of its samples."""
    torch.manual_seed(int(rng.integers(1000)))
    wide = tuple(int(w) for w in rng.integers(1, 90, size=4))
    c, h, groups = int(rng.integers(1, 5)), int(rng.integers(4, 12)), int(rng.integers(1, 4))
    d, e = (groups * int(w) for w in rng.integers(1, 9, size=2))
    modules: list[tuple[nn.Module, tuple[int, ...]]] = [
        (nn.Sequential(nn.Linear(wide[0], wide[1]), nn.Tanh(), nn.Linear(wide[1], wide[2])), wide[:1]),
        (
            nn.Sequential(nn.Linear(wide[0], wide[3]), nn.BatchNorm1d(wide[3]), nn.GELU(), nn.Linear(wide[3], 8)),
            (wide[0],),
        ),
        (
            nn.Sequential(
                nn.Conv2d(c, d, 3, padding=1), nn.GroupNorm(groups, d), nn.SiLU(), nn.Conv2d(d, e, 3, stride=2),
                nn.BatchNorm2d(e), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(e, 7),
            ),
            (c, h, h),
        ),
        (
            nn.Sequential(
                nn.Conv1d(c, d, 3), nn.ELU(), nn.Flatten(), nn.LayerNorm(d * (h - 2)), nn.Linear(d * (h - 2), 4)
            ),
            (c, h),
        ),
        (
            nn.Sequential(
                nn.TransformerEncoderLayer(d, groups, wide[1], batch_first=True), nn.Flatten(), nn.Linear(d * c, 5)
            ),
            (c, d),
        ),
    ]  # fmt: skip
    model, shape = modules[int(rng.integers(len(modules)))]
    for module in model.modules():
        if isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d):
            module.running_var = torch.rand(module.num_features) + 0.5
    return model, shape
