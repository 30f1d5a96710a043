"""Imports point the right way, and nothing runs code from a file."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
ROOMS = ("marl_pbt", "envs", "agents", "configs", "benchmarks")
SOURCES = sorted(path for room in ROOMS for path in (ROOT / room).rglob("*.py"))

DECISIONS = (
    "streams",
    "hyperparameters",
    "constraints",
    "explore",
    "selection",
    "standings",
    "decision",
    "ancestry",
    "lineage_tree",
)
DECISIONS_MAY_IMPORT = {f"marl_pbt.{name}" for name in (*DECISIONS, "protocols")}
IMPURE = {"multiprocessing", "os", "time", "pathlib", "threading", "socket", "subprocess", "random", "asyncio"}

MAY_NOT_IMPORT = {
    "envs": ("marl_pbt", "agents"),
    "agents": ("envs",),
    "marl_pbt": ("envs", "agents", "stable_baselines3", "torch"),
}
RUNS_CODE = {"pickle", "cPickle", "_pickle", "dill", "cloudpickle", "joblib", "shelve", "marshal"}
CALLS_THAT_RUN_CODE = {
    "eval",
    "exec",
    "compile",
    "os.popen",
    "os.system",
    "yaml.load",
    "yaml.unsafe_load",
    "torch.load",
    "torch.hub.load",
    "PPO.load",
    "ActorCriticPolicy.load",
    "VecNormalize.load",
}
CALLS_OF_ANY = {"load_replay_buffer", "read_pickle"}
"""By the last part of their name, whose ever they are."""
FLAGS_THAT_RUN_CODE = {"shell", "allow_pickle"}
"""Where they are anything but False."""
IMPORTERS = {"__import__", "importlib.import_module", "import_module"}


def imports(tree: ast.AST, package: str) -> Iterator[str]:
    """Dotted names of everything that is imported anywhere in the module, `a.b.c` for `from a.b import c`."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            parts = package.split(".")[: -(node.level - 1) or None] if node.level else []
            yield from (".".join([*parts, node.module or "", alias.name]).replace("..", ".") for alias in node.names)
        elif isinstance(node, ast.Call) and ast.unparse(node.func) in IMPORTERS:
            yield from (str(argument.value) for argument in node.args if isinstance(argument, ast.Constant))


def calls(tree: ast.AST) -> Iterator[str]:
    """What is called, as it is written; for `a.b.c(…)` also `b.c`."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute | ast.Name):
            written = ast.unparse(node.func)
            yield written
            yield ".".join(written.split(".")[-2:])


def odd_flags(tree: ast.AST) -> Iterator[str]:
    """Keywords of calls that let code be run: `shell=True`."""
    for node in ast.walk(tree):
        for keyword in node.keywords if isinstance(node, ast.Call) else ():
            is_false = isinstance(keyword.value, ast.Constant) and keyword.value.value is False
            if keyword.arg in FLAGS_THAT_RUN_CODE and not is_false:
                yield str(keyword.arg)


def is_under(name: str, module: str) -> bool:
    return name == module or name.startswith(f"{module}.")


def faults_of(source: str, path: Path) -> list[str]:
    """The arrows of a module that run the wrong way; `path` is relative to the repository."""
    tree, room = ast.parse(source), path.parts[0]
    imported = list(imports(tree, ".".join(path.parent.parts)))
    faults = [name for name in imported for other in MAY_NOT_IMPORT.get(room, ()) if is_under(name, other)]
    faults += [name for name in imported if is_under(name.split(".")[0], "tests") or name.split(".")[0] in RUNS_CODE]
    faults += [name for name in calls(tree) if name in CALLS_THAT_RUN_CODE or name.split(".")[-1] in CALLS_OF_ANY]
    faults += [name for name in imported if name in CALLS_THAT_RUN_CODE]  # from torch import load
    faults += odd_flags(tree)
    if room == "agents":
        faults += [name for name in imported if is_under(name, "marl_pbt") and not is_under(name, "marl_pbt.protocols")]
    if room == "marl_pbt" and path.stem in DECISIONS and len(path.parts) == 2:
        faults += [name for name in imported if not _may_decide_with(name)]
    return faults


def _may_decide_with(name: str) -> bool:
    top = name.split(".")[0]
    if top == "marl_pbt":
        return any(is_under(name, module) for module in DECISIONS_MAY_IMPORT)
    return (
        top in ("numpy", "scipy")
        or is_under(name, "scipy.special")
        or (top in sys.stdlib_module_names and top not in IMPURE)
    )


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_imports_point_the_right_way_and_nothing_runs_code_from_a_file(path):
    assert faults_of(path.read_text(), path.relative_to(ROOT)) == []


def test_every_room_and_every_decision_is_looked_at():
    found = {path.relative_to(ROOT).parts[0] for path in SOURCES}
    assert {"marl_pbt", "envs", "agents"} <= found
    assert all((ROOT / "marl_pbt" / f"{name}.py").is_file() for name in DECISIONS)


@pytest.mark.parametrize(
    ("path", "source", "fault"),
    [
        ("envs/x.py", "import marl_pbt.protocols", "marl_pbt.protocols"),
        ("envs/x.py", "def f():\n    from agents.ppo import kind", "agents.ppo.kind"),
        ("agents/x.py", "from marl_pbt import standings", "marl_pbt.standings"),
        ("agents/x.py", "from marl_pbt.standings import Score", "marl_pbt.standings.Score"),
        ("agents/x.py", "import envs", "envs"),
        ("marl_pbt/x.py", "import torch.nn", "torch.nn"),
        ("marl_pbt/config/x.py", "import importlib\nimportlib.import_module('agents.ppo')", "agents.ppo"),
        ("marl_pbt/decision.py", "import time", "time"),
        ("marl_pbt/decision.py", "from . import member", "marl_pbt.member"),
        ("marl_pbt/ancestry.py", "import pydantic", "pydantic"),
        ("marl_pbt/x.py", "import pickle", "pickle"),
        ("agents/x.py", "model = stable_baselines3.PPO.load(path)", "PPO.load"),
        ("agents/x.py", "import torch\ntorch.load(path, weights_only=True)", "torch.load"),
        ("agents/x.py", "from torch import load\nload(path)", "torch.load"),
        ("agents/x.py", "model.load_replay_buffer(path)", "model.load_replay_buffer"),
        ("envs/x.py", "eval('1')", "eval"),
        ("envs/x.py", "def f():\n    exec(text)", "exec"),
        ("marl_pbt/x.py", "import marshal", "marshal"),
        ("marl_pbt/x.py", "import dill as pickles", "dill"),
        ("marl_pbt/x.py", "import yaml\nyaml.load(text)", "yaml.load"),
        ("marl_pbt/x.py", "import subprocess\nsubprocess.run(text, shell=True)", "shell"),
        ("marl_pbt/x.py", "import subprocess\nsubprocess.run(text, shell=asked)", "shell"),
        ("agents/x.py", "import numpy as np\nnp.load(path, allow_pickle=True)", "allow_pickle"),
    ],
)
def test_a_wrong_arrow_is_found(path, source, fault):
    assert fault in faults_of(source, Path(path))


@pytest.mark.parametrize(
    ("path", "source"),
    [
        ("agents/x.py", "from marl_pbt.protocols import Learner"),
        ("agents/x.py", "from marl_pbt import protocols\nimport re\nre.compile('x')\npolicy.eval()"),
        ("marl_pbt/decision.py", "import math\nimport numpy as np\nfrom marl_pbt.selection import Ranking"),
        ("marl_pbt/member.py", "import time\nfrom marl_pbt import decision"),
    ],
)
def test_a_right_arrow_is_left_alone(path, source):
    assert faults_of(source, Path(path)) == []
