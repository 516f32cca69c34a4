"""How far an op says it is, and how long the rest will take at its pace so far."""

from __future__ import annotations

from typing import Any

from gyoza_tui.worker.journal.row import RunRow

_DONE = 100.0


def progressed(row: RunRow, percent: float, at: float) -> dict[str, Any]:
    """The changes of a row whose op says `percent` at `at`; an op that goes back counts anew from there."""
    changes: dict[str, Any] = {"progress": percent, "progress_at": at}
    if row.progress is None or percent < row.progress:
        changes |= {"progress_from": percent, "progress_since": at}
    return changes


def left_s(row: RunRow) -> float | None:
    """Seconds from its last word on; None while there is no pace."""
    if row.progress is None or row.progress_at is None or row.progress_from is None or row.progress_since is None:
        return None
    if row.progress >= _DONE:
        return 0.0
    gained, took = row.progress - row.progress_from, row.progress_at - row.progress_since
    if gained <= 0 or took <= 0:
        return None
    return (_DONE - row.progress) * took / gained
