"""Workers and cockpits in processes of their own, to be stopped and killed."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil

from tests.ui.fake_control import FakeControl
from tests.ui.recording import load
from tests.waiting import until
from tests.worker.control_socket.served import HELLO, attached, serving


class Process:
    def __init__(self, what: str, root: Path, *words: str) -> None:
        argv = [sys.executable, "-m", __name__, what, str(root), *words]
        self._process = subprocess.Popen(argv)

    def signal(self, number: int) -> None:
        self._process.send_signal(number)
        if number == signal.SIGSTOP:
            known = psutil.Process(self._process.pid)
            until(lambda: known.status() == psutil.STATUS_STOPPED, "the process is stopped")

    def kill(self) -> None:
        self._process.kill()
        self._process.wait(10)


@contextmanager
def process(what: str, root: Path, *words: str) -> Iterator[Process]:
    made = Process(what, root, *words)
    try:
        yield made
    finally:
        made.kill()


def seen(file: Path) -> dict[str, Any]:
    """What a cockpit has last written that it sees."""
    found: dict[str, Any] = json.loads(file.read_text()) if file.exists() else {}
    return found


def _serve(root: Path, scene: str, epoch: str) -> None:
    """A worker that shows what was recorded."""
    with serving(FakeControl.of(load(scene)), root, HELLO._replace(epoch=int(epoch), pid=os.getpid())):
        signal.pause()


def _look(root: Path, file: str) -> None:
    """A cockpit that writes what it sees, twenty times a second."""
    with attached(root) as remote:
        while True:
            shown = remote.snapshot()
            sizes = {view.key: remote.log_size(view.key) for view in shown.runs}
            now = {"to_deliver": shown.to_deliver, "sizes": sizes, "silent_s": remote.contact().silent_s}
            Path(f"{file}.new").write_text(json.dumps(now))
            os.replace(f"{file}.new", file)
            time.sleep(0.05)


if __name__ == "__main__":
    what, root, *words = sys.argv[1:]
    if what == "worker":
        _serve(Path(root), *words)
    else:
        _look(Path(root), *words)
