"""How a moment looks: the grid with its animals, beside it the populations so far; numpy alone."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from envs.predator_prey_grass.font import HEIGHT, text_mask, text_width
from envs.predator_prey_grass.frame import Animals, Frame

Canvas = NDArray[np.uint8]
Colour = tuple[int, int, int]

SIDE, EDGE, GAP, HEADER, LEGEND = 500, 14, 16, 40, 36
SHAPE = 1.6  # width to height of the whole, where the grid allows it
CHART_WIDTH, CHART_HEIGHT = 300, 240  # at least
HEADROOM = 24  # of the chart, for the label of its highest line
POINT = 1.3  # how far the corners of a predator's diamond reach, in radii: as large an area as the prey's disc
GROUND, FIELD, LINE = (18, 22, 28), (28, 33, 38), (62, 70, 80)
INK, FAINT = (232, 236, 240), (138, 148, 160)
DRY, LUSH = (44, 52, 42), (58, 128, 66)
# Told apart with any colour vision: Okabe and Ito (2008), vermilion and sky blue, then orange and blue.
COLOURS = {"predator": ((232, 102, 20), (240, 176, 32)), "prey": ((96, 188, 240), (60, 130, 210))}
BIRTH, DEATH = (255, 240, 150), (255, 70, 90)


@dataclass(frozen=True)
class Places:
    """Where things are, in pixels.

    Attributes:
        cell: Side of a cell.
        height: Of the picture; even, as is the width: most video formats ask for that.
        width: Of the picture.
        field: Rows and columns of the grid.
        chart: Rows and columns of the populations.
        legend: Rows and columns of what the marks mean, below both.
    """

    cell: int
    height: int
    width: int
    field: tuple[slice, slice]
    chart: tuple[slice, slice]
    legend: tuple[slice, slice]


def place(columns: int, rows: int) -> Places:
    """The places for a grid of so many cells."""
    cell = max(SIDE // max(columns, rows), 3)
    wide, high = columns * cell, rows * cell
    body = max(high, CHART_HEIGHT)
    height = HEADER + body + LEGEND
    left = EDGE + wide + GAP
    width = max(round(height * SHAPE), left + CHART_WIDTH + EDGE)
    height, width = height + height % 2, width + width % 2
    top = HEADER + (body - high) // 2
    return Places(
        cell,
        height,
        width,
        field=(slice(top, top + high), slice(EDGE, EDGE + wide)),
        chart=(slice(HEADER, HEADER + body), slice(left, width - EDGE)),
        legend=(slice(HEADER + body, height), slice(EDGE, width - EDGE)),
    )


def draw_frame(frame: Frame) -> Canvas:
    """`(height, width, 3)` uint8, 576 × 922 pixels for a square grid; x to the right, y down; both sides even."""
    places = place(frame.width, frame.height)
    canvas = _blank(places.height, places.width, GROUND).copy()
    colours = _colours(frame)
    _draw_header(canvas, frame, colours)
    _draw_field(canvas[places.field], frame, places.cell, colours)
    _draw_chart(canvas[places.chart], frame, colours)
    _draw_legend(canvas[places.legend], frame)
    return canvas


@lru_cache(maxsize=16)
def _blank(height: int, width: int, colour: Colour) -> Canvas:
    """An empty canvas, for copying: faster than to paint one."""
    return np.broadcast_to(np.array(colour, np.uint8), (height, width, 3)).copy()


def _colours(frame: Frame) -> list[Colour]:
    seen = {"predator": 0, "prey": 0}
    colours = []
    for each in frame.animals:
        palette = COLOURS[each.role]
        colours.append(palette[seen[each.role] % len(palette)])
        seen[each.role] += 1
    return colours


def _draw_header(canvas: Canvas, frame: Frame, colours: list[Colour]) -> None:
    """Who is alive, in their colours, names smaller where they would not fit; the step at the right."""
    step = f"step {len(frame.history) - 1}"
    end = canvas.shape[1] - EDGE - text_width(step, 2)
    _write(canvas, step, end, EDGE, FAINT, 2)
    counts = [str(len(each.cells)).rjust(3) for each in frame.animals]
    fixed = sum(22 + text_width(count, 2) + 10 + 24 for count in counts)
    scale = 2 if EDGE + fixed + sum(text_width(each.name, 2) for each in frame.animals) <= end else 1
    left = EDGE
    for each, count, colour in zip(frame.animals, counts, colours, strict=True):
        _stamp(canvas, _shape(each.role, 7), left + 7, EDGE + HEIGHT, colour)
        left += 22
        _write(canvas, count, left, EDGE, colour, 2)
        left += text_width(count, 2) + 10
        _write(canvas, each.name, left, EDGE + (2 - scale) * HEIGHT, INK, scale)
        left += text_width(each.name, scale) + 24


def _draw_field(field: Canvas, frame: Frame, cell: int, colours: list[Colour]) -> None:
    """Grass by energy, animals by species and energy, what happened in the last step."""
    share = np.clip(frame.grass.T, 0.0, 1.0)[..., None]
    ground = np.where(
        frame.grass.T[..., None] < 0, np.array(FIELD), np.array(DRY) * (1 - share) + np.array(LUSH) * share
    )
    field[:] = ground.astype(np.uint8).repeat(cell, axis=1).repeat(cell, axis=0)  # long rows copy faster
    field[::cell], field[:, ::cell] = GROUND, GROUND
    for each, colour in zip(frame.animals, colours, strict=True):
        radii = (cell * (0.24 + 0.26 * each.fill)).round(0).astype(int)
        for (x, y), radius in zip((each.cells * cell + cell // 2).tolist(), radii.tolist(), strict=True):
            _stamp(field, _shape(each.role, radius), x, y, colour)
    for each in frame.animals:
        _draw_events(field, each, cell)


def _draw_events(field: Canvas, each: Animals, cell: int) -> None:
    """A bright ring around a child, a red cross where one was eaten, a grey one where one starved."""
    for cells, shape, colour in (
        (each.births, "ring", BIRTH),
        (each.eaten, "cross", DEATH),
        (each.starved, "cross", FAINT),
    ):
        for x, y in (cells * cell + cell // 2).tolist():
            _stamp(field, _shape(shape, round(cell * 0.6)), x, y, colour)


def _draw_chart(chart: Canvas, frame: Frame, colours: list[Colour]) -> None:
    """Populations over the episode so far: time to the right, at least 100 steps wide."""
    history = frame.history
    steps = max(len(history) - 1, 100)
    top = _round_up(max(int(history.max(initial=0)), 10))
    height, wide = chart.shape[0] - 2, chart.shape[1]
    last = round((len(history) - 1) / steps * (wide - 1))
    now = np.arange(last + 1) * steps / (wide - 1)
    curves = [
        height - np.interp(now, np.arange(len(history)), history[:, nth]) / top * (height - HEADROOM)
        for nth in range(len(colours))
    ]
    chart[:] = _blank(*chart.shape[:2], FIELD)
    _tint(chart[:, : last + 1], curves, colours)
    for share in (0.5, 1.0):
        row = round(height - share * (height - HEADROOM))
        chart[row, ::4] = LINE
        _write(chart, str(round(top * share)), 6, row - 2 * HEIGHT - 3, FAINT, 2)
    for rows, colour in zip(curves, colours, strict=True):
        _draw_curve(chart[:, : last + 1], rows, colour)
    for rows, colour in zip(curves, colours, strict=True):
        _stamp(chart, _shape("prey", 4), last, round(rows[-1]), colour)


def _tint(chart: Canvas, curves: list[NDArray[np.float64]], colours: list[Colour]) -> None:
    """A tenth of its colour below every curve, over the empty chart; looked up, which is faster than to blend."""
    tints = np.array([FIELD], np.float64)
    below = np.zeros(chart.shape[:2], np.uint8)
    pixels = np.arange(chart.shape[0], dtype=np.int16)[:, None]
    for nth, (rows, colour) in enumerate(zip(curves, colours, strict=True)):
        tints = np.concatenate([tints, tints * 0.9 + np.array(colour) * 0.1])
        below |= (pixels > rows.astype(np.int16)).view(np.uint8) << nth
    for channel in range(3):
        chart[..., channel] = tints[:, channel].astype(np.uint8).take(below)


def _draw_curve(chart: Canvas, rows: NDArray[np.float64], colour: Colour) -> None:
    """A line three pixels thick through `(columns,)` rows, smooth at its edges; only its own pixels are touched."""
    ends = np.append(rows[1:], rows[-1:])
    upper, lower = np.minimum(rows, ends) - 1.5, np.maximum(rows, ends) + 1.5
    longest = min(int((lower - upper).max()) + 2, chart.shape[0])
    first = np.clip(upper.astype(int), 0, chart.shape[0] - longest)
    pixels = first + np.arange(longest)[:, None], np.arange(len(rows))
    line = chart[pixels]
    _blend(line, np.clip(np.minimum(pixels[0] + 1 - upper, lower - pixels[0]), 0, 1), colour)
    chart[pixels] = line


def _draw_legend(row: Canvas, frame: Frame) -> None:
    """What the marks mean; how many steps the chart is wide."""
    left = 0
    for shape, colour, text in (("ring", BIRTH, "born"), ("cross", DEATH, "eaten"), ("cross", FAINT, "starved")):
        _stamp(row, _shape(shape, 9), left + 12, 18, colour)
        _write(row, text, left + 30, 11, FAINT, 2)
        left += 54 + text_width(text, 2)
    text = f"{max(len(frame.history) - 1, 100)} steps"
    _write(row, text, row.shape[1] - text_width(text, 2), 11, FAINT, 2)


def _round_up(value: int) -> int:
    """The next round number that is even, for an axis."""
    return next(
        top for top in (10, 20, 40, 60, 80, 100, 150, 200, 300, 400, 600, 800, 1000, 10**4, 10**5) if top >= value
    )


@lru_cache(maxsize=512)
def _shape(kind: str, radius: int) -> NDArray[np.float64]:
    """How much of each pixel a figure covers, as a square around its middle, from its distance function."""
    reach = round(radius * POINT) + 1
    x, y = np.abs(np.mgrid[-reach : reach + 1, -reach : reach + 1])
    if kind == "prey":
        distance = np.hypot(x, y) - radius
    elif kind == "predator":
        distance = (x + y - radius * POINT) / np.sqrt(2)
    elif kind == "ring":
        distance = np.abs(np.hypot(x, y) - radius + 1) - 1.1
    else:
        distance = np.maximum(np.abs(x - y) / np.sqrt(2) - 1.3, np.maximum(x, y) - radius * 0.75)
    cover: NDArray[np.float64] = np.clip(0.5 - distance, 0.0, 1.0)
    return cover


def _stamp(canvas: Canvas, mask: NDArray[np.float64], x: int, y: int, colour: Colour) -> None:
    """Blend a figure in around a pixel; what lies outside the canvas is cut off."""
    radius = mask.shape[0] // 2
    left, top = x - radius, y - radius
    part = mask[max(-top, 0) : canvas.shape[0] - top, max(-left, 0) : canvas.shape[1] - left]
    at = canvas[max(top, 0) :, max(left, 0) :][: part.shape[0], : part.shape[1]]
    _blend(at, part, colour)


def _write(canvas: Canvas, text: str, x: int, y: int, colour: Colour, scale: int) -> None:
    mask = text_mask(text, scale)[:, : max(canvas.shape[1] - x, 0)]
    canvas[y : y + mask.shape[0], x : x + mask.shape[1]][mask] = colour


def _blend(part: Canvas, cover: NDArray[np.floating[Any]], colour: Colour) -> None:
    share = (cover * 128).astype(np.int16)[..., None]
    part += ((np.array(colour, np.int16) - part) * share >> 7).astype(
        np.uint8
    )  # 255 × 128 fits; modulo 256, so it also darkens
