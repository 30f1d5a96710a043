"""The comparison with the peers, as far as it can be told without them."""

from __future__ import annotations

import json
import sys
import time

import pytest
from PIL import Image

from benchmarks.peers import figure, samples, tables
from benchmarks.peers.__main__ import is_chosen
from benchmarks.peers.installation import REQUIREMENTS
from benchmarks.peers.samples import Sample
from benchmarks.peers.script_run import run_script
from benchmarks.peers.scripts.stopwatch import Stopwatch, processes_of
from benchmarks.peers.systems import COMPARISONS, PEERS, Comparison, System

RATES = Comparison(
    "Title", "simple_tag", "agent steps/s", (System("ours", "ours", "ours"), System("theirs", "sb3", "sb3"))
)
TIMES = Comparison("Exploit", "", "ms", (System("ours", "ours", "ours"), System("theirs", "sb3", "sb3")))


def rate(system, nth, value, reason=None):
    return Sample("rates", system, nth, value, value, reason, "9.9")


def two_rounds():
    return [rate("ours", 0, 400.0), rate("theirs", 0, 100.0), rate("ours", 1, 600.0), rate("theirs", 1, 300.0)]


def test_ratios_are_taken_within_a_round():
    ours, theirs = two_rounds()[::2], two_rounds()[1::2]
    assert samples.ratios(ours, theirs, is_rate=True) == [4.0, 2.0]


def test_of_latencies_the_ratio_is_the_other_way_round():
    assert samples.ratios([rate("ours", 0, 0.5)], [rate("theirs", 0, 2.0)], is_rate=False) == [4.0]


def test_a_round_in_which_either_failed_has_no_ratio():
    ours = [rate("ours", 0, 400.0), rate("ours", 1, None, "fell over")]
    theirs = [rate("theirs", 0, 100.0), rate("theirs", 1, 100.0), rate("theirs", 2, 100.0)]
    assert samples.ratios(ours, theirs, is_rate=True) == [4.0]


def test_a_table_shows_medians_with_their_spread_and_the_ratio():
    table = tables.make_table("rates", RATES, two_rounds())
    assert "| theirs | 1 | 200 (100 to 300) | 200 (100 to 300) | 3.00 (2.00 to 4.00) × | 9.9 | – |" in table


def test_a_table_says_why_a_row_was_not_measured():
    table = tables.make_table("rates", RATES, [rate("ours", 0, 400.0), rate("theirs", 0, None, "not installed: a | b")])
    assert "| theirs | 1 | not measured in 1 of 1 rounds: not installed: a \\| b | – | – | 9.9 | – |" in table


def test_samples_are_read_back_as_they_were_kept(tmp_path):
    samples.save(two_rounds(), {"machine": "this"}, tmp_path / "new" / "samples.json")
    assert samples.load(tmp_path / "new" / "samples.json") == two_rounds()


def test_a_sample_of_latencies_is_their_median_in_milliseconds():
    result = {"latencies_s": [3.0, 1.0, 2.0], "settings": {}, "version": "9"}
    assert samples.make_sample("exploit", "theirs", 0, result).value == 2000.0


def test_the_figure_is_a_picture_with_a_panel_for_each_comparison(tmp_path):
    times = [Sample("times", "ours", 0, 2.0), Sample("times", "theirs", 0, 2000.0)]
    figure.draw({"rates": RATES}, two_rounds(), tmp_path / "one.png")
    figure.draw({"rates": RATES, "times": TIMES}, two_rounds() + times, tmp_path / "two.png")
    one, two = (Image.open(tmp_path / name).size for name in ("one.png", "two.png"))
    assert one[0] == two[0] > 1000 and two[1] > 1.9 * one[1]


def test_a_figure_of_nothing_is_refused(tmp_path):
    with pytest.raises(ValueError, match="no system has a sample"):
        figure.draw({"rates": RATES}, [rate("ours", 0, None, "fell over")], tmp_path / "one.png")


def test_the_stopwatch_leaves_the_warm_up_out(capsys):
    stopwatch = Stopwatch(seconds=0.0, warm_up=2)
    assert [stopwatch.is_done(steps) for steps in (0, 10, 20, 50)] == [False, False, False, True]
    stopwatch.report(["numpy"], {"batch_size": 512})
    assert json.loads(capsys.readouterr().out)["agent_steps"] == 30


def test_a_script_that_measured_nothing_does_not_report():
    stopwatch = Stopwatch(seconds=0.0)
    stopwatch.is_done(0)
    with pytest.raises(RuntimeError, match="before one update"):
        stopwatch.report(["numpy"], {})


def test_what_a_script_prints_last_is_its_result():
    words = [sys.executable, "-c", "print('hello'); print('{\"agent_steps\": 3}')"]
    assert run_script(words, cores=1, timeout_s=60).result == {"agent_steps": 3}


def test_a_script_that_falls_over_gives_its_last_words_as_the_reason():
    words = [sys.executable, "-c", "raise SystemExit('no such thing')"]
    assert run_script(words, cores=1, timeout_s=60).reason == "exit code 1: no such thing"


@pytest.mark.skipif(not processes_of("", 1), reason="needs /proc")
def test_a_script_that_hangs_is_killed_with_a_child_in_a_session_of_its_own(tmp_path):
    hang = "import time; time.sleep(1000)"
    pid_file = tmp_path / "pid"
    start = (
        "import pathlib, subprocess, sys, time; "
        f"child = subprocess.Popen([sys.executable, '-c', {hang!r}], start_new_session=True); "
        f"pathlib.Path({str(pid_file)!r}).write_text(str(child.pid)); time.sleep(1000)"
    )
    began = time.monotonic()
    outcome = run_script([sys.executable, "-c", start], cores=1, timeout_s=2)
    assert outcome.reason == "no result within 2 s" and time.monotonic() - began < 30
    assert not processes_of("", int(pid_file.read_text()))


def test_only_takes_comparisons_and_parts_of_names():
    rllib = System("RLlib PPO", "rllib", "rllib")
    assert is_chosen("simple_tag", rllib, []) and is_chosen("simple_tag", rllib, ["rllib"])
    assert is_chosen("simple_tag", rllib, ["simple_tag"]) and not is_chosen("simple_tag", rllib, ["exploit"])


def test_every_peer_has_its_requirements_and_every_row_its_own_name():
    assert all((REQUIREMENTS / f"{peer}.txt").exists() for peer in PEERS)
    for comparison in COMPARISONS.values():
        names = [system.name for system in comparison.systems]
        assert len(set(names)) == len(names)
