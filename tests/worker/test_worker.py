"""A whole worker on a fake backend, against the real server in this process."""

from __future__ import annotations

import errno
import json
import os
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from gyoza_tui.backends.base import BackendUnavailable, DiskFull, Label
from gyoza_tui.cli.printing import run_words
from gyoza_tui.client import GyozaClient
from gyoza_tui.models.constraints import Constraints
from gyoza_tui.models.filters import parse
from gyoza_tui.models.limits import LOG_TAIL_MAX
from gyoza_tui.models.runs import OpRun
from gyoza_tui.models.states import EventType, RunState
from gyoza_tui.settings import Settings
from gyoza_tui.worker.journal.journal import Journal
from gyoza_tui.worker.journal.row import Outcome
from gyoza_tui.worker.op_output.log_spool import SpoolReader
from gyoza_tui.worker.runner import Worker
from gyoza_tui.worker.state_dir import state_dir
from gyoza_tui.worker.view.control import ControlError, Ending
from gyoza_tui.worker.view.snapshot import Phase
from tests.histories import check_histories
from tests.servers import KEY, ServerThread
from tests.waiting import until
from tests.worker.fake_backend import FakeBackend, FakeOp


@pytest.fixture
def server(tmp_path: Path) -> Iterator[ServerThread]:
    with ServerThread(tmp_path / "server.db") as running:
        yield running
        check_histories(running.client)


class Bench:
    """Starts workers without their main thread, and stops them as a crash would: nothing is said to anybody."""

    def __init__(self, server: ServerThread, state: Path) -> None:
        self.server = server
        self.state = state
        self.backend = FakeBackend()
        self.workers: list[Worker] = []

    def worker(self, *, new_journal: bool = False, **settings: object) -> Worker:
        made = Settings(
            server_url=self.server.url,
            api_key=KEY,
            worker_id="w1",
            state_dir=self.state,
            pull_policy="never",
            min_free_mb=0,
            stop_grace_s=1,
            **settings,  # type: ignore[arg-type]
        )
        self.backend.image_id = lambda image: "sha256:1"  # type: ignore[method-assign]
        worker = Worker(made, backends={"docker": self.backend}, new_journal=new_journal)
        worker.begin()
        self.workers.append(worker)
        return worker

    def close(self) -> None:
        for worker in self.workers:
            worker.close()


@pytest.fixture
def bench(server: ServerThread, tmp_path: Path) -> Iterator[Bench]:
    made = Bench(server, tmp_path / "state")
    yield made
    made.close()


def _ended(client: GyozaClient, run_id: str, state: RunState) -> OpRun:
    until(lambda: client.get_run(run_id).state is state, f"{run_id} {state}")
    return client.get_run(run_id)


def test_a_run_from_claim_to_outputs(bench: Bench) -> None:
    bench.backend.known["op"] = FakeOp(
        stdout=b'hello\n{"type": "PROGRESS", "msg": 40}\n{"type": "COMPLETED", "msg": "forged"}\n',
        files={"output.json": b'{"label": "cat", "loss": NaN}'},
    )
    worker = bench.worker()
    run = bench.server.client.create_run("op", {"path": "a.jpg"})
    done = _ended(bench.server.client, run.id, RunState.COMPLETED)
    assert done.outputs == {"label": "cat", "loss": None}
    kinds = [event.type for event in done.events]
    assert kinds == [
        EventType.ASSIGNED,
        EventType.STARTED,
        EventType.PROGRESS,
        EventType.ERROR,
        EventType.COMPLETED,
    ]
    until(lambda: not worker.parts.journal.rows(), "the journal row closed")
    assert bench.backend.containers == {}
    assert worker.parts.state_dir.run_dirs() == []


def test_inputs_reach_the_op(bench: Bench) -> None:
    op = bench.backend.known["op"] = FakeOp(ends_at_once=False)
    bench.worker()
    run = bench.server.client.create_run("op", {"path": "a.jpg", "nothing": None})
    container = until(lambda: next(iter(bench.backend.containers.values()), None), "a container")
    until(lambda: container.starts, "its start")
    assert json.loads(container.files["input.json"]) == {"path": "a.jpg", "nothing": None}
    assert container.spec.env["GYOZA_INPUT_PATH"] == "/gyoza/input.pkl"
    assert container.spec.env["GYOZA_RUN_ID"] == run.id
    assert container.spec.labels[Label.RUN] == run.id
    op.go.set()
    _ended(bench.server.client, run.id, RunState.COMPLETED)


def test_that_no_docker_login_is_used_is_said_once(
    bench: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path))
    (tmp_path / "config.json").mkdir()
    said = [notice.text for notice in bench.worker().parts.notices.recent()]
    assert said.count(f"{tmp_path}/config.json cannot be read: Is a directory; no Docker login is used") == 1


def test_a_directory_that_cannot_be_removed_keeps_no_slot(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    bench.backend.known["op"] = FakeOp()
    worker = bench.worker(max_runs=1)

    def busy(_path: Path) -> None:
        raise OSError(errno.EBUSY, os.strerror(errno.EBUSY))

    with monkeypatch.context() as patched:
        patched.setattr(state_dir, "remove_tree", busy)
        for _ in range(2):
            run = bench.server.client.create_run("op", {})
            _ended(bench.server.client, run.id, RunState.COMPLETED)
        until(lambda: not worker.parts.journal.rows(), "the journal rows closed")
        assert len(worker.parts.state_dir.run_dirs()) == 2
        assert any("cannot be removed" in notice.text for notice in worker.parts.notices.recent())
    bench.close()
    bench.workers.clear()
    again = bench.worker()
    until(lambda: again.parts.state_dir.run_dirs() == [], "the next sweep removed them")


def test_a_failing_op_tells_its_exit_and_its_last_words_without_events(bench: Bench) -> None:
    bench.backend.known["op"] = FakeOp(
        stdout=b'{"type": "PROGRESS", "msg": 7}\nboom\n{"type": "INFO", "msg": "x"}\n', code=3
    )
    bench.worker()
    run = bench.server.client.create_run("op", {})
    done = _ended(bench.server.client, run.id, RunState.FAILED)
    payload = done.events[-1].payload
    assert payload is not None
    assert (payload["reason"], payload["exit_code"], payload["log_tail"]) == ("op_error", 3, "boom\n")


@pytest.mark.parametrize(
    ("stderr", "stdout", "line"),
    [
        (b"Traceback\nRuntimeError: no disk\n", b"reading the checkpoint\n", "RuntimeError: no disk"),
        (b" 10%\r 20%\r\n\n", b"reading\n", "20%"),
        (b"\n \n", b'no disk\n{"type": "PROGRESS", "msg": 7}\n', "no disk"),
        (b"the first key is hunter2\n", b"x" * 100_000 + b"\n", "the first key is ***"),
        (b"", b"", ""),
    ],
)
def test_the_reason_of_a_failure_is_the_last_line_of_stderr_if_there_is_one(
    bench: Bench, stderr: bytes, stdout: bytes, line: str
) -> None:
    """The worker's row, the server's summary and what a verb shows."""
    bench.backend.known["op"] = FakeOp(stderr=stderr, stdout=stdout, code=3)
    worker = bench.worker()
    run = bench.server.client.create_run("op", {}, secret_env={"KEY": "hunter2"})
    failed = _ended(bench.server.client, run.id, RunState.FAILED)
    until(lambda: not worker.parts.journal.rows(), "the journal row closed")
    assert worker.parts.journal.closed(1)[0].last_line == line
    assert (failed.execution_summary.error_message or "").endswith(f": {line}" if line else "exit code 3")
    assert run_words.note(failed) == f"op_error, exit 3{line and ': '}{line}"


def test_the_servers_cancel_stops_the_container(bench: Bench) -> None:
    bench.backend.known["op"] = FakeOp(ends_at_once=False)
    worker = bench.worker()
    run = bench.server.client.create_run("op", {})
    _ended(bench.server.client, run.id, RunState.RUNNING)
    bench.server.client.update_run(run.id, state=RunState.CANCELLED)
    until(lambda: not worker.parts.journal.rows(), "the run ended here")
    assert bench.backend.removed == bench.backend.created
    assert worker.parts.journal.closed(1)[0].outcome is Outcome.CANCELLED


def test_a_cancel_at_the_worker_is_reported(bench: Bench) -> None:
    bench.backend.known["op"] = FakeOp(ends_at_once=False)
    worker = bench.worker()
    run = bench.server.client.create_run("op", {})
    _ended(bench.server.client, run.id, RunState.RUNNING)
    assert worker.control.cancel(run.id, 1)
    _ended(bench.server.client, run.id, RunState.CANCELLED)
    until(lambda: not bench.backend.containers, "the container gone")
    assert not worker.control.cancel(run.id, 1)


def test_what_is_beyond_the_machine_goes_back_with_the_reason(bench: Bench) -> None:
    worker = bench.worker(max_runs=1)
    until(lambda: worker.parts.pool.available, "the engine is known")
    run = OpRun(id="r1", image="op", attempt=1, constraints=Constraints(ram_mb=10**7))
    refusal = worker.parts.admission.refusal(run, [])
    assert refusal is not None
    assert "needs ram_mb 10000000" in refusal


def test_a_paused_worker_takes_nothing_and_resumes(bench: Bench) -> None:
    bench.backend.known["op"] = FakeOp()
    worker = bench.worker()
    until(bench.server.client.list_workers, "the worker registered")
    worker.control.pause()
    until(lambda: bench.server.client.get_worker("w1").state == "paused", "paused at the server")
    run = bench.server.client.create_run("op", {})
    assert bench.server.client.get_run(run.id).state is RunState.PENDING
    worker.control.resume()
    _ended(bench.server.client, run.id, RunState.COMPLETED)


def test_a_restarted_worker_adopts_its_container(bench: Bench) -> None:
    op = bench.backend.known["op"] = FakeOp(stdout=b"one\ntwo\n", ends_at_once=False)
    first = bench.worker()
    run = bench.server.client.create_run("op", {})
    _ended(bench.server.client, run.id, RunState.RUNNING)
    until(lambda: bench.backend.started, "the start")
    first.close()
    second = bench.worker()
    assert [row.run_id for row in second.parts.journal.active()] == [run.id]
    op.go.set()
    done = _ended(bench.server.client, run.id, RunState.COMPLETED)
    assert [e.type for e in done.events].count(EventType.STARTED) == 1
    assert len(bench.backend.started) == 1
    row = until(lambda: second.parts.journal.closed(1), "closed")[0]
    spool = SpoolReader(second.parts.state_dir.log_path(run.id, 1, row.lease))
    assert b"".join(spool.raw()) == b"one\ntwo\n"


def test_a_run_is_shown_from_its_claim_into_the_history(bench: Bench) -> None:
    op = bench.backend.known["op"] = FakeOp(
        stdout=b'{"type": "PROGRESS", "msg": 40}\n', files={"output.json": b'{"loss": 1}'}, ends_at_once=False
    )
    first = bench.worker()
    run = bench.server.client.create_run("op", {}, event_delivery={"topic": "nightly"})
    at_work = until(lambda: next((v for v in first.control.snapshot().runs if v.progress), None), "its progress")
    assert (at_work.phase, at_work.adopted) == (Phase.RUNNING, False)
    assert [step.ended_at is not None for step in at_work.steps] == [True, True, True, False, False, False]
    assert first.control.shell(at_work.key) == ("sh",)
    first.close()
    second = bench.worker()
    adopted = second.control.snapshot().runs[0]
    assert (adopted.key, adopted.adopted, adopted.progress) == (at_work.key, True, at_work.progress)
    assert adopted.steps[:3] == at_work.steps[:3]
    version = second.control.snapshot().history_version
    op.go.set()
    until(lambda: second.control.snapshot().history_version > version, "it is in the history")
    snapshot = second.control.snapshot()
    assert (snapshot.runs, snapshot.tally.completed) == ((), 1)
    (closed,) = second.control.history(parse("topic:nightly state:completed"), 10).runs
    assert (closed.key, closed.phase, closed.adopted) == (at_work.key, Phase.COMPLETED, True)
    assert closed.outcome_note == "outputs: 1"
    begun = [step.began_at or 0.0 for step in closed.steps]
    assert begun == sorted(begun)
    assert [step.ended_at for step in closed.steps][:-1] == begun[1:]
    assert (closed.steps[-1].ended_at or 0.0) >= begun[-1]
    details = second.control.details(closed.key)
    assert details.server is not None
    assert (details.server.id, details.server.outputs) == (run.id, {"loss": 1})
    with pytest.raises(ControlError, match="COMPLETED: only a run that FAILED or was CANCELLED"):
        second.control.retry(run.id)


def test_a_time_limit_counts_from_the_start_also_when_the_worker_died_behind_it(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench.backend.known["op"] = FakeOp(ends_at_once=False)
    update = Journal.update
    dead = threading.Event()

    def dead_behind_the_start(journal: Journal, key: int, **changes: object) -> None:
        if "started_at" in changes:
            dead.set()
            threading.Event().wait()
        update(journal, key, **changes)

    with monkeypatch.context() as patched:
        patched.setattr(Journal, "update", dead_behind_the_start)
        first = bench.worker()
        run = bench.server.client.create_run("op", {}, timeout_s=3600)
        assert dead.wait(20)
    first.close()
    (container,) = bench.backend.containers.values()
    container.started_at = time.time() - 3601
    bench.worker()
    payload = _ended(bench.server.client, run.id, RunState.FAILED).events[-1].payload
    assert payload is not None
    assert payload["reason"] == "timeout"


def test_a_new_journal_gives_unknown_containers_back(bench: Bench) -> None:
    bench.backend.known["op"] = FakeOp(ends_at_once=False)
    first = bench.worker()
    run = bench.server.client.create_run("op", {})
    _ended(bench.server.client, run.id, RunState.RUNNING)
    until(lambda: bench.backend.started, "the start")
    first.close()
    bench.worker(new_journal=True)
    until(lambda: bench.server.client.get_run(run.id).current_attempt == 2, "the run given back")
    until(lambda: bench.backend.created[0] in bench.backend.removed, "its container gone")


def test_an_engine_that_is_away_for_a_moment_fails_no_run(bench: Bench) -> None:
    bench.backend.known["op"] = FakeOp(files={"output.json": b"{}"})
    bench.backend.fail["create"] = BackendUnavailable("restarting")
    bench.backend.fail["start"] = BackendUnavailable("restarting")
    bench.backend.fail["remove"] = BackendUnavailable("restarting")
    worker = bench.worker()
    run = bench.server.client.create_run("op", {})
    _ended(bench.server.client, run.id, RunState.COMPLETED)
    until(lambda: not worker.parts.journal.rows(), "all cleaned up")
    assert not bench.backend.containers


def test_the_machines_failure_is_not_told_as_the_ops(bench: Bench) -> None:
    bench.backend.known["op"] = FakeOp()
    bench.backend.fail["create"] = DiskFull("no space left for the container")
    worker = bench.worker()
    run = bench.server.client.create_run("op", {})
    events = until(
        lambda: [
            e for a in bench.server.client.get_run(run.id).attempts for e in a.events if e.type is EventType.FAILED
        ],
        "FAILED",
    )
    assert events[0].payload is not None
    assert events[0].payload["reason"] == "disk_full"
    told = [notice.text for notice in worker.control.notices() if run.id in notice.text]
    assert [text for text in told if "no space left" in text] == [
        f"{run.id} failed: disk_full: no space left for the container"
    ]


def test_a_downed_backend_is_no_offer(bench: Bench) -> None:
    bench.backend.down = "connection refused"
    worker = bench.worker()
    until(lambda: worker.control.snapshot().backends["docker"] == "connection refused", "the trouble shown")
    until(bench.server.client.list_workers, "the worker registered")
    assert bench.server.client.get_worker("w1").backends == []
    run = bench.server.client.create_run("op", {})
    bench.backend.known["op"] = FakeOp()
    assert bench.server.client.get_run(run.id).state is RunState.PENDING
    bench.backend.down = None
    worker.control.try_now()
    _ended(bench.server.client, run.id, RunState.COMPLETED)


def test_a_released_run_is_another_attempt(bench: Bench) -> None:
    bench.backend.known["op"] = FakeOp(ends_at_once=False)
    worker = bench.worker()
    run = bench.server.client.create_run("op", {})
    _ended(bench.server.client, run.id, RunState.RUNNING)
    assert worker.control.release(run.id, 1)
    assert _ended(bench.server.client, run.id, RunState.PENDING).current_attempt == 2


def test_eight_at_once_and_never_more(bench: Bench) -> None:
    bench.backend.known["op"] = FakeOp(ends_at_once=False)
    worker = bench.worker(max_runs=3)
    runs = [bench.server.client.create_run("op", {}) for _ in range(7)]
    until(lambda: len(bench.backend.started) == 3, "three started")
    assert len(worker.parts.journal.active()) == 3
    bench.backend.known["op"].go.set()
    for run in runs:
        _ended(bench.server.client, run.id, RunState.COMPLETED)
    assert len(set(bench.backend.started)) == len(bench.backend.started) == 7


def test_a_drain_ends_when_all_is_delivered(bench: Bench) -> None:
    op = bench.backend.known["op"] = FakeOp(ends_at_once=False)
    worker = bench.worker()
    run = bench.server.client.create_run("op", {})
    _ended(bench.server.client, run.id, RunState.RUNNING)
    codes: list[int] = []
    waiter = threading.Thread(target=lambda: codes.append(worker.parts.shutdown.wait()), daemon=True)
    waiter.start()
    worker.control.end(Ending.DRAIN)
    until(lambda: bench.server.client.get_worker("w1").state == "draining", "draining at the server")
    assert not codes
    op.go.set()
    waiter.join(20)
    assert codes == [0]
    assert bench.server.client.get_run(run.id).state is RunState.COMPLETED
    assert bench.server.client.list_workers() == []


_KEY = 'pass"wörd\nthe-second-line'
_PIN = "73519042"
_TOKEN = "hunter2hunter2"
_PARTS = ('pass"w', 'pass\\"w', "w\\u00f6rd", "wörd", "the-second-line", _PIN, "nter2")


def _prints_its_secrets() -> bytes:
    """As events, as JSON that is log, as lines, and cut in two where the reported end of the log begins."""
    lines = [
        json.dumps({"type": "INFO", "msg": f"key {_KEY}", "payload": {"list": [{_KEY: _TOKEN}], "pin": int(_PIN)}}),
        json.dumps({"type": "ERROR", "msg": _PIN, "payload": {"text": json.dumps({"key": _KEY})}}),
        json.dumps({"type": "PROGRESS", "msg": 40, "payload": {"key": _KEY}}),
        _KEY,
        _TOKEN + "x" * (LOG_TAIL_MAX - 200),
        json.dumps({"key": _KEY, "pin": _PIN}),
        f"the last line {_TOKEN}",
    ]
    text = "\n".join(lines).encode() + b"\n"
    begin = text.rindex(_TOKEN.encode() + b"xxxx")
    return text + b"y" * (LOG_TAIL_MAX - (len(text) - begin) + 8 - 1) + b"\n"


def test_no_secret_leaves_with_what_is_reported_of_a_run(bench: Bench) -> None:
    bench.backend.known["op"] = FakeOp(stdout=_prints_its_secrets(), code=1)
    worker = bench.worker()
    run = bench.server.client.create_run("op", {}, secret_env={"KEY": _KEY, "PIN": _PIN, "TOKEN": _TOKEN})
    failed = _ended(bench.server.client, run.id, RunState.FAILED)
    until(lambda: not worker.parts.journal.rows(), "the journal row closed")
    ended = next(event for event in failed.events if event.type is EventType.FAILED)
    assert ended.payload is not None
    assert len(ended.payload["log_tail"]) > LOG_TAIL_MAX // 2
    (info,) = (event for event in failed.events if event.type is EventType.INFO)
    assert (info.msg, info.payload) == ("key ***", {"list": [{"***": "***"}], "pin": "***"})
    (row,) = worker.parts.journal.closed(1)
    notices = [f"{notice.text} {notice.fields}" for notice in worker.parts.notices.recent()]
    places = (str(failed.model_dump()), ended.payload["log_tail"], row.outcome_note, row.last_line, *notices)
    assert [(part, place) for part in _PARTS for place in places if part in place] == []


def test_outputs_are_the_users_data(bench: Bench) -> None:
    bench.backend.known["op"] = FakeOp(files={"output.json": json.dumps({"token": _TOKEN}).encode()})
    bench.worker()
    run = bench.server.client.create_run("op", {}, secret_env={"TOKEN": _TOKEN})
    assert _ended(bench.server.client, run.id, RunState.COMPLETED).outputs == {"token": _TOKEN}
