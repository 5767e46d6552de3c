"""Parameters: the keyword arguments of a component's implementation, described and checked."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields, is_dataclass
from functools import wraps
from importlib import import_module
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
        bare = _bare(self.type)
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
        except ParameterError as error:  # a value that the parameter's own class refuses
            raise ParameterError(f"{where}: {error}") from None
        except ValidationError as error:
            raise _refusal(parameter, values[name], error.errors()[0], where, listing) from None
    return result


def sharing(shared: type[Any], finish: str, **defaults: Any) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Give components the parameters of a dataclass besides their own, so that these are written down once.

    The function makes something of data and its own parameters; a method of the dataclass finishes it, from data
    and that something.

    Args:
        shared: the dataclass; its fields have defaults.
        finish: the name of the method.
        defaults: what suits this component better than the defaults of ``shared``.
    """
    usual = shared(**defaults)
    names = [f.name for f in fields(shared)]
    more = [inspect.Parameter(n, inspect.Parameter.KEYWORD_ONLY, default=getattr(usual, n)) for n in names]

    def component(function: Callable[..., Any]) -> Callable[..., Any]:
        @wraps(function)
        def make(data: Any, **parameters: Any) -> Any:
            values = {n: parameters.pop(n, getattr(usual, n)) for n in names}
            return getattr(shared(**values), finish)(data, function(data, **parameters))

        own = list(inspect.signature(function).parameters.values())
        make.__signature__ = inspect.Signature([*own, *more])  # type: ignore[attr-defined]
        make.__annotations__ = {
            **get_type_hints(function, include_extras=True),
            **get_type_hints(shared, include_extras=True),
            "return": get_type_hints(getattr(shared, finish))["return"],
        }
        return make

    return component


def function_at(path: str, parameter: str) -> Callable[[], Any]:
    """The function that a parameter names by its path.

    Raises:
        ParameterError: there is none.
    """
    name, _, attribute = path.partition(":")
    if not attribute:
        raise ParameterError(
            f"{parameter} = {path!r} names no function", hint='Write it as "my_package.models:make_model".'
        )
    try:
        found: Callable[[], Any] = getattr(import_module(name), attribute)
    except (ImportError, AttributeError) as error:
        raise ParameterError(f"{parameter} = {path!r} can't be imported: {error}") from error
    return found


def _refusal(parameter: Parameter, value: Any, cause: Any, where: str, listing: str) -> ParameterError:
    """What is wrong with a value; of a table, which of its keys."""
    table = next((t for t in (parameter.type, *get_args(_bare(parameter.type))) if is_dataclass(t)), None)
    if table is None or not isinstance(value, Mapping) or not cause["loc"]:
        return ParameterError(
            f"{where}: {parameter.name} = {value!r} is no {parameter.type_name}: {cause['msg']}", hint=listing
        )
    known: Any = table
    keys = ", ".join(map(str, parameters_of(known)))
    key = next((part for part in cause["loc"] if part in value), cause["loc"][-1])
    if cause["type"] == "unexpected_keyword_argument":
        return ParameterError(f"{where}: {parameter.name} has no key {key!r}", hint=f"Keys: {keys}.")
    if cause["type"] in ("missing_argument", "missing"):
        return ParameterError(f"{where}: {parameter.name} needs the key {key!r}", hint=f"Keys: {keys}.")
    return ParameterError(
        f"{where}: {parameter.name}.{key} = {cause['input']!r}: {cause['msg']}", hint=f"Keys: {keys}."
    )


def _bare(type_: Any) -> Any:
    """The type without its help text."""
    return get_args(type_)[0] if get_origin(type_) is Annotated else type_


def _adapter(type_: Any) -> Any:
    from pydantic import ConfigDict, PydanticUserError, TypeAdapter

    try:
        return TypeAdapter(type_, config=ConfigDict(arbitrary_types_allowed=True))
    except PydanticUserError:  # dataclasses and models bring their own configuration
        return TypeAdapter(type_)


def _help(hint: Any) -> str:
    texts = [item for item in get_args(hint)[1:] if isinstance(item, str)] if get_origin(hint) is Annotated else []
    return texts[0] if texts else ""
