"""Leagues in which something goes wrong: it is told, what was played is kept, and no process is left."""

import inspect
import multiprocessing
import re

import pytest

from marl_pbt.environments import EnvironmentSource
from marl_pbt.league.jobs import jobs_of
from marl_pbt.league.pool import MatchFailedError
from tests.marl_pbt import odd_seats
from tests.marl_pbt.odd_seats import RULES, Odd, Progress, league_of, play, plays


def failure(league, folder, workers):
    progress = Progress()
    with pytest.raises(MatchFailedError) as failed:
        play(league, folder, workers, progress=progress)
    assert multiprocessing.active_children() == []
    return str(failed.value), progress


def line_of(act):
    """Where it raises: in the last line."""
    lines, first = inspect.getsourcelines(getattr(odd_seats.OddPolicy, f"_{act}"))
    return first + len(lines) - 1


@pytest.mark.parametrize(
    ("act", "told"),
    [
        ("raises", "IndexError: no such hare"),
        ("raises_two_words", "TwoWordsError: no hare"),
        ("exits", "SystemExit: gone"),
    ],
)
def test_a_match_that_raises_is_told_and_what_was_played_before_it_is_kept(tmp_path, act, told):
    bad = Odd(act)
    league = league_of(plays(0, 1), [Odd("draws"), bad])
    message, progress = failure(league, tmp_path, 1)
    seed = jobs_of(league, (0, 1), RULES)[0].seed
    assert message == f"{Odd('plays', 0)} × {bad} (seed {seed}): {told} ({odd_seats.__file__}:{line_of(act)})"
    assert progress.played == len(list(tmp_path.iterdir())) == 1
    good = league_of(plays(0, 1), [Odd("draws")])
    assert play(good, tmp_path)[1].calls[0] == (1, 2, 0)


@pytest.mark.parametrize(
    ("act", "told"),
    [
        ("raises_two_words", r".* \(seed \d+\): TwoWordsError: no hare \(.*odd_seats\.py:\d+\)"),
        ("kills_its_process", r"a process that played was killed \(out of memory\?\), perhaps in Odd\(.* × Odd\(.*"),
    ],
)
def test_the_same_in_other_processes_of_which_none_is_left(tmp_path, act, told):
    bad = Odd(act)
    league = league_of(plays(0), [bad, *[Odd("never_ends", number) for number in range(6)]])
    message, _ = failure(league, tmp_path, 2)
    assert re.fullmatch(told, message)


def test_an_environment_that_raises_is_told_with_world_and_step(tmp_path):
    league = league_of(plays(0), plays(0), EnvironmentSource("tests.marl_pbt.adaptable_environments:Raises", {}))
    message, _ = failure(league, tmp_path, 1)
    assert re.search(r": IndexError: no such hare; world \d, step 3: .* \(.*adaptable_environments\.py:\d+\)$", message)
    assert not list(tmp_path.iterdir())


def test_whoever_interrupts_waits_for_nobody_and_leaves_no_process(tmp_path):
    """What Ctrl-C does: an exception in the middle of waiting."""

    def interrupt(done, total, agent_steps):
        if agent_steps:
            raise KeyboardInterrupt

    league = league_of(plays(0), [Odd("draws"), *[Odd("never_ends", number) for number in range(6)]])
    with pytest.raises(KeyboardInterrupt):
        play(league, tmp_path, workers=2, progress=interrupt)
    assert multiprocessing.active_children() == []
    assert len(list(tmp_path.iterdir())) == 1


def test_a_folder_that_cannot_be_written_ends_it(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(OSError):
        play(league_of(plays(0), plays(0)), tmp_path / "file")
