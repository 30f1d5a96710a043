"""From addresses to a league: who plays where, checked before anyone plays."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from marl_pbt.arguments import settings
from marl_pbt.environments import EnvironmentSource, warm_up
from marl_pbt.league.addresses import Found, find
from marl_pbt.league.code_digest import digest_of_code
from marl_pbt.league.place import Place, place_of
from marl_pbt.policy_files import PolicyCard, SavedPolicy
from marl_pbt.protocols import UserError, Worlds
from marl_pbt.seats import Baseline, Learned, Seat


@dataclass(frozen=True)
class Entrant:
    """A policy that plays one species in a league.

    Attributes:
        label: Its name in tables; unique within its species.
        species: Which.
        address: What the user typed for it.
        seat: Where it comes from.
        digest: What it does: equal digests are equal policies.
        is_focal: False for one that is only there to be played against.
        card: What its file says; None for a baseline.
        own: Equal for policies of different species that trained together; None where nobody did.
    """

    label: str
    species: str
    address: str
    seat: Seat
    digest: str
    is_focal: bool
    card: PolicyCard | None = None
    own: tuple[str, int, int] | None = None


@dataclass(frozen=True)
class League:
    """Who plays where.

    Attributes:
        environment: Where matches are played.
        species: In the environment's order.
        entrants: Per species, in the order of the addresses.
        notices: What the user should know, one line each.
        code: What the code is that plays, see `digest_of_code`.
    """

    environment: EnvironmentSource
    species: tuple[str, ...]
    entrants: Mapping[str, tuple[Entrant, ...]]
    notices: tuple[str, ...]
    code: str = ""


@dataclass(frozen=True)
class Request:
    """What the user asks for.

    Attributes:
        focal: Addresses of the policies to be judged.
        background: Addresses of those that they are to meet; empty: each other.
        runs: Where runs lie that are named without a folder.
        config: A config that names environment and learner; None: as the runs and files say.
        changes: `KEY=VALUE` of the environment's own settings.
    """

    focal: Sequence[str]
    background: Sequence[str] = ()
    runs: Path = Path("runs")
    config: Path | None = None
    changes: Sequence[str] = ()


def assemble(request: Request) -> League:
    """Find everyone, find out where they play, and see whether they can.

    Raises:
        UserError: One line for each policy that cannot play, or what is missing.
    """
    focal = [each for text in request.focal for each in find(text, request.runs)]
    background = [each for text in request.background for each in find(text, request.runs)]
    place = place_of([*focal, *background], request.config)
    focal, background = place.without_other_panels(focal), place.without_other_panels(background)
    environment = replace(place.environment, config=settings(request.changes, "--set", place.environment.config))
    worlds = environment.open_worlds(1)
    warm_up(worlds)
    everyone = _entrants(focal, True, place, worlds) + _entrants(background, False, place, worlds)
    _check_that_all_can_play(everyone, environment, worlds)
    kept, notices = _without_doubles(everyone)
    entrants = {name: tuple(each for each in kept if each.species == name) for name in worlds.species}
    _check_that_all_species_are_there(entrants, bool(background))
    learners = (each.seat.learner for each in kept if isinstance(each.seat, Learned))
    code = digest_of_code([environment.make, *learners])
    return League(environment, tuple(worlds.species), entrants, (*place.notices, *notices), code)


def _entrants(found: Iterable[Found], is_focal: bool, place: Place, worlds: Worlds) -> list[Entrant]:
    entrants = []
    for each in found:
        if each.is_baseline:
            names = worlds.species if each.species is None else (each.species,)
            entrants += [_baseline(each, name, is_focal) for name in names]
        else:
            entrants += [_learned(each, policy, is_focal, place) for policy in each.policies.values()]
    return entrants


def _baseline(found: Found, species: str, is_focal: bool) -> Entrant:
    return Entrant(found.label, species, found.address, Baseline(found.label), f"baseline:{found.label}", is_focal)


def _learned(found: Found, policy: SavedPolicy, is_focal: bool, place: Place) -> Entrant:
    card = policy.card
    seat = Learned(policy, place.trusted_learner(found, card))
    return Entrant(found.label, card.species, found.address, seat, policy.digest, is_focal, card, _origin(found, card))


def _origin(found: Found, card: PolicyCard) -> tuple[str, int, int] | None:
    """Whom it trained with: of policies in files of their own nothing is known."""
    if card.member is None or card.generation is None or (found.run is None and len(found.policies) == 1):
        return None
    where = f"{found.address}/{found.label}" if found.run is None else str(found.run.root.absolute())
    return where, card.member, card.generation


def _check_that_all_can_play(everyone: Sequence[Entrant], environment: EnvironmentSource, worlds: Worlds) -> None:
    faults = []
    for each in everyone:
        if each.species not in worlds.species:
            there = ", ".join(worlds.species)
            faults.append(f"{each.address}: {each.species}: no such species in {environment.make}; there are {there}")
            continue
        try:
            _act_once(each, environment, worlds)
        except UserError as fault:
            faults += [line if each.card is None else f"{each.address}: {line}" for line in fault.faults]
    if faults:
        raise UserError(*dict.fromkeys(faults))


def _act_once(entrant: Entrant, environment: EnvironmentSource, worlds: Worlds) -> None:
    """Take the policy and ask it something: here and not in every process, what must be compiled is compiled."""
    policy, space = entrant.seat.take(entrant.species, environment, worlds), worlds.observation_spaces[entrant.species]
    with contextlib.suppress(Exception):  # whoever cannot say anything to zeros may well play; a match tells why not
        policy.act(np.zeros((1, *(space.shape or ())), space.dtype), np.random.default_rng(0))


def _without_doubles(everyone: Iterable[Entrant]) -> tuple[list[Entrant], list[str]]:
    """Each policy once on either side, under names that differ."""
    kept: list[Entrant] = []
    notices = []
    for each in everyone:
        same = next((one for one in kept if _sort(one) == _sort(each)), None)
        if same is None:
            kept.append(_renamed(each, {one.label for one in kept if one.species == each.species}))
        elif same.label != each.label:
            notices.append(f"{each.label}: the same {each.species} as {same.label}; it plays once")
    return kept, notices


def _sort(entrant: Entrant) -> tuple[str, str, bool]:
    return entrant.species, entrant.digest, entrant.is_focal


def _renamed(entrant: Entrant, taken: set[str]) -> Entrant:
    """A policy may be judged by those whom it is there to judge: `a` meets `a (met)`."""
    label = entrant.label if entrant.is_focal or entrant.label not in taken else f"{entrant.label} (met)"
    if label not in taken:
        return replace(entrant, label=label)
    numbers = (f"{label}#{number}" for number in range(2, len(taken) + 3))
    return replace(entrant, label=next(name for name in numbers if name not in taken))


def _check_that_all_species_are_there(entrants: Mapping[str, Sequence[Entrant]], has_background: bool) -> None:
    for name, of in entrants.items():
        if not of:
            raise UserError(f"{name}: nobody plays this species; name somebody, e.g. {name}=random")
    if has_background:
        if len(entrants) == 1:
            raise UserError(f"--against: needs a second species, here there is {next(iter(entrants))} alone")
        focal = [name for name, of in entrants.items() if any(each.is_focal for each in of)]
        for name, of in entrants.items():
            # Whoever is judged meets the background of all other species.
            if all(each.is_focal for each in of) and focal != [name]:
                raise UserError(f"{name}: --against names nobody of this species; add e.g. {name}=random")
