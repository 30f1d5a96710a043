"""The supervisor's state of a run as the status that is shown."""

from __future__ import annotations

from marl_pbt.evolution import Evolution
from marl_pbt.run_state import MemberState, RunState
from marl_pbt.status import MemberStatus, PolicyStatus, RunStatus


def status_of(state: RunState, evolution: Evolution, now: float) -> RunStatus:
    """The population at one moment.

    Args:
        state: As last heard of.
        evolution: Which clock counts, and where it ends.
        now: Monotonic seconds.
    """
    done = [_share_done(member, evolution) for member in state.members]
    progress = sum(done) / len(done)
    elapsed_s = now - state.started_at
    if state.progress_at_start is None and all(member.state != "starting" for member in state.members):
        state.progress_at_start = progress
    return RunStatus(
        members=tuple(_member_status(member) for member in state.members),
        progress=progress,
        agent_steps=state.agent_steps,
        agent_steps_per_s=state.agent_steps_per_s(now),
        elapsed_s=elapsed_s,
        left_s=_left_s(progress - (state.progress_at_start or 0.0), 1.0 - progress, elapsed_s),
        exploits=state.exploits,
    )


def _share_done(member: MemberState, evolution: Evolution) -> float:
    if member.state in ("done", "failed"):
        return 1.0
    return min(evolution.progress(member.clocks) / evolution.stop, 1.0)


def _left_s(gained: float, missing: float, elapsed_s: float) -> float | None:
    """If it goes on as it went in this sitting; None before there is anything to go by."""
    return elapsed_s * missing / gained if gained > 0.01 else None


def _member_status(member: MemberState) -> MemberStatus:
    policies = {name: PolicyStatus(row.newest, row.hyperparameters, row.parent) for name, row in member.rows.items()}
    state = "stopped" if member.state == "cut off" else member.state
    return MemberStatus(member.index, state, member.generation, member.clocks.agent_steps, policies)
