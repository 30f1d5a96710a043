"""A run in which the networks' hidden sizes evolve, from the config to the files that others open."""

from __future__ import annotations

import pytest

from marl_pbt.config import load_config
from marl_pbt.evaluate import main as evaluate
from marl_pbt.export import main as export
from marl_pbt.lineage_store import read_lineage
from marl_pbt.plan import RunPlan
from marl_pbt.policy_files import read_policies
from marl_pbt.protocols import UserError
from marl_pbt.replay import main as replay
from tests.marl_pbt.command_here import trained

CONFIG = """\
name: widths
environment:
  make: envs.predator_prey_grass:parallel_env
  config: {max_steps: 20}
  num_worlds: 4
learner:
  make: agents.ppo:kind
  settings: {n_steps: 20, batch_size: 256, n_epochs: 1, net_arch: [16, 16], max_hidden_units: 48}
pbt:
  population: 3
  time_attr: updates
  interval: 1
  min_episodes: 2
  score_window: 4
  min_gap: {standard_errors: 0}
  perturb_factors: [1.25]
  resample_probability: 0
  optimizer_state: donor
  hyperparameters:
    hidden_units_1: {lograndint: [8, 40]}
    predator.hidden_units_2: {ordered: [8, 16, 48]}
stop: {progress: 6}
deterministic: true
pictures: {every_minutes: null}
films: {every_minutes: null}
judge: null
"""


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("widths")
    (folder / "widths.yaml").write_text(CONFIG)
    code, _, err = trained(str(folder / "widths.yaml"), "--name", "run", "--runs-dir", str(folder))
    assert code == 0, err
    return folder / "run"


def policies_of(run):
    for path in [*run.glob("best/*.safetensors"), *run.glob("members/*/*.safetensors")]:
        yield from read_policies(path).items()


def evolved(run) -> str:
    """A member whose predator goes on from an exploit after which its widths have moved."""
    events = [event for event in read_lineage(run / "lineage.jsonl") if event.policy == "predator"]
    copied = {(event.member, event.generation) for event in events if event.kind == "exploit"}
    last = [event for event in events if event.kind == "explore" and (event.member, event.generation) in copied][-1]
    change = last.changes["hidden_units_1"]
    assert change.new > change.old
    return f"{run}:member_{last.member:02d}"


def test_every_file_tells_the_widths_that_it_holds(run):
    """D24: exploits went across widths, and nobody failed."""
    seen = set()
    for species, policy in policies_of(run):
        layers = policy.card.architecture["net_arch"]
        first, second = layers["pi"]
        assert layers["vf"] == [first, second]
        assert policy.card.hyperparameters["hidden_units_1"] == first
        assert policy.card.hyperparameters.get("hidden_units_2", 16) == second
        assert policy.tensors["policy/mlp_extractor.value_net.2.weight"].shape == (second, first)
        seen.add((species, first, second))
    assert len(seen) > 4


def test_ancestries_across_widths_come_out_bit_for_bit(run, capsys):
    """Replay, section 5: what widening draws comes from the species' own generator."""
    assert replay([evolved(run), "--exact"]) == 0
    assert capsys.readouterr().out.count("the same, bit for bit") == 2


def test_a_schedule_of_widths_is_lived_on_a_fresh_learner(run, tmp_path, capsys):
    assert replay([evolved(run), "--seed", "3", "--out", str(tmp_path)]) == 0
    capsys.readouterr()
    (policy,) = read_policies(tmp_path / "predator.safetensors").values()
    assert policy.card.architecture["net_arch"]["pi"][0] == policy.card.hyperparameters["hidden_units_1"]


def test_policies_of_evolved_widths_play_and_leave_for_other_tools(run, tmp_path, capsys):
    address = evolved(run)
    out = ["--episodes", "1", "--workers", "1", "--out", str(tmp_path / "out")]
    assert evaluate([str(run), address, *out]) == 0
    files = [tmp_path / f"{{species}}{suffix}" for suffix in (".zip", ".onnx", ".safetensors")]
    assert export([address, *map(str, files)]) == 0
    capsys.readouterr()
    assert len(list(tmp_path.glob("pr*"))) == 6


def test_a_range_beyond_the_greatest_width_is_refused_with_what_to_do(tmp_path):
    (tmp_path / "widths.yaml").write_text(CONFIG.replace("[8, 40]", "[8, 64]"))
    with pytest.raises(UserError) as caught:
        RunPlan.of(load_config(tmp_path / "widths.yaml"))
    (fault,) = caught.value.faults
    assert fault.startswith("pbt.hyperparameters.hidden_units_1.lograndint: must be a whole number in [1, 48], got 64;")
    assert "raise learner.settings.max_hidden_units" in fault
