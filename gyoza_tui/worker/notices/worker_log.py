"""The worker's own log: every notice, in a file of bounded size beside the journal."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

from gyoza_tui.models.limits import MIB
from gyoza_tui.models.text import visible
from gyoza_tui.worker.notices.headless import Outlet
from gyoza_tui.worker.notices.notices import Notice, Notices

KEPT_BYTES: Final = 2 * MIB
"""Of the file that is written, and again of the one before it, `worker.log.1`."""
_MARKS: Final = {"info": " ", "warning": "!", "error": "x"}


class WorkerLog(Outlet):
    """A disk that takes nothing loses lines of it and stops nothing."""

    def __init__(self, notices: Notices, path: Path) -> None:
        super().__init__(notices, "worker-log")
        self.path = path

    def put(self, notice: Notice) -> None:
        try:
            # opened for each line: it may have been moved away, and a screen may hold it as its stderr
            fd = os.open(self.path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
            try:
                os.write(fd, _lines(notice).encode(errors="backslashreplace"))
                full = os.fstat(fd).st_size >= KEPT_BYTES
            finally:
                os.close(fd)
            if full:
                self.path.replace(self.path.with_name(self.path.name + ".1"))
        except OSError:
            return


def _lines(notice: Notice) -> str:
    """The notice, and its traceback below it."""
    lines = [f"{notice.at.astimezone():%Y-%m-%d %H:%M:%S%z} {_MARKS[notice.level]} {visible(notice.text)}"]
    lines += ["    " + visible(line) for line in str(notice.fields.get("traceback", "")).splitlines()]
    return "\n".join(lines) + "\n"
