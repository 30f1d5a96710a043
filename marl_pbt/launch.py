"""One training run, from the command line to the last line on the screen."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from threading import Timer
from typing import TYPE_CHECKING

from marl_pbt.config import LoadedConfig, config_to_yaml, load_config
from marl_pbt.config.resuming import Change, changes, check_changes
from marl_pbt.console import silence
from marl_pbt.disk_probe import check_can_be_written, check_has_room
from marl_pbt.durable import write_durably
from marl_pbt.fault_points import arm
from marl_pbt.figures import counted
from marl_pbt.imports import ensure_rooms_on_path
from marl_pbt.protocols import UserError
from marl_pbt.provenance import write_provenance
from marl_pbt.run_directory import RunDirectory, existing_run, member_name, new_run
from marl_pbt.supervision.leftovers import nothing_left
from marl_pbt.supervision.troubles import failure_lines

if TYPE_CHECKING:
    from marl_pbt.plan import RunPlan
    from marl_pbt.records import Records
    from marl_pbt.resuming import Resumption
    from marl_pbt.run_watch import RunWatch
    from marl_pbt.supervision.supervisor import Outcome, Supervisor

EXIT_CODE = 74
"""Of a run that was stopped because it could not be written down any more; `EX_IOERR` of sysexits.h."""


@dataclass(frozen=True)
class Launch:
    """What the user typed.

    Attributes:
        config: The config's path; on a resume it may be None: the run brings its own.
        overrides: `key=value`.
        name: The run's; None for the config's with date and time.
        runs: Where runs lie.
        resume: A run to go on with, by name or folder.
        command: The command line, for the record.
        is_forced: Whether keys may change on a resume that had better not.
    """

    config: Path | None
    overrides: tuple[str, ...]
    name: str | None
    runs: Path
    resume: str | None
    command: Sequence[str]
    is_forced: bool = False

    def run(self) -> int:
        """Train.

        Returns:
            The exit code: 0 done, 1 every member failed, 74 the run could not be written down any more, 128 + n stopped
            by signal n.

        Raises:
            UserError: Something that the user wrote is wrong, or the disk cannot be written; nothing has been started.
        """
        arm()
        ensure_rooms_on_path()
        with nothing_left():
            return self._begin() if self.resume is None else self._go_on(existing_run(self.runs, self.resume))

    def _begin(self) -> int:
        assert self.config is not None
        loaded = load_config(self.config, self.overrides)
        run = new_run(self.runs, self.name, loaded.config.name)
        check_can_be_written(run.root.parent)
        plan = _plan_of(loaded)
        _check_room(run, plan)
        run.create()
        with _locked(run):
            return self._train(run, loaded, plan, None)

    def _go_on(self, run: RunDirectory) -> int:
        """Everything that may be refused comes before anything is touched."""
        run.open_existing()
        loaded = load_config(self.config or run.config, self.overrides)
        changed = changes(load_config(run.config).config, loaded.config)
        check_changes(changed, self.is_forced)
        check_can_be_written(run.root)
        with _locked(run):
            plan = _plan_of(loaded)
            from marl_pbt.resuming import check_checkpoints_fit, place_members, survey

            with _its_disk(run):
                _check_room(run, plan)
                resumption = survey(run, plan)
                check_checkpoints_fit(run, plan, changed)
                moved = place_members(run, plan.population)
            resumption.lines[:0] = [*_told(changed), *moved]
            return self._train(run, loaded, plan, resumption)

    def _train(self, run: RunDirectory, loaded: LoadedConfig, plan: RunPlan, resumption: Resumption | None) -> int:
        outcome: Outcome | None = None
        try:
            with contextlib.ExitStack() as opened:
                with _its_disk(run):
                    records, supervisor = self._prepare(run, loaded, plan, resumption, opened)
                outcome = _outcome_of(supervisor, plan)
                if records.trouble is None or not records.trouble.is_gone:
                    _finish(records, supervisor)
        except KeyboardInterrupt:  # the signals are given back when the training is over; what remains takes seconds
            if outcome is None:
                raise
            outcome = replace(outcome, signal=outcome.signal or signal.SIGINT)
        return _say_how_it_ended(run, plan, outcome, records.watch)

    def _prepare(
        self,
        run: RunDirectory,
        loaded: LoadedConfig,
        plan: RunPlan,
        resumption: Resumption | None,
        opened: contextlib.ExitStack,
    ) -> tuple[Records, Supervisor]:
        """Everything that comes before the first worker; what has to be closed is given to `opened`."""
        from marl_pbt.logs import open_run_log
        from marl_pbt.records import Records
        from marl_pbt.supervision.hangs import Patience
        from marl_pbt.supervision.supervisor import Supervisor

        write_durably(run.config, config_to_yaml(loaded.config).encode())
        write_provenance(run, self.command, plan.population)
        records = Records(run, plan, None if resumption is None else resumption.steps)
        opened.callback(records.close)
        log = opened.enter_context(contextlib.closing(open_run_log(run.log, records.say)))
        for notice in (*loaded.notices, *plan.notices, *(() if resumption is None else resumption.lines)):
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
        job = replace(plan.job(run.root), joining=frozenset(() if resumption is None else resumption.joining))
        patience = Patience(plan.config.supervision.hang_timeout_s)
        supervisor = Supervisor(job, plan.workers, records, log, patience)
        supervisor.state.exploits = records.exploits_so_far
        return records, supervisor


def _outcome_of(supervisor: Supervisor, plan: RunPlan) -> Outcome:
    try:
        return supervisor.run(plan.time_limit_s)
    except OSError as fault:  # which a command would tell as a mistake of the user's
        raise RuntimeError(f"the supervisor failed: {fault}") from fault


def _finish(records: Records, supervisor: Supervisor) -> None:
    """Write what came of it all; where the disk would not have it, the run has not been written down."""
    from marl_pbt.run_watch import Trouble

    try:
        records.finish(supervisor.state)
    except OSError as fault:
        records.watch.trouble = Trouble(f"{fault.filename or 'the records'}: cannot be written ({fault.strerror})")
        records.say(f"warning: {records.watch.trouble.line}")


def _plan_of(loaded: LoadedConfig) -> RunPlan:
    from marl_pbt.plan import RunPlan  # not before: it imports more than a fault in the config takes to tell

    return RunPlan.of(loaded)


@contextlib.contextmanager
def _locked(run: RunDirectory) -> Iterator[None]:
    run.lock(os.getpid())
    try:
        yield
    finally:
        run.unlock()


@contextlib.contextmanager
def _its_disk(run: RunDirectory) -> Iterator[None]:
    """What the disk refuses before the training is told as a mistake; during it, nothing ends a run like this."""
    try:
        yield
    except OSError as fault:
        raise UserError(f"{fault.filename or run.root}: {fault.strerror or fault}") from None


def _check_room(run: RunDirectory, plan: RunPlan) -> None:
    from marl_pbt.resuming import missing_bytes

    check_has_room(run.root, missing_bytes(run, plan))


def _told(changed: Sequence[Change]) -> list[str]:
    """The diff, with what it means where that is not plain."""
    return [f"{each} ({each.rule.reason})" if each.rule.kind == "needs --force" else str(each) for each in changed]


def _say_how_it_ended(run: RunDirectory, plan: RunPlan, outcome: Outcome, watch: RunWatch) -> int:
    resume = f"go on with: python -m marl_pbt.train --resume {run.root}"
    if watch.trouble is not None and watch.trouble.is_gone:
        _print([watch.trouble.line])
        return EXIT_CODE
    lines = list(failure_lines(outcome.failed))
    if len(outcome.failed) == plan.population:
        _print([*lines, f"every member failed; see {run.log}, then {resume}"])
        return 1
    cut_off = sorted({*outcome.cut_off, *(watch.unwritten.intersection(outcome.stopped))})
    if cut_off:
        names = ", ".join(map(member_name, cut_off))
        lines.append(f"cut off before it could write where it stands: {names}; from its last generation")
    if outcome.stopped or cut_off or outcome.signal:
        lines.append(f"stopped; {resume}")
    elif watch.unwritten:
        names = ", ".join(map(member_name, sorted(watch.unwritten)))
        lines.append(f"warning: the last checkpoint of {names} could not be written; {resume}")
    _print(lines)
    if outcome.signal:
        return 128 + outcome.signal
    return EXIT_CODE if watch.trouble is not None or watch.unwritten else 0


def _print(lines: Iterable[str]) -> None:
    """A command's own words, if anybody still reads them."""
    try:
        sys.stdout.writelines(f"{line}\n" for line in lines)
        sys.stdout.flush()
    except OSError:
        silence(sys.stdout)
