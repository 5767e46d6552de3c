"""What the benchmarks share: medians of CPU time, taken in turns so that a busy machine hurts all alike."""

from __future__ import annotations

import os

for _variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(_variable, "1")  # before numpy is imported: BLAS threads spin on a busy machine

from collections.abc import Callable
from statistics import median
from time import process_time


def in_turns(works: dict[str, Callable[[], object]], repeats: int) -> dict[str, float]:
    """Median CPU seconds of each piece of work, all of them run one after the other, ``repeats`` times."""
    for work in works.values():
        work()  # warm up
    times: dict[str, list[float]] = {name: [] for name in works}
    for _ in range(repeats):
        for name, work in works.items():
            start = process_time()
            work()
            times[name].append(process_time() - start)
    return {name: median(values) for name, values in times.items()}
