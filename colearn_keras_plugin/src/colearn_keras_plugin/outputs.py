"""What a model's outputs mean: logits or probabilities, of many classes or of one against the other, or values."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from colearn_core.errors import DataError
from colearn_core.metrics import Needs

from .backend import keras

Array = NDArray[Any]


@dataclass(frozen=True)
class Outputs:
    """How to read outputs, and which targets the loss takes; both follow from the compiled loss.

    Attributes:
        logits: whether outputs still have to go through softmax or sigmoid.
        units: how many there are for a sample.
        one_hot: whether the loss takes one-hot targets.
    """

    logits: bool
    units: int
    one_hot: bool

    @staticmethod
    def of(model: keras.Model) -> Outputs:
        loss = model.loss
        config: Any = loss.get_config() if isinstance(loss, keras.losses.Loss) else {}
        logits = bool(config.get("from_logits", config.get("fn_kwargs", {}).get("from_logits", False)))
        name = loss if isinstance(loss, str) else getattr(loss, "name", getattr(loss, "__name__", ""))
        shape = model.output_shape if isinstance(model.output_shape, tuple) else ()
        units = shape[1] if len(shape) == 2 and isinstance(shape[1], int) else 0
        return Outputs(logits, units, str(name).replace("_", "").lower().startswith("categorical"))

    def check(self, model: keras.Model, classes: int | None) -> None:
        """Raise DataError unless the model gives what is needed for so many classes, or for values."""
        wanted = {1} if classes is None else {classes, 1} if classes == 2 else {classes}
        if self.units not in wanted:
            raise DataError(
                f"{model.name} gives outputs of shape {tuple(model.output_shape[1:])} for a sample; "
                f"({max(wanted)},) is needed"
            )

    def targets(self, y: Array) -> Array:
        """Targets as the loss takes them."""
        if self.one_hot:
            return np.eye(self.units, dtype=np.float32)[y]
        return y[:, None].astype(np.float32) if self.units == 1 else y

    def as_needed(self, found: Array, needs: Needs) -> Array:
        """What a metric needs of outputs."""
        if needs == "values":
            return found.reshape(len(found))
        if self.units == 1:
            second = found.reshape(len(found)).astype(np.float64)
            second = 1 / (1 + np.exp(-second)) if self.logits else second
            return (second > 0.5).astype(np.int64) if needs == "labels" else np.column_stack([1 - second, second])
        if needs == "labels":
            labels: Array = found.argmax(axis=1)
            return labels
        return _softmax(found.astype(np.float64)) if self.logits else found.astype(np.float64)


def _softmax(logits: Array) -> Array:
    exponentials = np.exp(logits - logits.max(axis=1, keepdims=True))
    probabilities: Array = exponentials / exponentials.sum(axis=1, keepdims=True)
    return probabilities
