from __future__ import annotations

import importlib
import subprocess
import sys
from pathlib import Path
from typing import Protocol, runtime_checkable

import pytest

from marl_pbt.imports import ensure_rooms_on_path, find_config, load_object
from marl_pbt.protocols import UserError

ROOT = Path(__file__).resolve().parents[2]


@runtime_checkable
class Kind(Protocol):
    def describe(self) -> str: ...
    def build(self) -> str: ...


@pytest.fixture
def modules(tmp_path, monkeypatch):
    """A folder on the path with modules in it, written by the test: `modules({"package/module": source})`."""
    monkeypatch.syspath_prepend(str(tmp_path))

    def write(sources: dict[str, str]) -> None:
        for name, source in sources.items():
            path = tmp_path / f"{name}.py"
            path.parent.mkdir(exist_ok=True)
            path.write_text(source)
        importlib.invalidate_caches()

    yield write
    for file in tmp_path.rglob("*.py"):
        sys.modules.pop(".".join(file.relative_to(tmp_path).with_suffix("").parts), None)
        sys.modules.pop(file.parent.name, None)


def refused(import_string: str, wanted=callable) -> str:
    with pytest.raises(UserError) as error:
        load_object(import_string, wanted, "learner.make")
    (told,) = error.value.faults
    return told


def test_an_object_is_found_in_a_module_and_in_what_the_module_holds(modules):
    modules({"toy_found": "class Box:\n    @staticmethod\n    def make(): return 3\nmake = Box.make"})
    assert load_object("toy_found:make", callable, "x")() == 3
    assert load_object("toy_found:Box.make", callable, "x")() == 3


@pytest.mark.parametrize("text", ["", "a", "a.b.c", ":make", "a:", "a:b:c", "a b:c", ".a:b", "a/b:c", "a-b:c"])
def test_what_is_no_import_string_is_told_so(text):
    assert refused(text) == f"learner.make: must be an import string 'package.module:name', got {text!r}"


def test_a_module_that_is_not_there_is_told_with_what_is_near(modules):
    modules({"toy_package/__init__": "", "toy_package/predators": "", "toy_alone": ""})
    assert refused("toy_alon:make") == "learner.make: no module 'toy_alon'; did you mean 'toy_alone'?"
    assert refused("qqqqqqqq.xyz:make").startswith("learner.make: no module 'qqqqqqqq.xyz' on the path")
    told = refused("toy_package.predator:make")
    assert told.startswith(
        "learner.make: no module 'toy_package.predator'; did you mean 'predators'?; 'toy_package' is /"
    )
    assert refused("toy_alone.inside:make").startswith("learner.make: no module 'toy_alone.inside'")


def test_a_name_that_is_not_in_the_module_is_told_with_what_is_near(modules):
    modules({"toy_names": "def parallel_env(): ..."})
    told = "learner.make: toy_names has no 'paralel_env'; did you mean 'parallel_env'?, got 'toy_names:paralel_env'"
    assert refused("toy_names:paralel_env") == told


def test_what_is_not_asked_for_is_told_with_what_it_lacks(modules):
    half = "class Half:\n    def describe(self): ...\nthree = 3\nhalf = type('H', (), {'build': 1})()"
    modules({"toy_kinds": half})
    assert refused("toy_kinds:three") == "learner.make: must be callable, 'toy_kinds:three' is an int"
    assert refused("toy_kinds:half", Kind) == "learner.make: must be a Kind, 'toy_kinds:half' is a H without describe"
    assert refused("toy_kinds:Half", Kind) == "learner.make: must be a Kind object, 'toy_kinds:Half' is a class"


def test_a_fault_inside_the_module_is_told_as_such_with_its_place(modules):
    modules({"toy_needs": "\nimport no_such_thing", "toy_raises": "1 / 0", "toy_syntax": "def"})
    modules({"toy_exits": "raise SystemExit(3)"})
    told = refused("toy_needs:make")
    assert told.startswith("learner.make: importing 'toy_needs' failed: ModuleNotFoundError: No module named")
    assert told.endswith("toy_needs.py:2)")
    assert "failed: ZeroDivisionError: division by zero (" in refused("toy_raises:make")
    assert "failed: SyntaxError: " in refused("toy_syntax:make")
    assert "failed: SystemExit: 3 (" in refused("toy_exits:make")


def test_the_rooms_stand_right_behind_the_working_directory_and_only_once(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [str(tmp_path), "/site-packages", str(ROOT)])
    for _ in range(2):
        ensure_rooms_on_path()
        assert sys.path == [str(tmp_path), str(ROOT), "/site-packages"]


def test_a_console_script_finds_the_users_modules_in_the_working_directory(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", ["/usr/bin", "/site-packages"])
    ensure_rooms_on_path()
    assert sys.path == [str(tmp_path), str(ROOT), "/usr/bin", "/site-packages"]


def test_in_the_checkout_itself_the_path_stays_as_it_is(monkeypatch):
    monkeypatch.chdir(ROOT)
    monkeypatch.setattr(sys, "path", [str(ROOT), "/site-packages"])
    ensure_rooms_on_path()
    assert sys.path == [str(ROOT), "/site-packages"]


def test_a_config_is_the_file_as_given_or_the_one_that_came_with_us(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert find_config("configs/quick.yaml") == ROOT / "configs" / "quick.yaml"
    (tmp_path / "configs").mkdir()
    (tmp_path / "configs" / "quick.yaml").write_text("")
    assert find_config("configs/quick.yaml").resolve() == tmp_path / "configs" / "quick.yaml"
    with pytest.raises(UserError, match=r"configs/quikc.yaml: no such file; did you mean 'quick'\?"):
        find_config("configs/quikc.yaml")
    for outside in ("../pyproject.toml", "configs/../pyproject.toml", "/no/such.yaml"):
        with pytest.raises(UserError, match="no such file"):
            find_config(outside)


def test_importing_strings_needs_nothing_heavy():
    program = "import sys, marl_pbt.imports; print({'torch', 'numba', 'gymnasium', 'pydantic'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert done.stdout == "set()\n"
