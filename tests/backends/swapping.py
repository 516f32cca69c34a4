"""A neighbour that may write above a volume, and leads it elsewhere again and again."""

from __future__ import annotations

import ctypes
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

_AT_FDCWD: Final = -100
_RENAME_EXCHANGE: Final = 2
_LIBC: Final = ctypes.CDLL(None, use_errno=True)
SECRET: Final = "secret"


class Swapped:
    """A directory at `path` that changes places with a link to `outside`; `outside` holds a file named `secret`."""

    def __init__(self, root: Path) -> None:
        self.allowed = root / "allowed"
        self.path = self.allowed / "neighbour" / "data"
        self.outside = root / "outside"
        self._link = self.path.with_name("link")
        for folder in (self.path, self.outside):
            folder.mkdir(parents=True)
            folder.chmod(0o777)
        (self.outside / SECRET).touch()
        self._link.symlink_to(self.outside)
        self.count = 0

    def swap(self) -> None:
        """In one step, so that there is always something at `path`."""
        names = (os.fsencode(self.path), os.fsencode(self._link))
        assert _LIBC.renameat2(_AT_FDCWD, names[0], _AT_FDCWD, names[1], _RENAME_EXCHANGE) == 0
        self.count += 1

    @contextmanager
    def swapping(self, every_s: float = 0.002) -> Iterator[None]:
        over = threading.Event()

        def swap_on() -> None:
            while not over.wait(every_s):
                self.swap()

        neighbour = threading.Thread(target=swap_on)
        neighbour.start()
        try:
            yield
        finally:
            over.set()
            neighbour.join()

    @property
    def written_outside(self) -> list[str]:
        return sorted(set(os.listdir(self.outside)) - {SECRET})
