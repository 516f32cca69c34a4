"""A line of the checklist of what a worker needs."""

from __future__ import annotations

from enum import StrEnum
from typing import NamedTuple


class CheckState(StrEnum):
    OK = "ok"
    WAITING = "waiting"
    """Not known yet."""
    WARNING = "warning"
    """Works, but not as it could."""
    FAILED = "failed"


class Check(NamedTuple):
    """One line of the checklist."""

    name: str
    """`server`, `key`, `docker` and each other backend, `GPUs`, `disk`; more where somebody has asked for more."""
    state: CheckState
    text: str
    """What was found, as exactly as it is known."""
    mend: str = ""
    """What to set or type; empty when nothing needs it."""
