"""What checks are, and how they're run on a component."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from importlib import import_module
from time import perf_counter
from typing import Any, NoReturn

from ..components import KINDS
from ..data import Dataset
from ..errors import ColearnError

PLUGINS = "plugins"
"""The kind of check whose subject is a whole plugin."""

_MORE_FILES = {"learners": ("exporting", "scores_of_samples"), "voting_policies": ("ballots",)}
"""Checks of a kind that don't stand in the file of its name."""


class CheckFailed(AssertionError):
    """A component breaks its contract; the message says how, with the values."""


@dataclass(frozen=True)
class Subject:
    """What is checked.

    Attributes:
        implementation: the component itself: what its target leads to.
        parameters: keyword arguments for it; required ones must be among them.
        dataset: for learners, the data to learn from; by default the first of the kit's own that the
            learner takes (classes, values, pictures).
        learners: for splitters, among how many learners it must be able to divide data.
    """

    implementation: Callable[..., Any]
    parameters: Mapping[str, Any] = field(default_factory=dict)
    dataset: Dataset | None = None
    learners: int = 5

    def make(self, *given: Any, **changed: Any) -> Any:
        """A new instance: ``given`` is what the core passes, ``changed`` replaces parameters."""
        return self.implementation(*given, **{**self.parameters, **changed})

    @cached_property
    def data(self) -> Dataset:
        """The data that learners are given, see :attr:`dataset`."""
        from .samples import suitable

        return self.dataset if self.dataset is not None else suitable(self.make)


@dataclass(frozen=True)
class Check:
    """One property that every component of a kind must have.

    Attributes:
        kind: as in :data:`~colearn_core.components.KINDS`, or :data:`PLUGINS`.
        function: raises :class:`CheckFailed` if the subject lacks the property.
    """

    kind: str
    function: Callable[[Any], None]

    @property
    def name(self) -> str:
        return self.function.__name__

    @property
    def why(self) -> str:
        """What breaks in a collective when the property fails."""
        return inspect.getdoc(self.function) or ""


@dataclass(frozen=True)
class Verdict:
    """The outcome of one check: ``failure`` says what's wrong, None if all is well."""

    check: Check
    failure: str | None
    seconds: float
    error: Exception | None = field(default=None, repr=False)


def checks_of(kind: str) -> tuple[Check, ...]:
    """All checks for components of this kind, in the order of their files."""
    modules = [import_module(f".checks.{file}", __package__) for file in (kind, *_MORE_FILES.get(kind, ()))]
    functions = [
        value
        for module in modules
        for name, value in vars(module).items()
        if inspect.isfunction(value) and value.__module__ == module.__name__ and not name.startswith("_")
    ]
    return tuple(Check(kind, function) for function in functions)


def verdicts(kind: str, subject: Any) -> Iterator[Verdict]:
    """Run all checks of a kind, one after the other; a check that fails doesn't end them.

    Args:
        subject: a :class:`Subject`; for plugins a :class:`~colearn_core.plugins.PluginInfo`.
    """
    for check in checks_of(kind):
        start = perf_counter()
        error: Exception | None = None
        try:
            check.function(subject)
        except Exception as raised:  # whatever a component raises is a verdict on it
            error = raised
        yield Verdict(check, None if error is None else explained(error), perf_counter() - start, error)


def explained(error: Exception) -> str:
    """A failure in words."""
    return str(error) if isinstance(error, CheckFailed | ColearnError) else f"{type(error).__name__}: {error}"


def require(condition: bool, otherwise: str) -> None:
    """Raise :class:`CheckFailed` unless the condition holds."""
    if not condition:
        fail(otherwise)


def fail(message: str) -> NoReturn:
    """Raise :class:`CheckFailed`."""
    raise CheckFailed(message)


def _run(kind: str, subject: Any) -> None:
    failed = [v for v in verdicts(kind, subject) if v.failure is not None]
    if failed:
        title = KINDS.get(kind, "plugin")
        lines = "\n".join(f"- {v.check.name}: {v.failure}" for v in failed)
        raise CheckFailed(f"the {title} fails {len(failed)} of {len(checks_of(kind))} checks:\n{lines}")


def check_learner(make: Callable[..., Any], dataset: Dataset | None = None, **parameters: Any) -> None:
    """Run every check for learners.

    Args:
        make: ``(data: PrivateData, **parameters) -> Learner``.
        dataset: what to learn from, see :class:`Subject`.

    Raises:
        CheckFailed: names all checks that fail.
    """
    _run("learners", Subject(make, parameters, dataset))


def check_voting_policy(make: Callable[..., Any], **parameters: Any) -> None:
    """Run every check for voting policies on what ``make(**parameters)`` returns; raises CheckFailed."""
    _run("voting_policies", Subject(make, parameters))


def check_splitter(make: Callable[..., Any], learners: int = 5, **parameters: Any) -> None:
    """Run every check for splitters on what ``make(**parameters)`` returns; raises CheckFailed.

    Args:
        learners: among how many it must be able to divide data.
    """
    _run("splitters", Subject(make, parameters, learners=learners))


def check_proposal_strategy(make: Callable[..., Any], **parameters: Any) -> None:
    """Run every check for proposal strategies on what ``make(**parameters)`` returns; raises CheckFailed."""
    _run("proposal_strategies", Subject(make, parameters))


def check_dataset(make: Callable[..., Any], **parameters: Any) -> None:
    """Run every check for data sets on what ``make(**parameters)`` returns; raises CheckFailed."""
    _run("datasets", Subject(make, parameters))


def check_ledger(make: Callable[..., Any], **parameters: Any) -> None:
    """Run every check for ledgers; ``make(folder, **parameters)`` begins one. Raises CheckFailed."""
    _run("ledgers", Subject(make, parameters))


def check_runtime(make: Callable[..., Any], **parameters: Any) -> None:
    """Run every check for runtimes; ``make(learners, names, **parameters)`` gives a cohort. Raises CheckFailed."""
    _run("runtimes", Subject(make, parameters))


def check_adversary(make: Callable[..., Any], **parameters: Any) -> None:
    """Run every check for adversaries on what ``make(**parameters)`` returns; raises CheckFailed."""
    _run("adversaries", Subject(make, parameters))


def check_plugin(name: str) -> None:
    """Run every check for plugins on an installed one; raises CheckFailed."""
    from ..plugins import installed

    found = [info for info in installed() if info.name == name]
    require(bool(found), f"no plugin {name!r} is installed")
    _run(PLUGINS, found[0])
