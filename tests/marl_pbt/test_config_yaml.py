from __future__ import annotations

import time

import pytest
from config_files import SOUND, faults
from hypothesis import given, settings
from hypothesis import strategies as st

from marl_pbt.config.yaml_file import MAX_DEPTH, YAMLError, read_yaml, write_yaml

BOMB = "a: &a [x, x]\n" + "\n".join(f"{c}: &{c} [*{p}, *{p}]" for p, c in zip("abcdefg", "bcdefgh", strict=True))

NUMBERS = {
    "3e-4": 3e-4,
    "1_000_000": 1_000_000,
    "500_000.5": 500_000.5,
    "1E5": 1e5,
    ".5": 0.5,
    "5.": 5.0,
    "-1": -1,
    "+1": 1,
    "010": 10,
    "0x1F": 31,
    "0o17": 15,
}
STRINGS = ["no", "Yes", "on", "off", "1:30", "2001-01-01", "_1", "1__0", "1_", "1e", "e5", "=", "'3'", '"3e-4"', "0b11"]


@pytest.mark.parametrize("text", NUMBERS)
def test_numbers_are_those_of_yaml_1_2_and_underscores_are_allowed(text):
    value = read_yaml(f"a: {text}").value["a"]
    assert value == NUMBERS[text]
    assert type(value) is type(NUMBERS[text])


@pytest.mark.parametrize("text", STRINGS)
def test_what_only_looks_like_a_number_date_or_boolean_is_a_string(text):
    assert read_yaml(f"a: {text}").value == {"a": text.strip("'\"")}


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (BOMB, "c.yaml:1: anchors are not allowed, got &a"),
        ("a: *b", "c.yaml:1: aliases are not allowed, got *b"),
        ("a: 1\nb: !!python/object:os.system x", "c.yaml:2: tags are not allowed, got tag:yaml.org,2002:python/obj"),
        ("a: !x 1", "c.yaml:1: tags are not allowed, got !x"),
        ("a: 1\nb:\n  c: 1\n  c: 2", "c.yaml:4: key 'c' is given twice"),
        ("a: .nan", "c.yaml:1: numbers must be finite, got .nan"),
        ("a: [-.inf]", "c.yaml:1: numbers must be finite, got -.inf"),
        ("a: 1e999", "c.yaml:1: numbers must be finite, got 1e999"),
        ("a: " + "9" * 5000, "c.yaml:1: whole numbers must have at most 63 bits, got 99999"),
        ("1: a", "c.yaml:1: keys must be strings, got 1"),
        ("? [a, b]\n: c", "c.yaml:1: keys must be strings, got ['a', 'b']"),
        ("<<: {a: 1}", "c.yaml:1: keys must be strings, got '<<'"),
        ("a: [", "c.yaml:1: is not YAML: "),
        ("a: b: c", "c.yaml:1: is not YAML: mapping values are not allowed here"),
        ("a: 1\n\tb: 2", "c.yaml:2: is not YAML: "),
        ("a: 1\n---\nb: 2", "c.yaml:2: must be one document"),
        ("%YAML 1.1\n---\na: no", "c.yaml:1: must be YAML 1.2 without directives"),
        ('a: "\\ud800"', "c.yaml:1: strings must be Unicode text, got '\\ud800'"),
        ('a: "\\UFFFFFFFF"', "c.yaml:1: is not YAML: "),
        ("a: \x01", "c.yaml:1: is not YAML: "),
        (b"a: 1\nb: \xff", "c.yaml:2: must be UTF-8, got byte 0xff"),
        (b"#" * 300_000, "c.yaml: must be at most 256 KiB"),
        ("- a\n" * 30_000, "c.yaml:5000: must hold at most 5000 values"),
    ],
)
def test_what_is_not_allowed_in_a_config_is_refused_with_its_line(text, told):
    (first, *_) = faults(text)
    assert first.startswith(told)


@pytest.mark.parametrize("text", ["[" * 100_000, "{" * 100_000, "[ \n" * 60_000, "- " * 100_000, "? " * 100_000, BOMB])
def test_bombs_are_refused_at_once(text):
    began = time.process_time()
    assert faults(text)
    assert time.process_time() - began < 0.1


def test_the_depth_is_limited_and_what_is_below_the_limit_is_read():
    def nested(depth: int) -> str:
        return "".join(f"{' ' * level}a:\n" for level in range(depth))

    read_yaml(nested(MAX_DEPTH))
    with pytest.raises(YAMLError, match=f"nested at most {MAX_DEPTH} deep"):
        read_yaml(nested(MAX_DEPTH + 1))


KEYS = st.sampled_from(
    ["pbt", "stop", "hyperparameters", "interval", "population", "uniform", "initial", "a.b", "name"]
)
LEAVES = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8) | KEYS
PLAIN = st.recursive(
    LEAVES, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS | st.text(max_size=5), inner, max_size=4)
)


@settings(max_examples=150, deadline=None, derandomize=True)
@given(st.text(alphabet="ab:-[]{}&*!|>'\"%@`#,?\n\t .0123456789e\\~<=_", max_size=60))
def test_any_text_is_a_config_or_refused_line_by_line(text):
    faults(text)


@settings(max_examples=100, deadline=None, derandomize=True)
@given(st.binary(max_size=60))
def test_any_bytes_are_a_config_or_refused_line_by_line(data):
    faults(data)


@settings(max_examples=100, deadline=None, derandomize=True)
@given(
    PLAIN, st.sampled_from(["pbt", "pbt.hyperparameters", "pbt.hyperparameters.prey", "stop", "learner", "x", "a.b.c"])
)
def test_any_data_in_any_section_is_a_config_or_refused_line_by_line(data, section):
    faults(SOUND, f"{section}={write_yaml(data)}")


@settings(max_examples=100, deadline=None, derandomize=True)
@given(st.text(max_size=40))
def test_any_override_is_taken_or_refused_line_by_line(text):
    faults(SOUND, text, f"pbt.{text}", f"pbt.interval={text}")


PRINTABLE = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
FINITE = (
    st.none() | st.booleans() | st.integers(-(2**63) + 1, 2**63 - 1) | st.floats(allow_nan=False, allow_infinity=False)
)


@settings(max_examples=200, deadline=None, derandomize=True)
@given(st.dictionaries(PRINTABLE, FINITE | PRINTABLE | st.lists(FINITE | PRINTABLE, max_size=3), max_size=4))
def test_what_is_written_is_read_back_as_it_was(data):
    assert repr(read_yaml(write_yaml(data)).value) == repr(data)
