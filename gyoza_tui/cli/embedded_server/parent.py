"""The embedded server of `--local`: a child process on loopback that ends with this one, even after `kill -9`."""

from __future__ import annotations

import contextlib
import os
import selectors
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import IO, Self

from pydantic import ValidationError

from gyoza_tui.cli.embedded_server.messages import Answer, Orders
from gyoza_tui.cli.failures import usage
from gyoza_tui.models.clock import SystemClock
from gyoza_tui.worker.backoff import Backoff, doubling
from gyoza_tui.worker.state_dir.state_dir import StateDir

START_S = 30.0
STOP_S = 10.0
AGAIN_S = 1.0
"""Before a server that ended by itself is started again."""
AGAIN_MAX_S = 10.0
"""The same of one that could not be started several times."""


class LocalServer:
    """Started by entering it. It makes its own key, and announces itself in `server.json` of the worker's directory.

    For the process that holds the state directory's lock. It is started again should it end by itself.
    """

    def __init__(self, state_dir: StateDir, tell: Callable[[str], None], secret_env_days: float) -> None:
        self._secret_env_days = secret_env_days
        self._state_dir = state_dir
        self._tell = tell
        self._leaving = threading.Event()
        self._changing = threading.Lock()
        self.url = ""

    def __enter__(self) -> Self:
        self._child = _Child(self._orders(0), self._log)
        self.url = self._child.url
        threading.Thread(target=self._watch, name="local-server", daemon=True).start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self._leaving.set()
        with self._changing:
            self._child.stop()

    @property
    def _log(self) -> Path:
        return self._state_dir.root / "server.log"

    def _orders(self, port: int) -> Orders:
        return Orders(worker_dir=self._state_dir.root, port=port, secret_env_days=self._secret_env_days)

    def _watch(self) -> None:
        port = int(self.url.rpartition(":")[2])
        while not self._leaving.is_set():
            self._child.wait()
            if not self._leaving.wait(AGAIN_S):
                self._tell(f"the embedded server ended; starting it again (its log: {self._log})")
                self._start_again(port)

    def _start_again(self, port: int) -> None:
        """On the same port: everybody has been told that one. Why it cannot start is told as often as that changes."""
        told, backoff = "", Backoff(SystemClock(), doubling(0.5, AGAIN_MAX_S))
        while not self._leaving.is_set():
            try:
                with self._changing:
                    if not self._leaving.is_set():
                        self._child = _Child(self._orders(port), self._log)
                        break
            except Exception as error:
                if str(error) != told:
                    told = str(error)
                    self._tell(f"{told}; it is tried again")
                self._leaving.wait(backoff.fail(AGAIN_S))
        if told and not self._leaving.is_set():
            self._tell("the embedded server is there again")


class _Child:
    """One server process. It has the lower end of a pipe whose upper end only this process holds."""

    def __init__(self, orders: Orders, log: Path) -> None:
        with open(log, "ab", opener=_private) as log_file:
            self._process = subprocess.Popen(
                [sys.executable, "-P", "-m", "gyoza_tui.cli.embedded_server.child"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log_file,
                start_new_session=True,
                env={name: value for name, value in os.environ.items() if not name.startswith("GYOZA_")},
            )
        try:
            self._give(orders)
            answer = self._answer(log)
            if answer.error:
                raise usage(f"the embedded server cannot start: {answer.error}")
            self.url = answer.url
        except BaseException:
            self.stop()
            raise

    def wait(self) -> None:
        self._process.wait()

    def stop(self) -> None:
        """The end of its pipe is its order to leave."""
        with contextlib.suppress(OSError):
            _opened(self._process.stdin).close()
        try:
            self._process.wait(STOP_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        _opened(self._process.stdout).close()

    def _give(self, orders: Orders) -> None:
        pipe = _opened(self._process.stdin)
        with contextlib.suppress(BrokenPipeError):  # then there is no answer either
            pipe.write(orders.model_dump_json().encode() + b"\n")
            pipe.flush()

    def _answer(self, log: Path) -> Answer:
        pipe = _opened(self._process.stdout)
        with selectors.DefaultSelector() as selector:
            selector.register(pipe, selectors.EVENT_READ)
            line = pipe.readline() if selector.select(START_S) else b""
        try:
            return Answer.model_validate_json(line)
        except ValidationError:
            raise usage(f"the embedded server did not start; its log is {log}") from None


def _opened(pipe: IO[bytes] | None) -> IO[bytes]:
    assert pipe is not None
    return pipe


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)
