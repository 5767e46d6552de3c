"""colearn: parties with private data train one model together, and vote on every step.

Names are imported when they're first used, so that the command line and plugin modules start quickly.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .cohort import Cohort as Cohort
    from .cohort import LoopCohort as LoopCohort
    from .components import Component as Component
    from .data import Dataset as Dataset
    from .data import PrivateData as PrivateData
    from .data import Samples as Samples
    from .data import Task as Task
    from .errors import Abstention as Abstention
    from .errors import ColearnError as ColearnError
    from .experiment import Experiment as Experiment
    from .history import History as History
    from .history import Run as Run
    from .hookspecs import hookimpl as hookimpl
    from .learner import Learner as Learner
    from .learner import Proposal as Proposal
    from .ledger import FileLedger as FileLedger
    from .ledger import Ledger as Ledger
    from .metrics import Metric as Metric
    from .plugins import Plugins as Plugins
    from .proposing import Candidate as Candidate
    from .proposing import ProposalStrategy as ProposalStrategy
    from .rounds import RoundRecord as RoundRecord
    from .scores import Score as Score
    from .scores import Scores as Scores
    from .splitting import Splitter as Splitter
    from .streams import Streams as Streams
    from .voting import Decision as Decision
    from .voting import Vote as Vote
    from .voting import VotingPolicy as VotingPolicy
    from .weights import Weights as Weights

_HOMES = {
    "cohort": ("Cohort", "LoopCohort"),
    "components": ("Component",),
    "data": ("Dataset", "PrivateData", "Samples", "Task"),
    "errors": ("Abstention", "ColearnError"),
    "experiment": ("Experiment",),
    "history": ("History", "Run"),
    "hookspecs": ("hookimpl",),
    "learner": ("Learner", "Proposal"),
    "ledger": ("FileLedger", "Ledger"),
    "metrics": ("Metric",),
    "plugins": ("Plugins",),
    "proposing": ("Candidate", "ProposalStrategy"),
    "rounds": ("RoundRecord",),
    "scores": ("Score", "Scores"),
    "splitting": ("Splitter",),
    "streams": ("Streams",),
    "voting": ("Decision", "Vote", "VotingPolicy"),
    "weights": ("Weights",),
}
_HOME_OF = {name: module for module, names in _HOMES.items() for name in names}

__all__ = sorted(_HOME_OF)


def __getattr__(name: str) -> Any:
    if name not in _HOME_OF:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f".{_HOME_OF[name]}", __name__), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return __all__
