"""The channel of one worker, with a scripted server, and what takes the part of an op on the other side."""

from __future__ import annotations

import json
import os
import socket
import threading
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from gyoza_tui.client import GyozaClient
from gyoza_tui.models.clock import SystemClock
from gyoza_tui.models.nested import MaySubmit
from gyoza_tui.models.runs import Ended, EndedRun, OpRun
from gyoza_tui.models.states import RunState
from gyoza_tui.models.workers import HeartbeatReply
from gyoza_tui.worker.journal.row import RunRow
from gyoza_tui.worker.notices.notices import Notices
from gyoza_tui.worker.op_channel.op_channel import SOCKET, OpChannel
from gyoza_tui.worker.server_link import ServerLink
from gyoza_tui.worker.state_dir.state_dir import StateDir
from tests.scripted_server import SERVER_ID, Reply, Request, ScriptedServer, refusal
from tests.worker.fake_backend import FakeBackend


class HandClock(SystemClock):
    """The real one, and what a test turns it on by."""

    def __init__(self) -> None:
        self.turned = 0.0

    def boot(self) -> float:
        return super().boot() + self.turned

    def wait(self, event: threading.Event, timeout_s: float) -> bool:
        return event.wait(min(timeout_s, 0.02))


class FakeWaitingRuns:
    """Notes what it is asked for; who comes back is let in at once, or by the test."""

    def __init__(self) -> None:
        self.calls: list[tuple[Any, ...]] = []
        self.at_gate: list[Callable[[], None]] = []
        self.gate_is_open = True
        self.frozen = False

    def is_frozen(self, key: int) -> bool:
        return self.frozen

    def begin(self, key: int, left: int, of: int) -> None:
        self.calls.append(("begin", left, of))

    def count(self, key: int, left: int) -> None:
        self.calls.append(("count", left))

    def come_back(self, key: int, go_on: Callable[[], None]) -> None:
        self.calls.append(("come back",))
        if self.gate_is_open:
            go_on()
        else:
            self.at_gate.append(go_on)

    def hung_up(self, key: int) -> None:
        self.calls.append(("hung up",))


class FakeServer:
    """What a server knows of the children of one run."""

    def __init__(self, parent: str = "parent") -> None:
        self.parent = parent
        self.runs: dict[str, dict[str, Any]] = {}
        self.ends: list[tuple[str, str]] = []
        """Children and their states, in the order in which they ended."""
        self.reports_ends = True
        self.on_create: Callable[[dict[str, Any]], None] = lambda _request: None
        """Called with the request for each new child."""
        self.created: list[dict[str, Any]] = []
        self.scripted = ScriptedServer(other=self._other, get=self._get, patch=self._patch)

    def end(self, child: str, state: str = "COMPLETED", **more: Any) -> None:
        self.runs[child] |= {"state": state, **more}
        self.ends.append((child, state))

    def add(self, child: str, parent: str | None = None, **more: Any) -> str:
        self.runs[child] = {"id": child, "image": "op", "parent_id": parent or self.parent, "state": "PENDING", **more}
        return child

    def asked(self, path: str) -> list[Request]:
        return [each for each in self.scripted.of("other") if each.path == path]

    def _other(self, request: Request) -> Reply:
        if request.path == "/ended":
            return self._ended(request) if self.reports_ends else refusal(404)
        self.created.append(request.body | {"path": request.path})
        child = request.body["id"]
        if child not in self.runs:
            self.add(child)
            self.on_create(request.body)
        return Reply(self.runs[child], 201)

    def _ended(self, request: Request) -> Reply:
        cursor = request.body["parents"].get(self.parent, 0)
        found = [{"id": run, "state": state, "parent_id": self.parent} for run, state in self.ends[cursor:]]
        return Reply({"runs": found, "parents": {self.parent: len(self.ends)}})

    def _get(self, request: Request) -> Reply:
        run = self.runs.get(request.path.rpartition("/")[2])
        return refusal(404, "run_unknown") if run is None else Reply(run)

    def _patch(self, request: Request) -> Reply:
        run = self.runs[request.path.rpartition("/")[2]]
        run["state"] = request.body["state"]
        return Reply(run)


class Op:
    """One connection."""

    def __init__(self, path: str) -> None:
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.socket.settimeout(20)
        folder = os.open(os.path.dirname(path), os.O_RDONLY | os.O_DIRECTORY)
        try:
            self.socket.connect(f"/proc/self/fd/{folder}/{os.path.basename(path)}")
        finally:
            os.close(folder)
        self._answers = self.socket.makefile("rb")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        self._answers.close()
        self.socket.close()

    def send(self, do: str, **fields: Any) -> None:
        self.socket.sendall(json.dumps({"do": do, **fields}).encode() + b"\n")

    def answer(self) -> dict[str, Any]:
        """Raises EOFError when the worker has hung up."""
        line = self._answers.readline()
        if not line:
            raise EOFError
        found: dict[str, Any] = json.loads(line)
        return found

    def ask(self, do: str, **fields: Any) -> dict[str, Any]:
        self.send(do, **fields)
        return self.answer()

    def is_answered(self, within_s: float = 0.15) -> bool:
        self.socket.settimeout(within_s)
        try:
            return bool(self.socket.recv(1, socket.MSG_PEEK))
        except TimeoutError:
            return False
        finally:
            self.socket.settimeout(20)


class Desk:
    """Of a worker, as far as the channel needs one."""

    def __init__(self, root: Path, *, allowed: MaySubmit = MaySubmit.ANY) -> None:
        self.server = FakeServer()
        self.clock = HandClock()
        self.notices = Notices(self.clock)
        self.state_dir = StateDir.open(root, "w1")
        self.link = ServerLink(self.clock, self.notices, 5.0)
        self.client = GyozaClient(self.server.scripted.url)
        self.waiting = FakeWaitingRuns()
        self.wake = threading.Event()
        self.backend = FakeBackend()
        self._path: dict[int, str] = {}
        self.channel = OpChannel(
            self.clock, self.notices, self.client, self.link, self.state_dir, self.waiting, allowed, self.wake
        )

    def __enter__(self) -> Self:
        self.server.scripted.__enter__()
        self.beat()
        return self

    def __exit__(self, *_: object) -> None:
        self.channel.stop()
        self.client.close()
        self.server.scripted.__exit__(None, None, None)
        self.state_dir.close()

    def beat(self) -> None:
        """The server has answered."""
        self.link.beaten(HeartbeatReply(server_id=SERVER_ID, protocol=1, lease_s=30), self.clock.boot())

    def row(self, may: MaySubmit = MaySubmit.ANY, key: int = 1, **more: Any) -> RunRow:
        run = OpRun(id="parent", image="op", attempt=1, lease="secret-lease", may_submit=may)
        return RunRow(key, SERVER_ID, run, f"gyoza-parent-{key}", "docker", 0.0, **more)

    def variables(self, row: RunRow) -> dict[str, str]:
        directory = self.state_dir.make_run_dir(row.name)
        return dict(self.channel.open(row, directory, str(directory), self.backend))

    def op(self, row: RunRow | None = None) -> Op:
        """Of an attempt that begins, connected."""
        row = row or self.row()
        self._path[row.key] = self.variables(row)[SOCKET]
        return self.op_again(row.key)

    def op_again(self, key: int = 1) -> Op:
        """Another connection of that attempt."""
        return Op(self._path[key])

    def tell(self, child: str, state: str = "COMPLETED", **more: Any) -> None:
        """The child ends, and the duty that waits for ends learns of it."""
        self.server.end(child, state, **more)
        ended = Ended(runs=[EndedRun(id=child, state=RunState(state), parent_id="parent")], parents={"parent": 0})
        self.channel.take_ends(SERVER_ID, ended)

    def said(self) -> str:
        return "\n".join(notice.text for notice in self.notices.recent())
