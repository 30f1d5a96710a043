"""The evaluate command as tests run it, and the runs that it is given."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
from pathlib import Path

from tests.marl_pbt.command import REPOSITORY, Command
from tests.marl_pbt.saved_runs import config_file, plan_of, saved_run

OURS = "envs.predator_prey_grass:parallel_env"
MEADOW = "tests.marl_pbt.adaptable_environments:Meadow"


def two_runs(folder: Path) -> Path:
    """Runs `a` and `b` in the folder."""
    plan = plan_of(config_file(folder))
    saved_run(folder / "a", plan)
    saved_run(folder / "b", plan, {0: (2,)}, seed=1)
    return folder


def in_this_process(runs: Path, out: Path | None) -> list[str]:
    """What stands behind every command: no process is started."""
    return ["--runs-dir", str(runs), "--workers", "1", *(("--out", str(out)) if out else ())]


@contextlib.contextmanager
def started(*arguments, **more):
    """The command in a session of its own; whatever happens, nothing of it lives on."""
    command = Command(
        subprocess.Popen(
            [sys.executable, "-m", "marl_pbt.evaluate", *arguments],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=os.environ | {"PYTHONPATH": str(REPOSITORY)},
            start_new_session=True,
            **more,
        )
    )
    try:
        yield command
    finally:
        command.kill()


def said(folder: Path):
    """What the evaluation in this folder says."""
    return json.loads((folder / "evaluation.json").read_text())


def policies(folder: Path, species: str):
    """Who played in it."""
    return [each["label"] for each in said(folder)["policies"][species]]
