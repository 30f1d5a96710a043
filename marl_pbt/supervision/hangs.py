"""Who hangs: decided from what workers are in and how long nothing has moved; pure."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

from marl_pbt.supervision.whereabouts import Sight
from marl_pbt.vigil import Vigil

Verdict = Literal["well", "stale", "hung"]
LONGER = 5.0
"""How much more patience everything else is given than a step: builds, compilations, updates of large networks, a disk
in the network. None of these says how far it has come."""


@dataclass(frozen=True)
class Patience:
    """How long a worker may be silent.

    Attributes:
        step_s: In one step of the environment; in anything, before it is called stale. None: for ever.
    """

    step_s: float | None = 60.0

    def with_(self, sight: Sight, is_stopped: bool) -> float:
        """Seconds of silence after which it hangs.

        The first step of a process may compile; a stopped process was stopped by somebody, who may let it go on. One
        that has nothing to do is waited for as long as it could begin something.
        """
        if self.step_s is None or (sight.doing == "idle" and not is_stopped):
            return math.inf
        is_short = sight.doing == "env.step" and sight.env_steps > 0 and not is_stopped
        return self.step_s if is_short else LONGER * self.step_s

    def verdict(self, vigil: Vigil[Sight], is_stopped: bool = False) -> Verdict:
        """What to make of a worker's silence."""
        if vigil.silent_s >= self.with_(vigil.sight, is_stopped):
            return "hung"
        is_busy = vigil.sight.doing != "idle" or is_stopped
        return "stale" if is_busy and self.step_s is not None and vigil.silent_s >= self.step_s else "well"
