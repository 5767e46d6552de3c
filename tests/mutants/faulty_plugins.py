"""Plugins with one fault each; ``plug_*.py`` hold their hooks."""

from __future__ import annotations

from dataclasses import dataclass
from importlib.metadata import EntryPoint
from typing import Any

from mutant import Mutant

from colearn_core.plugins import API, PluginInfo

FETCH = "Fetch.ai colearn 0.2.8"


@dataclass(frozen=True)
class Distribution:
    """As much of a distribution as the kit reads."""

    requires: tuple[str, ...] | None


@dataclass(frozen=True)
class Found:
    """An entry point that an installed distribution has."""

    value: str
    dist: Distribution

    def load(self) -> Any:
        return EntryPoint("plug", self.value, "colearn.v1").load()


def info(hooks: str = "plug_faults:Usual", requires: tuple[str, ...] | None = None, **changed: Any) -> PluginInfo:
    """What the metadata of a plugin tell; without ``requires`` it has no distribution."""
    entry_point: Any = EntryPoint("plug", hooks, "colearn.v1")
    if requires is not None:
        entry_point = Found(hooks, Distribution(requires))
    about = {"name": "plug", "distribution": "colearn-plug-plugin", "version": "1.0", "api": API, "summary": "A plug"}
    return PluginInfo(**{**about, "entry_point": entry_point, **changed})


def _mutant(name: str, fault: str, subject: PluginInfo | None = None, origin: str = "") -> Mutant:
    return Mutant(name, "plugins", fault, info(f"plug_faults:{name}") if subject is None else subject, origin)


MUTANTS = [
    _mutant("ImportsPandas", "its module imports its framework", info("plug_imports_pandas"), FETCH),
    _mutant("CommandImportsPandas", "the help of its command imports its framework"),
    _mutant("CallsHome", "its module asks the network", info("plug_calls_home")),
    _mutant("NoPrefix", "a name lacks the plugin's prefix"),
    _mutant("NoPrefixForItsData", "a data set has another plugin's prefix"),
    _mutant("CapitalLetters", "a name has capital letters"),
    _mutant("NameOfTheCore", "a name is the core's"),
    _mutant("Twice", "a name is offered twice"),
    _mutant("NoTarget", "a target doesn't exist"),
    _mutant("NoModule", "a target's module doesn't exist"),
    _mutant("NotCallable", "a target can't be called"),
    _mutant("NoSummary", "a summary is empty"),
    _mutant("LongSummary", "a summary has two lines"),
    _mutant("NoDocstring", "an implementation has no docstring"),
    _mutant("CalledName", "a parameter is called 'name'"),
    _mutant("NoHelp", "a parameter has no help"),
    _mutant("NoType", "a parameter has no type"),
    _mutant("WrongDefault", "a default isn't of its type"),
    _mutant("OtherOrder", "the core's arguments come in another order"),
    _mutant("Once", "a hook gives its components only once"),
    _mutant("Shuffled", "a hook gives another order each time"),
    _mutant("Misspelt", "a hook's name is misspelt"),
    _mutant("Unmarked", "a hook isn't marked"),
    _mutant("NoHooks", "it has no hooks"),
    _mutant("Raising", "a hook raises"),
    _mutant("NoComponents", "a hook gives names instead of components"),
    _mutant("NotThere", "its module doesn't exist", info("plug_nowhere")),
    _mutant("OtherApi", "it needs another plugin API", info(api=API + 1)),
    _mutant("CapitalName", "its own name has capital letters", info("plug_faults:Observer", name="Plug")),
    _mutant("NoVersion", "its version is no number", info(version="unknown")),
    _mutant("SaysNothing", "its distribution has no summary", info(summary="")),
    _mutant("NeedsNoCore", "its distribution doesn't require the core", info(requires=("numpy>=2",))),
    _mutant("NeedsTheCoreAsExtra", "it requires any version", info(requires=("colearn-core; extra == 'all'",))),
]
CONTROLS = [
    _mutant("Usual", ""),
    _mutant("Observer", ""),
    _mutant("Bounded", "", info(requires=("numpy", 'colearn_core (>=0.1,<0.2) ; python_version > "3"'))),
]
