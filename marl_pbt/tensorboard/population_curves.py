"""The curves of the population as a whole, over the sum of its members' agent steps.

That is another x-axis than the members', so they are in a group of their own.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np

from marl_pbt.ancestry import LineageEvent, distinct_founders
from marl_pbt.protocols import Clocks
from marl_pbt.standings import BoardRow
from marl_pbt.status import RunDescription
from marl_pbt.tensorboard.event_writer import EventWriter
from marl_pbt.tensorboard.summaries import QUANTILES


class PopulationCurves:
    """Writes what the members are worth together.

    Args:
        folder: Of this TensorBoard run.
        description: Of the run.
        clock: Seconds since the epoch.
        resumed_at: Agent steps from which a run goes on; None for a fresh one.
        history: What had happened by then.
    """

    def __init__(
        self,
        folder: Path,
        description: RunDescription,
        clock: Callable[[], float],
        resumed_at: int | None,
        history: Iterable[LineageEvent],
    ) -> None:
        self._description = description
        self._best: dict[str, float] = {}
        self._exploits: dict[str, set[str]] = {species: set() for species in description.species}
        self._elapsed_s = 0.0
        self.step = resumed_at or 0
        self._speed_step = self.step
        self.writer = EventWriter(folder, clock)
        if resumed_at is not None:
            self.writer.start_after(resumed_at or -1)
        self.note(history)

    def note(self, events: Iterable[LineageEvent]) -> None:
        """Take in events for what adds up over a run; one told again changes nothing."""
        for event in events:
            if event.kind == "exploit" and event.policy in self._exploits:
                self._exploits[event.policy].add(event.event_id)
            elif event.kind == "ready" and event.score is not None and event.score.is_finite:
                better = max if self._description.maximize else min
                self._best[event.policy] = better(self._best.get(event.policy, event.score.mean), event.score.mean)

    def write(self, rows: Mapping[str, Sequence[BoardRow]], clocks: Mapping[int, Clocks], elapsed_s: float) -> None:
        """Write a point of every curve, if the population has come further since the last."""
        step = sum(each.agent_steps for each in clocks.values())
        if step <= self.step:  # also while a member that was restarted catches up
            return
        values: dict[str, float] = {}
        if elapsed_s > self._elapsed_s:
            values["population/agent_steps_per_s"] = (step - self._speed_step) / (elapsed_s - self._elapsed_s)
        self.step, self._speed_step, self._elapsed_s = step, step, elapsed_s
        for species, each in rows.items():
            values |= self._of_species(species, each)
        self.writer.scalars(values, step)
        self.writer.flush()

    def _of_species(self, species: str, rows: Sequence[BoardRow]) -> dict[str, float]:
        scores = [row.newest for row in rows if row.newest is not None]
        finite = [score.mean for score in scores if score.is_finite]
        values: dict[str, float] = {
            "exploits": len(self._exploits[species]),
            "founders": distinct_founders(row.founder for row in rows),
            "pending": self._description.population - len(scores),
        }
        if finite:
            drawn = np.quantile(finite, list(QUANTILES.values()))
            values |= {f"score_{name}": float(value) for name, value in zip(QUANTILES, drawn, strict=True)}
        if species in self._best:
            values["score_best_so_far"] = self._best[species]
        return {f"population/{species}/{name}": value for name, value in values.items()}
