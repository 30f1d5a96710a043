"""From a file and the command line to a checked config, and back to YAML."""

from __future__ import annotations

import os
import stat
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from marl_pbt.config.faults import Fault, Source, shown
from marl_pbt.config.layout import Layout, canonical, flattened
from marl_pbt.config.models import RunConfig, notices_of
from marl_pbt.config.overrides import OverrideError, overridden, parse_override
from marl_pbt.config.validation import validate
from marl_pbt.config.yaml_file import MAX_BYTES, YAMLError, read_yaml, write_yaml
from marl_pbt.imports import find_config
from marl_pbt.protocols import UserError


@dataclass(frozen=True)
class LoadedConfig:
    """A config that is sound in itself; the learner and the environment have not been asked yet.

    Attributes:
        config: With all defaults.
        notices: What the user should know, one line each.
        source: Where each key was written.
    """

    config: RunConfig
    notices: tuple[str, ...]
    source: Source

    def placed(self, section: str, fault: UserError) -> UserError:
        """Faults that somebody found in a section, told with their whole keys and places.

        Args:
            section: Dotted path, e.g. `learner.settings`; empty for lines with whole keys.
            fault: Lines that begin with a key relative to the section.
        """
        return UserError(*(self.source.line(_split(f"{section}.{line}" if section else line)) for line in fault.faults))


@dataclass
class _Reading:
    """What has been read so far, where it stood, and what is wrong with it."""

    name: str
    data: Any
    places: dict[str, str]
    moved: dict[str, list[str]] = field(default_factory=dict)
    lines: list[str] = field(default_factory=list)

    @property
    def source(self) -> Source:
        return Source(self.name, self.places)

    @property
    def notices(self) -> tuple[str, ...]:
        """One for each of Ray Tune's names."""
        return tuple(
            f"{old}: taken as {' and '.join(new)}, as it is called here ({self.source.where(old)})"
            for old, new in self.moved.items()
        )

    def take(self, layout: Layout, faults_from: Source) -> None:
        """Go on with the data in its one form."""
        self.data = layout.data
        self.lines += [faults_from.line(fault) for fault in layout.faults]
        for old, new in layout.moved:
            self.move(old, new)

    def move(self, old: str, new: str) -> None:
        """What was written under one name is found under another."""
        self.moved.setdefault(old, []).append(new)
        for key in [key for key in self.places if key == old or key.startswith(f"{old}.")]:
            self.places[new + key.removeprefix(old)] = self.places[key]

    def override(self, text: str) -> None:
        """Set one key."""
        typed = Source(f"--set {shown(text)[1:-1]}", {})
        try:
            for override in parse_override(text):
                data = overridden(self.data, override)
                self._note(override.written, typed.name)
                if override.key != override.written:
                    self.move(override.written, override.key)
                self.take(canonical(data), typed)
        except OverrideError as error:
            self.lines.append(typed.line(error.fault))

    def _note(self, key: str, place: str) -> None:
        for below in [other for other in self.places if other.startswith(f"{key}.")]:
            del self.places[below]
        self.places[key] = place
        while key := key.rpartition(".")[0]:
            self.places.setdefault(key, place)


def load_config(path: str | os.PathLike[str], overrides: Sequence[str] = ()) -> LoadedConfig:
    """Read a config, change single keys, check everything.

    Args:
        path: A YAML file, or the name of one that is installed with marl_pbt (`configs/quick.yaml`).
        overrides: `dotted.path=YAML value` each, the later ones win.

    Raises:
        UserError: One line for every fault there is.
    """
    reading = _read(os.fspath(path))
    for text in overrides:
        reading.override(text)
    checked = validate(flattened(reading.data)) if isinstance(reading.data, dict) else [_not_a_mapping(reading.data)]
    if isinstance(checked, RunConfig) and not reading.lines:
        return LoadedConfig(checked, (*reading.notices, *notices_of(checked)), reading.source)
    found = [] if isinstance(checked, RunConfig) else [reading.source.line(fault) for fault in checked]
    raise UserError(*dict.fromkeys(reading.lines + found))


def config_to_yaml(config: RunConfig) -> str:
    """The whole config with its defaults; `load_config` reads an equal one from it."""
    data = config.model_dump(by_alias=True)
    declared = config.pbt.hyperparameters
    data["pbt"]["hyperparameters"] = {
        name: declaration.model_dump(by_alias=True, exclude_none=True) for name, declaration in declared.items()
    }
    return write_yaml(_plain(data))


def _read(name: str) -> _Reading:
    """The file alone, in one form."""
    try:
        document = read_yaml(_read_text(find_config(name), name))
    except YAMLError as fault:
        raise UserError(*(f"{name}:{line}: {message}" for line, message in fault.faults)) from None
    reading = _Reading(name, document.value, {key: f"{name}:{line}" for key, line in document.lines.items()})
    reading.take(canonical(document.value), reading.source)
    return reading


def _read_text(path: Path, name: str) -> str:
    try:
        if not stat.S_ISREG(path.stat().st_mode):
            raise UserError(f"{name}: must be a file")
        with path.open("rb") as file:
            data = file.read(MAX_BYTES + 1)
    except OSError as fault:
        raise UserError(f"{name}: cannot be read: {fault.strerror}") from None
    if len(data) > MAX_BYTES:
        raise UserError(f"{name}: must be at most {MAX_BYTES // 1024} KiB")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as fault:
        line = data.count(b"\n", 0, fault.start) + 1
        raise UserError(f"{name}:{line}: must be UTF-8, got byte 0x{data[fault.start]:02x}") from None


def _not_a_mapping(data: Any) -> Fault:
    return Fault("", f"must hold keys with values, got {shown(data)}")


def _split(line: str) -> Fault:
    key, _, message = line.partition(": ")
    return Fault(key, message)


def _plain(value: Any) -> Any:
    """Tuples as lists, which is what YAML knows."""
    if isinstance(value, dict):
        return {key: _plain(child) for key, child in value.items()}
    return [_plain(child) for child in value] if isinstance(value, list | tuple) else value
