"""The experiment file: TOML in, a validated experiment out."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from math import isfinite
from pathlib import Path
from typing import Any

import numpy as np
import tomli_w
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from .adversaries import Adversary, Wanted, poisoned, roles
from .components import KINDS
from .data import Dataset, Holdout, PrivateData, partition
from .errors import ConfigError, ParameterError, PluginError
from .experiment import Experiment
from .learner import Learner
from .ledger import Ledger
from .parameters import checked, parameters_of
from .plugins import Plugins
from .proposing import ProposalStrategy
from .splitting import Splitter
from .streams import Streams
from .voting import VotingPolicy

SECTIONS = {
    "data": "datasets",
    "split": "splitters",
    "learner": "learners",
    "proposals": "proposal_strategies",
    "voting": "voting_policies",
    "runtime": "runtimes",
    "ledger": "ledgers",
}
"""Each section of an experiment file that names a component, and of which kind."""

GIVEN = {"learners": ("data",), "runtimes": ("learners", "names"), "ledgers": ("folder",)}
"""The arguments that the core itself passes to the components of a kind."""


class Section(BaseModel):
    """A component by its name; all other keys are its parameters."""

    model_config = ConfigDict(extra="allow")
    name: str

    @property
    def parameters(self) -> dict[str, Any]:
        return dict(self.model_extra or {})


class AdversarySection(Section):
    """An adversary, its parameters, and who plays it: one learner without ``share``, ``count`` or ``learners``."""

    share: float | None = None
    count: int | None = None
    learners: list[int] | None = None


WHO = ("share", "count", "learners")
"""The keys of an adversary that aren't its parameters."""


class HoldoutSection(BaseModel):
    """The shares of its own samples that each learner keeps for voting and for testing."""

    model_config = ConfigDict(extra="forbid")
    vote: float = Holdout.vote
    test: float = Holdout.test


class ExperimentConfig(BaseModel):
    """An experiment file: ``colearn init`` writes one with comments."""

    model_config = ConfigDict(extra="forbid")
    name: str | None = Field(default=None, pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")
    seed: int = Field(default=0, ge=0)
    rounds: int = Field(default=50, ge=1)
    learners: int = Field(default=10, ge=1)
    data: Section
    learner: Section
    split: Section = Section(name="iid")
    holdout: HoldoutSection = HoldoutSection()
    proposals: Section = Section(name="approval")
    voting: Section = Section(name="majority")
    runtime: Section = Section(name="fused")
    ledger: Section = Section(name="file")
    adversaries: list[AdversarySection] = []

    @staticmethod
    def read(path: Path) -> ExperimentConfig:
        """Read an experiment file.

        Raises:
            ConfigError: it can't be read or is wrong; names the line or the key.
        """
        return ExperimentConfig.from_mapping(read_toml(path), str(path))

    @staticmethod
    def from_mapping(values: Mapping[str, Any], source: str) -> ExperimentConfig:
        """Validate what a file or the command line says.

        A section may be given as a bare name, or without a name when it has a default.
        """
        values = {key: _section(key, value) for key, value in values.items()}
        try:
            return ExperimentConfig.model_validate(values)
        except ValidationError as error:
            known = ", ".join(ExperimentConfig.model_fields)
            raise ConfigError(
                f"{source}: " + "; ".join(_explained(e) for e in error.errors()), hint=f"Keys: {known}."
            ) from None

    def what_decides(self) -> dict[str, Any]:
        """All that the result depends on: not the run's name and length, or where it's computed and recorded."""
        aside = {"name", "rounds", "runtime", "ledger"} | (set() if self.adversaries else {"adversaries"})
        decides: dict[str, Any] = _plain(self.model_dump(exclude=aside), for_json=True)
        return decides

    def to_toml(self) -> str:
        unused = set() if self.adversaries else {"adversaries"}
        return tomli_w.dumps(_plain(self.model_dump(exclude=unused), for_json=False))


def read_toml(path: Path) -> dict[str, Any]:
    """Parse a TOML file.

    Raises:
        ConfigError: it can't be read, or a line of it is no TOML.
    """
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(f"can't read {path}: {error.strerror}", hint="`colearn init` writes one.") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path} is no valid TOML: {error}") from error


def with_setting(values: dict[str, Any], setting: str) -> None:
    """Apply ``section.key=value`` in place; the value is read as TOML, else it's a string.

    Raises:
        ConfigError: the setting has another form.
    """
    match = re.fullmatch(r"([A-Za-z_]+(?:\.[A-Za-z_][A-Za-z0-9_]*)?)\s*=\s*(.+)", setting, re.DOTALL)
    if not match:
        raise ConfigError(f"{setting!r} is no setting", hint="Write section.key=value, such as learner.alpha=0.01.")
    value = toml_value(match[2])
    section, _, key = match[1].rpartition(".")
    if not section:
        values[key] = value
        return
    table = values.setdefault(section, {})
    if isinstance(table, str):
        table = values[section] = {"name": table}
    if not isinstance(table, dict):
        raise ConfigError(f"{setting!r}: {section!r} is a value, not a section")
    table[key] = value


def toml_value(text: str) -> Any:
    """What is typed, read as a TOML value; if it's none, it's a string."""
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        return text


@dataclass(frozen=True)
class Chosen:
    """The component that a section names, with its checked parameters; its errors say whose they are."""

    name: str
    title: str
    implementation: Callable[..., Any]
    parameters: Mapping[str, Any]

    def __call__(self, *args: Any) -> Any:
        try:
            return self.implementation(*args, **self.parameters)
        except ParameterError as error:
            raise ParameterError(f"{self.title}: {error}") from error

    def section(self) -> Section:
        """The section with all defaults written out."""
        return Section(name=self.name, **self.parameters)

    def adversary_section(self, who: AdversarySection) -> AdversarySection:
        return AdversarySection(name=self.name, **{key: getattr(who, key) for key in WHO}, **self.parameters)


@dataclass(frozen=True)
class Prepared:
    """An experiment's parts before they're put together; baselines are built from them too.

    Attributes:
        parts: each learner's data, before any adversary poisons its own.
        adversaries: which learners play one, by number.
    """

    config: ExperimentConfig
    dataset: Dataset
    parts: Sequence[PrivateData]
    make_learner: Callable[[PrivateData], Learner]
    strategy: ProposalStrategy
    policy: VotingPolicy
    plugins: Plugins
    adversaries: Mapping[int, Adversary] = field(default_factory=dict)

    def new_ledger(self, folder: Path) -> Ledger:
        """Begin the ledger of a run in its folder."""
        ledger: Ledger = _chosen(self.plugins, "ledgers", self.config.ledger)(folder)
        return ledger

    def experiment(self, ledger: Ledger | None = None) -> Experiment:
        parts = poisoned(self.parts, self.adversaries, Streams(self.config.seed))
        experiment = Experiment(
            [self.make_learner(part) for part in parts],
            proposals=self.strategy,
            voting=self.policy,
            runtime=_chosen(self.plugins, "runtimes", self.config.runtime),
            seed=self.config.seed,
            ledger=ledger,
            adversaries=self.adversaries,
            plugins=self.plugins,
        )
        experiment.config = self.config
        return experiment


@dataclass(frozen=True)
class Checked:
    """An experiment that's right as far as can be told without its data.

    Attributes:
        config: with all defaults written out.
        make_dataset: loads the data.
        adversaries: which learners play one, by number.
    """

    config: ExperimentConfig
    make_dataset: Callable[[], Dataset]
    make_learner: Callable[[PrivateData], Learner]
    splitter: Splitter
    holdout: Holdout
    strategy: ProposalStrategy
    policy: VotingPolicy
    adversaries: Mapping[int, Adversary]


def check(config: ExperimentConfig, plugins: Plugins) -> Checked:
    """Check every section, and write all defaults into the config; no data are loaded.

    Raises:
        UsageError: a component or parameter is wrong.
    """
    chosen = {section: _chosen(plugins, kind, getattr(config, section)) for section, kind in SECTIONS.items()}
    config = config.model_copy(update={section: choice.section() for section, choice in chosen.items()})
    config, adversaries = _cast(config, plugins)
    splitter, strategy, policy = (chosen[section]() for section in ("split", "proposals", "voting"))
    try:
        holdout = Holdout(config.holdout.vote, config.holdout.test)
    except ParameterError as error:
        raise ParameterError(f"holdout: {error}") from None
    return Checked(config, chosen["data"], chosen["learner"], splitter, holdout, strategy, policy, adversaries)


def prepare(config: ExperimentConfig, plugins: Plugins) -> Prepared:
    """Check every section, load and divide the data, and write all defaults into the config.

    Raises:
        UsageError: a component or parameter is wrong, or the data can't be divided as asked.
        DataError: the data can't be read or used.
    """
    checked = check(config, plugins)
    config, dataset = checked.config, checked.make_dataset()
    parts = partition(dataset, checked.splitter, config.learners, checked.holdout, Streams(config.seed))
    strategy, policy = checked.strategy, checked.policy
    policy.among(np.array([len(part.vote) for part in parts]))  # or an error, before anything is done
    return Prepared(config, dataset, parts, checked.make_learner, strategy, policy, plugins, checked.adversaries)


def build_experiment(config: ExperimentConfig, plugins: Plugins, ledger: Ledger | None = None) -> Experiment:
    return prepare(config, plugins).experiment(ledger)


def _cast(config: ExperimentConfig, plugins: Plugins) -> tuple[ExperimentConfig, dict[int, Adversary]]:
    """Who plays which adversary, and the config with all their defaults."""
    sections = config.adversaries
    choices = [_chosen(plugins, "adversaries", section) for section in sections]
    wanted = [Wanted(c.title, s.share, s.count, s.learners) for c, s in zip(choices, sections, strict=True)]
    playing = roles(wanted, config.learners, Streams(config.seed))
    made: list[Adversary] = [choice() for choice in choices]
    complete = [choice.adversary_section(section) for choice, section in zip(choices, sections, strict=True)]
    return config.model_copy(update={"adversaries": complete}), {i: made[place] for i, place in playing.items()}


def _chosen(plugins: Plugins, kind: str, section: Section) -> Chosen:
    title = f"{KINDS[kind]} {section.name!r}"
    given = GIVEN.get(kind, ())
    implementation = plugins.component(kind, section.name).load()
    parameters = [p.name for p in parameters_of(implementation, given)]
    if "name" in parameters:
        raise PluginError(f"{title} can't be used: its parameter 'name' stands for the component in experiment files")
    if taken := [key for key in WHO if kind == "adversaries" and key in parameters]:
        raise PluginError(f"{title} can't be used: its parameter {taken[0]!r} says in experiment files who plays it")
    return Chosen(section.name, title, implementation, checked(implementation, section.parameters, title, given))


def _plain(value: Any, for_json: bool) -> Any:
    """A value in the types of TOML or JSON; TOML has no null, and JSON no infinity: that is written as text."""
    if isinstance(value, Mapping):
        return {key: _plain(item, for_json) for key, item in value.items() if for_json or item is not None}
    if isinstance(value, list | tuple | set | frozenset):
        return [_plain(item, for_json) for item in value]
    if isinstance(value, float) and for_json and not isfinite(value):
        return repr(value)
    return value if value is None or isinstance(value, bool | int | float | str) else str(value)


def _section(key: str, value: Any) -> Any:
    if key == "adversaries":
        return _adversary_list(value)
    if key not in SECTIONS:
        return value
    if isinstance(value, str):
        return {"name": value}
    default = ExperimentConfig.model_fields[key].default
    return {"name": default.name} | value if isinstance(value, dict) and isinstance(default, Section) else value


def _adversary_list(value: Any) -> Any:
    if isinstance(value, Mapping):
        raise ConfigError("adversaries is one section", hint="There may be several: write [[adversaries]], twice [.")
    return [{"name": item} if isinstance(item, str) else item for item in value] if isinstance(value, list) else value


def adversary_option(text: str) -> dict[str, Any]:
    """The section that ``name``, ``name:count`` or ``name:share`` on the command line stands for.

    Raises:
        ConfigError: it has another form.
    """
    match = re.fullmatch(r"([^:]+)(?::(?:(\d+)|(\d*\.\d+)))?", text)
    if not match:
        raise ConfigError(f"{text!r} is no adversary", hint="Write name:count or name:share, such as sign_flip:0.3.")
    name, count, share = match.groups()
    who = {"count": int(count)} if count else {"share": float(share)} if share else {}
    return {"name": name, **who}


def _explained(error: Any) -> str:
    where = ".".join(map(str, error["loc"]))
    if error["type"] == "extra_forbidden":
        return f"unknown key {where!r}"
    if error["type"] == "missing":
        return f"{where!r} is missing"
    return f"{where} = {error['input']!r}: {error['msg']}"
