"""The run's lineage on disk."""

import logging
import os
from pathlib import Path

import pytest

from marl_pbt.ancestry import LineageEvent
from marl_pbt.lineage_store import LineageStore, read_lineage
from marl_pbt.protocols import Clocks


@pytest.fixture(autouse=True)
def no_waiting_for_the_disk(monkeypatch):
    monkeypatch.setattr(os, "fsync", lambda descriptor: None)


def event(generation, kind="ready", member=0, **fields):
    told = {"clocks": Clocks(generation), "time": 1e9} | fields
    return LineageEvent(kind, member, "fox", generation, **told)


def stored(path, *events):
    store = LineageStore(path)
    store.append(events)
    store.close()


def test_events_come_back_in_the_order_in_which_they_were_told(tmp_path):
    path = tmp_path / "lineage.jsonl"
    events = [event(3), event(1), event(2, member=5)]
    stored(path, *events)
    assert read_lineage(path) == events
    assert path.read_bytes().count(b"\n") == 3


def test_a_file_that_is_not_there_holds_no_events(tmp_path):
    assert read_lineage(tmp_path / "none.jsonl") == []
    stored(tmp_path / "empty.jsonl")
    assert read_lineage(tmp_path / "empty.jsonl") == []


def test_an_event_told_twice_is_stored_once_also_by_the_next_process(tmp_path):
    """D19: nothing fires twice."""
    path = tmp_path / "lineage.jsonl"
    store = LineageStore(path)
    assert store.append([event(1), event(1, time=2e9), event(2)]) == [event(1), event(2)]
    assert store.append([event(2)]) == []
    store.close()
    again = LineageStore(path)
    assert again.append([event(1), event(2), event(3)]) == [event(3)]
    again.close()
    assert read_lineage(path) == again.events == [event(1), event(2), event(3)]


def test_what_was_appended_is_in_the_file_at_once(tmp_path):
    store = LineageStore(tmp_path / "lineage.jsonl")
    store.append([event(1)])
    assert read_lineage(tmp_path / "lineage.jsonl") == [event(1)]
    store.close()


def test_a_torn_last_line_is_taken_away_and_told_again(tmp_path):
    """D18: the lineage ends on a whole line."""
    path = tmp_path / "lineage.jsonl"
    stored(path, event(1), event(2, why={"fault": "größer"}))
    whole = path.read_bytes()
    first = whole.index(b"\n") + 1
    for length in [*range(first, len(whole), 9), len(whole) - 1]:
        path.write_bytes(whole[:length])
        store = LineageStore(path)
        assert store.events == [event(1)]
        assert store.append([event(1), event(2, why={"fault": "größer"})]) == [event(2, why={"fault": "größer"})]
        store.close()
        assert path.read_bytes() == whole


def test_lines_that_are_no_events_are_passed_over_with_one_warning(tmp_path, caplog):
    path = tmp_path / "lineage.jsonl"
    stored(path, event(1), event(2))
    lines = path.read_bytes().splitlines()
    path.write_bytes(b"\n".join([lines[0], b"garbage", b"\xff\xfe", b"{}", lines[1], b""]))
    with caplog.at_level(logging.WARNING):
        assert read_lineage(path) == [event(1), event(2)]
    assert [record.getMessage() for record in caplog.records] == [f"{path}: 3 lines are not whole events; left out"]


@pytest.mark.parametrize(
    "text",
    [
        "two\nlines",
        "a\u2028b",
        "a\u2029b",
        "a\x85b",
        "a\x0bb\x0cc\x1cd\re",
        "half a surrogate \udcff",
        "\0",
        "größer ×0.8 😀",
    ],
)
def test_whatever_a_message_holds_an_event_is_one_line(tmp_path, text):
    """The message of an environment's exception stands in a restart's event."""
    path = tmp_path / "lineage.jsonl"
    events = [event(1, kind="restart", why={"fault": text}), event(2)]
    stored(path, *events)
    assert read_lineage(path) == events


def test_a_store_that_ends_within_an_event_of_many_bytes_per_character_is_readable(tmp_path, caplog):
    path = tmp_path / "lineage.jsonl"
    stored(path, event(1), event(2, why={"fault": "😀"}))
    whole = path.read_bytes()
    path.write_bytes(whole[: whole.index("😀".encode()) + 2])
    assert read_lineage(path) == [event(1)]


def test_a_member_that_goes_on_from_further_back_takes_back_what_it_had_told_since(tmp_path):
    """Its newest checkpoint was damaged: it lives generations again, perhaps otherwise than before."""
    path = tmp_path / "lineage.jsonl"
    first = [event(1), event(2), event(3), event(3, member=5)]
    again = [event(1, "resume", time=2e9), event(2, founder=4)]
    stored(path, *first)
    stored(path, *again)
    assert read_lineage(path) == [first[0], first[3], *again]
    assert path.read_bytes().count(b"\n") == 6


def test_what_a_full_disk_does_not_take_is_written_with_the_next_event(tmp_path, caplog):
    path = tmp_path / "lineage.jsonl"
    store = LineageStore(path)
    whole = store._file
    store._file = Path("/dev/full").open("wb", buffering=0)  # noqa: SIM115  # closed two lines below
    store.append([event(1)])
    store._file.close()
    store._file = whole
    assert "tried again" in caplog.text
    store.append([event(2)])
    store.close()
    assert read_lineage(path) == [event(1), event(2)]
