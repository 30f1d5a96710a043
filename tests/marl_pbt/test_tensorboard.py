import copy
import io
import logging
import math
import resource
import subprocess
import sys
from dataclasses import replace
from itertools import pairwise

import made_up_run
import pytest
from made_up_run import SPECIES, MadeUpRun
from PIL import Image
from tensorboard.backend.event_processing.event_accumulator import (
    STORE_EVERYTHING_SIZE_GUIDANCE,
    EventAccumulator,
)

from marl_pbt.ancestry import schedule
from marl_pbt.lines_of_descent import Descent
from marl_pbt.protocols import Clocks
from marl_pbt.reports import MemberUp, ReadyPassed, UpdateDone
from marl_pbt.standings import Score
from marl_pbt.tensorboard.recorder import Recorder


class Clock:
    """Seconds since the epoch, as the test wants them."""

    def __init__(self):
        self.now = 1_700_000_000.0

    def __call__(self):
        return self.now


def feed(recorder, reports, clock, seconds_each=1.0):
    for report in reports:
        clock.now += seconds_each
        {MemberUp: recorder.up, UpdateDone: recorder.update, ReadyPassed: recorder.ready}[type(report)](report)


def record_population(recorder, run, elapsed_s):
    recorder.population({species: run.rows(species) for species in SPECIES}, dict(enumerate(run.clocks)), elapsed_s)


def read(folder):
    return EventAccumulator(str(folder), STORE_EVERYTHING_SIZE_GUIDANCE).Reload()


def points(folder, tag):
    return [(point.step, point.value) for point in read(folder).Scalars(tag)]


def curves(folder):
    events = read(folder)
    return {tag: [point.step for point in events.Scalars(tag)] for tag in events.Tags()["scalars"]}


def is_rising(steps):
    return all(before < after for before, after in pairwise(steps))


@pytest.fixture(scope="module")
def recorded(tmp_path_factory):
    """A run of two sittings: killed in the middle of its fourth interval, and resumed."""
    folder = tmp_path_factory.mktemp("tb")
    clock, run = Clock(), MadeUpRun(4, seed=1)
    recorder = Recorder(folder, made_up_run.description(4), clock=clock)
    feed(recorder, run.start(), clock)
    for number in range(3):
        feed(recorder, run.generation(), clock)
        record_population(recorder, run, 10.0 * (number + 1))
    kept = copy.deepcopy(run)
    lost = run.generation()
    feed(recorder, [next(lost) for _ in range(30)], clock, seconds_each=10.0)
    record_population(recorder, run, 40.0)

    resume = {member: clocks.agent_steps for member, clocks in enumerate(kept.clocks)}
    second = Recorder(folder, made_up_run.description(4), resume, list(kept.events), clock)
    feed(second, [MemberUp(m, kept.clocks[m], kept._rows(m), ()) for m in range(4)], clock)
    for number in range(3):
        feed(second, kept.generation(), clock)
        record_population(second, kept, 10.0 * (number + 1))
        second.lineage(kept.events)
    second.film(gif(), kept.clocks[0].agent_steps)
    second.close()
    return folder, kept, resume


def gif():
    frames = [Image.new("P", (12, 8), colour) for colour in (0, 1, 2)]
    data = io.BytesIO()
    frames[0].save(data, "GIF", save_all=True, append_images=frames[1:], duration=50)
    return data.getvalue()


def test_curves_never_go_backwards_after_a_crash_and_a_resume(recorded):
    """D19: same curves, nothing fires twice."""
    folder, _, _ = recorded
    found = {path.name: curves(path) for path in folder.iterdir()}
    assert {"member_00", "member_03", "population", "best_ancestry_predator"} <= set(found)
    for tags in found.values():
        assert all(is_rising(steps) for steps in tags.values())


def test_points_of_the_lost_stretch_are_taken_back(recorded):
    folder, run, resume = recorded
    steps = [step for step, _ in points(folder / "member_02", "returns/predator")]
    own = {event.clocks.agent_steps for event in run.events if event.member == 2 and event.kind == "ready"}
    assert resume[2] in own
    assert own <= {step for step, _ in points(folder / "member_02", "score/predator")}
    assert max(steps) == run.clocks[2].agent_steps


def test_the_score_comes_with_its_band(recorded):
    folder, run, _ = recorded
    told = {
        event.clocks.agent_steps: event.score
        for event in run.events
        if event.kind == "ready" and event.member == 1 and event.policy == "prey"
    }
    for tag, expected in (("", 0.0), ("_low", -3.0), ("_high", 3.0)):
        drawn = dict(points(folder / "member_01", f"score/prey{tag}"))
        assert drawn == pytest.approx({step: score.mean + expected for step, score in told.items()}, rel=1e-5)


def test_a_hyperparameter_is_drawn_as_a_step(recorded):
    folder, run, _ = recorded
    explore = next(event for event in run.events if event.kind == "explore" and event.policy == "predator")
    member, at = explore.member, explore.clocks.agent_steps
    before = [e for e in run.events if e.member == member and e.policy == "predator" and e.kind in ("start", "ready")]
    old = next(event for event in before if event.generation == explore.generation).hyperparameters["learning_rate"]
    drawn = dict(points(folder / f"member_{member:02d}", "hyperparameters/predator/learning_rate"))
    assert drawn[at] == pytest.approx(old, rel=1e-6)
    assert drawn[at + 1] == pytest.approx(explore.hyperparameters["learning_rate"], rel=1e-6)


def test_cumulative_curves_go_on_after_a_resume(recorded):
    folder, run, _ = recorded
    exploits = [event for event in run.events if event.kind == "exploit" and event.policy == "predator"]
    assert exploits
    assert points(folder / "population", "population/predator/exploits")[-1][1] == len(exploits)
    for member in range(4):
        drawn = [value for _, value in points(folder / f"member_{member:02d}", "exploits/predator")]
        assert drawn == sorted(drawn)
        assert drawn[-1] == sum(event.member == member for event in exploits)


def test_the_population_shows_quantiles_founders_pending_and_the_best_so_far(recorded):
    folder, run, _ = recorded
    last = {
        tag.removeprefix("population/prey/"): read(folder / "population").Scalars(tag)[-1].value
        for tag in curves(folder / "population")
        if tag.startswith("population/prey/")
    }
    rows = run.rows("prey")
    finite = sorted(row.newest.mean for row in rows if row.newest is not None)
    assert last["score_min"] == pytest.approx(finite[0], rel=1e-5)
    assert last["score_max"] == pytest.approx(finite[-1], rel=1e-5)
    assert last["score_min"] <= last["score_q25"] <= last["score_median"] <= last["score_q75"] <= last["score_max"]
    assert last["pending"] == 4 - len(finite)
    assert last["founders"] == len({row.founder for row in rows})
    ever = [event.score.mean for event in run.events if event.policy == "prey" and event.kind == "ready"]
    assert last["score_best_so_far"] == pytest.approx(max(ever), rel=1e-5)


def test_the_best_ancestry_has_the_schedule_of_the_present_best_alone(recorded):
    folder, run, _ = recorded
    line = folder / "best_ancestry_predator"
    assert len(list(line.iterdir())) == 2  # of three times that it was written
    descent = Descent.of(run.events, "predator")
    expected = schedule(descent.ancestry(descent.best(maximize=True)), "learning_rate")
    drawn = points(line, "hyperparameters/predator/learning_rate")
    corners = [drawn[0], *(after for before, after in pairwise(drawn) if before[1] != after[1])]
    assert [value for _, value in corners] == pytest.approx([value for _, value in expected], rel=1e-6)
    assert points(line, "score/predator")[-1][1] == pytest.approx(descent.best(maximize=True).score.mean, rel=1e-5)


def test_config_layout_hparams_pictures_and_film_are_there_for_their_tabs(recorded):
    folder, _, _ = recorded
    population = read(folder / "population")
    assert set(population.PluginTagToContent("text")) == {"config", "lineage_table/predator", "lineage_table/prey"}
    assert population.PluginTagToContent("custom_scalars")
    assert "_hparams_/experiment" in population.PluginTagToContent("hparams")
    assert {"_hparams_/session_start_info", "_hparams_/session_end_info"} == set(
        read(folder / "member_00").PluginTagToContent("hparams")
    )
    film = population.Images("film/best")[-1]
    assert (film.encoded_image_string, film.width, film.height) == (gif(), 12, 8)
    assert population.Images("lineage/prey")[-1].encoded_image_string.startswith(b"\x89PNG")
    text = population.Tensors("config")[0].tensor_proto.string_val[0].decode()
    assert text.startswith("```yaml\nseed: 1\n")


def test_updates_are_written_as_means_a_point_in_two_seconds(tmp_path):
    clock = Clock()
    recorder = Recorder(tmp_path, made_up_run.description(1), clock=clock)
    for number in range(1, 81):
        clock.now += 0.125
        report = UpdateDone(0, Clocks(number * 100, number, number, number / 8), {"predator/loss": number}, ())
        recorder.update(report)
    recorder.close()
    drawn = points(tmp_path / "member_00", "learner/predator/loss")
    assert len(drawn) == 1 + 4 + 1  # the first at once, the rest at the end
    assert drawn[1] == (1700, pytest.approx(sum(range(2, 18)) / 16))
    assert points(tmp_path / "member_00", "speed/agent_steps_per_s")[1] == (1700, pytest.approx(800.0))


def test_what_a_learner_says_in_words_is_written_when_it_is_new(tmp_path):
    recorder = Recorder(tmp_path, made_up_run.description(1), clock=Clock())
    for number, word in enumerate(["sparse", "sparse", "sb3", "sb3"], start=1):
        notes = {"predator/update_path": word}
        recorder.update(UpdateDone(0, Clocks(number * 100, number, number, number / 8), {}, (), notes))
    recorder.close()
    told = read(tmp_path / "member_00").Tensors("learner/predator/update_path")
    assert [(each.step, each.tensor_proto.string_val[0]) for each in told] == [(100, b"sparse"), (300, b"sb3")]


def test_a_restarted_member_takes_back_what_it_had_not_checkpointed(tmp_path):
    clock, run = Clock(), MadeUpRun(2, seed=2)
    recorder = Recorder(tmp_path, made_up_run.description(2), clock=clock)
    feed(recorder, run.start(), clock, 5.0)
    feed(recorder, run.generation(), clock, 5.0)
    back = MemberUp(0, run.clocks[0], run._rows(0), ())
    kept = copy.deepcopy(run)
    lost = run.generation()
    feed(recorder, [next(lost) for _ in range(20)], clock, 5.0)
    feed(recorder, [back], clock, 5.0)
    kept.rng.random(100)
    feed(recorder, [report for report in kept.generation() if report.member == 0], clock, 5.0)
    recorder.close()
    steps = curves(tmp_path / "member_00")
    assert all(is_rising(each) for each in steps.values())
    assert steps["returns/predator"][-1] == kept.clocks[0].agent_steps


def test_a_member_that_dies_before_its_first_ready_point_begins_again_at_zero(tmp_path):
    clock, run = Clock(), MadeUpRun(1)
    recorder = Recorder(tmp_path, made_up_run.description(1), clock=clock)
    up = next(run.start())
    first = run.generation()
    feed(recorder, [up, next(first), next(first), up], clock, 5.0)
    recorder.close()
    assert [step for step, _ in points(tmp_path / "member_00", "founder/prey")] == [0]
    assert points(tmp_path / "member_00", "returns/prey") == []


def test_the_population_waits_while_a_restarted_member_catches_up(tmp_path):
    run = made_up_run.lived(2, 2)
    recorder = Recorder(tmp_path, made_up_run.description(2), clock=Clock())
    record_population(recorder, run, 10.0)
    steps = sum(clocks.agent_steps for clocks in run.clocks)
    run.clocks[0] = Clocks()
    record_population(recorder, run, 20.0)
    recorder.close()
    assert curves(tmp_path / "population")["population/prey/pending"] == [steps]


def test_a_score_that_is_not_finite_is_drawn_as_nan_and_is_nobodys_best(tmp_path):
    run = MadeUpRun(1)
    list(run.start())
    *_, ready = run.generation()
    broken = Score(math.nan, math.nan, 24)
    events = tuple(replace(event, score=broken) for event in ready.events)
    recorder = Recorder(tmp_path, made_up_run.description(1), clock=Clock())
    recorder.ready(replace(ready, events=events))
    recorder.lineage(events)
    recorder.close()
    assert math.isnan(points(tmp_path / "member_00", "score/prey")[0][1])
    assert not (tmp_path / "best_ancestry_prey").exists()


def test_a_full_disk_pauses_the_curves_and_never_the_run_and_they_come_back_with_room(tmp_path, caplog):
    """Reliability, section 1: a full disk makes other writers raise in the training loop, and they stay dead."""
    clock, run = Clock(), MadeUpRun(1)
    recorder = Recorder(tmp_path, made_up_run.description(1), clock=clock)
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, limits[1]))
    try:
        feed(recorder, run.start(), clock)
        for _ in range(5):
            feed(recorder, run.generation(), clock)
        paused = curves(tmp_path / "member_00")["returns/prey"]
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    clock.now += 61.0
    feed(recorder, run.generation(), clock)
    recorder.close()
    told = [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING]
    assert set(told[:-1]) == {"TensorBoard's files cannot be written (File too large): its curves pause"}
    assert told[-1] == "TensorBoard's files can be written again"
    drawn = curves(tmp_path / "member_00")["returns/prey"]
    assert is_rising(drawn)  # what was written whole is read
    assert drawn[: len(paused)] == paused
    assert drawn[-1] == run.clocks[0].agent_steps


def test_a_folder_that_cannot_be_made_is_told_and_nothing_raises(tmp_path, caplog):
    (tmp_path / "tb").write_text("a file where a folder should be")
    run = made_up_run.lived(1, 1)
    recorder = Recorder(tmp_path / "tb", made_up_run.description(1), clock=Clock())
    feed(recorder, run.generation(), Clock())
    recorder.lineage(run.events)
    recorder.close()
    assert "cannot be written" in caplog.text


def test_a_film_must_be_a_picture(tmp_path):
    recorder = Recorder(tmp_path, made_up_run.description(1), clock=Clock())
    with pytest.raises(ValueError, match="film/best: must be PNG or GIF, got b'RIFF"):
        recorder.film(b"RIFF....AVI", 1)
    recorder.close()


def test_recording_needs_neither_torch_nor_tensorflow_and_watching_is_light():
    light = "import sys, marl_pbt.console, marl_pbt.logs, marl_pbt.status, marl_pbt.lineage_picture"
    heavy_first = f"{light}; heavy = {{'rich', 'tensorboard', 'matplotlib'}} & set(sys.modules)"
    recorder = (
        "import marl_pbt.tensorboard.recorder; never = {'torch', 'tensorflow', 'envs', 'agents'} & set(sys.modules)"
    )
    subprocess.run(
        [sys.executable, "-c", f"{heavy_first}; {recorder}; assert not heavy | never, heavy | never"], check=True
    )
