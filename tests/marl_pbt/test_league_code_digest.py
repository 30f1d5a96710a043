"""Which code played: whoever edits an environment or a learner gets new matches."""

import importlib

import pytest

import marl_pbt
from marl_pbt.league import code_digest
from marl_pbt.league.code_digest import digest_of_code


@pytest.fixture
def package(tmp_path, monkeypatch):
    """`pastures`, an imported package with a module `meadow` beside others; what is deeper belongs to it too."""
    folder = tmp_path / "pastures"
    (folder / "rules").mkdir(parents=True)
    for name in ("__init__.py", "meadow.py", "hare.py", "rules/grass.py"):
        (folder / name).write_text(f"# {name}\n")
    monkeypatch.syspath_prepend(tmp_path)
    importlib.invalidate_caches()
    for name in ("pastures", "pastures.meadow"):
        monkeypatch.delitem(importlib.sys.modules, name, raising=False)
    importlib.import_module("pastures.meadow")
    yield folder
    for name in ("pastures", "pastures.meadow"):
        del importlib.sys.modules[name]


def digest(*names):
    return digest_of_code(names or ["pastures.meadow:make"])


@pytest.mark.parametrize("name", ["__init__.py", "meadow.py", "hare.py", "rules/grass.py", "rules/new.py"])
def test_every_source_of_the_package_counts(package, name):
    before = digest()
    assert digest() == before
    path = package / name
    path.write_text("x = 1\n")
    edited = digest()
    path.write_text("x = 2\n")
    assert len({before, edited, digest()}) == 3


def test_what_moves_from_one_file_into_the_next_counts(package):
    (package / "hare.py").write_text("a\nb\n")
    (package / "meadow.py").write_text("c\n")
    before = digest()
    (package / "hare.py").write_text("a\n")
    (package / "meadow.py").write_text("b\nc\n")
    assert digest() != before


def test_what_is_no_source_does_not_count(package):
    before = digest()
    (package / "notes.txt").write_text("x")
    (package / ".#meadow.py").symlink_to("me@here.1234")  # an editor's lock
    assert digest() == before


def test_of_a_module_beside_many_others_only_its_own_file_counts(package):
    (package / "__init__.py").unlink()
    before = digest()
    (package / "hare.py").write_text("x = 1\n")
    assert digest() == before
    (package / "meadow.py").write_text("x = 1\n")
    assert digest() != before


def test_of_a_very_large_package_only_the_module_counts(package, monkeypatch):
    monkeypatch.setattr(code_digest, "MOST_FILES", 3)
    before = digest()
    (package / "hare.py").write_text("x = 1\n")
    assert digest() == before
    (package / "meadow.py").write_text("x = 1\n")
    assert digest() != before


def test_environment_and_learners_count_in_any_order_and_once(package):
    both = ["pastures.meadow:make", "agents.ppo:kind"]
    assert digest(*both) == digest(*reversed(both)) == digest(*both, "agents.ppo:another") != digest()


def test_another_version_of_marl_pbt_plays_again(package, monkeypatch):
    before = digest()
    monkeypatch.setattr(marl_pbt, "__version__", "0.0.0")
    assert digest() != before


def test_what_has_no_file_is_only_a_name():
    assert digest("sys:x") != digest("builtins:x")
    assert digest("not_imported:x") == digest("not_imported:y")
