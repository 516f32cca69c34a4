"""Room on the disk of the state directory that is given up when there is no other."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Final, TypeVar

from gyoza_tui.models.limits import MIB

_T = TypeVar("_T")

SIZE: Final = 16 * MIB
_PART: Final = 4 * MIB
_FULL: Final = (errno.ENOSPC, errno.EDQUOT)


class Reserve:
    """A file without use but its size."""

    def __init__(self, path: Path) -> None:
        self._path = path

    @property
    def size(self) -> int:
        try:
            found = self._path.lstat()
        except OSError:
            return 0
        return found.st_size if stat.S_ISREG(found.st_mode) else 0

    def fill(self) -> None:
        """Make it whole, of blocks that no file system could leave out or compress."""
        try:
            fd = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
            try:
                os.posix_fallocate(fd, 0, SIZE)
                for _ in range(SIZE // MIB):
                    os.write(fd, os.urandom(MIB))
            finally:
                os.close(fd)
        except OSError:
            self.give_up()

    def give_up(self) -> bool:
        """Free all of it; whether there was any."""
        return self._shrink(0)

    def in_room(self, call: Callable[[], _T]) -> _T:
        """`call()`, repeated with a part more of the reserve given up each time that the disk has no room for it.

        A part at a time, for an op that writes without end may take what is freed before `call` does.
        """
        while True:
            try:
                return call()
            except OSError as error:
                if error.errno not in _FULL or not self._shrink(max(0, self.size - _PART)):
                    raise

    def _shrink(self, size: int) -> bool:
        if not self.size:
            return False
        try:
            os.truncate(self._path, size)
        except OSError:
            return False
        return True
