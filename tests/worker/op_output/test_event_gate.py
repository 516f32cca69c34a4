"""Floods of events are held back and counted, in order, without the time to parse them."""

from __future__ import annotations

import json
import time

import pytest

from gyoza_tui.models.limits import EVENTS_PER_ATTEMPT_MAX, MIB
from gyoza_tui.worker.op_output.event_gate import BURST, EventGate
from gyoza_tui.worker.op_output.event_lines import EventLines, OpEvent
from tests.clock import FakeClock


class Output:
    """What an op prints, and what the gate lets through."""

    def __init__(self) -> None:
        self.clock = FakeClock()
        self.gate = EventGate(self.clock)
        self._lines = EventLines()

    def prints(self, *lines: str) -> list[str | float]:
        return self.writes("".join(line + "\n" for line in lines).encode())

    def writes(self, data: bytes) -> list[str | float]:
        return _said([event for lines in self._lines.feed(data) for event in self.gate.offer(lines)])

    def due(self) -> list[str | float]:
        return _said(self.gate.due())


def _said(events: list[OpEvent]) -> list[str | float]:
    return [event.msg for event in events]


def _line(msg: str | float, kind: str | None = None, **payload: object) -> str:
    kind = kind or ("INFO" if isinstance(msg, str) else "PROGRESS")
    return json.dumps({"type": kind, "msg": msg} | ({"payload": payload} if payload else {}))


@pytest.fixture
def op() -> Output:
    return Output()


def test_progress_goes_out_once_a_second_and_the_latest_wins(op: Output) -> None:
    assert op.prints(_line(1)) == [1]
    assert op.prints(_line(2), _line(3)) == []
    assert op.gate.holds
    assert op.due() == []
    op.clock.turn(1.0)
    assert op.due() == [3]
    assert not op.gate.holds
    op.prints(_line(4))
    assert _said(op.gate.finish()) == [4]
    assert op.gate.dropped == 0


def test_a_flood_of_infos_is_dropped_and_counted(op: Output) -> None:
    assert len(op.prints(*[_line("x")] * 1000)) == BURST
    assert op.gate.dropped == 1000 - BURST
    op.clock.turn(1.0)
    assert len(op.prints(*[_line("x", "ERROR")] * 1000)) == 10
    assert op.gate.dropped == 2000 - BURST - 10


def test_events_keep_their_order(op: Output) -> None:
    printed = [_line(1), _line("a"), "plain", _line("b", "ERROR"), _line(2), _line("c")]
    assert op.prints(*printed) == [1, "a", "b", "c"]
    op.clock.turn(1.0)
    assert op.prints(_line("d"), _line(3), _line("e")) == [2, "d", "e"]


def test_the_last_progress_is_found_in_any_flood(op: Output) -> None:
    op.prints(_line(1))
    op.prints(*[_line("x")] * 5000, _line(77), *[_line("x")] * 5000)
    op.prints(*[_line("x")] * 5000)
    assert _said(op.gate.finish()) == [77]


def test_progress_and_notes_do_not_use_up_what_the_other_may_send(op: Output) -> None:
    """A server keeps the last ones of PROGRESS only, and INFO and ERROR up to the attempt's budget."""
    for percent in range(EVENTS_PER_ATTEMPT_MAX // 60_000 + 1):
        op.clock.turn(1.0)
        assert op.prints(_line(percent, rows="x" * 60_000)) == [percent]
    passed = 0
    while not op.gate.dropped:
        op.clock.turn(10.0)
        passed += sum(len(str(msg)) for msg in op.prints(_line("x" * 60_000)))
    assert EVENTS_PER_ATTEMPT_MAX - 61_000 < passed <= EVENTS_PER_ATTEMPT_MAX
    op.prints(*[_line("y" * 1000)] * 100)
    for percent in range(20):
        op.clock.turn(1.0)
        assert op.prints(_line(percent)) == [percent]


_ALMOST = {
    "no message": '{"type":"INFO","msg":null}',
    "another key": '{"type":"INFO","message":"hello"}',
    "a logger": '{"level":"INFO","type":"access","msg":"GET /"}',
    "another type": '{"type":"DEBUG","msg":"hello"}',
    "cut": '{"type":"INFO","msg":"hello',
    "text": 'said {"type":"INFO","msg":"hello"}',
    "progress that is none": '{"type":"PROGRESS","msg":"fast"}',
    "a word": 'the word "INFO" and the word "PROGRESS"',
}
_FLOODS = {"INFO": _line("hello world"), "ERROR": _line("bad", "ERROR"), "PROGRESS": _line(42)} | _ALMOST


@pytest.mark.parametrize("name", list(_FLOODS))
def test_a_flood_costs_less_than_its_transport(op: Output, name: str) -> None:
    """An engine hands over some 70 MB/s; parsed, it would be some 3 MB/s."""
    flood = (_FLOODS[name].encode() + b"\n") * 8000
    pieces = 16 * MIB // len(flood)
    began = time.thread_time()
    passed = [msg for _ in range(pieces) for msg in op.writes(flood)]
    took = time.thread_time() - began
    assert took < 16 * MIB / 35e6
    assert len(passed) == {"PROGRESS": 1, "INFO": BURST, "ERROR": BURST}.get(name, 0)
    dropped = {"INFO": pieces * 8000 - BURST, "ERROR": pieces * 8000 - BURST, "another key": 0, "a logger": 0}
    assert op.gate.dropped == dropped.get(name, op.gate.dropped)


@pytest.mark.parametrize("name", ["a logger", "another key", "another type", "text", "a word"])
def test_lines_that_are_almost_events_take_no_events_place(op: Output, name: str) -> None:
    for number in range(20):
        assert op.prints(*[_ALMOST[name]] * 400, _line(f"{number}")) == [f"{number}"]
    assert op.gate.dropped == 0
