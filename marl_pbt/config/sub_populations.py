"""The `pbt.sub_populations` section: how a population is divided, with what cannot work."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any, Literal, TypeAlias

from pydantic import BeforeValidator, Discriminator, Field, Tag

from marl_pbt.config.faults import Fault, shown
from marl_pbt.config.sections import Count, Number, Section, broken, wrong
from marl_pbt.evaluations import Roles
from marl_pbt.fire import FIRE
from marl_pbt.mf_pbt import MFPBT
from marl_pbt.sub_populations import SMALLEST

KINDS = ("mf_pbt", "fire")
"""How pydantic names the forms of `sub_populations` in its errors."""


def _check_list(value: Any) -> Any:
    if not isinstance(value, list | tuple) or len(value) < 2:
        raise wrong("must be a list of at least two, one per sub-population")
    return tuple(value)


def _check_kind(value: Any) -> Any:
    if isinstance(value, dict) and "kind" not in value:
        raise broken(Fault("kind", "is missing"))
    if isinstance(value, dict) and value["kind"] not in KINDS:
        raise broken(Fault("kind", f"must be {' or '.join(map(repr, KINDS))}, got {shown(value['kind'])}"))
    return value


def _kind(value: Any) -> str | None:
    return value.get("kind") if isinstance(value, dict) else getattr(value, "kind", KINDS[0])


class MFPBTSection(Section):
    """Sub-populations of equal size that exploit more and less often, with migration between them (marl_pbt.mf_pbt)."""

    kind: Literal["mf_pbt"]
    frequencies: Annotated[tuple[Count, ...], BeforeValidator(_check_list)] = Field(
        default=(1, 10, 25, 50), description="per sub-population: it exploits at every so many-th ready point; rising"
    )

    def broken_rules(self) -> Iterator[Fault]:
        """From dynamic to steady."""
        if list(self.frequencies) != sorted(set(self.frequencies)):
            yield Fault("frequencies", f"must rise from one to the next, got {shown(list(self.frequencies))}")

    def misfits(self, population: int, quantile_bottom: float) -> Iterator[Fault]:
        """What does not go with other keys of `pbt`."""
        parts = len(self.frequencies)
        if population % parts or population < SMALLEST * parts:
            rule = f"must be a multiple of {parts}, the number of sub_populations.frequencies, and {SMALLEST} for each"
            yield Fault("population", f"{rule}, got {population}")
        if quantile_bottom > 0.25:
            rule = "must be at most 0.25 with sub_populations mf_pbt, whose third quarter takes migrants"
            yield Fault("quantile_bottom", f"{rule}, got {quantile_bottom:g}")

    def notices(self, ready_points: float) -> Iterator[str]:
        """What is legal but hardly meant, for members that pass so many ready points."""
        late = [frequency for frequency in self.frequencies if frequency >= ready_points]
        if late:
            told = f"{late[0]} is not reached within {ready_points:g} ready points; who waits for it never copies"
            yield f"pbt.sub_populations.frequencies: {told}"

    def bound(self, population: int) -> MFPBT:
        """In the form that decides."""
        return MFPBT(population, self.frequencies)


class FIRESection(Section):
    """Sub-populations judged by how fast their weights would improve, and evaluators (marl_pbt.fire)."""

    kind: Literal["fire"]
    sizes: Annotated[tuple[Annotated[int, Number(low=SMALLEST, whole=True)], ...], BeforeValidator(_check_list)] = (
        Field(description="members of P1, which is plain PBT, of P2, judged by improvement, and so on")
    )
    evaluators: Count = Field(description="members behind them that measure the improvement")
    max_intervals: Count = Field(default=10, description="after which an evaluator that is not clearly better gives up")
    p_value: Annotated[float, Number(low=0, high=0.5, low_is_open=True)] = Field(
        default=0.05, description="an evaluator is clearly better where chance is less likely than this"
    )

    def broken_rules(self) -> Iterator[Fault]:
        """An improvement is judged by comparison with another one's."""
        least = 2 * (len(self.sizes) - 1)
        if self.evaluators < least:
            rule = f"must be at least {least}, two for each sub-population but the first"
            yield Fault("evaluators", f"{rule}, got {self.evaluators}")

    def misfits(self, population: int, quantile_bottom: float) -> Iterator[Fault]:
        """What does not go with other keys of `pbt`."""
        del quantile_bottom
        wanted = sum(self.sizes) + self.evaluators
        if population != wanted:
            rule = f"must be {wanted}, the sum of sub_populations.sizes and evaluators"
            yield Fault("population", f"{rule}, got {population}")

    def notices(self, ready_points: float) -> Iterator[str]:
        """Nothing."""
        del ready_points
        yield from ()

    def bound(self, population: int) -> FIRE:
        """In the form that decides."""
        del population
        return FIRE(Roles(self.sizes, self.evaluators), self.max_intervals, self.p_value)


SubPopulations: TypeAlias = Annotated[
    Annotated[MFPBTSection, Tag("mf_pbt")] | Annotated[FIRESection, Tag("fire")],
    Discriminator(_kind),
    BeforeValidator(_check_kind),
]
