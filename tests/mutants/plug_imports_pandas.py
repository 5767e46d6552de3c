"""A plugin whose module imports its framework: its one fault."""

from __future__ import annotations

import pandas as pd
from plug_faults import Cautious as Cautious

from colearn_core import Component, hookimpl

VERSION = pd.__version__


@hookimpl
def colearn_voting_policies() -> list[Component]:
    return [Component("plug.cautious", "plug_imports_pandas:Cautious", "Wants a clear gain")]
