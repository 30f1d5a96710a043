"""Strangers' files by the thousand: a policy or a refusal in one line, whatever the bytes; nothing runs."""

from __future__ import annotations

import time
import tracemalloc

import pytest

from agents.ppo.loading import load_policy
from marl_pbt.policy_files import PolicyFileError, read_policies
from tests.fuzz import configs, policies
from tests.fuzz.attacks import attacks
from tests.fuzz.watching import nothing_runs

MOST_MORE_BYTES = 50 * 2**20


@pytest.mark.parametrize("seed", [1, 20250])
def test_byte_mutants_of_a_policy_are_refused_or_the_same_policy_and_nothing_runs(seed):
    """10 000 here; 100 000 and more: `python -m tests.fuzz policies`."""
    told = policies.byte_mutants(seed, 10_000)
    assert told["refused"] > 9_500
    assert told.total() == 10_000


def test_structural_mutants_whose_hash_fits_are_refused_or_a_policy_and_nothing_runs():
    """3 000 here."""
    told = policies.structural_mutants(1, 3_000)
    assert told["refused"] > 2_000
    assert min(told["not loaded"], told["loaded"]) > 20, "some get through every check but the last"


@pytest.mark.slow
def test_mutants_in_their_full_number():
    """Section 4."""
    for seed in range(10):
        policies.byte_mutants(seed, 10_000)
        policies.structural_mutants(seed, 2_000)
        configs.generated(seed, 5_000)


@pytest.fixture(scope="module")
def hand_made(tmp_path_factory):
    marker = tmp_path_factory.mktemp("marker") / "marker"
    return marker, dict(attacks(marker))


def test_there_are_40_hand_made_attacks_and_more(hand_made):
    assert len(hand_made[1]) >= 40


def test_hand_made_attacks_leave_no_marker_and_take_no_more_than_twice_the_file_and_50_mib(hand_made, tmp_path):
    """What gets as far as a policy with a card of its own is refused by the learner that would load it."""
    marker, files = hand_made
    policies.outcome(policies.rebuilt(policies.CARD, policies.sound_policy().tensors, {}))
    for name, content in files.items():
        path = tmp_path / "stranger.safetensors"
        path.write_bytes(content)
        tracemalloc.start()
        began = time.process_time()
        try:
            with nothing_runs(), pytest.raises((PolicyFileError, ValueError)):
                for policy in read_policies(path).values():
                    load_policy(policy.card.architecture, policy.tensors)
            _, most = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
        assert most <= 2 * len(content) + MOST_MORE_BYTES, f"{name}: {most / 2**20:.0f} MiB"
        assert time.process_time() - began < 3, name
        assert not marker.exists(), name


# ------------------------------------------------------------------------------------ configs


@pytest.mark.parametrize("key", list(configs.keys()))
def test_every_field_of_the_config_is_refused_in_five_wrong_ways_one_line_each(key):
    ways = configs.wrong_ways(key)
    assert len(ways) >= 5
    assert any(line.startswith(key.split(".")[0]) for lines in ways for line in lines)


def test_generated_configs_are_taken_or_refused_line_by_line():
    """2 000 as data and 150 as text here; 50 000: `python -m tests.fuzz configs`."""
    told = configs.generated(1, 2_000)
    assert told["refused"] > 1_000
    assert configs.texts(1, 150).total() == 150
