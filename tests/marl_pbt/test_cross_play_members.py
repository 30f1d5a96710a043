"""Real members that meet each other: what scores them, what it leaves in the lineage, and that it is worth it."""

from __future__ import annotations

import multiprocessing
import os
from collections import defaultdict

import numpy as np
import pytest

from marl_pbt.ancestry import LineageEvent
from marl_pbt.checkpoints import MemberCheckpoints, Retention
from marl_pbt.cross_play.arena import Arena
from marl_pbt.cross_play.at_ready_point import CrossPlay
from marl_pbt.cross_play.draw import CrossPlayRules
from marl_pbt.decision import Rules
from marl_pbt.environments import EnvironmentSource
from marl_pbt.evolution import Evolution
from marl_pbt.explore import Explorer, Perturb
from marl_pbt.hyperparameters import DiscreteFactors, Hyperparameter, Real
from marl_pbt.member import Member, Place
from marl_pbt.policy_state import ScoreRules
from marl_pbt.reports import ReadyPassed
from marl_pbt.run_directory import RunDirectory
from marl_pbt.selection import Truncation
from marl_pbt.shared_board import BoardShape, SharedBoard
from tests.marl_pbt.contest import SPECIES, ContestLearner

CONTEXT = multiprocessing.get_context("spawn")
CARD = {"architecture": {"kind": "contest"}, "learner": "tests.marl_pbt.contest:kind", "environment": None}


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
        arena = Arena(EnvironmentSource("tests.marl_pbt.contest:make", {}), CARD["learner"])
        self.cross_play = None if cross_play is None else CrossPlay(cross_play, arena, self.run)
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
                    cross_play=self.cross_play,
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
    """D28: on the two-species game cross-play beats own-pair scores, over eight seeds, paired."""
    gains = np.array(
        [
            mean_skill(tmp_path / f"cross_{seed}", seed, RULES) - mean_skill(tmp_path / f"own_{seed}", seed, None)
            for seed in range(8)
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
        assert mine.policies["hunter"].meetings == yours.policies["hunter"].meetings
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
                    assert policy.meetings == []
                    assert member.row(name).newest is None
    assert any(copied.values())


def test_the_leader_challenges_the_best_so_far_before_the_same_opponents(tmp_path, quick_disk):
    players = Players(tmp_path, cross_play=RULES).live(2)
    told = [event.why["challenge"] for event in players.ready("hunter", 2).values() if "challenge" in event.why]
    assert told
    for challenge in told:
        assert challenge["incumbent"] is None  # nobody has written a best policy here
        assert np.isfinite(challenge["score"])


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
