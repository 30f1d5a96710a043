"""Which import strings may be followed: those of configs that the user named, and those of our own configs.

A policy's file names the environment and the learner that it came from. Following such a name runs code, so a file's
word is not enough: it must stand in a config as well.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from marl_pbt.config.yaml_file import read_yaml
from marl_pbt.imports import bundled_configs


def import_strings_of_our_configs() -> frozenset[str]:
    """Environments and learners that the configs installed with marl_pbt name."""
    documents = (read_yaml(path.read_text()).value for path in bundled_configs())
    return frozenset(_import_strings(documents))


def _import_strings(documents: Iterable[Any]) -> Iterable[str]:
    for document in documents:
        for section in ("environment", "learner"):
            said = document.get(section) if isinstance(document, Mapping) else None
            if isinstance(said, Mapping) and isinstance(said.get("make"), str):
                yield said["make"]
