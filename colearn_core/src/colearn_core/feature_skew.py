"""A splitter for learners that measure the same thing with instruments of different quality."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np
from annotated_types import Ge
from numpy.typing import NDArray

from .dealing import Indices
from .errors import ParameterError, SplitError
from .splitting import Iid, Splitter

if TYPE_CHECKING:
    from .data import Samples


@dataclass(frozen=True)
class FeatureNoise(Splitter):
    """Equal random parts; learner i of N (from 1) sees its features through Gaussian noise of deviation s i / N.

    The noise-based feature skew of NIID-Bench (Li et al. 2022, arXiv 2102.02079, section 4.2). For scanners or
    sensors of different quality: labels are alike, features are not. All of a learner's samples are noisy, its vote
    and test data too. Missing features stay missing. By default s is in units of each feature's deviation in the
    learner's part, since the features of a table have different scales; what is constant stays so.
    """

    strength: Annotated[float, Ge(0), "Deviation of the noise of the last learner"] = 0.5
    relative: Annotated[bool, "In units of each feature's own deviation; false: as it is, as NIID-Bench does"] = True

    def __post_init__(self) -> None:
        if not (self.strength >= 0 and np.isfinite(self.strength)):
            raise ParameterError(f"strength must be a number of 0 or more, not {self.strength}")

    def split(self, labels: NDArray[Any], parts: int, rng: np.random.Generator) -> list[Indices]:
        return Iid().split(labels, parts, rng)

    def alter(self, samples: Samples, learner: int, learners: int, rng: np.random.Generator) -> Samples:
        from .data import Samples  # which itself needs splitters

        x = samples.x if samples.x.dtype.kind == "f" else samples.x.astype(np.float32)
        scale: Any = _deviations(x) if self.relative else 1.0
        with np.errstate(over="ignore", invalid="ignore"):  # told below
            noise = rng.standard_normal(x.shape, dtype=np.float32) * (self.strength * (learner + 1) / learners * scale)
            found = (x + noise).astype(x.dtype)
        if not np.isfinite(found[np.isfinite(x)]).all():
            raise SplitError(f"noise of strength {self.strength:g} is too much for features of type {x.dtype}")
        return Samples(found, samples.y)


def _deviations(x: NDArray[Any]) -> NDArray[np.float64]:
    """Of each feature, without missing values; 0 where there are none."""
    known = ~np.isnan(x)
    count = np.maximum(known.sum(axis=0), 1)
    centred = np.where(known, x - np.where(known, x, 0).sum(axis=0, dtype=np.float64) / count, 0)
    return np.asarray(np.sqrt((centred**2).sum(axis=0) / count))
