"""Finding, blocking and loading plugins; a broken one costs its own components only."""

from __future__ import annotations

import re
import sys
from importlib import import_module
from importlib.metadata import EntryPoint
from pathlib import Path

import pytest

from colearn_core.components import KINDS, Component
from colearn_core.config import GIVEN
from colearn_core.errors import PluginError, UnknownComponentError
from colearn_core.parameters import parameters_of
from colearn_core.plugins import BLOCK_VARIABLE, CORE, PluginInfo, Plugins, installed

GOOD = """
from colearn_core import Component, hookimpl
@hookimpl
def colearn_learners():
    return [Component("good.mean", "collections:Counter", "A learner")]
"""

BROKEN_AT_IMPORT = {
    "missing": ("import no_such_module_xyz", "ModuleNotFoundError: No module named 'no_such_module_xyz'"),
    "raises": ("raise RuntimeError('boom')", "RuntimeError: boom"),
    "exits": ("raise SystemExit('bye')", "SystemExit: bye"),
    "syntax": ("def (:", "SyntaxError"),
    "misspelt": (
        "from colearn_core import hookimpl\n@hookimpl\ndef colearn_lerners(): return []",
        "unknown hook 'colearn_lerners'",
    ),
    "argument": (
        "from colearn_core import hookimpl\n@hookimpl\ndef colearn_learners(surprise): return []",
        "surprise",
    ),
}

BROKEN_WHEN_CALLED = {
    "raising": ("return [1 / 0]", "ZeroDivisionError"),
    "generator": ("yield 1 / 0", "ZeroDivisionError"),
    "exiting": ("raise SystemExit('bye')", "SystemExit: bye"),
    "strings": ("return ['mean']", "'mean', which is no Component"),
    "nothing": ("pass", "TypeError"),
    "bare": ("return Component('bare.mean', 'x:y')", "TypeError"),
}


def plugin(folder: Path, name: str, source: str, api: int = 1) -> PluginInfo:
    """A plugin whose module lies in the folder; it isn't imported here."""
    (folder / f"plug_{name}.py").write_text(source)
    return PluginInfo(
        name, f"colearn-{name}-plugin", "9.9", api, "", EntryPoint(name, f"plug_{name}", f"colearn.v{api}")
    )


def offering(kind: str, name: str, target: str = "collections:Counter") -> str:
    return f"""
from colearn_core import Component, hookimpl
@hookimpl
def colearn_{kind}():
    return [Component({name!r}, {target!r})]
"""


@pytest.fixture(autouse=True)
def _importable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delenv(BLOCK_VARIABLE, raising=False)
    for module in [m for m in sys.modules if m.startswith("plug_")]:
        monkeypatch.delitem(sys.modules, module)


def learners(plugins: Plugins) -> list[str]:
    """The learners that plugins offer, besides the core's own."""
    return [name for name, (plugin, _) in plugins.components("learners").items() if plugin != "core"]


def imported(name: str) -> bool:
    return f"plug_{name}" in sys.modules


# Broken plugins


@pytest.mark.parametrize("kind", BROKEN_AT_IMPORT)
@pytest.mark.parametrize("good_first", [True, False])
def test_a_plugin_that_cant_be_loaded_is_a_value_and_the_others_work(
    tmp_path: Path, kind: str, good_first: bool
) -> None:
    source, why = BROKEN_AT_IMPORT[kind]
    infos = [plugin(tmp_path, "good", GOOD), plugin(tmp_path, kind, source)]
    plugins = Plugins(infos if good_first else infos[::-1])
    assert list(plugins.errors) == [kind]
    message = str(plugins.errors[kind])
    assert f"colearn-{kind}-plugin 9.9" in message
    assert why in message
    assert learners(plugins) == ["good.mean"]
    assert "majority" in plugins.components("voting_policies")
    assert plugins.hooks_of("good") == ["colearn_learners"]
    assert plugins.hooks_of(kind) == []


@pytest.mark.parametrize("kind", BROKEN_WHEN_CALLED)
def test_a_hook_that_fails_costs_its_own_plugin_only(tmp_path: Path, kind: str) -> None:
    body, why = BROKEN_WHEN_CALLED[kind]
    source = f"from colearn_core import Component, hookimpl\n@hookimpl\ndef colearn_learners():\n    {body}\n"
    plugins = Plugins([plugin(tmp_path, kind, source), plugin(tmp_path, "good", GOOD)])
    assert not plugins.errors  # nothing was called yet
    assert learners(plugins) == ["good.mean"]
    assert list(plugins.errors) == [kind]
    message = str(plugins.errors[kind])
    assert f"colearn-{kind}-plugin 9.9" in message
    assert "colearn_learners" in message
    assert why in message


def test_a_plugin_with_a_failing_hook_is_left_out_of_all_hooks_afterwards(tmp_path: Path) -> None:
    source = offering("splitters", "half.split") + "@hookimpl\ndef colearn_learners():\n    return [1 / 0]\n"
    plugins = Plugins([plugin(tmp_path, "half", source)])
    assert "half.split" in plugins.components("splitters")
    plugins.components("learners")
    assert "half.split" not in plugins.components("splitters")


def test_the_cause_of_a_broken_plugin_is_kept_for_a_traceback(tmp_path: Path) -> None:
    plugins = Plugins([plugin(tmp_path, "raises", BROKEN_AT_IMPORT["raises"][0])])
    assert isinstance(plugins.errors["raises"].__cause__, RuntimeError)


def test_a_plugin_for_a_newer_api_is_listed_with_the_reason_and_never_imported(tmp_path: Path) -> None:
    info = plugin(tmp_path, "future", GOOD, api=2)
    plugins = Plugins([info])
    assert info.misfit is not None
    assert "plugin API 2; this one has 1" in info.misfit
    assert plugins.infos["future"] is info
    assert "colearn-future-plugin 9.9" in str(plugins.errors["future"])
    assert info.misfit in str(plugins.errors["future"])
    assert not learners(plugins)
    assert not imported("future")


# Blocking


def test_a_plugin_blocked_by_argument_is_not_imported(tmp_path: Path) -> None:
    plugins = Plugins(
        [plugin(tmp_path, "good", GOOD), plugin(tmp_path, "other", offering("learners", "other.l"))], block=["good"]
    )
    assert not imported("good")
    assert imported("other")
    assert plugins.blocked == {"good"}
    assert "good" in plugins.infos
    assert not plugins.errors
    assert learners(plugins) == ["other.l"]


def test_plugins_blocked_by_the_environment_are_not_imported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(BLOCK_VARIABLE, " one , two,, ")
    assert BLOCK_VARIABLE == "COLEARN_BLOCK_PLUGINS"  # its name is public
    plugins = Plugins([plugin(tmp_path, name, GOOD) for name in ("one", "two", "three")])
    assert [name for name in ("one", "two", "three") if imported(name)] == ["three"]
    assert plugins.blocked == {"one", "two"}
    assert not plugins.errors


def test_the_argument_and_the_environment_block_together(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(BLOCK_VARIABLE, "one")
    plugins = Plugins([plugin(tmp_path, name, GOOD) for name in ("one", "two", "three")], block=["two"])
    assert plugins.blocked == {"one", "two"}
    assert learners(plugins) == ["good.mean"]


def test_blocking_a_broken_plugin_silences_its_error(tmp_path: Path) -> None:
    info = plugin(tmp_path, "raises", BROKEN_AT_IMPORT["raises"][0])
    assert Plugins([info]).errors
    assert not Plugins([info], block=["raises"]).errors


# Names in conflict


def test_a_component_name_offered_twice_is_an_error_that_says_how_to_block_one(tmp_path: Path) -> None:
    infos = [plugin(tmp_path, "one", GOOD), plugin(tmp_path, "two", GOOD)]
    with pytest.raises(PluginError) as caught:
        Plugins(infos).components("learners")
    message = str(caught.value)
    assert "'good.mean'" in message
    assert "'one'" in message
    assert "'two'" in message
    assert "--block two" in message
    assert "COLEARN_BLOCK_PLUGINS=two" in message
    assert learners(Plugins(infos, block=["two"])) == ["good.mean"]


def test_a_plugin_cant_silently_replace_a_component_of_the_core(tmp_path: Path) -> None:
    plugins = Plugins([plugin(tmp_path, "usurper", offering("voting_policies", "majority"))])
    with pytest.raises(PluginError, match="'majority' is offered by both"):
        plugins.component("voting_policies", "majority")


def test_one_name_may_stand_for_components_of_different_kinds(tmp_path: Path) -> None:
    source = offering("learners", "good.mean") + offering("splitters", "good.mean")
    plugins = Plugins([plugin(tmp_path, "good", source)])
    assert "good.mean" in plugins.components("learners")
    assert "good.mean" in plugins.components("splitters")


def test_of_two_plugins_with_one_name_the_second_is_reported_with_both_distributions(tmp_path: Path) -> None:
    first = plugin(tmp_path, "good", GOOD)
    (tmp_path / "plug_other.py").write_text(offering("learners", "other.l"))
    second = PluginInfo("good", "colearn-rival", "0.3", 1, "", EntryPoint("good", "plug_other", "colearn.v1"))
    plugins = Plugins([first, second])
    assert learners(plugins) == ["good.mean"]
    assert not imported("other")
    (message,) = map(str, plugins.errors.values())
    assert "colearn-rival 0.3" in message
    assert "colearn-good-plugin" in message
    assert {info.distribution for info in plugins.infos.values()} == {"colearn-good-plugin", "colearn-rival"}


def test_a_plugin_cant_take_the_name_of_the_core(tmp_path: Path) -> None:
    plugins = Plugins([plugin(tmp_path, CORE, GOOD)])
    (message,) = map(str, plugins.errors.values())
    assert f"colearn-{CORE}-plugin 9.9" in message
    assert "majority" in plugins.components("voting_policies")
    assert not imported(CORE)


# Looking components up


def test_an_unknown_name_gets_a_suggestion_and_the_known_names() -> None:
    with pytest.raises(UnknownComponentError) as caught:
        Plugins([]).component("voting_policies", "majorty")
    message = str(caught.value)
    assert "unknown voting policy 'majorty'" in message
    assert "Did you mean 'majority'?" in message
    assert re.search(r"Known: majority, .*, threshold, unanimous, weighted\.", message)


def test_a_name_without_its_prefix_gets_the_full_one_as_suggestion(tmp_path: Path) -> None:
    plugins = Plugins([plugin(tmp_path, "good", offering("learners", "good.gradient_boosting"))])
    with pytest.raises(UnknownComponentError, match=r"Did you mean 'good\.gradient_boosting'\?"):
        plugins.component("learners", "gradient_boosting")


def test_a_name_of_a_plugin_that_isnt_there_says_what_to_install() -> None:
    with pytest.raises(UnknownComponentError, match="pip install colearn-torch-plugin"):
        Plugins([]).component("learners", "torch.cnn")


def test_without_any_component_of_a_kind_the_message_says_what_to_install() -> None:
    with pytest.raises(UnknownComponentError, match="pip install colearn-sklearn-plugin"):
        Plugins([]).component("learners", "mlp")


def test_a_component_of_a_broken_plugin_is_unknown_for_the_plugins_reason(tmp_path: Path) -> None:
    plugins = Plugins([plugin(tmp_path, "missing", BROKEN_AT_IMPORT["missing"][0])])
    with pytest.raises(UnknownComponentError, match="No module named 'no_such_module_xyz'"):
        plugins.component("learners", "missing.cnn")


def test_a_component_of_a_blocked_plugin_is_unknown_because_it_is_blocked(tmp_path: Path) -> None:
    plugins = Plugins([plugin(tmp_path, "good", GOOD)], block=["good"])
    with pytest.raises(UnknownComponentError, match="'good' is blocked") as caught:
        plugins.component("learners", "good.mean")
    assert "pip install" not in str(caught.value)


def test_a_broken_plugin_doesnt_hide_what_to_do_about_another(tmp_path: Path) -> None:
    broken = plugin(tmp_path, "missing", BROKEN_AT_IMPORT["missing"][0])
    plugins = Plugins([broken, plugin(tmp_path, "good", GOOD)], block=["good"])
    with pytest.raises(UnknownComponentError, match="pip install colearn-torch-plugin"):
        plugins.component("learners", "torch.cnn")
    with pytest.raises(UnknownComponentError, match="'good' is blocked"):
        plugins.component("learners", "good.mean")


def test_an_unknown_kind_lists_the_kinds() -> None:
    with pytest.raises(
        UnknownComponentError, match=r"unknown kind of component 'learner'\nKinds: learners, voting_pol"
    ):
        Plugins([]).components("learner")


def test_components_are_sorted_by_name_and_know_their_plugin(tmp_path: Path) -> None:
    plugins = Plugins(
        [
            plugin(tmp_path, "beta", offering("splitters", "beta.s")),
            plugin(tmp_path, "alpha", offering("splitters", "alpha.s")),
        ]
    )
    table = plugins.components("splitters")
    assert list(table) == sorted(table)
    assert {name: owner for name, (owner, _) in table.items() if "." in name} == {"alpha.s": "alpha", "beta.s": "beta"}


def test_listing_a_component_does_not_import_its_target(tmp_path: Path) -> None:
    plugins = Plugins([plugin(tmp_path, "lazy", offering("learners", "lazy.l", "plug_heavy:thing"))])
    (tmp_path / "plug_heavy.py").write_text("thing = 42")
    component = plugins.component("learners", "lazy.l")
    assert not imported("heavy")
    assert component.load() == 42
    assert imported("heavy")


@pytest.mark.parametrize(
    ("source", "why"),
    [
        ("import no_such_module_xyz", "No module named 'no_such_module_xyz'"),
        ("other = 1", "thing"),
        ("raise RuntimeError('boom')", "RuntimeError: boom"),
        ("raise SystemExit('bye')", "SystemExit: bye"),
        ("def (:", "SyntaxError"),
    ],
)
def test_a_component_whose_target_cant_be_imported_is_a_plugin_error(tmp_path: Path, source: str, why: str) -> None:
    (tmp_path / "plug_target.py").write_text(source)
    with pytest.raises(PluginError) as caught:
        Component("lazy.l", "plug_target:thing").load()
    message = str(caught.value)
    assert "'lazy.l'" in message
    assert "'plug_target:thing'" in message
    assert why in message


@pytest.mark.parametrize("target", ["no_such_module_xyz:thing", "collections", "", ":Counter"])
def test_a_target_that_leads_nowhere_is_a_plugin_error(target: str) -> None:
    with pytest.raises(PluginError, match=r"lazy\.l"):
        Component("lazy.l", target).load()


# What is installed


def distribution(folder: Path, name: str, version: str, entry_points: str) -> None:
    about = folder / f"{name.replace('-', '_')}-{version}.dist-info"
    about.mkdir()
    (about / "METADATA").write_text(
        f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\nSummary: All about {name}\n"
    )
    (about / "entry_points.txt").write_text(entry_points)


def ours(infos: list[PluginInfo]) -> list[PluginInfo]:
    """Without what the surroundings have installed."""
    return [info for info in infos if info.distribution.startswith("fake-")]


def test_installed_reads_metadata_and_imports_nothing(tmp_path: Path) -> None:
    (tmp_path / "plug_fake.py").write_text("raise SystemExit('imported')")
    distribution(tmp_path, "fake-one", "1.2.3", "[colearn.v1]\nfake = plug_fake\n")
    before = set(sys.modules)
    (info,) = ours(installed())
    assert (info.name, info.distribution, info.version, info.api, info.summary) == (
        "fake",
        "fake-one",
        "1.2.3",
        1,
        "All about fake-one",
    )
    assert info.title == "plugin 'fake' of fake-one 1.2.3"
    assert info.misfit is None
    assert not {m for m in set(sys.modules) - before if m.startswith("plug_")}


def test_installed_is_sorted_by_name_whatever_the_distribution(tmp_path: Path) -> None:
    distribution(tmp_path, "fake-a", "1", "[colearn.v1]\nzeta = plug_z\nbeta = plug_b\n")
    distribution(tmp_path, "fake-b", "1", "[colearn.v1]\nalpha = plug_a\nbeta = plug_b\n")
    assert [(info.name, info.distribution) for info in ours(installed())] == [
        ("alpha", "fake-b"),
        ("beta", "fake-a"),
        ("beta", "fake-b"),
        ("zeta", "fake-a"),
    ]


def test_installed_lists_newer_apis_and_ignores_other_groups(tmp_path: Path) -> None:
    groups = ("colearn.v1", "colearn.v12", "colearn.vx", "colearn.v", "colearn", "console_scripts")
    distribution(tmp_path, "fake-many", "1", "".join(f"[{g}]\np{i} = plug_p:main\n" for i, g in enumerate(groups)))
    found = ours(installed())
    assert [(info.name, info.api) for info in found] == [("p0", 1), ("p1", 12)]
    assert found[1].misfit is not None


def test_by_default_all_that_is_installed_is_loaded(tmp_path: Path) -> None:
    (tmp_path / "plug_fake.py").write_text(offering("learners", "fake.l"))
    distribution(tmp_path, "fake-one", "1.2.3", "[colearn.v1]\nfake = plug_fake\n")
    plugins = Plugins()
    assert plugins.infos["fake"].version == "1.2.3"
    assert plugins.components("learners")["fake.l"][0] == "fake"


# The core's own components

BUILT_IN = [
    (kind, component.name)
    for kind in KINDS
    for plugin_name, component in Plugins([]).components(kind).values()
    if plugin_name == CORE
]


def test_the_core_offers_its_components_by_the_hooks_that_plugins_use() -> None:
    plugins = Plugins([])
    builtin = import_module("colearn_core.builtin")
    for kind in ("voting_policies", "splitters", "proposal_strategies", "ledgers", "runtimes"):
        assert f"colearn_{kind}" in plugins.hooks_of(CORE)
        declared = getattr(builtin, f"colearn_{kind}")()
        assert declared
        assert [name for name, (owner, _) in plugins.components(kind).items() if owner == CORE] == sorted(
            component.name for component in declared
        )


@pytest.mark.parametrize(("kind", "name"), BUILT_IN)
def test_a_built_in_component_loads_and_is_described(kind: str, name: str) -> None:
    component = Plugins([]).component(kind, name)
    assert component.summary
    assert "." not in component.name  # bare names are the core's
    implementation = component.load()
    assert callable(implementation)
    assert implementation.__doc__
    for parameter in parameters_of(implementation, GIVEN.get(kind, ())):
        assert parameter.help, f"{name}: {parameter.name} has no help text"
