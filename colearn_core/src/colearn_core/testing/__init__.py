"""The conformance kit: checks that a component keeps its contract, for authors of plugins.

On the command line ``colearn check NAME``, in pytest a class with one line::

    from colearn_core.testing import VotingPolicyContract

    class TestCautious(VotingPolicyContract):
        component = "mine.cautious"

and without either, :func:`check_learner` and its kin raise what is wrong.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .contracts import AdversaryContract as AdversaryContract
    from .contracts import DatasetContract as DatasetContract
    from .contracts import LearnerContract as LearnerContract
    from .contracts import LedgerContract as LedgerContract
    from .contracts import PluginContract as PluginContract
    from .contracts import ProposalStrategyContract as ProposalStrategyContract
    from .contracts import RuntimeContract as RuntimeContract
    from .contracts import SplitterContract as SplitterContract
    from .contracts import VotingPolicyContract as VotingPolicyContract
    from .kit import CheckFailed as CheckFailed
    from .kit import Subject as Subject
    from .kit import Verdict as Verdict
    from .kit import check_adversary as check_adversary
    from .kit import check_dataset as check_dataset
    from .kit import check_learner as check_learner
    from .kit import check_ledger as check_ledger
    from .kit import check_plugin as check_plugin
    from .kit import check_proposal_strategy as check_proposal_strategy
    from .kit import check_runtime as check_runtime
    from .kit import check_splitter as check_splitter
    from .kit import check_voting_policy as check_voting_policy
    from .kit import verdicts as verdicts

_KINDS = (
    "learner",
    "voting_policy",
    "splitter",
    "proposal_strategy",
    "dataset",
    "ledger",
    "runtime",
    "adversary",
    "plugin",
)
_CONTRACTS = tuple("".join(map(str.capitalize, kind.split("_"))) for kind in _KINDS)
_HOME_OF = (
    {f"{name}Contract": "contracts" for name in _CONTRACTS}
    | {f"check_{kind}": "kit" for kind in _KINDS}
    | dict.fromkeys(("CheckFailed", "Subject", "Verdict", "verdicts"), "kit")
)

__all__ = sorted(_HOME_OF)


def __getattr__(name: str) -> Any:
    # pytest imports this package in every run, for the fixtures: so nothing else is imported before it's used.
    if name not in _HOME_OF:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f".{_HOME_OF[name]}", __name__), name)
