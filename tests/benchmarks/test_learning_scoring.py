"""Which policies of a run are scored, and by whom; the files are made here, nothing is trained but in the slow test."""

from __future__ import annotations

import pytest

from benchmarks.learning import __main__ as command
from benchmarks.learning import training
from benchmarks.learning.arms import jobs_of
from benchmarks.learning.measures import final_score
from benchmarks.learning.scoring import score
from benchmarks.learning.training import moments_of
from marl_pbt.ancestry import LineageEvent
from marl_pbt.snapshot import encode
from tests.marl_pbt.saved_runs import Line, config_file, plan_of, saved_run

LATE_PREY = {"prey_a_8M", "prey_b_8M"}
PREY = LATE_PREY | {"prey_a_1.5M", "prey_b_1.5M"}


@pytest.fixture(scope="module")
def plan(tmp_path_factory):
    return plan_of(config_file(tmp_path_factory.mktemp("config")))


@pytest.fixture(scope="module")
def run(plan, tmp_path_factory):
    """Two members, five generations of 1000 agent steps; in `best/` lay member 1 of generation 1, then of 4."""
    run = saved_run(tmp_path_factory.mktemp("runs") / "a", plan, {member: range(1, 6) for member in (0, 1)})
    lines = [Line(plan, member, generation, 0) for member in (0, 1) for generation in range(1, 6)]
    events = [LineageEvent("ready", each.member, "prey", each.generation, each.clocks, 1e9) for each in lines]
    run.lineage.write_text("".join(f"{event.to_line()}\n" for event in events))
    for species in plan.species:
        history = run.root / "every_best" / species
        history.mkdir(parents=True)
        for nth, generation in enumerate((1, 4)):
            data = encode(Line(plan, 1, generation, 0).policy(species))
            (history / f"{nth:06d}.safetensors").write_bytes(data)
    return run


def test_a_population_is_scored_at_five_moments_of_equal_progress(run):
    moments = moments_of(run, 5000)
    assert [moment.agent_steps for moment in moments] == [1000, 2000, 3000, 4000, 5000]
    assert [path.stem for moment in moments for path in moment.members[:1]] == [f"{at:06d}" for at in range(1, 6)]


def test_a_member_that_ended_early_is_scored_as_it_ended(run):
    assert moments_of(run, 10_000)[-1].agent_steps == 5000


def test_the_best_is_what_lay_in_best_at_that_time(run):
    assert [moment.best["prey"].stem for moment in moments_of(run, 5000)] == ["000000"] * 3 + ["000001"] * 2


def test_the_leader_is_who_has_the_best_score_at_that_time(run):
    # Scores are ten per generation and one per member.
    assert all(moment.leader["predator"] == moment.members[1] for moment in moments_of(run, 5000))


def test_a_member_without_a_checkpoint_is_told(plan, tmp_path):
    run = saved_run(tmp_path / "a", plan, {0: (1,)})
    lines = [Line(plan, member, 1, 0) for member in (0, 1)]
    events = [LineageEvent("ready", each.member, "prey", 1, each.clocks, 1e9) for each in lines]
    run.lineage.write_text("".join(f"{event.to_line()}\n" for event in events))
    with pytest.raises(training.RunFailedError, match="member_01 has no checkpoint"):
        moments_of(run, 1000)


def test_all_meet_the_late_half_of_the_panel_and_the_whole_of_it_in_the_end(run):
    moments = moments_of(run, 5000)
    early, end = score([moments[0], moments[-1]], seed=0, workers=1)
    assert all(set(returns) == LATE_PREY for returns in (*early.members["predator"], early.best["predator"]))
    assert all(set(returns) == PREY for returns in (*end.members["predator"], end.best["predator"]))
    assert early.best["prey"] == early.leader["prey"] == early.members["prey"][1]


@pytest.mark.slow
def test_a_run_is_made_scored_and_deleted(tmp_path):
    small = ["pbt.population=2", "pbt.interval=20_000", "pbt.burn_in=20_000", "pbt.min_episodes=1"]
    (job,) = jobs_of(["pbt"], ["default"], [0], 100_000, small)
    result = command.make(job, tmp_path, workers=2)
    steps = [reading.agent_steps for reading in result.readings]
    assert steps == sorted(steps) and steps[-1] >= 100_000 and len(steps) == 5
    assert result.provenance["agent_steps"] >= 200_000 and final_score(result, "prey", "mean") > 0
    assert list(tmp_path.iterdir()) == []
