"""Configs that nobody would write: each is taken, or refused in lines of their own."""

from __future__ import annotations

import copy
import random
import typing
from collections import Counter
from collections.abc import Iterator

from pydantic import BaseModel

from marl_pbt.config.faults import Source
from marl_pbt.config.layout import canonical, flattened
from marl_pbt.config.models import RunConfig
from marl_pbt.config.validation import validate
from marl_pbt.config.yaml_file import YAMLError, read_yaml
from tests.fuzz.policies import change, odd
from tests.marl_pbt.config_files import SOUND

SOURCE = Source("c.yaml", {})
SPLINTERS = ("", *"[]{}:\t\n'\"\x00\ufeff#|%", "- ", "&a ", "*a", "!!x ", "? ", "1e999")
WRONG = ("\x01", -1e300, [[]], {"no_such_key": {}}, "x" * 10_000, True, None, -(2**62), [{}], 0.123)


def outcome(data: object) -> list[str]:
    """What is wrong with plain data, in lines as a user reads them; empty where it is taken."""
    layout = canonical(copy.deepcopy(data))
    found = list(layout.faults)
    if isinstance(layout.data, dict):
        checked = validate(flattened(layout.data))
        found += [] if isinstance(checked, RunConfig) else checked
    else:
        assert found or data is None or not isinstance(data, dict)
    told = [SOURCE.line(fault) for fault in found]
    assert all(line.isprintable() and 0 < len(line) < 1500 for line in told), told
    return told


def keys(model: type[BaseModel] = RunConfig, path: str = "") -> Iterator[str]:
    """Every key of the models, dotted."""
    for name, each in model.model_fields.items():
        key = f"{path}{each.alias or name}"
        yield key
        for section in _sections(each.annotation):
            yield from keys(section, f"{key}.")


def _sections(annotation: object) -> Iterator[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    if typing.get_origin(annotation) is not dict:
        for argument in typing.get_args(annotation):
            yield from _sections(argument)


def wrong_ways(key: str) -> list[list[str]]:
    """What is told of each wrong value of a key that is refused."""
    told = []
    for value in WRONG:
        data = read_yaml(SOUND).value
        *sections, last = key.split(".")
        inner = data
        for section in sections:
            if not isinstance(inner.get(section), dict):
                inner[section] = {}
            inner = inner[section]
        inner[last] = copy.deepcopy(value)
        told.append(outcome(data))
    return [lines for lines in told if lines]


def generated(seed: int, count: int) -> Counter[str]:
    """A sound config with some values, keys, sections changed; as data."""
    rng, sound, names = random.Random(seed), read_yaml(SOUND).value, list(keys())
    told: Counter[str] = Counter()
    for _ in range(count):
        data = copy.deepcopy(sound)
        for _ in range(rng.randint(1, 4)):
            if rng.random() < 0.5:
                change(rng, data)
            else:
                *sections, last = rng.choice(names).split(".")
                inner = data
                for section in sections:
                    inner = inner.setdefault(section, {}) if isinstance(inner, dict) else inner
                    inner = inner if isinstance(inner, dict) else {}
                inner[last] = odd(rng)
        told["refused" if outcome(data) else "taken"] += 1
    return told


def texts(seed: int, count: int) -> Counter[str]:
    """A sound config's text with some characters changed."""
    rng = random.Random(seed)
    told: Counter[str] = Counter()
    for _ in range(count):
        text = list(SOUND)
        for _ in range(rng.randint(1, 5)):
            place = rng.randrange(len(text))
            text[place : place + rng.randint(0, 3)] = rng.choice(SPLINTERS)
        try:
            document = read_yaml("".join(text))
        except YAMLError as fault:
            assert all(line >= 1 and message for line, message in fault.faults)
            told["no yaml"] += 1
        else:
            told["refused" if outcome(document.value) else "taken"] += 1
    return told
