"""Strategies as the config names them: one of ours, or an import string of the user's own."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from typing import Annotated, Any, TypeAlias

from pydantic import AfterValidator, BeforeValidator, Discriminator, Field, StrictStr, Tag, WithJsonSchema

from marl_pbt.config.distributions import check_pair
from marl_pbt.config.faults import Fault
from marl_pbt.config.sections import Positive, Section, wrong

_IMPORT_STRING = r"\w+(\.\w+)*:\w+(\.\w+)*"
FACTOR_FORMS = ("<list>", "<range>")
"""How pydantic names the forms of `perturb_factors` in its errors."""


def is_import_string(value: str) -> bool:
    """True for `package.module:name`."""
    return re.fullmatch(_IMPORT_STRING, value) is not None


def _check_import_string(value: str) -> str:
    if not is_import_string(value):
        raise wrong("must be an import string 'package.module:name'")
    return value


ImportString: TypeAlias = Annotated[StrictStr, AfterValidator(_check_import_string)]


def one_of(*names: str) -> tuple[AfterValidator, WithJsonSchema]:
    """What turns a string into a strategy's name, ours or an import string."""
    shown = ", ".join(map(repr, names))

    def check(value: str) -> str:
        if value not in names and not is_import_string(value):
            raise wrong(f"must be {shown} or an import string 'package.module:name'")
        return value

    schema = {"anyOf": [{"enum": list(names)}, {"type": "string", "pattern": f"^{_IMPORT_STRING}$"}]}
    return AfterValidator(check), WithJsonSchema(schema)


Selection: TypeAlias = Annotated[StrictStr, *one_of("truncation", "t_test", "binary_tournament")]
Donor: TypeAlias = Annotated[StrictStr, *one_of("uniform", "rank")]
Explorer: TypeAlias = Annotated[StrictStr, *one_of("perturb", "resample", "pb2")]


class FactorRange(Section):
    """Factors from a range instead of a list."""

    loguniform: Annotated[tuple[Positive, Positive], BeforeValidator(check_pair)] = Field(
        description="[low, high], uniform in the logarithm: no drift where low × high is 1"
    )

    def broken_rules(self) -> Iterator[Fault]:
        """The right way up."""
        low, high = self.loguniform
        if low > high:
            yield Fault("loguniform", f"lower bound {low} is above upper bound {high}")


def _check_factors(value: Any) -> Any:
    if not isinstance(value, list | tuple) or not value:
        raise wrong("must be a list of at least one factor, or {loguniform: [low, high]}")
    return tuple(value)


def _form(value: Any) -> str:
    return "<range>" if isinstance(value, dict | FactorRange) else "<list>"


Factors: TypeAlias = Annotated[
    Annotated[tuple[Positive, ...], BeforeValidator(_check_factors), Tag("<list>")]
    | Annotated[FactorRange, Tag("<range>")],
    Discriminator(_form),
]


def drift_of(factors: tuple[float, ...] | FactorRange) -> float:
    """What values are multiplied by in the geometric mean, once per factor; 1 where they do not drift."""
    return math.prod(factors.loguniform if isinstance(factors, FactorRange) else factors)
