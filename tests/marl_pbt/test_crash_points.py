"""Processes of a run that are killed at a named point: in a score, a publish, an exploit, a line of the lineage."""

import json

import pytest

from marl_pbt.ancestry import LineageEvent
from tests.marl_pbt.command import toy_config, train
from tests.marl_pbt.command_here import trained

POINTS = {
    "score": ("worker", "PolicyState.note_score", 9),
    "publish": ("worker", "SharedBoard.publish_snapshot > DoubleBuffer.write > _crc", 5),  # half written, not sealed
    "exploit": ("worker", "PolicyState.replace_by", 1),  # the weights are the donor's, and nobody has been told
    "lineage": ("supervisor", "LineageStore.append > LineageStore._write", 9),  # half a line is written
}
"""The kind of process, a function with its callers before it, and the how many-th call of it there is the last."""


COPYING = "  quantile_bottom: 0.5\n  quantile_top: 0.5\n  min_gap: {standard_errors: 0}\n"
"""Half of the members copy at each ready point."""


def config_of(folder, point, ready_points, update_seconds):
    """A toy run that dies there."""
    folder.mkdir(exist_ok=True)
    process, where, times = POINTS[point]
    told = {"process": process, "dies_in": where, "dies_at": times, "died": str(folder / "died"), "noise": 10.0}
    settings = json.dumps(told | {"update_seconds": update_seconds})
    path = toy_config(folder, stop=400 * ready_points, settings=settings)
    path.write_text(path.read_text().replace("toy_learner", "mortal_learner").replace("pbt:\n", "pbt:\n" + COPYING))
    return path


def run_to_end(*arguments):
    with train(*arguments) as command:
        code, out, err = command.finish()
        command.assert_nothing_is_left()
    return code, out, err


def whole_lines(run):
    """The events of the file as it lies there."""
    text = (run / "lineage.jsonl").read_bytes().decode()
    assert text.endswith("\n")
    return [LineageEvent.from_line(line) for line in text.splitlines()]


def lived(events, species="fox"):
    return {
        member: [e.generation for e in events if (e.kind, e.member, e.policy) == ("ready", member, species)]
        for member in range(4)
    }


@pytest.mark.parametrize("point", ["score", "publish", "exploit"])
def test_a_worker_killed_at_any_point_costs_its_own_members_an_interval_and_the_others_nothing(tmp_path, point):
    """D18: the others go on, the lineage is whole, and nobody's generation is told twice or left out."""
    config = config_of(tmp_path, point, ready_points=6, update_seconds=0.004)
    code, out, _ = trained(str(config), "--runs-dir", str(tmp_path), "--name", "a")

    assert code == 0
    assert (tmp_path / "died").exists()
    assert "go on from their last checkpoint" in out
    events = whole_lines(tmp_path / "a")
    assert {event.member for event in events if event.kind == "restart"} in ({0, 2}, {1, 3})
    assert lived(events) == lived(events, "hare") == {member: [1, 2, 3, 4, 5, 6] for member in range(4)}
    assert len({event.event_id for event in events}) == len(events)
    assert any(event.kind == "exploit" for event in events)


def test_a_run_killed_in_the_middle_of_a_line_of_its_lineage_is_resumed_as_if_nothing_had_been(tmp_path):
    """D18: half a line is taken away, standings are rebuilt, so that every later decision is what it would have been.

    It is so in deterministic mode, whose turns can be compared with those of a run that nobody killed.
    """
    lines = {}
    for name in ("killed", "undisturbed"):
        config = config_of(tmp_path / name, "lineage", ready_points=4, update_seconds=0.01)
        config.write_text(config.read_text().replace("workers: 2", "deterministic: true"))
        run = tmp_path / name / "a"
        if name == "killed":
            assert run_to_end(str(config), "--runs-dir", str(tmp_path / name), "--name", "a")[0] < 0
            torn = (run / "lineage.jsonl").read_bytes()
            assert not torn.endswith(b"\n")
            assert 4 < torn.count(b"\n") < 40
            assert trained("--resume", str(run))[0] == 0
        else:
            (tmp_path / name / "died").touch()
            assert trained(str(config), "--runs-dir", str(tmp_path / name), "--name", "a")[0] == 0
        lines[name] = [event.to_line() for event in whole_lines(run) if event.kind != "resume"]
    assert lines["killed"] == lines["undisturbed"]
    assert any('"exploit"' in line for line in lines["killed"][len(lines["killed"]) // 2 :])
