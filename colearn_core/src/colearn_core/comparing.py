"""A comparison: a grid of experiments that differ in chosen keys, and the run that each of them is."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass
from functools import cached_property
from importlib.metadata import version
from itertools import product
from pathlib import Path
from typing import Any

import tomli_w

from .config import SECTIONS, ExperimentConfig, check, read_toml, toml_value
from .errors import ConfigError, UsageError
from .measured import Budget
from .plugins import CORE, Plugins

FORMAT = 1
"""Of the files of finished runs; others are played again."""

VARY, TRAININGS, SEED = "vary", "trainings", "seed"
NEVER_VARIED = ("name", "ledger")
"""What no result depends on."""

Label = str | int | float | bool


@dataclass(frozen=True)
class Alternative:
    """One value of a varied key, and how tables call it."""

    value: Any
    label: Label

    @staticmethod
    def of(value: Any) -> Alternative:
        """From a TOML value. A table's key ``label`` names it; ``{label = ..., value = ...}`` names any value."""
        if isinstance(value, Mapping) and "label" in value:
            rest = {k: v for k, v in value.items() if k != "label"}
            return Alternative(rest["value"] if rest.keys() == {"value"} else rest, str(value["label"]))
        return Alternative(value, value if isinstance(value, bool | int | float | str) else described(value))


@dataclass(frozen=True)
class Axis:
    """A key of experiment files, such as ``proposals`` or ``split.alpha``, and the values it takes.

    Raises:
        ConfigError: it can't be varied, or two of its values have the same label.
    """

    key: str
    alternatives: tuple[Alternative, ...]

    def __post_init__(self) -> None:
        section, _, parameter = self.key.partition(".")
        known = [*(k for k in ExperimentConfig.model_fields if k not in NEVER_VARIED), TRAININGS]
        if section not in known or (parameter and section not in (*SECTIONS, "holdout")):
            raise ConfigError(f"{self.key!r} can't be varied", hint=f"Keys: {', '.join(known)}; or split.alpha.")
        labels = [str(a.label) for a in self.alternatives]
        if not labels:
            raise ConfigError(f"{self.key} is varied over no value")
        twice = next((label for label in labels if labels.count(label) > 1), None)
        if twice is not None:
            raise ConfigError(
                f"{self.key} has the value {twice!r} twice",
                hint='Name values apart: {name = "approval", size = 10, label = "approval of all"}.',
            )

    @staticmethod
    def of(key: str, values: Any) -> Axis:
        if not isinstance(values, list):
            raise ConfigError(f"{VARY}: {key} = {values!r} is no list of values", hint=f'Write "{key}" = [..., ...].')
        return Axis(key, tuple(map(Alternative.of, values)))


@dataclass(frozen=True)
class PlannedRun:
    """One run of a comparison.

    Attributes:
        labels: by varied key, what this run has there.
        config: the experiment, with all defaults written out.
        budget: when it ends.
        identity: all that its result depends on, in JSON values.
    """

    labels: Mapping[str, Label]
    config: ExperimentConfig
    budget: Budget
    identity: Mapping[str, Any]

    @cached_property
    def digest(self) -> str:
        """SHA-256, in hex, of the identity as canonical JSON."""
        text = json.dumps(self.identity, sort_keys=True, separators=(",", ":"), allow_nan=False)
        return hashlib.sha256(text.encode()).hexdigest()

    @property
    def series(self) -> tuple[Label, ...]:
        """What it shares with the runs that differ from it in the seed only."""
        return tuple(label for key, label in self.labels.items() if key != SEED)

    @property
    def title(self) -> str:
        return title_of(self.labels)


@dataclass(frozen=True)
class Grid:
    """An experiment, as an experiment file tells it, and the keys in which its runs differ; the seed is the last.

    Args:
        base: what an experiment file says, with ``trainings`` in place of ``rounds`` if that's the budget.
        source: where it comes from, for messages.
    """

    base: Mapping[str, Any]
    axes: tuple[Axis, ...]
    source: str = "grid"

    @staticmethod
    def of(values: Mapping[str, Any], source: str) -> Grid:
        """From the content of a file: an experiment and the table ``vary``.

        Raises:
            ConfigError: the table says what can't be varied.
        """
        base = {key: value for key, value in values.items() if key != VARY}
        vary = values.get(VARY, {})
        if not isinstance(vary, Mapping):
            raise ConfigError(
                f"{source}: {VARY} is no table", hint='Write [vary] and below it "split.alpha" = [1, 0.1].'
            )
        return Grid(base, tuple(Axis.of(key, value) for key, value in _flat(vary)), source)

    @staticmethod
    def read(path: Path) -> Grid:
        return Grid.of(read_toml(path), str(path))

    def varying(self, axis: Axis) -> Grid:
        """With this axis in place of one of the same key, or besides the others."""
        same = any(a.key == axis.key for a in self.axes)
        axes = tuple(axis if a.key == axis.key else a for a in self.axes) if same else (*self.axes, axis)
        return Grid(self.base, axes, self.source)

    def seeded(self, count: int) -> Grid:
        """With so many seeds, from the experiment's own on."""
        first = self.base.get(SEED, 0)
        return self.varying(Axis.of(SEED, list(range(first, first + count))))

    def runs(self, plugins: Plugins) -> list[PlannedRun]:
        """Every run of the grid, checked as far as can be without loading data.

        Raises:
            UsageError: one of them is wrong; the message names it.
        """
        axes = sorted(self.axes, key=lambda axis: axis.key == SEED)
        planner = _Planner(plugins, self.source)
        return [
            planner.planned(dict(zip([a.key for a in axes], chosen, strict=True)), self.base)
            for chosen in product(*(axis.alternatives for axis in axes))
        ]

    def to_toml(self) -> str:
        """A file that :meth:`read` reads as the same grid."""
        vary: dict[str, Any] = {axis.key: [_as_toml(a) for a in axis.alternatives] for axis in self.axes}
        return tomli_w.dumps({**self.base, **({VARY: vary} if vary else {})})


class _Planner:
    """From combinations to planned runs."""

    def __init__(self, plugins: Plugins, source: str) -> None:
        self._plugins = plugins
        self._source = source
        self._files: dict[str, str] = {}

    def planned(self, chosen: Mapping[str, Alternative], base: Mapping[str, Any]) -> PlannedRun:
        labels = {key: alternative.label for key, alternative in chosen.items()}
        values = deepcopy(dict(base))
        for key in sorted(chosen, key=lambda key: "." in key):  # whole sections first, then their parameters
            _put(values, key, deepcopy(chosen[key].value))
        try:
            budget = _budget(values)
            config = ExperimentConfig.from_mapping({"rounds": budget.most_rounds} | values, self._source)
            return self._checked(labels, config, budget)
        except UsageError as error:
            error.args = (f"{title_of(labels)}: {error.args[0]}" if labels else error.args[0],)
            raise

    def _checked(self, labels: Mapping[str, Label], config: ExperimentConfig, budget: Budget) -> PlannedRun:
        checked = check(config, self._plugins)
        config = checked.config
        budget.check(checked.strategy, config.learners, config.seed)
        identity = {
            "format": FORMAT,
            "experiment": config.what_decides(),
            "runtime": config.runtime.name,
            "budget": {key: value for key, value in budget._asdict().items() if value is not None},
            "versions": self._versions(config),
            "files": {key: self._digest(v) for key, v in config.data.parameters.items() if _is_file(v)},
        }
        return PlannedRun(labels, config, budget, identity)

    def _versions(self, config: ExperimentConfig) -> dict[str, str]:
        """The distributions that the components come from, and the core."""
        found = {"colearn-core": version("colearn-core")}
        chosen = [(kind, getattr(config, section).name) for section, kind in SECTIONS.items()]
        chosen += [("adversaries", section.name) for section in config.adversaries]
        for kind, name in chosen:
            plugin, _ = self._plugins.components(kind)[name]
            if plugin != CORE:
                info = self._plugins.infos[plugin]
                found[info.distribution] = info.version
        return found

    def _digest(self, path: str) -> str:
        if path not in self._files:
            with open(path, "rb") as file:
                self._files[path] = hashlib.file_digest(file, "sha256").hexdigest()
        return self._files[path]


def vary_option(text: str) -> Axis:
    """An axis from ``KEY=V1,V2,...``: each value is read as TOML, else it's a string.

    Raises:
        ConfigError: it has another form.
    """
    key, equals, values = text.partition("=")
    if not equals or not values.strip():
        raise ConfigError(f"{text!r} varies nothing", hint="Write KEY=VALUE,VALUE, such as split.alpha=100,0.5,0.1.")
    return Axis(key.strip(), tuple(Alternative.of(toml_value(piece)) for piece in _pieces(values)))


def title_of(labels: Mapping[str, Label]) -> str:
    """``proposals=approval, split.alpha=0.1``"""
    return ", ".join(f"{key}={label}" for key, label in labels.items())


def described(value: Any) -> str:
    """A value in few words: a component with its parameters, or several of them."""
    if isinstance(value, Mapping):
        name = [str(value["name"])] if "name" in value else []
        return " ".join([*name, *(f"{k}={described(v)}" for k, v in value.items() if k != "name")])
    if isinstance(value, list) and any(isinstance(item, Mapping) for item in value):
        return " + ".join(map(described, value))
    if isinstance(value, list):
        return f"[{', '.join(map(described, value))}]" if value else "none"
    return str(value)


def _flat(vary: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """Keys with their values, whether ``split.alpha`` is written with quotes or without."""
    for key, value in vary.items():
        if isinstance(value, Mapping):
            yield from ((f"{key}.{parameter}", values) for parameter, values in value.items())
        else:
            yield key, value


def _as_toml(alternative: Alternative) -> Any:
    if Alternative.of(alternative.value) == alternative:
        return alternative.value
    return {"label": alternative.label, "value": alternative.value}


def _put(values: dict[str, Any], key: str, value: Any) -> None:
    section, _, parameter = key.partition(".")
    if not parameter:
        values[key] = value
        return
    table = values.get(section, {})
    values[section] = {**({"name": table} if isinstance(table, str) else table), parameter: value}


def _budget(values: dict[str, Any]) -> Budget:
    """Taken out of what a file says, since experiments know rounds only."""
    if TRAININGS not in values:
        rounds = values.get("rounds", ExperimentConfig.model_fields["rounds"].default)
        return Budget(rounds=rounds) if isinstance(rounds, int) else Budget()
    trainings = values.pop(TRAININGS)
    if "rounds" in values:
        raise ConfigError("a budget is either rounds or trainings, not both", hint="Leave one of them out.")
    if not isinstance(trainings, int) or isinstance(trainings, bool) or trainings < 1:
        raise ConfigError(f"trainings = {trainings!r} is no number of local trainings, 1 or more")
    return Budget(trainings=trainings)


def _pieces(text: str) -> Sequence[str]:
    """What stands between commas that are neither quoted nor in brackets."""
    pieces, depth, quote = [""], 0, ""
    for character in text:
        if quote:
            quote = "" if character == quote else quote
        elif character in "\"'":
            quote = character
        else:
            depth += (character in "[{") - (character in "]}")
        if character == "," and depth == 0 and not quote:
            pieces.append("")
        else:
            pieces[-1] += character
    return [piece.strip() for piece in pieces]


def _is_file(value: Any) -> bool:
    return isinstance(value, str) and bool(value) and Path(value).is_file()
