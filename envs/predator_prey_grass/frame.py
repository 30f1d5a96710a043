"""What there is to see of a world at one moment, without saying how it looks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from envs.predator_prey_grass import layout
from envs.predator_prey_grass.arrays import Memory

Cells = NDArray[np.int64]


@dataclass(frozen=True)
class Animals:
    """One species.

    Attributes:
        name: Of the species.
        role: `predator` or `prey`.
        cells: `(n, 2)`: x, y of the living.
        fill: `(n,)`: energy as a share of what a birth takes, 0..1.
        births: `(n, 2)`: where children of the last step stand.
        eaten: `(n, 2)`: where individuals were eaten in the last step.
        starved: `(n, 2)`: where they starved.
    """

    name: str
    role: str
    cells: Cells
    fill: NDArray[np.float64]
    births: Cells
    eaten: Cells
    starved: Cells


@dataclass(frozen=True)
class Frame:
    """A moment.

    Attributes:
        width: Cells along x.
        height: Cells along y.
        grass: `(width, height)`: energy as a share of its maximum, −1 where none grows.
        animals: Per species.
        history: `(steps + 1, species)`: populations of the episode so far.
        max_steps: When the episode ends at the latest.
    """

    width: int
    height: int
    grass: NDArray[np.float64]
    animals: tuple[Animals, ...]
    history: NDArray[np.int64]
    max_steps: int


def make_frame(memory: Memory, history: Sequence[Sequence[int]]) -> Frame:
    """The first world of a memory; `acted` at 0 says that there was no last step."""
    rules, state = memory.rules, memory.state
    grass = np.full(rules.width * rules.height, -1.0)
    grass[state.grass_cells[0]] = state.grass_energy[0] / max(rules.grass.max_energy, 1e-9)
    return Frame(
        width=rules.width,
        height=rules.height,
        grass=grass.reshape(rules.width, rules.height),
        animals=tuple(_animals(memory, s) for s in range(len(rules.species))),
        history=np.array(history, np.int64).reshape(-1, len(rules.species)),
        max_steps=rules.max_steps,
    )


def _animals(memory: Memory, species: int) -> Animals:
    each, state, scratch = memory.rules.species[species], memory.state, memory.scratch
    margin = max(1, *(other.window // 2 for other in memory.rules.species))
    lines, alive, acted = (
        memory.rules.height + 2 * margin,
        int(state.population[0, species]),
        int(scratch.acted[species]),
    )
    acts = scratch.acts[species]
    fates, seen = acts[layout.FATE, :acted], acts[layout.SEEN, :acted]
    survivors = int((fates == 0).sum()) if acted else alive

    def cells(positions: NDArray[np.int32]) -> Cells:
        return np.stack([positions // lines - margin, positions % lines - margin], axis=1).astype(np.int64)

    return Animals(
        name=each.name,
        role=each.role,
        cells=state.traits[0, species, : layout.Y + 1, :alive].T.astype(np.int64),
        fill=np.clip(state.energy[0, species, :alive] / each.birth_energy, 0.0, 1.0),
        births=cells(acts[layout.CRADLE, survivors:alive]),
        eaten=cells(seen[fates == layout.EATEN]),
        starved=cells(seen[fates == layout.STARVED]),
    )


def write_frame(frame: Frame) -> str:
    """The moment as text: initials of species (predators large), `"` grass, `,` eaten grass; x to the right, y down."""
    letters = np.where(frame.grass < 0, ".", np.where(frame.grass >= 0.5, '"', ","))
    for each in reversed(frame.animals):
        initial = each.name[0].upper() if each.role == "predator" else each.name[0].lower()
        letters[each.cells[:, 0], each.cells[:, 1]] = initial
    counts = " · ".join(f"{len(each.cells)} {each.name}" for each in frame.animals)
    lines = (" ".join(letters[:, y]) for y in range(frame.height))
    return "\n".join([f"step {len(frame.history) - 1}/{frame.max_steps} · {counts}", *lines])
