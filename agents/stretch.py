"""What a learner keeps count of while it steps worlds: a stretch of training, told as a report.

Every learner needs it, whatever it learns with; so it knows of worlds only, not of policies.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from marl_pbt.protocols import FinishedEpisode

if TYPE_CHECKING:
    from marl_pbt.protocols import Episode, Tensors, Worlds

_NEVER = -1


@dataclass(frozen=True)
class Hosted:
    """Who played an episode beside the learner.

    Attributes:
        guest: Its name.
        trained: The species that was the learner's own.
    """

    guest: str
    trained: str


_BY_ONESELF = Hosted("", "")


class EpisodeLog:
    """Tells the episodes that one line of policies played whole from those in which a policy was replaced.

    All worlds step together, so an episode of length n that ends at env step t began at t − n: whether a species was
    adopted meanwhile follows from the env step of its last adoption alone.
    """

    def __init__(self, species: Sequence[str]) -> None:
        self._env_step = 0
        self._adopted_at = dict.fromkeys(species, _NEVER)
        self._finished: list[FinishedEpisode] = []

    def after_step(self, episodes: Sequence[Episode], hosted: Mapping[int, Hosted | None] | None = None) -> None:
        """Note that all worlds made one step, in which these episodes ended.

        Args:
            episodes: Those not `counted` are dropped.
            hosted: By world who played them, where guests did; None drops an episode too.
        """
        self._env_step += 1
        hosted = hosted or {}
        for episode in episodes:
            guest = hosted.get(episode.world, _BY_ONESELF)
            if not episode.counted or guest is None:
                continue
            began_at = self._env_step - episode.length
            own = {
                name: began_at >= adopted_at and guest.trained in ("", name)
                for name, adopted_at in self._adopted_at.items()
            }
            finished = FinishedEpisode(episode.length, dict(episode.returns), dict(episode.metrics), own, guest.guest)
            self._finished.append(finished)

    def mark_adopted(self, species: str) -> None:
        """Note that the species' policy was replaced now: the episodes in progress are not its own."""
        self._adopted_at[species] = self._env_step

    def drain(self) -> tuple[FinishedEpisode, ...]:
        """The episodes since the last call, oldest first."""
        finished, self._finished = tuple(self._finished), []
        return finished

    def get_state(self) -> Tensors:
        """`env_step` and `adopted_at`, int64; there are no finished episodes between two stretches."""
        adopted_at = np.array(list(self._adopted_at.values()), dtype=np.int64)
        return {"env_step": np.array(self._env_step, dtype=np.int64), "adopted_at": adopted_at}

    def set_state(self, state: Mapping[str, NDArray[Any]]) -> None:
        """Go on from `get_state`."""
        self._env_step = int(state["env_step"])
        self._adopted_at = {name: int(step) for name, step in zip(self._adopted_at, state["adopted_at"], strict=True)}
        self._finished = []


def read_counters(worlds: Worlds) -> dict[str, float]:
    """What the worlds count, by tag, cumulative over all worlds: their optional method `counters()`."""
    counters = getattr(worlds, "counters", None)
    return dict(counters()) if counters is not None else {}


def ecology_rates(before: Mapping[str, float], after: Mapping[str, float], env_steps: int) -> dict[str, float]:
    """Turn two readings of the counters into rates by tag.

    Args:
        before: Counters at the start of the stretch.
        after: Counters at its end.
        env_steps: Steps of one world in between.

    Returns:
        `ecology/<species>_population` for a counter `<species>/population` (a sum over env steps), and
        `rates/<tag>_per_1000_env_steps` for every other one.
    """
    rates: dict[str, float] = {}
    for tag, total in after.items():
        if tag == "env_steps":
            continue
        per_env_step = (total - before.get(tag, 0.0)) / env_steps
        species, slash, counter = tag.rpartition("/")
        if slash and counter == "population":
            rates[f"ecology/{species}_population"] = per_env_step
        else:
            rates[f"rates/{tag}_per_1000_env_steps"] = 1000 * per_env_step
    return rates
