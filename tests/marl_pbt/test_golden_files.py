"""Files of every released schema keep loading, and keep meaning the same; see tests/golden/make.py."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from agents.ppo.loading import load_policy
from marl_pbt.ancestry import SCHEMA as LINEAGE_SCHEMA
from marl_pbt.policy_files import read_policies
from marl_pbt.snapshot import SCHEMA
from tests.golden.meaning import meaning_of

GOLDEN = Path(__file__).parents[1] / "golden"
SCHEMAS = sorted(GOLDEN.glob("schema_*"))


def test_there_are_golden_files_of_every_schema():
    assert [folder.name for folder in SCHEMAS] == [f"schema_{number}" for number in range(1, SCHEMA + 1)]
    assert LINEAGE_SCHEMA == 1, "a new one wants golden files, too"


@pytest.mark.parametrize("folder", SCHEMAS, ids=lambda folder: folder.name)
def test_old_files_keep_loading_and_mean_what_they_meant(folder):
    """Section 4: policy, checkpoint, lineage, config."""
    meant = json.loads((folder / "meaning.json").read_text())
    assert json.loads(json.dumps(meaning_of(folder))) == meant


@pytest.mark.parametrize("folder", SCHEMAS, ids=lambda folder: folder.name)
def test_an_old_policy_still_acts(folder):
    policy = read_policies(folder / "policy.safetensors")["fox"]
    load_policy(policy.card.architecture, policy.tensors)
