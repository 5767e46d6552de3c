"""Memory: the peak of a whole process with 1000 learners on digits beside that with 10."""

from __future__ import annotations

import subprocess
import sys

CHILD = """
import resource, sys
from digits import experiment
experiment("sklearn.mlp_classifier", int(sys.argv[1]), proposals="committee").run(30)
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""


def peak(learners: int) -> float:
    """Peak resident MB."""
    command = [sys.executable, "-c", CHILD, str(learners)]
    done = subprocess.run(command, check=True, capture_output=True, text=True, cwd=sys.path[0])
    return int(done.stdout) / 1024


def main() -> None:
    few = peak(10)
    for learners in (10, 100, 1000):
        mb = peak(learners)
        print(f"{learners:5} learners: {mb:6.0f} MB, {mb / few:.2f} ×")


if __name__ == "__main__":
    main()
