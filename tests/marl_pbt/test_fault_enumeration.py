"""Every write, fsync, rename and append of a run fails in turn, until none is left to fail (reliability, section 4)."""

import os

import pytest

from marl_pbt.fault_points import VARIABLE, arm
from tests.marl_pbt.sittings import Sitting, all_lived, generations, killed, newest

DISK = ("write", "fsync", "rename", "fsync_folder", "append")
OURS = ("checkpoint", "checkpointed", "tensorboard")
LIVED = 2


@pytest.fixture(autouse=True)
def no_waiting_for_the_disk(monkeypatch):
    monkeypatch.setattr(os, "fsync", lambda descriptor: None)
    yield
    arm({})


class Guard:
    """Sees that no member's newest checkpoint is ever older than before, whatever fails."""

    def __init__(self, folder):
        self.folder, self.before = folder, [0, 0]

    def __call__(self):
        now = [newest(self.folder, member) for member in range(2)]
        assert all(new >= old for new, old in zip(now, self.before, strict=True))
        self.before = now


def lived_with(folder, fault):
    """A run with a fault that raises: it is lived to its end all the same. Whether the fault has happened."""
    folder.mkdir()
    sitting = Sitting(folder, watch=Guard(folder))
    arm({VARIABLE: fault})
    sitting.live(LIVED)
    happened = _has_happened()
    arm({})
    sitting.live(LIVED + 1).close()
    return happened


def _has_happened():
    from marl_pbt import fault_points

    (fault,) = (each for of in fault_points._armed.faults.values() for each in of)
    return fault.came >= fault.count


def check_afterwards(folder, lived):
    """What is there is whole, and the run goes on from it as if nothing had been."""
    assert not list(folder.rglob("*.damaged"))
    again = Sitting(folder).live(lived + 1)
    again.close()
    assert generations(folder) == all_lived(lived + 1)
    assert [newest(folder, member) for member in range(2)] == [lived + 1] * 2
    assert not list((folder / "members").rglob("*.writing"))


@pytest.mark.parametrize(
    ("point", "action"),
    [(point, "full") for point in (*DISK, "checkpoint", "tensorboard")] + [("write", "io"), ("fsync", "io")],
)
def test_disk_full_or_io_error_at_every_write_fsync_and_rename_costs_no_good_checkpoint(tmp_path, point, action):
    """Section 2, disk full, I/O error: training goes on, what failed is made up for at the next ready point."""
    for count in range(1, 200):
        folder = tmp_path / str(count)
        if not lived_with(folder, f"{point}:{count}:{action}"):
            break
        assert generations(folder) == all_lived(LIVED + 1)
        check_afterwards(folder, LIVED + 1)
    assert 4 <= count < 200


@pytest.mark.parametrize("point", ["checkpoint", "write", "append", "tensorboard"])
def test_a_disk_that_is_full_for_several_ready_points_costs_nothing_once_it_has_room(tmp_path, point):
    """Members train on unpublished, and tell everything later; the lineage is whole in the end."""
    sitting = Sitting(tmp_path)
    sitting.live(1)
    arm({VARIABLE: f"{point}:*:full"})
    sitting.live(7)
    on_disk = [newest(tmp_path, member) for member in range(2)]
    assert on_disk == ([1, 1] if point in ("checkpoint", "write") else [7, 7])
    assert len(sitting.failures) == (12 if point in ("checkpoint", "write") else 0)
    arm({})
    sitting.live(8).close()
    assert generations(tmp_path) == all_lived(8)
    check_afterwards(tmp_path, 8)


def test_a_generation_whose_checkpoint_is_not_on_the_disk_is_not_published(tmp_path):
    """The order is: checkpoint durable, publish, log."""
    sitting = Sitting(tmp_path).live(2)
    board = sitting.population.board
    before = [board.row(member, species) for member in range(2) for species in range(2)]
    arm({VARIABLE: "rename:*:full"})
    sitting.live(4)
    assert [board.row(member, species) for member in range(2) for species in range(2)] == before
    assert max(event.generation for event in sitting.lineage.events) == 2
    arm({})


def kills(point, folder, counts):
    """Kill a run at these visits of a point, and go on. How many there were."""
    done = 0
    for count in counts:
        place = folder / f"{point}-{count}"
        place.mkdir(parents=True)
        if not killed(f"{point}:{count}", lambda place=place: Sitting(place).live(LIVED)):
            break
        check_afterwards(place, LIVED)
        done += 1
    return done


@pytest.mark.parametrize("point", [*DISK, *OURS])
def test_killed_at_any_write_fsync_rename_or_append_a_run_goes_on_and_has_lost_nothing_whole(tmp_path, point):
    """Section 2, supervisor killed: the short form takes a spread of the visits."""
    assert kills(point, tmp_path, (1, 2, 4)) == 3


@pytest.mark.slow
@pytest.mark.parametrize("point", [*DISK, *OURS])
def test_killed_at_every_write_fsync_rename_or_append_a_run_goes_on(tmp_path, point):
    """Section 4: enumerated until none fires."""
    assert 4 <= kills(point, tmp_path, range(1, 500)) < 499


def test_killed_again_and_again_while_it_goes_on_a_run_comes_to_its_end(tmp_path):
    for count in (3, 4, 5, 6, 7):
        killed(f"write:{count}", lambda: Sitting(tmp_path).live(LIVED))
    check_afterwards(tmp_path, LIVED)


def test_several_reports_lost_with_the_supervisor_are_told_by_the_checkpoint(tmp_path):
    """Section 2, lineage and checkpoint disagree: three ready points of each member were never written down."""
    sitting = Sitting(tmp_path).live(2)
    lost = sitting.lineage
    sitting.lineage = type("Nowhere", (), {"append": lambda self, events: [], "flush": lambda self: None})()
    sitting.live(5)
    lost.close()
    assert generations(tmp_path) == all_lived(2)
    Sitting(tmp_path).close()
    assert generations(tmp_path) == all_lived(5)
