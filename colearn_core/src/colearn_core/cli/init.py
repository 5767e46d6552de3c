"""``colearn init``: an experiment file to begin with."""

from __future__ import annotations

from pathlib import Path

import click

TEMPLATE = """\
# An experiment for `colearn run FILE`. Every component can be exchanged by its name:
# `colearn components` lists them, `colearn show NAME` tells their parameters.

# name = "my-first"         # the run's folder in runs/; without it data and learner give one
seed = 7                    # same seed, same result, bit for bit
rounds = 60
learners = 10               # simulated parties

[data]
name = "digits"             # to use your own: name = "table", path = "my.csv", target = "label"

[split]
name = "dirichlet"          # how the data are divided: label skew
alpha = 0.5                 # 100 is nearly iid, 0.1 gives most learners few classes

[holdout]                   # of its own samples each learner keeps this share
vote = 0.15                 # to vote by
test = 0.15                 # to report on

[learner]
name = "sklearn.mlp_classifier"
hidden_layer_sizes = [64]

[proposals]
name = "approval"           # rival candidates from a committee; "round_robin" is the classic protocol
size = 5

[voting]
name = "majority"
quorum = 0.5                # this share of all learners must vote
"""


@click.command(short_help="Write an experiment file with comments.")
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path), default="experiment.toml")
def init(file: Path) -> None:
    """Write an experiment file with comments, ready for `colearn run` [experiment.toml]."""
    from ..errors import ConfigError
    from ..ledger import write_atomically

    if file.exists():
        raise ConfigError(f"{file} exists", hint="Name another file: colearn init other.toml")
    write_atomically(file, TEMPLATE.encode())
    click.echo(f"Wrote {file}. Next: colearn run {file}")
