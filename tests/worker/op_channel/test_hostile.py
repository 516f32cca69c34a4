"""What an op may do to its socket: all of it costs that op alone."""

from __future__ import annotations

import json
import select
import socket
import time
from contextlib import suppress

import pytest

from gyoza_tui.worker.op_channel.attempt_channel import CONNECTIONS_MAX
from gyoza_tui.worker.op_channel.budget import BURST, PER_SECOND, READ_MAX, Budget
from gyoza_tui.worker.op_channel.connection import STUCK_S
from gyoza_tui.worker.op_channel.messages import LINE_MAX
from gyoza_tui.worker.op_channel.op_channel import SOCKET
from tests.clock import FakeClock
from tests.waiting import until
from tests.worker.op_channel.desk import Desk, Op

GARBAGE = [
    b"",
    b"null",
    b"[]",
    b"7",
    b'"hello"',
    b"{}",
    b'{"do": 7}',
    b'{"do": "shutdown"}',
    b'{"do": null, "do": ["x"]}',
    b"\xff\xfe",
    b"[" * 100_000,
    b'{"do": "submit", "what": "embed@1", "inputs": ' + b'{"a":' * 500 + b"1" + b"}" * 501,
    b'{"do": "submit", "what": "embed@1", "inputs": {"a": ' + b"9" * 5000 + b"}}",
    b'{"do": "submit", "what": "embed@1", "inputs": {"a": "\\ud800"}}',
    b'{"do": "submit", "what": "embed@1", "nth": 1e400}',
    b'{"do": "wait", "children": "abc"}',
    b'{"do": "wait", "children": ["a"], "until": "never"}',
    b'{"do": "wait", "children": ["a"], "timeout_s": NaN}',
    json.dumps({"do": "wait", "children": ["a"] * 10_001}).encode(),
    json.dumps({"do": "state", "child": "x" * 300}).encode(),
    b'{"do": "state", "child": {"$ne": 1}}',
]


@pytest.mark.parametrize("line", GARBAGE, ids=lambda line: line[:30].decode(errors="replace"))
def test_garbage_is_refused_in_words_and_asks_nothing(line: bytes, desk: Desk) -> None:
    with desk.op() as op:
        op.socket.sendall(line + b"\n")
        refused = op.answer()
        assert (refused["ok"], refused["error"]) == (False, "refused")
        assert op.ask("hello")["ok"]
    assert desk.server.scripted.requests == []


def test_a_line_without_an_end_is_hung_up_on(desk: Desk) -> None:
    with desk.op() as op:
        with suppress(OSError):
            op.socket.sendall(b"x" * (LINE_MAX + 1_000_000))
        with suppress(OSError):
            assert "at most" in op.answer()["words"]
        with pytest.raises((EOFError, OSError)):
            op.ask("hello")
    with desk.op_again() as op:
        assert op.ask("hello")["ok"]


def test_the_largest_inputs_are_taken(desk: Desk) -> None:
    with desk.op() as op:
        assert op.ask("submit", what="embed@1", inputs={"a": "x" * 1_048_000})["ok"]
        assert "larger than 1024 KiB" in op.ask("submit", what="embed@1", inputs={"a": "x" * 1_100_000})["words"]


def test_half_a_line_keeps_no_other_connection_waiting(desk: Desk) -> None:
    with desk.op() as slow:
        slow.socket.sendall(b'{"do": "hel')
        with desk.op_again() as op:
            assert op.ask("hello")["ok"]
        slow.socket.sendall(b'lo"}\n')
        assert slow.answer()["ok"]


def test_many_lines_at_once_are_answered_in_order(desk: Desk) -> None:
    with desk.op() as op:
        op.socket.sendall(b"garbage\n" * 500 + b'{"do": "hello"}\n')
        answers = [op.answer()["ok"] for _ in range(501)]
    assert answers == [False] * 500 + [True]


def test_connections_over_the_limit_are_turned_away_until_one_is_closed(desk: Desk) -> None:
    path = desk.variables(desk.row())[SOCKET]
    ops = [Op(path) for _ in range(CONNECTIONS_MAX)]
    assert all(op.ask("hello")["ok"] for op in ops)
    with Op(path) as turned_away:
        assert turned_away.answer()["error"] == "busy"
        with pytest.raises(EOFError):
            turned_away.answer()
    ops[0].close()

    def gets_in() -> bool:
        with Op(path) as op, suppress(OSError, EOFError):
            return bool(op.ask("hello")["ok"])
        return False

    until(gets_in, "a place is free")
    for op in ops:
        op.close()


def test_what_is_over_the_budget_waits_and_is_not_lost() -> None:
    clock = FakeClock()
    budget = Budget(clock)
    pauses = [budget.spend(0) for _ in range(BURST + PER_SECOND)]
    assert pauses[:BURST] == [0.0] * BURST
    assert pauses[-1] == pytest.approx(1.0)
    clock.turn(1.0)
    assert budget.spend(0) == pytest.approx(1 / PER_SECOND)
    clock.turn(3600)
    assert [budget.spend(0) for _ in range(BURST)] == [0.0] * BURST
    assert budget.spend(0) > 0, "no more is saved up"
    assert budget.spend(1_000_000) > 0.25, "a long message costs more"


def test_a_flood_of_one_op_is_paced_and_another_is_served(desk: Desk) -> None:
    with desk.op() as flood, desk.op(desk.row(key=2)) as op:
        began = time.monotonic()
        flood.socket.setblocking(False)
        with suppress(BlockingIOError):
            for _ in range(1000):
                flood.socket.sendall(b"x\n" * 1000)
        assert op.ask("hello")["ok"]
        flood.socket.settimeout(20)
        answers = [flood.answer()["ok"] for _ in range(BURST + PER_SECOND // 2)]
        assert time.monotonic() - began > 0.5 - 0.05
        assert not any(answers)


def test_an_op_that_reads_nothing_is_hung_up_on_in_the_end(desk: Desk) -> None:
    with desk.op() as op:
        child = op.ask("submit", what="embed@1")["id"]
        desk.server.end(child, outputs={"n": "x" * 5_000_000})
        op.send("state", child=child, result=True)
        until(op.is_answered, "it is being sent")
        hang_up = select.poll()
        hang_up.register(op.socket, select.POLLRDHUP)

        def is_hung_up() -> bool:
            desk.clock.turned += STUCK_S + 1
            return bool(hang_up.poll(500))

        until(is_hung_up, "the worker has hung up")


def test_answers_that_are_not_read_are_bounded(desk: Desk) -> None:
    path = desk.variables(desk.row())[SOCKET]
    ops = [Op(path) for _ in range(12)]
    child = ops[0].ask("submit", what="embed@1")["id"]
    desk.server.end(child, outputs={"n": "x" * 7_000_000})
    for op in ops:
        op.send("state", child=child, result=True)
    until(lambda: len(desk.server.scripted.of("get")) == len(ops), "all are asked")
    answers = [op.answer() for op in ops]
    refused = [answer for answer in answers if not answer["ok"]]
    assert {answer["error"] for answer in refused} == {"busy"}
    assert 4 <= len(refused) < len(ops)
    assert ops[-1].ask("state", child=child, result=True)["ok"], "there is room again"
    for op in ops:
        op.close()


def test_unfinished_lines_are_bounded_over_all_connections(desk: Desk) -> None:
    path = desk.variables(desk.row())[SOCKET]
    ops = [Op(path) for _ in range(20)]
    for op in ops:
        op.socket.settimeout(0.3)
        with suppress(OSError):
            op.socket.sendall(b"x" * (LINE_MAX - 10))

    def hung_up(op: Op) -> bool:
        try:
            return op.socket.recv(1) == b""
        except TimeoutError:
            return False
        except OSError:
            return True

    closed = sum(hung_up(op) for op in ops)
    assert closed >= len(ops) - READ_MAX // (LINE_MAX - 10) - 1
    assert closed < len(ops)
    for op in ops:
        op.close()


def test_a_socket_that_the_op_removes_or_replaces_costs_only_itself(desk: Desk) -> None:
    row = desk.row()
    path = desk.state_dir.make_run_dir(row.name) / "gyoza.sock"
    desk.variables(row)
    path.unlink()
    path.symlink_to("/etc/passwd")
    with desk.op(desk.row(key=2)) as op:
        assert op.ask("hello")["ok"]
    desk.channel.close(row.key)
    desk.state_dir.remove_run_dir(row.name)
    assert not path.exists()


def test_a_descriptor_that_an_op_sends_is_not_kept(desk: Desk) -> None:
    with desk.op() as op, socket.socketpair()[0] as near:
        socket.send_fds(op.socket, [b'{"do": "hello"}\n'], [near.fileno()])
        assert op.answer()["ok"]


def test_times_that_were_not_needed_are_forgotten(desk: Desk) -> None:
    child, other = desk.server.add("c1"), desk.server.add("c2")
    with desk.op() as op, desk.op_again() as patient:
        patient.send("wait", children=[other], timeout_s=1000)
        until(lambda: desk.waiting.calls, "it waits")
        desk.tell(child)
        for _ in range(500):
            assert op.ask("wait", children=[child], timeout_s=1_000_000)["ended"]
    assert len(desk.channel._loop._timers) <= 130
