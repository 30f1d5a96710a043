"""A pickle of weights is read as the table that it is; what it could be else is refused before it costs anything."""

import contextlib
import os
import time

import numpy as np
import pytest
from gymnasium import spaces

from agents.ppo.importing.faults import ForeignFileError
from agents.ppo.importing.pickles import MAX_PICKLE_BYTES, tensors_in
from tests.agents.foreign_zips import as_weights, entries_of, refusal, saved, taken_in, with_pickle
from tests.agents.portable_policies import portable, settings_of

FLAT = spaces.Box(-1.0, 1.0, (5,), np.float32)
SHAPES = {"action_net.weight": (9, 5), "action_net.bias": (9,), "value_net.weight": (1, 5), "value_net.bias": (1,)}
NOTHING = b"ccollections\nOrderedDict\n)R"


def text(word):
    return b"X" + len(word).to_bytes(4, "little") + word.encode()


def number(value):
    return b"J" + value.to_bytes(4, "little", signed=True)


def parts(*each):
    return b"(" + b"".join(each) + b"t"


def numbers(*values):
    return parts(*map(number, values))


LENGTH, START, SHAPE, STRIDES, REST = number(45), number(0), numbers(9, 5), numbers(5, 1), b"\x89" + NOTHING


def storage(key="0", length=LENGTH, name=b"ctorch\nFloatStorage\n", kind="storage"):
    return parts(text(kind), name, text(key), text("cpu"), length) + b"Q"


STORAGE = storage()


def tensor(storage=STORAGE, offset=START, shape=SHAPE, strides=STRIDES, rest=REST):
    return b"ctorch._utils\n_rebuild_tensor_v2\n" + parts(storage, offset, shape, strides, rest) + b"R"


def table(**tensors):
    """As `torch.save` writes a dict; an `OrderedDict` has attributes besides."""
    return b"\x80\x02}(" + b"".join(text(name) + each for name, each in tensors.items()) + b"u."


def weights(**changed):
    """Those of `SHAPES`, each in the storage that has its place, but for the one that is given."""
    made = {}
    for key, (name, shape) in enumerate(SHAPES.items()):
        strides = [int(np.prod(shape[place + 1 :])) for place in range(len(shape))]
        stored = storage(str(key), number(int(np.prod(shape))))
        made[name] = tensor(stored, shape=numbers(*shape), strides=numbers(*strides))
    return table(**{**made, "action_net.weight": tensor(**changed)})


def fault_of(pickled):
    with pytest.raises(ForeignFileError) as refused:
        tensors_in(pickled)
    assert "\n" not in str(refused.value) and len(str(refused.value)) < 250
    return str(refused.value)


def linear(tmp_path):
    policy = portable(FLAT, {"pi": [], "vf": []}, activation="tanh")
    return policy, saved(tmp_path, policy)


def test_a_table_written_by_hand_comes_in(tmp_path):
    policy, path = linear(tmp_path)
    tensors = taken_in(with_pickle(path, weights()), FLAT, **settings_of(policy))
    assert all(tensors[name].tobytes() == array.tobytes() for name, array in policy.tensors.items())


BEYOND, STEPS = "a tensor reaches beyond its storage", "must be contiguous"
TENSORS = [
    ({"shape": numbers(2**30, 2**30), "strides": numbers(0, 0)}, BEYOND),
    ({"shape": numbers(*8 * [2**31 - 1]), "strides": numbers(*8 * [0])}, BEYOND),
    ({"shape": numbers(10, 5)}, BEYOND),
    ({"offset": number(1)}, BEYOND),
    ({"offset": number(-1)}, BEYOND),
    ({"shape": numbers(-9, -5)}, BEYOND),
    ({"shape": numbers(0, 2**31 - 1)}, BEYOND),
    ({"strides": numbers(0, 1)}, STEPS),
    ({"strides": numbers(1, 9)}, STEPS),
    ({"strides": numbers(-5, 1)}, STEPS),
    ({"strides": numbers(5)}, STEPS),
    ({"shape": numbers(45), "strides": numbers(2)}, STEPS),
    ({"shape": numbers(*9 * [1])}, "its pickle nests more than weights do"),
    ({"shape": parts(numbers(9, 5))}, "its pickle nests more than weights do"),
    ({"shape": parts(b"\x88", number(5))}, "its pickle is broken"),
    ({"offset": b"\x89"}, "its pickle is broken"),
    ({"rest": b"\x89"}, "its pickle is broken"),
    ({"rest": b"\x89" + NOTHING + b"}"}, "its pickle is broken"),
    ({"rest": b"\x89}" + text("hook") + b"K\x01s"}, "its pickle is broken"),
    ({"storage": number(45)}, "its pickle is broken"),
    ({"storage": storage(length=number(-45))}, "its pickle is broken"),
    ({"storage": storage(length=b"\x89")}, "its pickle is broken"),
    ({"storage": storage(key="../data.pkl")}, "its pickle is broken"),
    ({"storage": storage(kind="module")}, "its pickle is broken"),
    ({"storage": storage(name=text("FloatStorage"))}, "its pickle is broken"),
    ({"storage": storage(name=b"ctorch\nDoubleStorage\n")}, "names 'torch DoubleStorage', which weights do not need"),
]


@pytest.mark.parametrize(("changed", "fault"), TENSORS, ids=str)
def test_a_tensor_that_its_storage_does_not_hold_in_a_row_is_refused(changed, fault):
    assert fault in fault_of(weights(**changed))


def test_storages_are_as_long_as_their_records_and_no_larger_than_the_settings_need(tmp_path):
    policy, path = linear(tmp_path)
    faults = {
        number(46): "its record data/0 must have 184 bytes, has 180",
        number(2**31 - 1): "its storages must have at most 16777456 bytes, have 8589934648",
    }
    for length, fault in faults.items():
        changed = weights(storage=storage(length=length))
        assert fault in refusal(with_pickle(path, changed), FLAT, **settings_of(policy))


PICKLES = [
    (b"\x80\x02}" + b")" + 20 * b"q\x00h\x00\x86" + b"K\x01s.", "its pickle nests more than weights do"),
    (b"\x80\x02})K\x01s.", "has a dict with keys that are no strings"),
    (b"\x80\x02}K\x07K\x01s.", "has a dict with keys that are no strings"),
    (b"\x80\x02cbuiltins\nbytearray\n\x8a\x05\x00\x00\x00\x00\x10\x85R.", "names 'builtins bytearray', which"),
    (b"\x80\x02cposix\nmkdir\n.", "names 'posix mkdir', which weights do not need"),
    (b"\x80\x02c" + b"a" * 2**16 + b"\nmkdir\n.", "aaaaaa, which weights do not need"),
    (b"\x80\x02c\xc3\xa9\nmkdir\n.", "its pickle is broken"),
    (b"\x80\x04\x8c\x05posix\x8c\x05mkdir\x93.", "uses SHORT_BINUNICODE, which weights do not need"),
    (b"\x80\x02(iposix\nmkdir\n.", "uses INST, which weights do not need"),
    (b"\x80\x02\x82\x01.", "uses EXT1, which weights do not need"),
    (b"\x80\x02\x8b\xff\xff\xff\x7f.", "its pickle is broken"),
    (b"\x80\x02\x8d" + b"\xff" * 7 + b"\x7f.", "its pickle is broken"),
    (b"\x80\x02X\xff\xff\xff\xffa.", "its pickle is broken"),
    (b"\x80\x02L" + b"9" * 2**16 + b"\n.", "its pickle is broken"),
    (b"\x80\x02r\xff\xff\xff\xff.", "its pickle is broken"),
    (b"\x80\x02h\x00.", "its pickle is broken"),
    (b"\x80\x02" + b"(" * 2**16 + b".", "its pickle is broken"),
    (b"\x80\x02)" + b"\x85" * 3 + b".", "its pickle nests more than weights do"),
    (b"\x80\x02(" + b")" * 9 + b"t.", "its pickle nests more than weights do"),
    (b"\x80\x02}(K\x01u.", "its pickle is broken"),
    (b"\x80\x02t.", "its pickle is broken"),
    (b"\x80\x02))R.", "its pickle is broken"),
    (b"\x80\x02" + NOTHING[:-2] + b"K\x01R.", "its pickle is broken"),
    (b"\x80\x02ctorch._utils\n_rebuild_tensor_v2\n)R.", "its pickle is broken"),
    (b"\x80\x02}K\x01b.", "its pickle is broken"),
    (b"\x80\x02K\x01}b.", "its pickle is broken"),
    (b"\x80\x02K\x01Q.", "its pickle is broken"),
    (b"\x80\x02}}.", "its pickle is broken"),
    (b"\x80\x02(}.", "its pickle is broken"),
    (b"\x80\x02}", "its pickle is broken"),
    (b"\x80\x02].", "uses EMPTY_LIST, which weights do not need"),
    (b"\x80\x02).", "holds something else than tensors by name"),
    (b"\x80\x02}q\x00" + text("itself") + b"h\x00s.", "holds something else than tensors by name"),
    (b"\x80\x02" + b"}" * MAX_PICKLE_BYTES, "its pickle must have at most 131072 bytes, has 131074"),
]


@pytest.mark.parametrize(("pickled", "fault"), PICKLES, ids=range(len(PICKLES)))
def test_a_pickle_that_is_more_than_a_table_of_tensors_is_refused(pickled, fault):
    assert fault in fault_of(pickled)


REPEATED = {
    "attributes": b"}" + b"}b" * (MAX_PICKLE_BYTES // 2 - 4),
    "memo": b"}" + b"q\x00h\x00" * (MAX_PICKLE_BYTES // 4 - 2),
    "tuples": b"(" + b"K\x01" * (MAX_PICKLE_BYTES // 2 - 4) + b"t",
    "items": b"}(" + (text("a") + b")") * (MAX_PICKLE_BYTES // 7 - 2) + b"u",
    "calls": b"ccollections\nOrderedDict\nq\x00" + b")Rh\x00" * (MAX_PICKLE_BYTES // 4 - 9),
}


@pytest.mark.parametrize("body", REPEATED.values(), ids=REPEATED)
def test_the_longest_pickle_is_read_in_no_time(body):
    assert len(body) > 0.99 * MAX_PICKLE_BYTES
    start = time.process_time()
    with contextlib.suppress(ForeignFileError):
        tensors_in(b"\x80\x02" + body + b".")
    assert time.process_time() - start < 1


def test_nothing_is_run_where_a_pickle_names_what_it_wants_called(tmp_path):
    class Marks:
        def __reduce__(self):
            return os.mkdir, (str(tmp_path / "marker"),)

    assert "mkdir', which weights do not need" in fault_of(entries_of(as_weights(Marks()))["archive/data.pkl"])
    assert not (tmp_path / "marker").exists()
