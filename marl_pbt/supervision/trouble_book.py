"""Keeps book of what befalls members: tells it once, keeps it in a file, counts it against the budgets."""

from __future__ import annotations

import logging
import time
from collections import Counter

from marl_pbt.reports import MemberFailed
from marl_pbt.run_directory import member_name
from marl_pbt.run_state import MemberState, RunState
from marl_pbt.streams import stream_seed
from marl_pbt.supervision.memory_figures import memory_figures
from marl_pbt.supervision.posts import Post
from marl_pbt.supervision.trouble_files import TroubleFiles
from marl_pbt.supervision.troubles import Cause, Kind, backoff_s, over_budget

logger = logging.getLogger(__name__)


class TroubleBook:
    """Of a run.

    Args:
        state: Where the members' own counts are.
        files: Where traces go.
        seed: The run's.
    """

    def __init__(self, state: RunState, files: TroubleFiles, seed: int) -> None:
        self._state = state
        self._files = files
        self._seed = seed
        self._told: set[str] = set()

    def member_failed(self, post: Post, report: MemberFailed) -> None:
        """A member has raised; its worker ends after that."""
        post.has_told = True
        member = self._state.members[report.member]
        kind: Kind = "memory" if report.is_out_of_memory else "failure"
        fault = report.error
        if kind == "memory":
            # Looked at now where it went too fast for the lookout: the worker has just told, and is still there.
            memory = post.memory or (memory_figures(post.worker.pid) if post.worker is not None else None)
            fault = f"out of memory: {fault}" + (f" ({memory})" if memory is not None else "")
        self._count(member.troubles, kind, post)
        member.fault = fault
        who = f"{member_name(report.member)}, generation {report.generation}"
        if report.error in self._told:
            logger.info("%s: %s, as before", who, fault)
            return
        self._told.add(report.error)
        seeds = f"seed of the run {self._seed}, of the learner {stream_seed(self._seed, 'learner', report.member)}"
        text = f"{who}: {fault}\n{time.strftime('%Y-%m-%d %H:%M:%S')}; {seeds}\n\n{report.trace}"
        path = self._files.write(f"{member_name(report.member)}_{kind}", text)
        logger.error("%s: %s; %s\n%s", who, fault, _kept(path), report.trace)

    def worker_ended(self, post: Post, cause: Cause, stacks: str) -> None:
        """A worker has died without a word: that counts against the member that it trained, not against its mates.

        Args:
            post: Where; it still knows whom it trained.
            cause: Why.
            stacks: What it left; empty for nothing, and where it was written down already.
        """
        names = ", ".join(member_name(member.index) for member in post.unsettled(self._state))
        if post.has_told:
            logger.info("worker_%d ended: %s go on from their last checkpoint", post.index, names)
            return
        path = self._files.write(f"worker_{post.index}_{cause.kind}", f"{cause.text}\n\n{stacks}") if stacks else None
        more = f"; {_kept(path)}" if stacks else ""
        logger.log(
            logging.INFO if cause.kind == "hang" else logging.WARNING,  # of a hang the lookout has told
            "worker_%d ended: %s (%s)%s: %s go on from their last checkpoint",
            post.index,
            cause.text,
            post.where(self._state),
            more,
            names,
        )
        if post.trained is None:  # whom it hosts makes no difference
            self._count(post.troubles, cause.kind, post)
            for member in post.unsettled(self._state):
                member.fault = cause.text
            return
        member = self._state.members[post.trained]
        self._count(member.troubles, cause.kind, post)
        member.fault = cause.text

    def not_started(self, post: Post, fault: str) -> None:
        """No worker could be started: counted as the death of one that had trained nobody yet."""
        self._count(post.troubles, "death", post)
        logger.warning("worker_%d could not be started: %s", post.index, fault)
        for member in post.unsettled(self._state):
            member.fault = f"its worker could not be started: {fault}"

    def given_up(self, post: Post) -> list[MemberState]:
        """Members of a post that have had more than enough; why is said, and noted with them."""
        found = []
        for member in post.unsettled(self._state):
            spent = over_budget(member.troubles) or over_budget(post.troubles)
            if spent:
                logger.error("%s is given up: %s", member_name(member.index), spent)
                member.fault = f"{spent}: {member.fault}"
                found.append(member)
        return found

    def _count(self, troubles: Counter[Kind], kind: Kind, post: Post) -> None:
        troubles[kind] += 1
        post.restart_at = time.monotonic() + backoff_s(kind, troubles[kind])


def _kept(path: object) -> str:
    return "no file could be written" if path is None else f"see {path}"
