"""Why a stranger's file is not taken in."""

from __future__ import annotations


class ForeignFileError(Exception):
    """The file is not one that can be taken in; the message says why, in a line."""
