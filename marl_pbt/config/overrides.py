"""`--set pbt.population=16`: single keys of a config changed from the command line."""

from __future__ import annotations

import copy
from dataclasses import dataclass
from typing import Any

from marl_pbt.config.faults import Fault, shown
from marl_pbt.config.layout import canonical_keys
from marl_pbt.config.yaml_file import MAX_DEPTH, YAMLError, read_yaml


@dataclass(frozen=True)
class Override:
    """One key and its value.

    Attributes:
        key: Dotted path, Ray Tune's names resolved.
        written: Dotted path as typed.
        value: Plain data.
    """

    key: str
    written: str
    value: Any


class OverrideError(Exception):
    """A `--set` that cannot be done.

    Args:
        fault: Why.
    """

    def __init__(self, fault: Fault) -> None:
        super().__init__(fault.message)
        self.fault = fault


def parse_override(text: str) -> tuple[Override, ...]:
    """Read `dotted.path=YAML value`; one of Ray Tune's names may stand for two of our keys.

    Raises:
        OverrideError: It is not of that form.
    """
    key, equals, written = text.partition("=")
    key = key.strip()
    if not equals or not all(key.split(".")) or key.count(".") >= MAX_DEPTH:
        raise OverrideError(Fault(key, "must be KEY=VALUE, such as pbt.population=16"))
    try:
        value = read_yaml(written).value
    except YAMLError as fault:
        raise OverrideError(Fault(key, "; ".join(message for _, message in fault.faults))) from None
    return tuple(Override(name, key, value) for name in canonical_keys(key))


def overridden(data: Any, override: Override) -> Any:
    """The config with the key set; sections on the way there are made where there are none.

    Raises:
        OverrideError: Something on the way is a value, not a section.
    """
    *sections, last = override.key.split(".")
    changed = copy.deepcopy(data) if isinstance(data, dict) else {}
    section = changed
    for depth, part in enumerate(sections):
        if section.get(part) is None:
            section[part] = {}
        section = section[part]
        if not isinstance(section, dict):
            path = ".".join(sections[: depth + 1])
            raise OverrideError(Fault(override.key, f"{path} is {shown(section)}, which holds no keys"))
    section[last] = override.value
    return changed
