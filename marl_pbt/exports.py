"""Policies on their way out of a run, and back in: into files of their own, into other tools' formats."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from marl_pbt.ancestry import Segment, ancestry, schedule
from marl_pbt.config import load_config
from marl_pbt.config.models import LearnerSection
from marl_pbt.durable import write_durably
from marl_pbt.environments import EnvironmentSource, interface_of
from marl_pbt.imports import load_object
from marl_pbt.league.addresses import Found, find
from marl_pbt.league.evaluation_file import read_evaluation
from marl_pbt.league.place import place_of
from marl_pbt.lineage_store import read_lineage
from marl_pbt.policy_files import EnvironmentCard, PolicyCard, SavedPolicy, SpacesCard
from marl_pbt.protocols import Exports, Imports, Interface, LearnerKind, PortablePolicy, UserError
from marl_pbt.run_directory import member_name
from marl_pbt.seats import Learned
from marl_pbt.snapshot import MAX_BYTES, Snapshot, encode
from marl_pbt.space_cards import card_of
from marl_pbt.strangers_files import read_whole
from marl_pbt.targets import check_target, targets

OWN_FORMAT = ".safetensors"


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


def pack(address: str, runs: Path, config: Path | None, evaluation: Path | None) -> tuple[list[Parcel], list[str]]:
    """The policies at an address, checked, with all that is known of them.

    Args:
        address: Of one policy per species.
        runs: Where runs lie.
        config: A config that names environment and learner; None: as the run or the file says.
        evaluation: An `evaluation.json` whose words on the policies are to go with them.

    Returns:
        The policies, and what the user should know, one line each.

    Raises:
        UserError: There is no such policy, or it cannot be loaded.
    """
    found = find(address, runs)
    if len(found) != 1 or found[0].is_baseline:
        raise UserError(f"{address}: must be one learned policy per species, got {_listed(found)}")
    place = place_of(found, config)
    worlds = place.environment.open_worlds(1)
    said = None if evaluation is None else read_evaluation(evaluation)
    parcels, notices = [], list(place.notices)
    for species, policy in found[0].policies.items():
        learner = place.trusted_learner(found[0], policy.card)
        Learned(policy, learner).take(species, place.environment, worlds)
        spaces = (worlds.observation_spaces[species], worlds.action_spaces[species])
        more = {"spaces": _space_cards(*spaces), "environment": _environment_card(place.environment)}
        descent = _descent(found[0], policy.card)
        if found[0].run is not None and not descent:
            notices.append(f"{species}: {found[0].run.lineage} does not tell where it came from; its card does neither")
        more |= descent | ({} if said is None else {"evaluation": said.of(policy)})
        parcels.append(
            Parcel(species, SavedPolicy(policy.card.model_copy(update=more), policy.tensors), learner, spaces)
        )
    return parcels, notices


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
    of_species = {parcel.species: parcel for parcel in parcels}
    contents = {
        path: _written(of_species[species], path) for path, (species, _) in targets(files, list(of_species)).items()
    }
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
    check_target(target)
    loaded = load_config(config, overrides).config
    if loaded.environment.make is None:
        raise UserError(f"{config}: names no environment, so there is nothing that the policy could play")
    environment = EnvironmentSource(loaded.environment.make, loaded.environment.config, loaded.environment.species)
    worlds = environment.open_worlds(1)
    if species not in worlds.species:
        raise UserError(f"--species: {species}: no such species here; there are {', '.join(worlds.species)}")
    policy = _imported(path, loaded.learner, interface_of(worlds), species, environment)
    Learned(policy, loaded.learner.make).take(species, environment, worlds)
    write_durably(target, _own_format(policy))
    return policy.card


def _imported(
    path: Path, learner: LearnerSection, interface: Interface, species: str, environment: EnvironmentSource
) -> SavedPolicy:
    kind: LearnerKind = load_object(learner.make, LearnerKind, "learner.make")
    if not isinstance(kind, Imports):
        raise UserError(f"{learner.make}: this kind of learner imports nothing")
    content = read_whole(path, MAX_BYTES)
    try:
        tensors = kind.import_policy(content, learner.settings, interface, species)
    except ValueError as fault:
        raise UserError(f"{path}: {fault}") from None
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
        environment=_environment_card(environment),
        spaces=_space_cards(interface.observation_spaces[species], interface.action_spaces[species]),
    )
    return SavedPolicy(card, tensors)


def _descent(found: Found, card: PolicyCard) -> dict[str, Any]:
    """Ancestry and schedule; nothing where the run's lineage does not reach from the founder to this policy."""
    if found.run is None or card.member is None or card.generation is None:
        return {}
    segments = ancestry(read_lineage(found.run.lineage), card.species, card.member, card.generation)
    is_whole = all(segment.events for segment in segments) and segments[0].member == card.founder
    if not is_whole or segments[-1].events[-1].generation < card.generation:
        return {}
    names = sorted(card.hyperparameters)
    return {
        "ancestry": [_segment(segment) for segment in segments],
        "schedule": {name: [list(point) for point in schedule(segments, name)] for name in names},
    }


def _space_cards(observations: Any, actions: Any) -> SpacesCard:
    return SpacesCard(observation=card_of(observations), action=card_of(actions))


def _environment_card(source: EnvironmentSource) -> EnvironmentCard:
    species = None if source.species is None else {name: list(each) for name, each in source.species.items()}
    return EnvironmentCard(make=source.make, config=dict(source.config), species=species)


def _segment(segment: Segment) -> dict[str, Any]:
    return {"member": member_name(segment.member), "from_generation": segment.first, "to_generation": segment.last}


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
