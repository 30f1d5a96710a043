"""Figures as people read them: counts, times, scores, hyperparameters, each in a few characters."""

from __future__ import annotations

import math

from marl_pbt.protocols import HyperparameterValue
from marl_pbt.run_directory import member_name
from marl_pbt.standings import Score, Source


def short_count(count: float) -> str:
    """`950`, `42.3k`, `1.23M`: three digits that matter."""
    for size, unit in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if abs(count) >= 0.9995 * size:
            return f"{_three_digits(count / size)}{unit}"
    return f"{count:.0f}"


def counted(count: int, thing: str) -> str:
    """`1 worker`, `2 workers`."""
    return f"{count} {thing}{'' if count == 1 else 's'}"


def number_text(value: float) -> str:
    """A return or a length in three digits that matter; `–` where there is none."""
    if math.isnan(value):
        return "–"
    size = abs(value)
    if 0 < size < 0.1:
        return f"{value:.3g}"
    return f"{value:z.{0 if size >= 100 or size == 0 else 1 if size >= 10 else 2}f}"  # z: no -0


def duration(seconds: float) -> str:
    """`0:42`, `12:03`, `1:02:03`, `49:00:00`."""
    minutes, second = divmod(round(seconds), 60)
    hours, minute = divmod(minutes, 60)
    return f"{hours}:{minute:02d}:{second:02d}" if hours else f"{minute}:{second:02d}"


def score_text(score: Score | None) -> str:
    """`123.4 ± 5.6`, with decimals as the size asks for them; `pending` where there is none."""
    if score is None:
        return "pending"
    if not score.is_finite:
        return "not finite"
    decimals = 3 if abs(score.mean) < 1 else 2 if abs(score.mean) < 10 else 1 if abs(score.mean) < 10_000 else 0
    return f"{score.mean:.{decimals}f} ± {score.standard_error:.{decimals}f}"


def value_text(value: HyperparameterValue) -> str:
    """`0.9`, `1.23e-4`, `512`, `true`, `relu`."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float):
        if value == 0 or 0.01 <= abs(value) < 10_000:
            return f"{value:.3g}" if abs(value) < 1000 else f"{value:.0f}"
        mantissa, exponent = f"{value:.2e}".split("e")
        return f"{float(mantissa):g}e{int(exponent)}"
    return str(value)


def source_text(source: Source | None) -> str:
    """`member_05@3`: the version of member 5 that passed ready point 3."""
    return "" if source is None else f"{member_name(source.member)}@{source.generation}"


def span(first: object, last: object) -> str:
    """`3–10`, or `3` where both are the same."""
    return f"{first}" if first == last else f"{first}–{last}"


def _three_digits(value: float) -> str:
    return f"{value:.2f}" if abs(value) < 9.995 else f"{value:.1f}" if abs(value) < 99.95 else f"{value:.0f}"
