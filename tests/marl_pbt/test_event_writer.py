"""A TensorBoard run that is written while the disk fails."""

import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from marl_pbt.fault_points import VARIABLE, arm
from marl_pbt.tensorboard.event_writer import EventWriter


@pytest.fixture(autouse=True)
def disarmed():
    yield
    arm({})


@pytest.mark.parametrize("action", ["full", "io", "readonly"])
def test_what_was_told_while_the_disk_was_full_for_a_moment_is_not_lost(tmp_path, action):
    """Reliability, section 2: metrics never stop training, and the curves come back."""
    now = [1e9]
    writer = EventWriter(tmp_path, lambda: now[0])
    arm({VARIABLE: f"tensorboard:2:{action}"})
    for step in range(4):
        writer.scalars({"score": float(step)}, step)
        writer.flush()
        assert writer.is_quiet == (step in (1, 2))
        now[0] += 31.0
    writer.close()
    read = EventAccumulator(str(tmp_path)).Reload().Scalars("score")
    assert [(point.step, point.value) for point in read] == [(step, float(step)) for step in range(4)]


def test_a_clock_that_was_set_back_does_not_keep_the_curves_away(tmp_path):
    """Section 2, clock jumps."""
    now = [1e9]
    writer = EventWriter(tmp_path, lambda: now[0])
    arm({VARIABLE: "tensorboard:1:full"})
    writer.scalars({"score": 1.0}, 1)
    writer.flush()
    now[0] -= 1e6
    writer.flush()
    assert not writer.is_quiet
    writer.close()
