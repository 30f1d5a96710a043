"""The payoff table of a running population: who does how well against whom, by the newest matches."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from marl_pbt.ancestry import LineageEvent
from marl_pbt.cross_play.match import Match
from marl_pbt.league.heat_map import HeatMap
from marl_pbt.run_directory import member_name

MOST_FITTED, MOST_DRAWN = 64, 128
"""Members up to which a table is fitted, and drawn: both are done while nobody else is listened to."""


@dataclass(frozen=True, eq=False)
class Table:
    """Of one species; rows are its policies, columns the opponents, both by member.

    Attributes:
        means: `(N, N)` float64, mean returns of the rows; on the diagonal those of training episodes, beside the
            member's own partner. NaN where nobody has met.
        errors: `(N, N)` float64, standard errors; NaN where there is one episode.
        versions: Per row the generation that played.
    """

    means: NDArray[np.float64]
    errors: NDArray[np.float64]
    versions: Mapping[int, int]

    def heat_map(self, species: str) -> HeatMap:
        """As it is drawn."""
        names = [member_name(member) for member in range(len(self.means))]
        rows = [
            f"{name}@{self.versions[place]}" if place in self.versions else name for place, name in enumerate(names)
        ]
        return HeatMap(
            title=f"{species}: mean return against other members",
            rows=(species, rows),
            columns=("opponent", names),
            means=self.means,
            errors=self.errors,
            own=[(place, place) for place in range(len(names)) if np.isfinite(self.means[place, place])],
        )

    @property
    def coadaptation_gap(self) -> float:
        """By how much more policies return beside their own partner than against others; NaN where unknown."""
        own = np.diag(self.means)
        others = self.means.copy()
        np.fill_diagonal(others, np.nan)
        gaps = [mine - np.nanmean(row) for mine, row in zip(own, others, strict=True) if np.isfinite(row).any()]
        known = [gap for gap in gaps if np.isfinite(gap)]
        return float(np.mean(known)) if known else math.nan

    @property
    def intransitivity(self) -> float:
        """Share of the table's variation that no single number per policy and per opponent can say; NaN where untold.

        See `marl_pbt.league.intransitivity`; single episodes are noisy, and noise counts as cyclic here.
        """
        from marl_pbt.league.intransitivity import intransitivity  # imports scipy

        if len(self.means) > MOST_FITTED:
            return math.nan
        others = self.means.copy()
        np.fill_diagonal(others, np.nan)
        rows, columns = (np.isfinite(others).any(axis=axis).sum() for axis in (1, 0))
        if np.isfinite(others).sum() <= rows + columns - 1:
            return math.nan
        return intransitivity(others[:, :, None], 0, np.random.default_rng(0)).raw


class RunningPayoffs:
    """Keeps the newest matches of each pair of members.

    Args:
        population: N.
    """

    def __init__(self, population: int) -> None:
        self._population = population
        self._met: dict[str, dict[tuple[int, int], Match]] = {}
        self._own: dict[str, dict[int, tuple[float, float]]] = {}
        self._versions: dict[str, dict[int, int]] = {}

    def note(self, events: Iterable[LineageEvent]) -> None:
        """Take in what ready points tell of matches, in their order."""
        for event in events:
            if event.kind != "ready" or "matches" not in event.why:
                continue
            met = self._met.setdefault(event.policy, {})
            for told in event.why["matches"]:
                match = Match.from_json(told)
                if not match.opponent.is_past:
                    met[event.member, match.opponent.member] = match
            own = event.why["own_pair"]
            if own is not None and own["mean"] is not None:
                self._own.setdefault(event.policy, {})[event.member] = (own["mean"], own["standard_error"])
            self._versions.setdefault(event.policy, {})[event.member] = event.generation

    def table(self, species: str) -> Table | None:
        """The table of a species; None before anybody has met, and where it would be too large to be read."""
        met = self._met.get(species)
        if not met or self._population > MOST_DRAWN:
            return None
        means = np.full((self._population, self._population), np.nan)
        errors = means.copy()
        for place, match in met.items():
            means[place] = match.mean
            if len(match.returns) > 1:
                errors[place] = float(np.std(match.returns, ddof=1)) / math.sqrt(len(match.returns))
        for member, (mean, error) in self._own.get(species, {}).items():
            means[member, member], errors[member, member] = mean, error
        return Table(means, errors, dict(self._versions.get(species, {})))
