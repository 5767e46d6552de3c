"""Roles: which learners play which adversary."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ..errors import ConfigError
from ..streams import Streams


@dataclass(frozen=True)
class Wanted:
    """Who is to play an adversary: these learners, or so many, or this share of all; by default one.

    Attributes:
        title: what it's called in messages.
    """

    title: str
    share: float | None = None
    count: int | None = None
    learners: Sequence[int] | None = None


def roles(wanted: Sequence[Wanted], learners: int, streams: Streams) -> dict[int, int]:
    """Learner to the place, in ``wanted``, of what it plays, in the order of the learners.

    Learners that aren't named are drawn from ``streams.generator("adversaries")``, in the order of ``wanted``, so
    that another adversary at the end of the list changes nothing for those before it.

    Raises:
        ConfigError: there's no such learner, one plays twice, or there are too few learners.
    """
    playing: dict[int, int] = {}
    for place, one in enumerate(wanted):
        if sum(choice is not None for choice in (one.share, one.count, one.learners)) > 1:
            raise ConfigError(f"{one.title}: give share, count or learners, not several of them")
        if one.learners is not None and not one.learners:
            raise ConfigError(f"{one.title}: learners is empty; leave the section out if nobody is to play it")
        for i in one.learners or ():
            if not 0 <= i < learners:
                raise ConfigError(f"{one.title}: there's no learner {i}; with {learners} they are 0 to {learners - 1}")
            if i in playing:
                other = wanted[playing[i]].title
                raise ConfigError(f"{one.title}: learner {i} plays {other} already; a learner plays one adversary")
            playing[i] = place
    free = [i for i in streams.generator("adversaries").permutation(learners).tolist() if i not in playing]
    for place, one in enumerate(wanted):
        if one.learners is None:
            number = _number(one, learners)
            if number > len(free):
                raise ConfigError(
                    f"{one.title}: {number} more learners are asked for, but of {learners} only {len(free)} are free"
                )
            playing |= dict.fromkeys(free[:number], place)
            free = free[number:]
    return dict(sorted(playing.items()))


def _number(one: Wanted, learners: int) -> int:
    if one.share is None:
        number = 1 if one.count is None else one.count
        if number < 1:
            raise ConfigError(f"{one.title}: count must be at least 1, not {number}")
        return number
    if not 0 < one.share <= 1:
        raise ConfigError(f"{one.title}: share lies between 0 and 1, not at {one.share}")
    number = int(one.share * learners + 0.5)
    if not number:
        raise ConfigError(f"{one.title}: a share of {one.share} of {learners} learners is nobody; give a count")
    return number
