"""The wheel: nothing of ours at the top level but marl_pbt, and everything found from anywhere."""

from __future__ import annotations

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]

ASK = """
import marl_pbt
from marl_pbt.config import load_config
from marl_pbt.imports import ensure_rooms_on_path, find_config, load_object
ensure_rooms_on_path()
loaded = load_config("configs/quick.yaml", [])
print(marl_pbt.__file__, find_config("configs/quick.yaml"))
print(load_object(loaded.config.learner.make, object, "learner.make").describe.__func__.__code__.co_filename)
print(load_object("my_env:make", callable, "environment.make")())
"""


@pytest.fixture(scope="module")
def wheel(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    pip = [sys.executable, "-m", "pip", "wheel", "-q"]
    build = [*pip, "--no-deps", "--no-build-isolation", "-w", str(folder), str(ROOT)]
    subprocess.run(build, check=True, capture_output=True, timeout=100)
    (file,) = folder.glob("*.whl")
    return file


@pytest.fixture(scope="module")
def installed(wheel, tmp_path_factory) -> Path:
    target = tmp_path_factory.mktemp("site-packages")
    install = [sys.executable, "-m", "pip", "install", "-q", "--no-deps", "--target", str(target), str(wheel)]
    subprocess.run(install, check=True, capture_output=True, timeout=100)
    return target


@pytest.fixture
def elsewhere(tmp_path, monkeypatch) -> Path:
    """A user's folder with a module of theirs in it, and a foreign package `agents` further down the path."""
    foreign = tmp_path / "foreign" / "agents"
    foreign.mkdir(parents=True)
    (foreign / "__init__.py").write_text("raise ImportError('this is somebody else's')")
    folder = tmp_path / "elsewhere"
    folder.mkdir()
    (folder / "my_env.py").write_text("def make(): return 'mine'")
    return folder


def ask(cwd: Path, *path: Path) -> list[str]:
    """What a program in the user's folder finds, with these folders installed after the foreign package."""
    paths = os.pathsep.join(map(str, [cwd.parent / "foreign", *path]))
    environment = {**os.environ, "PYTHONPATH": paths}
    program = [sys.executable, "-c", ASK]
    done = subprocess.run(program, cwd=cwd, env=environment, capture_output=True, text=True, timeout=100)
    assert done.returncode == 0, done.stderr
    return done.stdout.split()


def test_the_wheel_installs_marl_pbt_and_nothing_else_at_the_top_level(wheel):
    names = zipfile.ZipFile(wheel).namelist()
    assert {name.split("/")[0] for name in names} == {"marl_pbt", "marl_pbt-0.1.0.dist-info"}
    assert {f"marl_pbt/_bundled/configs/{name}" for name in ("quick.yaml", "ppg.yaml", "schema.json")} <= set(names)
    assert not [name for name in names if "__pycache__" in name or "/tests/" in name]


def test_a_wheel_finds_its_rooms_and_configs_from_anywhere_beside_a_foreign_agents(installed, elsewhere):
    bundled = installed / "marl_pbt" / "_bundled"
    package, config, learner, made = ask(elsewhere, installed)
    assert package == str(installed / "marl_pbt" / "__init__.py")
    assert config == str(bundled / "configs" / "quick.yaml")
    assert Path(learner).is_relative_to(bundled / "agents")
    assert made == "mine"


def test_a_checkout_finds_its_rooms_and_configs_from_anywhere_beside_a_foreign_agents(elsewhere):
    """An editable install puts the checkout at the end of the path, behind whatever else is installed."""
    package, config, learner, made = ask(elsewhere, ROOT)
    assert package == str(ROOT / "marl_pbt" / "__init__.py")
    assert config == str(ROOT / "configs" / "quick.yaml")
    assert Path(learner).is_relative_to(ROOT / "agents")
    assert made == "mine"


def test_a_users_own_package_comes_before_ours(installed, elsewhere):
    (elsewhere / "agents").mkdir()
    (elsewhere / "agents" / "__init__.py").write_text("")
    with pytest.raises(AssertionError, match=r"no module 'agents.ppo'.*'agents' is .*elsewhere"):
        ask(elsewhere, installed)
