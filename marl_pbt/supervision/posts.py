"""Posts: where workers work, one after the other."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from marl_pbt.run_directory import member_name
from marl_pbt.run_state import MemberState, RunState
from marl_pbt.supervision.troubles import Kind, MemoryFigures
from marl_pbt.supervision.whereabouts import Sight
from marl_pbt.supervision.worker_process import WorkerProcess
from marl_pbt.vigil import Vigil


@dataclass
class Post:
    """Its number, its members, and what befell those who worked here.

    Attributes:
        index: The worker's number.
        members: Who is hosted here.
        worker: The one that works here now.
        trained: The member that it trains.
        has_told: Whether it has said which member failed; its end is then no second trouble.
        troubles: Of workers that had not begun to train anybody, in a row.
        restart_at: Not before this, in monotonic seconds.
        tasks: What it was asked for, by name, beside training.
        vigil: How long it has been silent; None before it was first looked at.
        memory: As last seen.
        is_stale: Whether it was said to be.
        is_stopped: Whether a signal had stopped it when it was last looked at.
    """

    index: int
    members: tuple[int, ...]
    worker: WorkerProcess | None = None
    trained: int | None = None
    has_told: bool = False
    troubles: Counter[Kind] = field(default_factory=Counter)
    restart_at: float = 0.0
    tasks: list[str] = field(default_factory=list)
    vigil: Vigil[Sight] | None = None
    memory: MemoryFigures | None = None
    is_stale: bool = False
    is_stopped: bool = False

    def take_up(self, worker: WorkerProcess) -> None:
        """Let a fresh worker begin here."""
        self.worker, self.trained, self.has_told = worker, None, False
        self.vigil, self.memory, self.is_stale, self.is_stopped = None, None, False, False

    def is_awaited(self, patience_s: float) -> bool:
        """Whether an answer of it is still to be waited for: not once a signal has stopped it for so long."""
        stands_still = self.is_stopped and self.vigil is not None and self.vigil.silent_s >= patience_s
        return bool(self.tasks) and not stands_still

    def unsettled(self, state: RunState) -> list[MemberState]:
        """Whose training is not over."""
        return [state.members[index] for index in self.members if not state.members[index].is_settled]

    def where(self, state: RunState) -> str:
        """Whom it was training, for people; where it trained nobody yet, whom it was to train."""
        if self.trained is None:
            return ", ".join(member_name(member.index) for member in self.unsettled(state)) or "no member"
        return f"{member_name(self.trained)}, generation {state.members[self.trained].generation}"
