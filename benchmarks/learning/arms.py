"""What is compared: arms (ways to use the same budget) in settings (where the members start).

Every arm is `configs/ppg.yaml` with some keys changed, as by `--set`. A seed gives all arms that draw the same first
hyperparameters.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

CONFIG = "configs/ppg.yaml"
_SPECIES = ("predator", "prey")


@dataclass(frozen=True)
class Setting:
    """Where members start.

    Attributes:
        about: One sentence.
        changes: `KEY=VALUE` of the config, for all arms.
    """

    about: str
    changes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Arm:
    """A way to use the budget.

    Attributes:
        label: In tables and figures.
        about: One sentence.
        changes: `KEY=VALUE` of the config; they win over the setting's.
        settings: Where it makes sense.
        is_control: Whether it is there to be compared with.
    """

    label: str
    about: str
    changes: tuple[str, ...] = ()
    settings: tuple[str, ...] = ("default", "low_start")
    is_control: bool = False


def _learning_rates(declaration: str) -> tuple[str, ...]:
    return tuple(f"pbt.hyperparameters.{name}.learning_rate={declaration}" for name in _SPECIES)


SETTINGS = {
    "default": Setting("As users run it: every hyperparameter starts anywhere in its declared range."),
    "low_start": Setting(
        "Learning rates start too low (1e-4 to 3e-4) and may go up to 5e-3; where nothing is drawn, they are 2e-4.",
        (
            *_learning_rates("{loguniform: [1e-4, 5e-3], initial: [1e-4, 3e-4]}"),
            "learner.settings.learning_rate=2e-4",
        ),
    ),
}

ARMS = {
    "pbt": Arm("PBT, own pair", "Scored in training, beside one's own partner."),
    "pbt_cross_play": Arm(
        "PBT, cross-play",
        "Scored in matches against other members' policies.",
        ("pbt.fitness=cross_play",),
    ),
    "pbt_guests": Arm(
        "PBT, cross-play, guests",
        "The same, and half of the training worlds host guests.",
        ("pbt.fitness=cross_play", "pbt.cross_play.guest_worlds=0.5"),
    ),
    "pbt_few_guests": Arm(
        "PBT, cross-play, few guests",
        "The same, and a quarter of the training worlds host guests.",
        ("pbt.fitness=cross_play", "pbt.cross_play.guest_worlds=0.25"),
        settings=("default",),
    ),
    "pbt_no_past": Arm(
        "PBT, cross-play, no archive",
        "As cross-play, but nobody meets older versions.",
        ("pbt.fitness=cross_play", "pbt.cross_play.past=0"),
        settings=("default",),
    ),
    "pbt_much_past": Arm(
        "PBT, cross-play, half archive",
        "As cross-play, but half of the opponents are older versions.",
        ("pbt.fitness=cross_play", "pbt.cross_play.past=0.5"),
        settings=("default",),
    ),
    "pb2": Arm(
        "PB2, own pair", "As the first, but values go where a Gaussian process hopes most.", ("pbt.explorer=pb2",)
    ),
    "exploit_only": Arm(
        "exploit only",
        "Members copy each other, and no value ever moves.",
        ("pbt.control=exploit_only",),
        is_control=True,
    ),
    "explore_only": Arm(
        "explore only",
        "Values move as with PBT, at the same ready points, and nobody copies anybody.",
        ("pbt.control=explore_only",),
        is_control=True,
    ),
    "random_search": Arm(
        "random search",
        "Members start from the same draws, keep them, and copy nobody.",
        ("pbt.control=random_search",),
        is_control=True,
    ),
    "random_search_wide": Arm(
        "random search, whole range",
        "Random search by somebody who distrusts the low start: rates anywhere from 1e-4 to 5e-3.",
        ("pbt.control=random_search", *_learning_rates("{loguniform: [1e-4, 5e-3]}")),
        settings=("low_start",),
        is_control=True,
    ),
    "nothing": Arm(
        "the declared defaults",
        "As many runs of the learner's own settings, which differ in their seeds alone.",
        ("pbt.control=nothing",),
        is_control=True,
    ),
}
REFERENCES = ("random_search", "nothing")
"""Arms that all others are compared with, seed by seed."""

_QUIET = ("judge=null", "films.every_minutes=null", "checkpoints.keep_last=1000")


@dataclass(frozen=True)
class Job:
    """One run to be made; equal jobs are the same run.

    Attributes:
        arm: Key of `ARMS`.
        setting: Key of `SETTINGS`.
        seed: Of the run.
        progress: Agent steps of each member.
        changes: All that differs from the config, the seed excepted; a later one of a key wins.
    """

    arm: str
    setting: str
    seed: int
    progress: int
    changes: tuple[str, ...]

    @property
    def name(self) -> str:
        """Of its run."""
        return f"{self.setting}-{self.arm}-{self.seed}"


def jobs_of(
    arms: Sequence[str], settings: Sequence[str], seeds: Iterable[int], progress: int, extra: Sequence[str] = ()
) -> list[Job]:
    """All runs, seed by seed, so that what has been done at any time compares the arms.

    Args:
        arms: Which.
        settings: Which.
        seeds: Which.
        progress: Agent steps of each member.
        extra: `KEY=VALUE` for all of them.
    """
    return [
        Job(arm, setting, seed, progress, changes_of(arm, setting, progress, extra))
        for seed in seeds
        for setting in settings
        for arm in arms
        if setting in ARMS[arm].settings
    ]


def changes_of(arm: str, setting: str, progress: int, extra: Sequence[str]) -> tuple[str, ...]:
    """All that differs from the config."""
    return (*_QUIET, f"stop.progress={progress}", *SETTINGS[setting].changes, *ARMS[arm].changes, *extra)
