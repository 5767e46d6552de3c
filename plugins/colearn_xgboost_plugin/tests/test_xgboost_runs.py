"""Equal runs, whatever runs them; and models of anybody, whatever they are."""

from __future__ import annotations

import json
import os
import struct
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from colearn_core import Plugins
from colearn_core.config import ExperimentConfig, prepare
from colearn_core.errors import WeightsError
from colearn_core.ledger import FileLedger
from colearn_core.weights import Weights
from colearn_xgboost_plugin import XGBoostLearner

SETTINGS: dict[str, dict[str, Any]] = {
    "xgboost.classifier": {"data": "iris", "split": {"name": "dirichlet", "alpha": 0.5}},
    "xgboost.regressor": {"data": "diabetes"},
}
SAMPLING = {"subsample": 0.7, "colsample_bytree": 0.7, "prune": 0.3}


def played(learner: str, proposals: str, runtime: str, folder: Path) -> list[dict[str, Any]]:
    """The ledger's lines, without what is aside."""
    settings = {
        "seed": 5,
        "learners": 4,
        "learner": {"name": learner} | SAMPLING,
        "proposals": proposals,
        "runtime": runtime,
    }
    config = ExperimentConfig.from_mapping(settings | SETTINGS[learner], "test")
    experiment = prepare(config, Plugins()).experiment()
    with FileLedger(folder) as experiment.ledger:
        experiment.run(6)
    return lines(folder)


def lines(folder: Path) -> list[dict[str, Any]]:
    found = [json.loads(line) for line in (folder / "ledger.jsonl").read_text().splitlines()]
    for line in found:
        del line["aside"]
    return found


@pytest.mark.parametrize("proposals", ["round_robin", "approval", "committee", "line_search"])
@pytest.mark.parametrize("learner", SETTINGS)
def test_the_same_seed_writes_the_same_ledger_fused_and_one_by_one(
    learner: str, proposals: str, tmp_path: Path
) -> None:
    first, same, loop = (
        played(learner, proposals, runtime, tmp_path / name)
        for name, runtime in (("first", "fused"), ("same", "fused"), ("loop", "loop"))
    )
    assert len(first) == 7
    assert first == same
    assert first[1:] == loop[1:]  # the first line is what was configured


SCRIPT = """
import sys
from pathlib import Path
sys.path.insert(0, sys.argv[1])
from test_xgboost_runs import SETTINGS, played
for learner in SETTINGS:
    played(learner, "approval", "fused", Path(sys.argv[2]) / learner)
"""


@pytest.mark.slow
def test_two_processes_with_the_same_seed_write_the_same_ledger(tmp_path: Path) -> None:
    here = str(Path(__file__).parent)
    for seed in ("1", "2"):
        command = [sys.executable, "-c", SCRIPT, here, str(tmp_path / seed)]
        subprocess.run(command, env=os.environ | {"PYTHONHASHSEED": seed}, check=True, timeout=300)
    for learner in SETTINGS:
        assert lines(tmp_path / "1" / learner) == lines(tmp_path / "2" / learner)


@pytest.mark.parametrize("attempts", [300, pytest.param(10_000, marks=pytest.mark.slow)])
def test_any_bytes_are_refused_or_scored(attempts: int) -> None:
    rng = np.random.default_rng(attempts)
    x = rng.normal(size=(60, 3))
    x[:, 2] = rng.integers(4, size=60)
    y = (x[:, 0] > 0) + (x[:, 2] > 2)
    own = XGBoostLearner((x, y), (x, y), categorical=[2], max_depth=3)
    honest = own.initial_weights(rng)
    for _ in range(2):
        honest = own.propose_weights(honest, rng).weights
    best = own.test_weights(honest, "vote").value
    taken = sum(_scored(own, _changed(rng, honest.to_bytes(), attempt)) for attempt in range(attempts))
    assert attempts / 50 < taken < attempts
    assert own.test_weights(honest, "vote").value == best


def _changed(rng: np.random.Generator, data: bytes, attempt: int) -> bytes:
    """Noise, a beginning, or a few other bits: in the header, in the arrays, anywhere."""
    if attempt % 5 == 0:
        return rng.bytes(int(rng.integers(400)))
    if attempt % 5 == 1:
        return data[: int(rng.integers(len(data)))]
    arrays = 8 + struct.unpack("<Q", data[:8])[0]
    begin, end = {2: (0, len(data)), 3: (arrays, len(data)), 4: (8, arrays)}[attempt % 5]
    changed = np.frombuffer(data, np.uint8).copy()
    for _ in range(int(rng.integers(1, 4))):
        changed[rng.integers(begin, end)] ^= np.uint8(1 << rng.integers(8))
    return changed.tobytes()


def _scored(own: XGBoostLearner, data: bytes) -> bool:
    """Whether bytes are taken for a model, which then has a score and can be proposed upon."""
    try:
        weights = Weights.from_bytes(data)
        score = own.test_weights(weights, "vote")
    except WeightsError:
        return False
    assert score.samples == 60
    assert not np.isnan(score.value)
    return True
