"""Bind mounts that hold a directory from the moment it was checked until its container has it.

The engine takes a path, and a path may lead elsewhere by the time it is followed. So root gives the engine a path of
its own, below a directory that no one else can write to. It is not in the state directory: deleting that by hand must
never reach what a run has mounted.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Final

STAGING_ROOT: Final = Path("/run/gyoza-tui")
_MS_BIND: Final = 1 << 12
_MS_REC: Final = 1 << 14
_MS_PRIVATE: Final = 1 << 18
_MNT_DETACH: Final = 2
_UMOUNT_NOFOLLOW: Final = 8
_CAP_SYS_ADMIN: Final = 21
_LIBC: Final = ctypes.CDLL(None, use_errno=True)


def may_mount() -> bool:
    if os.geteuid() != 0:
        return False
    status = Path("/proc/self/status").read_text()
    effective = next(line.split()[1] for line in status.splitlines() if line.startswith("CapEff:"))
    return bool(int(effective, 16) >> _CAP_SYS_ADMIN & 1)


def make_place(place: Path, *, directory: bool) -> None:
    """What a mount can cover; at an earlier call's it is left as it is."""
    place.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    STAGING_ROOT.chmod(0o700)
    if directory:
        place.mkdir(exist_ok=True)
    else:
        place.touch()


def stage(descriptor: int, place: Path) -> None:
    """Show at `place` what is open, in the place of whatever was shown there. Raises OSError."""
    _unmount(place)
    _mount(f"/proc/self/fd/{descriptor}", place, _MS_BIND | _MS_REC)
    _mount(None, place, _MS_PRIVATE | _MS_REC)
    if not os.path.samestat(os.stat(place), os.fstat(descriptor)):
        raise OSError(errno.ESTALE, "another mount covers it", str(place))


def clear(folder: Path) -> None:
    """Unmount all that is staged in a folder, and remove it; nothing is ever deleted through a mount."""
    for place in _entries(folder):
        _unmount(place)
        place.rmdir() if place.is_dir() else place.unlink()
    with contextlib.suppress(FileNotFoundError, PermissionError):
        folder.rmdir()
        with contextlib.suppress(OSError):  # others of this instance are there
            folder.parent.rmdir()


def folders(of_instance: Path) -> list[Path]:
    return list(_entries(of_instance))


def _entries(folder: Path) -> Iterator[Path]:
    with contextlib.suppress(FileNotFoundError, PermissionError):  # a worker without root has staged nothing
        yield from sorted(folder.iterdir())


def _mount(source: str | None, place: Path, flags: int) -> None:
    encoded = source and os.fsencode(source)
    if _LIBC.mount(encoded, os.fsencode(place), None, ctypes.c_ulong(flags), None) != 0:
        raise _error(place)


def _unmount(place: Path) -> None:
    """Every mount at this place; what is mounted below the source itself must not go with it."""
    while _LIBC.mount(None, os.fsencode(place), None, ctypes.c_ulong(_MS_PRIVATE | _MS_REC), None) == 0:
        if _LIBC.umount2(os.fsencode(place), _MNT_DETACH | _UMOUNT_NOFOLLOW) != 0:
            raise _error(place)
    if ctypes.get_errno() != errno.EINVAL:  # not a mount point
        raise _error(place)


def _error(place: Path) -> OSError:
    number = ctypes.get_errno()
    return OSError(number, os.strerror(number), str(place))
