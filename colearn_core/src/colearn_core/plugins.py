"""Find, block and load plugins. Finding reads metadata only and imports nothing."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from importlib.metadata import entry_points
from typing import Any, Protocol

import pluggy

from . import builtin, hookspecs
from .components import KINDS, Component
from .errors import PluginError, UnknownComponentError

API = 1
GROUP_PREFIX = "colearn.v"  # the plugin API version is part of the group's name
BLOCK_VARIABLE = "COLEARN_BLOCK_PLUGINS"
CORE = "core"


class Loadable(Protocol):
    """What leads to a plugin's module: an entry point, or in a test what stands for one."""

    def load(self) -> Any: ...


@dataclass(frozen=True)
class PluginInfo:
    """What the metadata of an installed distribution tell about a plugin."""

    name: str
    distribution: str
    version: str
    api: int
    summary: str = ""
    entry_point: Loadable | None = field(default=None, repr=False)

    @property
    def title(self) -> str:
        return f"plugin {self.name!r} of {self.distribution} {self.version}"

    @property
    def misfit(self) -> str | None:
        """Why this plugin can't be used with this core, as far as metadata tell."""
        if self.api == API:
            return None
        return f"needs a colearn-core with plugin API {self.api}; this one has {API}"


def installed() -> list[PluginInfo]:
    """Every installed plugin, sorted by name, none of them imported."""
    found = []
    everything = entry_points()
    for group in everything.groups:
        api = group.removeprefix(GROUP_PREFIX)
        if not group.startswith(GROUP_PREFIX) or not api.isdecimal():
            continue
        for entry_point in everything.select(group=group):
            if entry_point.dist is not None:
                about = entry_point.dist.metadata
                summary = str(about.json.get("summary", ""))
                found.append(
                    PluginInfo(entry_point.name, about["Name"], about["Version"], int(api), summary, entry_point)
                )
    return sorted(found, key=lambda plugin: (plugin.name, plugin.api, plugin.distribution))


def blocked_by_environment() -> list[str]:
    """The plugins that the environment variable says to leave out."""
    return [name.strip() for name in os.environ.get(BLOCK_VARIABLE, "").split(",") if name.strip()]


class Plugins:
    """The loaded plugins and the components they offer.

    Args:
        plugins: what to load; by default all that are installed.
        block: plugins not to import, besides those that ``COLEARN_BLOCK_PLUGINS`` names.

    Attributes:
        infos: what was asked to load, by name.
        blocked: the names of plugins that were left out.
        errors: the plugins that can't be used, each with its reason; an error here is never raised.
    """

    def __init__(self, plugins: Iterable[PluginInfo] | None = None, block: Iterable[str] = ()) -> None:
        self.blocked = {*block, *blocked_by_environment()}
        self.infos: dict[str, PluginInfo] = {}
        self.errors: dict[str, PluginError] = {}
        self._manager = pluggy.PluginManager(hookspecs.PROJECT)
        self._manager.add_hookspecs(hookspecs)
        self._manager.register(builtin, CORE)
        for info in installed() if plugins is None else plugins:
            self._admit(info)

    @property
    def hook(self) -> Any:
        """pluggy's caller of all hooks."""
        return self._manager.hook

    def notify(self, hook: str, **arguments: Any) -> None:
        """Call a hook that returns nothing; a plugin that fails in it is left out from then on."""
        implementations = getattr(self._manager.hook, hook).get_hookimpls()
        for implementation in implementations:
            try:
                implementation.function(*(arguments[name] for name in implementation.argnames))
            except (Exception, SystemExit) as error:  # an observer's failure must not cost the run
                info = self.infos[implementation.plugin_name]
                self._fail(info, f"failed in {hook}: {type(error).__name__}: {error}", error)
                import logging

                logging.getLogger(__name__).warning("%s; it's left out from now on", self.errors[info.name])

    def hooks_of(self, name: str) -> list[str]:
        """The hooks that a loaded plugin implements; none for one that is blocked or broken."""
        plugin = self._manager.get_plugin(name)
        return sorted(caller.name for caller in self._manager.get_hookcallers(plugin) or ()) if plugin else []

    def components(self, kind: str) -> dict[str, tuple[str, Component]]:
        """Name to (plugin, component), sorted by name.

        Raises:
            PluginError: two plugins offer the same name.
        """
        table: dict[str, tuple[str, Component]] = {}
        for plugin, component in self._offers(kind):
            if component.name in table:
                other = table[component.name][0]
                raise PluginError(
                    f"{KINDS[kind]} {component.name!r} is offered by both {other!r} and {plugin!r}",
                    hint=f"Block one of them: --block {plugin}, or {BLOCK_VARIABLE}={plugin}.",
                )
            table[component.name] = (plugin, component)
        return dict(sorted(table.items()))

    def component(self, kind: str, name: str) -> Component:
        """The component of this kind and name.

        Raises:
            UnknownComponentError: there's none; the message suggests what may have been meant, or
                what to install.
        """
        table = self.components(kind)
        if name not in table:
            raise UnknownComponentError(f"unknown {KINDS[kind]} {name!r}", hint=self._advice(kind, name, list(table)))
        return table[name][1]

    def _admit(self, info: PluginInfo) -> None:
        if info.name in self.blocked:
            self.infos.setdefault(info.name, info)
            return
        if info.name in self.infos or info.name == CORE:
            other = self.infos[info.name].distribution if info.name in self.infos else "colearn-core"
            key = f"{info.name} ({info.distribution})"
            self.infos[key] = info
            self.errors[key] = PluginError(f"{info.title} has the same name as the plugin of {other}")
            return
        self.infos[info.name] = info
        if info.misfit:
            self._fail(info, info.misfit)
        elif info.entry_point is not None:
            self._load(info, info.entry_point)

    def _load(self, info: PluginInfo, entry_point: Loadable) -> None:
        try:
            self._manager.register(entry_point.load(), info.name)
            self._manager.check_pending()
        except (Exception, SystemExit) as error:  # whatever a plugin raises, the core goes on without it
            self._fail(info, f"failed to load: {type(error).__name__}: {error}", error)

    def _fail(self, info: PluginInfo, reason: str, cause: BaseException | None = None) -> None:
        failure = PluginError(f"{info.title} {reason}")
        failure.__cause__ = cause
        self.errors[info.name] = failure
        if self._manager.has_plugin(info.name):
            self._manager.unregister(name=info.name)

    def _offers(self, kind: str) -> Iterator[tuple[str, Component]]:
        if kind not in KINDS:
            raise UnknownComponentError(f"unknown kind of component {kind!r}", hint=f"Kinds: {', '.join(KINDS)}.")
        hook = f"colearn_{kind}"
        for implementation in list(getattr(self.hook, hook).get_hookimpls()):
            name = implementation.plugin_name
            try:
                offered = list(implementation.function())
                wrong = [item for item in offered if not isinstance(item, Component)]
                if wrong:
                    raise TypeError(f"it returned {wrong[0]!r}, which is no Component")
            except (Exception, SystemExit) as error:  # one plugin's failing hook costs its own components only
                self._fail(self.infos[name], f"failed in {hook}: {type(error).__name__}: {error}", error)
                continue
            for component in offered:
                yield name, component

    def _advice(self, kind: str, name: str, known: list[str]) -> str:
        from difflib import get_close_matches

        lines = []
        close = get_close_matches(name, known, n=1, cutoff=0.6) or [k for k in known if k.endswith(f".{name}")][:1]
        if close:
            lines.append(f"Did you mean {close[0]!r}?")
        prefix = name.partition(".")[0] if "." in name else None
        lines.extend(f"Broken: {error}." for error in self.errors.values())
        if prefix in self.errors:
            pass  # that's why
        elif prefix in self.blocked:
            lines.append(f"The plugin {prefix!r} is blocked.")
        elif prefix and prefix not in self.infos:
            lines.append(f"No plugin {prefix!r} is installed; try: pip install colearn-{prefix}-plugin")
        elif prefix is None and self.blocked:
            lines.append(f"Blocked plugins: {', '.join(sorted(self.blocked))}.")
        elif prefix is None and kind in ("learners", "datasets") and "sklearn" not in self.infos:
            lines.append("More come with plugins; try: pip install colearn-sklearn-plugin")
        if known:
            lines.append(f"Known: {', '.join(known)}.")
        return "\n".join(lines)
