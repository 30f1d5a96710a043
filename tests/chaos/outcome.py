"""What came of a run that was disturbed on purpose."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True)
class Outcome:
    """Of one round.

    Attributes:
        seed: Of the kills.
        kills: That happened.
        exit_code: Of the run.
        lost: Ready points that nobody has told of, or two have.
        differing: Files in which the run differs from an undisturbed one.
        recovery_s: Seconds from each death to when the next worker was up.
        said: By the run, at its end.
    """

    seed: int
    kills: int
    exit_code: int
    lost: list[str] = field(default_factory=list)
    differing: list[str] = field(default_factory=list)
    recovery_s: list[float] = field(default_factory=list)
    said: str = ""

    @property
    def is_sound(self) -> bool:
        """The run came to its end as if nothing had been."""
        return self.exit_code == 0 and not self.lost and not self.differing

    def told(self) -> str:
        """One line."""
        if self.is_sound:
            return f"{self.kills} kills, sound"
        faults = f"exit code {self.exit_code}, lost: {_some(self.lost)}, differing: {_some(self.differing)}"
        return f"{self.kills} kills, NOT SOUND, {faults}"


def _some(names: list[str]) -> str:
    """The first few, and how many."""
    few = ", ".join(names[:3])
    return f"{few}, … ({len(names)})" if len(names) > 3 else few or "none"
