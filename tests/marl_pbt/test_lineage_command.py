"""`python -m marl_pbt.lineage`: trees, ancestries, schedules and pictures from a run's files alone."""

import csv
import json
import math
import subprocess
import sys
from pathlib import Path

import made_up_run
import pytest

from marl_pbt.ancestry import LineageEvent, ancestry, schedule
from marl_pbt.cli import main as cli
from marl_pbt.config import config_to_yaml, load_config
from marl_pbt.lineage import main as lineage
from marl_pbt.lineage_store import LineageStore
from marl_pbt.lines_of_descent import Descent
from marl_pbt.protocols import Clocks
from marl_pbt.run_directory import RunDirectory
from marl_pbt.standings import Score

REPOSITORY = Path(__file__).parents[2]


def left(root, events, mode="max"):
    """A run's folder with this lineage."""
    root.mkdir(parents=True)
    run = RunDirectory(root)
    config = load_config(str(REPOSITORY / "configs" / "quick.yaml"), [f"pbt.mode={mode}"]).config
    run.config.write_text(config_to_yaml(config))
    store = LineageStore(run.lineage)
    store.append(events)
    store.close()
    return run


@pytest.fixture(scope="module")
def events():
    return made_up_run.lived(8, 10).events


@pytest.fixture(scope="module")
def run(tmp_path_factory, events):
    return left(tmp_path_factory.mktemp("runs") / "a", events)


@pytest.fixture(autouse=True)
def terminal(monkeypatch):
    monkeypatch.setenv("COLUMNS", "100")


def told(capsys, *arguments):
    """Standard output of a command that went well."""
    assert lineage(list(map(str, arguments))) == 0
    out, err = capsys.readouterr()
    assert err == ""
    return out


def refused(capsys, *arguments):
    """What is told of a mistake: one line, exit code 2, nothing on standard output."""
    assert lineage(list(map(str, arguments))) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("error: ") and err.count("\n") == 1
    return err


def best_of(events, species):
    return Descent.of(events, species).best(maximize=True)


# ------------------------------------------------------------------------------------ the tree


def test_a_run_is_told_as_a_tree_per_species_with_its_best_marked(run, events, capsys):
    text = told(capsys, run.root)
    for species in ("predator", "prey"):
        best = best_of(events, species)
        assert f"{species}: 8 members at generation 10, " in text
        assert f"best: member_{best.member:02d}@10, score {best.score.mean:.1f} ± 3.0" in text
    assert "distinct founders: 8 → " in text
    assert "learning_rate" in text and "ent_coef" in text and "schedule of the best: learning_rate " in text
    assert max(map(len, text.splitlines()[:-1])) <= 100  # the last one has the run's path


def test_the_hint_leads_to_an_ancestry(run, capsys):
    hint = told(capsys, run.root).splitlines()[-1].split("python -m marl_pbt.lineage ")[1]
    assert told(capsys, hint).startswith("predator of member_")


def test_one_species_alone(run, capsys):
    text = told(capsys, f"prey={run.root}", "--all")
    assert text.startswith("prey: ") and "predator" not in text


def test_a_run_goes_by_its_name_and_the_verb_by_marl_pbt(run, capsys):
    assert cli(["lineage", run.name, "--runs-dir", str(run.root.parent)]) == 0
    assert capsys.readouterr().out.startswith("predator: ")


def test_where_less_is_better_the_least_is_the_best(tmp_path, events, capsys):
    run = left(tmp_path / "min", events, mode="min")
    least = Descent.of(events, "prey").best(maximize=False)
    assert f"best: member_{least.member:02d}@{least.generation}, " in told(capsys, f"prey={run.root}")


# ------------------------------------------------------------------------------------ one policy


def test_the_ancestry_of_a_policy_is_told_from_its_founder_with_each_copy_and_operation(run, events, capsys):
    best = best_of(events, "prey")
    segments = ancestry(events, "prey", best.member, best.generation)
    assert len(segments) > 1
    text = told(capsys, f"prey={run.root}:member_{best.member:02d}@10")
    lines = text.splitlines()
    assert f"founder member_{segments[0].member:02d}, {len(segments) - 1} cop" in lines[0]
    assert len([line for line in lines if "member_" in line]) == 1 + len(segments)
    for segment in segments[1:]:
        source = segment.copy.parent
        assert f"member_{source.member:02d}@{source.generation}" in text
    assert "(×1.25)" in text or "(×0.8)" in text


def test_without_a_generation_the_newest_and_with_wildcards_several(run, capsys):
    assert told(capsys, f"prey={run.root}:member_03") == told(capsys, f"prey={run.root}:member_03@10")
    assert told(capsys, f"prey={run.root}:member_*@4").count("prey of member_") == 8


# ------------------------------------------------------------------------------------ files


def test_a_csv_holds_the_schedules_that_ancestries_tell(run, events, tmp_path, capsys):
    path = tmp_path / "schedules.csv"
    assert told(capsys, run.root, "--csv", path) == f"{path}\n"
    rows = list(csv.DictReader(path.open()))
    assert {row["species"] for row in rows} == {"predator", "prey"}
    for species in ("predator", "prey"):
        for member in range(8):
            segments = ancestry(events, species, member, 10)
            for name in ("learning_rate", "ent_coef"):
                told_of = [
                    (int(row["agent_steps"]), float(row["value"]))
                    for row in rows
                    if (row["species"], row["policy"], row["hyperparameter"])
                    == (species, f"member_{member:02d}@10", name)
                ]
                assert told_of == schedule(segments, name)
    assert {row["operation"] for row in rows} == {"start", "×0.8", "×1.25"}


def test_a_csv_per_species_or_of_one_policy(run, tmp_path, capsys):
    told(capsys, run.root, "--csv", tmp_path / "{species}.csv")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["predator.csv", "prey.csv"]
    told(capsys, f"prey={run.root}:member_02@5", "--csv", tmp_path / "one.csv")
    assert {row["policy"] for row in csv.DictReader((tmp_path / "one.csv").open())} == {"member_02@5"}


def test_pictures_are_drawn_per_species_and_alike_every_time(run, tmp_path, capsys):
    for folder in ("one", "two"):
        (tmp_path / folder).mkdir()
        arguments = [f"--{kind}={tmp_path}/{folder}/{{species}}.{kind}" for kind in ("svg", "png")]
        assert len(told(capsys, run.root, *arguments).splitlines()) == 4
    for name in ("predator.svg", "prey.svg", "predator.png", "prey.png"):
        one, two = ((tmp_path / folder / name).read_bytes() for folder in ("one", "two"))
        assert one == two
        assert one.startswith(b"<?xml" if name.endswith("svg") else b"\x89PNG")


def test_a_picture_frames_the_policy_that_was_asked_for(run, tmp_path, capsys):
    for member in ("member_00@2", "member_01@2"):
        told(capsys, f"prey={run.root}:{member}", "--svg", tmp_path / f"{member}.svg")
    first, second = (path.read_bytes() for path in sorted(tmp_path.iterdir()))
    assert first != second


def test_json_tells_all_segments_and_all_events(run, events, capsys):
    prey = json.loads(told(capsys, run.root, "--json"))["species"]["prey"]
    ids = [event for segment in prey["segments"] for event in segment["events"]]
    assert sorted(ids) == sorted(event.event_id for event in events if event.policy == "prey")
    known = {segment["id"] for segment in prey["segments"]}
    assert all(segment["parent"] in known for segment in prey["segments"] if segment["copied"])
    assert sum(segment["lives"] for segment in prey["segments"]) == 8
    assert prey["founders"][0] == {"agent_steps": 0, "distinct": 8}


def test_json_of_a_policy_tells_its_line(run, events, capsys):
    best = best_of(events, "prey")
    told_of = json.loads(told(capsys, f"{run.root}:member_{best.member:02d}", "--json"))["species"]
    (policy,) = told_of["prey"]["policies"]
    segments = ancestry(events, "prey", best.member, best.generation)
    values = [(each["agent_steps"], each["value"]) for each in policy["schedule"]["learning_rate"]]
    assert values == schedule(segments, "learning_rate")
    assert [segment["member"] for segment in policy["ancestry"]] == [f"member_{each.member:02d}" for each in segments]
    assert len(policy["scores"]) == sum(event.kind == "ready" for each in segments for event in each.events)


# ------------------------------------------------------------------------------------ runs of all kinds


def alone(kind, generation, mean=None, **more):
    """An event of a learner without an environment, in a population of one."""
    score = None if mean is None else Score(mean, 1.0, 20)
    clocks = Clocks(agent_steps=100 * generation)
    return LineageEvent(kind, 0, "policy", generation, clocks, 1e9 + generation, score=score, **more)


def test_one_member_without_environment_or_hyperparameters(tmp_path, capsys):
    run = left(tmp_path / "one", [alone("start", 0), alone("ready", 1, 3.0), alone("ready", 2, math.nan)])
    text = told(capsys, run.root)
    assert "policy: 1 members at generation 2, 0 copies" in text and "not finite" in text
    assert "no hyperparameter was declared" in told(capsys, f"{run.root}:member_00")
    told(capsys, run.root, "--json")
    told(capsys, run.root, "--svg", tmp_path / "one.svg")


def test_a_run_that_has_just_begun(tmp_path, capsys):
    run = left(tmp_path / "new", [alone("start", 0)])
    assert "best: no score yet" in told(capsys, run.root)
    assert "there are none yet" in refused(capsys, f"{run.root}:member_00")


def test_restarts_and_resumes_are_marked(tmp_path, capsys):
    told_of = [alone("start", 0), alone("ready", 1, 1.0), alone("ready", 2, 2.0), alone("resume", 1)]
    run = left(tmp_path / "again", [*told_of, alone("ready", 2, 5.0)])
    text = told(capsys, run.root)
    assert "member_00 ↻" in text and "5.00 ± 1.00" in text


def test_a_run_that_goes_on_may_have_half_a_line_at_its_end(tmp_path, events, capsys):
    run = left(tmp_path / "torn", events)
    whole = told(capsys, run.root)
    with run.lineage.open("ab") as file:
        file.write(events[0].to_line().encode()[:70])
    assert told(capsys, run.root) == whole


def test_lines_that_are_no_events_are_left_out(tmp_path, events, capsys):
    run = left(tmp_path / "odd", events)
    whole = told(capsys, run.root)
    line = events[0].to_line()
    assert '"member": 0' in line
    odd = [line.replace('"member": 0', '"member": "x"'), line.replace('"generation": 0', '"generation": NaN'), "7"]
    with run.lineage.open("a") as file:
        file.writelines(f"{each}\n" for each in odd)
    assert told(capsys, run.root) == whole


def test_without_a_config_it_is_said_what_is_taken_for_better(tmp_path, events, capsys):
    run = left(tmp_path / "bare", events)
    run.config.unlink()
    assert lineage([str(run.root)]) == 0
    out, err = capsys.readouterr()
    assert out.startswith("predator: ")
    assert err.startswith("note: ") and "a larger score is taken for a better one" in err


def test_what_a_stranger_calls_a_species_is_made_fit_for_a_terminal(tmp_path, capsys):
    odd = [LineageEvent("start", 0, "\x1b[31mred", 0, Clocks(), 1e9)]
    text = told(capsys, left(tmp_path / "odd", odd).root)
    assert text.startswith("?[31mred: 1 members")


@pytest.mark.parametrize(
    ("address", "message"),
    [
        ("{run}:member_09", "tells of no ready point of such a policy; there are member_00 to member_07, generations"),
        ("{run}:member_01@11", "generations 1 to 10"),
        ("wolf={run}", "tells of no wolf; there are predator, prey"),
        ("{run}/nowhere", "no run with a lineage at"),
        ("", "must not be empty"),
        ("x" * 300, "cannot be read"),
    ],
)
def test_an_address_that_leads_nowhere_is_told_in_a_line(run, capsys, address, message):
    assert message in refused(capsys, address.format(run=run.root))


def test_files_that_cannot_be_written_are_told_before_anything_is(run, tmp_path, capsys):
    assert "{species}" in refused(capsys, run.root, "--svg", tmp_path / "one.svg")
    assert "is no folder" in refused(capsys, run.root, "--csv", tmp_path / "no" / "x.csv")
    assert "is a folder" in refused(capsys, run.root, "--csv", tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_an_empty_lineage_is_told(tmp_path, capsys):
    assert "tells of nothing yet" in refused(capsys, left(tmp_path / "empty", []).root)


def test_help_needs_nothing_heavy():
    program = (
        "import sys; from marl_pbt.lineage import _parser; _parser().format_help();"
        "assert not {'numpy', 'pydantic', 'matplotlib', 'safetensors', 'torch'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", program], check=True, cwd=REPOSITORY)
