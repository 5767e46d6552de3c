"""The keyword arguments of a component's implementation, described and checked."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from typing import Annotated, Any, Literal

import pytest
from annotated_types import Ge, Gt

from colearn_core.errors import ParameterError
from colearn_core.parameters import Parameter, checked, parameters_of

WHERE = "learner 'tiny.net'"


class Net:
    """A class with a constructor of its own."""

    def __init__(
        self,
        data: object,
        hidden: Annotated[tuple[int, ...], "Units of each layer"],
        rate: Annotated[float, Gt(0), "Learning rate"] = 0.1,
        *,
        solver: Literal["adam", "sgd"] = "adam",
    ) -> None:
        self.given = (data, hidden, rate, solver)


@dataclass(frozen=True)
class Base:
    """A dataclass, from which another inherits."""

    quorum: Annotated[float, Ge(0), "Share that must vote"] = 0.5


@dataclass(frozen=True)
class Derived(Base):
    """Its own field follows the inherited one."""

    size: Annotated[int, Ge(1), "How many"] = 3
    internal: int = field(default=0, init=False)


class Plain:
    """A class without a constructor."""


class Heir(Net):
    """A class with its parent's constructor."""


def blobs(samples: Annotated[int, "How many"], noise: float = 0.5, *rest: int, label: str | None = None) -> None:
    """A function."""


def anything(**options: int) -> None:
    """A function whose parameters are not known."""


def untyped(rate=0.1):  # type: ignore[no-untyped-def]
    """A function without annotations."""


def composed(base: Base, plain: Plain | None = None) -> None:
    """A function whose parameters are objects; they're set from Python only."""


def names(implementation: Callable[..., Any], *given: str) -> list[str]:
    return [p.name for p in parameters_of(implementation, given)]


def by_name(implementation: Callable[..., Any], name: str) -> Parameter:
    return next(p for p in parameters_of(implementation) if p.name == name)


# Describing


def test_parameters_of_a_class_are_those_of_its_constructor_but_the_given_ones() -> None:
    assert names(Net, "data") == ["hidden", "rate", "solver"]
    assert names(Heir, "data") == ["hidden", "rate", "solver"]
    assert names(Net) == ["data", "hidden", "rate", "solver"]


def test_parameters_of_a_dataclass_are_its_fields_inherited_ones_first() -> None:
    assert names(Derived) == ["quorum", "size"]
    assert by_name(Derived, "quorum").help == "Share that must vote"


def test_parameters_of_a_function_leave_out_what_is_variable() -> None:
    assert names(blobs) == ["samples", "noise", "label"]
    assert names(anything) == []


def test_a_class_without_a_constructor_has_no_parameters() -> None:
    assert names(Plain) == []


def test_types_defaults_and_help_are_told() -> None:
    hidden, rate, solver = parameters_of(Net, ("data",))
    assert (hidden.required, rate.required, solver.required) == (True, False, False)
    assert (hidden.type_name, rate.type_name, solver.type_name) == (
        "tuple[int, ...]",
        "float",
        "Literal['adam', 'sgd']",
    )
    assert (hidden.help, rate.help, solver.help) == ("Units of each layer", "Learning rate", "")
    assert (rate.default, solver.default) == (0.1, "adam")
    assert list(map(str, (hidden, rate, solver))) == ["hidden (tuple[int, ...])", "rate=0.1", "solver='adam'"]


def test_an_optional_type_is_named_as_it_is_written() -> None:
    assert by_name(blobs, "label").type_name == "str | None"


def test_a_parameter_without_annotation_takes_anything() -> None:
    assert checked(untyped, {"rate": [1]}, WHERE) == {"rate": [1]}


def test_fields_inherited_from_another_module_need_none_of_its_imports(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The usual form of a plugin's voting policy: the types of the inherited fields are strings that
    # only mean something in the core's module.
    (tmp_path / "plug_cautious.py").write_text(
        "from __future__ import annotations\n"
        "from dataclasses import dataclass\n"
        "from colearn_core.voting import Majority\n"
        "@dataclass(frozen=True)\n"
        "class Cautious(Majority):\n"
        "    margin: float = 0.1\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    cautious = import_module("plug_cautious").Cautious
    assert names(cautious) == ["quorum", "min_improvement", "margin"]
    assert by_name(cautious, "quorum").help == "Share of all learners that must vote on a candidate"
    with pytest.raises(ParameterError, match="quorum"):
        checked(cautious, {"quorum": -1}, WHERE)


# Checking


def test_values_not_set_get_their_defaults() -> None:
    assert checked(Net, {"hidden": [8]}, WHERE, ("data",)) == {"hidden": (8,), "rate": 0.1, "solver": "adam"}
    assert checked(Plain, {}, WHERE) == {}


@pytest.mark.parametrize(
    ("implementation", "name", "value", "expected"),
    [
        (Net, "hidden", [8, 4], (8, 4)),
        (Net, "hidden", [], ()),
        (Net, "rate", 1, 1.0),
        (Derived, "size", 2.0, 2),
        (blobs, "noise", 2, 2.0),
        (blobs, "label", "x", "x"),
        (blobs, "label", None, None),
    ],
)
def test_values_are_converted_to_the_type_asked_for(
    implementation: Callable[..., Any], name: str, value: object, expected: object
) -> None:
    required = {"hidden": [1]} if implementation is Net else {"samples": 1} if implementation is blobs else {}
    result = checked(implementation, {**required, name: value}, WHERE, ("data",))[name]
    assert result == expected
    assert type(result) is type(expected)


def test_checked_values_are_what_the_implementation_takes() -> None:
    net = Net("private", **checked(Net, {"hidden": [8], "solver": "sgd"}, WHERE, ("data",)))
    assert net.given == ("private", (8,), 0.1, "sgd")


def test_an_unknown_parameter_lists_the_known_ones_with_their_defaults() -> None:
    with pytest.raises(ParameterError) as caught:
        checked(Net, {"hiden": [8]}, WHERE, ("data",))
    message = str(caught.value)
    assert "learner 'tiny.net' has no parameter 'hiden'" in message
    assert "Parameters: hidden (tuple[int, ...]), rate=0.1, solver='adam'." in message


def test_an_unknown_parameter_of_a_component_without_any_says_so() -> None:
    with pytest.raises(ParameterError, match="It takes no parameters"):
        checked(Plain, {"size": 1}, WHERE)


def test_a_parameter_that_the_core_passes_cant_be_set() -> None:
    with pytest.raises(ParameterError, match="has no parameter 'data'"):
        checked(Net, {"hidden": [8], "data": 1}, WHERE, ("data",))


def test_a_missing_parameter_is_named_with_its_help() -> None:
    with pytest.raises(ParameterError, match=r"learner 'tiny\.net' needs the parameter 'hidden': Units of each layer"):
        checked(Net, {}, WHERE, ("data",))


@pytest.mark.parametrize(
    ("values", "culprit", "kind"),
    [
        ({"hidden": "wide"}, "hidden = 'wide'", "tuple"),
        ({"hidden": [1, "x"]}, "hidden = [1, 'x']", "tuple"),
        ({"hidden": [1], "rate": "fast"}, "rate = 'fast'", "float"),
        ({"hidden": [1], "solver": "newton"}, "solver = 'newton'", "adam"),
        ({"hidden": [1.5]}, "hidden = [1.5]", "tuple"),
    ],
)
def test_a_value_of_the_wrong_type_is_named_with_the_type_wanted(
    values: dict[str, Any], culprit: str, kind: str
) -> None:
    with pytest.raises(ParameterError) as caught:
        checked(Net, values, WHERE, ("data",))
    message = str(caught.value)
    assert message.startswith(f"{WHERE}: {culprit}")
    assert kind in message.splitlines()[0]


@pytest.mark.parametrize(
    ("implementation", "values", "limit"),
    [
        (Derived, {"size": 0}, "greater than or equal to 1"),
        (Derived, {"quorum": -0.5}, "greater than or equal to 0"),
        (Net, {"hidden": [1], "rate": 0.0}, "greater than 0"),
    ],
)
def test_a_value_outside_of_its_limits_is_refused_with_the_limit(
    implementation: Callable[..., Any], values: dict[str, Any], limit: str
) -> None:
    with pytest.raises(ParameterError, match=limit):
        checked(implementation, values, WHERE, ("data",))


def test_a_parameter_may_be_a_dataclass_or_any_other_class() -> None:
    plain = Plain()
    assert checked(composed, {"base": Base(0.25), "plain": plain}, WHERE) == {"base": Base(0.25), "plain": plain}
