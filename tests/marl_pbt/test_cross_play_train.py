"""Whole runs that are scored by cross-play, through the train command."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from marl_pbt.config.loading import load_config
from marl_pbt.cross_play.archive import RECENT
from marl_pbt.lineage_store import read_lineage
from marl_pbt.plan import RunPlan
from marl_pbt.protocols import UserError
from marl_pbt.snapshot import decode
from tests.marl_pbt.command_here import trained

CONFIG = """\
name: meadow
environment:
  make: tests.marl_pbt.adaptable_environments:Meadow
  config: {max_steps: 10}
  species: {predator: "fox_*", prey: ["hare_?", "hare_??"]}
  num_worlds: 4
learner:
  make: agents.ppo:kind
  settings: {n_steps: 8, batch_size: 64, net_arch: [32, 32]}
pbt:
  population: 3
  interval: 400
  fitness: cross_play
  cross_play: {opponents: 2, kept: 1, guest_worlds: 0.5}
  hyperparameters:
    learning_rate: {loguniform: [1.0e-4, 1.0e-2]}
stop: {progress: 1600}
workers: 2
films: {every_minutes: null}
judge: null
"""

CONTEST = """\
environment: {make: "tests.marl_pbt.hospitable:make", num_worlds: 4}
learner: {make: "tests.marl_pbt.hospitable:kind"}
pbt:
  population: 3
  interval: 4
  time_attr: updates
  fitness: cross_play
  cross_play: {opponents: 2, kept: 1, guest_worlds: 0.5}
  hyperparameters: {pace: {loguniform: [0.003, 3.0]}}
stop: {progress: 16}
workers: 2
films: {every_minutes: null}
judge: null
"""
"""Without torch; a whole run of PPO with guests is in test_deterministic_mode."""


def written(folder: Path, *changes: tuple[str, str]) -> Path:
    path, text = folder / "meadow.yaml", CONFIG
    for old, new in changes:
        assert old in text
        text = text.replace(old, new)
    path.write_text(text)
    return path


def test_a_run_leaves_its_matches_its_archive_its_pictures_and_goes_on(tmp_path: Path) -> None:
    (tmp_path / "contest.yaml").write_text(CONTEST)
    code, _, err = trained(str(tmp_path / "contest.yaml"), "--runs-dir", str(tmp_path), "--name", "a")
    assert (code, err) == (0, "")
    run = tmp_path / "a"
    events = [event for event in read_lineage(run / "lineage.jsonl") if event.kind == "ready"]
    assert {event.member for event in events} == {0, 1, 2}
    for event in events:
        # Whose worker is not up yet has left nothing to meet; members 0 and 2 share one.
        met = {match["opponent"][0] for match in event.why["matches"]}
        assert (event.score is None) == (not met)
        assert met or event.member == 1
        assert met <= {0, 1, 2} - {event.member}
        assert {match["generation"] for match in event.why["matches"]} <= {event.generation}
    for species in ("hunter", "runner"):
        assert 2 <= len(list((run / "archive" / species).glob("member_00@*.safetensors"))) <= RECENT + 1
        assert (run / f"payoffs_{species}.png").read_bytes().startswith(b"\x89PNG")
        won = decode((run / "best" / f"{species}.safetensors").read_bytes()).metadata
        told = [event for event in events if event.policy == species and "challenge" in event.why]
        assert (won["member"], won["generation"]) in {(event.member, event.generation) for event in told}
    assert trained("--resume", str(run), "--set", "stop.progress=20")[0] == 0
    assert max(event.generation for event in read_lineage(run / "lineage.jsonl")) == 5


@pytest.mark.parametrize(
    ("changes", "fault"),
    [
        ([("population: 3", "population: 1")], "pbt.fitness: must be own_pair with 1 member, got cross_play"),
        (
            [("fitness: cross_play", "fitness: own_pair")],
            "pbt.cross_play.guest_worlds: must be 0 with fitness: own_pair",
        ),
        (
            [("kept: 1,", "kept: 1, config: {max_stepz: 3},")],
            "pbt.cross_play.config: environment.make: tests.marl_pbt.adaptable_environments:Meadow raised TypeError",
        ),
        (
            [
                ("tests.marl_pbt.adaptable_environments:Meadow", "tests.marl_pbt.toy_environments:Herd"),
                ("config: {max_steps: 10}", "config: {}"),
                ('species: {predator: "fox_*", prey: ["hare_?", "hare_??"]}', "species: null"),
            ],
            "pbt.fitness: must be own_pair with cow alone",
        ),
        (
            [
                ("agents.ppo:kind", "agents.scripted:random_kind"),
                ("{n_steps: 8, batch_size: 64, net_arch: [32, 32]}", "{}"),
            ],
            "pbt.cross_play.guest_worlds: must be 0 with agents.scripted:random_kind, whose learners host no guests",
        ),
        (
            [("num_worlds: 4", "num_worlds: 2")],
            "pbt.cross_play.guest_worlds: must be 0 or give each of 2 species a guest world and leave one of "
            "environment.num_worlds: 2 without guests, got 0.5",
        ),
        ([("guest_worlds: 0.5", "guest_worlds: 0.2")], "num_worlds: 4 without guests, got 0.2"),
    ],
)
def test_what_cannot_work_is_one_line_before_anything_starts(
    tmp_path: Path, changes: list[tuple[str, str]], fault: str
) -> None:
    with pytest.raises(UserError) as error:
        RunPlan.of(load_config(written(tmp_path, *changes), ("pbt.hyperparameters={}",)))
    assert [fault in each for each in error.value.faults] == [True], error.value.faults


def test_cross_play_needs_somewhere_to_meet(tmp_path: Path) -> None:
    path = tmp_path / "toy.yaml"
    path.write_text(
        json.dumps(
            {
                "learner": {"make": "tests.marl_pbt.toy_learner:kind"},
                "pbt": {"interval": 1, "fitness": "cross_play"},
                "stop": {"progress": 1},
            }
        )
    )
    with pytest.raises(UserError, match=r"pbt\.fitness: must be own_pair without environment\.make"):
        load_config(path, ())
