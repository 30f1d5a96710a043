"""One exploit in Ray Tune's PopulationBasedTraining: two trials with 1 MB of state, of which one copies the other."""

from __future__ import annotations

import json
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import ray  # type: ignore[import-not-found]  # in its own virtual environment only
from ray import tune
from ray.tune.schedulers import PopulationBasedTraining  # type: ignore[import-not-found]

from benchmarks.peers.scripts.arguments import parse_arguments
from benchmarks.peers.scripts.stopwatch import print_result

STATE_BYTES = 1_000_000
STEP_S = 0.1
INTERVAL = 5


class Member(tune.Trainable):  # type: ignore[misc]  # known in its own virtual environment only
    """Sleeps for its steps; trial 0 is always the better one. Stamps go to a file, for trials may move."""

    def setup(self, config: dict[str, Any]) -> None:
        """Called by Tune."""
        self._stamps = Path(config["stamps"])
        self._state = np.zeros(STATE_BYTES // 8)
        self._has_copied = False

    def step(self) -> dict[str, Any]:
        """One report."""
        if self._has_copied:
            self._stamp("goes on")
            self._has_copied = False
        time.sleep(STEP_S)
        copies = self._stamps.read_text().count("goes on") if self._stamps.exists() else 0
        self._stamp("reports")
        return {"score": 1 if self.trial_id.endswith("0") else 0, "copies": copies}

    def save_checkpoint(self, checkpoint_dir: str) -> None:
        """Called by Tune."""
        np.savez(Path(checkpoint_dir) / "state.npz", state=self._state, writer=np.array(self.trial_id))

    def load_checkpoint(self, checkpoint: str) -> None:
        """Called by Tune."""
        with np.load(Path(checkpoint) / "state.npz") as saved:
            self._state, self._has_copied = saved["state"], str(saved["writer"]) != self.trial_id

    def reset_config(self, new_config: dict[str, Any]) -> bool:
        """Called by Tune where actors are reused."""
        self.config = new_config
        return True

    def _stamp(self, event: str) -> None:
        with self._stamps.open("a") as stamps:
            stamps.write(json.dumps([self.trial_id, event, time.time()]) + "\n")


def read_latencies(stamps: Path) -> list[float]:
    """Seconds from a trial's last report to its first step with the copied state, for each exploit."""
    reported: dict[str, float] = {}
    latencies = []
    for trial, event, moment in map(json.loads, stamps.read_text().splitlines()):
        if event == "goes on":
            latencies.append(moment - reported[trial])
        else:
            reported[trial] = moment
    return latencies


def main() -> None:
    arguments = parse_arguments(__doc__)
    settings = {"reuse_actors": False, "exploits": 1, **json.loads(arguments.settings)}
    ray.init(num_cpus=2, include_dashboard=False, _node_ip_address="127.0.0.1", log_to_driver=False)
    with tempfile.TemporaryDirectory() as folder:
        stamps = Path(folder) / "stamps"
        scheduler = PopulationBasedTraining(
            time_attr="training_iteration",
            metric="score",
            mode="max",
            perturbation_interval=INTERVAL,
            quantile_fraction=0.5,
            hyperparam_mutations={"learning_rate": tune.uniform(0.1, 1.0)},
        )
        tuner = tune.Tuner(
            Member,
            param_space={"learning_rate": 0.5, "stamps": str(stamps)},
            tune_config=tune.TuneConfig(scheduler=scheduler, num_samples=2, reuse_actors=settings["reuse_actors"]),
            run_config=tune.RunConfig(storage_path=folder, stop={"copies": settings["exploits"]}, verbose=0),
        )
        try:
            tuner.fit()
        finally:
            ray.shutdown()
        told = {"state_bytes": STATE_BYTES, "step_s": STEP_S, "interval": INTERVAL, **settings}
        print_result({"latencies_s": read_latencies(stamps)}, ["ray"], told)


if __name__ == "__main__":
    main()
