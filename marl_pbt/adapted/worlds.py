"""The face of adapted worlds: `marl_pbt.protocols.Worlds` over copies of any PettingZoo parallel environment."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from itertools import accumulate, pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from marl_pbt.adapted.actions import ActionKind, deal
from marl_pbt.adapted.copies import Copy, Root
from marl_pbt.adapted.living import Seen
from marl_pbt.adapted.outcome import Outcome, RowBlock, put_together, seen_of, truncated_of
from marl_pbt.adapted.phases import begin_in_phase, begin_out_of_phase
from marl_pbt.adapted.species import Patterns, read_species
from marl_pbt.adapted.state import NEVER_BEGUN, ROOT_WORDS, Layout, replay, root_of, write_state
from marl_pbt.protocols import Tensors

logger = logging.getLogger(__name__)


class AdaptedWorlds:
    """Copies of an environment, stepped one after the other in this process.

    Rows of a species are ordered world after world, in each as the environment's `agents`. Actions are `(rows,)` int64
    for Discrete spaces, `(rows, *shape)` int64 for MultiDiscrete ones and in the space's dtype for Boxes.

    Episode n of world b is reset with a seed that follows from the seed of `reset`, b and n; the copies' spaces are
    not sampled from. A state holds what was done since the worlds' resets, and `set_state` does it again: bit for bit
    where the environment is a function of its seed and actions. What an environment does wrong is a `ValueError` that
    names world and agent; the worlds are then of no use until `reset`.

    Args:
        make: Makes one copy; must be picklable for the worlds to be.
        num_worlds: How many copies.
        patterns: As in `read_species`.

    Raises:
        UserError: The environment's agents or spaces do not fit; one line per fault.
    """

    def __init__(self, make: Callable[[], Any], num_worlds: int, patterns: Patterns | None = None) -> None:
        if num_worlds < 1:
            raise ValueError(f"num_worlds: must be at least 1, got {num_worlds}")
        self._environments = [make()]  # the others follow at `reset`: one is enough to look at
        self._table = read_species(self._environments[0], patterns)
        self.num_worlds = num_worlds
        self.species = self._table.names
        self.observation_spaces = self._table.observation_spaces
        self.action_spaces = self._table.action_spaces
        self.max_rows = tuple(size * num_worlds for size in self._table.sizes)
        self._make, self._patterns = make, patterns
        kinds = tuple(ActionKind(name, self.action_spaces[name]) for name in self.species)
        self._layout = Layout(self.species, kinds, num_worlds)
        self._blocks = [RowBlock(self.observation_spaces[name]) for name in self.species]
        self._root: Root = ()
        self._copies: list[Copy] = []
        self._show([])

    def reset(self, seed: int, in_phase: bool = False) -> None:
        """Start every world anew; out of phase, world b first plays `floor(b * length / num_worlds)` random steps.

        The length is that of one episode of random actions, at most 1000. An episode that began with random
        steps is not `counted`.

        Args:
            seed: Of all randomness from here on.
            in_phase: Every world begins a whole episode now.
        """
        self._root = tuple(int(word) for word in np.random.SeedSequence(seed).generate_state(ROOT_WORDS))
        self._copies = self._made_copies()
        if in_phase:
            self._show(begin_in_phase(self._copies, self._root))
        else:
            probe = Copy(self._environments[0], self.num_worlds, self._table, self._layout.kinds)
            self._show(begin_out_of_phase(self._copies, probe, self._root))

    def rows(self) -> tuple[int, ...]:
        """Per species: the living agents now, over all worlds."""
        return tuple(sum(each) for each in self._counts)

    def worlds_of(self, species: int) -> NDArray[np.int64]:
        """`(rows,)` int64: the world that each row belongs to; a copy."""
        return np.repeat(np.arange(len(self._copies)), self._counts[species])

    def observe(self, species: int, out: NDArray[Any]) -> int:
        """Write the observations of a species' living agents; how many there are.

        Args:
            species: Index into `species`.
            out: `(at least rows, *shape)` in the space's dtype, C-contiguous.

        Raises:
            ValueError: `out` has another shape, dtype or layout.
        """
        block = self._blocks[species]
        rows = block.rows
        is_fit = out.shape[1:] == block.shape and len(out) >= len(rows) and out.dtype == block.dtype
        if not is_fit or not out.flags.c_contiguous:
            raise ValueError(
                f"out: must be {block.dtype}, C-contiguous, of shape {block.shape} times at least {len(rows)} rows, "
                f"got {out.dtype} of shape {out.shape}"
            )
        out[: len(rows)] = rows
        return len(rows)

    def step(self, actions: Sequence[NDArray[Any]]) -> Outcome:
        """Let every living agent act once; per species an action per row.

        Raises:
            ValueError: Actions do not fit, and nothing has happened; or the environment did something wrong.
            RuntimeError: There are no worlds yet.
        """
        dealt = deal(self._layout.kinds, self._checked(actions), self._bounds)
        turns = [copy.step(moves, kept) for copy, (moves, kept) in zip(self._copies, dealt, strict=True)]
        before = self._counts
        self._show([turn.seen for turn in turns])
        rewards, ended, next_rows = put_together(turns, before, self._counts)
        return Outcome(
            rewards=rewards,
            ended=ended,
            next_rows=next_rows,
            truncated_observations=tuple(truncated_of(turns, s, block) for s, block in enumerate(self._blocks)),
            episodes=tuple(turn.change.episode for turn in turns if turn.change and turn.change.episode),
        )

    def get_state(self) -> Tensors:
        """Everything that `set_state` needs to go on bit for bit; see `write_state` for what is in it; copies."""
        return write_state(self._layout, self._root, self._copies, self._blocks)

    def set_state(self, state: Mapping[str, NDArray[Any]]) -> None:
        """Go on from where `get_state` was called, also on a fresh object of the same environment.

        A world whose replay does not lead where it was begins its next episode instead, and a warning is logged.

        Raises:
            ValueError: A name, shape, dtype or value does not fit; nothing has changed then.
        """
        self._layout.check(state)
        self._root = root_of(state)
        has_begun = (state["episode"] != NEVER_BEGUN).all()
        self._copies = self._made_copies() if has_begun else []
        seen, lost = [], []
        for copy in self._copies:
            again = replay(copy, self._layout, state)
            if again is None:
                lost.append(copy.world)
                again = copy.begin(self._root, int(state["episode"][copy.world]) + 1)
            seen.append(again)
        if lost:
            logger.warning(
                "worlds %s begin a new episode: doing the same again after a reset with the same seed did not lead "
                "to where they were",
                ", ".join(map(str, lost)),
            )
        self._show(seen)

    def __getstate__(self) -> dict[str, Any]:
        arguments = {"make": self._make, "num_worlds": self.num_worlds, "patterns": self._patterns}
        return {"arguments": arguments, "state": self.get_state()}

    def __setstate__(self, saved: dict[str, Any]) -> None:
        self.__init__(**saved["arguments"])  # type: ignore[misc]  # unpickling starts from nothing
        self.set_state(saved["state"])

    def _made_copies(self) -> list[Copy]:
        while len(self._environments) < self.num_worlds:
            self._environments.append(self._make())
        return [
            Copy(environment, world, self._table, self._layout.kinds)
            for world, environment in enumerate(self._environments)
        ]

    def _checked(self, actions: Sequence[NDArray[Any]]) -> list[NDArray[Any]]:
        if not self._copies:
            raise RuntimeError("step: there is nobody to act, reset(seed) comes first")
        if len(actions) != len(self.species):
            raise ValueError(f"actions: must be one array per species ({len(self.species)}), got {len(actions)}")
        return [
            kind.checked(given, rows)
            for kind, given, rows in zip(self._layout.kinds, actions, self.rows(), strict=True)
        ]

    def _show(self, seen: Sequence[Seen]) -> None:
        """These are the observations now, per world."""
        self._counts = [[len(copy.groups[species]) for copy in self._copies] for species in range(len(self.species))]
        ends = [list(pairwise(accumulate(counts, initial=0))) for counts in self._counts]
        self._bounds = list(zip(*ends, strict=True))
        is_sound = [block.write(seen_of(seen, species)) for species, block in enumerate(self._blocks)]
        if not all(is_sound):
            faults = (copy.fault_of(each) for copy, each in zip(self._copies, seen, strict=True))
            raise next((fault for fault in faults if fault), ValueError("observations cannot be put in rows"))
