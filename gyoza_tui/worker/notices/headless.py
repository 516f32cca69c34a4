"""The printer of --no-ui: one line per event, text or JSON lines, no cursor tricks."""

from __future__ import annotations

import json
import os
import queue
import select
import sys
import threading
from typing import Any, Final, Literal, TextIO

from gyoza_tui.models.text import visible
from gyoza_tui.worker.notices.notices import Notice, Notices

_BACKLOG: Final = 10_000
_LEAVE_S: Final = 0.5


class Outlet:
    """Writes notices somewhere in a thread of its own, so that whatever does not take them holds up nothing else."""

    def __init__(self, notices: Notices, name: str) -> None:
        self._queue: queue.Queue[Notice | None] = queue.Queue(_BACKLOG)
        self._thread = threading.Thread(target=self._serve, name=name, daemon=True)
        notices.listen(self._offer)

    def start(self) -> None:
        self._thread.start()

    def finish(self) -> None:
        """Write what is left, for at most half a second. Nothing is lost by doing it twice, or without a start."""
        self._offer(None)
        if self._thread.ident is not None:
            self._thread.join(_LEAVE_S)

    def put(self, notice: Notice) -> None:
        """Write it, however long that takes; raises nothing."""
        raise AssertionError

    def _offer(self, notice: Notice | None) -> None:
        try:
            self._queue.put_nowait(notice)
        except queue.Full:
            return

    def _serve(self) -> None:
        while (notice := self._queue.get()) is not None:
            self.put(notice)


class Printer(Outlet):
    """Prints notices to stdout, but not while it is paused: then a screen has the terminal."""

    def __init__(self, notices: Notices, log_format: Literal["text", "json"]) -> None:
        super().__init__(notices, "printer")
        self._render = _json if log_format == "json" else _text
        self._out = _descriptor(sys.stdout)
        self._paused = False
        self._writing = threading.Lock()

    def pause(self) -> None:
        """Print nothing from here on; what was said before and is not printed yet is left out."""
        self._paused = True
        if self._writing.acquire(timeout=_LEAVE_S):
            self._writing.release()

    def resume(self) -> None:
        """Print what is said from here on."""
        self._paused = False

    def _offer(self, notice: Notice | None) -> None:
        if notice is None or not self._paused:
            super()._offer(notice)

    def put(self, notice: Notice) -> None:
        if self._out is None:
            return
        with self._writing:
            if self._paused:
                return
            try:
                _write(self._out, (self._render(notice) + "\n").encode(_encoding(), "backslashreplace"))
            except OSError:
                _let_go_of(self._out)


def _descriptor(stream: TextIO | None) -> int | None:
    """None for a process that was started without that stream: its number may be any file's then."""
    try:
        return None if stream is None else stream.fileno()
    except (OSError, ValueError):
        return None


def _encoding() -> str:
    return sys.stdout.encoding or "ascii"


def _write(fd: int, data: bytes) -> None:
    """Past `sys.stdout`, whose lock would be held while the pipe is full: the end of the process flushes it."""
    while data:
        try:
            data = data[os.write(fd, data) :]
        except BlockingIOError:
            select.select([], [fd], [])


def _let_go_of(fd: int) -> None:
    """The terminal or pipe is gone: whoever writes to it later, also as stderr, must not be hurt by that."""
    gone, errors = os.fstat(fd), _descriptor(sys.stderr)
    nowhere = os.open(os.devnull, os.O_RDWR)
    os.dup2(nowhere, fd)
    if errors is not None and os.path.samestat(gone, os.fstat(errors)):
        os.dup2(nowhere, errors)
    os.close(nowhere)


def _text(notice: Notice) -> str:
    mark = {"info": " ", "warning": "!", "error": "✗"}[notice.level]
    if not _encoding().lower().startswith("utf"):
        mark = mark.replace("✗", "x")
    return f"{notice.at.astimezone():%H:%M:%S} {mark} {visible(notice.text)}"


def _json(notice: Notice) -> str:
    fields: dict[str, Any] = {"t": f"{notice.at:%Y-%m-%dT%H:%M:%S.%fZ}", "level": notice.level, "event": notice.text}
    return json.dumps(fields | notice.fields, ensure_ascii=False, default=str)
