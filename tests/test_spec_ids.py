"""Every promise of PBT's acceptance spec has a test that names it, so that a test can be found from its id."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

TESTS = Path(__file__).parent
OF_THE_PEERS = (2, 3, 4, 6, 8, 9, 12, 13, 15, 17, 20, 22, 27, 28, 29, 30, 31, 32, 36, 39, 40, *range(41, 48))
"""R: tests of other implementations of PBT, as ours."""
OURS = range(1, 30)
"""D."""


def docstrings(path: Path) -> Iterator[str]:
    """Of a module of tests, and of the tests and classes of tests in it."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    is_test_or_class = (
        node
        for node in ast.walk(tree)
        if isinstance(node, ast.ClassDef) or (isinstance(node, ast.FunctionDef) and node.name.startswith("test_"))
    )
    yield from (ast.get_docstring(node) or "" for node in (tree, *is_test_or_class))


def named() -> set[str]:
    """All ids in the docstrings of what pytest collects, and of the contracts that it collects by inheritance."""
    paths = [*TESTS.rglob("test_*.py"), *(TESTS / "contracts").glob("*.py")]
    told = "\n".join(text for path in paths if path != Path(__file__) for text in docstrings(path))
    return set(re.findall(r"\b[DR]\d\d\b", told))


def test_every_id_of_the_spec_stands_in_the_docstring_of_a_test():
    wanted = [f"R{number:02d}" for number in OF_THE_PEERS] + [f"D{number:02d}" for number in OURS]
    found = named()
    assert [name for name in wanted if name not in found] == []


def test_an_id_in_a_comment_or_in_another_string_is_not_named(tmp_path):
    path = tmp_path / "test_it.py"
    path.write_text(
        '"""D01."""\n# D02\nTEXT = "D03"\ndef test_it():\n    """R04."""\n    "D05"\ndef other():\n    """D06."""\n'
    )
    assert list(docstrings(path)) == ["D01.", "R04."]
