"""Nothing in a zip is ever run, and no zip is too broken, too large or too clever for one line of refusal."""

import io
import os
import tracemalloc
import zipfile
import zlib

import numpy as np
import pytest
import torch
from gymnasium import spaces
from stable_baselines3 import PPO

from agents.ppo import kind
from agents.ppo.importing.faults import ForeignFileError
from agents.ppo.importing.model import check_what_it_computes
from agents.ppo.importing.sb3_zip import SLACK_BYTES
from tests.agents.foreign_zips import (
    as_weights,
    entries_of,
    refusal,
    saved,
    taken_in,
    with_entries,
    with_records,
    zipped,
)
from tests.agents.portable_policies import portable, settings_of

FLAT = spaces.Box(-1.0, 1.0, (5,), np.float32)


class Marks:
    """Unpickled, it makes a folder: the code of a stranger."""

    def __init__(self, marker):
        self.marker = marker

    def __reduce__(self):
        return os.mkdir, (str(self.marker),)


class HasMarks(dict):
    """No JSON, so that Stable-Baselines3 pickles it."""

    def __init__(self, marker):
        super().__init__(code=Marks(marker))


def test_code_in_data_is_run_by_ppo_load_and_never_here(tmp_path):
    policy, marker = portable(), tmp_path / "marker"
    path = tmp_path / "malicious.zip"
    model = PPO.load(io.BytesIO(kind.export_policy(policy, ".zip")), device="cpu")
    model.trap = HasMarks(marker)
    model.save(path)
    assert taken_in(path, **settings_of(policy)).keys() == policy.tensors.keys()
    assert not marker.exists()
    PPO.load(path, device="cpu")
    assert marker.is_dir()


def test_code_in_the_weights_is_named_and_never_run(tmp_path):
    policy, marker = portable(), tmp_path / "marker"
    path, trap = saved(tmp_path, policy), as_weights({"action_net.bias": Marks(marker)})
    with_entries(path, policy=trap)
    assert f"names '{os.mkdir.__module__} mkdir', which weights do not need" in refusal(path, **settings_of(policy))
    assert not marker.exists()
    torch.load(io.BytesIO(trap), weights_only=False)
    assert marker.is_dir()


def test_code_in_what_is_not_needed_is_not_even_looked_at(tmp_path):
    policy, marker = portable(), tmp_path / "marker"
    trap = as_weights({"x": Marks(marker)})
    path = with_entries(saved(tmp_path, policy), pytorch_variables=trap, extra=trap, **{"policy.optimizer": trap})
    assert taken_in(path, **settings_of(policy)).keys() == policy.tensors.keys()
    assert not marker.exists()


def test_records_are_found_by_no_looser_rules_than_they_are_checked(tmp_path):
    policy = portable()
    path = saved(tmp_path, policy)
    good = path.read_bytes()
    changes = {
        "has no record data.pkl": lambda records: {
            name.replace(".pkl", ".PKL"): each for name, each in records.items()
        },
        "has 2 records data.pkl": lambda records: {**records, "other/data.pkl": records["archive/data.pkl"]},
        "record data/0 must have 12544 bytes, has 12540": lambda records: {
            **records,
            "archive/data/0": records["archive/data/0"][:-4],
        },
        "record data/9 must have 4 bytes, has none": lambda records: {
            name.replace("data/9", "DATA/9"): each for name, each in records.items()
        },
        "its byteorder must be little or big, is b'odd'": lambda records: {**records, "archive/byteorder": b"odd"},
    }
    for fault, change in changes.items():
        path.write_bytes(good)
        assert fault in refusal(with_records(path, change), **settings_of(policy))


def lying(content, size, checksum=None):
    """The last entry's size in the directory replaced, 24 bytes behind its signature; its checksum is before that."""
    at = content.rindex(b"PK\x01\x02")
    before = content[: at + 16] + (content[at + 16 : at + 20] if checksum is None else checksum.to_bytes(4, "little"))
    return before + content[at + 20 : at + 24] + size.to_bytes(4, "little") + content[at + 28 :]


def encrypted(content):
    at = content.rindex(b"PK\x01\x02") + 8
    return content[:at] + b"\x01\x00" + content[at + 2 :]


def duplicated(content):
    """Two entries of one name: zipfile itself would warn."""
    return zipped({"data": b"{}", "dato": b"{}"}).replace(b"dato", b"data")


def policy_last(content):
    entries = entries_of(content)
    return zipped({"data": entries["data"], "policy.pth": entries["policy.pth"]})


ZIPS = [
    (lambda good: b"", "the file is not a sound zip"),
    (lambda good: b"\x80\x02}q\x00.", "the file is not a sound zip"),
    (lambda good: good[:100], "the file is not a sound zip"),
    (lambda good: good[: len(good) // 2], "has no entry policy.pth: cut short"),
    (lambda good: good[:-1], "the file is not a sound zip"),
    (lambda good: zipped({"data": b"{}"}), "has no entry policy.pth"),
    (lambda good: encrypted(good), "the file is encrypted"),
    (lambda good: duplicated(good), "the file has two entries of one name"),
    (lambda good: zipped({str(i): b"" for i in range(101)}), "at most 100 entries, has 101"),
    (lambda good: zipped({str(i): b"" for i in range(10_101)}), "at most 100 entries, has thousands"),
    (lambda good: zipped(entries_of(good), compression=zipfile.ZIP_LZMA), "the file must be stored or deflated"),
    (lambda good: lying(policy_last(good), 2**28), "the file: policy.pth must unpack to at most "),
    (lambda good: lying(policy_last(good), 30_000), "the file: policy.pth is cut short: 27397 of 30000 bytes"),
    (lambda good: lying(policy_last(good), 20_000), "the file is not a sound zip (BadZipFile)"),
    (lambda good: zipped({**entries_of(good), "data": b"{"}), "data is not JSON"),
    (lambda good: zipped({**entries_of(good), "data": b"[" * 100_000}), "data is not JSON"),
    (lambda good: zipped({**entries_of(good), "data": b"9" * 5_000}), "data is not JSON"),
    (lambda good: zipped({**entries_of(good), "data": b"\xff"}), "data is not JSON"),
    (lambda good: zipped({**entries_of(good), "data": b"[]"}), "data is not a JSON object"),
    (
        lambda good: zipped({**entries_of(good), "data": b" " * (2**22 + 1)}, compression=zipfile.ZIP_DEFLATED),
        "the file: data must unpack to at most 4194304 bytes",
    ),
    (lambda good: zipped({**entries_of(good), "data": b"[" + b"[]," * 60_000}), "data must have at most 100000 values"),
]
WEIGHTS = [
    (lambda good: b"\x80\x02}q\x00.", "policy.pth is not a sound zip"),
    (lambda good: good[: len(good) // 2], "policy.pth is not a sound zip"),
    (lambda good: encrypted(good), "policy.pth is encrypted"),
    (lambda good: zipped({f"archive/data/{i}": b"" for i in range(1001)}), "at most 1000 entries, has 1001"),
    (lambda good: zipped(entries_of(good), compression=zipfile.ZIP_BZIP2), "policy.pth must be stored or deflated"),
    (lambda good: zipped({"data.pkl": b"."}), "policy.pth has no record data.pkl"),
]


@pytest.mark.parametrize(("change", "fault"), ZIPS)
def test_a_zip_that_is_not_sound_is_refused(tmp_path, change, fault):
    policy = portable()
    path = saved(tmp_path, policy)
    path.write_bytes(change(path.read_bytes()))
    assert fault in refusal(path, **settings_of(policy))


@pytest.mark.parametrize(("change", "fault"), WEIGHTS)
def test_weights_that_are_no_sound_zip_are_refused(tmp_path, change, fault):
    policy = portable()
    path = saved(tmp_path, policy)
    with_entries(path, policy=change(entries_of(path.read_bytes())["policy.pth"]))
    assert fault in refusal(path, **settings_of(policy))


def compressed(entries):
    return zipped(entries, compression=zipfile.ZIP_DEFLATED, compresslevel=1)


def peak_bytes(outcome):
    """Of what Python and numpy hold while something is done."""
    tracemalloc.start()
    try:
        outcome()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def test_what_nobody_needs_is_never_unpacked(tmp_path):
    policy, zeros = portable(), bytes(2**26)
    path = saved(tmp_path, policy)
    entries = entries_of(path.read_bytes())
    records = {**entries_of(entries["policy.pth"]), "archive/data/99": zeros, "archive/version": zeros}
    path.write_bytes(compressed({**entries, "policy.pth": compressed(records), "policy.optimizer.pth": zeros}))
    assert path.stat().st_size < 2**21
    assert peak_bytes(lambda: taken_in(path, **settings_of(policy))) < 2**23


def test_what_is_needed_is_unpacked_only_as_far_as_the_settings_need_it(tmp_path):
    policy, zeros = portable(), bytes(2**26)
    path = saved(tmp_path, policy)
    entries = entries_of(path.read_bytes())
    most = sum(array.nbytes for array in policy.tensors.values()) + SLACK_BYTES
    path.write_bytes(compressed({**entries, "policy.pth": entries["policy.pth"] + zeros}))
    fault = f"the file: policy.pth must unpack to at most {most} bytes"
    assert peak_bytes(lambda: fault in refusal(path, **settings_of(policy))) < 2**22
    assert fault in refusal(path, **settings_of(policy))


def test_an_entry_that_says_less_than_it_holds_is_not_unpacked_whole(tmp_path):
    policy = portable(FLAT)
    path = saved(tmp_path, policy)
    weights = entries_of(path.read_bytes())["policy.pth"]
    bomb = compressed({"policy.pth": weights, "data": b"{}" + bytes(2**26)})
    path.write_bytes(lying(bomb, 2, checksum=zlib.crc32(b"{}")))
    assert peak_bytes(lambda: taken_in(path, FLAT, **settings_of(policy))) < 2**23


def test_what_is_nested_without_end_is_shown_in_a_line():
    policy, nested = portable(), []
    for _ in range(100_000):
        nested = [nested]
    with pytest.raises(ForeignFileError, match=r"its activation \[+\.\.\.\]+ is none of ours"):
        check_what_it_computes(policy.architecture, {"policy_kwargs": {"activation_fn": nested}}, "activation")


def mutant(good, rng):
    """Some bytes changed at random, and sometimes the end cut off."""
    changed = bytearray(good)
    for at in rng.integers(0, len(good), rng.integers(1, 20)):
        changed[at] = rng.integers(0, 256)
    return bytes(changed[: len(good) if rng.random() < 0.8 else rng.integers(len(good))])


def in_the_file(good, rng):
    return mutant(good, rng)


def in_the_pickle(good, rng):
    """All checksums right again."""
    entries = entries_of(good)
    records = entries_of(entries["policy.pth"])
    records["archive/data.pkl"] = mutant(records["archive/data.pkl"], rng)
    return zipped({**entries, "policy.pth": zipped(records)})


@pytest.mark.parametrize("change", [in_the_file, in_the_pickle])
def test_bytes_changed_at_random_are_refused_in_one_line_or_taken_in_whole(tmp_path, change):
    policy = portable(FLAT, {"pi": [3], "vf": [2]})
    path = saved(tmp_path, policy)
    good, rng = path.read_bytes(), np.random.default_rng(0)
    refused = 0
    for _ in range(200):
        path.write_bytes(change(good, rng))
        try:
            assert taken_in(path, FLAT, **settings_of(policy)).keys() == policy.tensors.keys()
        except ValueError as fault:
            assert "\n" not in str(fault)
            refused += 1
    assert refused > 50
