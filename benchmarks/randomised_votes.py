"""What randomised votes cost: how often the decision is the one that was meant, and what all votes of a run tell.

Exact, from the binomial distributions of the flips: no seed, no learner. A decision is right if a strict majority of
the flipped votes decides as one of the meant votes would. Without any vote a coin would be right half of the time.
"""

from __future__ import annotations

from math import exp

import numpy as np
from scipy.stats import binom

from colearn_core.randomised_response import RandomisedResponse, total_epsilon

VOTERS = (10, 30, 100, 1000)
EPSILONS = (0.1, 0.3, 1.0, 2.0, 4.0)
ROUNDS = (20, 100, 400)
DELTA = 1e-5


def right(voters: int, meant: int, epsilon: float) -> float:
    """The probability that the flipped votes are decided as those that were meant: a strict majority adopts."""
    p = RandomisedResponse(epsilon=epsilon).flipped
    kept = binom.pmf(np.arange(meant + 1), meant, 1 - p)
    turned = binom.pmf(np.arange(voters - meant + 1), voters - meant, p)
    seen = np.convolve(kept, turned)
    adopted = float(seen[2 * np.arange(voters + 1) > voters].sum())
    return adopted if 2 * meant > voters else 1 - adopted


def main() -> None:
    print("right decisions, %, when so many of all voters mean to approve")
    print(f"{'voters':>7}{'meant':>7}" + "".join(f"{f'ε = {e:g}':>10}" for e in EPSILONS))
    for voters in VOTERS:
        for share in (0.6, 0.8, 1.0, 0.2):
            meant = round(share * voters)
            cells = "".join(f"{100 * right(voters, meant, e):10.1f}" for e in EPSILONS)
            print(f"{voters:7}{meant:7}{cells}")
    print()
    print(f"epsilon of all votes of a run; in brackets the bound with delta {DELTA:g}, where it's smaller")
    print(f"{'votes':>7}" + "".join(f"{f'ε = {e:g}':>16}" for e in EPSILONS))
    for votes in ROUNDS:
        print(f"{votes:7}" + "".join(f"{_told(e, votes):>16}" for e in EPSILONS))
    print()
    print("a vote is flipped with probability")
    print(f"{'':7}" + "".join(f"{1 / (1 + exp(e)):10.3f}" for e in EPSILONS))


def _told(epsilon: float, votes: int) -> str:
    total, less = total_epsilon(epsilon, votes), total_epsilon(epsilon, votes, DELTA)
    return f"{total:g} ({less:.1f})" if less < total else f"{total:g}"


if __name__ == "__main__":
    main()
