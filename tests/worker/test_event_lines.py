"""Events are found wherever the bytes are cut; nothing else ever is one; floods are held back and counted."""

from __future__ import annotations

import json
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gyoza_tui.models.limits import EVENTS_PER_ATTEMPT_MAX
from gyoza_tui.models.states import EventType
from gyoza_tui.worker.event_lines import BURST, LINE_MAX, EventGate, EventLines, OpEvent, parse_event
from tests.clock import FakeClock

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


@settings(max_examples=300, deadline=None)
@given(st.lists(st.sampled_from(LINES), max_size=8), st.lists(st.integers(1, 90_000), max_size=30), st.booleans())
def test_events_are_found_wherever_the_bytes_are_cut(lines: list[bytes], cuts: list[int], ended: bool) -> None:
    data = b"\n".join(lines) + (b"\n" if ended and lines else b"")
    parser, found, at = EventLines(offset=100), [], 0
    for size in [*cuts, len(data)]:
        found += parser.feed(data[at : at + size])
        at += size
    assert parser.offset == 100 + data.rfind(b"\n") + 1
    found += parser.finish()
    assert parser.offset == 100 + len(data)
    expected, end = [], 100
    for line in data.split(b"\n"):
        end += len(line) + 1
        if len(line) <= LINE_MAX and (event := parse_event(line, min(end, 100 + len(data)))):
            expected.append(event)
    assert found == expected


@settings(max_examples=300, deadline=None)
@given(st.lists(st.sampled_from(LINES), max_size=8), st.integers(0, 200_000))
def test_feeding_again_from_the_offset_repeats_and_loses_none(lines: list[bytes], cut: int) -> None:
    data = b"\n".join(lines) + b"\n"
    first = EventLines()
    found = first.feed(data[:cut])
    again = EventLines(first.offset)
    assert found + again.feed(data[first.offset :]) == EventLines().feed(data)


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
    assert EventLines().feed(line.encode() + b"\n") == []


def test_values_are_made_storable() -> None:
    (event,) = EventLines().feed(rb'{"type":"INFO","msg":"\ud800","payload":{"a":NaN,"b":1e999,"\udc00":1}}' + b"\n")
    assert event.msg == "���"
    assert event.payload == {"a": None, "b": None, "���": 1}
    json.dumps([event.msg, event.payload], allow_nan=False).encode()


def test_a_line_without_end_is_never_kept() -> None:
    parser = EventLines()
    for _ in range(100):
        parser.feed(b"{" + b"x" * 65536)
    assert len(parser._kept) <= LINE_MAX + 1
    assert parser.feed(b'\n{"type":"INFO","msg":"after"}\n')[0].msg == "after"


def test_a_flood_of_plain_lines_costs_little() -> None:
    """Measured: 20 million plain lines/s, 100,000 events/s."""
    data = (b"x" * 59 + b"\n") * 200_000
    started = time.perf_counter()
    assert EventLines().feed(data) == []
    assert time.perf_counter() - started < 1


def event(kind: EventType, msg: str | float, size: int = 10) -> OpEvent:
    return OpEvent(kind, msg, None, 0, size)


def test_progress_goes_out_once_a_second_and_the_latest_wins() -> None:
    clock = FakeClock()
    gate = EventGate(clock)
    assert [e.msg for e in gate.offer([event(EventType.PROGRESS, 1)])] == [1]
    assert gate.offer([event(EventType.PROGRESS, 2), event(EventType.PROGRESS, 3)]) == []
    assert gate.holds
    assert gate.due() == []
    clock.turn(1.0)
    assert [e.msg for e in gate.due()] == [3]
    assert not gate.holds
    gate.offer([event(EventType.PROGRESS, 4)])
    assert [e.msg for e in gate.finish()] == [4]
    assert gate.dropped == 0


def test_a_flood_of_infos_is_dropped_and_counted() -> None:
    clock = FakeClock()
    gate = EventGate(clock)
    assert len(gate.offer([event(EventType.INFO, "x")] * 1000)) == BURST
    assert gate.dropped == 1000 - BURST
    clock.turn(1.0)
    assert len(gate.offer([event(EventType.ERROR, "x")] * 1000)) == 10


def test_one_attempt_stays_below_what_a_server_keeps() -> None:
    clock = FakeClock()
    gate = EventGate(clock)
    passed = 0
    for _ in range(200):
        clock.turn(100.0)
        passed += sum(e.size for e in gate.offer([event(EventType.INFO, "x", 60_000)]))
    assert EVENTS_PER_ATTEMPT_MAX - 60_000 < passed <= EVENTS_PER_ATTEMPT_MAX
    assert gate.dropped
