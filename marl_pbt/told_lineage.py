"""What a run's files tell, now, of the lineage that an address asks for."""

from __future__ import annotations

import fnmatch
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from marl_pbt.ancestry import LineageEvent
from marl_pbt.config import load_config
from marl_pbt.league.addresses import is_generation, split_member, split_species
from marl_pbt.lineage_store import read_lineage
from marl_pbt.lines_of_descent import Descent
from marl_pbt.protocols import UserError
from marl_pbt.run_directory import RunDirectory, existing_run, member_name


@dataclass(frozen=True)
class ToldLineage:
    """Of one run.

    Attributes:
        run: Which.
        where: How the run was named.
        descents: Per species that was asked for, in the order in which the run tells of them.
        chosen: Per species the ready events of the policies that were asked for; empty where the whole run was.
        population: N, as far as it is known.
        maximize: True when a larger score is better.
        notices: What the user should know, one line each.
    """

    run: RunDirectory
    where: str
    descents: Mapping[str, Descent]
    chosen: Mapping[str, Sequence[LineageEvent]]
    population: int
    maximize: bool
    notices: tuple[str, ...]

    @property
    def is_of_policies(self) -> bool:
        """Whether single policies were asked for."""
        return bool(self.chosen)

    def best(self, species: str) -> LineageEvent | None:
        """The ready event of the best policy that lives now."""
        return self.descents[species].best(self.maximize)

    def policies(self, species: str) -> Sequence[LineageEvent]:
        """The ready events of those that were asked for, or of each member's newest."""
        return self.chosen[species] if self.chosen else _newest(self.descents[species])


def told_lineage(address: str, runs: Path) -> ToldLineage:
    """Read it; a run that goes on will tell more in a minute.

    Args:
        address: `[SPECIES=]RUN`, or of policies of the run: `RUN:MEMBER` (its newest), `RUN:MEMBER@GENERATION`, with
            wildcards several.
        runs: Where runs lie that are named without a folder.

    Raises:
        UserError: It leads nowhere; the message says what there is.
    """
    try:
        species, where = split_species(address)
        place, member, generation = split_member(where)
        run = existing_run(runs, place)
        if not run.lineage.is_file():
            raise UserError(f"{address}: no run with a lineage at {run.root} (it has no {run.lineage.name})")
        events = read_lineage(run.lineage)
    except OSError as fault:  # a name that is too long, a folder that must not be looked into
        raise UserError(f"{address}: cannot be read ({fault.strerror})") from None
    if not events:
        raise UserError(f"{run.lineage}: tells of nothing yet")
    there = list(dict.fromkeys(event.policy for event in events))
    if species is not None and species not in there:
        raise UserError(f"{address}: tells of no {species}; there are {', '.join(there)}")
    descents = {name: Descent.of(events, name) for name in there if species in (None, name)}
    chosen = {} if member is None else {name: _chosen(each, member, generation) for name, each in descents.items()}
    if member is not None and not any(chosen.values()):
        raise UserError(f"{address}: tells of no ready point of such a policy; there are {_ready_text(descents)}")
    maximize, population, notices = _settings(run)
    lanes = 1 + max(event.member for event in events)
    return ToldLineage(run, place, descents, chosen, max(population, lanes), maximize, notices)


def _settings(run: RunDirectory) -> tuple[bool, int, tuple[str, ...]]:
    """Whether a larger score is better, and the size of the population."""
    try:
        pbt = load_config(run.config).config.pbt
    except UserError as fault:
        return True, 0, (f"{fault.faults[0]}; a larger score is taken for a better one",)
    return pbt.mode == "max", pbt.population, ()


def _chosen(descent: Descent, member: str, generation: str) -> Sequence[LineageEvent]:
    if not generation:
        return [ready for ready in _newest(descent) if fnmatch.fnmatchcase(member_name(ready.member), member)]
    return [ready for ready in _ready(descent) if _fits(ready, member, generation)]


def _fits(ready: LineageEvent, member: str, generation: str) -> bool:
    return fnmatch.fnmatchcase(member_name(ready.member), member) and is_generation(ready.generation, generation)


def _ready(descent: Descent) -> list[LineageEvent]:
    return [event for line in descent.ready_points().values() for event in line if event.kind == "ready"]


def _newest(descent: Descent) -> Sequence[LineageEvent]:
    """Of each member that has passed a ready point."""
    return list({ready.member: ready for ready in _ready(descent)}.values())


def _ready_text(descents: Mapping[str, Descent]) -> str:
    """`member_00 to member_07, generations 1 to 10`."""
    told = [ready for descent in descents.values() for ready in _ready(descent)]
    if not told:
        return "none yet"
    members, generations = [ready.member for ready in told], [ready.generation for ready in told]
    who = f"{member_name(min(members))} to {member_name(max(members))}"
    return f"{who}, generations {min(generations)} to {max(generations)}"
