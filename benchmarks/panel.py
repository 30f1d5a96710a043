"""Makes the panel of predator–prey–grass: reference policies that runs are scored by, `python -m benchmarks.panel`.

Two runs from seeds that nothing else uses (so the panel is held out), small networks, long enough that predators have
learned. From each run the best predator and the best prey, by their mean return against all of their generation, at an
early and at the last ready point: so a panel is there to be beaten at different heights. Only the actor is kept.
About eight minutes on two cores. The panel that is installed stays as it is: scores are comparable as long as it does.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from agents.ppo.architecture import policy_shapes
from marl_pbt.durable import write_durably
from marl_pbt.environments import EnvironmentSource
from marl_pbt.league.assembly import League, Request, assemble
from marl_pbt.league.jobs import Rules
from marl_pbt.league.match_store import MatchStore
from marl_pbt.league.payoffs import payoffs_of, return_of
from marl_pbt.league.schedule import pairings
from marl_pbt.league.tournament import play_league
from marl_pbt.plan import available_cores
from marl_pbt.policy_files import EnvironmentCard, PolicyCard, SavedPolicy
from marl_pbt.seats import Learned
from marl_pbt.snapshot import Snapshot, encode
from marl_pbt.streams import stream

REPOSITORY = Path(__file__).parents[1]
TARGET = REPOSITORY / "agents" / "panels" / "predator_prey_grass"
SEEDS = (7001, 7002)
PROGRESS, INTERVAL, EARLY = 8_000_000, 500_000, 3
LAST = PROGRESS // INTERVAL
RULES = Rules(episodes=8, seed=0, greedy=False)


def train(seed: int, runs: Path) -> Path:
    """A run that keeps every generation."""
    name = f"seed_{seed}"
    settings = {
        "seed": seed,
        "learner.settings.net_arch": "[32, 32]",
        "stop.progress": PROGRESS,
        "pbt.interval": INTERVAL,
        "checkpoints.keep_last": LAST,
        "judge": "null",
        "films.every_minutes": "null",
    }
    changes = [part for key, value in settings.items() for part in ("--set", f"{key}={value}")]
    command = [sys.executable, "-m", "marl_pbt.train", "configs/ppg.yaml", "--name", name, "--runs-dir", str(runs)]
    subprocess.run([*command, *changes], check=True, cwd=REPOSITORY)
    return runs / name


def chosen(run: Path, generation: int, store: MatchStore) -> Iterator[SavedPolicy]:
    """The best of each species at a ready point, by cross-play of all members."""
    league = assemble(Request([f"{run}:member_*@{generation}"], changes=["max_steps=1000"]))
    who_meets_whom = pairings(league.entrants, None, stream(0, "pairings"))
    played = play_league(league, who_meets_whom, RULES, store, available_cores(), lambda *_: None)
    labels = {name: tuple(each.label for each in of) for name, of in league.entrants.items()}
    payoffs = payoffs_of(league.species, labels, played, RULES.episodes)
    for nth, species in enumerate(league.species):
        means = np.moveaxis(payoffs.tables[return_of(species)], nth, 0).reshape(len(labels[species]), -1).mean(axis=1)
        print(f"{species} at {generation}: {np.round(np.sort(means)[::-1]).astype(int).tolist()}", flush=True)
        yield policy_of(league, species, int(means.argmax()))


def policy_of(league: League, species: str, place: int) -> SavedPolicy:
    seat = league.entrants[species][place].seat
    assert isinstance(seat, Learned)
    return slim(seat.policy, league.environment)


def slim(policy: SavedPolicy, environment: EnvironmentSource) -> SavedPolicy:
    """The policy without its critic, which plays no part in what it does; a critic of one line of zeros is left."""
    card = policy.card
    architecture = card.architecture | {"net_arch": {"pi": card.architecture["net_arch"]["pi"], "vf": []}}
    tensors = {
        f"policy/{name}": np.zeros(shape, np.float32)
        if name.startswith("value_net")
        else policy.tensors[f"policy/{name}"]
        for name, shape in policy_shapes(architecture).items()
    }
    place = EnvironmentCard(make=environment.make, config=dict(environment.config))
    slimmed: PolicyCard = card.model_copy(update={"architecture": architecture, "environment": place})
    return SavedPolicy(slimmed, tensors)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=TARGET, help="folder of the policy files")
    out: Path = parser.parse_args().out
    out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        for letter, seed in zip("ab", SEEDS, strict=True):
            run = train(seed, Path(folder))
            store = MatchStore(Path(folder) / "matches")
            for generation in (EARLY, LAST):
                for policy in chosen(run, generation, store):
                    millions = generation * INTERVAL / 1e6
                    path = out / f"{policy.card.species}_{letter}_{millions:g}M.safetensors"
                    write_durably(path, encode(Snapshot(policy.card.model_dump(), dict(policy.tensors))))
                    print(f"{path} ({path.stat().st_size} bytes)", flush=True)


if __name__ == "__main__":
    main()
