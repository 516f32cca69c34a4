"""A look at a worker's state directory that makes nothing and keeps nobody out of it."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path
from typing import NamedTuple

from gyoza_tui.worker.state_dir.holder import holder
from gyoza_tui.worker.state_dir.state_dir import StateDirError, refuse_network


class Directory(NamedTuple):
    """One that a worker needs."""

    path: str
    trouble: str | None = None
    """Why it cannot be used, in words."""
    note: str = ""
    """Who has it, as a running worker."""


def look(root: Path) -> Directory:
    """Whether a worker could use it, or one does already."""
    there = nearest_existing(root)
    try:
        refuse_network(root)
        if not there.is_dir():
            return Directory(str(root), f"the state directory {root} cannot be made: {there} is no directory")
        if not os.access(there, os.W_OK | os.X_OK):
            return Directory(str(root), f"the state directory {root} cannot be used: {there} is not writable")
        note = f"in use by {holder(root)}, whose worker runs" if in_use(root) else ""
        return Directory(str(root), note=note)
    except StateDirError as error:
        return Directory(str(root), str(error))
    except OSError as error:
        return Directory(str(root), f"the state directory {root} cannot be used: {error.strerror}")


def instance_of(root: Path) -> str | None:
    """Under which identity the server knows the worker of that directory; None before its first start."""
    try:
        return (root / "instance").read_text(errors="replace").strip() or None
    except OSError:
        return None


def nearest_existing(path: Path) -> Path:
    """The path itself, or the directory above it that is there."""
    return next((each for each in (path, *path.parents) if each.exists()), Path("/"))


def in_use(root: Path) -> bool:
    """Whether a process has it for its worker. Those who look share the lock; a worker waits for them."""
    try:
        with (root / "lock").open() as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except FileNotFoundError:
        return False
    except BlockingIOError:
        return True
    return False
