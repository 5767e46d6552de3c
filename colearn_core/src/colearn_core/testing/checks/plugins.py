"""What every plugin must do, as a whole; its components have checks of their own."""

from __future__ import annotations

import inspect
import json
import os
import re
import socket
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import is_dataclass
from functools import lru_cache
from importlib.metadata import EntryPoint
from typing import Any

from ...components import KINDS, Component
from ...config import GIVEN
from ...errors import ColearnError, PluginError
from ...hookspecs import PROJECT
from ...parameters import Parameter, checked, parameters_of
from ...plugins import API, BLOCK_VARIABLE, PluginInfo, Plugins
from ..kit import fail, require

FRAMEWORKS = (
    *("torch", "tensorflow", "keras", "jax", "sklearn", "xgboost", "lightgbm", "catboost"),
    *("pandas", "matplotlib", "scipy"),
)
"""What takes seconds to import."""

MARK = f"{PROJECT}_impl"
"""The attribute by which pluggy knows the functions that are marked."""

PATIENCE = 60
"""Seconds that listing may take in a process of its own."""


def metadata_are_complete(info: PluginInfo) -> None:
    """``colearn plugins`` shows what the metadata tell, without importing anything; and pip must not pair a plugin
    with a core that it wasn't made for.
    """
    name = info.name
    require(re.fullmatch(r"[a-z][a-z0-9_]*", name) is not None, f"{name!r} is no name: lowercase letters, digits and _")
    require(bool(info.distribution), f"plugin {name!r} belongs to no distribution")
    version = info.version
    require(re.match(r"v?(\d+!)?\d+(\.\d+)*", version or "") is not None, f"{version!r} is no version number")
    summary = info.summary.strip()
    require(summary not in ("", "UNKNOWN"), f"{info.distribution} has no summary: set `description` in pyproject.toml")
    dist = getattr(info.entry_point, "dist", None)
    if dist is None:
        return
    wanted = [requirement.partition(";")[0].strip() for requirement in dist.requires or ()]
    core = [w for w in wanted if re.split(r"[^A-Za-z0-9._-]", w)[0].lower().replace("_", "-") == "colearn-core"]
    require(bool(core), f"{info.distribution} doesn't require colearn-core (but {', '.join(wanted) or 'nothing'})")
    bounded = any(re.search(r"[<>=~]", w) for w in core)
    require(bounded, f"{info.distribution} requires {core[0]!r} in any version; give a bound, such as ~=0.1")


def the_api_version_fits(info: PluginInfo) -> None:
    """The group of the entry point says which hooks a plugin was written for; a core with others leaves it out."""
    require(info.misfit is None, f"{info.title} {info.misfit}")


def it_loads_and_its_hooks_exist(info: PluginInfo) -> None:
    """A plugin that fails to load, or whose hooks nobody calls, is there and offers nothing."""
    plugins = Plugins([info])
    require(info.name not in plugins.blocked, f"it's blocked by {BLOCK_VARIABLE}")
    for kind in KINDS:
        try:
            plugins.components(kind)
        except PluginError as error:
            if info.name not in plugins.errors:  # a clash of names, which is another check's
                continue
            fail(str(error))
    require(not plugins.errors, "; ".join(str(error) for error in plugins.errors.values()))
    hooks = plugins.hooks_of(info.name)
    require(bool(hooks), f"{info.title} implements no hook; is its function marked @hookimpl?")
    unmarked = _unmarked(info.entry_point.load()) if info.entry_point else []
    require(not unmarked, f"nobody calls {', '.join(unmarked)}: not marked @hookimpl")


def listing_imports_no_framework(info: PluginInfo) -> None:
    """``colearn --help`` lists every plugin: one that imports its framework then, or asks the network, costs everyone
    seconds for each command, those with other plugins too.
    """
    listed = _listed_afresh(info)
    imported, called = listed.get("imported", []), listed.get("called", [])
    require(not imported, f"listing {info.name!r} imports {', '.join(imported)}; name targets by their path instead")
    require(not called, f"listing {info.name!r} uses the network: {', '.join(called)}")


def listing_twice_gives_the_same(info: PluginInfo) -> None:
    """Components are listed again for each look-up: one that was shown must be found."""
    plugins = Plugins([info])
    first, second = ([(kind, c.name, c.target) for kind, c in _offered(plugins, info)] for _ in range(2))
    _require_same(first, second)
    listed = _listed_afresh(info)  # what was used up before this check
    _require_same(listed.get("first", []), listed.get("second", []))


def names_carry_the_plugins_prefix(info: PluginInfo) -> None:
    """Names of components are in experiment files: two plugins, or a plugin and the core, mustn't want the same one."""
    offered = _offered(Plugins([info]), info)
    core = {name: kind for kind in KINDS for name in Plugins([]).components(kind)}
    for kind, component in offered:
        name = component.name
        title = f"{KINDS[kind]} {name!r}"
        require(re.fullmatch(r"[a-z0-9_]+(\.[a-z0-9_]+)*", name) is not None, f"{title}: use a-z, 0-9, _ and dots")
        free = kind == "datasets" and "." not in name
        require(free or name.startswith(f"{info.name}."), f"{title} doesn't begin with '{info.name}.'")
        require(name not in core, f"{title} has the name of the core's {KINDS.get(core.get(name, ''), '')}")
    twice = [name for name, count in Counter(c.name for _, c in offered).items() if count > 1]
    require(not twice, f"offered more than once: {', '.join(twice)}")


def components_load(info: PluginInfo) -> None:
    """What is listed can be chosen; that it isn't there would come out when a run begins."""
    for kind, component in _offered(Plugins([info]), info):
        try:
            found = component.load()
        except PluginError as error:
            fail(str(error))
        require(callable(found), f"{KINDS[kind]} {component.name!r} is {found!r}, which can't be called")


def components_are_documented(info: PluginInfo) -> None:
    """``colearn show`` is the manual: it prints what a component and its parameters say of themselves."""
    for kind, component, implementation in _loaded(info):
        title = f"{KINDS[kind]} {component.name!r}"
        summary = component.summary
        require(bool(summary.strip()) and len(summary.splitlines()) == 1, f"{title} has the summary {summary!r}")
        require(_documented(implementation), f"{title}: {component.target} has no docstring")
        for parameter in _parameters(kind, title, implementation):
            name = parameter.name
            require(parameter.type is not Any, f"{title}: parameter {name!r} has no type")
            require(bool(parameter.help.strip()), f'{title}: parameter {name!r} has no help; Annotated[..., "help"]')


def components_take_what_they_are_given(info: PluginInfo) -> None:
    """The core passes some arguments itself, and all others come from experiment files, by name."""
    for kind, component, implementation in _loaded(info):
        title, given = f"{KINDS[kind]} {component.name!r}", GIVEN.get(kind, ())
        parameters = inspect.signature(implementation).parameters
        first = tuple(parameters)[: len(given)]
        require(first == given, f"{title} takes {first} first; the core passes {given}")
        require("name" not in parameters, f"{title} has a parameter 'name', which in files is the component's own")
        for parameter in list(parameters.values())[len(given) :]:
            passable = parameter.kind is not parameter.POSITIONAL_ONLY
            require(passable, f"{title}: parameter {parameter.name!r} can't be passed by name")


def defaults_suit_their_types(info: PluginInfo) -> None:
    """``colearn init`` writes the defaults into a file; they must be allowed in it too."""
    for kind, component, implementation in _loaded(info):
        title = f"{KINDS[kind]} {component.name!r}"
        optional = [p for p in _parameters(kind, title, implementation) if not p.required]
        try:
            checked(_taking(optional), {p.name: p.default for p in optional}, title)
        except ColearnError as error:
            fail(f"a default is none that a file may set: {error}".splitlines()[0])


def _offered(plugins: Plugins, info: PluginInfo) -> list[tuple[str, Component]]:
    """All components that its hooks give, also those whose names clash; hooks that fail are another check's."""
    found: list[tuple[str, Component]] = []
    for kind in KINDS:
        for implementation in getattr(plugins.hook, f"colearn_{kind}").get_hookimpls():
            if implementation.plugin_name == info.name:
                with suppress(Exception, SystemExit):
                    found += [(kind, item) for item in implementation.function() if isinstance(item, Component)]
    return found


def _loaded(info: PluginInfo) -> Iterator[tuple[str, Component, Callable[..., Any]]]:
    """Its components with what they lead to; those that don't load are another check's."""
    for kind, component in _offered(Plugins([info]), info):
        with suppress(PluginError):
            implementation = component.load()
            if callable(implementation):
                yield kind, component, implementation


def _parameters(kind: str, title: str, implementation: Callable[..., Any]) -> list[Parameter]:
    try:
        return parameters_of(implementation, GIVEN.get(kind, ()))
    except Exception as error:
        fail(f"{title}: its parameters can't be read: {type(error).__name__}: {error}")


def _taking(parameters: list[Parameter]) -> Callable[..., None]:
    """A function of these parameters."""

    def function(**values: Any) -> None: ...

    keywords = [inspect.Parameter(p.name, inspect.Parameter.KEYWORD_ONLY, default=p.default) for p in parameters]
    function.__signature__ = inspect.Signature(keywords)  # type: ignore[attr-defined]
    function.__annotations__ = {p.name: p.type for p in parameters}
    return function


def _documented(implementation: Callable[..., Any]) -> bool:
    text = implementation.__doc__ or ""  # inspect.getdoc() would take the one of a base class
    made_up = is_dataclass(implementation) and text.startswith(f"{getattr(implementation, '__name__', '')}(")
    return bool(text.strip()) and not made_up


def _unmarked(plugin: Any) -> list[str]:
    """Functions that are called like hooks, without being any."""
    names = [name for name in dir(plugin) if name.startswith("colearn_")]
    return [n for n in names if inspect.isroutine(getattr(plugin, n)) and not hasattr(getattr(plugin, n), MARK)]


def _require_same(first: list[Any], second: list[Any]) -> None:
    lost = [item for item in first if item not in second]
    new = [item for item in second if item not in first]
    require(not lost and not new, f"a second listing lacks {lost or 'nothing'} and adds {new or 'nothing'}")
    require(first == second, f"a second listing has another order: {[item[1] for item in second]}")


def _listed_afresh(info: PluginInfo) -> dict[str, list[Any]]:
    """What :func:`_list` finds in a process of its own; nothing for a plugin that can't be found there."""
    value = getattr(info.entry_point, "value", None)
    if value is None:
        return {}
    done = _process(json.dumps({"name": info.name, "value": value, "path": sys.path}))
    try:
        found: dict[str, list[Any]] = json.loads(done.stdout.splitlines()[-1])
    except (IndexError, ValueError):
        last = (done.stderr.strip() or "no output").splitlines()[-1]
        fail(f"listing {info.name!r} in a process of its own ends with exit code {done.returncode}: {last}")
    return found


@lru_cache(maxsize=1)  # two checks ask for the same
def _process(asked: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", f"from {__name__} import _list; _list()", asked]
    environment = {name: text for name, text in os.environ.items() if name != BLOCK_VARIABLE}
    environment["PYTHONPATH"] = os.pathsep.join(filter(None, sys.path))  # may be needed to import this module
    try:
        return subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE, env=environment)
    except subprocess.TimeoutExpired:
        fail(f"listing the plugin takes more than {PATIENCE} s")


def _list() -> None:
    """List one plugin twice and ask for its commands; print what that gave, imported and called."""
    import click

    asked = json.loads(sys.argv[1])
    sys.path[:] = asked["path"]
    called: list[str] = []

    def refuse(*arguments: Any, **keywords: Any) -> None:
        called.append(" ".join(str(a) for a in arguments if not isinstance(a, socket.socket)))
        raise OSError("no network while plugins are listed")

    for owner, name in ((socket.socket, "connect"), (socket.socket, "connect_ex"), (socket, "getaddrinfo")):
        setattr(owner, name, refuse)
    before = set(sys.modules)
    info = PluginInfo(asked["name"], "", "", API, "", EntryPoint(asked["name"], asked["value"], "colearn"))
    plugins = Plugins([info])
    first, second = ([(kind, c.name, c.target) for kind, c in _offered(plugins, info)] for _ in range(2))
    plugins.notify("colearn_commands", group=click.Group())
    imported = sorted((set(sys.modules) - before).intersection(FRAMEWORKS))
    print(json.dumps({"imported": imported, "called": called, "first": first, "second": second}))
