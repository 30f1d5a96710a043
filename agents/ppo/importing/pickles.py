"""The pickle beside a `state_dict`'s tensors, read as the table that it is; nothing is unpickled.

`torch.save` writes a small part of what a pickle may hold: a dict of tensors by name, each a call of
`_rebuild_tensor_v2` on a storage, an offset, sizes and strides; for an `OrderedDict` its attributes too. Only that part
is understood here, opcode by opcode as `pickletools` describes them (protocol 2), and all else is refused. No value
costs more than the opcodes that it is written in: dicts have strings for keys, tuples are short and shallow, and sizes
are numbers, not memory.
"""

from __future__ import annotations

import math
import pickletools
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any

from agents.ppo.importing.faults import ForeignFileError

MAX_PICKLE_BYTES = 2**17
"""Ten tensors take 1,600 bytes."""
MAX_TUPLE = 8
"""Six arguments make a tensor, five a storage; a tensor of an MLP has two dimensions."""


@dataclass(frozen=True)
class StoredTensor:
    """Where a tensor's numbers lie: one behind another, in row-major order.

    Attributes:
        key: Of its storage, which may be others' too.
        storage_length: Numbers in the storage, float32.
        offset: Of the tensor's first number in it.
        shape: Lengths, none of them 0; the numbers that they ask for lie in the storage.
    """

    key: str
    storage_length: int
    offset: int
    shape: tuple[int, ...]


class _Name(Enum):
    """What the pickle may name."""

    ORDERED_DICT = "collections OrderedDict"
    STORAGE = "torch FloatStorage"
    TENSOR = "torch._utils _rebuild_tensor_v2"


@dataclass(frozen=True)
class _Storage:
    key: str
    length: int


def tensors_in(content: bytes) -> dict[str, StoredTensor]:
    """The table of tensors.

    Raises:
        ForeignFileError: It is not what `torch.save` writes for float32 tensors by name.
    """
    if len(content) > MAX_PICKLE_BYTES:
        raise ForeignFileError(f"policy.pth: its pickle must have at most {MAX_PICKLE_BYTES} bytes, has {len(content)}")
    reader = _Reader()
    try:
        for opcode, argument, _ in pickletools.genops(content):
            if opcode.name not in _STEPS:
                raise ForeignFileError(f"policy.pth: its pickle uses {opcode.name}, which weights do not need")
            _STEPS[opcode.name](reader, argument)
    except (ValueError, LookupError):
        raise ForeignFileError("policy.pth: its pickle is broken") from None
    found = reader.result
    if not isinstance(found, dict) or not all(isinstance(each, StoredTensor) for each in found.values()):
        raise ForeignFileError("policy.pth: holds something else than tensors by name")
    return found


class _Reader:
    """The stack and the memo of an unpickler that knows only what weights need.

    Where there is too little on them, or something else than is needed, its methods raise ValueError or LookupError.
    """

    def __init__(self) -> None:
        self.result: Any = None
        self._stack: list[Any] = []
        self._below: list[list[Any]] = []
        """What lies below each mark that is open."""
        self._memo: dict[int, Any] = {}

    def push(self, value: Any) -> None:
        self._stack.append(value)

    def mark(self) -> None:
        self._below.append(self._stack)
        self._stack = []

    def put(self, place: int) -> None:
        self._memo[place] = self._stack[-1]

    def get(self, place: int) -> None:
        self.push(self._memo[place])

    def name(self, name: str) -> None:
        try:
            self.push(_Name(name))
        except ValueError:
            raise ForeignFileError(f"policy.pth: names {name!a:.60}, which weights do not need") from None

    def make_tuple(self, length: int | None = None) -> None:
        """Of the last `length` values, or of those above the mark."""
        parts = self._above_mark() if length is None else [self._stack.pop() for _ in range(length)][::-1]
        inner = [each for part in parts if isinstance(part, tuple) for each in part]
        if len(parts) > MAX_TUPLE or any(isinstance(each, tuple) for each in inner):
            raise ForeignFileError("policy.pth: its pickle nests more than weights do")
        self.push(tuple(parts))

    def make_storage(self) -> None:
        match self._stack.pop():
            case ("storage", _Name.STORAGE, str(key), str(), int(length)) if key.isdecimal() and length > 0:
                self.push(_Storage(key, length))
            case _:
                raise ValueError("no storage")

    def call(self) -> None:
        """What is called is an `OrderedDict`, empty, or what makes a tensor."""
        arguments, name = self._stack.pop(), self._stack.pop()
        if name is _Name.ORDERED_DICT and arguments == ():
            self.push({})
        elif name is _Name.TENSOR and isinstance(arguments, tuple):
            self.push(_tensor(arguments))
        else:
            raise ValueError("no call")

    def set_item(self) -> None:
        value, key = self._stack.pop(), self._stack.pop()
        self._update([key, value])

    def set_items(self) -> None:
        self._update(self._above_mark())

    def set_attributes(self) -> None:
        """Those of an `OrderedDict`, which say nothing of the tensors."""
        attributes = self._stack.pop()
        if not isinstance(attributes, dict) or not isinstance(self._stack[-1], dict):
            raise ValueError("no attributes")

    def stop(self) -> None:
        if self._below or len(self._stack) != 1:
            raise ValueError("no end")
        self.result = self._stack.pop()

    def _above_mark(self) -> list[Any]:
        values, self._stack = self._stack, self._below.pop()
        return values

    def _update(self, items: list[Any]) -> None:
        keys, values = items[::2], items[1::2]
        if not isinstance(self._stack[-1], dict) or len(keys) != len(values):
            raise ValueError("no items")
        # Before they are hashed: tuples of tuples, each of them twice, would take until the end of time.
        if not all(isinstance(key, str) for key in keys):
            raise ForeignFileError("policy.pth: its pickle has a dict with keys that are no strings")
        self._stack[-1].update(zip(keys, values, strict=True))


def _tensor(arguments: tuple[Any, ...]) -> StoredTensor:
    """What `_rebuild_tensor_v2` would make of storage, offset, sizes, strides, requires_grad and hooks."""
    match arguments:
        case (_Storage() as storage, int(offset), tuple(shape), tuple(strides), bool(), dict(hooks)) if not hooks:
            numbers = [offset, *shape, *strides]
        case _:
            raise ValueError("no arguments of a tensor")
    if not all(type(number) is int for number in numbers):
        raise ValueError("no numbers")
    if offset < 0 or any(length < 1 for length in shape) or offset + math.prod(shape) > storage.length:
        place = f"{storage.length} numbers cannot hold the shape {shape} from {offset} on"
        raise ForeignFileError(f"policy.pth: a tensor reaches beyond its storage: {place}")
    if not _is_row_major(shape, strides):
        raise ForeignFileError(f"policy.pth: a tensor of the shape {shape} must be contiguous, has strides {strides}")
    return StoredTensor(storage.key, storage.length, offset, shape)


def _is_row_major(shape: tuple[int, ...], strides: tuple[int, ...]) -> bool:
    """Whether the numbers lie one behind another; where a length is 1, nobody steps."""
    wanted = [math.prod(shape[place + 1 :]) for place in range(len(shape))]
    return len(strides) == len(shape) and all(
        length == 1 or stride == step for length, stride, step in zip(shape, strides, wanted, strict=True)
    )


_STEPS: Mapping[str, Callable[[_Reader, Any], None]] = {
    "PROTO": lambda _reader, _version: None,
    "MARK": lambda reader, _: reader.mark(),
    "STOP": lambda reader, _: reader.stop(),
    "BINPUT": _Reader.put,
    "LONG_BINPUT": _Reader.put,
    "BINGET": _Reader.get,
    "LONG_BINGET": _Reader.get,
    "GLOBAL": _Reader.name,
    "BINUNICODE": _Reader.push,
    "BININT": _Reader.push,
    "BININT1": _Reader.push,
    "BININT2": _Reader.push,
    "NEWTRUE": lambda reader, _: reader.push(True),
    "NEWFALSE": lambda reader, _: reader.push(False),
    "EMPTY_DICT": lambda reader, _: reader.push({}),
    "EMPTY_TUPLE": lambda reader, _: reader.push(()),
    "TUPLE": lambda reader, _: reader.make_tuple(),
    "TUPLE1": lambda reader, _: reader.make_tuple(1),
    "TUPLE2": lambda reader, _: reader.make_tuple(2),
    "TUPLE3": lambda reader, _: reader.make_tuple(3),
    "SETITEM": lambda reader, _: reader.set_item(),
    "SETITEMS": lambda reader, _: reader.set_items(),
    "REDUCE": lambda reader, _: reader.call(),
    "BUILD": lambda reader, _: reader.set_attributes(),
    "BINPERSID": lambda reader, _: reader.make_storage(),
}
"""All that `torch.save` writes."""
