"""Policies leave a run and come back: `export` and `import`."""

import importlib
import json
import os
import zipfile

import numpy as np
import pytest

from marl_pbt.ancestry import LineageEvent
from marl_pbt.export import main as export
from marl_pbt.lineage_store import LineageStore
from marl_pbt.policy_files import read_policies
from marl_pbt.protocols import Clocks
from tests.marl_pbt.saved_runs import config_file, plan_of, saved_run

take_in = importlib.import_module("marl_pbt.import").main  # the verb is a keyword


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("exports")
    run = saved_run(folder / "a", plan_of(config_file(folder)))
    store = LineageStore(run.lineage)
    for kind, generation, rate in (("start", 0, 2e-3), ("ready", 3, 2e-3), ("ready", 4, 2e-3)):
        store.append(
            [
                LineageEvent(
                    kind,
                    member=1,
                    policy="prey",
                    generation=generation,
                    clocks=Clocks(1000 * generation),
                    time=1e9,
                    founder=1,
                    hyperparameters={"learning_rate": rate},
                )
            ]
        )
    store.close()
    return run


def refused(capsys, *arguments, command=export) -> str:
    """What is told of a mistake: one line, exit code 2, nothing on standard output."""
    assert command(list(arguments)) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("error: ") and err.count("\n") == 1
    return err.removeprefix("error: ").rstrip("\n")


def test_all_species_are_written_in_every_format_that_is_asked_for(run, tmp_path, capsys):
    names = [f"{tmp_path}/{{species}}{suffix}" for suffix in (".zip", ".onnx", ".safetensors")]
    assert export([f"{run.root}:member_00@3", *names]) == 0
    written = {path.name for path in tmp_path.iterdir()}
    assert written == {f"{name}{end}" for name in ("predator", "prey") for end in (".zip", ".onnx", ".safetensors")}
    assert capsys.readouterr().out.splitlines() == [str(tmp_path / name) for name in sorted(written, key=_order)]
    assert "policy.pth" in zipfile.ZipFile(tmp_path / "prey.zip").namelist()


def _order(name: str) -> tuple[bool, int]:
    return name.startswith("prey"), [".zip", ".onnx", ".safetensors"].index(f".{name.split('.')[1]}")


def test_a_policy_of_its_own_file_is_the_same_policy_with_a_card_that_says_more(run, tmp_path):
    target = tmp_path / "grazer.safetensors"
    assert export([f"prey={run.root}:member_01@4", str(target)]) == 0
    before = read_policies(run.member(1) / "000004.safetensors")["prey"]
    after = read_policies(target)["prey"]
    assert after.digest == before.digest
    assert after.card.spaces is not None and after.card.spaces.action["n"] == 9
    assert after.card.ancestry == [{"member": "member_01", "from_generation": 0, "to_generation": 4}]
    assert after.card.schedule == {"ent_coef": [], "learning_rate": [[0, 2e-3]]}
    assert not any(name.startswith("optimizer/") for name in after.tensors)


def test_without_a_file_the_card_is_shown_as_json(run, capsys):
    assert export([f"predator={run.root}"]) == 0
    card = json.loads(capsys.readouterr().out)
    assert (card["species"], card["member"], card["generation"]) == ("predator", 1, 4)
    assert card["environment"]["config"] == {"max_steps": 12}
    assert len(card["sha256"]) == 64


def test_the_rating_of_an_evaluation_goes_into_the_card(run, tmp_path, capsys):
    digest = read_policies(run.best_policy("prey"))["prey"].digest
    field = {"mean": 3.0, "standard_error": None, "low": 2.0, "high": 4.0, "n": 7}
    rules = {"episodes": 7, "seed": 1, "greedy": False}
    policies = {"prey": [{"sha256": digest, "label": "a"}], "predator": [{"sha256": "", "label": "x"}] * 3}
    ratings = {"prey": [{"policy": "a", "mean_against_field": field, "elo": "a" * 10_000}]}
    said = {"policies": policies, "ratings": ratings} | rules
    (tmp_path / "evaluation.json").write_text(json.dumps(said))
    target = tmp_path / "p.safetensors"
    assert export([f"prey={run.root}", str(target), "--evaluation", f"{tmp_path}/evaluation.json"]) == 0
    evaluation = read_policies(target)["prey"].card.evaluation
    assert evaluation == rules | {"mean_against_field": field, "field": {"prey": 1, "predator": 3}}
    capsys.readouterr()
    told = refused(capsys, f"prey={run.root}:member_00@3", str(target), "--evaluation", f"{tmp_path}/evaluation.json")
    assert told.endswith("this prey did not play in it; evaluate it first")


@pytest.mark.parametrize("text", ["", "[" * 10_000, "NaN", "{}", '{"episodes": "x"}', '{"episodes": 1e999}'])
def test_what_is_no_evaluation_is_refused_in_a_line(run, tmp_path, capsys, text):
    (tmp_path / "e.json").write_text(text)
    assert "not an evaluation.json" in refused(capsys, str(run.root), "--evaluation", f"{tmp_path}/e.json")


def test_a_pipe_is_not_waited_for(run, tmp_path, capsys):
    os.mkfifo(tmp_path / "e.json")
    assert "is not a regular file" in refused(capsys, str(run.root), "--evaluation", f"{tmp_path}/e.json")


def test_without_a_lineage_the_card_does_not_make_one_up(run, tmp_path, capsys):
    target = tmp_path / "p.safetensors"
    assert export([f"prey={run.root}:member_00@3", str(target)]) == 0  # of which the lineage knows nothing
    card = read_policies(target)["prey"].card
    assert (card.ancestry, card.schedule) == (None, None)
    assert "does not tell where it came from" in capsys.readouterr().err


def test_mistakes_are_told_in_a_line_and_nothing_is_written(run, tmp_path, capsys):
    target = str(tmp_path / "x.zip")
    assert "must be one learned policy per species" in refused(capsys, "random", target)
    assert "write {species} into the file's name" in refused(capsys, str(run.root), target)
    assert "is no folder" in refused(capsys, f"prey={run.root}", str(tmp_path / "none" / "x.zip"))
    told = refused(capsys, f"prey={run.root}", str(tmp_path / "good.onnx"), str(tmp_path / "x.pt"))
    assert told.endswith("must end in one of .safetensors, .zip, .onnx, for a policy of agents.ppo:kind")
    assert "no such file, run or folder" in refused(capsys, str(tmp_path / "nothing.safetensors"), target)
    assert list(tmp_path.iterdir()) == []


def test_weights_come_back_from_a_zip_bit_for_bit(run, tmp_path, capsys):
    model, back = tmp_path / "model.zip", tmp_path / "back.safetensors"
    assert export([f"prey={run.root}", str(model)]) == 0
    config = config_file(tmp_path)
    assert take_in([str(model), str(back), "--config", str(config), "--species", "prey"]) == 0
    before, after = read_policies(run.best_policy("prey"))["prey"], read_policies(back)["prey"]
    assert after.digest == before.digest
    for name, array in before.tensors.items():
        np.testing.assert_array_equal(after.tensors[name], array)
    assert after.card.member is None
    capsys.readouterr()
    told = refused(capsys, str(model), str(back), "--config", str(config), "--species", "predator", command=take_in)
    assert "its observations have the shape [4, 9, 9], those of this species [7, 7, 4]" in told


def test_an_import_that_cannot_be_is_refused_in_a_line(tmp_path, capsys):
    config, target = str(config_file(tmp_path)), str(tmp_path / "x.safetensors")
    foreign = tmp_path / "model.zip"
    foreign.write_bytes(b"PK\x03\x04 not really")
    given = [str(foreign), target, "--config", config, "--species"]
    assert str(foreign) in refused(capsys, *given, "prey", command=take_in)
    assert "no such species here; there are predator, prey" in refused(capsys, *given, "wolf", command=take_in)
    given[1] = str(tmp_path / "x.zip")
    assert "must end in .safetensors" in refused(capsys, *given, "prey", command=take_in)
    assert not (tmp_path / "x.safetensors").exists()
