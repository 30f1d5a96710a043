"""What can be said of a run's cross-play before it starts."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from marl_pbt.cross_play.draw import CrossPlayRules
from marl_pbt.protocols import UserError, Worlds
from marl_pbt.space_cards import card_of, space_text

if TYPE_CHECKING:
    from marl_pbt.config.cross_play import CrossPlaySection
    from marl_pbt.config.models import PBTSection
    from marl_pbt.environments import EnvironmentSource


def rules_of(pbt: PBTSection) -> CrossPlayRules | None:
    """How policies are scored by cross-play; None where they are not."""
    if pbt.fitness != "cross_play":
        return None
    said: CrossPlaySection = pbt.cross_play
    return CrossPlayRules(
        opponents=said.opponents,
        episodes=said.episodes,
        past=said.past,
        ready_points=said.ready_points,
        kept=said.kept,
        guest_worlds=said.guest_worlds,
        population=pbt.population,
    )


def faults_of(section: CrossPlaySection, environment: EnvironmentSource, worlds: Worlds) -> Iterator[str]:
    """Why policies that are trained here could not play there; keys relative to `pbt`.

    Args:
        section: With changes to the environment's settings.
        environment: Where is trained.
        worlds: Of it.
    """
    if not section.config:
        return
    try:
        there = environment.changed(section.config).open_worlds(1)
    except UserError as fault:
        yield from (f"cross_play.config: {line}" for line in fault.faults)
        return
    if there.species != worlds.species:
        species = ", ".join(worlds.species)
        yield f"cross_play.config: must leave the species {species} as they are, got {', '.join(there.species)}"
        return
    for name in worlds.species:
        for what, here, other in (
            ("observations", worlds.observation_spaces[name], there.observation_spaces[name]),
            ("actions", worlds.action_spaces[name], there.action_spaces[name]),
        ):
            wanted, found = card_of(here), card_of(other)
            if wanted != found:
                said = f"{name}'s {what} as they are, {space_text(wanted)}, got {space_text(found)}"
                yield f"cross_play.config: must leave {said}"


def notices_of(pbt: PBTSection, workers: int) -> Iterator[str]:
    """What is legal but hardly meant; one line each."""
    if pbt.fitness == "cross_play" and pbt.population % workers and not pbt.synchronous:
        yield (
            f"pbt.fitness: cross_play with {pbt.population} members on {workers} workers: who shares a worker with "
            "fewer gets ahead and meets weaker opponents at the same ready point; pbt.synchronous, or a number of "
            f"workers that divides {pbt.population}, is fairer"
        )
