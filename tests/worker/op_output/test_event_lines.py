"""Events are found wherever the bytes are cut; nothing else ever is one."""

from __future__ import annotations

import json
from collections.abc import Iterable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gyoza_tui.worker.op_output.event_lines import LINE_MAX, EventLines, Lines, OpEvent, parse_event

LINES = [
    b'{"type":"INFO","msg":"a"}',
    b'{"type":"PROGRESS","msg":5}\r',
    b'{"type":"ERROR","msg":"e","payload":{"k":[1]}}',
    b"plain",
    b"",
    b"{not json",
    b"{}",
    b'{"type":"COMPLETED","msg":"x"}',
    b'{"type":"INFO","msg":"' + b"y" * LINE_MAX + b'"}',
    b"[" * 5000,
]


def events_of(found: Iterable[Lines]) -> list[OpEvent]:
    """Every event of the lines, with no budget."""
    events = []
    for lines in found:
        at = lines.begin
        while at < lines.end:
            begin, at = lines.line_at(at)
            if event := lines.event(begin, at):
                events.append(event)
    return events


@settings(max_examples=300)
@given(st.lists(st.sampled_from(LINES), max_size=8), st.lists(st.integers(1, 90_000), max_size=30), st.booleans())
def test_events_are_found_wherever_the_bytes_are_cut(lines: list[bytes], cuts: list[int], ended: bool) -> None:
    data = b"\n".join(lines) + (b"\n" if ended and lines else b"")
    parser, found, at = EventLines(offset=100), [], 0
    for size in [*cuts, len(data)]:
        found += events_of(parser.feed(data[at : at + size]))
        at += size
    assert parser.offset == 100 + data.rfind(b"\n") + 1
    found += events_of(parser.finish())
    assert parser.offset == 100 + len(data)
    expected, end = [], 100
    for line in data.split(b"\n"):
        end += len(line) + 1
        if len(line) <= LINE_MAX and (event := parse_event(line, min(end, 100 + len(data)))):
            expected.append(event)
    assert found == expected


@settings(max_examples=300)
@given(st.lists(st.sampled_from(LINES), max_size=8), st.integers(0, 200_000))
def test_feeding_again_from_the_offset_repeats_and_loses_none(lines: list[bytes], cut: int) -> None:
    data = b"\n".join(lines) + b"\n"
    first = EventLines()
    found = events_of(first.feed(data[:cut]))
    again = EventLines(first.offset)
    assert found + events_of(again.feed(data[first.offset :])) == events_of(EventLines().feed(data))


@pytest.mark.parametrize(
    "line",
    [
        '{"type":"FAILED","msg":"x"}',
        '{"type":"STARTED","msg":"x"}',
        '{"type":"info","msg":"x"}',
        '{"type":"INFO"}',
        '{"type":"INFO","msg":null}',
        '{"type":"INFO","msg":["x"]}',
        '{"type":"INFO","msg":true}',
        '{"type":"INFO","msg":"x","payload":[1]}',
        '{"type":"PROGRESS","msg":"5"}',
        '{"type":"PROGRESS","msg":100.5}',
        '{"type":"PROGRESS","msg":-1}',
        '{"type":"PROGRESS","msg":NaN}',
        '{"type":["INFO"],"msg":"x"}',
        ' {"type":"INFO","msg":"x"} x',
        '[{"type":"INFO","msg":"x"}]',
        '{"type":"INFO","msg":1' + "0" * 5000 + "}",
        '{"type":"INFO","msg":"x","payload":{"a":' + "[" * 70 + "]" * 70 + "}}",
    ],
)
def test_everything_else_is_log(line: str) -> None:
    assert events_of(EventLines().feed(line.encode() + b"\n")) == []


def test_values_are_made_storable() -> None:
    (event,) = events_of(
        EventLines().feed(rb'{"type":"INFO","msg":"\ud800","payload":{"a":NaN,"b":1e999,"\udc00":1}}' + b"\n")
    )
    assert event.msg == "���"
    assert event.payload == {"a": None, "b": None, "���": 1}
    json.dumps([event.msg, event.payload], allow_nan=False).encode()


def test_a_line_without_end_is_never_kept() -> None:
    parser = EventLines()
    for _ in range(100):
        parser.feed(b"{" + b"x" * 65536)
    assert len(parser._kept) <= LINE_MAX + 1
    assert events_of(parser.feed(b'\n{"type":"INFO","msg":"after"}\n'))[0].msg == "after"
