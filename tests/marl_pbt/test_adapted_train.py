"""A whole run on an environment that offers nothing but PettingZoo's parallel API."""

from __future__ import annotations

import io
import json
import pickle
from pathlib import Path

import pytest

from marl_pbt.config.loading import config_to_yaml, load_config
from marl_pbt.environments import EnvironmentSource
from marl_pbt.plan import RunPlan
from marl_pbt.protocols import UserError
from marl_pbt.seats import Baseline
from marl_pbt.snapshot import decode
from marl_pbt.tasks import FilmTask, MatchTask
from tests.marl_pbt.command import train
from tests.marl_pbt.command_here import trained

CONFIG = """\
name: meadow
environment:
  make: tests.marl_pbt.adaptable_environments:Meadow
  config: {max_steps: 10}
  species: {predator: "fox_*", prey: ["hare_?", "hare_??"]}
  num_worlds: 4
learner:
  make: agents.ppo:kind
  settings: {n_steps: 8, batch_size: 64, net_arch: [32, 32]}
pbt:
  population: 2
  interval: 200
  min_episodes: 2
  score_window: 4
  hyperparameters:
    learning_rate: {loguniform: [1.0e-4, 1.0e-2]}
stop: {progress: 400}
workers: 1
pictures: {every_minutes: null}
films: {every_minutes: null}
judge: {episodes: 2}
"""


@pytest.fixture
def config(tmp_path: Path) -> Path:
    path = tmp_path / "meadow.yaml"
    path.write_text(CONFIG)
    return path


def test_a_population_trains_is_judged_and_goes_on(tmp_path: Path, config: Path) -> None:
    with train(str(config), "--runs-dir", str(tmp_path), "--name", "a") as command:
        code, out, err = command.finish()
        command.assert_nothing_is_left()
    run = tmp_path / "a"
    assert (code, err) == (0, "")
    assert "best predator: episode_return_mean" in out
    assert set(json.loads((run / "judgement.json").read_text())["matches"]) >= {"best", "random", "random/prey"}
    card = decode((run / "best" / "prey.safetensors").read_bytes()).metadata["environment"]
    assert card["species"] == {"predator": ["fox_*"], "prey": ["hare_?", "hare_??"]}

    code, out, err = trained("--resume", str(run), "--set", "stop.progress=600")
    assert (code, err) == (0, "")
    assert "begin a new episode" not in (run / "log.txt").read_text()


def test_a_plan_reads_the_patterns_and_its_config_is_written_back(tmp_path: Path, config: Path) -> None:
    loaded = load_config(config)
    plan = RunPlan.of(loaded)
    assert plan.species == ("predator", "prey")
    written = tmp_path / "written.yaml"
    written.write_text(config_to_yaml(loaded.config))
    assert load_config(written).config == loaded.config
    assert pickle.loads(pickle.dumps(plan.environment)) == plan.environment


@pytest.mark.parametrize(
    ("override", "told"),
    [
        ("environment.species={}", "environment.species: must name at least one species"),
        ("environment.species={fox: []}", "environment.species.fox: must be a pattern of agent ids"),
        ("environment.species={fox: [3]}", "environment.species.fox: must be a pattern of agent ids"),
    ],
)
def test_patterns_that_are_none_are_refused(config: Path, override: str, told: str) -> None:
    with pytest.raises(UserError) as caught:
        load_config(config, [override])
    assert caught.value.faults[0].startswith(told)


def test_a_pattern_that_fits_nobody_is_told_with_its_line(config: Path) -> None:
    config.write_text(CONFIG.replace('"fox_*"', '["fox_*", "wolf_*"]'))
    with pytest.raises(UserError, match=r"environment\.species\.predator: 'wolf_\*' fits none .*meadow\.yaml:5"):
        RunPlan.of(load_config(config))


def test_species_without_an_environment_are_refused(config: Path) -> None:
    config.write_text(CONFIG.replace("tests.marl_pbt.adaptable_environments:Meadow", "null").replace("{max", "{} # "))
    with pytest.raises(UserError, match=r"environment\.species: must be null without environment\.make"):
        load_config(config)


def test_matches_and_films_are_played_in_it() -> None:
    source = EnvironmentSource("tests.marl_pbt.adaptable_environments:Meadow", {"max_steps": 6, "mortality": 0.0})
    seats = {"fox": Baseline("random"), "hare": Baseline("random")}
    result = MatchTask("match", source, seats, episodes=3, seed=1).run()
    assert result.length.mean == 6
    assert result.returns["fox"].n == 3
    film = FilmTask("film", source, seats, steps=20, seed=0).run()
    assert io.BytesIO(film).read(3) == b"GIF"
