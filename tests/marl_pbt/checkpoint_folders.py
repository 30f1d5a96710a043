"""Folders of checkpoints that a member may have left."""

import numpy as np

from marl_pbt.checkpoints import MemberCheckpoints, Retention
from marl_pbt.snapshot import Snapshot


def snapshot(generation, **metadata):
    said = {"kind": "checkpoint", "member": 0, "generation": generation, **metadata}
    return Snapshot(said, {"w": np.full(4, generation, np.float32)})


def folder(tmp_path, *scores, keep_last=2, keep_best=1, maximize=True):
    """A member that has passed as many ready points as there are scores; None for a pending one."""
    checkpoints = MemberCheckpoints(tmp_path / "member_00", Retention(keep_last, keep_best), maximize)
    for generation, score in enumerate(scores, 1):
        checkpoints.write(generation, snapshot(generation), {} if score is None else {"fox": score})
    return checkpoints


def newest(checkpoints):
    return checkpoints.newest().metadata["generation"]


def damage(path):
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)
