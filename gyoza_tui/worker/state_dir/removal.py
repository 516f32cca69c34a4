"""Delete a directory that an op has filled: deeper than any stack, closed to its owner, full of links."""

from __future__ import annotations

import errno
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from gyoza_tui.backends.mount_table import mount_id

_OPEN_TO_US: Final = 0o700


def remove_tree(path: Path) -> None:
    """Never follows a link, and enters no mount: OSError EBUSY. Two directories are open at a time, however deep it is.

    What lies inside a directory is moved up to the top before that directory goes: walking down would need a
    descriptor and a stack frame for each level, and an op makes thousands of levels in a second.
    """
    with _entered(str(path)) as top:
        mount = mount_id(top)
        _refuse_mount(path, mount != _mount_of(path.parent))
        while names := _emptied_of_files(top):
            for name in names:
                with _entered(name, top) as folder:
                    _refuse_mount(path / name, mount_id(folder) != mount)
                    for inner in _emptied_of_files(folder):
                        _open_up(inner, folder)
                        os.rename(inner, secrets.token_hex(16), src_dir_fd=folder, dst_dir_fd=top)
                os.rmdir(name, dir_fd=top)
    path.rmdir()


def _refuse_mount(path: Path, mounted: bool) -> None:
    if mounted:
        raise OSError(errno.EBUSY, "a file system is mounted there: unmount it", str(path))


def _mount_of(path: Path) -> int:
    found = os.open(path, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        return mount_id(found)
    finally:
        os.close(found)


def _emptied_of_files(folder: int) -> list[str]:
    """Delete all but directories; their names."""
    found = []
    with os.scandir(folder) as entries:
        for entry in entries:
            if entry.is_dir(follow_symlinks=False):
                found.append(entry.name)
            else:
                os.unlink(entry.name, dir_fd=folder)
    return found


@contextmanager
def _entered(name: str, parent: int | None = None) -> Iterator[int]:
    _open_up(name, parent)
    folder = os.open(name, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=parent)
    try:
        yield folder
    finally:
        os.close(folder)


def _open_up(name: str, parent: int | None) -> None:
    """Let its owner in; one of another owner stays as it is."""
    found = os.open(name, os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=parent)
    try:
        os.chmod(f"/proc/self/fd/{found}", _OPEN_TO_US)
    except PermissionError:
        return
    finally:
        os.close(found)
