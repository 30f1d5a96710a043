"""What all sections of a config have in common: strict, frozen, with rules over several keys."""

from __future__ import annotations

import math
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated, Any, Self

from pydantic import BaseModel, ConfigDict, GetCoreSchemaHandler, GetJsonSchemaHandler, model_validator
from pydantic_core import CoreSchema, PydanticCustomError, core_schema

from marl_pbt.config.faults import Fault


class Section(BaseModel):
    """A section of the config: unknown keys are errors, strings are never taken for numbers."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    def broken_rules(self) -> Iterator[Fault]:
        """The rules over several keys that do not hold; keys are relative to the section."""
        yield from ()

    @model_validator(mode="after")
    def _check_rules(self) -> Self:
        faults = tuple(self.broken_rules())
        if faults:
            raise broken(*faults)
        return self


def broken(*faults: Fault) -> PydanticCustomError:
    """Several faults as the one error that pydantic lets a validator raise."""
    text = "; ".join(f"{fault.key}: {fault.message}" for fault in faults)
    return PydanticCustomError("broken_rules", "{text}", {"text": text, "faults": faults})


def wrong(rule: str) -> PydanticCustomError:
    """A value that breaks a rule; the value itself is told where the error is shown."""
    return PydanticCustomError("rule", "{rule}", {"rule": rule})


@dataclass(frozen=True)
class Number:
    """A number within bounds: an int where a float is wanted will do, and `5e5` where an int is; never a bool.

    Attributes:
        low: Smallest value.
        high: Largest value.
        low_is_open: True where `low` itself is not allowed.
        high_is_open: True where `high` itself is not allowed.
        whole: True for ints.
    """

    low: float = -math.inf
    high: float = math.inf
    low_is_open: bool = False
    high_is_open: bool = False
    whole: bool = False

    def check(self, value: Any) -> float:
        """The value, an int where whole numbers are wanted.

        Raises:
            PydanticCustomError: It is something else, or out of bounds.
        """
        if isinstance(value, bool) or not isinstance(value, int | float) or not self._contains(value):
            raise wrong(self.rule)
        if self.whole:
            if value != int(value):
                raise wrong(self.rule)
            return int(value)
        return value

    def _contains(self, value: float) -> bool:
        if not abs(value) <= sys.float_info.max:  # NaN and infinity, and ints beyond floats
            return False
        above = value > self.low if self.low_is_open else value >= self.low
        return above and (value < self.high if self.high_is_open else value <= self.high)

    @property
    def rule(self) -> str:
        """What is wanted, in words."""
        kind = "must be a whole number" if self.whole else "must be a number"
        if math.isinf(self.low) and math.isinf(self.high):
            return kind
        if math.isinf(self.high):
            return f"{kind} {'above' if self.low_is_open else 'of at least'} {self.low:g}"
        opening, closing = "(" if self.low_is_open else "[", ")" if self.high_is_open else "]"
        return f"must be in {opening}{self.low:g}, {self.high:g}{closing}" + (", whole" if self.whole else "")

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        del source, handler
        return core_schema.no_info_plain_validator_function(self.check)

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        """For editors; their YAML readers take `500_000` for a string."""
        del schema, handler
        bounds = {
            "exclusiveMinimum" if self.low_is_open else "minimum": self.low,
            "exclusiveMaximum" if self.high_is_open else "maximum": self.high,
        }
        kind = {"type": ["integer" if self.whole else "number", "string"], "pattern": "^[-+]?[0-9][0-9_]*$"}
        return kind | {key: _tidy(bound) for key, bound in bounds.items() if not math.isinf(bound)}


def _tidy(bound: float) -> float:
    return int(bound) if bound == int(bound) else bound


Whole = Annotated[int, Number(whole=True)]
Positive = Annotated[float, Number(low=0, low_is_open=True)]
Count = Annotated[int, Number(low=1, whole=True)]
NotNegative = Annotated[float, Number(low=0)]
Share = Annotated[float, Number(low=0, high=1)]
