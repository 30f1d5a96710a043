"""Side by side with the peers: `python -m benchmarks.peers install`, then `run`.

`install` makes one virtual environment for each in `.peers/` (about 10 GB with the CPU build of torch; where the
registry's torch brings CUDA, point pip to PyTorch's CPU index first). `run` measures all of them in turn, round by
round, prints tables, draws the figure and keeps the raw samples (15 to 20 minutes; let nothing else run).
`show` prints and draws once more what a run kept.
"""

from __future__ import annotations

import argparse
import os
import platform
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from benchmarks.peers import figure, installation, samples, tables
from benchmarks.peers.samples import Sample
from benchmarks.peers.script_run import run_script
from benchmarks.peers.systems import COMPARISONS, PEERS, Comparison, System

DEFAULT_SAMPLES = installation.STORE / "samples.json"


def main() -> int:
    arguments = parse(sys.argv[1:])
    if arguments.command == "install":
        return install(arguments.only or PEERS)
    taken = take(arguments) if arguments.command == "run" else samples.load(arguments.samples)
    show(taken, arguments.figure)
    return 0


def parse(words: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="benchmarks.peers", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    verbs = parser.add_subparsers(dest="command", required=True)
    install_verb = verbs.add_parser("install", help="make the virtual environments")
    install_verb.add_argument("--only", nargs="+", choices=PEERS, help="these peers (default: all)")
    run_verb = verbs.add_parser("run", help="measure")
    run_verb.add_argument("--rounds", type=int, default=5, help="how often each system is measured (default 5)")
    run_verb.add_argument("--seconds", type=float, default=3.0, help="at least, after the warm-up (default 3)")
    run_verb.add_argument("--limit", type=float, default=120.0, help="seconds until a run is killed (default 120)")
    run_verb.add_argument("--only", nargs="+", default=[], help="comparisons or rows, by name or a part of it")
    show_verb = verbs.add_parser("show", help="print and draw what a run kept")
    for verb in (run_verb, show_verb):
        verb.add_argument("--samples", type=Path, default=DEFAULT_SAMPLES, help="the raw samples, JSON")
        verb.add_argument("--figure", type=Path, help="where to draw, e.g. docs/peers.png (default: nowhere)")
    return parser.parse_args(words)


def install(peers: Sequence[str]) -> int:
    for peer in peers:
        began = time.monotonic()
        reason = installation.install(peer)
        print(f"{peer}: {reason or 'installed'} ({time.monotonic() - began:.0f} s)", flush=True)
    return 0


def take(arguments: argparse.Namespace) -> list[Sample]:
    """All systems in turn, round by round; kept after each round."""
    chosen = [
        (name, comparison, system)
        for name, comparison in COMPARISONS.items()
        for system in comparison.systems
        if is_chosen(name, system, arguments.only)
    ]
    if not chosen:
        raise SystemExit(f"--only: no comparison or row is called {' or '.join(arguments.only)}")
    about = {"machine": platform.platform(), "cores": os.cpu_count(), "python": platform.python_version()}
    about |= {"began": time.strftime("%Y-%m-%d %H:%M"), "seconds": arguments.seconds}
    taken: list[Sample] = []
    for nth in range(arguments.rounds):
        for name, comparison, system in chosen:
            began = time.monotonic()
            sample = measure(name, comparison, system, nth, arguments)
            told = f"{sample.value:,.2f}" if sample.value is not None else sample.reason
            elapsed = f"{time.monotonic() - began:.0f} s"
            print(f"round {nth + 1}: {name}: {system.name}: {told} ({elapsed})", file=sys.stderr, flush=True)
            taken.append(sample)
        samples.save(taken, about, arguments.samples)
    return taken


def is_chosen(name: str, system: System, wanted: Sequence[str]) -> bool:
    """Whether a row is wanted; nothing wanted in particular is everything."""
    return not wanted or any(word == name or word.lower() in system.name.lower() for word in wanted)


def measure(name: str, comparison: Comparison, system: System, nth: int, arguments: argparse.Namespace) -> Sample:
    missing = installation.why_missing(system.peer)
    if missing:
        return Sample(name, system.name, nth, None, reason=missing)
    python = installation.python_of(system.peer)
    words = system.arguments(comparison.environment, arguments.seconds)
    command = [str(python), "-m", f"benchmarks.peers.scripts.{system.script}", *words]
    outcome = run_script(command, system.cores, arguments.limit, python.parents[1] / "numba")
    if outcome.result is None:
        return Sample(name, system.name, nth, None, reason=outcome.reason)
    return samples.make_sample(name, system.name, nth, outcome.result)


def show(taken: Sequence[Sample], picture: Path | None) -> None:
    for name, comparison in COMPARISONS.items():
        if any(sample.comparison == name for sample in taken):
            print(tables.make_table(name, comparison, taken), end="\n\n")
    print(tables.make_notes())
    if picture is not None:
        figure.draw(COMPARISONS, taken, picture)


if __name__ == "__main__":
    sys.exit(main())
