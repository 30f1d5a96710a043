"""Files of a run are written, renamed and flushed in marl_pbt/durable.py and nowhere else; a test reads the sources."""

import ast
from pathlib import Path

import pytest

import marl_pbt

SOURCES = Path(marl_pbt.__file__).parent
WRITING = {"write_text", "write_bytes", "fsync", "rename", "touch", "symlink_to"}
ELSEWHERE = {
    "durable.py",  # the place
    "bootstrap.py",  # /proc, which is no disk
    "fault_points.py",  # marks of faults that have happened, in a folder of the tests'
}


def writes(source):
    """Calls that write or name a file by other means; modes of open tell what it is for."""
    for node in ast.walk(ast.parse(source)):
        if not isinstance(node, ast.Call):
            continue
        name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
        owner = getattr(getattr(node.func, "value", None), "id", "")
        if name in WRITING or (owner == "os" and name in ("replace", "mkdir", "makedirs")):
            yield name
        elif name in ("open", "FileIO") and not any(keyword.arg == "opener" for keyword in node.keywords):
            modes = [
                each.value for each in [*node.args, *(k.value for k in node.keywords)] if isinstance(each, ast.Constant)
            ]
            if any(isinstance(mode, str) and set(mode) <= set("rwaxbt+") and set(mode) & set("wax+") for mode in modes):
                yield name


@pytest.mark.parametrize("path", sorted(SOURCES.rglob("*.py")), ids=lambda path: str(path.relative_to(SOURCES)))
def test_nothing_is_written_but_through_durable(path):
    if "_bundled" in path.parts or path.name in ELSEWHERE:
        return
    found = [each for each in writes(path.read_text()) if not (path.name == "check_env.py" and each == "open")]
    assert found == []


def test_the_check_fires():
    assert list(writes("path.write_text('a'); open(p, 'w'); path.open('ab'); os.replace(a, b); os.fsync(1)")) == [
        "write_text",
        "open",
        "open",
        "replace",
        "fsync",
    ]
    assert list(writes("path.open('rb'); open(p); text.replace('a', 'b'); open(p, 'a', opener=private)")) == []
