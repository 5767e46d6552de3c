"""Build every wheel, install them into a new environment, and run the tests of the core and one plugin there.

Editable installs hide files that a wheel lacks. Run by `make wheels`; it isn't a test module itself.
"""

from __future__ import annotations

import os
import subprocess
import sys
import venv
from pathlib import Path
from tempfile import TemporaryDirectory

ROOT = Path(__file__).parent.parent
TESTED = ("colearn_core", "colearn_sklearn_plugin")


def run(*command: str | Path, cwd: Path = ROOT) -> None:
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"}
    subprocess.run([str(part) for part in command], check=True, cwd=cwd, env=environment)


def main() -> None:
    members = sorted(p.parent for p in [*ROOT.glob("*/pyproject.toml"), *ROOT.glob("plugins/*/pyproject.toml")])
    with TemporaryDirectory() as temporary:
        folder = Path(temporary)
        for member in members:
            print(f"building {member.name}", flush=True)
            run(sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", folder / "dist", member)
        venv.create(folder / "venv", with_pip=True)
        python = folder / "venv" / "bin" / "python"
        wheels = sorted((folder / "dist").glob("*.whl"))
        pip = (python, "-m", "pip", "install", "-q", "--disable-pip-version-check", "-c", ROOT / "constraints.txt")
        run(*pip, *wheels, "pytest", "hypothesis", "pyarrow")
        for tested in TESTED:
            # From another folder, so that nothing is imported from the checkout.
            run(python, "-m", "pytest", "-q", "-c", ROOT / "pyproject.toml", ROOT / tested / "tests", cwd=folder)
        run(folder / "venv" / "bin" / "colearn", "plugins", "--check", cwd=folder)
    print(f"{len(wheels)} wheels built and checked")


if __name__ == "__main__":
    main()
