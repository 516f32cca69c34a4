"""One request on a socket of its own, whose answer may take days and whose reader can be woken."""

from __future__ import annotations

import contextlib
import http.client
import socket
import time
from collections.abc import Mapping
from types import TracebackType

from gyoza_tui.models.limits import KIB

READ_SIZE = 256 * KIB
"""Also the largest chunk of output: what one read brought is passed on at once."""


class RawStream:
    """HTTP/1.0 on purpose: the engine then sends the body as it is, without a chunk around every line of log."""

    def __init__(self, connection: socket.socket, method: str, target: str, headers: Mapping[str, str]) -> None:
        self._socket = connection
        self._response = http.client.HTTPResponse(connection, method=method)
        self._begun = False
        lines = [f"{method} {target} HTTP/1.0", "Host: docker", "User-Agent: gyoza-tui"]
        lines += [f"{name}: {value}" for name, value in headers.items()]
        try:
            connection.sendall(("\r\n".join(lines) + "\r\n\r\n").encode("latin-1"))
        except BaseException:
            self.close()
            raise

    @property
    def status(self) -> int:
        """Waits for the answer. Raises OSError when none comes."""
        if not self._begun:
            try:
                self._response.begin()
            except http.client.HTTPException as error:
                raise ConnectionError(f"the answer was cut off ({error!r})") from error
            except (ValueError, AttributeError) as error:  # closed by another thread meanwhile
                raise ConnectionError("closed") from error
            self._begun = True
        return self._response.status

    def header(self, name: str) -> str | None:
        return self._response.getheader(name) if self.status else None

    def wait_for_ever(self) -> None:
        """From here on only `close` ends a wait."""
        self._socket.settimeout(None)

    def read(self) -> bytes:
        """What has come, at least one byte; empty at the end, which a `close` from another thread is too."""
        _ = self.status
        try:
            return self._response.read1(READ_SIZE)
        except (ValueError, AttributeError) as error:  # closed by another thread meanwhile
            raise ConnectionError("closed") from error

    def read_all(self, limit: int) -> bytes:
        """The body up to `limit` bytes, more of it is left unread."""
        body = bytearray()
        while len(body) < limit and (data := self.read()):
            body += data
        return bytes(body[:limit])

    def close(self) -> None:
        """Wake whoever reads, and let go. A close alone would leave it blocked: only a shutdown wakes it."""
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        with contextlib.suppress(OSError, ValueError):
            self._response.close()
        with contextlib.suppress(OSError):
            self._socket.close()

    def __enter__(self) -> RawStream:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def connect_unix(path: str, timeout_s: float) -> socket.socket:
    """Raises OSError; its waits keep that timeout."""
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    connection.settimeout(timeout_s)
    deadline = time.monotonic() + timeout_s
    while True:
        try:
            connection.connect(path)
            return connection
        except BlockingIOError:  # its queue of connections is full, and the kernel does not wait for room
            if time.monotonic() > deadline:
                connection.close()
                raise TimeoutError("connecting timed out") from None
            time.sleep(0.05)
        except BaseException:
            connection.close()
            raise
