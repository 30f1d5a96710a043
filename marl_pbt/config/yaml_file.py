"""YAML 1.2 from a stranger: plain data with line numbers, or a clear refusal.

Read from the parser's events in one pass: no aliases (bombs), no tags (objects), no duplicate keys, limits on depth
and size.
Numbers follow YAML 1.2's core schema (`3e-4` is one, `no` is a string), with `_` between digits besides (`500_000`).
"""

from __future__ import annotations

import io
import math
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError
from ruamel.yaml.error import YAMLError as ParserError
from ruamel.yaml.representer import SafeRepresenter

from marl_pbt.config.faults import shown

MAX_BYTES = 256 * 1024
MAX_DEPTH = 20
MAX_NODES = 5_000
_MAX_INTEGER = 2**63 - 1

_NULL = ("", "~", "null", "Null", "NULL")
_BOOLEANS = {word: word.lower() == "true" for word in ("true", "True", "TRUE", "false", "False", "FALSE")}
_INTEGER = re.compile(r"[-+]?[0-9](?:_?[0-9])*|0o[0-7]+|0x[0-9a-fA-F]+")
_FLOAT = re.compile(r"[-+]?(?:[0-9](?:_?[0-9])*(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][-+]?[0-9]+)?")
_NOT_FINITE = re.compile(r"[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)")
_WORD = re.compile(r"[A-Za-z_][\w.+/-]*(?::[A-Za-z_][\w.]*)?", re.ASCII)
# The scanner needs a second for thousands of these, so they are looked for before it runs.
_BRACKETS = re.compile(rf"(?:[\[{{]\s*){{{MAX_DEPTH + 1}}}")


class YAMLError(Exception):
    """The text is refused.

    Args:
        faults: `(line from 1, message)` each.
    """

    def __init__(self, *faults: tuple[int, str]) -> None:
        super().__init__("; ".join(f"line {line}: {message}" for line, message in faults))
        self.faults = faults


@dataclass
class Document:
    """What was read.

    Attributes:
        value: Dicts with string keys, lists, str, int, float, bool, None.
        lines: Dotted path → line from 1.
        faults: `(line from 1, message)`.
        nodes: How many values so far.
    """

    value: Any = None
    lines: dict[str, int] = field(default_factory=dict)
    faults: list[tuple[int, str]] = field(default_factory=list)
    nodes: int = 0


class _Representer(SafeRepresenter):
    """Quotes every string but words: what the emitter takes for plain, its own parser may read as something else."""

    def represent_str(self, data: str) -> Any:
        return self.represent_scalar("tag:yaml.org,2002:str", data, style=None if _WORD.fullmatch(data) else '"')


_Representer.add_representer(str, _Representer.represent_str)


def read_yaml(text: str) -> Document:
    """Read one document.

    Raises:
        YAMLError: It is not YAML, or not what is allowed here.
    """
    document = Document()
    if len(text.encode("utf-8", "surrogatepass")) > MAX_BYTES:
        raise YAMLError((1, f"must be at most {MAX_BYTES // 1024} KiB of YAML"))
    nested = _BRACKETS.search(text)
    if nested is not None:
        raise YAMLError((text.count("\n", 0, nested.start()) + 1, f"must be nested at most {MAX_DEPTH} deep"))
    try:
        _read_document(document, text)
    except MarkedYAMLError as fault:
        mark = fault.problem_mark or fault.context_mark
        line = 1 if mark is None else mark.line + 1
        raise YAMLError((line, f"is not YAML: {_one_line(fault.problem or fault.context)}")) from None
    except (ParserError, ValueError, OverflowError, NotImplementedError, AssertionError) as fault:
        # The parser's own slips: a character out of range in an escape, a control character …
        raise YAMLError((1, f"is not YAML: {_one_line(fault)}")) from None
    if document.faults:
        raise YAMLError(*document.faults)
    return document


def write_yaml(value: Any) -> str:
    """Plain data as YAML that `read_yaml` reads back as it was."""
    yaml = YAML(typ="safe", pure=True)
    yaml.Representer = _Representer
    yaml.default_flow_style = None
    yaml.sort_base_mapping_type_on_output = False  # type: ignore[assignment]  # ruamel types it as None
    yaml.allow_unicode = False
    yaml.width = sys.maxsize  # where it folds a quoted string, the emitter may add a space
    yaml.representer.ignore_aliases = lambda _: True
    text = io.StringIO()
    yaml.dump(value, text)
    return text.getvalue()


def _one_line(problem: object) -> str:
    return " ".join(str(problem).split())[:200]


def _read_document(document: Document, text: str) -> None:
    events = iter(YAML(typ="safe", pure=True).parse(text))
    next(events)
    start = next(events)
    if type(start).__name__ == "StreamEndEvent":
        return
    if start.version not in (None, (1, 2)) or start.tags:
        raise YAMLError((1, "must be YAML 1.2 without directives"))
    document.value = _read_node(document, events, next(events), "", 0)
    next(events)
    after = next(events)
    if type(after).__name__ != "StreamEndEvent":
        raise YAMLError((after.start_mark.line + 1, "must be one document"))


def _read_node(document: Document, events: Iterator[Any], event: Any, path: str, depth: int) -> Any:
    line, kind = event.start_mark.line + 1, type(event).__name__
    document.lines.setdefault(path, line)
    document.nodes += 1
    if document.nodes > MAX_NODES:
        raise YAMLError((line, f"must hold at most {MAX_NODES} values"))
    if kind == "AliasEvent":
        raise YAMLError((line, f"aliases are not allowed, got *{shown(event.anchor)[1:-1]}"))
    if event.anchor is not None:
        raise YAMLError((line, f"anchors are not allowed, got &{shown(event.anchor)[1:-1]}"))
    if event.tag is not None:
        raise YAMLError((line, f"tags are not allowed, got {shown(str(event.tag))[1:-1]}"))
    if kind == "ScalarEvent":
        return _scalar(document, event, line)
    if depth >= MAX_DEPTH:
        raise YAMLError((line, f"must be nested at most {MAX_DEPTH} deep"))
    if kind == "SequenceStartEvent":
        return _read_list(document, events, path, depth + 1)
    return _read_mapping(document, events, path, depth + 1)


def _read_list(document: Document, events: Iterator[Any], path: str, depth: int) -> list[Any]:
    values: list[Any] = []
    while type(event := next(events)).__name__ != "SequenceEndEvent":
        values.append(_read_node(document, events, event, f"{path}.{len(values)}", depth))
    return values


def _read_mapping(document: Document, events: Iterator[Any], path: str, depth: int) -> dict[str, Any]:
    values: dict[str, Any] = {}
    while type(event := next(events)).__name__ != "MappingEndEvent":
        line = event.start_mark.line + 1
        key = _read_node(document, events, event, f"{path}.?", depth)
        if not isinstance(key, str) or (key == "<<" and event.style is None):
            document.faults.append((line, f"keys must be strings, got {shown(key)}"))
        elif key in values:
            document.faults.append((line, f"key {shown(key)} is given twice"))
        own = key if isinstance(key, str) else "?"
        child = f"{path}.{own}" if path else own
        document.lines.setdefault(child, line)
        value = _read_node(document, events, next(events), child, depth)
        if isinstance(key, str):
            values[key] = value
    return values


def _scalar(document: Document, event: Any, line: int) -> Any:
    text: str = event.value
    if event.style is not None:  # quoted or a block: a string whatever it looks like
        return _sound_string(document, text, line)
    if text in _NULL:
        return None
    if text in _BOOLEANS:
        return _BOOLEANS[text]
    if _NOT_FINITE.fullmatch(text):
        document.faults.append((line, f"numbers must be finite, got {text}"))
    elif _INTEGER.fullmatch(text):
        if len(text) <= 100 and abs(number := _whole(text)) <= _MAX_INTEGER:
            return number
        document.faults.append((line, f"whole numbers must have at most 63 bits, got {shown(text)[1:-1]}"))
    elif _FLOAT.fullmatch(text):
        value = float(text)
        if math.isfinite(value):
            return value
        document.faults.append((line, f"numbers must be finite, got {shown(text)[1:-1]}"))
    return _sound_string(document, text, line)


def _whole(text: str) -> int:
    return int(text, 0) if text[:2] in ("0o", "0x") else int(text)


def _sound_string(document: Document, text: str, line: int) -> str:
    if any(0xD800 <= ord(character) <= 0xDFFF for character in text):
        document.faults.append((line, f"strings must be Unicode text, got {shown(text)}"))
    return text
