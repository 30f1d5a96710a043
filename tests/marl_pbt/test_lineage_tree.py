"""A species' lineage as a tree: every event once, every line as `ancestry` tells it."""

import random

import made_up_run
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from test_ancestry import event, simulated

from marl_pbt.ancestry import ancestry, scheduled_values, standing
from marl_pbt.explore import Change
from marl_pbt.lineage_tree import LineageTree
from marl_pbt.lineage_tree_text import founders_text, rows, tree_lines
from marl_pbt.lines_of_descent import Descent
from marl_pbt.standings import Source

in_short = settings(max_examples=40, deadline=None, derandomize=True)


def set_back(events, seed):
    """With restarts and resumes anywhere, as the store would keep it."""
    rng = random.Random(seed)
    told = []
    for each in events:
        told.append(each)
        if each.kind == "ready" and rng.random() < 0.15:
            kind, at = rng.choice(["restart", "resume"]), rng.randint(max(each.generation - 2, 0), each.generation)
            told.append(event(kind, each.member, at, time=float(len(told)), founder=each.founder))
    return standing(told)


@in_short
@given(seed=st.integers(0, 10**6), order=st.randoms(use_true_random=False))
def test_a_tree_holds_every_event_once_and_with_all_shows_every_segment_once(seed, order):
    events = set_back(simulated(seed)[0], seed)
    order.shuffle(events)
    tree = LineageTree.of(events, "fox")
    held = [each.event_id for segment in tree.segments.values() for each in segment.events]
    assert sorted(held) == sorted(each.event_id for each in events)
    shown = [place for _, group in rows(tree, shows_all=True) for place in group]
    assert sorted(shown) == sorted(tree.segments)
    survivors = [place for _, group in rows(tree, shows_all=False) for place in group]
    assert sorted(survivors) == sorted(tree.surviving)


@in_short
@given(seed=st.integers(0, 10**6))
def test_every_line_of_a_tree_is_the_ancestry(seed):
    """Section 5: the ancestry of any policy, back to its founder."""
    events = simulated(seed)[0]
    tree = LineageTree.of(events, "fox")
    for ready in (each for each in events if each.kind == "ready"):
        segments = ancestry(events, "fox", ready.member, ready.generation)
        line = tree.line(tree.place_of(ready.member, ready.generation))
        assert [segment.place for segment in segments] == line
        for segment, place in zip(segments, line, strict=True):
            assert segment.events == tree.segments[place].events[: len(segment.events)]


@in_short
@given(seed=st.integers(0, 10**6))
def test_founders_are_counted_as_the_roots_that_still_live(seed):
    events = simulated(seed)[0]
    counts = [number for _, number in Descent.of(events, "fox").founders()]
    tree = LineageTree.of(events, "fox")
    assert counts[0] == 5
    assert counts[-1] == len({tree.line(place)[0] for place in tree.living})


# Member 1 copied member 0's generation 5; member 0 was set back to 2, and copied what had come of it.
RING = [
    *(event("start", member, 0, founder=member) for member in (0, 1)),
    *(event("ready", 1, at, founder=1) for at in range(1, 7)),
    event("exploit", 1, 6, parent=Source(0, 5)),
    event("ready", 1, 7),
    *(event("ready", 0, at) for at in (1, 2)),
    event("resume", 0, 2),
    event("ready", 0, 3),
    event("exploit", 0, 3, parent=Source(1, 7)),
    *(event("ready", 0, at) for at in range(4, 10)),
]


@pytest.mark.timeout(10)
def test_who_was_set_back_and_copied_its_own_descendant_has_an_ancestry_that_ends():
    assert [segment.place for segment in ancestry(RING, "fox", 0, 9)] == [(0, 3)]
    assert [segment.place for segment in ancestry(RING, "fox", 1, 7)] == [(0, 3), (1, 6)]
    tree = LineageTree.of(RING, "fox")
    assert tree.line((0, 3)) == [(0, 3)]
    assert tree.line((1, 6)) == [(0, 3), (1, 6)]
    assert len([group for _, group in rows(tree, shows_all=True)]) == 4


def test_a_copy_of_somebody_of_whom_nothing_is_told_is_a_root():
    events = [event("exploit", 0, 3, parent=Source(9, 2)), event("ready", 0, 4)]
    tree = LineageTree.of(events, "fox")
    assert tree.parents == {(0, 3): None}
    assert "member_00 ← 09@2" in "\n".join(tree_lines(Descent.of(events, "fox"), None, 100, False))
    with pytest.raises(KeyError):
        tree.place_of(9, 2)


def test_every_value_of_a_schedule_says_what_made_it():
    events = [
        event("start", 1, 0, hyperparameters={"rate": 1.0}),
        event("ready", 1, 1, hyperparameters={"rate": 1.0}),
        event("exploit", 0, 9, hyperparameters={"rate": 1.0}, parent=Source(1, 1)),
        event("explore", 0, 9, hyperparameters={"rate": 0.8}, changes={"rate": Change(1.0, 0.8, "×0.8")}),
        event("ready", 0, 10, hyperparameters={"rate": 0.8}),
        event("explore", 0, 11, hyperparameters={"rate": 0.3}, changes={"rate": Change(0.8, 0.3, "resample")}),
        event("ready", 0, 12, hyperparameters={"rate": 0.3}),
    ]
    values = scheduled_values(ancestry(events, "fox", 0, 12), "rate")
    assert [(each.agent_steps, each.value, each.operation) for each in values] == [
        (0, 1.0, "start"),
        (100, 0.8, "×0.8"),
        (300, 0.3, "resample"),
    ]
    assert [(each.member, each.generation) for each in values] == [(1, 0), (0, 9), (0, 11)]


def test_founders_over_time_are_one_short_line():
    assert founders_text([(0, 8)]) == "8"
    assert founders_text([(0, 8), (5_000, 7), (5_000, 5), (1_920_000, 3)]) == "8 → 5 → 3 (3 since 1.92M agent steps)"
    many = founders_text([(at, 64 - at) for at in range(63)])
    assert many.startswith("64 → ") and " → 2 (" in many and many.count("→") == 7


@pytest.mark.parametrize(("population", "generations", "most_lines"), [(8, 10, 24), (64, 30, 110)])
def test_a_tree_is_readable_in_100_columns_and_not_endless(population, generations, most_lines):
    descent = Descent.of(made_up_run.lived(population, generations).events, "prey")
    lines = list(tree_lines(descent, descent.best(maximize=True), 100, shows_all=False))
    assert len(lines) <= most_lines
    assert max(map(len, lines)) <= 100
    table = [line for line in lines if line[1:2] in ("●", "✗")]
    assert sum(line[1] == "●" for line in table) == population
    assert any(line.startswith("★●") for line in table)


def test_with_all_the_lines_that_died_out_are_there_too():
    descent = Descent.of(made_up_run.lived(8, 10).events, "prey")
    tree = LineageTree.of(descent.events.values(), "prey")
    lines = list(tree_lines(descent, None, 100, shows_all=True))
    assert sum(line[1:2] in ("●", "✗") for line in lines) == len(tree.segments) == 8 + len(descent.copies())


def test_more_hyperparameters_than_there_is_room_for_are_named():
    values = {f"a_long_name_of_a_hyperparameter_{nth}": 0.5 for nth in range(6)}
    events = [event("start", 0, 0, hyperparameters=values), event("ready", 0, 1, hyperparameters=values)]
    lines = list(tree_lines(Descent.of(events, "fox"), None, 100, False))
    assert max(map(len, lines[:6])) <= 100
    assert "too wide for here: " in lines[-1] and lines[-1].endswith("hyperparameter_5 (--csv and --json have them)")
