"""Runs one op with a worker that is killed after its k-th side effect, for every k, and then started again.

`python -m tests.blackbox.killing CONFIG.json` prints one JSON line per k. Workers are forked from this process, which
has loaded everything: a start costs a tenth of a second. The product has no switch for this: the seams at which a
worker touches the world (journal commits, backend calls, requests, directories) are wrapped here.
"""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import signal
import sys
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from gyoza_tui.backends.registry import BACKENDS
from gyoza_tui.client import GyozaClient, endpoints
from gyoza_tui.models.images import ImageRef
from gyoza_tui.models.runs import OpRun
from gyoza_tui.models.states import EVENT_STATE, EventType, RunState
from gyoza_tui.settings import Settings
from gyoza_tui.worker.building import backend_options
from gyoza_tui.worker.journal.journal import Journal
from gyoza_tui.worker.op_output.log_spool import SpoolReader
from gyoza_tui.worker.runner import Worker
from gyoza_tui.worker.state_dir.state_dir import RunDirs, StateDir, log_files
from gyoza_tui.worker_dirs import worker_dir
from tests.histories import check_history
from tests.waiting import until

_CALLS = ("create", "put", "start", "stop", "remove")
_REPORTS = (
    *(endpoints.ADD_EVENT, endpoints.UPDATE_RUN),
    *(endpoints.CREATE_RUN, endpoints.CREATE_RUN_FROM_DEFINITION),
)


@dataclass(frozen=True)
class Scenario:
    url: str
    key: str
    home: str
    image: str
    command: list[str] | None = None
    cancel: bool = False
    """Cancel it at the server once it runs."""
    ops_file: str | None = None
    first: int = 1
    every: int = 1
    """Only every so many side effects from the first on: others look after the rest."""
    below: list[int] = field(default_factory=list)
    """Instead of one run, run `tree@1` of the server, with so many runs below each, generation by generation."""
    max_runs: int = 2


@dataclass
class Result:
    k: int
    killed: bool
    state: str = ""
    started: int = 0
    ends: int = 0
    attempts: int = 0
    log: str = ""
    left: list[str] = field(default_factory=list)
    run_id: str = ""
    family: list[str] = field(default_factory=list)
    """Of each run below it, how it ended."""


class SideEffects:
    """Counts side effects over all threads; the k-th kills the process."""

    def __init__(self, kill_at: int) -> None:
        self._count = itertools.count(1)
        self._kill_at = kill_at

    def happened(self) -> None:
        if next(self._count) == self._kill_at:
            os.kill(os.getpid(), signal.SIGKILL)
            threading.Event().wait()

    def after(self, function: Callable[..., Any]) -> Callable[..., Any]:
        def wrapped(*arguments: Any, **named: Any) -> Any:
            answer = function(*arguments, **named)
            self.happened()
            return answer

        return wrapped

    def install(self, backends: Any) -> None:
        transaction = Journal._transaction

        @contextlib.contextmanager
        def counted(journal: Journal, **how: bool) -> Iterator[Any]:
            with transaction(journal, **how) as db:
                yield db
            self.happened()

        exchange = GyozaClient._exchange

        waiting = 0

        def sent(client: GyozaClient, endpoint: Any, body: Any, *more: Any) -> Any:
            nonlocal waiting
            answer = exchange(client, endpoint, body, *more)
            claimed = endpoint is endpoints.CLAIM and answer.content.strip() != b"[]"
            before = waiting
            if endpoint is endpoints.HEARTBEAT:
                waiting = sum(op.waiting is not None for op in body.running_ops)
            if endpoint in _REPORTS or claimed or waiting != before:
                self.happened()
            return answer

        Journal._transaction = counted  # type: ignore[method-assign, assignment]
        GyozaClient._exchange = sent  # type: ignore[method-assign, assignment]
        RunDirs.make_run_dir = self.after(RunDirs.make_run_dir)  # type: ignore[method-assign]
        RunDirs.remove_run_dir = self.after(RunDirs.remove_run_dir)  # type: ignore[method-assign]
        for backend in backends.values():
            for name in _CALLS:
                setattr(backend, name, self.after(getattr(backend, name)))


def _worker(scenario: Scenario, kill_at: int) -> int:
    """Fork a worker; its pid. With `kill_at` 0 it lives until it is told to end."""
    pid = os.fork()
    if pid:
        return pid
    os.setsid()
    quiet = os.open(Path(scenario.home) / "worker.log", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.dup2(quiet, 1)
    os.dup2(quiet, 2)
    settings = _settings(scenario)
    state_dir = StateDir.open(settings.state_dir, settings.worker_id)
    name = ImageRef.parse(scenario.image).backend
    backends = {name: BACKENDS[name](backend_options(settings, state_dir.root, state_dir.instance_id))}
    if kill_at:
        SideEffects(kill_at).install(backends)
    os._exit(Worker(settings, state_dir=state_dir, backends=backends).run())


def _settings(scenario: Scenario) -> Settings:
    return Settings(
        server_url=scenario.url,
        api_key=scenario.key,
        worker_id="killed",
        state_dir=Path(scenario.home) / "state",
        ops_file=Path(scenario.ops_file) if scenario.ops_file else None,
        pull_policy="missing",
        min_free_mb=0,
        stop_grace_s=1,
        max_runs=scenario.max_runs,
    )


def _hears_sigterm(pid: int) -> bool:
    """Whether it has a handler: without one a SIGTERM ends it at once."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    caught = next(int(line.split()[1], 16) for line in lines if line.startswith("SigCgt:"))
    return bool(caught & 1 << (signal.SIGTERM - 1))


class Trial:
    """One k: a worker killed there, and one that goes on."""

    def __init__(self, scenario: Scenario, client: GyozaClient, k: int) -> None:
        self._scenario = scenario
        self._client = client
        self._result = Result(k, killed=False)

    def run(self) -> Result:
        self._result.run_id = self._submitted().id
        self._result.killed = self._serve(_worker(self._scenario, self._result.k))
        if self._result.killed and self._serve(_worker(self._scenario, 0)):
            raise AssertionError("the second worker was killed too")
        self._judge()
        return self._result

    def _submitted(self) -> OpRun:
        scenario = self._scenario
        if scenario.below:
            return self._client.create_run_from_definition("tree", {"below": scenario.below}, version="1")
        return self._client.create_run(scenario.image, {"k": self._result.k}, command=scenario.command)

    def _serve(self, pid: int) -> bool:
        """Wait until the worker was killed, or until the run has ended and the worker with it; which of the two."""
        told, began = False, datetime.now(UTC)
        status: list[int] = []

        def over() -> bool:
            nonlocal told
            found, ended = os.waitpid(pid, os.WNOHANG)
            if found:
                status.append(ended)
                return True
            state = self._client.get_run(self._result.run_id, events=False).state
            if self._scenario.cancel and state is RunState.RUNNING and self._op_runs():
                self._client.update_run(self._result.run_id, state=RunState.CANCELLED)
            if state.terminal and not told and self._answers_since(began) and _hears_sigterm(pid):
                told = True
                os.kill(pid, signal.SIGTERM)
            return False

        until(over, f"k={self._result.k}: the worker's end", 60)
        if os.WIFSIGNALED(status[0]) and os.WTERMSIG(status[0]) == signal.SIGKILL:
            return True
        assert os.waitstatus_to_exitcode(status[0]) == 0, f"k={self._result.k}: exit {status[0]}"
        return False

    def _answers_since(self, began: datetime) -> bool:
        """Whether a worker has beaten since; the killed one's last beat may be taken late."""
        return any(worker.last_seen > began for worker in self._client.list_workers())

    def _op_runs(self) -> bool:
        return b"out" in self._log()

    def _root(self) -> Path:
        return worker_dir(Path(self._scenario.home) / "state", "killed")

    def _log(self) -> bytes:
        files = [file.path for file in log_files(self._root()) if file.run_id == self._result.run_id]
        return b"".join(piece for path in files for piece in SpoolReader(path).raw())

    def _judge(self) -> None:
        result = self._result
        run = self._client.get_run(result.run_id)
        check_history(run)
        kinds = Counter(event.type for attempt in run.attempts for event in attempt.events)
        moves = [e for a in run.attempts for e in a.events if e.type in EVENT_STATE and e.type is not EventType.STARTED]
        result.family = [self._one_of_the_family(child) for child in self._below(run)]
        result.state = run.state
        result.started = kinds[EventType.STARTED]
        result.ends = len({event.state for event in moves})
        result.attempts = run.current_attempt
        result.log = self._log().decode()
        root = self._root()
        result.left = [str(path.relative_to(root)) for path in (root / "runs").iterdir()]

    def _below(self, run: OpRun) -> list[OpRun]:
        children = [self._client.get_run(child.id) for child in self._client.list_runs(parent=run.id, limit=1000).items]
        return children + [below for child in children for below in self._below(child)]

    @staticmethod
    def _one_of_the_family(run: OpRun) -> str:
        check_history(run)
        kinds = Counter(event.type for attempt in run.attempts for event in attempt.events)
        return f"{run.state} in attempt {run.current_attempt}, started {kinds[EventType.STARTED]} times"


def main() -> None:
    scenario = Scenario(**json.loads(Path(sys.argv[1]).read_text()))
    with GyozaClient(scenario.url, scenario.key) as client:
        for k in itertools.count(scenario.first, scenario.every):
            result = Trial(scenario, client, k).run()
            print(json.dumps(asdict(result)), flush=True)
            if not result.killed:
                return


if __name__ == "__main__":
    main()
