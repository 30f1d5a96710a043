"""Events, ancestry, schedules, founders."""

import json
import math
from dataclasses import dataclass, replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from marl_pbt.ancestry import LineageEvent, ancestry, distinct_founders, schedule
from marl_pbt.explore import Change
from marl_pbt.protocols import Clocks
from marl_pbt.standings import Score, Source

in_short = settings(max_examples=60, deadline=None, derandomize=True)


def event(kind, member, generation, **fields):
    told = {"policy": "fox", "clocks": Clocks(agent_steps=100 * generation), "time": 1e9} | fields
    return LineageEvent(kind, member, generation=generation, **told)


FULL = event(
    "exploit",
    3,
    7,
    founder=2,
    score=Score(1.5, 0.25, 20),
    parent=Source(5, 6),
    hyperparameters={"learning_rate": 1e-3, "n_epochs": 4, "net": "größer\n", "flag": True},
    changes={"learning_rate": Change(1e-3, 8e-4, "×0.8")},
    checksum="0badcafe",
    why={"rank": 7, "gap": 3.25},
)


# ------------------------------------------------------------------------------------ one event, one line


def test_an_event_comes_back_from_its_line_as_it_was():
    line = FULL.to_line()
    assert "\n" not in line
    assert LineageEvent.from_line(line) == FULL
    assert type(LineageEvent.from_line(line).hyperparameters["n_epochs"]) is int


def test_a_line_is_strict_json_though_the_score_is_not_finite():
    line = replace(FULL, score=Score(math.nan, math.inf, 3)).to_line()
    json.loads(line, parse_constant=lambda name: pytest.fail(f"{name} is not JSON"))
    back = LineageEvent.from_line(line).score
    assert (back.is_finite, back.episodes) == (False, 3)


@pytest.mark.parametrize(
    "line",
    ["", "{", "[]", "7", "null", '"text"', "{}", '{"schema": 1}', '{"schema": 1, "id": "x", "clocks": 3}'],
)
def test_what_is_no_event_is_a_value_error(line):
    with pytest.raises(ValueError):
        LineageEvent.from_line(line)


def test_every_missing_or_unknown_field_is_a_value_error():
    whole = json.loads(FULL.to_line())
    required = {
        "schema",
        "id",
        "kind",
        "member",
        "policy",
        "generation",
        "clocks",
        "time",
        "score",
        "parent",
        "changes",
    }
    for name in required:
        with pytest.raises(ValueError):
            LineageEvent.from_line(json.dumps({key: value for key, value in whole.items() if key != name}))
    with pytest.raises(ValueError, match="no_such"):
        LineageEvent.from_line(json.dumps({**whole, "no_such": 1}))


def test_a_line_of_another_schema_is_refused_by_name():
    with pytest.raises(ValueError, match="schema"):
        LineageEvent.from_line(FULL.to_line().replace('"schema": 1', '"schema": 2'))


def test_the_same_event_has_the_same_id_whenever_it_is_told():
    """D19: nothing fires twice."""
    assert replace(FULL, time=5.0, score=None).event_id == FULL.event_id
    different = [
        replace(FULL, **{name: value})
        for name, value in (("member", 4), ("policy", "hare"), ("generation", 8), ("kind", "ready"))
    ]
    assert len({each.event_id for each in (FULL, *different)}) == 5


def test_two_restarts_at_the_same_ready_point_are_two_events():
    one, other = event("restart", 1, 3, time=10.0), event("restart", 1, 3, time=11.5)
    assert one.event_id != other.event_id


# ------------------------------------------------------------------------------------ descent


@dataclass
class _Line:
    """A policy of the model: where it lives, and all that its ancestors went through."""

    member: int
    generation: int = 0
    steps: int = 0
    lived: tuple = ()
    values: tuple = ()
    founder: int = 0


def simulated(seed, members=5, ready_points=60):
    """Members of unequal speed that copy at random; the truth of every line is kept beside the events told of it."""
    rng = np.random.default_rng(seed)
    lines = [_Line(member, values=((0, 1.0 + member),), founder=member) for member in range(members)]
    clocks, generations = [0] * members, [0] * members
    published = {}
    events = [event("start", m, 0, hyperparameters={"rate": 1.0 + m}, founder=m) for m in range(members)]
    weights = rng.uniform(0.2, 1.0, members)
    for _ in range(ready_points):
        me = int(rng.choice(members, p=weights / weights.sum()))
        steps = int(rng.integers(50, 150))
        clocks[me] += steps
        generations[me] += 1
        line = lines[me]
        told = {"clocks": Clocks(clocks[me]), "hyperparameters": {"rate": line.values[-1][1]}, "founder": line.founder}
        line = replace(line, steps=line.steps + steps, lived=(*line.lived, (me, generations[me])))
        events.append(event("ready", me, generations[me], **told))
        donors = [other for other in published if other != me]
        if donors and rng.random() < 0.4:
            donor, generation, copy = published[donors[int(rng.integers(len(donors)))]]
            new = round(copy.values[-1][1] * float(rng.choice([0.8, 1.25])), 12)
            told = {"clocks": Clocks(clocks[me]), "founder": copy.founder}
            old_values, values = {"rate": copy.values[-1][1]}, {"rate": new}
            events.append(
                event(
                    "exploit", me, generations[me], parent=Source(donor, generation), hyperparameters=old_values, **told
                )
            )
            events.append(event("explore", me, generations[me], hyperparameters=values, **told))
            line = replace(copy, member=me, values=(*copy.values, (copy.steps, new)))
        else:
            published[me] = (me, generations[me], line)
        lines[me] = replace(line, member=me, generation=generations[me])
    return events, published


@in_short
@given(seed=st.integers(0, 10**6), order=st.randoms(use_true_random=False))
def test_the_ancestry_of_every_published_policy_is_what_it_lived_through(seed, order):
    """R20's ground, D09: under uneven speeds and chained exploits, from events in any order."""
    events, published = simulated(seed)
    order.shuffle(events)
    for member, generation, truth in published.values():
        segments = ancestry(events, "fox", member, generation)
        told = tuple(
            (each.member, each.generation) for part in segments for each in part.events if each.kind == "ready"
        )
        assert told == truth.lived
        assert segments[0].member == truth.founder
        assert segments[-1].member == member
        assert schedule(segments, "rate") == list(truth.values)


def test_a_member_that_never_copied_is_its_own_founder():
    """Section 5: the schedule of a member that never exploited can be replayed too."""
    events = [
        event("start", 4, 0, hyperparameters={"rate": 2.0}),
        *(event("ready", 4, at, hyperparameters={"rate": 2.0}) for at in (1, 2, 3)),
    ]
    (segment,) = ancestry(events, "fox", 4, 3)
    assert (segment.member, segment.first, segment.last, len(segment.events)) == (4, 0, 3, 4)
    assert schedule([segment], "rate") == [(0, 2.0)]


def test_an_exploit_at_the_very_ready_point_is_not_yet_in_its_ancestry():
    events = [
        event("start", 0, 0),
        event("ready", 0, 1),
        event("exploit", 0, 1, parent=Source(1, 1)),
        event("explore", 0, 1),
        event("ready", 0, 2),
        event("start", 1, 0),
        event("ready", 1, 1),
    ]
    assert [part.member for part in ancestry(events, "fox", 0, 1)] == [0]
    assert [part.member for part in ancestry(events, "fox", 0, 2)] == [1, 0]


def test_species_have_ancestries_of_their_own():
    """Section 6."""
    events = [
        event(kind, 0, at, policy=policy)
        for policy in ("fox", "hare")
        for kind, at in (("start", 0), ("ready", 1), ("ready", 2))
    ]
    events += [event("start", 1, 0, policy="hare"), event("ready", 1, 1, policy="hare")]
    events.append(event("exploit", 0, 1, policy="hare", parent=Source(1, 1)))
    assert [part.member for part in ancestry(events, "fox", 0, 2)] == [0]
    assert [part.member for part in ancestry(events, "hare", 0, 2)] == [1, 0]


def test_restarts_and_resumes_leave_an_ancestry_as_it_is():
    events = [event("start", 0, 0), event("ready", 0, 1), event("ready", 0, 2)]
    more = [event("restart", 0, 1), event("resume", 0, 1, policy="")]
    assert ancestry(events + more, "fox", 0, 2) == ancestry(events, "fox", 0, 2)


def test_a_schedule_counts_the_steps_of_the_line_and_not_of_the_slot():
    events = [
        event("start", 1, 0, clocks=Clocks(0), hyperparameters={"rate": 1.0}),
        event("ready", 1, 1, clocks=Clocks(100), hyperparameters={"rate": 1.0}),
        event("exploit", 0, 9, clocks=Clocks(950), hyperparameters={"rate": 1.0}, parent=Source(1, 1)),
        event("explore", 0, 9, clocks=Clocks(950), hyperparameters={"rate": 0.8}),
        event("ready", 0, 10, clocks=Clocks(1060), hyperparameters={"rate": 0.8}),
    ]
    assert schedule(ancestry(events, "fox", 0, 10), "rate") == [(0, 1.0), (100, 0.8)]


def test_founders_are_counted_once():
    assert distinct_founders([3, 3, 1, 3]) == 2
    assert distinct_founders([]) == 0
