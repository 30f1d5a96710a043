"""Matches that were played, one small file each, named by what they are: nothing is played twice."""

from __future__ import annotations

import json
import logging
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from marl_pbt.durable import make_folder, write_durably
from marl_pbt.league.jobs import Episodes, Job

logger = logging.getLogger(__name__)


class MatchStore:
    """Finished jobs by their keys; several processes may use one folder at a time.

    Args:
        folder: Made at the first write.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def get(self, job: Job) -> Episodes | None:
        """What the job gave; None where it has not been played, or its file is damaged and will be replaced."""
        path = self._path(job)
        try:
            data = json.loads(path.read_text())
            if data["returns"].keys() != job.seats.keys():
                raise ValueError(f"must have the returns of {', '.join(job.seats)}")
            return Episodes(
                returns={name: _floats(values, job) for name, values in data["returns"].items()},
                lengths=_floats(data["lengths"], job),
                metrics={tag: _floats(values, job) for tag, values in data["metrics"].items()},
                agent_steps=int(data["agent_steps"]),
            )
        except FileNotFoundError:
            return None
        except (OSError, ArithmeticError, ValueError, LookupError, TypeError, AttributeError, RecursionError) as fault:
            logger.warning("%s: %s; the match is played again", path, fault)
            return None

    def put(self, job: Job, episodes: Episodes) -> None:
        """Keep it.

        Raises:
            OSError: It cannot be written.
        """
        make_folder(self._folder, parents=True)
        data: dict[str, Any] = {
            "match": job.title,
            "agent_steps": episodes.agent_steps,
            "lengths": _numbers(episodes.lengths),
            "returns": {name: _numbers(values) for name, values in episodes.returns.items()},
            "metrics": {tag: _numbers(values) for tag, values in episodes.metrics.items()},
        }
        write_durably(self._path(job), (json.dumps(data, allow_nan=False) + "\n").encode())

    def _path(self, job: Job) -> Path:
        return self._folder / f"{job.key}.json"


def _numbers(values: Sequence[float]) -> list[float | None]:
    return [value if math.isfinite(value) else None for value in values]


def _floats(values: Sequence[float | None], job: Job) -> tuple[float, ...]:
    if len(values) != job.episodes:
        raise ValueError(f"must have {job.episodes} episodes, has {len(values)}")
    return tuple(math.nan if value is None else float(value) for value in values)
