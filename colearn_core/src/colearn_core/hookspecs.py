"""The hooks that a plugin may implement: the page that plugin authors read.

A plugin is a module that an entry point of the group ``colearn.v1`` names. It implements any of
these hooks, with some or all of their arguments, marked ``@hookimpl``::

    from colearn_core import Component, hookimpl

    @hookimpl
    def colearn_voting_policies():
        return [Component("mine.cautious", "my_package.policies:Cautious", "Wants a clear gain")]

The module names its implementations by dotted path and doesn't import them, so that listing stays
quick. What the paths must lead to is said at each hook.
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

    A learner component is a callable ``(data: PrivateData, **parameters) -> Learner``: a class or a
    function. It's called once for each learner of an experiment, with that learner's data.
    """


@hookspec
def colearn_voting_policies() -> Iterable[Component]:  # type: ignore[empty-body]
    """Offer voting policies. Called when components are listed or a policy is looked up by name.

    A voting-policy component is a callable ``(**parameters) -> VotingPolicy``.
    """


@hookspec
def colearn_splitters() -> Iterable[Component]:  # type: ignore[empty-body]
    """Offer data splitters. Called when components are listed or a splitter is looked up by name.

    A splitter component is a callable ``(**parameters) -> Splitter``.
    """


@hookspec
def colearn_proposal_strategies() -> Iterable[Component]:  # type: ignore[empty-body]
    """Offer proposal strategies. Called when components are listed or one is looked up by name.

    A proposal-strategy component is a callable ``(**parameters) -> ProposalStrategy``.
    """


@hookspec
def colearn_datasets() -> Iterable[Component]:  # type: ignore[empty-body]
    """Offer data sets. Called when components are listed or a data set is looked up by name.

    A data-set component is a callable ``(**parameters) -> Dataset``. Data sets that the whole field
    knows, such as ``digits``, may do without the plugin's prefix.
    """


@hookspec
def colearn_ledgers() -> Iterable[Component]:  # type: ignore[empty-body]
    """Offer ledgers. Called when components are listed or a ledger is looked up by name.

    A ledger component is a callable ``(folder: Path, **parameters) -> Ledger`` that begins a new
    ledger for the run in ``folder``.
    """


@hookspec
def colearn_runtimes() -> Iterable[Component]:  # type: ignore[empty-body]
    """Offer runtimes. Called when components are listed or a runtime is looked up by name.

    A runtime component is a callable ``(learners: Sequence[Learner], names: Sequence[str] | None,
    **parameters) -> Cohort``: it decides where the learners' work is done. The ledger must not
    depend on it.
    """


@hookspec
def colearn_commands(group: click.Group) -> None:
    """Add commands to ``colearn``. Called for ``colearn --help`` and for a command that isn't the core's.

    Add them with ``group.add_command``; import what a command needs inside its body.
    """


@hookspec
def colearn_experiment_started(experiment: Experiment) -> None:
    """Observe the beginning. Called once before the first round, with the learners' cohort ready."""


@hookspec
def colearn_round_finished(experiment: Experiment, record: RoundRecord) -> None:
    """Observe a round. Called after each one, when the ledger holds it; the record is read-only."""


@hookspec
def colearn_experiment_finished(experiment: Experiment, run: Run) -> None:
    """Observe the end of ``Experiment.run``, also when it was interrupted; ``run`` holds the history."""
