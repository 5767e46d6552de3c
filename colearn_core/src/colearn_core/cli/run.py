"""``colearn run``: play an experiment, watch it, and see what it came to."""

from __future__ import annotations

import json
from collections.abc import Collection
from math import isfinite
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from .options import adversaries_option, block_option, check_named, component_options, experiment_values

if TYPE_CHECKING:
    from ..baselines import Baseline
    from ..config import ExperimentConfig, Prepared, Section
    from ..experiment import Experiment
    from ..history import Run
    from ..privacy import Spent
    from ..runs import RunFolder
    from .progress import Watch


@click.command(short_help="Run an experiment and keep it in a folder.")
@click.argument("file", required=False, type=click.Path(dir_okay=False, path_type=Path), metavar="[EXPERIMENT.toml]")
@component_options
@click.option("--rounds", type=int, metavar="R", help="Number of rounds [50].")
@click.option("--seed", type=int, metavar="K", help="Same seed, same result [0].")
@click.option("--name", metavar="NAME", help="Name of the run's folder.")
@click.option(
    "--set", "settings", multiple=True, metavar="KEY=VALUE", help="Any setting, such as split.alpha=0.1 (repeatable)."
)
@adversaries_option
@click.option("--baselines", is_flag=True, help="Compare with training alone, pooled, cyclic and averaged.")
@click.option(
    "--out", type=click.Path(file_okay=False, path_type=Path), default=Path("runs"), help="Where runs go [runs]."
)
@click.option("--json", "as_json", is_flag=True, help="Print the outcome as JSON on standard output.")
@block_option
def run(
    file: Path | None,
    settings: tuple[str, ...],
    baselines: bool,
    out: Path,
    as_json: bool,
    block: tuple[str, ...],
    **options: Any,
) -> None:
    """Run an experiment: simulated parties train one model and vote on every step.

    Give an experiment file (`colearn init` writes one), options, or both: options win. The run is kept in a
    folder of its own: the complete experiment file, the ledger, the weights and a picture. Ctrl-C ends it
    after the current round; what is done is safe.
    """
    from ..config import prepare
    from ..plugins import Plugins
    from ..runs import RunFolder

    prepared = prepare(_config(file, settings, options), Plugins(block=block))
    experiment = prepared.experiment()  # whatever is wrong shows before a folder is made
    folder = RunFolder.create(out, prepared.config)
    _play(prepared, experiment, folder, baselines, as_json)


def _config(file: Path | None, settings: tuple[str, ...], options: dict[str, Any]) -> ExperimentConfig:
    from ..config import ExperimentConfig

    values = experiment_values(file, settings, options)
    check_named(values)
    return ExperimentConfig.from_mapping(values, str(file) if file is not None else "command line")


def _play(prepared: Prepared, experiment: Experiment, folder: RunFolder, with_baselines: bool, as_json: bool) -> None:
    from ..baselines import baselines, total_trainings
    from ..errors import ColearnError
    from ..report.plot import save_picture
    from .progress import Interrupts, Watch

    config = prepared.config
    watch = Watch()
    watch.say(_introduction(prepared))
    if prepared.adversaries:
        watch.say(_cast_list(prepared))
    budgets = experiment.cohort.spent().values()
    if budgets:
        watch.say(_promise(budgets))
    with prepared.new_ledger(folder.path) as ledger:
        experiment.ledger = ledger
        experiment.cohort.keep_budgets(folder.privacy_folder)
        for warning in _warnings(prepared, experiment):
            watch.say(f"Note: {warning}")
        with Interrupts(watch) as interrupts, watch.rounds(config.rounds, len(experiment.cohort)) as on_round:
            run = experiment.run(config.rounds, lambda record, history: on_round(record, history) or interrupts.asked)
    found: list[Baseline] = []
    trainings = sum(run.history.trainings)
    interrupted = len(run.history.round) < config.rounds
    if with_baselines and not interrupted:
        try:
            with watch.trainings(total_trainings(config.learners, trainings)) as on_training:
                found.extend(baselines(prepared, trainings, on_training))
        except KeyboardInterrupt:
            watch.say("Baselines were interrupted; the run itself is complete.")
    if run.history.round:
        try:
            save_picture(run.history, folder.picture_file, title=_title(config))
        except ColearnError as error:
            watch.say(f"Note: there's no picture. {error}")
    _conclude(watch, run, found, folder, as_json)
    if interrupted:
        click.echo(
            f"Interrupted: {len(run.history.round)} of {config.rounds} rounds are done and safe in {folder.path}.",
            err=True,
        )
        raise SystemExit(130)


def _conclude(watch: Watch, run: Run, found: list[Baseline], folder: RunFolder, as_json: bool) -> None:
    from dataclasses import asdict

    from ..history import DELTA, number_or_none
    from ..report.tables import baselines_table, importance_table, learners_table

    if as_json:
        rows = [{k: number_or_none(v) if isinstance(v, float) else v for k, v in asdict(b).items()} for b in found]
        click.echo(json.dumps({"run": str(folder.path), **run.summary(), "baselines": rows}, indent=2))
        return
    watch.show(learners_table(run.history))
    if any(run.importance.values()):
        watch.show(importance_table(run.importance))
    if found:
        watch.show(baselines_table(run.history, found))
        watch.show(
            "Each row has the same number of local trainings; learners alone have their share each. "
            "Pooled data is what privacy forbids."
        )
    h = run.history
    accepted = sum(h.accepted)
    if isfinite(h.vote_epsilon):
        together, less = h.epsilon_of_votes(), h.epsilon_of_votes(DELTA)
        or_less = f", or of {less:.3g} with delta {DELTA:g}" if less < together else ""
        watch.show(f"Each learner's {sum(h.candidates)} votes have an epsilon of {together:g} together{or_less}.")
    watch.show(f"\n{accepted} of {len(h.round)} rounds accepted, {sum(h.trainings)} trainings, {run.seconds:.1f} s")
    watch.show(f"Run      {folder.path}")
    if folder.picture_file.exists():
        watch.show(f"Picture  {folder.picture_file}")


def _introduction(prepared: Prepared) -> str:
    c = prepared.config
    sizes = sorted(len(p.train) + len(p.vote) + len(p.test) for p in prepared.parts)
    return (
        f"{c.learners} learners ({c.learner.name}) share {prepared.dataset.name}: "
        f"{len(prepared.dataset.samples)} samples, {sizes[0]} to {sizes[-1]} each ({_described(c.split, prepared)}).\n"
        f"Each round: {_described(c.proposals, prepared)} proposes, {_described(c.voting, prepared)} decides. "
        f"{c.rounds} rounds, seed {c.seed}."
    )


def _cast_list(prepared: Prepared) -> str:
    """Who plays which adversary."""
    playing: dict[str, list[int]] = {}
    for i, adversary in prepared.adversaries.items():
        playing.setdefault(repr(adversary), []).append(i)
    told = []
    for who in playing.values():
        one = prepared.adversaries[who[0]]
        vote = "" if one.votes == "honest" else f", votes: {one.votes}"
        told.append(f"{one.kind} (learner{'s' if len(who) > 1 else ''} {', '.join(map(str, who))}{vote})")
    number = len(prepared.adversaries)
    return f"{number} of the learners {'are' if number > 1 else 'is'} not honest: {'; '.join(told)}."


def _promise(budgets: Collection[Spent]) -> str:
    """What private learners keep to."""
    targets = sorted({(b.target_epsilon, b.delta) for b in budgets})
    limits = " or ".join(f"{epsilon:g} (delta {delta:g})" for epsilon, delta in targets)
    return f"{len(budgets)} private learners; each spends at most an epsilon of {limits}."


def _described(section: Section, prepared: Prepared) -> str:
    """A component with its first parameter, which is what it's known by, and all that aren't as usual."""
    from ..config import SECTIONS
    from ..parameters import parameters_of

    kind = SECTIONS[next(name for name in SECTIONS if getattr(prepared.config, name) is section)]
    known = parameters_of(prepared.plugins.component(kind, section.name).load())
    own = [p for p in known if p.name not in ("quorum", "min_improvement", "max_norm", "max_change")]
    told = [p.name for p in known if p in own[:1] or section.parameters[p.name] != p.default]
    return f"{section.name} {', '.join(f'{name} {section.parameters[name]}' for name in told)}".strip()


def _title(config: ExperimentConfig) -> str:
    return (
        f"{config.data.name}, {config.learners} × {config.learner.name}, {config.split.name}, "
        f"{config.proposals.name}, {config.voting.name}"
    )


def _warnings(prepared: Prepared, experiment: Experiment) -> list[str]:
    """What makes the outcome doubtful, told before the run."""
    from ..streams import Streams

    found = []
    voters = sum(len(part.vote) > 0 for part in prepared.parts)
    if voters < prepared.config.learners:
        silent = prepared.config.learners - voters
        found.append(f"{silent} of {prepared.config.learners} learners have too few samples to vote; they abstain.")
    if voters < prepared.policy.quorum * prepared.config.learners:
        found.append(f"the quorum of {prepared.policy.quorum:g} can't be reached: every round will be rejected.")
    if experiment.policy.looks_closer and (reasons := experiment.standing.vote.reasons):
        why = "; ".join(sorted(set(reasons.values())))
        found.append(f"{len(reasons)} of {prepared.config.learners} learners can't vote by single samples: {why}.")
    if isfinite(epsilon := experiment.policy.epsilon):
        found.append(
            f"each vote has an epsilon of {epsilon:g}, and they add up; abstentions aren't hidden. What's private is "
            "what deployed learners publish: this simulation's ledger holds their scores too."
        )
    liars = sum(a.votes != "honest" for a in prepared.adversaries.values())
    if 2 * liars >= prepared.config.learners:
        found.append(f"{liars} of {prepared.config.learners} learners lie in the vote: they decide, not the others.")
    lonely = sorted({a.kind for a in prepared.adversaries.values() if a.needs_company})
    if lonely and len(prepared.strategy.proposers(1, prepared.config.learners, Streams(prepared.config.seed))) == 1:
        found.append(f"{', '.join(lonely)}: honest in a round in which nobody else proposes, as here in all.")
    if prepared.config.learners == 1:
        found.append("a lone learner votes on its own proposals.")
    return found
