"""What every splitter must do."""

from __future__ import annotations

import ctypes
import re
from collections.abc import Callable, Iterator
from threading import Thread
from types import NoneType, UnionType
from typing import Annotated, Any, Union, get_args, get_origin

import numpy as np
from annotated_types import GroupedMetadata
from numpy.typing import NDArray

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

            _exact_or_refused(f"{parameter.name} = {value!r}", make, labels, subject.learners)


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
