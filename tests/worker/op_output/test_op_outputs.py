"""Hostile and honest output files: each has its right end, in time, and nothing but BadOutput ever comes out."""

from __future__ import annotations

import codecs
import json
import math
import os
import pickle
import resource
import threading
import time
from collections import OrderedDict
from typing import Any

import pytest
from hypothesis import event, given, settings
from hypothesis import strategies as st

from gyoza_tui.models.limits import OUTPUTS_MAX
from gyoza_tui.models.values import check_json, json_size
from gyoza_tui.worker.op_output import pickle_child
from gyoza_tui.worker.op_output.op_outputs import BadOutput, decode_outputs


def pickled(value: Any) -> bytes:
    return pickle.dumps(value, protocol=4)


def bad(json_file: bytes | None = None, pickle_file: bytes | None = None) -> str:
    with pytest.raises(BadOutput) as caught:
        decode_outputs(json_file, pickle_file)
    return str(caught.value)


class Evil:
    def __reduce__(self) -> tuple[Any, ...]:
        return os.system, ("touch /tmp/gyoza-evil",)


def test_no_file_is_no_outputs() -> None:
    assert decode_outputs(None, None).values == {}


def test_json_wins_and_pickle_is_taken() -> None:
    assert decode_outputs(b'{"a": 1}', pickled({"a": 2})).values == {"a": 1}
    assert decode_outputs(None, pickled({"a": (1, 2.5, [None, True]), "ü": "x"})).values == {
        "a": [1, 2.5, [None, True]],
        "ü": "x",
    }


def test_json_is_taken_at_the_pickle_path() -> None:
    assert decode_outputs(None, b' {"a": 1}\n').values == {"a": 1}


@pytest.mark.parametrize("make", [pickled, lambda value: json.dumps(value).encode()])
def test_what_is_not_a_number_becomes_null_and_is_named(make: Any) -> None:
    found = decode_outputs(None, make({"loss": math.nan, "deep": {"x": [1, -math.inf]}}))
    assert found.values == {"loss": None, "deep": {"x": [1, None]}}
    assert found.notes == ("outputs.loss is nan: stored as null", "outputs.deep.x[1] is -inf: stored as null")


def test_a_flood_of_nan_is_counted() -> None:
    notes = decode_outputs(None, pickled({"x": [math.nan] * 5000})).notes
    assert len(notes) == pickle_child.NOTES_MAX + 1
    assert notes[-1].startswith(f"{5000 - pickle_child.NOTES_MAX} more")


def _itself() -> dict[str, Any]:
    value: dict[str, Any] = {}
    value["me"] = [value]
    return value


def _nested(depth: int) -> dict[str, Any]:
    value: Any = 1
    for _ in range(depth):
        value = [value]
    return {"x": value}


@pytest.mark.parametrize(
    ("value", "words"),
    [
        ({"a": {"b": b"x"}}, "outputs.a.b: bytes"),
        ({"a": [0, {1}]}, "outputs.a[1]: set"),
        ({"a": {1: 2}}, "outputs.a: the key 1 is int"),
        (_itself(), "outputs.me[0]: holds itself"),
        ({"n": 10**4999}, "outputs.n: an integer of over 4000 digits"),
        (_nested(100), "nested deeper than 64"),
        ([1, 2], "outputs is list"),
        ({"t": "\ud800"}, "outputs.t: text with a lone surrogate"),
        ({"x": complex(1, 2)}, "only plain values"),
        (OrderedDict(a=1), "only plain values"),
        ({"x": Evil()}, "names posix.system"),
        ({"x": "y" * (OUTPUTS_MAX + 1)}, "8 MiB"),
        ({"x": bytearray(5)}, ""),
    ],
    ids=[
        "bytes",
        "set",
        "key",
        "itself",
        "digits",
        "depth",
        "list",
        "surrogate",
        "complex",
        "ordered",
        "evil",
        "size",
        "bytearray",
    ],
)
def test_what_cannot_be_stored_says_where(value: Any, words: str) -> None:
    assert words in bad(None, pickled(value))
    assert not os.path.exists("/tmp/gyoza-evil")


@pytest.mark.parametrize("content", [b'{"a": 1}', b'\n {"a": 1}'])
def test_a_byte_order_mark_is_no_fault(content: bytes) -> None:
    """As editors and shells of Windows write it."""
    marked = codecs.BOM_UTF8 + content
    assert decode_outputs(marked, None).values == {"a": 1}
    assert decode_outputs(None, marked).values == {"a": 1}
    assert bad(codecs.BOM_UTF8) == "output.json is empty"


@pytest.mark.parametrize(
    ("json_file", "pickle_file"),
    [
        (b'{"n": ' + b"9" * 5000 + b"}", None),
        (b'{"n": ' + b"9" * 5000 + b', "long": "' + b"x" * 1_100_000 + b'"}', None),
        (None, b"(S'n'\nL" + b"9" * 5000 + b"L\nd."),
    ],
    ids=["json", "json_in_a_child", "pickle"],
)
def test_an_integer_that_python_does_not_read_is_named_without_its_advice(
    json_file: bytes | None, pickle_file: bytes | None
) -> None:
    words = bad(json_file, pickle_file)
    assert words.endswith("an integer of over 4000 digits")


def _shared_lists() -> bytes:
    value: Any = "x" * 50
    for _ in range(25):
        value = [value, value]
    return pickled({"x": value})


@pytest.mark.parametrize(
    "data",
    [
        b"\x80\x04Nr\xff\xff\xff\x7f.",
        b"\x80\x04N\x94r\xff\xff\xff\xff.",
        b"(" * 1_000_000,
        b"]" + b"]a" * 10 + b"." + b"x" * 100,
        _shared_lists(),
        b"\x80\x04\x8d\xff\xff\xff\xff\xff\xff\xff\x7f.",
        b"cos\nsystem\n(S'id'\ntR.",
        b"\x82\x01.",
        b"Pabc\n.",
        b"",
        b".",
        b"\x00" * 100,
        b"N.",
        b'{"a": ' + b"[" * 200_000,
        b"[" * 2_000_000,
        b'{"a": ' + b"9" * 5000 + b"}",
        b'{"a": "\xff"}',
        b'{"a": ' + b"[" * 500_000 + b"]" * 500_000 + b"}" + b" " * 1_100_000,
        b"\x80\x04" + b"\x8a\xff" * 100,
    ],
    ids=[str(i) for i in range(19)],
)
def test_hostile_bytes_are_bad_output_and_quick(data: bytes) -> None:
    started = time.monotonic()
    assert bad(None, data).startswith("output.pkl")
    assert time.monotonic() - started < 40


def test_a_memory_bomb_costs_this_process_nothing() -> None:
    """Nine bytes that ask for gigabytes: other threads go on, and this process does not grow."""
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    gaps: list[float] = []
    over = threading.Event()

    def tick() -> None:
        last = time.monotonic()
        while not over.wait(0.01):
            gaps.append(time.monotonic() - last)
            last = time.monotonic()

    ticking = threading.Thread(target=tick)
    ticking.start()
    bad(None, b"\x80\x04Nr\xff\xff\xff\x7f.")
    over.set()
    ticking.join()
    assert max(gaps) < 3.0
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 50_000


def test_big_honest_json_and_pickle_pass() -> None:
    values = {"x": ["é" * 1000] * 2000, "n": list(range(100_000))}
    assert decode_outputs(json.dumps(values).encode(), None).values == values
    assert decode_outputs(None, pickled(values)).values == values


def test_too_big_json_is_bad() -> None:
    assert "8 MiB" in bad(json.dumps({"x": ["a" * 1000] * 9000}).encode())


def test_empty_json_file_is_named() -> None:
    assert bad(b"") == "output.json is empty"
    assert "not a JSON object" in bad(b"hello")


plain = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.binary(max_size=3),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5) | st.integers(), inner, max_size=4),
    max_leaves=20,
)


def judged(data: bytes) -> None:
    """Either Bad with words, or values that may be stored."""
    try:
        found = pickle_child.outputs_of(data, OUTPUTS_MAX)
    except pickle_child.Bad:
        return
    check_json(found["values"])
    assert json_size(found["values"]) <= OUTPUTS_MAX


@settings(max_examples=300)
@given(plain)
def test_any_value_is_stored_or_refused_in_words(value: Any) -> None:
    judged(pickled({"x": value}))


@settings(max_examples=300)
@given(plain, st.integers(1, 200), st.binary(max_size=3))
def test_any_damaged_json_is_stored_or_refused_in_words(value: Any, at: int, junk: bytes) -> None:
    text = json.dumps({"x": value}, default=str, skipkeys=True).encode()
    judged(text[:at] + junk + text[at + len(junk) :])


@settings(max_examples=300)
@given(st.binary(max_size=400).map(lambda data: b"{" + data) | st.binary(max_size=50))
def test_any_bytes_as_json_end_well(data: bytes) -> None:
    try:
        check_json(decode_outputs(data, None).values)
    except BadOutput as error:
        event(type(error).__name__)


@settings(max_examples=25)
@given(st.binary(max_size=200) | plain.map(pickled).map(lambda data: data[:-3] + b"\xff" + data[-2:]))
def test_any_bytes_in_the_child_end_well(data: bytes) -> None:
    try:
        found = decode_outputs(None, data)
    except BadOutput:
        return
    check_json(found.values)
