"""`deterministic: true`: the same seed gives the same bytes."""

import pytest

from marl_pbt.config import load_config
from marl_pbt.protocols import UserError
from tests.marl_pbt.command import toy_config, train


def bytes_of(folder, name, seed):
    """What a run leaves that tells of its training."""
    where = folder / name
    where.mkdir()
    config = toy_config(where, stop=2400, settings="{noise: 30.0}", seed=seed)
    config.write_text(config.read_text().replace("workers: 2", "deterministic: true"))
    with train(str(config), "--name", "run", "--runs-dir", str(where)) as command:
        code, out, err = command.finish()
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
