"""The snapshot: what it says of runs, of the machine and of the server."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from pydantic_core import to_json

from gyoza_tui.backends.base import BackendUnavailable, Exit, Handle, ImageNotFound, PullFailed, PullProgress
from gyoza_tui.models.constraints import Constraints
from gyoza_tui.models.limits import MIB
from gyoza_tui.models.runs import EventReport
from gyoza_tui.models.states import EventType
from gyoza_tui.worker.execution_pipeline.services import Services
from gyoza_tui.worker.execution_pipeline.types.context import ExecutionContext
from gyoza_tui.worker.image_pulls import RETRY_S
from gyoza_tui.worker.journal.row import Outcome, RunRow
from gyoza_tui.worker.slots import Slots
from gyoza_tui.worker.state_dir.disk import look
from gyoza_tui.worker.view.run_views import inputs_line
from gyoza_tui.worker.view.snapshot import Failures, Phase, RetryNotice, RunView, StepView, Tally
from tests.scripted_server import Reply, ScriptedServer
from tests.waiting import until
from tests.worker.rig import Rig

_NAMES = [
    "prepare_inputs",
    "pull_latest_image",
    "start_oprun",
    "run_container",
    "complete_oprun",
    "cleanup_op_dir",
]


def _view(rig: Rig, run_id: str = "r1") -> RunView:
    (found,) = (view for view in rig.worker.control.snapshot().runs if view.run_id == run_id)
    return found


def _failed(rig: Rig, row: RunRow, **payload: Any) -> RunRow:
    failure = {"reason": "oom_killed", "exit_code": 137, "message": "used more than its limit of 64 MB"} | payload
    return rig.end(row, EventType.FAILED, failure)


def test_each_step_ends_where_the_next_one_begins(rig: Rig) -> None:
    row = rig.row()
    assert [step.name for step in _view(rig).steps] == _NAMES
    assert all(step == StepView(step.name) for step in _view(rig).steps)
    began = rig.clock.utc().timestamp()
    for name in _NAMES[:4]:
        rig.journal.begin_step(row.key, name)
        rig.clock.turn(2)
    steps = _view(rig).steps
    assert steps[0] == StepView("prepare_inputs", began, began + 2)
    assert steps[3] == StepView("run_container", began + 6, None)
    assert steps[4] == StepView("complete_oprun")


def test_a_step_left_out_after_a_failure_was_never_entered(rig: Rig) -> None:
    row = rig.row()
    began = rig.clock.utc().timestamp()
    rig.journal.begin_step(row.key, "pull_latest_image")
    rig.clock.turn(3)
    rig.journal.begin_step(row.key, "cleanup_op_dir")
    rig.clock.turn(1)
    _failed(rig, row)
    steps = {step.name: step for step in _view(rig).steps}
    assert steps["pull_latest_image"] == StepView("pull_latest_image", began, began + 3)
    assert steps["run_container"] == StepView("run_container")
    assert steps["cleanup_op_dir"] == StepView("cleanup_op_dir", began + 3, began + 4)


def test_steps_of_another_pipeline_are_shown_as_they_were_entered(rig: Rig) -> None:
    row = rig.row()
    began = rig.clock.utc().timestamp()
    rig.journal.begin_step(row.key, "fetch_model")
    rig.clock.turn(1)
    rig.journal.begin_step(row.key, "run_container")
    assert _view(rig).steps == (
        StepView("fetch_model", began, began + 1),
        StepView("run_container", began + 1),
    )


def test_a_view_is_drawn_anew_only_when_something_changed(rig: Rig) -> None:
    row, other = rig.row("r1"), rig.row("r2")
    first = _view(rig)
    assert _view(rig) is first
    rig.journal.begin_step(other.key, "prepare_inputs")
    assert _view(rig) is first
    rig.journal.begin_step(row.key, "prepare_inputs")
    assert _view(rig) is not first
    assert _view(rig).steps[0].began_at is not None


def test_progress_and_the_time_left(rig: Rig) -> None:
    row = rig.row()
    assert _view(rig).progress is None
    rig.says(row, 10)
    rig.clock.turn(60)
    rig.says(row, 40)
    progress = _view(rig).progress
    assert progress is not None
    assert (progress.percent, progress.at, progress.left_s) == (40, rig.clock.utc().timestamp(), 120)


def test_what_the_server_says_and_which_gpu(rig: Rig) -> None:
    row = rig.row(constraints=Constraints(gpu_id=1, vram_mb=10))
    assert (_view(rig).server_state, _view(rig).gpu) == (None, 1)
    rig.parts.context.add_running_op(row.run_id, "op", {})
    rig.parts.context.set_run_state(row.run_id, "CANCELLED")
    assert _view(rig).server_state == "CANCELLED"
    assert rig.row("cpu-only").run.constraints.gpu_id is None
    assert _view(rig, "cpu-only").gpu is None


def test_how_far_the_pull_is_while_there_is_no_container(rig: Rig) -> None:
    shown = threading.Event()
    looked = threading.Event()

    def pull(ctx: ExecutionContext) -> ExecutionContext:
        assert isinstance(ctx.services, Services)
        ctx.services.on_pull(PullProgress(bytes_done=5, bytes_total=10, layers_done=1, layers_total=2))
        shown.set()
        assert looked.wait(20)
        ctx.services.record.update(outcome=Outcome.LOST, acked=True, cleaned=True)
        return ctx

    rig.parts.pipeline.steps = [pull]
    row = rig.row()
    slots = rig.worker.slots
    Slots.start(slots, row)
    assert shown.wait(20)
    assert _view(rig).pull == PullProgress(bytes_done=5, bytes_total=10, layers_done=1, layers_total=2)
    rig.journal.update(row.key, handle={"id": "c"})
    assert _view(rig).pull is None
    looked.set()


def test_why_a_pull_is_tried_again_until_it_goes_on(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    tries: list[str] = []
    looked, over = threading.Event(), threading.Event()

    def pull(image: str, on_progress: Callable[[PullProgress], None], cancel: threading.Event) -> None:
        tries.append(image)
        if len(tries) == 1:
            raise PullFailed("the registry is down", retryable=True)
        assert looked.wait(20)
        on_progress(PullProgress(1, 2, 0, 1))
        assert over.wait(20)
        raise ImageNotFound(image)

    monkeypatch.setattr(rig.backend, "pull", pull)
    row = rig.row()
    failed_at = rig.clock.utc().timestamp()
    Slots.start(rig.worker.slots, row)
    again = until(lambda: _view(rig).again, "that it is tried again")
    assert again == RetryNotice("the registry is down", failed_at + RETRY_S[0])
    looked.set()
    until(lambda: _view(rig).pull == PullProgress(1, 2, 0, 1), "that it goes on")
    assert _view(rig).again is None
    over.set()
    until(lambda: rig.now(row).cleaned, "the end")


def test_why_a_call_of_the_engine_is_made_again(rig: Rig) -> None:
    seen: list[RetryNotice | None] = []

    def called(ctx: ExecutionContext) -> ExecutionContext:
        assert isinstance(ctx.services, Services)

        def once() -> None:
            seen.append(_view(rig).again)
            if len(seen) == 1:
                raise BackendUnavailable("no engine")

        ctx.services.patiently("create", once)
        seen.append(_view(rig).again)
        ctx.services.record.update(outcome=Outcome.LOST, acked=True, cleaned=True)
        return ctx

    rig.parts.pipeline.steps = [called]
    row = rig.row()
    Slots.start(rig.worker.slots, row)
    until(lambda: rig.journal.get(row.key) is None, "the end")
    assert [again and again.why for again in seen] == [None, "create: no engine", None]


def test_when_what_is_asked_to_stop_is_killed(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    stopping, looked, stopped, over = (threading.Event() for _ in range(4))

    def stop(handle: Handle, grace_s: float) -> None:
        stopping.set()
        assert looked.wait(20)

    def cancelled(ctx: ExecutionContext) -> ExecutionContext:
        assert isinstance(ctx.services, Services)
        ctx.services.stop_attempt()
        stopped.set()
        assert over.wait(20)
        ctx.services.record.update(outcome=Outcome.LOST, acked=True, cleaned=True)
        return ctx

    monkeypatch.setattr(rig.backend, "state", lambda _handle: Phase.RUNNING)
    monkeypatch.setattr(rig.backend, "stop", stop)
    rig.parts.pipeline.steps = [cancelled]
    row = rig.row()
    rig.journal.update(row.key, handle={"id": "c"}, start_asked=True)
    assert _view(rig).kill_at is None
    Slots.start(rig.worker.slots, row)
    assert stopping.wait(20)
    assert _view(rig).kill_at == rig.clock.utc().timestamp() + rig.parts.settings.stop_grace_s
    looked.set()
    assert stopped.wait(20)
    assert _view(rig).kill_at is None
    over.set()


def test_what_was_at_work_when_the_worker_ended_is_adopted(scripted: ScriptedServer, tmp_path: Path) -> None:
    first = Rig(scripted, tmp_path / "state")
    at_work, taken = first.row("at-work"), first.row("taken")
    first.journal.update(at_work.key, handle={"id": "c"}, step="run_container", started_at=1.0)
    first.journal.begin_step(at_work.key, "run_container")
    first.says(at_work, 5)
    first.clock.turn(10)
    first.says(at_work, 6)
    before = _view(first, "at-work")
    first.close()
    second = Rig(scripted, tmp_path / "state")
    second.worker.begin()
    view = _view(second, "at-work")
    assert (view.adopted, _view(second, "taken").adopted) == (True, False)
    assert (view.steps, view.progress) == (before.steps, before.progress)
    assert view.phase is Phase.RUNNING
    assert view.key == at_work.key
    assert _view(second, "taken").key == taken.key
    second.close()


def test_counts_and_failures_until_they_are_looked_at(rig: Rig) -> None:
    rig.end(rig.row("c1"), EventType.COMPLETED, {"a": 1})
    since = rig.clock.utc().timestamp()
    failed = _failed(rig, rig.row("f1"))
    rig.clock.turn(9)
    _failed(rig, rig.row("f2"))
    rig.end(rig.row("x1"), EventType.CANCELLED)
    rig.release(rig.row("rel"))
    snapshot = rig.worker.control.snapshot()
    assert snapshot.tally == Tally(completed=1, failed=2, cancelled=1, other=1)
    assert snapshot.failures == Failures(2, since)
    assert [view.seen for view in snapshot.runs] == [True, False, False, True, True]
    rig.worker.control.seen(failed.key)
    assert rig.worker.control.snapshot().failures == Failures(1, since + 9)
    assert _view(rig, "f1").seen
    with pytest.raises(KeyError):
        rig.worker.control.seen(12345)


def test_what_the_run_list_says_of_an_end(rig: Rig) -> None:
    rig.end(rig.row("c1"), EventType.COMPLETED, {"a": 1, "b": 2, "c": None})
    assert _view(rig, "c1").outcome_note == "outputs: 3"
    _failed(rig, rig.row("f1"), signal="SIGKILL", log_tail="one\nKilled \x1b[31mprocess\x1b[0m 4121\n\n")
    view = _view(rig, "f1")
    assert view.outcome_note == "oom_killed, exit 137, SIGKILL: used more than its limit of 64 MB"
    assert view.last_line == "Killed process 4121"
    _failed(rig, rig.row("f2"), log_tail=" 10%\r 20%\r\n \n")
    assert _view(rig, "f2").last_line == "20%"
    rig.record(rig.row("x1")).finish(
        Outcome.CANCELLED, "cancelled at the server", EventReport(type=EventType.CANCELLED)
    )
    assert _view(rig, "x1").outcome_note == "cancelled at the server"


def test_disk_and_its_room_are_as_they_were_last_looked_at(rig: Rig) -> None:
    assert rig.worker.control.snapshot().disk_free_mb is None
    rig.guard.step()
    snapshot = rig.worker.control.snapshot()
    assert snapshot.disk is None
    assert (snapshot.disk_free_mb or 0) > 0


def test_the_disk_with_the_least_room_is_told_also_when_another_cannot_be_looked_at(tmp_path: Path) -> None:
    missing = tmp_path / "missing"
    seen = look([missing, tmp_path], 0)
    assert seen.trouble == f"disk: {missing} cannot be looked at: No such file or directory"
    assert (seen.free_mb or 0) > 0
    low = look([tmp_path], 10**12)
    assert low.trouble is not None
    assert "GYOZA_MIN_FREE_MB is 1000000000000" in low.trouble
    assert look([], 1) == look([], 2)


def test_a_disk_without_any_room_is_full_whatever_is_wanted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shutil.disk_usage", lambda _: SimpleNamespace(free=4096))
    assert look([tmp_path], 0).trouble == f"disk full: {tmp_path} has 0 MB free, GYOZA_MIN_FREE_MB is 0"


def test_since_when_the_server_is_down(rig: Rig, scripted: ScriptedServer) -> None:
    well = scripted.defaults["beat"]
    scripted.defaults["beat"] = Reply(drop=True)
    rig.heartbeat.step()
    assert rig.worker.control.snapshot().down_since is None, "it never answered"
    scripted.defaults["beat"] = well
    rig.heartbeat.step()
    assert rig.link.state.registered
    scripted.defaults["beat"] = Reply(drop=True)
    rig.heartbeat.step()
    since = rig.worker.control.snapshot().down_since
    assert since is not None
    rig.clock.turn(30)
    rig.heartbeat.step()
    assert rig.worker.control.snapshot().down_since == since
    scripted.defaults["beat"] = well
    rig.heartbeat.step()
    assert rig.worker.control.snapshot().down_since is None


def test_the_history_has_a_version(rig: Rig) -> None:
    row = rig.row()
    rig.journal.update(row.key, exit=Exit(code=0))
    before = rig.worker.control.snapshot()
    rig.end(row)
    rig.journal.settled(rig.journal.outbox())
    after = rig.worker.control.snapshot()
    assert after.history_version > before.history_version
    assert after.version > before.version
    assert after.runs == ()


def test_a_view_says_nothing_secret_and_nothing_long(rig: Rig) -> None:
    """Also of twenty runs with a megabyte of inputs each; how they begin is enough to know them by."""
    big = {"token": "in-the-open", "text": "x" * MIB, "more": ["y"] * 1000}
    for number in range(20):
        rig.row(f"r{number}", inputs=big, secret_env={"KEY": "s3cret"}, env={"PLAIN": "environment"}, lease="lease-1")
    shown = to_json(rig.worker.control.snapshot()).decode()
    assert len(shown) < 40_000
    assert shown.count("in-the-open") == 20
    for hidden in ("s3cret", "environment", "lease-1"):
        assert hidden not in shown
    assert all(len(view.inputs) <= 200 for view in rig.worker.control.snapshot().runs)
    assert rig.worker.control.snapshot().runs[0].inputs.endswith("…")


@pytest.mark.parametrize(("inputs", "line"), [({}, ""), ({"n": 1, "name": "ü"}, '{"n": 1, "name": "ü"}')])
def test_short_inputs_are_shown_whole(inputs: dict[str, Any], line: str) -> None:
    assert inputs_line(inputs) == line
