"""The PettingZoo face: one world, agents by name."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import gymnasium
import numpy as np
from numpy.typing import NDArray
from pettingzoo import ParallelEnv

from envs.predator_prey_grass import kernel, layout
from envs.predator_prey_grass.arrays import Memory, margin_of
from envs.predator_prey_grass.batched import Worlds, make_spaces
from envs.predator_prey_grass.frame import make_frame, write_frame
from envs.predator_prey_grass.outcome import Dicts, make_windows, tell
from envs.predator_prey_grass.picture import draw_frame
from envs.predator_prey_grass.roster import Info, Roster
from envs.predator_prey_grass.rules import Rules
from envs.predator_prey_grass.scripted import BASELINES, Forager, Hunter, Stay, make_baseline
from envs.predator_prey_grass.window import Window

RENDER_MODES = ("rgb_array", "ansi", "human")


class PredatorPreyGrass(ParallelEnv[str, NDArray[Any], int]):  # type: ignore[misc]  # PettingZoo ships no types
    """Predators eat prey, prey eat grass, everyone pays for living, whoever has the energy has a child.

    A birth earns its parent a reward of 10, nothing else earns any. An agent is named `<species>_<number>`; a number is
    given once an episode. A child joins `agents` and all five dictionaries in the step of its birth and acts from the
    next one; a dead agent is in the dictionaries of the step of its death and in no later ones. The episode ends when a
    species is extinct (survivors terminate) or at `max_steps` (survivors truncate); births of that step are rewarded,
    the children not announced.

    Observations are `(w, w, 4)`: first index x, second y, centred on oneself; channels wall, predators, prey, grass, in
    the fixed point or raw energy that `Rules.observation_dtype` says. Actions are `3 (dx + 1) + (dy + 1)`, 4 stays.
    `infos[id]` holds `parent` (a name, or None for a founder), `age` (env steps) and `cause` (of death, or None).
    """

    metadata: dict[str, Any] = {  # noqa: RUF012  # PettingZoo's own declaration
        "name": "predator_prey_grass_v0",
        "render_modes": list(RENDER_MODES),
        "render_fps": 15,
        "is_parallelizable": True,
    }

    def __init__(self, rules: Rules, render_mode: str | None = None) -> None:
        if render_mode is not None and render_mode not in RENDER_MODES:
            raise ValueError(f"render_mode: must be one of {', '.join(RENDER_MODES)}, got {render_mode!r}")
        self.rules = rules
        self.render_mode = render_mode
        self.species = tuple(each.name for each in rules.species)
        self.baselines = BASELINES
        self._roster = Roster(rules)
        self.possible_agents = self._roster.possible
        self.agents: list[str] = []
        self._observation_spaces, self._action_spaces = make_spaces(rules)
        brightest = 255 if rules.observation_dtype == "uint8" else np.inf
        shape, dtype = (rules.width, rules.height, layout.CHANNELS), np.dtype(rules.observation_dtype)
        self.state_space = gymnasium.spaces.Box(0, brightest, shape, dtype.type)
        self._memory = Memory(rules, 1)
        self._is_seeded = False
        self._history: list[list[int]] = []
        self._window: Window | None = None

    def observation_space(self, agent: str) -> gymnasium.Space[Any]:
        """The species' space: one object for all its agents."""
        return self._observation_spaces[self.species_of(agent)]

    def action_space(self, agent: str) -> gymnasium.Space[Any]:
        """The species' space: one object for all its agents."""
        return self._action_spaces[self.species_of(agent)]

    def species_of(self, agent_id: str) -> str:
        """The species that the agent belongs to."""
        return agent_id.rpartition("_")[0]

    def batched(self, num_worlds: int) -> Worlds:
        """Fresh worlds under the same rules, stepped together."""
        return Worlds(self.rules, num_worlds)

    def baseline(self, name: str, species: str) -> Stay | Hunter | Forager:
        """One of `baselines`: a scripted policy for a species, which sees what a learned one sees.

        Raises:
            ValueError: There is no such baseline, or no such species.
        """
        if species not in self.species:
            raise ValueError(f"species: must be one of {', '.join(self.species)}, got {species!r}")
        return make_baseline(name, self.rules.species[self.species.index(species)])

    def reset(
        self, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[dict[str, NDArray[Any]], dict[str, Info]]:
        """Start an episode; without a seed the generator goes on, or is seeded by the system the first time."""
        del options
        if seed is not None or not self._is_seeded:
            seeds = np.random.SeedSequence(seed).generate_state(1, np.uint64)
        else:
            seeds = self._memory.state.generator.copy()
        kernel.reset_worlds(*self._memory.all, seeds, np.zeros(1, np.int64))
        self._is_seeded = True
        self._roster.call(self._memory.state)
        self.agents = [name for names in self._roster.names for name in names]
        self._history = [self._memory.state.population[0].tolist()]
        self._memory.scratch.acted[:] = 0
        observations: dict[str, NDArray[Any]] = {}
        infos: dict[str, Info] = {}
        for s, names in enumerate(self._roster.names):
            windows, words = make_windows(self.rules, s, len(names))
            kernel.observe_rows(*self._memory.all, s, words)
            observations.update(zip(names, windows, strict=True))
            infos.update(zip(names, self._roster.infos(s, 0), strict=True))
        if self.render_mode == "human":
            self.render()
        return observations, infos

    def step(self, actions: Mapping[str, int]) -> Dicts:
        """Let every agent act once; five empty dictionaries once the episode is over.

        Raises:
            ValueError: The actions are not exactly one in 0..8 for each of `agents`; nothing has happened then.
            RuntimeError: Not reset yet.
        """
        if not self._is_seeded:
            raise RuntimeError("step: reset() comes first")
        results: Dicts = ({}, {}, {}, {}, {})
        if not self.agents:
            return results
        self._take(actions)
        is_over = self._memory.step(resets=False) > 0
        self._history.append(self._memory.state.population[0].tolist())
        for s in range(len(self.species)):
            tell(results, s, is_over, self._memory, self._roster)
        self.agents = [] if is_over else [name for names in self._roster.names for name in names]
        if self.render_mode == "human":
            self.render()
        return results

    def state(self) -> NDArray[Any]:
        """`(width, height, 4)`: the whole grid as observations show it; a copy."""
        margin = margin_of(self.rules)
        board = self._memory.scratch.board[0].reshape(self.rules.width + 2 * margin, -1, layout.CHANNELS)
        whole: NDArray[Any] = board[margin:-margin, margin:-margin].copy()
        return whole

    def render(self) -> NDArray[np.uint8] | str | None:
        """By render mode: `(height, width, 3)` uint8, a text, or None and a window."""
        if self.render_mode is None:
            raise ValueError(f"render: needs a render_mode, one of {', '.join(RENDER_MODES)}")
        frame = make_frame(self._memory, self._history)
        if self.render_mode == "ansi":
            return write_frame(frame)
        picture = draw_frame(frame)
        if self.render_mode == "rgb_array":
            return picture
        if self._window is None:
            self._window = Window(self.metadata["name"], picture.shape[1], picture.shape[0])
        self._window.show(picture)
        return None

    def close(self) -> None:
        """Close the window, if there is one."""
        if self._window is not None:
            self._window.close()
            self._window = None

    def get_state(self) -> dict[str, NDArray[Any]]:
        """Everything that `set_state` needs to go on bit for bit, the generator and the populations so far included.

        What `render` marks of the last step (births, deaths) is not in it.
        """
        return self._memory.get_state() | {
            "is_seeded": np.array(self._is_seeded),
            "is_over": np.array(not self.agents),
            "history": np.array(self._history, np.int64).reshape(-1, len(self.species)),
        }

    def set_state(self, state: Mapping[str, NDArray[Any]]) -> None:
        """Go on from where `get_state` was called, also on a fresh object with the same rules.

        Raises:
            ValueError: A name, shape, dtype or value does not fit; nothing has changed then.
        """
        own = {"is_seeded": ((), np.bool_), "is_over": ((), np.bool_), "history": (None, np.int64)}
        for name, (shape, dtype) in own.items():
            if name not in state or state[name].dtype != dtype or shape not in (None, state[name].shape):
                got = f"{state[name].dtype} of shape {state[name].shape}" if name in state else "nothing"
                raise ValueError(
                    f"state.{name}: must be {np.dtype(dtype)}{'' if shape is None else ' of shape ()'}, got {got}"
                )
        if state["history"].shape[1:] != (len(self.species),):
            raise ValueError(f"state.history: must be of shape (n, {len(self.species)}), got {state['history'].shape}")
        self._memory.set_state({name: array for name, array in state.items() if name not in own})
        self._memory.scratch.acted[:] = 0
        self._is_seeded = bool(state["is_seeded"])
        self._history = state["history"].tolist()
        self._roster.call(self._memory.state)
        self.agents = [] if state["is_over"] else [name for names in self._roster.names for name in names]

    def __getstate__(self) -> dict[str, Any]:
        return {"rules": self.rules, "render_mode": self.render_mode, "state": self.get_state()}

    def __setstate__(self, saved: dict[str, Any]) -> None:
        self.__init__(saved["rules"], saved["render_mode"])  # type: ignore[misc]  # unpickling starts from nothing
        self.set_state(saved["state"])

    def _take(self, actions: Mapping[str, int]) -> None:
        """Put the actions where the kernel reads them."""
        try:
            for s, names in enumerate(self._roster.names):
                self._memory.actions[s, : len(names)] = [actions[name] for name in names]
        except KeyError as missing:
            raise ValueError(f"actions: must hold one for each of agents, {missing} is missing") from None
        if len(actions) != len(self.agents):
            strangers = sorted(set(actions) - set(self.agents))
            raise ValueError(f"actions: must be of agents alone, got {', '.join(strangers)}")
