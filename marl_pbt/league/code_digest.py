"""What the code that plays is: a match that older code played is not the same match."""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

import marl_pbt

MOST_FILES = 3000
"""Of a larger package only the module itself counts: reading it all would take longer than a match."""


def digest_of_code(import_strings: Iterable[str]) -> str:
    """Hexadecimal, of marl_pbt's version and the sources beside the modules that are named.

    Args:
        import_strings: `package.module:name` of environment and learners, imported already.
    """
    digest = hashlib.sha256(marl_pbt.__version__.encode())
    for name in sorted({each.partition(":")[0] for each in import_strings}):
        digest.update(f"\0{name}\0".encode())
        for path in _sources(name):
            data = path.read_bytes()
            digest.update(f"{path.name}\0{len(data)}\0".encode())
            digest.update(data)
    return digest.hexdigest()


def _sources(module: str) -> Iterator[Path]:
    """The files of the package that the module is, or is in; the module's own where that is no package."""
    file = getattr(sys.modules.get(module), "__file__", None)
    if file is None:
        return
    own = Path(file)
    if not (own.parent / "__init__.py").is_file():
        yield own
        return
    beside = sorted(path for path in own.parent.rglob("*.py") if path.is_file())  # an editor's lock is a broken link
    yield from beside if len(beside) <= MOST_FILES else [own]
