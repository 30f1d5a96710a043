"""What a file's word is enough for: import strings and settings that stand in configs that come with marl_pbt.

A policy's file names the environment and the learner that it came from. Following such a name runs code, so the name
must stand in a config too: in one that the user named, or in one of ours.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from marl_pbt.config.yaml_file import read_yaml
from marl_pbt.imports import bundled_configs


def import_strings_of_our_configs() -> frozenset[str]:
    """Environments and learners that they name."""
    names = [
        section.get("make") for document in _documents() for section in _sections(document, "environment", "learner")
    ]
    return frozenset(name for name in names if isinstance(name, str))


def settings_of_our_configs(make: str) -> frozenset[str]:
    """Which of an environment's own settings they set, in training or for the closing judgement."""
    keys: set[str] = set()
    for document in _documents():
        if any(section.get("make") == make for section in _sections(document, "environment")):
            for section in _sections(document, "environment", "judge"):
                keys |= set(section.get("config") or ())
    return frozenset(keys)


def _documents() -> Iterator[Any]:
    return (read_yaml(path.read_text()).value for path in bundled_configs())


def _sections(document: Any, *names: str) -> Iterator[Mapping[str, Any]]:
    found = (document.get(name) for name in names) if isinstance(document, Mapping) else ()
    return (section for section in found if isinstance(section, Mapping))
