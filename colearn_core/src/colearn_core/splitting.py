"""Splitters: how a data set is divided among simulated learners."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np
from annotated_types import Ge, Gt
from numpy.typing import NDArray

from .dealing import Indices as Indices
from .dealing import apportion, cut, deal_by_preference, dirichlet, log_dirichlet, members_of, relative, top_up
from .errors import ParameterError, SplitError

if TYPE_CHECKING:
    from .data import Samples

ByColumn = Annotated[str | None, "Go by the values of this column instead of the class"]


class Splitter(ABC):
    """Divides samples into one part per learner.

    Attributes:
        column: the column of the data set whose values it goes by; None: the class, or a bin of the target.
    """

    column: str | None = None

    @abstractmethod
    def split(self, labels: NDArray[Any], parts: int, rng: np.random.Generator) -> list[Indices]:
        """Return ``parts`` arrays of indices in which every sample occurs exactly once.

        Args:
            labels: one value per sample, shape ``(n,)``: the class, a bin of the target, or what :attr:`column` has.
            parts: number of learners, at most ``n``; no part stays empty.
            rng: the only source of randomness.

        Raises:
            SplitError: the request can't be met by these data.
        """

    def alter(self, samples: Samples, learner: int, learners: int, rng: np.random.Generator) -> Samples:
        """What a learner sees of its part: other features if it measures in its own way, by default the same.

        Called for each part before it's divided into train, vote and test data. The number of samples, the targets
        and the shape of the features stay as they are, and so do features that hold codes of categories.

        Args:
            samples: the learner's part; not to be changed in place.
            learner: its number, of ``learners`` many.
            rng: the only source of randomness, another for each learner.
        """
        return samples


@dataclass(frozen=True)
class Iid(Splitter):
    """Equal random parts (their sizes differ by one at most).

    For seeing what the learning is worth when nothing makes it hard; by chance parts still differ a little in their
    classes, see ``stratified``.
    """

    def split(self, labels: NDArray[Any], parts: int, rng: np.random.Generator) -> list[Indices]:
        check_parts(labels, parts)
        return list(np.array_split(rng.permutation(len(labels)), parts))


@dataclass(frozen=True)
class Fractions(Splitter):
    """Random parts of given relative sizes.

    For parties of known sizes whose data are alike; sizes are rounded by largest remainders.
    """

    shares: Annotated[tuple[float, ...], "Relative size of each learner's part, in order"]

    def __post_init__(self) -> None:
        if not self.shares:
            raise ParameterError("shares must be positive numbers, not []")
        check_shares(self.shares)

    def split(self, labels: NDArray[Any], parts: int, rng: np.random.Generator) -> list[Indices]:
        check_parts(labels, parts)
        check_number_of_shares(self.shares, parts)
        sizes = apportion(np.array(self.shares), len(labels))
        if not sizes.all():
            empty = int(np.argmin(sizes))
            raise SplitError(
                f"share {self.shares[empty]:g} of {len(labels)} samples leaves learner {empty} without any"
            )
        return cut(rng.permutation(len(labels)), sizes)


@dataclass(frozen=True)
class Dirichlet(Splitter):
    """Label skew of chosen strength, by shares drawn from a Dirichlet distribution.

    The usual choice for data that differ between learners. Unbalanced, the samples of each class go to the learners
    in shares drawn from Dir(alpha) (Hsu et al. 2019, arXiv 1909.06335; Li et al. 2022, arXiv 2102.02079), so that
    learners differ in size too. Balanced, each learner has a given size and draws its shares of the classes from
    Dir(alpha) instead (Acar et al. 2021, arXiv 2111.04263), as far as the samples of each class go. Each learner
    has at least ``min_samples`` without drawing again: the largest parts make up for it.
    """

    alpha: Annotated[float, Gt(0), "Concentration: 100 is nearly iid, 0.1 gives most learners few classes"] = 0.5
    min_samples: Annotated[int, Ge(1), "Give no learner fewer; the largest parts make up for it"] = 1
    balanced: Annotated[bool, "Fix the learners' sizes (equal, or by shares) and draw only their classes"] = False
    shares: Annotated[tuple[float, ...], "Relative sizes: the expected ones, or with balanced the exact ones"] = ()
    column: ByColumn = None

    def __post_init__(self) -> None:
        check_positive("alpha", self.alpha)
        check_count("min_samples", self.min_samples)
        check_shares(self.shares)

    def split(self, labels: NDArray[Any], parts: int, rng: np.random.Generator) -> list[Indices]:
        check_parts(labels, parts, self.min_samples)
        prior = np.ones(parts)
        if self.shares:
            check_number_of_shares(self.shares, parts)
            prior = relative(self.shares)
        members = members_of(labels)
        if self.balanced:
            return self._balanced(members, apportion(prior, len(labels)), rng)
        found: list[list[Indices]] = [[] for _ in range(parts)]
        for group in members:
            shuffled = rng.permutation(group)
            sizes = apportion(dirichlet(self.alpha, prior, rng), len(group))
            for part, piece in zip(found, cut(shuffled, sizes), strict=True):
                part.append(piece)
        return top_up([rng.permutation(np.concatenate(pieces)) for pieces in found], self.min_samples)

    def _balanced(self, members: list[Indices], sizes: NDArray[np.int64], rng: np.random.Generator) -> list[Indices]:
        if sizes.min() < self.min_samples:
            raise SplitError(f"by these shares learner {sizes.argmin()} has {sizes.min()} samples")
        prior = np.ones(len(members))
        logs = np.stack([log_dirichlet(self.alpha, prior, rng) for _ in sizes])
        return deal_by_preference(sizes, members, logs, rng)


@dataclass(frozen=True)
class Shards(Splitter):
    """Label skew: samples sorted by class are cut into equal shards, and each learner is dealt a few
    (McMahan et al. 2017, arXiv 1602.05629).

    For comparing with papers on federated learning. A shard may reach into the next class; ``pathological`` gives
    each learner an exact number of classes.
    """

    per_learner: Annotated[int, Ge(1), "Shards for each learner: about as many classes"] = 2
    column: ByColumn = None

    def __post_init__(self) -> None:
        check_count("per_learner", self.per_learner)

    def split(self, labels: NDArray[Any], parts: int, rng: np.random.Generator) -> list[Indices]:
        check_parts(labels, parts, self.per_learner)
        order = rng.permutation(len(labels))
        order = order[np.argsort(labels[order], kind="stable")]
        shards = np.array_split(order, parts * self.per_learner)
        dealt = rng.permutation(len(shards)).reshape(parts, self.per_learner)
        return [np.concatenate([shards[s] for s in hand]) for hand in dealt]


def check_parts(labels: NDArray[Any], parts: int, min_samples: int = 1) -> None:
    """Raise SplitError unless ``parts`` learners can have ``min_samples`` samples each."""
    if parts < 1:
        raise SplitError(f"data can't be divided among {parts} learners")
    if parts * min_samples > len(labels):
        raise SplitError(
            f"{parts} learners need at least {parts * min_samples} samples, the data set has {len(labels)}",
            hint="Take fewer learners or more data.",
        )


def check_number_of_shares(shares: tuple[float, ...], parts: int) -> None:
    if len(shares) != parts:
        raise SplitError(f"{parts} learners need as many shares, not {len(shares)}")


def check_shares(shares: tuple[float, ...]) -> None:
    if any(not share > 0 or not np.isfinite(share) for share in shares):
        raise ParameterError(f"shares must be positive numbers, not {list(shares)}")


def check_positive(parameter: str, value: float) -> None:
    if not (value > 0 and np.isfinite(value)):
        raise ParameterError(f"{parameter} must be a positive number, not {value}")


def check_count(parameter: str, value: int) -> None:
    if value < 1:
        raise ParameterError(f"{parameter} must be at least 1, not {value}")


def check_share(parameter: str, value: float) -> None:
    if not 0 <= value <= 1:
        raise ParameterError(f"{parameter} must be between 0 and 1, not {value}")
