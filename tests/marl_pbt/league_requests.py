"""Leagues asked for by addresses: the runs that they lead to, and shorthands for what comes of it."""

from __future__ import annotations

import pytest

from marl_pbt.league.assembly import Request, assemble
from marl_pbt.protocols import UserError
from marl_pbt.snapshot import encode
from tests.marl_pbt.saved_runs import Line, config_file, forged, plan_of, saved_run

OTHER = "tests.marl_pbt.adaptable_environments:PlainPredatorPreyGrass"


def runs_in(runs, plan):
    """`a` and `b` are alike but for their weights, `other` is another environment, `judged` is played otherwise."""
    saved_run(runs / "a", plan)
    saved_run(runs / "b", plan, seed=1)
    saved_run(runs / "other", plan_of(config_file(runs, make=OTHER)), seed=2)
    saved_run(runs / "judged", plan_of(config_file(runs, judge="{config: {max_steps: 40}}")), seed=3)
    (runs / "files").mkdir()
    (runs / "files" / "hunter.safetensors").write_bytes(encode(Line(plan, 0, 7, 5).policy("predator")))
    (runs / "files" / "grazer.safetensors").write_bytes(encode(Line(plan, 0, 7, 5).policy("prey")))
    return runs


def stranger(tmp_path, plan, **changes):
    """The file of a predator whose card says something else."""
    path = tmp_path / "gift.safetensors"
    path.write_bytes(forged(Line(plan, 0, 7, 5).policy("predator"), **changes))
    return str(path)


def league(runs, *focal, against=(), **more):
    """Of these addresses."""
    return assemble(Request(focal, against, runs, **more))


def labels(league):
    """Who plays, by species."""
    return {name: [entrant.label for entrant in of] for name, of in league.entrants.items()}


def refusal(runs, *focal, **more):
    """Why there is none."""
    with pytest.raises(UserError) as refused:
        league(runs, *focal, **more)
    assert all(line.isprintable() for line in refused.value.faults)
    return str(refused.value).replace(str(runs), "RUNS")
