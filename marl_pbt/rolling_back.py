"""What a member does where numbers are none: back to its last good snapshot, and after two times to a donor's."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from marl_pbt.ancestry import LineageEvent
from marl_pbt.finite import first_not_finite
from marl_pbt.member_files import restore
from marl_pbt.protocols import DivergedError
from marl_pbt.run_directory import member_name

if TYPE_CHECKING:
    from marl_pbt.member import Member
    from marl_pbt.snapshot import Snapshot

ROLL_BACKS = 2
"""So often in a row an interval is lived again from where it began."""
DONORS = 3
"""So many in a row are copied; who can live with none of them has something else that is wrong."""
logger = logging.getLogger(__name__)


def roll_back(member: Member, began: int, fault: FloatingPointError) -> FloatingPointError | None:
    """Go back to where the interval began, whole: parameters, worlds, generators, clocks.

    Args:
        member: Whose.
        began: The generation at which the interval began.
        fault: What came in the interval.

    Returns:
        What is wrong, where it has gone back often enough and is to copy a donor; None: it lives the interval again.

    Raises:
        FloatingPointError: There is nothing to go back to, or donors have not helped either.
    """
    fault = _of_species(member, fault)
    times, told = member.rollbacks + 1, fault_text(member, began, fault)
    good = _last_good(member, began)
    if good is None:
        raise FloatingPointError(f"{fault}; the checkpoint of generation {began} cannot be read, to go back to it")
    if times > DONORS * (ROLL_BACKS + 1):
        raise FloatingPointError(f"{fault}; rolled back {times - 1} times in a row, which has not helped")
    earlier, told_generation = _untold(member, began), member.told_generation
    restore(member, good)
    member.rollbacks, member.told_generation = times, told_generation
    why = {"fault": str(fault), "times": times}
    now = tuple(member.event("rollback", name, why=why) for name in member.learner.species)
    member.events = (*member.events, *earlier, *now)
    needs_donor = times % (ROLL_BACKS + 1) == 0
    logger.warning("%s; rolled back %s", told, "and follows a donor" if needs_donor else "and lives it again")
    return fault if needs_donor else None


def fault_text(member: Member, generation: int, fault: FloatingPointError) -> str:
    """With member, generation and how far it had come, for people."""
    return f"{member_name(member.index)}, generation {generation}, after env step {member.clocks.env_steps}: {fault}"


def take_rollbacks(member: Member) -> list[LineageEvent]:
    """What happened since the ready point before, to be told with what happens at this one."""
    untold = _untold(member, member.generation - 1)
    member.events = tuple(event for event in member.events if event not in untold)
    return list(untold)


def _of_species(member: Member, fault: FloatingPointError) -> FloatingPointError:
    """With the species that it is about, where only one species' parameters tell of it: the others need no donor."""
    odd = [name for name in member.learner.species if first_not_finite(member.learner.snapshot(name)) is not None]
    if isinstance(fault, DivergedError) or len(odd) != 1:
        return fault
    return DivergedError(odd[0], str(fault).removeprefix(f"{odd[0]}: "))


def _untold(member: Member, began: int) -> tuple[LineageEvent, ...]:
    return tuple(event for event in member.events if event.kind == "rollback" and event.generation == began)


def _last_good(member: Member, began: int) -> Snapshot | None:
    """The checkpoint of the last ready point; where the disk has none, what the interval began with."""
    return member.beginning or member.place.checkpoints.read(began)
