"""Hostile outputs: each has its right end, and none costs the worker its memory or its time."""

from __future__ import annotations

import contextlib
import io
import json
import pickle
import resource
import struct
import threading
import time
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gyoza_tui.models.limits import JSON_DEPTH_MAX
from gyoza_tui.models.values import check_json
from gyoza_tui.worker.op_outputs import IN_PROCESS_MAX, BadOutput, DecodedOutputs, decode_outputs

GOOD: dict[str, Any] = {"label": "cat", "n": 3, "p": 0.5, "ok": True, "none": None, "list": [1, {"a": []}]}


def _long(value: bytes) -> bytes:
    """The same JSON, too long to be decoded in this process."""
    return value + b" " * (IN_PROCESS_MAX + 1)


def _words_only(value: object) -> str:
    """Test ids without the hostile bytes."""
    return value if isinstance(value, str) else "-"


def test_both_formats_and_no_file() -> None:
    as_json = json.dumps(GOOD).encode()
    assert decode_outputs(as_json, None).values == GOOD
    assert decode_outputs(_long(as_json), None).values == GOOD
    assert decode_outputs(None, pickle.dumps(GOOD)).values == GOOD
    assert decode_outputs(None, as_json).values == GOOD, "JSON in the pickle's place"
    assert decode_outputs(b'{"from": "json"}', pickle.dumps(GOOD)).values == {"from": "json"}
    assert decode_outputs(None, None) == DecodedOutputs({})


def test_a_tuple_is_a_list_and_nan_is_null_with_a_word() -> None:
    decoded = decode_outputs(None, pickle.dumps({"shape": (2, 3), "loss": [1.0, float("nan")]}))
    assert decoded.values == {"shape": [2, 3], "loss": [1.0, None]}
    assert decoded.notes == ("outputs.loss[1] was NaN or infinite and became null",)
    assert decode_outputs(b'{"x": Infinity}', None).values == {"x": None}


def _self_reference() -> bytes:
    value: dict[str, Any] = {}
    value["me"] = value
    return pickle.dumps(value)


def _shared_lists() -> bytes:
    value: Any = ["x" * 10]
    for _ in range(40):
        value = [value, value]
    return pickle.dumps({"bomb": value})


class _Exec:
    def __reduce__(self) -> tuple[Any, tuple[str]]:
        return (exec, ("import os; os._exit(0)",))


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (pickle.dumps({"x": _Exec()}), "builtins.exec"),
        (b"\x80\x04\x8e" + struct.pack("<Q", 3 << 30)[:6], "not a pickle"),
        (b"\x80\x04\x8e" + struct.pack("<Q", 1 << 62), "outputs:"),
        (_shared_lists(), "outputs"),
        (_self_reference(), "nested deeper"),
        (pickle.dumps({"x": {1, 2}}), "outputs.x: set"),
        (pickle.dumps({"x": b"raw"}), "outputs.x: bytes"),
        (pickle.dumps({"x": {1: "a"}}), "the key 1 is int"),
        (pickle.dumps({"x": 10**5000}), "digits"),
        (pickle.dumps([1, 2]), "not a dict"),
        (pickle.dumps({"x": "\ud800"}), "surrogate"),
        (b"", "not a pickle"),
        (b"garbage", "not a pickle"),
        (b"[" * 200_000, "outputs"),
    ],
    ids=_words_only,
)
def test_hostile_pickles(data: bytes, words: str) -> None:
    with pytest.raises(BadOutput) as error:
        decode_outputs(None, data)
    assert words in str(error.value)


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b'{"x": ' + b"9" * 5000 + b"}", "outputs"),
        (b'{"a":' * (JSON_DEPTH_MAX + 2) + b"1" + b"}" * (JSON_DEPTH_MAX + 2), "nested"),
        (b'{"x":' + b"[" * 200_000 + b"]" * 200_000 + b"}", "deep"),
        (b'{"x": "' + b"a" * 9_000_000 + b'"}', "larger than"),
        (b'{"x": "\\ud800"}', "surrogate"),
        (b"[1]", "not a dict"),
        (b"\xff\xfe", "not JSON"),
        (b"", "not JSON"),
    ],
    ids=_words_only,
)
def test_hostile_json(data: bytes, words: str) -> None:
    with pytest.raises(BadOutput) as error:
        decode_outputs(data, None)
    assert words in str(error.value)


def test_a_memory_bomb_stays_in_the_child() -> None:
    """Nine bytes that ask for gigabytes: other threads go on, and this process does not grow."""
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    gaps, over = [], threading.Event()

    def tick() -> None:
        last = time.monotonic()
        while not over.wait(0.01):
            now = time.monotonic()
            gaps.append(now - last)
            last = now

    ticking = threading.Thread(target=tick)
    ticking.start()
    with pytest.raises(BadOutput):
        decode_outputs(None, b"\x80\x04\x8e" + struct.pack("<Q", 3 << 30) + b"x" * 100)
    over.set()
    ticking.join()
    assert max(gaps) < 1.0
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 50 * 1024


@settings(max_examples=150, deadline=None)
@given(st.binary(max_size=400))
def test_no_bytes_raise_anything_else(data: bytes) -> None:
    with contextlib.suppress(BadOutput):
        check_json(decode_outputs(data, None).values)


@settings(max_examples=25, deadline=None)
@given(st.binary(max_size=200), st.integers(0, 5))
def test_no_pickle_raises_anything_else(tail: bytes, protocol: int) -> None:
    start = io.BytesIO(pickle.dumps(GOOD, protocol=protocol)).read(30)
    with contextlib.suppress(BadOutput):
        check_json(decode_outputs(None, start + tail).values)
