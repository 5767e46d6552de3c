"""Start-up: `colearn plugins` as a whole process beside `python -c "import click, pluggy, rich"`."""

from __future__ import annotations

import resource
import subprocess
import sys
from pathlib import Path
from statistics import median

COMMANDS = {
    "import click, pluggy, rich": [sys.executable, "-c", "import click, pluggy, rich"],
    "colearn plugins": [str(Path(sys.executable).with_name("colearn")), "plugins"],
    "colearn components": [str(Path(sys.executable).with_name("colearn")), "components"],
}


def cpu_seconds(command: list[str]) -> float:
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def main() -> None:
    times: dict[str, list[float]] = {name: [] for name in COMMANDS}
    for _ in range(25):
        for name, command in COMMANDS.items():
            times[name].append(cpu_seconds(command))
    floor = median(times["import click, pluggy, rich"])
    for name, seconds in times.items():
        print(f"{name:30} {median(seconds) * 1e3:7.0f} ms CPU {median(seconds) / floor:6.2f} ×")


if __name__ == "__main__":
    main()
