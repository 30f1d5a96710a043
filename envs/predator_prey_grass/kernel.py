"""All worlds at once: what the faces call, compiled.

Every entry takes the fields of `State`, of `Scratch` and of `Table` as plain tuples: these enter compiled code faster.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from envs.predator_prey_grass.compiling import compiled, entry
from envs.predator_prey_grass.layout import (
    ACTION,
    ACTIONS,
    BIRTHS,
    BORN,
    CHANNELS,
    CHILDREN,
    CRADLE,
    FATE,
    FORTUNE,
    FOUNDERS,
    GRASS,
    HEIR,
    ID,
    INITIAL,
    NOW,
    PARENT,
    POPULATION_MAX,
    POPULATION_MIN,
    PRESENT,
    SEEN,
    STARTED,
    TERMINATED,
    TRUNCATED,
    Scratch,
    State,
    Table,
    World,
    X,
    Y,
)
from envs.predator_prey_grass.step import draw, step_world, visible

ONE, TWO, THREE = np.uint64(1), np.uint64(2), np.uint64(3)


@compiled
def pick(b: int, state: Any, scratch: Any) -> Any:
    """World b, as views."""
    return World(
        state.generator[b : b + 1],
        state.clock[b],
        state.population[b],
        state.next_id[b],
        state.traits[b],
        state.energy[b],
        state.grass_cells[b],
        state.grass_energy[b],
        state.counts[b],
        state.ledger[b],
        scratch.board[b],
        scratch.occupant[b],
        scratch.grass_at[b],
        scratch.grass_spots[b],
        scratch.order,
        scratch.acted,
        scratch.acts,
    )


@compiled
def rebuild(world: Any, table: Any) -> None:
    """Derive what can be seen, and who stands where, from the state."""
    board, occupant, grass_at, margin = world.board, world.occupant, world.grass_at, table.margin
    lines = table.height + 2 * margin
    for x in range(table.width + 2 * margin):
        for y in range(lines):
            cell = x * lines + y
            outside = x < margin or y < margin or x >= table.width + margin or y >= table.height + margin
            for s in range(len(occupant)):
                occupant[s, cell] = -1 if outside else 0
            grass_at[cell] = 0
            for channel in range(CHANNELS):
                board[cell * CHANNELS + channel] = table.wall if outside and channel == 0 else 0
    for g in range(len(world.grass_cells)):
        x, y = world.grass_cells[g] // table.height, world.grass_cells[g] % table.height
        cell = (x + margin) * lines + y + margin
        world.grass_spots[g] = cell
        grass_at[cell] = g + 1
        board[cell * CHANNELS + GRASS] = visible(world.grass_energy[g], table.grass_scale, table)
    for s in range(len(world.population)):
        for k in range(world.population[s]):
            cell = (world.traits[s, X, k] + margin) * lines + world.traits[s, Y, k] + margin
            occupant[s, cell] = k + 1
            board[cell * CHANNELS + table.role[s]] = visible(world.energy[s, k], table.animal_scale, table)


@compiled
def reset_world(cells: Any, world: Any, table: Any) -> None:
    """A new episode: grass on random cells, founders on random cells, each on one of its own."""
    total, grass = len(cells), len(world.grass_cells)
    for cell in range(total):
        cells[cell] = cell
    world.clock[STARTED] = world.clock[NOW]
    for i in range(len(world.ledger)):
        world.ledger[i] = 0.0
    for g in range(grass):
        j = g + draw(world.generator, total - g)
        cells[g], cells[j] = cells[j], cells[g]
        world.grass_cells[g] = cells[g]
        world.grass_energy[g] = table.grass_start
    world.ledger[INITIAL] += grass * table.grass_start
    i = 0
    for s in range(len(world.population)):
        for count in range(world.counts.shape[1]):
            world.counts[s, count] = 0
        count, traits = int(table.initial_count[s]), world.traits[s]
        for k in range(count):
            j = i + draw(world.generator, total - i)
            cells[i], cells[j] = cells[j], cells[i]
            traits[X, k], traits[Y, k] = cells[i] // table.height, cells[i] % table.height
            traits[ID, k], traits[PARENT, k], traits[BORN, k] = k, -1, world.clock[NOW]
            world.energy[s, k] = table.initial_energy[s]
            i += 1
        world.population[s] = count
        world.next_id[s] = count
        world.counts[s, POPULATION_MIN] = count
        world.counts[s, POPULATION_MAX] = count
        world.ledger[INITIAL] += count * table.initial_energy[s]
    rebuild(world, table)


@compiled
def copy_four(source: Any, start: int, out: Any, at: int) -> None:
    """Copy four neighbouring elements, all read before any is written.

    Unsigned, for numba looks at every signed index whether it counts from the end.
    """
    i, j = np.uint64(start), np.uint64(at)
    a, b, c, d = source[i], source[i + ONE], source[i + TWO], source[i + THREE]
    out[j], out[j + ONE], out[j + TWO], out[j + THREE] = a, b, c, d


@compiled
def look(words: Any, middle: int, window: Any, out: Any, at: int) -> int:
    """Copy the window around a position to `out[at:]`; where it ends there.

    `words` is a world's board and `window` its side, the words of a cell, the cells of a line of the board.
    """
    side, per_cell, lines = window
    start, length = (middle - side // 2 * (lines + 1)) * per_cell, side * per_cell
    for _ in range(side):
        # Four at a time, the last four overlapping: constant lengths compile to single moves.
        for i in range(0, length - 4, 4):
            copy_four(words, start + i, out, at + i)
        if length >= 4:
            copy_four(words, start + length - 4, out, at + length - 4)
        else:
            for i in range(length):
                out[at + i] = words[start + i]
        start += lines * per_cell
        at += length
    return at


@compiled
def window_of(s: int, scratch: Any, table: Any) -> Any:
    """How species s looks: the `window` of `look`."""
    return 2 * table.sight[s] + 1, scratch.board.itemsize, table.height + 2 * table.margin


@compiled
def finish(b: int, nth: int, verdict: int, world: Any, scratch: Any, table: Any) -> None:
    """Keep what outlives an episode: the last observations of the truncated, the books."""
    ledger, counts = world.ledger, world.counts
    for g in range(len(world.grass_energy)):
        ledger[PRESENT] += world.grass_energy[g]
    for s in range(len(counts)):
        for k in range(world.population[s]):
            ledger[PRESENT] += world.energy[s, k]
        if verdict == TRUNCATED:
            window, out = window_of(s, scratch, table), scratch.truncated[s]
            at = scratch.truncated_rows[s] * window[0] ** 2 * window[1]
            for k in range(world.acted[s]):
                if world.acts[s, HEIR, k] >= 0:
                    at = look(scratch.words[b], world.acts[s, SEEN, k], window, out, at)
                    scratch.truncated_rows[s] += 1
    scratch.finished[nth, 0] = world.clock[NOW] - world.clock[STARTED]
    scratch.finished[nth, 1] = world.clock[STARTED] == 0
    scratch.finished[nth, 2] = verdict
    scratch.finished[nth, 3] = b
    for s in range(len(counts)):
        for i in range(counts.shape[1]):
            scratch.finished_counts[nth, s, i] = counts[s, i]
        scratch.finished_counts[nth, s, FOUNDERS] = world.next_id[s] - counts[s, BIRTHS]
    for i in range(len(ledger)):
        scratch.finished_ledger[nth, i] = ledger[i]


@compiled
def report(verdict: int, starts: Any, world: Any, scratch: Any, table: Any) -> None:
    """Write the step's outcome of one world to its rows; `starts` are its first rows before and after the step."""
    for s in range(len(world.population)):
        rewards, ended, next_rows = scratch.rewards[s], scratch.ended[s], scratch.next_rows[s]
        acts, fortunes, row = world.acts[s], scratch.fortunes[s], starts[0, s]
        for k in range(world.acted[s]):
            fortunes[row] = acts[FORTUNE, k]
            rewards[row] = acts[CHILDREN, k] * table.birth_reward
            end = TERMINATED if acts[FATE, k] else verdict
            ended[row] = end
            next_rows[row] = -1 if end else starts[1, s] + acts[HEIR, k]
            row += 1
        starts[0, s] = row
        starts[1, s] += world.population[s]


@compiled
def are_legal(actions: Any, rows: Any) -> bool:
    """Whether every acting row's action is one."""
    for s in range(len(rows)):
        for row in range(rows[s]):
            if actions[s, row] < 0 or actions[s, row] >= ACTIONS:
                return False
    return True


@entry
def step_worlds(arrays: Any, more: Any, numbers: Any, actions: Any, resets: bool) -> int:
    """Step all worlds.

    Args:
        arrays: `State`.
        more: `Scratch`.
        numbers: `Table`.
        actions: `(S, M)` int64, one per row.
        resets: Whether a world whose episode ended starts the next one.

    Returns:
        How many episodes ended; −1, with nothing done, when an action is not in 0..8.
    """
    state, scratch, table = State(*arrays), Scratch(*more), Table(*numbers)
    if not are_legal(actions, scratch.rows):
        return -1
    starts, finished = scratch.starts, 0
    for s in range(len(scratch.rows)):
        starts[0, s] = starts[1, s] = scratch.truncated_rows[s] = 0
    for b in range(len(state.clock)):
        world = pick(b, state, scratch)
        for s in range(len(world.acted)):
            world.acted[s] = world.population[s]
            for k in range(world.acted[s]):
                world.acts[s, ACTION, k] = actions[s, starts[0, s] + k]
        verdict = step_world(world, table)
        if verdict:
            finish(b, finished, verdict, world, scratch, table)
            finished += 1
            if resets:
                for s in range(len(world.acted)):
                    for i in range(world.counts.shape[1]):
                        state.totals[s, i] += world.counts[s, i]
                world.clock[NOW] = 0
                reset_world(scratch.cells, world, table)
        report(verdict, starts, world, scratch, table)
    state.total_steps[0] += len(state.clock)
    for s in range(len(scratch.rows)):
        scratch.rows[s] = starts[1, s]
    return finished


@compiled
def count_rows(state: Any, scratch: Any) -> None:
    """How many live, per species, over all worlds."""
    for s in range(len(scratch.rows)):
        scratch.rows[s] = 0
        for b in range(len(state.population)):
            scratch.rows[s] += state.population[b, s]


@entry
def reset_worlds(arrays: Any, more: Any, numbers: Any, seeds: Any, clocks: Any) -> None:
    """Start every world: `(B,)` uint64 states of the generators, `(B,)` int64 steps already on the clock."""
    state, scratch, table = State(*arrays), Scratch(*more), Table(*numbers)
    state.total_steps[0] = 0
    for s in range(len(scratch.rows)):
        for i in range(state.totals.shape[1]):
            state.totals[s, i] = 0
    for b in range(len(state.clock)):
        state.generator[b] = seeds[b]
        state.clock[b, NOW] = clocks[b]
        reset_world(scratch.cells, pick(b, state, scratch), table)
    count_rows(state, scratch)


@entry
def rebuild_worlds(arrays: Any, more: Any, numbers: Any) -> None:
    """Derive the scratch arrays from a state that was put in from outside."""
    state, scratch, table = State(*arrays), Scratch(*more), Table(*numbers)
    for b in range(len(state.clock)):
        rebuild(pick(b, state, scratch), table)
    count_rows(state, scratch)


@entry
def observe_rows(arrays: Any, more: Any, numbers: Any, s: int, out: Any) -> None:
    """Write what the living of species `s` see, world after world, to `out`: flat uint32, big enough."""
    state, scratch, table = State(*arrays), Scratch(*more), Table(*numbers)
    window, margin, at = window_of(s, scratch, table), table.margin, 0
    for b in range(len(state.clock)):
        board, x, y = scratch.words[b], state.traits[b, s, X], state.traits[b, s, Y]
        for k in range(state.population[b, s]):
            at = look(board, (x[k] + margin) * window[2] + y[k] + margin, window, out, at)


@entry
def observe_outcome(arrays: Any, more: Any, numbers: Any, s: int, out: Any) -> None:
    """The same for one world after its step: those that acted, the dead from where they died; then the children."""
    state, scratch, table = State(*arrays), Scratch(*more), Table(*numbers)
    window, at, survivors = window_of(s, scratch, table), 0, 0
    board, acts = scratch.words[0], scratch.acts[s]
    for k in range(scratch.acted[s]):
        at = look(board, acts[SEEN, k], window, out, at)
        survivors += acts[HEIR, k] >= 0
    for k in range(survivors, state.population[0, s]):
        at = look(board, acts[CRADLE, k], window, out, at)
