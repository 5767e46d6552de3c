"""What can go wrong, as kinds: each message names the culprit, the value and the next step."""

from __future__ import annotations


class ColearnError(Exception):
    """Anything colearn refuses or fails at; ``hint`` says what to do about it."""

    exit_code = 1

    def __init__(self, message: str, *, hint: str | None = None) -> None:
        super().__init__(message)
        self.hint = hint

    def __str__(self) -> str:
        message = super().__str__()
        return f"{message}\n{self.hint}" if self.hint else message


class UsageError(ColearnError):
    """The request itself is wrong: a name, a parameter, a file the user wrote."""

    exit_code = 2


class ConfigError(UsageError):
    """The experiment file, or an option that stands for a part of it, is wrong."""


class UnknownComponentError(UsageError):
    """No installed plugin offers a component of this kind and name."""


class ParameterError(UsageError):
    """A component was given a parameter that it doesn't know, or a value that it can't take."""


class SplitError(UsageError):
    """The data can't be divided as requested."""


class DataError(ColearnError):
    """A data set can't be read, or holds what can't be learned from."""


class PluginError(ColearnError):
    """A plugin can't be used; the message names its distribution and version."""


class WeightsError(ColearnError):
    """Weights are malformed, non-finite, or don't fit the model they are meant for."""


class LedgerError(ColearnError):
    """A ledger can't be written, or isn't what was once written; the message names the line."""


class Abstention(Exception):
    """Raised by a learner that declines to propose or to score, with its reason as the text.

    It isn't a fault: a spent privacy budget, say. The ledger records the reason, the round goes on.
    """
