"""Whether the disks that a run writes to have room."""

from __future__ import annotations

import shutil
from collections.abc import Iterable
from pathlib import Path

from gyoza_tui.models.limits import MIB


def low_disk(paths: Iterable[Path], min_free_mb: int) -> str | None:
    """Which disk is low, in words; None when all have at least `min_free_mb` MiB free."""
    for path in paths:
        try:
            free_mb = shutil.disk_usage(path).free // MIB
        except OSError as error:
            return f"disk: {path} cannot be looked at: {error.strerror}"
        if free_mb < min_free_mb:
            return f"disk full: {path} has {free_mb} MB free, GYOZA_MIN_FREE_MB is {min_free_mb}"
    return None
