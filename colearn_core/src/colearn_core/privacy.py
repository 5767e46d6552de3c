"""Differential privacy: what a learner may spend, what it has spent, and a record that outlives it.

The unit is the (ε, δ) of Dwork et al. 2006 ("Our data, ourselves") between data sets that differ by one
sample. Training and noisy scores are both sampled Gaussian mechanisms, so one accountant adds them up.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from hashlib import blake2b
from math import isfinite
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal, NamedTuple

import numpy as np
from annotated_types import Ge, Gt
from numpy.typing import NDArray

from .errors import Abstention, LedgerError, ParameterError, WeightsError

ID_BYTES = 16


class SampledGaussian(NamedTuple):
    """The sampled Gaussian mechanism (Mironov, Talwar and Zhang 2019, arXiv 1908.10530), some times over.

    Attributes:
        noise_multiplier: standard deviation of the noise, relative to what one sample can change.
        sample_rate: the probability with which each sample takes part; 1 if all do.
        steps: how many times.
    """

    noise_multiplier: float
    sample_rate: float
    steps: int


Accountant = Callable[[tuple[SampledGaussian, ...], float], float]
"""From what was done and a delta to the epsilon of all of it together, or an upper bound of that."""


@dataclass(frozen=True)
class Privacy:
    """The privacy that a learner keeps to, as a parameter of a component or of a learner."""

    __pydantic_config__: ClassVar = {"extra": "forbid"}  # a misspelt key in an experiment file is an error

    target_epsilon: Annotated[float, Gt(0), "What may be spent in all"]
    target_delta: Annotated[float, Gt(0), "The probability that the guarantee fails"] = 1e-5
    max_grad_norm: Annotated[float, Gt(0), "Norm to which each sample's gradient is clipped"] = 1.0
    noise_multiplier: Annotated[
        float | Literal["auto"], "Noise of training relative to that norm; auto lets the budget last for `proposals`"
    ] = "auto"
    proposals: Annotated[int | None, Ge(1), "With auto: how many proposals the budget has to last for"] = None
    score_noise_multiplier: Annotated[
        float, Ge(0), "Noise of scores, relative to what a sample can change; 0 gives exact scores, not accounted for"
    ] = 0.0
    score_bound: Annotated[float, Gt(0), "A sample's part of a noisy score is clipped to it, either way"] = 5.0
    scores: Annotated[int | None, Ge(1), "With auto and noisy scores: how many of these the budget has to last for"] = (
        None
    )
    accountant: Annotated[str | None, "How epsilon is computed; by default the tightest way the backend has"] = None

    def __post_init__(self) -> None:
        positive = ("target_epsilon", "target_delta", "max_grad_norm", "score_bound")
        for name in (*positive, "score_noise_multiplier"):
            value = getattr(self, name)
            if not isfinite(value) or value < 0 or (name in positive and value == 0):
                least = "greater than 0" if name in positive else "0 or greater"
                raise ParameterError(f"privacy: {name} = {value} must be {least}")
        if self.target_delta >= 1:
            raise ParameterError(f"privacy: target_delta = {self.target_delta} is a probability, far below 1")
        if self.noise_multiplier == "auto":
            if self.proposals is None:
                raise ParameterError(
                    "privacy: for how many proposals must the budget last?",
                    hint="Set proposals (rounds / learners for round_robin, rounds for everyone) or noise_multiplier.",
                )
            if self.score_noise_multiplier and self.scores is None:
                raise ParameterError(
                    "privacy: for how many noisy scores must the budget last?",
                    hint="Set scores (candidates of all rounds, and two for each adopted one) or noise_multiplier.",
                )
        elif not isfinite(self.noise_multiplier) or self.noise_multiplier <= 0:
            raise ParameterError(f"privacy: noise_multiplier = {self.noise_multiplier} must be positive")


class Spent(NamedTuple):
    """What a learner has spent so far; it publishes that, as its partners' trust rests on it.

    Attributes:
        epsilon: of all mechanisms together, at ``delta``.
        target_epsilon: what it may come to.
        delta: the probability that the guarantee fails.
        mechanisms: what was done, equal ones together, in order of their first use.
    """

    epsilon: float
    target_epsilon: float
    delta: float
    mechanisms: tuple[SampledGaussian, ...]


class Budget:
    """What a learner may spend; it refuses what would exceed it.

    Whatever spends has an id: the same answer, given again from the same randomness, reveals nothing new
    and costs nothing. So a round that's played again after a crash is paid for once.

    Args:
        accountant: it's asked again only when something new was spent.
    """

    def __init__(self, privacy: Privacy, accountant: Accountant) -> None:
        self.privacy = privacy
        self._epsilon = lru_cache(maxsize=64)(lambda done: accountant(done, privacy.target_delta) if done else 0.0)
        self._entries: dict[bytes, SampledGaussian] = {}
        self._journal: Journal | None = None
        self._spent: Spent | None = None

    @property
    def spent(self) -> Spent:
        if self._spent is None:
            done = together(self._entries.values())
            target, delta = self.privacy.target_epsilon, self.privacy.target_delta
            self._spent = Spent(self._epsilon(done), target, delta, done)
        return self._spent

    def spend(self, what: str, items: Mapping[bytes, SampledGaussian]) -> None:
        """Pay for answers before they're computed.

        Args:
            what: what is asked for, for the message.
            items: by id; those that were paid for already are free.

        Raises:
            Abstention: that would exceed the budget; nothing is spent.
            LedgerError: the journal can't be written; nothing may be given away.
        """
        new = {key: item for key, item in items.items() if key not in self._entries}
        if not new:
            return
        before = self.spent
        after = self._epsilon(together([*self._entries.values(), *new.values()]))
        if after > self.privacy.target_epsilon:
            raise Abstention(
                f"its privacy budget is spent: epsilon is {before.epsilon:.3g} of {before.target_epsilon:g} "
                f"(delta {before.delta:g}), and {what} would make it {after:.3g}"
            )
        if self._journal is not None:
            self._journal.add(new)
        self._entries |= new
        self._spent = None

    def keep(self, path: Path) -> None:
        """Write all that's spent to a file from now on, before it's spent, and count what the file holds already.

        A learner that is killed and made anew with the same file has spent what it had spent.

        Raises:
            LedgerError: the file can't be written, or holds something else.
        """
        self._journal = Journal(path)
        known = self._journal.entries
        missing = {key: item for key, item in self._entries.items() if key not in known}
        if missing:
            self._journal.add(missing)
        self._entries |= known
        self._spent = None

    def state(self) -> dict[str, NDArray[Any]]:
        """All that was spent, as arrays for a checkpoint; none if nothing was."""
        if not self._entries:
            return {}
        return {
            "privacy ids": np.frombuffer(b"".join(self._entries), dtype=np.uint8).reshape(-1, ID_BYTES),
            "privacy mechanisms": np.array(list(self._entries.values()), dtype=np.float64),
        }

    def restore(self, state: Mapping[str, NDArray[Any]]) -> None:
        """Go on from what :meth:`state` gave; what a kept file holds is never forgotten.

        Raises:
            WeightsError: the state isn't that of a budget.
        """
        entries: dict[bytes, SampledGaussian] = {}
        if state:
            try:
                ids, rows = state["privacy ids"], state["privacy mechanisms"]
                if ids.dtype != np.uint8 or ids.shape != (len(rows), ID_BYTES) or rows.shape[1:] != (3,):
                    raise ValueError(f"shapes {ids.shape} and {rows.shape}")
            except (KeyError, ValueError) as error:
                raise WeightsError(f"this is no state of a privacy budget: {error}") from error
            entries = {
                bytes(key): SampledGaussian(float(noise), float(rate), int(steps))
                for key, (noise, rate, steps) in zip(ids, rows, strict=True)
            }
        self._entries = entries | (self._journal.entries if self._journal is not None else {})
        self._spent = None

    def answer(self, key: bytes, *what: bytes) -> bytes:
        """The id of an answer: all that it and its noise depend on, and a secret, hashed.

        Whoever knows the secret can compute the noise and take it away.
        """
        sha = blake2b(key=key[:64], digest_size=ID_BYTES)
        for item in (repr(self.privacy).encode(), *what):
            sha.update(len(item).to_bytes(8, "little") + item)
        return sha.digest()


STATE_NAMES = ("privacy ids", "privacy mechanisms")
"""The arrays of :meth:`Budget.state`."""


class Journal:
    """What was spent, one JSON line each, on disk before it's spent.

    Raises:
        LedgerError: the file can't be read or written, or holds something else.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.entries: dict[bytes, SampledGaussian] = {}
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            data = path.read_bytes() if path.exists() else b""
        except OSError as error:
            raise self._failure(error) from error
        # A last line without an end was never confirmed to the learner, so nothing was done on its account.
        self._end = data.rfind(b"\n") + 1
        for number, raw in enumerate(data[: self._end].splitlines(), start=1):
            try:
                line = json.loads(raw)
                key = bytes.fromhex(line["id"])
                self.entries[key] = SampledGaussian(
                    float(line["noise_multiplier"]), float(line["sample_rate"]), int(line["steps"])
                )
            except (ValueError, KeyError, TypeError) as error:
                raise LedgerError(
                    f"{path}, line {number} is no line of a privacy journal: {error}",
                    hint="What was spent can't be told from it; give the learner another file and a smaller budget.",
                ) from None

    def add(self, entries: Mapping[bytes, SampledGaussian]) -> None:
        """Write entries; when it returns, they're on the disk."""
        lines = [json.dumps({"id": key.hex(), **item._asdict()}) + "\n" for key, item in entries.items()]
        data = "".join(lines).encode()
        try:
            with self.path.open("r+b" if self.path.exists() else "x+b") as file:
                file.truncate(self._end)
                file.seek(self._end)
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
        except OSError as error:
            raise self._failure(error) from error
        self._end += len(data)
        self.entries |= entries

    def _failure(self, error: OSError) -> LedgerError:
        return LedgerError(
            f"can't keep the privacy journal {self.path}: {error.strerror}",
            hint="Without it nothing private is computed, since what is spent could be forgotten.",
        )


def together(items: Iterable[SampledGaussian]) -> tuple[SampledGaussian, ...]:
    """Equal mechanisms in one, in order of their first use."""
    steps: dict[tuple[float, float], int] = {}
    for noise_multiplier, sample_rate, times in items:
        key = (noise_multiplier, sample_rate)
        steps[key] = steps.get(key, 0) + times
    return tuple(SampledGaussian(*key, times) for key, times in steps.items())
