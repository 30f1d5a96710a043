"""`deterministic: true`: the same seed gives the same bytes."""

import pytest

from marl_pbt.config import load_config
from marl_pbt.protocols import UserError
from tests.marl_pbt.command import toy_config
from tests.marl_pbt.command_here import trained

MEADOW = """\
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
  interval: 200
  fitness: cross_play
  cross_play: {opponents: 2, guest_worlds: 0.5}
  hyperparameters: {learning_rate: {loguniform: [1.0e-4, 1.0e-2]}}
stop: {progress: 600}
deterministic: true
pictures: {every_minutes: null}
films: {every_minutes: null}
judge: null
"""


def bytes_of(folder, name, seed):
    """What a run leaves that tells of its training."""
    where = folder / name
    where.mkdir()
    config = toy_config(where, stop=2400, settings="{noise: 30.0}", seed=seed)
    config.write_text(config.read_text().replace("workers: 2", "deterministic: true"))
    code, out, err = trained(str(config), "--name", "run", "--runs-dir", str(where))
    assert code == 0, err
    assert "on 1 worker" in out
    run = where / "run"
    files = [
        run / "lineage.jsonl",
        *sorted(run.glob("best/*.safetensors")),
        *sorted(run.glob("members/*/*.safetensors")),
    ]
    return {str(path.relative_to(run)): path.read_bytes() for path in files}


def test_the_same_seed_writes_the_same_lineage_and_the_same_checkpoints(tmp_path):
    """D17: same seed, identical lineage; and weights, moments, generators with it."""
    one, other = bytes_of(tmp_path, "one", 5), bytes_of(tmp_path, "other", 5)
    assert one.keys() == other.keys()
    assert [name for name in one if one[name] != other[name]] == []
    assert b'"exploit"' in one["lineage.jsonl"]
    assert bytes_of(tmp_path, "third", 6)["lineage.jsonl"] != one["lineage.jsonl"]


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (["pbt.time_attr=seconds"], "must be false with pbt.time_attr: seconds"),
        (["workers=2"], "must be false with more than one of workers, got 2 workers"),
    ],
)
def test_what_cannot_be_repeated_is_refused(tmp_path, change, told):
    config = toy_config(tmp_path)
    config.write_text(config.read_text().replace("workers: 2", "deterministic: true"))
    with pytest.raises(UserError, match=told):
        load_config(config, change)


def test_matches_challenges_and_guests_repeat_themselves_too(tmp_path):
    """D17 with cross-play: who is the best so far does not hang on when the supervisor looks at it."""
    contents = []
    for name in ("one", "other"):
        config = tmp_path / f"{name}.yaml"
        config.write_text(MEADOW)
        code, _, err = trained(str(config), "--name", name, "--runs-dir", str(tmp_path))
        assert code == 0, err
        run = tmp_path / name
        files = [run / "lineage.jsonl", *run.glob("best/*.safetensors"), *run.glob("archive/*/*.safetensors")]
        contents.append({str(path.relative_to(run)): path.read_bytes() for path in files})
    assert contents[0].keys() == contents[1].keys()
    assert [name for name in contents[0] if contents[0][name] != contents[1][name]] == []
    assert b'"challenge"' in contents[0]["lineage.jsonl"]
    assert b'"incumbent": {' in contents[0]["lineage.jsonl"]
