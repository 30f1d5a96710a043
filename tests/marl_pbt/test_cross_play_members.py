"""Real members that meet each other: what scores them, what it leaves in the lineage, and that it is worth it."""

from __future__ import annotations

import multiprocessing
import os
from collections import defaultdict
from types import SimpleNamespace

import numpy as np
import pytest

from marl_pbt.ancestry import LineageEvent
from marl_pbt.checkpoints import MemberCheckpoints, Retention
from marl_pbt.cross_play.arena import Arena
from marl_pbt.cross_play.challenge import Challenge
from marl_pbt.cross_play.draw import CrossPlayRules
from marl_pbt.cross_play.hall import Hall
from marl_pbt.decision import Rules
from marl_pbt.environments import EnvironmentSource
from marl_pbt.evolution import Evolution
from marl_pbt.explore import Explorer, Perturb
from marl_pbt.hyperparameters import DiscreteFactors, Hyperparameter, Real
from marl_pbt.member import Member, Place
from marl_pbt.policy_state import ScoreRules
from marl_pbt.protocols import UserError
from marl_pbt.reports import ReadyPassed
from marl_pbt.run_directory import RunDirectory
from marl_pbt.selection import Truncation
from marl_pbt.shared_board import BoardShape, SharedBoard
from marl_pbt.snapshot import Snapshot, decode, encode
from marl_pbt.standings import Source
from marl_pbt.streams import stream_seed
from tests.marl_pbt.contest import SPECIES, ContestLearner, ContestWorlds

CONTEXT = multiprocessing.get_context("spawn")
CARD = {"architecture": {"kind": "contest"}, "learner": "tests.marl_pbt.contest:kind", "environment": None}


class WatchedArena(Arena):
    """Notes with which seed whose policies met whom."""

    def __init__(self, *arguments):
        super().__init__(*arguments)
        self.met = []

    def meet(self, own, generation, teams, seed, must_stop):
        self.met.append((seed, {team.opponent.member for team in teams}))
        return super().meet(own, generation, teams, seed, must_stop)


class Players:
    """A population of contest learners, driven by hand."""

    def __init__(self, folder, seed=0, size=8, cross_play=None, control="pbt"):
        self.run = RunDirectory(folder)
        by = Evolution(
            seed=seed,
            time_attr="updates",
            interval=2.0,
            stop=1e9,
            control=control,
            rules=Rules(Truncation(), size, burn_in=2.0),
            score_rules=ScoreRules(window=8, min_episodes=4, cross_play=cross_play),
            explorer=Explorer(Perturb(DiscreteFactors((0.8, 1.25)), 0.1)),
            declared={name: (Hyperparameter(name, "pace", Real(0.003, 3.0, log=True)),) for name in SPECIES},
            cards=dict.fromkeys(SPECIES, CARD),
        )
        shape = BoardShape(size, (8, 8))
        board = SharedBoard(shape, SharedBoard.allocate(shape, CONTEXT))
        arena = WatchedArena(EnvironmentSource("tests.marl_pbt.contest:make", {}), CARD["learner"])
        self.met = arena.met
        self.hall = None if cross_play is None else Hall(cross_play, arena, self.run)
        self.reports = []
        self.members = [
            Member(
                index,
                ContestLearner(1000 * seed + index),
                by,
                Place(
                    board,
                    MemberCheckpoints(self.run.member(index), Retention(1, 0)),
                    self.reports.append,
                    hall=self.hall,
                ),
            )
            for index in range(size)
        ]
        for member in self.members:
            member.start()

    def live(self, intervals=1):
        for _ in range(intervals):
            for member in self.members:
                member.live_one_interval()
        return self

    def ready(self, species, generation):
        """By member what its ready point told."""
        events = [event for each in self.reports if isinstance(each, ReadyPassed) for event in each.events]
        return {
            event.member: event
            for event in events
            if (event.kind, event.policy, event.generation) == ("ready", species, generation)
        }


def mean_skill(folder, seed, cross_play):
    players = Players(folder, seed, cross_play=cross_play).live(7)
    return np.mean([member.learner.skill(name) for member in players.members for name in SPECIES])


@pytest.fixture
def quick_disk(monkeypatch):
    """Nobody pulls the plug here."""
    monkeypatch.setattr(os, "fsync", lambda descriptor: None)


RULES = CrossPlayRules(opponents=7, past=0.0)


def test_cross_play_per_species_finds_skill_where_own_pairs_find_weak_partners(tmp_path, quick_disk):
    """D28: on the two-species game cross-play beats own-pair scores, over five seeds, paired."""
    gains = np.array(
        [
            mean_skill(tmp_path / f"cross_{seed}", seed, RULES) - mean_skill(tmp_path / f"own_{seed}", seed, None)
            for seed in range(5)
        ]
    )
    assert gains.mean() > 3 * gains.std(ddof=1) / np.sqrt(len(gains))


def test_all_meet_the_others_as_they_were_one_ready_point_earlier(tmp_path, quick_disk):
    players = Players(tmp_path, size=4, cross_play=CrossPlayRules(opponents=3, past=0.0)).live(3)
    for member, event in players.ready("hunter", 3).items():
        met = {tuple(each["opponent"]) for each in event.why["matches"]}
        assert met == {(other, 2, False) for other in range(4) if other != member}


def test_the_score_is_what_the_matches_gave_and_not_what_the_partner_allowed(tmp_path, quick_disk):
    players = Players(tmp_path, size=4, cross_play=CrossPlayRules(opponents=3, past=0.0, ready_points=1))
    players.members[0].learner.growth = 0.0  # its runner never learns: an easy partner, but the hunter is as poor
    players.live(2)
    events = players.ready("hunter", 2)
    for event in events.values():
        means = [np.mean(each["returns"]) for each in event.why["matches"]]
        assert event.score.mean == pytest.approx(np.mean(means))
        assert event.score.episodes == 3
    assert events[0].score.mean == min(event.score.mean for event in events.values())
    assert events[0].why["own_pair"]["mean"] == pytest.approx(0, abs=0.5)


def test_matches_go_on_from_a_checkpoint_and_change_nothing_in_training(tmp_path, quick_disk):
    players = Players(tmp_path, cross_play=RULES, control="random_search").live(2)
    apart = Players(tmp_path / "apart", control="random_search").live(2)
    for mine, yours in zip(players.members, apart.members, strict=True):
        assert {name: mine.learner.skill(name) for name in SPECIES} == {
            name: yours.learner.skill(name) for name in SPECIES
        }
    again = Players(tmp_path, cross_play=RULES, control="random_search")
    for mine, yours in zip(again.members, players.members, strict=True):
        assert mine.policies["hunter"].matches == yours.policies["hunter"].matches
        assert mine.rows() == yours.rows()


def test_an_exploit_forgets_the_matches_of_the_policy_that_is_gone(tmp_path, quick_disk):
    players = Players(tmp_path, cross_play=RULES)
    copied = defaultdict(set)
    for _ in range(5):
        players.live()
        for member in players.members:
            for name, policy in member.policies.items():
                if policy.last_exploit == member.generation:
                    copied[name].add(member.index)
                    assert policy.matches == []
                    assert member.row(name).newest is None
    assert any(copied.values())


def test_the_leader_challenges_the_best_so_far_and_only_who_wins_takes_its_place(tmp_path, quick_disk):
    """D20: scores of different ready points are won against different opponents and decide nothing."""
    players, best = Players(tmp_path, cross_play=RULES), None
    lost = won = 0
    for generation in range(1, 10):
        players.live()
        for member, event in sorted(players.ready("hunter", generation).items()):
            if "challenge" not in event.why:
                continue
            challenge = Challenge.from_json(event.why["challenge"])
            assert challenge.incumbent == best
            if challenge.is_won(maximize=True):
                won += 1
                best = Source(member, generation)
            else:
                lost += 1
        held = decode(players.run.best_policy("hunter").read_bytes())
        assert (held.metadata["member"], held.metadata["generation"]) == (best.member, best.generation)
        if generation > 4:
            assert held.tensors["policy/skill"][0] == 1e6
        if generation == 4:  # whoever is the best now can never be beaten
            skill = {"policy/skill": np.array([1e6])}
            players.run.best_policy("hunter").write_bytes(encode(Snapshot(held.metadata, skill)))
    assert won > 2
    assert lost > 0


def test_neither_of_two_challengers_meets_a_partner_of_its_own(tmp_path, quick_disk):
    players = Players(tmp_path, size=4, cross_play=CrossPlayRules(opponents=3, past=0.0, population=4)).live(2)
    met = [everybody for seed, everybody in players.met if seed == stream_seed(0, "challenge", generation=2)]
    told = [(member, event) for name in SPECIES for member, event in players.ready(name, 2).items()]
    told = sorted(
        ((member, event.policy, event.why["challenge"]) for member, event in told if "challenge" in event.why)
    )
    assert len(met) == 2 * len(told) > 0
    for (member, _, challenge), own, theirs in zip(told, met[::2], met[1::2], strict=True):
        assert own == theirs == {0, 1, 2, 3} - {member, challenge["incumbent"]["member"]}


def test_who_replaces_the_best_meanwhile_is_not_overwritten(tmp_path, quick_disk):
    players = Players(tmp_path, size=3, cross_play=CrossPlayRules(opponents=2, population=3)).live(1)
    path = players.run.best_policy("hunter")
    held = decode(path.read_bytes())
    other = Snapshot({**held.metadata, "member": 2, "generation": 9}, held.tensors)
    players.hall.crown("hunter", Source(1, 77), other)
    assert decode(path.read_bytes()).metadata == held.metadata
    players.hall.crown("hunter", Source(held.metadata["member"], held.metadata["generation"]), other)
    assert decode(path.read_bytes()).metadata["generation"] == 9


def test_a_policy_that_is_finite_and_yet_cannot_play_is_rolled_back(tmp_path, quick_disk):
    players = Players(tmp_path, size=3, cross_play=CrossPlayRules(opponents=2, population=3)).live(2)
    players.members[0].learner.adopt("hunter", {"policy/skill": np.array([1e12])}, "reset")
    players.live(1)
    told = [event.why["fault"] for event in players.members[0].events if event.kind == "rollback"]
    assert told == ["hunter: it cannot play"] * len(players.members[0].learner.species)
    assert players.ready("hunter", 3)[0].score.is_finite


def test_who_is_told_to_stop_breaks_matches_off_and_has_no_score(tmp_path, quick_disk):
    players = Players(tmp_path, size=3, cross_play=CrossPlayRules(opponents=2, population=3)).live(1)
    asked = iter([False, False, True])  # twice while it trains, then in the matches
    players.members[0].place.must_stop = lambda: next(asked, True)
    assert players.members[0].live_one_interval()
    assert players.ready("hunter", 2)[0].score is None
    assert players.members[0].generation == 2


def test_where_nothing_ever_ends_it_says_so(tmp_path, quick_disk, monkeypatch):
    monkeypatch.setattr("marl_pbt.cross_play.arena.MOST_STEPS", 150)
    players = Players(tmp_path, size=3, cross_play=CrossPlayRules(opponents=2, population=3))
    monkeypatch.setattr(ContestWorlds, "step", lambda self, actions: SimpleNamespace(episodes=[]))
    with pytest.raises(UserError, match="an episode does not end within 150 env steps"):
        players.live(1)


def test_what_is_told_of_matches_survives_the_lineage_store(tmp_path, quick_disk):
    players = Players(tmp_path, size=3, cross_play=CrossPlayRules(opponents=2)).live(2)
    for event in players.ready("runner", 2).values():
        assert LineageEvent.from_line(event.to_line()) == event


def test_a_policy_of_the_archive_that_is_damaged_is_passed_over(tmp_path, quick_disk, caplog):
    players = Players(tmp_path, size=4, cross_play=CrossPlayRules(opponents=3, past=0.0)).live(1)
    (players.run.archive / "runner" / "member_01@1.safetensors").write_bytes(b"nothing")
    players.live(1)
    met = {each["opponent"][0] for each in players.ready("hunter", 2)[0].why["matches"]}
    assert met == {2, 3}
    assert "member_01@1 cannot be met" in caplog.text
