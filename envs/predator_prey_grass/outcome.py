"""What one step of one world brought, by name: PettingZoo's five dictionaries."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from envs.predator_prey_grass import kernel, layout
from envs.predator_prey_grass.arrays import Memory
from envs.predator_prey_grass.roster import Info, Roster
from envs.predator_prey_grass.rules import Rules

CAUSES = (None, "eaten", "starved")
"""`infos[id]["cause"]` by fate; beside them `extinction`, which befalls those that outlive the other species."""

Dicts = tuple[dict[str, NDArray[Any]], dict[str, float], dict[str, bool], dict[str, bool], dict[str, Info]]
"""Observations, rewards, terminations, truncations, infos."""


def make_windows(rules: Rules, species: int, rows: int) -> tuple[NDArray[Any], NDArray[np.uint32]]:
    """Fresh memory for observations, so that a caller may keep them; and the same memory as the kernel writes it."""
    side = rules.species[species].window
    windows = np.empty((rows, side, side, layout.CHANNELS), rules.observation_dtype)
    return windows, windows.reshape(-1).view(np.uint32)


def tell(results: Dicts, species: int, is_over: bool, memory: Memory, roster: Roster) -> None:
    """Add to the results what the step brought to one species; bring the roster up to date."""
    state, scratch = memory.state, memory.scratch
    observations, rewards, terminations, truncations, infos = results
    names = roster.names[species]
    acted, now = len(names), int(state.clock[0, layout.NOW])
    fates = scratch.acts[species, layout.FATE, :acted].tolist()
    codes = scratch.ended[species, :acted].tolist()
    told = roster.infos(species, now)
    if any(codes):
        for info, fate, code in zip(told, fates, codes, strict=True):
            info["cause"] = CAUSES[fate] if fate or code != layout.TERMINATED else "extinction"
    rewards.update(zip(names, scratch.rewards[species, :acted].tolist(), strict=True))
    terminations.update(zip(names, [code == layout.TERMINATED for code in codes], strict=True))
    truncations.update(zip(names, [code == layout.TRUNCATED for code in codes], strict=True))
    alive, survivors = int(state.population[0, species]), acted - sum(map(bool, fates))
    windows, words = make_windows(memory.rules, species, acted + alive - survivors)
    kernel.observe_outcome(*memory.all, species, words)
    if survivors < acted:
        roster.bury(species, fates)
    if survivors < alive and not is_over:
        children = roster.welcome(species, state.traits[0, species, :, survivors:alive])
        names = [*names[:acted], *children]  # the roster's list may have grown in place
        told += roster.infos(species, now)[survivors:]
        rewards.update(dict.fromkeys(children, 0.0))
        terminations.update(dict.fromkeys(children, False))
        truncations.update(dict.fromkeys(children, False))
    observations.update(zip(names, windows, strict=False))
    infos.update(zip(names, told, strict=True))
