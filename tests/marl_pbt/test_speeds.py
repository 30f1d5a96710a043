"""Members of unequal speed in real workers: those that share one, and those that do not."""

import json
import os

from marl_pbt.lineage_store import read_lineage
from marl_pbt.reports import IntervalBegun, MemberDone
from marl_pbt.run_directory import RunDirectory
from tests.marl_pbt.command import toy_config
from tests.marl_pbt.command_here import trained
from tests.marl_pbt.hosted_worker import HostedWorker
from tests.marl_pbt.toy_population import NOISY, Population, evolution


def test_the_member_that_is_most_behind_runs_next_in_the_worker_that_it_shares(tmp_path, monkeypatch):
    """R15: a whole worker, whose three members come back from four, no and two ready points."""
    monkeypatch.setattr(os, "fsync", lambda descriptor: None)
    by = evolution(3, stop=12.0)
    run = RunDirectory(tmp_path / "run")
    population = Population(run.members, by, NOISY)
    population.live(0, 0, 0, 2)
    worker = HostedWorker(run.root, (0, 1, 2), by)
    reports = worker.reports_until(MemberDone, 3)
    worker.end()
    begun = [report.member for report in reports if isinstance(report, IntervalBegun)]
    assert begun == [1, 1, 2, 1, 2, 0, 1, 2]


def test_a_member_ten_times_slower_blocks_nobody_in_other_workers(tmp_path):
    """D22: the others need far less time for as many ready points."""
    settings = json.dumps({"update_seconds": 0.004, "noise": 30.0, "slow": str(tmp_path / "slow")})
    path = toy_config(tmp_path, population=3, stop=2400, settings=settings)
    path.write_text(path.read_text().replace("workers: 2", "workers: 3").replace("toy_learner", "slow_learner"))
    code, _, err = trained(str(path), "--runs-dir", str(tmp_path), "--name", "a")
    assert (code, err) == (0, "")
    events = [event for event in read_lineage(tmp_path / "a" / "lineage.jsonl") if event.policy == "fox"]
    at = {member: [e.time for e in events if (e.kind, e.member) == ("ready", member)] for member in range(3)}
    assert all(len(times) == 6 for times in at.values())
    slow = max(at, key=lambda member: at[member][-1] - at[member][0])
    for member in set(at) - {slow}:
        assert (at[member][-1] - at[member][0]) < 0.6 * (at[slow][-1] - at[slow][0])
