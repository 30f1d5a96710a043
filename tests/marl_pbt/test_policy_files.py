"""Policies read from files: what is refused, and in which words. Nothing in a file is ever run."""

from __future__ import annotations

import json
import os
import pickle
import zipfile
from pathlib import Path

import numpy as np
import pytest
import safetensors.numpy

from marl_pbt.evaluate import main
from marl_pbt.policy_files import read_policies
from marl_pbt.snapshot import MAX_BYTES, MAX_HEADER_BYTES, encode, header_bytes
from tests.marl_pbt.command import toy_config
from tests.marl_pbt.command_here import trained
from tests.marl_pbt.refused_files import refusal
from tests.marl_pbt.saved_runs import forged, origin_of, saved_run, with_header, with_text

ZIP = (
    "is a zip (of SB3 or torch), not a snapshot; such a file can contain code and is not opened, "
    "`marl-pbt import` takes the weights out of it"
)
PICKLE = "is a pickle, not a snapshot; such a file can contain code and is not opened"
HEADER = "not a snapshot, or truncated: its header does not fit into it"
HASH = "damaged: its SHA-256 does not fit its content"
NOT_OURS = "not a policy of ours: "
BIAS = "policy/action_net.bias"


@pytest.fixture
def path(tmp_path):
    return tmp_path / "hunter.safetensors"


def test_a_policys_file_is_read_whole_without_its_optimizer(path, policy):
    path.write_bytes(encode(policy))
    (found,) = read_policies(path).values()
    assert (found.card.species, origin_of(found.card), found.card.learner) == (
        "predator",
        "member_01@4",
        "agents.ppo:kind",
    )
    assert found.tensors.keys() == {name for name in policy.tensors if name.startswith("policy/")}
    assert all((found.tensors[name] == policy.tensors[name]).all() for name in found.tensors)


def test_a_checkpoint_holds_a_policy_per_species_equal_to_those_by_themselves(tmp_path, path, plan, policy):
    run = saved_run(tmp_path / "a", plan)
    found = read_policies(run.member(1) / "000004.safetensors")
    assert list(found) == ["predator", "prey"]
    path.write_bytes(encode(policy))
    alone = read_policies(path)["predator"]
    assert (found["predator"].card, found["predator"].digest) == (alone.card, alone.digest)
    assert read_policies(run.best_policy("predator"))["predator"].digest == alone.digest


def test_the_digest_is_of_what_a_policy_does_and_of_nothing_else(path, policy):
    def digest(data: bytes) -> str:
        path.write_bytes(data)
        return read_policies(path)["predator"].digest

    own = digest(encode(policy))
    assert digest(forged(policy, member=7, score=None, clocks={})) == own
    assert digest(forged(policy, {BIAS: policy.tensors[BIAS] + 1})) != own
    assert digest(forged(policy, architecture={**policy.metadata["architecture"], "activation": "tanh"})) != own


def test_what_training_leaves_is_read(tmp_path):
    config = toy_config(tmp_path, stop=400, population=1)
    assert trained(str(config), "--runs-dir", str(tmp_path), "--name", "a")[0] == 0
    files = [*tmp_path.glob("a/best/*.safetensors"), *tmp_path.glob("a/members/*/*.safetensors")]
    assert len(files) >= 2
    for file in files:
        for species, found in read_policies(file).items():
            assert found.card.species == species
            assert list(found.tensors) == ["policy/theta"]
            assert found.card.learner == "tests.marl_pbt.toy_learner:kind"


# What is no regular file of a legal size.


def test_what_is_no_regular_file_is_refused_without_waiting_for_it(tmp_path, path, policy):
    assert refusal(path) == "cannot be read (No such file or directory)"
    assert refusal(tmp_path) == "is not a regular file"
    os.mkfifo(path)
    assert refusal(path) == "is not a regular file"
    assert refusal(Path("/dev/zero")) == "is not a regular file"
    link = tmp_path / "link.safetensors"
    (tmp_path / "target").write_bytes(encode(policy))
    link.symlink_to(tmp_path / "target")
    assert refusal(link) == "is a symbolic link; name the file that it leads to"


def test_a_file_that_is_too_large_is_refused_before_it_is_read(path):
    with path.open("wb") as file:
        file.truncate(MAX_BYTES + 1)
    assert refusal(path) == f"must have at most {MAX_BYTES} bytes, has {MAX_BYTES + 1}"


# What is no sound container.


@pytest.mark.parametrize("length", [0, 1, 7, 8, 9])
def test_a_file_of_a_few_bytes_is_truncated(path, policy, length):
    assert refusal(path, encode(policy)[:length]) == f"truncated: {length} bytes"


@pytest.mark.parametrize("length", [10, 11, 100, 5000])
def test_a_file_that_ends_in_its_header_is_truncated(path, policy, length):
    assert refusal(path, encode(policy)[:length]) == HEADER


@pytest.mark.parametrize("missing", [1, 2, 100, 50_000])
def test_a_file_that_ends_in_its_tensors_is_damaged(path, policy, missing):
    size = len(encode(policy)) - 8 - header_bytes(encode(policy))
    told = f"damaged: its tensors have {size} bytes, the file {{}}"
    assert refusal(path, encode(policy)[:-missing]) == told.format(size - missing)
    assert refusal(path, encode(policy) + b"\0" * missing) == told.format(size + missing)


def test_a_single_flipped_bit_anywhere_is_noticed(path, policy):
    data = encode(policy)
    header = 8 + int.from_bytes(data[:8], "little")
    rng = np.random.default_rng(0)
    places = [*range(8), *rng.integers(8, header, 240), *rng.integers(header, len(data), 40)]
    for place in map(int, places):
        mutant = bytearray(data)
        mutant[place] ^= 1 << int(rng.integers(8))
        refusal(path, bytes(mutant))


def test_overwritten_bytes_are_noticed(path, policy):
    data = encode(policy)
    header = 8 + int.from_bytes(data[:8], "little")
    rng = np.random.default_rng(1)
    for place in map(int, rng.integers(0, header, 100)):
        mutant = data[:place] + rng.bytes(int(rng.integers(1, 9))) + data[place + int(rng.integers(9)) :]
        refusal(path, mutant)


class Bomb:
    """Unpickled, it leaves a marker."""

    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self):
        return Path.touch, (self.marker,)


def test_a_zip_of_torch_or_sb3_is_refused_and_nothing_in_it_is_run(tmp_path, path):
    marker = tmp_path / "marker"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("archive/data.pkl", pickle.dumps(Bomb(marker)))
        archive.writestr("data", json.dumps({"policy_class": {":serialized:": "gAU="}}))
    assert refusal(path) == ZIP
    assert not marker.exists()


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_a_pickle_is_refused_and_not_unpickled(tmp_path, path, protocol):
    marker = tmp_path / "marker"
    assert refusal(path, pickle.dumps(Bomb(marker), protocol)) == PICKLE
    assert not marker.exists()


def test_safetensors_of_others_are_refused(path):
    ours_not = "not written by marl_pbt: it has no such metadata"
    assert refusal(path, safetensors.numpy.save({"weight": np.ones(3, np.float32)})) == ours_not
    assert refusal(path, safetensors.numpy.save({"w": np.ones(3)}, {"format": "pt"})) == ours_not
    assert refusal(path, with_header("[]")) == ours_not
    assert refusal(path, with_header('{"__metadata__": {"marl_pbt": 3}}')) == ours_not


def test_a_header_that_is_too_large_is_refused(path):
    assert refusal(path, (MAX_HEADER_BYTES + 1).to_bytes(8, "little") + b" " * (MAX_HEADER_BYTES + 2)) == HEADER
    assert refusal(path, (2**64 - 1).to_bytes(8, "little") + b"{}") == HEADER
    assert refusal(path, (0).to_bytes(8, "little") + b"{}") == HEADER


def test_tensors_of_impossible_shapes_are_refused_without_making_room_for_them(path):
    metadata = {"marl_pbt": '{"schema": 1}', "sha256": "0"}
    for shape in ([2**63, 0], [0, 2**62, 2**62], [2**40], [-1], [2**70, 0]):
        header = {"__metadata__": metadata, "policy/w": {"dtype": "F32", "shape": shape, "data_offsets": [0, 0]}}
        assert refusal(path, with_header(json.dumps(header))).startswith("damaged: ")
    header["policy/w"] = {"dtype": "BF16", "shape": [0], "data_offsets": [0, 0]}
    told = "tensor 'policy/w' has dtype 'BF16', which no snapshot of ours has"
    assert refusal(path, with_header(json.dumps(header))) == told


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ('{"schema": 1, "kind": NaN}', "NaN is not JSON"),
        ('{"schema": 1, "kind": -Infinity}', "-Infinity is not JSON"),
        ('{"schema": 1, "score": 1e999}', "1e999 is not finite"),
        ('{"schema": 1, "schema": 1}', "a key stands twice"),
        ('{"schema": 1, "a": {"b": 1, "b": 2}}', "a key stands twice"),
        ('{"schema": 1} {}', "Extra data: line 1 column 15 (char 14)"),
        ("", "Expecting value: line 1 column 1 (char 0)"),
        ("[" * 100_000, "maximum recursion depth exceeded while decoding a JSON array from a unicode string"),
        ('{"a":' * 100_000, "maximum recursion depth exceeded while decoding a JSON object from a unicode string"),
    ],
    ids=["nan", "inf", "1e999", "twice", "twice inside", "more", "nothing", "brackets", "braces"],
)
def test_metadata_must_be_strict_json(path, text, why):
    assert refusal(path, with_text(text)) == f"damaged: its metadata is not strict JSON ({why})"


def test_a_huge_number_is_refused(path):
    assert "its metadata is not strict JSON (Exceeds the limit" in refusal(path, with_text('{"schema":' + "9" * 5000))


def test_keys_that_stand_twice_in_the_header_itself_are_refused(path):
    told = "damaged: its metadata is not strict JSON (a key stands twice)"
    assert refusal(path, with_header('{"__metadata__": {}, "__metadata__": {}}')) == told


@pytest.mark.parametrize("schema", [None, 0, -1, "1", [1], True, 1.0])
def test_a_schema_that_there_never_was_is_refused(path, schema):
    told = f"schema must be a whole number from 1 to 1, got {schema!r}"
    assert refusal(path, with_text(json.dumps({"schema": schema, "kind": "policy"}))) == told


def test_a_newer_schema_asks_for_an_update(path):
    told = "was written by a newer marl_pbt: schema 2, this one reads up to 1; update it"
    assert refusal(path, with_text(json.dumps({"schema": 2, "kind": "policy"}))) == told


def test_a_policy_has_less_metadata_than_a_checkpoint_may_have(path, policy):
    told = refusal(path, forged(policy, score={str(n): n for n in range(30_000)}))
    assert told.startswith("not a policy of ours: must have at most 262144 bytes of metadata, has ")


def test_a_file_cannot_make_the_line_that_refuses_it_long(path):
    assert len(refusal(path, with_text(json.dumps({"schema": "x" * 10**6})))) == 300


# The same through the command: exit code 2, one line on standard error, at once.


def test_the_command_tells_each_refusal_in_one_line(tmp_path, path, policy, capsys):
    data = encode(policy)
    files = {
        b"PK\x03\x04" + data: ZIP,
        data[:-1000]: None,
        data[:-1] + bytes([data[-1] ^ 1]): HASH,
        forged(policy, kind="pickle"): NOT_OURS + "kind: Input should be 'policy'",
        forged(policy, learner="os:system"): None,
    }
    for content, told in files.items():
        path.write_bytes(content)
        assert main([str(path), "random", "--runs-dir", str(tmp_path)]) == 2
        out, err = capsys.readouterr()
        assert out == ""
        assert err.startswith(f"error: {path}: ")
        assert err.count("\n") == 1
        assert told is None or err == f"error: {path}: {told}\n"
    assert not (tmp_path / "evaluations").exists()


def test_the_command_shows_nothing_that_a_terminal_would_obey(tmp_path, policy, capsys):
    odd = tmp_path / "\x1b[2J\n.safetensors"
    odd.write_bytes(forged(policy, architecture={"kind": "x" * 4000}))
    assert main([str(tmp_path), "random", "--runs-dir", str(tmp_path)]) == 2
    err = capsys.readouterr().err
    assert err.count("\n") == 1
    assert err.rstrip("\n").isprintable()
    assert len(err) < 2100
    odd.write_bytes(b"")
    assert main([str(tmp_path), "random", "--runs-dir", str(tmp_path)]) == 2
    assert capsys.readouterr().err == f"error: {tmp_path}/?[2J?.safetensors: truncated: 0 bytes\n"
