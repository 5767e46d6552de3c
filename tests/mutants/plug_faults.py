"""Plugins with one fault each: every class stands for a module with hooks."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import click

from colearn_core import Component, hookimpl
from colearn_core.cohort import Cohort, LoopCohort
from colearn_core.learner import Learner
from colearn_core.ledger import FileLedger, Ledger
from colearn_core.reference import blobs as blobs
from colearn_core.voting import Majority


@dataclass(frozen=True)
class Cautious(Majority):
    """A majority that wants a clear gain."""

    min_improvement: Annotated[float, "How clear"] = 0.01


@dataclass(frozen=True)
class Undocumented(Majority):
    min_improvement: Annotated[float, "How clear"] = 0.01


def named(name: Annotated[str, "Of whom"] = "x") -> Majority:
    """A parameter has the name of the component's own key."""
    return Majority()


def helpless(gain: float = 0.0) -> Majority:
    """A parameter says nothing of itself."""
    return Majority(min_improvement=gain)


def untyped(gain=0.0):  # type: ignore[no-untyped-def]
    """A parameter has no type."""
    return Majority(min_improvement=gain)


def impossible(gain: Annotated[float, "How clear"] = "0.1%") -> Majority:  # type: ignore[assignment]
    """A default is none of its type."""
    return Majority(min_improvement=float(gain))


def other_order(names: Sequence[str] | None, learners: Sequence[Learner]) -> Cohort:
    """The core's arguments in another order."""
    return LoopCohort(learners, names)


def of_a_folder(folder: Path, prefix: Annotated[str, "In front of files"] = "") -> Ledger:
    """What a ledger should take."""
    return FileLedger(folder / prefix)


def cautious(name: str = "plug.cautious", target: str = "Cautious", summary: str = "Wants a clear gain") -> Component:
    return Component(name, f"plug_faults:{target}", summary)


def offering(*components: Component, kind: str = "voting_policies") -> Any:
    """A plugin with one hook."""

    def hook() -> list[Component]:
        return list(components)

    hook.__name__ = f"colearn_{kind}"
    return type("Plugin", (), {f"colearn_{kind}": staticmethod(hookimpl(hook))})


class Usual:
    """Components of several kinds, a data set without prefix and a command: correct."""

    @staticmethod
    @hookimpl
    def colearn_voting_policies() -> Iterator[Component]:
        yield cautious()
        yield cautious("plug.very.cautious_2")

    @staticmethod
    @hookimpl
    def colearn_datasets() -> tuple[Component, ...]:
        return Component("balls", "plug_faults:blobs", "Clusters again"), cautious("plug.balls", "blobs")

    @staticmethod
    @hookimpl(specname="colearn_ledgers")
    def ledgers() -> list[Component]:
        return [cautious("plug.folder", "of_a_folder")]

    @staticmethod
    @hookimpl
    def colearn_commands(group: click.Group) -> None:
        group.add_command(click.Command("plug"))


class Observer:
    """Offers nothing, and only looks on: correct."""

    @staticmethod
    @hookimpl
    def colearn_round_finished(record: Any) -> None: ...


class Once:
    left = iter([cautious()])

    @staticmethod
    @hookimpl
    def colearn_voting_policies() -> Iterator[Component]:
        return Once.left


class Shuffled:
    turn = False

    @staticmethod
    @hookimpl
    def colearn_voting_policies() -> list[Component]:
        Shuffled.turn = not Shuffled.turn
        both = [cautious(), cautious("plug.other")]
        return both if Shuffled.turn else both[::-1]


class Misspelt:
    @staticmethod
    @hookimpl
    def colearn_voting_policy() -> list[Component]:
        return [cautious()]


class Unmarked(Usual):
    @staticmethod
    def colearn_learners() -> list[Component]:
        return []


class NoHooks:
    pass


class Raising:
    @staticmethod
    @hookimpl
    def colearn_voting_policies() -> list[Component]:
        raise RuntimeError("no licence found")


class NoComponents:
    @staticmethod
    @hookimpl
    def colearn_voting_policies() -> list[Any]:
        return ["plug.cautious"]


class CommandImportsPandas(Usual):
    @staticmethod
    @hookimpl
    def colearn_commands(group: click.Group) -> None:
        import pandas as pd

        group.add_command(click.Command("plug", help=pd.__version__))


NoPrefix = offering(cautious("cautious"))
NoPrefixForItsData = offering(cautious("other.balls", "blobs"), kind="datasets")
CapitalLetters = offering(cautious("plug.Cautious"))
NameOfTheCore = offering(cautious("blobs", "blobs"), kind="datasets")
Twice = offering(cautious(), cautious())
NoTarget = offering(cautious(target="Incautious"))
NoModule = offering(Component("plug.cautious", "plug_nowhere:Cautious", "Wants a clear gain"))
NotCallable = offering(cautious(target="PARAMETERS"))
NoSummary = offering(cautious(summary=""))
LongSummary = offering(cautious(summary="Wants\na clear gain"))
NoDocstring = offering(cautious(target="Undocumented"))
CalledName = offering(cautious(target="named"))
NoHelp = offering(cautious(target="helpless"))
NoType = offering(cautious(target="untyped"))
WrongDefault = offering(cautious(target="impossible"))
OtherOrder = offering(cautious(target="other_order"), kind="runtimes")

PARAMETERS = {"min_improvement": 0.01}
