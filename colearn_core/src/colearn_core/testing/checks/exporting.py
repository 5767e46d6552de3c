"""What every learner must do when its model is exported: more checks for learners."""

from __future__ import annotations

from collections.abc import Iterator

from ...errors import UsageError
from ...learner import Learner
from ...weights import Weights
from ..kit import Subject, fail, require
from ..probing import bits, initial_of, learner_of, own, propose, same_score, trained

NO_FORMAT = "a format that nobody knows"


def every_listed_format_is_exported(subject: Subject) -> None:
    """A user chooses from the list after the training; a format that then fails, or gives an empty file, comes too
    late to choose another learner.
    """
    learner = learner_of(subject)
    formats, weights = learner.export_formats, trained(learner)
    require(isinstance(formats, tuple) and bool(formats), f"export_formats is {formats!r}, no tuple of names")
    for format, exported in _exports(learner, weights):
        require(isinstance(exported, bytes), f"{format!r} gives {type(exported).__name__}, not bytes")
        require(bool(exported), f"{format!r} gives no bytes")


def exports_are_repeatable(subject: Subject) -> None:
    """Whoever replays a run tells by the file's digest whether it's the model that was adopted: a date or a count
    in it, or what the learner did before, makes it another.
    """
    learner = learner_of(subject)
    weights = trained(learner)
    first = dict(_exports(learner, weights))
    learner.test_weights(propose(learner, weights, round=2), "vote")
    for who, other in (("the same learner", learner), ("a second instance", learner_of(subject))):
        for format, exported in _exports(other, weights):
            require(exported == first[format], f"{format!r}: {who} gives other bytes for the same weights")


def exports_hold_the_given_weights(subject: Subject) -> None:
    """The learner's own last model, or the one that it began with, is not what the group adopted."""
    learner = learner_of(subject)
    start, weights = initial_of(learner), trained(learner)
    one, other = dict(_exports(learner, start)), dict(_exports(learner, weights))
    for format in one.keys() & other.keys():
        require(one[format] != other[format], f"{format!r} is the same for initial and for trained weights")
    if "safetensors" in other:
        require(Weights.from_bytes(other["safetensors"]) == weights, "'safetensors' gives other weights when read")


def exporting_changes_nothing(subject: Subject) -> None:
    """A run may go on after a model was exported, and must go on as if it hadn't been."""
    learner, fresh = learner_of(subject), learner_of(subject)
    weights = own(trained(learner))
    trained(fresh)
    before, score = bits(weights), learner.test_weights(weights, "vote")
    state = learner.state()
    for format, _ in _exports(learner, weights):
        require(bits(weights) == before, f"{format!r} writes into the weights")
    require(learner.state() == state, "exporting changes the state")
    after = learner.test_weights(weights, "vote")
    require(same_score(score, after), f"the vote score is {score} before the export, and {after} after")
    require(propose(learner, weights, 2) == propose(fresh, weights, 2), "the next proposal is another after an export")


def unknown_formats_are_refused(subject: Subject) -> None:
    """A typing error that gives some other file is found out by whoever tries to open it; the error says what else
    there is.
    """
    learner = learner_of(subject)
    try:
        learner.export_model(initial_of(learner), NO_FORMAT)
    except UsageError as error:
        unnamed = [format for format in learner.export_formats if format not in str(error)]
        require(not unnamed, f"the error for an unknown format doesn't name {unnamed}: {error}")
        return
    except Exception as error:
        fail(f"an unknown format raises {type(error).__name__}, not UsageError: {error}")
    fail("an unknown format is exported all the same")


def _exports(learner: Learner, weights: Weights) -> Iterator[tuple[str, bytes]]:
    """The model in each listed format."""
    for format in learner.export_formats:
        try:
            yield format, learner.export_model(weights, format)
        except UsageError as error:
            # An optional package that isn't installed is no fault of the learner's.
            if not isinstance(error.__cause__, ImportError):
                raise
