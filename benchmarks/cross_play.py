"""What cross-play costs: `python -m benchmarks.cross_play` (about ten minutes).

Runs configs/ppg.yaml as a user does, without judgement and films, by own-pair scores and by cross-play in turn, and
prints agent steps/s as ratios within a round: by the wall clock, and by the processor's, which minds less who else is
busy on the machine. Agent steps that guests make are not learned from; they are left out.
"""

from __future__ import annotations

import argparse
import resource
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path

from benchmarks.spread import spread
from marl_pbt.lineage_store import read_lineage

REPOSITORY = Path(__file__).parents[1]
OWN_PAIR = "own pair"
WAYS: Mapping[str, Mapping[str, object]] = {
    OWN_PAIR: {},
    "cross-play": {"pbt.fitness": "cross_play"},
    "cross-play, guests in 25 % of the worlds": {"pbt.fitness": "cross_play", "pbt.cross_play.guest_worlds": 0.25},
    "cross-play, guests in 50 % of the worlds": {"pbt.fitness": "cross_play", "pbt.cross_play.guest_worlds": 0.5},
}
GUESTS = "guests/share_of_agent_steps"


def learned_per_s(overrides: Mapping[str, object], progress: int) -> tuple[float, float]:
    """Agent steps that were learned from.

    Returns:
        Per second between the first member's start and the last ready point; per second of processor time of the run.
    """
    with tempfile.TemporaryDirectory() as runs:
        settings = {"judge": "null", "films.every_minutes": "null", "stop.progress": progress, **overrides}
        command = [sys.executable, "-m", "marl_pbt.train", "configs/ppg.yaml", "--runs-dir", runs, "--name", "a"]
        command += [word for key, value in settings.items() for word in ("--set", f"{key}={value}")]
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        subprocess.run(command, cwd=REPOSITORY, stdout=subprocess.DEVNULL, check=True)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        events = read_lineage(Path(runs) / "a" / "lineage.jsonl")
        share = share_of_guests(Path(runs) / "a" / "tb")
    last = {event.member: event for event in events if event.kind == "ready"}
    wall = max(event.time for event in last.values()) - min(event.time for event in events if event.kind == "start")
    processor = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    learned = (1 - share) * sum(event.clocks.agent_steps for event in last.values())
    return learned / wall, learned / processor


def share_of_guests(folder: Path) -> float:
    """Of the agent steps, mean over all members and points; 0 where there are none."""
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    values = []
    for member in sorted(folder.glob("member_*")):
        accumulator = EventAccumulator(str(member))
        accumulator.Reload()
        if GUESTS in accumulator.Tags()["scalars"]:
            values += [point.value for point in accumulator.Scalars(GUESTS)]
    return sum(values) / len(values) if values else 0.0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3, help="each way once per round")
    parser.add_argument("--progress", type=int, default=2_000_000, help="agent steps per member and run")
    arguments = parser.parse_args()
    speeds: dict[str, list[tuple[float, float]]] = {way: [] for way in WAYS}
    for nth in range(arguments.rounds):
        for way in list(WAYS)[:: 1 if nth % 2 == 0 else -1]:
            speeds[way].append(learned_per_s(WAYS[way], arguments.progress))
            wall, processor = speeds[way][-1]
            print(f"round {nth}: {way}: {wall:,.0f} agent steps/s, {processor:,.0f} per processor's", flush=True)
    print("| scores | learned agent steps/s | against own pair | the same per processor's second |\n|---|---|---|---|")
    for way, each in speeds.items():
        pairs = zip(each, speeds[OWN_PAIR], strict=True)
        walls, processors = zip(*((one[0] / own[0], one[1] / own[1]) for one, own in pairs), strict=True)
        cells = spread([wall for wall, _ in each], ",.0f"), spread(walls, ".3f"), spread(processors, ".3f")
        print(f"| {way} | {' | '.join(cells)} |")


if __name__ == "__main__":
    main()
