"""Everything that TensorBoard shows of a run, from what the supervisor is told.

`<folder>/member_03`: one TensorBoard run per member slot, over its own agent steps. `<folder>/population`: the
population, the lineage as pictures and text, the film, the config. `<folder>/best_ancestry_<species>`: the line that
led to the best policy of now. No fault of the disk is raised from here.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path

from marl_pbt.ancestry import LineageEvent
from marl_pbt.cross_play.payoffs import RunningPayoffs
from marl_pbt.league.heat_map import heat_map_png
from marl_pbt.lineage_picture import lineage_picture
from marl_pbt.lineage_text import lineage_markdown
from marl_pbt.lines_of_descent import Descent
from marl_pbt.protocols import Clocks
from marl_pbt.reports import MemberUp, ReadyPassed, UpdateDone
from marl_pbt.standings import BoardRow
from marl_pbt.status import RunDescription
from marl_pbt.tensorboard.ancestry_curves import AncestryCurves
from marl_pbt.tensorboard.member_curves import MemberCurves
from marl_pbt.tensorboard.population_curves import PopulationCurves
from marl_pbt.tensorboard.summaries import hparams_config_summary, layout_summary, picture_summary, text_summary


class Recorder:
    """Writes a run's TensorBoard files; used from one thread.

    Args:
        folder: The run's `tb/`.
        description: Of the run.
        resume: Per member the agent steps that it goes on from; None for a fresh run. Points beyond are taken back.
        history: The run's lineage so far, for what adds up over a run.
        clock: Seconds since the epoch.
    """

    def __init__(
        self,
        folder: Path,
        description: RunDescription,
        resume: Mapping[int, int] | None = None,
        history: Sequence[LineageEvent] = (),
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._description = description
        self._has_hparams = resume is not None and any(resume.values())
        resumed_at = None if resume is None else sum(resume.values())
        self._population = PopulationCurves(folder / "population", description, clock, resumed_at, history)
        self._film_step = 0
        self._payoffs = RunningPayoffs(description.population)
        self._payoffs.note(history)
        self._members = [
            MemberCurves(
                folder,
                member,
                description,
                clock,
                None if resume is None else resume.get(member, 0),
                _copied_by(member, history),
            )
            for member in range(description.population)
        ]
        self._ancestries = {
            species: AncestryCurves(folder / f"best_ancestry_{species}", species, description, clock)
            for species in description.species
        }
        config = text_summary("config", f"```yaml\n{description.config_text}\n```")
        self._population.writer.summary(config, self._population.step)
        self._population.writer.summary(layout_summary(description), self._population.step)
        self._population.writer.flush()

    def up(self, report: MemberUp) -> None:
        """A member was built, or is back from a checkpoint."""
        if not self._has_hparams and report.clocks.agent_steps == 0:
            self._has_hparams = True
            initial = {
                f"{species}/{name}": value
                for species, row in report.rows.items()
                for name, value in row.hyperparameters.items()
            }
            self._population.writer.summary(hparams_config_summary(self._description, initial), 0)
        self._members[report.member].up(report)

    def update(self, report: UpdateDone) -> None:
        """A member finished an update; cheap, most are only added up."""
        self._members[report.member].update(report)

    def ready(self, report: ReadyPassed) -> None:
        """A member passed a ready point."""
        self._population.note(report.events)
        self._payoffs.note(report.events)
        self._members[report.member].ready(report)

    def population(
        self, rows: Mapping[str, Sequence[BoardRow]], clocks: Mapping[int, Clocks], elapsed_s: float
    ) -> None:
        """Write where the population stands.

        Args:
            rows: Per species: of all members that have one.
            clocks: Per member.
            elapsed_s: Since this process began the run or went on with it.
        """
        self._population.write(rows, clocks, elapsed_s)

    def lineage(self, events: Iterable[LineageEvent], draws: bool = True) -> dict[str, bytes]:
        """Write, and draw, who descends from whom; takes up to a second per species, so not at every exploit.

        Args:
            events: All of the run's, in the order they were told.
            draws: False: tables and curves only.

        Returns:
            Per species the picture, PNG, where it was drawn.
        """
        told = list(events)
        pictures = {}
        maximize = self._description.maximize
        for species, curves in self._ancestries.items():
            descent = Descent.of(told, species)
            if draws:
                pictures[species] = lineage_picture(descent, self._description.population, maximize)
                picture = picture_summary(f"lineage/{species}", pictures[species])
                self._population.writer.summary(picture, self._population.step)
            text = lineage_markdown(told, species, maximize)
            self._population.writer.summary(text_summary(f"lineage_table/{species}", text), self._population.step)
            curves.write(descent.ancestry(descent.best(maximize)))
        self._population.writer.flush()
        return pictures

    def payoffs(self, draws: bool = True) -> dict[str, bytes]:
        """Write, and draw, who does how well against whom; nothing where members do not meet.

        Args:
            draws: False: the figures only.

        Returns:
            Per species the picture, PNG, where it was drawn.
        """
        pictures, step = {}, self._population.step
        for species in self._description.species:
            table = self._payoffs.table(species)
            if table is None:
                continue
            if draws:
                pictures[species] = heat_map_png(table.heat_map(species))
                self._population.writer.summary(picture_summary(f"payoffs/{species}", pictures[species]), step)
            told = {"coadaptation_gap": table.coadaptation_gap, "intransitivity": table.intransitivity}
            known = {f"payoffs/{species}/{name}": value for name, value in told.items() if math.isfinite(value)}
            self._population.writer.scalars(known, step)
        self._population.writer.flush()
        return pictures

    def film(self, gif: bytes, step: int) -> None:
        """Show the best playing.

        Args:
            gif: Animated GIF.
            step: Agent steps of the population.

        Raises:
            ValueError: It is no picture.
        """
        self._film_step = max(self._film_step, step)
        self._population.writer.summary(picture_summary("film/best", gif), self._film_step)
        self._population.writer.flush()

    def close(self, is_success: bool = True) -> None:
        """Write the rest.

        Args:
            is_success: False where the run ended with a failure; shown in the HParams tab.
        """
        for member in self._members:
            member.close(is_success)
        self._population.writer.close()


def _copied_by(member: int, history: Sequence[LineageEvent]) -> dict[str, set[int]]:
    copied: dict[str, set[int]] = {}
    for event in history:
        if event.kind == "exploit" and event.member == member:
            copied.setdefault(event.policy, set()).add(event.generation)
    return copied
