"""Plays of every seed: each moment judged, each play repeated."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from marl_pbt.environment_checks import rules
from marl_pbt.environment_checks.faces import opened
from marl_pbt.environment_checks.play import (
    AgentId,
    Factory,
    Frame,
    Moment,
    PlayError,
    content,
    first_differences,
    frame_of,
    play,
    told_briefly,
)
from marl_pbt.environment_checks.verdict import KEPT, KEYS, KNOWN, LIVES, SAME, VALUES, Verdict, collected

_RULES: Mapping[str, rules.Rule] = {
    KNOWN: rules.agents_are_known,
    KEYS: rules.dicts_have_the_same_keys,
    LIVES: rules.ids_live_once,
    VALUES: rules.values_have_their_types,
}
_CHECKS = (*_RULES, SAME, KEPT)
_MOMENTS_KEPT = 20

_Spaces = dict[AgentId, tuple[Any, Any]]


@dataclass
class Survey:
    """What the plays have found so far.

    Attributes:
        seed: The first.
        tape: Of the first seed.
        failed: Check → its faults.
        warned: Check → what is worth knowing.
        offers: Of `rgb_array` and `batched`, what the environment has.
        has_stopped: The environment raised, so that further plays tell nothing new.
    """

    seed: int
    tape: list[Frame] = field(default_factory=list)
    failed: dict[str, list[str]] = field(default_factory=lambda: {check: [] for check in _CHECKS})
    warned: dict[str, list[str]] = field(default_factory=lambda: {check: [] for check in _CHECKS})
    offers: frozenset[str] = frozenset()
    has_stopped: bool = False

    @property
    def obstacle(self) -> str | None:
        """Why further plays cannot be compared with this one, if so."""
        if self.has_stopped:
            return "reset or step fails, see above"
        return "a play is not reproducible, see above" if self.failed[SAME] else None

    @property
    def obstacle_to_turns(self) -> str | None:
        """Why PettingZoo's conversion cannot work, if so: it relies on ids, dictionaries and numbers."""
        is_sound = not any(self.failed[check] for check in (KEYS, LIVES, VALUES))
        return self.obstacle or (None if is_sound else "what a step gives fails, see above")

    def verdicts(self) -> Iterator[Verdict]:
        """On the checks that the plays bring along."""
        for check in _CHECKS:
            is_unseen = self.has_stopped and not self.failed[check]
            skipped = self.obstacle if is_unseen else None
            yield Verdict(check, tuple(self.failed[check]), tuple(self.warned[check]), skipped)


def survey_plays(make: Factory, seeds: Sequence[int], steps: int) -> Survey:
    """Play every seed and judge each moment, then play it again, in the used instance and in two fresh ones.

    Args:
        make: Of the environment.
        seeds: At least one.
        steps: Env steps per play.
    """
    survey = Survey(seeds[0])
    for seed in seeds:
        try:
            with opened(make) as environment:
                tape = _first_play(survey, environment, seed, steps)
                survey.failed[SAME] += collected(_faults_of_a_used_instance(environment, seed, tape, steps))
        except PlayError as fault:
            survey.failed[KNOWN].append(str(fault))
            survey.has_stopped = True
            return survey
        survey.failed[SAME] += collected(_faults_of_fresh_instances(make, seed, tape, steps))
        survey.tape = survey.tape or tape
    if not survey.failed[SAME]:
        survey.warned[SAME] += collected(_seed_warnings(make, survey, steps))
    return survey


def _first_play(survey: Survey, environment: Any, seed: int, steps: int) -> list[Frame]:
    """Judge every moment of a play.

    Returns:
        Its tape.

    Raises:
        PlayError: It came to a stop.
    """
    tape: list[Frame] = []
    kept: list[Moment] = []
    past = rules.Past()
    survey.offers = _offers(environment)
    try:
        spaces: _Spaces = {}
        for moment in play(environment, seed, steps):
            tape.append(frame_of(moment))
            spaces = spaces or _spaces_of(environment)
            if len(kept) < _MOMENTS_KEPT:
                kept.append(moment)
            for check, rule in _RULES.items():
                survey.failed[check] += rule(moment, past)
            past = past.after(moment)
        survey.failed[KNOWN] += _space_faults(spaces, _spaces_of(environment))
    finally:
        survey.failed[KEPT] += _changes(kept, tape)
    if kept[0].possible is None:
        survey.warned[KNOWN] = ["possible_agents: there is none; a learner cannot know who may be born"]
    return tape


def _offers(environment: Any) -> frozenset[str]:
    modes = (getattr(environment, "metadata", None) or {}).get("render_modes") or ()
    is_batched = callable(getattr(environment, "batched", None))
    return frozenset({"rgb_array"} & set(modes) | ({"batched"} if is_batched else set()))


def _spaces_of(environment: Any) -> _Spaces:
    """Per agent id its observation and its action space."""
    agents = getattr(environment, "possible_agents", environment.agents)
    try:
        return {agent: (environment.observation_space(agent), environment.action_space(agent)) for agent in agents}
    except Exception as fault:
        raise PlayError(f"observation_space or action_space of possible_agents raised {told_briefly(fault)}") from fault


def _space_faults(before: _Spaces, after: _Spaces) -> Iterator[str]:
    for agent in [agent for agent in before if agent in after]:
        for name, one, other in zip(("observation", "action"), before[agent], after[agent], strict=True):
            if one is not other:
                yield f"{agent}: {name}_space gives another object at a later call; must be the same"


def _changes(moments: list[Moment], tape: list[Frame]) -> Iterator[str]:
    """Observations that no longer are what they were when they were handed out."""
    for moment, frame in zip(moments, tape, strict=False):
        for agent, observation in moment.dicts["observation"].items():
            if content(observation) != frame.held[agent]["observation"]:
                yield f"{moment.where(agent)}: observation was changed by a later step; must be a copy of the buffer"


def _faults_of_a_used_instance(environment: Any, seed: int, tape: list[Frame], steps: int) -> Iterator[str]:
    for fault in first_differences(tape, map(frame_of, play(environment, seed, steps))):
        yield f"{fault}; must be as in the first play (after a reset of the same instance)"


def _faults_of_fresh_instances(make: Factory, seed: int, tape: list[Frame], steps: int) -> Iterator[str]:
    """Stepped in turn, so that a generator which they share is found out."""
    with opened(make) as one, opened(make) as other:
        pairs = zip(play(one, seed, steps), play(other, seed, steps), strict=False)
        doubled = [frame for frame in tape for _ in range(2)]
        for fault in first_differences(doubled, (frame_of(moment) for pair in pairs for moment in pair)):
            yield f"{fault}; must be as in the first play (of two fresh instances that are stepped in turn)"


def _seed_warnings(make: Factory, survey: Survey, steps: int) -> Iterator[str]:
    """Another seed with the same actions should lead elsewhere."""
    other = survey.seed + 1
    with opened(make) as environment:
        frames = map(frame_of, play(environment, other, steps, action_seed=survey.seed))
        if all(one.held == two.held for one, two in zip(survey.tape, frames, strict=False)):
            yield f"seeds {survey.seed} and {other} give the same play; must differ, unless nothing is left to chance"
