"""The control of a worker in another process of this machine."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any, Final

from gyoza_tui.models.clock import Clock
from gyoza_tui.models.filters import RunFilter
from gyoza_tui.models.hardware import HardwareSample
from gyoza_tui.worker.control_socket.connection import ANSWER_S, CONNECT_S, AttachError, Connection, Refused
from gyoza_tui.worker.control_socket.parts import Picture
from gyoza_tui.worker.control_socket.wire import Hello
from gyoza_tui.worker.view.check import Check
from gyoza_tui.worker.view.control import (
    Children,
    Contact,
    ControlError,
    Ending,
    HistoryPage,
    LogHits,
    LogPage,
    LogQuery,
    Reloaded,
    RunDetails,
)
from gyoza_tui.worker.view.snapshot import DutyStatus, Notice, Snapshot

_COMMAND_S: Final = 0.2
"""How long a command waits for its answer; a worker that hangs does it later."""
_AGAIN_S: Final = 0.5


class RemoteControl:
    """Implements WorkerControl. What the worker pushes answers at once, whatever it is doing.

    When the connection is lost it connects again by itself. What is asked meanwhile raises ControlError, commands
    too, and `contact` says since when the picture is old.
    """

    def __init__(self, root: Path, clock: Clock, *, patient: bool = False) -> None:
        """Of the worker with that state directory. Raises AttachError.

        `patient`: commands wait for their answers as everything else does.
        """
        self.root = root
        self._clock = clock
        self._patient = patient
        self._connection = Connection(root)
        self._heard_at = clock.boot()
        self._hello = self._connection.hello
        self._refused: str | None = None
        self._ended: str | None = None
        self._picture = Picture()
        self._pictured = threading.Event()
        self._closed = threading.Event()
        threading.Thread(target=self._keep, name="attach", daemon=True).start()
        if not self._pictured.wait(CONNECT_S):
            self.close()
            raise AttachError(f"worker {self._hello.worker_id} (pid {self._hello.pid}) does not answer")

    def close(self) -> None:
        """The worker goes on."""
        self._closed.set()
        self._connection.close()

    @property
    def hello(self) -> Hello:
        """Of the worker that the picture is of."""
        return self._hello

    def contact(self) -> Contact:
        return Contact(
            silent_s=max(0.0, self._clock.boot() - self._heard_at),
            ended=self._ended,
            refused=self._refused,
            life=(self._hello.instance_id, self._hello.epoch),
        )

    def snapshot(self) -> Snapshot:
        snapshot = self._picture.snapshot
        assert snapshot is not None, "there is one since __init__"
        return snapshot

    def duties(self) -> tuple[DutyStatus, ...]:
        return self.snapshot().duties

    def samples(self) -> tuple[HardwareSample, ...]:
        return self._picture.samples

    def notices(self) -> tuple[Notice, ...]:
        return self._picture.notices

    def checks(self) -> tuple[Check, ...]:
        return self._picture.checks

    def log_size(self, key: int) -> int | None:
        return self._picture.log_size(key)

    def pause(self) -> None:
        self._command("pause")

    def resume(self) -> None:
        self._command("resume")

    def end(self, ending: Ending) -> None:
        self._command("end", ending)

    def stop(self) -> Ending:
        asked: Ending = self._ask("stop")
        return asked

    def undo_drain(self) -> None:
        self._command("undo_drain")

    def cancel(self, run_id: str, attempt: int) -> bool:
        return self._command("cancel", run_id, attempt) is not False

    def release(self, run_id: str, attempt: int) -> bool:
        return self._command("release", run_id, attempt) is not False

    def try_now(self) -> None:
        self._command("try_now")

    def settings(self) -> dict[str, Any]:
        found: dict[str, Any] = self._ask("settings")
        return found

    def reload(self) -> Reloaded:
        found: Reloaded = self._ask("reload")
        return found

    def seen(self, key: int) -> None:
        self._ask("seen", key)

    def why_queued(self) -> str:
        return str(self._ask("why_queued"))

    def retry(self, run_id: str) -> None:
        self._ask("retry", run_id)

    def freeze(self, key: int) -> None:
        self._ask("freeze", key)

    def thaw(self, key: int) -> None:
        self._ask("thaw", key)

    def history(self, wanted: RunFilter, limit: int) -> HistoryPage:
        found: HistoryPage = self._ask("history", wanted, limit)
        return found

    def details(self, key: int) -> RunDetails:
        found: RunDetails = self._ask("details", key)
        return found

    def children(self, key: int) -> Children:
        found: Children = self._ask("children", key)
        return found

    def log_lines(self, key: int, start: int, count: int, line_max: int = 8192) -> LogPage:
        found: LogPage = self._ask("log_lines", key, start, count, line_max)
        return found

    def log_search(self, key: int, query: LogQuery, line: int, *, backwards: bool = False) -> LogHits:
        found: LogHits = self._ask("log_search", key, query, line, backwards=backwards)
        return found

    def log_bytes(self, key: int) -> Iterator[bytes]:
        with _in_time():
            yield from self._connection.pieces("log_bytes", key)

    def describe(self, key: int) -> dict[str, Any]:
        found: dict[str, Any] = self._ask("describe", key)
        return found

    def shell(self, key: int) -> tuple[str, ...]:
        if self._connection.worker_uid != os.geteuid():
            raise ControlError("the worker is another user's, whose commands are not run as you: attach as that user")
        found: tuple[str, ...] = self._ask("shell", key)
        return found

    def _command(self, call: str, *args: Any) -> Any:
        """Its result, or None when it takes longer: it will be done."""
        if self._patient:
            return self._ask(call, *args)
        try:
            return self._connection.ask(call, *args, timeout_s=_COMMAND_S)
        except TimeoutError:
            return None

    def _ask(self, call: str, *args: Any, **more: Any) -> Any:
        with _in_time():
            return self._connection.ask(call, *args, **more)

    def _keep(self) -> None:
        """Read what comes, and connect again when that is over."""
        while not self._closed.is_set():
            picture = Picture()
            self._connection.watch()
            self._connection.read(partial(self._hear, picture))
            while not self._closed.wait(_AGAIN_S):
                try:
                    self._connection = Connection(self.root)
                except Refused as error:
                    self._refused = str(error)
                except AttachError:
                    continue
                else:
                    break
        self._connection.close()

    def _hear(self, picture: Picture, message: dict[str, Any]) -> None:
        self._heard_at = self._clock.boot()
        if "push" in message:
            picture.take(message["push"])
            self._picture, self._hello = picture, self._connection.hello
            self._ended = self._refused = None
            self._pictured.set()
        elif "bye" in message:
            self._ended = str(message["bye"])


@contextmanager
def _in_time() -> Iterator[None]:
    try:
        yield
    except TimeoutError:
        raise ControlError(f"the worker has not answered for {ANSWER_S:g} s") from None
