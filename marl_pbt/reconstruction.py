"""A run lived once more, as far as one policy needs it: from the seeds and the recorded exploits to the same bits.

A member's training depends on its own seed and on the versions that it copied, not on when others did what: decisions
are not taken again, the lineage says how they fell. So a policy is made again from the intervals of those members that
its ancestry, and the other species beside it, have passed through.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from marl_pbt.ancestry import LineageEvent
from marl_pbt.evolution import Evolution
from marl_pbt.protocols import Clocks, HyperparameterValue, Learner, Tensors, UserError
from marl_pbt.run_directory import member_name
from marl_pbt.standings import Source


@dataclass(frozen=True)
class Turn:
    """What happened to a member's policy of one species at a ready point.

    Attributes:
        donor: Whose version was copied; None: nobody's.
        hyperparameters: In force from then on.
    """

    donor: Source | None
    hyperparameters: Mapping[str, HyperparameterValue]


Turns = Mapping[tuple[int, int], Mapping[str, Turn]]
"""By member and generation, per species; generation 0 is the start."""


def turns_of(events: Iterable[LineageEvent]) -> Turns:
    """What the lineage tells of each ready point that stands."""
    turns: dict[tuple[int, int], dict[str, Turn]] = {}
    for event in events:
        if event.kind not in ("start", "ready", "exploit", "explore"):
            continue
        here = turns.setdefault((event.member, event.generation), {})
        before = here.get(event.policy)
        donor = event.parent if event.kind == "exploit" else before.donor if before else None
        here[event.policy] = Turn(donor, event.hyperparameters)
    return turns


def needed(turns: Turns, member: int, generation: int) -> dict[int, int]:
    """Which members have to live again, and up to which generation.

    Raises:
        UserError: The lineage does not tell of one of the ready points.
    """
    far: dict[int, int] = {}
    waiting = [(member, generation)]
    while waiting:
        who, until = waiting.pop()
        for at in range(far.get(who, -1) + 1, until + 1):
            if (who, at) not in turns:
                raise UserError(f"the lineage does not tell of {member_name(who)}@{at}, so it cannot be lived again")
            waiting += [
                (turn.donor.member, turn.donor.generation) for turn in turns[who, at].values() if turn.donor is not None
            ]
        far[who] = max(far.get(who, 0), until)
    return far


@dataclass
class _Life:
    """A member that lives again.

    Attributes:
        learner: Its own.
        generation: Ready points passed.
        clocks: As it counts them.
        versions: Its policies at the ready points that somebody copied, by generation and species.
    """

    learner: Learner
    generation: int = 0
    clocks: Clocks = field(default_factory=Clocks)
    versions: dict[tuple[int, str], Tensors] = field(default_factory=dict)


class Reconstruction:
    """Lives again what a policy needs; one interval after the other, in an order in which donors come first.

    Args:
        turns: What the lineage tells.
        evolution: What PBT did; the clock must not be wall time.
        build: Makes a member's fresh learner from its index.

    Raises:
        UserError: Intervals were measured in seconds, or guests played in training worlds: nobody can live that again.
    """

    def __init__(self, turns: Turns, evolution: Evolution, build: Callable[[int], Learner]) -> None:
        if evolution.time_attr == "seconds":
            raise UserError("pbt.time_attr: intervals of seconds end wherever the machine was; they cannot be repeated")
        cross_play = evolution.score_rules.cross_play
        if cross_play is not None and cross_play.guest_worlds:
            raise UserError(
                "pbt.cross_play.guest_worlds: who trained with guests cannot be lived again: most of them are gone"
            )
        self._turns = turns
        self._evolution = evolution
        self._build = build
        self._lives: dict[int, _Life] = {}
        self._wanted: set[tuple[int, int]] = set()
        self._copied = {
            (turn.donor.member, turn.donor.generation, name)
            for at in turns.values()
            for name, turn in at.items()
            if turn.donor is not None
        }

    def live(self, member: int, generation: int) -> Iterator[tuple[int, int]]:
        """Bring a member to a generation.

        Yields:
            Member and generation after each interval, donors' included.
        """
        self._wanted.add((member, generation))
        life = self._lives.get(member) or self._begin(member)
        is_kept = any((generation, name) in life.versions for name in life.learner.species)
        if life.generation > generation and not is_kept:
            raise ValueError(f"{member_name(member)}@{generation}: was passed already; ask for the latest last")
        while life.generation < generation:
            at = life.generation + 1
            turn = self._turns[member, at]
            for each in turn.values():  # before the interval: its donors live on their own
                if each.donor is not None:
                    yield from self.live(each.donor.member, each.donor.generation)
            self._train(life)
            life.generation = at
            self._pass_ready_point(member, life, turn)
            yield member, at

    def version(self, member: int, generation: int, species: str) -> Tensors:
        """A member's policy as it left a ready point that `live` was asked for."""
        return self._lives[member].versions[generation, species]

    def _begin(self, member: int) -> _Life:
        life = self._lives[member] = _Life(self._build(member))
        for name, turn in self._turns[member, 0].items():
            life.learner.set_hyperparameters(name, turn.hyperparameters)
        return life

    def _train(self, life: _Life) -> None:
        """For an interval, which ends with the update that passes it."""
        target = self._evolution.progress(life.clocks) + self._evolution.interval
        while self._evolution.progress(life.clocks) < target:
            try:
                life.clocks += life.learner.update().clocks
            except FloatingPointError:  # as then: the member was ready at once
                return

    def _pass_ready_point(self, member: int, life: _Life, turn: Mapping[str, Turn]) -> None:
        for name in life.learner.species:
            donor = turn[name].donor
            if donor is not None:
                version = self._lives[donor.member].versions[donor.generation, name]
                life.learner.adopt(name, version, self._evolution.optimizer_state)
            life.learner.set_hyperparameters(name, turn[name].hyperparameters)
        for name in life.learner.species:
            if (member, life.generation, name) in self._copied or (member, life.generation) in self._wanted:
                life.versions[life.generation, name] = life.learner.snapshot(name)
