"""Whether the disks that a run writes to have room."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from gyoza_tui.models.limits import MIB


class Room(NamedTuple):
    """One disk."""

    path: Path
    """The first of the directories on it that were looked at."""
    device: int
    free: int
    """Bytes."""


class DiskLook(NamedTuple):
    """How much room is left where the worker writes."""

    trouble: str | None = None
    """Which disk is low, or cannot be looked at, in words."""
    free_mb: int | None = None
    """MiB free on the disk with the least room; None when none could be looked at."""
    warning: str | None = None
    """Which disk will soon be low, in words."""
    rooms: tuple[Room, ...] = ()


def near(min_free_mb: int) -> int:
    """Bytes free below which the disk will soon be low."""
    return 2 * min_free_mb * MIB


def short(min_free_mb: int) -> int:
    """Bytes free below which the run that fills the disk is stopped."""
    return min_free_mb * MIB // 4


def look(paths: Iterable[Path], min_free_mb: int) -> DiskLook:
    """At the disks below these paths; one with less than `min_free_mb` MiB free is low, and one without any always."""
    trouble: str | None = None
    warning: str | None = None
    rooms: dict[int, Room] = {}
    for path in paths:
        try:
            room = Room(path, os.stat(path).st_dev, shutil.disk_usage(path).free)
        except OSError as error:
            trouble = trouble or f"disk: {path} cannot be looked at: {error.strerror}"
            continue
        rooms.setdefault(room.device, room)
        free_mb = room.free // MIB
        if free_mb < max(1, min_free_mb):
            trouble = trouble or f"disk full: {path} has {free_mb} MB free, GYOZA_MIN_FREE_MB is {min_free_mb}"
        elif room.free < near(min_free_mb):
            warning = warning or _soon(path, free_mb, min_free_mb)
    least = min((room.free // MIB for room in rooms.values()), default=None)
    return DiskLook(trouble, least, warning, tuple(rooms.values()))


def _soon(path: Path, free_mb: int, min_free_mb: int) -> str:
    return (
        f"{path} has {free_mb} MB free: below {min_free_mb} MB nothing is claimed, "
        f"below {short(min_free_mb) / MIB:g} MB the run that filled the disk is stopped"
    )
