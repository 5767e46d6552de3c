"""Exported models: other programs read them, and predict with them what the learner does."""

from __future__ import annotations

import builtins
from functools import partial
from typing import Any

import numpy as np
import onnx
import onnxruntime  # type: ignore[import-untyped]
import pytest
import torch
from numpy.typing import NDArray
from safetensors.torch import load
from torch import Tensor, nn

from colearn_core import Weights
from colearn_core.data import PrivateData, Samples, Task
from colearn_core.errors import ColearnError, UsageError, WeightsError
from colearn_core.reference import blobs
from colearn_torch_plugin import TorchLearner, export
from colearn_torch_plugin.models import cnn, linear, mlp, resnet

RNG = partial(np.random.default_rng, 1)
SGD = partial(torch.optim.SGD, lr=0.1)
COUNTER = "1.num_batches_tracked"


def thirds(samples: Samples) -> PrivateData:
    train, vote, test = (samples.take(np.arange(i, len(samples), 3)) for i in range(3))
    return PrivateData(train, vote, test, Task(classes=("a", "b", "c")))


def pictures() -> PrivateData:
    rng = np.random.default_rng(5)
    y = rng.integers(3, size=300)
    return thirds(Samples(rng.normal(size=(300, 1, 8, 8)) + y[:, None, None, None], y))


def normalised() -> nn.Module:
    return nn.Sequential(
        nn.Linear(6, 8),
        nn.BatchNorm1d(8),
        nn.ReLU(),
        nn.Dropout(0.5),
        nn.BatchNorm1d(8, momentum=None),
        nn.Linear(8, 3),
    )


def learner_of(model: Any) -> TorchLearner:
    return TorchLearner.of(thirds(blobs(samples=300).samples), model, SGD)


LEARNERS = {
    "linear": lambda: linear(pictures()),
    "mlp": lambda: mlp(pictures(), dropout=0.2),
    "cnn": lambda: cnn(pictures()),
    "resnet": lambda: resnet(pictures()),
    "module": lambda: learner_of(normalised),
}


@pytest.fixture(params=LEARNERS)
def learner(request: pytest.FixtureRequest) -> TorchLearner:
    return LEARNERS[request.param]()


def trained(party: TorchLearner) -> Weights:
    return party.propose_weights(party.initial_weights(RNG()), RNG()).weights


def run(exported: bytes, x: NDArray[np.float32]) -> NDArray[np.float32]:
    found: NDArray[np.float32] = onnxruntime.InferenceSession(exported).run(None, {"input": x})[0]
    return found


# ONNX


@pytest.mark.parametrize("count", [1, 3, 300])
def test_onnx_gives_what_the_module_gives_for_any_number_of_samples(learner: TorchLearner, count: int) -> None:
    weights = trained(learner)
    x = torch.randn(count, *learner.train.x.shape[1:], generator=torch.Generator().manual_seed(2))
    with torch.no_grad():
        expected = learner.module_with(weights)(x).numpy()
    assert run(learner.export_model(weights, "onnx"), x.numpy()) == pytest.approx(expected, abs=1e-5)


def test_the_accuracy_of_onnx_is_the_learners_own_score(learner: TorchLearner) -> None:
    weights = trained(learner)
    logits = run(learner.export_model(weights, "onnx"), learner.test.x[:].numpy())
    accuracy = (logits.argmax(axis=1) == learner.test.targets).mean()
    assert learner.test_weights(weights, "test").value == pytest.approx(accuracy)
    assert accuracy > 0.5


def test_values_are_exported_too() -> None:
    rng = np.random.default_rng(0)
    x = rng.normal(size=(50, 6)).astype(np.float32)
    party = TorchLearner(lambda: nn.Linear(6, 1), SGD, "mse", (x, x.sum(axis=1)))
    weights = trained(party)
    expected = x @ weights["weight"].T + weights["bias"]
    assert run(party.export_model(weights, "onnx"), x) == pytest.approx(expected, abs=1e-5)


def test_onnx_is_well_formed_and_names_its_input_and_output(learner: TorchLearner) -> None:
    model = onnx.load_from_string(learner.export_model(trained(learner), "onnx"))
    onnx.checker.check_model(model, full_check=True)
    (given,), (result,) = model.graph.input, model.graph.output
    assert (given.name, result.name) == ("input", "output")
    shape = [axis.dim_value for axis in given.type.tensor_type.shape.dim]
    assert shape == [0, *learner.train.x.shape[1:]]  # 0 for any number


class FixedLength(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.last = nn.Linear(6, 3)

    def forward(self, x: Tensor) -> Tensor:
        found: Tensor = self.last(x).reshape(len(x), 3)
        return found


class Attention(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.TransformerEncoderLayer(6, 2, 8, batch_first=True)
        self.last = nn.Linear(6, 3)

    def forward(self, x: Tensor) -> Tensor:
        found: Tensor = self.last(self.layer(x[:, None]).mean(1))
        return found


class BothWays(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.recurrent = nn.LSTM(1, 2, batch_first=True, bidirectional=True)
        self.last = nn.Linear(4, 3)

    def forward(self, x: Tensor) -> Tensor:
        found: Tensor = self.last(self.recurrent(x[:, :, None])[0][:, -1])
        return found


class Enlarging(nn.Module):
    """onnx's own evaluator (1.23) is wrong about grouped transposed convolutions; ONNX Runtime isn't."""

    def __init__(self) -> None:
        super().__init__()
        self.enlarge = nn.ConvTranspose2d(2, 2, 3, 2, 1, groups=2)
        self.last = nn.Linear(2 * 1 * 5, 3)

    def forward(self, x: Tensor) -> Tensor:
        found: Tensor = self.last(self.enlarge(x.reshape(-1, 2, 1, 3)).flatten(1))
        return found


class Watched(FixedLength):
    """With hooks, as Opacus hangs them up to see the gradients of single samples; and with tied layers."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.Linear(6, 6), nn.Linear(6, 6)
        self.second.weight = self.first.weight
        self.second.register_full_backward_hook(lambda *_: None)

    def forward(self, x: Tensor) -> Tensor:
        found: Tensor = self.last(self.second(self.first(x)))
        return found


@pytest.mark.parametrize("model", [Attention, BothWays, Enlarging, Watched])
def test_all_sorts_of_networks_are_exported(model: type[nn.Module]) -> None:
    party = learner_of(model)
    weights = trained(party)
    x = torch.randn(5, 6, generator=torch.Generator().manual_seed(2))
    with torch.no_grad():
        expected = party.module_with(weights)(x).numpy()
    assert run(party.export_model(weights, "onnx"), x.numpy()) == pytest.approx(expected, abs=1e-5)


class Unsupported(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.last = nn.Linear(2, 3)

    def forward(self, x: Tensor) -> Tensor:
        found: Tensor = self.last(torch.linalg.svdvals(x.reshape(-1, 2, 3)))
        return found


class FixedScale(FixedLength):
    def forward(self, x: Tensor) -> Tensor:
        found: Tensor = self.last(x / (1 + float(x.abs().max())))
        return found


class FixedRows(FixedLength):
    def forward(self, x: Tensor) -> Tensor:
        found: Tensor = self.last(x)[: len(x)]
        return found


@pytest.mark.parametrize(
    ("model", "cause"),
    [
        (Unsupported, r"Unsupported can't be exported to ONNX: .*linalg_svdvals"),
        (FixedLength, r"FixedLength can't be exported to ONNX: .* can't take 3 samples: .*\n.* x\.shape\[0\], not len"),
        (FixedRows, r"FixedRows can't be exported to ONNX: .* gives outputs of shape \(2, 3\), not \(3, 3\)"),
        (FixedScale, r"FixedScale can't be exported to ONNX: .* outputs that differ by up to "),
    ],
)
def test_a_module_that_cannot_be_exported_is_named_with_the_cause(
    model: type[nn.Module], cause: str, capfd: pytest.CaptureFixture[str]
) -> None:
    party = learner_of(model)
    with pytest.raises(ColearnError, match=cause) as caught:
        party.export_model(trained(party), "onnx")
    assert '"state_dict"' in str(caught.value)
    assert capfd.readouterr() == ("", "")


def test_without_the_package_onnx_the_error_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    importing = builtins.__import__

    def without_onnx(name: str, *args: Any) -> Any:
        if name.partition(".")[0] == "onnx":
            raise ModuleNotFoundError(f"No module named {name!r}", name="onnx")
        return importing(name, *args)

    party = learner_of(normalised)
    weights = trained(party)
    monkeypatch.setattr(builtins, "__import__", without_onnx)
    with pytest.raises(UsageError, match=r'onnx.* isn\'t installed\npip install "colearn-torch-plugin\[onnx\]"'):
        party.export_model(weights, "onnx")
    assert party.export_model(weights, "state_dict")


class Remembering(FixedLength):
    def forward(self, x: Tensor) -> Tensor:
        found: Tensor = self.last(x) + 1e-6 * float(x[0, 0])  # in a trace it's a constant, too small to be noticed
        return found


def test_private_samples_make_no_difference_to_the_file() -> None:
    x, y = np.ones((40, 6)), np.arange(40) % 3
    one, other = (TorchLearner(Remembering, SGD, "cross_entropy", (z, y), classes=3) for z in (x, 7 * x))
    weights = one.initial_weights(RNG())
    assert one.export_model(weights, "onnx") == other.export_model(weights, "onnx")


def test_an_export_draws_nothing_and_puts_back_what_it_switches_off() -> None:
    party = learner_of(normalised)
    weights, generator, printing = trained(party), torch.get_rng_state(), torch._C._jit_onnx_log
    party.export_model(weights, "onnx")
    assert torch.equal(torch.get_rng_state(), generator)
    assert torch._C._jit_onnx_log is printing
    assert torch.backends.mha.get_fastpath_enabled()


# State dictionaries


def test_a_state_dictionary_loads_strictly_into_the_authors_module() -> None:
    party = learner_of(normalised)
    weights = trained(party)
    own = normalised()
    own.load_state_dict(load(party.export_model(weights, "state_dict")), strict=True)
    expected = party.module_with(weights)
    x = torch.randn(7, 6)
    assert torch.equal(own.eval()(x), expected(x))


def test_counters_that_do_not_travel_are_zero_however_much_was_trained_here() -> None:
    party = learner_of(normalised)
    weights = trained(party)
    first = party.export_model(weights, "state_dict")
    assert party.workbench.module.state_dict()[COUNTER] > 0
    trained(party)
    assert party.export_model(weights, "state_dict") == first
    state = load(first)
    assert state[COUNTER] == 0
    assert state["4.num_batches_tracked"].item() == weights["4.num_batches_tracked"] > 0  # part of the model


def test_tied_layers_are_written_twice() -> None:
    def tied() -> nn.Module:
        model = nn.Sequential(nn.Linear(6, 6), nn.Linear(6, 6), nn.Linear(6, 3))
        model[1].weight = model[0].weight
        return model

    party = learner_of(tied)
    state = load(party.export_model(trained(party), "state_dict"))
    assert torch.equal(state["0.weight"], state["1.weight"])
    tied().load_state_dict(state, strict=True)


def test_a_state_that_is_no_tensor_is_named() -> None:
    class Noted(FixedLength):
        def get_extra_state(self) -> str:
            return "a note"

        def set_extra_state(self, state: str) -> None:
            pass

    weights = Weights({"last.weight": np.zeros((3, 6), np.float32), "last.bias": np.zeros(3, np.float32)})
    with pytest.raises(ColearnError, match=r"Noted can't be exported: '_extra_state' of its state is str"):
        export.as_state_dict(Noted(), weights)


# Any format


def test_what_travels_is_a_format_too() -> None:
    party = learner_of(normalised)
    weights = trained(party)
    assert Weights.from_bytes(party.export_model(weights, "safetensors")) == weights


@pytest.mark.parametrize("format", ["onnx", "state_dict"])
def test_weights_of_another_model_are_refused(format: str) -> None:
    with pytest.raises(WeightsError, match="weights of another model"):
        learner_of(normalised).export_model(trained(linear(pictures())), format)


def test_an_unknown_format_is_refused_and_the_known_ones_are_named() -> None:
    party = learner_of(normalised)
    with pytest.raises(UsageError, match="TorchLearner can't export a model as 'pickle'\nIt knows: onnx, state_dict, "):
        party.export_model(trained(party), "pickle")
