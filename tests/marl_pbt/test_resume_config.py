"""What may change when a run is resumed: for every key of a config, and what members join or leave (section 2)."""

from pathlib import Path
from typing import get_args

import pytest
from pydantic import BaseModel

from marl_pbt.config import load_config
from marl_pbt.config.models import RunConfig
from marl_pbt.config.resuming import RULES, changes, check_changes, rule_of
from marl_pbt.protocols import UserError

PPG = Path(__file__).parents[2] / "configs" / "ppg.yaml"
FIXED = {"seed", "environment.species", "environment.num_worlds", "learner.make", "pbt.metric", "pbt.mode"}
FREE = {"pbt.interval", "pbt.population", "workers", "stop.progress", "pbt.selection", "checkpoints.keep_last"}


def keys_of(model, path=""):
    """Every key of the models, dotted; a section that may be null is entered, too."""
    for name, field in model.model_fields.items():
        own = f"{path}{field.alias or name}"
        sections = [each for each in _types(field.annotation) if isinstance(each, type) and issubclass(each, BaseModel)]
        if len(sections) == 1:
            yield from keys_of(sections[0], f"{own}.")
        else:
            yield own


def _types(annotation):
    return [annotation, *(each for part in get_args(annotation) for each in _types(part))]


@pytest.mark.parametrize("key", sorted(keys_of(RunConfig)))
def test_every_key_of_a_config_has_a_rule_for_resume(key):
    rule = rule_of(key)
    assert rule.kind in ("may change", "needs --force", "fixed")
    assert rule.reason and len(rule.reason) < 120


def test_no_rule_is_for_a_key_that_there_is_not():
    keys = [f"{key}." for key in keys_of(RunConfig)]
    assert [each for each in RULES if not any(key.startswith(f"{each}.") for key in keys)] == []


def test_the_rules_are_what_they_are_meant_to_be():
    kinds = {key: rule_of(key).kind for key in keys_of(RunConfig)}
    assert {key for key, kind in kinds.items() if kind == "fixed"} == FIXED
    assert all(kinds[key] == "may change" for key in FREE)


def differing(*overrides):
    return changes(load_config(PPG).config, load_config(PPG, overrides).config)


def test_a_diff_shows_what_was_and_what_will_be():
    shown = [str(each) for each in differing("pbt.interval=200_000", "workers=3", "pbt.selection=t_test")]
    assert shown == [
        "pbt.interval: 500000 → 200000",
        "pbt.selection: 'truncation' → 't_test'",
        "workers: null → 3",
    ]


def test_settings_and_distributions_are_compared_key_by_key():
    found = differing(
        "learner.settings.gamma=0.9",
        "environment.config={}",
        "pbt.hyperparameters.prey.ent_coef={uniform: [0.1, 0.2]}",
        "judge=null",
    )
    assert [each.key for each in found] == [
        "environment.config.max_steps",
        "learner.settings.gamma",
        "pbt.hyperparameters.prey.ent_coef",
        "judge.episodes",
        "judge.config.max_steps",
    ]


def test_nothing_differs_from_itself():
    assert differing() == []


def test_every_key_that_may_not_change_is_told_at_once_with_the_reason():
    found = differing("seed=3", "pbt.min_episodes=21", "pbt.interval=200_000")
    with pytest.raises(UserError) as refused:
        check_changes(found, is_forced=False)
    seed, episodes = refused.value.faults
    assert seed == "seed: 0 → 3: cannot change on --resume: every draw so far came from it"
    assert episodes.startswith("pbt.min_episodes: 20 → 21: needs --force: scores from before")
    with pytest.raises(UserError) as refused:
        check_changes(found, is_forced=True)
    assert len(refused.value.faults) == 1
    check_changes(found[1:], is_forced=True)
