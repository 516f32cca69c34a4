"""A program that makes and closes workers, one after another, is left as it was."""

from __future__ import annotations

import contextlib
import gc
import os
import threading
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from gyoza_tui.models.states import RunState
from gyoza_tui.settings import Settings
from gyoza_tui.worker.journal.file import JournalError
from gyoza_tui.worker.op_output.log_spool import SpoolReader
from gyoza_tui.worker.runner import Worker, WorkerError
from gyoza_tui.worker.session import Bounds
from gyoza_tui.worker.state_dir.state_dir import StateDir
from tests.servers import KEY, ServerThread
from tests.waiting import until
from tests.worker.fake_backend import FakeBackend, FakeOp

ROUNDS = 20


def _settings(tmp_path: Path, url: str = "http://127.0.0.1:9", **more: Any) -> Settings:
    return Settings(server_url=url, worker_id="w1", state_dir=tmp_path / "state", min_free_mb=0, api_key=KEY, **more)


class Traces:
    """Threads and descriptors of this process beyond those at the beginning."""

    def __init__(self) -> None:
        self._threads = set(threading.enumerate())
        self._files = self._descriptors()

    def check(self) -> None:
        until(lambda: not self._new_threads(), f"no thread is left: {self._new_threads()}")
        gc.collect()
        until(lambda: not self._new_files(), f"no descriptor is left: {self._new_files()}")

    def _new_threads(self) -> list[str]:
        return [thread.name for thread in set(threading.enumerate()) - self._threads]

    def _new_files(self) -> list[str]:
        return list((Counter(self._descriptors()) - Counter(self._files)).elements())

    @staticmethod
    def _descriptors() -> list[str]:
        """What the descriptors of this process are, without the one that lists them."""
        found = []
        for name in os.listdir("/proc/self/fd"):
            with contextlib.suppress(OSError):
                found.append(os.readlink(f"/proc/self/fd/{name}"))
        return [path for path in found if path != f"/proc/{os.getpid()}/fd"]


def _only_made(worker: Worker) -> None:
    worker.parts.pool.check()
    worker.close()


def _worked(worker: Worker) -> None:
    """As a headless one does, with every duty in its thread."""
    worker.begin()
    until(worker.parts.history.latest, "a sample")
    worker.close()


def _closed_elsewhere(worker: Worker) -> None:
    closing = threading.Thread(target=worker.close)
    closing.start()
    closing.join()


@pytest.mark.parametrize("end", [_only_made, _worked, _closed_elsewhere])
def test_made_and_closed_twenty_times_without_a_trace(tmp_path: Path, end: Callable[[Worker], None]) -> None:
    Worker(_settings(tmp_path)).close()  # loads what is loaded once
    traces = Traces()
    for _ in range(ROUNDS):
        end(Worker(_settings(tmp_path)))
    traces.check()


def test_a_worker_that_cannot_be_made_leaves_nothing(tmp_path: Path) -> None:
    worker = Worker(_settings(tmp_path))
    journal = worker.parts.state_dir.journal
    worker.close()
    good = journal.read_bytes()
    ops_file = tmp_path / "ops.toml"
    ops_file.write_text("[ops")
    traces = Traces()
    for _ in range(ROUNDS):
        journal.write_bytes(b"no journal" * 1000)
        with pytest.raises(JournalError):
            Worker(_settings(tmp_path))
        journal.write_bytes(good)
        with pytest.raises(WorkerError):
            Worker(_settings(tmp_path, ops_file=ops_file))
        with pytest.raises(WorkerError):
            Worker(_settings(tmp_path), duties=["no such duty"])
    traces.check()
    Worker(_settings(tmp_path)).close()


def test_a_given_state_directory_is_let_go_of_too(tmp_path: Path) -> None:
    state_dir = StateDir.open(tmp_path / "state", "w1")
    state_dir.journal.write_bytes(b"no journal" * 1000)
    with pytest.raises(JournalError):
        Worker(_settings(tmp_path), state_dir=state_dir)
    StateDir.open(tmp_path / "state", "w1").close()


def test_sessions_one_after_another_leave_nothing(tmp_path: Path) -> None:
    backend = FakeBackend({"op": FakeOp()})
    traces = Traces()
    with ServerThread(tmp_path / "server.db") as server:
        for _ in range(3):
            run = server.client.create_run("op", {})
            worker = Worker(
                _settings(tmp_path, server.url), backends={"docker": backend}, bounds=Bounds(until_empty=True)
            )
            worker.begin()
            assert worker.serve() == 0
            worker.close()
            assert server.client.get_run(run.id).state is RunState.COMPLETED
    traces.check()


def test_a_run_goes_on_when_its_worker_is_closed_and_the_next_one_adopts_it(tmp_path: Path) -> None:
    """In one process: the threads of the first let go of the output, and never stop the container."""
    op = FakeOp(b"before\n", ends_at_once=False)
    backend = FakeBackend({"op": op})
    traces = Traces()
    with ServerThread(tmp_path / "server.db") as server:
        run = server.client.create_run("op", {})
        for _ in range(3):
            worker = Worker(_settings(tmp_path, server.url), backends={"docker": backend})
            worker.begin()
            until(lambda: server.client.get_run(run.id).state is RunState.RUNNING, "it runs")
            row = worker.parts.journal.rows()[0]
            until(lambda: worker.slots.spooled(row.key), "its output")  # noqa: B023
            worker.close()
            until(lambda: worker.slots.count == 0, "its thread ends")  # noqa: B023
        assert (len(backend.started), backend.removed) == (1, [])
        last = Worker(_settings(tmp_path, server.url), backends={"docker": backend}, bounds=Bounds(until_empty=True))
        last.begin()
        op.go.set()
        assert last.serve() == 0
        last.close()
        assert server.client.get_run(run.id).state is RunState.COMPLETED
        assert b"".join(SpoolReader(last.parts.state_dir.log_of(row.name)).raw()) == b"before\n"
    traces.check()
