"""What private training of Keras models costs, beside other accountants and known mechanisms."""

from __future__ import annotations

import pytest
from opacus.accountants import PRVAccountant, RDPAccountant

from colearn_core.errors import ParameterError
from colearn_core.privacy import Privacy, SampledGaussian
from colearn_keras_plugin import accounting
from colearn_keras_plugin.accounting import accountant_of


@pytest.mark.filterwarnings("ignore:Optimal order is the")
@pytest.mark.parametrize(
    "done", [(1.1, 0.02, 50), (1.1, 0.02, 2000), (0.7, 0.01, 300), (8.0, 0.01, 5000), (2.0, 0.3, 40)]
)
def test_epsilon_is_that_of_opacus(done: tuple[float, float, int]) -> None:
    for name, kind, more in (("pld", PRVAccountant, {"eps_error": 0.001}), ("rdp", RDPAccountant, {})):
        reference = kind()
        reference.history = [done]
        found = accountant_of(Privacy(1.0, noise_multiplier=1.0, accountant=name))((SampledGaussian(*done),), 1e-5)
        assert found == pytest.approx(reference.get_epsilon(delta=1e-5, **more), rel=0.01)


@pytest.mark.parametrize("name", ["pld", "rdp"])
def test_epsilon_of_several_mechanisms_together(name: str) -> None:
    accountant = accounting.ACCOUNTANTS[name]
    one, other = SampledGaussian(1.1, 0.02, 100), SampledGaussian(15.0, 1.0, 40)
    both = accountant((one, other), 1e-5)
    assert max(accountant((one,), 1e-5), accountant((other,), 1e-5)) < both
    twice = accountant((one._replace(steps=50), one._replace(steps=50)), 1e-5)
    assert twice == pytest.approx(accountant((one,), 1e-5), rel=1e-3)


def test_epsilon_of_the_gaussian_mechanism() -> None:
    tight, fast = accounting.ACCOUNTANTS["pld"], accounting.ACCOUNTANTS["rdp"]
    # By the formula of Balle and Wang 2018 (arXiv 1805.06530): 4.3775 at 1e-5.
    known = (SampledGaussian(20.0, 1.0, 400),)
    assert tight(known, 1e-5) == pytest.approx(4.3775, abs=0.001)
    assert tight(known, 1e-5) < fast(known, 1e-5) < 5
    hopeless = (SampledGaussian(1e-3, 1.0, 100),)
    assert tight(hopeless, 1e-5) == fast(hopeless, 1e-5) > 1e3


def test_small_losses_do_not_add_up_to_a_loose_bound() -> None:
    nearly_free = (SampledGaussian(50.0, 0.01, 10_000),)
    assert accounting.ACCOUNTANTS["pld"](nearly_free, 1e-5) == pytest.approx(0.0587, rel=0.01)


def test_noisy_scores_are_accounted_for_by_the_faster_one() -> None:
    assert accountant_of(Privacy(1.0, noise_multiplier=1.0)) is accounting.ACCOUNTANTS["pld"]
    noisy = Privacy(1.0, noise_multiplier=1.0, score_noise_multiplier=1.0)
    assert accountant_of(noisy) is accounting.ACCOUNTANTS["rdp"]
    with pytest.raises(ParameterError, match="unknown accountant 'prv'\nAccountants of keras: pld, rdp"):
        accountant_of(Privacy(1.0, noise_multiplier=1.0, accountant="prv"))
