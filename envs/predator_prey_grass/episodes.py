"""What is told of a finished episode, and of all that happened so far."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from numpy.typing import NDArray

from envs.predator_prey_grass import layout
from envs.predator_prey_grass.rules import BIRTH_REWARD, Rules, Species


@dataclass(frozen=True)
class Episode:
    """One finished episode of one world.

    Attributes:
        world: Index of the world.
        length: Env steps from reset to end.
        counted: False for a first episode that was started out of phase, however it ended.
        returns: Per species: the sum of its individuals' rewards.
        metrics: By tag. Per species `<species>/…`: `births`, `births_blocked`, `eaten`, `starved`, `kills` (predators)
            or `grazed` (prey), `births_per_1000_steps`, `population_mean`, `population_min`, `population_max` (after
            each step; the extremes with the start), `age_at_death_mean` (env steps; 0 when nobody died),
            `return_per_individual`; `extinct/<species>` and `survived` (reached `max_steps`): 0 or 1; `energy_error`:
            what the energy ledger misses, rounding only.
    """

    world: int
    length: int
    counted: bool
    returns: Mapping[str, float]
    metrics: Mapping[str, float]


def make_episode(rules: Rules, outcome: NDArray[Any], counts: NDArray[Any], ledger: NDArray[Any]) -> Episode:
    """Put together what the kernel left: an entry of `Scratch.finished`, of its counts and of its ledger."""
    length, is_whole, verdict, world = (int(value) for value in outcome)
    metrics: dict[str, float] = {}
    for each, row in zip(rules.species, counts.tolist(), strict=True):
        metrics |= {f"{each.name}/{tag}": value for tag, value in _species_metrics(each, row, length).items()}
        metrics[f"extinct/{each.name}"] = float(row[layout.POPULATION_MIN] == 0)
    metrics["survived"] = float(verdict == layout.TRUNCATED)
    metrics["energy_error"] = float(
        ledger[layout.INITIAL]
        + ledger[layout.GROWN]
        - ledger[layout.DECAYED]
        - ledger[layout.LOST]
        - ledger[layout.PRESENT]
    )
    returns = {each.name: metrics[f"{each.name}/births"] * BIRTH_REWARD for each in rules.species}
    return Episode(world, length, bool(is_whole), returns, metrics)


def _species_metrics(species: Species, counts: list[int], length: int) -> dict[str, float]:
    births = counts[layout.BIRTHS]
    deaths = counts[layout.EATEN_COUNT] + counts[layout.STARVED_COUNT]
    return {
        "births": float(births),
        "births_blocked": float(counts[layout.BLOCKED]),
        "eaten": float(counts[layout.EATEN_COUNT]),
        "starved": float(counts[layout.STARVED_COUNT]),
        "kills" if species.role == "predator" else "grazed": float(counts[layout.MEALS]),
        "births_per_1000_steps": births * 1000 / length,
        "population_mean": counts[layout.POPULATION] / length,
        "population_min": float(counts[layout.POPULATION_MIN]),
        "population_max": float(counts[layout.POPULATION_MAX]),
        "age_at_death_mean": counts[layout.AGE_AT_DEATH] / max(deaths, 1),
        "return_per_individual": births * BIRTH_REWARD / (counts[layout.FOUNDERS] + births),
    }


def make_counters(rules: Rules, counts: NDArray[Any], env_steps: int) -> dict[str, float]:
    """Cumulative counts by tag from `(S, 9)` counts over all worlds, so that rates do not wait for an episode's end."""
    counters = {"env_steps": float(env_steps)}
    for each, row in zip(rules.species, counts.tolist(), strict=True):
        counters |= {
            f"{each.name}/births": float(row[layout.BIRTHS]),
            f"{each.name}/births_blocked": float(row[layout.BLOCKED]),
            f"{each.name}/deaths_eaten": float(row[layout.EATEN_COUNT]),
            f"{each.name}/deaths_starved": float(row[layout.STARVED_COUNT]),
            f"{each.name}/population": float(row[layout.POPULATION]),
        }
    return counters
