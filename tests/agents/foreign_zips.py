"""Files of Stable-Baselines3 made, changed and taken in."""

from __future__ import annotations

import io
import json
import zipfile

import pytest
import torch

from agents.ppo import kind
from tests.agents.portable_policies import WINDOW, interface_of


def saved(tmp_path, policy):
    path = tmp_path / "prey.zip"
    path.write_bytes(kind.export_policy(policy, ".zip"))
    return path


def taken_in(path, box=WINDOW, **settings):
    return kind.import_policy(path.read_bytes(), settings, interface_of(box), "prey")


def refusal(path, box=WINDOW, **settings):
    """The one line in which the file is refused."""
    with pytest.raises(ValueError) as refused:
        taken_in(path, box, **settings)
    assert "\n" not in str(refused.value)
    return str(refused.value)


def entries_of(content):
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def zipped(entries, **options):
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", **options) as archive:
        for name, content in entries.items():
            archive.writestr(name, content)
    return file.getvalue()


def with_entries(path, **changed):
    """The file with entries put in or replaced; `policy` stands for `policy.pth`."""
    entries = entries_of(path.read_bytes())
    entries |= {name if name == "data" else f"{name}.pth": content for name, content in changed.items()}
    path.write_bytes(zipped(entries))
    return path


def with_attributes(path, **changed):
    data = json.loads(entries_of(path.read_bytes())["data"])
    return with_entries(path, data=json.dumps({**data, **changed}).encode())


def with_records(path, change):
    """The file with other records in its `policy.pth`; `change` gets and gives names with contents."""
    records = entries_of(entries_of(path.read_bytes())["policy.pth"])
    return with_entries(path, policy=zipped(change(records)))


def with_pickle(path, pickled):
    return with_records(path, lambda records: {**records, "archive/data.pkl": pickled})


def as_weights(tensors):
    file = io.BytesIO()
    torch.save(tensors, file)
    return file.getvalue()


def weights_in(path):
    return torch.load(io.BytesIO(entries_of(path.read_bytes())["policy.pth"]), weights_only=True)
