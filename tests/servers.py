"""Running the embedded server for tests."""

from __future__ import annotations

import os
import threading
from pathlib import Path
from types import TracebackType
from typing import Self

from gyoza_tui.client import GyozaClient
from gyoza_tui.server.launch import ServerOptions, serve
from gyoza_tui.server.shared_state import Timings

KEY = "test-key"
WORK_KEY = "test-work-key"
SUBMIT_KEY = "test-submit-key"


class ServerThread:
    """The real server on a free port, in a thread of this process."""

    def __init__(self, database: Path, timings: Timings | None = None) -> None:
        self._database = database
        self._timings = timings or Timings(heartbeat_s=1)
        self._ready = threading.Event()
        self.url = ""

    def __enter__(self) -> Self:
        self._reading, self._writing = os.pipe()
        options = ServerOptions(
            port=0,
            database=f"sqlite:///{self._database}",
            api_key=KEY,
            work_key=WORK_KEY,
            submit_key=SUBMIT_KEY,
            timings=self._timings,
            ready=self._is_ready,
            parent_pipe=self._reading,
        )
        self._thread = threading.Thread(target=serve, args=(options,), daemon=True)
        self._thread.start()
        assert self._ready.wait(20), "the server does not start"
        self.client = GyozaClient(self.url, KEY)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self.stop()

    def stop(self) -> None:
        """End it now; again does nothing."""
        if self._thread.is_alive():
            self.client.close()
            os.close(self._writing)
            self._thread.join(20)
            assert not self._thread.is_alive(), "the server does not end"
            os.close(self._reading)

    def _is_ready(self, url: str) -> None:
        self.url = url
        self._ready.set()
