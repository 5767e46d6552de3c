"""Build every wheel, install them into a new environment, and run the tests of the core and one plugin there.

Then the plugin is removed: the core's tests still pass, and its commands say what's missing. Editable
installs hide files that a wheel lacks. Run by `make wheels`; it isn't a test module itself.
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


def run(*command: str | Path, cwd: Path = ROOT, expected: int = 0) -> str:
    """Run a command; what it says of errors is returned if it's expected to fail."""
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"}
    stderr = subprocess.PIPE if expected else None
    done = subprocess.run([str(part) for part in command], cwd=cwd, env=environment, stderr=stderr, text=True)
    if done.returncode != expected:
        sys.exit(f"{command[0]} {command[1]} ended with {done.returncode}, expected {expected}. {done.stderr or ''}")
    return done.stderr or ""


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
        run(*pip, *wheels, "pytest", "hypothesis", "onnx", "onnxruntime", "pyarrow")
        # From another folder, so that nothing is imported from the checkout.
        test = (python, "-m", "pytest", "-q", "-c", ROOT / "pyproject.toml")
        colearn = folder / "venv" / "bin" / "colearn"
        run(*test, *(ROOT / tested / "tests" for tested in TESTED), cwd=folder)
        run(colearn, "plugins", "--check", cwd=folder)

        print("removing the scikit-learn plugin", flush=True)
        run(python, "-m", "pip", "uninstall", "-q", "-y", "colearn-sklearn-plugin")
        run(*test, ROOT / "colearn_core" / "tests", cwd=folder)
        experiment = ("run", "--data", "blobs", "--rounds", "5", "--out", folder / "runs")
        run(colearn, *experiment, "--learner", "softmax", cwd=folder)
        missing = run(colearn, *experiment, "--learner", "sklearn.sgd_classifier", cwd=folder, expected=2)
        if "pip install colearn-sklearn-plugin" not in missing:
            sys.exit(f"The command doesn't say what is missing: {missing}")
    print(f"{len(wheels)} wheels built and checked")


if __name__ == "__main__":
    main()
