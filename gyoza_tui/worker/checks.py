"""What a worker needs before it can run anything, each with what is wrong and what to do."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from gyoza_tui.worker.snapshot import Snapshot


class CheckState(StrEnum):
    OK = "ok"
    WAITING = "waiting"
    """Not known yet."""
    WARNING = "warning"
    """Works, but not as it could."""
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Check:
    name: str
    """`server`, `key`, `docker`, `GPUs`, `disk`."""
    state: CheckState
    text: str
    """What was found, as exactly as it is known."""
    mend: str = ""
    """What to set or type; empty when nothing needs it."""


def checklist(snapshot: Snapshot) -> tuple[Check, ...]:
    """Judged by what the worker knows already: asks nobody."""
    raise NotImplementedError
