"""The curves along the ancestry of the best policy of now: the score and the hyperparameters that its line has lived.

Another line may be the best next time. So all of the curves are written anew, into a new event file that begins with a
restart at step 0: that takes back what TensorBoard has read before. The file before it stays until the next time: the
TensorBoard that reads without its data server never gets over the loss of the file that it is reading.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Sequence
from pathlib import Path

from marl_pbt.ancestry import Segment, schedule
from marl_pbt.lines_of_descent import scores_along
from marl_pbt.status import RunDescription
from marl_pbt.tensorboard.event_writer import EventWriter
from marl_pbt.tensorboard.member_curves import score_points


class AncestryCurves:
    """The line of one species.

    Args:
        folder: Of this TensorBoard run.
        species: Whose.
        description: Of the run.
        clock: Seconds since the epoch.
    """

    def __init__(self, folder: Path, species: str, description: RunDescription, clock: Callable[[], float]) -> None:
        self._folder = folder
        self._species = species
        self._names = description.declared(species)
        self._clock = clock
        self._written: dict[int, dict[str, float]] = {}

    def write(self, segments: Sequence[Segment]) -> None:
        """Replace the curves by those along this ancestry, if they are others.

        Args:
            segments: From the founder to the best policy of now; its x-axis counts agent steps since the founder.
        """
        points = _points(self._species, self._names, segments)
        if not points or points == self._written:
            return
        old = sorted(self._folder.glob("events.out.tfevents.*"))[:-1] if self._folder.is_dir() else []
        writer = EventWriter(self._folder, self._clock)
        writer.start_after(-1)
        for step, values in sorted(points.items()):
            writer.scalars(values, step)
        writer.flush()
        if writer.is_quiet:  # the old curves are better than half of the new ones
            return
        writer.close()
        self._written = points
        for path in old:
            with contextlib.suppress(OSError):
                path.unlink()


def _points(species: str, names: Sequence[str], segments: Sequence[Segment]) -> dict[int, dict[str, float]]:
    """By step: tag and value."""
    points: dict[int, dict[str, float]] = {}
    scores = scores_along(segments)
    for step, score in scores:
        points.setdefault(step, {}).update(score_points(species, score))
    for name in names:
        tag = f"hyperparameters/{species}/{name}"
        before: float | None = None
        for step, value in schedule(segments, name):
            if isinstance(value, str):
                continue
            if before is not None:
                points.setdefault(step, {})[tag] = before
            # A step later, as in a member's own curve: a corner instead of a slope.
            points.setdefault(step if before is None else step + 1, {})[tag] = float(value)
            before = float(value)
        if before is not None and scores:
            points.setdefault(scores[-1][0], {}).setdefault(tag, before)
    return points
