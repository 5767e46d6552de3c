"""The core's own plugin: its components go through the same hooks as everyone else's."""

from __future__ import annotations

from .components import Component
from .hookspecs import hookimpl


@hookimpl
def colearn_learners() -> list[Component]:
    return [Component("softmax", "colearn_core.reference:SoftmaxRegression", "Logistic regression in plain numpy")]


@hookimpl
def colearn_datasets() -> list[Component]:
    return [Component("blobs", "colearn_core.reference:blobs", "Synthetic clusters, one for each class")]


@hookimpl
def colearn_voting_policies() -> list[Component]:
    return [
        Component("majority", "colearn_core.voting:Majority", "More than half of the votes cast"),
        Component("threshold", "colearn_core.voting:Threshold", "A given share of the votes cast"),
        Component("unanimous", "colearn_core.voting:Unanimous", "All votes cast"),
    ]


@hookimpl
def colearn_splitters() -> list[Component]:
    return [
        Component("dirichlet", "colearn_core.splitting:Dirichlet", "Label skew of chosen strength"),
        Component("fractions", "colearn_core.splitting:Fractions", "Random parts of given sizes"),
        Component("iid", "colearn_core.splitting:Iid", "Equal random parts"),
        Component("shards", "colearn_core.splitting:Shards", "Label skew: few classes for each learner"),
    ]


@hookimpl
def colearn_proposal_strategies() -> list[Component]:
    return [
        Component("approval", "colearn_core.approval:Approval", "A committee's rival candidates"),
        Component("committee", "colearn_core.proposing:Committee", "The mean of a few proposals"),
        Component("everyone", "colearn_core.proposing:Everyone", "The mean of all proposals"),
        Component("line_search", "colearn_core.proposing:LineSearch", "One proposal at several step sizes"),
        Component("random", "colearn_core.proposing:Random", "One learner, drawn at random"),
        Component("round_robin", "colearn_core.proposing:RoundRobin", "One learner after the other"),
    ]


@hookimpl
def colearn_ledgers() -> list[Component]:
    return [Component("file", "colearn_core.ledger:FileLedger", "Hash-chained JSON lines, weights beside them")]


@hookimpl
def colearn_runtimes() -> list[Component]:
    return [
        Component("fused", "colearn_core.runtimes:fused", "This process; all learners scored in one pass"),
        Component("loop", "colearn_core.runtimes:loop", "This process; one learner after the other"),
    ]
