"""Fused scoring beside the plain loop: the same votes, how much less time."""

from __future__ import annotations

from itertools import count

import measure  # first: it sets the number of threads
import numpy as np
from digits import experiment


def main() -> None:
    print(f"{'learner':24} {'learners':>8} {'loop ms':>9} {'fused ms':>9} {'ratio':>6}  votes")
    for learner in ("sklearn.mlp_classifier", "sklearn.sgd_classifier"):
        for n, repeats in ((10, 51), (100, 21), (1000, 7)):
            fused, loop = (experiment(learner, n, runtime=runtime) for runtime in ("fused", "loop"))
            base = fused.standing
            proposals = fused.cohort.propose(range(3), base.weights, 1, fused.streams).proposals
            candidates = [p.weights for p in proposals.values()]
            turn = count()
            times = measure.in_turns(
                {
                    "loop": lambda: loop.cohort.test([candidates[next(turn) % len(candidates)]], "vote"),
                    "fused": lambda: fused.cohort.test([candidates[next(turn) % len(candidates)]], "vote"),
                },
                repeats,
            )
            votes = [e.policy.votes(base.vote, e.cohort.test(candidates, "vote")) for e in (loop, fused)]
            same = "same" if np.array_equal(votes[0], votes[1]) else "DIFFERENT"
            print(
                f"{learner:24} {n:8} {times['loop'] * 1e3:9.2f} {times['fused'] * 1e3:9.2f} "
                f"{times['loop'] / times['fused']:6.1f}  {same}",
                flush=True,
            )


if __name__ == "__main__":
    main()
