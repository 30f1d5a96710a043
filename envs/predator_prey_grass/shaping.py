"""What a step brought to those who acted beside their reward, for learners that want to be told sooner."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from envs.predator_prey_grass.layout import EATEN, STARVED
from envs.predator_prey_grass.rules import Rules

TERMS = {
    "predator": ("catch", "energy", "survive", "starved"),
    "prey": ("graze", "energy", "survive", "starved", "eaten"),
}
"""By role. `catch`, `graze`: had a meal; `energy`: how much that gave; `survive`: lives after the step; `starved`,
`eaten`: died of it. All but `energy` are 0 or 1; meals and deaths add up to an episode's `kills`, `grazed`, `starved`
and `eaten`."""


def terms_of(rules: Rules) -> dict[str, tuple[str, ...]]:
    """The names per species, in the order of the columns of `tell_terms`."""
    return {each.name: TERMS[each.role] for each in rules.species}


def tell_terms(role: str, fortunes: NDArray[np.float32]) -> NDArray[np.float32]:
    """`(rows, terms)` float32 from the fortunes of `(rows,)`, see `layout.Scratch.acts`."""
    columns = {
        "catch": fortunes > 0,
        "graze": fortunes > 0,
        "energy": np.maximum(fortunes, 0),
        "survive": fortunes >= 0,
        "starved": fortunes == -STARVED,
        "eaten": fortunes == -EATEN,
    }
    terms = np.empty((len(fortunes), len(TERMS[role])), np.float32)
    for column, name in enumerate(TERMS[role]):
        terms[:, column] = columns[name]
    return terms
