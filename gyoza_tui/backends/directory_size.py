"""How much of a disk a directory takes that an op has filled: deeper than any stack, full of links, changing."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path
from typing import Final

_DIRECTORY: Final = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_BLOCK: Final = 512
_LEVELS: Final = 64
"""Directories that are open at a time; what is deeper waits until these are done."""
_WAITING: Final = 256
"""How many deeper directories may wait; what is below any more of them is not counted."""


def allocated(path: Path) -> int:
    """Bytes of the disk below `path`, on its own file system; 0 when it is not there. Never follows a link.

    Of a file with several names each counts for its share. What vanishes meanwhile is left out.
    """
    try:
        waiting = [os.open(path, _DIRECTORY)]
    except OSError:
        return 0
    total, device = 0, os.fstat(waiting[0]).st_dev
    while waiting:
        total += _below(waiting.pop(), device, waiting)
    return total


def _below(top: int, device: int, waiting: list[int]) -> int:
    total, names = _listed(top)
    levels = [(top, names)]
    while levels:
        folder, names = levels[-1]
        if not names:
            os.close(folder)
            levels.pop()
            continue
        with suppress(OSError):
            inner = os.open(names.pop(), _DIRECTORY, dir_fd=folder)
            if os.fstat(inner).st_dev != device or (len(levels) == _LEVELS and len(waiting) == _WAITING):
                os.close(inner)
            elif len(levels) == _LEVELS:
                waiting.append(inner)
            else:
                size, below = _listed(inner)
                total += size
                levels.append((inner, below))
    return total


def _listed(folder: int) -> tuple[int, list[str]]:
    """What the files of a directory and itself take, and the names of the directories in it."""
    total, names = os.fstat(folder).st_blocks * _BLOCK, []
    with suppress(OSError), os.scandir(folder) as entries:
        for entry in entries:
            with suppress(OSError):
                if entry.is_dir(follow_symlinks=False):
                    names.append(entry.name)
                else:
                    found = entry.stat(follow_symlinks=False)
                    total += found.st_blocks * _BLOCK // max(1, found.st_nlink)
    return total, names
