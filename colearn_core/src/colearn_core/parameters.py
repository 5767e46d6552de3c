"""Parameters: the keyword arguments of a component's implementation, described and checked."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass, is_dataclass
from typing import Annotated, Any, get_args, get_origin, get_type_hints

from .errors import ParameterError

REQUIRED = inspect.Parameter.empty


@dataclass(frozen=True)
class Parameter:
    """One keyword argument; its help is the text in ``Annotated[type, "text"]``."""

    name: str
    type: Any
    default: Any
    help: str

    @property
    def required(self) -> bool:
        return self.default is REQUIRED

    @property
    def type_name(self) -> str:
        bare = get_args(self.type)[0] if get_origin(self.type) is Annotated else self.type
        return bare.__name__ if isinstance(bare, type) and not get_args(bare) else str(bare).replace("typing.", "")

    def __str__(self) -> str:
        return f"{self.name} ({self.type_name})" if self.required else f"{self.name}={self.default!r}"


def parameters_of(implementation: Callable[..., Any], given: tuple[str, ...] = ()) -> list[Parameter]:
    """The parameters a user may set: all but those the core itself passes, ``given`` by name."""
    signature = inspect.signature(implementation)
    annotated: Any = implementation
    if inspect.isclass(implementation) and not is_dataclass(implementation):
        annotated = inspect.getattr_static(implementation, "__init__")
    hints = get_type_hints(annotated, include_extras=True)
    return [
        Parameter(name, hints.get(name, Any), p.default, _help(hints.get(name)))
        for name, p in signature.parameters.items()
        if name not in given and p.kind not in (p.VAR_KEYWORD, p.VAR_POSITIONAL)
    ]


def checked(
    implementation: Callable[..., Any], values: Mapping[str, Any], where: str, given: tuple[str, ...] = ()
) -> dict[str, Any]:
    """Values for all parameters, converted to their types; those not set get their defaults.

    Args:
        where: what the values belong to, for messages: ``"learner 'sklearn.mlp_classifier'"``.

    Raises:
        ParameterError: an unknown parameter (the message lists the known ones with their defaults),
            a missing one, or a value of the wrong type.
    """
    from pydantic import ValidationError

    known = {p.name: p for p in parameters_of(implementation, given)}
    listing = f"Parameters: {', '.join(map(str, known.values()))}." if known else "It takes no parameters."
    for name in values:
        if name not in known:
            raise ParameterError(f"{where} has no parameter {name!r}", hint=listing)
    result = {}
    for name, parameter in known.items():
        if name not in values:
            if parameter.required:
                raise ParameterError(f"{where} needs the parameter {name!r}: {parameter.help}", hint=listing)
            result[name] = parameter.default
            continue
        try:
            result[name] = _adapter(parameter.type).validate_python(values[name])
        except ValidationError as error:
            what = error.errors()[0]["msg"]
            raise ParameterError(
                f"{where}: {name} = {values[name]!r} is no {parameter.type_name}: {what}", hint=listing
            ) from None
    return result


def _adapter(type_: Any) -> Any:
    from pydantic import ConfigDict, PydanticUserError, TypeAdapter

    try:
        return TypeAdapter(type_, config=ConfigDict(arbitrary_types_allowed=True))
    except PydanticUserError:  # dataclasses and models bring their own configuration
        return TypeAdapter(type_)


def _help(hint: Any) -> str:
    texts = [item for item in get_args(hint)[1:] if isinstance(item, str)] if get_origin(hint) is Annotated else []
    return texts[0] if texts else ""
