"""Data that don't fit in memory are streamed, with the same results."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset, IterableDataset, Subset, TensorDataset

from colearn_core import Experiment, FileLedger, LoopCohort
from colearn_core.errors import DataError, ParameterError
from colearn_core.privacy import Privacy
from colearn_core.reference import blobs
from colearn_torch_plugin import TorchCohort, TorchLearner
from colearn_torch_plugin.streamed import StreamedTensor
from colearn_torch_plugin.tensors import MEMORY_LIMIT, tensors_of

SGD = partial(torch.optim.SGD, lr=0.1)
RNG = partial(np.random.default_rng, 1)


def perceptron() -> nn.Module:
    return nn.Sequential(nn.Linear(6, 8), nn.Dropout(0.2), nn.ReLU(), nn.Linear(8, 3))


def arrays(n: int = 600, seed: int = 0) -> tuple[Any, Any]:
    samples = blobs(samples=n, seed=seed).samples
    return samples.x, samples.y


def learner(train: Any, vote: Any = None, test: Any = None, **more: Any) -> TorchLearner:
    return TorchLearner(perceptron, SGD, "cross_entropy", train, vote, test, classes=3, **more)


class Rows(Dataset[Any]):
    """Pairs by number; it notes which were read."""

    def __init__(self, x: Any, y: Any) -> None:
        self.x, self.y = x, y
        self.read: list[int] = []

    def __len__(self) -> int:
        return len(self.y)

    def __getitem__(self, number: int) -> Any:
        self.read.append(number)
        return self.x[number], self.y[number]


class Noisy(Rows):
    """With random augmentation."""

    def __getitem__(self, number: int) -> Any:
        x, y = super().__getitem__(number)
        return torch.as_tensor(x, dtype=torch.float32) + torch.randn(6), y


def as_memmap(x: Any, y: Any, folder: Path) -> Any:
    np.save(folder / "x.npy", x)
    return np.load(folder / "x.npy", mmap_mode="r"), y


def as_backwards(x: Any, y: Any, folder: Path) -> Any:
    return DataLoader(Rows(x[::-1].copy(), y[::-1].copy()), batch_size=7, sampler=range(len(y) - 1, -1, -1))


def as_joined(x: Any, y: Any, folder: Path) -> Any:
    def join(samples: Sequence[Any]) -> Any:
        return torch.stack([torch.tensor(2 * x) for x, _ in samples]), torch.tensor([y for _, y in samples])

    return DataLoader(Rows(x / 2, y), batch_size=7, collate_fn=join)


FORMS: dict[str, Any] = {
    "array": lambda x, y, folder: (x, y),
    "half array": lambda x, y, folder: (x.astype(np.float16), y),
    "memmap": as_memmap,
    "tensor": lambda x, y, folder: (torch.tensor(x), torch.tensor(y)),
    "data set": lambda x, y, folder: Rows(x, y),
    "tensor data set": lambda x, y, folder: TensorDataset(torch.tensor(x), torch.tensor(y)),
    "subset": lambda x, y, folder: Subset(Rows(np.repeat(x, 2, 0), np.repeat(y, 2)), range(1, 2 * len(y), 2)),
    "loader": lambda x, y, folder: DataLoader(Rows(x, y), batch_size=7),
    "loader of a list": lambda x, y, folder: DataLoader(list(zip(x, y, strict=True)), batch_size=7),  # type: ignore[arg-type]
    "loader with an order": as_backwards,
    "loader that joins": as_joined,
    "loader that drops": lambda x, y, folder: DataLoader(Rows(x, y), batch_size=7, drop_last=True),
}


# The same results as in memory


@pytest.mark.parametrize("form", FORMS)
def test_streamed_data_train_and_score_bit_for_bit_as_in_memory(form: str, tmp_path: Path) -> None:
    found = []
    for limit in (MEMORY_LIMIT, 0):
        data = FORMS[form](*arrays(), tmp_path)
        party = learner(data, data, data, memory_limit=limit)
        assert party.train.streamed == party.vote.streamed == party.test.streamed == (limit == 0)
        proposal = party.propose_weights(party.initial_weights(RNG()), RNG())
        found.append(
            (proposal, party.test_weights(proposal.weights, "vote"), party.test_weights(*proposal[:1], "test"))
        )
    assert found[0] == found[1]
    assert np.isfinite(found[0][1].value)


def test_same_ledger_fused_in_memory_looped_and_streamed(tmp_path: Path) -> None:
    parties = [[arrays(90 + 7 * i, 3 * i + k) for k in range(3)] for i in range(4)]
    settings = [("fused", ()), ("loop", ()), ("fused", (1,)), ("fused", range(4)), ("loop", range(4))]
    heads = []
    for name, (runtime, streaming) in enumerate(settings):
        learners = [learner(*p, memory_limit=0 if i in streaming else MEMORY_LIMIT) for i, p in enumerate(parties)]
        experiment = Experiment(learners, proposals="approval", runtime=runtime, seed=5)
        assert isinstance(experiment.cohort, TorchCohort) == (runtime == "fused" and not streaming)
        with FileLedger(tmp_path / str(name)) as experiment.ledger:
            run = experiment.run(8)
        lines = (tmp_path / str(name) / "ledger.jsonl").read_text().splitlines()
        heads.append(lines[-1].partition('"hash":')[2][:66])
    assert any(run.history.accepted)
    assert heads == [heads[0]] * len(settings)


def test_learners_that_stream_only_what_they_train_on_are_fused() -> None:
    small, large = arrays(60), arrays(600)
    learners = [learner(large, small, small, memory_limit=6 * 4 * 100) for _ in range(2)]
    assert learners[0].train.streamed
    assert isinstance(TorchLearner.cohort(learners), TorchCohort)
    learners.append(learner(small, small, large, memory_limit=6 * 4 * 100))
    assert type(TorchLearner.cohort(learners)) is LoopCohort
    base = learners[0].initial_weights(RNG())
    together, alone = (kind(learners).test([base], "test").values for kind in (TorchCohort, LoopCohort))
    assert np.array_equal(together, alone)


def test_values_are_streamed_too() -> None:
    x, _ = arrays()
    found = []
    for limit in (MEMORY_LIMIT, 0):
        data = Rows(x, x.sum(1, keepdims=True))
        party = TorchLearner(lambda: nn.Linear(6, 1), SGD, "mse", data, data, memory_limit=limit)
        weights = party.propose_weights(party.initial_weights(RNG()), RNG()).weights
        found.append(party.test_weights(weights, "vote"))
    assert found[0] == found[1]
    assert found[0].samples == 600


def test_private_learners_stream_too() -> None:
    pytest.importorskip("opacus")
    found = []
    for limit in (MEMORY_LIMIT, 0):
        party = learner(
            Rows(*arrays()),
            memory_limit=limit,
            privacy=Privacy(50.0, noise_multiplier=1.0),
            key=b"a key of 32 bytes" * 2,
        )
        found.append(party.propose_weights(party.initial_weights(RNG()), RNG()))
    assert found[0] == found[1]


# What is read, and when


def test_data_are_streamed_from_one_byte_over_the_limit() -> None:
    data = arrays(100)
    for form in (data, Rows(*data), DataLoader(Rows(*data), batch_size=7)):
        assert not tensors_of("train", form, 3, limit=100 * 6 * 4).streamed
        assert tensors_of("train", form, 3, limit=100 * 6 * 4 - 1).streamed


def test_a_step_reads_only_its_batch_and_scoring_reads_each_sample_in_turn() -> None:
    train, vote = Rows(*arrays()), Rows(*arrays())
    party = learner(train, vote, memory_limit=0, steps_per_round=3, batch_size=5)
    base = party.initial_weights(RNG())
    train.read.clear()
    vote.read.clear()
    party.propose_weights(base, RNG())
    assert len(train.read) == len(set(train.read)) == 15
    assert vote.read == []
    party.test_weights(base, "vote")
    assert vote.read == [0, *range(600)]  # where samples lie in chunks depends on the first


def test_rows_are_read_as_a_tensor_gives_them() -> None:
    x, y = arrays(40)
    held, stream = (tensors_of("train", Rows(x, y), 3, limit) for limit in (MEMORY_LIMIT, 0))
    assert isinstance(stream.x, StreamedTensor)
    assert stream.x.shape == held.x.shape
    picks: list[Any] = [slice(0), slice(3, 9), slice(30, 99), slice(None), torch.tensor([5, 1, 5])]
    for rows in picks:
        assert torch.equal(stream.x[rows], held.x[rows])
        assert stream.x[rows].dtype == torch.float32


MEMORY = """
import re, sys
from pathlib import Path
import numpy as np, torch
from functools import partial
from torch import nn
from torch.utils.data import Dataset
from colearn_torch_plugin import TorchLearner

features = int(sys.argv[2])

class Made(Dataset):
    def __len__(self):
        return int(sys.argv[1]) * (1 << 20) // (4 * features)
    def __getitem__(self, number):
        return torch.full((features,), number % 3 - 1.0), number % 3

def peak():
    # not ru_maxrss, which a process inherits from the one that starts it
    return int(re.search("VmHWM:\\s*(\\d+)", Path("/proc/self/status").read_text())[1]) / 1024

model = nn.Linear(features, 3)
few = torch.utils.data.Subset(Made(), range((10 << 20) // (4 * features)))
def run(data):
    party = TorchLearner(model, partial(torch.optim.SGD, lr=1e-3), "cross_entropy", data, data, classes=3,
        memory_limit=20 << 20)
    assert party.train.streamed == (data is not few)
    base = party.initial_weights(np.random.default_rng(0))
    trained = party.propose_weights(base, np.random.default_rng(0)).weights
    return party.test_weights(trained, "vote")
run(few)
before = peak()
score = run(Made())
assert score.samples == len(Made()) and np.isfinite(score.value)
print(peak() - before)
"""


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="the peak is read from Linux's /proc")
def test_memory_does_not_grow_with_streamed_data() -> None:
    run = subprocess.run([sys.executable, "-c", MEMORY, "400", "10000"], capture_output=True, text=True, check=True)
    assert float(run.stdout) < 60, "MiB more than for 10 MB, of 400 MB"


# Randomness


def test_augmentation_is_fresh_in_each_step_and_repeats_with_the_seed() -> None:
    found = []
    party = learner(arrays())  # its module draws from torch's own generator; the other learners share it
    for ambient in (1, 2):
        torch.manual_seed(ambient)
        state = torch.get_rng_state()
        party = learner(Noisy(*arrays(20)), memory_limit=0)
        found.append(party.propose_weights(party.initial_weights(RNG()), RNG()))
        assert torch.equal(torch.get_rng_state(), state)
    assert found[0] == found[1]
    once = party.train.x[torch.arange(20)]
    assert not torch.equal(party.train.x[torch.arange(20)], once)


def test_augmented_data_score_every_candidate_on_the_same_samples() -> None:
    party = learner(arrays(), Noisy(*arrays()), memory_limit=0)
    base = party.initial_weights(RNG())
    first = party.test_weights(base, "vote")
    torch.manual_seed(9)
    state = torch.get_rng_state()
    party.test_weights(party.propose_weights(base, RNG()).weights, "vote")
    assert party.test_weights(base, "vote") == first
    assert torch.equal(torch.get_rng_state(), state)


def test_a_data_set_may_keep_what_it_read_and_change_it_in_training() -> None:
    class Keeping(Rows):
        def __getitem__(self, number: int) -> Any:
            x, y = super().__getitem__(number)
            kept = self.kept.setdefault(number, torch.tensor(x))
            return kept.add_(0), y

        kept: dict[int, Tensor] = {}

    data = Keeping(*arrays(40))
    party = learner(data, data, memory_limit=0)
    base = party.initial_weights(RNG())
    data.kept.clear()
    party.test_weights(base, "vote")  # reads in inference mode, but for precautions
    party.propose_weights(base, RNG())


# What is refused


class Numbered(IterableDataset[Any]):
    def __init__(self) -> None:
        self.given = 0

    def __iter__(self) -> Iterator[Any]:
        while True:
            self.given += 1
            yield torch.zeros(6), 0


@pytest.mark.parametrize("form", [lambda data: data, partial(DataLoader, batch_size=2)])
def test_an_iterable_that_does_not_fit_is_refused_before_it_fills_the_memory(form: Any) -> None:
    data = Numbered()
    with pytest.raises(DataError, match=r"more than the 2,400 bytes of memory_limit.* Numbered can't.*\n.*map-style"):
        learner(form(data), memory_limit=2400)
    assert data.given <= 102


def with_value(value: float, number: int) -> tuple[Any, Any]:
    x, y = arrays()
    x[number, :2] = value
    return x, y


@pytest.mark.parametrize("form", ["array", "memmap", "loader of a list", "data set", "loader with an order"])
def test_values_that_are_not_finite_are_named_by_their_sample(form: str, tmp_path: Path) -> None:
    number = 17 if form == "loader with an order" else 582
    x, y = with_value(np.nan, 582)
    message = f"the vote features of sample {number} hold 2 values that aren't finite"
    with pytest.raises(DataError, match=message):
        learner(arrays(), FORMS[form](x, y, tmp_path), memory_limit=0)


def test_a_cohort_goes_on_when_data_change_for_the_worse() -> None:
    good, bad = arrays(), arrays()
    cohort = TorchLearner.cohort([learner(good, good, memory_limit=0), learner(good, bad, memory_limit=0)])
    bad[0][300, 2] = np.inf
    scores = cohort.test([cohort.initial_weights(RNG())], "vote")
    assert np.isfinite(scores.values[0, 0])
    assert "the vote features of sample 300 hold 1 values" in scores.reasons[1]


class Uneven(Rows):
    def __getitem__(self, number: int) -> Any:
        x, y = super().__getitem__(number)
        return (x[:5] if number >= 256 else x), y


class Unsized(Dataset[Any]):
    def __getitem__(self, number: int) -> Any:
        return torch.zeros(6), 0


@pytest.mark.parametrize(
    ("train", "message"),
    [
        (Uneven(*arrays(512)), r"sample 256 have the shape \(5,\), those of sample 0 \(6,\)"),
        (Uneven(*arrays(300)), "sample 256 have the shape"),
        (Rows(arrays()[0], np.full(600, 3)), "hold 3; class numbers go from 0 to 2"),
        ((arrays()[0], np.zeros(3, dtype=int)), "600 samples and 3 targets"),
        (Rows([["a"]] * 9, np.zeros(9)), "aren't pairs of a sample and its target"),
        (DataLoader(Rows(*arrays()), 7, collate_fn=lambda found: (torch.zeros(2, 6), torch.zeros(2))), "are read as 2"),
        (Unsized(), r"Unsized, the train data, can't be read\nGive it __getitem__ and __len__"),
    ],
)
def test_data_that_cannot_be_streamed_are_named(train: Any, message: str) -> None:
    with pytest.raises(DataError, match=message):
        learner(train, memory_limit=0)


def test_a_negative_limit_is_refused() -> None:
    with pytest.raises(ParameterError, match="memory_limit must be a number of bytes, not -1"):
        learner(arrays(), memory_limit=-1)
