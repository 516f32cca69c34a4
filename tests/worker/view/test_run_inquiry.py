"""What a person asks of the control: the history, a run in detail, its container, a retry."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import Any

import pytest

from gyoza_tui.backends.base import BackendUnavailable, Chunk, Exit, Stream
from gyoza_tui.models.filters import RunFilter, parse
from gyoza_tui.models.limits import MIB
from gyoza_tui.models.states import EventType, RunState
from gyoza_tui.worker.journal.row import Outcome, RunRow
from gyoza_tui.worker.op_output.log_spool import LogSpool
from gyoza_tui.worker.view.control import ControlError, LogQuery
from gyoza_tui.worker.view.local_control import LocalControl
from gyoza_tui.worker.view.snapshot import Phase, RunView
from tests.scripted_server import Reply, ScriptedServer, refusal
from tests.worker.fake_backend import FakeContainer, FakeOp
from tests.worker.rig import Rig


@pytest.fixture
def control(rig: Rig) -> LocalControl:
    return rig.worker.control


def _close(rig: Rig, run_id: str, kind: EventType = EventType.COMPLETED, **more: Any) -> RunRow:
    """Ended ten seconds behind the one before it, told and cleaned."""
    rig.clock.turn(10)
    row = rig.row(run_id, **more)
    rig.journal.begin_step(row.key, "run_container")
    payload = {"reason": "op_error", "exit_code": 3, "message": "ended", "log_tail": "CUDA out of memory\n"}
    rig.end(row, kind, payload if kind is EventType.FAILED else None)
    rig.journal.settled(rig.journal.outbox())
    assert rig.closed(row)
    return row


def _ids(views: tuple[RunView, ...]) -> list[str]:
    return [view.run_id for view in views]


# Its log


def test_no_log_shows_what_is_secret_in_its_run(rig: Rig, control: LocalControl) -> None:
    secret = {"TOKEN": "hunter2"}
    for row in (rig.row("open", secret_env=secret), _close(rig, "closed", secret_env=secret)):
        spool = LogSpool(rig.parts.state_dir.log_of(row.name), MIB)
        spool.append(Chunk(Stream.STDOUT, b"it is hunter2\n"), 1.0)
        spool.close()
        assert [line.data for line in control.log_lines(row.key, 0, 9).lines] == [b"it is ***"]
        assert b"".join(control.log_bytes(row.key)) == b"it is ***\n"
        assert control.log_search(row.key, LogQuery("hunter2"), 0).numbers == ()


# The history


def test_the_history_has_what_is_closed_the_last_end_first(rig: Rig, control: LocalControl) -> None:
    for number in range(5):
        _close(rig, f"r{number}")
    rig.end(rig.row("to-deliver"))
    page = control.history(RunFilter(), 3)
    assert (_ids(page.runs), page.total) == (["r4", "r3", "r2"], 5)
    assert control.history(RunFilter(), 100).total == 5


@pytest.mark.parametrize("damage", ["runs SET claimed_at = 'x' WHERE run_id = 'r1'", "steps SET began_at = 'x'"])
def test_what_is_damaged_in_the_history_costs_itself_alone(rig: Rig, control: LocalControl, damage: str) -> None:
    for number in range(3):
        _close(rig, f"r{number}")
    with sqlite3.connect(rig.parts.state_dir.journal) as db:
        db.execute(f"UPDATE {damage}")
    db.close()
    page = control.history(RunFilter(), 3)
    assert (_ids(page.runs), page.total) == (["r2", "r0"] if "runs" in damage else ["r2", "r1", "r0"], 3)


def test_a_view_of_the_history_is_as_full_as_one_of_a_run_at_work(rig: Rig, control: LocalControl) -> None:
    row = rig.row(secret_env={"TOKEN": "secret"})
    rig.journal.begin_step(row.key, "prepare_inputs")
    rig.clock.turn(5)
    rig.says(row, 50)
    rig.journal.begin_step(row.key, "run_container")
    rig.clock.turn(5)
    rig.end(row, EventType.FAILED, {"reason": "op_error", "exit_code": 3, "message": "ended", "log_tail": "boom\n"})
    (before,) = control.snapshot().runs
    rig.journal.settled(rig.journal.outbox())
    (view,) = control.history(RunFilter(), 1).runs
    assert (view.key, view.steps, view.progress, view.seen) == (row.key, before.steps, before.progress, False)
    assert view.steps[3].ended_at == rig.clock.utc().timestamp()
    assert (view.outcome_note, view.last_line) == ("op_error, exit 3: ended", "boom")
    assert (before.phase, view.phase) == (Phase.TO_DELIVER, Phase.FAILED)
    control.seen(view.key)
    (view,) = control.history(RunFilter(), 1).runs
    assert view.seen


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("state:failed", ["f2", "f1"]),
        ("state:failed,cancelled", ["x1", "f2", "f1"]),
        ("-state:failed", ["x1", "c1"]),
        ("op:train", ["f2", "c1"]),
        ("op:@2", ["f2"]),
        ("cuda", ["f2", "f1"]),
        ("run:f1 state:failed op:op", ["f1"]),
        ("since:15s", ["x1", "f2"]),
        ("topic:night", ["f2"]),
        ("parent:P", ["x1"]),
        ("parent:=p", []),
        ("worker:w1 outputs", ["c1"]),
        ("worker:w2", []),
    ],
)
def test_the_history_is_filtered(rig: Rig, control: LocalControl, text: str, found: list[str]) -> None:
    _close(rig, "c1", op_definition="train", op_version="1.0")
    _close(rig, "f1", EventType.FAILED)
    _close(rig, "f2", EventType.FAILED, op_definition="train", op_version="2", event_delivery={"topic": "nightly"})
    _close(rig, "x1", EventType.CANCELLED, parent_id="p1")
    page = control.history(parse(text), 2)
    assert (_ids(page.runs), page.total) == (found[:2], len(found))
    now = rig.clock.utc().timestamp()
    views = control.history(RunFilter(), 10).runs
    assert [v.run_id for v in views if parse(text).matches(v.facts("w1"), now)] == found


def test_the_history_survives_a_restart(scripted: ScriptedServer, tmp_path: Path) -> None:
    first = Rig(scripted, tmp_path / "state")
    row = _close(first, "f1", EventType.FAILED)
    first.close()
    second = Rig(scripted, tmp_path / "state")
    page = second.worker.control.history(RunFilter(), 10)
    assert [(view.key, view.seen) for view in page.runs] == [(row.key, False)]
    second.close()


def test_a_history_that_cannot_be_read_is_told(rig: Rig, control: LocalControl) -> None:
    rig.parts.state_dir.journal.rename(rig.parts.state_dir.root / "elsewhere")
    with pytest.raises(ControlError, match="the history cannot be read"):
        control.history(RunFilter(), 10)


# A run in detail


def _answer(**more: Any) -> Reply:
    return Reply({"id": "r1", "image": "op", "state": "RUNNING"} | more)


def test_details_are_the_servers_and_ours(rig: Rig, control: LocalControl, scripted: ScriptedServer) -> None:
    row = rig.registered().row()
    rig.says(row, "hello")
    rig.journal.settled(rig.journal.outbox(), refused="400 too late")
    scripted.defaults["get"] = _answer(progress=40)
    details = control.details(row.key)
    assert details.server is not None
    assert (details.server.state, details.server.progress, details.trouble) == (RunState.RUNNING, 40, None)
    assert details.view is control.snapshot().runs[0]
    assert details.refused == ("400 too late",)


@pytest.mark.parametrize(
    ("reply", "words"),
    [
        (Reply(drop=True), "does not answer: Server disconnected"),
        (Reply(b"<html>"), "does not answer: not a gyoza server's answer"),
        (refusal(404, "run_unknown"), "the server does not know it"),
        (refusal(401), "the server says: key refused (401)"),
        (refusal(500, "internal", "oh"), "the server says: 500 oh"),
    ],
)
def test_details_come_also_when_the_server_does_not(
    rig: Rig, control: LocalControl, scripted: ScriptedServer, reply: Reply, words: str
) -> None:
    row = _close(rig.registered(), "r1")
    scripted.defaults["get"] = reply
    details = control.details(row.key)
    assert (details.view.key, details.server) == (row.key, None)
    assert words in (details.trouble or "")


def test_details_of_a_run_of_another_server_are_not_asked_for(
    rig: Rig, control: LocalControl, scripted: ScriptedServer
) -> None:
    row = rig.registered().row(server_id="another")
    details = control.details(row.key)
    assert details.trouble == "another server answers now; this run is of a former one"
    assert scripted.of("get") == []


@pytest.mark.parametrize("ask", ["details", "children", "describe", "shell", "seen"])
def test_an_attempt_that_nobody_knows_is_a_key_error(control: LocalControl, ask: str) -> None:
    with pytest.raises(KeyError):
        getattr(control, ask)(4711)


# Its container


def _contained(rig: Rig, *, started: bool = True) -> tuple[RunRow, FakeContainer]:
    row = rig.row()
    op = rig.backend.known["op"] = FakeOp(ends_at_once=False)
    container = rig.backend.containers[row.name] = FakeContainer(None, op)  # type: ignore[arg-type]
    rig.journal.update(row.key, create_asked=True, handle={"name": row.name}, start_asked=started)
    container.starts = int(started)
    return rig.now(row), container


def test_the_engines_view_and_a_shell(rig: Rig, control: LocalControl) -> None:
    row, _ = _contained(rig)
    assert control.describe(row.key) == {}
    assert control.shell(row.key) == ("sh",)


def test_why_there_is_no_shell(rig: Rig, control: LocalControl) -> None:
    early = rig.row("early")
    with pytest.raises(ControlError, match="early has no container yet"):
        control.shell(early.key)
    row, container = _contained(rig, started=False)
    with pytest.raises(ControlError, match="is not started yet"):
        control.shell(row.key)
    container.starts, container.exit = 1, Exit(0)
    with pytest.raises(ControlError, match="has ended: there is nothing to open a shell in"):
        control.shell(row.key)
    rig.backend.containers.clear()
    with pytest.raises(ControlError, match="is gone"):
        control.shell(row.key)
    rig.backend.down = "docker does not answer"
    with pytest.raises(ControlError, match="docker does not answer"):
        control.shell(row.key)
    rig.backend.down = None
    rig.end(row)
    with pytest.raises(ControlError, match="it was removed when the run had ended"):
        control.describe(row.key)


def test_a_run_given_back_at_once_never_had_a_container(rig: Rig, control: LocalControl) -> None:
    row = rig.journal.take("", rig.row("other").run.model_copy(update={"id": "back"}), "")
    rig.journal.update(row.key, cleaned=True)
    rig.journal.finish(row.key, Outcome.RELEASED, "all slots are taken", [])
    with pytest.raises(ControlError, match="it never had a backend here"):
        control.describe(row.key)


def test_an_engine_that_does_not_answer_is_told(
    rig: Rig, control: LocalControl, monkeypatch: pytest.MonkeyPatch
) -> None:
    row, _ = _contained(rig)

    def away(_handle: Any) -> dict[str, Any]:
        raise BackendUnavailable("docker does not answer")

    monkeypatch.setattr(rig.backend, "describe", away)
    with pytest.raises(ControlError, match="r1: docker does not answer"):
        control.describe(row.key)


# Retry


def test_a_retry_asks_the_server(rig: Rig, control: LocalControl, scripted: ScriptedServer) -> None:
    control.retry("r1")
    assert scripted.of("patch")[0].body == {"state": "PENDING"}


@pytest.mark.parametrize(
    ("reply", "words"),
    [
        (Reply(drop=True), "does not answer"),
        (refusal(404, "run_unknown"), "r1 is not queued again: the server does not know it"),
        (
            refusal(409, "bad_transition", "RUNNING cannot become PENDING"),
            "r1 is not queued again: the server says: 409 RUNNING cannot become PENDING",
        ),
    ],
)
def test_a_retry_that_is_refused_says_why(
    control: LocalControl, scripted: ScriptedServer, reply: Reply, words: str
) -> None:
    scripted.defaults["patch"] = reply
    with pytest.raises(ControlError) as told:
        control.retry("r1")
    assert words in str(told.value)


def test_a_retry_without_a_server(scripted: ScriptedServer, tmp_path: Path) -> None:
    rig = Rig(scripted, tmp_path / "state", {"server_url": "http://127.0.0.1:1"})
    with pytest.raises(ControlError, match=r"127\.0\.0\.1:1 does not answer: connection refused"):
        rig.worker.control.retry("r1")
    rig.close()


def test_why_a_run_is_queued_is_the_servers_word(control: LocalControl, scripted: ScriptedServer) -> None:
    scripted.defaults["other"] = Reply([{"id": "r9", "image": "op", "placement": "needs a GPU; none is known"}])
    assert control.why_queued() == "r9 needs a GPU; none is known"
    assert (scripted.of("other")[0].path, scripted.of("other")[0].query) == (
        "/runs",
        {"state": "PENDING", "limit": "1"},
    )
    for items in ([], [{"id": "r9", "image": "op"}]):
        scripted.defaults["other"] = Reply(items)
        assert control.why_queued() == ""
    scripted.defaults["other"] = Reply(drop=True)
    with pytest.raises(ControlError, match=r"what is queued is not known: the server .* does not answer"):
        control.why_queued()
