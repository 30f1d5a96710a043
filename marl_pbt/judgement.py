"""The closing judgement: the best policies against random ones, and every member's own pair, in whole episodes."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from marl_pbt.checkpoints import MemberCheckpoints, Retention
from marl_pbt.durable import write_durably
from marl_pbt.environments import EnvironmentSource
from marl_pbt.matches import MatchResult
from marl_pbt.run_directory import RunDirectory, member_name
from marl_pbt.seats import RANDOM, Baseline, Seat, Stored
from marl_pbt.streams import stream_seed
from marl_pbt.tasks import MatchTask

BEST = "best"


@dataclass(frozen=True)
class Judge:
    """How it is judged.

    Attributes:
        environment: Where matches are played.
        learner: Import string of the kind that reads the policies.
        episodes: Per pairing.
        seed: The run's.
    """

    environment: EnvironmentSource
    learner: str
    episodes: int
    seed: int

    def tasks(self, run: RunDirectory, species: Sequence[str], members: Sequence[int]) -> list[MatchTask]:
        """The matches to play, all with the same seed.

        The best; each of them swapped for a random one; all random; every member's newest checkpoint with itself.
        """
        best: dict[str, Seat] = {name: Stored(str(run.best_policy(name)), self.learner) for name in species}
        seats: dict[str, dict[str, Seat]] = {}
        if all(run.best_policy(name).is_file() for name in species):
            seats[BEST] = best
            seats |= {f"{RANDOM}/{name}": best | {name: Baseline(RANDOM)} for name in species}
        seats[RANDOM] = {name: Baseline(RANDOM) for name in species}
        for member in members:
            checkpoints = MemberCheckpoints(run.member(member), Retention())
            generations = checkpoints.generations()
            if generations:
                newest = Stored(str(checkpoints.path(generations[-1])), self.learner)
                seats[member_name(member)] = dict.fromkeys(species, newest)
        seed = stream_seed(self.seed, "judge")
        return [
            MatchTask(f"judge:{name}", self.environment, taken, self.episodes, seed) for name, taken in seats.items()
        ]


def write_judgement(path: Path, results: Mapping[str, MatchResult], episodes: int) -> None:
    """Write all results as JSON."""
    data = {"schema": 1, "episodes": episodes, "matches": {name: asdict(result) for name, result in results.items()}}
    write_durably(path, (json.dumps(data, indent=2) + "\n").encode())


def judgement_lines(results: Mapping[str, MatchResult], species: Sequence[str]) -> list[str]:
    """What a person reads of it."""
    lines = []
    best, everyone_random = results.get(BEST), results.get(RANDOM)
    if best is not None:
        for name in species:
            swapped = results.get(f"{RANDOM}/{name}")
            if swapped is not None:
                others = ", ".join(other for other in species if other != name)
                with_whom = f", both with the best {others}" if others else ""
                own, by_chance = best.returns[name], swapped.returns[name]
                lines.append(f"best {name}: episode_return_mean {own}; a random one: {by_chance}{with_whom}")
        lines.append(f"episode length: {best.length} with the best of each")
    if everyone_random is not None:
        lines.append(f"episode length: {everyone_random.length} with random ones")
    members = {name: result for name, result in results.items() if name.startswith("member_")}
    if members:
        lengths = ", ".join(f"{name} {result.length.mean:.0f}" for name, result in sorted(members.items()))
        lines.append(f"episode length of each member's own: {lengths}")
    return lines
