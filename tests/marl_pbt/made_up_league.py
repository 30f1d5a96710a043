"""Leagues that were never played: tables of returns, and the verdict on them."""

from __future__ import annotations

import numpy as np

from marl_pbt.environments import EnvironmentSource
from marl_pbt.league.assembly import Entrant, League
from marl_pbt.league.jobs import Episodes, Rules
from marl_pbt.league.payoffs import payoffs_of
from marl_pbt.league.verdict import give_verdict
from marl_pbt.policy_files import PolicyCard
from marl_pbt.seats import Baseline

EPISODES = 10


def card_at(agent_steps, species="predator"):
    """What the file of a policy says that is not asked for anything but its age."""
    return PolicyCard.model_validate(
        {
            "kind": "policy",
            "species": species,
            "member": 0,
            "generation": 1,
            "clocks": {"agent_steps": agent_steps},
            "founder": 0,
            "parent": None,
            "hyperparameters": {"learning_rate": 1e-3},
            "score": {"mean": None, "standard_error": None, "episodes": 0},
            "architecture": {},
            "learner": "agents.ppo:kind",
            "environment": None,
        }
    )


def league_of(labels, background=(), own=None, cards=None, notices=()):
    """A league of these labels per species.

    Args:
        labels: By species.
        background: `(species, label)` of those that are not judged.
        own: `(species, label)` → with whom they trained.
        cards: `label` → card.
        notices: As in `League`.
    """
    entrants = {
        name: tuple(
            Entrant(
                label,
                name,
                f"typed {label}",
                Baseline("random"),
                f"digest {label}",
                (name, label) not in background,
                (cards or {}).get(label),
                (own or {}).get((name, label)),
            )
            for label in of
        )
        for name, of in labels.items()
    }
    environment = EnvironmentSource("a:b", {"size": 3})
    return League(environment, tuple(labels), entrants, tuple(notices))


def episodes_of(league, returns, metrics=None, length=50.0):
    """What each pairing gave.

    Args:
        league: Who plays.
        returns: By species `(n_1, …, n_K, episodes)`; NaN in the first episode: not played.
        metrics: By tag, likewise.
        length: Of every episode.
    """
    first = next(iter(returns.values()))
    played = {}
    for where in np.ndindex(first.shape[:-1]):
        if not np.isnan(first[where][0]):
            played[where] = [
                Episodes(
                    returns={name: tuple(map(float, table[where])) for name, table in returns.items()},
                    lengths=(length,) * first.shape[-1],
                    metrics={tag: tuple(map(float, table[where])) for tag, table in (metrics or {}).items()},
                    agent_steps=100,
                )
            ]
    return played


def verdict_on(league, returns, win=None, metrics=None, seed=0):
    """The verdict on these returns, and the rules by which they would have been played."""
    episodes = next(iter(returns.values())).shape[-1]
    labels = {name: tuple(each.label for each in of) for name, of in league.entrants.items()}
    payoffs = payoffs_of(league.species, labels, episodes_of(league, returns, metrics), episodes)
    return give_verdict(league, payoffs, win, np.random.default_rng(seed)), Rules(episodes, seed, False)


def exact(means, episodes=EPISODES):
    """Every episode gives the mean."""
    return np.repeat(np.asarray(means, dtype=float)[..., None], episodes, axis=-1)


def noisy(means, noise=1.0, seed=0, episodes=EPISODES):
    """Episodes around the means."""
    means = np.asarray(means, dtype=float)
    return means[..., None] + noise * np.random.default_rng(seed).normal(size=(*means.shape, episodes))
