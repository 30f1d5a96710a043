"""Observation and action spaces as JSON, so that a policy's file says where it can play."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    import gymnasium

SpaceCard: TypeAlias = "dict[str, Any]"

MAX_TEXT = 200


def card_of(space: gymnasium.Space[Any]) -> SpaceCard:
    """What tells this space from others, JSON-able: equal cards are equal spaces.

    Box: `shape`, `dtype`, `low`, `high` (one number where all elements share it, else nested lists; infinity as
    `"inf"`). Discrete: `n`, `start`. MultiDiscrete: `nvec`, `start`. Of other spaces only the text that they print.
    """
    from gymnasium import spaces

    if isinstance(space, spaces.Box):
        return {
            "type": "Box",
            "shape": list(map(int, space.shape)),
            "dtype": str(space.dtype),
            "low": _bound(space.low),
            "high": _bound(space.high),
        }
    if isinstance(space, spaces.Discrete):
        return {"type": "Discrete", "n": int(space.n), "start": int(space.start)}
    if isinstance(space, spaces.MultiDiscrete):
        return {"type": "MultiDiscrete", "nvec": space.nvec.tolist(), "start": space.start.tolist()}
    return {"type": type(space).__name__, "text": str(space)}


def space_text(card: SpaceCard) -> str:
    """A card in a few words: `Box (9, 9, 4) uint8 in [0, 255]`, `Discrete(9)`; whatever a stranger wrote into it."""
    try:
        return _shortened(_text(card))
    except (KeyError, TypeError):
        return f"no space, {_shortened(str(card))}"


def _text(card: SpaceCard) -> str:
    if card["type"] == "Box":
        bounds = f"{_bound_text(card['low'])}, {_bound_text(card['high'])}"
        return f"Box {tuple(card['shape'])} {card['dtype']} in [{bounds}]"
    if card["type"] == "Discrete":
        return f"Discrete({card['n']}{_start_text(card['start'])})"
    if card["type"] == "MultiDiscrete":
        return f"MultiDiscrete({card['nvec']}{_start_text(card['start'])})"
    return str(card["text"])


def _bound(values: NDArray[Any]) -> Any:
    if values.size and bool((values == values.flat[0]).all()):
        return _number(values.flat[0].item())
    return _nested(values.tolist())


def _nested(values: Any) -> Any:
    return [_nested(value) for value in values] if isinstance(values, list) else _number(values)


def _number(value: float) -> float | str:
    return value if math.isfinite(value) else str(value)


def _shortened(text: str) -> str:
    return text if len(text) <= MAX_TEXT else f"{text[:MAX_TEXT]}…"


def _start_text(start: Any) -> str:
    return f", start={start}" if np.any(start) else ""


def _bound_text(bound: Any) -> str:
    return "…" if isinstance(bound, list) else str(bound)
