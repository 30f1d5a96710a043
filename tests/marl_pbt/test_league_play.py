"""Leagues are played: the same on any number of processes, and nothing twice."""

import json
import logging
import time
from dataclasses import replace

import numpy as np
import pytest

from marl_pbt.league.assembly import Entrant, League
from marl_pbt.league.jobs import BLOCK, Episodes, jobs_of
from marl_pbt.league.match_store import MatchStore
from marl_pbt.league.pool import run_jobs
from marl_pbt.seats import Baseline
from tests.marl_pbt.odd_seats import MEADOW, RULES, Odd, all_pairings, league_of, play, plays

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
        key(replace(league, code="what somebody has edited")),
        key(replace(league, environment=MEADOW.changed({"max_steps": 9}))),
        key(rules=replace(RULES, seed=6)),
        key(rules=replace(RULES, greedy=True)),
        key(rules=replace(RULES, episodes=4)),
    ]
    assert len({key(), *others}) == 7


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


@pytest.mark.parametrize(("before", "now", "known", "blocks"), [(10, 18, 1, 2), (20, 40, 2, 4), (25, 30, 2, 3)])
def test_more_episodes_go_on_from_the_whole_blocks_of_ten_that_were_played(tmp_path, before, now, known, blocks):
    league = league_of(plays(1), [Odd("draws")])
    few, _ = play(league, tmp_path, rules=replace(RULES, episodes=before))
    more, told = play(league, tmp_path, rules=replace(RULES, episodes=now))
    assert told.calls[0] == (known, blocks, 0)
    assert told.played == blocks - known
    assert more[0, 0][:known] == few[0, 0][:known]
    assert sum(len(block.lengths) for block in more[0, 0]) == now


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


def test_no_jobs_need_no_processes():
    began = time.monotonic()
    assert list(run_jobs([], 8)) == []
    assert time.monotonic() - began < 0.5
