"""One step of one world: the rules in their order."""

from __future__ import annotations

from typing import Any

import numpy as np

from envs.predator_prey_grass.compiling import compiled
from envs.predator_prey_grass.layout import (
    ACTION,
    AGE_AT_DEATH,
    BIRTHS,
    BLOCKED,
    BORN,
    CHANNELS,
    CHILDREN,
    CRADLE,
    DECAYED,
    EATEN,
    EATEN_COUNT,
    FATE,
    FORTUNE,
    GRASS,
    GROWN,
    HEIR,
    ID,
    LIVES_ON,
    LOST,
    MEALS,
    NOW,
    PARENT,
    POPULATION,
    POPULATION_MAX,
    POPULATION_MIN,
    PREDATOR,
    PREY,
    SEEN,
    STARVED,
    STARVED_COUNT,
    TERMINATED,
    TRUNCATED,
    X,
    Y,
)


@compiled
def draw(generator: Any, bound: int) -> Any:
    """A whole number in [0, bound): splitmix64 (Steele et al. 2014), its upper half times bound (Lemire 2019).

    Lemire's rejection is left out: with bounds below 2**20 the bias is below 2**-12 of a chance.
    """
    state = generator[0] + np.uint64(0x9E3779B97F4A7C15)
    generator[0] = state
    z = (state ^ (state >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    z = z ^ (z >> np.uint64(31))
    return np.int64(((z >> np.uint64(32)) * np.uint64(bound)) >> np.uint64(32))


@compiled
def visible(energy: float, scale: float, table: Any) -> Any:
    """An energy as the board shows it: fixed point, rounded half up and saturating, or raw."""
    return min(energy * scale + table.rounding, table.brightest)


@compiled
def bits(value: float) -> Any:
    """A number as the bits of a float32, for an array of int32."""
    return np.float32(value).view(np.int32)


@compiled
def grow(world: Any, table: Any) -> None:
    """Grass gains, up to its maximum."""
    energy, spots, board, gained = world.grass_energy, world.grass_spots, world.board, 0.0
    for g in range(len(energy)):
        before = energy[g]
        if before < table.grass_max:
            energy[g] = min(before + table.grass_growth, table.grass_max)
            gained += energy[g] - before
            board[spots[g] * CHANNELS + GRASS] = visible(energy[g], table.grass_scale, table)
    world.ledger[GROWN] += gained


@compiled
def pay(world: Any, table: Any) -> int:
    """The living pay for the step, leave the board, and get an order drawn anew (Fisher–Yates); how many there are."""
    board, order, lines, n = world.board, world.order, table.height + 2 * table.margin, 0
    for s in range(len(world.population)):
        alive, channel, decay = world.population[s], table.role[s], table.decay[s]
        x, y, energy, acts = world.traits[s, X], world.traits[s, Y], world.energy[s], world.acts[s]
        for k in range(alive):
            energy[k] -= decay
            board[((x[k] + table.margin) * lines + y[k] + table.margin) * CHANNELS + channel] = 0
            acts[FATE, k] = 0
            acts[CHILDREN, k] = 0
            acts[FORTUNE, k] = 0
            order[n] = s << 16 | k
            n += 1
        world.ledger[DECAYED] += alive * decay
    generator = world.generator
    for i in range(n - 1, 0, -1):
        j = draw(generator, i + 1)
        order[i], order[j] = order[j], order[i]
    return n


@compiled
def move(n: int, world: Any, table: Any) -> None:
    """One after the other; the border clips, one's own species blocks; then those without energy die."""
    margin, lines = table.margin, table.height + 2 * table.margin
    order, traits, acts, energy, occupant = world.order, world.traits, world.acts, world.energy, world.occupant
    for i in range(n):
        s, k = order[i] >> 16, order[i] & 0xFFFF
        action, x, y = acts[s, ACTION, k], traits[s, X, k], traits[s, Y, k]
        to_x = min(max(x + action // 3 - 1, 0), table.width - 1)
        to_y = min(max(y + action % 3 - 1, 0), table.height - 1)
        target = (to_x + margin) * lines + to_y + margin
        if occupant[s, target] == 0:
            occupant[s, (x + margin) * lines + y + margin] = 0
            occupant[s, target] = k + 1
            traits[s, X, k], traits[s, Y, k] = to_x, to_y
    for s in range(len(world.population)):
        for k in range(world.population[s]):
            if energy[s, k] <= 0.0:
                acts[s, FATE, k] = STARVED
                acts[s, FORTUNE, k] = bits(-STARVED)
                occupant[s, (traits[s, X, k] + margin) * lines + traits[s, Y, k] + margin] = 0
                world.counts[s, STARVED_COUNT] += 1
                world.ledger[LOST] += energy[s, k]


@compiled
def hunt(n: int, world: Any, table: Any) -> None:
    """Every living predator eats a prey that stands on its cell."""
    margin, lines, species = table.margin, table.height + 2 * table.margin, len(world.population)
    order, traits, acts, energy, occupant = world.order, world.traits, world.acts, world.energy, world.occupant
    for i in range(n):
        s, k = order[i] >> 16, order[i] & 0xFFFF
        if table.role[s] != PREDATOR or acts[s, FATE, k]:
            continue
        cell = (traits[s, X, k] + margin) * lines + traits[s, Y, k] + margin
        for t in range(species):
            victim = occupant[t, cell] - 1
            if table.role[t] == PREY and victim >= 0:
                energy[s, k] += energy[t, victim]
                occupant[t, cell] = 0
                acts[t, FATE, victim] = EATEN
                acts[s, FORTUNE, k] = bits(energy[t, victim])
                acts[t, FORTUNE, victim] = bits(-EATEN)
                world.counts[s, MEALS] += 1
                world.counts[t, EATEN_COUNT] += 1
                break


@compiled
def graze(n: int, world: Any, table: Any) -> None:
    """Every living prey eats all the grass of its cell."""
    margin, lines = table.margin, table.height + 2 * table.margin
    order, traits, acts, energy, grass_at = world.order, world.traits, world.acts, world.energy, world.grass_at
    for i in range(n):
        s, k = order[i] >> 16, order[i] & 0xFFFF
        if table.role[s] != PREY or acts[s, FATE, k]:
            continue
        cell = (traits[s, X, k] + margin) * lines + traits[s, Y, k] + margin
        g = grass_at[cell] - 1
        if g >= 0 and world.grass_energy[g] > 0.0:
            energy[s, k] += world.grass_energy[g]
            acts[s, FORTUNE, k] = bits(world.grass_energy[g])
            world.grass_energy[g] = 0.0
            world.board[cell * CHANNELS + GRASS] = 0
            world.counts[s, MEALS] += 1


@compiled
def bury(world: Any, table: Any) -> int:
    """Close the gaps that the dead leave, in order; say whether and how the episode ends."""
    margin, lines, now = table.margin, table.height + 2 * table.margin, world.clock[NOW]
    verdict = TRUNCATED if now >= table.max_steps else LIVES_ON
    for s in range(len(world.population)):
        traits, energy, acts, occupant = world.traits[s], world.energy[s], world.acts[s], world.occupant[s]
        alive = 0
        for k in range(world.population[s]):
            cell = (traits[X, k] + margin) * lines + traits[Y, k] + margin
            acts[SEEN, k] = cell
            if acts[FATE, k]:
                acts[HEIR, k] = -1
                world.counts[s, AGE_AT_DEATH] += now - traits[BORN, k]
                continue
            acts[HEIR, k] = alive
            if alive != k:
                for trait in range(traits.shape[0]):
                    traits[trait, alive] = traits[trait, k]
                energy[alive] = energy[k]
                occupant[cell] = alive + 1
            alive += 1
        world.population[s] = alive
        if alive == 0:
            verdict = TERMINATED
    return verdict


@compiled
def breed(n: int, world: Any, table: Any) -> None:
    """Whoever lives and has the energy has a child on a random free neighbouring cell, or is counted as blocked."""
    order, acts, energy = world.order, world.acts, world.energy
    for i in range(n):
        s, was = order[i] >> 16, order[i] & 0xFFFF
        k = acts[s, HEIR, was]
        if k < 0 or energy[s, k] < table.birth_energy[s]:
            continue
        child, name, traits = world.population[s], world.next_id[s], world.traits[s]
        cell = cradle(s, k, world, table) if child < table.slots[s] and name < table.ids[s] else -1
        if cell < 0:
            world.counts[s, BLOCKED] += 1
            continue
        lines = table.height + 2 * table.margin
        traits[X, child], traits[Y, child] = cell // lines - table.margin, cell % lines - table.margin
        traits[ID, child], traits[PARENT, child], traits[BORN, child] = name, traits[ID, k], world.clock[NOW]
        energy[s, k] -= table.initial_energy[s]
        energy[s, child] = table.initial_energy[s]
        world.occupant[s, cell] = child + 1
        acts[s, CRADLE, child] = cell
        acts[s, CHILDREN, was] += 1
        world.counts[s, BIRTHS] += 1
        world.next_id[s] += 1
        world.population[s] += 1


@compiled
def cradle(s: int, k: int, world: Any, table: Any) -> int:
    """A free cell around slot k of species s, each with the same chance; −1 where there is none."""
    lines, occupant = table.height + 2 * table.margin, world.occupant[s]
    first = (world.traits[s, X, k] + table.margin - 1) * lines + world.traits[s, Y, k] + table.margin - 1
    free = 0
    for i in range(9):
        free += occupant[first + i // 3 * lines + i % 3] == 0
    if free == 0:
        return -1
    left = draw(world.generator, free)
    for i in range(9):
        cell: int = first + i // 3 * lines + i % 3
        if occupant[cell] == 0:
            if left == 0:
                return cell
            left -= 1
    return -1


@compiled
def show(world: Any, table: Any) -> None:
    """Put the living back on the board; count them."""
    board, margin, lines = world.board, table.margin, table.height + 2 * table.margin
    for s in range(len(world.population)):
        x, y, energy, alive = world.traits[s, X], world.traits[s, Y], world.energy[s], world.population[s]
        for k in range(alive):
            at = ((x[k] + margin) * lines + y[k] + margin) * CHANNELS + table.role[s]
            board[at] = visible(energy[k], table.animal_scale, table)
        counts = world.counts[s]
        counts[POPULATION] += alive
        counts[POPULATION_MIN] = min(counts[POPULATION_MIN], alive)
        counts[POPULATION_MAX] = max(counts[POPULATION_MAX], alive)


@compiled
def step_world(world: Any, table: Any) -> int:
    """One step, the actions being in place; how the episode ended, or that it goes on."""
    world.clock[NOW] += 1
    grow(world, table)
    n = pay(world, table)
    move(n, world, table)
    hunt(n, world, table)
    graze(n, world, table)
    verdict: int = bury(world, table)
    breed(n, world, table)
    show(world, table)
    return verdict
