"""Predator, prey, grass: an ecosystem in which two species live off a lasting world.

`parallel_env(**rules)` is PettingZoo's parallel face, `env(**rules)` its turn-based one (AEC). Both take
`render_mode` (`rgb_array`, `ansi` or `human`) and the keys of `rules.make_rules`. `parallel_env(…).batched(n)` gives
n worlds that are stepped together, for learning.
"""

from __future__ import annotations

from typing import Any

from pettingzoo.utils.conversions import parallel_to_aec

from envs.predator_prey_grass.parallel import PredatorPreyGrass
from envs.predator_prey_grass.rules import make_rules

__all__ = ["env", "parallel_env", "raw_env"]


def parallel_env(render_mode: str | None = None, **rules: Any) -> PredatorPreyGrass:
    """The parallel face.

    Args:
        render_mode: What `render` gives.
        **rules: `preset` and changes to it, see `make_rules`.

    Raises:
        ValueError: The rules or the mode are at fault; one line each.
    """
    return PredatorPreyGrass(make_rules(**rules), render_mode)


def raw_env(render_mode: str | None = None, **rules: Any) -> Any:
    """The turn-based face, an `AECEnv`; arguments as for `parallel_env`."""
    return parallel_to_aec(parallel_env(render_mode, **rules))


env = raw_env
