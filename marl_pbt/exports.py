"""Policies on their way out of a run, and back in: into files of their own, into other tools' formats."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from marl_pbt.config import load_config
from marl_pbt.durable import write_durably
from marl_pbt.environments import EnvironmentSource, interface_of
from marl_pbt.imports import load_object
from marl_pbt.league.addresses import Found, find
from marl_pbt.league.place import place_of
from marl_pbt.lineage import Segment, ancestry, schedule
from marl_pbt.lineage_store import read_lineage
from marl_pbt.policy_files import EnvironmentCard, PolicyCard, SavedPolicy, SpacesCard
from marl_pbt.protocols import Exports, Imports, LearnerKind, PortablePolicy, UserError
from marl_pbt.run_directory import member_name
from marl_pbt.seats import Learned
from marl_pbt.snapshot import Snapshot, encode
from marl_pbt.space_cards import card_of

OWN_FORMAT = ".safetensors"
SPECIES = "{species}"
"""Stands for the species in the name of a file to write."""


@dataclass(frozen=True)
class Parcel:
    """A policy that is about to leave.

    Attributes:
        species: Whose.
        policy: With a card that says all that is known.
        learner: Import string of the kind that loads it; it may be followed.
        spaces: Of observations and actions.
    """

    species: str
    policy: SavedPolicy
    learner: str
    spaces: tuple[Any, Any]


def pack(address: str, runs: Path, config: Path | None, evaluation: Path | None) -> list[Parcel]:
    """The policies at an address, checked, with all that is known of them.

    Args:
        address: Of one policy per species.
        runs: Where runs lie.
        config: A config that names environment and learner; None: as the run or the file says.
        evaluation: An `evaluation.json` whose words on the policies are to go with them.

    Raises:
        UserError: There is no such policy, or it cannot be loaded.
    """
    found = find(address, runs)
    if len(found) != 1 or found[0].is_baseline:
        raise UserError(f"{address}: must be one learned policy per species, got {_listed(found)}")
    place = place_of(found, config)
    worlds = place.environment.open_worlds(1)
    parcels = []
    for species, policy in found[0].policies.items():
        if policy.card.learner not in place.trusted:
            raise UserError(f"{address}: names the learner {policy.card.learner}, which is code; give --config CONFIG")
        Learned(policy, policy.card.learner).take(species, place.environment, worlds)
        spaces = (worlds.observation_spaces[species], worlds.action_spaces[species])
        told = _complete(found[0], policy, spaces, evaluation)
        parcels.append(Parcel(species, told, policy.card.learner, spaces))
    return parcels


def deliver(parcels: Sequence[Parcel], files: Sequence[str]) -> list[Path]:
    """Write every policy into every file; all are made before the first is written.

    Args:
        parcels: What `pack` gave.
        files: Names, whose suffix says the format; with several policies `{species}` must be in each.

    Returns:
        What has been written.

    Raises:
        UserError: A format is not known, a folder is missing, or a file would be written twice.
    """
    contents: dict[Path, bytes] = {}
    for parcel in parcels:
        for name in files:
            path = Path(name.replace(SPECIES, parcel.species))
            if path in contents:
                species = ", ".join(each.species for each in parcels)
                raise UserError(
                    f"{name}: there are policies of {species}; write {SPECIES} into the file's name, or "
                    f"put one of them before the address: {parcel.species}=…"
                )
            if not path.parent.is_dir():
                raise UserError(f"{name}: {path.parent} is no folder")
            contents[path] = _written(parcel, path)
    for path, data in contents.items():
        write_durably(path, data)
    return list(contents)


def card_text(parcel: Parcel) -> str:
    """The card as people read it: JSON with what is known."""
    card = parcel.policy.card.model_dump(exclude_none=True)
    return json.dumps(card | {"sha256": parcel.policy.digest}, indent=2, ensure_ascii=False)


def take_in(path: Path, config: Path, overrides: Sequence[str], species: str, target: Path) -> PolicyCard:
    """Read the weights of another tool's file and write them as a policy of ours.

    Args:
        path: What is read; nothing in it is run.
        config: Says the environment and what the policy is made of.
        overrides: `key=value` of the config.
        species: Whose policy it becomes.
        target: A `.safetensors` file.

    Raises:
        UserError: The file is not what it should be, or does not fit the config.
    """
    if target.suffix != OWN_FORMAT:
        raise UserError(f"{target}: must end in {OWN_FORMAT}")
    if not target.parent.is_dir():
        raise UserError(f"{target}: {target.parent} is no folder")
    loaded = load_config(config, overrides)
    section, learner = loaded.config.environment, loaded.config.learner
    if section.make is None:
        raise UserError(f"{config}: names no environment, so there is nothing that the policy could play")
    environment = EnvironmentSource(section.make, section.config, section.species)
    worlds = environment.open_worlds(1)
    if species not in worlds.species:
        raise UserError(f"--species: {species}: no such species here; there are {', '.join(worlds.species)}")
    kind: LearnerKind = load_object(learner.make, LearnerKind, "learner.make")
    if not isinstance(kind, Imports):
        raise UserError(f"{learner.make}: this kind of learner imports nothing")
    interface = interface_of(worlds)
    tensors = kind.import_policy(path, learner.settings, interface, species)
    card = PolicyCard(
        kind="policy",
        species=species,
        member=None,
        generation=None,
        clocks={},
        founder=None,
        parent=None,
        hyperparameters={},
        score=None,
        architecture=dict(kind.describe(learner.settings, interface).architecture[species]),
        learner=learner.make,
        environment=EnvironmentCard(make=section.make, config=dict(section.config), species=_patterns(section.species)),
        spaces=_space_cards(worlds.observation_spaces[species], worlds.action_spaces[species]),
    )
    policy = SavedPolicy(card, tensors)
    Learned(policy, learner.make).take(species, environment, worlds)
    write_durably(target, _own_format(policy))
    return card


def _complete(found: Found, policy: SavedPolicy, spaces: tuple[Any, Any], evaluation: Path | None) -> SavedPolicy:
    """The same policy with a card that says more."""
    card = policy.card
    more: dict[str, Any] = {"spaces": _space_cards(*spaces)}
    if found.run is not None and card.member is not None and card.generation is not None:
        events = read_lineage(found.run.lineage)
        segments = ancestry(events, card.species, card.member, card.generation)
        more["ancestry"] = [_segment(segment) for segment in segments]
        more["schedule"] = {
            name: [list(point) for point in schedule(segments, name)] for name in sorted(card.hyperparameters)
        }
    if evaluation is not None:
        more["evaluation"] = _said_in(evaluation, policy)
    return SavedPolicy(card.model_copy(update=more), policy.tensors)


def _space_cards(observations: Any, actions: Any) -> SpacesCard:
    return SpacesCard(observation=card_of(observations), action=card_of(actions))


def _patterns(species: Mapping[str, Sequence[str]] | None) -> dict[str, list[str]] | None:
    return None if species is None else {name: list(patterns) for name, patterns in species.items()}


def _segment(segment: Segment) -> dict[str, Any]:
    return {"member": member_name(segment.member), "from_generation": segment.first, "to_generation": segment.last}


def _said_in(path: Path, policy: SavedPolicy) -> dict[str, Any]:
    """What an evaluation says of the policy.

    Raises:
        UserError: It is none, or the policy did not play in it.
    """
    try:
        data = json.loads(path.read_text())
        species = policy.card.species
        labels = {each["sha256"]: each["label"] for each in data["policies"][species]}
        ratings = {each["policy"]: each for each in data["ratings"][species]}
    except (OSError, ValueError, KeyError, TypeError) as fault:
        raise UserError(f"--evaluation: {path}: not an evaluation.json ({fault})") from None
    if policy.digest not in labels or labels[policy.digest] not in ratings:
        raise UserError(f"--evaluation: {path}: this policy did not play in it; evaluate it first")
    rules = {key: data.get(key) for key in ("environment", "episodes", "seed", "greedy")}
    return rules | {"field": sorted(labels.values()), "rating": ratings[labels[policy.digest]]}


def _written(parcel: Parcel, path: Path) -> bytes:
    if path.suffix == OWN_FORMAT:
        return _own_format(parcel.policy)
    kind: LearnerKind = load_object(parcel.learner, LearnerKind, "learner.make")
    formats: Mapping[str, str] = kind.export_formats if isinstance(kind, Exports) else {}
    if not isinstance(kind, Exports) or path.suffix not in formats:
        known = ", ".join([OWN_FORMAT, *formats])
        raise UserError(f"{path}: must end in one of {known}, for a policy of {parcel.learner}")
    card = parcel.policy.card
    portable = PortablePolicy(card.architecture, parcel.policy.tensors, *parcel.spaces, card.hyperparameters)
    try:
        return kind.export_policy(portable, path.suffix)
    except ValueError as fault:
        raise UserError(f"{path}: {fault}") from None


def _own_format(policy: SavedPolicy) -> bytes:
    return encode(Snapshot(policy.card.model_dump(), dict(policy.tensors)))


def _listed(found: Sequence[Found]) -> str:
    return ", ".join(each.label for each in found) or "none"
