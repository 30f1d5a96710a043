"""One evaluation, from the command line to the last line on the screen."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from marl_pbt.config.faults import printable
from marl_pbt.durable import make_folder
from marl_pbt.figures import counted
from marl_pbt.imports import ensure_rooms_on_path
from marl_pbt.league.assembly import League, Request, assemble
from marl_pbt.league.jobs import Rules
from marl_pbt.league.match_store import MatchStore
from marl_pbt.league.payoffs import payoffs_of
from marl_pbt.league.pool import MatchFailedError
from marl_pbt.league.progress import LeagueProgress
from marl_pbt.league.report_files import pictures, write_reports
from marl_pbt.league.report_text import report_lines
from marl_pbt.league.schedule import Pairing, pairings
from marl_pbt.league.tournament import play_league
from marl_pbt.league.verdict import Verdict, give_verdict
from marl_pbt.league.win_rule import WinRule
from marl_pbt.plan import available_cores
from marl_pbt.protocols import UserError
from marl_pbt.streams import stream

EVALUATIONS = "evaluations"
MATCHES = "matches"


@dataclass(frozen=True)
class Session:
    """What the user typed.

    Attributes:
        policies: Addresses of those who play.
        against: Addresses of those whom they are to meet; empty: each other.
        episodes: Per pairing.
        seed: Of all randomness.
        greedy: The likeliest actions instead of sampled ones.
        pairings: At most so many; None: all.
        workers: Processes; None: one per core.
        config: Whose environment is played in.
        changes: `KEY=VALUE` of the environment.
        win: What counts as a win; None: nothing does.
        runs: Where runs lie.
        out: Where results go; None: `runs/evaluations/<name>`.
        name: Of this evaluation.
        has_tensorboard: Whether they are written for TensorBoard too.
    """

    policies: tuple[str, ...]
    against: tuple[str, ...]
    episodes: int
    seed: int
    greedy: bool
    pairings: int | None
    workers: int | None
    config: Path | None
    changes: tuple[str, ...]
    win: str | None
    runs: Path
    out: Path | None
    name: str
    has_tensorboard: bool

    def run(self) -> int:
        """Play and report.

        Returns:
            The exit code: 0 done, 1 a match failed.

        Raises:
            UserError: Something that the user wrote is wrong; nothing has been played.
        """
        ensure_rooms_on_path()
        win = None if self.win is None else WinRule.parse(self.win)
        league = assemble(Request(self.policies, self.against, self.runs, self.config, self.changes))
        if win is not None:
            win.check(league.species)
        who_meets_whom = pairings(league.entrants, self.pairings, stream(self.seed, "pairings"))
        _say(_introduction(league, who_meets_whom, self.episodes))
        rules = Rules(self.episodes, self.seed, self.greedy)
        if (self._folder / "config.yaml").exists():
            raise UserError(f"{self._folder}: is a run's folder; give another --out")
        try:
            make_folder(self._folder, parents=True)
            verdict = self._played(league, who_meets_whom, rules, win)
            self._report(verdict, rules)
        except MatchFailedError as fault:
            sys.stderr.write(f"a match failed: {fault}\nwhat was played is kept: the same command goes on from there\n")
            return 1
        except BrokenPipeError:
            raise
        except OSError as fault:
            raise UserError(f"{fault.filename or self._folder}: cannot be written ({fault.strerror})") from None
        return 0

    def _played(self, league: League, who_meets_whom: Sequence[Pairing], rules: Rules, win: WinRule | None) -> Verdict:
        # Beside all evaluations, so that none plays what another has played; a folder of the user's has its own.
        store = MatchStore((self.runs / EVALUATIONS if self.out is None else self.out) / MATCHES)
        workers = self.workers or available_cores()
        with LeagueProgress() as progress:
            played = play_league(league, who_meets_whom, rules, store, workers, progress.advance)
        _say([f"played {progress.speed}"] if progress.agent_steps else ["all of it was played before"])
        labels = {name: tuple(each.label for each in of) for name, of in league.entrants.items()}
        payoffs = payoffs_of(league.species, labels, played, rules.episodes)
        return give_verdict(league, payoffs, win, stream(self.seed, "resamples"))

    def _report(self, verdict: Verdict, rules: Rules) -> None:
        _say(report_lines(verdict))
        drawn = pictures(verdict, rules)
        paths = write_reports(self._folder, verdict, rules, drawn)
        if self.has_tensorboard:
            from marl_pbt.league.report_tensorboard import write_tensorboard

            write_tensorboard(self._folder / "tb", verdict, drawn)
            paths.append(self._folder / "tb")
        _say(["", *(str(path) for path in paths)])

    @property
    def _folder(self) -> Path:
        return self.out or self.runs / EVALUATIONS / self.name


def _introduction(league: League, who_meets_whom: Sequence[Pairing], episodes: int) -> Iterator[str]:
    counts = " × ".join(f"{len(of)} {name}" for name, of in league.entrants.items())
    config = ", ".join(printable(f"{key}={value}") for key, value in league.environment.config.items())
    matches = f"{counted(len(who_meets_whom), 'pairing')} of {counted(episodes, 'episode')}"
    yield f"{counts}: {matches} in {league.environment.make}({config})"
    yield from (f"note: {notice}" for notice in league.notices)


def _say(lines: Iterable[str]) -> None:
    sys.stdout.writelines(f"{line}\n" for line in lines)
    sys.stdout.flush()
