"""Follow a path as the kernel does, and keep what was read on the way."""

from __future__ import annotations

import errno
import os
from pathlib import Path
from typing import Final, NamedTuple

_LINKS_MAX: Final = 40
_NO_LINK: Final = frozenset({errno.EINVAL, errno.ENOENT, errno.ENOTDIR})


class Lookup(NamedTuple):
    real: Path
    """Without links; what does not exist is taken as it is written."""
    passed: tuple[Path, ...]
    """Every path that decided where `real` is: who can replace one of them can lead the lookup elsewhere."""

    def enters(self, directory: Path) -> bool:
        """Whether a process that may write in `directory` can lead the lookup elsewhere."""
        return any(path != directory and path.is_relative_to(directory) for path in self.passed)


def look_up(path: Path) -> Lookup:
    """Raises OSError where a directory on the way may not be read, or links lead in a circle."""
    here, left, links = Path("/"), list(reversed(path.parts[1:])), 0
    passed: list[Path] = []
    while left:
        part = left.pop()
        if part == "..":
            here = here.parent
            continue
        found = here / part
        passed.append(found)
        if (target := _target(found)) is None:
            here = found
            continue
        links += 1
        if links > _LINKS_MAX:
            raise OSError(errno.ELOOP, os.strerror(errno.ELOOP), str(path))
        if target.is_absolute():
            here = Path("/")
        left += reversed(target.parts[1:] if target.is_absolute() else target.parts)
    return Lookup(here, tuple(passed))


def _target(path: Path) -> Path | None:
    try:
        return path.readlink()
    except OSError as error:
        if error.errno in _NO_LINK:
            return None
        raise
