"""Which attempt a process of this machine belongs to."""

from __future__ import annotations

import os
from typing import Final

import psutil

from gyoza_tui.backends.local.shim import MARK

_MARK: Final = f"{MARK}=".encode()


def mark_of(pid: int) -> str | None:
    """The mark in its environment, or in that of what it descends from; None where none is, or none can be read."""
    try:
        process = psutil.Process(pid)
        return next(filter(None, (_mark_in(each.pid) for each in (process, *process.parents()))), None)
    except psutil.Error:
        return None


def _mark_in(pid: int) -> str | None:
    try:
        with open(f"/proc/{pid}/environ", "rb") as file:
            variables = file.read().split(b"\0")
    except OSError:
        return None
    return next((os.fsdecode(each[len(_MARK) :]) for each in variables if each.startswith(_MARK)), None)
