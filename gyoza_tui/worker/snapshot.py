"""The frozen picture of the worker that every view reads."""

from __future__ import annotations

from dataclasses import dataclass

from gyoza_tui.models.hardware import HardwareSample
from gyoza_tui.models.workers import WorkerState
from gyoza_tui.worker.duties.duty import DutyStatus
from gyoza_tui.worker.link import LinkState
from gyoza_tui.worker.run_row import RunRow


@dataclass(frozen=True, slots=True)
class RunView:
    """One run here, with the server's last word on it."""

    row: RunRow
    server_state: str | None
    held: bool
    """Its server is not the one that answers now."""


@dataclass(frozen=True, slots=True)
class Snapshot:
    version: int
    """Grows with each snapshot taken."""
    taken_at: float
    """Boot time, as all times here."""
    worker_id: str
    state: WorkerState
    refusal: str | None
    """Why no run is taken now; None when runs are."""
    max_runs: int
    free_slots: int
    server_url: str
    link: LinkState
    next_try_s: float
    """Until the server is tried again; 0 while it answers."""
    backends: dict[str, str | None]
    """Per backend why it cannot take work, or None."""
    to_deliver: int
    runs: tuple[RunView, ...]
    duties: tuple[DutyStatus, ...]
    hardware: HardwareSample | None
