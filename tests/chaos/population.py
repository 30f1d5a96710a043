"""Eight members of a learner that needs neither torch nor an environment, and what their run has come to in the end."""

from __future__ import annotations

from pathlib import Path

from marl_pbt.ancestry import LineageEvent, standing
from marl_pbt.lineage_store import read_lineage
from tests.marl_pbt.command import toy_config

MEMBERS = 8
INTERVAL = 400
COPYING = "  quantile_bottom: 0.375\n  quantile_top: 0.375\n  min_gap: {standard_errors: 0}\n"
"""More of it than users have: every ready point may be one at which a copy is cut in two."""


def config_of(folder: Path, ready_points: int, workers: int | None, update_seconds: float = 0.0) -> Path:
    """A config of the toy population.

    Args:
        folder: Where it is written.
        ready_points: Of each member.
        workers: W; None: deterministic, in one worker.
        update_seconds: How long each of the ten updates of an interval takes at least.
    """
    folder.mkdir(parents=True, exist_ok=True)
    settings = f"{{noise: 10.0, update_seconds: {update_seconds}}}"
    path = toy_config(folder, stop=INTERVAL * ready_points, population=MEMBERS, settings=settings)
    where = "deterministic: true" if workers is None else f"workers: {workers}"
    path.write_text(path.read_text().replace("workers: 2", where).replace("pbt:\n", "pbt:\n" + COPYING))
    return path


def end_of(run: Path) -> dict[str, bytes | list[str]]:
    """What must be the same however often a deterministic run was disturbed.

    Returns:
        Per member the bytes of its newest checkpoint, per species those of the best policy, and the events that stand
        in the lineage, without those that tell of a disturbance.
    """
    newest = {path.name: max(path.glob("*.safetensors")) for path in sorted((run / "members").iterdir())}
    best = {path.name: path for path in sorted((run / "best").glob("*.safetensors"))}
    return {
        **{name: path.read_bytes() for name, path in {**newest, **best}.items()},
        "lineage": [event.to_line() for event in _undisturbed(run)],
    }


def differences(run: Path, undisturbed: Path) -> list[str]:
    """In what two runs do not agree; empty where they are equal in every byte."""
    one, other = end_of(run), end_of(undisturbed)
    return sorted(name for name in one.keys() | other.keys() if one.get(name) != other.get(name))


def generations_lost(run: Path, ready_points: int) -> list[str]:
    """Ready points of members that nobody has told of, or that two have; empty in a sound run."""
    wanted = {(member, species, at) for member in range(MEMBERS) for species in ("fox", "hare")
              for at in range(1, ready_points + 1)}  # fmt: skip
    told = [(event.member, event.policy, event.generation) for event in _undisturbed(run) if event.kind == "ready"]
    twice = {point for point in told if told.count(point) > 1} if len(told) != len(set(told)) else set()
    return [f"{species} of member_{member:02d}@{at}" for member, species, at in sorted((wanted ^ set(told)) | twice)]


def _undisturbed(run: Path) -> list[LineageEvent]:
    events = standing(read_lineage(run / "lineage.jsonl"))
    # Members tell in the order of their turns; a run that was resumed tells the turns again from where each stood.
    kept = [event for event in events if event.kind not in ("restart", "resume")]
    return sorted(kept, key=lambda event: (event.generation, event.member))
