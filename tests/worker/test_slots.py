"""Runs taken up again: what is on record is not done twice, and what nothing can run goes back."""

from __future__ import annotations

import errno
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from gyoza_tui.backends.base import AttemptElsewhere, BackendError, Exit, Handle, Spec, VanishedHandle
from gyoza_tui.client import Claimed
from gyoza_tui.models.clock import SystemClock
from gyoza_tui.models.constraints import Constraints
from gyoza_tui.models.runs import EventReport, OpRun
from gyoza_tui.models.states import EventType
from gyoza_tui.worker.execution_pipeline import ExecutionContext
from gyoza_tui.worker.journal.row import Intent, Outcome, RunRow
from gyoza_tui.worker.slots import Slots
from tests.clock import TurnedClock
from tests.scripted_server import SERVER_ID, ScriptedServer
from tests.waiting import until
from tests.worker.fake_backend import FakeContainer, FakeOp
from tests.worker.rig import Rig


@pytest.fixture
def rig(scripted: ScriptedServer, tmp_path: Path) -> Rig:
    """Its slots run threads, as in a worker."""
    made = Rig(scripted, tmp_path / "state", {"stop_grace_s": 0}, clock=SystemClock())
    del made.worker.slots.start
    return made


def _slots(rig: Rig) -> Slots:
    return rig.worker.slots


def test_an_end_on_record_is_only_cleaned_up_after(rig: Rig) -> None:
    """Killed between FAILED (no image) and the clean-up: nothing is pulled, started or told again."""
    row = rig.row(started=False)
    failed = EventReport(type=EventType.FAILED)
    rig.record(row).finish(Outcome.FAILED, "no such image", failed)
    rig.parts.state_dir.make_run_dir(row.name)
    _slots(rig).start(rig.now(row))
    until(lambda: rig.now(row).cleaned and not _slots(rig).count, "cleaned up")
    assert [report.event.type for report in rig.journal.outbox() if report.event] == [EventType.FAILED]
    assert (rig.backend.pulled, rig.backend.created, rig.parts.state_dir.run_dirs()) == ([], [], [])
    rig.close()


def test_a_row_that_has_just_ended_is_not_run_again(rig: Rig) -> None:
    """As reconcile has it, who took it down a moment before its thread brought it to its end."""
    stale = rig.row()
    _slots(rig).start(stale)
    until(lambda: rig.now(stale).cleaned and not _slots(rig).count, "its end")
    begun = [thread.name for thread in threading.enumerate()]
    _slots(rig).start(stale)
    assert _slots(rig).count == 0
    assert [thread.name for thread in threading.enumerate()] == begun
    rig.close()


def test_a_row_of_no_backend_goes_back(rig: Rig) -> None:
    """Killed between the row and its refusal."""
    run = OpRun(id="r1", image="slurm://x", attempt=1, lease="l1")
    row = rig.journal.take(SERVER_ID, run, "")
    _slots(rig).start(row)
    until(lambda: rig.now(row).cleaned, "given back")
    assert rig.now(row).outcome is Outcome.RELEASED
    assert len(rig.journal.outbox()) == 1
    rig.close()


def test_a_refusal_that_could_not_be_written_keeps_no_slot(rig: Rig) -> None:
    run = OpRun(id="new", image="slurm://x", attempt=1, lease="l1")
    new = rig.journal.take(SERVER_ID, run, "")
    old = rig.journal.take(SERVER_ID, run.model_copy(update={"id": "old"}), "", claimed_at=new.claimed_at - 100)
    rig.reconcile.step()
    until(lambda: rig.now(old).cleaned, "given back")
    assert rig.now(old).outcome is Outcome.RELEASED
    assert rig.now(new).outcome is None, "it may be about to be refused"
    rig.close()


def test_inputs_are_put_again_into_a_container_made_before(rig: Rig) -> None:
    """Killed between the container and its inputs."""
    rig.backend.known["op"] = FakeOp(ends_at_once=False)
    rig.backend.image_id = lambda image: "sha256:1"  # type: ignore[method-assign]
    row = rig.row(inputs={"a": 1})
    _slots(rig).start(row)
    container = until(lambda: next(iter(rig.backend.containers.values()), None), "the container")
    until(lambda: container.starts, "its start")
    rig.close()
    assert "input.json" in container.files
    container.files.clear()
    container.starts = 0

    again = Rig(rig.server, rig.state, clock=SystemClock(), backends={"docker": rig.backend})
    again.journal.update(row.key, start_asked=False)
    del again.worker.slots.start
    _slots(again).start(again.now(row))
    until(lambda: container.starts, "the start")
    assert "input.json" in container.files
    assert len(rig.backend.created) == 1
    again.close()
    container.op.go.set()


def test_what_was_not_made_as_asked_is_stopped_and_fails(rig: Rig) -> None:
    rig.backend.known["op"] = FakeOp(ends_at_once=False)
    rig.backend.image_id = lambda image: "sha256:1"  # type: ignore[method-assign]
    rig.backend.fail["verify"] = BackendError("a volume was replaced")
    row = rig.row()
    _slots(rig).start(row)
    until(lambda: rig.now(row).cleaned, "the end")
    failed = next(report.event for report in rig.journal.outbox() if report.event)
    assert failed.payload is not None
    assert (failed.payload["reason"], failed.payload["message"]) == ("internal", "a volume was replaced")
    assert rig.backend.removed == rig.backend.started
    rig.close()


def test_what_a_worker_started_and_did_not_live_to_verify_is_verified(rig: Rig) -> None:
    rig.backend.known["op"] = FakeOp(ends_at_once=False)
    row = rig.row()
    handle = rig.backend.create(Spec(row.name, "op", rig.state))
    rig.backend.start(handle)
    rig.journal.update(row.key, step="run_container", create_asked=True, handle=handle, start_asked=True)
    rig.backend.fail["verify"] = BackendError("a volume was replaced")
    _slots(rig).start(rig.now(row))
    until(lambda: rig.now(row).cleaned, "the end")
    assert (rig.now(row).outcome, rig.now(row).outcome_note) == (Outcome.FAILED, "internal: a volume was replaced")
    rig.close()


def test_what_could_not_be_written_down_is_said_until_it_can(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    row, full = rig.row(), threading.Event()
    full.set()

    def while_there_is_room(write: Callable[..., Any]) -> Callable[..., Any]:
        def written(*what: Any, **more: Any) -> Any:
            if full.is_set():
                raise OSError(errno.ENOSPC, "No space left on device")
            return write(*what, **more)

        return written

    for name in ("begin_step", "update", "finish"):
        monkeypatch.setattr(rig.journal, name, while_there_is_room(getattr(rig.journal, name)))
    monkeypatch.setattr("gyoza_tui.worker.slots.slot._AGAIN_S", 0.1)
    _slots(rig).start(row)
    again = until(lambda: _slots(rig).again(row.key), "that it is tried again")
    assert again.why == "OSError: [Errno 28] No space left on device"
    full.clear()
    until(lambda: rig.now(row).cleaned, "the end")
    until(lambda: _slots(rig).again(row.key) is None, "nothing is tried again")
    rig.close()


def test_what_has_started_keeps_its_result_while_the_disk_is_full(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its output is not spooled, its end not journaled: it is neither stopped nor failed."""
    op = FakeOp(b'{"type": "INFO", "msg": "half"}\n', files={"output.json": b'{"kept": 1}'}, ends_at_once=False)
    rig.backend.known["op"] = op
    rig.backend.image_id = lambda image: "sha256:1"  # type: ignore[method-assign]
    full = threading.Event()
    full.set()

    def in_room(write: Callable[..., Any]) -> Callable[..., Any]:
        def written(*what: Any, **more: Any) -> Any:
            if full.is_set():
                raise OSError(errno.ENOSPC, "No space left on device")
            return write(*what, **more)

        return written

    for name in ("finish", "events"):
        monkeypatch.setattr(rig.journal, name, in_room(getattr(rig.journal, name)))
    row = rig.row("room")
    tries: list[ExecutionContext] = []
    run = rig.parts.pipeline.run

    def counted(ctx: ExecutionContext) -> ExecutionContext:
        tries.append(ctx)
        return run(ctx)

    monkeypatch.setattr(rig.parts.pipeline, "run", counted)
    _slots(rig).start(row)
    until(lambda: _slots(rig).again(row.key), "that it waits for room")
    op.go.set()
    until(lambda: rig.backend.containers[row.name].exit, "its end")
    assert rig.now(row).outcome is None
    monkeypatch.setattr("gyoza_tui.worker.slots.slot._AGAIN_S", 0.01)
    _slots(rig).wake(row.key)
    until(lambda: len(tries) > 3, "that it is tried again and again")
    assert rig.said().count("waits for room on a disk") == 1
    _slots(rig).room_again()
    until(lambda: rig.said().count("waits for room on a disk") == 2, "that the room was not enough")
    full.clear()
    _slots(rig).room_again()
    until(lambda: rig.now(row).cleaned, "the end")
    assert rig.now(row).outcome is Outcome.COMPLETED
    told = [report.event for report in rig.journal.outbox() if report.event]
    assert [(event.type, event.payload) for event in told] == [
        (EventType.INFO, None),
        (EventType.COMPLETED, {"kept": 1}),
    ]
    until(
        lambda: not [t.name for t in threading.enumerate() if t.name.startswith("run-room")], "no thread of it is left"
    )
    rig.close()


def test_a_run_without_a_thread_gets_one_when_there_are_some_again(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    row = rig.row()

    def none_left(_thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    with monkeypatch.context() as patched:
        patched.setattr(threading.Thread, "start", none_left)
        with pytest.raises(RuntimeError):
            _slots(rig).start(row)
    assert _slots(rig).count == 0
    rig.reconcile.step()
    until(lambda: rig.now(row).cleaned, "the end")
    rig.close()


def test_an_attempt_that_its_backend_cannot_read_gives_its_slot_back(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    """As of a torn file behind it: whatever is asked of it raises something that no protocol names, for ever."""
    monkeypatch.setattr("gyoza_tui.worker.execution_pipeline.patience.FAULTS_S", 0.3)
    rig.backend.known["op"] = FakeOp(ends_at_once=False)
    rig.backend.image_id = lambda image: "sha256:1"  # type: ignore[method-assign]
    row, neighbour = rig.row("r1"), rig.row("r2")
    torn = row.name
    for name in ("wait", "state", "stop", "remove"):
        working = getattr(rig.backend, name)

        def call(handle: dict[str, Any], *more: Any, working: Callable[..., Any] = working) -> Any:
            if handle["name"] == torn and rig.backend.started.count(torn):
                raise ValueError("not enough values to unpack")
            return working(handle, *more)

        monkeypatch.setattr(rig.backend, name, call)
    for each in (row, neighbour):
        _slots(rig).start(each)
    until(lambda: len(rig.backend.started) == 2, "both started")
    rig.backend.containers[torn].ended.set()  # its stream has ended
    until(lambda: rig.now(row).cleaned, "its end")
    until(lambda: _slots(rig).count == 1, "its slot")
    ended = rig.now(row)
    assert ended.outcome is Outcome.FAILED
    assert f"wait {torn} failed unexpectedly: ValueError: not enough values" in ended.outcome_note
    (report,) = [report.event for report in rig.journal.outbox() if report.ends_run and report.event]
    assert (report.payload or {})["reason"] == "internal", "the machine's fault"
    said = [notice.text for notice in rig.parts.notices.recent() if "not removed" in notice.text]
    assert len(said) == 1
    assert rig.now(neighbour).outcome is None
    monkeypatch.undo()
    rig.registered().reconcile.step()
    assert rig.backend.removed == [torn], "by the sweep, once it can be read"
    rig.backend.known["op"].go.set()
    until(lambda: rig.now(neighbour).cleaned, "the neighbour's end")
    rig.close()


def test_an_output_of_what_is_gone_is_asked_for_no_longer(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    """It let go of a stream that was faster than the disk, and meanwhile the container was removed."""
    monkeypatch.setattr("gyoza_tui.worker.execution_pipeline.log_pump.BUFFER_MAX", 1)
    rig.backend.known["op"] = FakeOp(b"more than a byte", ends_at_once=False)
    rig.backend.image_id = lambda image: "sha256:1"  # type: ignore[method-assign]
    opened: list[object] = []
    working = rig.backend.output

    def output(handle: dict[str, Any], resume: Any) -> Any:
        opened.append(resume)
        if resume is not None:
            raise VanishedHandle("the container is gone")
        return working(handle, resume)

    monkeypatch.setattr(rig.backend, "output", output)
    row = rig.row()
    _slots(rig).start(row)
    until(lambda: rig.now(row).cleaned, "its end")
    assert len(opened) == 2
    (report,) = [report.event for report in rig.journal.outbox() if report.ends_run and report.event]
    assert (report.payload or {})["reason"] == "backend_restarted"
    rig.close()


@pytest.mark.parametrize("part", ["spool", "output"])
def test_an_output_without_its_threads_leaves_none(rig: Rig, monkeypatch: pytest.MonkeyPatch, part: str) -> None:
    rig.backend.known["op"] = FakeOp(ends_at_once=False)
    rig.backend.image_id = lambda image: "sha256:1"  # type: ignore[method-assign]
    start, before = threading.Thread.start, set(threading.enumerate())

    def none_left(thread: threading.Thread) -> None:
        if thread.name.endswith(f"-{part}"):
            raise RuntimeError("can't start new thread")
        start(thread)

    monkeypatch.setattr(threading.Thread, "start", none_left)
    row = rig.row()
    _slots(rig).start(row)
    until(lambda: rig.now(row).cleaned and not _slots(rig).count, "its end")
    assert rig.now(row).outcome is Outcome.FAILED
    until(
        lambda: not [t for t in set(threading.enumerate()) - before if t.name.startswith("run-")], "no thread is left"
    )
    rig.close()


def test_an_older_attempt_ends_before_the_newer_begins(rig: Rig) -> None:
    rig.backend.known["op"] = FakeOp(ends_at_once=False)
    rig.backend.image_id = lambda image: "sha256:1"  # type: ignore[method-assign]
    older = rig.row(attempt=1)
    _slots(rig).start(older)
    until(lambda: rig.backend.started, "the older one's start")
    newer = rig.row(attempt=2, lease="l2")
    _slots(rig).start(newer)
    until(lambda: len(rig.backend.started) == 2, "the newer one's start")
    assert rig.backend.removed == [older.name], "never two containers of one run"
    assert rig.closed(older)
    rig.worker.slots.intend(rig.now(newer), Intent.LOST, "the test is over")
    until(lambda: rig.closed(newer), "the end")
    rig.close()


@pytest.mark.parametrize("files", [{}, {"output.json": b'{"x": 1}'}], ids=["without", "with"])
def test_exit_0_of_an_op_that_the_engine_stopped_counts_with_outputs_only(rig: Rig, files: dict[str, bytes]) -> None:
    rig.backend.known["op"] = FakeOp(doubt="the engine was stopped", files=files)
    rig.backend.image_id = lambda image: "sha256:1"  # type: ignore[method-assign]
    row = rig.row()
    _slots(rig).start(row)
    until(lambda: rig.now(row).cleaned, "the end")
    if files:
        assert rig.now(row).outcome is Outcome.COMPLETED
    else:
        assert rig.now(row).outcome is Outcome.FAILED
        assert rig.now(row).outcome_note.startswith("backend_restarted, exit 0: the engine was stopped")
    rig.close()


def test_what_was_started_again_after_its_end_is_removed_all_the_same(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    rig.backend.known["op"] = FakeOp()
    rig.backend.image_id = lambda image: "sha256:1"  # type: ignore[method-assign]
    remove = rig.backend.remove

    def removed(handle: Handle) -> None:
        """As an engine: not while it runs."""
        container = rig.backend.containers[handle["name"]]
        if not refused:
            refused.append(container)
            container.exit = None
        if container.exit is None:
            raise BackendError("cannot remove a running container")
        remove(handle)

    refused: list[object] = []
    monkeypatch.setattr(rig.backend, "remove", removed)
    row = rig.row()
    _slots(rig).start(row)
    until(lambda: rig.now(row).cleaned, "the end")
    assert refused
    assert rig.backend.removed == [row.name]
    assert rig.now(row).outcome is Outcome.COMPLETED
    rig.close()


def _at_work(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> RunRow:
    """A run whose container runs, at a slot that looks often."""
    monkeypatch.setattr("gyoza_tui.worker.slots.slot._AGAIN_S", 0.05)
    rig.backend.known["op"] = FakeOp(ends_at_once=False)
    rig.backend.image_id = lambda image: "sha256:1"  # type: ignore[method-assign]
    row = rig.row()
    _slots(rig).start(row)
    until(lambda: rig.now(row).started_at, "the start")
    return row


def _worker_of(rig: Rig) -> Rig:
    """The next worker of the same directory, while another engine answers."""
    rig.close()
    again = Rig(rig.server, rig.state, {"stop_grace_s": 0}, clock=SystemClock(), backends={"docker": rig.backend})
    del again.worker.slots.start
    rig.backend.elsewhere = "made on another engine (a at b): point DOCKER_HOST back there"
    return again


def test_a_run_of_another_engine_is_held_until_that_one_is_back(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    row = _at_work(rig, monkeypatch)
    again = _worker_of(rig)
    _slots(again).start(again.now(row))
    why = until(lambda: _slots(again).again(row.key), "that it is held")
    assert why.held
    assert "DOCKER_HOST" in why.why
    entered = again.journal.steps(row.key)
    until(lambda: _slots(again).again(row.key) not in (None, why), "another look")
    assert (again.now(row).outcome, again.journal.steps(row.key)) == (None, entered)
    until(again.deliver.settled, "a drain does not wait for it")
    assert again.said().count("is held: made on another engine") == 1
    again.parts.pool.check()
    docker = next(check for check in again.worker.control.checks() if check.name == "docker")
    assert docker.text == "answers, but 1 run is held, it was made on another engine (a at b)"
    assert docker.mend == "point DOCKER_HOST back there"

    rig.backend.elsewhere = None
    until(lambda: not again.deliver.settled(), "that it goes on")
    rig.backend.known["op"].go.set()
    until(lambda: again.now(row).cleaned, "the end")
    assert again.now(row).outcome is Outcome.COMPLETED
    assert len(rig.backend.created) == len(rig.backend.started) == 1
    again.close()


def test_an_engine_that_becomes_another_under_a_run_holds_it(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    row = _at_work(rig, monkeypatch)
    rig.backend.elsewhere = "made on another engine: bring it back"
    rig.backend.containers[row.name].ended.set()  # its stream breaks off
    until(lambda: _slots(rig).again(row.key), "that it is held")
    assert rig.now(row).outcome is None
    rig.backend.elsewhere = None
    rig.backend.known["op"].go.set()
    until(lambda: rig.now(row).cleaned, "the end")
    assert rig.now(row).outcome is Outcome.COMPLETED
    rig.close()


def test_an_engine_that_is_another_for_one_call_ends_nothing(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    row = _at_work(rig, monkeypatch)
    rig.backend.fail["wait"] = AttemptElsewhere("made on another engine: bring it back")
    rig.backend.containers[row.name].ended.set()
    until(lambda: "is held" in rig.said(), "that it is held")
    rig.backend.known["op"].go.set()
    until(lambda: rig.now(row).cleaned, "the end")
    assert rig.now(row).outcome is Outcome.COMPLETED
    rig.close()


def test_a_result_on_another_engine_is_held_and_that_is_said_once(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gyoza_tui.worker.slots.slot._AGAIN_S", 0.02)
    rig.backend.known["op"] = FakeOp()
    rig.backend.image_id = lambda image: "sha256:1"  # type: ignore[method-assign]
    fetched: list[str] = []

    def elsewhere(_handle: Handle, name: str, _limit: int) -> bytes | None:
        fetched.append(name)
        raise AttemptElsewhere("made on another engine: bring it back")

    with monkeypatch.context() as away:
        away.setattr(rig.backend, "fetch", elsewhere)
        row = rig.row()
        _slots(rig).start(row)
        until(lambda: len(fetched) >= 4, "some looks")
        assert rig.said().count("is held") == 1
        assert rig.now(row).outcome is None
    until(lambda: rig.now(row).cleaned, "the end")
    assert rig.now(row).outcome is Outcome.COMPLETED
    rig.close()


@pytest.mark.parametrize("intent", [Intent.CANCEL, Intent.LOST])
def test_a_held_run_can_be_given_up_and_is_not_said_to_be_stopped(
    rig: Rig, monkeypatch: pytest.MonkeyPatch, intent: Intent
) -> None:
    row = _at_work(rig, monkeypatch)
    again = _worker_of(rig)
    _slots(again).start(again.now(row))
    until(lambda: _slots(again).again(row.key), "that it is held")
    _slots(again).intend(again.now(row), intent, "somebody wants it")
    until(lambda: again.closed(row) or again.now(row).cleaned, "the end")
    assert "not stopped, it may go on: made on another engine" in again.said()
    assert rig.backend.removed == []
    reports = [report.event for report in again.journal.outbox() if report.event]
    told = [report.msg for report in reports if report.type is EventType.CANCELLED]
    assert all("not stopped" in str(msg) for msg in told)
    assert len(told) == (intent is Intent.CANCEL)

    rig.backend.elsewhere = None
    again.parts.pool.check()
    again.reconcile.step()
    assert rig.backend.removed == [row.name], "once it is within reach"
    again.close()


def test_a_held_run_is_not_given_back(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    """It may go on: nobody else must begin with it because this worker ends."""
    row = _at_work(rig, monkeypatch)
    rig.backend.elsewhere = "made on another engine: bring it back"
    _slots(rig).intend(rig.now(row), Intent.RELEASE, "the worker was stopped")
    until(lambda: _slots(rig).again(row.key), "that it is held")
    assert (rig.now(row).outcome, rig.journal.outbox()) == (None, [])
    rig.backend.elsewhere = None
    until(lambda: rig.now(row).cleaned, "the end")
    assert rig.now(row).outcome is Outcome.RELEASED
    rig.close()


@pytest.mark.parametrize(
    ("end", "outcome"), [(Exit(137, "SIGKILL"), Outcome.FAILED), (Exit(0), Outcome.COMPLETED)], ids=["killed", "well"]
)
def test_a_worker_killed_while_it_stopped_the_op_that_filled_a_disk_still_says_why(
    rig: Rig, end: Exit, outcome: Outcome
) -> None:
    """One that had ended well a moment before keeps its result."""
    row = rig.row()
    rig.parts.state_dir.make_run_dir(row.name)
    spec = Spec(row.name, "op", rig.parts.state_dir.run_dir(row.name))
    rig.backend.containers[row.name] = container = FakeContainer(spec, FakeOp(), starts=1, exit=end)
    container.ended.set()
    asked = {"handle": {"name": row.name}, "create_asked": True, "start_asked": True, "started_at": 1.0}
    rig.journal.update(row.key, **asked, filled_disk="it wrote 900 MB")
    _slots(rig).start(rig.now(row))
    until(lambda: rig.now(row).cleaned, "the end")
    assert rig.now(row).outcome is outcome
    assert rig.now(row).outcome_note.startswith("filled_disk") == (outcome is Outcome.FAILED)
    rig.close()


def test_a_run_waits_for_the_room_of_one_that_has_ended_until_that_is_cleaned_up(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The server counts a run no longer once it has its end, which is before its container is removed."""
    memory_mb = rig.parts.context.resources.ram_mb
    ended = rig.row("ended", constraints={"ram_mb": memory_mb})
    rig.record(ended).finish(Outcome.COMPLETED, "", EventReport(type=EventType.COMPLETED))
    rig.parts.pool.check()
    rig.beat()
    claimed = OpRun(id="next", image="op", attempt=1, lease="l2", constraints=Constraints(ram_mb=memory_mb))
    assert rig.parts.intake.take(Claimed([claimed], SERVER_ID)) == 1, "it is kept"
    looks: list[str | None] = []
    lacks = rig.parts.admission.lacks

    def noted(run: OpRun, active: list[RunRow]) -> str | None:
        looks.append(lacks(run, active))
        return looks[-1]

    monkeypatch.setattr(rig.parts.admission, "lacks", noted)
    rig.backend.known["op"] = FakeOp()
    begun = rig.backend.pulled
    until(lambda: len(looks) > 1 or begun, "its thread has looked twice for room")
    assert begun == []
    rig.journal.update(ended.key, cleaned=True)
    until(lambda: begun, "it begins")
    rig.close()


def test_a_run_that_waits_for_room_can_be_cancelled(rig: Rig) -> None:
    memory_mb = rig.parts.context.resources.ram_mb
    ended = rig.row("ended", constraints={"ram_mb": memory_mb})
    rig.record(ended).finish(Outcome.COMPLETED, "", EventReport(type=EventType.COMPLETED))
    row = rig.row("next", started=False, constraints={"ram_mb": memory_mb})
    _slots(rig).start(row)
    _slots(rig).intend(row, Intent.CANCEL, "by hand")
    until(lambda: rig.now(row).outcome is Outcome.CANCELLED, "cancelled")
    assert rig.backend.created == []
    rig.close()


def test_a_claimed_run_begins_only_with_a_slot(scripted: ScriptedServer, tmp_path: Path) -> None:
    rig = Rig(scripted, tmp_path / "state", {"max_runs": 1}, clock=SystemClock())
    del rig.worker.slots.start
    rig.backend.image_id = lambda image: "sha256:1"  # type: ignore[method-assign]
    rig.backend.known |= {"long": (long := FakeOp(ends_at_once=False)), "op": FakeOp()}
    first, second = rig.row("first", image="long"), rig.row("second")
    _slots(rig).start(first)
    until(lambda: rig.now(first).started_at, "the first one's start")
    _slots(rig).start(second)
    until(lambda: second.key in rig.parts.gate._claimed, "the second is at the gate")
    assert (rig.now(second).step, rig.backend.created) == ("", [first.name])
    long.go.set()
    until(lambda: rig.now(second).outcome is Outcome.COMPLETED, "the second one's end")
    rig.close()


def test_a_claimed_run_that_finds_no_slot_for_minutes_goes_back(scripted: ScriptedServer, tmp_path: Path) -> None:
    """A parent that came back may be at work for days; other workers may have room."""
    rig = Rig(scripted, tmp_path / "state", {"max_runs": 1}, clock=(clock := TurnedClock()))
    del rig.worker.slots.start
    parent = rig.row("parent")
    rig.parts.gate.enter(parent)
    rig.journal.update(parent.key, step="run_container")
    row = rig.row("claimed", started=False)
    _slots(rig).start(row)
    until(lambda: row.key in rig.parts.gate._claimed, "it is at the gate")
    clock.turn(290)
    rig.parts.gate.wake(row.key)
    assert rig.now(row).intent is Intent.NONE
    clock.turn(11)
    rig.parts.gate.wake(row.key)
    until(lambda: rig.now(row).outcome is Outcome.RELEASED, "it goes back")
    assert rig.now(row).outcome_note == "found no slot here for 5 min"
    rig.close()
