"""A real server process on a free port, which ends with the test that started it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_PROGRAM = """
import json, sys
from gyoza_tui.server.errors import ServerError
from gyoza_tui.server.hub import Timings
from gyoza_tui.server.launch import ServerOptions, serve
options = json.loads(sys.argv[1])
timings = Timings(**options.pop("timings", {}))
try:
    serve(ServerOptions(ready=lambda url: print(url, flush=True), timings=timings, **options))
except ServerError as error:
    print(error, file=sys.stderr)
    sys.exit(2)
"""


class ServerProcess:
    """`url` once it answers. Started with a pipe of its parent, so that it never outlives the test."""

    def __init__(self, database: Path, options: str = "") -> None:
        reading, self._pipe = os.pipe()
        arguments = f'{{"database": "{database}", "port": 0, "parent_pipe": {reading}{options}}}'
        self.process = subprocess.Popen(
            [sys.executable, "-c", _PROGRAM, arguments],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            pass_fds=(reading,),
        )
        os.close(reading)
        assert self.process.stdout is not None
        self.url = self.process.stdout.readline().strip()

    def kill(self) -> None:
        self.process.send_signal(signal.SIGKILL)
        self.process.wait(10)

    def hang_up(self) -> None:
        """As if the parent had died."""
        if self._pipe >= 0:
            os.close(self._pipe)
        self._pipe = -1

    def words(self) -> str:
        """What it said on stderr before it ended."""
        assert self.process.stderr is not None
        return self.process.stderr.read()

    def close(self) -> None:
        self.hang_up()
        if self.process.poll() is None:
            self.process.terminate()
        self.process.wait(10)
        for stream in (self.process.stdout, self.process.stderr):
            if stream is not None:
                stream.close()


@contextmanager
def server_process(database: Path, options: str = "") -> Iterator[ServerProcess]:
    started = ServerProcess(database, options)
    try:
        yield started
    finally:
        started.close()
