"""A member that is ready after every single update holds no more memory and no more files than at the beginning."""

import gc
import os
import tracemalloc
from pathlib import Path

from tests.marl_pbt.command import count_ready, toy_config, train
from tests.marl_pbt.toy_population import Population, evolution


def open_files(pid="self"):
    return len(list(Path(f"/proc/{pid}/fd").iterdir()))


def megabytes(pid):
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 2**20


def live(population, rounds):
    """And forget what the tests note of it."""
    exploits = 0
    for _ in range(rounds):
        population.live()
        exploits += sum(event.kind == "exploit" for event in population.events)
        population.reports.clear()
        population.board.versions.clear()
        for member in population.members:
            member.learner.in_force.clear()
            member.learner.adopted.clear()
    gc.collect()
    return exploits


def test_members_at_interval_1_keep_no_memory_and_no_file_open(tmp_path, monkeypatch):
    """R27, R28: one snapshot kept per ready point would be 4 MB more, one file left open 90 files.

    Rows grow by a score per ready point, up to the length that test_standings tells.
    """
    monkeypatch.setattr(os, "fsync", lambda descriptor: None)
    population = Population(tmp_path, evolution(3, interval=1.0), {"noise": 30.0, "parameters": 1000})
    live(population, 10)
    tracemalloc.start()
    try:
        live(population, 5)
        (before, _), files = tracemalloc.get_traced_memory(), open_files()
        exploits = live(population, 30)
        after, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert exploits > 5
    assert open_files() == files
    assert after - before < 500_000
    assert len(list(tmp_path.rglob("*.*"))) <= 3 * 5


def test_processes_of_a_run_at_interval_1_keep_no_snapshot_and_no_file_open(tmp_path):
    """R27, R28: 1 MB per policy; the supervisor keeps the lineage, and nothing else of what it is told."""
    config = toy_config(tmp_path, stop=40 * 60, population=2, settings="{parameters: 87381, noise: 30.0}")
    config.write_text(config.read_text().replace("interval: 400", "interval: 40"))
    run, seen = tmp_path / "a", []

    with train(str(config), "--runs-dir", str(tmp_path), "--name", "a") as command:
        for wanted in (40, 200):
            command.wait_until(lambda wanted=wanted: count_ready(run) >= wanted)
            processes = [command.process.pid, *command.workers]
            seen.append([(open_files(pid), megabytes(pid)) for pid in processes])
        assert command.finish()[0] == 0
    assert len(seen[0]) == len(seen[1]) == 3
    for (files, size), (files_later, size_later) in zip(*seen, strict=True):
        assert files_later <= files + 3  # a checkpoint that is being written just now
        assert size_later < size + 40  # 40 ready points of a member's two policies, kept, would be 80
