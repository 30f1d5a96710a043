"""A short run in this process: toy members, their lineage and a TensorBoard run, which may be left at any moment."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable

from marl_pbt.durable import make_folder
from marl_pbt.fault_points import VARIABLE, arm
from marl_pbt.lineage_store import LineageStore, read_lineage
from marl_pbt.reports import CheckpointFailed, MemberUp, ReadyPassed
from marl_pbt.snapshot import decode
from marl_pbt.tensorboard.event_writer import EventWriter
from marl_pbt.told_again import began_again
from tests.marl_pbt.toy_population import NOISY, Population, evolution

MEMBERS = 2
SPECIES = ("fox", "hare")


class Sitting:
    """Goes on from what lies in the folder; `live` as often as wanted, `close` or not."""

    def __init__(self, folder, members=MEMBERS, watch=lambda: None, **fields):
        make_folder(folder / "members")
        self.folder, self.watch = folder, watch
        self.lineage = LineageStore(folder / "lineage.jsonl")
        self.curves = EventWriter(folder / "tb", lambda: 1e9)
        is_resumed = bool(self.lineage.events)
        self.population = Population(folder / "members", evolution(members, **fields), NOISY)
        self.failures = [each for each in self.population.reports if isinstance(each, CheckpointFailed)]
        self.population.reports.clear()
        for member in self.population.members:
            up = MemberUp(member.index, member.clocks, member.rows(), (*member.earlier_events, *member.events))
            self.lineage.append(began_again(up, "resume") if is_resumed else [])
            self.lineage.append(up.events)

    def live(self, generation):
        """Until every member has passed this ready point, the most behind first."""
        while any(member.generation < generation for member in self.population.members):
            min(self.population.members, key=lambda each: each.generation).live_one_interval()
            self.record()
            self.watch()
        return self

    def record(self):
        for report in self.population.reports:
            if isinstance(report, ReadyPassed):
                self.lineage.append(report.events)
                self.curves.scalars({"score": 1.0}, report.clocks.agent_steps)
                self.curves.flush()
            elif isinstance(report, CheckpointFailed):
                self.failures.append(report)
        self.population.reports.clear()
        self.lineage.flush()

    def close(self):
        self.curves.close()
        self.lineage.close()


def armed(fault, act: Callable[[], object]):
    """Do it with a fault; whether it happened."""
    arm({VARIABLE: fault})
    try:
        act()
    finally:
        arm({})


def killed(fault, act: Callable[[], object]) -> bool:
    """Do it in a process that dies at the fault; False where it came to its end without."""
    child = os.fork()
    if child == 0:
        try:
            armed(f"{fault}:kill", act)
        finally:
            os._exit(0)
    return os.WTERMSIG(os.waitpid(child, 0)[1]) == signal.SIGKILL


def newest(folder, member):
    """The generation of its newest checkpoint; every one has to be whole."""
    paths = sorted((folder / "members" / f"member_{member:02d}").glob("*.safetensors"))
    return max((decode(path.read_bytes()).metadata["generation"] for path in paths), default=0)


def generations(folder):
    """Per member and species: its ready points as the lineage tells them."""
    found = {}
    for event in read_lineage(folder / "lineage.jsonl"):
        if event.kind == "ready":
            found.setdefault((event.member, event.policy), []).append(event.generation)
    return {key: sorted(lived) for key, lived in found.items()}


def all_lived(until, members=MEMBERS):
    return {(member, species): list(range(1, until + 1)) for member in range(members) for species in SPECIES}
