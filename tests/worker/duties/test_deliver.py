"""Delivery of reports: every rule of PROTOCOL.md "Events and seq", "Giving back", "Fencing"."""

from __future__ import annotations

import json
import os
import sys
from types import FrameType
from typing import Any

import pytest

from gyoza_tui.client.endpoints import ADD_EVENT
from gyoza_tui.models.states import EventType
from gyoza_tui.worker.duties.deliver import UNKNOWN_RUN_S
from gyoza_tui.worker.journal.row import Intent, Outcome, RunRow
from tests.scripted_server import SERVER_ID, Reply, Request, ScriptedServer, refusal
from tests.worker.rig import Rig

COMPLETED, FAILED, CANCELLED, STARTED = "COMPLETED", "FAILED", "CANCELLED", "STARTED"


def _run(**fields: Any) -> Reply:
    """What GET says of the run."""
    return Reply({"id": "r1", "image": "op", "worker_id": "w1", "current_attempt": 1} | fields)


def test_a_report_carries_worker_attempt_lease_seq_and_time(rig: Rig, scripted: ScriptedServer) -> None:
    row = rig.registered().row(attempt=3, lease="l3")
    rig.end(row, payload={"label": "cat"})
    rig.deliver.step()
    (request,) = scripted.of("event")
    assert request.path == "/runs/r1/events"
    sent = request.body
    assert (sent["type"], sent["payload"], sent["seq"]) == ("COMPLETED", {"label": "cat"}, 1)
    assert (sent["worker_id"], sent["attempt"], sent["lease"], sent["t"][:10]) == ("w1", 3, "l3", "2026-03-02")
    assert rig.closed(row)


def test_a_list_in_order_to_a_server_with_protocol(rig: Rig, scripted: ScriptedServer) -> None:
    row = rig.registered().row()
    rig.says(row, "one", 40, "two")
    rig.end(row)
    rig.deliver.step()
    assert len(scripted.of("event")) == 1
    assert scripted.events() == [("INFO", 1), ("PROGRESS", 2), ("INFO", 3), (COMPLETED, 4)]


def test_one_by_one_to_a_server_without_protocol(rig: Rig, scripted: ScriptedServer) -> None:
    scripted.defaults["beat"] = Reply({})
    row = rig.registered().row(server_id="")
    rig.says(row, "one", "two")
    rig.end(row)
    rig.deliver.step()
    assert [request.body["type"] for request in scripted.of("event")] == ["INFO", "INFO", COMPLETED]


def test_nothing_is_sent_before_the_server_took_a_beat(rig: Rig, scripted: ScriptedServer) -> None:
    rig.end(rig.row())
    rig.deliver.step()
    assert scripted.requests == []
    rig.registered()
    rig.deliver.step()
    assert scripted.events() == [(COMPLETED, 1)]


@pytest.mark.parametrize(
    ("status", "code"), [(400, None), (400, "transition"), (409, None), (409, "not_yours"), (409, "terminal")]
)
def test_400_and_409_end_a_row(rig: Rig, scripted: ScriptedServer, status: int, code: str | None) -> None:
    row = rig.end(rig.registered().row())
    scripted.script("event", refusal(status, code, "not so"))
    scripted.script("get", _run(state="CANCELLED"))
    rig.deliver.step()
    assert rig.closed(row)
    assert rig.journal.refusals(row.key) == [f"{status} not so"]
    assert rig.journal.waiting == 0


@pytest.mark.parametrize(
    "trouble",
    [
        refusal(401),
        refusal(403),
        refusal(403, "role"),
        refusal(429),
        refusal(502),
        refusal(503, "busy"),
        refusal(504),
        refusal(404),
        Reply(b"<html>hotel wifi</html>", 200, {"Content-Type": "text/html"}),
        Reply(b"<html>not found</html>", 404, {"Content-Type": "text/html"}),
        Reply(b'{"accepted": 1', 200),
        Reply({"accepted": 1}, headers={"X-Server-Id": ""}),
        Reply({"accepted": 1}, headers={"X-Server-Id": "another"}),
        Reply({"accepted": 1}, headers={"Content-Type": "text/html; charset=utf-8"}),
        Reply(b"", 200),
        Reply(None, 307, {"Location": "http://elsewhere/"}),
        Reply({"accepted": 1}, cut=True),
        Reply(drop=True),
    ],
    ids=lambda reply: f"{reply.status}-{str(reply.body)[:20]}",
)
def test_the_servers_troubles_back_off_everything_and_lose_nothing(
    rig: Rig, scripted: ScriptedServer, trouble: Reply
) -> None:
    first, second = rig.registered().row("r1"), rig.row("r2")
    rig.says(first, "hello")
    rig.end(first)
    rig.end(second)
    scripted.script("event", trouble, trouble, trouble)
    rig.deliver.step()
    assert len(scripted.of("event")) == 1, "the second run was tried too"
    assert rig.link.wait_s(ADD_EVENT) > 0
    rig.deliver.step()
    assert len(scripted.of("event")) == 1, "tried again before its time"
    rig.deliver_for(60)
    assert rig.closed(first)
    assert rig.closed(second)
    assert rig.journal.waiting == 0
    assert rig.link.state.trouble is None


def test_retry_after_is_obeyed_up_to_thirty_seconds(rig: Rig, scripted: ScriptedServer) -> None:
    rig.end(rig.registered().row())
    scripted.script("event", Reply({}, 429, {"Retry-After": "7"}), Reply({}, 429, {"Retry-After": "9999"}))
    rig.deliver.step()
    assert rig.link.wait_s(ADD_EVENT) == pytest.approx(7)
    rig.clock.turn(7.1)
    rig.deliver.step()
    assert rig.link.wait_s(ADD_EVENT) == pytest.approx(30)


def test_a_server_that_is_back_wakes_what_waits(rig: Rig, scripted: ScriptedServer) -> None:
    rig.end(rig.registered().row())
    scripted.script("event", *[refusal(503)] * 9)
    rig.deliver_for(60)
    scripted.script("beat", refusal(503))
    rig.beat()
    rig.parts.wakes.deliver.clear()
    rig.beat()
    assert rig.parts.wakes.deliver.is_set()
    scripted.script("event")
    sent = len(scripted.of("event"))
    rig.deliver.step()
    assert len(scripted.of("event")) == sent + 1


def test_events_that_fail_wait_longer_each_time_whatever_beats_say(rig: Rig, scripted: ScriptedServer) -> None:
    """Ten minutes of a server whose beats and releases succeed."""
    rig.end(rig.registered().row("r1"))
    rig.release(rig.row("r2", lease="l2"))
    scripted.defaults["event"] = Reply(b"<html>gateway</html>")
    for _ in range(120):
        rig.beat()
        rig.deliver_for(5)
    assert len(scripted.of("event")) < 40
    assert len(scripted.of("patch")) == 1, "another endpoint does not wait for it"
    assert rig.journal.waiting == 1
    scripted.defaults["event"] = Reply({"accepted": 1})
    rig.deliver_for(31)
    assert rig.journal.waiting == 0
    assert rig.link.state.trouble is None


@pytest.mark.parametrize("status", [400, 409])
def test_a_refusal_that_is_not_the_servers_loses_nothing(rig: Rig, scripted: ScriptedServer, status: int) -> None:
    row = rig.end(rig.registered().row())
    scripted.script("event", Reply(b"Bad Request", status, {"X-Server-Id": ""}))
    rig.deliver.step()
    assert not rig.closed(row)
    rig.deliver_for(5)
    assert rig.closed(row)
    assert rig.journal.refusals(row.key) == []


@pytest.mark.parametrize("body", [{"ok": True}, {"id": "r1", "image": "op"}, {"accepted": "many"}, [], None, "ok"])
@pytest.mark.parametrize("beat", [{"protocol": 1, "server_id": SERVER_ID}, {"status": "ok"}, [], "ok"])
def test_any_json_accepts_a_report(rig: Rig, scripted: ScriptedServer, body: Any, beat: Any) -> None:
    scripted.defaults |= {"beat": Reply(beat), "event": Reply(body, 202), "patch": Reply(body)}
    server_id = SERVER_ID if isinstance(beat, dict) and "protocol" in beat else ""
    ended, released = rig.registered().row("r1", server_id=server_id), rig.row("r2", server_id=server_id, lease="l2")
    rig.end(ended)
    rig.release(released)
    rig.deliver.step()
    assert rig.closed(ended)
    assert rig.closed(released)
    assert (len(scripted.of("event")), len(scripted.of("patch"))) == (1, 1)


def test_one_runs_trouble_is_its_own(rig: Rig, scripted: ScriptedServer) -> None:
    bad, good = rig.registered().row("bad"), rig.row("good")
    rig.end(bad)
    rig.end(good)
    scripted.defaults["event"] = lambda r: refusal(500) if "/bad/" in r.path else Reply({"accepted": 1})
    rig.deliver.step()
    assert rig.closed(good)
    assert not rig.closed(bad)
    rig.deliver_for(600)
    tries = [request for request in scripted.of("event") if "/bad/" in request.path]
    assert 20 <= len(tries) <= 80
    scripted.defaults["event"] = Reply({"accepted": 1})
    rig.deliver_for(31)
    assert rig.closed(bad), "a result is delivered within a minute of the server's return"


def test_a_new_report_of_a_run_that_backs_off_waits_with_the_others(rig: Rig, scripted: ScriptedServer) -> None:
    row = rig.registered().row()
    rig.says(row, "one")
    scripted.script("event", refusal(500))
    rig.deliver.step()
    rig.says(row, "two")
    rig.deliver.step()
    assert len(scripted.of("event")) == 1
    rig.deliver_for(2)
    assert rig.journal.waiting == 0


def test_progress_survives_a_servers_500(rig: Rig, scripted: ScriptedServer) -> None:
    row = rig.registered().row()
    rig.says(row, "one", 50)
    rig.end(row)
    scripted.script("event", *[refusal(500)] * 4)
    rig.deliver_for(120)
    assert rig.closed(row)
    assert rig.journal.refusals(row.key) == []
    assert [kind for kind, _ in scripted.events()][-3:] in (["INFO", "PROGRESS", COMPLETED],)


@pytest.mark.parametrize("status", [400, 404, 409, 413, 422])
def test_info_refused_by_4xx_is_dropped_and_counted(rig: Rig, scripted: ScriptedServer, status: int) -> None:
    row = rig.registered().row()
    rig.says(row, "bad")
    scripted.script("event", refusal(status, "limit"))
    rig.deliver_for(1)
    assert rig.journal.waiting == 0
    assert len(rig.journal.refusals(row.key)) == 1
    rig.says(row, "good")
    rig.deliver_for(1)
    assert rig.journal.waiting == 0
    assert len(rig.journal.refusals(row.key)) == 1


def test_a_refused_list_is_sent_again_one_by_one(rig: Rig, scripted: ScriptedServer) -> None:
    row = rig.registered().row()
    rig.says(row, "one", "bad", "three")
    rig.end(row)

    def answer(request: Request) -> Reply:
        events = request.body if isinstance(request.body, list) else [request.body]
        return (
            refusal(422, "invalid") if any(e["msg"] == "bad" for e in events if "msg" in e) else Reply({"accepted": 1})
        )

    scripted.defaults["event"] = answer
    rig.deliver_for(2)
    assert rig.closed(row)
    assert [r.body["type"] for r in scripted.of("event") if isinstance(r.body, dict)][:2] == ["INFO", "INFO"]
    assert len(rig.journal.refusals(row.key)) == 1


@pytest.mark.parametrize("status", [413, 422])
def test_outputs_the_server_does_not_take_become_bad_output(rig: Rig, scripted: ScriptedServer, status: int) -> None:
    row = rig.end(rig.registered().row(), payload={"big": "x" * 100})
    rig.parts.state_dir.log_path("r1", 1, "l1").mkdir()
    scripted.script("event", refusal(status, "limit", "too much"))
    rig.deliver_for(1)
    assert scripted.events() == [(COMPLETED, 1), (FAILED, 2)]
    failure = scripted.of("event")[1].body["payload"]
    assert failure["reason"] == "bad_output"
    kept = rig.parts.state_dir.log_path("r1", 1, "l1") / "outputs.json"
    assert json.loads(kept.read_text()) == {"big": "x" * 100}
    assert str(kept) in failure["message"]
    assert rig.only(rig.journal.closed(1)).outcome is Outcome.FAILED
    assert rig.closed(row)


def test_a_failure_too_large_for_the_server_is_kept_and_offered_again(rig: Rig, scripted: ScriptedServer) -> None:
    row = rig.end(rig.registered().row(), EventType.FAILED, {"reason": "op_error"})
    scripted.script("event", refusal(413), refusal(413))
    rig.deliver_for(60)
    assert scripted.events() == [(FAILED, 1)] * 3
    assert rig.closed(row)


# Lost answers


@pytest.mark.parametrize("kind", [EventType.COMPLETED, EventType.FAILED, EventType.CANCELLED])
@pytest.mark.parametrize("lost", [Reply(drop=True), refusal(502)])
def test_a_refusal_after_a_lost_answer_is_decided_by_get(
    rig: Rig, scripted: ScriptedServer, kind: EventType, lost: Reply
) -> None:
    row = rig.end(rig.registered().row(), kind)
    scripted.script("event", lost, refusal(409))
    scripted.script("get", _run(state=kind))
    rig.deliver_for(60)
    assert rig.closed(row)
    assert rig.journal.refusals(row.key) == [], "it was delivered"


def test_a_lost_failed_whose_run_went_on_to_the_next_attempt_was_delivered(rig: Rig, scripted: ScriptedServer) -> None:
    row = rig.end(rig.registered().row(), EventType.FAILED)
    scripted.script("event", Reply(drop=True), refusal(409))
    attempts = [{"id": "a", "op_run_id": "r1", "attempt": 1, "state": "FAILED"}]
    scripted.script("get", _run(state="PENDING", current_attempt=2, worker_id=None, attempts=attempts))
    rig.deliver_for(60)
    assert rig.closed(row)
    assert rig.journal.refusals(row.key) == []


def test_a_report_unacknowledged_at_a_restart_may_have_been_taken(scripted: ScriptedServer, tmp_path: Any) -> None:
    first = Rig(scripted, tmp_path / "state").registered()
    row = first.end(first.row())
    first.journal.tried([report.id for report in first.journal.outbox()])
    first.close()
    second = Rig(scripted, tmp_path / "state").registered()
    scripted.script("event", refusal(400))
    scripted.script("get", _run(state="COMPLETED"))
    second.deliver_for(1)
    assert second.closed(row)
    assert second.journal.refusals(row.key) == []
    second.close()


def test_a_lost_started_is_no_reason_to_give_up_the_run(rig: Rig, scripted: ScriptedServer) -> None:
    row = rig.registered().row(started=False)
    rig.journal.start(row.key, rig.record(row)._stamped(_started()))
    scripted.script("event", Reply(drop=True), refusal(400, "transition"))
    scripted.script("get", _run(state="RUNNING"))
    rig.deliver_for(60)
    assert rig.now(row).started_acked
    assert rig.now(row).intent is Intent.NONE


def _started() -> Any:
    from gyoza_tui.models.runs import EventReport

    return EventReport(type=EventType.STARTED, msg="started")


@pytest.mark.parametrize(
    ("said", "intent"),
    [
        (_run(state="CANCELLED"), Intent.CANCEL),
        (_run(state="RUNNING", current_attempt=2), Intent.LOST),
        (_run(state="RUNNING", worker_id="other"), Intent.LOST),
        (_run(state="PENDING", worker_id=None), Intent.LOST),
    ],
)
def test_a_refused_started_starts_nothing(rig: Rig, scripted: ScriptedServer, said: Reply, intent: Intent) -> None:
    row = rig.registered().row(started=False)
    rig.journal.start(row.key, rig.record(row)._stamped(_started()))
    scripted.script("event", refusal(409, "not_yours"))
    scripted.script("get", said)
    rig.deliver_for(1)
    assert rig.now(row).intent is intent
    assert not rig.now(row).started_acked


@pytest.mark.parametrize("kind", [EventType.FAILED, EventType.CANCELLED])
def test_assigned_to_an_end_refused_is_told_by_started_first(
    rig: Rig, scripted: ScriptedServer, kind: EventType
) -> None:
    row = rig.end(rig.registered().row(started=False), kind)
    scripted.script("event", refusal(400, "transition"))
    scripted.script("get", _run(state="ASSIGNED"))
    rig.deliver_for(1)
    assert scripted.events() == [(kind, 1), (STARTED, 2), (kind, 3)]
    assert rig.closed(row)


def test_a_server_that_takes_neither_is_not_asked_for_ever(rig: Rig, scripted: ScriptedServer) -> None:
    row = rig.end(rig.registered().row(started=False), EventType.FAILED)
    scripted.defaults["event"] = refusal(400, "transition")
    scripted.defaults["get"] = _run(state="ASSIGNED")
    rig.deliver_for(5)
    assert list(dict.fromkeys(scripted.events())) == [(FAILED, 1), (STARTED, 2), (FAILED, 3)]
    assert rig.closed(row)


# Giving back


def test_giving_back_names_worker_attempt_lease_and_reason(rig: Rig, scripted: ScriptedServer) -> None:
    row = rig.release(rig.registered().row())
    rig.deliver.step()
    (request,) = scripted.of("patch")
    assert request.body == {
        "state": "PENDING",
        "worker_id": "w1",
        "attempt": 1,
        "lease": "l1",
        "reason": "as the test has it",
    }
    assert rig.closed(row)


@pytest.mark.parametrize(
    "said",
    [
        _run(state="PENDING", worker_id=None),
        _run(state="RUNNING", worker_id="other"),
        _run(state="ASSIGNED", lease="l2"),
        _run(state="RUNNING", current_attempt=2),
        _run(state="CANCELLED"),
    ],
)
def test_a_refused_giving_back_is_done_once_it_is_not_ours(rig: Rig, scripted: ScriptedServer, said: Reply) -> None:
    row = rig.release(rig.registered().row())
    scripted.script("patch", refusal(400, "transition"))
    scripted.script("get", said)
    rig.deliver_for(1)
    assert rig.closed(row)


def test_a_refused_giving_back_of_what_is_still_ours_is_tried_again(rig: Rig, scripted: ScriptedServer) -> None:
    row = rig.release(rig.registered().row())
    scripted.script("patch", refusal(400), refusal(409))
    scripted.defaults["get"] = _run(state="RUNNING")
    rig.deliver_for(60)
    assert len(scripted.of("patch")) == 3
    assert rig.closed(row)


# Unknown, held, lost


def test_a_result_of_an_unknown_run_is_kept_and_offered_every_ten_minutes(rig: Rig, scripted: ScriptedServer) -> None:
    row = rig.end(rig.registered().row())
    scripted.defaults["event"] = refusal(404, "run_unknown")
    rig.deliver_for(1)
    assert rig.deliver.waiting() == 0, "a drain does not wait for it"
    for _ in range(100):
        rig.beat()
        rig.deliver_for(5)
    assert len(scripted.of("event")) == 1
    rig.deliver_for(120)
    assert len(scripted.of("event")) == 2
    assert not rig.closed(row)
    scripted.defaults["event"] = Reply({"accepted": 1})
    rig.deliver_for(601)
    assert rig.closed(row)


def test_it_is_offered_again_at_the_next_start(scripted: ScriptedServer, tmp_path: Any) -> None:
    first = Rig(scripted, tmp_path / "state").registered()
    row = first.end(first.row())
    scripted.script("event", refusal(404, "run_unknown"))
    first.deliver.step()
    first.close()
    second = Rig(scripted, tmp_path / "state").registered()
    second.deliver.step()
    assert second.closed(row)
    second.close()


def test_rows_of_another_server_wait_for_it(rig: Rig, scripted: ScriptedServer) -> None:
    row = rig.end(rig.registered().row(server_id="the former one"))
    rig.deliver_for(100)
    assert scripted.of("event") == []
    assert rig.deliver.waiting() == 0
    scripted.defaults["beat"] = Reply({"protocol": 1, "server_id": "the former one"})
    rig.beat()
    rig.deliver.step()
    assert rig.closed(row)


def test_reports_go_on_while_another_instance_holds_the_name(rig: Rig, scripted: ScriptedServer) -> None:
    row = rig.end(rig.registered().row())
    scripted.defaults["beat"] = refusal(409, "instance_live", "held by host-2")
    rig.beat()
    rig.deliver_for(31)
    assert rig.closed(row)


def test_order_per_run_holds_whatever_fails(rig: Rig, scripted: ScriptedServer) -> None:
    """Thirty events of two runs through a server that fails by turns: each arrives once, in order."""
    taken: dict[str, list[int]] = {"r1": [], "r2": []}
    troubles = [Reply(drop=True), refusal(500), None, refusal(503), None, refusal(422), None, Reply(b"<html>")]
    count = 0

    def answer(request: Request) -> Reply:
        nonlocal count
        count += 1
        trouble = troubles[count % len(troubles)]
        if trouble is not None and (trouble.status != 422 or isinstance(request.body, list)):
            return trouble
        events = request.body if isinstance(request.body, list) else [request.body]
        run_id = request.path.split("/")[2]
        taken[run_id] += [event["seq"] for event in events]
        return Reply({"accepted": len(events)})

    scripted.defaults["event"] = answer
    rows = [rig.registered().row("r1"), rig.row("r2")]
    for number in range(15):
        for row in rows:
            rig.says(row, f"{number}")
        if number % 4 == 0:
            rig.deliver_for(1)
    for row in rows:
        rig.end(row)
    rig.deliver_for(600)
    assert all(rig.closed(row) for row in rows)
    assert taken == {"r1": list(range(1, 17)), "r2": list(range(1, 17))}


# What cannot be delivered costs nothing


class Work:
    """Counts the lines of the package and the SQLite instructions that are executed inside the block."""

    def __init__(self, rig: Rig) -> None:
        self._db = rig.journal._db
        self.done = 0

    def __enter__(self) -> Work:
        self._db.set_progress_handler(self._instruction, 1)
        sys.settrace(self._call)
        return self

    def __exit__(self, *_: object) -> None:
        sys.settrace(None)
        self._db.set_progress_handler(None, 0)

    def _instruction(self) -> int:
        self.done += 1
        return 0

    def _call(self, frame: FrameType, _event: str, _arg: object) -> Any:
        return self._line if f"{os.sep}gyoza_tui{os.sep}" in frame.f_code.co_filename else None

    def _line(self, _frame: FrameType, event: str, _arg: object) -> Any:
        self.done += event == "line"
        return self._line


def _delivery(rig: Rig, row: RunRow) -> int:
    """The work of an event of a run at work: its journal write and its delivery."""
    rig.deliver_for(0)
    sent = len(rig.server.of("event"))
    with Work(rig) as work:
        rig.says(row, "hello")
        rig.deliver.step()
        rig.deliver.waiting()
    assert len(rig.server.of("event")) == sent + 1
    return work.done


def _beat_and_claim(rig: Rig) -> int:
    rig.beat()
    with Work(rig) as work:
        rig.beat()
        rig.parts.claim_requests.next(0.0)
    return work.done


@pytest.mark.parametrize("why", ["held", "unknown", "backed off"])
def test_what_cannot_be_delivered_costs_the_others_nothing(rig: Rig, scripted: ScriptedServer, why: str) -> None:
    trouble = {"held": None, "unknown": refusal(404, "run_unknown"), "backed off": refusal(500)}[why]
    scripted.defaults["event"] = lambda r: trouble if trouble and "/at-work/" not in r.path else Reply({"accepted": 1})
    server = "another" if why == "held" else SERVER_ID
    at_work = rig.registered().row("at-work")
    rig.end(rig.row("r0", server_id=server))
    few = _delivery(rig, at_work), _beat_and_claim(rig)
    for number in range(1, 41):
        rig.end(rig.row(f"r{number}", server_id=server))
    many = _delivery(rig, at_work), _beat_and_claim(rig)
    assert many[0] < few[0] + 40, "each of forty more costs something"
    if why == "held":
        assert many[1] < few[1] + 40


def test_what_backed_off_for_a_former_server_is_delivered_when_that_is_back(rig: Rig, scripted: ScriptedServer) -> None:
    row = rig.end(rig.registered().row())
    scripted.script("event", refusal(404, "run_unknown"))
    rig.deliver_for(0)
    scripted.defaults["beat"] = Reply({"protocol": 1, "server_id": "another"})
    rig.beat()
    rig.deliver_for(UNKNOWN_RUN_S + 1)
    assert len(scripted.of("event")) == 1
    scripted.defaults["beat"] = Reply({"protocol": 1, "server_id": SERVER_ID})
    rig.beat()
    rig.deliver_for(0)
    assert rig.closed(row)
