"""The hooks that a plugin may implement: the page that plugin authors read.

A plugin is a module that an entry point of the group ``colearn.v1`` names. It implements any of
these hooks, with some or all of their arguments, marked ``@hookimpl``::

    from colearn_core import Component, hookimpl

    @hookimpl
    def colearn_voting_policies():
        return [Component("mine.cautious", "my_package.policies:Cautious", "Wants a clear gain")]

The module names its implementations by dotted path, the *target*, and doesn't import them, so that
listing stays quick. What a target must be is said at each hook; docs/authors/hooks.md is made of it.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

import pluggy

from .components import Component

if TYPE_CHECKING:
    import click

    from .experiment import Experiment
    from .history import Run
    from .rounds import RoundRecord

PROJECT = "colearn"
hookspec = pluggy.HookspecMarker(PROJECT)
hookimpl = pluggy.HookimplMarker(PROJECT)


@hookspec
def colearn_learners() -> Iterable[Component]:  # type: ignore[empty-body]
    """Offer learners. Called when components are listed or a learner is looked up by name.

    A target is a callable ``(data: PrivateData, **parameters) -> Learner``, a class or a function; its
    first argument must be called ``data``. It's called once for each learner of an experiment, with the
    data of that learner.

    Example::

        from colearn_core import Component, hookimpl

        @hookimpl
        def colearn_learners():
            return [Component("mine.ridge", "colearn_mine_plugin.learners:Ridge", "Ridge regression")]
    """


@hookspec
def colearn_voting_policies() -> Iterable[Component]:  # type: ignore[empty-body]
    """Offer voting policies. Called when components are listed or a policy is looked up by name.

    A target is a callable ``(**parameters) -> VotingPolicy``. It's called once for an experiment. The
    policy must hold no state between rounds.

    Example::

        from colearn_core import Component, hookimpl

        @hookimpl
        def colearn_voting_policies():
            return [Component("mine.cautious", "colearn_mine_plugin.policies:Cautious", "Wants a few approvals")]
    """


@hookspec
def colearn_splitters() -> Iterable[Component]:  # type: ignore[empty-body]
    """Offer splitters, which divide a data set among simulated learners.
    Called when components are listed or a splitter is looked up by name.

    A target is a callable ``(**parameters) -> Splitter``. What the splitter returns is checked: every
    sample must occur exactly once, and no learner may stay without any.

    Example::

        from colearn_core import Component, hookimpl

        @hookimpl
        def colearn_splitters():
            return [Component("mine.by_time", "colearn_mine_plugin.splitters:ByTime", "Consecutive samples")]
    """


@hookspec
def colearn_proposal_strategies() -> Iterable[Component]:  # type: ignore[empty-body]
    """Offer proposal strategies, which say who proposes in a round and what is put to the vote.
    Called when components are listed or a strategy is looked up by name.

    A target is a callable ``(**parameters) -> ProposalStrategy``. It's called once for an experiment.

    Example::

        from colearn_core import Component, hookimpl

        @hookimpl
        def colearn_proposal_strategies():
            return [Component("mine.pairs", "colearn_mine_plugin.strategies:Pairs", "Two neighbours propose")]
    """


@hookspec
def colearn_datasets() -> Iterable[Component]:  # type: ignore[empty-body]
    """Offer data sets. Called when components are listed or a data set is looked up by name.

    A target is a callable ``(**parameters) -> Dataset``. It reads or generates the data when an
    experiment needs them. Data sets that the whole field knows by one name, such as ``digits``, may do
    without the plugin's prefix.

    Example::

        from colearn_core import Component, hookimpl

        @hookimpl
        def colearn_datasets():
            return [Component("mine.weather", "colearn_mine_plugin.data:weather", "Ten years of weather, hourly")]
    """


@hookspec
def colearn_ledgers() -> Iterable[Component]:  # type: ignore[empty-body]
    """Offer ledgers. Called when components are listed or a ledger is looked up by name.

    A target is a callable ``(folder: Path, **parameters) -> Ledger`` that begins a new ledger for the
    run in ``folder``; its first argument must be called ``folder``. A ledger must refuse to write over
    one that is there already. An experiment file chooses it in the section ``[ledger]``; in Python,
    ``Experiment(..., ledger=...)`` takes any.

    Example::

        from colearn_core import Component, hookimpl

        @hookimpl
        def colearn_ledgers():
            return [Component("mine.sqlite", "colearn_mine_plugin.ledgers:SqliteLedger", "One table per run")]
    """


@hookspec
def colearn_runtimes() -> Iterable[Component]:  # type: ignore[empty-body]
    """Offer runtimes, which decide where the work of the learners is done.
    Called when components are listed or a runtime is looked up by name.

    A target is a callable ``(learners: Sequence[Learner], names: Sequence[str] | None, **parameters) ->
    Cohort``; its first two arguments must be called ``learners`` and ``names``. Without names the
    learners are called ``learner-0``, ``learner-1`` and so on. The ledger must not depend on the
    runtime, except for what it puts aside.

    Example::

        from colearn_core import Component, hookimpl

        @hookimpl
        def colearn_runtimes():
            return [Component("mine.threads", "colearn_mine_plugin.runtimes:threads", "One thread per learner")]
    """


@hookspec
def colearn_adversaries() -> Iterable[Component]:  # type: ignore[empty-body]
    """Offer adversaries: what learners do that cheat or fail, to test how a vote stands up to it.
    Called when components are listed or an adversary is looked up by name.

    A target is a callable ``(**parameters) -> Adversary``. It's called once for each section
    ``[[adversaries]]`` of an experiment file, in which ``name``, ``share``, ``count`` and ``learners`` are no
    parameters. An adversary must hold no state between rounds.

    Example::

        from colearn_core import Component, hookimpl

        @hookimpl
        def colearn_adversaries():
            return [Component("mine.lazy", "colearn_mine_plugin.adversaries:Lazy", "Trains now and then")]
    """


@hookspec
def colearn_commands(group: click.Group) -> None:
    """Add commands to ``colearn``. Called for ``colearn --help`` and for a command that isn't the core's.

    It receives the click group and returns nothing. A plugin can't replace a command of the core.
    Import what a command needs inside its body.

    Example::

        import click
        from colearn_core import hookimpl

        @hookimpl
        def colearn_commands(group):
            @group.command(help="Say hello.")
            def greet():
                click.echo("hello")
    """


@hookspec
def colearn_experiment_started(experiment: Experiment) -> None:
    """Observe the beginning. Called once, before the first round, when the cohort is ready and the ledger
    has its opening. A second ``Experiment.run`` goes on with the same experiment and doesn't call it again.

    Observers return nothing, and may leave out arguments that they don't need. They must not change
    what they are given.

    Example::

        from colearn_core import hookimpl

        @hookimpl
        def colearn_experiment_started(experiment):
            print(f"{len(experiment.cohort)} learners begin")
    """


@hookspec
def colearn_round_finished(experiment: Experiment, record: RoundRecord) -> None:
    """Observe a round. Called after each one, when the ledger holds it and before ``Experiment.rounds``
    hands out its record, which is read-only.

    Example::

        from colearn_core import hookimpl

        @hookimpl
        def colearn_round_finished(record):
            if not record.accepted:
                print(f"round {record.round} was rejected: {record.decision.reason}")
    """


@hookspec
def colearn_experiment_finished(experiment: Experiment, run: Run) -> None:
    """Observe the end of ``Experiment.run``; ``run`` holds the history and the weights in force.

    Called when all rounds are played, and also when the run was interrupted or stopped early: then the
    history holds the rounds that were finished. Not called when rounds are taken one by one from
    ``Experiment.rounds``.

    Example::

        from colearn_core import hookimpl

        @hookimpl
        def colearn_experiment_finished(run):
            print(f"{sum(run.history.accepted)} of {len(run.history.round)} rounds were accepted")
    """
