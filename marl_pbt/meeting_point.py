"""Synchronous mode: how members wait for each other. Nobody calls them together; everybody looks at the board.

An interval has two halves: train and show the score; then decide, copy, explore. One rule makes all members meet:
nobody begins a half before everybody who lives has come as far. So all decide by the same standings, the versions that
earned them are still on the board to be copied, and somebody can always go on: whoever has come the least far.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass

from marl_pbt.protocols import Board
from marl_pbt.run_directory import member_name
from marl_pbt.standings import BoardRow
from marl_pbt.vigil import Vigil

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Sign:
    """A sign of life: another one than before means that a member lives.

    Attributes:
        halves: Half intervals that it has behind it.
        agent_steps: Its progress counter on the board.
    """

    halves: int
    agent_steps: int


class MeetingPoint:
    """Says whether others are to be waited for; one per worker, for all the members that it hosts.

    Who is waited for and gives no sign of life is left out after a while, until the next sign. A slow member gives
    signs, and so does one that comes back from a checkpoint and catches up: these are waited for.

    Args:
        board: Shared with all members.
        members: N.
        species: How many; their rows are published in order, the last one last.
        timeout_s: After so much silence of all who are waited for they are left out.
        clock: Monotonic seconds.
    """

    def __init__(
        self,
        board: Board,
        members: int,
        species: int,
        timeout_s: float,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._board = board
        self._members = range(members)
        self._last_slot = species - 1
        self._timeout_s = timeout_s
        self._clock = clock
        self._come: dict[int, int] = {}  # how far members had come when last looked at: rows need not be read again
        self._awaited: Vigil[dict[int, Sign]] = Vigil({}, clock())
        self._left_out: dict[int, Sign] = {}

    def must_wait(self, halves: int) -> bool:
        """Whether somebody who lives has not come as far as this."""
        signs = {member: self._sign(member) for member in self._members if self._come.get(member, 0) < halves}
        awaited = {
            member: sign
            for member, sign in signs.items()
            if sign is not None and sign.halves < halves and self._left_out.get(member) != sign
        }
        now = self._clock()
        self._awaited = self._awaited.after(awaited, now)
        if awaited and self._awaited.silent_s >= self._timeout_s:
            names = ", ".join(member_name(member) for member in awaited)
            logger.warning("%s: no sign of life for %g s; the others go on", names, self._timeout_s)
            self._left_out |= awaited
            self._awaited = Vigil({}, now)
        return bool(self._awaited.sight)

    def _sign(self, member: int) -> Sign | None:
        """None for those who come no further, because they are done or given up."""
        data = self._board.row(member, self._last_slot)
        row = BoardRow(member, 0) if data is None else BoardRow.from_bytes(data)
        if row.is_retired or row.stage == "done":
            return None
        self._come[member] = halves_of(row.generation, row.stage == "waiting")
        return Sign(self._come[member], self._board.progress(member))


def halves_of(generation: int, is_waiting: bool) -> int:
    """Half intervals that a member has behind it: two a generation, one less while it waits to decide.

    Args:
        generation: Ready points that it has come to.
        is_waiting: Whether it has not decided at the latest of them.
    """
    return 2 * generation - is_waiting
