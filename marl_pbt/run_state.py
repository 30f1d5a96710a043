"""What the supervisor knows of a run from its workers' reports."""

from __future__ import annotations

from collections import Counter, deque
from dataclasses import dataclass, field
from typing import Literal

from marl_pbt.protocols import Clocks
from marl_pbt.reports import MemberUp, ReadyPassed, UpdateDone
from marl_pbt.standings import BoardRow
from marl_pbt.supervision.troubles import Kind

State = Literal["starting", "training", "stale", "restarting", "done", "stopped", "cut off", "failed"]
"""What the supervisor tells apart; whether a policy is pending is its row's matter."""
SETTLED = ("done", "stopped", "cut off", "failed")
SPEED_WINDOW_S = 60.0


@dataclass
class MemberState:
    """One member as last heard of.

    Attributes:
        index: Which.
        state: What it does.
        clocks: Its own.
        rows: Per species, as last published.
        troubles: Since it last passed a ready point, how often what befell it.
        fault: What went wrong last, one line.
    """

    index: int
    state: State = "starting"
    clocks: Clocks = field(default_factory=Clocks)
    rows: dict[str, BoardRow] = field(default_factory=dict)
    troubles: Counter[Kind] = field(default_factory=Counter)
    fault: str = ""

    @property
    def is_settled(self) -> bool:
        """True when nothing more is to be expected of it."""
        return self.state in SETTLED

    @property
    def generation(self) -> int:
        """Ready points passed."""
        return max((row.generation for row in self.rows.values()), default=0)


class RunState:
    """All members.

    Args:
        population: N.
        started_at: Monotonic seconds.
    """

    def __init__(self, population: int, started_at: float) -> None:
        self.members = [MemberState(index) for index in range(population)]
        self.started_at = started_at
        self.progress_at_start: float | None = None  # of this sitting, once every member has said where it stands
        self.exploits = 0
        self._trained: deque[tuple[float, int]] = deque()

    @property
    def is_settled(self) -> bool:
        """True when every member is."""
        return all(member.is_settled for member in self.members)

    @property
    def agent_steps(self) -> int:
        """Over all members."""
        return sum(member.clocks.agent_steps for member in self.members)

    def rows(self, species: str) -> list[BoardRow]:
        """Of the members that have one."""
        return [member.rows[species] for member in self.members if species in member.rows]

    def take(self, report: MemberUp | UpdateDone | ReadyPassed, now: float) -> None:
        """Note what a report says of its member."""
        member = self.members[report.member]
        generation = member.generation
        if isinstance(report, UpdateDone):
            self._trained.append((now, report.clocks.agent_steps - member.clocks.agent_steps))
        else:
            member.rows = dict(report.rows)
        # A worker may die between a ready point and its telling: then its successor tells.
        if isinstance(report, ReadyPassed) or member.generation > generation:
            member.troubles.clear()
        if not member.is_settled:
            member.state = "training"
        member.clocks = report.clocks

    def agent_steps_per_s(self, now: float) -> float:
        """Over the last minute, all workers together."""
        while self._trained and self._trained[0][0] < now - SPEED_WINDOW_S:
            self._trained.popleft()
        if not self._trained:
            return 0.0
        return sum(steps for _, steps in self._trained) / max(now - self._trained[0][0], 1.0)
