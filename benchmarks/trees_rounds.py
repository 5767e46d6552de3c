"""What a round costs when the accepted model has 1,000 trees instead of 100; with XGBoost, 10 and 100 parties.

Only new trees are evaluated, so a proposal should cost its own trees and not the model's. Printed are

- scoring one new proposal of 2 trees on all parties' vote data by the cohort, beside XGBoost's own prediction of the
  whole model for the same samples: all at once, and party by party. The models are loaded on both sides; XGBoost's
  says the same in single precision.
- a whole round (one party proposes 2 trees, all vote), and one with all parties proposing, beside the same round on
  100 trees.
- the peak of a process that plays 20 rounds, and the bytes of the model (``Weights.to_bytes()``) and those that an
  adopted round adds.

The model is grown in small steps on all 20,000 samples, which are random numbers of a noisy rule: only time, memory
and size are measured. CPU times, medians in turns; ratios are what to look at. Takes three minutes of one core.
"""

from __future__ import annotations

import subprocess
import sys
from functools import partial
from itertools import cycle
from resource import RUSAGE_SELF, getrusage

import measure  # first: it sets the number of threads
import numpy as np
from trees_parties import PLUGINS, Boosting, divided

from colearn_core import Experiment
from colearn_core.data import Dataset, PrivateData, Samples, Task
from colearn_core.growing import TreeLearner
from colearn_core.splitting import Iid
from colearn_core.weights import Weights
from colearn_xgboost_plugin import XGBoostLearner

SAMPLES, FEATURES = 20_000, 20
TREES = (100, 1000)
PARTIES = (10, 100)
REPEATS = 11
NEW = Boosting(each=2)


def rule(samples: int) -> Dataset:
    rng = np.random.default_rng(0)
    x = rng.normal(size=(samples, FEATURES)).astype(np.float32)
    signal = x[:, 0] * x[:, 1] + np.sin(2 * x[:, 2]) + np.abs(x[:, 3]) - 0.8 + 0.5 * rng.normal(size=samples)
    return Dataset("rule", Samples(x, (signal > 0).astype(np.int64)), Task(("no", "yes")))


def model_of(trees: int, parts: list[PrivateData]) -> Weights:
    """An accepted model of so many trees, all of them in small steps: about as much is left to learn."""
    grower = Boosting(each=10, learning_rate=2 / trees).learner(PrivateData.pooled(parts))
    rng = np.random.default_rng(0)
    weights = grower.initial_weights(rng)
    for _ in range(trees // 10):
        weights = grower.propose_weights(weights, rng).weights
    return weights


def scoring(parts: list[PrivateData], model: Weights) -> dict[str, float]:
    """CPU seconds of scoring a new proposal, and of the library's prediction of the whole model."""
    learners: list[TreeLearner] = [NEW.learner(part) for part in parts]
    cohort = TreeLearner.cohort(learners)
    cohort.test([model], "vote")
    rng = np.random.default_rng(1)
    # So many that none is still known when it's asked for again.
    proposals = cycle([learners[i % len(learners)].propose_weights(model, rng).weights for i in range(10)])
    first = learners[0]
    assert isinstance(first, XGBoostLearner)
    booster = first.booster(next(proposals))
    separate = [part.vote.x for part in parts]
    together = np.concatenate(separate)
    return measure.in_turns(
        {
            "proposal": lambda: cohort.test([next(proposals)], "vote"),
            "library, all at once": lambda: booster.inplace_predict(together),
            "library, each": lambda: [booster.inplace_predict(x) for x in separate],
        },
        REPEATS,
    )


def experiment(parts: list[PrivateData], model: Weights, proposals: str) -> Experiment:
    return Experiment([NEW.learner(part) for part in parts], proposals=proposals, initial=model, plugins=PLUGINS)


def rounds(parts: list[PrivateData], models: list[Weights], proposals: str) -> tuple[list[float], list[float]]:
    """CPU seconds of a round on each of the models, and the bytes that an adopted one added to it.

    Every party has proposed before: the first time, it evaluates all trees on its training data.
    """
    begun = [experiment(parts, model, proposals) for model in models]
    for e in begun:
        e.run(1 if proposals == "everyone" else len(parts))
    sizes = [len(e.weights.to_bytes()) for e in begun]
    adopted = [0] * len(begun)

    def play(i: int) -> None:
        adopted[i] += next(begun[i].rounds(1)).accepted

    times = measure.in_turns({str(i): partial(play, i) for i in range(len(begun))}, REPEATS)
    grown = [len(e.weights.to_bytes()) - size for e, size in zip(begun, sizes, strict=True)]
    return list(times.values()), [bytes / max(1, n) for bytes, n in zip(grown, adopted, strict=True)]


def peak(trees: int, parties: int) -> float:
    """Peak resident MB of a process of its own."""
    command = [sys.executable, __file__, "peak", str(trees), str(parties)]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    return int(done.stdout) / 1024


def print_peak(trees: int, parties: int) -> None:
    parts = divided(rule(SAMPLES), Iid(), parties, 0)
    experiment(parts, model_of(trees, parts), "round_robin").run(20)
    print(getrusage(RUSAGE_SELF).ru_maxrss)


def main() -> None:
    print("peak, MB" + " " * 12 + "".join(f"{trees:>8} trees" for trees in TREES))
    for n in PARTIES:  # first: a process's peak is never less than that of the one that started it was by then
        print(f"{n:12} parties" + "".join(f"{peak(trees, n):14.0f}" for trees in TREES), flush=True)
    dataset = rule(SAMPLES)
    divisions = {n: divided(dataset, Iid(), n, 0) for n in PARTIES}
    models = [model_of(trees, divisions[PARTIES[0]]) for trees in TREES]

    print(f"{'model, kB':20}" + "".join(f"{len(model.to_bytes()) / 1e3:14.1f}" for model in models))
    print("\nscoring, ms       trees  parties   proposal   library  library each   ratios")
    for trees, model in zip(TREES, models, strict=True):
        for n, parts in divisions.items():
            ours, fused, each = scoring(parts, model).values()
            print(
                f"{trees:23}{n:9}{1e3 * ours:11.1f}{1e3 * fused:10.1f}{1e3 * each:14.1f}"
                f"   1 : {fused / ours:.1f} : {each / ours:.1f}",
                flush=True,
            )
    print(
        "\nround, ms      proposals  parties" + "".join(f"{trees:>8} trees" for trees in TREES) + "   ratio  added, kB"
    )
    for proposals in ("round_robin", "everyone"):
        for n, parts in divisions.items():
            times, added = rounds(parts, models, proposals)
            print(
                f"{proposals:>24}{n:9}"
                + "".join(f"{1e3 * time:14.1f}" for time in times)
                + f"{times[-1] / times[0]:8.2f}  {' '.join(f'{a / 1e3:.1f}' for a in added)}",
                flush=True,
            )


if __name__ == "__main__":
    if sys.argv[1:2] == ["peak"]:
        print_peak(int(sys.argv[2]), int(sys.argv[3]))
    else:
        main()
