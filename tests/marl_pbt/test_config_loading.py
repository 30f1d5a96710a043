from __future__ import annotations

import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import pytest
from config_files import SOUND, faults, load
from hypothesis import given, settings
from hypothesis import strategies as st

from marl_pbt.config import config_to_yaml, load_config
from marl_pbt.protocols import UserError

ROOT = Path(__file__).resolve().parents[2]
PPG = ROOT / "configs" / "ppg.yaml"
CONFIGS = sorted((ROOT / "configs").glob("*.yaml"))


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.name)
def test_every_config_of_ours_loads_without_a_notice_and_explains_every_key(path):
    assert load_config(path, []).notices == ()
    lines = path.read_text().splitlines()
    assert lines[0] == "# yaml-language-server: $schema=schema.json"
    refers = any("configs/ppg.yaml explains" in line for line in lines[:12])
    elsewhere = PPG.read_text().splitlines() if refers else []
    keys = {line.split(":")[0].strip() for line in elsewhere}
    for above, line in pairwise(lines):
        section_or_declaration = line.endswith(":") or "uniform" in line
        explained = section_or_declaration or "#" in line or "#" in above or line.split(":")[0].strip() in keys
        assert not line or explained, line


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.name)
def test_the_resolved_config_is_read_back_as_an_equal_one(path):
    config = load_config(path, ["pbt.hyperparameters.n_epochs={lograndint: [1, 8], initial: [1, 2]}"]).config
    text = config_to_yaml(config)
    assert load(text).config == config
    assert config_to_yaml(load(text).config) == text


NUMBERS = st.floats(1e-6, 1e6)
DECLARATIONS = st.one_of(
    st.tuples(NUMBERS, NUMBERS).map(lambda pair: {"loguniform": sorted(pair), "initial": min(pair)}),
    st.tuples(NUMBERS, NUMBERS).map(lambda pair: {"uniform": sorted(pair), "initial": sorted(pair)}),
    st.sets(st.integers(-99, 99), min_size=1, max_size=4).map(lambda values: {"ordered": list(values)}),
    st.sets(st.text("abc.", min_size=1), min_size=1, max_size=4).map(lambda values: {"choice": sorted(values)}),
    st.just({"bool": [False, True], "initial": {"choice": [True]}}),
)


@settings(max_examples=60, deadline=None, derandomize=True)
@given(st.dictionaries(st.sampled_from(["a", "prey.b", "prey.c", "x.y.z"]), DECLARATIONS), NUMBERS)
def test_whatever_loads_survives_the_way_to_yaml_and_back(declared, minutes):
    config = load(SOUND, f"pbt.hyperparameters={declared}".replace("True", "true").replace("False", "false")).config
    config = config.model_copy(update={"stop": config.stop.model_copy(update={"minutes": minutes})})
    assert load(config_to_yaml(config)).config == config


def test_dotted_and_nested_hyperparameters_are_the_same():
    dotted = load(SOUND).config.pbt.hyperparameters
    assert list(dotted) == ["predator.learning_rate", "predator.ent_coef", "prey.gae_lambda"]
    nested = SOUND.replace("prey.gae_lambda: {uniform: [0.7, 0.98]}", "prey: {gae_lambda: {uniform: [0.7, 0.98]}}")
    assert load(nested).config.pbt.hyperparameters == dotted


def test_a_hyperparameter_given_nested_and_dotted_is_a_fault():
    (told,) = faults(SOUND.replace("    prey.gae", "    predator.ent_coef: {uniform: [0, 1]}\n    prey.gae"))
    assert told == "pbt.hyperparameters.predator.ent_coef: is declared twice, nested or with dots (c.yaml:9)"


def test_an_override_reaches_free_settings_new_keys_and_declarations():
    config = load(
        SOUND,
        "environment.config.max_steps=100",
        "learner.settings.species.prey.gamma=0.9",
        "pbt.min_gap.absolute=2",
        "judge.episodes=3",
        "pbt.hyperparameters.prey.gae_lambda={uniform: [0.5, 0.6]}",
        "pbt.hyperparameters.predator.ent_coef=null",
        "pbt.population=4",
        "pbt.population=16",
    ).config
    assert config.environment.config == {"max_steps": 100}
    assert config.learner.settings == {"n_steps": 64, "species": {"prey": {"gamma": 0.9}}}
    assert config.pbt.min_gap.absolute == 2
    assert config.judge is not None
    assert config.judge.episodes == 3
    assert config.pbt.population == 16
    assert list(config.pbt.hyperparameters) == ["predator.learning_rate", "prey.gae_lambda"]
    assert config.pbt.hyperparameters["prey.gae_lambda"].uniform == (0.5, 0.6)


@pytest.mark.parametrize(
    ("override", "told"),
    [
        ("pbt.popul=3", "pbt.popul: unknown key; did you mean 'population'? (--set pbt.popul=3)"),
        ("pbt.min_gap.absolut=3", "pbt.min_gap.absolut: unknown key; did you mean 'absolute'? (--set pbt.min_gap.abso"),
        ("pbtt.population=3", "pbtt: unknown key; did you mean 'pbt'? (--set pbtt.population=3)"),
        ("pbt.population", "pbt.population: must be KEY=VALUE, such as pbt.population=16 (--set pbt.population)"),
        ("=3", "config: must be KEY=VALUE, such as pbt.population=16 (--set =3)"),
        ("pbt..population=3", "pbt..population: must be KEY=VALUE"),
        (f"{'a.' * 5000}a=3", "a.a.a."),
        ("name.x=3", "name.x: name is 'toy', which holds no keys (--set name.x=3)"),
        ("name=[", "name: is not YAML: "),
        ("pbt={interval: 1, perturbation_interval: 2}", "pbt.perturbation_interval: means the same as 'interval'"),
    ],
)
def test_a_wrong_override_is_told_as_it_was_typed(override, told):
    first = faults(SOUND, override)[0]
    assert first.startswith(told)
    assert "(--set " in first


def test_ray_tunes_names_mean_the_same_and_are_noticed():
    text = SOUND.replace("  interval:", "  perturbation_interval:").replace("hyperparameters:", "hyperparam_mutations:")
    loaded = load(text, "pbt.quantile_fraction=0.125", "pbt.num_samples=4", "pbt.reward_attr=episode_return_mean")
    pbt = loaded.config.pbt
    assert (pbt.interval, pbt.population, pbt.quantile_bottom, pbt.quantile_top) == (500_000, 4, 0.125, 0.125)
    assert pbt.hyperparameters == load(SOUND).config.pbt.hyperparameters
    assert loaded.notices == (
        "pbt.perturbation_interval: taken as pbt.interval, as it is called here (c.yaml:5)",
        "pbt.hyperparam_mutations: taken as pbt.hyperparameters, as it is called here (c.yaml:6)",
        "pbt.quantile_fraction: taken as pbt.quantile_bottom and pbt.quantile_top, as it is called here "
        "(--set pbt.quantile_fraction=0.125)",
        "pbt.num_samples: taken as pbt.population, as it is called here (--set pbt.num_samples=4)",
        "pbt.reward_attr: taken as pbt.metric, as it is called here (--set pbt.reward_attr=episode_return_mean)",
    )


def test_more_of_ray_tunes_names_mean_the_same():
    loaded = load(
        SOUND, "pbt.burn_in_period=100", "pbt.perturbation_factors=[0.5, 2]", "pbt.custom_explore_fn=my.own:explore"
    )
    pbt = loaded.config.pbt
    assert (pbt.burn_in, pbt.perturb_factors, pbt.after_explore) == (100, (0.5, 2), "my.own:explore")
    assert [notice.split(" taken as ")[1].split(",")[0] for notice in loaded.notices] == [
        "pbt.burn_in",
        "pbt.perturb_factors",
        "pbt.after_explore",
    ]


def test_an_alias_keeps_its_line_and_cannot_stand_beside_its_name():
    aliased = SOUND.replace("  interval: 500_000", "  perturbation_interval: -1")
    assert faults(aliased) == ["pbt.interval: must be a number above 0, got -1 (c.yaml:5)"]
    (told,) = faults(SOUND.replace("  interval:", "  perturbation_interval: 3\n  interval:"))
    assert told == "pbt.perturbation_interval: means the same as 'interval', which is given too (c.yaml:5)"


def test_what_is_legal_but_hardly_meant_is_noticed():
    """D08: a population of one is inert, with a warning."""
    loaded = load(SOUND, "pbt.population=1", "stop.progress=1000", "pbt.perturb_factors=[0.8, 1.2]")
    assert [notice.split(":")[0] for notice in loaded.notices] == [
        "pbt.population",
        "stop.progress",
        "pbt.perturb_factors",
    ]


@pytest.mark.parametrize(
    ("override", "key"),
    [
        ("pbt.perturb_factors={loguniform: [0.8, 1.2]}", "pbt.perturb_factors"),
        ("pbt={interval: 1e5, explorer: pb2, hyperparameters: {a: {choice: [1, 2]}}}", "pbt.explorer"),
        ("pbt={interval: 1e5, control: exploit_only, copy: nothing}", "pbt.copy"),
    ],
)
def test_strategies_that_can_hardly_be_meant_are_noticed(override, key):
    assert [notice.split(":")[0] for notice in load(SOUND, override).notices] == [key]


def test_a_range_of_factors_is_written_and_read_back():
    config = load(SOUND, "pbt.perturb_factors={loguniform: [0.5, 2]}").config
    assert config.pbt.perturb_factors.loguniform == (0.5, 2)
    assert load(config_to_yaml(config)).config == config


def test_faults_that_others_find_in_a_section_get_their_whole_key_and_place():
    loaded = load(SOUND, "learner.settings.gamma=2")
    told = loaded.placed("learner.settings", UserError("gamma: must be at most 1, got 2", "n_steps: too few"))
    assert told.faults == (
        "learner.settings.gamma: must be at most 1, got 2 (--set learner.settings.gamma=2)",
        "learner.settings.n_steps: too few (c.yaml:3)",
    )


def test_a_file_that_cannot_be_read_is_one_line(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for path, told in {"x.yaml": "no such file", ".": "must be a file", "/dev/zero": "must be a file"}.items():
        with pytest.raises(UserError, match=f"^{path}: {told}$"):
            load_config(path, [])


def test_a_config_error_answers_without_torch_numba_and_gymnasium(tmp_path):
    program = """
import sys, time
from marl_pbt.config import load_config
from marl_pbt.protocols import UserError
try:
    load_config("configs/ppg.yaml", ["pbt.populatoin=3"])
except UserError as fault:
    print(fault)
heavy = {"torch", "numba", "gymnasium", "pettingzoo", "stable_baselines3", "tensorboard"} & set(sys.modules)
print(sorted(heavy), time.process_time() < 1.0)  # 0.5 s is promised; a machine under load gets twice that
"""
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, timeout=60)
    told = "pbt.populatoin: unknown key; did you mean 'population'? (--set pbt.populatoin=3)\n[] True\n"
    assert (done.stdout, done.stderr) == (told, "")
