"""A verdict as files: `evaluation.json`, tables as CSV, payoff tables as pictures."""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from marl_pbt.durable import make_folder, write_durably
from marl_pbt.league.assembly import Entrant
from marl_pbt.league.heat_map import HeatMap, heat_map_png
from marl_pbt.league.intransitivity import Intransitivity
from marl_pbt.league.jobs import Rules
from marl_pbt.league.payoffs import LENGTH, return_of
from marl_pbt.league.report_text import finite_or_none
from marl_pbt.league.statistics import Estimate
from marl_pbt.league.verdict import Rating, Verdict

SCHEMA = 1
_UNFIT = re.compile(r"[^\w.-]")  # for a file's name
FIGURES = ("mean", "standard_error", "low", "high", "n")


def write_reports(folder: Path, verdict: Verdict, rules: Rules, drawn: Mapping[str, bytes]) -> list[Path]:
    """Write all files, each whole or not at all.

    Args:
        folder: Made if need be.
        verdict: What is told.
        rules: How it was played.
        drawn: What `pictures` gave.

    Returns:
        Their paths, `evaluation.json` first.

    Raises:
        OSError: The folder cannot be written.
    """
    make_folder(folder, parents=True)
    contents = {
        "evaluation.json": evaluation_json(verdict, rules),
        "payoffs.csv": _csv(payoff_rows(verdict)),
        "ratings.csv": _csv(rating_rows(verdict)),
        **{f"{_UNFIT.sub('_', name)}.png": data for name, data in drawn.items()},
    }
    for name, data in contents.items():
        write_durably(folder / name, data)
    return [folder / name for name in contents]


def evaluation_json(verdict: Verdict, rules: Rules) -> bytes:
    """Everything; the same evaluation gives the same bytes."""
    league = verdict.league
    data = {
        "schema": SCHEMA,
        "environment": asdict(league.environment),
        **asdict(rules),
        "species": league.species,
        "policies": {name: [_entrant(each) for each in of] for name, of in league.entrants.items()},
        "ratings": {name: [_rating(each) for each in of] for name, of in verdict.ratings.items()},
        "intransitivity": {name: _intransitivity(verdict, name, of) for name, of in verdict.intransitivity.items()},
        "coadaptation": {name: _estimate(of) for name, of in verdict.coadaptation.items()},
        "notes": [*league.notices, *verdict.notes],
        "payoffs": [_pairing(verdict, where) for where in verdict.payoffs.pairings],
    }
    return (json.dumps(data, indent=1, allow_nan=False, ensure_ascii=False) + "\n").encode()


def payoff_rows(verdict: Verdict) -> Iterator[Sequence[Any]]:
    """One line per pairing and quantity."""
    yield [*verdict.league.species, "quantity", *FIGURES]
    for where in verdict.payoffs.pairings:
        for name, of in verdict.estimates.items():
            yield [*_labels(verdict, where), name, *_estimate(of[where]).values()]


def rating_rows(verdict: Verdict) -> Iterator[Sequence[Any]]:
    """One line per policy."""
    masses = ("alpha_rank", "alpha_rank_low", "alpha_rank_high")
    quantities = list(verdict.payoffs.tables)
    yield ["species", "policy", *FIGURES, "lead", *masses, "elo", "own_minus_others", *quantities]
    for species, of in verdict.ratings.items():
        for each in of:
            mass = (None,) * 3 if each.alpha_rank is None else asdict(each.alpha_rank).values()
            means = [finite_or_none(float(each.quantities[name].mean)) for name in quantities]
            rest = [_mean(each.lead), *mass, each.elo, _mean(each.own_gap), *means]
            yield [species, each.entrant.label, *_estimate(each.field).values(), *rest]


def pictures(verdict: Verdict, rules: Rules) -> dict[str, bytes]:
    """Heat maps as PNG by name: each species' returns against each other species, and the episodes' lengths."""
    species = verdict.league.species
    found = {}
    for nth, name in enumerate(species):
        for other, its_name in enumerate(species):
            if other != nth:
                what = f"payoff_{name}" if len(species) == 2 else f"payoff_{name}_against_{its_name}"
                title = f"{name}'s return against each {its_name}, mean of {rules.episodes} episodes"
                found[what] = _picture(verdict, title, return_of(name), (nth, other))
    if len(species) == 2:
        title = f"episode length in env steps, mean of {rules.episodes} episodes"
        found[LENGTH] = _picture(verdict, title, LENGTH, (0, 1))
    return found


def _picture(verdict: Verdict, title: str, table: str, axes: tuple[int, int]) -> bytes:
    of, names = verdict.estimates[table], [verdict.league.species[axis] for axis in axes]
    rows, columns = _shown(verdict, names, is_payoff=table != LENGTH)
    labels = [[verdict.payoffs.labels[name][at] for at in of] for name, of in zip(names, (rows, columns), strict=True)]
    is_table, cells = of.mean.ndim == 2, np.ix_(rows, columns)
    own = [(where[axes[0]], where[axes[1]]) for where in verdict.own] if is_table else []
    heat_map = HeatMap(
        title=title,
        rows=(names[0], labels[0]),
        columns=(names[1], labels[1]),
        means=_flattened(of.mean, axes)[cells],
        errors=_flattened(of.standard_error if is_table else np.full_like(of.mean, np.nan), axes)[cells],
        own=[(rows.index(row), columns.index(column)) for row, column in own if row in rows and column in columns],
    )
    return heat_map_png(heat_map)


def _shown(verdict: Verdict, names: Sequence[str], is_payoff: bool) -> tuple[list[int], list[int]]:
    """Which policies are rows and which columns: all; with a background, those who are judged, and those they met."""
    rows, columns = ([each.is_focal for each in verdict.league.entrants[name]] for name in names)
    has_background = not (all(rows) and all(columns))
    if is_payoff and has_background and any(rows) and not all(columns):
        return [at for at, focal in enumerate(rows) if focal], [at for at, focal in enumerate(columns) if not focal]
    return list(range(len(rows))), list(range(len(columns)))


def _flattened(table: NDArray[np.float64], axes: tuple[int, int]) -> NDArray[np.float64]:
    """Two of the axes; the mean over whatever the other species played."""
    moved = np.moveaxis(table, axes, (0, 1))
    cells = moved.reshape(*moved.shape[:2], -1)
    counts = (~np.isnan(cells)).sum(axis=-1)
    return np.where(counts > 0, np.nansum(cells, axis=-1) / np.maximum(counts, 1), np.nan)


def _entrant(entrant: Entrant) -> dict[str, Any]:
    said: dict[str, Any] = {
        "label": entrant.label,
        "address": entrant.address,
        "sha256": entrant.digest,
        "is_focal": entrant.is_focal,
    }
    card = entrant.card
    if card is not None:
        said |= {
            "member": card.member,
            "generation": card.generation,
            "agent_steps": card.clocks.get("agent_steps"),
            "learner": card.learner,
            "hyperparameters": card.hyperparameters,
            "training_score": card.score,
        }
    return said


def _rating(rating: Rating) -> dict[str, Any]:
    return {
        "policy": rating.entrant.label,
        "mean_against_field": _estimate(rating.field),
        "lead": None if rating.lead is None else _estimate(rating.lead),
        "alpha_rank": None if rating.alpha_rank is None else asdict(rating.alpha_rank),
        "elo": rating.elo,
        "own_minus_others": None if rating.own_gap is None else _estimate(rating.own_gap),
        "quantities": {name: _estimate(of) for name, of in rating.quantities.items()},
    }


def _intransitivity(verdict: Verdict, species: str, found: Intransitivity) -> dict[str, Any]:
    said: dict[str, Any] = {
        "cyclic_share": finite_or_none(found.corrected),
        "cyclic_share_with_noise": finite_or_none(found.raw),
        "chance_of_none": finite_or_none(found.chance),
        "reversal": None,
    }
    if found.reversal is not None:
        labels, reversal = verdict.payoffs.labels[species], asdict(found.reversal)
        said["reversal"] = reversal | {"better": labels[reversal["better"]], "worse": labels[reversal["worse"]]}
    return said


def _pairing(verdict: Verdict, where: Sequence[int]) -> dict[str, Any]:
    labels = dict(zip(verdict.league.species, _labels(verdict, where), strict=True))
    return {"policies": labels, **{name: _estimate(of[tuple(where)]) for name, of in verdict.estimates.items()}}


def _labels(verdict: Verdict, where: Sequence[int]) -> list[str]:
    return [verdict.payoffs.labels[name][place] for name, place in zip(verdict.league.species, where, strict=True)]


def _estimate(of: Estimate) -> dict[str, float | int | None]:
    figures: Mapping[str, Any] = {name: getattr(of, name) for name in FIGURES[:-1]}
    return {**{name: finite_or_none(value) for name, value in figures.items()}, "n": int(of.n)}


def _mean(of: Estimate | None) -> float | None:
    return None if of is None else finite_or_none(float(of.mean))


def _csv(rows: Iterator[Sequence[Any]]) -> bytes:
    file = io.StringIO()
    csv.writer(file, lineterminator="\n").writerows(rows)
    return file.getvalue().encode()
