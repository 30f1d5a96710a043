"""From a file and the command line to a checked config, and back to YAML."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from marl_pbt.config.faults import Fault, Source, shown
from marl_pbt.config.layout import canonical, flattened
from marl_pbt.config.models import RunConfig, notices_of
from marl_pbt.config.overrides import Override, OverrideError, overridden, parse_override
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
            section: Dotted path, e.g. `learner.settings`.
            fault: Lines that begin with a key relative to the section.
        """
        return UserError(*(self.source.line(_split(f"{section}.{line}")) for line in fault.faults))


def load_config(path: str | os.PathLike[str], overrides: Sequence[str] = ()) -> LoadedConfig:
    """Read a config, change single keys, check everything.

    Args:
        path: A YAML file, or the name of one that is installed with marl_pbt (`configs/quick.yaml`).
        overrides: `dotted.path=YAML value` each, the later ones win.

    Raises:
        UserError: One line for every fault there is.
    """
    name = os.fspath(path)
    text = _read_text(find_config(path), name)
    try:
        document = read_yaml(text)
    except YAMLError as fault:
        raise UserError(*(f"{name}:{line}: {message}" for line, message in fault.faults)) from None
    places = {key: f"{name}:{line}" for key, line in document.lines.items()}
    layout = canonical(document.value)
    notices = [_alias_notice(old, new, places) for old, new in layout.moved]
    _move(places, layout.moved)
    data, lines = _with_overrides(layout.data, overrides, places)
    source = Source(name, places)
    lines = [*(source.line(fault) for fault in layout.faults), *lines]
    checked = validate(flattened(data)) if isinstance(data, dict) else [_not_a_mapping(data)]
    if isinstance(checked, RunConfig) and not lines:
        return LoadedConfig(checked, (*notices, *notices_of(checked)), source)
    if not isinstance(checked, RunConfig):
        lines += [source.line(fault) for fault in checked]
    raise UserError(*dict.fromkeys(lines))


def config_to_yaml(config: RunConfig) -> str:
    """The whole config with its defaults; `load_config` reads an equal one from it."""
    data = config.model_dump(by_alias=True)
    declared = config.pbt.hyperparameters
    data["pbt"]["hyperparameters"] = {
        name: declaration.model_dump(by_alias=True, exclude_none=True) for name, declaration in declared.items()
    }
    return write_yaml(_plain(data))


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


def _with_overrides(data: Any, overrides: Iterable[str], places: dict[str, str]) -> tuple[Any, list[str]]:
    """The data with the overrides in it, and what is wrong with them; notes in `places` what came from where."""
    lines: list[str] = []
    for text in overrides:
        try:
            for override in parse_override(text):
                layout = canonical(overridden(data, override))
                data = layout.data
                lines += [Source(_typed(text), {}).line(fault) for fault in layout.faults]
                _note(places, override)
                _move(places, layout.moved)
        except OverrideError as error:
            lines.append(Source(_typed(text), {}).line(error.fault))
    return data, lines


def _note(places: dict[str, str], override: Override) -> None:
    for key in [key for key in places if key.startswith(f"{override.key}.")]:
        del places[key]
    places[override.key] = _typed(override.text)


def _typed(override: str) -> str:
    return f"--set {shown(override)[1:-1]}"


def _move(places: dict[str, str], moved: Iterable[tuple[str, str]]) -> None:
    for old, new in moved:
        for key in [key for key in places if key == old or key.startswith(f"{old}.")]:
            places[new + key.removeprefix(old)] = places[key]


def _alias_notice(old: str, new: str, places: Mapping[str, str]) -> str:
    return f"{old}: taken as {new}, which is what it is called here ({places.get(old, old)})"


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
