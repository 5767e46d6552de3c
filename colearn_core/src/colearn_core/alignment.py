"""Who pulls with the others: what the directions of proposals tell of their authors over time."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from .merging import Floats, geometric_median
from .past import PastRound

FEWEST = 3
"""Of two changes that part ways nobody can tell which one is wrong."""

LIMIT = 0.15
"""How much may speak against a learner. Who pulls with full force against others that all agree reaches it at once;
where honest changes have a cosine of 0.2 with each other, as with skewed data, it takes some four rounds."""

ACCOMPLICE = 0.25
"""Once somebody is beyond the limit, so is who has this share of the worst against it: with some of the liars gone the
model gets better, the honest agree less, and little more would come to light about the rest."""


@dataclass(frozen=True)
class Alignments:
    """How much speaks against each learner, for its changes pulled against those of the others. It's a value: whoever
    folds the same record comes to the same one.

    A round tells of each proposal ``c_i``, the mean cosine of its change with those of the others, see
    :func:`cosines`; their agreement is ``a = max(0, median(c_i))``. What speaks against a learner is the cumulative sum
    ``s_i <- max(0, s_i - a * c_i)`` (Page 1954, "Continuous inspection schemes", Biometrika 41), which nothing done
    earlier can make up for in advance. Above :data:`LIMIT` it isn't aligned, until it has gone along again; nor are
    those meanwhile that have :data:`ACCOMPLICE` of the greatest sum.

    A round counts by the agreement, for near the end of training honest changes point everywhere: they
    cancel out, and then who turns its own around looks most agreeable of all. While liars keep the model bad, honest
    learners agree on the way, and the liars stand out; what is known by then remains.

    It needs no votes, and more honest proposals than others. It doesn't see lies that go along, such as an update that
    is only scaled, or a backdoor.

    Args:
        against: what speaks against each learner; nothing does against those beyond the end.
    """

    against: tuple[float, ...] = ()

    def after(self, past: PastRound) -> Alignments:
        """What speaks against them after a round."""
        if not past.observed:
            return self
        agreement = max(0.0, float(np.median(list(past.observed.values()))))
        against = [*self.against, *[0.0] * (1 + max(past.observed) - len(self.against))]
        for i, cosine in past.observed.items():
            against[i] = max(0.0, against[i] - agreement * cosine)
        return Alignments(tuple(against))

    def good(self, learner: int) -> bool:
        """Whether nothing much speaks against it."""
        return learner >= len(self.against) or self.against[learner] <= self.limit

    @property
    def limit(self) -> float:
        """How much may speak against a learner."""
        worst = max(self.against, default=0.0)
        return LIMIT if worst <= LIMIT else min(LIMIT, ACCOMPLICE * worst)


def cosines(products: Floats) -> Floats:
    """Of each change, its mean cosine with the others, each weighing as in the geometric median of their directions:
    so a few that part ways weigh little. 0 for a change that is nothing, -1 for one that's too large to be squared.

    Shape ``(proposals,)``, from -1 to 1.

    Args:
        products: of the changes, each with each, as of :func:`~colearn_core.merging.inner_products`.
    """
    squares = np.diag(products)
    found = np.where(np.isfinite(squares), 0.0, -1.0)
    going = np.isfinite(squares) & (squares > 0)
    if going.sum() < FEWEST:
        return found
    lengths = np.sqrt(squares[going])
    each = products[np.ix_(going, going)] / lengths[:, None] / lengths[None, :]
    shares = geometric_median(each)
    np.fill_diagonal(each, 0)
    others = np.maximum(shares.sum() - shares, np.finfo(np.float64).tiny)
    found[going] = np.clip(np.einsum("ij,j->i", each, shares) / others, -1, 1)
    return found


def observed(authors: Mapping[int, object], products: Floats) -> Mapping[int, float]:
    """The cosines by author, for the record; none where there are too few proposals to tell."""
    return dict(zip(authors, cosines(products).tolist(), strict=True)) if len(authors) >= FEWEST else {}
