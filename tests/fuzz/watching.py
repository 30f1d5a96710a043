"""What happens while a file is read: code that runs, modules that are imported, files that are written."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator

FORBIDDEN = (
    "compile",
    "exec",
    "import",
    "marshal.load",
    "os.chmod",
    "os.exec",
    "os.fork",
    "os.kill",
    "os.link",
    "os.mkdir",
    "os.posix_spawn",
    "os.remove",
    "os.rename",
    "os.rmdir",
    "os.spawn",
    "os.symlink",
    "os.system",
    "os.truncate",
    "pickle.find_class",
    "shutil",
    "socket",
    "subprocess.Popen",
    "ctypes.dlopen",
)
_seen: list[str] = []
_state = {"is_installed": False, "is_watching": False}


def _hook(event: str, arguments: tuple[object, ...]) -> None:
    if not _state["is_watching"]:
        return
    if event == "open":
        mode, flags = arguments[1], arguments[2]
        is_written = (isinstance(mode, str) and any(letter in mode for letter in "wax+")) or (
            mode is None and isinstance(flags, int) and flags & 3 != 0
        )
        if is_written:
            _seen.append(f"open {arguments[:2]}")
    elif event.startswith(FORBIDDEN):
        _seen.append(f"{event} {arguments[:1]}"[:200])


@contextlib.contextmanager
def nothing_runs() -> Iterator[None]:
    """Fail where anything forbidden happens within."""
    if not _state["is_installed"]:  # a hook stays for good
        sys.addaudithook(_hook)
        _state["is_installed"] = True
    _seen.clear()
    _state["is_watching"] = True
    try:
        yield
    finally:
        _state["is_watching"] = False
    assert not _seen, _seen[:5]
