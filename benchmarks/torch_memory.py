"""Memory: the peak of a whole process with 1000 torch learners of 60,000 images beside that with 10."""

from __future__ import annotations

import subprocess
import sys

CHILD = """
import resource, sys
import measure
from torch_rounds import SGD, CLASSES, Experiment, Plugins, TorchLearner, divided, perceptron
module = perceptron(784, 100)
learners = [
    TorchLearner(module, SGD, "cross_entropy", *part, classes=CLASSES, steps_per_round=10, batch_size=8)
    for part in divided(60_000, 784, int(sys.argv[1]))
]
Experiment(learners, plugins=Plugins(())).run(30)
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""


def peak(child: str, learners: int) -> float:
    """Peak resident MB of a process that runs this code, which prints kilobytes."""
    command = [sys.executable, "-c", child, str(learners)]
    done = subprocess.run(command, check=True, capture_output=True, text=True, cwd=sys.path[0])
    return int(done.stdout) / 1024


def table(child: str) -> None:
    few = peak(child, 10)
    for learners in (10, 100, 1000):
        mb = peak(child, learners)
        print(f"{learners:5} learners: {mb:6.0f} MB, {mb / few:.2f} ×", flush=True)


if __name__ == "__main__":
    table(CHILD)
