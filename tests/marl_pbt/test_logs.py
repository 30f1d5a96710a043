import gc
import logging
import multiprocessing
import sys
import threading
import time
import warnings
from pathlib import Path

import log_writers
import pytest

from marl_pbt.logs import REPEAT_AFTER_S, RunLog

SPAWN = multiprocessing.get_context("spawn")
BOTH_WAYS = [
    pytest.param(
        False,
        id="multiprocessing-logging",
        marks=pytest.mark.skipif(not sys.platform.startswith("linux"), reason="not where it cannot be used"),
    ),
    pytest.param(True, id="QueueListener"),
]


@pytest.fixture
def said():
    return []


@pytest.fixture(params=BOTH_WAYS)
def log(request, tmp_path, said):
    run_log = RunLog(tmp_path / "log.txt", said.append, use_listener=request.param)
    yield run_log
    run_log.close()


@pytest.fixture
def start():
    started = []

    def start(target, log, name, *args):
        worker_log = log.open_worker(name)
        process = SPAWN.Process(target=target, args=(worker_log.queue, name, *args), name=name)
        process.start()
        started.append(process)
        return process, worker_log

    yield start
    for process in started:
        process.kill()
        process.join()
        process.close()


def lines_of(tmp_path, worker):
    return [line for line in (tmp_path / "log.txt").read_text().splitlines() if f" {worker} " in line]


def test_all_records_of_a_worker_arrive_in_order(log, start, tmp_path):
    process, worker_log = start(log_writers.write_numbered_lines, log, "worker_0", 2000)
    process.join(30)
    worker_log.close()
    assert [line.rsplit(" ", 1)[1] for line in lines_of(tmp_path, "worker_0")] == [str(n) for n in range(2000)]


def test_records_keep_level_logger_process_member_and_traceback(log, start, tmp_path, said):
    process, worker_log = start(log_writers.write_every_kind, log, "worker_7")
    process.join(30)
    worker_log.close()
    careful, broke = lines_of(tmp_path, "worker_7")
    assert " WARNING worker_7 member_03 agents.ppo: careful" in careful
    assert " ERROR   worker_7 - agents.ppo: it broke" in broke
    assert "ValueError: too much" in (tmp_path / "log.txt").read_text()
    assert said == ["warning: careful", "error: it broke"]


def test_a_killed_logger_costs_the_others_nothing(log, start, tmp_path):
    """Reliability, section 1: killed in the middle of writing, and its log dropped at once."""
    receive, send = SPAWN.Pipe(duplex=False)
    victim, victim_log = start(log_writers.write_until_killed, log, "victim", send)
    others = [start(log_writers.write_numbered_lines, log, f"worker_{n}", 1000) for n in range(2)]
    assert receive.poll(30)
    victim.kill()
    victim.join()
    before = time.monotonic()
    victim_log.drop()
    assert time.monotonic() - before < 1.0
    for index, (process, worker_log) in enumerate(others):
        process.join(30)
        worker_log.close()
        assert len(lines_of(tmp_path, f"worker_{index}")) == 1000
    receive.close()
    send.close()


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="counts what /proc shows")
def test_closed_and_dropped_logs_leave_no_thread_and_no_file_open(log):
    left = [_left_after_a_worker_that_ended_and_one_that_was_killed(log) for _ in range(3)]
    assert left[1:] == left[:1] * 2  # the first of all processes brings multiprocessing's resource tracker


def _left_after_a_worker_that_ended_and_one_that_was_killed(log):
    receive, send = SPAWN.Pipe(duplex=False)
    logs = [log.open_worker(name) for name in ("ended", "victim")]
    readers = [thread for thread in threading.enumerate() if thread is not threading.main_thread()]
    ended = SPAWN.Process(target=log_writers.write_numbered_lines, args=(logs[0].queue, "ended", 3))
    victim = SPAWN.Process(target=log_writers.write_until_killed, args=(logs[1].queue, "victim", send))
    try:
        ended.start()
        victim.start()
        ended.join(30)
        assert receive.poll(30)
    finally:
        for process in (ended, victim):
            process.kill()
            process.join()
            process.close()
    logs[0].close()
    logs[1].drop()
    for reader in readers:
        reader.join(5)
    receive.close()
    send.close()
    del logs, readers, reader, ended, victim, process
    gc.collect()
    return set(threading.enumerate()), len(list(Path("/proc/self/fd").iterdir()))


def test_the_same_warning_is_said_once_a_minute_with_a_count(tmp_path, said):
    log = RunLog(tmp_path / "log.txt", said.append)
    try:
        for after_s in (0, 1, 2, REPEAT_AFTER_S + 1):
            record = logging.LogRecord("marl_pbt", logging.WARNING, "f", 1, "the disk is %s", ("full",), None)
            record.created = 1000.0 + after_s
            logging.getLogger("marl_pbt").handle(record)
    finally:
        log.close()
    assert said == ["warning: the disk is full", "warning: the disk is full (2 more times meanwhile)"]
    assert (tmp_path / "log.txt").read_text().count("the disk is full") == 4


def test_information_and_python_warnings_go_to_the_file_alone(tmp_path, said):
    log = RunLog(tmp_path / "log.txt", said.append)
    try:
        logging.getLogger("marl_pbt.supervision.supervisor").info("worker_0 is up")
        with warnings.catch_warnings():
            warnings.simplefilter("always")
            logging.captureWarnings(True)
            warnings.warn("old way", DeprecationWarning, stacklevel=1)
    finally:
        log.close()
    text = (tmp_path / "log.txt").read_text()
    assert "worker_0 is up" in text
    assert "old way" in text
    assert said == []


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a file that is always full")
def test_a_full_disk_is_said_once_and_harms_nothing(said):
    log = RunLog(Path("/dev/full"), said.append)
    try:
        logging.getLogger("marl_pbt").info("a")
        logging.getLogger("marl_pbt").info("b")
    finally:
        log.close()
    assert len(said) == 1
    assert "/dev/full cannot be written" in said[0]


def test_the_root_logger_is_given_back_as_it_was(tmp_path, said):
    root = logging.getLogger()
    before = (root.level, list(root.handlers))
    RunLog(tmp_path / "log.txt", said.append).close()
    assert (root.level, list(root.handlers)) == before
