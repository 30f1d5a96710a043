"""A verdict for TensorBoard: tables as pictures and text, ratings as curves along each member's training."""

from __future__ import annotations

import re
import time
from collections.abc import Iterable, Mapping
from itertools import chain, count
from pathlib import Path

from marl_pbt.league.report_text import diagnosis_lines, rating_markdown
from marl_pbt.league.verdict import Rating, Verdict
from marl_pbt.tensorboard.event_writer import EventWriter
from marl_pbt.tensorboard.summaries import picture_summary, text_summary


def write_tensorboard(folder: Path, verdict: Verdict, drawn: Mapping[str, bytes]) -> None:
    """Write a run `league` with all tables, and one per member (or other origin) with its ratings.

    A rating stands at the agent steps of its policy, so that several generations of a member make a curve. What an
    earlier evaluation wrote into the folder is replaced.
    """
    folder = folder / "evaluation"  # nothing else writes there, so what lies there may go
    for old in folder.glob("*/events.out.tfevents.*"):
        old.unlink()
    league = EventWriter(folder / "league", time.time)
    for name, picture in drawn.items():
        league.summary(picture_summary(f"evaluation/{name}", picture), 0)
    for species in verdict.league.species:
        league.summary(text_summary(f"evaluation/{species}", rating_markdown(verdict, species)), 0)
    lines = "\n".join(f"- {line}" for line in diagnosis_lines(verdict))
    league.summary(text_summary("evaluation/how far to believe it", lines or "nothing to say"), 0)
    league.close()
    origins = _by_origin(verdict)
    for name, ratings in zip(_folder_names(origins), origins.values(), strict=True):
        writer = EventWriter(folder / name, time.time)
        for step, rating in sorted(ratings, key=lambda entry: entry[0]):
            writer.scalars(_scalars(rating), step)
        writer.close()


def _folder_names(origins: Iterable[str]) -> list[str]:
    """A folder for each, named like it: an origin may be a stranger's file name, such as `..`."""
    names = ["league"]
    for origin in origins:
        name = re.sub(r"[^\w.#-]", "_", origin).lstrip(".") or "policy"
        names.append(next(each for each in chain([name], (f"{name}_{n}" for n in count(2))) if each not in names))
    return names[1:]


def _by_origin(verdict: Verdict) -> dict[str, list[tuple[int, Rating]]]:
    """`run:member` without the generation: agent steps and rating of each of its policies."""
    origins: dict[str, list[tuple[int, Rating]]] = {}
    for ratings in verdict.ratings.values():
        for rating in ratings:
            card = rating.entrant.card
            steps = 0 if card is None else int(card.clocks.get("agent_steps", 0))
            origins.setdefault(rating.entrant.label.partition("@")[0], []).append((steps, rating))
    return origins


def _scalars(rating: Rating) -> dict[str, float]:
    species = rating.entrant.species
    figures = {"mean": rating.field.mean, "low": rating.field.low, "high": rating.field.high}
    scalars = {f"evaluation/{species}/return_{name}": float(value) for name, value in figures.items()}
    if rating.alpha_rank is not None:
        scalars[f"evaluation/{species}/alpha_rank"] = rating.alpha_rank.mean
    if rating.elo is not None:
        scalars[f"evaluation/{species}/elo"] = rating.elo
    return scalars
