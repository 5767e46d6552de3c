"""Every hook is documented, and called as its documentation says."""

from __future__ import annotations

import inspect
import re
import sys
import textwrap
from dataclasses import dataclass
from importlib import import_module
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import Any

import click
import numpy as np
import pytest
from click.testing import CliRunner

from colearn_core import builtin, hookspecs
from colearn_core.components import KINDS
from colearn_core.experiment import Experiment
from colearn_core.learner import Learner, Proposal
from colearn_core.ledger import FileLedger
from colearn_core.metrics import metric
from colearn_core.parameters import parameters_of
from colearn_core.plugins import PluginInfo, Plugins
from colearn_core.scores import Part, Score
from colearn_core.weights import Weights

HOOKS = [name for name, value in vars(hookspecs).items() if hasattr(value, f"{hookspecs.PROJECT}_spec")]
DOCS = Path(__file__).resolve().parents[2] / "docs"
OUTSIDE = "the docs folder isn't there: these tests run outside of the repository"


@dataclass(frozen=True)
class Pull(Learner):
    """Pulls one number towards a goal of its own."""

    goal: float

    vote_metric = metric("mse")
    test_metric = metric("mse")

    def initial_weights(self, rng: np.random.Generator) -> Weights:
        return Weights({"w": rng.normal(size=2)})

    def propose_weights(self, base: Weights, rng: np.random.Generator) -> Proposal:
        return Proposal(Weights({"w": base["w"] + 0.5 * (self.goal - base["w"])}), 3)

    def test_weights(self, weights: Weights, part: Part) -> Score:
        return Score(float(np.square(weights["w"] - self.goal).mean()), 3)


def learners() -> list[Learner]:
    return [Pull(1.0), Pull(1.1), Pull(0.9)]


class Workshop:
    """Makes plugins of source text."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def plugin(self, name: str, source: str) -> PluginInfo:
        (self.folder / f"plug_{name}.py").write_text(
            "from __future__ import annotations\nfrom colearn_core import Component, hookimpl\n" + source
        )
        return PluginInfo(name, f"colearn-{name}", "9.9", 1, "", EntryPoint(name, f"plug_{name}", "colearn.v1"))

    def plugins(self, source: str) -> Plugins:
        plugins = Plugins([self.plugin("mine", source)])
        assert not plugins.errors
        return plugins

    def events(self, name: str = "mine") -> list[Any]:
        """What the plugin of this name noted in its list of events."""
        noted: list[Any] = import_module(f"plug_{name}").events
        return noted


@pytest.fixture
def workshop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Workshop:
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delenv("COLEARN_BLOCK_PLUGINS", raising=False)
    for module in [m for m in sys.modules if m.startswith("plug_")]:
        monkeypatch.delitem(sys.modules, module)
    return Workshop(tmp_path)


# Complete


def test_all_kinds_of_components_have_a_hook_and_there_are_no_others() -> None:
    offering = [f"colearn_{kind}" for kind in KINDS]
    others = [
        "colearn_commands",
        "colearn_experiment_started",
        "colearn_round_finished",
        "colearn_experiment_finished",
    ]
    assert sorted(HOOKS) == sorted(offering + others)


@pytest.mark.parametrize("hook", HOOKS)
def test_a_hook_says_when_it_is_called(hook: str) -> None:
    text = inspect.getdoc(getattr(hookspecs, hook))
    assert text
    assert "Called " in text


@pytest.mark.parametrize("hook", HOOKS)
def test_a_hook_shows_an_example(hook: str) -> None:
    assert f"def {hook}(" in example(hook)


@pytest.mark.parametrize("hook", HOOKS)
def test_a_hook_is_implemented_by_a_test(hook: str) -> None:
    assert re.search(rf"^def {hook}\(", Path(__file__).read_text(encoding="utf-8"), re.MULTILINE)


@pytest.mark.parametrize("hook", [name for name in HOOKS if hasattr(builtin, name)])
def test_the_core_implements_its_own_hooks_like_a_plugin(hook: str) -> None:
    assert hook in Plugins([]).hooks_of("core")


# Components

LEARNERS = """
@hookimpl
def colearn_learners():
    return [Component("mine.learner", "plug_mine:Learner")]

class Learner:
    def __init__(self, data, rate=0.5):
        self.given = data, rate
"""

POLICIES = """
@hookimpl
def colearn_voting_policies():
    return [Component("mine.policy", "plug_mine:policy")]

def policy():
    from colearn_core.voting import Threshold
    return Threshold(share=0.01)
"""

SPLITTERS = """
@hookimpl
def colearn_splitters():
    return [Component("mine.splitter", "plug_mine:splitter")]

def splitter():
    from colearn_core.splitting import Iid
    return Iid()
"""

STRATEGIES = """
@hookimpl
def colearn_proposal_strategies():
    yield Component("mine.strategy", "plug_mine:strategy")

def strategy():
    from colearn_core.proposing import Committee
    return Committee(size=2)
"""

DATASETS = """
@hookimpl
def colearn_datasets():
    return (Component("digits", "plug_mine:digits"),)

def digits(samples=10):
    import numpy as np
    from colearn_core import Dataset, Samples, Task
    return Dataset("digits", Samples(np.zeros((samples, 1)), np.zeros(samples)), Task())
"""

LEDGERS = """
@hookimpl
def colearn_ledgers():
    return [Component("mine.ledger", "plug_mine:begin")]

def begin(folder, fast=True):
    from colearn_core import FileLedger
    return FileLedger(folder)
"""

RUNTIMES = """
events = []

@hookimpl
def colearn_runtimes():
    return [Component("mine.runtime", "plug_mine:runtime")]

def runtime(learners, names, workers=2):
    from colearn_core import LoopCohort
    events.append((len(learners), names, workers))
    return LoopCohort(learners, names)
"""

ADVERSARIES = """
@hookimpl
def colearn_adversaries():
    return [Component("mine.lazy", "plug_mine:lazy")]

def lazy(noise=0.5):
    from colearn_core.adversaries import FreeRider
    return FreeRider(noise)
"""

OFFERS = {
    "learners": (LEARNERS, "mine.learner"),
    "voting_policies": (POLICIES, "mine.policy"),
    "splitters": (SPLITTERS, "mine.splitter"),
    "proposal_strategies": (STRATEGIES, "mine.strategy"),
    "datasets": (DATASETS, "digits"),
    "ledgers": (LEDGERS, "mine.ledger"),
    "runtimes": (RUNTIMES, "mine.runtime"),
    "adversaries": (ADVERSARIES, "mine.lazy"),
}


@pytest.mark.parametrize("kind", KINDS)
def test_components_are_offered_by_the_hook_of_their_kind_alone(workshop: Workshop, kind: str) -> None:
    source, name = OFFERS[kind]
    plugins = workshop.plugins(source)
    assert plugins.hooks_of("mine") == [f"colearn_{kind}"]
    for other in KINDS:
        mine = [n for n, (owner, _) in plugins.components(other).items() if owner == "mine"]
        assert mine == ([name] if other == kind else [])
    assert callable(plugins.component(kind, name).load())


def test_a_hook_is_called_anew_for_each_listing_and_not_before(workshop: Workshop) -> None:
    plugins = workshop.plugins(
        "events = []\n@hookimpl\ndef colearn_splitters():\n    events.append(1)\n    return []\n"
    )
    assert workshop.events() == []
    plugins.components("splitters")
    plugins.components("learners")
    assert workshop.events() == [1]
    plugins.component("splitters", "iid")
    assert workshop.events() == [1, 1]


def test_an_experiment_takes_its_parts_from_plugins_by_name(workshop: Workshop) -> None:
    plugins = workshop.plugins(POLICIES + STRATEGIES + RUNTIMES)
    experiment = Experiment(
        learners(),
        voting="mine.policy",
        proposals="mine.strategy",
        runtime="mine.runtime",
        names=["a", "b", "c"],
        plugins=plugins,
    )
    (record,) = experiment.rounds(1)
    assert len(record.proposers) == 2
    assert record.accepted
    assert workshop.events() == [(3, ["a", "b", "c"], 2)]


def test_a_runtime_gets_no_names_when_the_learners_have_none(workshop: Workshop) -> None:
    experiment = Experiment(learners(), runtime="mine.runtime", plugins=workshop.plugins(RUNTIMES))
    assert workshop.events() == [(3, None, 2)]
    assert experiment.cohort.names == ("learner-0", "learner-1", "learner-2")


def test_a_ledger_of_a_plugin_begins_in_the_folder_it_is_given(workshop: Workshop, tmp_path: Path) -> None:
    begin = workshop.plugins(LEDGERS).component("ledgers", "mine.ledger").load()
    with begin(tmp_path / "run") as ledger:
        Experiment(learners(), ledger=ledger, plugins=Plugins([])).run(1)
    assert (tmp_path / "run" / "ledger.jsonl").read_text().count("\n") == 2


# Commands

COMMANDS = """
import click

@hookimpl
def colearn_commands(group):
    group.add_command(greet)

@click.command()
@click.option("--name", default="world")
def greet(name):
    click.echo(f"hello {name}")
"""


def test_commands_are_added_to_the_group(workshop: Workshop) -> None:
    group = click.Group()
    workshop.plugins(COMMANDS).hook.colearn_commands(group=group)
    result = CliRunner().invoke(group, ["greet", "--name", "you"])
    assert (result.exit_code, result.output) == (0, "hello you\n")


def install(folder: Path, name: str) -> None:
    """Make the distribution of a plugin visible to ``importlib.metadata``."""
    about = folder / f"fake_{name}-1.dist-info"
    about.mkdir()
    (about / "METADATA").write_text(f"Metadata-Version: 2.1\nName: fake-{name}\nVersion: 1\n")
    (about / "entry_points.txt").write_text(f"[colearn.v1]\n{name} = plug_{name}\n")


def test_commands_of_an_installed_plugin_are_commands_of_colearn(workshop: Workshop, tmp_path: Path) -> None:
    from colearn_core.cli import main

    workshop.plugin("mine", COMMANDS)
    install(tmp_path, "mine")
    assert "greet" in CliRunner().invoke(main, ["--help"]).output
    assert CliRunner().invoke(main, ["greet"]).output == "hello world\n"


def test_a_plugin_cant_replace_a_command_of_the_core(workshop: Workshop, tmp_path: Path) -> None:
    from colearn_core.cli import main

    workshop.plugin("mine", COMMANDS.replace("click.command()", "click.command('components')"))
    install(tmp_path, "mine")
    result = CliRunner().invoke(main, ["components", "splitters"])
    assert result.exit_code == 0
    assert "dirichlet" in result.output


def test_a_plugin_that_fails_to_add_commands_costs_nobody_elses(workshop: Workshop, tmp_path: Path) -> None:
    from colearn_core.cli import main

    workshop.plugin("mine", COMMANDS)
    workshop.plugin("bad", "@hookimpl\ndef colearn_commands(group):\n    1 / 0\n")
    install(tmp_path, "mine")
    install(tmp_path, "bad")
    result = CliRunner().invoke(main, ["--help"])
    assert result.exit_code == 0
    assert "greet" in result.output
    assert "components" in result.output


# Observers

OBSERVERS = """
events = []

@hookimpl
def colearn_experiment_started(experiment):
    events.append(("started", len(experiment.cohort)))

@hookimpl
def colearn_round_finished(experiment, record):
    events.append(("round", record.round, experiment.weights == record.standing.weights))

@hookimpl
def colearn_experiment_finished(experiment, run):
    events.append(("finished", list(run.history.round), run.weights == experiment.weights))
"""


def test_observers_see_the_start_each_round_and_the_end(workshop: Workshop) -> None:
    Experiment(learners(), plugins=workshop.plugins(OBSERVERS)).run(2)
    assert workshop.events() == [
        ("started", 3),
        ("round", 1, True),
        ("round", 2, True),
        ("finished", [1, 2], True),
    ]


def test_observers_need_not_take_all_arguments(workshop: Workshop) -> None:
    plugins = workshop.plugins(
        "events = []\n@hookimpl\ndef colearn_round_finished(record):\n    events.append(record.round)\n"
    )
    Experiment(learners(), plugins=plugins).run(3)
    assert workshop.events() == [1, 2, 3]


def test_a_round_is_observed_when_the_ledger_holds_it_and_before_it_is_handed_out(
    workshop: Workshop, tmp_path: Path
) -> None:
    plugins = workshop.plugins(
        "events = []\n"
        "@hookimpl\n"
        "def colearn_round_finished(experiment, record):\n"
        "    events.append((record.round, experiment.ledger.path.read_bytes().count(b'\\n')))\n"
    )
    with FileLedger(tmp_path / "run") as ledger:
        for record in Experiment(learners(), ledger=ledger, plugins=plugins).rounds(3):
            assert workshop.events()[-1] == (record.round, record.round + 1)


def test_the_start_is_observed_once_however_many_runs_follow(workshop: Workshop) -> None:
    experiment = Experiment(learners(), plugins=workshop.plugins(OBSERVERS))
    experiment.run(1)
    experiment.run(1)
    assert [event[0] for event in workshop.events()] == ["started", "round", "finished", "round", "finished"]
    assert [event[1] for event in workshop.events() if event[0] == "round"] == [1, 2]


def test_rounds_taken_one_by_one_have_no_end_to_observe(workshop: Workshop) -> None:
    list(Experiment(learners(), plugins=workshop.plugins(OBSERVERS)).rounds(2))
    assert [event[0] for event in workshop.events()] == ["started", "round", "round"]


def test_the_end_is_observed_when_the_run_is_stopped_between_rounds(workshop: Workshop) -> None:
    experiment = Experiment(learners(), plugins=workshop.plugins(OBSERVERS))
    run = experiment.run(5, lambda record, history: record.round == 2)
    assert workshop.events()[-1] == ("finished", [1, 2], True)
    assert run.history.round == [1, 2]


@dataclass(frozen=True)
class Interrupted(Pull):
    """Ctrl-C comes in the training with these numbers, from 1."""

    at: tuple[int, ...]
    calls: list[int]

    def propose_weights(self, base: Weights, rng: np.random.Generator) -> Proposal:
        self.calls.append(1)
        if len(self.calls) in self.at:
            raise KeyboardInterrupt
        return super().propose_weights(base, rng)


def test_the_end_is_observed_when_a_round_was_interrupted(workshop: Workshop) -> None:
    parties = [Interrupted(1.0, (3,), [])]
    Experiment(parties, plugins=workshop.plugins(OBSERVERS)).run(5)
    assert workshop.events()[-1] == ("finished", [1, 2], True)


def test_the_start_is_observed_once_when_the_first_round_was_interrupted_and_played_again(
    workshop: Workshop,
) -> None:
    experiment = Experiment([Interrupted(1.0, (1,), [])], plugins=workshop.plugins(OBSERVERS))
    experiment.run(2)
    experiment.run(2)
    assert [event[0] for event in workshop.events()] == ["started", "finished", "round", "round", "finished"]


@pytest.mark.parametrize(
    ("hook", "arguments"),
    [
        ("colearn_experiment_started", "experiment"),
        ("colearn_round_finished", "experiment, record"),
        ("colearn_experiment_finished", "experiment, run"),
    ],
)
def test_an_observer_that_fails_is_a_value_and_costs_neither_the_run_nor_the_other_observers(
    workshop: Workshop, hook: str, arguments: str
) -> None:
    bad = workshop.plugin("bad", f"@hookimpl\ndef {hook}({arguments}):\n    1 / 0\n")
    good = workshop.plugin("mine", OBSERVERS)
    for infos in ([bad, good], [good, bad]):
        plugins = Plugins(infos)
        run = Experiment(learners(), plugins=plugins).run(2)
        assert run.history.round == [1, 2]
        assert "ZeroDivisionError" in str(plugins.errors["bad"])
        assert "colearn-bad 9.9" in str(plugins.errors["bad"])
    assert [event[0] for event in workshop.events()] == ["started", "round", "round", "finished"] * 2


# The examples of the docs


def example(hook: str) -> str:
    """The source of the example in the docstring of a hook."""
    text = inspect.getdoc(getattr(hookspecs, hook)) or ""
    _, _, source = text.partition("\nExample::\n\n")
    assert source, f"the docstring of {hook} ends in no example"
    return textwrap.dedent(source)


@pytest.mark.parametrize("hook", HOOKS)
def test_the_example_of_a_hook_works_as_a_plugin(workshop: Workshop, hook: str) -> None:
    source = example(hook)
    assert 3 <= len([line for line in source.splitlines() if line.strip()]) <= 12
    plugins = workshop.plugins(source)
    assert plugins.hooks_of("mine") == [hook]
    kind = hook.removeprefix("colearn_")
    if kind in KINDS:
        mine = [c for owner, c in plugins.components(kind).values() if owner == "mine"]
        assert mine
        assert all(c.name.startswith("mine.") and c.summary for c in mine)
    group = click.Group()
    plugins.hook.colearn_commands(group=group)
    Experiment(learners(), plugins=plugins).run(1)
    assert not plugins.errors
    for name in group.commands:
        result = CliRunner().invoke(group, [name])
        assert result.exit_code == 0, result.output
        assert result.output


def test_the_plugin_of_the_page_on_components_works(workshop: Workshop) -> None:
    if not DOCS.is_dir():
        pytest.skip(OUTSIDE)
    text = (DOCS / "authors" / "components.md").read_text(encoding="utf-8")
    hook, policy, test = re.findall(r"^```python.*?\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    package = workshop.folder / "colearn_mine_plugin"
    package.mkdir()
    (package / "__init__.py").write_text("")
    (package / "policies.py").write_text(policy)
    (package / "plugin.py").write_text(hook)
    namespace: dict[str, Any] = {}
    exec(test, namespace)
    cautious = namespace["plugins"].component("voting_policies", "mine.cautious").load()
    assert [p.name for p in parameters_of(cautious)] == ["quorum", "min_improvement", "at_least"]
    assert cautious(at_least=2).passes(2, 3)
    assert not cautious().passes(2, 3)
