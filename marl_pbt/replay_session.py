"""One replay, from the command line to the last line on the screen."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from marl_pbt.ancestry import LineageEvent, Segment, ancestry
from marl_pbt.config import load_config
from marl_pbt.durable import make_folder, write_durably
from marl_pbt.figures import duration, score_text, short_count
from marl_pbt.imports import ensure_rooms_on_path
from marl_pbt.league.addresses import find
from marl_pbt.lineage_store import read_lineage
from marl_pbt.plan import RunPlan
from marl_pbt.policy_files import SavedPolicy
from marl_pbt.protocols import Learner, Tensors, UserError
from marl_pbt.reconstruction import Reconstruction, needed, turns_of
from marl_pbt.replaying import Schedule, Step, replay
from marl_pbt.run_directory import RunDirectory, member_name
from marl_pbt.snapshot import Snapshot, encode

LINE_EVERY_S = 10.0
_THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")


@dataclass(frozen=True)
class ReplaySession:
    """What the user typed.

    Attributes:
        address: Of a policy per species, in a run.
        runs: Where runs lie.
    """

    address: str
    runs: Path

    def fresh(self, seed: int, out: Path | None) -> int:
        """Train a fresh learner with the schedules; write its policies.

        Returns:
            The exit code: 0.
        """
        folder = out or self._run.root / "replays" / f"{seed}-{time.strftime('%Y%m%d-%H%M%S')}"
        schedules = {name: Schedule.of(self._ancestry(name)) for name in self._policies}
        for name, each in schedules.items():
            if not each.agent_steps:
                raise UserError(f"{self.address}: {self._run.lineage} does not tell what the {name} lived through")
        learner = self._learner(seed, 0)
        make_folder(folder, parents=True)
        _say([f"{name}: {short_count(each.agent_steps)} agent steps" for name, each in schedules.items()])
        rules = self._plan.evolution.score_rules
        share = 0.0 if rules.cross_play is None else rules.cross_play.guest_worlds
        if share:
            _say([f"guests: left out; in the run they played in {100 * share:.0f} % of the training worlds"])
        last = _told_now_and_then(replay(learner, schedules, rules))
        for name in schedules:
            path = folder / f"{name}.safetensors"
            write_durably(path, encode(self._written(learner, name, last)))
            _say([f"{path}: {score_text(last.scores[name])} in training, {self._score_before(name)}"])
        return 0

    def exact(self) -> int:
        """Live through what the policies need, and compare them with the files.

        Returns:
            The exit code: 0 where every bit is the same, else 1.
        """
        turns = turns_of(self._events)
        again = Reconstruction(
            turns, self._plan.evolution, lambda member: self._learner(self._plan.config.seed, member)
        )
        is_same = True
        for name, policy in self._policies.items():
            member, generation = _place(self.address, policy)
            far = needed(turns, member, generation)
            names = ", ".join(f"{member_name(who)} to {until}" for who, until in sorted(far.items()))
            _say([f"{name} of {member_name(member)}@{generation}: {names}"])
            began = time.monotonic()
            for who, at in again.live(member, generation):
                if time.monotonic() - began > LINE_EVERY_S:
                    began = time.monotonic()
                    _say([f"  {member_name(who)}@{at}"])
            is_equal = _is_equal(again.version(member, generation, name), policy)
            _say([f"{name}: {'the same, bit for bit' if is_equal else 'DIFFERENT weights'}"])
            is_same &= is_equal
        return 0 if is_same else 1

    @cached_property
    def _found(self) -> tuple[RunDirectory, dict[str, SavedPolicy]]:
        ensure_rooms_on_path()
        for variable in _THREADS:  # as in training, whose sums depend on it
            os.environ[variable] = "1"
        found = find(self.address, self.runs)
        if len(found) != 1 or found[0].run is None:
            raise UserError(f"{self.address}: must be RUN, RUN:MEMBER or RUN:MEMBER@GENERATION, of one member")
        return found[0].run, dict(found[0].policies)

    @property
    def _run(self) -> RunDirectory:
        return self._found[0]

    @property
    def _policies(self) -> dict[str, SavedPolicy]:
        return self._found[1]

    @cached_property
    def _plan(self) -> RunPlan:
        return RunPlan.of(load_config(self._run.config))

    @cached_property
    def _events(self) -> list[LineageEvent]:
        return read_lineage(self._run.lineage)

    def _ancestry(self, species: str) -> list[Segment]:
        member, generation = _place(self.address, self._policies[species])
        return ancestry(self._events, species, member, generation)

    def _learner(self, seed: int, member: int) -> Learner:
        return self._plan.job(self._run.root).learner.build(seed, member)

    def _score_before(self, species: str) -> str:
        """With what it was earned against: a score from matches is no measure for that of a replay, of its own pair."""
        score = self._policies[species].card.score
        mean = "no score" if score is None else f"{score['mean']:.1f}"
        is_own_pair = self._plan.evolution.score_rules.cross_play is None
        return f"{mean} {'in the run' if is_own_pair else 'against others in the run'}"

    def _written(self, learner: Learner, species: str, last: Step) -> Snapshot:
        """A policy's file that belongs to no member."""
        score, named = last.scores[species], self._policies[species].card.hyperparameters
        values = learner.get_hyperparameters(species)
        card = {
            "kind": "policy",
            "species": species,
            "member": None,
            "generation": None,
            "clocks": asdict(last.clocks),
            "founder": None,
            "parent": None,
            "hyperparameters": {name: values[name] for name in named},
            "score": None if score is None else score.to_json(),
            **self._plan.evolution.card(species, learner),
        }
        tensors = learner.snapshot(species)
        return Snapshot(card, {name: array for name, array in tensors.items() if name.startswith("policy/")})


def _place(address: str, policy: SavedPolicy) -> tuple[int, int]:
    member, generation = policy.card.member, policy.card.generation
    if member is None or generation is None:
        raise UserError(f"{address}: its {policy.card.species} is of no member of the run")
    return member, generation


def _told_now_and_then(steps: Iterable[Step]) -> Step:
    last, began, told_at = None, time.monotonic(), time.monotonic()
    for last in steps:
        now = time.monotonic()
        if now - told_at > LINE_EVERY_S:
            told_at = now
            scores = " · ".join(f"{name} {score_text(score)}" for name, score in last.scores.items())
            _say([f"{short_count(last.clocks.agent_steps)} agent steps · {duration(now - began)} · {scores}"])
    assert last is not None
    return last


def _is_equal(mine: Tensors, policy: SavedPolicy) -> bool:
    return all(np.array_equal(mine[name], array) for name, array in policy.tensors.items())


def _say(lines: Iterable[str]) -> None:
    sys.stdout.writelines(f"{line}\n" for line in lines)
    sys.stdout.flush()
