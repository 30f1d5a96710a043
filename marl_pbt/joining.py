"""How a member that has no state of its own begins as a copy of a good one: a new one, or one that has lost everything.

It goes on from the donor's latest ready point, as if it had copied the donor there: with the donor's progress, so that
both are compared as equals, but with the worlds and the draws of a member of its own. What it came to is told as an
exploit with `decision: joined`, and lies on the disk before anybody hears of it.
"""

from __future__ import annotations

import logging
import math
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from marl_pbt.ancestry import JOINED, LineageEvent
from marl_pbt.checkpoints import CheckpointError, MemberCheckpoints, Retention
from marl_pbt.explore import Values
from marl_pbt.member_files import checkpoint_of, policy_of, write_checkpoint
from marl_pbt.policy_state import PolicyState
from marl_pbt.protocols import Clocks, HyperparameterValue
from marl_pbt.run_directory import member_name
from marl_pbt.snapshot import Snapshot, encode
from marl_pbt.standings import BoardRow, Score, Source
from marl_pbt.streams import stream

if TYPE_CHECKING:
    from marl_pbt.member import Member

GOOD_SHARE = 0.25
"""New members draw whom to copy from the best so many, so that they do not all become the same one."""
logger = logging.getLogger(__name__)


def join(member: Member) -> Snapshot | None:
    """Begin as a copy of another member's checkpoint.

    Args:
        member: A fresh one; those who have lost their checkpoints copy the best, others one of the good ones.

    Returns:
        Its first checkpoint, on the disk if the disk would have it; None where there is nobody to copy, for a member
        that is new, or whose checkpoints were never written.

    Raises:
        CheckpointError: The member has lost its checkpoints, and there is nobody to copy.
    """
    name, is_lost = member_name(member.index), has_lost_all(member)
    for peer in _in_order(member, peers(member.place.checkpoints, member.evolution.rules.population), is_lost):
        donor, whose = peer.read(), str(peer)
        if donor is None:  # it has been replaced by a newer one just now, or lost
            continue
        try:
            member.events = tuple(event for each in member.learner.species for event in _copy(member, each, donor))
        except ValueError as fault:
            logger.warning("%s: %s does not fit (%s); the next one is tried", name, whose, fault)
            continue
        if is_lost:
            logger.warning("%s: none of its checkpoints is whole; it goes on as a copy of %s", name, whose)
        else:
            logger.info("%s joins as a copy of %s", name, whose)
        checkpoint = checkpoint_of(member)
        write_checkpoint(member, checkpoint, member.rows())
        return checkpoint
    if member.place.checkpoints.is_lost:
        folder = member.place.checkpoints.folder
        raise CheckpointError(f"none of its checkpoints in {folder} is whole, and there is no other member's to copy")
    if is_lost:  # only the board knows of it: the disk has not taken anybody's yet
        logger.warning("%s: no checkpoint was written, neither its own nor another member's; it begins anew", name)
    return None


def has_lost_all(member: Member) -> bool:
    """Whether a member without a whole checkpoint had some: what it left says so, or the board, where it stood."""
    rows = (member.place.board.row(member.index, member.slot(name)) for name in member.learner.species)
    has_stood = any(row is not None and BoardRow.from_bytes(row).generation > 0 for row in rows)
    return has_stood or member.place.checkpoints.is_lost


@dataclass(frozen=True)
class Peer:
    """Another member's checkpoint.

    Attributes:
        checkpoints: The member's.
        metadata: Of this one.
    """

    checkpoints: MemberCheckpoints
    metadata: Mapping[str, Any]

    def __str__(self) -> str:
        return f"{self.checkpoints.folder.name}@{self.metadata['generation']}"

    def read(self) -> Snapshot | None:
        """All of it; None where it is gone by now."""
        return self.checkpoints.read(self.metadata["generation"])


def peers(own: MemberCheckpoints, population: int) -> list[Peer]:
    """Of each other member the newest whole checkpoint of a ready point."""
    found = []
    for other in range(population):
        folder = own.folder.parent / member_name(other)
        if folder == own.folder:
            continue
        checkpoints = MemberCheckpoints(folder, Retention())
        newest = next((each for each in checkpoints.whole() if _is_of_ready_point(each)), None)
        if newest is not None:
            found.append(Peer(checkpoints, newest.metadata))
    return found


def ranked(checkpoints: list[Peer], maximize: bool) -> list[Peer]:
    """Best first: by the sum of their ranks over the species; of equals the one that has come further."""
    ranks = [0.0] * len(checkpoints)
    for species in {name for each in checkpoints for name in each.metadata["published"]}:
        worth = [_worth(each, species, maximize) for each in checkpoints]
        ranks = [rank + sum(other > own for other in worth) for rank, own in zip(ranks, worth, strict=True)]
    order = sorted(
        range(len(checkpoints)),
        key=lambda at: (ranks[at], -checkpoints[at].metadata["generation"], checkpoints[at].metadata["member"]),
    )
    return [checkpoints[at] for at in order]


def _in_order(member: Member, found: list[Peer], is_lost: bool) -> Iterator[Peer]:
    """Whom to try first."""
    best_first = ranked(found, member.evolution.rules.maximize)
    if not is_lost and best_first:
        rng = stream(member.evolution.seed, "join", member.index)
        drawn = int(rng.integers(max(1, math.ceil(GOOD_SHARE * len(best_first)))))
        best_first.insert(0, best_first.pop(drawn))
    yield from best_first


def _is_of_ready_point(checkpoint: Snapshot) -> bool:
    said = checkpoint.metadata
    return said["generation"] > 0 and said["clocks"] == said["clocks_at_ready"] and "waiting" not in said


def _worth(checkpoint: Peer, species: str, maximize: bool) -> float:
    """Its score; the least of all where its weights are another's, which have not been scored here yet."""
    said = checkpoint.metadata["published"].get(species, {}).get("score")
    is_copied = checkpoint.metadata["policies"][species]["last_exploit"] == checkpoint.metadata["generation"]
    if said is None or is_copied or not Score.from_json(said).is_finite:
        return -math.inf
    return float(said["mean"] if maximize else -said["mean"])


def _copy(member: Member, species: str, donor: Snapshot) -> Iterator[LineageEvent]:
    """Take over one policy.

    Raises:
        ValueError: It does not fit.
    """
    evolution, version = member.evolution, policy_of(donor, species)
    source = Source(donor.metadata["member"], donor.metadata["generation"])
    member.learner.adopt(species, version.tensors, evolution.optimizer_state)
    member.generation = source.generation
    member.clocks = member.clocks_at_ready = Clocks(**donor.metadata["clocks_at_ready"])
    policy = member.policies[species] = PolicyState.founder_of(member.index, evolution.score_rules)
    said = version.metadata
    score = None if said["score"] is None else said["score"]["mean"]
    policy.replace_by(source, said["founder"], member.generation, score)
    policy.compared_at = member.generation
    own = evolution.initial(species, member.index, member.learner.get_hyperparameters(species))
    member.learner.set_hyperparameters(species, _taken(said["hyperparameters"], own) if evolution.exploits else own)
    checksum = f"{zlib.crc32(encode(version)):08x}"
    why = {"decision": JOINED, "copied": evolution.copied if evolution.exploits else "weights"}
    yield member.event("exploit", species, parent=source, checksum=checksum, why=why)
    if evolution.explores:
        rng = stream(evolution.seed, f"explore/{species}", member.index, member.generation)
        changes = evolution.explore(species, member.learner.get_hyperparameters(species), rng, None)
        member.learner.set_hyperparameters(species, {name: change.new for name, change in changes.items()})
        policy.change_hyperparameters(member.generation)
        yield member.event("explore", species, parent=source, changes=changes)


def _taken(donors: Values, own: Values) -> dict[str, HyperparameterValue]:
    """The donor's values of what is declared now, one's own draws of what is new."""
    return {name: donors.get(name, value) for name, value in own.items()}
