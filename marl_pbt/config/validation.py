"""Pydantic's errors as faults: every one of them, in our words, with the keys as the user wrote them."""

from __future__ import annotations

import typing
from collections.abc import Iterator, Mapping
from typing import Any

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from marl_pbt.config.distributions import INITIAL_FORMS
from marl_pbt.config.faults import Fault, did_you_mean, joined, shown
from marl_pbt.config.models import RunConfig
from marl_pbt.config.strategies import FACTOR_FORMS
from marl_pbt.config.sub_populations import KINDS

_RULES: Mapping[str, str] = {
    "bool_type": "must be true or false",
    "dict_type": "must map names to values",
    "model_type": "must hold keys with values",
    "string_type": "must be a string",
    "tuple_type": "must be a list",
}


_FORMS = {
    (key, form)
    for key, forms in {"initial": INITIAL_FORMS, "perturb_factors": FACTOR_FORMS, "sub_populations": KINDS}.items()
    for form in forms
}


def validate(data: Any) -> RunConfig | list[Fault]:
    """The config, or everything that is wrong with it."""
    try:
        return RunConfig.model_validate(data)
    except ValidationError as error:
        return [fault for details in error.errors(include_url=False) for fault in _faults(details)]


def known_keys(path: tuple[str, ...]) -> tuple[str, ...]:
    """The keys of the section at a path; none where it is free."""
    models: list[type[BaseModel]] = [RunConfig]
    for part in path:
        fields = {key: annotation for model in models for key, annotation in _fields(model).items()}
        # A name that is no key stands in a dict of sections: the section is that of the dict's values.
        models = list(_sections_in(fields[part])) if part in fields else models
    return tuple(key for model in models for key in _fields(model))


def _faults(details: ErrorDetails) -> Iterator[Fault]:
    parts = tuple(map(str, details["loc"]))
    # Behind a key of several forms stands which of them was tried, which is no key.
    path = tuple(part for before, part in zip(("", *parts), parts, strict=False) if (before, part) not in _FORMS)
    key, kind, context = joined(path), details["type"], details.get("ctx", {})
    if kind == "broken_rules":
        for fault in context["faults"]:
            yield Fault(joined(part for part in (key, fault.key) if part), fault.message)
    elif kind == "extra_forbidden":
        yield Fault(key, f"unknown key{did_you_mean(path[-1], known_keys(path[:-1]))}")
    elif kind == "missing":
        yield Fault(key, "is missing")
    elif kind == "literal_error":
        yield Fault(key, f"must be {context['expected']}, got {shown(details['input'])}")
    else:
        rule = context.get("rule") or _RULES.get(kind) or details["msg"]
        yield Fault(key, f"{rule}, got {shown(details['input'])}")


def _fields(model: type[BaseModel]) -> dict[str, Any]:
    return {field.alias or name: field.annotation for name, field in model.model_fields.items()}


def _sections_in(annotation: Any) -> Iterator[type[BaseModel]]:
    """The sections that a key may hold; of several forms all of them."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for argument in typing.get_args(annotation):
        yield from _sections_in(argument)
