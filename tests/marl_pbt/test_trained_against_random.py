"""What training brought shows in an evaluation: trained policies beat random ones, by more than the intervals."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from marl_pbt.evaluate import main

REPOSITORY = Path(__file__).parents[2]


def intervals(folder: Path, species: str) -> dict[str, tuple[float, float]]:
    """The 95 % interval of each policy's mean against the field."""
    ratings = json.loads((folder / "evaluation.json").read_text())["ratings"][species]
    found = {each["policy"]: each["mean_against_field"] for each in ratings}
    return {label: (field["low"], field["high"]) for label, field in found.items()}


def test_the_late_panel_beats_random_policies_against_the_same_others(tmp_path):
    panel = REPOSITORY / "agents" / "panels" / "predator_prey_grass"
    policies = [str(panel / f"{species}_a_8M.safetensors") for species in ("predator", "prey")]
    how = ["--episodes", "6", "--workers", "1", "--out", str(tmp_path)]
    assert main([*policies, "random", "--against", *policies, *how]) == 0
    for species in ("predator", "prey"):
        found = intervals(tmp_path, species)
        assert found["random"][1] < found[f"{species}_a_8M"][0]


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_the_quick_config_trains_policies_that_beat_random_ones(tmp_path):
    command = [sys.executable, "-m", "marl_pbt.train", "configs/quick.yaml", "--name", "q", "--runs-dir", str(tmp_path)]
    subprocess.run(command, check=True, cwd=REPOSITORY, capture_output=True)
    out = tmp_path / "out"
    run = str(tmp_path / "q")
    assert main([run, "random", "--against", run, "--episodes", "20", "--out", str(out)]) == 0
    for species in ("predator", "prey"):
        found = intervals(out, species)
        assert found["random"][1] < found["q"][0]
