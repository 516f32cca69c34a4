"""Waiting for children, and asking after one, on the socket."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from gyoza_tui.models.nested import MaySubmit
from gyoza_tui.worker.op_channel.op_channel import SOCKET
from tests.scripted_server import SERVER_ID, Reply, refusal
from tests.waiting import until
from tests.worker.op_channel.desk import Desk, Op


def children(op: Op, number: int) -> list[str]:
    return [op.ask("submit", what="embed@1", key=str(n))["id"] for n in range(number)]


def test_a_wait_gives_up_the_slot_until_its_children_have_ended(desk: Desk) -> None:
    with desk.op() as op:
        made = children(op, 3)
        op.send("wait", children=made)
        until(lambda: desk.waiting.calls, "it waits")
        assert desk.channel.waited_for(SERVER_ID) == {"parent": 0}
        assert desk.wake.is_set()
        desk.tell(made[0])
        desk.tell(made[1], "FAILED")
        assert not op.is_answered()
        desk.tell(made[2], "CANCELLED")
        states = ["COMPLETED", "FAILED", "CANCELLED"]
        assert op.answer() == {"ok": True, "ended": dict(zip(made, states, strict=True)), "left": 0}
    assert desk.waiting.calls == [("begin", 3, 3), ("count", 2), ("count", 1), ("come back",)]


def test_what_has_ended_already_is_answered_and_the_slot_is_kept(desk: Desk) -> None:
    with desk.op() as op:
        made = children(op, 2)
        for child in made:
            desk.server.end(child)
        assert set(op.ask("wait", children=made)["ended"]) == set(made)
        asked = len(desk.server.asked("/ended"))
        assert set(op.ask("wait", children=made)["ended"]) == set(made)
        assert len(desk.server.asked("/ended")) == asked, "it is known by then"
    assert desk.waiting.calls == []


def test_a_wait_goes_on_over_what_is_left_without_naming_it(desk: Desk) -> None:
    with desk.op() as op:
        made = children(op, 3)
        op.send("wait", children=made, until="first_completed")
        for left, child in zip((2, 1, 0), made, strict=True):
            until(lambda: desk.waiting.calls and desk.waiting.calls[-1][0] == "begin", "it waits")
            desk.tell(child)
            assert op.answer() == {"ok": True, "ended": {child: "COMPLETED"}, "left": left}
            op.send("wait", until="first_completed")
        assert op.answer() == {"ok": True, "ended": {}, "left": 0}
    assert [call for call in desk.waiting.calls if call[0] == "begin"] == [("begin", n, 3) for n in (3, 2, 1)]


def test_a_run_that_has_waited_stays_in_what_is_asked_for(desk: Desk) -> None:
    """It may wait again at any moment, and the request that is open then must be about it."""
    with desk.op() as op:
        made = children(op, 2)
        op.send("wait", children=made[:1])
        until(lambda: desk.waiting.calls, "it waits")
        desk.tell(made[0])
        op.answer()
        op.ask("hello")
        assert desk.channel.waited_for(SERVER_ID) == {"parent": 0}


def test_there_must_be_a_wait_that_can_go_on(desk: Desk) -> None:
    with desk.op() as op:
        assert "name the children" in op.ask("wait")["words"]


def test_a_wait_whose_time_is_over_passes_the_gate(desk: Desk) -> None:
    with desk.op() as op:
        made = children(op, 1)
        desk.waiting.gate_is_open = False
        op.send("wait", children=made, timeout_s=100)
        until(lambda: desk.waiting.calls, "it waits")
        desk.clock.turned += 101
        until(lambda: desk.waiting.at_gate, "it comes back")
        assert not op.is_answered()
        desk.waiting.at_gate[0]()
        assert op.answer() == {"ok": True, "ended": {}, "left": 1}
        desk.beat()
        op.send("wait")
        until(lambda: desk.waiting.calls[-1] == ("begin", 1, 1), "it waits again, without a limit")


def test_time_is_over_while_the_server_is_away_too(desk: Desk) -> None:
    with desk.op() as op:
        made = children(op, 1)
        desk.server.scripted.defaults["other"] = refusal(503)
        op.send("wait", children=made, timeout_s=100)
        until(lambda: desk.server.asked("/ended"), "it is looked")
        desk.clock.turned += 101
        assert op.answer() == {"ok": True, "ended": {}, "left": 1}
        assert desk.waiting.calls == [("begin", 1, 1), ("come back",)]
        assert op.ask("hello")["ok"], "what was asked for the wait answers nothing else"


def test_a_hang_up_takes_the_slot_back(desk: Desk) -> None:
    with desk.op() as op:
        made = children(op, 1)
        op.send("wait", children=made)
        until(lambda: desk.waiting.calls, "it waits")
    until(lambda: desk.waiting.calls[-1] == ("hung up",), "it is awake")


def test_the_end_of_the_attempt_hangs_up_and_asks_for_nothing(desk: Desk) -> None:
    with desk.op() as op:
        made = children(op, 1)
        op.send("wait", children=made)
        until(lambda: desk.waiting.calls, "it waits")
        desk.channel.close(1)
        with pytest.raises(EOFError):
            op.answer()
    assert desk.waiting.calls == [("begin", 1, 1)]
    until(lambda: not desk.channel.waited_for(SERVER_ID), "nothing is waited for")


def test_after_a_restart_the_op_waits_on_as_if_nothing_had_been(desk: Desk) -> None:
    child = desk.server.add("c1")
    with desk.op(desk.row(waiting_since=1.0)) as op:
        op.ask("hello")
        op.send("wait", children=[child])
        until(lambda: desk.channel.waited_for(SERVER_ID), "it is waited for")
        desk.tell(child)
        assert op.answer()["ended"] == {child: "COMPLETED"}
    assert desk.waiting.calls == [("count", 1), ("come back",)], "it had no slot all the time"


def test_after_a_restart_an_op_that_does_not_wait_again_has_its_slot(desk: Desk) -> None:
    with desk.op(desk.row(waiting_since=1.0)) as op:
        op.ask("hello")
    desk.clock.turned += 31
    until(lambda: desk.waiting.calls == [("hung up",)], "it is awake")


def test_state_result_and_failure(desk: Desk) -> None:
    with desk.op() as op:
        done, failed, cancelled = children(op, 3)
        assert op.ask("state", child=done, result=True) == {"ok": True, "id": done, "state": "PENDING", "ended": False}
        desk.server.end(done, outputs={"n": "ä"})
        payload = {"reason": "oom_killed", "message": "no memory", "exit_code": 137}
        events = [{"id": 0, "type": "FAILED", "t": "2026-03-02T20:00:00Z", "payload": payload}]
        desk.server.end(failed, "FAILED", events=events)
        desk.server.end(cancelled, "CANCELLED")
        assert op.ask("state", child=done, result=True)["outputs"] == {"n": "ä"}
        assert op.ask("state", child=failed, result=True)["failure"] == "oom_killed, exit 137: no memory"
        assert op.ask("state", child=cancelled, result=True)["failure"] == ""
        assert op.ask("state", child=failed) == {"ok": True, "id": failed, "state": "FAILED", "ended": True}


def test_a_failure_has_the_words_of_the_op_itself(desk: Desk) -> None:
    payload = {"reason": "op_error", "message": "the op ended with exit code 1", "exit_code": 1, "log_tail": "bye\n"}
    failed = {"id": 2, "type": "FAILED", "t": "2026-03-02T20:00:00Z", "payload": payload}
    told = [{"id": n, "type": "ERROR", "t": "2026-03-02T20:00:00Z", "msg": f"ValueError: {n}"} for n in range(2)]
    with desk.op() as op:
        told_why, silent = children(op, 2)
        desk.server.end(told_why, "FAILED", events=[*told, failed])
        desk.server.end(silent, "FAILED", events=[failed])
        assert op.ask("state", child=told_why, result=True)["failure"] == "op_error, exit 1: ValueError: 1"
        assert op.ask("state", child=silent, result=True)["failure"] == "op_error, exit 1: bye"


def test_cancel(desk: Desk) -> None:
    with desk.op() as op:
        going, done = children(op, 2)
        desk.server.end(done)
        assert op.ask("cancel", child=going)["state"] == "CANCELLED"
        assert op.ask("cancel", child=done)["state"] == "COMPLETED"
    assert len(desk.server.scripted.of("patch")) == 1


@pytest.mark.parametrize("do", ["state", "cancel"])
def test_a_run_that_is_no_child_of_this_one_is_out_of_reach(do: str, desk: Desk) -> None:
    desk.server.add("other", parent="somebody", outputs={"secret": 1})
    desk.server.add("root", outputs={"secret": 1})
    desk.server.runs["root"]["parent_id"] = None
    with desk.op() as op:
        for name in ("other", "root", "nobody"):
            assert op.ask(do, child=name, result=True)["words"] == f"{name!r} is not a child of this run"
            assert op.ask("wait", children=[name])["words"] == f"{name!r} is not a child of this run"
            # named in many, it is not looked at: that must not make it known
            many = [desk.server.add(f"c{n}") for n in range(30)]
            desk.server.end("c0")
            assert op.ask("wait", children=[*many, name], until="first_completed")["left"] == 30
            assert op.ask(do, child=name, result=True)["words"] == f"{name!r} is not a child of this run"
    assert desk.server.scripted.of("patch") == []


def test_a_child_of_an_earlier_start_is_found_at_the_server(desk: Desk) -> None:
    desk.server.add("c1")
    with desk.op() as op:
        assert op.ask("state", child="c1")["state"] == "PENDING"


def test_a_child_that_is_tried_again_is_waited_for_again(desk: Desk) -> None:
    with desk.op() as op:
        [child] = children(op, 1)
        desk.tell(child, "FAILED")
        assert op.ask("wait", children=[child])["left"] == 0
        desk.server.runs[child]["state"] = "PENDING"
        desk.server.ends.clear()
        assert op.ask("state", child=child)["ended"] is False
        op.send("wait", children=[child])
        until(lambda: desk.waiting.calls == [("begin", 1, 1)], "it waits")


def test_a_server_that_reports_no_ends_keeps_the_slots(desk: Desk) -> None:
    desk.server.reports_ends = False
    with desk.op() as op:
        made = children(op, 1)
        op.send("wait", children=made)
        until(lambda: "keep their slots" in desk.said(), "it is logged")
        pending: list[Any] = []
        desk.channel.pending(SERVER_ID, pending.append)
        until(lambda: pending == [{"parent": frozenset(made)}], "what is waited for is known")
        desk.tell(made[0])
        assert op.answer()["ended"] == {made[0]: "COMPLETED"}
        op.ask("wait", children=made)
    assert desk.waiting.calls == []
    assert desk.said().count("keep their slots") == 1


def test_a_result_that_is_too_long_is_refused(desk: Desk) -> None:
    with desk.op() as op:
        [child] = children(op, 1)
        desk.server.end(child, outputs={"n": "x" * 10_000_000})
        assert "bytes: too many for the socket" in op.ask("state", child=child, result=True)["words"]


def test_many_children_are_waited_for_one_by_one_in_little(desk: Desk) -> None:
    """What goes over the socket for 2,000 children is in proportion to them, and so is what is asked of the server."""
    names = [desk.server.add(f"c{n}") for n in range(2000)]
    for name in names:
        desk.server.end(name)
    desk.server.scripted.defaults["get"] = Reply({"id": "c", "image": "op", "parent_id": "parent"})
    sent = received = 0
    with desk.op() as op:
        op.send("wait", children=names, until="first_completed")
        left = len(names)
        while left:
            answer = op.answer()
            received += len(str(answer))
            left = answer["left"]
            op.send("wait", until="first_completed")
            sent += 50
    assert received < 100 * len(names)
    assert len(desk.server.asked("/ended")) < 10


def test_after_a_restart_an_op_waits_while_the_server_is_still_asked(desk: Desk) -> None:
    row = desk.row(waiting_since=1.0, waits_left=1, waits_of=1)
    child = desk.server.add("c1")
    desk.clock.turned += 100  # the lease is over
    with desk.op(row) as op:
        op.send("wait", children=[child])
        channel = until(lambda: desk.channel._channels.get(row.key), "it is served")
        until(lambda: channel._wait_of, "its wait is here")
        channel._look_for_op()
        assert desk.waiting.calls == []
    until(lambda: not channel._wait_of, "it has hung up")
    channel._look_for_op()
    assert desk.waiting.calls == [("hung up",)]


def test_a_wait_gives_up_the_slot_while_the_server_is_away(desk: Desk) -> None:
    with desk.op() as op:
        child = children(op, 1)[0]
        desk.clock.turned += 100  # the lease is over
        op.send("wait", children=[child])
        until(lambda: desk.waiting.calls == [("begin", 1, 1)], "it waits")
        desk.beat()
        until(lambda: desk.server.asked("/ended"), "the server is asked")
        desk.tell(child)
        assert op.answer()["ended"] == {child: "COMPLETED"}
        assert op.ask("hello")["run"] == "parent", "it was answered once"
    assert ("come back",) in desk.waiting.calls


def test_a_wait_that_is_refused_late_takes_the_slot_back(desk: Desk) -> None:
    with desk.op() as op:
        stranger = desk.server.add("stranger", parent="another")
        desk.clock.turned += 100
        op.send("wait", children=[stranger])
        until(lambda: desk.waiting.calls == [("begin", 1, 1)], "it waits")
        desk.beat()
        assert "not a child" in str(op.answer())
        assert desk.waiting.calls[1:] == [("hung up",)]


def test_after_a_restart_a_frozen_op_is_not_waited_for(desk: Desk) -> None:
    row = desk.row(waiting_since=1.0, waits_left=1, waits_of=1)
    desk.waiting.frozen = True
    with desk.op(row):
        channel = until(lambda: desk.channel._channels.get(row.key), "it is served")
        channel._look_for_op()
        assert desk.waiting.calls == []
        desk.waiting.frozen = False
        channel._look_for_op()
        assert desk.waiting.calls == [("hung up",)]


def test_no_wait_is_hung_up_on_when_the_pipeline_is_run_once_more(desk: Desk) -> None:
    with desk.op() as op:
        child = children(op, 1)[0]
        op.send("wait", children=[child])
        until(lambda: desk.waiting.calls, "it waits")
        variables = desk.variables(desk.row(create_asked=True, start_asked=True, waiting_since=1.0))
        assert SOCKET in variables
        desk.tell(child)
        assert op.answer()["ended"] == {child: "COMPLETED"}


def test_after_a_restart_an_op_may_still_wait_that_may_create_no_more(tmp_path: Path) -> None:
    with Desk(tmp_path, allowed=MaySubmit.NO) as desk:
        child = desk.server.add("c1")
        desk.server.end(child)
        row = desk.row(create_asked=True, start_asked=True, waiting_since=1.0, waits_left=1, waits_of=1)
        with desk.op(row) as op:
            assert op.ask("wait", children=[child])["ended"] == {child: "COMPLETED"}
            refused = op.ask("submit", what="embed@1")
        assert refused["words"] == ("this run may create no more runs: GYOZA_ALLOW_SUBMIT of this worker is no")


def test_a_wait_without_any_time_is_answered_with_what_has_ended(desk: Desk) -> None:
    with desk.op() as op:
        ended, left = children(op, 2)
        desk.server.end(ended)
        answer = op.ask("wait", children=[ended, left], timeout_s=0)
        assert (answer["ended"], answer["left"]) == ({ended: "COMPLETED"}, 1)
        assert desk.waiting.calls == []
        desk.clock.turned += 100  # the lease is over: the server is not asked
        op.send("wait", children=[left], timeout_s=0)
        assert op.answer()["ended"] == {}
