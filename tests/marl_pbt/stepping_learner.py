"""The toy learner, which steps the worlds that it was given in every update: `tests.marl_pbt.stepping_learner:kind`.

`Shepherd` is a herd that starts processes, whose ids it leaves in the folder `children`.
"""

from __future__ import annotations

import multiprocessing
import os
import subprocess
import sys
from pathlib import Path

import numpy as np

from tests.marl_pbt.command import toy_config
from tests.marl_pbt.toy_environments import Herd
from tests.marl_pbt.toy_learner import ToyKind

STEPS = 4
HERD = "{make: tests.marl_pbt.toy_environments:Herd, num_worlds: 2}"
SLEEP = [sys.executable, "-I", "-S", "-c", "import time; time.sleep(600)"]


def herd_config(folder, environment=HERD, hang_timeout_s=60.0, workers=2, **more):
    """As `toy_config`, in an environment, without films."""
    path = toy_config(folder, **more)
    text = path.read_text().replace("{make: null}", environment).replace("toy_learner", "stepping_learner")
    text = text.replace("workers: 2", f"workers: {workers}")
    path.write_text(f"{text}films: {{every_minutes: null}}\nsupervision: {{hang_timeout_s: {hang_timeout_s}}}\n")
    return path


class SteppingKind(ToyKind):
    """`LearnerKind`."""

    def build(self, settings, interface, worlds, seed):
        toy = super().build(settings, interface, worlds, seed)
        worlds.reset(seed)
        update = toy.update

        def stepping_update():
            for _ in range(STEPS):
                worlds.step([np.zeros(rows, dtype=np.int64) for rows in worlds.rows()])
            return update()

        toy.update = stepping_update
        return toy


class Shepherd(Herd):
    """An environment with a child process in a session of its own, as games are, and one that was forked and sleeps."""

    def __init__(self, children, **more):
        super().__init__(**more)
        started = [subprocess.Popen(SLEEP, start_new_session=True).pid]
        if multiprocessing.parent_process() is not None:  # in a worker
            started.append(os.fork() or _sleep())
        for pid in started:
            (Path(children) / str(pid)).touch()


def _sleep():
    os.setsid()
    while True:
        os.read(os.pipe()[0], 1)


kind = SteppingKind()
