"""Reads large bodies in another process: reading one holds Python's lock, and would delay every other request."""

from __future__ import annotations

import asyncio
import logging
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Final

from gyoza_tui.models.errors import ErrorCode
from gyoza_tui.models.limits import KIB
from gyoza_tui.server.bodies import Body, read
from gyoza_tui.server.errors import Refused

_LOG = logging.getLogger(__name__)
_LARGE: Final = 64 * KIB
"""Bytes from which a body goes to the other process."""
_DEADLINE_S: Final = 60.0


class BodyReader:
    """The process is started for the first large body, and reads one after the other."""

    def __init__(self) -> None:
        self._child: _Child | None = None
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="gyoza-bodies")

    async def read(self, body: bytes, kind: type) -> Body:
        """As `bodies.read`; Refused (503) when the process ended, or took too long."""
        if len(body) <= _LARGE:
            return read(body, kind)
        return await asyncio.get_running_loop().run_in_executor(self._thread, self._read, body, kind)

    def _read(self, body: bytes, kind: type) -> Body:
        try:
            if self._child is None or self._child.has_ended():
                self._child = _Child()
            return self._child.read(body, kind)
        except (EOFError, OSError) as error:
            _LOG.warning("a request of %d bytes was not read: the process for that ended (%r)", len(body), error)
            raise Refused(503, ErrorCode.BUSY, "the process that reads large requests ended: try again") from error

    def close(self) -> None:
        """What is being read is given up."""
        self._thread.shutdown(wait=False, cancel_futures=True)
        if self._child is not None:
            self._child.end()


class _Child:
    def __init__(self) -> None:
        from multiprocessing import Pipe  # most servers never need it

        self._pipe, theirs = Pipe()
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, "-P", "-m", "gyoza_tui.server.body_child", str(theirs.fileno())],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                pass_fds=[theirs.fileno()],
                start_new_session=True,
            )

    def read(self, body: bytes, kind: type) -> Body:
        """EOFError or OSError when it ended; after any error it has."""
        deadline = threading.Timer(_DEADLINE_S, self._process.kill)
        deadline.daemon = True
        deadline.start()
        try:
            self._pipe.send((body, kind))
            answer: Body = self._pipe.recv()
            return answer
        except BaseException:
            self.end()
            raise
        finally:
            deadline.cancel()

    def has_ended(self) -> bool:
        return self._process.poll() is not None

    def end(self) -> None:
        self._process.kill()
        self._process.wait()
