"""Files with a sound container and a hash that fits, whose card, tensors or spaces are a forger's."""

from __future__ import annotations

import json
import time

import numpy as np
import pytest

from marl_pbt.config import load_config
from marl_pbt.plan import RunPlan
from marl_pbt.protocols import UserError
from marl_pbt.snapshot import SCHEMA, Snapshot, encode
from tests.marl_pbt.refused_files import refusal, refusal_to_play
from tests.marl_pbt.saved_runs import Line, forged, with_text

NOT_OURS = "not a policy of ours: "
TOO_MUCH = "Input should be less than or equal to 9007199254740992"
UNKNOWN = "no such tensor in this architecture"
BIAS = "policy/action_net.bias"


@pytest.fixture
def path(tmp_path):
    return tmp_path / "hunter.safetensors"


# A sound container with a forged card.


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"kind": "optimizer"}, "kind: Input should be 'policy'"),
        ({"kind": ...}, "kind: Field required"),
        ({"species": 3}, "species: Input should be a valid string"),
        ({"member": -1}, "member: Input should be greater than or equal to 0"),
        ({"member": True}, "member: Input should be a valid integer"),
        ({"member": "1"}, "member: Input should be a valid integer"),
        ({"generation": 10**30}, "generation: " + TOO_MUCH),
        ({"clocks": {"agent_steps": -1}}, "clocks.agent_steps: Input should be greater than or equal to 0"),
        ({"clocks": {"agent_steps": 1e300}}, "clocks.agent_steps: " + TOO_MUCH),
        ({"clocks": []}, "clocks: Input should be a valid dictionary"),
        ({"architecture": None}, "architecture: Input should be a valid dictionary"),
        ({"architecture": ...}, "architecture: Field required"),
        ({"learner": None}, "learner: Input should be a valid string"),
        ({"environment": {"make": "os:system"}}, "environment.config: Field required"),
        ({"environment": {"make": "a:b", "config": {}, "run": 1}}, "environment.run: Extra inputs are not permitted"),
        ({"spaces": {"observation": {}}}, "spaces.action: Field required"),
        ({"__class__": "x"}, "__class__: Extra inputs are not permitted"),
        ({"ancestry": {}}, "ancestry: Input should be a valid list"),
    ],
)  # fmt: skip
def test_a_card_has_exactly_the_fields_that_we_write(path, policy, changes, why):
    assert refusal(path, forged(policy, **changes)) == NOT_OURS + why


def nested(depth: int) -> dict:
    return {"deeper": nested(depth - 1)} if depth else {}


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"learner": "a\nb"}, "strings must be printable and of at most 4096 characters, got 'a\\nb'"),
        ({"species": "\x1b[31m"}, "strings must be printable and of at most 4096 characters, got '\\x1b[31m'"),
        ({"species": "\ud800"}, "strings must be printable and of at most 4096 characters, got '\\ud800'"),
        ({"learner": "\u202e"}, "strings must be printable and of at most 4096 characters, got '\\u202e'"),
        ({"learner": "x" * 4097}, f"strings must be printable and of at most 4096 characters, got '{'x' * 40}'"),
        ({"score": {"\n": 1}}, "strings must be printable and of at most 4096 characters, got '\\n'"),
    ],
    ids=["newline", "escape", "surrogate", "direction", "long", "in a key"],
)
def test_what_could_not_be_shown_to_a_person_is_refused(path, policy, changes, why):
    assert refusal(path, forged(policy, **changes)) == NOT_OURS + why


@pytest.mark.parametrize("depth", [16, 100, 900])
def test_what_is_nested_deeper_than_anything_of_ours_is_refused(path, policy, depth):
    told = "damaged: its metadata must be nested at most 16 deep"
    card = {"schema": SCHEMA, **policy.metadata, "score": nested(depth)}
    assert refusal(path, with_text(json.dumps(card))) == told


def test_tensors_of_no_policy_are_refused(path, policy):
    assert refusal(path, forged(policy, {"worlds/clock": np.zeros(3)})) == "worlds/clock: no tensor of a policy"
    assert refusal(path, forged(policy, {"policy": np.zeros(3)})) == "policy: no tensor of a policy"
    told = NOT_OURS + "strings must be printable and of at most 4096 characters, got 'policy/\\x1b[31m'"
    assert refusal(path, forged(policy, {"policy/\x1b[31m": np.zeros(3)})) == told


@pytest.mark.parametrize("species", ["../x", ".x", "a/b", "", "x" * 65, "größer", "a b"])
def test_a_species_that_could_not_be_a_files_name_is_refused(path, policy, species):
    """`best/<species>.safetensors`, `--out '{species}.onnx'`."""
    assert refusal(path, forged(policy, species=species)).startswith(NOT_OURS + "species: String should match pattern")


@pytest.mark.parametrize("published", [..., None, {}, [], {"predator": 3}])
def test_a_checkpoint_without_cards_is_damaged(path, plan, published):
    told = "damaged: a checkpoint without its policies' cards"
    assert refusal(path, forged(Line(plan, 0, 1, 0).checkpoint(), published=published)) == told


def test_a_checkpoint_whose_cards_are_swapped_is_damaged(path, plan):
    line = Line(plan, 0, 1, 0)
    swapped = {"predator": line.card("prey"), "prey": line.card("predator")}
    told = "damaged: 'prey' lies where 'predator' belongs"
    assert refusal(path, forged(line.checkpoint(), published=swapped)) == told


def test_a_forged_card_in_a_checkpoint_is_refused_as_in_a_policys_file(path, plan):
    line = Line(plan, 0, 1, 0)
    cards = {"predator": line.card("predator") | {"more": 1}, "prey": line.card("prey")}
    told = NOT_OURS + "more: Extra inputs are not permitted"
    assert refusal(path, forged(line.checkpoint(), published=cards)) == told


# A sound card whose tensors, architecture or spaces do not fit.


def test_weights_that_are_not_finite_do_not_play(plan, path, policy):
    for value in (np.nan, np.inf, -np.inf):
        weights = policy.tensors[BIAS].copy()
        weights[-1] = value
        assert refusal_to_play(plan, path, forged(policy, {BIAS: weights})) == f"predator: {BIAS}: must be finite"


def test_finite_weights_that_lead_to_what_is_not_do_not_play(plan, path, policy):
    huge = {name: np.full_like(array, 3e38) for name, array in policy.tensors.items() if name.endswith("weight")}
    assert refusal_to_play(plan, path, forged(policy, huge)) == (
        "predator: policy: weights are so large that what it makes of an observation is not finite"
    )


def test_tensors_must_be_those_of_the_architecture(plan, path, policy):
    def told(tensors):
        return refusal_to_play(plan, path, forged(policy, tensors))

    unknown = "predator: policy/action_net.more: " + UNKNOWN
    assert told({"policy/action_net.more": np.zeros(3, np.float32)}) == unknown
    assert told({BIAS: np.zeros(8, np.float32)}) == f"predator: {BIAS}: must be (9,) float32, got (8,) float32"
    assert told({BIAS: np.zeros(9)}) == f"predator: {BIAS}: must be (9,) float32, got (9,) float64"
    without = Snapshot(policy.metadata, {name: array for name, array in policy.tensors.items() if name != BIAS})
    assert refusal_to_play(plan, path, encode(without)) == f"predator: {BIAS}: tensor is missing"


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"kind": "pickle"}, "architecture.kind: must be 'sb3-mlp', got 'pickle'"),
        ({"kind": ["sb3-mlp"]}, "architecture.kind: must be 'sb3-mlp', got ['sb3-mlp']"),
        ({"n_actions": -9}, "architecture.n_actions: not a legal value: -9"),
        ({"n_actions": 9.0}, "architecture.n_actions: not a legal value: 9.0"),
        ({"observation_dtype": ["uint8"]}, "architecture.observation_dtype: not a legal value: ['uint8']"),
        ({"activation": "__import__"}, "architecture.activation: not a legal value: '__import__'"),
        ({"net_arch": {"pi": [10**9] * 2, "vf": []}}, "policy/mlp_extractor.value_net.0.bias: " + UNKNOWN),
    ],
)  # fmt: skip
def test_the_architecture_must_be_legal_and_that_of_the_tensors(plan, path, policy, changes, why):
    data = forged(policy, architecture={**policy.metadata["architecture"], **changes})
    assert refusal_to_play(plan, path, data) == f"predator: {why}"


def test_a_policy_for_other_observations_or_actions_than_the_environments_does_not_play(plan, path, policy):
    """Also where no card of the spaces says so."""
    architecture = policy.metadata["architecture"]
    first = "policy/mlp_extractor.{}_net.0.weight"
    wide = {first.format(net): np.zeros((32, 9 * 9 * 4), np.float32) for net in ("policy", "value")}
    shape = {**architecture, "observation_shape": [9, 9, 4]}
    assert refusal_to_play(plan, path, forged(policy, wide, architecture=shape, spaces=None)) == (
        "predator: architecture.observation_shape: the policy was made for [9, 9, 4], here it is [7, 7, 4]"
    )
    five = {BIAS: np.zeros(5, np.float32), "policy/action_net.weight": np.zeros((5, 32), np.float32)}
    actions = {**architecture, "n_actions": 5}
    assert refusal_to_play(plan, path, forged(policy, five, architecture=actions, spaces=None)) == (
        "predator: architecture.n_actions: the policy was made for 5, here it is 9"
    )


@pytest.mark.parametrize(
    ("observation", "says"),
    [
        ({"shape": [9, 9, 4]}, "Box (9, 9, 4) uint8 in [0, 255]"),
        ({"dtype": "float32", "low": 0.0}, "Box (7, 7, 4) float32 in [0.0, 255]"),
        ({"shape": 3}, "no space, {'dtype': 'uint8', 'high': 255, 'low': 0, 'shape': 3, 'type': 'Box'}"),
        ({"type": "Dict"}, "no space, {'dtype': 'uint8', 'high': 255, 'low': 0, 'shape': [7, 7, 4], 'type': 'Dict'}"),
        (
            {"type": ["Box"], "shape": "x" * 4000},
            "no space, {'dtype': 'uint8', 'high': 255, 'low': 0, 'shape': '" + "x" * 148 + "…",
        ),
    ],
)
def test_spaces_must_be_those_of_the_environment(plan, path, policy, observation, says):
    card = policy.metadata["spaces"]
    spaces = {**card, "observation": {**card["observation"], **observation}}
    told = refusal_to_play(plan, path, forged(policy, spaces=spaces))
    assert told == (
        f"predator: observations: the policy expects {says}, "
        f"{plan.environment.make} gives Box (7, 7, 4) uint8 in [0, 255]"
    )


def test_actions_must_be_those_of_the_environment_too(plan, path, policy):
    spaces = {**policy.metadata["spaces"], "action": {"type": "Discrete", "n": 5, "start": 0}}
    assert refusal_to_play(plan, path, forged(policy, spaces=spaces)) == (
        f"predator: actions: the policy expects Discrete(5), {plan.environment.make} gives Discrete(9)"
    )


def test_a_file_that_plays_the_environments_other_species_is_told_apart(plan, path, policy):
    """A predator's policy that says it is a prey's: prey see more."""
    told = refusal_to_play(plan, path, forged(policy, species="prey"), "prey")
    assert told.startswith("prey: observations: the policy expects Box (7, 7, 4)")


def test_hostile_files_are_refused_in_little_time(path, plan, policy):
    """The cost of a refusal is that of reading the file, not of what it claims."""
    began = time.process_time()
    refusal(path, with_text(json.dumps({"schema": 1, "kind": "policy", "score": {str(n): [n] for n in range(30_000)}})))
    refusal(path, with_text(json.dumps({"schema": 1, "x": "\n" * 10**6})))
    layers = {**policy.metadata["architecture"], "net_arch": {"pi": [64] * 5_000, "vf": [1]}}
    refusal_to_play(plan, path, forged(policy, architecture=layers))
    assert time.process_time() - began < 5


@pytest.mark.parametrize("name", ["../x", ".x", "a/b", "a b", "x" * 65, ""])
def test_a_species_of_an_environment_whose_name_would_lead_out_of_the_run_is_refused(tmp_path, name):
    """Every path of a run resolves under it."""
    path = tmp_path / "c.yaml"
    path.write_text(
        'environment: {make: "tests.marl_pbt.toy_environments:Herd"}\n'
        'learner: {make: "tests.marl_pbt.toy_learner:kind"}\npbt: {population: 1, interval: 10}\nstop: {progress: 10}\n'
    )
    with pytest.raises(UserError) as refused:
        RunPlan.of(load_config(path, [f'environment.species={{"{name}": ["cow_*"]}}']))
    assert all("species" in line and line.isprintable() for line in refused.value.faults)


def test_a_species_with_a_name_like_any_files_is_taken(tmp_path):
    """The test above can pass."""
    path = tmp_path / "c.yaml"
    path.write_text(
        'environment: {make: "tests.marl_pbt.toy_environments:Herd", species: {"red-team_1": ["cow_*"]}}\n'
        'learner: {make: "tests.marl_pbt.toy_learner:kind"}\npbt: {population: 1, interval: 10}\nstop: {progress: 10}\n'
    )
    assert RunPlan.of(load_config(path)).species == ("red-team_1",)
