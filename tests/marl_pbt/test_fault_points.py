"""Faults that tests ask for happen where, when and as often as they were asked for."""

import errno
import math
import subprocess
import sys

import pytest

from marl_pbt.fault_points import arm, is_armed, reach
from marl_pbt.protocols import UserError


@pytest.fixture(autouse=True)
def disarmed():
    yield
    arm({})


def test_without_the_variable_nothing_happens():
    arm({})
    assert not is_armed("checkpoint")
    assert reach("checkpoint") is None


def test_a_fault_happens_at_the_visit_that_it_names_and_at_no_other():
    arm({"MARL_PBT_FAULT": "write:3:full,loss:2:nan"})
    assert is_armed("env", "loss")
    reach("write")
    reach("write")
    with pytest.raises(OSError, match="No space left") as fault:
        reach("write")
    assert fault.value.errno == errno.ENOSPC
    reach("write")
    assert reach("loss") is None
    assert math.isnan(reach("loss"))
    assert reach("loss") is None


def test_a_star_means_every_visit():
    arm({"MARL_PBT_FAULT": "fsync:*:io"})
    for _ in range(3):
        with pytest.raises(OSError):
            reach("fsync")


def test_a_fault_is_meant_for_one_process_alone():
    arm({"MARL_PBT_FAULT": "reward@supervisor:1:inf,reward@worker_1:1:nan"})
    assert reach("reward") == math.inf


def test_with_a_folder_it_happens_once_however_often_processes_are_replaced(tmp_path, monkeypatch):
    monkeypatch.setenv("MARL_PBT_FAULT_FIRED", str(tmp_path))
    for expected in (math.inf, None):
        arm({"MARL_PBT_FAULT": "score:1:inf"})
        assert reach("score") == expected
    assert [path.name for path in tmp_path.iterdir()] == ["0000_score_1_inf"]


def test_a_group_waits_until_all_before_it_has_happened(tmp_path, monkeypatch):
    monkeypatch.setenv("MARL_PBT_FAULT_FIRED", str(tmp_path))
    found = []
    for _ in range(4):
        arm({"MARL_PBT_FAULT": "score:1:inf,loss:1:inf;score:1:-inf"})
        found.append((reach("score"), reach("loss") if len(found) == 1 else None))
    assert found == [(math.inf, None), (None, math.inf), (-math.inf, None), (None, None)]


@pytest.mark.parametrize("text", ["checkpoint", "checkpoint:x:kill", "checkpoint:1:explode", ":1:kill"])
def test_a_mistake_is_told(text):
    with pytest.raises(UserError, match="MARL_PBT_FAULT: must be point:count:action"):
        arm({"MARL_PBT_FAULT": text})


@pytest.mark.parametrize(("action", "code"), [("kill", -9), ("exit", 3)])
def test_a_process_ends_where_it_is_to(action, code):
    script = "from marl_pbt.fault_points import arm, reach; arm(); reach('env'); print('alive'); reach('env')"
    ended = subprocess.run(
        [sys.executable, "-c", script], env={"MARL_PBT_FAULT": f"env:2:{action}"}, capture_output=True, check=False
    )
    assert ended.returncode == code
