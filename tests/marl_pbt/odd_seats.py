"""Players of which each does one thing, most of them a wrong one, and leagues of them."""

from __future__ import annotations

import os
import signal
from dataclasses import dataclass

import numpy as np

from marl_pbt.environments import EnvironmentSource
from marl_pbt.league.assembly import Entrant, League
from marl_pbt.league.jobs import Rules
from marl_pbt.league.match_store import MatchStore
from marl_pbt.league.schedule import pairings
from marl_pbt.league.tournament import play_league

MEADOW = EnvironmentSource("tests.marl_pbt.adaptable_environments:Meadow", {"max_steps": 8})
RULES = Rules(episodes=3, seed=5, greedy=False)


class TwoWordsError(Exception):
    """Can be pickled, but not made again from its pickle."""

    def __init__(self, first, second):
        super().__init__(f"{first}\n{second}")


@dataclass(frozen=True)
class Odd:
    """A seat.

    Attributes:
        act: What its policy does.
        number: An argument.
    """

    act: str
    number: int = 0

    def take(self, species, environment, worlds):
        return OddPolicy(self.act, self.number)


class OddPolicy:
    def __init__(self, act, number):
        self._act, self._number = act, number

    def act(self, observations, rng, greedy=False):
        return getattr(self, f"_{self._act}")(len(observations), rng, greedy)

    def _plays(self, rows, rng, greedy):
        """Always the same action."""
        return np.full(rows, self._number)

    def _draws(self, rows, rng, greedy):
        return np.zeros(rows, np.int64) if greedy else rng.integers(3, size=rows)

    def _raises(self, rows, rng, greedy):
        raise IndexError("no  such\nhare")

    def _raises_two_words(self, rows, rng, greedy):
        raise TwoWordsError("no", "hare")

    def _exits(self, rows, rng, greedy):
        raise SystemExit("gone")

    def _kills_its_process(self, rows, rng, greedy):
        os.kill(os.getpid(), signal.SIGKILL)

    def _never_ends(self, rows, rng, greedy):
        while True:
            pass


def league_of(foxes, hares, environment=MEADOW):
    """Whose players are these seats, which go by their texts."""
    entrants = {
        name: tuple(Entrant(str(seat), name, "", seat, str(seat), True) for seat in of)
        for name, of in (("fox", foxes), ("hare", hares))
    }
    return League(environment, tuple(entrants), entrants, ())


def plays(*actions):
    return [Odd("plays", action) for action in actions]


def all_pairings(league):
    return pairings(league.entrants, None, np.random.default_rng(0))


class Progress:
    """What was told of a league's progress."""

    def __init__(self):
        self.calls = []

    def __call__(self, done, total, agent_steps):
        self.calls.append((done, total, agent_steps))

    @property
    def played(self):
        """Matches that were not known before."""
        return sum(agent_steps > 0 for _, _, agent_steps in self.calls)


def play(league, folder, workers=1, rules=RULES, progress=None, order=1):
    told = progress or Progress()
    results = play_league(league, all_pairings(league)[::order], rules, MatchStore(folder), workers, told)
    return results, told
