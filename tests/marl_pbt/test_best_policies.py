"""`best/<species>.safetensors` at any time."""

import math
import os
import threading

import numpy as np
import pytest

from marl_pbt.ancestry import LineageEvent
from marl_pbt.best_policies import BestPolicies
from marl_pbt.checkpoints import MemberCheckpoints, Retention
from marl_pbt.protocols import Clocks
from marl_pbt.run_directory import RunDirectory
from marl_pbt.snapshot import Snapshot, decode, encode
from marl_pbt.standings import BoardRow, Score


@pytest.fixture(autouse=True)
def no_waiting_for_the_disk(monkeypatch):
    monkeypatch.setattr(os, "fsync", lambda descriptor: None)


class Run:
    """A run's directory, and members that pass ready points in it."""

    def __init__(self, tmp_path, maximize=True, choice="ever"):
        self.directory = RunDirectory(tmp_path / "run")
        if not self.directory.root.exists():
            self.directory.create()
        self.maximize = maximize
        self.choice = choice
        self.events = []
        self.histories = {}
        self.best = self.reopened()

    def reopened(self):
        return BestPolicies(self.directory, 4, min_episodes=20, maximize=self.maximize, choice=self.choice)

    def offer(self, member, generation, mean, episodes=20, error=1.0, hare=None, checkpoint=True):
        scores = {"fox": Score(mean, error, episodes)} | ({} if hare is None else {"hare": Score(hare, 1.0, 20)})
        if checkpoint:
            published = {
                name: {"member": member, "generation": generation, "score": score.to_json()}
                for name, score in scores.items()
            }
            tensors = {f"{name}/policy/w": np.full(1000, 1000 * member + generation, np.float32) for name in scores}
            checkpoints = MemberCheckpoints(self.directory.member(member), Retention(), self.maximize)
            said = {"kind": "checkpoint", "member": member, "generation": generation, "published": published}
            checkpoints.write(generation, Snapshot(said, tensors), {})
        for name, score in scores.items():
            self.histories[member, name] = (*self.histories.get((member, name), ()), (generation, score))
        rows = {
            name: BoardRow(member, generation, history=self.histories[member, name], snapshot_generation=generation)
            for name in scores
        }
        return self.best.offer(rows, self.events)

    def held(self, species="fox"):
        return decode(self.directory.best_policy(species).read_bytes())


def test_the_first_sound_score_makes_the_file(tmp_path):
    run = Run(tmp_path)
    assert run.offer(3, 1, -50.0) == ["fox"]
    assert run.held().metadata["member"] == 3
    assert run.held().tensors["policy/w"].tolist() == [3001.0] * 1000
    assert run.best.holders["fox"] == (3, 1)


@pytest.mark.parametrize("maximize", [True, False])
def test_only_a_better_score_replaces_it(tmp_path, maximize):
    """D20, R36."""
    sign = 1 if maximize else -1
    run = Run(tmp_path, maximize)
    run.offer(0, 1, sign * 10.0)
    assert run.offer(1, 1, sign * 10.0) == []
    assert run.offer(1, 2, sign * 9.0) == []
    assert run.held().metadata["member"] == 0
    assert run.offer(2, 1, sign * 10.5) == ["fox"]
    assert run.held().metadata["member"] == 2


@pytest.mark.parametrize(
    ("mean", "episodes", "error"),
    [
        (math.nan, 20, 1.0),
        (math.inf, 20, 1.0),
        (-math.inf, 20, 1.0),
        (99.0, 19, 1.0),
        (99.0, 0, 0.0),
        (99.0, 20, math.nan),
    ],
)
def test_what_is_not_finite_or_too_thinly_based_never_becomes_the_best(tmp_path, mean, episodes, error):
    """D20, in either mode, be it the first or not."""
    for maximize in (True, False):
        run = Run(tmp_path / str(maximize), maximize)
        assert run.offer(0, 1, mean, episodes, error) == []
        assert not run.directory.best_policy("fox").exists()
        run.offer(0, 2, 5.0)
        assert run.offer(0, 3, mean, episodes, error) == []
        assert run.held().metadata["generation"] == 2


def test_a_pending_policy_never_becomes_the_best(tmp_path):
    run = Run(tmp_path)
    row = BoardRow(0, 2, history=((2, Score(99.0, 1.0, 20)),), last_exploit=2)
    assert run.best.offer({"fox": row, "hare": BoardRow(0, 2)}) == []


def test_species_have_a_best_each(tmp_path):
    run = Run(tmp_path)
    run.offer(0, 1, 10.0, hare=1.0)
    assert run.offer(1, 1, 5.0, hare=2.0) == ["hare"]
    assert (run.held("fox").metadata["member"], run.held("hare").metadata["member"]) == (0, 1)


def test_a_resumed_run_does_not_replace_its_best_by_something_lower(tmp_path):
    """D20."""
    run = Run(tmp_path)
    run.offer(0, 1, 10.0)
    run = Run(tmp_path)
    assert run.best.holders == {"fox": (0, 1)}
    assert run.offer(1, 1, 9.0) == []
    assert run.offer(1, 2, 11.0) == ["fox"]


def test_a_best_file_that_is_damaged_is_said_and_replaced(tmp_path, caplog):
    run = Run(tmp_path)
    run.offer(0, 1, 10.0)
    run.directory.best_policy("fox").write_bytes(b"damaged")
    run = Run(tmp_path)
    assert str(run.directory.best_policy("fox")) in caplog.text
    assert run.offer(1, 1, 9.0) == ["fox"]
    assert run.held().metadata["member"] == 1


def test_a_ready_point_whose_checkpoint_is_gone_already_is_passed_over(tmp_path):
    run = Run(tmp_path)
    run.offer(0, 1, 10.0)
    assert run.offer(1, 7, 99.0, checkpoint=False) == []
    assert run.best.scores["fox"].mean == 10.0
    assert run.held().metadata["member"] == 0


def test_the_best_is_the_policy_that_earned_its_score(tmp_path):
    """A checkpoint rewritten by a second life of its member holds another policy with another score."""
    run = Run(tmp_path)
    run.offer(0, 1, 10.0)
    run.offer(1, 1, 5.0)  # this is what lies on the disk
    assert run.offer(1, 1, 50.0, checkpoint=False) == []
    assert run.held().metadata["member"] == 0


def test_the_file_loads_at_every_instant_while_it_is_rewritten(tmp_path):
    """D20: and what a reader sees never gets worse."""
    run = Run(tmp_path)
    run.offer(0, 1, 0.0)
    seen, faults, done = [], [], threading.Event()

    def read():
        while not done.is_set():
            try:
                held = run.held()
                assert len(set(held.tensors["policy/w"].tolist())) == 1
                seen.append(held.metadata["score"]["mean"])
            except Exception as fault:
                faults.append(fault)

    reader = threading.Thread(target=read)
    reader.start()
    try:
        for generation in range(2, 50):
            run.offer(0, generation, float(generation if generation % 3 else -generation))
    finally:
        done.set()
        reader.join()
    assert not faults
    assert seen == sorted(seen)
    assert len(set(seen)) > 10
    assert [path.name for path in run.directory.best.iterdir()] == ["fox.safetensors"]


def test_where_members_replace_the_file_themselves_it_only_looks(tmp_path):
    run = Run(tmp_path)
    run.best = BestPolicies(run.directory, 4, min_episodes=20, choice="challenge")
    assert run.offer(0, 1, 50.0, episodes=6) == []
    told = LineageEvent("ready", 1, "fox", 2, Clocks(), 0.0, why={"challenge": {}})
    score = Score(7.0, 1.0, 6)
    path = run.directory.best_policy("fox")
    path.write_bytes(encode(Snapshot({"member": 1, "generation": 2, "score": score.to_json()}, {})))
    run.events = [told]
    assert run.offer(1, 2, 7.0, episodes=6) == ["fox"]
    assert run.best.holders["fox"] == (1, 2)
    assert run.best.scores["fox"] == score
    assert run.offer(1, 3, 90.0, episodes=6) == []


@pytest.mark.parametrize("maximize", [True, False])
def test_where_others_learn_too_the_leader_of_now_replaces_a_higher_score_of_early_days(tmp_path, maximize):
    """Two species: early predators met prey that could not flee yet, and nobody will ever score like them again."""
    sign = 1 if maximize else -1
    run = Run(tmp_path, maximize, "now")
    for member, mean in enumerate([90.0, 80.0, 70.0, 60.0]):
        run.offer(member, 1, sign * mean)
    assert run.best.holders["fox"] == (0, 1)
    changes = [run.offer(member, 2, sign * mean) for member, mean in enumerate([50.0, 55.0, 40.0])]
    assert changes == [[], [], ["fox"]]  # before most have come there, nobody knows what its scores are worth
    assert run.best.holders["fox"] == (1, 2)
    assert run.offer(3, 2, sign * 60.0) == ["fox"]
    assert run.held().metadata["member"] == 3


def test_where_others_learn_too_who_has_fallen_behind_is_not_the_best_by_a_score_of_early_days(tmp_path):
    run = Run(tmp_path, choice="now")
    run.offer(3, 1, 90.0)
    for generation in (1, 2, 3):
        for member in range(3):
            run.offer(member, generation, 50.0 + member)
    assert run.best.holders["fox"] == (2, 3)


def test_where_others_learn_too_a_resumed_run_first_listens_how_everybody_stands(tmp_path):
    run = Run(tmp_path, choice="now")
    for member in range(4):
        run.offer(member, 1, 10.0 + member)
    run = Run(tmp_path, choice="now")
    assert run.offer(0, 2, 5.0) == []
    assert run.best.holders["fox"] == (3, 1)
