"""Checks of anybody's PettingZoo parallel environment that go further than PettingZoo's own tests.

`play.py` steps an environment and says what it gave, `rules.py` judges single moments, `survey.py` whole plays,
`faces.py` the further faces, `elsewhere.py` plays in a spawned process. Every check finds all its faults in one run.
"""

from __future__ import annotations

from collections.abc import Iterator

from marl_pbt.environment_checks import faces
from marl_pbt.environment_checks.elsewhere import play_elsewhere
from marl_pbt.environment_checks.play import Factory, PlayError, first_differences, frame_of, play
from marl_pbt.environment_checks.survey import Survey, survey_plays
from marl_pbt.environment_checks.verdict import (
    BATCHED,
    CLOSE,
    ELSEWHERE,
    ORDER,
    PICTURE,
    SILENT,
    TURNS,
    Verdict,
    collected,
)
from marl_pbt.environments import EnvironmentSource

__all__ = ["Verdict", "check_environment", "checks_elsewhere", "checks_here"]


def check_environment(source: EnvironmentSource, seeds: int, steps: int) -> Iterator[Verdict]:
    """All checks, a verdict each, as they are done.

    Args:
        source: The environment; that it can be built has been seen.
        seeds: How many: 0, 1, 2 …
        steps: Env steps per play.
    """
    survey = survey_plays(source.open, range(seeds), steps)
    yield from checks_here(source.open, survey, steps)
    yield from checks_elsewhere(source, survey, steps)


def checks_here(make: Factory, survey: Survey, steps: int) -> Iterator[Verdict]:
    """The checks that are done in this process; `survey` and `steps` belong together."""
    stopped = survey.obstacle if survey.has_stopped else None
    not_drawn = stopped or (None if "rgb_array" in survey.offers else "not among metadata's render_modes")
    not_batched = stopped or (None if "batched" in survey.offers else faces.instead_of_batched(make))
    seed = survey.seed

    yield from survey.verdicts()
    yield _order_verdict(make, survey, steps)
    yield _verdict(PICTURE, faces.picture_faults(make, seed), not_drawn)
    yield _verdict(CLOSE, faces.closing_faults(make, seed), stopped)
    yield _verdict(BATCHED, faces.batched_faults(make, seed), not_batched)
    yield _verdict(TURNS, faces.turn_faults(make, seed, steps), survey.obstacle_to_turns)


def checks_elsewhere(source: EnvironmentSource, survey: Survey, steps: int) -> Iterator[Verdict]:
    """The checks that need a fresh process; one is spawned for all of them."""
    if survey.has_stopped:
        yield Verdict(ELSEWHERE, skipped=survey.obstacle)
        yield Verdict(SILENT, skipped=survey.obstacle)
        return
    told = play_elsewhere(source, survey.seed, steps)
    faults = [told.fault] if told.fault else []
    if not told.fault and not survey.obstacle:
        faults = [f"{each}; must be as in this process" for each in first_differences(survey.tape, told.tape)]
    yield Verdict(ELSEWHERE, tuple(faults), skipped=None if faults else survey.obstacle)
    is_unseen = told.fault and not told.written
    yield Verdict(SILENT, told.written, told.warned, "the process failed, see above" if is_unseen else None)


def _order_verdict(make: Factory, survey: Survey, steps: int) -> Verdict:
    """A play with the actions in the opposite order must work; one that differs is worth knowing."""
    if survey.obstacle:
        return Verdict(ORDER, skipped=survey.obstacle)
    try:
        with faces.opened(make) as environment:
            frames = map(frame_of, play(environment, survey.seed, steps, is_reversed=True))
            differing = tuple(first_differences(survey.tape, frames))
    except PlayError as fault:
        return Verdict(ORDER, (f"{fault}, with the actions in the opposite order",))
    return Verdict(ORDER, warned=tuple(f"{each}, with the actions in the opposite order" for each in differing))


def _verdict(check: str, faults: Iterator[str], skipped: str | None) -> Verdict:
    """What a check finds, looked for only if nothing stands in the way."""
    return Verdict(check, () if skipped else collected(faults), skipped=skipped)
