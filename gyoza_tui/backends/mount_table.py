"""What is mounted where, as the kernel lists it for a process; any user may read it."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Final, NamedTuple

_ESCAPED: Final = re.compile(rb"\\([0-7]{3})")
_DELETED: Final = " (deleted)"


class Mounted(NamedTuple):
    """One directory or file of a file system, whatever path it is seen at."""

    device: str
    """`major:minor` of the file system."""
    path: str
    """From the root of that file system."""


class Mount(NamedTuple):
    id: int
    """Unique on this machine while it is mounted."""
    what: Mounted
    at: str


def mounts(pid: int | str = "self") -> list[Mount]:
    """Of the process's mount namespace. Raises OSError when there is no such process here."""
    return [_mount(line) for line in Path(f"/proc/{pid}/mountinfo").read_bytes().splitlines()]


def shares_mounts(pid: int) -> bool:
    """Whether a path means the same to that process as to this one."""
    try:
        return mounts(pid)[:1] == mounts()[:1]
    except OSError:
        return False


def mount_id(descriptor: int) -> int:
    """Of the mount that the open file was reached by."""
    info = Path(f"/proc/self/fdinfo/{descriptor}").read_text()
    return next(int(line.split()[1]) for line in info.splitlines() if line.startswith("mnt_id:"))


def what_is_open(descriptor: int) -> Mounted:
    """Raises OSError when its file system is no longer mounted."""
    path = os.readlink(f"/proc/self/fd/{descriptor}").removesuffix(_DELETED)
    number = mount_id(descriptor)
    for mount in mounts():
        if mount.id == number:
            return mount.what._replace(path=str(Path(mount.what.path, os.path.relpath(path, mount.at))))
    raise FileNotFoundError(f"{path} is on no mounted file system")


def _mount(line: bytes) -> Mount:
    number, _parent, device, root, at = line.split()[:5]
    return Mount(int(number), Mounted(device.decode(), _unescaped(root)), _unescaped(at))


def _unescaped(field: bytes) -> str:
    return os.fsdecode(_ESCAPED.sub(lambda found: bytes([int(found[1], 8)]), field))
