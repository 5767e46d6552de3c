"""The experiment file: what is read, what is refused and in which words, and what comes of it."""

from __future__ import annotations

import sys
import tomllib
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from colearn_core.config import ExperimentConfig, Section, build_experiment, prepare, read_toml, with_setting
from colearn_core.errors import ColearnError, ConfigError, ParameterError, SplitError, UnknownComponentError
from colearn_core.experiment import Experiment
from colearn_core.ledger import FileLedger, LedgerFile
from colearn_core.plugins import PluginInfo, Plugins

MINIMAL: dict[str, Any] = {"data": "tiny.line", "learner": "tiny.mean"}

TINY = """
from __future__ import annotations

from pathlib import Path
from typing import Annotated

import numpy as np
from annotated_types import Ge
from colearn_core import Component, Dataset, Learner, PrivateData, Proposal, Samples, Score, Task, Weights, hookimpl
from colearn_core.errors import ParameterError
from colearn_core.metrics import metric


@hookimpl
def colearn_datasets():
    return [Component("tiny.line", f"{__name__}:line"), Component("tiny.file", f"{__name__}:file")]


@hookimpl
def colearn_learners():
    return [Component("tiny.mean", f"{__name__}:Mean"), Component("tiny.gone", "no_such_module_xyz:Gone")]


@hookimpl
def colearn_splitters():
    return [Component("tiny.named", f"{__name__}:named")]


def line(samples: Annotated[int, Ge(1), "How many"] = 40, noise: Annotated[float, "Its spread"] = 0.5) -> Dataset:
    x = np.linspace(0, 1, samples)
    return Dataset("line", Samples(x[:, None], x + noise * np.sin(99 * x)), Task())


def file(path: Annotated[Path, "Where it lies"] = Path("here/data.csv"), header: bool | None = None) -> Dataset:
    return line()


def named(name: str = "x"):
    return None


class Mean(Learner):
    '''Learns the mean of its targets.'''

    vote_metric = test_metric = metric("mse")

    def __init__(
        self,
        data: PrivateData,
        rate: Annotated[float, "Step size"] = 0.5,
        layers: Annotated[tuple[int, ...], "Unused"] = (4, 2),
        limit: float = 1.0,
    ) -> None:
        if rate == 13:
            raise ParameterError("rate 13 brings bad luck")
        self.data, self.rate = data, rate

    def initial_weights(self, rng):
        return Weights({"mean": rng.normal(size=1)})

    def propose_weights(self, base, rng):
        y = self.data.train.y
        return Proposal(Weights({"mean": base["mean"] + self.rate * (y.mean() - base["mean"])}), len(y))

    def test_weights(self, weights, part):
        y = getattr(self.data, part).y
        return Score(float(np.square(y - weights["mean"]).mean()) if len(y) else float("nan"), len(y))
"""


@pytest.fixture
def tiny(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Plugins:
    """The core and a plugin of a data set and a learner."""
    (tmp_path / "plug_tiny.py").write_text(TINY)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(sys.modules, "plug_tiny", raising=False)
    info = PluginInfo("tiny", "colearn-tiny-plugin", "0.9", 1, "", EntryPoint("tiny", "plug_tiny", "colearn.v1"))
    plugins = Plugins([info])
    assert not plugins.errors
    return plugins


def config(**values: Any) -> ExperimentConfig:
    return ExperimentConfig.from_mapping({**MINIMAL, **values}, "test")


# Reading


def test_a_file_is_read_with_its_sections_and_their_parameters(tmp_path: Path) -> None:
    (tmp_path / "experiment.toml").write_text(
        'name = "first"\nseed = 3\nlearners = 4\nsplit = "shards"\n'
        '[data]\nname = "digits"\n[learner]\nname = "tiny.mean"\nrate = 0.25\n[holdout]\nvote = 0.2\n'
    )
    read = ExperimentConfig.read(tmp_path / "experiment.toml")
    assert (read.name, read.seed, read.learners) == ("first", 3, 4)
    assert (read.learner.name, read.learner.parameters) == ("tiny.mean", {"rate": 0.25})
    assert read.split == Section(name="shards")
    assert (read.holdout.vote, read.holdout.test) == (0.2, 0.15)


def test_what_a_file_leaves_out_has_defaults() -> None:
    read = config()
    assert (read.name, read.seed, read.rounds, read.learners) == (None, 0, 50, 10)
    assert [read.split.name, read.proposals.name, read.voting.name, read.runtime.name] == [
        "iid",
        "approval",
        "majority",
        "fused",
    ]


def test_a_toml_error_is_told_with_its_file_and_line(tmp_path: Path) -> None:
    (tmp_path / "bad.toml").write_text("seed = 1\nrounds = \n")
    with pytest.raises(ConfigError, match=r"bad\.toml is no valid TOML: .*line 2"):
        ExperimentConfig.read(tmp_path / "bad.toml")


def test_a_file_that_isnt_text_is_a_config_error(tmp_path: Path) -> None:
    (tmp_path / "bad.toml").write_bytes(b"seed = 1 # \xff\xfe")
    with pytest.raises(ConfigError, match=r"bad\.toml is no valid TOML"):
        read_toml(tmp_path / "bad.toml")


def test_a_file_that_isnt_there_is_a_config_error_that_says_how_to_get_one(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"can't read .*none\.toml: No such file") as caught:
        ExperimentConfig.read(tmp_path / "none.toml")
    assert "colearn init" in str(caught.value)


def test_a_folder_in_place_of_a_file_is_a_config_error(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="can't read"):
        read_toml(tmp_path)


# Validating


@pytest.mark.parametrize(
    ("values", "complaint"),
    [
        ({"sed": 1}, "unknown key 'sed'"),
        ({"holdout": {"train": 0.5}}, "unknown key 'holdout.train'"),
        ({"rounds": "many"}, "rounds = 'many'"),
        ({"rounds": 2.5}, "rounds = 2.5"),
        ({"rounds": 0}, "rounds = 0: Input should be greater than or equal to 1"),
        ({"learners": 0}, "learners = 0: Input should be greater than or equal to 1"),
        ({"seed": -1}, "seed = -1: Input should be greater than or equal to 0"),
        ({"split": 3}, "split = 3"),
        ({"learner": {"rate": 0.5}}, "'learner.name' is missing"),
        ({"voting": {"name": 5}}, "voting.name = 5"),
        ({"holdout": {"vote": "half"}}, "holdout.vote = 'half'"),
        ({"holdout": 0.2}, "holdout = 0.2"),
        ({"name": ""}, "name = ''"),
        ({"name": "../escape"}, "name = '../escape'"),
        ({"name": ".hidden"}, "name = '.hidden'"),
        ({"name": "a b"}, "name = 'a b'"),
        ({"name": "line\n"}, r"name = 'line\n'"),
    ],
)
def test_a_wrong_value_is_named_with_its_source_and_key(values: dict[str, Any], complaint: str) -> None:
    with pytest.raises(ConfigError) as caught:
        ExperimentConfig.from_mapping({**MINIMAL, **values}, "my.toml")
    message = str(caught.value)
    assert message.startswith("my.toml: ")
    assert complaint in message
    assert "Keys: name, seed, rounds, learners, data" in message


@pytest.mark.parametrize("missing", ["data", "learner"])
def test_a_missing_section_is_named(missing: str) -> None:
    values = {key: value for key, value in MINIMAL.items() if key != missing}
    with pytest.raises(ConfigError, match=f"'{missing}' is missing"):
        ExperimentConfig.from_mapping(values, "my.toml")


def test_all_that_is_wrong_is_told_at_once() -> None:
    with pytest.raises(ConfigError, match=r"seed = -1.*rounds = 0.*'learner' is missing.*unknown key 'x'"):
        ExperimentConfig.from_mapping({"seed": -1, "rounds": 0, "data": "digits", "x": 1}, "my.toml")


def test_a_section_may_be_given_as_a_bare_name() -> None:
    assert config(split="dirichlet") == config(split={"name": "dirichlet"})


def test_a_section_without_a_name_is_about_the_default_component() -> None:
    assert config(voting={"quorum": 0.2}) == config(voting={"name": "majority", "quorum": 0.2})


# Settings


@pytest.mark.parametrize(
    ("setting", "expected"),
    [
        ("learner.rate=0.5", {"learner": {"rate": 0.5}}),
        ("learner.rate = 0.5", {"learner": {"rate": 0.5}}),
        ("learner.layers=[8, 4]", {"learner": {"layers": [8, 4]}}),
        ("voting.inclusive=false", {"voting": {"inclusive": False}}),
        ('voting.share="2/3"', {"voting": {"share": "2/3"}}),
        ("voting.share=2/3", {"voting": {"share": "2/3"}}),
        ("learner.solver=adam", {"learner": {"solver": "adam"}}),
        ("data.path=a=b.csv", {"data": {"path": "a=b.csv"}}),
        ("seed=7", {"seed": 7}),
        ("split=dirichlet", {"split": "dirichlet"}),
    ],
)
def test_a_setting_is_read_as_toml_or_else_as_a_string(setting: str, expected: dict[str, Any]) -> None:
    values: dict[str, Any] = {}
    with_setting(values, setting)
    assert values == expected


def test_a_setting_wins_over_the_file_and_leaves_the_rest() -> None:
    values: dict[str, Any] = {"learner": {"name": "tiny.mean", "rate": 1, "limit": 2}, "seed": 1}
    with_setting(values, "learner.rate=0.5")
    with_setting(values, "seed=2")
    assert values == {"learner": {"name": "tiny.mean", "rate": 0.5, "limit": 2}, "seed": 2}


def test_a_setting_makes_a_section_of_a_bare_name() -> None:
    values: dict[str, Any] = {"split": "dirichlet"}
    with_setting(values, "split.alpha=0.1")
    assert values == {"split": {"name": "dirichlet", "alpha": 0.1}}


@pytest.mark.parametrize(
    "setting", ["", "learner", "learner.rate", "=3", "learner.rate=", ".rate=1", "learner.=1", "a.b.c=1", "le arner=1"]
)
def test_a_setting_of_another_form_is_refused_with_the_right_one(setting: str) -> None:
    with pytest.raises(ConfigError, match="is no setting") as caught:
        with_setting({}, setting)
    assert "section.key=value" in str(caught.value)


def test_a_setting_cant_make_a_section_of_a_number() -> None:
    with pytest.raises(ConfigError, match="'seed' is a value, not a section"):
        with_setting({"seed": 1}, "seed.x=1")


@given(st.text(st.characters(codec="utf-8"), min_size=1))
def test_any_value_of_a_setting_is_taken_or_refused_in_words(value: str) -> None:
    values: dict[str, Any] = {}
    try:
        with_setting(values, f"learner.rate={value}")
    except ConfigError:
        assert not value.strip()
    else:
        assert set(values["learner"]) == {"rate"}


# Writing


def test_what_is_written_as_toml_reads_as_the_same(tmp_path: Path, tiny: Plugins) -> None:
    full = prepare(
        config(name="first", voting={"name": "threshold", "share": "2/3"}, proposals="line_search", seed=5), tiny
    ).config
    (tmp_path / "written.toml").write_text(full.to_toml())
    read = ExperimentConfig.read(tmp_path / "written.toml")
    assert prepare(read, tiny).config == full
    assert read.to_toml() == full.to_toml()


def test_without_a_name_none_is_written() -> None:
    assert "name" not in tomllib.loads(config().to_toml())


def test_parameters_that_are_paths_or_none_can_be_written(tmp_path: Path, tiny: Plugins) -> None:
    full = prepare(config(data="tiny.file"), tiny).config
    assert full.data.parameters == {"path": Path("here/data.csv"), "header": None}
    (tmp_path / "written.toml").write_text(full.to_toml())
    assert tomllib.loads(full.to_toml())["data"] == {"name": "tiny.file", "path": "here/data.csv"}
    assert prepare(ExperimentConfig.read(tmp_path / "written.toml"), tiny).config == full


def test_an_infinite_parameter_survives_writing(tiny: Plugins) -> None:
    full = prepare(config(learner={"name": "tiny.mean", "limit": float("inf")}), tiny).config
    assert tomllib.loads(full.to_toml())["learner"]["limit"] == float("inf")


def test_what_decides_the_result_leaves_out_name_rounds_and_runtime() -> None:
    decides = config().what_decides()
    assert decides == config(name="x", rounds=3, runtime="loop").what_decides()
    assert decides != config(seed=1).what_decides()
    assert decides != config(learner={"name": "tiny.mean", "rate": 0.1}).what_decides()
    assert not {"name", "rounds", "runtime"} & set(decides)


# Preparing


def test_preparing_writes_all_defaults_into_the_config(tiny: Plugins) -> None:
    full = prepare(config(learner={"name": "tiny.mean", "rate": 1}, split="dirichlet"), tiny).config
    assert full.data.parameters == {"samples": 40, "noise": 0.5}
    assert full.learner.parameters == {"rate": 1.0, "layers": (4, 2), "limit": 1.0}
    assert full.split.parameters == {"alpha": 0.5, "min_samples": 1, "balanced": False, "column": None, "shares": ()}
    assert full.voting.parameters == {"quorum": 0.5, "min_improvement": 0.0}
    assert full.runtime.parameters == {}


def test_parameters_reach_the_components(tiny: Plugins) -> None:
    prepared = prepare(
        config(data={"name": "tiny.line", "samples": 24}, learner={"name": "tiny.mean", "rate": 0.25}, learners=3), tiny
    )
    assert len(prepared.dataset.samples) == 24
    assert sum(len(p.train) + len(p.vote) + len(p.test) for p in prepared.parts) == 24
    learner: Any = prepared.make_learner(prepared.parts[0])
    assert learner.rate == 0.25
    assert learner.data is prepared.parts[0]


@pytest.mark.parametrize(
    ("section", "kind"),
    [
        ("data", "data set"),
        ("learner", "learner"),
        ("split", "splitter"),
        ("proposals", "proposal strategy"),
        ("voting", "voting policy"),
        ("runtime", "runtime"),
    ],
)
def test_an_unknown_component_of_any_section_is_named_with_its_kind(tiny: Plugins, section: str, kind: str) -> None:
    with pytest.raises(UnknownComponentError, match=f"unknown {kind} 'tiny.nonsense'"):
        prepare(config(**{section: "tiny.nonsense"}), tiny)


@pytest.mark.parametrize(
    ("section", "values", "complaint"),
    [
        ("data", {"name": "tiny.line", "sample": 3}, "data set 'tiny.line' has no parameter 'sample'"),
        ("learner", {"name": "tiny.mean", "speed": 3}, "learner 'tiny.mean' has no parameter 'speed'"),
        ("learner", {"name": "tiny.mean", "data": 3}, "learner 'tiny.mean' has no parameter 'data'"),
        ("learner", {"name": "tiny.mean", "rate": "x"}, "learner 'tiny.mean': rate = 'x' is no float"),
        ("split", {"name": "dirichlet", "alpha": 0}, "splitter 'dirichlet': alpha = 0"),
        ("split", {"name": "fractions"}, "splitter 'fractions' needs the parameter 'shares'"),
        ("split", {"name": "fractions", "shares": [1, -1]}, "splitter 'fractions': shares must be positive"),
        ("voting", {"name": "threshold", "share": "2/0"}, "voting policy 'threshold': share must be"),
        ("proposals", {"name": "committee", "size": 0}, "proposal strategy 'committee': size = 0"),
        ("runtime", {"name": "fused", "workers": 2}, "runtime 'fused' has no parameter 'workers'"),
        ("holdout", {"vote": 0.5, "test": 0.5}, "holdout: vote = 0.5 and test = 0.5"),
        ("holdout", {"vote": -0.1}, "holdout: vote = -0.1"),
        ("holdout", {"test": float("nan")}, "holdout: vote = 0.15 and test = nan"),
    ],
)
def test_a_wrong_parameter_is_told_with_its_component(
    tiny: Plugins, section: str, values: dict[str, Any], complaint: str
) -> None:
    with pytest.raises(ParameterError) as caught:
        prepare(config(**{section: values}), tiny)
    assert complaint in str(caught.value)


def test_what_a_learner_itself_refuses_is_told_with_its_component(tiny: Plugins) -> None:
    with pytest.raises(ParameterError, match=r"learner 'tiny\.mean': rate 13 brings bad luck"):
        build_experiment(config(learner={"name": "tiny.mean", "rate": 13}), tiny)


def test_a_component_that_cant_be_imported_is_told_with_its_target(tiny: Plugins) -> None:
    with pytest.raises(ColearnError, match=r"'tiny\.gone' can't be loaded from 'no_such_module_xyz:Gone'"):
        prepare(config(learner="tiny.gone"), tiny)


def test_a_component_with_a_parameter_called_name_is_refused_in_words(tiny: Plugins) -> None:
    # In an experiment file "name" is the component's.
    with pytest.raises(ColearnError, match=r"'tiny\.named'.*'name'"):
        prepare(config(split="tiny.named"), tiny)


def test_more_learners_than_samples_are_a_split_error(tiny: Plugins) -> None:
    with pytest.raises(SplitError, match="9 learners need at least 9 samples, the data set has 8"):
        prepare(config(data={"name": "tiny.line", "samples": 8}, learners=9), tiny)
    assert len(prepare(config(data={"name": "tiny.line", "samples": 9}, learners=9), tiny).parts) == 9


def test_the_seed_decides_the_division(tiny: Plugins) -> None:
    def targets(seed: int) -> list[list[float]]:
        return [part.train.y.tolist() for part in prepare(config(seed=seed), tiny).parts]

    assert targets(1) == targets(1)
    assert targets(1) != targets(2)


# From a file to a run


def test_an_experiment_is_built_from_a_file_and_improves(tmp_path: Path, tiny: Plugins) -> None:
    path = tmp_path / "experiment.toml"
    path.write_text('seed = 3\nlearners = 4\ndata = "tiny.line"\nlearner = "tiny.mean"\n')
    for given_as in (path, str(path), ExperimentConfig.read(path)):
        run = Experiment.from_config(given_as, plugins=tiny).run(8)
        assert len(run.history.names) == 4
        assert run.history.mean_vote() < run.history.mean_vote(0)


def test_the_ledger_opens_with_the_complete_experiment(tmp_path: Path, tiny: Plugins) -> None:
    with FileLedger(tmp_path / "run") as ledger:
        Experiment.from_config(config(seed=3), plugins=tiny, ledger=ledger).run(1)
    opening = LedgerFile.read(tmp_path / "run" / "ledger.jsonl").opening
    assert opening["experiment"]["learner"] == {"name": "tiny.mean", "rate": 0.5, "layers": [4, 2], "limit": 1.0}
    assert opening["versions"]["colearn-tiny-plugin"] == "0.9"


def test_an_infinite_parameter_is_recorded_as_what_it_is(tmp_path: Path, tiny: Plugins) -> None:
    # TOML has inf, JSON hasn't; "no limit" is a sound value for a parameter.
    recorded = []
    for limit in (float("inf"), float("-inf"), 1.0):
        folder = tmp_path / str(limit)
        with FileLedger(folder) as ledger:
            chosen = config(learner={"name": "tiny.mean", "limit": limit})
            Experiment.from_config(chosen, plugins=tiny, ledger=ledger).run(1)
        recorded.append(LedgerFile.read(folder / "ledger.jsonl").opening["experiment"]["learner"]["limit"])
    assert recorded[2] == 1.0
    assert len(set(map(repr, [*recorded, None]))) == 4
