"""A run that never was: a population's reports in the order that a supervisor would receive them, from a seed."""

from dataclasses import dataclass, field, replace

import numpy as np

from marl_pbt.ancestry import LineageEvent
from marl_pbt.explore import Change
from marl_pbt.protocols import Clocks, FinishedEpisode
from marl_pbt.reports import MemberUp, ReadyPassed, UpdateDone
from marl_pbt.standings import BoardRow, Score, Source
from marl_pbt.status import RunDescription

SPECIES = ("predator", "prey")
UPDATES_PER_INTERVAL = 20
STEPS_PER_UPDATE = 25_000


def description(population, **more):
    names = tuple((species, name) for species in SPECIES for name in ("learning_rate", "ent_coef"))
    return RunDescription("made-up", SPECIES, population, names, config_text="seed: 1\npbt:\n  population: 8\n", **more)


@dataclass
class Policy:
    skill: float
    row: BoardRow
    rates: dict = field(default_factory=dict)


class MadeUpRun:
    """Members whose skill grows with their learning rate; the worst quarter copies one of the best quarter."""

    def __init__(self, population=8, seed=0):
        self.rng = np.random.default_rng(seed)
        self.population = population
        self.events = []
        self.clocks = [Clocks()] * population
        self.policies = {
            (member, species): Policy(
                0.0,
                BoardRow(
                    member,
                    0,
                    founder=member,
                    hyperparameters={
                        "learning_rate": float(np.exp(self.rng.uniform(np.log(1e-4), np.log(3e-3)))),
                        "ent_coef": float(self.rng.uniform(0.001, 0.02)),
                    },
                ),
            )
            for member in range(population)
            for species in SPECIES
        }

    def rows(self, species):
        return [self.policies[member, species].row for member in range(self.population)]

    def start(self):
        for member in range(self.population):
            yield MemberUp(member, Clocks(), self._rows(member), self._tell(member, "start"))

    def generation(self):
        """One interval of every member, updates interleaved."""
        for _ in range(UPDATES_PER_INTERVAL):
            for member in range(self.population):
                yield self._update(member)
        for member in range(self.population):
            yield self._ready(member)

    def _update(self, member):
        steps = int(self.rng.integers(STEPS_PER_UPDATE // 2, STEPS_PER_UPDATE))
        self.clocks[member] += Clocks(steps, steps // 40, 1, steps / 20_000)
        metrics = {"ecology/prey_population": 30 + self.rng.normal(), "rates/prey/births_per_1000_env_steps": 5.0}
        returns = {}
        for species in SPECIES:
            policy = self.policies[member, species]
            policy.skill += 2e-3 * policy.row.hyperparameters["learning_rate"] / 1e-3 * (200 - policy.skill)
            metrics[f"{species}/approx_kl"] = float(self.rng.uniform(0.005, 0.02))
            metrics[f"{species}/entropy"] = 2.0 - policy.skill / 200
            returns[species] = policy.skill + float(self.rng.normal(0, 15))
        episode = FinishedEpisode(300, returns, {"extinct/prey": 0.0}, dict.fromkeys(SPECIES, True))
        return UpdateDone(member, self.clocks[member], metrics, (episode,))

    def _ready(self, member):
        events = []
        for species in SPECIES:
            policy = self.policies[member, species]
            generation = policy.row.generation + 1
            score = Score(policy.skill + float(self.rng.normal(0, 3)), 3.0, 24)
            policy.row = replace(
                policy.row,
                generation=generation,
                agent_steps=self.clocks[member].agent_steps,
                history=(*policy.row.history, (generation, score)),
                snapshot_generation=generation,
            )
            events += self._tell(member, "ready", species, score=score)
            if generation > 1:
                events += self._exploit(member, species)
        return ReadyPassed(member, self.clocks[member], self._rows(member), tuple(events))

    def _exploit(self, member, species):
        ranked = sorted(range(self.population), key=lambda other: self.policies[other, species].skill)
        quarter = max(self.population // 4, 1)
        if member not in ranked[:quarter]:
            return []
        sound = [other for other in ranked[-quarter:] if self.policies[other, species].row.can_be_donor]
        if not sound:
            return []
        donor = self.policies[int(self.rng.choice(sound)), species]
        own = self.policies[member, species]
        generation = own.row.generation
        source = Source(donor.row.member, donor.row.history[-1][0])
        copied = dict(donor.row.hyperparameters)
        moved = {name: value * float(self.rng.choice([0.8, 1.25])) for name, value in copied.items()}
        own.skill = donor.skill
        own.row = replace(
            own.row,
            hyperparameters=copied,
            parent=source,
            founder=donor.row.founder,
            last_exploit=generation,
            snapshot_generation=-1,
        )
        exploit = self._tell(member, "exploit", species, parent=source)
        own.row = replace(own.row, hyperparameters=moved)
        changes = {name: Change(copied[name], moved[name], f"×{moved[name] / copied[name]:.4g}") for name in moved}
        return [*exploit, *self._tell(member, "explore", species, changes=changes)]

    def _rows(self, member):
        return {species: self.policies[member, species].row for species in SPECIES}

    def _tell(self, member, kind, species=None, **more):
        told = []
        for each in SPECIES if species is None else (species,):
            row = self.policies[member, each].row
            common = {"founder": row.founder, "hyperparameters": row.hyperparameters}
            told.append(LineageEvent(kind, member, each, row.generation, self.clocks[member], 1e9, **common, **more))
        self.events += told
        return tuple(told)


def lived(population=8, generations=6, seed=0):
    """A run with so many generations behind it."""
    run = MadeUpRun(population, seed)
    list(run.start())
    for _ in range(generations):
        list(run.generation())
    return run
