"""One TensorBoard run: a folder with event files, written so that no fault of the disk ever reaches the training.

`tensorboard`'s own `EventFileWriter` writes in a thread, which on a full disk prints a traceback and stays dead, and
whose error comes up at some later call. Here the records (in `tensorboard`'s own framing) are collected and written by
the caller, who learns of nothing: the first fault is logged and the writer goes quiet.
"""

from __future__ import annotations

import io
import logging
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from tensorboard.compat.proto import event_pb2, summary_pb2
from tensorboard.summary.writer.record_writer import RecordWriter

FLUSH_INTERVAL_S = 2.0
FLUSH_BYTES = 1 << 20
_FILE_STAMP = re.compile(r"events\.out\.tfevents\.(\d+)\.")
logger = logging.getLogger(__name__)


class EventWriter:
    """Appends events to a new file in the folder; TensorBoard reads a folder's files in the order of their names.

    Args:
        folder: Of the TensorBoard run; made if need be.
        clock: Seconds since the epoch.
    """

    def __init__(self, folder: Path, clock: Callable[[], float]) -> None:
        self.folder = folder
        self._clock = clock
        self._pending = io.BytesIO()
        self._records = RecordWriter(self._pending)
        self._flushed_at = clock()
        self._file: io.FileIO | None = None
        try:
            folder.mkdir(parents=True, exist_ok=True)
            stamps = [int(match[1]) for path in folder.iterdir() if (match := _FILE_STAMP.match(path.name))]
            stamp = max([int(clock()), *(stamp + 1 for stamp in stamps)])
            self.path = folder / f"events.out.tfevents.{stamp:010d}.marl_pbt"
            self._file = io.FileIO(self.path, "xb")
        except OSError as fault:
            self._go_quiet(fault)
        self._write(event_pb2.Event(file_version="brain.Event:2"))
        self.flush()

    @property
    def is_quiet(self) -> bool:
        """True once the disk has failed, or after `close`."""
        return self._file is None

    def start_after(self, step: int) -> None:
        """Tell TensorBoard that this run goes on from here: points beyond the step are of a past that did not last.

        Args:
            step: The last that stands; −1 takes back everything.
        """
        log = event_pb2.SessionLog(status=event_pb2.SessionLog.START)
        self._write(event_pb2.Event(step=step + 1, session_log=log))

    def scalars(self, values: Mapping[str, float], step: int) -> None:
        """Write a point each. NaN and infinity go in as they are: TensorBoard shows a triangle and a gap."""
        points = [summary_pb2.Summary.Value(tag=tag, simple_value=value) for tag, value in values.items()]
        if points:
            self.summary(summary_pb2.Summary(value=points), step)

    def summary(self, summary: Any, step: int) -> None:
        """Write a `Summary` message."""
        self._write(event_pb2.Event(step=step, summary=summary))
        if self._pending.tell() > FLUSH_BYTES or self._clock() - self._flushed_at >= FLUSH_INTERVAL_S:
            self.flush()

    def flush(self) -> None:
        """Hand everything to the operating system."""
        self._flushed_at = self._clock()
        data = memoryview(self._pending.getvalue())
        self._pending.seek(0)
        self._pending.truncate()
        try:
            while data and self._file is not None:
                data = data[self._file.write(data) :]
        except OSError as fault:
            self._go_quiet(fault)

    def close(self) -> None:
        """Write the rest; what is written afterwards is lost."""
        self.flush()
        if self._file is not None:
            self._file.close()
            self._file = None

    def _write(self, event: Any) -> None:
        if self._file is not None:
            event.wall_time = self._clock()
            self._records.write(event.SerializeToString())

    def _go_quiet(self, fault: OSError) -> None:
        # The same words for every run of a disk, so that the console says them once.
        logger.warning("TensorBoard's files cannot be written (%s): its curves end here", fault.strerror)
        if self._file is not None:
            self._file.close()
        self._file = None
