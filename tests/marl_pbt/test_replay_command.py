"""`replay`: a schedule, or the ancestry itself, lived through once more."""

import shutil

import numpy as np
import pytest

from marl_pbt.policy_files import read_policies
from marl_pbt.replay import main
from marl_pbt.snapshot import Snapshot, decode, encode
from tests.marl_pbt.command import toy_config
from tests.marl_pbt.command_here import trained

MET = """\
environment: {make: tests.marl_pbt.hospitable:make, num_worlds: 4}
learner: {make: tests.marl_pbt.hospitable:kind}
pbt:
  population: 2
  interval: 4
  time_attr: updates
  fitness: cross_play
  cross_play: {opponents: 1, guest_worlds: 0.5}
  hyperparameters: {pace: {loguniform: [0.003, 3.0]}}
stop: {progress: 20}
workers: 1
pictures: {every_minutes: null}
films: {every_minutes: null}
judge: null
"""


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A run of toys that copied each other in two processes, in whatever order they came."""
    folder = tmp_path_factory.mktemp("replayed")
    config = toy_config(folder, stop=4000, settings="{noise: 30.0}")
    code, out, err = trained(str(config), "--name", "toys", "--runs-dir", str(folder))
    assert code == 0, err
    assert "exploit" in out
    return folder / "toys"


def test_every_members_newest_comes_out_bit_for_bit(run, capsys):
    """Replay (section 5): the same bits, though the run was asynchronous."""
    for member in range(4):
        assert main([f"{run}:member_{member:02d}", "--exact"]) == 0
        assert capsys.readouterr().out.count("the same, bit for bit") == 2


def test_a_checkpoint_with_other_weights_is_found_out(run, tmp_path, capsys):
    """The test above can fail."""
    copy = tmp_path / "copy"
    shutil.copytree(run, copy)
    path = sorted((copy / "members" / "member_00").glob("*.safetensors"))[-1]
    checkpoint = decode(path.read_bytes())
    name = next(name for name in checkpoint.tensors if "/policy/" in name)
    changed = {**checkpoint.tensors, name: np.nextafter(checkpoint.tensors[name], np.float32(np.inf))}
    path.write_bytes(encode(Snapshot({k: v for k, v in checkpoint.metadata.items() if k != "schema"}, changed)))
    assert main([f"{copy}:member_00", "--exact"]) == 1
    out = capsys.readouterr().out
    assert out.count("DIFFERENT weights") == 1
    assert out.count("the same, bit for bit") == 1


def test_a_fresh_learner_leaves_policies_of_its_own(run, tmp_path, capsys):
    out = tmp_path / "fresh"
    assert main([str(run), "--seed", "7", "--out", str(out)]) == 0
    told = capsys.readouterr().out
    for path in out.glob("*.safetensors"):
        policy = read_policies(path)[path.stem]
        assert policy.card.member is None
        assert f"{path}: " in told
    assert "guests" not in told
    assert "against" not in told
    assert len(list(out.iterdir())) == 2


def test_a_score_from_matches_is_told_as_such_and_so_is_that_guests_are_missing(tmp_path, capsys):
    """It is not the measure of what a replay earns beside its own partner."""
    path = tmp_path / "met.yaml"
    path.write_text(MET)
    code, _, err = trained(str(path), "--runs-dir", str(tmp_path), "--name", "met")
    assert code == 0, err
    assert main([str(tmp_path / "met"), "--out", str(tmp_path / "fresh")]) == 0
    told = capsys.readouterr().out.splitlines()
    assert told.count("guests: left out; in the run they played in 50 % of the training worlds") == 1
    results = [line for line in told if " in training, " in line]
    assert len(results) == 2
    assert all(line.endswith(" against others in the run") for line in results)


@pytest.mark.parametrize(
    ("address", "told"),
    [
        ("random", "must be RUN, RUN:MEMBER or RUN:MEMBER@GENERATION"),
        ("RUN:member_*", "of one member"),
        ("RUN:member_09", "no member"),
    ],
)
def test_mistakes_are_told_in_a_line(run, capsys, address, told):
    assert main([address.replace("RUN", str(run)), "--exact"]) == 2
    err = capsys.readouterr().err
    assert told in err
    assert err.count("\n") == 1
