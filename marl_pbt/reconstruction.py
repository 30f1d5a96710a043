"""A run lived once more, as far as one policy needs it: from the seeds and the recorded exploits to the same bits.

A member's training depends on its own seed and on the versions that it copied, not on when others did what: decisions
are not taken again, the lineage says how they fell. So a policy is made again from the intervals of those members that
its ancestry, and the other species beside it, have passed through.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from marl_pbt.ancestry import JOINED, LineageEvent
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
        updates: Of the member so far, where the interval was given up and nothing of it is left; None: it was not.
        clocks: The member's, there.
        is_beginning: Whether the member began here, as a copy (marl_pbt.joining).
    """

    donor: Source | None
    hyperparameters: Mapping[str, HyperparameterValue]
    updates: int | None = None
    clocks: Clocks = field(default_factory=Clocks)
    is_beginning: bool = False


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
        updates = event.clocks.updates if "rolled_back" in event.why else before.updates if before else None
        begins = event.why.get("decision") == JOINED or (before is not None and before.is_beginning)
        here[event.policy] = Turn(donor, event.hyperparameters, updates, event.clocks, begins)
    return turns


def beginning(turns: Turns, member: int, generation: int) -> int:
    """Where the life began that a member lived as it passed a ready point: 0, or where it joined as a copy."""
    joined = (at for who, at in turns if who == member and at <= generation)
    return max((at for at in joined if any(turn.is_beginning for turn in turns[member, at].values())), default=0)


def needed(turns: Turns, member: int, generation: int) -> dict[int, int]:
    """Which members have to live again, and up to which generation.

    Raises:
        UserError: The lineage does not tell of one of the ready points.
    """
    far: dict[int, int] = {}
    passed: dict[tuple[int, int], int] = {}
    waiting = [(member, generation, generation)]
    while waiting:
        who, comes_to, passes = waiting.pop()
        life = who, beginning(turns, who, passes)
        for at in range(passed.get(life, life[1] - 1) + 1, passes + 1):
            if (who, at) not in turns:
                raise UserError(f"the lineage does not tell of {member_name(who)}@{at}, so it cannot be lived again")
            donors = (turn.donor for turn in turns[who, at].values() if turn.donor is not None)
            # What is copied is a donor's version as it came to a ready point, before it copied anybody there itself.
            waiting += [(donor.member, donor.generation, donor.generation - 1) for donor in donors]
        far[who] = max(far.get(who, 0), comes_to)
        passed[life] = max(passed.get(life, -1), passes)
    return far


@dataclass
class _Life:
    """A member that lives again.

    Attributes:
        learner: Its own.
        generation: Ready points that it has come to.
        passed: Ready points that it has passed: it has copied there, if anybody.
        clocks: As it counts them.
        versions: Its policies as it came to the ready points where somebody copied them, by generation and species.
        left: Its policies as it left the ready points that were asked for.
    """

    learner: Learner
    generation: int = 0
    passed: int = 0
    clocks: Clocks = field(default_factory=Clocks)
    versions: dict[tuple[int, str], Tensors] = field(default_factory=dict)
    left: dict[tuple[int, str], Tensors] = field(default_factory=dict)


class Reconstruction:
    """Lives again what a policy needs; one interval after the other, in an order in which donors come first.

    In synchronous mode two members may copy each other at the same ready point, one's fox for the other's hare.

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
        self._lives: dict[tuple[int, int], _Life] = {}
        self._copied = {
            (turn.donor.member, turn.donor.generation, name)
            for at in turns.values()
            for name, turn in at.items()
            if turn.donor is not None
        }

    def live(self, member: int, generation: int) -> Iterator[tuple[int, int]]:
        """Bring a member past a ready point.

        Yields:
            Member and generation after each interval, donors' included.
        """
        life = self._life(member, generation)
        if life.passed > generation and (generation, life.learner.species[0]) not in life.left:
            raise ValueError(f"{member_name(member)}@{generation}: was passed already; ask for the latest last")
        yield from self._come_to(member, generation)
        yield from self._pass(member, generation)
        for name in life.learner.species:
            life.left.setdefault((generation, name), life.learner.snapshot(name))

    def _come_to(self, member: int, generation: int) -> Iterator[tuple[int, int]]:
        """Train until the ready point."""
        life = self._life(member, generation - 1)
        while life.generation < generation:
            yield from self._pass(member, life.generation)
            self._train(life, member)
            life.generation += 1
            for name in life.learner.species:
                if (member, life.generation, name) in self._copied:
                    life.versions[life.generation, name] = life.learner.snapshot(name)
            yield member, life.generation

    def _pass(self, member: int, at: int) -> Iterator[tuple[int, int]]:
        """Copy what was copied at the ready point, once; whom it was copied from comes that far first."""
        life = self._life(member, at)
        if life.passed >= at:
            return
        turn = self._turns[member, at]
        for each in turn.values():
            if each.donor is not None:
                yield from self._come_to(each.donor.member, each.donor.generation)
        for name in life.learner.species:
            donor = turn[name].donor
            if donor is not None:
                version = self._life(donor.member, donor.generation - 1).versions[donor.generation, name]
                life.learner.adopt(name, version, self._evolution.optimizer_state)
            life.learner.set_hyperparameters(name, turn[name].hyperparameters)
        life.passed = at

    def version(self, member: int, generation: int, species: str) -> Tensors:
        """A member's policy as it left a ready point that `live` was asked for."""
        return self._life(member, generation).left[generation, species]

    def _life(self, member: int, generation: int) -> _Life:
        """The one that a member lived as it passed a ready point."""
        begins = beginning(self._turns, member, generation)
        if (member, begins) in self._lives:
            return self._lives[member, begins]
        turns = self._turns[member, begins]
        life = _Life(self._build(member))
        if begins:
            life.generation, life.passed = begins, begins - 1
            life.clocks = next(iter(turns.values())).clocks
        else:
            for name, turn in turns.items():
                life.learner.set_hyperparameters(name, turn.hyperparameters)
        self._lives[member, begins] = life
        return life

    def _train(self, life: _Life, member: int) -> None:
        """For an interval, which ends with the update that passes it; or where one that was given up had begun.

        What was rolled back once or twice left no trace.
        """
        turns = self._turns.get((member, life.generation + 1), {}).values()
        most = next((turn.updates for turn in turns if turn.updates is not None), None)
        target = self._evolution.progress(life.clocks) + self._evolution.interval
        for turn in turns:  # where it ended then: the length of intervals may have been changed since
            target = self._evolution.progress(turn.clocks)
        while self._evolution.progress(life.clocks) < target and (most is None or life.clocks.updates < most):
            try:
                life.clocks += life.learner.update().clocks
            except FloatingPointError as fault:
                where = f"{member_name(member)}, generation {life.generation}"
                raise UserError(f"{where}: {fault}; in the run it went well, so it cannot be lived again") from None
