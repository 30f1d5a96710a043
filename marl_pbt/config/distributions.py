"""Hyperparameters as the config declares them: `{loguniform: [3e-4, 5e-3], initial: 1e-3}`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any, TypeAlias

from pydantic import BeforeValidator, Discriminator, Field, PlainValidator, Tag, WithJsonSchema, model_validator

from marl_pbt.config.faults import Fault, shown
from marl_pbt.config.sections import Number, Section, Whole, wrong
from marl_pbt.hyperparameters import Choice, Distribution, Integer, Ordered, Real
from marl_pbt.protocols import HyperparameterValue

RANGES = ("loguniform", "uniform", "randint", "lograndint")
LISTS = ("choice", "ordered", "bool")
DISTRIBUTIONS = (*RANGES, *LISTS)
INITIAL_FORMS = ("<value>", "<range>", "<distribution>")
"""How pydantic names the forms of `initial` in its errors."""


def check_pair(value: Any) -> Any:
    """Two of them, for a range.

    Raises:
        PydanticCustomError: They are not two.
    """
    if not isinstance(value, list | tuple) or len(value) != 2:
        raise wrong("must be two numbers [low, high]")
    return tuple(value)


def _check_value(value: Any) -> Any:
    if not isinstance(value, bool | int | float | str):
        raise wrong("must be a number, a string, true or false")
    return value


def _check_list(value: Any) -> Any:
    if not isinstance(value, list | tuple) or not value:
        raise wrong("must be a list of at least one value")
    return tuple(value)


def _check_both(value: Any) -> Any:
    if not isinstance(value, list | tuple) or sorted(map(str, value)) != ["False", "True"]:
        raise wrong("must be [false, true]")
    return (False, True)


def _form(value: Any) -> str:
    if isinstance(value, dict | Prior):
        return "<distribution>"
    return "<range>" if isinstance(value, list | tuple) else "<value>"


Value: TypeAlias = Annotated[
    HyperparameterValue,
    PlainValidator(_check_value),
    WithJsonSchema({"type": ["number", "string", "boolean"]}),
]
AnyNumber: TypeAlias = Annotated[float, Number()]
Reals: TypeAlias = Annotated[tuple[AnyNumber, AnyNumber], BeforeValidator(check_pair)]
Wholes: TypeAlias = Annotated[tuple[Whole, Whole], BeforeValidator(check_pair)]
Values: TypeAlias = Annotated[tuple[Value, ...], BeforeValidator(_check_list)]
Both: TypeAlias = Annotated[tuple[bool, bool], BeforeValidator(_check_both)]


class Prior(Section):
    """One distribution: type, bounds, what is drawn and how it moves."""

    loguniform: Reals | None = Field(default=None, description="float in [low, high], uniform in its logarithm")
    uniform: Reals | None = Field(default=None, description="float in [low, high]")
    randint: Wholes | None = Field(default=None, description="int from low to high, both included")
    lograndint: Wholes | None = Field(default=None, description="int from low to high, uniform in its logarithm")
    choice: Values | None = Field(default=None, description="values without an order: drawn afresh or kept")
    ordered: Values | None = Field(default=None, description="values in order: moves one place left or right")
    both: Both | None = Field(default=None, alias="bool", description="[false, true]")

    @model_validator(mode="before")
    @classmethod
    def _check_form(cls, value: Any) -> Any:
        if not isinstance(value, dict | Prior):
            raise wrong("must be a distribution such as {loguniform: [low, high]}")
        return value

    @property
    def given(self) -> tuple[str, ...]:
        """The distributions that were written; one in a sound declaration."""
        return tuple(name for name in DISTRIBUTIONS if getattr(self, _attribute(name)) is not None)

    @property
    def kind(self) -> str:
        """The distribution's name."""
        return self.given[0]

    @property
    def arguments(self) -> tuple[HyperparameterValue, ...]:
        """`(low, high)`, or the values."""
        arguments: tuple[HyperparameterValue, ...] = getattr(self, _attribute(self.kind))
        return arguments

    def broken_rules(self) -> Iterator[Fault]:
        """One distribution, the right way up."""
        if len(self.given) != 1:
            got = " and ".join(self.given) or "none"
            yield Fault("", f"must have exactly one distribution of {', '.join(DISTRIBUTIONS)}, got {got}")
        elif self.kind in RANGES:
            yield from _broken_bounds(self.kind, self.arguments)
        elif self.kind == "ordered" and len(set(map(repr, self.arguments))) < len(self.arguments):
            yield Fault("ordered", f"must hold every value once, got {shown(list(self.arguments))}")


class Declaration(Prior):
    """A hyperparameter that PBT may change."""

    initial: (
        Annotated[
            Annotated[Value, Tag("<value>")]
            | Annotated[Reals, Tag("<range>")]
            | Annotated[Prior, Tag("<distribution>")],
            Discriminator(_form),
        ]
        | None
    ) = Field(default=None, description="where members start: a value, [low, high] or a distribution; null: the prior")

    def broken_rules(self) -> Iterator[Fault]:
        """Members must start within the bounds."""
        before = list(super().broken_rules())
        yield from before
        if not before and self.initial is not None:
            yield from _broken_initial(self)


def distribution_of(prior: Prior) -> Distribution:
    """The declaration in the form that draws and moves."""
    if prior.kind in ("loguniform", "uniform"):
        low, high = map(float, prior.arguments)
        return Real(low, high, log=prior.kind == "loguniform")
    if prior.kind in ("randint", "lograndint"):
        lowest, highest = map(int, prior.arguments)
        return Integer(lowest, highest, log=prior.kind == "lograndint")
    return Ordered(prior.arguments) if prior.kind == "ordered" else Choice(prior.arguments)


def initial_of(declaration: Declaration) -> HyperparameterValue | Distribution | None:
    """Where members start; a range is drawn from like the prior, values have the prior's type."""
    initial, prior = declaration.initial, distribution_of(declaration)
    if initial is None:
        return None
    if isinstance(initial, tuple):
        return distribution_of(Prior.model_validate({declaration.kind: initial}))
    if isinstance(initial, Prior):
        own = distribution_of(initial)
        return own if initial.kind in RANGES else Choice(tuple(_typed(prior, value) for value in initial.arguments))
    return _typed(prior, initial)


def _attribute(name: str) -> str:
    return "both" if name == "bool" else name


def _typed(prior: Distribution, value: HyperparameterValue) -> HyperparameterValue:
    """As the prior has it: 5e3 is the int 5000 where ints are declared, and 1 the float 1.0 where floats are."""
    if isinstance(prior, Integer) and isinstance(value, float) and value.is_integer():
        return int(value)
    return value if isinstance(value, str) or not prior.contains(value) else prior.clamp(value)


def _broken_bounds(kind: str, arguments: tuple[HyperparameterValue, ...]) -> Iterator[Fault]:
    low, high = map(float, arguments)
    if low > high:
        yield Fault("", f"lower bound {arguments[0]} is above upper bound {arguments[1]}")
    elif kind == "loguniform" and low <= 0:
        yield Fault(kind, f"lower bound must be above 0, got {arguments[0]}")
    elif kind == "lograndint" and low < 1:
        yield Fault(kind, f"lower bound must be at least 1, got {arguments[0]}")


def _broken_initial(declaration: Declaration) -> Iterator[Fault]:
    """Not of the prior's type, or outside it."""
    prior, initial = distribution_of(declaration), declaration.initial
    points: tuple[HyperparameterValue, ...]
    if isinstance(initial, Prior):
        points = initial.arguments
        fits = initial.kind in LISTS or type(distribution_of(initial)) is type(prior)
    elif isinstance(initial, tuple):
        points, fits = initial, declaration.kind in RANGES
    else:
        points, fits = (() if initial is None else (initial,)), True
    rule = f"must be within {declaration.kind} {shown(list(declaration.arguments))}"
    if not fits:
        yield Fault("initial", f"{rule}, which {shown(list(points))} does not draw from")
    elif isinstance(initial, tuple) and initial[0] > initial[1]:
        yield Fault("initial", f"lower bound {initial[0]} is above upper bound {initial[1]}")
    else:
        outside = [point for point in points if not prior.contains(_typed(prior, point))]
        yield from (Fault("initial", f"{rule}, got {shown(point)}") for point in outside)
