"""Policies read from files, also from strangers' files: nothing in them is run, and nothing about them is believed.

The order of the checks: a regular file of a legal size, a sound container (`marl_pbt.snapshot`: no zip or pickle, a
header of legal size in strict JSON, schema, tensors that fill the file, SHA-256), strings that can be shown, a card of
exactly the fields that we write. Whether the tensors fit the architecture and are finite, the architecture fits the
environment, and one forward pass is finite, is checked by the kind of learner that loads it, see `marl_pbt.seats`.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from marl_pbt.member_files import policy_of
from marl_pbt.protocols import HyperparameterValue, Tensors, UserError
from marl_pbt.run_directory import NAME
from marl_pbt.snapshot import MAX_BYTES, Snapshot, SnapshotError, decode, header_bytes
from marl_pbt.strangers_files import read_whole

MAX_STRING = 4096
IN_SETTINGS = "\n\t"
"""What strings of an environment's settings may have though it cannot be printed; escaped wherever it is shown."""
MAX_TOLD = 300
"""Characters of a fault that quotes the file."""
MAX_CARD_BYTES = 256 * 1024
"""Of all that a policy's file holds beside weights."""
_MOST = 2**53  # what a float counts up to, and more than any clock shows
_Count = Annotated[int, Field(ge=0, le=_MOST)]


class PolicyFileError(UserError):
    """A file that is not a policy's: one line with its path and what is wrong with it."""


class EnvironmentCard(BaseModel):
    """Where a policy trained; as `marl_pbt.environments.EnvironmentSource`."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    make: str
    config: dict[str, Any]
    species: dict[str, list[str]] | None = None


class SpacesCard(BaseModel):
    """What it sees and does; see `marl_pbt.space_cards`."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    observation: dict[str, Any]
    action: dict[str, Any]


class PolicyCard(BaseModel):
    """What a file says of its policy beside the weights.

    Attributes:
        kind: Always `policy`.
        species: Whose policy it is.
        member: Whose it was; None for one that did not come out of a population.
        generation: The ready point at which it was taken; None likewise.
        clocks: The member's progress.
        founder: The member with whose first weights its ancestry began.
        parent: What was copied last.
        hyperparameters: In force when it was taken.
        score: Of its training.
        architecture: What rebuilds it.
        learner: Import string of the kind of learner; never imported on the file's word alone.
        environment: Where it trained; likewise.
        spaces: What it sees and does; None in files of version 0.1's first weeks.
        ancestry: In exported files: where its line lived, first the founder's segment.
        schedule: In exported files: the hyperparameters along it, by name `[agent steps, value]`.
        evaluation: In exported files: what an evaluation said of it.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    kind: Literal["policy"]
    species: Annotated[str, Field(pattern=f"^{NAME.pattern}$")]
    member: _Count | None
    generation: _Count | None
    clocks: dict[str, Annotated[float, Field(ge=0, le=_MOST)]]
    founder: _Count | None
    parent: dict[str, Any] | None
    hyperparameters: dict[str, HyperparameterValue]
    score: dict[str, Any] | None
    architecture: dict[str, Any]
    learner: str
    environment: EnvironmentCard | None
    spaces: SpacesCard | None = None
    ancestry: list[dict[str, Any]] | None = None
    schedule: dict[str, list[Any]] | None = None
    evaluation: dict[str, Any] | None = None


@dataclass(frozen=True)
class SavedPolicy:
    """A policy as it was read.

    Attributes:
        card: What the file says of it.
        tensors: Its `policy/…` arrays.
    """

    card: PolicyCard
    tensors: Tensors

    @cached_property
    def digest(self) -> str:
        """Hexadecimal SHA-256 of what it does: architecture and weights, whatever file they lie in."""
        text = json.dumps([self.card.learner, self.card.architecture], sort_keys=True)
        digest = hashlib.sha256(text.encode())
        for name, array in sorted(self.tensors.items()):
            digest.update(f"\0{name}\0{array.dtype.str}\0{array.shape}\0".encode())
            digest.update(array.tobytes())
        return digest.hexdigest()


def read_policies(path: Path) -> dict[str, SavedPolicy]:
    """The policies in a file, by species: one in a policy's file, all of a member's in a checkpoint.

    Raises:
        PolicyFileError: It is no such file, or damaged.
    """
    try:
        data = read_whole(path, MAX_BYTES)
    except UserError as fault:
        raise PolicyFileError(*fault.faults) from None
    return policies_in(path, data)


def policies_in(path: Path, data: bytes) -> dict[str, SavedPolicy]:
    """The same of a file's content.

    Args:
        path: For the errors.
        data: All of it.

    Raises:
        PolicyFileError: It is no such file's, or damaged.
    """
    snapshot = _decoded(path, data)
    if snapshot.metadata.get("kind") != "checkpoint":
        if header_bytes(data) > MAX_CARD_BYTES:
            has = header_bytes(data)
            raise PolicyFileError(
                f"{path}: not a policy of ours: must have at most {MAX_CARD_BYTES} bytes of metadata, has {has}"
            )
        policy = _policy(path, snapshot)
        return {policy.card.species: policy}
    published = snapshot.metadata.get("published")
    if (
        not isinstance(published, dict)
        or not published
        or not all(isinstance(card, dict) for card in published.values())
    ):
        raise PolicyFileError(f"{path}: damaged: a checkpoint without its policies' cards")
    found = {species: _policy(path, policy_of(snapshot, species)) for species in published}
    for species, policy in found.items():
        if policy.card.species != species:
            raise PolicyFileError(f"{path}: damaged: {policy.card.species!r} lies where {species!r} belongs")
    return found


def _decoded(path: Path, data: bytes) -> Snapshot:
    try:
        return decode(data)
    except SnapshotError as fault:
        raise PolicyFileError(f"{path}: {str(fault)[:MAX_TOLD]}") from None


def fault_of_text(value: Any, besides: str = "") -> str | None:
    """What keeps this from being shown to a person; its depth has been seen to.

    Args:
        value: As of JSON.
        besides: Characters that values, but no keys, may have though they cannot be printed as they are.
    """
    if isinstance(value, str):
        is_fit = len(value) <= MAX_STRING and all(each.isprintable() or each in besides for each in value)
        rule = f"strings must be printable and of at most {MAX_STRING} characters"
        return None if is_fit else f"{rule}, got {value[:40]!a}"
    if isinstance(value, dict):
        return fault_of_text(list(value)) or fault_of_text(list(value.values()), besides)
    below = value if isinstance(value, list | tuple) else ()
    return next((fault for fault in (fault_of_text(each, besides) for each in below) if fault), None)


def _fault_of_card(said: dict[str, Any]) -> str | None:
    """The same of all that a policy's file says; an environment's settings may have lines, a map for example."""
    environment = said.get("environment")
    if not isinstance(environment, dict) or "config" not in environment:
        return fault_of_text(said)
    config = environment["config"]
    return fault_of_text({**said, "environment": {**environment, "config": None}}) or fault_of_text(config, IN_SETTINGS)


def _policy(path: Path, snapshot: Snapshot) -> SavedPolicy:
    said = {key: value for key, value in snapshot.metadata.items() if key != "schema"}
    fault = _fault_of_card(said) or fault_of_text(list(snapshot.tensors))
    if fault:
        raise PolicyFileError(f"{path}: not a policy of ours: {fault}")
    try:
        card = PolicyCard.model_validate(said)
    except ValidationError as faults:
        first = faults.errors(include_url=False, include_input=False)[0]
        key = ".".join(map(str, first["loc"]))
        raise PolicyFileError(f"{path}: not a policy of ours: {key}: {first['msg']}") from None
    tensors = {name: array for name, array in snapshot.tensors.items() if name.startswith("policy/")}
    others = [name for name in snapshot.tensors if not name.startswith(("policy/", "optimizer/"))]
    if others:
        raise PolicyFileError(f"{path}: {min(others)}: no tensor of a policy")
    return SavedPolicy(card, tensors)
