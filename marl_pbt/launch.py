"""One training run, from the command line to the last line on the screen."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from threading import Timer
from typing import TYPE_CHECKING

from marl_pbt.config import LoadedConfig, config_to_yaml, load_config
from marl_pbt.durable import write_durably
from marl_pbt.figures import counted
from marl_pbt.imports import ensure_rooms_on_path
from marl_pbt.protocols import UserError
from marl_pbt.provenance import write_provenance
from marl_pbt.run_directory import RunDirectory, existing_run, member_name, new_run

if TYPE_CHECKING:
    from marl_pbt.plan import RunPlan
    from marl_pbt.supervisor import Outcome

MAY_CHANGE_ON_RESUME = ("stop.", "workers", "films.", "judge.", "checkpoints.")


@dataclass(frozen=True)
class Launch:
    """What the user typed.

    Attributes:
        config: The config's path; None on a resume, which brings its own.
        overrides: `key=value`.
        name: The run's; None for the config's with date and time.
        runs: Where runs lie.
        resume: A run to go on with, by name or folder.
        command: The command line, for the record.
    """

    config: Path | None
    overrides: tuple[str, ...]
    name: str | None
    runs: Path
    resume: str | None
    command: Sequence[str]

    def run(self) -> int:
        """Train.

        Returns:
            The exit code: 0 done, 1 every member failed, 128 + n stopped by signal n.

        Raises:
            UserError: Something that the user wrote is wrong; nothing has been started.
        """
        ensure_rooms_on_path()
        run, loaded = self._resumed() if self.resume else self._fresh()
        from marl_pbt.plan import RunPlan  # not before: it imports more than a fault in the config takes to tell

        plan = RunPlan.of(loaded)
        if not self.resume:
            run.create()
        run.lock(os.getpid())
        try:
            resumed_at = plan.resumed_at(run) if self.resume else None
            return self._train(run, loaded, plan, resumed_at)
        except OSError as fault:  # before the training: during it, nothing on the disk ends a run
            raise UserError(f"{fault.filename or run.root}: {fault.strerror}") from None
        finally:
            run.unlock()

    def _fresh(self) -> tuple[RunDirectory, LoadedConfig]:
        assert self.config is not None
        loaded = load_config(self.config, self.overrides)
        return new_run(self.runs, self.name, loaded.config.name), loaded

    def _resumed(self) -> tuple[RunDirectory, LoadedConfig]:
        assert self.resume is not None
        fixed = [text for text in self.overrides if not text.startswith(MAY_CHANGE_ON_RESUME)]
        if fixed:
            allowed = ", ".join(f"{key}*" if key.endswith(".") else key for key in MAY_CHANGE_ON_RESUME)
            raise UserError(*(f"--set {text}: cannot change on --resume; what can: {allowed}" for text in fixed))
        run = existing_run(self.runs, self.resume)
        run.open_existing()
        return run, load_config(run.config, self.overrides)

    def _train(
        self, run: RunDirectory, loaded: LoadedConfig, plan: RunPlan, resumed_at: Mapping[int, int] | None
    ) -> int:
        from marl_pbt.logs import open_run_log
        from marl_pbt.records import Records
        from marl_pbt.supervisor import Supervisor

        write_durably(run.config, config_to_yaml(loaded.config).encode())
        write_provenance(run, self.command)
        with (
            contextlib.closing(Records(run, plan, resumed_at)) as records,
            contextlib.closing(open_run_log(run.log, records.say)) as log,
        ):
            for notice in (*loaded.notices, *plan.notices):
                records.say(notice)
            records.say(f"{run.root}: {counted(plan.population, 'member')} on {counted(plan.workers, 'worker')}")
            # In this process, before the workers would all compile the same.
            telling = Timer(2.0, records.say, ["compiling for this machine, once: up to a minute"])
            telling.start()
            try:
                plan.warm_up()
            finally:
                telling.cancel()
                telling.join()  # it may be speaking just now
            supervisor = Supervisor(plan.job(run.root), plan.workers, records, log)
            supervisor.state.exploits = records.exploits_so_far
            outcome = supervisor.run(plan.time_limit_s)
            records.finish(supervisor.state)
        return self._say_how_it_ended(run, plan, outcome)

    def _say_how_it_ended(self, run: RunDirectory, plan: RunPlan, outcome: Outcome) -> int:
        resume = f"python -m marl_pbt.train --resume {run.root}"
        for member, fault in outcome.failed.items():
            print(f"{member_name(member)} failed: {fault}")  # noqa: T201  # a command's own words
        if len(outcome.failed) == plan.population:
            print(f"every member failed; see {run.log}, then go on with: {resume}")  # noqa: T201
            return 1
        if outcome.cut_off:
            names = ", ".join(map(member_name, outcome.cut_off))
            print(f"cut off before it could write where it stands: {names}; from its last generation")  # noqa: T201
        if outcome.stopped or outcome.cut_off:
            print(f"stopped; go on with: {resume}")  # noqa: T201
        return 128 + outcome.signal if outcome.signal else 0
