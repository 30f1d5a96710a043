"""Files that tell of troubles: stacks of workers that hung or crashed, traces of failures."""

from __future__ import annotations

import logging
from pathlib import Path

from marl_pbt.durable import make_folder, write_durably

MOST_FILES = 100
"""A run over weeks whose environment crashes every minute shall not fill the disk with it."""
logger = logging.getLogger(__name__)


class TroubleFiles:
    """The folder of a run; files are numbered in the order of what they tell of.

    Args:
        folder: Made when there is something to write.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._count = sum(1 for _ in folder.glob("*.txt"))

    def write(self, name: str, text: str) -> Path | None:
        """Write a file.

        Args:
            name: What it is about, `worker_1_hang`.
            text: What it says.

        Returns:
            Its path; None where the disk would not have it, or where there are too many already.
        """
        if self._count >= MOST_FILES:
            return None
        path = self._folder / f"{self._count + 1:03d}_{name}.txt"
        try:
            make_folder(self._folder)
            write_durably(path, text.encode(errors="replace"))
        except OSError as fault:
            logger.info("%s: cannot be written (%s):\n%s", path, fault.strerror, text)
            return None
        self._count += 1
        return path
