"""A member's checkpoints on disk."""

import errno
import logging
import os
from pathlib import Path

import pytest

from marl_pbt.checkpoints import MemberCheckpoints, Retention
from marl_pbt.snapshot import Snapshot
from tests.marl_pbt.checkpoint_folders import damage, folder, newest, snapshot


def test_a_member_that_never_wrote_one_has_none(tmp_path):
    checkpoints = folder(tmp_path)
    assert checkpoints.newest() is None
    assert checkpoints.generations() == []
    assert not (tmp_path / "member_00").exists()


def test_the_newest_comes_back_whole(tmp_path):
    found = folder(tmp_path, 1.0, 2.0, 3.0).newest()
    assert found.metadata["generation"] == 3
    assert found.tensors["w"].tolist() == [3.0] * 4


@pytest.mark.parametrize(
    ("keep_last", "keep_best", "maximize", "kept"),
    [
        (1, 0, True, [6]),
        (2, 0, True, [5, 6]),
        (0, 0, True, [6]),
        (2, 1, True, [2, 5, 6]),
        (1, 2, True, [2, 3, 6]),
        (2, 1, False, [4, 5, 6]),
        (2, 2, False, [1, 4, 5, 6]),
        (9, 9, True, [1, 2, 3, 4, 5, 6]),
    ],
)
def test_the_newest_and_the_best_are_kept(tmp_path, keep_last, keep_best, maximize, kept):
    scores = [1.5, 9.0, 8.0, 1.0, None, 2.0]
    checkpoints = folder(tmp_path, *scores, keep_last=keep_last, keep_best=keep_best, maximize=maximize)
    assert checkpoints.generations() == kept


def test_the_best_are_kept_per_species(tmp_path):
    checkpoints = folder(tmp_path)
    for generation, (fox, hare) in enumerate([(9, 1), (1, 9), (2, 2), (3, 3)], 1):
        checkpoints.write(generation, snapshot(generation), {"fox": fox, "hare": hare})
    assert checkpoints.generations() == [1, 2, 3, 4]


def test_the_best_are_remembered_by_the_next_process(tmp_path):
    folder(tmp_path, 9.0, 1.0, 1.0)
    checkpoints = MemberCheckpoints(tmp_path / "member_00", Retention(2, 1))
    checkpoints.write(4, snapshot(4), {"fox": 2.0})
    assert checkpoints.generations() == [1, 3, 4]


NO_SCORES = ["", "[]", "7", '{"a": 1}', "{", "\xff", '{"1": 5}', '{"1": {"fox": "x"}}', "[" * 9999]


@pytest.mark.parametrize("index", NO_SCORES)
def test_a_damaged_index_of_scores_costs_no_more_than_the_best(tmp_path, index):
    checkpoints = folder(tmp_path, 9.0, 1.0)
    (tmp_path / "member_00" / "scores.json").write_text(index, encoding="latin-1")
    checkpoints.write(3, snapshot(3), {"fox": 2.0})
    assert checkpoints.generations() == [2, 3]


def test_disk_use_stays_bounded(tmp_path):
    """R27/R28."""
    folder(tmp_path, *[float(at % 7) for at in range(40)])
    assert len(list((tmp_path / "member_00").iterdir())) <= 4  # two newest, the best, the index


@pytest.mark.parametrize("how", ["flipped", "truncated", "empty", "removed", "a zip"])
def test_a_damaged_newest_is_passed_over_with_a_warning(tmp_path, caplog, how):
    checkpoints = folder(tmp_path, 1.0, 2.0, 3.0)
    path = checkpoints.path(3)
    data = path.read_bytes()
    damaged = {
        "flipped": data[:-1] + b"\xff",
        "truncated": data[:-9],
        "empty": b"",
        "a zip": b"PK" + data,
        "removed": None,
    }
    path.unlink() if how == "removed" else path.write_bytes(damaged[how])
    with caplog.at_level(logging.WARNING):
        assert newest(checkpoints) == 2
    assert (how == "removed") or str(path) in caplog.text


def test_checkpoints_are_for_their_owner_alone(tmp_path):
    folder(tmp_path, 1.0)
    assert (tmp_path / "member_00").stat().st_mode & 0o777 == 0o700
    assert {path.stat().st_mode & 0o777 for path in (tmp_path / "member_00").iterdir()} == {0o600}


def test_one_generation_is_read_or_said_not_to_be_there(tmp_path, caplog):
    checkpoints = folder(tmp_path, 1.0, 2.0)
    assert checkpoints.read(1).metadata["generation"] == 1
    damage(checkpoints.path(2))
    assert checkpoints.read(2) is None
    assert checkpoints.read(3) is None
    assert str(checkpoints.path(2)) in caplog.text


# ------------------------------------------------------------------------------------ stopped between ready points


def stop(checkpoints, generation, **metadata):
    checkpoints.write(generation, snapshot(generation, stopped=True, **metadata), {}, in_between=True)


def test_where_a_member_was_stopped_is_the_newest_until_its_next_ready_point(tmp_path):
    """D19."""
    checkpoints = folder(tmp_path, 1.0, 2.0)
    stop(checkpoints, 2, time=1)
    stop(checkpoints, 2, time=2)
    found = checkpoints.newest().metadata
    assert (found["generation"], found["stopped"], found["time"]) == (2, True, 2)
    assert checkpoints.generations() == [1, 2]
    checkpoints.write(3, snapshot(3), {})
    assert "stopped" not in checkpoints.newest().metadata
    assert not list((tmp_path / "member_00").glob("*stopped*"))


def test_a_member_stopped_before_its_first_ready_point_goes_on_from_there(tmp_path):
    """D19."""
    checkpoints = folder(tmp_path)
    stop(checkpoints, 0)
    assert checkpoints.newest().metadata["stopped"]
    assert checkpoints.generations() == []


def test_killed_right_after_a_ready_point_it_does_not_go_back_to_where_it_was_stopped(tmp_path, monkeypatch):
    """D19: the next generation is on the disk and the stopped one not yet deleted: an exploit must not fire twice."""
    checkpoints = folder(tmp_path, 1.0, 2.0)
    stop(checkpoints, 2)

    def killed(*args, **kwargs):
        raise KeyboardInterrupt

    monkeypatch.setattr(Path, "unlink", killed)
    with pytest.raises(KeyboardInterrupt):
        checkpoints.write(3, snapshot(3), {"fox": 3.0})
    assert list((tmp_path / "member_00").glob("*stopped*"))
    assert newest(folder(tmp_path)) == 3


def test_a_damaged_stopped_one_falls_back_to_the_ready_point_before(tmp_path):
    checkpoints = folder(tmp_path, 1.0, 2.0)
    stop(checkpoints, 2)
    (path,) = (tmp_path / "member_00").glob("*stopped*")
    damage(path)
    assert "stopped" not in checkpoints.newest().metadata
    assert newest(checkpoints) == 2


# ------------------------------------------------------------------------------------ faults


def test_a_full_disk_never_costs_a_good_checkpoint(tmp_path, monkeypatch):
    """Every fsync and rename of a write fails in turn; once the checkpoint has its name, the rest concerns nobody."""
    real = {name: getattr(os, name) for name in ("fsync", "replace")}
    for fault_at in range(1, 50):
        checkpoints = folder(tmp_path / str(fault_at), 1.0, 2.0)
        calls = []

        def failing(name, calls=calls, fault_at=fault_at):
            def call(*args, **kwargs):
                calls.append(name)
                if len(calls) == fault_at:
                    raise OSError(errno.ENOSPC, "No space left on device")
                return real[name](*args, **kwargs)

            return call

        with monkeypatch.context() as patch:
            for name in real:
                patch.setattr(os, name, failing(name))
            if calls_end := not _raises(checkpoints):
                break
        assert newest(checkpoints) in (2, 3)
        assert checkpoints.generations()[-1] == newest(checkpoints)
        assert not list((tmp_path / str(fault_at)).rglob("*.writing"))
    assert calls_end and fault_at == 4
    assert newest(checkpoints) == 3


def _raises(checkpoints):
    try:
        checkpoints.write(3, snapshot(3), {"fox": 3.0})
    except OSError:
        return True
    return False


def test_what_a_killed_writer_left_is_swept_at_the_next_ready_point(tmp_path):
    checkpoints = folder(tmp_path, 1.0)
    left = tmp_path / "member_00" / "000002.safetensors.123.writing"
    left.write_bytes(b"half a checkpo")
    assert newest(checkpoints) == 1
    checkpoints.write(2, snapshot(2), {})
    assert not left.exists()


def test_a_millionth_generation_is_found_and_is_the_newest(tmp_path):
    checkpoints = folder(tmp_path)
    for generation in (999_999, 1_000_000):
        checkpoints.write(generation, snapshot(generation), {})
    assert checkpoints.generations() == [999_999, 1_000_000]
    assert newest(checkpoints) == 1_000_000


ODD = [{"member": None}, {"member": "0"}, {"member": [0]}, {"generation": None}, {"generation": 3.0}, {"kind": []}]


@pytest.mark.parametrize("said", [{"member": 1}, {"generation": 7}, {"kind": "policy"}, *ODD])
def test_a_file_that_belongs_elsewhere_is_passed_over(tmp_path, said, caplog):
    checkpoints = folder(tmp_path, 1.0, 2.0)
    checkpoints.write(3, Snapshot({**snapshot(3).metadata, **said}, snapshot(3).tensors), {})
    assert newest(checkpoints) == 2
    assert "belongs elsewhere" in caplog.text
