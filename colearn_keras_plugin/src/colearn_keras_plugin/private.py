"""Training and scoring with differential privacy, on TensorFlow."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from colearn_core.noise import PrivateAnswers
from colearn_core.privacy import Privacy

from .accounting import accountant_of
from .backend import keras
from .dpsgd import PrivateSteps, check_private
from .workbench import Steps

Array = NDArray[Any]


class Private(PrivateAnswers):
    """What a Keras learner needs to train and score privately.

    Args:
        model: the resident one.
        setting: as for :class:`PrivateAnswers`.

    Raises:
        ParameterError: the model can't be trained privately, or no noise would do.
    """

    def __init__(self, privacy: Privacy, model: keras.Model, **setting: Any) -> None:
        check_private(model)
        super().__init__(privacy, accountant_of(privacy), **setting)
        self._steps = PrivateSteps(
            model,
            max_grad_norm=privacy.max_grad_norm,
            noise_multiplier=self.training.noise_multiplier,
            sample_rate=self.training.sample_rate,
            batch_size=self.batch_size,
            samples=setting["samples"],
        )

    def steps(self, x: Array, y: Array, noise: np.random.Generator) -> Steps:
        """The steps of a proposal, with batches and noise from this generator."""
        return lambda model: self._steps.run(x, y, self.training.steps, noise)
