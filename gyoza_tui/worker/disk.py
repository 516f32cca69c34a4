"""Whether the disks that a run writes to have room."""

from __future__ import annotations

import shutil
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from gyoza_tui.models.limits import MIB


class DiskLook(NamedTuple):
    """How much room is left where the worker writes."""

    trouble: str | None = None
    """Which disk is low, or cannot be looked at, in words."""
    free_mb: int | None = None
    """MiB free on the disk with the least room; None when none could be looked at."""


def look(paths: Iterable[Path], min_free_mb: int) -> DiskLook:
    """At the disks below these paths; one with less than `min_free_mb` MiB free is low, and one without any always."""
    trouble: str | None = None
    least: int | None = None
    for path in paths:
        try:
            free_mb = shutil.disk_usage(path).free // MIB
        except OSError as error:
            trouble = trouble or f"disk: {path} cannot be looked at: {error.strerror}"
            continue
        if free_mb < max(1, min_free_mb):
            trouble = trouble or f"disk full: {path} has {free_mb} MB free, GYOZA_MIN_FREE_MB is {min_free_mb}"
        least = free_mb if least is None else min(least, free_mb)
    return DiskLook(trouble, least)
