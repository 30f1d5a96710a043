"""Leagues are played: the same on any number of processes, nothing twice, and what goes wrong is told."""

import json
import logging
import multiprocessing
import time
from dataclasses import replace

import numpy as np
import pytest

from marl_pbt.environments import EnvironmentSource
from marl_pbt.league.assembly import Entrant, League
from marl_pbt.league.jobs import BLOCK, Episodes, Rules, jobs_of
from marl_pbt.league.match_store import MatchStore
from marl_pbt.league.pool import MatchFailedError, run_jobs
from marl_pbt.league.schedule import pairings
from marl_pbt.league.tournament import play_league
from marl_pbt.seats import Baseline
from tests.marl_pbt.odd_seats import Odd

MEADOW = EnvironmentSource("tests.marl_pbt.adaptable_environments:Meadow", {"max_steps": 8})
RULES = Rules(episodes=3, seed=5, greedy=False)


def league_of(foxes, hares, environment=MEADOW):
    """Whose players are these seats, which go by their texts."""
    entrants = {
        name: tuple(Entrant(str(seat), name, "", seat, str(seat), True) for seat in of)
        for name, of in (("fox", foxes), ("hare", hares))
    }
    return League(environment, tuple(entrants), entrants, ())


def plays(*actions):
    return [Odd("plays", action) for action in actions]


def all_pairings(league):
    return pairings(league.entrants, None, np.random.default_rng(0))


class Progress:
    """What was told of a league's progress."""

    def __init__(self):
        self.calls = []

    def __call__(self, done, total, agent_steps):
        self.calls.append((done, total, agent_steps))

    @property
    def played(self):
        """Matches that were not known before."""
        return sum(agent_steps > 0 for _, _, agent_steps in self.calls)


def play(league, folder, workers=1, rules=RULES, progress=None, order=1):
    told = progress or Progress()
    results = play_league(league, all_pairings(league)[::order], rules, MatchStore(folder), workers, told)
    return results, told


# The same, wherever and in whichever order.


def test_matches_are_the_same_on_one_and_on_three_processes(tmp_path):
    league = league_of([Odd("draws"), *plays(0, 1)], [Odd("draws"), Baseline("random")])
    alone, told_alone = play(league, tmp_path / "one")
    together, told_together = play(league, tmp_path / "three", workers=3)
    assert alone == together
    assert list(alone) == list(together) == all_pairings(league)
    assert told_alone.played == told_together.played == 6
    assert [call[:2] for call in told_together.calls] == [(done, 6) for done in range(7)]
    files = [{path.name: path.read_bytes() for path in (tmp_path / name).iterdir()} for name in ("one", "three")]
    assert files[0] == files[1]
    assert len(files[0]) == 6


def test_the_order_of_matches_does_not_matter(tmp_path):
    """Though worlds are used again from match to match."""
    league = league_of([Odd("draws"), *plays(0)], [Odd("draws"), *plays(2)])
    assert play(league, tmp_path / "a")[0] == play(league, tmp_path / "b", order=-1)[0]


def test_an_action_is_worth_what_the_environment_pays_for_it(tmp_path):
    results, _ = play(league_of(plays(0, 1), plays(1)), tmp_path)
    ((without,), (paid,)) = results.values()
    assert without.returns["fox"] == (0.0, 0.0, 0.0)
    assert all(value > 0 for value in paid.returns["fox"])
    assert without.agent_steps > 0


def test_episode_number_n_begins_alike_in_every_pairing(tmp_path):
    """Players that do the same under other names: all that is left to chance is the same too."""
    same = [Odd("plays", 1), Odd("plays", np.int64(1))]
    results, _ = play(league_of(same, [Odd("draws")]), tmp_path, rules=replace(RULES, episodes=BLOCK + 2))
    first, second = results.values()
    assert first == second
    assert len(set(first[0].returns["hare"])) > 1


@pytest.mark.parametrize(("episodes", "blocks"), [(1, [1]), (BLOCK, [BLOCK]), (BLOCK + 1, [BLOCK, 1])])
def test_many_episodes_are_played_in_blocks(episodes, blocks):
    jobs = jobs_of(league_of(plays(0), plays(0)), (0, 0), replace(RULES, episodes=episodes))
    assert [job.episodes for job in jobs] == blocks
    assert len({job.seed for job in jobs}) == len({job.key for job in jobs}) == len(jobs)


def test_greedy_players_are_told_so(tmp_path):
    league = league_of(plays(0), [Odd("draws")])
    ((greedy,),) = play(league, tmp_path, rules=replace(RULES, greedy=True))[0].values()
    assert greedy.returns["hare"] == (0.0, 0.0, 0.0)


def test_a_match_goes_by_what_its_players_do_and_not_by_their_names():
    league = league_of(plays(0), plays(0))

    def key(league=league, rules=RULES):
        return jobs_of(league, (0, 0), rules)[0].key

    fox = league.entrants["fox"][0]
    renamed = {**league.entrants, "fox": (replace(fox, label="x", address="y"),)}
    assert key(replace(league, entrants=renamed, notices=("x",))) == key()
    other = {**league.entrants, "fox": (replace(fox, digest="another"),)}
    others = [
        key(replace(league, entrants=other)),
        key(replace(league, environment=MEADOW.changed({"max_steps": 9}))),
        key(rules=replace(RULES, seed=6)),
        key(rules=replace(RULES, greedy=True)),
        key(rules=replace(RULES, episodes=4)),
    ]
    assert len({key(), *others}) == 6


# Nothing twice.


@pytest.mark.parametrize("workers", [1, 3])
def test_what_was_played_is_not_played_again(tmp_path, workers):
    league = league_of(plays(0, 1), [Odd("draws")])
    first, _ = play(league, tmp_path)
    again, told = play(league, tmp_path, workers)
    assert again == first
    assert told.calls == [(2, 2, 0)]


def test_a_larger_league_plays_only_what_is_new(tmp_path):
    play(league_of(plays(0, 1), plays(2)), tmp_path)
    _, told = play(league_of(plays(1, 0, 2), plays(2, 3)), tmp_path)
    assert told.calls[0] == (2, 6, 0)
    assert told.played == 4


def test_more_episodes_go_on_from_those_that_were_played(tmp_path):
    league = league_of(plays(1), [Odd("draws")])
    few, _ = play(league, tmp_path, rules=replace(RULES, episodes=BLOCK))
    more, told = play(league, tmp_path, rules=replace(RULES, episodes=BLOCK + 8))
    assert told.calls == [(1, 2, 0), (2, 2, told.calls[1][2])]
    assert more[0, 0][0] == few[0, 0][0]


def test_who_plays_under_two_names_plays_once(tmp_path):
    fox, hare = (Entrant("a", name, "", Odd("plays", 1), "a", True) for name in ("fox", "hare"))
    entrants = {name: (each, replace(each, label="a (met)")) for name, each in (("fox", fox), ("hare", hare))}
    results, told = play(League(MEADOW, ("fox", "hare"), entrants, ()), tmp_path)
    assert [call[:2] for call in told.calls] == [(0, 1), (1, 1)]
    assert len(results) == 4
    assert len(set(map(str, results.values()))) == 1


def reread(change):
    return lambda text: json.dumps(change(json.loads(text)))


@pytest.mark.parametrize(
    "damage",
    [
        lambda text: "",
        lambda text: text[: len(text) // 2],
        lambda text: "[]",
        lambda text: "null",
        lambda text: "[" * 100_000,
        lambda text: "\ud800",
        reread(lambda data: {key: value for key, value in data.items() if key != "lengths"}),
        reread(lambda data: data | {"lengths": data["lengths"][1:]}),
        reread(lambda data: data | {"lengths": 3}),
        reread(lambda data: data | {"lengths": ["a", "b", "c"]}),
        reread(lambda data: data | {"returns": {"fox": data["returns"]["fox"]}}),
        reread(lambda data: data | {"returns": data["returns"] | {"wolf": [1, 2, 3]}}),
        reread(lambda data: data | {"returns": data["returns"] | {"fox": [[1], [2], [3]]}}),
        reread(lambda data: data | {"metrics": {"x": [1, 2]}}),
        reread(lambda data: data | {"metrics": 3}),
        reread(lambda data: data | {"agent_steps": None}),
        lambda text: text.replace('"agent_steps": ', '"agent_steps": 1e999, "x": '),
    ],
)
def test_a_damaged_match_file_is_played_again_and_replaced(tmp_path, caplog, damage):
    league = league_of(plays(1), [Odd("draws")])
    first, _ = play(league, tmp_path)
    (path,) = tmp_path.iterdir()
    whole = path.read_bytes()
    path.write_bytes(damage(whole.decode()).encode(errors="surrogatepass"))
    with caplog.at_level(logging.WARNING):
        again, told = play(league, tmp_path)
    assert again == first
    assert told.played == 1
    assert path.read_bytes() == whole
    assert caplog.messages[0].startswith(f"{path}: ")
    assert caplog.messages[0].endswith("; the match is played again")


def test_what_an_episode_did_not_count_is_missing_also_after_it_was_kept(tmp_path):
    (job,) = jobs_of(league_of(plays(0), plays(0)), (0, 0), replace(RULES, episodes=2))
    one = Episodes({"fox": (1.5, -2.0), "hare": (0.1, 1e300)}, (3.0, 4.0), {"rare": (float("nan"), 7.0)}, 12)
    store = MatchStore(tmp_path)
    assert store.get(job) is None
    store.put(job, one)
    kept = store.get(job)
    assert (kept.returns, kept.lengths, kept.agent_steps) == (one.returns, one.lengths, one.agent_steps)
    np.testing.assert_array_equal(kept.metrics["rare"], one.metrics["rare"])
    (path,) = tmp_path.iterdir()
    assert json.loads(path.read_text())["match"] == job.title


# What goes wrong.


def failure(league, folder, workers):
    progress = Progress()
    with pytest.raises(MatchFailedError) as failed:
        play(league, folder, workers, progress=progress)
    assert multiprocessing.active_children() == []
    return str(failed.value), progress


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
    assert message == f"{Odd('plays', 0)} × {bad}: {told}"
    assert progress.played == len(list(tmp_path.iterdir())) == 1
    good = league_of(plays(0, 1), [Odd("draws")])
    assert play(good, tmp_path)[1].calls[0] == (1, 2, 0)


@pytest.mark.parametrize(
    ("act", "told"),
    [
        ("raises_two_words", "TwoWordsError: no hare"),
        ("kills_its_process", "a process that played was killed (out of memory?)"),
    ],
)
def test_the_same_in_other_processes_of_which_none_is_left(tmp_path, act, told):
    bad = Odd(act)
    league = league_of(plays(0), [bad, *[Odd("never_ends", number) for number in range(6)]])
    message, _ = failure(league, tmp_path, 2)
    assert message.endswith(f": {told}")


def test_an_environment_that_raises_is_told(tmp_path):
    league = league_of(plays(0), plays(0), EnvironmentSource("tests.marl_pbt.adaptable_environments:Raises", {}))
    message, _ = failure(league, tmp_path, 1)
    assert "no such hare" in message
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


def test_no_jobs_need_no_processes():
    began = time.monotonic()
    assert list(run_jobs([], 8)) == []
    assert time.monotonic() - began < 0.5
