"""The tables: markdown, for `benchmarks/RESULTS.md`."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from benchmarks.learning.arms import ARMS, REFERENCES, SETTINGS
from benchmarks.learning.measures import WAYS, Who, curve, final_score, level, steps_to
from benchmarks.learning.results import Reference, Result
from benchmarks.learning.statistics import Interval, difference, estimate, improvement
from marl_pbt.figures import counted

WHO: dict[Who, str] = {"best": "best", "leader": "leader", "mean": "mean of all"}


@dataclass(frozen=True)
class Comparison:
    """All runs of one setting.

    Attributes:
        setting: Key of `SETTINGS`.
        runs: Per arm, by seed.
        reference: What random and reference policies score.
    """

    setting: str
    runs: Mapping[str, Mapping[int, Result]]
    reference: Reference

    @property
    def species(self) -> tuple[str, ...]:
        """In the panel's order."""
        return tuple(self.reference.scores)

    def finals(self, arm: str, species: str, who: Who, is_whole: bool = False) -> dict[int, float]:
        """Final score by seed."""
        return {seed: final_score(run, species, who, is_whole) for seed, run in sorted(self.runs[arm].items())}

    def steps(self, arm: str, species: str, who: Who, way: float) -> list[float]:
        """Agent steps to a level, one per seed."""
        wanted = level(self.reference, species, way)
        return [steps_to(curve(run, self.reference, species, who), wanted) for _, run in sorted(self.runs[arm].items())]


def comparisons_of(results: Sequence[Result], reference: Reference) -> list[Comparison]:
    """One per setting that there is a run of."""
    found = []
    for setting in SETTINGS:
        runs = {
            arm: {each.job.seed: each for each in results if (each.job.setting, each.job.arm) == (setting, arm)}
            for arm in ARMS
        }
        filled = {arm: of for arm, of in runs.items() if of}
        if filled:
            found.append(Comparison(setting, filled, reference))
    return found


def make_tables(comparisons: Sequence[Comparison]) -> str:
    """All of them, one after the other."""
    return "\n\n".join(part for each in comparisons for part in _parts(each))


def code_versions(results: Sequence[Result]) -> str:
    """Which code made the runs: arms that other code made are another comparison."""
    counts = Counter((each.provenance["commit"], each.provenance["changed_files"] > 0) for each in results)
    said = [
        f"{commit[:9] if commit else 'no checkout'}{', changed' if is_changed else ''}: {counted(count, 'run')}"
        for (commit, is_changed), count in counts.items()
    ]
    return f"Made by the code of {'; '.join(said)}."


def _parts(comparison: Comparison) -> Iterator[str]:
    yield f"### {comparison.setting}\n\n{SETTINGS[comparison.setting].about}"
    yield _table(_score_head(comparison), _score_rows(comparison))
    steps = [f"{WHO['mean']}: M agent steps to {percent(way)}" for way in WAYS]
    whole = [f"whole panel, {said}" for said in WHO.values()]
    yield _table(
        ["species", "arm", *steps, f"{WHO['best']}: to {percent(WAYS[-1])}", *whole], _further_rows(comparison)
    )
    yield _table(["arm", "what it is", "seeds", "M agent steps", "minutes", "copies"], _run_rows(comparison))
    yield _levels(comparison)


def _score_head(comparison: Comparison) -> list[str]:
    pairs = [(ARMS[name].label, what) for name in REFERENCES if name in comparison.runs for what in ("minus", "beats")]
    return ["species", "policy", "arm", "panel score", *(f"{what} {label}" for label, what in pairs)]


def _score_rows(comparison: Comparison) -> Iterator[list[str]]:
    for species in comparison.species:
        for who, said in WHO.items():
            for arm in comparison.runs:
                own = comparison.finals(arm, species, who)
                cells = [species, said, ARMS[arm].label, number(estimate(list(own.values())))]
                for name in REFERENCES:
                    if name in comparison.runs:
                        theirs = comparison.finals(name, species, who)
                        seeds = [seed for seed in own if seed in theirs]
                        pair = [own[seed] for seed in seeds], [theirs[seed] for seed in seeds]
                        cells += ["–", "–"] if name == arm else [signed(difference(*pair)), share(improvement(*pair))]
                yield cells


def _further_rows(comparison: Comparison) -> Iterator[list[str]]:
    for species in comparison.species:
        for arm in comparison.runs:
            steps = [millions(comparison.steps(arm, species, "mean", way)) for way in WAYS]
            best = millions(comparison.steps(arm, species, "best", WAYS[-1]))
            whole = [number(estimate(list(comparison.finals(arm, species, who, True).values()))) for who in WHO]
            yield [species, ARMS[arm].label, *steps, best, *whole]


def _run_rows(comparison: Comparison) -> Iterator[list[str]]:
    for arm, runs in comparison.runs.items():
        cost = [run.provenance for run in runs.values()]
        figures = [sum(each[key] for each in cost) / len(cost) for key in ("agent_steps", "wall_s", "copies")]
        steps, seconds, copies = figures
        yield [
            ARMS[arm].label,
            ARMS[arm].about,
            str(len(runs)),
            f"{steps / 1e6:.1f}",
            f"{seconds / 60:.1f}",
            f"{copies:.0f}",
        ]


def _levels(comparison: Comparison) -> str:
    """What the percentages of the way are."""
    said = []
    for species in comparison.species:
        ways = (0.0, *WAYS, 1.0)
        levels = ", ".join(f"{percent(way)} is {level(comparison.reference, species, way):.0f}" for way in ways)
        said.append(f"{species}: {levels}")
    return f"Of the way from random policies to the late reference policies' own scores: {'; '.join(said)}."


def _table(head: Sequence[str], rows: Iterator[list[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


def number(found: Interval) -> str:
    """`480 (431 to 512)`."""
    return _with_ends(found, ".0f")


def signed(found: Interval) -> str:
    """`+48 (-12 to +101)`."""
    return _with_ends(found, "+.0f")


def share(found: Interval) -> str:
    """`80 % (60 % to 100 %)`."""
    return _with_ends(found, ".0%").replace("%", " %")


def percent(part: float) -> str:
    """`25 %`."""
    return f"{100 * part:.0f} %"


def millions(steps: Sequence[float]) -> str:
    """`2.1 (1.9 to 3.0)`, and of how many runs, where some never came there."""
    reached = sum(math.isfinite(each) for each in steps)
    if not reached:
        return "never"
    found = estimate([each / 1e6 for each in steps])
    text = _with_ends(found, ".2f").replace("inf", "never")
    return text if reached == len(steps) else f"{text}, {reached} of {len(steps)} runs"


def _with_ends(found: Interval, form: str) -> str:
    if math.isnan(found.value):
        return "–"
    if math.isnan(found.low):
        return f"{found.value:{form}}"
    return f"{found.value:{form}} ({found.low:{form}} to {found.high:{form}})"
