"""A worker in a thread of this process: its board can be looked at, and nothing else is there to wait for it."""

from __future__ import annotations

import contextlib
import threading
from multiprocessing import get_context
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from marl_pbt.checkpoints import Retention
from marl_pbt.evolution import Evolution
from marl_pbt.shared_board import BoardShape, SharedBoard
from marl_pbt.standings import BoardRow
from marl_pbt.worker import LearnerSource, WorkerJob, run_worker
from marl_pbt.worker_pipe import End
from tests.marl_pbt.toy_learner import SPECIES, ToySettings
from tests.marl_pbt.toy_population import NOISY


def run_to_exit(pipe: Connection, memory: Any) -> None:
    with contextlib.suppress(SystemExit):  # which ends a process and no thread
        run_worker(pipe, memory)


class HostedWorker:
    """Begins at once.

    Args:
        folder: The run's.
        members: Whom it hosts.
        by: What PBT does.
        is_careful: As after a death.
    """

    def __init__(self, folder: Path, members: tuple[int, ...], by: Evolution, is_careful: bool = False) -> None:
        shape = BoardShape(by.rules.population, (12 * ToySettings().parameters + 8,) * len(SPECIES))
        memory = SharedBoard.allocate(shape, get_context("spawn"))
        self.board = SharedBoard(shape, memory)
        self.pipe, theirs = get_context("spawn").Pipe()
        learner = LearnerSource("tests.marl_pbt.toy_learner:kind", NOISY, None, 1)
        self.pipe.send(WorkerJob(members, folder, learner, by, shape, Retention(), is_careful=is_careful))
        self.thread = threading.Thread(target=run_to_exit, args=(theirs, memory), daemon=True)
        self.thread.start()

    def reports_until(self, kind: type, count: int, member: int | None = None) -> list[object]:
        """What it tells until there are so many reports of a kind, of this member if one is named."""
        found: list[object] = []
        while sum(isinstance(each, kind) and member in (None, each.member) for each in found) < count:
            assert self.pipe.poll(20.0), "the worker says nothing any more"
            found.append(self.pipe.recv())
        return found

    def row(self, member: int) -> BoardRow:
        """What its last species shows on the board."""
        row = self.board.row(member, len(SPECIES) - 1)
        return BoardRow(member, 0) if row is None else BoardRow.from_bytes(row)

    def end(self) -> None:
        self.pipe.send(End())
        self.thread.join(10.0)
        assert not self.thread.is_alive()
