"""Members of unequal speed are compared where they were equally far."""

from dataclasses import dataclass, field, replace

import numpy as np

from marl_pbt.decision import Question, decide
from marl_pbt.standings import BoardRow, Score, Source
from tests.marl_pbt.board_rows import ask, row, rules


def test_a_member_far_behind_is_not_punished_for_it():
    """Section 3: at its own first ready point everybody was worse."""
    rows = [row(0, 10.0), *(row(member, float(member), 100.0, 200.0) for member in range(1, 8))]
    assert ask(rows, 0).reason == "not_selected"
    assert ask(rows, 0, rules(8, compare="latest")).reason == "exploit"


def test_who_arrives_first_is_compared_at_the_newest_ready_point_with_a_quorum():
    rows = [row(0, 0.0, 0.5, 0.9), *(row(member, 1.0 + member) for member in range(1, 8))]
    decision = ask(rows, 0)
    assert (decision.reason, decision.compared_at) == ("exploit", 1)


def test_who_has_caught_up_since_keeps_its_policy():
    """What would be copied is worth less than what would be lost."""
    rows = [row(0, 0.0, 5.0, 9.0), *(row(member, 1.0 + member) for member in range(1, 8))]
    assert ask(rows, 0).reason == "caught_up"


def test_a_copy_made_since_is_not_what_earned_the_score_of_then():
    """Section 3: scores count since this policy's last exploit."""
    donors = [row(member, 8.0 + member, 20.0, 30.0, last_exploit=2) for member in (6, 7)]
    rows = [row(0, 0.0), *(row(member, 1.0 + member) for member in range(1, 6)), *donors]
    assert ask(rows, 0).reason == "no_donor"
    assert ask([rows[0], *rows[1:6], row(6, 7.0, 8.0), donors[1]], 0).donor.member == 6


def test_what_was_earned_in_burn_in_is_not_compared_later_either():
    rows = [row(0, 0.0, 0.5), *(row(member, 1.0 + member) for member in range(1, 8))]
    in_burn_in = ask([row(0, 0.0), *rows[1:]], 0, rules(8, burn_in=10.0), progress=9.0)
    assert (in_burn_in.reason, in_burn_in.compared_at) == ("burn_in", 1)
    assert ask(rows, 0, compared_at=in_burn_in.compared_at).reason == "no_quorum"


def test_a_ready_point_is_judged_only_once():
    rows = [row(0, 0.0, 5.0), *(row(member, 1.0 + member) for member in range(1, 8))]
    assert ask(rows, 0, compared_at=1).reason == "no_quorum"


def test_ready_points_before_the_last_exploit_are_another_policys():
    """R17, D10."""
    rows = [row(0, 0.0, 5.0, last_exploit=1), *(row(member, 1.0 + member) for member in range(1, 8))]
    assert ask(rows, 0).reason == "no_quorum"


def test_scores_of_the_same_ready_point_count_although_their_owners_have_copied_since():
    others = [row(member, 1.0 + member, None, last_exploit=1) for member in range(1, 6)]
    rows = [row(0, 0.0), *others, row(6, 7.0, 8.0), row(7, 8.0, 9.0)]
    assert ask(rows, 0, rules(8)).reason == "exploit"


def test_members_that_failed_for_good_leave_the_quorum():
    """Else four failed of eight would end PBT without a word."""
    others = [row(member, 1.0 + member) for member in range(1, 4)]
    failed = [row(member, 5.0 + member) for member in range(4, 8)]
    rows = [row(0, 0.0), *others, *(replace(each, history=(), is_retired=True) for each in failed)]
    assert ask([*rows[:4], *(replace(each, history=()) for each in failed)], 0).reason == "no_quorum"
    assert ask(rows, 0).reason == "exploit"


@dataclass
class _Walker:
    """A member of pure noise: its score is drawn, its decisions are real."""

    member: int
    speed: float
    rng: np.random.Generator
    clock: float = 0.0
    compared_at: list = field(default_factory=list)
    copies: int = 0

    def __post_init__(self):
        self.row = BoardRow(self.member, 0)

    def pass_ready_point(self, others, by):
        generation = self.row.generation + 1
        self.clock += self.rng.exponential() / self.speed
        score = Score(float(self.rng.normal()), 0.1, 20)
        history = (*self.row.history, (generation, score))
        own = replace(self.row, generation=generation, history=history, snapshot_generation=generation)
        compared_at = self.compared_at[-1] if self.compared_at else 0
        decision = decide(Question(own, others, generation, compared_at), by, self.rng)
        if decision.compared_at:
            self.compared_at.append(decision.compared_at)
        if decision.donor is not None:
            parent = Source(decision.donor.member, decision.donor.snapshot_generation)
            own = replace(own, last_exploit=generation, parent=parent, snapshot_generation=-1)
            self.copies += 1
        self.row = own


def noise(compare, seed, generations=60):
    speeds = np.random.default_rng(seed).uniform(0.5, 2.0, 8)
    walkers = [_Walker(m, speed, np.random.default_rng([seed, m])) for m, speed in enumerate(speeds)]
    by = rules(8, compare=compare)
    while running := [walker for walker in walkers if walker.row.generation < generations]:
        walker = min(running, key=lambda each: each.clock)
        walker.pass_ready_point([other.row for other in walkers if other is not walker and other.row.generation], by)
    return walkers


def test_no_generation_is_judged_twice_whatever_the_speeds():
    """Section 3."""
    for walker in noise("equal_progress", seed=1):
        assert walker.compared_at == sorted(set(walker.compared_at))


def test_pure_noise_at_equal_progress_copies_no_more_often_than_truncation_says():
    """Section 3: two of eight are due per generation; comparing the newest scores made 40 % more and over."""
    copies = [sum(walker.copies for walker in noise("equal_progress", seed)) / 60 for seed in range(6)]
    assert 0.6 < np.mean(copies) < 2.2
