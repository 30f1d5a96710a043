"""Which environment a league is played in, and which learners may load its policies."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from marl_pbt.config import RunConfig, load_config
from marl_pbt.environments import EnvironmentSource
from marl_pbt.league.addresses import PANEL, Found
from marl_pbt.league.trust import import_strings_of_our_configs
from marl_pbt.policy_files import EnvironmentCard
from marl_pbt.protocols import UserError


@dataclass(frozen=True)
class Place:
    """Where it is played.

    Attributes:
        environment: Which.
        trusted: Import strings that may be followed.
        notices: What the user should know, one line each.
    """

    environment: EnvironmentSource
    trusted: frozenset[str]
    notices: tuple[str, ...]


def place_of(found: Sequence[Found], config: Path | None) -> Place:
    """The config's environment, else the panel's, else the first run's as it is judged, else the first file's.

    Args:
        found: Who is to play.
        config: A config that the user named.

    Raises:
        UserError: None of them says where, or it stands only in a file, whose word is not enough to run code.
    """
    named = None if config is None else load_config(config).config
    runs = _run_configs(found)
    trusted = import_strings_of_our_configs() | {each.learner.make for each in (named, *runs.values()) if each}
    if named is not None:
        return Place(_judged_in(named), trusted | {str(named.environment.make)}, ())
    cards = [(each, card) for each in found for card in _cards(each)]
    panels = [(PANEL, _source(card)) for each, card in cards if each.is_panel]
    judged = [(str(root), _judged_in(of)) for root, of in runs.items()]
    files = [(each.address, _source(card)) for each, card in cards if each.run is None and card.make in trusted]
    candidates = panels or judged or files
    if not candidates:
        raise UserError(_no_place(cards))
    where, environment = candidates[0]
    return Place(environment, trusted, tuple(_notices(where, environment, [*panels, *judged])))


def _run_configs(found: Iterable[Found]) -> dict[Path, RunConfig]:
    roots = dict.fromkeys(each.run for each in found if each.run is not None)
    return {run.root: load_config(run.config).config for run in roots if run is not None}


def _cards(found: Found) -> list[EnvironmentCard]:
    return [policy.card.environment for policy in found.policies.values() if policy.card.environment is not None]


def _source(card: EnvironmentCard) -> EnvironmentSource:
    return EnvironmentSource(card.make, card.config, card.species)


def _judged_in(config: RunConfig) -> EnvironmentSource:
    """The environment of a run with the changes of its closing judgement: whole episodes."""
    section = config.environment
    if section.make is None:
        raise UserError(f"{config.name}: its learner has no environment, so there is nothing to play")
    source = EnvironmentSource(section.make, section.config, section.species)
    return source if config.judge is None else source.changed(config.judge.config)


def _no_place(cards: Sequence[tuple[Found, EnvironmentCard]]) -> str:
    cure = "give the config of a run that does: --config CONFIG"
    if not cards:
        return f"nothing here says which environment is played; {cure}"
    found, card = cards[0]
    return f"{found.address}: names the environment {card.make}, which is code; a file's word is not enough, {cure}"


def _notices(
    where: str, environment: EnvironmentSource, candidates: Sequence[tuple[str, EnvironmentSource]]
) -> Iterable[str]:
    """Runs that were made for something else will be judged in a world that is not theirs."""
    others = dict.fromkeys(name for name, other in candidates if other != environment)
    if others:
        yield (
            f"played as {where} says, in {environment.make} {dict(environment.config)}; "
            f"{', '.join(others)} would be judged otherwise (--config and --set decide)"
        )
