"""What the README claims and can be tested without a clock: accuracy under label skew, memory, and equal ledgers."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from colearn_core import Plugins
from colearn_core.config import ExperimentConfig, prepare
from colearn_core.history import History
from colearn_core.ledger import ASIDE, FileLedger

ROOT = Path(__file__).parent.parent
pytestmark = pytest.mark.slow


def accuracy(proposals: str, alpha: float, rounds: int) -> float:
    """Mean test accuracy on digits over three seeds, 10 learners."""
    found = []
    for seed in range(3):
        values: dict[str, Any] = {
            "data": "digits",
            "learner": "sklearn.mlp_classifier",
            "split": {"name": "dirichlet", "alpha": alpha},
            "proposals": proposals,
            "seed": seed,
        }
        experiment = prepare(ExperimentConfig.from_mapping(values, "test"), Plugins()).experiment()
        found.append(experiment.run(rounds).history.mean_test())
    return sum(found) / len(found)


@pytest.mark.parametrize(
    ("proposals", "alpha", "rounds", "least"),
    [("round_robin", 100, 600, 0.95), ("approval", 0.5, 120, 0.95), ("approval", 0.1, 120, 0.90)],
)
def test_six_hundred_trainings_reach_the_promised_accuracy(
    proposals: str, alpha: float, rounds: int, least: float
) -> None:
    assert accuracy(proposals, alpha, rounds) >= least


def test_a_thousand_learners_take_at_most_half_more_memory_than_ten() -> None:
    sys.path.insert(0, str(ROOT / "benchmarks"))
    try:
        from memory import peak

        assert peak(1000) <= 1.5 * peak(10)
    finally:
        sys.path.remove(str(ROOT / "benchmarks"))


RUN = """
import sys
from pathlib import Path
from colearn_core import Plugins
from colearn_core.config import ExperimentConfig, prepare
from colearn_core.ledger import FileLedger
values = {"data": "digits", "learner": sys.argv[1], "learners": int(sys.argv[4]), "seed": 5, "proposals": "approval",
          "split": "dirichlet", "runtime": sys.argv[2]}
experiment = prepare(ExperimentConfig.from_mapping(values, "test"), Plugins()).experiment()
with FileLedger(Path(sys.argv[3])) as experiment.ledger:
    experiment.run(int(sys.argv[5]))
"""


@pytest.mark.parametrize(
    ("learner", "learners", "rounds"),
    [
        ("sklearn.mlp_classifier", 30, 40),
        ("sklearn.sgd_classifier", 30, 40),
        ("sklearn.gaussian_nb", 30, 40),
        ("sklearn.random_forest_classifier", 10, 6),
        ("sklearn.hist_gradient_boosting_classifier", 10, 6),
        ("xgboost.classifier", 10, 6),
        ("lightgbm.classifier", 10, 6),
    ],
)
def test_two_processes_fused_or_loop_write_the_same_ledger(
    learner: str, learners: int, rounds: int, tmp_path: Path
) -> None:
    ledgers = []
    for name, runtime in (("one", "fused"), ("two", "fused"), ("three", "loop")):
        folder = tmp_path / name
        arguments = (learner, runtime, str(folder), str(learners), str(rounds))
        subprocess.run([sys.executable, "-c", RUN, *arguments], check=True)
        lines = [json.loads(line) for line in (folder / "ledger.jsonl").read_text().splitlines()]
        ledgers.append([{k: v for k, v in line.items() if k != ASIDE} for line in lines])
    assert ledgers[0] == ledgers[1]
    assert ledgers[0] == ledgers[2]
    assert any(line["accepted"] for line in ledgers[0][1:])


def test_the_same_experiment_twice_in_one_process_writes_the_same_ledger(tmp_path: Path) -> None:
    heads = []
    for name in ("one", "two"):
        values = {"data": "wine", "learner": "sklearn.sgd_classifier", "seed": 5}
        experiment = prepare(ExperimentConfig.from_mapping(values, "test"), Plugins()).experiment()
        with FileLedger(tmp_path / name) as experiment.ledger:
            experiment.run(30)
        heads.append(json.loads((tmp_path / name / "ledger.jsonl").read_text().splitlines()[-1])["hash"])
    assert heads[0] == heads[1]


MNIST = ROOT / "data" / "mnist"


@pytest.mark.skipif(not MNIST.exists(), reason="MNIST isn't there; `make data` fetches it")
@pytest.mark.parametrize(("proposals", "least"), [("round_robin", 0.91), ("approval", 0.93), ("everyone", 0.93)])
def test_five_torch_learners_read_mnist_after_forty_rounds(proposals: str, least: float) -> None:
    learner = {"name": "torch.mlp", "hidden": [100], "steps": 50, "batch_size": 32}
    assert on_mnist(learner, proposals).mean_test() >= least


@pytest.mark.skipif(not MNIST.exists(), reason="MNIST isn't there; `make data` fetches it")
def test_five_private_torch_learners_read_mnist_after_forty_rounds() -> None:
    privacy = {"target_epsilon": 3.0, "proposals": 40}
    learner = {"name": "torch.mlp", "hidden": [100], "activation": "tanh", "learning_rate": 2.0}
    history = on_mnist({**learner, "steps": 10, "batch_size": 512, "privacy": privacy}, "everyone")
    assert history.mean_test() >= 0.9
    assert all(2.9 < spent.epsilon <= 3 for spent in history.privacy[-1].values())


def on_mnist(learner: dict[str, Any], proposals: str) -> History:
    values = {
        "data": {
            "name": "torch.idx",
            "images": str(MNIST / "train-images-idx3-ubyte"),
            "labels": str(MNIST / "train-labels-idx1-ubyte"),
        },
        "learner": learner,
        "learners": 5,
        "proposals": proposals,
        "seed": 1,
    }
    return prepare(ExperimentConfig.from_mapping(values, "test"), Plugins()).experiment().run(40).history
