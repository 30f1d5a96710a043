"""One TensorBoard run: a folder with event files, written so that no fault of the disk ever reaches the training.

`tensorboard`'s own `EventFileWriter` writes in a thread, which on a full disk prints a traceback and stays dead, and
whose error comes up at some later call. Here the records (in `tensorboard`'s own framing) are collected and written by
the caller, who learns of nothing: a fault is logged, and the writer is quiet until the disk has room again.
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

from marl_pbt.durable import make_folder, private
from marl_pbt.fault_points import reach

FLUSH_INTERVAL_S = 2.0
FLUSH_BYTES = 1 << 20
RETRY_INTERVAL_S = 60.0
"""After a fault: a full disk stays full for minutes, and every try costs a log line."""
KEPT_BYTES = 1 << 20
"""What a quiet writer keeps for later, from the first lost point on; with hundreds of members this is memory."""
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
        self._file: io.FileIO | None = None
        self._is_closed = False
        self._quiet_since: float | None = None
        self._flushed_at = clock()
        self._open()
        self._write(event_pb2.Event(file_version="brain.Event:2"))
        self.flush()

    @property
    def is_quiet(self) -> bool:
        """True while the disk would not have it, and after `close`."""
        return self._is_closed or self._quiet_since is not None

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
        """Hand everything to the operating system; when that failed, once a minute."""
        self._flushed_at = self._clock()
        # Either way: a clock that was set back must not keep it quiet for hours.
        if self._quiet_since is not None and abs(self._clock() - self._quiet_since) < RETRY_INTERVAL_S:
            return
        if self._file is None:
            self._open()
        if self._file is not None:
            self._hand_over(self._file)

    def close(self) -> None:
        """Write the rest; what is written afterwards is lost."""
        if self._quiet_since is not None:
            self._quiet_since = float("-inf")  # the last chance is worth a try
        self.flush()
        if self._file is not None:
            self._file.close()
            self._file = None
        self._is_closed = True

    def _open(self) -> None:
        if self._is_closed:
            return
        try:
            make_folder(self.folder, parents=True)
            stamps = [int(match[1]) for path in self.folder.iterdir() if (match := _FILE_STAMP.match(path.name))]
            stamp = max([int(self._clock()), *(stamp + 1 for stamp in stamps)])
            self._file = io.FileIO(self.folder / f"events.out.tfevents.{stamp:010d}.marl_pbt", "xb", opener=private)
        except OSError as fault:
            self._go_quiet(fault)

    def _hand_over(self, file: io.FileIO) -> None:
        """Write what is pending, whole or not at all: TensorBoard reads no further than to half a record."""
        begin = file.tell()
        data = memoryview(self._pending.getvalue())
        try:
            reach("tensorboard")
            while data:
                data = data[file.write(data) :]
        except OSError as fault:
            self._go_quiet(fault)
            self._take_back(file, begin)
            return
        finally:
            data.release()
        self._pending.seek(0)
        self._pending.truncate()
        if self._quiet_since is not None:
            self._quiet_since = None
            logger.warning("TensorBoard's files can be written again")

    def _take_back(self, file: io.FileIO, begin: int) -> None:
        try:
            file.truncate(begin)
            file.seek(begin)
        except OSError:  # then TensorBoard goes on with the next file
            file.close()
            self._file = None

    def _write(self, event: Any) -> None:
        is_full = self._quiet_since is not None and self._pending.tell() > KEPT_BYTES
        if not self._is_closed and not is_full:
            event.wall_time = self._clock()
            self._records.write(event.SerializeToString())

    def _go_quiet(self, fault: OSError) -> None:
        # The same words for every run of a disk, so that the console says them once.
        logger.warning("TensorBoard's files cannot be written (%s): its curves pause", fault.strerror)
        self._quiet_since = self._clock()
