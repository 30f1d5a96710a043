"""Learners that are no reinforcement learning run through the same command, board, lineage and TensorBoard."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from tensorboard.backend.event_processing.event_accumulator import STORE_EVERYTHING_SIZE_GUIDANCE, EventAccumulator

from marl_pbt.checkpoints import MemberCheckpoints, Retention
from marl_pbt.lineage_store import read_lineage
from marl_pbt.run_directory import RunDirectory
from tests.marl_pbt.command_here import trained


def run(folder: Path, config: str, *changes: str) -> Path:
    settings = [text for change in changes for text in ("--set", change)]
    code, out, err = trained(f"configs/{config}.yaml", "--runs-dir", str(folder), "--name", config, *settings)
    assert (code, err) == (0, "")
    assert "best/" in out and "tensorboard --logdir" in out
    return folder / config


def curves(folder: Path) -> EventAccumulator:
    return EventAccumulator(str(folder), STORE_EVERYTHING_SIZE_GUIDANCE).Reload()


def objectives(toy: Path) -> list[float]:
    """Q of both members at the end, from their checkpoints."""
    newest = [MemberCheckpoints(RunDirectory(toy).member(member), Retention()).newest() for member in (0, 1)]
    return [float(1.2 - np.square(each.tensors["policy/policy/theta"].astype(float)).sum()) for each in newest]


def test_the_toy_of_the_paper_comes_to_the_summit_with_pbt(tmp_path):
    toy = run(tmp_path, "toy")
    events = read_lineage(toy / "lineage.jsonl")
    starts = [tuple(event.hyperparameters.values()) for event in events if event.kind == "start"]
    assert sorted(starts) == [(0.0, 1.0), (1.0, 0.0)]
    assert {event.member for event in events if event.kind == "exploit"} == {0, 1}
    assert objectives(toy) == pytest.approx([1.2, 1.2], abs=0.01)
    read = curves(toy / "tb" / "member_00")
    assert read.Scalars("learner/policy/theta_0")[0].value == pytest.approx(0.735, abs=0.01)
    assert {"score/policy", "hyperparameters/policy/h0", "hyperparameters/policy/h1"} <= set(read.Tags()["scalars"])


def test_the_toy_of_the_paper_stays_low_where_nobody_copies(tmp_path):
    """D29: from the very same starts."""
    toy = run(tmp_path, "toy", "pbt.control=random_search")
    assert all(0.3 < objective <= 0.5 for objective in objectives(toy))


def test_digits_are_learned_and_a_new_width_outlives_an_exploit(tmp_path):
    """D24: in the run as in the learner: a member of another width copies, explores to a third one, and goes on."""
    changes = (
        "pbt.population=3",
        "pbt.quantile_bottom=0.34",
        "pbt.interval=2",
        "pbt.resample_probability=0.0",
        "pbt.perturb_factors=[0.5, 2.0]",
        "pbt.hyperparameters.learning_rate={loguniform: [1e-5, 1e-1], initial: {choice: [2e-5, 3e-3]}}",
        "pbt.hyperparameters.hidden_units={lograndint: [8, 256], initial: {choice: [24, 40]}}",
        "stop.progress=10",
        "seed=1",
        "workers=1",
    )
    digits = run(tmp_path, "digits", *changes)
    events = read_lineage(digits / "lineage.jsonl")
    scores = {(event.member, event.generation): event.score for event in events if event.kind == "ready"}
    widths = {(event.member, event.generation): event.hyperparameters["hidden_units"] for event in events}
    mutated = [
        event
        for event in events
        if event.kind == "explore" and event.changes["hidden_units"].new > event.changes["hidden_units"].old
    ]
    assert mutated
    for event in mutated:
        donor = scores[event.parent.member, event.parent.generation]
        after = scores.get((event.member, event.generation + 1))
        assert widths[event.member, event.generation] != widths[event.parent.member, event.parent.generation]
        assert after is None or after.mean > donor.mean - 0.05
    assert max(score.mean for score in scores.values()) > 0.9
    read = curves(digits / "tb" / "member_00").Tags()["scalars"]
    assert {"learner/classifier/test_accuracy", "hyperparameters/classifier/hidden_units"} <= set(read)
    assert "lineage/classifier" in curves(digits / "tb" / "population").Tags()["images"]
