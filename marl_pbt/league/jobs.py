"""A match of a league as something that any process can do, with the same result."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import lru_cache
from typing import Any

from marl_pbt.environments import EnvironmentSource
from marl_pbt.league.assembly import Entrant, League
from marl_pbt.league.schedule import Pairing
from marl_pbt.matches import Played, play
from marl_pbt.protocols import Worlds
from marl_pbt.seats import Seat, taken
from marl_pbt.streams import stream_seed

SCHEMA = 1
BLOCK = 10
"""Episodes that are played at once: enough for the kernels, few enough for those that wait for the longest.

Whole blocks are known again when more episodes are asked for.
"""


@dataclass(frozen=True)
class Rules:
    """How a league plays.

    Attributes:
        episodes: Per pairing.
        seed: Episode number n begins alike in every pairing.
        greedy: The likeliest actions instead of sampled ones.
    """

    episodes: int
    seed: int
    greedy: bool


@dataclass(frozen=True)
class Episodes:
    """What the episodes of a pairing gave, column by column.

    Attributes:
        returns: Per species.
        lengths: Env steps.
        metrics: What the environment counts, by tag; NaN for an episode that has it not.
        agent_steps: Played in all, see `marl_pbt.matches.Played`.
    """

    returns: Mapping[str, tuple[float, ...]]
    lengths: tuple[float, ...]
    metrics: Mapping[str, tuple[float, ...]]
    agent_steps: int

    @classmethod
    def of(cls, played: Played, species: Sequence[str]) -> Episodes:
        """From the episodes as the worlds told them."""
        episodes = played.episodes
        tags = sorted({tag for episode in episodes for tag in episode.metrics})
        return cls(
            returns={name: tuple(float(episode.returns[name]) for episode in episodes) for name in species},
            lengths=tuple(float(episode.length) for episode in episodes),
            metrics={tag: tuple(float(each.metrics.get(tag, math.nan)) for each in episodes) for tag in tags},
            agent_steps=played.agent_steps,
        )

    @classmethod
    def joined(cls, parts: Sequence[Episodes]) -> Episodes:
        """Blocks of one pairing, one after the other."""
        tags = sorted({tag for part in parts for tag in part.metrics})
        return cls(
            returns={name: sum((part.returns[name] for part in parts), ()) for name in parts[0].returns},
            lengths=sum((part.lengths for part in parts), ()),
            metrics={
                tag: sum((part.metrics.get(tag, (math.nan,) * len(part.lengths)) for part in parts), ()) for tag in tags
            },
            agent_steps=sum(part.agent_steps for part in parts),
        )


@dataclass(frozen=True)
class Job:
    """A block of episodes of one pairing; plain data.

    Attributes:
        pairing: Whose.
        title: For people: `hunter × grazer`.
        key: Hexadecimal; equal for jobs that give the same episodes.
        environment: Where it is played.
        seats: Per species.
        episodes: How many, at once.
        seed: Of this block.
        greedy: As in `Rules`.
    """

    pairing: Pairing
    title: str
    key: str
    environment: EnvironmentSource
    seats: Mapping[str, Seat]
    episodes: int
    seed: int
    greedy: bool

    def run(self) -> Episodes:
        """Play."""
        worlds = _opened(json.dumps(asdict(self.environment), sort_keys=True), self.episodes)
        policies = taken(self.seats, self.environment, worlds)
        return Episodes.of(play(worlds, policies, self.seed, self.greedy), worlds.species)


def jobs_of(league: League, pairing: Pairing, rules: Rules) -> list[Job]:
    """The blocks of a pairing."""
    players = {name: league.entrants[name][nth] for name, nth in zip(league.species, pairing, strict=True)}
    return [
        Job(
            pairing=pairing,
            title=" × ".join(each.label for each in players.values()),
            key=_key(league, players, (episodes, seed, rules.greedy)),
            environment=league.environment,
            seats={name: each.seat for name, each in players.items()},
            episodes=episodes,
            seed=seed,
            greedy=rules.greedy,
        )
        for episodes, seed in _blocks(rules)
    ]


def _blocks(rules: Rules) -> Iterator[tuple[int, int]]:
    """Episodes and seed of each block."""
    for nth, begin in enumerate(range(0, rules.episodes, BLOCK)):
        yield min(BLOCK, rules.episodes - begin), stream_seed(rules.seed, "evaluate", generation=nth)


def _key(league: League, players: Mapping[str, Entrant], played: tuple[int, int, bool]) -> str:
    settings: dict[str, Any] = {
        "schema": SCHEMA,
        "code": league.code,
        "environment": asdict(league.environment),
        "players": {name: each.digest for name, each in players.items()},
        "episodes, seed, greedy": played,
    }
    return hashlib.sha256(json.dumps(settings, sort_keys=True).encode()).hexdigest()[:32]


@lru_cache(maxsize=2)
def _opened(environment: str, episodes: int) -> Worlds:
    """Worlds of this process, used again from match to match: a reset makes them new."""
    return EnvironmentSource(**json.loads(environment)).open_worlds(episodes)
