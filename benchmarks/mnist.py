"""MNIST as `make data` fetches it, and the experiments with small neural networks on it and on digits."""

from __future__ import annotations

from pathlib import Path
from typing import Any

MNIST = Path(__file__).parents[1] / "data" / "mnist"


def files(part: str) -> dict[str, str]:
    """Of the part "train" or "t10k"."""
    return {"images": str(MNIST / f"{part}-images-idx3-ubyte"), "labels": str(MNIST / f"{part}-labels-idx1-ubyte")}


def idx(part: str) -> dict[str, str]:
    return {"name": "torch.idx", **files(part)}


SMALL_NETWORKS: dict[str, dict[str, Any]] = {
    "digits": {"data": "digits", "learner": "sklearn.mlp_classifier"},
    "mnist": {
        "data": idx("train"),
        "learner": {"name": "torch.mlp", "hidden": [100], "steps": 50, "batch_size": 32},
    },
}
"""Data and learner of an experiment file, by the name of the data."""
