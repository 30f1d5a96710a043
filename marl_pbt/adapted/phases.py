"""Where in an episode worlds begin: all at its start, or spread over its usual length by random steps."""

from __future__ import annotations

from collections.abc import Sequence

from marl_pbt.adapted.copies import Copy, Root
from marl_pbt.adapted.living import Seen

LONGEST_PHASE = 1000
"""Env steps: worlds are out of phase with each other by no more, however long episodes are."""


def begin_in_phase(copies: Sequence[Copy], root: Root) -> list[Seen]:
    """Every world begins its first episode."""
    return [copy.begin(root, 0) for copy in copies]


def begin_out_of_phase(copies: Sequence[Copy], probe: Copy, root: Root) -> list[Seen]:
    """World b begins with `floor(b * length / worlds)` random steps, the length being what the probe finds.

    Args:
        copies: Of all worlds.
        probe: One more world; it may share its environment with one of the copies.
        root: What all seeds follow from.
    """
    length = _usual_length(probe, root) if len(copies) > 1 else 0
    seen = []
    for copy in copies:
        now = copy.begin(root, 0)
        for _ in range(copy.world * length // len(copies)):
            now = copy.step_randomly()
        seen.append(now)
    return seen


def _usual_length(probe: Copy, root: Root) -> int:
    """Env steps of one episode of random actions; `LONGEST_PHASE` where it is longer than that."""
    probe.begin(root, 0)
    for length in range(1, LONGEST_PHASE):
        probe.step_randomly()
        if probe.number > 0:
            return length
    return LONGEST_PHASE
