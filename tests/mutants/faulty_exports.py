"""Learners whose export has one fault each, made from the reference learner."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
from faulty_learners import Momentum
from mutant import Mutant

from colearn_core.errors import UsageError
from colearn_core.learner import Learner, Proposal
from colearn_core.reference import SoftmaxRegression
from colearn_core.testing import Subject
from colearn_core.weights import Weights


class WritesJson(SoftmaxRegression):
    """Knows a second format: correct. Subclasses write something else."""

    export_formats = ("json", "safetensors")

    def export_model(self, weights: Weights, format: str) -> bytes:
        return self.json_of(weights) if format == "json" else super().export_model(weights, format)

    def json_of(self, weights: Weights) -> bytes:
        return json.dumps({name: array.tolist() for name, array in weights.items()}).encode()


class LacksAPackage(WritesJson):
    """An optional package isn't installed: correct."""

    def json_of(self, weights: Weights) -> bytes:
        raise UsageError("json needs a package", hint="pip install it") from ModuleNotFoundError("No module named it")


class ListsWhatItCannotWrite(SoftmaxRegression):
    export_formats = ("onnx", "safetensors")


class ListsNothing(SoftmaxRegression):
    export_formats = ()


class WritesNothing(WritesJson):
    def json_of(self, weights: Weights) -> bytes:
        return b""


class WritesText(WritesJson):
    def json_of(self, weights: Weights) -> Any:
        return super().json_of(weights).decode()


class NumbersItsExports(WritesJson):
    made = 0

    def json_of(self, weights: Weights) -> bytes:
        self.made += 1
        return super().json_of(weights) + b"\n" * self.made


class NamesItsAddress(WritesJson):
    def json_of(self, weights: Weights) -> bytes:
        return super().json_of(weights) + repr(id(self)).encode()


class ExportsWhatItTrainedLast(WritesJson):
    last: Weights | None = None

    def propose_weights(self, base: Weights, rng: np.random.Generator) -> Proposal:
        proposal = super().propose_weights(base, rng)
        self.last = proposal.weights
        return proposal

    def json_of(self, weights: Weights) -> bytes:
        return super().json_of(weights if self.last is None else self.last)


class ExportsTheInitialModel(WritesJson):
    def json_of(self, weights: Weights) -> bytes:
        return super().json_of(self._initial)


class RoundsInTheExport(SoftmaxRegression):
    def export_model(self, weights: Weights, format: str) -> bytes:
        rounded = Weights({name: array.astype(np.float16) for name, array in weights.items()})
        return super().export_model(rounded, format)


class ScalesTheGivenWeights(WritesJson):
    def json_of(self, weights: Weights) -> bytes:
        coef = weights["coef"]
        coef.flags.writeable = True
        coef /= np.abs(coef).max() or 1.0
        coef.flags.writeable = False
        return super().json_of(weights)


class ForgetsItsMomentum(Momentum):
    def export_model(self, weights: Weights, format: str) -> bytes:
        self.velocity = {name: np.zeros_like(array) for name, array in weights.items()}
        return super().export_model(weights, format)


class TrainsSlowerAfterAnExport(SoftmaxRegression):
    def export_model(self, weights: Weights, format: str) -> bytes:
        exported = super().export_model(weights, format)
        self.learning_rate *= 0.5
        return exported


class WritesAnyFormat(SoftmaxRegression):
    def export_model(self, weights: Weights, format: str) -> bytes:
        return weights.to_bytes()


class KeepsItsFormatsToItself(WritesJson):
    def export_model(self, weights: Weights, format: str) -> bytes:
        if format not in self.export_formats:
            raise UsageError(f"{format!r} won't do")
        return super().export_model(weights, format)


class LooksFormatsUp(WritesJson):
    def export_model(self, weights: Weights, format: str) -> bytes:
        return {"json": self.json_of, "safetensors": Weights.to_bytes}[format](weights)


def _mutant(learner: type[Learner], fault: str) -> Mutant:
    return Mutant(learner.__name__, "learners", fault, Subject(learner))


MUTANTS = [
    _mutant(ListsWhatItCannotWrite, "lists a format that it can't export"),
    _mutant(ListsNothing, "lists no format to export"),
    _mutant(WritesNothing, "an exported file is empty"),
    _mutant(WritesText, "exports text, not bytes"),
    _mutant(NumbersItsExports, "the same export gives other bytes the second time"),
    _mutant(NamesItsAddress, "the same export gives other bytes in another instance"),
    _mutant(ExportsWhatItTrainedLast, "exports its own last model"),
    _mutant(ExportsTheInitialModel, "exports the initial model"),
    _mutant(RoundsInTheExport, "exported weights are rounded"),
    _mutant(ScalesTheGivenWeights, "exporting writes into the weights"),
    _mutant(ForgetsItsMomentum, "exporting clears the momentum"),
    _mutant(TrainsSlowerAfterAnExport, "exporting changes later training"),
    _mutant(WritesAnyFormat, "exports unknown formats too"),
    _mutant(KeepsItsFormatsToItself, "refuses an unknown format without a word of the known ones"),
    _mutant(LooksFormatsUp, "refuses an unknown format with a KeyError"),
]
CONTROLS = [_mutant(WritesJson, ""), _mutant(LacksAPackage, "")]
