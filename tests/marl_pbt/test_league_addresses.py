"""Policies by name, as people type them."""

import os
import shutil

import pytest

from marl_pbt.league.addresses import find
from marl_pbt.protocols import UserError
from marl_pbt.snapshot import encode
from tests.marl_pbt.saved_runs import Line, origin_of, saved_run


@pytest.fixture(scope="module")
def runs(tmp_path_factory, plan):
    runs = tmp_path_factory.mktemp("runs")
    saved_run(runs / "a", plan)
    saved_run(runs / "b", plan, {0: (9, 12), 1: (10,), 2: ()}, seed=1)
    (runs / "b" / "members" / "member_02").mkdir()
    line = Line(plan, 1, 11, 1)
    (runs / "b" / "members" / "member_01" / "000011.stopped.safetensors").write_bytes(encode(line.checkpoint()))
    return runs


def labels(text, runs):
    return [found.label for found in find(text, runs)]


def refusal(text, runs):
    with pytest.raises(UserError) as refused:
        find(text, runs)
    (line,) = refused.value.faults
    return line.replace(str(runs), "RUNS")


def test_a_run_is_the_best_policy_of_each_species(runs):
    for text in ("a", str(runs / "a"), f"{runs}/a/"):
        (found,) = find(text, runs)
        assert (found.label, found.address, found.species) == ("a", text, None)
        assert {name: origin_of(policy.card) for name, policy in found.policies.items()} == {
            "predator": "member_01@4",
            "prey": "member_01@4",
        }
        assert found.run.root == runs / "a"
        assert not found.is_baseline


def test_a_run_has_its_name_also_from_inside(runs, monkeypatch):
    monkeypatch.chdir(runs / "a")
    assert labels(".", runs) == ["a"]
    assert labels(".:member_00", runs) == ["a:member_00@4"]


def test_a_member_is_its_newest_checkpoint_between_intervals(runs):
    assert labels("b:member_01", runs) == ["b:member_01@10"]
    (found,) = find("b:member_00", runs)
    assert {origin_of(policy.card) for policy in found.policies.values()} == {"member_00@12"}
    assert list(found.policies) == ["predator", "prey"]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("b:member_00@9", ["b:member_00@9"]),
        ("b:member_00@000009", ["b:member_00@9"]),
        ("b:member_00@", ["b:member_00@12"]),
        ("b:member_*", ["b:member_00@12", "b:member_01@10"]),
        ("b:member_0[12]", ["b:member_01@10"]),
        ("b:member_00@*", ["b:member_00@9", "b:member_00@12"]),
        ("b:*@1?", ["b:member_00@12", "b:member_01@10"]),
        ("a:*@4", ["a:member_00@4", "a:member_01@4"]),
        ("a:*@*", ["a:member_00@3", "a:member_00@4", "a:member_01@3", "a:member_01@4"]),
    ],
)
def test_generations_and_wildcards(runs, text, expected):
    assert labels(text, runs) == expected
    assert labels(f"{runs}/{text}", runs) == expected


def test_a_file_goes_by_its_name_and_a_checkpoint_holds_all_species(runs):
    (best,) = find(str(runs / "a" / "best" / "prey.safetensors"), runs)
    assert (best.label, list(best.policies), best.run) == ("prey", ["prey"], None)
    (checkpoint,) = find(str(runs / "b" / "members" / "member_00" / "000009.safetensors"), runs)
    assert (checkpoint.label, list(checkpoint.policies)) == ("000009", ["predator", "prey"])


def test_a_folder_is_all_policy_files_in_it(runs, tmp_path):
    for name in ("predator", "prey"):
        shutil.copy(runs / "a" / "best" / f"{name}.safetensors", tmp_path / f"my {name}.safetensors")
    (tmp_path / "notes.txt").write_text("no policy")
    (tmp_path / "half.safetensors.77.writing").write_text("no policy")
    assert labels(str(tmp_path), runs) == ["my predator", "my prey"]
    assert [found.label for found in find(f"prey={tmp_path}", runs)] == ["my prey"]


def test_a_species_in_front_is_that_one_alone(runs):
    (found,) = find("prey=a", runs)
    assert (found.species, list(found.policies)) == ("prey", ["prey"])
    assert [(found.species, found.is_baseline) for found in find("prey=greedy", runs)] == [("prey", True)]
    assert [list(found.policies) for found in find("predator=a:*", runs)] == [["predator"], ["predator"]]


def test_a_path_that_looks_like_a_species_and_a_place_is_a_path(runs, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    shutil.copytree(runs / "a" / "best", tmp_path / "prey=mine")
    assert labels("prey=mine", runs) == ["predator", "prey"]
    shutil.copytree(runs / "a" / "best", tmp_path / "a:b")
    assert labels("a:b", runs) == ["predator", "prey"]


@pytest.mark.parametrize("word", ["random", "greedy", "stay", "a_baseline_of_yours"])
def test_any_other_word_is_a_baseline(runs, word):
    (found,) = find(word, runs)
    assert (found.label, found.is_baseline, found.species, found.run) == (word, True, None, None)


def test_a_run_comes_before_a_baseline_of_its_name(runs, plan, tmp_path):
    saved_run(tmp_path / "random", plan, {0: (1,)})
    (found,) = find("random", tmp_path)
    assert not found.is_baseline


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "an address of a policy must not be empty"),
        ("no/such/run", "no/such/run: no such file, run or folder"),
        ("a run", "a run: no such file, run or folder"),
        ("wolf=a", "wolf=a: has no policy of wolf; there are predator, prey"),
        ("c:member_00", "c:member_00: no run at RUNS/c (it has no config.yaml)"),
        ("a:member_07", "a:member_07: no member 'member_07'; there are member_00, member_01"),
        ("a:", "a:: no member ''; there are member_00, member_01"),
        ("a:member_00@7", "a:member_00@7: no checkpoint of this generation is kept; there are member_00: 3, 4"),
        ("b:member_02", "b:member_02: no checkpoint of this generation is kept; there are member_02: none"),
        (
            "b:member_0[12]@9",
            "b:member_0[12]@9: no checkpoint of this generation is kept; there are member_01: 10; member_02: none",
        ),
        ("x" * 300, f"{'x' * 300}: cannot be read (File name too long)"),
        ("x" * 300 + ":member_00", f"{'x' * 300}:member_00: cannot be read (File name too long)"),
    ],
)
def test_what_leads_nowhere_says_what_there_is(runs, text, why):
    assert refusal(text, runs) == why


def test_no_panel_folder_or_best_policies_are_told(runs, plan, tmp_path):
    assert refusal(str(tmp_path), runs) == f"{tmp_path}: no policy files (*.safetensors) in this folder"
    saved_run(tmp_path / "young", plan, {})
    assert refusal("young", tmp_path) == "young: this run has no best policy yet; name a member: young:member_00"


def test_one_damaged_file_in_a_folder_is_named(runs, tmp_path):
    (tmp_path / "a.safetensors").write_bytes(b"PK\x03\x04 something")
    assert refusal(str(tmp_path), runs).startswith(f"{tmp_path}/a.safetensors: is a zip")
    (tmp_path / "a.safetensors").unlink()
    (tmp_path / "b.safetensors").mkdir()
    assert refusal(str(tmp_path), runs) == f"{tmp_path}/b.safetensors: is not a regular file"
    (tmp_path / "b.safetensors").rmdir()
    os.mkfifo(tmp_path / "c.safetensors")
    assert refusal(str(tmp_path), runs) == f"{tmp_path}/c.safetensors: is not a regular file"


def test_a_damaged_checkpoint_is_told_and_not_passed_over(runs, plan, tmp_path):
    run = saved_run(tmp_path / "a", plan, {0: (3, 4)})
    newest = run.member(0) / "000004.safetensors"
    newest.write_bytes(newest.read_bytes()[:-1])
    assert refusal("a:member_00", tmp_path).startswith("RUNS/a/members/member_00/000004.safetensors: damaged: ")
    assert labels("a:member_00@3", tmp_path) == ["a:member_00@3"]


def test_a_link_is_not_followed(runs, tmp_path):
    link = tmp_path / "link.safetensors"
    link.symlink_to(runs / "a" / "best" / "prey.safetensors")
    assert refusal(str(link), runs) == f"{link}: is a symbolic link; name the file that it leads to"
    link.unlink()
    link.symlink_to("nowhere")
    assert refusal(str(link), runs) == f"{link}: is a symbolic link; name the file that it leads to"


def test_a_link_to_a_runs_folder_is_a_run(runs, tmp_path):
    link = tmp_path / "newest"
    link.symlink_to(runs / "a", target_is_directory=True)
    (found,) = find(str(link), runs)
    assert (found.label, found.run.root, list(found.policies)) == ("newest", link, ["predator", "prey"])
    assert labels(f"{link}:member_00@*", runs) == ["newest:member_00@3", "newest:member_00@4"]
    assert labels("newest", tmp_path) == ["newest"]


@pytest.mark.parametrize("species", ["prey", "big cat", "Füchse-2", "3", "cow (old)"])
def test_a_species_may_be_called_anything_that_is_no_path(runs, species):
    (found,) = find(f"{species}=greedy", runs)
    assert (found.species, found.label, found.is_baseline) == (species, "greedy", True)


@pytest.mark.parametrize("text", ["a/b=greedy", "a\\b=greedy", "c:prey=greedy", "=greedy"])
def test_what_may_be_a_path_is_no_species(runs, text):
    assert text in refusal(text, runs)


def test_a_strangers_file_name_is_made_fit_for_a_terminal(runs, tmp_path):
    name = os.fsdecode(b"a\x1b[31m\n\xff.safetensors")
    shutil.copy(runs / "a" / "best" / "prey.safetensors", tmp_path / name)
    assert labels(str(tmp_path), runs) == ["a?[31m??"]


def test_what_may_not_be_looked_into_is_told(runs, tmp_path):
    locked = tmp_path / "locked"
    (locked / "inside").mkdir(parents=True)
    locked.chmod(0)
    try:
        if os.access(locked, os.X_OK):
            pytest.skip("root may look into everything")
        assert refusal(str(locked / "inside"), runs) == f"{locked}/inside: cannot be read (Permission denied)"
    finally:
        locked.chmod(0o700)
