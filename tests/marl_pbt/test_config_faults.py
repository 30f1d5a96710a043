from __future__ import annotations

import pytest
from config_files import SOUND, faults

WRONG = {
    "name": ["3", "null", "''", ".x", "a/b", "[a]", "'a b'", "x" * 49],
    "seed": ["-1", "0.5", "x", "null", "true", "[1]", "'1'"],
    "environment": ["3", "x", "[]"],
    "environment.make": ["3", "no_colon", "'a b:c'", "'a.:c'", "[]", "true"],
    "environment.config": ["3", "null", "[1]", "x", "true"],
    "environment.num_worlds": ["0", "-1", "1.5", "'16'", "null", "true", "[1]"],
    "learner": ["3", "null", "x", "[]"],
    "learner.make": ["null", "3", "no_colon", "''", "{}"],
    "learner.settings": ["3", "null", "[]", "x", "true"],
    "pbt": ["3", "null", "x", "[]"],
    "pbt.population": ["0", "2000", "1.5", "'8'", "null", "true", "x"],
    "pbt.control": ["random", "exploit", "1", "null", "PBT", "[pbt]"],
    "pbt.time_attr": ["steps", "1", "null", "true", "[]"],
    "pbt.interval": ["0", "-5", "x", "null", "true", "1.5", "'5'"],
    "pbt.burn_in": ["-1", "x", "true", "1.5", "[1]"],
    "pbt.metric": ["reward", "null", "1", "true", "[]"],
    "pbt.mode": ["maximum", "1", "null", "true", "[]"],
    "pbt.selection": ["ttest", "a.b", "'a b:c'", "1", "null", "[]", "{a: b}"],
    "pbt.quantile_bottom": ["0.6", "-0.1", "x", "null", "true"],
    "pbt.quantile_top": ["0.7", "0", "x", "null", "true"],
    "pbt.donor": ["rank_weighted", "1", "null", "true", "[]"],
    "pbt.copy": ["both", "optimizer", "1", "null", "[]"],
    "pbt.optimizer_state": ["forget", "1", "null", "true", "[]"],
    "pbt.perturb_factors": ["[]", "0.8", "[0]", "[-1, 2]", "[x]", "[true]", "null", "{a: 1}", "xy", "{}"],
    "pbt.perturb_factors.loguniform": ["[0, 1]", "[2, 1]", "[1]", "[1, 2, 3]", "1", "null", "[a, b]"],
    "pbt.resample_probability": ["1.1", "-0.1", "x", "null", "true"],
    "pbt.quorum": ["1", "-0.1", "x", "null", "true"],
    "pbt.min_gap": ["1", "null", "x", "[]", "{absolut: 1}"],
    "pbt.min_gap.absolute": ["-1", "x", "null", "true", "[1]"],
    "pbt.min_gap.standard_errors": ["-1", "x", "null", "true", "[1]"],
    "pbt.min_episodes": ["0", "1.5", "x", "null", "true", "41"],
    "pbt.score_window": ["0", "1.5", "x", "null", "true", "19"],
    "pbt.explorer": ["pb3", "bandit", "1", "null", "[]", "a:"],
    "pbt.after_explore": ["f", "1", "true", "[]", "a.b"],
    "pbt.compare": ["newest", "1", "null", "true", "[]"],
    "pbt.exploit_unit": ["pair", "1", "null", "true", "[]"],
    "pbt.fitness": ["crossplay", "1", "null", "true", "[]"],
    "pbt.constraints": ["x", "1", "null", "[1]", "['a < b']", "['a..b <= 1']", "{a: b}"],
    "pbt.hyperparameters": ["3", "null", "x", "[]", "{a: 3}"],
    "stop": ["3", "null", "x", "[]", "{}"],
    "stop.progress": ["0", "-1", "x", "null", "true", "0.5"],
    "stop.minutes": ["0", "-1", "x", "true", "[1]"],
    "workers": ["0", "-1", "1.5", "x", "true"],
    "checkpoints": ["3", "null", "x", "[]", "{keep: 1}"],
    "checkpoints.keep_last": ["0", "-1", "1.5", "x", "null"],
    "checkpoints.keep_best": ["-1", "1.5", "x", "null", "true"],
    "films": ["3", "null", "x", "[]", "{minutes: 1}"],
    "films.every_minutes": ["0", "-1", "x", "true", "[1]"],
    "films.steps": ["0", "1.5", "x", "null", "true"],
    "judge": ["3", "x", "[]", "true", "{episode: 1}"],
    "judge.episodes": ["0", "1.5", "x", "null", "true"],
    "judge.config": ["3", "null", "x", "[]", "true"],
}

WRONG_DECLARATIONS = {
    "3": "must be a distribution such as {loguniform: [low, high]}, got 3",
    "[1e-4, 1e-3]": "must be a distribution such as {loguniform: [low, high]}, got [0.0001, 0.001]",
    "{logunifrm: [1, 2]}": "unknown key; did you mean 'loguniform'?",
    "{initial: 3}": "must have exactly one distribution of",
    "{uniform: [1, 2], randint: [1, 2]}": "got uniform and randint",
    "{loguniform: [5e-3, 3e-4]}": "lower bound 0.005 is above upper bound 0.0003",
    "{loguniform: [0, 1]}": "lower bound must be above 0, got 0",
    "{lograndint: [0, 4]}": "lower bound must be at least 1, got 0",
    "{uniform: [1, 2, 3]}": "must be two numbers [low, high], got [1, 2, 3]",
    "{uniform: 3}": "must be two numbers [low, high], got 3",
    "{uniform: [a, 1]}": "must be a number, got 'a'",
    "{randint: [1.5, 3]}": "must be a whole number, got 1.5",
    "{choice: []}": "must be a list of at least one value, got []",
    "{choice: [[1]]}": "must be a number, a string, true or false, got [1]",
    "{ordered: [1, 2, 1]}": "must hold every value once",
    "{bool: true}": "must be [false, true], got True",
    "{bool: [true, true]}": "must be [false, true]",
    "{uniform: [0, 1], initial: 2}": "must be within uniform [0, 1], got 2",
    "{uniform: [0, 1], initial: x}": "must be within uniform [0, 1], got 'x'",
    "{uniform: [0, 1], initial: true}": "must be within uniform [0, 1], got True",
    "{uniform: [0, 1], initial: [0.2, 3]}": "must be within uniform [0, 1], got 3",
    "{uniform: [0, 1], initial: [0.4, 0.2]}": "lower bound 0.4 is above upper bound 0.2",
    "{uniform: [0, 1], initial: [1]}": "must be two numbers [low, high], got [1]",
    "{uniform: [0, 1], initial: {randint: [0, 1]}}": "which [0, 1] does not draw from",
    "{uniform: [0, 1], initial: {uniform: [0, 1], initial: 1}}": "unknown key",
    "{randint: [1, 4], initial: 1.5}": "must be within randint [1, 4], got 1.5",
    "{choice: [a, b], initial: c}": "must be within choice ['a', 'b'], got 'c'",
    "{choice: [1, 2], initial: [1, 2]}": "must be within choice [1, 2]",
    "{ordered: [1, 2], initial: true}": "must be within ordered [1, 2], got True",
}


def test_the_config_that_these_tests_change_is_sound():
    assert faults(SOUND) == []


@pytest.mark.parametrize("key", WRONG)
def test_every_wrong_value_is_one_line_with_its_key_rule_and_place(key):
    for value in WRONG[key]:
        typed = f"{key}={value}"
        told = faults(SOUND, typed)
        assert len(told) <= (2 if value == "{a: 1}" else 1 + value.count(",")), told
        assert told, typed
        assert (
            any(line.startswith(key) and f"(--set {typed[:20]}" in line for line in told) or "score_window" in told[0]
        )


@pytest.mark.parametrize("declaration", WRONG_DECLARATIONS)
def test_every_wrong_declaration_is_told_in_its_own_words(declaration):
    (told,) = faults(SOUND.replace("{uniform: [0.7, 0.98]}", declaration))
    assert told.startswith("pbt.hyperparameters.prey.gae_lambda")
    assert WRONG_DECLARATIONS[declaration] in told
    assert told.endswith("(c.yaml:10)")


def test_all_faults_are_told_at_once_with_their_lines():
    text = SOUND.replace("interval:", "intervall:").replace("stop:", "seed: -1\nstop:") + "films: {steps: 0}\n"
    assert faults(text + "pbt_: 3\n") == [
        "seed: must be a whole number of at least 0, got -1 (c.yaml:11)",
        "pbt.interval: is missing (c.yaml:4)",
        "pbt.intervall: unknown key; did you mean 'interval'? (c.yaml:5)",
        "films.steps: must be a whole number of at least 1, got 0 (c.yaml:13)",
        "pbt_: unknown key; did you mean 'pbt'? (c.yaml:14)",
    ]


def test_a_value_out_of_its_interval_is_told_as_in_the_style_guide():
    text = SOUND.replace("  interval: 500_000\n", "  interval: 500_000\n  quantile_top: 0.7\n")
    assert faults(text) == ["pbt.quantile_top: must be in (0, 0.5], got 0.7 (c.yaml:6)"]


@pytest.mark.parametrize("name", ["metric", "prey.mode", "fitness", "predator.score_window", "min_episodes"])
def test_fitness_cannot_be_declared_as_a_hyperparameter(name):
    """D25."""
    (told,) = faults(SOUND.replace("prey.gae_lambda", name))
    key = name.rpartition(".")[2]
    assert told == (
        f"pbt.hyperparameters.{name}: {key!r} is part of the definition of fitness and cannot be a hyperparameter "
        "(c.yaml:10)"
    )


def test_clocks_that_count_are_whole_and_seconds_need_not_be():
    assert faults(SOUND, "stop.progress=1e6", "pbt.interval=1e5") == []
    assert faults(SOUND, "stop.progress=10.5", "pbt.interval=2.5", "pbt.time_attr=seconds") == []
    assert len(faults(SOUND, "pbt.interval=2.5", "pbt.burn_in=0.5")) == 2


def test_settings_of_an_environment_that_is_not_there_are_a_fault():
    (told,) = faults(SOUND, "environment.make=null")
    assert told.startswith("environment.config: must be empty without environment.make, got {'max_steps': 300}")


def test_an_empty_file_misses_what_has_no_default():
    assert [line.split(":")[0] for line in faults("")] == ["config"]
    assert faults("{}") == [f"{key}: is missing (c.yaml:1)" for key in ("learner", "pbt", "stop")]
    assert faults("- 1") == ["config: must hold keys with values, got [1] (c.yaml:1)"]
