"""Weights of shaping terms and parameters of an environment, as PBT's config declares and its members copy them."""

import json

import pytest

from marl_pbt.config import load_config
from marl_pbt.constraints import Constraint, repair
from marl_pbt.plan import RunPlan
from marl_pbt.protocols import UserError
from tests.marl_pbt.command_here import trained

CONFIG = """\
name: little
environment: {make: "envs.predator_prey_grass:parallel_env", config: {max_steps: 20}, num_worlds: 4}
learner:
  make: agents.ppo:kind
  settings:
    n_steps: 16
    net_arch: [32, 32]
    reward_weight: {starved: -1.0}
    species: {predator: {reward_weight: {catch: 0.5}}}
pbt:
  population: 3
  control: exploit_only
  interval: 1800
  quantile_bottom: 0.5
  quantile_top: 0.5
  min_gap: {standard_errors: 0}
  min_episodes: 2
  score_window: 4
  hyperparameters:
    predator: {reward_weight: {catch: {loguniform: [0.1, 10]}}}
    prey.reward_weight.eaten: {uniform: [-2, 0]}
    reward_weight.survive: {uniform: [-0.1, 0.1]}
stop: {progress: 5_400}
workers: 1
deterministic: true
films: {every_minutes: null}
judge: null
"""


def plan(tmp_path, *overrides):
    path = tmp_path / "little.yaml"
    path.write_text(CONFIG)
    return RunPlan.of(load_config(path, overrides))


def fault_of(tmp_path, *overrides):
    with pytest.raises(UserError) as caught:
        plan(tmp_path, *overrides)
    (fault,) = caught.value.faults
    assert "\n" not in fault
    return fault


def test_weights_are_declared_nested_or_with_dots_for_one_species_or_for_all(tmp_path):
    declared = plan(tmp_path).bound.declared
    names = {species: {each.name for each in own} for species, own in declared.items()}
    assert names["predator"] == {"reward_weight.catch", "reward_weight.survive"}
    assert names["prey"] == {"reward_weight.eaten", "reward_weight.survive"}


def test_settings_are_where_nothing_is_declared(tmp_path):
    defaults = plan(tmp_path).bound.defaults
    assert defaults["predator"]["reward_weight.catch"] == 0.5
    assert defaults["predator"]["reward_weight.starved"] == defaults["prey"]["reward_weight.starved"] == -1.0
    assert defaults["prey"]["reward_weight.graze"] == 0.0


@pytest.mark.parametrize(
    ("override", "told"),
    [
        ("pbt.hyperparameters.predator.reward_weight.cach={uniform: [0, 1]}", "did you mean 'reward_weight.catch'?"),
        ("pbt.hyperparameters.prey.reward_weight.catch={uniform: [0, 1]}", "unknown hyperparameter"),
        ("pbt.hyperparameters.prey.reward_weight.eaten={uniform: [-1e9, 0]}", "must be a number in [-1000, 1000]"),
        (
            "learner.settings.reward_weight.starvd=1",
            "unknown shaping term; did you mean 'starved'?",
        ),
        ("learner.settings.species.prey.reward_weight.catch=1", "prey.reward_weight.catch: unknown shaping term"),
    ],
)
def test_a_term_that_is_not_offered_is_one_line(tmp_path, override, told):
    assert told in fault_of(tmp_path, override)


def test_what_a_score_is_can_still_not_be_declared(tmp_path):
    """D25."""
    for name in ("predator.fitness", "episode_return_mean", "reward_weight.metric"):
        told = fault_of(tmp_path, f"pbt.hyperparameters.{name}={{uniform: [0, 1]}}")
        assert "is part of the definition of fitness and cannot be a hyperparameter" in told


def test_a_parameter_of_the_environment_needs_scores_that_do_not_come_from_it(tmp_path):
    """D25: with fitness own_pair PBT would learn to make worlds in which scores are high."""
    override = "pbt.hyperparameters.predator.environment.birth_energy={uniform: [6, 12]}"
    assert fault_of(tmp_path, override).startswith(
        "pbt.hyperparameters.predator.environment.birth_energy: changes the worlds that scores come from; must have "
        "pbt.fitness: cross_play, which scores in matches in the environment as configured, got own_pair"
    )
    declared = plan(tmp_path, override, "pbt.fitness=cross_play").bound.declared["predator"]
    assert "environment.birth_energy" in {each.name for each in declared}


def test_a_constraint_may_speak_of_names_with_dots(tmp_path):
    (constraint,) = [Constraint.parse("reward_weight.energy <= reward_weight.catch")]
    values = {"reward_weight.energy": 2.0, "reward_weight.catch": 0.5}
    assert repair(values, [constraint])[0] == {"reward_weight.energy": 0.5, "reward_weight.catch": 0.5}
    plan(tmp_path, 'pbt.constraints=["reward_weight.survive <= 0.05"]')
    told = fault_of(tmp_path, 'pbt.constraints=["reward_weight.survive <= reward_weight.cach"]')
    assert "did you mean 'reward_weight.catch'?" in told


def test_an_exploit_carries_the_weights(tmp_path):
    config = tmp_path / "little.yaml"
    config.write_text(CONFIG)
    code, _, err = trained(str(config), "--name", "run", "--runs-dir", str(tmp_path))
    assert code == 0, err
    events = [json.loads(line) for line in (tmp_path / "run" / "lineage.jsonl").read_text().splitlines()]
    first = {(e["policy"], e["member"]): e["hyperparameters"] for e in events if e["kind"] == "start"}
    in_force, copies = dict(first), 0
    for event in events:
        own = (event["policy"], event["member"])
        if event["kind"] == "exploit":
            donors = in_force[event["policy"], event["parent"]["member"]]
            assert event["hyperparameters"] == donors
            copies += donors != in_force[own]
        in_force[own] = event["hyperparameters"]
    assert copies
    assert all("reward_weight.survive" in values for values in in_force.values())
