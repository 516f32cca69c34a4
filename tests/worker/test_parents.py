"""Workers whose runs wait for runs that they created, at a real server: all ways in which a worker may end or begin."""

from __future__ import annotations

import errno
import socket
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from gyoza_tui.models.nested import Parent
from gyoza_tui.models.runs import OpRun, RunPatch
from gyoza_tui.models.states import RunState
from gyoza_tui.settings import Settings
from gyoza_tui.worker.journal.row import RunRow
from gyoza_tui.worker.op_channel import address
from gyoza_tui.worker.runner import Worker
from gyoza_tui.worker.view.control import Ending
from tests.histories import check_histories
from tests.servers import KEY, ServerThread
from tests.waiting import until
from tests.worker.fake_backend import FakeBackend, FakeOp


@pytest.fixture
def server(tmp_path: Path) -> Iterator[ServerThread]:
    with ServerThread(tmp_path / "server.db") as running:
        yield running
        check_histories(running.client)


class Nest:
    """A worker of one slot; the op `parent` does what a test has it do in a thread, in the place of its channel."""

    def __init__(self, server: ServerThread, state: Path) -> None:
        self.client = server.client
        self._url = server.url
        self._state = state
        self.ends = FakeOp(ends_at_once=False)
        self.long = FakeOp(ends_at_once=False)
        self.backend = FakeBackend({"parent": self.ends, "op": FakeOp(), "long": self.long})
        self.backend.image_id = lambda image: "sha256:1"  # type: ignore[method-assign]
        self.worker = self.make()
        self.parent = self.client.create_run("parent", may_submit="any")
        self.child: OpRun | None = None

    def make(self, **more: Any) -> Worker:
        usual: dict[str, Any] = {"max_runs": 1, "pull_policy": "never", "min_free_mb": 0, "stop_grace_s": 1}
        made = Settings(server_url=self._url, api_key=KEY, worker_id="w1", state_dir=self._state, **usual | more)
        self.worker = Worker(made, backends={"docker": self.backend})
        return self.worker

    @property
    def row(self) -> RunRow:
        rows = (row for row in self.worker.parts.journal.active() if row.run_id == self.parent.id)
        return until(lambda: next(rows, None), "the parent is here")

    def state(self, run: OpRun | None) -> RunState:
        assert run is not None
        return self.client.get_run(run.id).state

    def begins_to_wait(self, image: str = "op") -> OpRun:
        """Once it runs, the op creates a child and waits for it."""
        until(lambda: self.state(self.parent) is RunState.RUNNING, "the parent runs")
        row = self.row
        proof = Parent(run=row.run_id, attempt=row.attempt, lease=row.lease or "")
        self.child = self.client.create_run(image, parent=proof)
        self.worker.parts.waiting_runs.begin(row.key, 1, 1)
        return self.child

    def goes_on(self) -> None:
        """Once the child has ended, the op is answered and ends."""
        until(lambda: self.state(self.child).terminal, "the child's end")
        self.worker.parts.waiting_runs.come_back(self.row.key, self.ends.go.set)

    def lives(self) -> None:
        self.begins_to_wait()
        self.goes_on()

    def all_completed_at_once(self) -> None:
        """Parent and child have completed, each by its first attempt."""
        assert self.child is not None
        for run in (self.parent, self.child):
            until(lambda run=run: self.state(run).terminal, f"the end of {run.image}")  # type: ignore[misc]
            whole = self.client.get_run(run.id)
            assert (whole.state, whole.current_attempt) == (RunState.COMPLETED, 1)


@pytest.fixture
def nest(server: ServerThread, tmp_path: Path) -> Iterator[Nest]:
    made = Nest(server, tmp_path / "state")
    yield made
    for op in (made.ends, made.long):
        op.go.set()
    made.worker.close()


def _in_thread(call: Callable[[], object]) -> threading.Thread:
    thread = threading.Thread(target=call, daemon=True)
    thread.start()
    return thread


def test_a_parent_and_its_child_on_one_slot(nest: Nest) -> None:
    nest.worker.begin()
    nest.lives()
    nest.all_completed_at_once()


def test_a_drain_claims_the_child_and_ends_with_the_parent(nest: Nest) -> None:
    nest.worker.begin()
    until(lambda: nest.state(nest.parent) is RunState.RUNNING, "the parent runs")
    nest.worker.control.end(Ending.DRAIN)
    other = nest.client.create_run("op", priority=9)
    served = _in_thread(nest.worker.serve)
    nest.lives()
    nest.all_completed_at_once()
    served.join(20)
    assert not served.is_alive()
    assert nest.state(other) is RunState.PENDING


def test_a_session_for_one_run_claims_its_children(nest: Nest) -> None:
    other = nest.client.create_run("op", priority=9)
    op = _in_thread(nest.lives)
    assert nest.worker.run_one(nest.parent.id, max_seconds=60) == 0
    op.join(20)
    nest.all_completed_at_once()
    assert nest.state(other) is RunState.PENDING


def test_a_session_until_all_is_done_waits_for_parents(nest: Nest) -> None:
    op = _in_thread(nest.lives)
    assert nest.worker.run_all(max_seconds=60) == 0
    op.join(20)
    nest.all_completed_at_once()


def test_a_paused_worker_claims_no_child_until_it_is_resumed(nest: Nest) -> None:
    nest.worker.begin()
    until(lambda: nest.state(nest.parent) is RunState.RUNNING, "the parent runs")
    nest.worker.control.pause()
    until(lambda: nest.client.list_workers()[0].state == "paused", "the server knows")
    child = nest.begins_to_wait()
    until(lambda: nest.row.waits, "the parent waits")
    began = nest.worker.parts.link.state.beat_at
    until(lambda: (nest.worker.parts.link.state.beat_at or 0) > (began or 0) + 1, "another beat")
    assert nest.state(child) is RunState.PENDING
    nest.worker.control.resume()
    nest.goes_on()
    nest.all_completed_at_once()


@pytest.mark.parametrize("when", ["before the child runs", "while the child runs", "after the child's end"])
def test_a_restart_adopts_a_parent_that_waits(nest: Nest, when: str) -> None:
    nest.worker.begin()
    if when == "before the child runs":
        nest.worker.parts.waiting_runs.stop()
    nest.begins_to_wait("long")
    match when:
        case "while the child runs":
            until(lambda: nest.state(nest.child) is RunState.RUNNING, "the child runs")
        case "after the child's end":
            nest.long.go.set()
            until(lambda: nest.state(nest.child).terminal, "the child's end")
    nest.worker.close()
    nest.make().begin()
    nest.long.go.set()
    row = nest.row
    assert row.waits == (when != "before the child runs")
    nest.worker.parts.waiting_runs.begin(row.key, 1, 1)
    nest.goes_on()
    nest.all_completed_at_once()
    assert sorted(nest.backend.started) == sorted(set(nest.backend.started)), "each container started once"


def test_an_adopted_parent_gets_its_socket_once_there_is_room_for_one(
    nest: Nest, monkeypatch: pytest.MonkeyPatch
) -> None:
    nest.worker.begin()
    nest.begins_to_wait()
    nest.worker.close()
    listen, room = address.listen, threading.Event()

    def full_at_first(run_dir: Path, made: Path) -> socket.socket:
        if not room.is_set():
            raise OSError(errno.ENOSPC, "no room")
        return listen(run_dir, made)

    monkeypatch.setattr(address, "listen", full_at_first)
    worker = nest.make()

    def said() -> list[str]:
        return [notice.text for notice in worker.parts.notices.recent() if "no socket" in notice.text]

    worker.begin()
    place = worker.parts.state_dir.run_dir(nest.row.name) / address.NAME
    place.unlink()
    until(said, "it is said")
    room.set()

    def listens() -> bool:
        worker.parts.slots.wake(nest.row.key)
        return place.exists()

    until(listens, "the op has a socket again")
    assert len(said()) == 1
    worker.parts.waiting_runs.begin(nest.row.key, 1, 1)
    nest.goes_on()
    nest.all_completed_at_once()


def test_a_cancelled_parent_ends_while_it_waits_and_frees_what_it_held(nest: Nest) -> None:
    nest.worker.begin()
    nest.begins_to_wait("long")
    until(lambda: nest.state(nest.child) is RunState.RUNNING, "the child runs")
    nest.client.patch_run(nest.parent.id, RunPatch(state=RunState.CANCELLED))
    until(lambda: nest.state(nest.parent) is RunState.CANCELLED, "cancelled")
    nest.long.go.set()
    until(lambda: nest.state(nest.child).terminal, "the child's end")
    until(lambda: nest.worker.parts.gate.taken == 0, "all slots are free")
    until(lambda: not nest.worker.parts.journal.active(), "nothing is left")
