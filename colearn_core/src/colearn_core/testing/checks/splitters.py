"""What every splitter must do."""

from __future__ import annotations

import ctypes
import re
from collections.abc import Callable, Iterator
from contextlib import suppress
from threading import Thread
from types import NoneType, UnionType
from typing import Annotated, Any, Union, get_args, get_origin

import numpy as np
from annotated_types import GroupedMetadata
from numpy.typing import NDArray

from ...data import Samples
from ...errors import UsageError
from ...parameters import Parameter, checked, parameters_of
from ...splitting import Indices, Splitter
from ..kit import Subject, fail, require
from ..probing import global_generators

Labels = NDArray[Any]

SECONDS = 10.0
"""How long a split of a few samples may take."""

SAMPLES = 607
"""A prime number, so that no number of learners and no round share divides it."""


def partitions_are_exact(subject: Subject) -> None:
    """A sample that is lost is data that a learner had and nobody learned from; one that is dealt twice is in
    training and in test data at once; and a learner without any can't take part.
    """
    for title, labels in _label_sets():
        told = f"{title}, {len(labels)} samples among {subject.learners} learners"
        exact = _exact_or_refused(told, subject.make, labels, subject.learners)
        # Other labels may be beyond a splitter, such as one class for one that deals out whole classes.
        require(exact or title != "balanced classes", f"{told} is refused; the kit's subject says it must work")


def other_numbers_of_learners_work_or_are_refused(subject: Subject) -> None:
    """Experiments differ in size: a wrong partition is noticed late or never, a refusal at once."""
    labels = np.arange(60) % 6
    for parts in (1, 2, 7, len(labels)):
        _exact_or_refused(f"{len(labels)} samples among {parts} learners", subject.make, labels, parts)


def same_seed_same_partition(subject: Subject) -> None:
    """A run can only be repeated if each learner gets the data it had, so all randomness comes from ``rng``."""
    _, labels = next(_label_sets())
    once: Splitter = subject.make()
    found = []
    for attempt, splitter in enumerate((once, once, subject.make())):
        with global_generators(attempt):
            found.append([part.tolist() for part in _split(splitter, labels, subject.learners)])
    require(found[0] == found[1], "the same splitter gives other parts when asked again with the same rng")
    require(found[0] == found[2], "a second instance gives other parts for the same rng")


def global_generators_are_left_alone(subject: Subject) -> None:
    """Everything in a process shares these generators: who seeds or uses one decides what the others draw."""
    _, labels = next(_label_sets())
    with global_generators(12345) as untouched:
        _split(subject.make(), labels, subject.learners)
        require(untouched(), "splitting touches a global random generator; draw from rng instead")


def labels_are_left_unchanged(subject: Subject) -> None:
    """The labels belong to the data set: sorted or masked in place, every sample has another's label afterwards."""
    for title, labels in _label_sets():
        before = labels.copy()
        _exact_or_refused(title, subject.make, labels, subject.learners)
        require(np.array_equal(labels, before), f"the labels ({title}) are changed")
        labels.flags.writeable = False
        _exact_or_refused(f"{title} in a read-only array", subject.make, labels, subject.learners)


def columns_of_any_kind_are_divided_or_refused(subject: Subject) -> None:
    """A splitter that names a column gets what users have in it: text, dates, truth values, numbers with gaps. Where it
    can't go by them it must say so; a crash tells nothing, and a missing value taken for a party makes one up.
    """
    column = subject.make().column
    require(column is None or (isinstance(column, str) and column != ""), f"its column is {column!r}, no name")
    if column is None:
        return
    numbers = np.arange(SAMPLES) % 10
    kinds: dict[str, Labels] = {
        "text": np.array([f"site {n}" for n in numbers]),
        "dates": np.datetime64("2026-01-01", "s") + numbers * np.timedelta64(1, "D"),
        "truth values": numbers > 4,
        "quantities": np.random.default_rng(0).lognormal(sigma=9, size=SAMPLES),
        "numbers with gaps": np.where(numbers == 3, np.nan, numbers.astype(float)),
        "equal values": np.zeros(SAMPLES),
    }
    for title, values in kinds.items():
        _exact_or_refused(f"a column of {title}", subject.make, values, subject.learners)


def only_features_are_altered(subject: Subject) -> None:
    """What a learner sees may be skewed, but not how much it has nor what's true of it; and the data set itself, which
    all learners' parts come from, must stay as it is.
    """
    rng = np.random.default_rng(1)
    y = np.arange(40) % 3
    features: dict[str, NDArray[Any]] = {
        "numbers": rng.normal(size=(40, 5)),
        "numbers in single precision": rng.normal(size=(40, 5)).astype(np.float32),
        "pictures": rng.random((40, 1, 6, 6)),
        "counts": rng.integers(255, size=(40, 4)).astype(np.uint8),
        "constants": np.ones((40, 3)),
        "numbers with gaps": np.where(rng.random((40, 5)) < 0.2, np.nan, 1e6),
    }
    for title, x in features.items():
        for samples in (Samples(x, y), Samples(x[:1], y[:1])):
            told = f"features ({title}, {len(samples)} samples)"
            kept = Samples(samples.x.copy(), samples.y.copy())
            found = _altered(subject.make(), samples, subject.learners, told)
            require(_same(samples, kept), f"{told} are changed in place")
            require(found.x.shape == samples.x.shape, f"{told} get the shape {found.x.shape}")
            require(np.array_equal(found.y, samples.y), f"with {told} targets are altered")
            gaps = ~np.isfinite(samples.x.astype(np.float64))
            require(bool(np.isfinite(found.x[~gaps]).all()), f"finite {told} become infinite or NaN")
            again = _altered(subject.make(), samples, subject.learners, told)
            require(_same(found, again), f"{told} are altered otherwise for the same rng")
            with global_generators(12345) as untouched:
                _altered(subject.make(), samples, subject.learners, told)
                require(untouched(), f"altering {told} touches a global random generator; draw from rng instead")


def impossible_requests_are_refused(subject: Subject) -> None:
    """A user who asks for more learners than there are samples needs to read which number is wrong; empty parts or
    a division by zero come up rounds later, in somebody else's code.
    """
    for samples, parts in ((40, 0), (40, -1), (3, 5), (subject.learners - 1, subject.learners), (0, 1)):
        told = f"{samples} samples among {parts} learners"
        outcome = _outcome(told, subject.make, np.arange(samples) % 3, parts)
        if not isinstance(outcome, UsageError):
            fail(f"{told} are not refused, the parts have {[len(part) for part in outcome]} samples")
        require(bool(re.search(r"\d", str(outcome))), f"{told}: the refusal {str(outcome)!r} names no number")


def extreme_parameters_end_well(subject: Subject) -> None:
    """Whoever sweeps a parameter meets its extremes: numbers underflow, shares become NaN, searches never end. A
    refusal that says why is as good as a partition; a crash or a hang is not.
    """
    labels = np.repeat(np.arange(8), [200, 60, 20, 10, 5, 3, 1, 1])
    for parameter in parameters_of(subject.implementation):
        for value in _extremes(parameter):

            def make(name: str = parameter.name, value: Any = value) -> Splitter:
                # As for an experiment: bounds in annotations are checked before anything is made.
                parameters = checked(subject.implementation, {**subject.parameters, name: value}, "the splitter")
                splitter: Splitter = subject.implementation(**parameters)
                return splitter

            told = f"{parameter.name} = {value!r}"
            if _exact_or_refused(told, make, labels, subject.learners):
                samples = Samples(np.linspace(0, 1, 20, dtype=np.float32).reshape(10, 2), np.arange(10) % 2)
                with suppress(UsageError):
                    found = _altered(make(), samples, subject.learners, told)
                    require(bool(np.isfinite(found.x).all()), f"{told}: finite features become infinite or NaN")


def large_requests_end(subject: Subject) -> None:
    """Simulations have hundreds of learners: a splitter that draws until all have enough would draw for ever."""
    labels = np.arange(2000) % 10
    _exact_or_refused("2,000 samples among 500 learners", subject.make, labels, 500)


def _label_sets() -> Iterator[tuple[str, Labels]]:
    rng = np.random.default_rng(0)
    yield "balanced classes", rng.permutation(np.arange(SAMPLES) % 10)
    yield "very unbalanced classes", rng.permutation(np.repeat([0, 1, 2], [SAMPLES - 13, 12, 1]))
    yield "a single class", np.zeros(SAMPLES, dtype=np.int64)
    yield "deciles of a target", np.sort(rng.integers(10, size=SAMPLES))
    yield "label numbers with gaps", rng.choice([3, 17, 1000], size=SAMPLES)


def _split(splitter: Splitter, labels: Labels, parts: int) -> list[Indices]:
    return _within(SECONDS, lambda: splitter.split(labels, parts, np.random.default_rng(5)))


def _altered(splitter: Splitter, samples: Samples, learners: int, told: str) -> Samples:
    """What the last of the learners sees."""
    try:
        return splitter.alter(samples, learners - 1, learners, np.random.default_rng(6))
    except UsageError:
        raise
    except Exception as error:
        fail(f"{told}: alter ends in {type(error).__name__}: {error}")


def _same(one: Samples, other: Samples) -> bool:
    return np.array_equal(one.y, other.y) and np.array_equal(one.x, other.x, equal_nan=one.x.dtype.kind == "f")


def _exact_or_refused(told: str, make: Callable[[], Splitter], labels: Labels, parts: int) -> bool:
    """Whether the split is exact; False when it's refused in words. Anything else fails."""
    outcome = _outcome(told, make, labels, parts)
    if isinstance(outcome, UsageError):
        return False
    fault = _fault(outcome, len(labels), parts)
    require(fault is None, f"{told}: {fault}")
    return True


def _outcome(told: str, make: Callable[[], Splitter], labels: Labels, parts: int) -> list[Indices] | UsageError:
    """The parts, or the refusal in words; any other exception, or taking too long, fails."""
    try:
        return _split(make(), labels, parts)
    except UsageError as refusal:
        require(bool(str(refusal).strip()), f"{told}: refused without a word")
        return refusal
    except TimeoutError as error:
        fail(f"{told}: {error}")
    except Exception as error:
        fail(f"{told}: ends in {type(error).__name__}: {error}; an impossible request should be a SplitError")


def _fault(found: list[Indices], samples: int, parts: int) -> str | None:
    """What keeps these parts from being an exact partition."""
    if len(found) != parts:
        return f"there are {len(found)} parts"
    for i, part in enumerate(found):
        if not isinstance(part, np.ndarray) or part.ndim != 1 or part.dtype.kind not in "iu":
            kind = f"{part.dtype}{list(part.shape)}" if isinstance(part, np.ndarray) else type(part).__name__
            return f"part {i} is no array of integers in one dimension but {kind}"
        if not len(part):
            return f"part {i} is empty"
    together = np.concatenate(found)
    if together.min() < 0 or together.max() >= samples:
        return f"indices run from {together.min()} to {together.max()}"
    counts = np.bincount(together, minlength=samples)
    lost, repeated = np.flatnonzero(counts == 0), np.flatnonzero(counts > 1)
    if len(lost):
        return f"{len(lost)} samples are in no part, the first is {lost[0]}"
    return f"{len(repeated)} samples are dealt more than once, the first is {repeated[0]}" if len(repeated) else None


def _extremes(parameter: Parameter) -> Iterator[Any]:
    """Values at and near the bounds of a number, and tiny and huge ones; nothing for other types."""
    types, bounds = _numeric_types(parameter.type), list(_bounds(parameter.type))
    if bool in types:
        yield from (False, True)
    if NoneType in types and types & {int, float}:
        yield None
    if int in types:
        yield from sorted({int(b) + d for b in bounds for d in (-1, 0, 1)} | {0, 1, 10**6})
    if float in types:
        yield from (0.0, 5e-324, 1e-300, 1e-12, 1e-3, 1e3, 1e12, 1e300, float("nan"), float("inf"))
        for bound in map(float, bounds):
            yield from (bound, np.nextafter(bound, -np.inf).item(), np.nextafter(bound, np.inf).item())


def _numeric_types(hint: Any) -> set[Any]:
    if get_origin(hint) is Annotated:
        return _numeric_types(get_args(hint)[0])
    if get_origin(hint) in (Union, UnionType):
        return set().union(*map(_numeric_types, get_args(hint)))
    return {hint} if hint in (bool, int, float, NoneType) else set()


def _bounds(hint: Any) -> Iterator[Any]:
    if get_origin(hint) in (Union, UnionType):
        for option in get_args(hint):
            yield from _bounds(option)
    if get_origin(hint) is not Annotated:
        return
    for item in get_args(hint)[1:]:
        for bound in item if isinstance(item, GroupedMetadata) else (item,):
            for attribute in ("ge", "gt", "le", "lt"):
                if hasattr(bound, attribute):
                    yield getattr(bound, attribute)


class _OutOfTime(BaseException):
    """Raised inside a call that takes too long; no ``except Exception`` of its catches it."""


def _within(seconds: float, call: Callable[[], list[Indices]]) -> list[Indices]:
    """What the call returns or raises; a call that takes longer is stopped, and that's a TimeoutError."""
    found: list[list[Indices]] = []
    raised: list[BaseException] = []

    def run() -> None:
        try:
            found.append(call())
        except _OutOfTime:
            pass
        except BaseException as error:
            raised.append(error)

    thread = Thread(target=run, daemon=True)
    thread.start()
    thread.join(seconds)
    if thread.is_alive():
        ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(thread.ident or 0), ctypes.py_object(_OutOfTime))
        raise TimeoutError(f"doesn't end within {seconds:g} s")
    if raised:
        raise raised[0]
    return found[0]
