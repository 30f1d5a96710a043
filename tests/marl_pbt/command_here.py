"""Runs the train command in this process, for tests of what a run leaves: only its workers have to be started.

How its own process starts, is interrupted and ends is for `command.train`.
"""

from __future__ import annotations

import contextlib
import io

from marl_pbt.train import main
from tests.marl_pbt.command import REPOSITORY


def trained(*arguments: str) -> tuple[int, str, str]:
    """`python -m marl_pbt.train …`, without starting Python.

    Returns:
        Exit code, standard output, standard error.
    """
    out, err = io.StringIO(), io.StringIO()
    with contextlib.chdir(REPOSITORY), contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        code = main(arguments)
    return code, out.getvalue(), err.getvalue()
