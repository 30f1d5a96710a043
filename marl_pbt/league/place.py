"""Which environment a league is played in, and which learners may load its policies."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from marl_pbt.config import RunConfig, load_config
from marl_pbt.environments import EnvironmentSource
from marl_pbt.league.addresses import PANEL, Found
from marl_pbt.league.trust import import_strings_of_our_configs, settings_of_our_configs
from marl_pbt.policy_files import EnvironmentCard, PolicyCard
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

    def trusted_learner(self, found: Found, card: PolicyCard) -> str:
        """The import string of the learner that a policy names.

        Raises:
            UserError: It stands in no config.
        """
        if card.learner in self.trusted:
            return card.learner
        raise UserError(
            f"{found.address}: names the learner {card.learner}, which is code; a file's word is not enough, "
            "give the config of a run that names it: --config CONFIG"
        )

    def without_other_panels(self, found: Sequence[Found]) -> list[Found]:
        """All but the reference policies of other environments.

        Raises:
            UserError: There are none of this environment.
        """
        kept = [each for each in found if not each.is_panel or self.environment.make in _makes(each)]
        if any(each.is_panel for each in found) and not any(each.is_panel for each in kept):
            raise UserError(f"{PANEL}: there are no reference policies of {self.environment.make}")
        return kept


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
    files = [(each.address, _source(card)) for each, card in cards if not (each.run or each.is_panel)]
    known = [(address, source) for address, source in files if source.make in trusted]
    candidates = panels or judged or known
    if not candidates:
        raise UserError(_no_place(found, cards))
    where, environment = candidates[0]
    if candidates is known:
        _check_settings(where, environment)
    return Place(environment, trusted, tuple(_notices(where, environment, [*panels, *judged, *files])))


def _run_configs(found: Iterable[Found]) -> dict[Path, RunConfig]:
    roots = dict.fromkeys(each.run for each in found if each.run is not None)
    return {run.root: load_config(run.config).config for run in roots if run is not None}


def _makes(found: Found) -> list[str]:
    return [card.make for card in _cards(found)]


def _check_settings(where: str, environment: EnvironmentSource) -> None:
    """A file alone may say how long episodes are and the like, but not how large a world we are to build.

    Raises:
        UserError: It has settings that none of our own configs has.
    """
    others = sorted(set(environment.config) - settings_of_our_configs(environment.make))
    if others or environment.species is not None:
        what = ", ".join(others) or "its own species"
        raise UserError(
            f"{where}: was trained in {environment.make} with settings that a file's word is not enough for ({what}); "
            "give the config that has them: --config CONFIG"
        )


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


def _no_place(found: Sequence[Found], cards: Sequence[tuple[Found, EnvironmentCard]]) -> str:
    cure = "give the config of a run that does: --config CONFIG"
    words = ", ".join(dict.fromkeys(each.label for each in found if each.is_baseline))
    if not cards and words:  # perhaps meant as a run's name
        return f"{words}: no run or file; a baseline alone does not say which environment is played, {cure}"
    if not cards:
        return f"nothing here says which environment is played; {cure}"
    first, card = cards[0]
    return f"{first.address}: names the environment {card.make}, which is code; a file's word is not enough, {cure}"


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
