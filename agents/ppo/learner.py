"""The PPO learner: one joint rollout of all species, then each learns from its own rows."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from agents.ppo.species import SpeciesPPO
from agents.stretch import EpisodeLog, ecology_rates, read_counters
from agents.tensors import check_names, under, within
from marl_pbt.protocols import Clocks, TrainingReport

if TYPE_CHECKING:
    from agents.ppo.settings import PPOSettings
    from marl_pbt.protocols import HyperparameterValue, Interface, OptimizerState, Tensors, Worlds


class PPOLearner:
    """Independent PPO per species: `marl_pbt.protocols.Learner`.

    Args:
        settings: What it is built with.
        interface: Species and their spaces.
        worlds: Where it plays; reset here.
        seed: Weights, worlds and draws follow from it alone.
    """

    def __init__(self, settings: PPOSettings, interface: Interface, worlds: Worlds, seed: int) -> None:
        world_seeds, *species_seeds = np.random.SeedSequence(seed).spawn(1 + len(interface.species))
        self._worlds = worlds
        self._n_steps = settings.n_steps
        self._species = {
            name: SpeciesPPO(
                name,
                settings.species[name],
                (interface.observation_spaces[name], interface.action_spaces[name]),
                settings.device,
                seeds,
            )
            for name, seeds in zip(interface.species, species_seeds, strict=True)
        }
        self._log = EpisodeLog(interface.species)
        worlds.reset(int(world_seeds.generate_state(1)[0]))

    @property
    def species(self) -> tuple[str, ...]:
        """Names of the species, in the worlds' order."""
        return tuple(self._species)

    def species_ppo(self, name: str) -> SpeciesPPO:
        """One species' part; for looking into it."""
        return self._species[name]

    def set_hyperparameters(self, species: str, values: Mapping[str, HyperparameterValue]) -> None:
        """Put values in force before the next optimiser step; names not given stay as they are.

        Raises:
            ValueError: A name is unknown or a value is not legal; nothing has changed.
        """
        self._species[species].set_hyperparameters(values)

    def get_hyperparameters(self, species: str) -> dict[str, HyperparameterValue]:
        """All values in force, as plain Python values."""
        return self._species[species].get_hyperparameters()

    def update(self) -> TrainingReport:
        """Play one rollout, learn from it, report on it.

        Raises:
            DivergedError: A species' loss or parameters are no longer finite.
        """
        began = time.perf_counter()
        before = read_counters(self._worlds)
        self.collect()
        collected = time.perf_counter()
        env_steps = self._n_steps * self._worlds.num_worlds
        agent_steps = sum(species.buffer.size() for species in self._species.values())
        metrics = ecology_rates(before, read_counters(self._worlds), env_steps)
        for species in self._species.values():
            metrics |= species.train()
        trained = time.perf_counter()
        metrics |= {"time/rollout_s": collected - began, "time/train_s": trained - collected}
        clocks = Clocks(agent_steps, env_steps, updates=1, seconds=trained - began)
        notes = {f"{name}/update_path": species.model.path_in_use for name, species in self._species.items()}
        return TrainingReport(clocks, self._log.drain(), metrics, {tag: path for tag, path in notes.items() if path})

    def collect(self) -> None:
        """Step all worlds; every species keeps its rows."""
        for species in self._species.values():
            species.open_rollout()
        for _ in range(self._n_steps):
            actions = [species.act(self._worlds, index) for index, species in enumerate(self._species.values())]
            result = self._worlds.step(actions)
            for index, species in enumerate(self._species.values()):
                species.record(result, index)
            self._log.after_step(result.episodes)
        for index, species in enumerate(self._species.values()):
            species.close_rollout(self._worlds, index)

    def snapshot(self, species: str) -> Tensors:
        """One species whole: `policy/…` and `optimizer/…`, as copies."""
        return self._species[species].snapshot()

    def adopt(self, species: str, tensors: Mapping[str, NDArray[Any]], optimizer_state: OptimizerState) -> None:
        """Take over another learner's `snapshot` of the species; see `marl_pbt.protocols.Learner.adopt`.

        Raises:
            ValueError: The tensors do not fit the architecture or are not finite; nothing has changed.
        """
        self._species[species].adopt(tensors, optimizer_state)
        self._log.mark_adopted(species)

    def get_state(self) -> Tensors:
        """Everything: `<species>/…`, `worlds/…`, `episodes/…`."""
        state = under("worlds", self._worlds.get_state()) | under("episodes", self._log.get_state())
        for name, species in self._species.items():
            state |= under(name, species.get_state())
        return state

    def set_state(self, state: Mapping[str, NDArray[Any]]) -> None:
        """Go on from `get_state`, bit for bit, also on a fresh learner of the same settings.

        Raises:
            ValueError: The state is not one of this learner's.
        """
        check_names(state, self.get_state())
        for name, species in self._species.items():
            species.set_state(within(name, state))
        self._worlds.set_state(within("worlds", state))
        self._log.set_state(within("episodes", state))
