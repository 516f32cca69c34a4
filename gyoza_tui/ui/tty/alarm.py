"""A bell that a select or an event loop hears."""

from __future__ import annotations

import os
from contextlib import suppress


class Alarm:
    """Rung once and for all: the worker has ended, or the terminal is gone. From any thread or signal handler."""

    def __init__(self) -> None:
        self._reading, self._writing = os.pipe()
        os.set_blocking(self._writing, False)

    def ring(self) -> None:
        with suppress(BlockingIOError):
            os.write(self._writing, b"!")

    def fileno(self) -> int:
        """Readable when it has rung."""
        return self._reading
