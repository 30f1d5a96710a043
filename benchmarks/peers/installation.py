"""The peers' virtual environments: one each, for their pins conflict with ours and with each other's."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
STORE = ROOT / ".peers"
REQUIREMENTS = Path(__file__).parent / "requirements"
TIMEOUT_S = 1800


def python_of(peer: str) -> Path:
    """The interpreter of a peer's virtual environment."""
    return STORE / "venvs" / peer / "bin" / "python"


def install(peer: str) -> str | None:
    """Make the virtual environment afresh; returns the reason where that fails."""
    commands = [
        [sys.executable, "-m", "venv", "--clear", str(python_of(peer).parents[1])],
        [str(python_of(peer)), "-m", "pip", "install", "-q", "-r", str(REQUIREMENTS / f"{peer}.txt")],
    ]
    against_metadata = REQUIREMENTS / f"{peer}-no-deps.txt"
    if against_metadata.exists():
        commands.append([str(python_of(peer)), "-m", "pip", "install", "-q", "--no-deps", "-r", str(against_metadata)])
    reason = None
    for command in commands:
        reason = reason or _failure_of(command)
    _remember(peer, reason)
    return reason


def why_missing(peer: str) -> str | None:
    """Why a peer cannot be measured; None where it can."""
    reasons = _reasons()
    if peer not in reasons:
        return f"not installed: python -m benchmarks.peers install --only {peer}"
    return reasons[peer]


def _failure_of(command: list[str]) -> str | None:
    try:
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=TIMEOUT_S, check=False)
    except subprocess.TimeoutExpired:
        return f"took more than {TIMEOUT_S} s to install"
    if done.returncode == 0:
        return None
    errors = [line for line in done.stderr.splitlines() if line.startswith("ERROR")] or done.stderr.splitlines()
    return errors[-1] if errors else f"{command[0]} ended with exit code {done.returncode}"


def _reasons() -> dict[str, str | None]:
    file = STORE / "installed.json"
    reasons: dict[str, str | None] = json.loads(file.read_text()) if file.exists() else {}
    return reasons


def _remember(peer: str, reason: str | None) -> None:
    STORE.mkdir(exist_ok=True)
    (STORE / "installed.json").write_text(json.dumps(_reasons() | {peer: reason}, indent=1))
