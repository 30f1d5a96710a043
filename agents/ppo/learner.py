"""The PPO learner: one joint rollout of all species, then each learns from its own rows."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from agents.ppo.guests import GuestSeats, own_part
from agents.ppo.offered import terms_of
from agents.ppo.species import SpeciesPPO
from agents.stretch import EpisodeLog, ecology_rates, read_counters
from agents.tensors import check_names, under, within
from marl_pbt.protocols import Clocks, TrainingReport

if TYPE_CHECKING:
    from agents.ppo.settings import PPOSettings
    from marl_pbt.protocols import Guest, HyperparameterValue, Interface, OptimizerState, Tensors, Worlds


class PPOLearner:
    """Independent PPO per species: `marl_pbt.protocols.Learner`.

    Args:
        settings: What it is built with.
        interface: Species and their spaces.
        worlds: Where it plays; reset here.
        seed: Weights, worlds and draws follow from it alone.
    """

    def __init__(self, settings: PPOSettings, interface: Interface, worlds: Worlds, seed: int) -> None:
        world_seeds, *species_seeds, guest_seeds = np.random.SeedSequence(seed).spawn(2 + len(interface.species))
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
        self._guests = GuestSeats(worlds, guest_seeds)
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

    def architecture(self, species: str) -> Mapping[str, Any]:
        """What rebuilds the species' policy, at the widths that it has now."""
        return self._species[species].architecture

    def update(self) -> TrainingReport:
        """Play one rollout, learn from it, report on it.

        Raises:
            DivergedError: A species' loss or parameters are no longer finite.
        """
        began = time.perf_counter()
        before = read_counters(self._worlds)
        agent_steps = self.collect()
        collected = time.perf_counter()
        env_steps = self._n_steps * self._worlds.num_worlds
        metrics = ecology_rates(before, read_counters(self._worlds), env_steps)
        own_steps = sum(species.buffer.size() for species in self._species.values())
        if agent_steps > own_steps:
            metrics["guests/share_of_agent_steps"] = 1 - own_steps / agent_steps
        for species in self._species.values():
            metrics |= species.train()
        trained = time.perf_counter()
        metrics |= {"time/rollout_s": collected - began, "time/train_s": trained - collected}
        clocks = Clocks(agent_steps, env_steps, updates=1, seconds=trained - began)
        notes = {f"{name}/update_path": species.model.path_in_use for name, species in self._species.items()}
        return TrainingReport(clocks, self._log.drain(), metrics, {tag: path for tag, path in notes.items() if path})

    def host(self, guests: Sequence[Guest], share: float) -> None:
        """Let guests play in a share of the worlds; see `marl_pbt.protocols.HostsGuests`."""
        self._guests.host(guests, share)

    def collect(self) -> int:
        """Step all worlds; every species keeps the rows that are its own.

        Returns:
            Agent steps, those of guests included.
        """
        agent_steps = 0
        for species in self._species.values():
            species.open_rollout(self._worlds)
        own = self._guests.own_rows()
        for _ in range(self._n_steps):
            agent_steps += sum(self._worlds.rows())
            actions = [self._act(index, species, own[index]) for index, species in enumerate(self._species.values())]
            result = self._worlds.step(actions)
            hosted = self._guests.after_step(result.episodes)
            own_before, own = own, self._guests.own_rows()
            for index, species in enumerate(self._species.values()):
                terms = partial(terms_of, self._worlds, index, own_before[index])
                species.record(own_part(result, index, own_before[index], own[index]), terms)
            self._log.after_step(result.episodes, hosted)
        for index, species in enumerate(self._species.values()):
            species.close_rollout(*self._view(index, own[index]))
        return agent_steps

    def _act(self, index: int, species: SpeciesPPO, own: NDArray[np.bool_] | None) -> NDArray[np.int64]:
        actions = species.act(*self._view(index, own))
        return actions if own is None else self._guests.act(index, actions)

    def _view(self, index: int, own: NDArray[np.bool_] | None) -> tuple[int, Callable[[NDArray[Any]], object]]:
        """How many of a species' rows are to be learned from, and what writes their observations."""
        if own is None:
            return self._worlds.rows()[index], partial(self._worlds.observe, index)
        return int(own.sum()), partial(np.compress, own, self._guests.observe(index), 0)

    def snapshot(self, species: str) -> Tensors:
        """One species whole: `policy/…` and `optimizer/…`, as copies."""
        return self._species[species].snapshot()

    def adopt(self, species: str, tensors: Mapping[str, NDArray[Any]], optimizer_state: OptimizerState) -> None:
        """Take over another learner's `snapshot` of the species and its widths; see `marl_pbt.protocols.Learner.adopt`.

        Raises:
            ValueError: The tensors do not fit the architecture or are not finite; nothing has changed.
        """
        self._species[species].adopt(tensors, optimizer_state)
        self._log.mark_adopted(species)

    def get_state(self) -> Tensors:
        """Everything: `<species>/…`, `worlds/…`, `episodes/…`, `guests/…`."""
        state = under("worlds", self._worlds.get_state()) | under("episodes", self._log.get_state())
        state |= under("guests", self._guests.get_state())
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
        self._guests.set_state(within("guests", state))
