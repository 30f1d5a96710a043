"""The one format of a snapshot."""

import json
import struct
import subprocess
import sys

import numpy as np
import pytest
import safetensors.numpy
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from marl_pbt import snapshot as module
from marl_pbt.snapshot import MAX_BYTES, MAX_HEADER_BYTES, MAX_VALUES, Snapshot, SnapshotError, decode, encode

in_short = settings(max_examples=100, deadline=None, derandomize=True)
SMALL = Snapshot(
    {"kind": "policy", "hyperparameters": {"learning_rate": 1e-3}, "name": "größer"},
    {"policy/w": np.arange(3, dtype=np.float32), "policy/empty": np.zeros((0, 4), np.int8), "n": np.array(5)},
)


def assert_same(one, other):
    assert {**one.metadata, "schema": 1} == {**other.metadata, "schema": 1}
    assert one.tensors.keys() == other.tensors.keys()
    for name, array in one.tensors.items():
        assert array.dtype == other.tensors[name].dtype and array.shape == other.tensors[name].shape
        assert array.tobytes() == other.tensors[name].tobytes()


def with_header(header, payload=b""):
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + payload


# ------------------------------------------------------------------------------------ there and back


@in_short
@given(
    tensors=st.dictionaries(
        st.text(st.characters(codec="ascii", categories=["L", "N", "P"]), min_size=1, max_size=8).filter(
            lambda name: name != "__metadata__"
        ),
        hnp.arrays(
            st.sampled_from(["f8", "f4", "f2", "i8", "i4", "i2", "i1", "u8", "u4", "u2", "u1", "?"]),
            hnp.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=4),
        ),
        max_size=5,
    )
)
def test_arrays_of_every_dtype_and_shape_come_back_bit_for_bit(tensors):
    snapshot = Snapshot({"kind": "any"}, tensors)
    assert_same(decode(encode(snapshot)), snapshot)


def test_not_a_number_keeps_its_bits_in_an_array():
    odd = np.array([np.nan, np.inf, -0.0, -np.nan], np.float32)
    assert decode(encode(Snapshot({}, {"odd": odd}))).tensors["odd"].tobytes() == odd.tobytes()


def test_arrays_that_are_not_contiguous_are_written_as_they_look():
    array = np.arange(24).reshape(4, 6)[::2, ::-3].T
    assert_same(decode(encode(Snapshot({}, {"a": array}))), Snapshot({}, {"a": np.ascontiguousarray(array)}))


def test_what_was_decoded_can_be_written_to():
    array = decode(encode(SMALL)).tensors["policy/w"]
    array += 1
    assert array.tolist() == [1.0, 2.0, 3.0]


def test_others_can_read_it_with_safetensors():
    tensors = safetensors.numpy.load(encode(SMALL))
    assert tensors["policy/w"].tolist() == [0.0, 1.0, 2.0]
    assert tensors["n"].shape == ()


def test_the_same_snapshot_gives_the_same_bytes_in_every_process():
    program = (
        "import hashlib, numpy as np; from marl_pbt.snapshot import Snapshot, encode;"
        "tensors = {name: np.arange(4, dtype='f4') for name in 'abc'};"
        "print(hashlib.sha256(encode(Snapshot({'x': 1, 'y': 2}, tensors))).hexdigest())"
    )
    digests = {
        subprocess.run([sys.executable, "-c", program], capture_output=True, check=True).stdout for _ in range(3)
    }
    assert len(digests) == 1


def test_the_order_in_which_arrays_were_named_makes_no_difference():
    backwards = Snapshot(dict(reversed(SMALL.metadata.items())), dict(reversed(SMALL.tensors.items())))
    assert encode(backwards) == encode(SMALL)


# ------------------------------------------------------------------------------------ what is not written


@pytest.mark.parametrize("array", [np.zeros(2, ">f4"), np.zeros(2, "c8"), np.array(["a"]), np.array([None])])
def test_an_array_that_no_snapshot_holds_is_refused_by_name(array):
    with pytest.raises(SnapshotError, match="'odd'"):
        encode(Snapshot({}, {"odd": array}))


def test_metadata_that_is_no_json_is_refused():
    with pytest.raises(ValueError):
        encode(Snapshot({"score": float("nan")}, {}))


def test_what_could_not_be_read_again_is_not_written(monkeypatch):
    monkeypatch.setattr(module, "MAX_BYTES", 10_000)
    with pytest.raises(SnapshotError, match="at most 10000 bytes"):
        encode(Snapshot({}, {"w": np.zeros(10_000, np.uint8)}))


# ------------------------------------------------------------------------------------ what is not read


@pytest.mark.parametrize("bit", range(8))
def test_every_flipped_bit_is_noticed(bit):
    """Or makes no difference: spaces in the header. Never another exception, never another content."""
    whole = encode(SMALL)
    for place in range(len(whole)):
        damaged = bytearray(whole)
        damaged[place] ^= 1 << bit
        try:
            found = decode(bytes(damaged))
        except SnapshotError:
            continue
        assert_same(found, SMALL)


def test_a_truncated_snapshot_is_noticed_at_every_length():
    whole = encode(SMALL)
    for length in range(len(whole)):
        with pytest.raises(SnapshotError):
            decode(whole[:length])


def test_bytes_too_many_are_noticed():
    with pytest.raises(SnapshotError):
        decode(encode(SMALL) + b"\0")


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "truncated"),
        (b"PK\x03\x04" + b"\0" * 100, "zip"),
        (b"\x80\x04\x95" + b"\0" * 100, "is a pickle, not a snapshot"),
        (struct.pack("<Q", 2**63) + b"{}", "header does not fit"),
        (struct.pack("<Q", MAX_HEADER_BYTES + 1) + b" " * (MAX_HEADER_BYTES + 1), "header does not fit"),
        (with_header(b"[" * 100_000), "strict JSON"),
        (with_header(b'{"a": NaN}'), "NaN is not JSON"),
        (with_header(b'{"a": 1e999}'), "not finite"),
        (with_header(b'{"__metadata__": {}, "__metadata__": {}}'), "stands twice"),
        (with_header(b"\xff\xfe\xfd"), "strict JSON"),
        (with_header([]), "no such metadata"),
        (with_header({"__metadata__": 3}), "no such metadata"),
        (with_header({"w": {"dtype": "F32", "shape": [0], "data_offsets": [0, 0]}}), "no such metadata"),
        (
            with_header({"__metadata__": {"marl_pbt": '{"schema": 2}', "sha256": ""}}),
            "newer marl_pbt: schema 2, .* update it",
        ),
        (with_header({"__metadata__": {"marl_pbt": "[1]", "sha256": ""}}), "schema must be a whole number from 1"),
        (with_header({"__metadata__": {"marl_pbt": '{"schema": 1, "a": NaN}', "sha256": ""}}), "NaN is not JSON"),
        (with_header({"__metadata__": {"marl_pbt": '{"schema": 1}'}}), "there must be a SHA-256, and nothing else"),
        (with_header({"__metadata__": {"marl_pbt": '{"schema": 1}', "sha256": "", "a": ""}}), "nothing else"),
        (with_header({"__metadata__": {"marl_pbt": '{"schema": 1}', "sha256": ""}}), "SHA-256 does not fit"),
        (with_header(b"[" * 20 + b"]" * 20), "nested at most 16 deep"),
        (with_header({"a": [0] * 250_000}), "at most 250000 values"),
    ],
)
def test_what_is_no_snapshot_is_refused_with_the_reason(data, message):
    with pytest.raises(SnapshotError, match=message):
        decode(data)


def test_an_array_of_another_size_than_it_says_is_refused():
    metadata = {"__metadata__": {"marl_pbt": '{"schema": 1}', "sha256": ""}}
    for shape, offsets in (([4], [0, 4]), ([-1], [0, 4]), ([2**62, 8], [0, 4]), ([1], [4, 8]), ([1], [0, 2**63])):
        with pytest.raises(SnapshotError):
            decode(with_header({**metadata, "w": {"dtype": "F32", "shape": shape, "data_offsets": offsets}}, b"\0" * 4))


def test_a_dtype_that_no_snapshot_of_ours_has_is_refused():
    metadata = {"__metadata__": {"marl_pbt": '{"schema": 1}', "sha256": ""}}
    with pytest.raises(SnapshotError, match="BF16"):
        decode(with_header({**metadata, "w": {"dtype": "BF16", "shape": [1], "data_offsets": [0, 2]}}, b"\0" * 2))


def test_an_empty_array_of_absurd_shape_is_refused_without_a_crash():
    metadata = {"__metadata__": {"marl_pbt": '{"schema": 1}', "sha256": ""}}
    for shape in ([0, 2**62, 2**62], [2**63, 0], [0] * 100):
        with pytest.raises(SnapshotError):
            decode(with_header({**metadata, "w": {"dtype": "F32", "shape": shape, "data_offsets": [0, 0]}}))


def test_what_is_too_large_is_refused_before_it_is_looked_at():
    with pytest.raises(SnapshotError, match="at most"):
        decode(bytes(MAX_BYTES + 1))


def test_a_header_whose_length_reads_like_the_beginning_of_a_zip_is_a_snapshot_all_the_same():
    """19280 is `50 4b` in little-endian: about one checkpoint in 800 begins so."""
    bare = len(encode(Snapshot({"padding": ""}, {}))) - 8
    padding = 19280 - bare
    data = encode(Snapshot({"padding": "x" * padding}, {}))
    assert data[:2] == b"PK"
    assert decode(data).metadata["padding"] == "x" * padding


# ------------------------------------------------------------------------------------ other schemas


def test_an_older_schema_is_read_by_its_migrations_one_after_the_other(monkeypatch):
    """As from a later version: two steps, the second of which finds what the first has made."""
    data = encode(SMALL)
    monkeypatch.setattr(module, "SCHEMA", 3)
    renamed = {1: ("name is title", lambda said: {**said, "schema": 2, "title": said["name"]})}
    monkeypatch.setattr(module, "MIGRATIONS", {**renamed, 2: ("titles are loud", _louder)})
    found = decode(data)
    assert (found.metadata["schema"], found.metadata["title"]) == (3, "GRÖSSER")
    assert found.tensors["policy/w"].tolist() == [0.0, 1.0, 2.0]


def test_what_a_migration_cannot_read_is_damaged_and_the_migration_is_named(monkeypatch):
    data = encode(Snapshot({"kind": "policy"}, {}))
    monkeypatch.setattr(module, "SCHEMA", 2)
    monkeypatch.setattr(module, "MIGRATIONS", {1: ("titles are loud", _louder)})
    with pytest.raises(SnapshotError, match=r"schema 1 cannot be read as 2 \(titles are loud\): 'title'"):
        decode(data)


def test_every_older_schema_has_a_migration():
    assert list(module.MIGRATIONS) == list(range(1, module.SCHEMA))


def _louder(said):
    return {**said, "schema": 3, "title": said["title"].upper()}


# ------------------------------------------------------------------------------------ what could not be read again


def nested(depth):
    value = 0
    for _ in range(depth):
        value = {"in": value}
    return value


@pytest.mark.parametrize("wrap", [dict, lambda value: {"of": (value,)}])
def test_metadata_is_written_only_as_deep_as_it_can_be_read(wrap):
    deepest = max(depth for depth in range(1, 30) if _is_written(wrap(nested(depth))))
    decode(encode(Snapshot(wrap(nested(deepest)), {})))
    with pytest.raises(SnapshotError, match="nested at most 16 deep"):
        encode(Snapshot(wrap(nested(deepest + 1)), {}))


def _is_written(metadata):
    try:
        encode(Snapshot(metadata, {}))
    except SnapshotError:
        return False
    return True


def test_no_more_values_are_written_than_can_be_read():
    encoded = encode(Snapshot({"many": [0] * (MAX_VALUES - 100)}, {}))
    assert len(decode(encoded).metadata["many"]) == MAX_VALUES - 100
    with pytest.raises(SnapshotError, match=f"at most {MAX_VALUES} values"):
        encode(Snapshot({"many": [0] * (MAX_VALUES + 1)}, {}))
