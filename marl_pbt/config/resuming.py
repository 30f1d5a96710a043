"""Which keys of a config may change when a run is resumed, and why; and what was changed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

from marl_pbt.config.faults import shown
from marl_pbt.config.models import RunConfig
from marl_pbt.protocols import UserError

Class = Literal["may change", "needs --force", "fixed"]


class Rule(NamedTuple):
    """What holds for a key.

    Attributes:
        kind: Of change.
        reason: Why, as it is told to the user.
    """

    kind: Class
    reason: str


_FREE = Rule("may change", "holds from the next ready point on")
_STATE = "it is part of what each checkpoint holds"
_WORLD = "scores from before do not compare with those to come, and replay --exact cannot repeat what was before"
_SCORE = "scores from before, by which the best were kept, mean something else"
RULES: Mapping[str, Rule] = {
    "name": Rule("may change", "the run keeps its folder"),
    "seed": Rule("fixed", "every draw so far came from it"),
    "environment.make": Rule("needs --force", _WORLD),
    "environment.config": Rule("needs --force", _WORLD),
    "environment.species": Rule("fixed", "each species has its policy in every checkpoint"),
    "environment.num_worlds": Rule("fixed", f"{_STATE}: so many worlds"),
    "learner.make": Rule("fixed", f"{_STATE}: this learner's"),
    "learner.settings": Rule(
        "needs --force", "must fit the checkpoints, and replay --exact cannot repeat what was before"
    ),
    "pbt.population": Rule("may change", "more join as copies of good ones, fewer are archived"),
    "pbt.control": _FREE,
    "pbt.time_attr": Rule("needs --force", "ready points so far were measured by another clock"),
    "pbt.interval": _FREE,
    "pbt.synchronous": _FREE,
    "pbt.meeting_timeout_s": _FREE,
    "pbt.burn_in": _FREE,
    "pbt.metric": Rule("fixed", _SCORE),
    "pbt.mode": Rule("fixed", "the best so far would be the worst"),
    "pbt.selection": _FREE,
    "pbt.quantile_bottom": _FREE,
    "pbt.quantile_top": _FREE,
    "pbt.donor": _FREE,
    "pbt.copy": _FREE,
    "pbt.optimizer_state": Rule("needs --force", "replay --exact cannot repeat the copies from before"),
    "pbt.perturb_factors": _FREE,
    "pbt.resample_probability": _FREE,
    "pbt.quorum": _FREE,
    "pbt.min_gap": _FREE,
    "pbt.min_episodes": Rule("needs --force", _SCORE),
    "pbt.score_window": Rule("needs --force", _SCORE),
    "pbt.explorer": _FREE,
    "pbt.after_explore": _FREE,
    "pbt.compare": _FREE,
    "pbt.sub_populations": Rule("needs --force", "members change their parts, with what they had been found out for"),
    "pbt.exploit_unit": _FREE,
    "pbt.fitness": Rule("needs --force", _SCORE),
    "pbt.cross_play.opponents": Rule("needs --force", _SCORE),
    "pbt.cross_play.episodes": Rule("needs --force", _SCORE),
    "pbt.cross_play.past": Rule("needs --force", _SCORE),
    "pbt.cross_play.ready_points": Rule("needs --force", _SCORE),
    "pbt.cross_play.kept": _FREE,
    "pbt.cross_play.guest_worlds": Rule("needs --force", _WORLD),
    "pbt.cross_play.config": Rule("needs --force", _SCORE),
    "pbt.constraints": _FREE,
    "pbt.hyperparameters": Rule(
        "needs --force", "values in force were drawn as declared before; those of a new name begin at the learner's own"
    ),
    "stop": _FREE,
    "workers": Rule("may change", "a member is the same on any worker"),
    "deterministic": Rule("needs --force", "what was before cannot be repeated together with what is to come"),
    "checkpoints": _FREE,
    "supervision": _FREE,
    "pictures": _FREE,
    "films": _FREE,
    "judge": _FREE,
}
"""By dotted key; a key holds for all below it."""


@dataclass(frozen=True)
class Change:
    """A key with another value than before.

    Attributes:
        key: Dotted path.
        before: As plain data; None where it was not there.
        after: Likewise.
        rule: What holds for it.
    """

    key: str
    before: Any
    after: Any
    rule: Rule

    def __str__(self) -> str:
        return f"{self.key}: {_yaml(self.before)} → {_yaml(self.after)}"


def changes(before: RunConfig, after: RunConfig) -> list[Change]:
    """What differs, in the order of the keys; in what is free of form (settings, distributions) key by key."""
    one, other = (dict(_leaves(_plain(config))) for config in (before, after))
    return [
        Change(key, one.get(key), other.get(key), rule_of(key))
        for key in dict.fromkeys([*one, *other])
        if one.get(key) != other.get(key)
    ]


def check_changes(found: list[Change], is_forced: bool) -> None:
    """See that a run can go on with these.

    Args:
        found: What differs.
        is_forced: Whether the user has said --force.

    Raises:
        UserError: One line for each that may not change; nothing has been touched.
    """
    refused = {"fixed"} if is_forced else {"fixed", "needs --force"}
    faults = [each for each in found if each.rule.kind in refused]
    if faults:
        told = {"fixed": "cannot change on --resume", "needs --force": "needs --force"}
        raise UserError(*(f"{each}: {told[each.rule.kind]}: {each.rule.reason}" for each in faults))


def rule_of(key: str) -> Rule:
    """Of a key, or of the section around it.

    Raises:
        KeyError: It has none: the table above has to be completed.
    """
    at = key
    while at not in RULES:
        at = at.rpartition(".")[0]
        if not at:
            raise KeyError(key)
    return RULES[at]


def _plain(config: RunConfig) -> dict[str, Any]:
    """As data, each declaration of a hyperparameter in a single piece."""
    data = config.model_dump(by_alias=True)
    declared = config.pbt.hyperparameters.items()
    data["pbt"]["hyperparameters"] = {
        name: each.model_dump(by_alias=True, exclude_none=True) for name, each in declared
    }
    return data


def _leaves(data: Mapping[str, Any], path: str = "") -> Iterator[tuple[str, Any]]:
    """Dotted keys with their values; nothing for an empty section."""
    for key, value in data.items():
        own = f"{path}{key}"
        if isinstance(value, Mapping) and path != "pbt.hyperparameters.":
            yield from _leaves(value, f"{own}.")
        else:
            yield own, value


def _yaml(value: Any) -> str:
    return "null" if value is None else shown(value)
