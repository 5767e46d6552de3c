"""The policy keeps the contract of its kind, and does what it's for."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from colearn_prudent_plugin.policies import Margin

from colearn_core import Experiment
from colearn_core.errors import ParameterError
from colearn_core.testing import PluginContract, VotingPolicyContract


class TestPlugin(PluginContract):
    plugin = "prudent"


class TestMargin(VotingPolicyContract):
    component = "prudent.margin"


class TestNoMargin(VotingPolicyContract):
    component = "prudent.margin"
    parameters = {"margin": 0}


def test_a_narrow_lead_is_not_enough() -> None:
    assert not Margin(margin=0.2).passes(approvals=6, cast=10)
    assert Margin(margin=0.2).passes(approvals=7, cast=10)


def test_the_margin_is_exact() -> None:
    assert 0.29 * 200 < 58
    assert not Margin(margin=0.29).passes(approvals=129, cast=200)


@pytest.mark.parametrize("margin", [-0.1, 1.0, float("nan")])
def test_a_margin_that_makes_no_sense_is_refused(margin: float) -> None:
    with pytest.raises(ParameterError, match="margin"):
        Margin(margin=margin)


def test_a_group_learns_under_it(colearn_experiment: Callable[..., Experiment]) -> None:
    run = colearn_experiment(voting=Margin(margin=0.3)).run(10)
    assert any(run.history.accepted)
