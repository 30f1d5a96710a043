"""Looks after workers: notices who is stale or hangs, saves the stacks of who hangs, ends it."""

from __future__ import annotations

import logging
import signal
from dataclasses import dataclass, replace

from marl_pbt.run_state import RunState
from marl_pbt.supervision.hangs import Patience
from marl_pbt.supervision.leftovers import KILL
from marl_pbt.supervision.memory_figures import memory_figures
from marl_pbt.supervision.posts import Post
from marl_pbt.supervision.trouble_files import TroubleFiles
from marl_pbt.supervision.worker_process import WorkerProcess
from marl_pbt.vigil import Vigil

LOOK_EVERY_S = 0.5
STACKS_S = 0.5
"""From the wish for stacks to SIGTERM, which is for what the environment has started: workers do not heed it."""
TERM_S = 1.0
"""From there to SIGKILL."""
KILL_S = 10.0
"""From there until it is given up: a process that waits for a disk which does not answer cannot be killed."""
STOPPED, TRACED = "T", "t"
logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class _Ending:
    """A worker that is being ended because it hangs.

    Attributes:
        worker: Which.
        since: When it began, in monotonic seconds.
        steps: What has been done of stacks and SIGTERM, SIGKILL, giving up.
    """

    worker: WorkerProcess
    since: float
    steps: int = 0


class Lookout:
    """Of a run.

    Args:
        state: Of the members.
        files: Where stacks go.
        patience: With workers that do not move.
    """

    def __init__(self, state: RunState, files: TroubleFiles, patience: Patience) -> None:
        self._state = state
        self._files = files
        self._patience = patience
        self._looked_at = float("-inf")
        self._endings: dict[int, _Ending] = {}

    def look(self, posts: list[Post], now: float) -> None:
        """Look at every worker, now and then.

        Args:
            posts: All of them.
            now: Monotonic seconds.
        """
        if now - self._looked_at < LOOK_EVERY_S:
            return
        self._looked_at = now
        for post in posts:
            worker = post.worker
            if worker is None:
                continue
            if worker.hung:
                self._go_on_ending(post, worker, now)
            else:
                post.memory = memory_figures(worker.pid) or post.memory
                self._judge(post, worker, now)

    def _judge(self, post: Post, worker: WorkerProcess, now: float) -> None:
        sight, process = worker.whereabouts.look(), worker.state
        if post.vigil is None:
            post.vigil = Vigil(sight, now)
        elif process == TRACED:  # somebody looks at it with a debugger: that takes the time it takes
            post.vigil = replace(post.vigil, looked_at=now)
        else:
            post.vigil = post.vigil.after(sight, now)
        is_stopped = post.is_stopped = process == STOPPED
        verdict = self._patience.verdict(post.vigil, is_stopped)
        if verdict == "hung":
            doing = "stopped by a signal in" if is_stopped else "hung in"
            worker.hung = f"{doing} {sight.doing} for {post.vigil.silent_s:.0f} s"
            worker.ask_for_stacks()
            self._endings[post.index] = _Ending(worker, now)
        elif verdict == "stale" and not post.is_stale:
            self._say_stale(post, is_stopped)
        elif verdict == "well" and post.is_stale:
            self._show(post, is_stale=False)
            logger.warning("worker_%d moves again", post.index)

    def _say_stale(self, post: Post, is_stopped: bool) -> None:
        assert post.vigil is not None
        self._show(post, is_stale=True)
        left = self._patience.with_(post.vigil.sight, is_stopped) - post.vigil.silent_s
        logger.warning(
            "worker_%d is stale: %s%s for %.0f s (%s); it is replaced in %.0f s unless it moves",
            post.index,
            "stopped by a signal in " if is_stopped else "in ",
            post.vigil.sight.doing,
            post.vigil.silent_s,
            post.where(self._state),
            left,
        )

    def _show(self, post: Post, is_stale: bool) -> None:
        post.is_stale = is_stale
        for member in post.unsettled(self._state):
            if is_stale or member.state == "stale":
                member.state = "stale" if is_stale else "training"

    def _go_on_ending(self, post: Post, worker: WorkerProcess, now: float) -> None:
        ending = self._endings.get(post.index)
        if ending is None or ending.worker is not worker:
            return
        waited_s, steps = now - ending.since, ending.steps
        if steps == 0 and waited_s >= STACKS_S:
            self._save_stacks(post, worker)
            worker.signal_all(signal.SIGTERM)
            steps = 1
        elif steps == 1 and waited_s >= STACKS_S + TERM_S:
            worker.signal_all(KILL)
            steps = 2
        elif steps == 2 and waited_s >= STACKS_S + TERM_S + KILL_S:
            worker.give_up()
        self._endings[post.index] = replace(ending, steps=steps)

    def _save_stacks(self, post: Post, worker: WorkerProcess) -> None:
        told = f"worker_{post.index} {worker.hung} ({post.where(self._state)})"
        stacks = worker.read_stacks() or "no stacks: it did not answer\n"
        path = self._files.write(f"worker_{post.index}_hang", f"{told}\n\n{stacks}")
        logger.warning("%s; stacks: %s", told, path or "could not be written")
