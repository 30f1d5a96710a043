"""The memory that worlds live in: made once for a set of rules, checked when it is put in from outside."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from envs.predator_prey_grass import kernel, layout
from envs.predator_prey_grass.parameters import changed_parameters, check_parameters, parameters_in
from envs.predator_prey_grass.rules import BIRTH_REWARD, Rules


def make_table(rules: Rules, parameters: NDArray[np.float64]) -> layout.Table:
    """The rules as the kernel reads them; those that may change are views of `State.parameters`."""
    species = rules.species
    roles = {"predator": layout.PREDATOR, "prey": layout.PREY}
    is_fixed_point = rules.observation_dtype == "uint8"
    return layout.Table(
        role=np.array([roles[each.role] for each in species], np.int64),
        initial_count=parameters[layout.INITIAL_COUNT],
        initial_energy=np.array([each.initial_energy for each in species], np.float64),
        decay=parameters[layout.DECAY],
        birth_energy=parameters[layout.BIRTH_ENERGY],
        sight=np.array([each.window // 2 for each in species], np.int64),
        slots=np.array([each.slots for each in species], np.int64),
        ids=np.array([each.ids for each in species], np.int64),
        width=rules.width,
        height=rules.height,
        margin=margin_of(rules),
        max_steps=rules.max_steps,
        grass_start=rules.grass.initial_energy,
        grass_max=rules.grass.max_energy,
        grass_growth=rules.grass.growth,
        birth_reward=BIRTH_REWARD,
        animal_scale=10.0 if is_fixed_point else 1.0,
        grass_scale=100.0 if is_fixed_point else 1.0,
        rounding=0.5 if is_fixed_point else 0.0,
        brightest=255.0 if is_fixed_point else np.inf,
        wall=255.0 if is_fixed_point else 1.0,
    )


def margin_of(rules: Rules) -> int:
    """How far beyond the border somebody may look."""
    return max(1, *(each.window // 2 for each in rules.species))


def most_slots(rules: Rules) -> int:
    """Slots of an array that has room for every species."""
    return max(each.slots for each in rules.species)


def make_state(rules: Rules, num_worlds: int) -> layout.State:
    """Room for worlds that nobody lives in yet."""
    b, s, k, g = num_worlds, len(rules.species), most_slots(rules), rules.grass.count
    return layout.State(
        generator=np.zeros(b, np.uint64),
        clock=np.zeros((b, 2), np.int64),
        population=np.zeros((b, s), np.int64),
        next_id=np.zeros((b, s), np.int64),
        traits=np.zeros((b, s, 5, k), np.int32),
        energy=np.zeros((b, s, k), np.float64),
        grass_cells=np.zeros((b, g), np.int32),
        grass_energy=np.zeros((b, g), np.float64),
        counts=np.zeros((b, s, 9), np.int64),
        ledger=np.zeros((b, 5), np.float64),
        totals=np.zeros((s, 9), np.int64),
        total_steps=np.zeros(1, np.int64),
        parameters=parameters_in(rules),
    )


def make_scratch(rules: Rules, num_worlds: int) -> layout.Scratch:
    """Room for what follows from a state, and for what a step leaves."""
    b, s, k, margin = num_worlds, len(rules.species), most_slots(rules), margin_of(rules)
    cells = (rules.width + 2 * margin) * (rules.height + 2 * margin)
    dtype = np.dtype(rules.observation_dtype)
    most_words = max(each.slots * each.window**2 for each in rules.species) * dtype.itemsize * b
    board = np.zeros((b, cells * layout.CHANNELS), dtype)
    return layout.Scratch(
        board=board,
        words=board.view(np.uint32),
        occupant=np.zeros((b, s, cells), np.int32),
        grass_at=np.zeros((b, cells), np.int32),
        grass_spots=np.zeros((b, rules.grass.count), np.int32),
        cells=np.zeros(rules.width * rules.height, np.int32),
        order=np.zeros(s * k, np.int32),
        acted=np.zeros(s, np.int64),
        acts=np.zeros((s, 7, k), np.int32),
        rows=np.zeros(s, np.int64),
        starts=np.zeros((2, s), np.int64),
        rewards=np.zeros((s, b * k), np.float32),
        fortunes=np.zeros((s, b * k), np.int32),
        ended=np.zeros((s, b * k), np.uint8),
        next_rows=np.zeros((s, b * k), np.int32),
        truncated=np.zeros((s, most_words), np.uint32),
        truncated_rows=np.zeros(s, np.int64),
        finished=np.zeros((b, 4), np.int64),
        finished_counts=np.zeros((b, s, 10), np.int64),
        finished_ledger=np.zeros((b, 5), np.float64),
    )


def check_state(given: Mapping[str, NDArray[Any]], like: layout.State, rules: Rules) -> None:
    """Refuse what the kernel must not be let loose on.

    Raises:
        ValueError: A name, shape or dtype does not fit, or a position or count lies outside the world.
    """
    expected = like._asdict()
    for name in sorted(expected.keys() ^ given.keys()):
        raise ValueError(f"state.{name}: " + ("is missing" if name in expected else "unknown name"))
    for name, array in expected.items():
        value = given[name]
        if value.shape != array.shape or value.dtype != array.dtype:
            raise ValueError(
                f"state.{name}: must be {array.dtype} of shape {array.shape}, got {value.dtype} of shape {value.shape}"
            )
    for name, array in expected.items():
        if array.dtype == np.float64 and not np.isfinite(given[name]).all():
            raise ValueError(f"state.{name}: must be finite")
    limits: list[tuple[str, NDArray[Any], int]] = [
        ("population", given["population"], most_slots(rules)),
        ("traits x", given["traits"][:, :, layout.X], rules.width - 1),
        ("traits y", given["traits"][:, :, layout.Y], rules.height - 1),
        ("grass_cells", given["grass_cells"], rules.width * rules.height - 1),
    ]
    for name, values, high in limits:
        if values.size and not 0 <= values.min() <= values.max() <= high:
            raise ValueError(f"state.{name}: must be in 0..{high}, got {values.min()}..{values.max()}")
    check_parameters(rules, given["parameters"])


class Memory:
    """All arrays of B worlds under the same rules; `kernel.f(*memory.all)` is how an entry takes them."""

    def __init__(self, rules: Rules, num_worlds: int) -> None:
        self.rules = rules
        self.state = make_state(rules, num_worlds)
        self.scratch = make_scratch(rules, num_worlds)
        self.all = tuple(self.state), tuple(self.scratch), tuple(make_table(rules, self.state.parameters))
        self.actions = np.zeros(self.scratch.rewards.shape, np.int64)

    def step(self, resets: bool) -> int:
        """Let everyone act as `actions` says, one per row; how many episodes ended.

        Args:
            resets: Whether a world whose episode ended starts the next one.

        Raises:
            ValueError: An action is out of range; nothing has happened then.
        """
        finished = kernel.step_worlds(*self.all, self.actions, resets)
        if finished < 0:
            acting = np.concatenate([given[:rows] for given, rows in zip(self.actions, self.scratch.rows, strict=True)])
            illegal = acting[(acting < 0) | (acting >= layout.ACTIONS)]
            raise ValueError(f"actions: must be in 0..{layout.ACTIONS - 1}, got {illegal[0]}")
        return finished

    def set_parameters(self, species: str, values: Mapping[str, Any]) -> None:
        """Put other values in force at once; how many found a species is first asked at a world's next reset.

        Raises:
            ValueError: There is no such species or parameter, or a value is not legal; nothing has changed then.
        """
        self.state.parameters[...] = changed_parameters(self.rules, self.state.parameters, species, values)

    def get_state(self) -> dict[str, NDArray[Any]]:
        """Copies of the arrays of `State`, by name."""
        return {name: array.copy() for name, array in self.state._asdict().items()}

    def set_state(self, given: Mapping[str, NDArray[Any]]) -> None:
        """Put in what `get_state` gave.

        Raises:
            ValueError: A name, shape, dtype or value does not fit; nothing has changed then.
        """
        check_state(given, self.state, self.rules)
        for name, array in self.state._asdict().items():
            array[...] = given[name]
        kernel.rebuild_worlds(*self.all)
