"""Contract classes for pytest: a subclass names a component, and gets one test for each check.

class TestCautious(VotingPolicyContract):
    component = "mine.cautious"
    parameters = {"at_least": 2}
    expected_failures = {"a_lone_learner_decides": "two must approve, by design"}
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, ClassVar

import pytest

from ..components import KINDS
from ..config import GIVEN
from ..data import Dataset
from ..parameters import checked
from ..plugins import Plugins, installed
from .kit import PLUGINS, Check, Subject, checks_of, require


class _Contract:
    """One test per check of :attr:`kind`; a check in ``expected_failures`` must fail (a strict xfail)."""

    kind: ClassVar[str]
    expected_failures: ClassVar[Mapping[str, str]] = {}

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if "kind" in vars(cls):
            for check in checks_of(cls.kind):
                setattr(cls, f"test_{check.name}", _test_of(check))
        for name, reason in vars(cls).get("expected_failures", {}).items():
            known = {check.name: check for check in checks_of(cls.kind)}
            if name not in known:
                raise TypeError(f"{cls.__name__} expects a failure of {name!r}; checks: {', '.join(known)}")
            mark = pytest.mark.xfail(strict=True, reason=reason)
            setattr(cls, f"test_{name}", mark(_test_of(known[name])))

    def subject(self) -> Any:
        raise NotImplementedError


def _test_of(check: Check) -> Callable[[_Contract], None]:
    def test(self: _Contract) -> None:
        check.function(self.subject())

    test.__name__ = f"test_{check.name}"
    test.__doc__ = check.why
    return test


class _ComponentContract(_Contract):
    """The contract of a component.

    Attributes:
        component: its name, looked up among the installed plugins.
        parameters: values for its parameters; required ones must be among them.
    """

    component: ClassVar[str]
    parameters: ClassVar[Mapping[str, Any]] = {}

    def subject(self) -> Subject:
        implementation = Plugins().component(self.kind, self.component).load()
        title = f"{KINDS[self.kind]} {self.component!r}"
        parameters = checked(implementation, self.parameters, title, GIVEN.get(self.kind, ()))
        return Subject(implementation, parameters, **self._more())

    def _more(self) -> dict[str, Any]:
        return {}


class LearnerContract(_ComponentContract):
    """Every check for learners.

    Attributes:
        dataset: what to learn from, when the kit's own data don't suit: a data set or the name of one.
    """

    kind = "learners"
    dataset: ClassVar[Dataset | str | None] = None

    def _more(self) -> dict[str, Any]:
        dataset = self.dataset
        return {"dataset": Plugins().component("datasets", dataset).load()() if isinstance(dataset, str) else dataset}


class VotingPolicyContract(_ComponentContract):
    """Every check for voting policies."""

    kind = "voting_policies"


class SplitterContract(_ComponentContract):
    """Every check for splitters.

    Attributes:
        learners: among how many it must be able to divide data.
    """

    kind = "splitters"
    learners: ClassVar[int] = 5

    def _more(self) -> dict[str, Any]:
        return {"learners": self.learners}


class ProposalStrategyContract(_ComponentContract):
    """Every check for proposal strategies."""

    kind = "proposal_strategies"


class DatasetContract(_ComponentContract):
    """Every check for data sets."""

    kind = "datasets"


class LedgerContract(_ComponentContract):
    """Every check for ledgers."""

    kind = "ledgers"


class RuntimeContract(_ComponentContract):
    """Every check for runtimes."""

    kind = "runtimes"


class AdversaryContract(_ComponentContract):
    """Every check for adversaries."""

    kind = "adversaries"


class PluginContract(_Contract):
    """Every check for plugins.

    Attributes:
        plugin: its name: the key of its entry point.
    """

    kind = PLUGINS
    plugin: ClassVar[str]

    def subject(self) -> Any:
        found = [info for info in installed() if info.name == self.plugin]
        require(bool(found), f"no plugin {self.plugin!r} is installed")
        return found[0]
