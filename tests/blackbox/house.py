"""A server process and worker processes, looked at only from outside: server data, the engine, files, exit codes."""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import signal
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Iterator, Mapping
from datetime import datetime
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

import docker
import httpx
import psutil
from docker.utils import kwargs_from_env

from gyoza_tui.backends.base import Label, Stream
from gyoza_tui.client import GyozaClient
from gyoza_tui.models.runs import Event, OpRun
from gyoza_tui.models.states import EVENT_STATE, EventType, RunState
from gyoza_tui.worker.op_output.log_spool import SpoolReader
from gyoza_tui.worker.state_dir.state_dir import log_files
from gyoza_tui.worker_dirs import worker_dir
from tests.histories import check_histories
from tests.images import BUSYBOX
from tests.pace import Pace
from tests.server.process import ServerProcess
from tests.servers import KEY, SUBMIT_KEY, WORK_KEY
from tests.waiting import until

HEARTBEAT_S: Final = 1.0
LATE_S: Final = 0.5
"""How much later than its interval a heartbeat may come (ARCHITECTURE.md)."""
_LOOK_S: Final = 0.05
_KEPT_VARIABLES: Final = ("PATH", "HOME", "LANG", "LD_LIBRARY_PATH", "DOCKER_HOST")


class WorkerProcess:
    """`python -m gyoza_tui --no-ui` in a process of its own; `start` again after a kill is the same worker."""

    def __init__(self, house: House, worker_id: str, max_runs: int, environment: Mapping[str, str]) -> None:
        self.id = worker_id
        self.root = worker_dir(house.root / "state", worker_id)
        self._words = house.root / f"{worker_id}.log"
        self._argv = [sys.executable, "-m", "gyoza_tui", "--no-ui", "--server", house.url]
        self._argv += ["--worker-id", worker_id, "--state-dir", str(house.root / "state")]
        self._argv += ["--max-runs", str(max_runs), "--ops-file", str(house.ops_file)]
        self.environment = {name: os.environ[name] for name in _KEPT_VARIABLES if name in os.environ}
        self.environment |= {
            "GYOZA_API_KEY": KEY,
            "GYOZA_PULL_POLICY": "missing",
            "GYOZA_DOCKER_NETWORK": "none",
            "GYOZA_MIN_FREE_MB": "0",
            "GYOZA_STOP_GRACE_S": "1",
            **environment,
        }
        self._process: subprocess.Popen[bytes] | None = None

    def start(self, **environment: str) -> Self:
        with self._words.open("ab") as words:
            self._process = subprocess.Popen(
                self._argv,
                env=self.environment | environment,
                stdin=subprocess.DEVNULL,
                stdout=words,
                stderr=words,
                cwd=self._words.parent,
                start_new_session=True,
            )
        return self

    @property
    def process(self) -> psutil.Process:
        assert self._process is not None, "not started"
        return psutil.Process(self._process.pid)

    @property
    def alive(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def kill(self) -> None:
        """As `kill -9` does it."""
        assert self._process is not None
        self._process.kill()
        self._process.wait(10)

    def drain(self, within_s: float = 60) -> int:
        """SIGTERM, and the exit code."""
        assert self._process is not None
        self._process.send_signal(signal.SIGTERM)
        try:
            return self._process.wait(within_s)
        except subprocess.TimeoutExpired:
            self.kill()
            raise AssertionError(f"{self.id} does not end:\n{self.words[-3000:]}") from None

    @property
    def words(self) -> str:
        """All that it has printed."""
        return self._words.read_text(errors="replace")

    def spool(self, run: OpRun) -> SpoolReader:
        """The log of the run's latest attempt here."""
        found = [file for file in log_files(self.root) if file.run_id == run.id]
        assert found, f"{self.id} has no log of {run.id}"
        return SpoolReader(max(found, key=lambda file: file.attempt).path)

    def log(self, run: OpRun, stream: Stream | None = None) -> bytes:
        reader = self.spool(run)
        return b"".join(reader.raw() if stream is None else reader.stream_bytes(stream))

    def leftovers(self) -> list[str]:
        """Run directories that are there."""
        folders = [self.root / name for name in ("runs", "local")]
        # hidden there: what the backend keeps for all runs
        found = [path for folder in folders if folder.is_dir() for path in folder.iterdir()]
        return [str(path) for path in found if not path.name.startswith(".")]


class House:
    """Workers get ids of their own, so that tests at the same engine never meet each other's containers."""

    def __init__(self, root: Path, *, heartbeat_s: float = HEARTBEAT_S, **timings: float) -> None:
        self.root = root
        self.ops_file = root / "ops.toml"
        self.ops_file.write_text("")
        self._ops: dict[str, list[str]] = {}
        keys = {"api_key": KEY, "work_key": WORK_KEY, "submit_key": SUBMIT_KEY}
        self._server_options: dict[str, Any] = {**keys, "timings": {"heartbeat_s": heartbeat_s, **timings}}
        self.server = self._started_server()
        self.url = self.server.url
        self.client = GyozaClient(self.url, KEY)
        self.workers: list[WorkerProcess] = []
        self.engine: docker.APIClient | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if error is None:
                self._end_well()
        finally:
            for worker in self.workers:
                if worker.alive:
                    worker.kill()
            self._sweep()
            self.client.close()
            self.server.close()

    def kill_server(self) -> None:
        """As `kill -9` does it."""
        self.server.kill()
        self.server.close()

    def start_server(self) -> None:
        """Again, on the same database and port."""
        self._server_options["port"] = httpx.URL(self.server.url).port
        self.server = self._started_server()

    def _started_server(self) -> ServerProcess:
        return ServerProcess(self.root / "server.db", ", " + json.dumps(self._server_options)[1:-1])

    def op(self, name: str, *command: str) -> str:
        """Let workers made from here on run this command as a local op; its image."""
        self._ops[name] = [part.replace("{", "{{").replace("}", "}}") for part in command]
        entries = [f"[ops.{op}]\ncommand = {json.dumps(argv)}\n" for op, argv in self._ops.items()]
        self.ops_file.write_text("".join(entries))
        return f"local://{name}"

    def worker(self, max_runs: int = 2, /, *, wait: bool = True, **environment: str) -> WorkerProcess:
        """A started worker, by default one that the server has heard of and that has looked at its backends."""
        made = WorkerProcess(self, f"w-{uuid.uuid4().hex[:12]}", max_runs, environment)
        self.workers.append(made.start())
        if wait:
            self.until_ready(made)
        return made

    def until_ready(self, worker: WorkerProcess) -> None:
        expected = "docker" if self.engine is not None else "local"

        def ready() -> bool:
            assert worker.alive, worker.words
            with contextlib.suppress(httpx.HTTPStatusError):
                return expected in self.client.get_worker(worker.id).backends
            return False

        until(ready, f"{worker.id} is known to the server")

    def script(self, text: str, image: str = BUSYBOX, **more: Any) -> OpRun:
        """Submit a shell script in a container."""
        return self.client.create_run(image, command=["sh", "-c", text], **more)

    def state(self, run: OpRun) -> RunState:
        return self.client.get_run(run.id, events=False).state

    def until_state(self, run: OpRun, *states: RunState, within_s: float = 30) -> OpRun:
        def reached() -> OpRun | None:
            now = self.client.get_run(run.id, events=False)
            return now if now.state in states else None

        until(reached, f"{run.id} becomes {'/'.join(states)}", within_s)
        return self.client.get_run(run.id)

    def ended(self, run: OpRun, within_s: float = 30) -> OpRun:
        """The run, once it has ended."""
        return self.until_state(run, RunState.COMPLETED, RunState.FAILED, RunState.CANCELLED, within_s=within_s)

    def until_free(self, *workers: WorkerProcess, within_s: float = 30) -> None:
        """Every run of these workers is cleaned up, and the server knows."""

        def free() -> bool:
            listed = [op for worker in workers for op in self.client.get_worker(worker.id).running_ops]
            return not listed and not any(worker.leftovers() or self.containers(worker) for worker in workers)

        until(free, "nothing of any run is left", within_s)

    def containers(self, *workers: WorkerProcess) -> list[dict[str, Any]]:
        if self.engine is None:
            return []
        filters = [{"label": f"{Label.WORKER}={worker.id}"} for worker in workers]
        return [dict(found) for each in filters for found in self.engine.containers(all=True, filters=each)]

    def volumes(self, *workers: WorkerProcess) -> list[str]:
        if self.engine is None:
            return []
        filters = [{"label": f"{Label.WORKER}={worker.id}"} for worker in workers]
        return [v["Name"] for each in filters for v in self.engine.volumes(filters=each).get("Volumes") or []]

    def _end_well(self) -> None:
        for worker in self.workers:
            if worker.alive:
                assert worker.drain() == 0, worker.words
        for worker in self.workers:
            assert "Traceback" not in worker.words, worker.words
            assert worker.leftovers() == [], worker.words
            assert op_processes(worker) == []
        assert self.containers(*self.workers) == []
        assert self.volumes(*self.workers) == []
        check_histories(self.client)

    def _sweep(self) -> None:
        """What a failed test has left: the next one must not find it."""
        for worker in self.workers:
            for process in op_processes(worker):
                with contextlib.suppress(psutil.Error):
                    process.kill()
        for found in self.containers(*self.workers):
            if self.engine is not None:
                with contextlib.suppress(docker.errors.APIError):
                    self.engine.remove_container(found["Id"], force=True, v=True)


def op_processes(worker: WorkerProcess) -> list[psutil.Process]:
    """Processes of the worker's local ops: all of them have its state directory in their environment or arguments."""
    found = []
    root = str(worker.root)
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            told = [*process.cmdline(), *process.environ().values()]
            if process.status() != psutil.STATUS_ZOMBIE and any(root in text for text in told):
                found.append(process)
    return found


def events_of(run: OpRun, *kinds: EventType) -> list[Event]:
    return [event for attempt in run.attempts for event in attempt.events if event.type in kinds]


def ends(run: OpRun) -> list[Event]:
    """The events that ended the run."""
    terminal = [kind for kind, state in EVENT_STATE.items() if state.terminal]
    return events_of(run, *terminal)


def failure(run: OpRun) -> dict[str, Any]:
    """What the one FAILED of the run says."""
    (failed,) = events_of(run, EventType.FAILED)
    assert failed.payload is not None
    return failed.payload


class HeartbeatWatch:
    """How late the latest heartbeat of a worker was, by the server's own record of when it received them.

    What the machine held up a thread that only waits meanwhile does not count.
    """

    def __init__(self, url: str, worker_id: str) -> None:
        self._url, self._worker = url, worker_id
        self._stop = threading.Event()
        self._seen: list[datetime] = []
        self._pace = Pace()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self) -> Self:
        self._pace.__enter__()
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.set()
        self._thread.join(10)
        self._pace.__exit__(kind, error, trace)

    @property
    def late_s(self) -> float:
        assert len(self._seen) > 1, "watched for too short a time"
        since = time.monotonic() - time.time()
        beats = [at.timestamp() + since for at in self._seen]
        return max(b - a - self._pace.held_up_s(a, b) for a, b in itertools.pairwise(beats)) - HEARTBEAT_S

    def _watch(self) -> None:
        with GyozaClient(self._url, KEY) as client:
            while not self._stop.wait(_LOOK_S):
                with contextlib.suppress(httpx.HTTPError):
                    at = client.get_worker(self._worker).last_seen
                    if not self._seen or at != self._seen[-1]:
                        self._seen.append(at)


class Starts:
    """How many containers of some workers run at once, and when: from the engine's own events."""

    def __init__(self, *workers: WorkerProcess) -> None:
        self._engine = docker.APIClient(**kwargs_from_env(), timeout=24 * 3600)
        self._ids = {worker.id for worker in workers}
        self.created: list[tuple[int, str]] = []
        """When (ns) each container was made, and which attempt's it is by its name."""
        self._changes: list[tuple[int, int]] = []
        self._stream = self._engine.events(filters={"type": "container", "label": Label.WORKER}, decode=True)
        self._thread = threading.Thread(target=self._read, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stream.close()
        self._thread.join(10)
        self._engine.close()

    @property
    def deaths(self) -> int:
        return sum(1 for _, change in self._changes if change < 0)

    def levels(self) -> Iterator[tuple[int, int, int]]:
        """(from, to, containers running), in ns."""
        running = 0
        for (at, change), (then, _) in itertools.pairwise(sorted(self._changes)):
            running += change
            yield at, then, running

    def _read(self) -> None:
        for event in self._stream:
            attributes = event["Actor"]["Attributes"]
            if attributes.get(Label.WORKER) not in self._ids:
                continue
            if event["Action"] == "create":
                self.created.append((event["timeNano"], attributes["name"]))
            elif event["Action"] in ("start", "die"):
                self._changes.append((event["timeNano"], 1 if event["Action"] == "start" else -1))
