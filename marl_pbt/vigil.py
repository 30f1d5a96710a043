"""How long something has stood still, for whoever waits for it; pure.

Time counts as silence only while somebody looks. So a machine that slept, or a process that was stopped and goes on, or
did something else for a while, finds nobody silent.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Generic, TypeVar

MAX_GAP_S = 2.0
"""From one look to the next no more than this is counted."""
Sight = TypeVar("Sight")


@dataclass(frozen=True)
class Vigil(Generic[Sight]):
    """What is known of a silence.

    Attributes:
        sight: What was last seen; whatever differs from it is a sign of life.
        looked_at: When, in monotonic seconds.
        silent_s: How long it has been just so.
    """

    sight: Sight
    looked_at: float
    silent_s: float = 0.0

    def after(self, sight: Sight, now: float) -> Vigil[Sight]:
        """Having looked again."""
        if sight != self.sight:
            return Vigil(sight, now)
        return Vigil(sight, now, self.silent_s + min(max(now - self.looked_at, 0.0), MAX_GAP_S))
