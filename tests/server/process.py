"""A real server process on a free port, which ends with the test that started it."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.server.zygote import fork_server


class ServerProcess:
    """`url` once it answers. Started with a pipe of its parent, so that it never outlives the test."""

    def __init__(self, database: Path, options: str = "") -> None:
        reading, self._pipe = os.pipe()
        self.process = fork_server(f'{{"database": "{database}"{options}}}', reading)
        os.close(reading)
        self.url = self.process.stdout.readline().strip()

    def kill(self) -> None:
        self.process.send_signal(signal.SIGKILL)
        self.process.wait(20)

    def hang_up(self) -> None:
        """As if the parent had died."""
        if self._pipe >= 0:
            os.close(self._pipe)
        self._pipe = -1

    def words(self) -> str:
        """What it said on stderr before it ended."""
        return self.process.stderr.read()

    def close(self) -> None:
        self.hang_up()
        if self.process.poll() is None:
            self.process.terminate()
        self.process.wait(20)
        for stream in (self.process.stdout, self.process.stderr):
            stream.close()


@contextmanager
def server_process(database: Path, options: str = "") -> Iterator[ServerProcess]:
    started = ServerProcess(database, options)
    try:
        yield started
    finally:
        started.close()
