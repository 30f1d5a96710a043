"""A population on the noisy quadratic, simulated in one process: where greedy choices of the learning rate lose.

In expectation, gradient descent with noise on ½ Σ hᵢxᵢ² multiplies the mean square of xᵢ by (1 − lr·hᵢ)² per step and
adds lr²hᵢ (the model of Zhang et al. 2019, arXiv 1907.04164; its short-horizon bias: Wu et al. 2018, arXiv 1803.02021).
A lower learning rate pays at once, for the noise of the steep direction goes; but in the flat one progress ends. Best
is a high one almost to the end. What members decide is the real thing, from rows as they lie on the board; what they
copy is done here as marl_pbt.following does it, and they live on their own clocks: some are ahead of others.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cache

import numpy as np

from marl_pbt.decision import Decision, Question, Rules, SubPopulations, decide
from marl_pbt.explore import Explorer, Perturb
from marl_pbt.hyperparameters import DiscreteFactors, Hyperparameter, Real
from marl_pbt.policy_state import PolicyState, ScoreRules
from marl_pbt.selection import Truncation, welch_p
from marl_pbt.standings import BoardRow, Score, Source
from marl_pbt.streams import stream

CURVATURES = np.array([1.0, 0.003])
STEPS = 10
EPISODES = 8
SEEDS = 8
SCORES = ScoreRules(window=EPISODES, min_episodes=EPISODES)
DECLARED = (Hyperparameter("fox", "learning_rate", Real(1e-3, 1.0, log=True)),)
EXPLORER = Explorer(Perturb(DiscreteFactors((0.8, 1.25)), 0.0))


@dataclass
class Worker:
    """A member.

    Attributes:
        policy: What it knows of itself.
        squares: Mean square per direction, the "weights".
        learning_rate: The hyperparameter.
        row: As it lies on the board.
        published: The squares as they lie on the board.
    """

    policy: PolicyState
    squares: np.ndarray
    learning_rate: float
    row: BoardRow
    published: np.ndarray
    generation: int = 0


def loss(squares: np.ndarray) -> float:
    return float(0.5 * np.sum(CURVATURES * squares))


def trained(squares: np.ndarray, learning_rate: float, steps: int = STEPS) -> np.ndarray:
    shrink = (1 - learning_rate * CURVATURES) ** 2
    rest = learning_rate**2 * CURVATURES / (1 - shrink)
    return rest + shrink**steps * (squares - rest)


class Simulation:
    """Members on their own clocks: in each round all in a random order, and some a second time.

    Args:
        rules: What decides.
        seed: Of everything.
        noise: Of a score.
    """

    def __init__(self, rules: Rules, seed: int, noise: float = 0.01) -> None:
        self.rules, self.seed, self.noise = rules, seed, noise
        self.decisions: list[tuple[int, int, Decision]] = []
        self.rates: dict[tuple[int, int], float] = {}  # by member and generation
        self.workers = [self._fresh(index) for index in range(rules.population)]

    def run(self, generations: int) -> Simulation:
        rng = stream(self.seed, "order")
        while min(worker.generation for worker in self.workers) < generations:
            for index in rng.permutation(len(self.workers)).tolist():
                for _ in range(1 + int(rng.random() < 0.1)):
                    if self.workers[index].generation < generations:
                        self.live(index, generations)
        return self

    def best_loss(self, members: Sequence[int]) -> float:
        """The lowest logarithm of these members' losses."""
        return float(np.log(min(loss(self.workers[member].squares) for member in members)))

    def live(self, index: int, generations: int) -> None:
        """One interval, and the ready point at its end."""
        worker = self.workers[index]
        worker.squares = trained(worker.squares, worker.learning_rate)
        worker.generation += 1
        rng = stream(self.seed, "score", index, worker.generation)
        worker.policy.window.add(rng.normal(-np.log(loss(worker.squares)), self.noise, EPISODES).tolist())
        worker.policy.note_score(worker.generation)
        if worker.generation < generations:
            self._decide(index)
        worker.row, worker.published = self._row(index), worker.squares
        self.rates[index, worker.generation] = worker.learning_rate

    def _decide(self, index: int) -> None:
        worker = self.workers[index]
        others = [other.row for other in self.workers if other is not worker]
        question = Question(self._row(index), others, worker.generation, worker.policy.compared_at)
        decision = decide(question, self.rules, stream(self.seed, "decide", index, worker.generation))
        worker.policy.compared_at = max(worker.policy.compared_at, decision.compared_at)
        self.decisions.append((index, worker.generation, decision))
        if decision.donor is not None:
            self._copy(index, decision)

    def _copy(self, index: int, decision: Decision) -> None:
        worker, donor = self.workers[index], self.workers[decision.donor.member]
        worker.squares = donor.published
        worker.policy.replace_by(Source(donor.row.member, donor.row.generation), donor.row.founder, worker.generation)
        if decision.teacher is None:
            worker.learning_rate = donor.row.hyperparameters["learning_rate"]
        elif decision.teacher.member != index:
            worker.learning_rate = decision.teacher.hyperparameters["learning_rate"]
            teacher = Source(decision.teacher.member, decision.teacher.generation)
            worker.policy.change_hyperparameters(worker.generation, teacher)
        if decision.explores:
            rng = stream(self.seed, "explore", index, worker.generation)
            change = EXPLORER.explore({"learning_rate": worker.learning_rate}, DECLARED, rng)["learning_rate"]
            worker.learning_rate = change.new

    def _row(self, index: int) -> BoardRow:
        worker, policy = self.workers[index], self.workers[index].policy
        row = BoardRow(
            index,
            worker.generation,
            history=tuple(policy.history),
            last_exploit=policy.last_exploit,
            hyperparameters={"learning_rate": worker.learning_rate},
            parent=policy.parent,
            founder=policy.founder,
            teacher=policy.teacher,
        )
        return replace(row, snapshot_generation=worker.generation) if row.newest is not None else row

    def _fresh(self, index: int) -> Worker:
        policy, squares = PolicyState.founder_of(index, SCORES), 1 / CURVATURES
        first = DECLARED[0].distribution.sample(stream(self.seed, "initial", index))
        return Worker(policy, squares, first, BoardRow(index, 0), squares)


@cache
def simulated(sub_populations: SubPopulations | None) -> tuple[Simulation, ...]:
    """Sixteen members for sixty ready points, by plain truncation, in parts or in one; several seeds."""
    rules = Rules(Truncation(), 16, sub_populations=sub_populations)
    return tuple(Simulation(rules, seed).run(60) for seed in range(SEEDS))


def final_losses(sub_populations: SubPopulations | None, members: Sequence[int] = range(16)) -> list[float]:
    """Per seed the lowest logarithm of a loss at the end."""
    return [simulation.best_loss(members) for simulation in simulated(sub_populations)]


def copies_by_reason(sub_populations: SubPopulations | None) -> Counter[str]:
    """How often members copied, over all seeds."""
    decisions = [decision for simulation in simulated(sub_populations) for _, _, decision in simulation.decisions]
    return Counter(decision.reason for decision in decisions if decision.donor is not None)


def is_clearly_lower(ones: Sequence[float], others: Sequence[float]) -> bool:
    """Whether Welch's t-test puts it below one in two hundred that the difference is chance."""
    one, other = (Score(np.mean(each), np.std(each, ddof=1) / len(each) ** 0.5, len(each)) for each in (ones, others))
    return bool(one.mean < other.mean and welch_p(one, other) < 0.005)
