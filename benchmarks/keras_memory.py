"""Memory: the peak of a whole process with 1000 Keras learners of 20,000 samples beside that with 10, and what 500
rounds add after the first 50."""

from __future__ import annotations

from torch_memory import peak, table

LEARNERS = """
import resource, sys
import keras_rounds as bench  # first: it sets the number of threads
from colearn_core import Experiment, Plugins
from colearn_keras_plugin import KerasLearner
net = bench.mlp()
learners = [
    KerasLearner(net, part[:2], part[2:], classes=bench.CLASSES, steps_per_round=10, batch_size=16)
    for part in bench.parts_of(20_000, int(sys.argv[1]))
]
experiment = Experiment(learners, plugins=Plugins(()))
"""
PEAK = "print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)"
GROWTH = """
from pathlib import Path
def resident():
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize() // 1024
experiment.run(50)
before = resident()
experiment.run(500)
print(resident() - before)
"""


def main() -> None:
    table(LEARNERS + "experiment.run(30)\n" + PEAK)
    print(f"500 rounds more of 100 learners add {peak(LEARNERS + GROWTH, 100):.1f} MB")


if __name__ == "__main__":
    main()
