"""Letters for pictures: a five by seven bitmap font, so that drawing needs numpy alone."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

HEIGHT, WIDTH, ADVANCE = 7, 5, 6

# Seven rows a glyph, one hexadecimal byte each; bit 4 is the leftmost pixel.
_GLYPHS = {
    "A": "0e11111f111111", "B": "1e11111e11111e", "C": "0e11101010110e", "D": "1e11111111111e", "E": "1f10101e10101f",
    "F": "1f10101e101010", "G": "0e11101711110f", "H": "1111111f111111", "I": "0e04040404040e", "J": "0702020202120c",
    "K": "11121418141211", "L": "1010101010101f", "M": "111b1515111111", "N": "11191513111111", "O": "0e11111111110e",
    "P": "1e11111e101010", "Q": "0e11111115120d", "R": "1e11111e141211", "S": "0f10100e01011e", "T": "1f040404040404",
    "U": "1111111111110e", "V": "11111111110a04", "W": "1111111515150a", "X": "11110a040a1111", "Y": "1111110a040404",
    "Z": "1f01020408101f", "0": "0e11131519110e", "1": "040c040404040e", "2": "0e11010204081f", "3": "1f02040201110e",
    "4": "02060a121f0202", "5": "1f101e0101110e", "6": "0608101e11110e", "7": "1f010204080808", "8": "0e11110e11110e",
    "9": "0e11110f01020c", "-": "0000001f000000", "_": "0000000000001f", "/": "00010204081000", ":": "000c0c000c0c00",
    ".": "00000000000c0c", "+": "0004041f040400", " ": "00000000000000",
}  # fmt: skip


@lru_cache(maxsize=256)
def _glyph(character: str) -> NDArray[np.bool_]:
    rows = np.frombuffer(bytes.fromhex(_GLYPHS.get(character.upper(), "1f11111111111f")), np.uint8)
    return (rows[:, None] >> np.arange(WIDTH - 1, -1, -1)) & 1 > 0


def text_width(text: str, scale: int) -> int:
    """Pixels that `text_mask` is wide."""
    return max(len(text) * ADVANCE - 1, 0) * scale


def text_mask(text: str, scale: int) -> NDArray[np.bool_]:
    """`(7 * scale, text_width)`: where there is ink; lower case reads as upper case, the unknown as a box."""
    mask = np.zeros((HEIGHT, max(len(text) * ADVANCE, 1)), bool)
    for nth, character in enumerate(text):
        mask[:, nth * ADVANCE : nth * ADVANCE + WIDTH] = _glyph(character)
    return mask[:, : max(len(text) * ADVANCE - 1, 0)].repeat(scale, axis=0).repeat(scale, axis=1)
