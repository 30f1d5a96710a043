"""The worlds' data in memory: arrays, and their places.

Structure of arrays, world first. The living of a species are compact in their first slots and stay in order of birth.
`board` is what can be seen: per world the grid plus a margin as wide as the farthest sight, four channels per cell, in
the observation's dtype and always up to date, so that an observation is a few copies of whole lines. Positions on it
are `(x + margin) * lines + y + margin` with `lines = height + 2 * margin`; `occupant` and `grass_at` use the same.
"""

from __future__ import annotations

from typing import Any, NamedTuple

LIVES_ON, TERMINATED, TRUNCATED = 0, 1, 2
EATEN, STARVED = 1, 2
PREDATOR, PREY, GRASS = 1, 2, 3  # roles; also their channels of an observation, the first being the wall
CHANNELS = 4
ACTIONS = 9

# Places in State.clock, .traits, .counts, .ledger, .parameters and Scratch.acts.
NOW, STARTED = 0, 1
X, Y, ID, PARENT, BORN = range(5)
BIRTHS, BLOCKED, EATEN_COUNT, STARVED_COUNT, MEALS, AGE_AT_DEATH, POPULATION, POPULATION_MIN, POPULATION_MAX = range(9)
FOUNDERS = 9  # in Scratch.finished_counts alone
INITIAL, GROWN, DECAYED, LOST, PRESENT = range(5)
ACTION, FATE, HEIR, SEEN, CRADLE, CHILDREN, FORTUNE = range(7)
INITIAL_COUNT, DECAY, BIRTH_ENERGY = range(3)  # State.parameters


class State(NamedTuple):
    """All that worlds are; what `get_state` saves. B worlds, S species, K slots, G grass cells."""

    generator: Any  # (B,) uint64: splitmix64
    clock: Any  # (B, 2) int64: NOW: steps, the offset of the first episode included; STARTED: the same at its reset
    population: Any  # (B, S) int64
    next_id: Any  # (B, S) int64
    traits: Any  # (B, S, 5, K) int32: X, Y, ID, PARENT (−1 for founders), BORN (clock)
    energy: Any  # (B, S, K) float64
    grass_cells: Any  # (B, G) int32: x * height + y
    grass_energy: Any  # (B, G) float64
    counts: Any  # (B, S, 9) int64: BIRTHS …, of the episode in progress
    ledger: Any  # (B, 5) float64: INITIAL …, of the episode in progress
    totals: Any  # (S, 9) int64: counts of finished episodes, over all worlds
    total_steps: Any  # (1,) int64: env steps over all worlds
    parameters: Any  # (3, S) float64: INITIAL_COUNT …, in force; `Table` has views of it


class Scratch(NamedTuple):
    """What follows from the state, and what one step leaves for the caller. M rows at most per species."""

    board: Any  # (B, cells * 4) uint8 or float32
    words: Any  # (B, cells * 1 or 4) uint32: the same memory, for copying
    occupant: Any  # (B, S, cells) int32: slot + 1, 0 free, −1 outside
    grass_at: Any  # (B, cells) int32: index of the grass + 1, 0 none
    grass_spots: Any  # (B, G) int32: the grass cells as positions on the board
    cells: Any  # (width * height,) int32: for drawing distinct cells
    order: Any  # (S * K,) int32: species << 16 | slot, in this step's random order
    acted: Any  # (S,) int64: living before the step, in the world that stepped last
    acts: (
        Any  # (S, 7, K) int32, same world; by slot before the step: ACTION, FATE (0, EATEN, STARVED), HEIR (slot after
    )
    # it, −1 dead), SEEN (position, also of the dead), CHILDREN, FORTUNE (the bits of a float32: what it ate, as energy;
    # −EATEN or −STARVED for the dead; 0 for all others); by slot after it: CRADLE (where a child was born)
    rows: Any  # (S,) int64: living, over all worlds
    starts: Any  # (2, S) int64: first rows of the world that steps, before and after the step
    rewards: Any  # (S, M) float32
    fortunes: Any  # (S, M) int32: FORTUNE by row
    ended: Any  # (S, M) uint8
    next_rows: Any  # (S, M) int32
    truncated: Any  # (S, words) uint32: observations
    truncated_rows: Any  # (S,) int64: how many of them
    finished: Any  # (B, 3) int64: length, whether it began at clock 0, how it ended
    finished_counts: Any  # (B, S, 10) int64: as State.counts, and FOUNDERS
    finished_ledger: Any  # (B, 5) float64


class World(NamedTuple):
    """One world's share of `State` and `Scratch`, field by field."""

    generator: Any
    clock: Any
    population: Any
    next_id: Any
    traits: Any
    energy: Any
    grass_cells: Any
    grass_energy: Any
    counts: Any
    ledger: Any
    board: Any
    occupant: Any
    grass_at: Any
    grass_spots: Any
    order: Any
    acted: Any
    acts: Any


class Table(NamedTuple):
    """The rules as numbers; those that are arrays have one entry per species."""

    role: Any
    initial_count: Any
    initial_energy: Any
    decay: Any
    birth_energy: Any
    sight: Any
    slots: Any
    ids: Any
    width: int
    height: int
    margin: int
    max_steps: int
    grass_start: float
    grass_max: float
    grass_growth: float
    birth_reward: float
    animal_scale: float
    grass_scale: float
    rounding: float
    brightest: float
    wall: float
